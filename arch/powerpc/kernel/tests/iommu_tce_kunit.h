/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common to the KUnit suites of the TCE core: a table that exists in memory
 * only, for which iommu_tce_kunit.c has the operations of a platform. A suite
 * puts it into a struct of its own, and replaces the operations in which it
 * looks for more.
 */
#ifndef _POWERPC_KERNEL_IOMMU_TCE_KUNIT_H
#define _POWERPC_KERNEL_IOMMU_TCE_KUNIT_H

#include <asm/iommu.h>

#include "../../mm/tests/mm_iommu_kunit.h"
#include "../iommu_tce_view.h"

/* Recorded: calls of a platform, and of the memory behind TCEs. */
enum tce_fake_op {
	FAKE_HOLD, FAKE_PREPARE, FAKE_SET, FAKE_CLEAR, FAKE_KILL, FAKE_DROP,
	FAKE_OPS
};

/**
 * struct tce_fake_calls - calls of one operation
 * @nr: number of calls so far
 * @refuse_at: first call to refuse, counted from 1; 0 for none
 * @refuse_nr: number of calls to refuse from there on
 * @part: entries that the first refused call changes all the same
 * @entry: first entry of the last call
 * @npages: number of entries of the last call
 */
struct tce_fake_calls {
	unsigned int nr;
	unsigned int refuse_at;
	unsigned int refuse_nr;
	unsigned long part;
	unsigned long entry;
	unsigned long npages;
};

/**
 * struct tce_fake - a table that exists in memory only
 * @tbl: the table; the first member, because its last reference may free it
 * @ops: its operations
 * @test: test that it is used by
 * @tces: entries, by index modulo @nr_entries
 * @nr_entries: number of elements of @tces
 * @calls: calls of each operation
 * @log: a letter for each call; lower case if it was refused
 * @logged: number of letters in @log
 * @refuse: number of set and clear calls to refuse from now on
 * @mute: calls are neither recorded nor refused
 * @wrong: first violation found
 * @killing: called once, before the next kill
 * @watch: called for each call that is recorded, before it changes anything
 */
struct tce_fake {
	struct iommu_table tbl;
	struct iommu_table_ops ops;
	struct kunit *test;
	__be64 *tces;
	unsigned long nr_entries;
	struct tce_fake_calls calls[FAKE_OPS];
	char log[256];
	unsigned int logged;
	unsigned int refuse;
	bool mute;
	const char *wrong;
	void (*killing)(struct tce_fake *t);
	void (*watch)(struct tce_fake *t, enum tce_fake_op op,
		      unsigned long entry, unsigned long npages);
};

int tce_fake_init(struct tce_fake *t, struct kunit *test, unsigned long size,
		  unsigned long offset, unsigned int shift);
void tce_fake_end(struct tce_fake *t);
unsigned long tce_fake_range(struct tce_fake *t, enum tce_fake_op op,
			     unsigned long entry, unsigned long npages,
			     int *ret);
unsigned long tce_fake_check_blocks(struct tce_fake *t);

static inline struct tce_fake *tce_fake_of(struct iommu_table *tbl)
{
	return container_of(tbl, struct tce_fake, tbl);
}

static inline void tce_fake_wrong(struct tce_fake *t, bool is, const char *what)
{
	if (is && !t->wrong)
		t->wrong = what;
}

/* Does what a test has planned for the next kill. */
static inline void tce_fake_killing(struct tce_fake *t)
{
	void (*hook)(struct tce_fake *t) = t->killing;

	if (hook) {
		t->killing = NULL;
		hook(t);
	}
}

static inline void tce_fake_log_reset(struct tce_fake *t)
{
	memset(t->calls, 0, sizeof(t->calls));
	memset(t->log, 0, sizeof(t->log));
	t->logged = 0;
}

/* Resets the log, and refuses @nr calls of @op from the @at-th on. */
static inline void tce_fake_refuse(struct tce_fake *t, enum tce_fake_op op,
				   unsigned int at, unsigned int nr,
				   unsigned long part)
{
	tce_fake_log_reset(t);
	t->calls[op].refuse_at = at;
	t->calls[op].refuse_nr = nr;
	t->calls[op].part = part;
}

/* Place of an entry, counted from bus address 0. */
static inline __be64 *tce_fake_entry(struct tce_fake *t, unsigned long entry)
{
	return &t->tces[(entry - t->tbl.it_offset) % t->nr_entries];
}

/* TCE of the @i-th entry. */
static inline u64 tce_fake_tce(struct tce_fake *t, unsigned long i)
{
	return be64_to_cpu(*tce_fake_entry(t, t->tbl.it_offset + i));
}

/*
 * Its place in the view. Takes no lock: the caller holds it or has exclusive
 * access.
 */
static inline u64 tce_fake_view(struct tce_fake *t, unsigned long i)
{
	struct tce_view_block *blk = tce_view_find(t->tbl.it_view,
						   i / TCE_VIEW_ENTRIES);

	return blk ? blk->entry[i % TCE_VIEW_ENTRIES] : 0;
}

/* Number of entries of a table that map pages of a region. */
static inline long iommu_tce_kunit_mapped(const struct iommu_table *tbl,
					  const struct mm_iommu_region *region)
{
	u64 cookie = mm_iommu_cookie(region, region->trans.ua, false);
	struct iommu_tce_view *view = tbl->it_view;
	struct tce_view_block *blk;
	unsigned long b, i;
	long n = 0;

	for (b = tce_view_next(view, 0); b < view->blocks;
	     b = tce_view_next(view, b + 1)) {
		blk = tce_view_find(view, b);
		for (i = 0; blk && i < TCE_VIEW_ENTRIES; i++)
			n += !((blk->entry[i] ^ cookie) & MM_IOMMU_COOKIE_ID);
	}
	return n;
}

#endif /* _POWERPC_KERNEL_IOMMU_TCE_KUNIT_H */
