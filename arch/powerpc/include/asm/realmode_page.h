/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_POWERPC_REALMODE_PAGE_H
#define _ASM_POWERPC_REALMODE_PAGE_H

struct page;

struct page *realmode_pfn_to_page(unsigned long pfn);

#endif /* _ASM_POWERPC_REALMODE_PAGE_H */
