// SPDX-License-Identifier: GPL-2.0
/*
 * Translation of one region of DMA memory: user address to host physical
 * address, with the MMU on or off.
 *
 * DOC: translation table
 *
 *	granules[]             leaf[]
 *	+----------------+
 *	| hpa            |  one block: contiguous, aligned alike
 *	+----------------+     +------------+
 *	| leaf, shift  --|---->| hpa        |  2^shift bytes each
 *	+----------------+     | hpa        |
 *	| hpa            |     | ...        |
 *	+----------------+     +------------+
 *
 * An entry of the table covers a granule, 2^@shift bytes aligned in user
 * addresses. Where all memory of the region in it is one physically contiguous
 * block that is aligned in host addresses as in user addresses, the entry is
 * its host address. Contiguity counts, not the kind of page: a huge page, a
 * THP and plain neighbours are alike. Elsewhere the granule is broken: the
 * entry points to a leaf, which has one entry for each piece of a smaller size
 * that fits all pieces. So a translation costs one dependent load, or two.
 *
 * The table is built while memory is pinned, front to back. The first run tells
 * the size of the granules to begin with; when all is known the table is cut
 * again if another size takes less memory.
 */
#include "mm_iommu.h"

/* Sizes of granules and of pieces: the page sizes of the MMU and the IOMMU. */
static const u8 trans_shifts[] = { PAGE_SHIFT, 21, 24, 30, 34 };

#define TRANS_SHIFTS		ARRAY_SIZE(trans_shifts)
#define TRANS_MIN_GRANULE	1	/* the smallest but for small regions */

/* Granules to begin with: for memory without order, and at most. */
#define TRANS_BROKEN_GRANULE	(PAGE_SHIFT < 16 ? 1 : 2)
#define TRANS_LARGEST_START	(PAGE_SHIFT < 16 ? 2 : 3)

/* Regions of so many pages may have granules of one page. */
#define TRANS_MAX_PAGES		512

/* No region ends above this, so ends of regions and of granules do not wrap. */
#define TRANS_MAX_END		BIT(63)

/* What one allocation may need at most: physically contiguous memory. */
#define TRANS_MAX_GRANULES	SZ_32K
#define TRANS_MAX_LEAF		SZ_8K

static u64 trans_make(u64 at, unsigned int shift)
{
	return at | FIELD_PREP(MM_IOMMU_SHIFT, shift);
}

static unsigned long trans_end(const struct mm_iommu_trans *trans)
{
	return trans->ua + (trans->npages << PAGE_SHIFT);
}

/* Number of aligned pieces of 2^shift that [start, end) touches. */
static unsigned long trans_pieces(unsigned long start, unsigned long end,
				  unsigned int shift)
{
	return ((end - 1) >> shift) - (start >> shift) + 1;
}

/*
 * A part of the table in which all entries have one size: the table itself,
 * or the leaf of a broken granule.
 */
struct trans_span {
	u64 *entries;
	unsigned int shift;
	unsigned long start;	/* first user address of the region in it */
	unsigned long end;
};

static struct trans_span trans_top(const struct mm_iommu_trans *trans)
{
	return (struct trans_span){
		.entries = trans->granules,
		.shift = trans->shift,
		.start = trans->ua,
		.end = trans_end(trans),
	};
}

static u64 *span_entry(const struct trans_span *span, unsigned long ua)
{
	return span->entries + (ua >> span->shift) -
	       (span->start >> span->shift);
}

/* The leaf behind the broken granule of @ua in @top. */
static struct trans_span span_leaf(const struct trans_span *top,
				   unsigned long ua, u64 entry)
{
	unsigned long granule = ua >> top->shift << top->shift;

	return (struct trans_span){
		.entries = __va(entry & MM_IOMMU_ADDR),
		.shift = FIELD_GET(MM_IOMMU_SHIFT, entry),
		.start = max(granule, top->start),
		.end = min(granule + (1UL << top->shift), top->end),
	};
}

