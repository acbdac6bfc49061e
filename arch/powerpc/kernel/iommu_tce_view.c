// SPDX-License-Identifier: GPL-2.0
/*
 * Userspace view of a TCE table: keeps the memory behind each entry.
 *
 *	node[]               node[]               block
 *	+-------+            +-------+            +------------------+
 *	|     --|----------->|     --|----------->| home, 512 cookies|
 *	+-------+            +-------+            +------------------+
 *	| NULL  |            | NULL  |
 *	+-------+            +-------+
 *
 * A table may have 2^43 entries and hardly any mappings, so the view is a tree
 * that grows with the mappings. All of it lies in the linear map.
 *
 * A block is read and changed under its lock, which several blocks share. It is
 * allocated before the lock is taken, by the caller that is about to map. Nodes
 * and blocks stay until the table is freed, and are charged with it: drivers
 * map and unmap a page for each I/O, each time at another address.
 */
#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <asm/iommu.h>
#include <asm/mm_iommu.h>

#include "iommu_tce_view.h"

/* Of the blocks, and of the nodes, which are a little smaller. */
static struct kmem_cache *tce_view_cache;

/**
 * iommu_tce_view_create() - create the view of a table
 * @tbl: the table, not yet in use
 *
 * Context: Process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int iommu_tce_view_create(struct iommu_table *tbl)
{
	struct iommu_tce_view *view;
	unsigned int i;

	if (tbl->it_view)
		return 0;

	/*
	 * kmalloc aligns powers of two to their size, so the locks to cache
	 * lines
	 */
	view = kzalloc(roundup_pow_of_two(sizeof(*view)), GFP_KERNEL_ACCOUNT);
	if (!view)
		return -ENOMEM;

	view->blocks = DIV_ROUND_UP(tbl->it_size, TCE_VIEW_ENTRIES);
	view->levels = DIV_ROUND_UP(order_base_2(view->blocks), TCE_VIEW_SHIFT);
	for (i = 0; i < TCE_VIEW_LOCKS; i++)
		raw_spin_lock_init(&view->locks[i].lock);
	/* a group may have the table already: see iommu_tce_is_owner() */
	smp_store_release(&tbl->it_view, view);
	return 0;
}
EXPORT_SYMBOL_GPL(iommu_tce_view_create);

/**
 * iommu_tce_view_mapped() - count the mapped entries of a table
 * @tbl: the table
 *
 * Context: Process context, may sleep.
 * Return: entries, not exact during concurrent changes.
 */
unsigned long iommu_tce_view_mapped(struct iommu_table *tbl)
{
	struct iommu_tce_view *view = tbl->it_view;
	unsigned long i, sum = 0;

	if (!view)
		return 0;
	for (i = tce_view_next(view, 0); i < view->blocks;
	     i = tce_view_next(view, i + 1)) {
		sum += tce_view_used(tce_view_lock(view, i));
		tce_view_unlock(view, i);
		cond_resched();
	}
	return sum;
}
EXPORT_SYMBOL_GPL(iommu_tce_view_mapped);

/**
 * iommu_tce_view_walk() - visit all mappings of a table
 * @tbl: the table, with a view or without
 * @fn: callback, called with entry numbers counted from bus address 0: up to
 *	512 entries, of which the first and the last are mapped
 * @arg: for @fn
 *
 * @fn is called under the lock of the entries, so they do not change: it must
 * not sleep. Mappings made after the call has begun are visited or not.
 *
 * Context: Process context, may sleep.
 * Return: 0, or the first return value of @fn that was not 0.
 */
int iommu_tce_view_walk(struct iommu_table *tbl,
			int (*fn)(struct iommu_table *tbl, unsigned long index,
				  unsigned long npages, void *arg), void *arg)
{
	struct iommu_tce_view *view = tbl->it_view;
	unsigned long i, first, last;
	struct tce_view_block *blk;
	int ret = 0;

	if (!view)
		return 0;
	for (i = tce_view_next(view, 0); i < view->blocks && !ret;
	     i = tce_view_next(view, i + 1)) {
		blk = tce_view_lock(view, i);
		if (tce_view_used(blk)) {
			for (first = 0; !blk->entry[first]; first++)
				;
			for (last = TCE_VIEW_ENTRIES - 1; !blk->entry[last];
			     last--)
				;
			ret = fn(tbl, tbl->it_offset + i * TCE_VIEW_ENTRIES +
				 first, last - first + 1, arg);
		}
		tce_view_unlock(view, i);
		cond_resched();
	}
	return ret;
}

/**
 * iommu_tce_bind() - bind a table to the owner of the mapped memory
 * @tbl: a table with a view
 * @backing: source of the memory
 * @mm: owner of the memory
 * @locked: pages that the caller has added to locked_vm of @mm for the table
 *
 * The table may have other users than the one that was charged for it. The
 * charge is released when the last of them has put it.
 *
 * From here on KVM attaches a table of registered memory: the caller has set it
 * in all groups, and calls iommu_tce_close() before it puts it. If
 * iommu_tce_is_owner() returns true, all stores to the table before this call
 * are visible.
 *
 * Context: Process context, may sleep.
 */
