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
 * @hold: finds memory for IOMMU pages from @ua on and takes one reference for
 *	each; all of them can be mapped. Returns how many, 1 to @npages, with
 *	@mem set to what they are part of, or -errno with nothing held.
 * @translate: gives the host addresses of pages of held memory
 * @cookie: says in one number which page of @mem @ua is. Never 0, bit 11 is
 *	free, and the cookies of the pages that follow differ in the address.
 * @find: the reverse, for a page that is mapped: @base and @size are the
 *	cookie of the first page of @mem and the bytes in it
 * @drop: gives references back, when no device can reach the pages any more
 *
 * @ua is a user address, a multiple of the IOMMU page, whose log2 is @shift;
 * @write tells whether a device may write there.
 *
 * Context: @hold and @drop: process context, may sleep; @drop in any process,
 * also when the user address space is gone. The others: any but NMI.
 */
struct iommu_tce_backing {
	long (*hold)(struct mm_struct *mm, unsigned long ua,
		     unsigned long npages, unsigned int shift, bool write,
		     void **mem);
	void (*translate)(void *mem, unsigned long ua, unsigned long npages,
			  unsigned int shift, bool write, u64 *hpa);
	u64 (*cookie)(void *mem, unsigned long ua);
	void *(*find)(struct mm_struct *mm, u64 cookie, u64 *base,
		      unsigned long *size);
	void (*drop)(void *mem, unsigned long npages, bool write);
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
