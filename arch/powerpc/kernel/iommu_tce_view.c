// SPDX-License-Identifier: GPL-2.0
/*
 * Userspace view of a TCE table: what is behind each of its entries.
 *
 *	node[]               node[]               block
 *	+-------+            +-------+            +------------------+
 *	|     --|----------->|     --|----------->| home, 512 cookies|
 *	+-------+            +-------+            +------------------+
 *	| NULL  |            | NULL  |
 *	+-------+            +-------+
 *
 * A table may have 2^43 entries and next to no mappings, so the view is a tree
 * that grows where something is mapped. All of it lies in the linear map.
 *
 * A block is read and changed under its lock, which a few blocks share. It is
 * made before the lock is taken, by whoever is about to map something. Nodes
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

static struct kmem_cache *tce_view_blocks;

/**
 * iommu_tce_view_create() - give a table a view
 * @tbl: the table, not yet in use
 *
 * Context: Process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int iommu_tce_view_create(struct iommu_table *tbl)
{
	struct iommu_tce_view *view;
	unsigned int i, bits;

	if (tbl->it_view)
		return 0;

	/* kmalloc aligns powers of two to their size, thus locks to lines */
	view = kzalloc(roundup_pow_of_two(sizeof(*view)), GFP_KERNEL_ACCOUNT);
	if (!view)
		return -ENOMEM;

	view->blocks = DIV_ROUND_UP(tbl->it_size, TCE_VIEW_ENTRIES);
	bits = order_base_2(view->blocks);
	view->levels = DIV_ROUND_UP(bits, TCE_VIEW_SHIFT);
	view->shift = view->levels * TCE_VIEW_SHIFT;
	for (i = 0; i < TCE_VIEW_LOCKS; i++)
		raw_spin_lock_init(&view->locks[i].lock);
	/* A group may have the table already: see iommu_tce_is_owner() */
	smp_store_release(&tbl->it_view, view);
	return 0;
}
EXPORT_SYMBOL_GPL(iommu_tce_view_create);

/**
 * iommu_tce_view_mapped() - number of entries of a table that are mapped
 * @tbl: the table
 *
 * Context: Process context, may sleep.
 * Return: entries, not exact while somebody maps or unmaps.
 */
unsigned long iommu_tce_view_mapped(struct iommu_table *tbl)
{
	struct iommu_tce_view *view = tbl->it_view;
	struct tce_view_block *blk;
	unsigned long i, sum = 0;

	if (!view)
		return 0;
	for (i = tce_view_next(view, 0); i < view->blocks;
	     i = tce_view_next(view, i + 1)) {
		blk = tce_view_lock(view, i);
		if (blk)
			sum += tce_view_used(blk);
		tce_view_unlock(view, i);
		cond_resched();
	}
	return sum;
}
EXPORT_SYMBOL_GPL(iommu_tce_view_mapped);

/**
 * iommu_tce_view_walk() - visit all that is mapped in a table
 * @tbl: the table, with a view or without
 * @fn: what to call, with numbers of entries counted from bus address 0: up to
 *	512, of which the first and the last are mapped
 * @arg: for @fn
 *
 * @fn is called under the lock of the entries, so that nobody changes them: it
 * may not sleep. What is mapped after the call has begun is visited or not.
 *
 * Context: Process context, may sleep.
 * Return: 0, or what @fn returned first that was not 0.
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
		if (blk && tce_view_used(blk)) {
			for (first = 0; !blk->entry[first]; first++)
				;
			for (last = TCE_VIEW_ENTRIES - 1; !blk->entry[last]; last--)
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
 * iommu_tce_bind() - say whose memory is mapped in a table
 * @tbl: a table with a view
 * @backing: where the memory comes from
 * @mm: whose memory it is
 * @locked: pages that the caller has added to locked_vm of @mm for the table
 *
 * The table may have other users than the one that was charged for it. What it
 * costs is uncharged when the last of them has put it.
 *
 * From here on KVM attaches a table of registered memory: the caller has it in
 * all groups, and calls iommu_tce_close() before it puts it. Where
 * iommu_tce_is_owner() returns true, what was stored in the table before this
 * call is visible.
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

static void view_uncharge(struct iommu_tce_view *view)
{
	if (!view->mm)
		return;
	/* whatever was dropped last in a change that nobody came back from */
	mm_iommu_reap(view->mm);
	account_locked_vm(view->mm, view->locked, false);
	mmdrop(view->mm);
}

