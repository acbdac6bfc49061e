// SPDX-License-Identifier: GPL-2.0
/*
 * TCE core: maps ranges of user memory in the TCE tables of external owners.
 *
 * A table in the hands of user space has a view beside it, with the user
 * address of what is behind each TCE. A TCE, its view and the reference on the
 * memory behind it belong together, and all who change them do it here, in
 * this order:
 *
 * 1. Get: everything is validated and every reference is taken, all memory is
 *    allocated. No TCE was touched; here the call fails or, but for a refusal
 *    of the platform, not at all.
 * 2. Exchange: the TCEs are written and the old ones kept. A platform that
 *    refuses one has the others put back.
 * 3. Kill: the TCE cache of the hardware forgets the range.
 * 4. Put: only now, when no device can reach it, the memory of the old TCEs
 *    is let go, and the view changes.
 *
 * The caller serialises the calls on one table.
 */
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <asm/iommu.h>
#include <asm/iommu_tce.h>
#include <asm/mm_iommu.h>
#include <asm/tce.h>

#define TCE_PERM	(TCE_PCI_READ | TCE_PCI_WRITE)

/*
 * Tells a view entry of user address 0 from an empty one. IOMMU pages are at
 * least 4K, so the bit is free.
 */
#define TCE_VIEW_VALID	1UL

/* TCEs between two points where another task may run. */
#define TCE_BATCH	64UL

/* PHB3 invalidates entry by entry, so a sparse range is cut into spans. */
#define TCE_KILL_SPAN	512UL

/*
 * A range under change. @tces holds the new TCEs until they are exchanged, the
 * old ones after that; a single entry is changed without an allocation.
 */
struct tce_range {
	struct iommu_table *tbl;
	const struct iommu_tce_backing *backing;
	struct mm_struct *mm;
	unsigned long entry;
	unsigned long npages;
	u64 *tces;
	u64 one;
};

static bool tce_writes(u64 tce)
{
	return tce & TCE_PCI_WRITE;
}

static u64 tce_hpa(u64 tce)
{
	return tce & ~(u64)TCE_PERM;
}

/* What may be written may be read: bridges read before they write a part. */
static u64 tce_perm(enum dma_data_direction dir)
{
	u64 perm = iommu_direction_to_tce_perm(dir);

	return perm & TCE_PCI_WRITE ? TCE_PERM : perm;
}

static void tce_put(struct tce_range *range, u64 tce, unsigned long ua)
{
	range->backing->put(range->mm, ua, tce_hpa(tce), tce_writes(tce));
}

/* Exchanges one TCE; *@tce is the new one and becomes the old one. */
static int tce_xchg(struct iommu_table *tbl, unsigned long entry, u64 *tce)
{
	enum dma_data_direction dir = iommu_tce_direction(*tce);
	unsigned long hpa = tce_hpa(*tce);
	int ret;

	ret = tbl->it_ops->xchg_no_kill(tbl, entry, &hpa, &dir);
	if (!ret)
		*tce = hpa | iommu_direction_to_tce_perm(dir);
	return ret;
}

static void tce_kill(struct iommu_table *tbl, unsigned long entry,
		     unsigned long npages)
{
	if (npages && tbl->it_ops->tce_kill)
		tbl->it_ops->tce_kill(tbl, entry, npages);
}

static void tce_resched(unsigned long i)
{
	if (!(i % TCE_BATCH))
		cond_resched();
}

