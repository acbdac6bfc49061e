// SPDX-License-Identifier: GPL-2.0
/*
 * Pinning and unpinning of the memory of a region.
 *
 * Pages are pinned in batches by pin_user_pages_fast(), which takes mmap_lock
 * only if a page is not mapped, and not for longer than one batch. Each page
 * that it returns is entered in the translation, in this order, and nothing
 * else is: the mappings of user space may change at any time. So every page in
 * the translation has one pin of its own, and those of a block inside one folio
 * are released by one operation.
 *
 * Memory that is not mapped writable is pinned for reading, and flagged in the
 * translation.
 */
#include "mm_iommu.h"

/*
 * Maximum number of pages between two points where the task may be rescheduled
 * or killed. pin_user_pages_fast() has interrupts off for most of them.
 */
#define MM_IOMMU_PIN_BATCH	1024UL

/*
 * Same for pages that are not mapped yet: pin_user_pages_fast() then holds
 * mmap_lock over the page faults of a batch, and blocks other users of it.
 */
#define MM_IOMMU_PIN_FAULTS	64UL

/* Number of retries for a page that is under migration. */
#define MM_IOMMU_PIN_RETRIES	10

/*
 * @readonly: pages of the region up to the end of read-only memory
 * @batch: pages of the next batch
 * @pages: array for a batch
 */
struct pin_state {
	struct mm_iommu_trans *trans;
	unsigned long readonly;
	unsigned long batch;
	struct page **pages;
};

static bool pin_readonly(const struct pin_state *pin)
{
	return pin->trans->added < pin->readonly;
}

/*
 * Checks whether memory cannot be written because it is mapped read-only, and
 * how far that extends. If it changes concurrently, the following pin decides.
 */
static int pin_find_readonly(struct pin_state *pin)
{
	const struct mm_iommu_trans *trans = pin->trans;
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;

	if (mmap_read_lock_killable(mm))
		return -EINTR;

	vma = vma_lookup(mm, mm_iommu_trans_next(trans));
	if (vma && (vma->vm_flags & (VM_READ | VM_WRITE)) == VM_READ)
		pin->readonly = min((vma->vm_end - trans->ua) >> PAGE_SHIFT,
				    trans->npages);
	mmap_read_unlock(mm);
	return pin_readonly(pin) ? 0 : -EFAULT;
}

/**
 * mm_iommu_pin_user() - pin_user_pages_fast(), which a test may replace
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
 * Pins a batch. Retries a page that is under migration, or that cannot be moved
 * out of CMA right now: failing here ends a virtual machine.
 */
