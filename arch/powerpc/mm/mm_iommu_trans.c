// SPDX-License-Identifier: GPL-2.0
/*
 * Translation of one region of DMA memory: user address to host physical
 * address, with the MMU on or off. mm_iommu.h describes the table.
 */
#include "mm_iommu.h"

static unsigned long trans_granule(const struct mm_iommu_trans *trans,
				   unsigned long ua)
{
	return (ua >> MM_IOMMU_GRANULE_SHIFT) -
	       (trans->ua >> MM_IOMMU_GRANULE_SHIFT);
}

static unsigned long trans_end(const struct mm_iommu_trans *trans)
{
	return trans->ua + (trans->npages << PAGE_SHIFT);
}

/* First address of the region in the granule of @ua: entry 0 of a leaf. */
static unsigned long trans_leaf_start(const struct mm_iommu_trans *trans,
				      unsigned long ua)
{
	return max(ALIGN_DOWN(ua, MM_IOMMU_GRANULE_SIZE), trans->ua);
}

/* Bytes of the region in the granule of @ua, from its start in it. */
static unsigned long trans_leaf_size(const struct mm_iommu_trans *trans,
				     unsigned long ua)
{
	unsigned long start = trans_leaf_start(trans, ua);
	unsigned long granule = ALIGN_DOWN(ua, MM_IOMMU_GRANULE_SIZE);

	return min(MM_IOMMU_GRANULE_SIZE - (start - granule),
		   trans_end(trans) - start);
}

static u64 *trans_leaf(u64 entry)
{
	return (u64 *)(unsigned long)(entry & ~(u64)MM_IOMMU_FLAGS);
}

static unsigned long trans_granules(const struct mm_iommu_trans *trans)
{
	return trans_granule(trans, trans_end(trans) - 1) + 1;
}

/**
 * mm_iommu_trans_init() - set up an empty translation
 * @trans: the translation
 * @ua: first user address, a multiple of PAGE_SIZE
 * @npages: pages of PAGE_SIZE, more than 0
 *
 * Context: Process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int mm_iommu_trans_init(struct mm_iommu_trans *trans, unsigned long ua,
			unsigned long npages)
{
	trans->ua = ua;
	trans->npages = npages;
	/* user space chooses the size: too much is an answer, not a warning */
	trans->granules = kcalloc(trans_granules(trans),
				  sizeof(*trans->granules),
				  GFP_KERNEL_ACCOUNT | __GFP_NOWARN |
				  __GFP_RETRY_MAYFAIL);
	return trans->granules ? 0 : -ENOMEM;
}

/**
 * mm_iommu_trans_free() - free the memory of a translation
 * @trans: the translation; mm_iommu_trans_init() may have failed
 *
 * Context: Process context, may sleep.
 */
void mm_iommu_trans_free(struct mm_iommu_trans *trans)
{
	unsigned long i, n;

	if (!trans->granules)
		return;

	n = trans_granules(trans);
	for (i = 0; i < n; i++) {
		if (trans->granules[i] & MM_IOMMU_LEAF)
			kfree(trans_leaf(trans->granules[i]));
		if (!(i % 1024))
			cond_resched();
	}
	kfree(trans->granules);
	trans->granules = NULL;
}

/* Replaces the entry of a granule, contiguous so far up to @ua, by a leaf. */
static u64 *trans_break(struct mm_iommu_trans *trans, unsigned long ua)
{
	u64 *granule = &trans->granules[trans_granule(trans, ua)];
	unsigned long addr = trans_leaf_start(trans, ua);
	unsigned long n = trans_leaf_size(trans, ua) >> PAGE_SHIFT;
	u64 *leaf, base = *granule & ~(u64)MM_IOMMU_FLAGS;
	unsigned long i;

	leaf = kcalloc(n, sizeof(*leaf), GFP_KERNEL_ACCOUNT);
	if (!leaf)
		return NULL;

	for (i = 0; *granule && addr < ua; i++, addr += PAGE_SIZE)
		leaf[i] = (base + (addr & (MM_IOMMU_GRANULE_SIZE - 1))) |
			  MM_IOMMU_VALID;
	*granule = (unsigned long)leaf | MM_IOMMU_LEAF | MM_IOMMU_VALID;
	return leaf;
}