/* The entry that translates @ua, and the span that it is in. */
static __kprobes u64 *trans_lookup(const struct mm_iommu_trans *trans,
				   unsigned long ua, struct trans_span *span)
{
	u64 *entry, granule;

	*span = trans_top(trans);
	entry = span_entry(span, ua);
	granule = READ_ONCE(*entry);
	if (granule & MM_IOMMU_LEAF) {
		*span = span_leaf(span, ua, granule);
		entry = span_entry(span, ua);
	}
	return entry;
}

static u64 *trans_alloc(unsigned long n)
{
	/* user space chooses the size: too much is an answer, not a warning */
	return kcalloc(n, sizeof(u64), GFP_KERNEL_ACCOUNT | __GFP_NOWARN |
				       __GFP_RETRY_MAYFAIL);
}

static bool trans_too_many(unsigned long ua, unsigned long end, unsigned int i)
{
	return trans_pieces(ua, end, trans_shifts[i]) > TRANS_MAX_GRANULES;
}

static int trans_alloc_granules(struct mm_iommu_trans *trans, unsigned int i)
{
	trans->shift = trans_shifts[i];
	trans->granules = trans_alloc(trans_pieces(trans->ua, trans_end(trans),
						   trans->shift));
	return trans->granules ? 0 : -ENOMEM;
}

/*
 * Begins with the granules that the first run suggests, small enough to be
 * broken later, and large enough for the table.
 */
static int trans_start(struct mm_iommu_trans *trans, u64 at,
		       unsigned long len)
{
	unsigned long ua = trans->ua;
	unsigned int i = TRANS_LARGEST_START;

	if (trans->npages > TRANS_MAX_END >> PAGE_SHIFT ||
	    ua > TRANS_MAX_END - (trans->npages << PAGE_SHIFT))
		return -EINVAL;

	while (i > 0 && (len < BIT(trans_shifts[i]) ||
			 (ua ^ at) & (BIT(trans_shifts[i]) - 1)))
		i--;
	if (i < TRANS_MIN_GRANULE && trans->npages > TRANS_MAX_PAGES)
		i = TRANS_BROKEN_GRANULE;
	while (i < TRANS_SHIFTS - 1 && trans_too_many(ua, trans_end(trans), i))
		i++;
	return trans_alloc_granules(trans, i);
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
	trans->ua = ua;
	trans->npages = npages;
	trans->added = 0;
	trans->shift = 0;
	trans->readonly = false;
	trans->granules = NULL;
}

/**
 * mm_iommu_trans_free() - free the memory of a translation
 * @trans: the translation; may be empty
 *
 * Context: Process context, may sleep.
 */
void mm_iommu_trans_free(struct mm_iommu_trans *trans)
{
	unsigned long i, n;

	if (!trans->granules)
		return;

	n = trans_pieces(trans->ua, trans_end(trans), trans->shift);
	for (i = 0; i < n; i++) {
		if (trans->granules[i] & MM_IOMMU_LEAF)
			kfree(__va(trans->granules[i] & MM_IOMMU_ADDR));
		if (!(i % 1024))
			cond_resched();
	}
	kfree(trans->granules);
	trans->granules = NULL;
}

/**
 * mm_iommu_trans_bytes() - tell how much memory a translation takes
 * @trans: the translation; may be empty
 *
 * Context: Process context, may sleep; nobody changes the table.
 * Return: bytes, as the allocator counts them.
 */
size_t mm_iommu_trans_bytes(const struct mm_iommu_trans *trans)
{
	unsigned long i, n;
	size_t bytes;

	if (!trans->granules)
		return 0;

	bytes = ksize(trans->granules);
	n = trans_pieces(trans->ua, trans_end(trans), trans->shift);
	for (i = 0; i < n; i++) {
		if (trans->granules[i] & MM_IOMMU_LEAF)
			bytes += ksize(__va(trans->granules[i] &
					    MM_IOMMU_ADDR));
		if (!(i % 1024))
			cond_resched();
	}
	return bytes;
}

/**
 * mm_iommu_trans_piece() - size of the smallest pieces of a translation
 * @trans: the translation; may be empty
 *
 * Context: Process context, may sleep; nobody changes the table.
 * Return: bytes that an entry translates at least; 0 for an empty translation.
 */