static long pin_pages(struct pin_state *pin)
{
	const struct mm_iommu_trans *trans = pin->trans;
	unsigned long end = pin_readonly(pin) ? pin->readonly : trans->npages;
	unsigned long n = min(pin->batch, end - trans->added);
	unsigned int retries = MM_IOMMU_PIN_RETRIES, flags = FOLL_LONGTERM;
	long got;

	if (!pin_readonly(pin))
		flags |= FOLL_WRITE;
	for (;;) {
		got = mm_iommu_pin_user(mm_iommu_trans_next(trans), n, flags,
					pin->pages);
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

/* Page faults of this task, including those of pin_user_pages_fast(). */
static unsigned long pin_faults(void)
{
	return current->min_flt + current->maj_flt;
}

static int pin_batch(struct pin_state *pin)
{
	struct mm_iommu_trans *trans = pin->trans;
	u64 marks = pin_readonly(pin) ? MM_IOMMU_READONLY : 0;
	unsigned long first = trans->added, faults = pin_faults(), n;
	long got = pin_pages(pin);
	int ret;

	pin->batch = faults == pin_faults() ? MM_IOMMU_PIN_BATCH :
					      MM_IOMMU_PIN_FAULTS;
	if (got == -EFAULT && !pin_readonly(pin))
		return pin_find_readonly(pin);
	if (got < 0)
		return got;

	ret = mm_iommu_trans_add_pages(trans, pin->pages, got, marks);
	n = trans->added - first;
	if (ret)
		unpin_user_pages(pin->pages + n, got - n);
	return ret;
}

/**
 * mm_iommu_pin() - pin all pages of a region for a device
 * @trans: translation of the region, initialised and empty; filled in
 *
 * Memory that is mapped read-only is pinned for reading, and flagged in @trans.
 * On failure nothing stays pinned; mm_iommu_trans_next() is the first address
 * that was not.
 *
 * Context: Process context of the owner of the memory, may sleep.
 * Return: 0; -EINVAL if the range ends above 2^63; -EFAULT if a page is not
 *	mapped or may not be pinned; -ENOMEM; -EINTR when the process is being
 *	killed; other errors of pin_user_pages_fast(), always negative.
 */
int mm_iommu_pin(struct mm_iommu_trans *trans)
{
	struct pin_state pin = {
		.trans = trans,
		.batch = MM_IOMMU_PIN_BATCH,
	};
	struct page *on_stack[8];
	int ret = 0;

	pin.pages = on_stack;
	if (trans->npages > ARRAY_SIZE(on_stack))
		pin.pages = kmalloc_array(min(trans->npages,
					      MM_IOMMU_PIN_BATCH),
					  sizeof(*pin.pages), GFP_KERNEL);
	if (!pin.pages)
		return -ENOMEM;

	while (!ret && trans->added < trans->npages) {
		ret = pin_batch(&pin);
		cond_resched();
	}

	if (pin.pages != on_stack)
		kfree(pin.pages);
	if (!ret)
		ret = mm_iommu_trans_finish(trans);
	if (ret)
		mm_iommu_unpin(trans);
	return ret;
}

/* Unpins contiguous pages, at least one. */
static void unpin_block(unsigned long pfn, unsigned long nr, bool dirty)
{
	unsigned long n;
	struct folio *folio;
	struct page *page;

	for (; nr; nr -= n, pfn += n) {
		page = pfn_to_page(pfn);
		folio = page_folio(page);
		n = folio_nr_pages(folio) - folio_page_idx(folio, page);
		/* most blocks are inside one folio: a single step */
		if (n >= nr && !dirty) {
			unpin_user_folio(folio, nr);
			return;
		}

		/* as much as a batch, or the rest of a larger folio */
		n = min(nr, max(n, MM_IOMMU_PIN_BATCH));
		unpin_user_page_range_dirty_lock(page, n, dirty);
		if (n != nr)
			cond_resched();
	}
}

/*
 * Unpins a page, and those after it in its node that are blocks of their own,
 * which is faster than block by block; returns the end address.
 */
static unsigned long unpin_single(struct mm_iommu_trans *trans,
				  unsigned long ua, u64 at)
{
	unsigned long end = min(trans->run_ua, (ua | (SZ_2M - 1)) + 1);
	u64 *entry, block, dirty = at & MM_IOMMU_DIRTY;
	unsigned int n = 0;
	struct page *pages[32];

	entry = mm_iommu_trans_entry(trans, ua, &block);
	do {
		pages[n++] = pfn_to_page(PHYS_PFN(at & MM_IOMMU_ADDR));
		ua += PAGE_SIZE;
		if (ua == end || n == ARRAY_SIZE(pages))
			break;
		at = *++entry;
	} while (mm_iommu_trans_order(at) == PAGE_SHIFT &&
		 (at & MM_IOMMU_DIRTY) == dirty);
	unpin_user_pages_dirty_lock(pages, n, dirty);
	return ua;
}

/**
 * mm_iommu_unpin() - unpin the pages of a region
 * @trans: its translation, without other users; may be incomplete
 *
 * Context: Process context, may sleep; any process.
 */
void mm_iommu_unpin(struct mm_iommu_trans *trans)
{
	unsigned long ua, end = mm_iommu_trans_next(trans), next;
	u64 at;

	for (ua = trans->ua; ua < end; ua = next) {
		next = ua + mm_iommu_trans_block(trans, ua, &at);
		if (next - ua == PAGE_SIZE && next < trans->run_ua)
			next = unpin_single(trans, ua, at);
		else
			unpin_block(PHYS_PFN(at & MM_IOMMU_ADDR),
				    (next - ua) >> PAGE_SHIFT,
				    at & MM_IOMMU_DIRTY);
		if ((ua ^ next) >= MM_IOMMU_PIN_BATCH << PAGE_SHIFT)
			cond_resched();
	}
}
