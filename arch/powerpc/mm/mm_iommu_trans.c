// SPDX-License-Identifier: GPL-2.0
/*
 * Translation of one region of DMA memory, from user address to host physical
 * address: how it is built and freed. Its readers, in virtual and real mode,
 * are in mm_iommu.h and mm_iommu_hold.c.
 *
 * DOC: translation table
 *
 *	root		  2M each	    a page each
 *	+----------+	  +----------+	    +----------+
 *	| node   --|----> | block    |	    | block    |
 *	+----------+	  | node   --|----> | block    |
 *
 * A radix table, like a page table. A block is contiguous memory, aligned to
 * its size in user and in host addresses. Its entry is at the highest level
 * where it fills an entry; if it fills several, each of them has the first host
 * address and the order of the block: one entry is enough to know the host
 * address, and the IOMMU pages that can be there. A block may extend beyond the
 * ends of its region, where it is never accessed: memory that is contiguous
 * from end to end is one block, the root.
 *
 * A node is no larger than a page, and has entries only for the part in its
 * region. At most two loads translate an address of a region of 16 GiB, three
 * loads one of 128 TiB; with pages of 4K these are 1 and 512 GiB, and four
 * loads are enough for 256 TiB.
 *
 * While memory is pinned, front to back, contiguous pages are collected into a
 * run; it is entered, as blocks, when it ends.
 */
#include "mm_iommu.h"

#define TRANS_MAX_END		BIT(63)	/* of a region, to prevent overflow */
#define TRANS_MAX_ORDER		54	/* of a block: all host addresses */

static unsigned long trans_last(const struct mm_iommu_trans *trans)
{
	return trans->ua + (trans->npages << PAGE_SHIFT) - 1;
}

static unsigned long trans_pieces(unsigned long first, unsigned long last,
				  unsigned int shift)
{
	return (last >> shift) - (first >> shift) + 1;
}

/*
 * Allocates a node for the part of the region in an empty entry of 2^@above
 * bytes.
 */
static int trans_grow(struct mm_iommu_trans *trans, u64 *entry,
		      unsigned long ua, unsigned int above)
{
	unsigned long first = max(ua & ~(BIT(above) - 1), trans->ua);
	unsigned long last = min(ua | (BIT(above) - 1), trans_last(trans));
	unsigned int shift = PAGE_SHIFT, bits = 21 - PAGE_SHIFT;
	u64 *node;

	/* the smallest entries of which all fit into a node */
	while (trans_pieces(first, last, shift) > BIT(bits)) {
		shift += bits;
		bits = PAGE_SHIFT - ilog2(sizeof(u64));
	}
	node = kcalloc(trans_pieces(first, last, shift), sizeof(u64),
		       GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL);
	if (!node)
		return -ENOMEM;

	trans->bytes += ksize(node);
	/* address of the entry of user address 0 */
	*entry = (__pa(node) - (first >> shift) * sizeof(u64)) & MM_IOMMU_ADDR;
	*entry |= FIELD_PREP(MM_IOMMU_ORDER, shift) | MM_IOMMU_NODE;
	return 0;
}

/* Enters the part of a block that is in the region: [ua, last]. */
static int trans_enter(struct mm_iommu_trans *trans, unsigned long ua,
		       unsigned long last, u64 block)
{
	unsigned int shift = fls64(trans->ua ^ trans_last(trans)), above = 0;
	unsigned long n;
	u64 *entry = &trans->root;

	while (mm_iommu_trans_order(block) < shift) {
		if (!*entry && trans_grow(trans, entry, ua, shift))
			return -ENOMEM;
		above = shift;
		shift = mm_iommu_trans_order(*entry);
		entry = mm_iommu_trans_below(*entry, ua);
	}
	for (n = trans_pieces(ua, last, shift); n; n--)
		*entry++ = block;
	trans->next = entry;
	trans->next_order = shift;
	trans->next_left = -(last + 1) % BIT(above) >> shift;
	return 0;
}