static int tce_range_alloc(struct tce_range *range)
{
	range->tces = &range->one;
	if (range->npages == 1)
		return 0;

	range->tces = kvmalloc_array(range->npages, sizeof(*range->tces),
				     GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	return range->tces ? 0 : -ENOMEM;
}

static void tce_range_free(struct tce_range *range)
{
	if (range->tces != &range->one)
		kvfree(range->tces);
}

/* Gives back what tce_range_get() took for the first @npages entries. */
static void tce_range_unget(struct tce_range *range, unsigned long ua,
			    unsigned long npages)
{
	unsigned long i;

	for (i = 0; i < npages; i++) {
		tce_put(range, range->tces[i],
			ua + (i << range->tbl->it_page_shift));
		tce_resched(i);
	}
}

/* Fills the range with new TCEs, each with a reference on its memory. */
static int tce_range_get(struct tce_range *range, unsigned long ua, u64 perm)
{
	unsigned int shift = range->tbl->it_page_shift;
	unsigned long hpa, i = 0;
	long n;

	while (i < range->npages) {
		n = range->backing->get(range->mm, ua + (i << shift),
					(range->npages - i) << shift, shift,
					tce_writes(perm), &hpa);
		if (n < 0) {
			tce_range_unget(range, ua, i);
			return n;
		}
		for (; n; n--, i++, hpa += 1UL << shift)
			range->tces[i] = hpa | perm;
		cond_resched();
	}
	return 0;
}

/* Makes the view of the range present, so that writing it cannot fail. */
static int tce_range_prepare(struct tce_range *range)
{
	unsigned long i;

	for (i = 0; i < range->npages; i++) {
		if (!IOMMU_TABLE_USERSPACE_ENTRY(range->tbl, range->entry + i))
			return -ENOMEM;
		tce_resched(i);
	}
	return 0;
}

/*
 * Writes the new TCEs and keeps the old ones in their place. If that fails the
 * old ones are put back, and the new ones are in the range again.
 */
static int tce_range_exchange(struct tce_range *range)
{
	unsigned long i, done;
	int ret = 0;

	for (i = 0; i < range->npages && !ret; i++) {
		ret = tce_xchg(range->tbl, range->entry + i, &range->tces[i]);
		tce_resched(i);
	}
	if (!ret)
		return 0;

	/* the platform accepted the old ones before */
	done = i - 1;
	for (i = 0; i < done; i++)
		WARN_ON_ONCE(tce_xchg(range->tbl, range->entry + i,
				      &range->tces[i]));
	tce_kill(range->tbl, range->entry, done);
	return ret;
}

/* Lets go of what was mapped before; the view takes the new user addresses. */
static void tce_range_commit(struct tce_range *range, unsigned long ua)
{
	unsigned int shift = range->tbl->it_page_shift;
	unsigned long i, old;
	__be64 *view;

	for (i = 0; i < range->npages; i++) {
		view = IOMMU_TABLE_USERSPACE_ENTRY(range->tbl,
						   range->entry + i);
		old = be64_to_cpu(*view) & ~TCE_VIEW_VALID;
		*view = cpu_to_be64((ua + (i << shift)) | TCE_VIEW_VALID);
		if (range->tces[i] & TCE_PERM)
			tce_put(range, range->tces[i], old);
		tce_resched(i);
	}
}

/**
 * iommu_tce_map() - map user memory in a TCE table, in place of what was there
 * @tbl: a table in the hands of an external owner, with a view
 * @backing: where the memory comes from
 * @mm: whose memory it is
 * @entry: first entry, counted from bus address 0; the range is in the table
 * @ua: user address, a multiple of the IOMMU page
 * @npages: IOMMU pages, may be 0
 * @dir: what the device may do; not DMA_NONE. Writing includes reading.
 *
 * The range is mapped as a whole, or nothing has changed.
 *
 * Context: Process context, may sleep. The caller serialises calls on @tbl.
 * Return: 0; -ENOMEM; what @backing says to a page that cannot be mapped
 *	(-EINVAL for memory that is not registered, or smaller than the IOMMU
 *	page); the platform's error.
 */
int iommu_tce_map(struct iommu_table *tbl,
		  const struct iommu_tce_backing *backing,
		  struct mm_struct *mm, unsigned long entry, unsigned long ua,
		  unsigned long npages, enum dma_data_direction dir)
{
	struct tce_range range = {
		.tbl = tbl,
		.backing = backing,
		.mm = mm,
		.entry = entry,
		.npages = npages,
	};
	int ret;

	if (!npages)
		return 0;

	ret = tce_range_alloc(&range);
	if (ret)
		return ret;

	ret = tce_range_get(&range, ua, tce_perm(dir));
	if (ret)
		goto out_free;

	ret = tce_range_prepare(&range);
	if (ret)
		goto out_unget;

	ret = tce_range_exchange(&range);
	if (ret)
		goto out_unget;

	tce_kill(tbl, entry, npages);
	tce_range_commit(&range, ua);
	goto out_free;

out_unget:
	tce_range_unget(&range, ua, npages);
out_free:
	tce_range_free(&range);
	return ret;
}
EXPORT_SYMBOL_GPL(iommu_tce_map);

/* Entries to skip where a whole level of the view is absent. */
static unsigned long tce_absent(struct iommu_table *tbl, unsigned long entry)
{
	unsigned long level = tbl->it_indirect_levels ? tbl->it_level_size : 1;

	return level - ((entry - tbl->it_offset) & (level - 1));
}

/* What was cleared but is not yet out of the TCE cache. */
struct tce_batch {
	unsigned long n;
	unsigned long first;
	unsigned long last;
	u64 tce[TCE_BATCH];
	unsigned long ua[TCE_BATCH];
};

static void tce_batch_flush(struct tce_range *range, struct tce_batch *batch)
{
	unsigned long i;

	if (batch->n)
		tce_kill(range->tbl, batch->first,
			 batch->last - batch->first + 1);
	for (i = 0; i < batch->n; i++)
		tce_put(range, batch->tce[i], batch->ua[i]);
	batch->n = 0;
	cond_resched();
}

static int tce_clear(struct tce_range *range, unsigned long entry,
		     __be64 *view, struct tce_batch *batch)
{
	u64 tce = 0;
	int ret;

	if (batch->n == TCE_BATCH ||
	    (batch->n && entry - batch->first >= TCE_KILL_SPAN))
		tce_batch_flush(range, batch);

	ret = tce_xchg(range->tbl, entry, &tce);
	if (ret)
		return ret;

	if (tce & TCE_PERM) {
		if (!batch->n)
			batch->first = entry;
		batch->last = entry;
		batch->tce[batch->n] = tce;
		batch->ua[batch->n] = be64_to_cpu(*view) & ~TCE_VIEW_VALID;
		batch->n++;
	}
	*view = 0;
	return 0;
}

/**
 * iommu_tce_unmap() - clear a range of a TCE table
 * @tbl: a table in the hands of an external owner, with a view
 * @backing: where the memory in it came from
 * @mm: whose memory it is
 * @entry: first entry, counted from bus address 0; the range is in the table
 * @npages: entries, mapped or not
 *
 * When it returns 0 no device reaches memory through the range. An entry that
 * the platform refuses to clear stays as it is, with its reference; the others
 * are cleared.
 *
 * Context: Process context, may sleep; any process. The caller serialises
 *	calls on @tbl.
 * Return: 0, or the platform's first error.
 */
int iommu_tce_unmap(struct iommu_table *tbl,
		    const struct iommu_tce_backing *backing,
		    struct mm_struct *mm, unsigned long entry,
		    unsigned long npages)
{
	struct tce_range range = { .tbl = tbl, .backing = backing, .mm = mm };
	unsigned long end = entry + npages, i = 0;
	struct tce_batch batch = { };
	int err, ret = 0;
	__be64 *view;

	while (entry < end) {
		tce_resched(i++);
		view = IOMMU_TABLE_USERSPACE_ENTRY_RO(tbl, entry);
		if (!view) {
			entry += tce_absent(tbl, entry);
			continue;
		}
		if (*view) {
			err = tce_clear(&range, entry, view, &batch);
			if (err && !ret)
				ret = err;
		}
		entry++;
	}
	tce_batch_flush(&range, &batch);
	return ret;
}
EXPORT_SYMBOL_GPL(iommu_tce_unmap);

static void registered_put(struct mm_struct *mm, unsigned long ua,
			   unsigned long hpa, bool write)
{
	mm_iommu_unmap_run(mm, ua, hpa, 1);
}

/* Memory that its owner has registered: pinned already, counted per mapping. */
const struct iommu_tce_backing iommu_tce_registered = {
	.get = mm_iommu_map_run,
	.put = registered_put,
};
EXPORT_SYMBOL_GPL(iommu_tce_registered);
