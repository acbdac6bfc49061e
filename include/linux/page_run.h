/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_PAGE_RUN_H
#define _LINUX_PAGE_RUN_H

struct page;

/* Pages that follow each other, in memory and in the memory map. */
struct page_run {
	struct page *page;
	unsigned long nr;
};

int pin_user_runs_fast_only(unsigned long start, int nr_pages,
			    unsigned int gup_flags, struct page_run *runs);

#endif /* _LINUX_PAGE_RUN_H */
