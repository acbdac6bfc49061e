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
 * struct mm_iommu_refusal - why a call was refused, for people
 * @words: the reason; NULL where nothing is known but the error. Words that end
 *	with "0x" go on with @at as an address, those that end with a blank with @at
 *	as a number
 * @at: address or number
 */
struct mm_iommu_refusal {
	const char *words;
	u64 at;
};

/* Remembers why a call is refused, and returns its error. */
static inline int mm_iommu_refuse(struct mm_iommu_refusal *why, int error,
				  u64 at, const char *words)
{
	*why = (struct mm_iommu_refusal){ .words = words, .at = at };
	return error;
}

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
		      struct mm_iommu_refusal *why);
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

#else

static inline void mm_iommu_destroy(struct mm_struct *mm) { }

#endif /* CONFIG_SPAPR_TCE_IOMMU */

#endif /* _ASM_POWERPC_MM_IOMMU_H */
