// SPDX-License-Identifier: GPL-2.0
/*
 * TCE core: maps ranges of user memory in the TCE tables of external owners.
 *
 * A table owned by user space has a view, which keeps the memory behind each
 * TCE. A TCE, its view entry and the reference on the memory behind it belong
 * together, and all changes of them are made here, in the steps below.
 *
 * A view block has one reference for the entries of its home, see struct
 * tce_view_block. Here, on the way into a block and out of it, each page has a
 * reference of its own: surplus ones are dropped, or missing ones taken, under
 * the lock of the block.
 *
 * If a platform cannot refuse there is nothing to roll back, and no state is
 * kept for it.
 *
 * Calls on different ranges of a table may run concurrently; so may calls on
 * the same range, which are serialised for each block of it.
 *
 * The old content of an entry is known from the view alone: a hypervisor would
 * have to be asked with a call for each.
 */

/**
 * DOC: steps of a change
 *
 * 1. Hold: the whole range is validated, every reference is taken (by at most
 *    two atomic operations per region), and all memory is allocated: a fixed
 *    amount, or if the platform may fail, in proportion to the range. No TCE
 *    was touched; the call fails here, or only if the platform does.
 * 2. Exchange: TCEs and view are written together, block by block, under the
 *    lock of the block. References that the block has already are dropped. If
 *    the platform fails in the middle, all entries are restored.
 * 3. Invalidate: the range is invalidated in the TCE cache of the hardware,
 *    once, or whenever the list of old mappings is full.
 * 4. Drop: only now, when no device can reach it, the references on the memory
 *    of the old TCEs are dropped.
 */
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <asm/iommu.h>
#include <asm/iommu_tce.h>
#include <asm/mm_iommu.h>
#include <asm/tce.h>

#include "iommu_tce_view.h"

/* Maximum number of TCEs between two reschedule points. */
#define TCE_BLOCK	TCE_VIEW_ENTRIES

/* Old mappings that are gathered, and those of one more block. */
#define TCE_GATHER_MAX	(64 + TCE_BLOCK)

/*
 * A platform refused a TCE, the restore of the old one, and the clear. A device
 * may reach any of the memory concerned: none of it is ever unpinned.
 */
static void tce_leak(void)
{
	pr_err_once("mm_iommu: a TCE can neither be set nor cleared, its memory is lost\n");
}

/* References on pages of a region: @cookie is that of the first, or of any. */
struct tce_held {
	u64 cookie;
	unsigned long npages;
};

/*
 * Old mappings whose TCEs may still be in the cache, like struct mmu_gather.
 * @step entries at most are changed under one lock. If there is no room for all
 * of them in @old, which has @max elements, it is flushed before (invalidate,
 * then drop), and filled again.
 */
struct tce_gather {
	struct iommu_table *tbl;
	unsigned long first;
	unsigned long end;
	unsigned int nr;
	unsigned int max;
	unsigned long step;
	struct tce_held *old;
};

static void tce_drop(struct iommu_table *tbl, u64 cookie, unsigned long npages)
{
	const struct iommu_tce_view *owner = tbl->it_view;

	/* can only be reached by a refcount bug */
	if (owner->backing->drop(owner->mm, cookie, npages))
		pr_err_once("BUG: mm_iommu: a TCE of memory that is not mapped\n");
}

static void gather_flush(struct tce_gather *gather)
{
	struct iommu_table *tbl = gather->tbl;
	unsigned int i;

	if (gather->first != gather->end && tbl->it_ops->tce_kill) {
		/* it walks the groups of the table, one may be leaving */
		rcu_read_lock();
		tbl->it_ops->tce_kill(tbl, gather->first,
				      gather->end - gather->first);
		rcu_read_unlock();
	}
	gather->first = gather->end;
	for (i = 0; i < gather->nr; i++)
		tce_drop(tbl, gather->old[i].cookie, gather->old[i].npages);
	gather->nr = 0;
}

/* Makes room for the old mappings of the next @step entries. */
static void gather_reserve(struct tce_gather *gather)
{
	if (gather->max - gather->nr < gather->step)
		gather_flush(gather);
}

