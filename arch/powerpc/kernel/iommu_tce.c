// SPDX-License-Identifier: GPL-2.0
/*
 * TCE core: maps ranges of user memory in the TCE tables of external owners.
 *
 * A table owned by user space has a view, which keeps the memory behind each
 * TCE. A TCE, its view entry and the reference on the memory behind it belong
 * together, and all changes of them are made here, in this order:
 *
 * 1. Hold: everything is validated, every reference is taken, and all memory is
 *    allocated. No TCE was touched; the call fails here, or not at all except
 *    for a refusal of the platform.
 * 2. Exchange: under the lock of a view block the TCEs and the view change as
 *    one step. If a platform refuses, all is rolled back.
 * 3. Invalidate: the hardware TCE cache is invalidated for the range, once per
 *    call.
 * 4. Drop: only now, when no device can reach it, the references on the memory
 *    of the old TCEs are dropped.
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
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <asm/iommu.h>
#include <asm/iommu_tce.h>
#include <asm/mm_iommu.h>
#include <asm/tce.h>

#include "iommu_tce_view.h"

#define TCE_PERM	(TCE_PCI_READ | TCE_PCI_WRITE)

/* Maximum number of TCEs between two reschedule points. */
#define TCE_BLOCK	TCE_VIEW_ENTRIES

/* Writable implies readable: bridges read before they write a part. */
static u64 tce_perm(bool write)
{
	return write ? TCE_PERM : TCE_PCI_READ;
}

static void tce_kill(struct iommu_table *tbl, unsigned long entry,
		     unsigned long npages)
{
	if (!npages || !tbl->it_ops->tce_kill)
		return;

	/* it walks the groups of the table, one of which may be leaving */
	rcu_read_lock();
	tbl->it_ops->tce_kill(tbl, entry, npages);
	rcu_read_unlock();
}

/* Can only be reached by a refcount bug. */
static void tce_bad_view(void)
{
	pr_err_once("BUG: mm_iommu: a TCE of memory that is not mapped\n");
}

/*
 * A platform refused a TCE, the restore of the old one, and the clear. A device
 * may reach any of the memory concerned: none of it is ever unpinned.
 */
static void tce_lost(void)
{
	pr_err_once("mm_iommu: a TCE can neither be set nor cleared, its memory is lost\n");
}

/* Old mappings whose references are to be dropped together. */
struct tce_old {
	u64 cookie;
	unsigned long npages;
};

/*
 * Old mappings whose TCEs may still be in the cache, like struct mmu_gather.
 * When it is full it is flushed (invalidate, then drop), and filled again.
 */
struct tce_olds {
	struct iommu_table *tbl;
	unsigned long first;
	unsigned long end;
	unsigned int nr;
	unsigned int max;
	struct tce_old *old;
};

static void tce_drop(struct iommu_table *tbl, u64 cookie, unsigned long npages)
{
	const struct iommu_tce_view *owner = tbl->it_view;

	if (owner->backing->drop(owner->mm, cookie, npages))
		tce_bad_view();
}

static void olds_flush(struct tce_olds *olds)
{
	unsigned int i;

	tce_kill(olds->tbl, olds->first, olds->end - olds->first);
	olds->first = olds->end;
	for (i = 0; i < olds->nr; i++)
		tce_drop(olds->tbl, olds->old[i].cookie, olds->old[i].npages);
	olds->nr = 0;
}

/* Adds a range of TCEs to be invalidated. */
static void olds_touch(struct tce_olds *olds, unsigned long entry,
		       unsigned long npages)
{
	if (olds->first == olds->end)
		olds->first = entry;
	olds->end = entry + npages;
}

/* Returns the record of the entries that are dropped together with @cookie. */
static struct tce_old *olds_find(struct tce_olds *olds, u64 cookie, u64 alike)
{
	struct tce_old *old = olds->old + olds->nr - 1;

	if (olds->nr && !((old->cookie ^ cookie) & alike))
		return old;
	if (olds->nr == olds->max)
		olds_flush(olds);

	old = olds->old + olds->nr++;
	old->cookie = cookie;
	old->npages = 0;
	return old;
}

