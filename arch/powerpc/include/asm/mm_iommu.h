/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory of a process that is registered for DMA: pinned and accounted once,
 * with its host physical addresses at hand. See mmu_context_iommu.c.
 */
#ifndef _ASM_POWERPC_MM_IOMMU_H
#define _ASM_POWERPC_MM_IOMMU_H

#include <linux/bits.h>
#include <linux/types.h>

struct mm_struct;
struct mm_iommu;
struct mm_iommu_region;
struct mm_iommu_slot;

/**
 * struct mm_iommu_refusal - cause of a refused call, for diagnostics
 * @words: the reason; NULL if only the error is known. Words that end with "0x"
 *	are followed by @at as an address, words that end with a blank by @at as
 *	a number
 * @at: address or number
 */
struct mm_iommu_refusal {
	const char *words;
	u64 at;
};

/* Records why a call is refused, and returns its error. */
static inline int mm_iommu_refuse(struct mm_iommu_refusal *why, int error,
				  u64 at, const char *words)
{
	*why = (struct mm_iommu_refusal){ .words = words, .at = at };
	return error;
}

/*
 * A cookie stands for a mapped IOMMU page. It is kept beside the TCE in the
 * view of the table, and has the id of a region; the page in that region,
 * counted in 4K; and whether a device may write there. No region has the id 0,
 * so 0 means not mapped.
 *
 * The field has at least as many numbers as an address space has pages.
 */
#define MM_IOMMU_COOKIE_WRITE	BIT_ULL(0)
#define MM_IOMMU_COOKIE_PAGE	GENMASK_ULL(40, 1)
#define MM_IOMMU_COOKIE_ID	GENMASK_ULL(63, 41)

/* Difference of the cookies of addresses @bytes apart, a multiple of 4K. */
static inline u64 mm_iommu_cookie_step(u64 bytes)
{
	return bytes >> 11;
}

/**
 * struct mm_iommu_held - memory that is kept in place for IOMMU pages
 * @cookie: of the first page; that of each following page is larger by
 *	mm_iommu_cookie_step() of the IOMMU page size
 * @hpa: host physical address of the first page, if the memory is registered
 * @bad: if nothing could be held: user address of the first page that prevents
 *	it
 */
struct mm_iommu_held {
	u64 cookie;
	union {
		u64 hpa;
		u64 bad;
	};
};

/**
 * struct mm_iommu_section - read-side section in which regions do not change,
 *	see mm/mm_iommu_hold.c
 * @reg: the registry
 * @slot: the slot of its lock that is held
 * @reap: mm_iommu_reap() must be called when the section has ended
 */
struct mm_iommu_section {
	struct mm_iommu *reg;
	struct mm_iommu_slot *slot;
	bool reap;
};

/**
 * struct mm_iommu_run - consecutive IOMMU pages of user memory
 * @ua: user address
 * @npages: IOMMU pages, 1 to 512
 * @shift: log2 of the IOMMU page size
 * @write: whether a device may write there
 * @bits: added to each address
 * @out: where to store @npages host physical addresses, in the format of the
 *	bridge
 * @cookie: cookie of the first page, stored; see struct mm_iommu_held
 */
struct mm_iommu_run {
	unsigned long ua;
	unsigned long npages;
	unsigned int shift;
	bool write;
	u64 bits;
	__be64 *out;
	u64 cookie;
};

/**
 * struct mm_iommu_info - state of a region, for diagnostics
 * @state: live; refused, after a refused mm_iommu_unregister(); orphan, if it
 *	was replaced, and is kept by nothing but TCEs; dead, without these
 * @used: containers that registered it
 * @mapped: references of TCE tables: one for each view block that has it as
 *	home, and one for each entry that is not counted there
 * @readonly: some of it was mapped read-only when it was pinned
 * @granule: size of its smallest block: contiguous, aligned memory
 * @bytes: kernel memory used for it
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
unsigned long mm_iommu_size(const struct mm_iommu_region *region);
void mm_iommu_get_info(struct mm_iommu_region *region,
		       struct mm_iommu_info *info);
unsigned long mm_iommu_limit_left(const struct mm_struct *mm);

int mm_iommu_unregistered_start(struct mm_struct *mm);
void mm_iommu_unregistered_end(struct mm_struct *mm);
bool mm_iommu_is_unregistered(struct mm_struct *mm);

int mm_iommu_section_enter(struct mm_struct *mm,
			   struct mm_iommu_section *section);
void mm_iommu_section_exit(struct mm_iommu_section *section);
int mm_iommu_section_find(struct mm_iommu_section *section,
			  struct mm_iommu_run *run);
bool mm_iommu_section_get(struct mm_iommu_section *section, u64 cookie,
			  unsigned long n);
int mm_iommu_section_hold_one(struct mm_iommu_section *section,
			      unsigned long ua, unsigned int shift, bool write,
			      u64 home, struct mm_iommu_held *held);
void mm_iommu_section_drop(struct mm_iommu_section *section, u64 cookie,
			   unsigned long npages);

long mm_iommu_hold(struct mm_struct *mm, unsigned long ua, unsigned long npages,
		   unsigned int shift, bool write, struct mm_iommu_held *held);
int mm_iommu_translate(struct mm_struct *mm, u64 cookie, unsigned long npages,
		       unsigned int shift, u64 bits, __be64 *out);
void mm_iommu_count(struct mm_struct *mm, u64 cookie, long more);
int mm_iommu_drop(struct mm_struct *mm, u64 cookie, unsigned long npages);

int mm_iommu_hold_page(struct mm_struct *mm, unsigned long ua,
		       unsigned int shift, bool write, u64 home,
		       struct mm_iommu_held *held);
bool mm_iommu_drop_page(struct mm_struct *mm, u64 cookie);
void mm_iommu_reap(struct mm_struct *mm);

#else

static inline void mm_iommu_destroy(struct mm_struct *mm) { }

#endif /* CONFIG_SPAPR_TCE_IOMMU */

#endif /* _ASM_POWERPC_MM_IOMMU_H */