unsigned long mm_iommu_trans_piece(const struct mm_iommu_trans *trans)
{
	unsigned long i, n;
	unsigned int shift;

	if (!trans->granules)
		return 0;

	shift = trans->shift;
	n = trans_pieces(trans->ua, trans_end(trans), trans->shift);
	for (i = 0; i < n && shift > PAGE_SHIFT; i++) {
		if (trans->granules[i] & MM_IOMMU_LEAF)
			shift = min_t(unsigned int, shift,
				      FIELD_GET(MM_IOMMU_SHIFT,
						trans->granules[i]));
		if (!(i % 1024))
			cond_resched();
	}
	return BIT(shift);
}

/*
 * Whether a run that follows what is there can be entered without breaking a
 * piece: each piece that it touches is empty and alike, or goes on as it began.
 */
static bool span_fits(const struct trans_span *span, unsigned long ua,
		      u64 at)
{
	unsigned long offset = ua & (BIT(span->shift) - 1);
	u64 entry = *span_entry(span, ua);

	if (entry && (entry & MM_IOMMU_BLOCK) == at - offset)
		return true;
	return !entry && offset == (at & (BIT(span->shift) - 1));
}

static void span_fill(const struct trans_span *span, unsigned long ua,
		      u64 at, unsigned long len)
{
	unsigned long size = BIT(span->shift), end = ua + len;
	unsigned long offset = ua & (size - 1);
	u64 *entry = span_entry(span, ua);

	at -= offset;
	for (ua -= offset; ua < end; ua += size, at += size)
		*entry++ = trans_make(at, span->shift);
}

/* The next smaller size of pieces that the alignment of a run allows. */
static unsigned int trans_finer(unsigned int shift, unsigned long ua,
				u64 at)
{
	int i;

	for (i = TRANS_SHIFTS - 1; i > 0; i--)
		if (trans_shifts[i] < shift &&
		    !((ua ^ at) & (BIT(trans_shifts[i]) - 1)))
			break;
	return trans_shifts[i];
}

/*
 * Cuts the memory of a granule up to @ua into pieces of 2^shift, in a new leaf
 * in place of the granule's entry or of its present leaf.
 */
static int trans_break(const struct trans_span *top, unsigned long ua,
		       unsigned int shift, struct trans_span *leaf)
{
	u64 *granule = span_entry(top, ua), old = *granule;
	struct trans_span from = span_leaf(top, ua, old);
	unsigned long addr, len;
	u64 entry;

	leaf->shift = shift;
	leaf->start = from.start;
	leaf->end = from.end;
	leaf->entries = trans_alloc(trans_pieces(leaf->start, leaf->end,
						 shift));
	if (!leaf->entries)
		return -ENOMEM;

	if (!(old & MM_IOMMU_LEAF)) {
		from.entries = &old;
		from.shift = top->shift;
	}
	for (addr = leaf->start; addr < ua; addr += len) {
		entry = *span_entry(&from, addr);
		len = min(BIT(from.shift) - (addr & (BIT(from.shift) - 1)),
			  ua - addr);
		span_fill(leaf, addr, (entry & MM_IOMMU_BLOCK) +
			  (addr & (BIT(from.shift) - 1)), len);
	}
	if (old & MM_IOMMU_LEAF)
		kfree(from.entries);
	*granule = trans_make(__pa(leaf->entries), shift) | MM_IOMMU_LEAF;
	return 0;
}

/* Enters a run inside one granule. */
static int trans_add_granule(struct mm_iommu_trans *trans, unsigned long ua,
			     u64 at, unsigned long len)
{
	struct trans_span top = trans_top(trans), span = top;
	u64 granule = *span_entry(&top, ua);
	int ret;

	if (granule & MM_IOMMU_LEAF)
		span = span_leaf(&top, ua, granule);

	/* single pages always fit */
	while (span.shift > PAGE_SHIFT && !span_fits(&span, ua, at)) {
		ret = trans_break(&top, ua, trans_finer(span.shift, ua, at),
				  &span);
		if (ret)
			return ret;
	}
	span_fill(&span, ua, at, len);
	return 0;
}

/*
 * The entries of the pages from @ua to the end of the table or of its leaf,
 * where these are single pages; else NULL.
 */