/* Adds a range of TCEs to be invalidated. */
static void gather_add_range(struct tce_gather *gather, unsigned long entry,
			     unsigned long npages)
{
	if (gather->first == gather->end)
		gather->first = entry;
	gather->end = entry + npages;
	gather_reserve(gather);
}

/* Adjusts the references of pages of a region to the need of their block. */
static void tce_count(struct iommu_table *tbl, u64 cookie, long more)
{
	const struct iommu_tce_view *owner = tbl->it_view;

	if (more)
		owner->backing->count(owner->mm, cookie, more);
}

/* Pages of a region, with a reference each, enter a block. */
static void block_enter(struct iommu_table *tbl, struct tce_view_block *blk,
			u64 cookie, unsigned long n)
{
	if (tbl->it_view->backing->count)
		tce_count(tbl, cookie, tce_view_enter(blk, cookie, n) - n);
	else
		blk->others += n;
}

/* They leave it, again with a reference each. */
static void block_leave(struct iommu_table *tbl, struct tce_view_block *blk,
			u64 cookie, unsigned long n)
{
	if (tbl->it_view->backing->count)
		tce_count(tbl, cookie, n - tce_view_leave(blk, cookie, n));
	else
		blk->others -= n;
}

/*
 * Records entries of a region to be dropped, and takes them out of their block;
 * without @blk they have left it already.
 */
static void gather_add(struct tce_gather *gather, struct tce_view_block *blk,
		       u64 cookie, unsigned long n)
{
	u64 alike = gather->tbl->it_view->backing->alike;
	struct tce_held *old = gather->old + gather->nr - 1;

	if (!gather->nr || (old->cookie ^ cookie) & alike) {
		old = gather->old + gather->nr++;
		*old = (struct tce_held){ .cookie = cookie };
	}
	old->npages += n;
	if (blk)
		block_leave(gather->tbl, blk, cookie, n);
}

/* Counts mapped entries in a part of a block that has one region only. */
static unsigned long block_count(const struct tce_view_block *blk,
				 const u64 *view, unsigned long n)
{
	unsigned long i, mapped = 0;

	if (n == TCE_BLOCK || !blk->homes)
		return blk->homes;
	for (i = 0; i < n; i++)
		mapped += !!view[i];
	return mapped;
}

/* Returns the number of entries from the first on that may be one record. */
static unsigned long view_alike(const u64 *view, unsigned long max, u64 alike)
{
	unsigned long n = 1;
	u64 first = *view;

	/* it has the id, so unmapped entries are not like others */
	while (n < max && !((view[n] ^ first) & alike))
		n++;
	return n;
}

/*
 * As gather_add(), for a part of the view, which the caller has read and is
 * going to write; or, without @blk, for a copy of it.
 */
static void gather_add_view(struct tce_gather *gather,
			    struct tce_view_block *blk, const u64 *view,
			    unsigned long n)
{
	u64 alike = gather->tbl->it_view->backing->alike;
	unsigned long m;

	if (blk && !blk->others) {
		m = block_count(blk, view, n);
		if (m)
			gather_add(gather, blk, blk->home, m);
		return;
	}
	for (; n; n -= m, view += m) {
		m = view_alike(view, n, alike);
		if (*view)
			gather_add(gather, blk, *view, m);
	}
}

/* Clears entries of a block, from the first to the last that is mapped. */
static int unmap_block(struct tce_gather *gather, unsigned long i,
		       unsigned long n)
{
	struct iommu_table *tbl = gather->tbl;
	unsigned long block = i / TCE_BLOCK;
	struct tce_view_block *blk;
	int ret = 0;
	u64 *view;

	blk = tce_view_lock(tbl->it_view, block);
	if (!blk || !tce_view_used(blk))
		goto out_unlock;

	view = blk->entry + i % TCE_BLOCK;
	for (; n && !*view; view++, i++)
		n--;
	while (n && !view[n - 1])
		n--;
	if (!n)
		goto out_unlock;

	ret = tbl->it_ops->clear_tces(tbl, i + tbl->it_offset, n);
	if (ret)
		goto out_unlock;
	gather_add_view(gather, blk, view, n);
	memset(view, 0, n * sizeof(*view));
	tce_view_unlock(tbl->it_view, block);
	gather_add_range(gather, i + tbl->it_offset, n);
	return 0;

out_unlock:
	tce_view_unlock(tbl->it_view, block);
	return ret;
}