/* Enters a run that has ended, as the largest possible blocks. */
static int trans_close(struct mm_iommu_trans *trans)
{
	unsigned long ua = trans->run_ua, end = mm_iommu_trans_next(trans);
	unsigned long mask, more;
	unsigned int order, blocks = 0;
	u64 at = trans->run_at;

	if (trans->npages > TRANS_MAX_END >> PAGE_SHIFT ||
	    trans->ua > TRANS_MAX_END - (trans->npages << PAGE_SHIFT))
		return -EINVAL;
	if (ua == trans->ua && trans->added) {
		mask = BIT(__ffs((ua ^ at) | BIT(TRANS_MAX_ORDER))) - 1;
		at &= ~mask;
		ua &= ~mask;
	}
	/* the last run may extend beyond the end of the region */
	more = trans->added == trans->npages ? TRANS_MAX_END : 0;
	for (; ua < end; ua += BIT(order), at += BIT(order)) {
		order = min_t(unsigned int, __fls(end - ua + more),
			      __ffs((ua ^ at) | ua | BIT(TRANS_MAX_ORDER)));
		if (ua + BIT(order) <= trans->ua)
			continue;
		trans->order = min(trans->order, order);
		if (trans_enter(trans, max(ua, trans->ua),
				min(ua + BIT(order), end) - 1,
				at | FIELD_PREP(MM_IOMMU_ORDER, order)))
			return -ENOMEM;
		if (!(++blocks % 64))
			cond_resched();
	}
	trans->run_ua = end;
	return 0;
}

/*
 * The same for a run that is just the next entry of the node in use, as most
 * are. Returns whether it is.
 */
static bool trans_close_entry(struct mm_iommu_trans *trans, unsigned long run)
{
	unsigned long left = trans->next_left;
	u8 order = trans->next_order;

	if (!left || run != BIT(order) || trans->run_at & (run - 1))
		return false;
	*trans->next++ = trans->run_at | FIELD_PREP(MM_IOMMU_ORDER, order);
	trans->next_left = left - 1;
	if (order < trans->order)
		trans->order = order;
	trans->run_ua += run;
	return true;
}

/**
 * mm_iommu_trans_init() - set up an empty translation
 * @trans: the translation
 * @ua: first user address, a multiple of PAGE_SIZE
 * @npages: pages of PAGE_SIZE, more than 0
 *
 * Context: Any.
 */
void mm_iommu_trans_init(struct mm_iommu_trans *trans, unsigned long ua,
			 unsigned long npages)
{
	*trans = (struct mm_iommu_trans){
		.ua = ua,
		.npages = npages,
		.run_ua = ua,
		.order = TRANS_MAX_ORDER,
	};
}

/**
 * mm_iommu_trans_add() - add contiguous pages after those that were added
 * @trans: the translation, not yet visible to readers
 * @at: host physical address, with MM_IOMMU_READONLY if it is read-only
 * @npages: pages of PAGE_SIZE, more than 0
 *
 * Context: Process context, may sleep. After an error only
 *	mm_iommu_trans_block() and mm_iommu_trans_free() may follow.
 * Return: 0; -ENOMEM; -EINVAL if these are more pages than are missing, or the
 *	range of @trans ends above 2^63. On error none was added.
 */
int mm_iommu_trans_add(struct mm_iommu_trans *trans, u64 at,
		       unsigned long npages)
{
	unsigned long run = mm_iommu_trans_next(trans) - trans->run_ua;
	int ret;

	if (npages > trans->npages - trans->added)
		return -EINVAL;
	if (at != trans->run_at + run) {
		if (unlikely(!trans_close_entry(trans, run))) {
			ret = trans_close(trans);
			if (ret)
				return ret;
		}
		trans->run_at = at;
	}
	if (at & MM_IOMMU_READONLY)
		trans->readonly = true;
	trans->added += npages;
	return 0;
}

/*
 * Enters single pages, as long as the run is one and they do not follow each
 * other. The last one becomes the run; returns their number.
 */
static unsigned long trans_add_singles(struct mm_iommu_trans *trans,
				       struct page **pages, unsigned long nr,
				       u64 marks)
{
	u64 at, *next = trans->next, run = trans->run_at;
	unsigned long n;

	if (trans->next_order != PAGE_SHIFT ||
	    mm_iommu_trans_next(trans) != trans->run_ua + PAGE_SIZE)
		return 0;

	nr = min(nr, trans->npages - trans->added);
	nr = min(nr, trans->next_left);
	for (n = 0; n < nr; n++, run = at) {
		at = page_to_phys(pages[n]) | marks;
		if (at == run + PAGE_SIZE)
			break;
		*next++ = run | FIELD_PREP(MM_IOMMU_ORDER, PAGE_SHIFT);
	}
	if (n)
		trans->order = PAGE_SHIFT;
	trans->readonly |= !!marks;
	trans->next = next;
	trans->next_left -= n;
	trans->added += n;
	trans->run_ua += n << PAGE_SHIFT;
	trans->run_at = run;
	return n;
}

