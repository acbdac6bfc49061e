// SPDX-License-Identifier: GPL-2.0
/*
 * Pinning of the memory of a region, and its reverse.
 *
 * Pages are pinned in batches by pin_user_pages_fast(), which takes mmap_lock
 * only where a page is not mapped, and not for longer than one batch.
 *
 * A large folio is pinned once for all pages of it that the region translates
 * to one contiguous run: a pin holds a folio as a whole. So where one entry of
 * the page table maps a huge page, only its first page is asked for; elsewhere
 * the pins of the others are given back at once. The translation then tells
 * what is to be unpinned: the runs in it, cut where folios end.
 *
 * Memory that is not mapped for writing is pinned for reading, and marked so in
 * the translation.
 */
#include "mm_iommu.h"

/* Pages between two points where one may be rescheduled, or killed. */
#define MM_IOMMU_PIN_BATCH	256UL

/* How often a page that is just being moved is asked for again. */
#define MM_IOMMU_PIN_RETRIES	10

/*
 * @ua: pinned up to here
 * @end: of the region
 * @readonly_end: up to here memory may only be read
 * @next: host address that would go on with the run that ends at @ua
 * @batch: pages to ask for next
 */
struct pin_state {
	struct mm_iommu_trans *trans;
	unsigned long ua;
	unsigned long end;
	unsigned long readonly_end;
	unsigned long next;
	unsigned long batch;
	struct page **pages;
};

static unsigned long folio_rest(struct folio *folio, struct page *page)
{
	return (folio_nr_pages(folio) - folio_page_idx(folio, page)) <<
	       PAGE_SHIFT;
}

static bool pin_readonly(const struct pin_state *pin)
{
	return pin->ua < pin->readonly_end;
}

static u64 pin_marks(const struct pin_state *pin)
{
	return pin_readonly(pin) ? MM_IOMMU_READONLY : 0;
}

/*
 * Bytes from @ua on that one entry of the page table maps to @page, which is
 * pinned, and what follows it; 0 where it is not mapped so, or not any more.
 */
static unsigned long huge_mapping(unsigned long ua, struct page *page,
				  bool write)
{
	unsigned long flags, offset, len = 0;
	unsigned int shift = 0;
	pte_t *ptep, pte;

	/* the page table is not freed, and no THP split, under our feet */
	local_irq_save(flags);
	ptep = find_linux_pte(current->mm->pgd, ua, NULL, &shift);
	if (ptep && shift > PAGE_SHIFT) {
		pte = READ_ONCE(*ptep);
		offset = ua & (BIT(shift) - 1);
		if (pte_access_permitted(pte, write) &&
		    pte_pfn(pte) + PFN_DOWN(offset) == page_to_pfn(page))
			len = BIT(shift) - offset;
	}
	local_irq_restore(flags);
	return len;
}

/* Order-0 pages at the front of a batch. */
static unsigned long small_pages(struct page **pages, unsigned long nr)
{
	unsigned long i = 0;

	while (i < nr && !folio_test_large(page_folio(pages[i])))
		i++;
	return i;
}

/* Enters order-0 pages; returns how many, at least 1. */
static long pin_enter_small(struct pin_state *pin, struct page **pages,
			    unsigned long nr)
{
	u64 marks = pin_marks(pin);
	long n;

	n = mm_iommu_trans_add_pages(pin->trans, pin->ua, pages, nr, marks);
	if (n < 0)
		return n;

	pin->batch = MM_IOMMU_PIN_BATCH;
	pin->next = page_to_phys(pages[n - 1]) + PAGE_SIZE;
	pin->ua += n << PAGE_SHIFT;
	return n;
}

/* Pages of a batch, from the first on, that follow each other in one folio. */
static unsigned long folio_pages(struct folio *folio, struct page **pages,
				 unsigned long nr)
{
	unsigned long i = 1;

	nr = min(nr, folio_rest(folio, pages[0]) >> PAGE_SHIFT);
	while (i < nr && pages[i] == nth_page(pages[0], i))
		i++;
	return i;
}