/**
 * mm_iommu_trans_set() - enter the host address of the next page
 * @trans: the translation, not yet visible to readers
 * @pgoff: the page, counted from the start of the region; all before it have
 *	been set
 * @hpa: its host physical address
 *
 * Context: Process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int mm_iommu_trans_set(struct mm_iommu_trans *trans, unsigned long pgoff,
		       unsigned long hpa)
{
	unsigned long ua = trans->ua + (pgoff << PAGE_SHIFT);
	unsigned long offset = ua & (MM_IOMMU_GRANULE_SIZE - 1);
	u64 *granule = &trans->granules[trans_granule(trans, ua)];
	bool aligned = offset == (hpa & (MM_IOMMU_GRANULE_SIZE - 1));
	u64 direct = (hpa - offset) | MM_IOMMU_VALID;
	u64 *leaf;

	if (!*granule && aligned) {
		*granule = direct;
		return 0;
	}
	if (*granule == direct)
		return 0;

	leaf = *granule & MM_IOMMU_LEAF ? trans_leaf(*granule) :
					  trans_break(trans, ua);
	if (!leaf)
		return -ENOMEM;

	leaf[(ua - trans_leaf_start(trans, ua)) >> PAGE_SHIFT] =
		hpa | MM_IOMMU_VALID;
	return 0;
}

/* The entry behind @ua: of its granule, or of its page where that is broken. */
static u64 *trans_lookup(const struct mm_iommu_trans *trans, unsigned long ua,
			 unsigned long *start, unsigned long *end)
{
	u64 *entry = &trans->granules[trans_granule(trans, ua)];

	*start = ALIGN_DOWN(ua, MM_IOMMU_GRANULE_SIZE);
	*end = *start + MM_IOMMU_GRANULE_SIZE;
	if (*entry & MM_IOMMU_LEAF) {
		entry = trans_leaf(*entry) +
			((ua - trans_leaf_start(trans, ua)) >> PAGE_SHIFT);
		*start = ua & PAGE_MASK;
		*end = *start + PAGE_SIZE;
	}
	*end = min(*end, trans_end(trans));
	return entry;
}

/**
 * mm_iommu_trans_entry() - what one entry of the table says about an address
 * @trans: the translation
 * @ua: user address inside the region
 * @hpa: where to store its host physical address
 * @dirty: where to store whether a device may have written there, or NULL
 *
 * Context: Any, MMU on or off.
 * Return: bytes from @ua on that this entry translates contiguously.
 */
unsigned long mm_iommu_trans_entry(const struct mm_iommu_trans *trans,
				   unsigned long ua, unsigned long *hpa,
				   bool *dirty)
{
	unsigned long start, end;
	u64 entry = READ_ONCE(*trans_lookup(trans, ua, &start, &end));

	*hpa = (entry & ~(u64)MM_IOMMU_FLAGS) + (ua - start);
	if (dirty)
		*dirty = entry & MM_IOMMU_DIRTY;
	return end - ua;
}

/**
 * mm_iommu_trans_run() - translate as much of a range as is contiguous
 * @trans: the translation
 * @ua: user address inside the region
 * @size: bytes wanted, inside the region
 * @hpa: where to store the host physical address of @ua
 *
 * Takes a step for each entry in the run: the caller bounds @size.
 *
 * Context: Any, MMU on or off.
 * Return: length of the run in bytes, 1 to @size.
 */
unsigned long mm_iommu_trans_run(const struct mm_iommu_trans *trans,
				 unsigned long ua, unsigned long size,
				 unsigned long *hpa)
{
	unsigned long len = mm_iommu_trans_entry(trans, ua, hpa, NULL);
	unsigned long next;

	while (len < size) {
		unsigned long bytes = mm_iommu_trans_entry(trans, ua + len,
							   &next, NULL);

		if (next != *hpa + len)
			break;
		len += bytes;
	}
	return min(len, size);
}

/**
 * mm_iommu_trans_mark_dirty() - note that a device may write to a range
 * @trans: the translation
 * @ua: user address inside the region
 * @size: bytes, inside the region
 *
 * The pages are marked when they are unpinned: the mark can be set where
 * struct page cannot be reached.
 *
 * Context: Any, MMU on or off.
 */
void mm_iommu_trans_mark_dirty(struct mm_iommu_trans *trans, unsigned long ua,
			       unsigned long size)
{
	unsigned long last = ua + size - 1;
	unsigned long start, end;
	u64 *entry;

	for (; ua <= last; ua = end) {
		entry = trans_lookup(trans, ua, &start, &end);
		/* all that ever changes: concurrent writers store the same */
		if (!(READ_ONCE(*entry) & MM_IOMMU_DIRTY))
			WRITE_ONCE(*entry, *entry | MM_IOMMU_DIRTY);
	}
}