/**
 * mm_iommu_trans_add_pages() - add pages after those that were added
 * @trans: the translation, not yet visible to readers
 * @pages: the pages
 * @nr: number of pages
 * @marks: MM_IOMMU_READONLY or 0
 *
 * Context: As mm_iommu_trans_add().
 * Return: as mm_iommu_trans_add(), but on error the first pages may have been
 *	added: @trans->added has their number.
 */
int mm_iommu_trans_add_pages(struct mm_iommu_trans *trans, struct page **pages,
			     unsigned long nr, u64 marks)
{
	unsigned long n, pfn;
	int ret;

	for (; nr; nr -= n, pages += n) {
		n = trans_add_singles(trans, pages, nr, marks);
		if (n)
			continue;
		pfn = page_to_pfn(pages[0]);
		do {
			n++;
		} while (n < nr && page_to_pfn(pages[n]) == pfn + n);
		ret = mm_iommu_trans_add(trans, page_to_phys(pages[0]) | marks,
					 n);
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * mm_iommu_trans_finish() - complete a translation
 * @trans: the translation, not yet visible to readers
 *
 * Context: Process context, may sleep.
 * Return: 0; -EFAULT if not all pages were added; -ENOMEM; -EINVAL as for
 *	mm_iommu_trans_add(). On error @trans must not become visible.
 */
int mm_iommu_trans_finish(struct mm_iommu_trans *trans)
{
	return trans->added == trans->npages ? trans_close(trans) : -EFAULT;
}

static void trans_free(const struct mm_iommu_trans *trans, u64 node,
		       unsigned long first, unsigned long last)
{
	u64 *entry = mm_iommu_trans_below(node, first), *start = entry;
	unsigned int shift = mm_iommu_trans_order(node);
	unsigned long ua, end;

	/* nodes below exist for smaller blocks only */
	for (ua = first; trans->order < shift && ua <= last; ua = end + 1) {
		end = min(ua | (BIT(shift) - 1), last);
		if (*entry++ & MM_IOMMU_NODE)
			trans_free(trans, entry[-1], ua, end);
	}
	kfree(start);
	cond_resched();
}

/**
 * mm_iommu_trans_free() - free the memory of a translation
 * @trans: the translation; may be empty, or not complete
 *
 * Context: Process context, may sleep; it has no other users.
 */
void mm_iommu_trans_free(struct mm_iommu_trans *trans)
{
	if (trans->root & MM_IOMMU_NODE)
		trans_free(trans, trans->root, trans->ua, trans_last(trans));
	trans->root = 0;
}

/**
 * mm_iommu_trans_block() - look up the block at an address
 * @trans: the translation; may be incomplete
 * @ua: user address of a page that was added
 * @at: where to store its host physical address, with MM_IOMMU_READONLY if the
 *	block may only be read, and MM_IOMMU_DIRTY if a device may have written
 *	to some of it from @ua on
 *
 * In an incomplete translation the last run is the last block.
 *
 * Context: Process context; no concurrent add or free.
 * Return: bytes from @ua to the end of the block, or of the region.
 */
unsigned long mm_iommu_trans_block(const struct mm_iommu_trans *trans,
				   unsigned long ua, u64 *at)
{
	const u64 *entry = &trans->root;
	unsigned int shift = 63;
	unsigned long end, n;
	u64 block;

	if (ua >= trans->run_ua) {
		*at = trans->run_at + (ua - trans->run_ua);
		return mm_iommu_trans_next(trans) - ua;
	}

	while ((block = READ_ONCE(*entry)) & MM_IOMMU_NODE) {
		shift = mm_iommu_trans_order(block);
		entry = mm_iommu_trans_below(block, ua);
	}
	end = min(mm_iommu_trans_end(block, ua), trans->run_ua);
	for (n = trans_pieces(ua, end - 1, shift); n > 1; n--)
		block |= READ_ONCE(*++entry);
	*at = mm_iommu_trans_hpa(block, ua) |
	      (block & (MM_IOMMU_READONLY | MM_IOMMU_DIRTY));
	return end - ua;
}