/* Enters pages of a large folio; returns how many of the batch, at least 1. */
static long pin_enter_large(struct pin_state *pin, struct page **pages,
			    unsigned long nr)
{
	struct page *page = pages[0];
	struct folio *folio = page_folio(page);
	unsigned long n = folio_pages(folio, pages, nr);
	unsigned long hpa = page_to_phys(page);
	unsigned long huge, len, extra = n - 1;
	int ret;

	huge = huge_mapping(pin->ua, page, !pin_readonly(pin));
	len = min3(huge, folio_rest(folio, page), pin->end - pin->ua);
	len = max(len, n << PAGE_SHIFT);

	ret = mm_iommu_trans_add(pin->trans, pin->ua, hpa | pin_marks(pin),
				 len);
	if (ret)
		return ret;

	/* what goes on with a run is pinned already */
	if (hpa == pin->next && folio_page_idx(folio, page))
		extra = n;
	if (extra)
		unpin_user_page_range_dirty_lock(page, extra, false);

	/* the next one may be huge again */
	pin->batch = huge ? 1 : MM_IOMMU_PIN_BATCH;
	pin->next = hpa + len;
	pin->ua += len;
	return n;
}

static long pin_enter(struct pin_state *pin, struct page **pages,
		      unsigned long nr)
{
	unsigned long small = small_pages(pages, nr);

	if (small)
		return pin_enter_small(pin, pages, small);
	return pin_enter_large(pin, pages, nr);
}

/*
 * Whether memory can not be written because it is mapped for reading only, and
 * how far that goes. Where it changes meanwhile, the pin that follows decides.
 */
static int pin_find_readonly(struct pin_state *pin)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;

	if (mmap_read_lock_killable(mm))
		return -EINTR;

	vma = vma_lookup(mm, pin->ua);
	if (vma && (vma->vm_flags & (VM_READ | VM_WRITE)) == VM_READ)
		pin->readonly_end = min(vma->vm_end, pin->end);
	mmap_read_unlock(mm);
	return pin_readonly(pin) ? 0 : -EFAULT;
}

/**
 * mm_iommu_pin_user() - pin_user_pages_fast(), with a place for a test's own
 * @ua: user address of the first page
 * @n: number of pages
 * @flags: FOLL_*
 * @pages: where to store them
 *
 * Context: Process context of the owner of the memory, may sleep.
 * Return: the number of pages that are pinned now, or -errno.
 */
int mm_iommu_pin_user(unsigned long ua, int n, unsigned int flags,
		      struct page **pages)
{
	KUNIT_STATIC_STUB_REDIRECT(mm_iommu_pin_user, ua, n, flags, pages);

	return pin_user_pages_fast(ua, n, flags, pages);
}

/*
 * Pins a batch. A page that is under migration, or that cannot be moved out of
 * CMA right now, is asked for again: failing here ends a virtual machine.
 */
static long pin_pages(struct pin_state *pin)
{
	unsigned long end = pin_readonly(pin) ? pin->readonly_end : pin->end;
	unsigned long n = min(pin->batch, (end - pin->ua) >> PAGE_SHIFT);
	unsigned int retries = MM_IOMMU_PIN_RETRIES, flags = FOLL_LONGTERM;
	long got;

	if (!pin_readonly(pin))
		flags |= FOLL_WRITE;
	for (;;) {
		got = mm_iommu_pin_user(pin->ua, n, flags, pin->pages);
		if (fatal_signal_pending(current)) {
			if (got > 0)
				unpin_user_pages(pin->pages, got);
			return -EINTR;
		}
		if (got != -EAGAIN && got != -EBUSY && got != -ENOMEM)
			return got ? : -EFAULT;
		if (!retries--)
			return got;
		schedule_timeout_killable(1);
	}
}

static int pin_batch(struct pin_state *pin)
{
	long got = pin_pages(pin), i, n;

	if (got == -EFAULT && !pin_readonly(pin))
		return pin_find_readonly(pin);

	for (i = 0; i < got; i += n) {
		n = pin_enter(pin, pin->pages + i, got - i);
		if (n < 0) {
			unpin_user_pages(pin->pages + i, got - i);
			return n;
		}
	}
	return got < 0 ? got : 0;
}

/**
 * mm_iommu_pin() - pin all pages of a region for a device
 * @trans: translation of the region, initialised and empty; filled in
 * @bad: on failure, where to store the first address that is not pinned
 *
 * Memory that is mapped for reading only is pinned so, and marked in @trans.
 * On failure nothing stays pinned.
 *
 * Context: Process context of the owner of the memory, may sleep.
 * Return: 0; -EFAULT where a page is not mapped or may not be pinned; -ENOMEM;
 *	-EINTR when the process is being killed; other errors of
 *	pin_user_pages_fast(), always negative.
 */