static int tce_unmap_range(struct iommu_table *tbl, unsigned long entry,
			   unsigned long npages)
{
	unsigned long i = entry - tbl->it_offset, end = i + npages, n, block;
	struct tce_held on_stack[16], *many = NULL;
	struct tce_gather gather = {
		.tbl = tbl,
		.max = ARRAY_SIZE(on_stack),
		.step = ARRAY_SIZE(on_stack) / 2,
		.old = on_stack,
	};
	int err, ret = 0;

	/* must not fail: without memory it only takes longer */
	if (npages > gather.step)
		many = kmalloc_array(TCE_GATHER_MAX, sizeof(*many),
				     GFP_KERNEL | __GFP_NOWARN);
	if (many) {
		gather.max = TCE_GATHER_MAX;
		gather.step = TCE_BLOCK;
		gather.old = many;
	}

	while (i < end) {
		block = i / TCE_BLOCK;
		n = tce_view_next(tbl->it_view, block);
		if (n != block) {
			i = n * TCE_BLOCK;
			continue;
		}
		n = min3(end - i, TCE_BLOCK - i % TCE_BLOCK, gather.step);
		err = unmap_block(&gather, i, n);
		if (err && !ret)
			ret = err;
		i += n;
		cond_resched();
	}
	gather_flush(&gather);
	kfree(many);
	return ret;
}

/*
 * A range of entries that is being mapped. It is allocated in the size of a
 * power of two, so @list, the TCEs of one block, is aligned to 4K: hypervisors
 * take lists that do not cross 4K. If the platform may refuse, @before is the
 * old view, entry by entry, of the first @done pages; else it is NULL, and
 * nothing can be rolled back. A piece of @held has the cookie 0 if its entries
 * are to be cleared. @next is the next range of a list that is mapped as a
 * whole or not at all.
 */
struct tce_map {
	__be64 list[TCE_BLOCK];
	struct tce_held old[TCE_GATHER_MAX];
	struct tce_held inline_held[16];
	struct tce_map *next;
	struct iommu_table *tbl;
	unsigned long entry;
	unsigned long npages;
	struct tce_held *held;
	unsigned int nr_held;
	unsigned int max_held;
	u64 *before;
	bool replaced;			/* some were mapped before */
	bool leaked;			/* some could not even be cleared */
	unsigned long done;		/* entries whose view was exchanged */
	struct tce_gather gather;
};

/**
 * iommu_tce_fill() - get the TCEs of entries of the view
 * @tbl: a table that is bound to its owner
 * @cookie: the first entry; 0 if they are not mapped
 * @n: number of entries, all in one piece of memory
 * @tces: where to store the TCEs, in the format of the bridge
 *
 * Context: Any but NMI, in virtual mode. The caller keeps the memory held.
 */
void iommu_tce_fill(const struct iommu_table *tbl, u64 cookie, unsigned long n,
		    __be64 *tces)
{
	const struct iommu_tce_view *owner = tbl->it_view;
	u64 perm = iommu_tce_perm(cookie & MM_IOMMU_COOKIE_WRITE);
	u64 tce = iommu_tce_cookie_hpa(cookie) | perm;

	if (cookie && !owner->backing->translate) {
		for (; n; n--, tce += IOMMU_PAGE_SIZE(tbl))
			*tces++ = cpu_to_be64(tce);
		return;
	}
	/* it only fails if there is no such memory */
	if (!cookie ||
	    owner->backing->translate(owner->mm, cookie, n, tbl->it_page_shift,
				      perm, tces))
		memset(tces, 0, n * sizeof(*tces));
}