void iommu_tce_bind(struct iommu_table *tbl,
		    const struct iommu_tce_backing *backing,
		    struct mm_struct *mm, unsigned long locked)
{
	struct iommu_tce_view *view = tbl->it_view;

	mmgrab(mm);
	view->backing = backing;
	view->locked = locked;
	/* pairs with smp_load_acquire() in iommu_tce_is_owner() */
	smp_store_release(&view->mm, mm);
}
EXPORT_SYMBOL_GPL(iommu_tce_bind);

/**
 * iommu_tce_view_sync() - wait for changes of the table in progress
 * @tbl: a table, with a view or without
 *
 * On return all changes that had begun are complete, and later ones see the
 * caller's stores before the call. That includes changes in real mode, which
 * RCU does not wait for.
 *
 * Context: Not in an interrupt.
 */
void iommu_tce_view_sync(struct iommu_table *tbl)
{
	struct iommu_tce_view *view = tbl->it_view;
	unsigned int i;

	if (!view)
		return;
	/* one by one: each lock only has to be taken once */
	for (i = 0; i < TCE_VIEW_LOCKS; i++) {
		raw_spin_lock(&view->locks[i].lock);
		raw_spin_unlock(&view->locks[i].lock);
	}
}

/**
 * iommu_tce_close() - stop mapping in a table
 * @tbl: a table with a view
 * @close: false to open it again
 *
 * On return no mapping is in progress, and later ones fail with -ENXIO. Others
 * may hold references on the table; its mappings can still be cleared.
 *
 * Context: Process context.
 */
void iommu_tce_close(struct iommu_table *tbl, bool close)
{
	WRITE_ONCE(tbl->it_view->closed, close);
	iommu_tce_view_sync(tbl);
}
EXPORT_SYMBOL_GPL(iommu_tce_close);

/**
 * iommu_tce_is_closed() - check whether a table is closed
 * @tbl: a table with a view
 *
 * Context: Any. The caller keeps @tbl in place.
 * Return: whether the last call of iommu_tce_close() closed it.
 */
bool iommu_tce_is_closed(struct iommu_table *tbl)
{
	return READ_ONCE(tbl->it_view->closed);
}
EXPORT_SYMBOL_GPL(iommu_tce_is_closed);

/* Frees a child of a level: a block, or a node and all below it. */
static void view_free(void *mem, unsigned int level)
{
	void **node = mem;
	unsigned int i;

	if (!mem)
		return;
	if (level) {
		for (i = 0; i < TCE_VIEW_CHILDREN; i++)
			view_free(node[i], level - 1);
		cond_resched();
	}
	kmem_cache_free(tce_view_cache, mem);
}

/**
 * iommu_tce_view_destroy() - free the view of a table
 * @tbl: the table; it has no other users
 *
 * Context: Process context, may sleep.
 */
void iommu_tce_view_destroy(struct iommu_table *tbl)
{
	struct iommu_tce_view *view = tbl->it_view;

	if (!view)
		return;
	WARN_ON_ONCE(iommu_tce_view_mapped(tbl));
	tbl->it_view = NULL;
	view_free(view->root, view->levels);
	if (view->mm) {
		/* the last drops of a change may not have been reaped */
		mm_iommu_reap(view->mm);
		account_locked_vm(view->mm, view->locked, false);
		mmdrop(view->mm);
	}
	kfree(view);
}
EXPORT_SYMBOL_GPL(iommu_tce_view_destroy);

/**
 * tce_view_prepare() - allocate a block if it is not present
 * @view: the view
 * @block: number of the block
 *
 * Context: Process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int tce_view_prepare(struct iommu_tce_view *view, unsigned long block)
{
	unsigned long level;
	void **child, *mem;

	while (!tce_view_find(view, block)) {
		mem = kmem_cache_zalloc(tce_view_cache, GFP_KERNEL_ACCOUNT);
		if (!mem)
			return -ENOMEM;
		/* zeroed before it becomes visible */
		child = tce_view_child(view, block, &level);
		if (cmpxchg(child, NULL, mem))
			kmem_cache_free(tce_view_cache, mem);
	}
	return 0;
}

/**
 * tce_view_next() - find the next block that exists
 * @view: the view
 * @block: number of a block
 *
 * Context: Any.
 * Return: the first block from @block on that exists, or any number beyond the
 *	last one.
 */
unsigned long tce_view_next(struct iommu_tce_view *view, unsigned long block)
{
	unsigned long level, shift;
	void **child;

	while (block < view->blocks) {
		child = tce_view_child(view, block, &level);
		if (!level && READ_ONCE(*child))
			break;
		/* nothing below this one */
		shift = level * TCE_VIEW_SHIFT;
		block = ((block >> shift) + 1) << shift;
	}
	return block;
}

static int __init tce_view_init(void)
{
	tce_view_cache = kmem_cache_create("iommu_tce_view",
					   sizeof(struct tce_view_block), 0,
					   SLAB_PANIC, NULL);
	return 0;
}
subsys_initcall(tce_view_init);