int mm_iommu_pin(struct mm_iommu_trans *trans, unsigned long *bad)
{
	struct pin_state pin = {
		.trans = trans,
		.ua = trans->ua,
		.end = trans->ua + (trans->npages << PAGE_SHIFT),
		.next = ULONG_MAX,
		.batch = 1,
	};
	struct page *few[8];
	int ret = 0;

	*bad = trans->ua;
	pin.pages = few;
	if (trans->npages > ARRAY_SIZE(few))
		pin.pages = kmalloc_array(MM_IOMMU_PIN_BATCH,
					  sizeof(*pin.pages), GFP_KERNEL);
	if (!pin.pages)
		return -ENOMEM;

	while (!ret && pin.ua < pin.end) {
		ret = pin_batch(&pin);
		cond_resched();
	}

	if (pin.pages != few)
		kfree(pin.pages);
	if (ret) {
		*bad = pin.ua;
		mm_iommu_unpin(trans, (pin.ua - trans->ua) >> PAGE_SHIFT);
	} else {
		mm_iommu_trans_finish(trans);
	}
	return ret;
}

static struct page *trans_page(u64 at)
{
	return pfn_to_page(PHYS_PFN(at & MM_IOMMU_ADDR));
}

static void unpin_page(struct page *page, u64 at)
{
	if (at & MM_IOMMU_DIRTY)
		unpin_user_page_range_dirty_lock(page, 1, true);
	else
		unpin_user_page(page);
}

static bool page_is_large(struct page *page)
{
	return folio_test_large(page_folio(page));
}

/*
 * Unpins what a large folio has at @ua, where @len bytes are known to be one
 * run; returns its bytes.
 */
static unsigned long unpin_large(const struct mm_iommu_trans *trans,
				 unsigned long ua, unsigned long size,
				 unsigned long len, u64 at)
{
	struct page *page = trans_page(at);

	size = min(size, folio_rest(page_folio(page), page));
	if (len < size)
		len = mm_iommu_trans_run(trans, ua, size, &at);
	unpin_page(page, at);
	return min(len, size);
}

/* Unpins order-0 pages up to the first large folio; returns how many. */
static unsigned long unpin_entries(const u64 *entry, unsigned long nr)
{
	struct page *page;
	unsigned long i;

	for (i = 0; i < nr; i++) {
		page = trans_page(entry[i]);
		if (page_is_large(page))
			break;
		unpin_page(page, entry[i]);
	}
	return i;
}

/* The same for pages that follow each other from @at on. */
static unsigned long unpin_block(u64 at, unsigned long nr)
{
	struct page *page = trans_page(at);
	unsigned long i;

	for (i = 0; i < nr && !page_is_large(page); i++, page++)
		unpin_page(page, at);
	return i;
}

/* Unpins a batch, or what a large folio has at @ua; returns its bytes. */
static unsigned long unpin_some(const struct mm_iommu_trans *trans,
				unsigned long ua, unsigned long size)
{
	unsigned long nr, max = min(size >> PAGE_SHIFT, MM_IOMMU_PIN_BATCH);
	unsigned long len = PAGE_SIZE;
	const u64 *entry;
	u64 at;

	entry = mm_iommu_trans_pages(trans, ua, &nr);
	if (entry)
		at = *entry;
	else
		len = mm_iommu_trans_entry(trans, ua, &at);

	if (page_is_large(trans_page(at)))
		return unpin_large(trans, ua, size, len, at);
	if (entry)
		return unpin_entries(entry, min(nr, max)) << PAGE_SHIFT;
	return unpin_block(at, min(len >> PAGE_SHIFT, max)) << PAGE_SHIFT;
}

/**
 * mm_iommu_unpin() - unpin the pages of a region
 * @trans: its translation, which nobody uses any more
 * @npages: how many of its pages are pinned, counted from its start
 *
 * Context: Process context, may sleep; any process.
 */
void mm_iommu_unpin(const struct mm_iommu_trans *trans, unsigned long npages)
{
	unsigned long ua = trans->ua, end = ua + (npages << PAGE_SHIFT);
	unsigned int steps = 0;

	while (ua < end) {
		ua += unpin_some(trans, ua, end - ua);
		if (!(++steps % 4))
			cond_resched();
	}
}