/*
 * Locks the block of an entry. The table was prepared before the block was
 * created, and the levels of a table stay, so if the block is present the table
 * is prepared by map_prepare(). Nothing is mapped in a closed table.
 */
static struct tce_view_block *tce_lock_block(struct iommu_table *tbl,
					     unsigned long block)
{
	struct tce_view_block *blk = tce_view_lock(tbl->it_view, block);

	if (!READ_ONCE(tbl->it_view->closed))
		return blk;
	tce_view_unlock(tbl->it_view, block);
	return ERR_PTR(-ENXIO);
}

/*
 * Maps or clears one page on the fast path, which needs no memory to be
 * allocated; or returns -EAGAIN with nothing changed.
 */
static inline int tce_put_page(struct iommu_table *tbl, unsigned long entry,
			       unsigned long ua, u64 perm)
{
	unsigned long flags;
	int ret;

	if (tbl->it_view->backing != &iommu_tce_registered)
		return -EAGAIN;
	local_irq_save(flags);
	ret = iommu_tce_fast_put(tbl, entry, ua, perm);
	local_irq_restore(flags);
	if (likely(ret == IOMMU_TCE_DONE || !ret))
		return 0;
	/* also after an error: see iommu_tce_fast_put() */
	mm_iommu_reap(tbl->it_view->mm);
	if (ret == -ENOTRECOVERABLE)
		tce_leak();
	return min(ret, 0);
}

static unsigned long map_index(const struct tce_map *map, unsigned long i)
{
	return map->entry + i - map->tbl->it_offset;
}

/* Entries from the i-th of the range on that are in the same block. */
static unsigned long map_block(const struct tce_map *map, unsigned long i)
{
	unsigned long place = map_index(map, i) % TCE_BLOCK;

	return min(TCE_BLOCK - place, map->npages - i);
}

static void map_free(struct tce_map *map)
{
	if (map->held != map->inline_held)
		kvfree(map->held);
	kvfree(map->before);
	kfree(map);
}

static int map_grow_held(struct tce_map *map)
{
	unsigned int max = 2 * map->max_held;
	struct tce_held *held;

	held = kvmalloc_array(max, sizeof(*held), GFP_KERNEL_ACCOUNT |
			      __GFP_NOWARN);
	if (!held)
		return -ENOMEM;
	memcpy(held, map->held, map->nr_held * sizeof(*held));
	if (map->held != map->inline_held)
		kvfree(map->held);
	map->held = held;
	map->max_held = max;
	return 0;
}

/* Drops the references of pages that are not in a view. */
static void map_unhold(struct tce_map *map)
{
	unsigned long n, told = map->done;
	struct tce_held *held;
	unsigned int i;

	for (i = 0; i < map->nr_held; i++) {
		held = &map->held[i];
		n = held->npages - min(told, held->npages);
		told -= held->npages - n;
		if (n && held->cookie)
			tce_drop(map->tbl,
				 held->cookie & ~MM_IOMMU_COOKIE_WRITE, n);
		cond_resched();
	}
}

/* Adds a part to the range: takes a reference for every page that it maps. */
static int map_hold(struct tce_map *map, const struct iommu_tce_seg *seg,
		    unsigned int order, unsigned long *bad)
{
	unsigned long left = seg->npages << order, ua = seg->ua;
	const struct iommu_tce_view *owner = map->tbl->it_view;
	unsigned int shift = map->tbl->it_page_shift;
	struct mm_iommu_held held = { };
	long n;

	for (; left; left -= n, ua += n << shift) {
		if (map->nr_held == map->max_held) {
			n = map_grow_held(map);
			if (n)
				return n;
		}
		n = left;
		if (!seg->clear)
			n = owner->backing->hold(owner->mm, ua, left, shift,
						 seg->write, &held);
		if (n < 0 && bad)
			*bad = held.bad;
		if (n < 0)
			return n;
		map->held[map->nr_held++] = (struct tce_held){
			.cookie = held.cookie,
			.npages = n,
		};
		map->npages += n;
		cond_resched();
	}
	return 0;
}

