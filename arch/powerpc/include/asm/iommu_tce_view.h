/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Userspace view of a TCE table: what is behind each of its entries. See
 * kernel/iommu_tce_view.c.
 */
#ifndef _ASM_POWERPC_IOMMU_TCE_VIEW_H
#define _ASM_POWERPC_IOMMU_TCE_VIEW_H

#include <linux/types.h>

struct iommu_table;
struct iommu_tce_backing;
struct mm_struct;

#ifdef CONFIG_SPAPR_TCE_IOMMU

int iommu_tce_view_create(struct iommu_table *tbl);
void iommu_tce_view_destroy(struct iommu_table *tbl);
unsigned long iommu_tce_view_mapped(struct iommu_table *tbl);
void iommu_tce_tell(struct mm_struct *mm,
		    const struct iommu_tce_backing *backing);
int iommu_tce_view_walk(struct iommu_table *tbl,
			int (*fn)(struct iommu_table *tbl, unsigned long index,
				  unsigned long npages, void *arg), void *arg);
void iommu_tce_bind(struct iommu_table *tbl,
		    const struct iommu_tce_backing *backing,
		    struct mm_struct *mm, unsigned long locked);
bool iommu_tce_is_owner(struct iommu_table *tbl, const struct mm_struct *mm);
void iommu_tce_close(struct iommu_table *tbl, bool close);
void iommu_tce_view_sync(struct iommu_table *tbl);
bool iommu_tce_is_closed(struct iommu_table *tbl);

#else

static inline int iommu_tce_view_create(struct iommu_table *tbl)
{
	return 0;
}

static inline void iommu_tce_view_destroy(struct iommu_table *tbl) { }
static inline void iommu_tce_view_sync(struct iommu_table *tbl) { }

static inline int
iommu_tce_view_walk(struct iommu_table *tbl,
		    int (*fn)(struct iommu_table *tbl, unsigned long index,
			      unsigned long npages, void *arg), void *arg)
{
	return 0;
}

#endif /* CONFIG_SPAPR_TCE_IOMMU */

#endif /* _ASM_POWERPC_IOMMU_TCE_VIEW_H */
