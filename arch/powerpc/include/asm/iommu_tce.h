/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TCE core: the one place where a TCE, the userspace view of its table and the
 * count of what is mapped change together. See kernel/iommu_tce.c.
 */
#ifndef _ASM_POWERPC_IOMMU_TCE_H
#define _ASM_POWERPC_IOMMU_TCE_H

#include <linux/dma-direction.h>
#include <linux/types.h>

struct iommu_table;
struct mm_struct;

/**
 * struct iommu_tce_backing - where the memory behind TCEs comes from
 * @get: translates as much of a range of user memory as is contiguous and
 *	takes what keeps it in place. Returns the number of IOMMU pages, at
 *	least 1, or -errno.
 * @put: gives it back, when no device can reach it any more.
 *
 * @ua is a user address and @size a number of bytes, both multiples of the
 * IOMMU page, whose log2 is @shift; @write tells whether a device may write.
 *
 * Context: Process context, may sleep. @put may run in any process, also when
 * the user address space is gone.
 */
struct iommu_tce_backing {
	long (*get)(struct mm_struct *mm, unsigned long ua, unsigned long size,
		    unsigned int shift, bool write, unsigned long *hpa);
	void (*put)(struct mm_struct *mm, unsigned long ua, unsigned long hpa,
		    bool write);
};

extern const struct iommu_tce_backing iommu_tce_registered;

int iommu_tce_map(struct iommu_table *tbl,
		  const struct iommu_tce_backing *backing,
		  struct mm_struct *mm, unsigned long entry, unsigned long ua,
		  unsigned long npages, enum dma_data_direction dir);
int iommu_tce_unmap(struct iommu_table *tbl,
		    const struct iommu_tce_backing *backing,
		    struct mm_struct *mm, unsigned long entry,
		    unsigned long npages);

#endif /* _ASM_POWERPC_IOMMU_TCE_H */