/* Allocates everything that the exchange needs. */
static int map_prepare(struct tce_map *map)
{
	struct iommu_table *tbl = map->tbl;
	unsigned long i;
	int ret = 0;

	/* platforms that serve hypercalls on the fast path cannot refuse */
	if (!tbl->it_ops->realmode) {
		/* bounded: so many pages of registered memory were held */
		map->before = kvcalloc(map->npages, sizeof(*map->before),
				       GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
		if (!map->before)
			return -ENOMEM;
	}
	if (tbl->it_ops->prepare)
		ret = tbl->it_ops->prepare(tbl, map->entry, map->npages);
	for (i = 0; i < map->npages && !ret; i += map_block(map, i)) {
		ret = tce_view_prepare(tbl->it_view,
				       map_index(map, i) / TCE_BLOCK);
		cond_resched();
	}
	return ret;
}

/*
 * Position in the held memory of a range, and the last step to it: the view
 * entry of its first page, and the increment to the next.
 */
struct tce_cursor {
	unsigned int held;
	unsigned long used;
	u64 cookie;
	u64 step;
};

/*
 * Moves past the pages left in the current piece, at most @max, and returns
 * their number.
 */
static unsigned long cursor_step(const struct tce_map *map,
				 struct tce_cursor *at, unsigned long max)
{
	const struct tce_held *held = &map->held[at->held];
	unsigned long n = min(held->npages - at->used, max);

	at->step = 0;
	if (held->cookie)
		at->step =
			mm_iommu_cookie_step(BIT_ULL(map->tbl->it_page_shift));
	at->cookie = held->cookie + at->used * at->step;
	at->used += n;
	if (at->used == held->npages) {
		at->used = 0;
		at->held++;
	}
	return n;
}

/* Fills the list with the TCEs of @n pages, and moves past them. */
static void map_fill(struct tce_map *map, struct tce_cursor *at,
		     unsigned long n)
{
	unsigned long k, m;

	for (k = 0; k < n; k += m) {
		m = cursor_step(map, at, n - k);
		iommu_tce_fill(map->tbl, at->cookie, m, map->list + k);
	}
}

/* Writes the view of @n pages and records the old one. */
static void map_exchange(struct tce_map *map, struct tce_view_block *blk,
			 struct tce_cursor at, unsigned long i, unsigned long n)
{
	u64 *view = blk->entry + map_index(map, i) % TCE_BLOCK, *end;
	unsigned long k, m;
	u64 cookie, step;

	if (map->before && tce_view_used(blk))
		memcpy(map->before + i, view, n * sizeof(*view));
	gather_add_view(&map->gather, blk, view, n);
	if (map->before) {
		/* they are in @before, and may be restored */
		map->replaced |= map->gather.nr;
		map->gather.nr = 0;
	}
	for (k = 0; k < n; k += m) {
		m = cursor_step(map, &at, n - k);
		cookie = at.cookie;
		step = at.step;
		if (cookie)
			block_enter(map->tbl, blk, cookie, m);
		for (end = view + m; view < end; cookie += step)
			*view++ = cookie;
	}
	map->done = i + n;
}

/*
 * Rolls back a block, except entries that were changed concurrently. On return
 * @before has the references to drop: our own entries, or the old ones where
 * our reference was taken over by a concurrent change.
 */
static void map_put_back(struct tce_map *map, struct tce_view_block *blk,
			 struct tce_cursor *at, unsigned long i,
			 unsigned long n)
{
	u64 *view = blk->entry + map_index(map, i) % TCE_BLOCK, *end;
	u64 *before = map->before + i;
	unsigned long k, m;
	u64 cookie;

	for (k = 0; k < n; k += m) {
		m = cursor_step(map, at, n - k);
		cookie = at->cookie;
		for (end = view + m; view < end;
		     view++, before++, cookie += at->step) {
			if (*view != cookie)
				continue;
			if (cookie)
				block_leave(map->tbl, blk, cookie, 1);
			swap(*view, *before);
			if (*view)
				block_enter(map->tbl, blk, *view, 1);
		}
	}
}

/*
 * Writes the TCEs of a part of a block according to its view. Entries that the
 * platform refuses are left without a TCE. If nothing is mapped it is cleared:
 * a hypervisor may count TCEs of 0 in a list as mapped pages.
 */
static void map_rewrite(struct tce_map *map, const struct tce_view_block *blk,
			unsigned long i, unsigned long n)
{
	const u64 *view = blk->entry + map_index(map, i) % TCE_BLOCK;
	struct iommu_table *tbl = map->tbl;
	unsigned long k;
	u64 mapped = 0;

	for (k = 0; k < n; k++) {
		mapped |= view[k];
		iommu_tce_fill(tbl, view[k], 1, map->list + k);
	}
	if (mapped &&
	    !tbl->it_ops->set_tces(tbl, map->entry + i, n, map->list))
		return;
	if (tbl->it_ops->clear_tces(tbl, map->entry + i, n))
		map->leaked = true;
}

/*
 * Rolls back the blocks before the refused one, which was rolled back already.
 */
static void map_undo(struct tce_map *map)
{
	struct tce_cursor at = { };
	struct tce_view_block *blk;
	unsigned long i, n, block;

	for (i = 0; i < map->done; i += n) {
		n = map_block(map, i);
		block = map_index(map, i) / TCE_BLOCK;
		blk = tce_lock_block(map->tbl, block);
		/*
		 * closing a table clears it; the platform may not know it any
		 * more
		 */
		if (IS_ERR(blk))
			break;
		map_put_back(map, blk, &at, i, n);
		map_rewrite(map, blk, i, n);
		tce_view_unlock(map->tbl->it_view, block);
		cond_resched();
	}
}

/* Maps the next part of the range, which is in one block. */
static int map_write_block(struct tce_map *map, struct tce_cursor *at)
{
	unsigned long i = map->done, n = map_block(map, i);
	unsigned long block = map_index(map, i) / TCE_BLOCK;
	struct iommu_table *tbl = map->tbl;
	struct tce_cursor first = *at;
	struct tce_view_block *blk;
	int ret;

	map_fill(map, at, n);
	blk = tce_lock_block(tbl, block);
	if (IS_ERR(blk))
		return PTR_ERR(blk);
	ret = tbl->it_ops->set_tces(tbl, map->entry + i, n, map->list);
	if (ret)
		/* some of them may have been written */
		map_rewrite(map, blk, i, n);
	else
		map_exchange(map, blk, first, i, n);
	tce_view_unlock(tbl->it_view, block);
	gather_add_range(&map->gather, map->entry + i, n);
	return ret;
}

static int map_write(struct tce_map *map)
{
	struct tce_cursor at = { };
	int ret = 0;

	while (map->done < map->npages && !ret) {
		ret = map_write_block(map, &at);
		cond_resched();
	}
	return ret;
}

/* Drops the references of the old mappings, or of those rolled back. */
static void map_drop_before(struct tce_map *map)
{
	unsigned long i, n;

	for (i = 0; i < map->done; i += n) {
		n = map_block(map, i);
		gather_add_view(&map->gather, NULL, map->before + i, n);
		gather_reserve(&map->gather);
		cond_resched();
	}
}

/* The held memory must stay, because devices may reach it permanently. */
static void map_lose(struct tce_map *map)
{
	const struct iommu_tce_backing *backing = map->tbl->it_view->backing;
	unsigned int i;

	tce_leak();
	for (i = 0; backing->lose && i < map->nr_held; i++)
		if (map->held[i].cookie)
			backing->lose(map->held[i].cookie, map->held[i].npages,
				      map->tbl->it_page_shift);
}

static struct tce_map *map_alloc(struct iommu_table *tbl, unsigned long entry)
{
	struct tce_map *map;

	map = kmalloc(roundup_pow_of_two(sizeof(*map)), GFP_KERNEL);
	if (!map)
		return NULL;

	/* all but the buffers */
	memset_startat(map, 0, next);
	map->tbl = tbl;
	map->entry = entry;
	map->held = map->inline_held;
	map->max_held = ARRAY_SIZE(map->inline_held);
	map->gather.tbl = tbl;
	map->gather.max = TCE_GATHER_MAX;
	map->gather.step = TCE_BLOCK;
	map->gather.old = map->old;
	return map;
}

/* Does all of a range that can fail; frees @map if it does. */
static int map_begin(struct tce_map *map, const struct iommu_tce_seg *segs,
		     unsigned int nr, unsigned int order, unsigned long *bad)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < nr && !ret; i++)
		ret = map_hold(map, &segs[i], order, bad);
	if (!ret)
		ret = map_prepare(map);
	if (ret)
		iommu_tce_abort(map);
	return ret;
}

