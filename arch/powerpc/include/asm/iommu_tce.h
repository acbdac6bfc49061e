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
 * @translate: gives the host addresses of pages that are held, from that of
 *	@cookie on, with @bits added, as bridges read them
 * @count: changes the number of references on the memory that @cookie is of, at
 *	least one of which is left; NULL where each page is kept by itself
 * @drop: gives references back, when no device can reach the pages any more;
 *	@cookie is that of any of them. -ENOENT where it is not held
 * @alike: bits of a cookie in which pages are equal that one call of @drop takes
 *
 * @ua is a user address, a multiple of the IOMMU page, whose log2 is @shift;
 * @write tells whether a device may write there. Cookies are those of
 * asm/mm_iommu.h.
 *
 * Context: @hold and @drop: process context, may sleep; the latter in any
 * process, also when the user address space is gone. @translate and @count: any but
 * NMI, with the MMU on.
 */
struct iommu_tce_backing {
	long (*hold)(struct mm_struct *mm, unsigned long ua,
		     unsigned long npages, unsigned int shift, bool write,
		     struct mm_iommu_held *held);
	int (*translate)(struct mm_struct *mm, u64 cookie, unsigned long npages,
			 unsigned int shift, u64 bits, __be64 *tces);
	void (*count)(struct mm_struct *mm, u64 cookie, long more);
	int (*drop)(struct mm_struct *mm, u64 cookie, unsigned long npages);
	u64 alike;
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
		  unsigned long ua, unsigned long npages, bool write,
		  unsigned long *bad);
size_t iommu_tce_map_bytes(const struct iommu_table *tbl, unsigned long npages);
struct tce_map *iommu_tce_begin(struct iommu_table *tbl, unsigned long entry,
				const struct iommu_tce_want *wants,
				unsigned int nr, unsigned int order);
int iommu_tce_commit(struct tce_map *map);
void iommu_tce_abort(struct tce_map *map);
int iommu_tce_unmap(struct iommu_table *tbl, unsigned long entry,
		    unsigned long npages);

#endif /* _ASM_POWERPC_IOMMU_TCE_H */