static u64 *trans_pages(const struct mm_iommu_trans *trans, unsigned long ua,
			unsigned long *nr)
{
	struct trans_span span = trans_top(trans);
	u64 granule = *span_entry(&span, ua);

	if (granule & MM_IOMMU_LEAF)
		span = span_leaf(&span, ua, granule);
	if (span.shift != PAGE_SHIFT)
		return NULL;

	*nr = (span.end - ua) >> PAGE_SHIFT;
	return span_entry(&span, ua);
}

/* Whether pages follow what was added, and are not more than are missing. */
static bool trans_is_next(const struct mm_iommu_trans *trans, unsigned long ua,
			  unsigned long nr)
{
	return ua == trans->ua + (trans->added << PAGE_SHIFT) &&
	       nr <= trans->npages - trans->added;
}

/* What most runs are: a whole granule. */
static bool trans_add_simple(struct mm_iommu_trans *trans, unsigned long ua,
			     u64 at, unsigned long len)
{
	u64 *entry = trans->granules + (ua >> trans->shift) -
		     (trans->ua >> trans->shift);

	if (*entry || len != BIT(trans->shift) || (ua ^ at) & (len - 1))
		return false;
	*entry = trans_make(at, trans->shift);
	return true;
}

/**
 * mm_iommu_trans_add() - enter the host address of the next run
 * @trans: the translation, not yet visible to readers
 * @ua: user address of the run; all before it was added
 * @at: its host physical address, with MM_IOMMU_READONLY where that is so
 * @len: bytes, more than 0
 *
 * Context: Process context, may sleep.
 * Return: 0; -ENOMEM; -EINVAL if the run does not follow the one before, or
 *	ends beyond the range of @trans, or that range ends above 2^63.
 */
int mm_iommu_trans_add(struct mm_iommu_trans *trans, unsigned long ua, u64 at,
		       unsigned long len)
{
	unsigned long end = ua + len, n;
	int ret;

	if (!trans_is_next(trans, ua, len >> PAGE_SHIFT))
		return -EINVAL;
	if (at & MM_IOMMU_READONLY)
		trans->readonly = true;
	if (!trans->granules) {
		ret = trans_start(trans, at, len);
		if (ret)
			return ret;
	}
	for (; ua < end; ua += n, at += n) {
		n = BIT(trans->shift) - (ua & (BIT(trans->shift) - 1));
		n = min(n, end - ua);
		if (trans_add_simple(trans, ua, at, n))
			continue;
		ret = trans_add_granule(trans, ua, at, n);
		if (ret)
			return ret;
	}
	trans->added += len >> PAGE_SHIFT;
	return 0;
}

/* Pages, from the first on, that are contiguous. */
static unsigned long pages_run(struct page **pages, unsigned long nr)
{
	unsigned long pfn = page_to_pfn(pages[0]), i;

	for (i = 1; i < nr && page_to_pfn(pages[i]) == pfn + i; i++)
		;
	return i;
}

/**
 * mm_iommu_trans_add_pages() - enter the host addresses of the next pages
 * @trans: the translation, not yet visible to readers
 * @ua: user address of the first page; all before it was added
 * @pages: the pages
 * @nr: number of them, more than 0
 * @marks: MM_IOMMU_READONLY or 0
 *
 * For memory without order, where it is faster than mm_iommu_trans_add() for
 * each run.
 *
 * Context: Process context, may sleep.
 * Return: how many of the pages were added, 1 to @nr; the error of
 *	mm_iommu_trans_add() if none.
 */
long mm_iommu_trans_add_pages(struct mm_iommu_trans *trans, unsigned long ua,
			      struct page **pages, unsigned long nr, u64 marks)
{
	unsigned long i, n;
	u64 *entry = NULL;
	int ret;

	if (!trans_is_next(trans, ua, nr))
		return -EINVAL;
	if (trans->granules)
		entry = trans_pages(trans, ua, &n);
	if (!entry) {
		n = pages_run(pages, nr);
		ret = mm_iommu_trans_add(trans, ua, page_to_phys(pages[0]) |
					 marks, n << PAGE_SHIFT);
		return ret ? : n;
	}

