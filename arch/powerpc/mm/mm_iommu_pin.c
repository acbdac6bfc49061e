// SPDX-License-Identifier: GPL-2.0
/*
 * Pinning of the memory of a region, and its reverse.
 */
#include "mm_iommu.h"

/* Pages between two points where a registration reschedules or dies. */
#define MM_IOMMU_PIN_BATCH	256UL

static int pin_batch(struct mm_iommu_trans *trans, unsigned long *pinned,
		     struct page **pages)
{
	unsigned long n = min(trans->npages - *pinned, MM_IOMMU_PIN_BATCH);
	unsigned long ua = trans->ua + (*pinned << PAGE_SHIFT);
	long i, got;
	int ret;

	got = pin_user_pages_fast(ua, n, FOLL_WRITE | FOLL_LONGTERM, pages);
	if (got == -EAGAIN || got == -ERESTARTSYS)
		return fatal_signal_pending(current) ? -EINTR : -EAGAIN;
	if (got <= 0)
		return got ? : -EFAULT;

	for (i = 0; i < got; i++) {
		ret = mm_iommu_trans_set(trans, *pinned,
					 PFN_PHYS(page_to_pfn(pages[i])));
		if (ret) {
			unpin_user_pages(pages + i, got - i);
			return ret;
		}
		(*pinned)++;
	}
	return 0;
}

/**
 * mm_iommu_pin() - pin all pages of a region for writing by a device
 * @trans: translation of the region, initialised and empty; filled in
 *
 * The mmap_lock of the process is never held for more than one batch of
 * pages. On failure nothing stays pinned.
 *
 * Context: Process context of the owner of the memory, may sleep.
 * Return: 0; -EFAULT where a page is not mapped or may not be written or
 *	pinned; -ENOMEM; -EINTR when the process is being killed; other errors
 *	of pin_user_pages_fast(), always negative.
 */
int mm_iommu_pin(struct mm_iommu_trans *trans)
{
	unsigned long pinned = 0;
	struct page **pages;
	int ret = 0;

	pages = kmalloc_array(MM_IOMMU_PIN_BATCH, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;

	while (!ret && pinned < trans->npages) {
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		ret = pin_batch(trans, &pinned, pages);
		cond_resched();
	}

	kfree(pages);
	if (ret)
		mm_iommu_unpin(trans, pinned);
	return ret;
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
	unsigned long hpa, len, done = 0;
	bool dirty;

	for (; ua < end; ua += len) {
		len = min(mm_iommu_trans_entry(trans, ua, &hpa, &dirty),
			  end - ua);
		unpin_user_page_range_dirty_lock(pfn_to_page(PHYS_PFN(hpa)),
						 len >> PAGE_SHIFT, dirty);
		done += len >> PAGE_SHIFT;
		if (done >= MM_IOMMU_PIN_BATCH) {
			done = 0;
			cond_resched();
		}
	}
}
