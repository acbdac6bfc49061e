// SPDX-License-Identifier: GPL-2.0
/*
 * Pinning of the memory of a region, and its reverse.
 *
 * Pages are pinned in batches by pin_user_pages_fast(), which takes mmap_lock
 * only if a page is not mapped, and not for longer than one batch. Each page
 * that it returns is entered in the translation, in this order, and nothing
 * else is: what is mapped there may change at any time. So every page in the
 * translation has one pin of its own, and those of a block that is in one folio
 * are released by one operation.
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
 * @readonly: pages of the region up to where memory may only be read
 * @pages: room for a batch
 */
struct pin_state {
	struct mm_iommu_trans *trans;
	unsigned long readonly;
	struct page **pages;
};

/* The first address that is not pinned yet. */
static unsigned long pin_ua(const struct pin_state *pin)
{
	return pin->trans->ua + (pin->trans->added << PAGE_SHIFT);
}

static bool pin_readonly(const struct pin_state *pin)
{
	return pin->trans->added < pin->readonly;
}

/*
 * Whether memory can not be written because it is mapped for reading only, and
 * how far that goes. Where it changes meanwhile, the pin that follows decides.
 */
static int pin_find_readonly(struct pin_state *pin)
{
	const struct mm_iommu_trans *trans = pin->trans;
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;

	if (mmap_read_lock_killable(mm))
		return -EINTR;

	vma = vma_lookup(mm, pin_ua(pin));
	if (vma && (vma->vm_flags & (VM_READ | VM_WRITE)) == VM_READ)
		pin->readonly = min((vma->vm_end - trans->ua) >> PAGE_SHIFT,
				    trans->npages);
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
	const struct mm_iommu_trans *trans = pin->trans;
	unsigned long end = pin_readonly(pin) ? pin->readonly : trans->npages;
	unsigned long n = min(MM_IOMMU_PIN_BATCH, end - trans->added);
	unsigned int retries = MM_IOMMU_PIN_RETRIES, flags = FOLL_LONGTERM;
	long got;

	if (!pin_readonly(pin))
		flags |= FOLL_WRITE;
	for (;;) {
		got = mm_iommu_pin_user(pin_ua(pin), n, flags, pin->pages);
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
	u64 marks = pin_readonly(pin) ? MM_IOMMU_READONLY : 0;
	long got = pin_pages(pin), i, n;

	if (got == -EFAULT && !pin_readonly(pin))
		return pin_find_readonly(pin);

	for (i = 0; i < got; i += n) {
		n = mm_iommu_trans_add_pages(pin->trans, pin->pages + i,
					     got - i, marks);
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
 * Return: 0; -EINVAL if the range ends above 2^63; -EFAULT if a page is not
 *	mapped or may not be pinned; -ENOMEM;
 *	-EINTR when the process is being killed; other errors of
 *	pin_user_pages_fast(), always negative.
 */
int mm_iommu_pin(struct mm_iommu_trans *trans, unsigned long *bad)
{
	struct pin_state pin = { .trans = trans };
	struct page *few[8];
	int ret = 0;

	*bad = trans->ua;
	pin.pages = few;
	if (trans->npages > ARRAY_SIZE(few))
		pin.pages = kmalloc_array(MM_IOMMU_PIN_BATCH,
					  sizeof(*pin.pages), GFP_KERNEL);
	if (!pin.pages)
		return -ENOMEM;

	while (!ret && trans->added < trans->npages) {
		ret = pin_batch(&pin);
		cond_resched();
	}

	if (pin.pages != few)
		kfree(pin.pages);
	if (!ret)
		ret = mm_iommu_trans_finish(trans);
	if (ret) {
		*bad = pin_ua(&pin);
		mm_iommu_unpin(trans);
	}
	return ret;
}

static void unpin_page(struct page *page, bool dirty)
{
	if (dirty)
		unpin_user_page_range_dirty_lock(page, 1, true);
	else
		unpin_user_page(page);
}

/* Unpins what a large folio has of a block; returns its pages. */
static unsigned long unpin_large(struct folio *folio, struct page *page,
				 unsigned long nr, bool dirty)
{
	nr = min_t(unsigned long, nr, folio_nr_pages(folio) -
				      folio_page_idx(folio, page));
	if (dirty)
		unpin_user_page_range_dirty_lock(page, nr, true);
	else
		unpin_user_folio(folio, nr);
	return nr;
}

/* Unpins a large folio, or a batch of pages up to one; returns the pages. */
static unsigned long unpin_some(struct page *page, unsigned long nr, bool dirty)
{
	struct folio *folio = page_folio(page);
	unsigned long i;

	if (folio_test_large(folio))
		return unpin_large(folio, page, nr, dirty);

	nr = min(nr, MM_IOMMU_PIN_BATCH);
	for (i = 0; i < nr && !folio_test_large(page_folio(page)); i++, page++)
		unpin_page(page, dirty);
	return i;
}

static void unpin_block(unsigned long pfn, unsigned long nr, bool dirty,
			unsigned int *steps)
{
	unsigned long n;

	for (; nr; nr -= n, pfn += n) {
		n = unpin_some(pfn_to_page(pfn), nr, dirty);
		if (!(++*steps % 4))
			cond_resched();
	}
}

/* Unpins pages of a node that are blocks of their own; returns their bytes. */
static unsigned long unpin_single(struct mm_iommu_trans *trans,
				  unsigned long ua)
{
	unsigned long start = ua;
	u64 *entry, block, at;

	entry = mm_iommu_trans_entry(trans, ua, &block);
	do {
		at = mm_iommu_trans_hpa(block, ua);
		unpin_page(pfn_to_page(PHYS_PFN(at)), block & MM_IOMMU_DIRTY);
		ua += PAGE_SIZE;
		if (ua >= trans->run_ua || !(ua % SZ_2M))
			break;
		block = *++entry;
	} while (mm_iommu_trans_order(block) == PAGE_SHIFT);
	cond_resched();
	return ua - start;
}

/**
 * mm_iommu_unpin() - unpin the pages of a region
 * @trans: its translation, which nobody uses any more; maybe not complete
 *
 * Context: Process context, may sleep; any process.
 */
void mm_iommu_unpin(struct mm_iommu_trans *trans)
{
	unsigned long ua, end = trans->ua + (trans->added << PAGE_SHIFT), len;
	unsigned int steps = 0;
	u64 at;

	for (ua = trans->ua; ua < end; ua += len) {
		len = mm_iommu_trans_block(trans, ua, &at);
		if (len == PAGE_SIZE && ua < trans->run_ua)
			len = unpin_single(trans, ua);
		else
			unpin_block(PHYS_PFN(at & MM_IOMMU_ADDR),
				    len >> PAGE_SHIFT, at & MM_IOMMU_DIRTY,
				    &steps);
	}
}