/*
 * Adds the first entry of a part of the view, and the following ones that are
 * dropped together with it.
 *
 * Return: number of entries, at least 1.
 */
static unsigned long olds_add(struct tce_olds *olds, const u64 *view,
			      unsigned long max)
{
	u64 first = *view, alike = olds->tbl->it_view->backing->alike;
	unsigned long n = 1;

	if (!first)
		return 1;
	/* it has the id, and unmapped entries are 0: they end the loop too */
	while (n < max && !((view[n] ^ first) & alike))
		n++;
	olds_find(olds, first, alike)->npages += n;
	return n;
}

/* Adds all entries of a part of the view. */
static void olds_add_all(struct tce_olds *olds, const u64 *view,
			 unsigned long n)
{
	unsigned long i;

	for (i = 0; i < n; )
		i += olds_add(olds, view + i, n - i);
}

/* Buffers for a long range, sized for the entries handled at a time. */
struct tce_scratch {
	struct tce_old old[64];
	u64 before[];
};

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

/*
 * Takes a part of the view, which the caller has read and is going to write,
 * out of its block.
 *
 * Return: number of entries that were mapped.
 */
static unsigned long block_take(struct iommu_table *tbl,
				struct tce_view_block *blk, const u64 *view,
				unsigned long n)
{
	unsigned long i, m, used = tce_view_used(blk);

	if (!blk->others) {
		m = block_count(blk, view, n);
		if (m)
			block_leave(tbl, blk, blk->home, m);
		return m;
	}
	for (i = 0; i < n; i += m) {
		/* unmapped entries have no id */
		for (m = 1; i + m < n; m++)
			if ((view[i + m] ^ view[i]) & MM_IOMMU_COOKIE_ID)
				break;
		if (view[i])
			block_leave(tbl, blk, view[i], m);
	}
	return used - tce_view_used(blk);
}

/*
 * Entries taken out of a block, for olds_add_taken(): all of one region, or
 * entry by entry.
 */
struct tce_taken {
	u64 home;
	unsigned long npages;
	unsigned long n;
	u64 *before;
};

/* Takes entries out of a block, and records them to be dropped. */
static void block_take_olds(struct iommu_table *tbl, struct tce_view_block *blk,
			    const u64 *view, unsigned long n,
			    struct tce_taken *taken)
{
	taken->home = blk->home;
	taken->n = blk->others ? n : 0;
	memcpy(taken->before, view, taken->n * sizeof(*view));
	taken->npages = block_take(tbl, blk, view, n);
}

static void olds_add_taken(struct tce_olds *olds, const struct tce_taken *taken)
{
	u64 alike = olds->tbl->it_view->backing->alike;

	if (taken->n)
		olds_add_all(olds, taken->before, taken->n);
	else if (taken->npages)
		olds_find(olds, taken->home, alike)->npages += taken->npages;
}

struct tce_unmap {
	struct tce_olds olds;
	unsigned long max;		/* entries of @before */
	u64 *before;
	struct tce_scratch *scratch;
	struct tce_old few_old[2];
	u64 few_before[8];
};

static void unmap_alloc(struct tce_unmap *unmap, unsigned long npages)
{
	unmap->olds.old = unmap->few_old;
	unmap->olds.max = ARRAY_SIZE(unmap->few_old);
	unmap->before = unmap->few_before;
	unmap->max = ARRAY_SIZE(unmap->few_before);
	if (npages <= unmap->max)
		return;

	/* must not fail: without memory it only takes longer */
	unmap->scratch = kmalloc(struct_size(unmap->scratch, before, TCE_BLOCK),
				 GFP_KERNEL | __GFP_NOWARN);
	if (!unmap->scratch)
		return;
	unmap->olds.old = unmap->scratch->old;
	unmap->olds.max = ARRAY_SIZE(unmap->scratch->old);
	unmap->before = unmap->scratch->before;
	unmap->max = TCE_BLOCK;
}

/*
 * Clears entries of a block, from the first to the last that is mapped, and
 * records their view.
 *
 * Return: number of entries from *@entry on, which is moved to the first; or
 * -errno.
 */