/**
 * iommu_tce_begin() - prepare to map a list of memory
 * @maps: list of prepared ranges, NULL if it is empty; this one is added
 * @tbl: a table that is bound to its owner
 * @entry: first entry, counted from bus address 0; the range is in the table
 * @segs: memory to map, part by part
 * @nr: number of parts, more than 0
 * @order: log2 of the entries in a page of @segs
 *
 * Does everything that can fail, except for a refusal of the platform: memory
 * that is mapped in several tables should be mapped in all or in none.
 *
 * Context: Process context, may sleep. The caller keeps @tbl in place.
 * Return: 0, and the caller must call iommu_tce_commit() or iommu_tce_abort();
 *	the errors of iommu_tce_map(), with the list as it was.
 */
int iommu_tce_begin(struct tce_map **maps, struct iommu_table *tbl,
		    unsigned long entry, const struct iommu_tce_seg *segs,
		    unsigned int nr, unsigned int order)
{
	struct tce_map *map = map_alloc(tbl, entry);
	int ret;

	ret = map ? map_begin(map, segs, nr, order, NULL) : -ENOMEM;
	if (ret)
		return ret;
	while (*maps)
		maps = &(*maps)->next;
	*maps = map;
	return 0;
}
EXPORT_SYMBOL_GPL(iommu_tce_begin);

