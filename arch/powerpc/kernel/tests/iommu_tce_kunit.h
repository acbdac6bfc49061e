/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common to the KUnit suites of the TCE core.
 */
#ifndef _POWERPC_KERNEL_IOMMU_TCE_KUNIT_H
#define _POWERPC_KERNEL_IOMMU_TCE_KUNIT_H

#include <asm/iommu.h>

#include "../../mm/tests/mm_iommu_kunit.h"
#include "../iommu_tce_view.h"

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
