/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TCE core: the one place where a TCE, the userspace view of its table and the
 * count of what is mapped change together. See kernel/iommu_tce.c.
 */
#ifndef _ASM_POWERPC_IOMMU_TCE_H
#define _ASM_POWERPC_IOMMU_TCE_H

#include <linux/types.h>

struct iommu_table;
struct mm_iommu_held;
struct mm_struct;
struct tce_map;

/**
 * struct iommu_tce_backing - where the memory behind TCEs comes from
 * @hold: finds memory for IOMMU pages from @ua on and takes one reference for
 *	each; all of them can be mapped. Returns how many, 1 to @npages, or
 *	-errno with nothing held.
 * @translate: gives the host addresses of pages of held memory, with @bits
 *	added, as bridges read them
 * @find: the reverse of @hold, for a page that is mapped: @base and @size are
 *	the cookie of the first page of what it returns and the bytes in it
 * @drop: gives references back, when no device can reach the pages any more
 *
 * @ua is a user address, a multiple of the IOMMU page, whose log2 is @shift;
 * @write tells whether a device may write there.
 *
 * Context: @hold and @drop: process context, may sleep; the latter in any process,
 * also when the user address space is gone. The others: any but NMI.
 */
struct iommu_tce_backing {
	long (*hold)(struct mm_struct *mm, unsigned long ua,
		     unsigned long npages, unsigned int shift, bool write,
		     struct mm_iommu_held *held);
	void (*translate)(void *mem, unsigned long ua, unsigned long npages,
			  unsigned int shift, u64 bits, bool write,
			  __be64 *tces);
	void *(*find)(struct mm_struct *mm, u64 cookie, u64 *base,
		      unsigned long *size);
	void (*drop)(void *mem, unsigned long npages, bool write);
};

/**
 * struct iommu_tce_want - what consecutive entries are to be mapped to
 * @ua: user address of the first page; those that follow are contiguous
 * @npages: number of pages
 * @write: whether the device may write, and not only read
 * @clear: to nothing at all
 */
struct iommu_tce_want {
	unsigned long ua;
	unsigned long npages;
	bool write;
	bool clear;
};

extern const struct iommu_tce_backing iommu_tce_registered;

int iommu_tce_map(struct iommu_table *tbl, unsigned long entry,
		  unsigned long ua, unsigned long npages, bool write);
struct tce_map *iommu_tce_begin(struct iommu_table *tbl, unsigned long entry,
				const struct iommu_tce_want *wants,
				unsigned int nr, unsigned int order);
int iommu_tce_commit(struct tce_map *map);
void iommu_tce_abort(struct tce_map *map);
int iommu_tce_unmap(struct iommu_table *tbl, unsigned long entry,
		    unsigned long npages);

#endif /* _ASM_POWERPC_IOMMU_TCE_H */