/**
 * iommu_tce_view_sync() - wait for those who are changing the table
 * @tbl: a table, with a view or without
 *
 * When it returns all changes that had begun are made, and those that follow
 * see what the caller has done before. That includes changes with the MMU off,
 * which RCU does not wait for.
 *
 * Context: Not in an interrupt.
 */
void iommu_tce_view_sync(struct iommu_table *tbl)
{
	struct iommu_tce_view *view = tbl->it_view;
	unsigned int i;

	if (!view)
		return;
	/* one after the other: all that counts is that each was taken */
	for (i = 0; i < TCE_VIEW_LOCKS; i++) {
		raw_spin_lock(&view->locks[i].lock);
		raw_spin_unlock(&view->locks[i].lock);
	}
}

/**
 * iommu_tce_close() - let nobody map in a table any more
 * @tbl: a table with a view
 * @close: false to open it again
 *
 * When it returns nobody is mapping, and whoever comes gets -ENXIO. Others may
 * hold references on the table; what is mapped in it can be cleared.
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
 * iommu_tce_is_closed() - whether a table was closed
 * @tbl: a table with a view
 *
 * Context: Any. The caller keeps @tbl in place.
 * Return: whether iommu_tce_close() was called last to close it.
 */
bool iommu_tce_is_closed(struct iommu_table *tbl)
{
	return READ_ONCE(tbl->it_view->closed);
}
EXPORT_SYMBOL_GPL(iommu_tce_is_closed);

static void view_free_level(void *mem, unsigned int level)
{
	struct tce_view_node *node = mem;
	unsigned int i;

	if (!mem)
		return;
	if (!level) {
		kmem_cache_free(tce_view_blocks, mem);
		return;
	}
	for (i = 0; i < TCE_VIEW_SLOTS; i++)
		view_free_level(node->slot[i], level - 1);
	kfree(node);
	cond_resched();
}

/**
 * iommu_tce_view_destroy() - take the view of a table away
 * @tbl: the table; nobody uses it any more
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
	view_free_level(view->root, view->levels);
	view_uncharge(view);
	kfree(view);
}
EXPORT_SYMBOL_GPL(iommu_tce_view_destroy);

static void *view_alloc_level(unsigned int level)
{
	if (!level)
		return kmem_cache_zalloc(tce_view_blocks, GFP_KERNEL_ACCOUNT);
	return kzalloc(sizeof(struct tce_view_node), GFP_KERNEL_ACCOUNT);
}

/**
 * tce_view_prepare() - make a block present
 * @view: the view
 * @block: number of the block
 *
 * Context: Process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int tce_view_prepare(struct iommu_tce_view *view, unsigned long block)
{
	unsigned int level = view->levels + 1;
	void **slot, *mem;

	if (tce_view_find(view, block))
		return 0;

	while (level--) {
		slot = tce_view_slot(view, block, level);
		if (READ_ONCE(*slot))
			continue;
		mem = view_alloc_level(level);
		if (!mem)
			return -ENOMEM;
		/* zeroed before it is seen */
		if (cmpxchg(slot, NULL, mem))
			view_free_level(mem, level);
	}
	return 0;
}

/**
 * tce_view_next() - find where the view goes on
 * @view: the view
 * @block: number of a block
 *
 * Context: Any.
 * Return: the first block from @block on that may exist, or any number beyond
 *	the last one.
 */
unsigned long tce_view_next(struct iommu_tce_view *view, unsigned long block)
{
	unsigned int level, shift;

	while (block < view->blocks) {
		for (level = view->levels; level; level--)
			if (!READ_ONCE(*tce_view_slot(view, block, level)))
				break;
		if (!level && READ_ONCE(*tce_view_slot(view, block, 0)))
			break;
		/* nothing below this slot */
		shift = level * TCE_VIEW_SHIFT;
		block = ((block >> shift) + 1) << shift;
	}
	return block;
}

static int __init tce_view_init(void)
{
	tce_view_blocks = kmem_cache_create("iommu_tce_view",
					    sizeof(struct tce_view_block), 0,
					    SLAB_PANIC, NULL);
	return 0;
}
subsys_initcall(tce_view_init);