/*
 * Maps a prepared range, and frees it. If a platform refuses contrary to its
 * promise, or the table is closed during the call, the entries mapped so far
 * are cleared.
 */
static int map_commit(struct tce_map *map)
{
	int ret = map_write(map);

	if (ret && map->before)
		map_undo(map);
	/* even a platform that has refused may have written some of them */
	if (map->before && !map->leaked && (ret || map->replaced))
		map_drop_before(map);
	gather_flush(&map->gather);
	/* closing a table clears it, and others may have mapped there since */
	if (ret && ret != -ENXIO && !map->before)
		tce_unmap_range(map->tbl, map->entry, map->done);

	if (map->leaked)
		map_lose(map);
	else if (ret)
		map_unhold(map);
	map_free(map);
	return ret;
}

/**
 * iommu_tce_commit() - map the ranges that iommu_tce_begin() prepared
 * @maps: the prepared ranges, may be NULL; freed by the call
 *
 * Context: Process context, may sleep.
 * Return: 0; else the first error of a range; every range without an error is
 *	mapped: the platform's error, with nothing changed; -ENXIO if the table
 *	was closed. Unless the platform may refuse, a part of the old mappings
 *	of the range may be gone then.
 */
int iommu_tce_commit(struct tce_map *maps)
{
	struct tce_map *map;
	int err, ret = 0;

	while ((map = maps)) {
		maps = map->next;
		err = map_commit(map);
		ret = ret ? : err;
	}
	return ret;
}
EXPORT_SYMBOL_GPL(iommu_tce_commit);

/**
 * iommu_tce_abort() - cancel prepared ranges
 * @maps: the ranges that iommu_tce_begin() prepared, may be NULL; freed by the
 *	call
 *
 * Context: Process context, may sleep.
 */
void iommu_tce_abort(struct tce_map *maps)
{
	struct tce_map *map;

	while ((map = maps)) {
		maps = map->next;
		map_unhold(map);
		map_free(map);
	}
}
EXPORT_SYMBOL_GPL(iommu_tce_abort);

