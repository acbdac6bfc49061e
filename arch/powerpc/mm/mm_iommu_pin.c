// SPDX-License-Identifier: GPL-2.0
/*
 * Pinning of the memory of a region, and its reverse.
 *
 * Pages are pinned in batches by pin_user_pages_fast(), which takes mmap_lock
 * only where a page is not mapped, and not for longer than one batch. What it
 * returns is entered into the translation in contiguous runs.
 *
 * A hugetlb folio is pinned once, not once per page: it is mapped as a whole
 * or not at all, and one pin keeps all of it in place.
 */
#include "mm_iommu.h"

/* Pages between two points where a registration reschedules or dies. */
#define MM_IOMMU_PIN_BATCH	256UL

/* How often a page that is just being moved is asked for again. */
#define MM_IOMMU_PIN_RETRIES	10

struct pin_state {
	struct mm_iommu_trans *trans;
	unsigned long ua;	/* pinned up to here */
	unsigned long end;
	unsigned int batch;	/* pages to ask for next */
	struct page **pages;
};

static unsigned long folio_rest(struct page *page)
{
	struct folio *folio = page_folio(page);

	return folio_nr_pages(folio) - folio_page_idx(folio, page);
}

/* Pages of the batch, from the first on, that are contiguous. */
static unsigned long pin_run(struct page **pages, unsigned long n)
{
	unsigned long pfn = page_to_pfn(pages[0]), i = 1;

	while (i < n && page_to_pfn(pages[i]) == pfn + i)
		i++;
	return i;
}

/*
 * Enters the first run of a batch.
 *
 * Return: how many pages of the batch are done with, or -errno.
 */
static long pin_enter(struct pin_state *pin, struct page **pages,
		      unsigned long n)
{
	bool hugetlb = folio_test_hugetlb(page_folio(pages[0]));
	unsigned long len, hpa = PFN_PHYS(page_to_pfn(pages[0]));
	int ret;

	if (hugetlb) {
		len = folio_rest(pages[0]);
		n = min(n, len);
		len = min(len, (pin->end - pin->ua) >> PAGE_SHIFT);
	} else {
		n = pin_run(pages, n);
		len = n;
	}

	ret = mm_iommu_trans_add(pin->trans, pin->ua, hpa, len << PAGE_SHIFT);
	if (ret)
		return ret;

	/* the first page pins the folio; the next one may be huge again */
	if (hugetlb)
		unpin_user_pages(pages + 1, n - 1);
	pin->batch = hugetlb ? 1 : MM_IOMMU_PIN_BATCH;
	pin->ua += len << PAGE_SHIFT;
	return n;
}

/*
 * Pins a batch. A page that is under migration, or that cannot be moved out of
 * CMA right now, is asked for again: failing here ends a virtual machine.
 */
static long pin_pages(struct pin_state *pin)
{
	unsigned long n = min(pin->batch, (pin->end - pin->ua) >> PAGE_SHIFT);
	unsigned int retries = MM_IOMMU_PIN_RETRIES;
	long got;

	for (;;) {
		got = pin_user_pages_fast(pin->ua, n,
					  FOLL_WRITE | FOLL_LONGTERM,
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

static int pin_batch(struct pin_state *pin)
{
	long got = pin_pages(pin), i, n;

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
 * mm_iommu_pin() - pin all pages of a region for writing by a device
 * @trans: translation of the region, initialised and empty; filled in
 *
 * On failure nothing stays pinned.
 *
 * Context: Process context of the owner of the memory, may sleep.
 * Return: 0; -EFAULT where a page is not mapped or may not be written or
 *	pinned; -ENOMEM; -EINTR when the process is being killed; other errors
 *	of pin_user_pages_fast(), always negative.
 */
int mm_iommu_pin(struct mm_iommu_trans *trans)
{
	struct pin_state pin = {
		.trans = trans,
		.ua = trans->ua,
		.end = trans->ua + (trans->npages << PAGE_SHIFT),
		.batch = 1,
	};
	int ret = 0;

	pin.pages = kmalloc_array(MM_IOMMU_PIN_BATCH, sizeof(*pin.pages),
				  GFP_KERNEL);
	if (!pin.pages)
		return -ENOMEM;

	while (!ret && pin.ua < pin.end) {
		ret = pin_batch(&pin);
		cond_resched();
	}

	kfree(pin.pages);
	if (ret)
		mm_iommu_unpin(trans, (pin.ua - trans->ua) >> PAGE_SHIFT);
	else
		mm_iommu_trans_finish(trans);
	return ret;
}

/* Unpins the first run of a range; its length in bytes. */
static unsigned long unpin_run(const struct mm_iommu_trans *trans,
			       unsigned long ua, unsigned long size)
{
	unsigned long hpa, len, max = MM_IOMMU_PIN_BATCH << PAGE_SHIFT;
	struct page *page;
	bool dirty;

	len = mm_iommu_trans_entry(trans, ua, &hpa, &dirty);
	page = pfn_to_page(PHYS_PFN(hpa));
	if (folio_test_hugetlb(page_folio(page))) {
		len = folio_rest(page) << PAGE_SHIFT;
		unpin_user_page_range_dirty_lock(page, 1, dirty);
	} else {
		len = min3(len, size, max);
		unpin_user_page_range_dirty_lock(page, len >> PAGE_SHIFT,
						 dirty);
	}
	return min(len, size);
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
	unsigned long ua = trans->ua;
	unsigned long end = ua + (npages << PAGE_SHIFT);
	unsigned long len, done = 0;

	for (; ua < end; ua += len) {
		len = unpin_run(trans, ua, end - ua);
		done += len >> PAGE_SHIFT;
		if (done >= MM_IOMMU_PIN_BATCH) {
			done = 0;
			cond_resched();
		}
	}
}