static long unmap_clear(struct iommu_table *tbl, struct tce_view_block *blk,
			unsigned long *entry, unsigned long n,
			struct tce_taken *taken)
{
	u64 *view = blk->entry + (*entry - tbl->it_offset) % TCE_BLOCK;
	int ret;

	while (n && !*view) {
		view++;
		(*entry)++;
		n--;
	}
	while (n && !view[n - 1])
		n--;
	if (!n)
		return 0;

	ret = tbl->it_ops->clear_tces(tbl, *entry, n);
	if (ret)
		return ret;
	block_take_olds(tbl, blk, view, n, taken);
	memset(view, 0, n * sizeof(*view));
	return n;
}

static int unmap_block(struct tce_unmap *unmap, unsigned long entry,
		       unsigned long n)
{
	struct iommu_table *tbl = unmap->olds.tbl;
	unsigned long block = (entry - tbl->it_offset) / TCE_BLOCK;
	struct tce_taken taken = { .before = unmap->before };
	struct tce_view_block *blk;
	long cleared = 0;

	blk = tce_view_lock(tbl->it_view, block);
	if (blk && tce_view_used(blk))
		cleared = unmap_clear(tbl, blk, &entry, n, &taken);
	tce_view_unlock(tbl->it_view, block);
	if (cleared <= 0)
		return cleared;

	olds_touch(&unmap->olds, entry, cleared);
	olds_add_taken(&unmap->olds, &taken);
	return 0;
}

static noinline int tce_unmap_range(struct iommu_table *tbl,
				    unsigned long entry, unsigned long npages)
{
	struct tce_unmap unmap = { .olds = { .tbl = tbl } };
	unsigned long i = entry - tbl->it_offset, end = i + npages, n, block;
	int err, ret = 0;

	unmap_alloc(&unmap, npages);
	while (i < end) {
		block = i / TCE_BLOCK;
		n = tce_view_next(tbl->it_view, block);
		if (n != block) {
			i = n * TCE_BLOCK;
			continue;
		}
		n = min3(end - i, TCE_BLOCK - i % TCE_BLOCK, unmap.max);
		err = unmap_block(&unmap, i + tbl->it_offset, n);
		if (err && !ret)
			ret = err;
		i += n;
		cond_resched();
	}
	olds_flush(&unmap.olds);
	kfree(unmap.scratch);
	return ret;
}

/*
 * Memory held for a part of a range; @cookie is 0 if the part is to be cleared.
 */
struct tce_held {
	u64 cookie;
	unsigned long npages;
};

/*
 * A range of entries that is being mapped. @before is the old view, entry by
 * entry, of the first @done pages if the platform may refuse, else of one
 * block; @list has the TCEs of one block, as the platform takes them.
 */
struct tce_map {
	struct iommu_table *tbl;
	unsigned long entry;
	unsigned long npages;
	struct tce_held *held;
	unsigned int nr_held;
	unsigned int max_held;
	bool may_refuse;		/* so changes may be rolled back */
	bool lost;			/* some could not even be cleared */
	unsigned long *bad;		/* user address that cannot be held */
	unsigned long done;		/* entries whose view was exchanged */
	unsigned long replaced;		/* entries that were mapped before */
	struct tce_olds olds;
	struct tce_taken taken;		/* from the block written last */
	struct tce_scratch *scratch;
	__be64 *list;
	struct tce_held few;
};

/* Returns the TCE for an entry of the view. */
static __be64 tce_of_view(struct iommu_table *tbl, u64 cookie)
{
	const struct iommu_tce_view *owner = tbl->it_view;
	__be64 tce = 0;

	if (cookie)
		owner->backing->translate(owner->mm, cookie, 1,
					  tbl->it_page_shift,
					  tce_perm(cookie &
						   MM_IOMMU_COOKIE_WRITE),
					  &tce);
	return tce;
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
		tce_lost();
	return min(ret, 0);
}

static const struct iommu_tce_backing *map_backing(const struct tce_map *map)
{
	return map->tbl->it_view->backing;
}

