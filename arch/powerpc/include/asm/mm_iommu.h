/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory of a process that is registered for DMA: pinned once, counted once,
 * with its host physical addresses at hand. See mmu_context_iommu.c.
 */
#ifndef _ASM_POWERPC_MM_IOMMU_H
#define _ASM_POWERPC_MM_IOMMU_H

#include <linux/types.h>

struct mm_struct;
struct mm_iommu;
struct mm_iommu_region;
struct mm_iommu_slot;

/**
 * enum mm_iommu_cause - why memory could not be registered
 * @MM_IOMMU_NO_CAUSE: it never failed
 * @MM_IOMMU_UNALIGNED: not whole pages, nothing, or more than there is
 * @MM_IOMMU_OVERLAP: a part of it is registered
 * @MM_IOMMU_LIMIT: more than RLIMIT_MEMLOCK allows
 * @MM_IOMMU_UNPINNABLE: not mapped, or memory that cannot be pinned
 * @MM_IOMMU_NO_MEMORY: the kernel needs memory that it has not
 * @MM_IOMMU_KILLED: the process was killed meanwhile
 * @MM_IOMMU_OTHER: pinning failed with another error
 */
enum mm_iommu_cause {
	MM_IOMMU_NO_CAUSE,
	MM_IOMMU_UNALIGNED,
	MM_IOMMU_OVERLAP,
	MM_IOMMU_LIMIT,
	MM_IOMMU_UNPINNABLE,
	MM_IOMMU_NO_MEMORY,
	MM_IOMMU_KILLED,
	MM_IOMMU_OTHER,
};

/**
 * struct mm_iommu_refusal - a registration that failed, and why
 * @cause: why
 * @ua: user address that it asked for
 * @size: its bytes
 * @at: LIMIT: bytes of the limit that are left; OVERLAP: user address of the
 *	region in the way; else the first user address that is not pinned
 * @in_the_way: OVERLAP: bytes of that region
 */
struct mm_iommu_refusal {
	enum mm_iommu_cause cause;
	unsigned long ua;
	unsigned long size;
	unsigned long at;
	unsigned long in_the_way;
};

/**
 * struct mm_iommu_held - memory that is kept in place for IOMMU pages
 * @mem: what the pages are part of: a struct mm_iommu_region
 * @cookie: says in one number which page of @mem the first one is. It is not 0,
 *	bit 11 is free, and the cookies of the pages that follow are as much
 *	larger as their addresses.
 * @hpa: host physical address of the first page
 */
struct mm_iommu_held {
	void *mem;
	u64 cookie;
	u64 hpa;
};

/**
 * struct mm_iommu_section - where regions stay as they are, see
 *	mm/mm_iommu_atomic.c
 * @reg: the registry
 * @slot: what is held of its lock
 */
struct mm_iommu_section {
	struct mm_iommu *reg;
	struct mm_iommu_slot *slot;
};

/**
 * struct mm_iommu_info - a region, for people
 * @state: live; refused, after a refused mm_iommu_unregister(); orphan, when
 *	only its last TCE is waited for
 * @used: containers that registered it
 * @mapped: IOMMU pages that are mapped
 * @readonly: some of it was mapped for reading only when it was pinned
 * @granule: size of its smallest block: contiguous, aligned memory
 * @bytes: memory that the kernel keeps for it
 */
struct mm_iommu_info {
	const char *state;
	unsigned int used;
	unsigned long mapped;
	bool readonly;
	unsigned long granule;
	size_t bytes;
};

#ifdef CONFIG_SPAPR_TCE_IOMMU

void mm_iommu_destroy(struct mm_struct *mm);

int mm_iommu_register(struct mm_struct *mm, unsigned long ua,
		      unsigned long size, struct mm_iommu_region **regionp,
		      struct mm_iommu_refusal *refusal);
int mm_iommu_unregister(struct mm_iommu_region *region);
void mm_iommu_release(struct mm_iommu_region *region);
bool mm_iommu_is_current(struct mm_iommu_region *region);
unsigned long mm_iommu_start(const struct mm_iommu_region *region);
unsigned long mm_iommu_size(const struct mm_iommu_region *region);
void mm_iommu_get_info(struct mm_iommu_region *region,
		       struct mm_iommu_info *info);
unsigned long mm_iommu_limit_left(const struct mm_struct *mm);

int mm_iommu_unregistered_start(struct mm_struct *mm);
void mm_iommu_unregistered_end(struct mm_struct *mm);
bool mm_iommu_is_unregistered(struct mm_struct *mm);

int mm_iommu_enter(struct mm_struct *mm, struct mm_iommu_section *section);
int mm_iommu_enter_rm(struct mm_struct *mm, struct mm_iommu_section *section);
void mm_iommu_exit(struct mm_iommu_section *section);
int mm_iommu_section_hold(struct mm_iommu_section *section, unsigned long ua,
			  unsigned long npages, unsigned int shift, u64 bits,
			  bool write, u64 *cookie, __be64 *out);
int mm_iommu_section_hold_one(struct mm_iommu_section *section,
			      unsigned long ua, unsigned int shift, bool write,
			      struct mm_iommu_held *held);
struct mm_iommu_region *
mm_iommu_section_find(struct mm_iommu_section *section, u64 cookie,
		      unsigned long *start, unsigned long *size);
void mm_iommu_section_drop(struct mm_iommu_region *region,
			   unsigned long npages);

long mm_iommu_hold(struct mm_struct *mm, unsigned long ua, unsigned long npages,
		   unsigned int shift, bool write, struct mm_iommu_held *held);
void mm_iommu_translate(struct mm_iommu_region *region, unsigned long ua,
			unsigned long npages, unsigned int shift, u64 bits,
			bool write, __be64 *out);
u64 mm_iommu_cookie(struct mm_iommu_region *region, unsigned long ua);
struct mm_iommu_region *mm_iommu_find(struct mm_struct *mm, u64 cookie);
void mm_iommu_drop(struct mm_iommu_region *region, unsigned long npages);
int mm_iommu_drop_page(struct mm_struct *mm, u64 cookie);

#else

static inline void mm_iommu_destroy(struct mm_struct *mm) { }

#endif /* CONFIG_SPAPR_TCE_IOMMU */

#endif /* _ASM_POWERPC_MM_IOMMU_H */