/* Not inlined, so a single page needs no segment and canary on the stack. */
static noinline int tce_map_range(struct iommu_table *tbl, unsigned long entry,
				  unsigned long ua, unsigned long npages,
				  bool write, unsigned long *bad)
{
	struct iommu_tce_seg seg = {
		.ua = ua,
		.npages = npages,
		.write = write,
	};
	struct tce_map *map = map_alloc(tbl, entry);
	int ret;

	ret = map ? map_begin(map, &seg, 1, 0, bad) : -ENOMEM;
	return ret ? : map_commit(map);
}

/**
 * iommu_tce_map() - map user memory in a TCE table, replacing old mappings
 * @tbl: a table that is bound to its owner
 * @entry: first entry, counted from bus address 0; the range is in the table
 * @ua: user address, a multiple of the IOMMU page size
 * @npages: IOMMU pages, may be 0
 * @write: whether the device may write, and not only read
 * @bad: where to store the user address of the first page that cannot be
 *	mapped, if the call fails because of it; else it is left alone; or NULL
 *
 * The range is mapped as a whole, or nothing has changed. Only concurrent calls
 * on the same range may see a part of it. If the table is closed, and the
 * platform cannot refuse, old mappings in a part of the range may be gone.
 *
 * Context: Process context, may sleep. The caller keeps @tbl in place.
 * Return: 0; -ENOMEM; the error of the backing for a page that cannot be mapped
 *	(-EINVAL for memory that is not registered, or smaller than the IOMMU
 *	page, -EFAULT for writing to read-only memory); the platform's error.
 */
int iommu_tce_map(struct iommu_table *tbl, unsigned long entry,
		  unsigned long ua, unsigned long npages, bool write,
		  unsigned long *bad)
{
	int ret = -EAGAIN;

	if (!npages)
		return 0;
	if (npages == 1)
		ret = tce_put_page(tbl, entry, ua, iommu_tce_perm(write));
	if (ret != -EAGAIN)
		return ret;
	return tce_map_range(tbl, entry, ua, npages, write, bad);
}
EXPORT_SYMBOL_GPL(iommu_tce_map);

/**
 * iommu_tce_unmap() - clear a range of a TCE table
 * @tbl: a table that is bound to its owner
 * @entry: first entry, counted from bus address 0; the range is in the table
 * @npages: entries, mapped or not
 *
 * After it returned 0 no device reaches memory through the range. Entries that
 * the platform refuses to clear stay as they are, with their references; the
 * others are cleared. Does nothing if nothing was mapped.
 *
 * Context: Process context, may sleep; any process. The caller keeps @tbl in
 *	place.
 * Return: 0, or the platform's first error.
 */
int iommu_tce_unmap(struct iommu_table *tbl, unsigned long entry,
		    unsigned long npages)
{
	int ret = -EAGAIN;

	if (npages == 1)
		ret = tce_put_page(tbl, entry, 0, 0);
	if (ret != -EAGAIN)
		return ret;
	return tce_unmap_range(tbl, entry, npages);
}
EXPORT_SYMBOL_GPL(iommu_tce_unmap);

/* Memory registered by its owner: pinned already, counted per mapping. */

const struct iommu_tce_backing iommu_tce_registered = {
	.hold = mm_iommu_hold,
	.translate = mm_iommu_translate,
	.count = mm_iommu_count,
	.drop = mm_iommu_drop,
	.alike = MM_IOMMU_COOKIE_ID,
};
EXPORT_SYMBOL_GPL(iommu_tce_registered);

/**
 * iommu_tce_is_owner() - check the owner of registered memory of a table
 * @tbl: a table
 * @mm: the mm
 *
 * Context: Any. The caller keeps @tbl in place.
 * Return: whether @mm may map its registered memory in the table.
 */
bool iommu_tce_is_owner(struct iommu_table *tbl, const struct mm_struct *mm)
{
	struct iommu_tce_view *view = READ_ONCE(tbl->it_view);

	/* pairs with smp_store_release() in iommu_tce_bind() */
	return view && mm && smp_load_acquire(&view->mm) == mm &&
	       view->backing == &iommu_tce_registered;
}
EXPORT_SYMBOL_GPL(iommu_tce_is_owner);