	/* a page fits everywhere */
	n = min(n, nr);
	if (marks & MM_IOMMU_READONLY)
		trans->readonly = true;
	for (i = 0; i < n; i++)
		entry[i] = trans_make(page_to_phys(pages[i]) | marks,
				      PAGE_SHIFT);
	trans->added += n;
	return n;
}

/**
 * mm_iommu_trans_entry() - what one entry of the table says about an address
 * @trans: the translation
 * @ua: user address inside the region
 * @at: where to store its host physical address, with the marks
 *	MM_IOMMU_READONLY and MM_IOMMU_DIRTY
 *
 * Context: Any, MMU on or off.
 * Return: bytes from @ua on that this entry translates contiguously.
 */
unsigned long mm_iommu_trans_entry(const struct mm_iommu_trans *trans,
				   unsigned long ua, u64 *at)
{
	unsigned long bytes = __mm_iommu_trans_entry(trans, ua, at);

	return min(bytes, trans_end(trans) - ua);
}

/* Goes on after the first entry of a run, which has @len bytes. */
static __kprobes noinline unsigned long
trans_run_on(const struct mm_iommu_trans *trans, unsigned long ua,
	     unsigned long size, unsigned long len, u64 *at)
{
	unsigned long bytes;
	u64 next;

	while (len < size) {
		bytes = __mm_iommu_trans_entry(trans, ua + len, &next);
		if ((next ^ (*at + len)) & MM_IOMMU_ADDR)
			break;
		*at |= next & ~MM_IOMMU_ADDR;
		len += bytes;
	}
	return min(len, size);
}

/**
 * mm_iommu_trans_run() - translate as much of a range as is contiguous
 * @trans: the translation
 * @ua: user address inside the region
 * @size: bytes wanted, inside the region
 * @at: where to store the host physical address of @ua, with the marks
 *	MM_IOMMU_READONLY and MM_IOMMU_DIRTY where some of the run has them
 *
 * Takes a step for each entry in the run: the caller bounds @size.
 *
 * Context: Any, MMU on or off.
 * Return: length of the run in bytes, 1 to @size.
 */
__kprobes unsigned long mm_iommu_trans_run(const struct mm_iommu_trans *trans,
					   unsigned long ua, unsigned long size,
					   u64 *at)
{
	unsigned long len = __mm_iommu_trans_entry(trans, ua, at);

	/* most runs: no stack, no call */
	return len < size ? trans_run_on(trans, ua, size, len, at) : size;
}

/**
 * mm_iommu_trans_pages() - the entries of memory without order
 * @trans: the translation
 * @ua: user address of a page of the region
 * @nr: where to store the number of entries
 *
 * Context: Any, MMU on or off.
 * Return: what mm_iommu_trans_entry() says of @nr pages from @ua on, except
 *	that other bits must be ignored; NULL where the memory is not broken
 *	into single pages.
 */
const u64 *mm_iommu_trans_pages(const struct mm_iommu_trans *trans,
				unsigned long ua, unsigned long *nr)
{
	return trans_pages(trans, ua, nr);
}

/* All that changes in an entry: concurrent writers store the same. */
static void mark_entry(u64 *entry, u64 dirty)
{
	u64 old = READ_ONCE(*entry);

	if (dirty & ~old)
		WRITE_ONCE(*entry, old | dirty);
}

/* Entries of single pages, of which a device may write to all or to none. */
static __kprobes void fill_pages(u64 *entry, unsigned long n, u64 bits,
				 u64 dirty, __be64 *out)
{
	unsigned long i;
	u64 at;

	for (i = 0; i < n; i++) {
		at = READ_ONCE(entry[i]);
		if (dirty & ~at)
			WRITE_ONCE(entry[i], at | dirty);
		out[i] = cpu_to_be64((at & MM_IOMMU_ADDR) | bits);
	}
}

/* IOMMU pages that are neighbours. */
static void fill_block(u64 tce, unsigned long n, unsigned int shift,
		       __be64 *out)
{
	unsigned long i;

	for (i = 0; i < n; i++, tce += BIT_ULL(shift))
		out[i] = cpu_to_be64(tce);
}