static unsigned int map_shift(const struct tce_map *map)
{
	return map->tbl->it_page_shift;
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

/* Platforms that serve hypercalls on the fast path cannot refuse. */
static bool tce_may_refuse(const struct iommu_table *tbl)
{
	return !tbl->it_ops->realmode;
}

/**
 * iommu_tce_map_bytes() - memory used to map a range
 * @tbl: the table
 * @npages: IOMMU pages in the range
 *
 * Bounded: @npages of registered memory were held. If the platform cannot
 * refuse, it does not depend on @npages. The list of held memory is extra: an
 * entry for each run of registered memory, or for each page of unregistered
 * memory.
 *
 * Context: Any.
 * Return: bytes.
 */
size_t iommu_tce_map_bytes(const struct iommu_table *tbl, unsigned long npages)
{
	struct tce_scratch *scratch;

	if (!tce_may_refuse(tbl))
		npages = min(npages, TCE_BLOCK);
	return struct_size(scratch, before, npages);
}

static int map_alloc(struct tce_map *map)
{
	/* hypervisors take lists that do not cross 4K */
	map->list = kmalloc(SZ_4K, GFP_KERNEL);
	map->scratch = kvmalloc(iommu_tce_map_bytes(map->tbl, map->npages),
				GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!map->list || !map->scratch)
		return -ENOMEM;
	map->olds.old = map->scratch->old;
	map->olds.max = ARRAY_SIZE(map->scratch->old);
	return 0;
}

static void map_free(struct tce_map *map)
{
	if (map->held != &map->few)
		kvfree(map->held);
	kvfree(map->scratch);
	kfree(map->list);
}

static int map_grow_held(struct tce_map *map)
{
	unsigned int max = max(16U, 2 * map->max_held);
	struct tce_held *held;

	held = kvmalloc_array(max, sizeof(*held), GFP_KERNEL_ACCOUNT |
			      __GFP_NOWARN);
	if (!held)
		return -ENOMEM;
	memcpy(held, map->held, map->nr_held * sizeof(*held));
	if (map->held != &map->few)
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

/* Takes a reference for every page of a part of the range. */
static int map_hold_part(struct tce_map *map, unsigned long ua,
			 unsigned long npages, bool write)
{
	unsigned int shift = map_shift(map);
	struct mm_iommu_held held;
	long n;

	for (; npages; npages -= n, ua += n << shift) {
		if (map->nr_held == map->max_held) {
			n = map_grow_held(map);
			if (n)
				return n;
		}
		n = map_backing(map)->hold(map->tbl->it_view->mm, ua, npages,
					   shift, write, &held);
		if (n < 0 && map->bad)
			*map->bad = held.bad;
		if (n < 0)
			return n;
		map->held[map->nr_held++] = (struct tce_held){
			.cookie = held.cookie,
			.npages = n,
		};
		cond_resched();
	}
	return 0;
}

/* Adds a part of the range that is to be cleared. */
static int map_hold_nothing(struct tce_map *map, unsigned long npages)
{
	int ret;

	if (map->nr_held == map->max_held) {
		ret = map_grow_held(map);
		if (ret)
			return ret;
	}
	map->held[map->nr_held++] = (struct tce_held){ .npages = npages };
	return 0;
}

/* Holds the memory for @wants, in units of 2^@order entries. */
static int map_hold(struct tce_map *map, const struct iommu_tce_want *wants,
		    unsigned int nr, unsigned int order)
{
	unsigned long npages;
	unsigned int i;
	int ret;

	for (i = 0; i < nr; i++) {
		npages = wants[i].npages << order;
		if (wants[i].clear)
			ret = map_hold_nothing(map, npages);
		else
			ret = map_hold_part(map, wants[i].ua, npages,
					    wants[i].write);
		if (ret)
			return ret;
		map->npages += npages;
	}
	return 0;
}

/* Allocates everything that the exchange needs. */
static int map_prepare(struct tce_map *map)
{
	struct iommu_table *tbl = map->tbl;
	unsigned long i;
	int ret = 0;

	if (tbl->it_ops->prepare)
		ret = tbl->it_ops->prepare(tbl, map->entry, map->npages);
	for (i = 0; i < map->npages && !ret; i += map_block(map, i)) {
		ret = tce_view_prepare(tbl->it_view,
				       map_index(map, i) / TCE_BLOCK);
		cond_resched();
	}
	return ret;
}

/* Position in the held memory of a range that is being written. */
struct tce_cursor {
	unsigned int held;
	unsigned long used;
};

/*
 * Returns the pages left in the current piece, at most @max, and moves past
 * them.
 */
static unsigned long cursor_step(const struct tce_map *map,
				 struct tce_cursor *at, unsigned long max)
{
	unsigned long n = min(map->held[at->held].npages - at->used, max);

	at->used += n;
	if (at->used == map->held[at->held].npages) {
		at->used = 0;
		at->held++;
	}
	return n;
}

static void cursor_move(const struct tce_map *map, struct tce_cursor *at,
			unsigned long n)
{
	unsigned long k;

	for (k = 0; k < n; )
		k += cursor_step(map, at, n - k);
}

/*
 * Returns the view entry of the page at the cursor, and the increment to the
 * next.
 */
static u64 map_cookie(const struct tce_map *map, const struct tce_cursor *at,
		      u64 *step)
{
	const struct tce_held *held = &map->held[at->held];

	*step = 0;
	if (held->cookie)
		*step = mm_iommu_cookie_step(BIT_ULL(map_shift(map)));
	return held->cookie + at->used * *step;
}

/* Fills the list with the TCEs of @n pages from the cursor on. */
static void map_fill(struct tce_map *map, struct tce_cursor at, unsigned long n)
{
	const struct iommu_tce_view *owner = map->tbl->it_view;
	u64 cookie, step, perm;
	unsigned long k, m;

	for (k = 0; k < n; k += m) {
		cookie = map_cookie(map, &at, &step);
		perm = tce_perm(cookie & MM_IOMMU_COOKIE_WRITE);
		m = cursor_step(map, &at, n - k);
		if (cookie)
			owner->backing->translate(owner->mm, cookie, m,
						  map_shift(map), perm,
						  map->list + k);
		else
			memset(map->list + k, 0, m * sizeof(*map->list));
	}
}

/* Takes old entries out of their block, to be restored or to be dropped. */
static void map_take(struct tce_map *map, struct tce_view_block *blk,
		     const u64 *view, unsigned long i, unsigned long n)
{
	u64 *before = map->scratch->before;

	if (!map->may_refuse) {
		map->taken.before = before;
		block_take_olds(map->tbl, blk, view, n, &map->taken);
		return;
	}
	if (tce_view_used(blk))
		memcpy(before + i, view, n * sizeof(*view));
	else
		memset(before + i, 0, n * sizeof(*view));
	map->replaced += block_take(map->tbl, blk, view, n);
}

/*
 * Writes the view of @n pages and records the old one. noinline: inlined, its
 * loop would run out of registers.
 */
static noinline void map_exchange(struct tce_map *map,
				  struct tce_view_block *blk,
				  struct tce_cursor at, unsigned long i,
				  unsigned long n)
{
	u64 *view = blk->entry + map_index(map, i) % TCE_BLOCK, *end;
	unsigned long k, m;
	u64 cookie, step;

	map_take(map, blk, view, i, n);
	for (k = 0; k < n; k += m) {
		cookie = map_cookie(map, &at, &step);
		m = cursor_step(map, &at, n - k);
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
			 struct tce_cursor at, unsigned long i, unsigned long n)
{
	u64 *view = blk->entry + map_index(map, i) % TCE_BLOCK, *end;
	u64 *before = map->scratch->before + i;
	unsigned long k, m;
	u64 cookie, step;

	for (k = 0; k < n; k += m) {
		cookie = map_cookie(map, &at, &step);
		m = cursor_step(map, &at, n - k);
		for (end = view + m; view < end;
		     view++, before++, cookie += step) {
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
 * platform refuses are left without a TCE.
 */
static void map_rewrite(struct tce_map *map, const struct tce_view_block *blk,
			unsigned long i, unsigned long n)
{
	const u64 *view = blk->entry + map_index(map, i) % TCE_BLOCK;
	struct iommu_table_ops *ops = map->tbl->it_ops;
	unsigned long k, empty = 0;

	for (k = 0; k < n; k++) {
		empty += !view[k];
		map->list[k] = tce_of_view(map->tbl, view[k]);
	}
	if ((empty == n ||
	     ops->set_tces(map->tbl, map->entry + i, n, map->list)) &&
	    ops->clear_tces(map->tbl, map->entry + i, n))
		map->lost = true;
}

/*
 * Rolls back the blocks before the refused one, which was rolled back already.
 */
static void map_undo(struct tce_map *map)
{
	struct iommu_tce_view *view = map->tbl->it_view;
	struct tce_cursor at = { };
	struct tce_view_block *blk;
	unsigned long i, n, block;

	for (i = 0; i < map->done; i += n) {
		n = map_block(map, i);
		block = map_index(map, i) / TCE_BLOCK;
		blk = tce_view_lock(view, block);
		/*
		 * closing a table clears it; the platform may not know it any
		 * more
		 */
		if (blk && !READ_ONCE(view->closed)) {
			map_put_back(map, blk, at, i, n);
			map_rewrite(map, blk, i, n);
		}
		tce_view_unlock(view, block);
		cursor_move(map, &at, n);
		cond_resched();
	}
}

/* Maps the part of the range that is in one block. */
static int map_write_block(struct tce_map *map, struct tce_cursor at,
			   unsigned long i, unsigned long n)
{
	unsigned long block = map_index(map, i) / TCE_BLOCK;
	struct iommu_tce_view *view = map->tbl->it_view;
	struct tce_view_block *blk;
	int ret;

	map_fill(map, at, n);
	blk = tce_lock_block(map->tbl, block);
	if (IS_ERR(blk))
		return PTR_ERR(blk);
	ret = map->tbl->it_ops->set_tces(map->tbl, map->entry + i, n,
					 map->list);
	if (ret)
		/* some of them may have been written */
		map_rewrite(map, blk, i, n);
	else
		map_exchange(map, blk, at, i, n);
	tce_view_unlock(view, block);
	olds_touch(&map->olds, map->entry + i, n);
	return ret;
}

static int map_write(struct tce_map *map)
{
	struct tce_cursor at = { };
	unsigned long i, n;
	int ret;

	for (i = 0; i < map->npages; i += n) {
		n = map_block(map, i);
		ret = map_write_block(map, at, i, n);
		if (ret)
			return ret;
		if (!map->may_refuse)
			olds_add_taken(&map->olds, &map->taken);
		cursor_move(map, &at, n);
		cond_resched();
	}
	return 0;
}

/* Drops the references of the old mappings, or of those rolled back. */
static void map_drop_before(struct tce_map *map)
{
	unsigned long i, n;

	for (i = 0; i < map->done; i += n) {
		n = map_block(map, i);
		olds_add_all(&map->olds, map->scratch->before + i, n);
		cond_resched();
	}
}

static void map_init(struct tce_map *map, struct iommu_table *tbl,
		     unsigned long entry)
{
	*map = (struct tce_map){
		.tbl = tbl,
		.entry = entry,
		.held = &map->few,
		.max_held = 1,
		.may_refuse = tce_may_refuse(tbl),
		.olds.tbl = tbl,
	};
}

/* Step 1: all that may fail, except for the platform. */
static int map_begin(struct tce_map *map, const struct iommu_tce_want *wants,
		     unsigned int nr, unsigned int order)
{
	int ret;

	ret = map_hold(map, wants, nr, order);
	if (ret)
		goto err_unhold;

	ret = map_alloc(map);
	if (ret)
		goto err_unhold;

	ret = map_prepare(map);
	if (ret)
		goto err_unhold;
	return 0;

err_unhold:
	map_unhold(map);
	map_free(map);
	return ret;
}

/* The held memory must stay, because devices may reach it permanently. */
static void map_lose(struct tce_map *map)
{
	const struct iommu_tce_backing *backing = map_backing(map);
	unsigned int i;

	tce_lost();
	for (i = 0; backing->lose && i < map->nr_held; i++)
		if (map->held[i].cookie)
			backing->lose(map->held[i].cookie, map->held[i].npages,
				      map_shift(map));
}

/*
 * Steps 2 to 4. If a platform refuses contrary to its promise, or the table is
 * closed during the call, the entries mapped so far are cleared.
 */
static int map_commit(struct tce_map *map)
{
	int ret = map_write(map);

	if (ret && map->may_refuse)
		map_undo(map);
	/* even a platform that has refused may have written some of them */
	if (map->may_refuse && !map->lost && (ret || map->replaced))
		map_drop_before(map);
	olds_flush(&map->olds);
	/* closing a table clears it, and others may have mapped there since */
	if (ret && ret != -ENXIO && !map->may_refuse)
		tce_unmap_range(map->tbl, map->entry, map->done);

	if (map->lost)
		map_lose(map);
	else if (ret)
		map_unhold(map);
	map_free(map);
	return ret;
}

static noinline int tce_map_range(struct iommu_table *tbl, unsigned long entry,
				  unsigned long ua, unsigned long npages,
				  bool write, unsigned long *bad)
{
	struct iommu_tce_want want = {
		.ua = ua,
		.npages = npages,
		.write = write,
	};
	struct tce_map map;
	int ret;

	map_init(&map, tbl, entry);
	map.bad = bad;
	ret = map_begin(&map, &want, 1, 0);
	return ret ? : map_commit(&map);
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
		ret = tce_put_page(tbl, entry, ua, tce_perm(write));
	if (ret != -EAGAIN)
		return ret;
	return tce_map_range(tbl, entry, ua, npages, write, bad);
}
EXPORT_SYMBOL_GPL(iommu_tce_map);

/**
 * iommu_tce_begin() - prepare to map a list of memory
 * @tbl: a table that is bound to its owner
 * @entry: first entry, counted from bus address 0; the range is in the table
 * @wants: memory to map, part by part
 * @nr: number of parts, more than 0
 * @order: log2 of the entries in a page of @wants
 *
 * Does everything that can fail, except for a refusal of the platform: memory
 * that is mapped in several tables should be mapped in all or in none.
 *
 * Context: Process context, may sleep. The caller keeps @tbl in place.
 * Return: the prepared range, for iommu_tce_commit() or iommu_tce_abort();
 *	ERR_PTR() of the errors of iommu_tce_map().
 */
struct tce_map *iommu_tce_begin(struct iommu_table *tbl, unsigned long entry,
				const struct iommu_tce_want *wants,
				unsigned int nr, unsigned int order)
{
	struct tce_map *map;
	int ret;

	map = kmalloc(sizeof(*map), GFP_KERNEL);
	if (!map)
		return ERR_PTR(-ENOMEM);

	map_init(map, tbl, entry);
	ret = map_begin(map, wants, nr, order);
	if (ret) {
		kfree(map);
		return ERR_PTR(ret);
	}
	return map;
}
EXPORT_SYMBOL_GPL(iommu_tce_begin);

/**
 * iommu_tce_commit() - map a range that iommu_tce_begin() prepared
 * @map: the prepared range; freed by the call
 *
 * Context: Process context, may sleep.
 * Return: 0; the platform's error, with nothing changed; -ENXIO if the table
 *	was closed. Unless the platform may refuse, a part of the old mappings
 *	may be gone then.
 */
int iommu_tce_commit(struct tce_map *map)
{
	int ret = map_commit(map);

	kfree(map);
	return ret;
}
EXPORT_SYMBOL_GPL(iommu_tce_commit);

/**
 * iommu_tce_abort() - cancel a prepared range
 * @map: the range that iommu_tce_begin() prepared; freed by the call
 *
 * Context: Process context, may sleep.
 */
void iommu_tce_abort(struct tce_map *map)
{
	map_unhold(map);
	map_free(map);
	kfree(map);
}
EXPORT_SYMBOL_GPL(iommu_tce_abort);

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