/**
 * mm_iommu_trans_fill() - translate IOMMU pages one by one
 * @trans: the translation
 * @ua: user address inside the region, of the first IOMMU page
 * @npages: IOMMU pages, all of them blocks inside the region
 * @shift: log2 of the size of the IOMMU page
 * @bits: what to add to each address
 * @dirty: MM_IOMMU_DIRTY where a device may write there from now on, else 0
 * @out: where to store @npages host physical addresses, as bridges read them
 *
 * Context: Any, MMU on or off. The caller bounds @npages.
 */
__kprobes void mm_iommu_trans_fill(struct mm_iommu_trans *trans,
				   unsigned long ua, unsigned long npages,
				   unsigned int shift, u64 bits, u64 dirty,
				   __be64 *out)
{
	struct trans_span span;
	unsigned long n, offset;
	u64 *entry;

	for (; npages; npages -= n, ua += n << shift, out += n) {
		entry = trans_lookup(trans, ua, &span);
		if (span.shift == PAGE_SHIFT && shift == PAGE_SHIFT) {
			n = min(npages, (span.end - ua) >> shift);
			fill_pages(entry, n, bits, dirty, out);
			continue;
		}
		offset = ua & (BIT(span.shift) - 1);
		n = (BIT(span.shift) - offset) >> shift;
		if (likely(n)) {
			n = min(n, npages);
			mark_entry(entry, dirty);
		} else {
			/* a block of several entries */
			n = 1;
			if (dirty)
				mm_iommu_trans_mark_dirty(trans, ua,
							  BIT(shift));
		}
		fill_block(((*entry & MM_IOMMU_ADDR) + offset) | bits, n, shift,
			   out);
	}
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
__kprobes void mm_iommu_trans_mark_dirty(struct mm_iommu_trans *trans,
					 unsigned long ua, unsigned long size)
{
	unsigned long end = ua + size, next;
	struct trans_span span;
	u64 *entry;

	while (ua < end) {
		entry = trans_lookup(trans, ua, &span);
		for (next = min(end, span.end); ua < next; entry++) {
			mark_entry(entry, MM_IOMMU_DIRTY);
			ua = round_up(ua + 1, BIT(span.shift));
			/* the next granule may have a leaf */
			if (span.entries == trans->granules)
				break;
		}
	}
}

/*
 * What the table would take with granules of trans_shifts[i]. The present one
 * is counted front to back; a granule is closed when the next one begins.
 */
struct trans_cut {
	unsigned long bytes;
	unsigned long start;	/* of the granule, in the region */
	unsigned long delta;	/* host less user address where it starts */
	unsigned int broken;	/* bit k: not all pieces of size k are blocks */
	bool begun;
	bool block;		/* all of it so far is one block */
};

static void cut_close(struct trans_cut *cuts, unsigned int i, unsigned long end)
{
	struct trans_cut *cut = &cuts[i];
	unsigned int k;
	size_t leaf = 0;

	if (!cut->begun)
		return;

	if (!cut->block) {
		for (k = i - 1; k > 0 && cut->broken & BIT(k); k--)
			;
		leaf = trans_pieces(cut->start, end, trans_shifts[k]) *
		       sizeof(u64);
		if (leaf > TRANS_MAX_LEAF)
			leaf = SIZE_MAX;
		for (k = i + 1; k < TRANS_SHIFTS; k++)
			cuts[k].broken |= BIT(i);
	}
	cut->bytes = size_add(cut->bytes, size_add(leaf, sizeof(u64)));
	cut->begun = false;
	cut->broken = 0;
}

/* Counts a piece, one block or broken, in the granule that it is in. */
static void cut_add(struct trans_cut *cuts, unsigned int i, unsigned long ua,
		    u64 at, bool block)
{
	struct trans_cut *cut = &cuts[i];
	unsigned long delta = at - ua;

	if (cut->begun && !((ua ^ cut->start) >> trans_shifts[i])) {
		cut->block = cut->block && block && delta == cut->delta;
		return;
	}
	cut_close(cuts, i, ua);
	cut->start = ua;
	cut->delta = delta;
	cut->begun = true;
	cut->block = block && !(delta & (BIT(trans_shifts[i]) - 1));
}

/*
 * Counts a run that is one block for granules of size i: all that it fills are
 * whole, only the first and the last may be shared with others.
 */
static void cut_add_blocks(struct trans_cut *cuts, unsigned int i,
			   unsigned long ua, unsigned long end, u64 at)
{
	unsigned long size = BIT(trans_shifts[i]), n;
	unsigned long head = min(round_up(ua, size), end);

	if (ua < head) {
		cut_add(cuts, i, ua, at, true);
		at += head - ua;
		ua = head;
	}
	n = (end - ua) >> trans_shifts[i];
	if (n) {
		cut_close(cuts, i, ua);
		cuts[i].bytes = size_add(cuts[i].bytes, n * sizeof(u64));
		at += n * size;
		ua += n * size;
	}
	if (ua < end)
		cut_add(cuts, i, ua, at, true);
}

/*
 * Counts a contiguous run, in parts that end where granules end for which it is
 * no block. Small granules come first: they tell the larger ones what is broken.
 */
static void cut_add_run(struct trans_cut *cuts, unsigned long ua,
			unsigned long end, u64 at)
{
	unsigned int i, blocks = TRANS_SHIFTS - 1;
	unsigned long next;

	while (blocks && (ua ^ at) & (BIT(trans_shifts[blocks]) - 1))
		blocks--;
	for (; ua < end; at += next - ua, ua = next) {
		next = end;
		if (blocks + 1 < TRANS_SHIFTS)
			next = min(round_up(ua + 1,
					    BIT(trans_shifts[blocks + 1])),
				   end);
		for (i = TRANS_MIN_GRANULE; i <= blocks; i++)
			cut_add_blocks(cuts, i, ua, next, at);
		for (; i < TRANS_SHIFTS; i++)
			cut_add(cuts, i, ua, at, true);
	}
}

/* Counts pages, or pieces that are smaller than the smallest granule. */
static void cut_add_broken(struct trans_cut *cuts, unsigned long ua, u64 at)
{
	unsigned int i;

	for (i = TRANS_MIN_GRANULE; i < TRANS_SHIFTS; i++)
		cut_add(cuts, i, ua, at, false);
}

/* Whether the pages of a leaf from @ua to @end are contiguous. */
static bool leaf_is_run(const struct trans_span *leaf, unsigned long ua,
			unsigned long end)
{
	u64 *entry = span_entry(leaf, ua), next = *entry;

	for (; ua < end; ua += PAGE_SIZE, next += PAGE_SIZE)
		if (*entry++ != next)
			return false;
	return true;
}

/* The end of the run of whole entries that the one behind @ua begins. */
static unsigned long span_run(const struct trans_span *span, unsigned long ua)
{
	unsigned long size = BIT(span->shift);
	u64 *entry = span_entry(span, ua), next = *entry + size;

	for (ua = round_up(ua + 1, size); ua < span->end; ua += size) {
		if (*++entry != next)
			return ua;
		next += size;
	}
	return span->end;
}

/*
 * Counts the run of entries behind @ua, or the pages of a leaf as far as the
 * smallest granule goes; returns where that is.
 */
static unsigned long trans_count(const struct mm_iommu_trans *trans,
				 struct trans_cut *cuts, unsigned long ua)
{
	unsigned int shift = trans_shifts[TRANS_MIN_GRANULE];
	struct trans_span span;
	u64 at = *trans_lookup(trans, ua, &span) & MM_IOMMU_BLOCK;
	unsigned long end;

	at += ua & (BIT(span.shift) - 1);
	if (span.shift >= shift) {
		end = span_run(&span, ua);
		cut_add_run(cuts, ua, end, at);
		return end;
	}

	end = min(round_up(ua + 1, BIT(shift)), span.end);
	if (leaf_is_run(&span, ua, end))
		cut_add_run(cuts, ua, end, at);
	else
		cut_add_broken(cuts, ua, at);
	return end;
}

/* The size of granules, in trans_shifts[], that takes the least memory. */
static unsigned int trans_best(const struct mm_iommu_trans *trans)
{
	unsigned long ua = trans->ua, end = trans_end(trans), least = SIZE_MAX;
	unsigned int i, best = TRANS_SHIFTS, steps = 0;
	struct trans_cut cuts[TRANS_SHIFTS] = { };

	if (trans->npages <= TRANS_MAX_PAGES) {
		least = trans->npages * sizeof(u64);
		best = 0;
	}

	while (ua < end) {
		ua = trans_count(trans, cuts, ua);
		if (!(++steps % 1024))
			cond_resched();
	}

	for (i = TRANS_MIN_GRANULE; i < TRANS_SHIFTS; i++) {
		cut_close(cuts, i, end);
		if (cuts[i].bytes < least &&
		    !trans_too_many(trans->ua, end, i)) {
			least = cuts[i].bytes;
			best = i;
		}
	}
	return best;
}

/*
 * One entry, or smallest granules, each a block, and no two of them make a
 * larger one: no better.
 */
static bool trans_is_best(const struct mm_iommu_trans *trans)
{
	unsigned long i, n = trans_pieces(trans->ua, trans_end(trans),
					  trans->shift);
	u64 *entry = trans->granules;

	if (n == 1 && !(*entry & MM_IOMMU_LEAF))
		return true;
	if (trans->shift != trans_shifts[TRANS_MIN_GRANULE])
		return false;
	for (i = 0; i < n; i++)
		if (entry[i] & MM_IOMMU_LEAF ||
		    (i && entry[i] == entry[i - 1] + BIT(trans->shift)))
			return false;
	return true;
}

static int trans_copy(struct mm_iommu_trans *to,
		      const struct mm_iommu_trans *from)
{
	unsigned long ua = from->ua, end = trans_end(from), len;
	unsigned int steps = 0;
	u64 at;
	int ret;

	for (; ua < end; ua += len) {
		len = mm_iommu_trans_entry(from, ua, &at);
		ret = mm_iommu_trans_add(to, ua, at, len);
		if (ret)
			return ret;
		if (!(++steps % 1024))
			cond_resched();
	}
	return 0;
}

/* Whether all entries of a leaf were filled: they have the shift in common. */
static bool leaf_is_complete(const struct trans_span *leaf)
{
	unsigned long n = trans_pieces(leaf->start, leaf->end, leaf->shift);
	const u64 *entry = leaf->entries, *end = entry + n;
	u64 all = MM_IOMMU_SHIFT;

	while (entry < end)
		all &= *entry++;
	return all;
}

/* Whether all pages were added, and every entry was filled. */
static bool trans_is_complete(const struct mm_iommu_trans *trans)
{
	struct trans_span top = trans_top(trans), leaf;
	unsigned long i, n, ua;
	u64 entry;

	if (!trans->granules || trans->added != trans->npages)
		return false;

	n = trans_pieces(top.start, top.end, top.shift);
	for (i = 0; i < n; i++) {
		entry = top.entries[i];
		if (!entry)
			return false;
		if (entry & MM_IOMMU_LEAF) {
			ua = ((top.start >> top.shift) + i) << top.shift;
			leaf = span_leaf(&top, ua, entry);
			if (!leaf_is_complete(&leaf))
				return false;
		}
		if (!(i % 1024))
			cond_resched();
	}
	return true;
}

/**
 * mm_iommu_trans_finish() - check a translation and make it as small as possible
 * @trans: the translation, all of its range added, not yet visible to readers
 *
 * Keeps the table as it is if there is no memory for another one.
 *
 * Context: Process context, may sleep.
 * Return: 0; -EFAULT if not all pages were added, or an entry is empty: @trans
 *	must not become visible.
 */
int mm_iommu_trans_finish(struct mm_iommu_trans *trans)
{
	struct mm_iommu_trans cut;
	unsigned int best;

	if (!trans_is_complete(trans))
		return -EFAULT;
	if (trans_is_best(trans))
		return 0;

	mm_iommu_trans_init(&cut, trans->ua, trans->npages);
	best = trans_best(trans);
	if (best == TRANS_SHIFTS || trans_shifts[best] == trans->shift ||
	    trans_alloc_granules(&cut, best))
		return 0;

	if (trans_copy(&cut, trans)) {
		mm_iommu_trans_free(&cut);
		return 0;
	}
	mm_iommu_trans_free(trans);
	*trans = cut;
	return 0;
}
