/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Userspace view of a TCE table: what is behind each of its entries.
 */
#ifndef _POWERPC_KERNEL_IOMMU_TCE_VIEW_H
#define _POWERPC_KERNEL_IOMMU_TCE_VIEW_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#define TCE_VIEW_SHIFT		9
#define TCE_VIEW_ENTRIES	BIT(TCE_VIEW_SHIFT)
#define TCE_VIEW_LOCKS		16
#define TCE_VIEW_SLOTS		TCE_VIEW_ENTRIES

/* Empty blocks that a view keeps, 4K each. */
#define TCE_VIEW_SPARE		8

/* In an entry, beside a cookie: a device may write there. */
#define TCE_VIEW_WRITE		BIT_ULL(11)

/**
 * struct tce_view_block - view of a block of entries
 * @used: number of entries that are not 0
 * @entry: 0, or the cookie of what is mapped
 *
 * Both under the lock of the block.
 */
struct tce_view_block {
	unsigned long used;
	u64 entry[TCE_VIEW_ENTRIES];
};

struct tce_view_node {
	void *slot[TCE_VIEW_SLOTS];
};

/**
 * struct iommu_tce_view - userspace view of a TCE table
 * @levels: levels of nodes above the blocks
 * @shift: log2 of the number of blocks that they have slots for
 * @blocks: number of blocks that the table has room for
 * @root: a node, or the only block
 * @spare: empty blocks that were kept
 * @owner: the mm whose registered memory is mapped; to be compared only
 * @closed: nothing is mapped any more; read under the lock of a block
 * @mm: whose locked_vm is charged for the table, held by mmgrab(); or NULL
 * @locked: pages that it is charged
 * @locks: of the blocks, by their number
 */
struct iommu_tce_view {
	unsigned int levels;
	unsigned int shift;
	unsigned long blocks;
	void *root;
	atomic_t spare;
	struct mm_struct *owner;
	bool closed;
	struct mm_struct *mm;
	unsigned long locked;
	raw_spinlock_t locks[TCE_VIEW_LOCKS];
};

int tce_view_prepare(struct iommu_tce_view *view, unsigned long block);
bool tce_view_forget(struct iommu_tce_view *view, unsigned long block);
void tce_view_free_block(struct tce_view_block *blk);
unsigned long tce_view_next(struct iommu_tce_view *view, unsigned long block);

/* What follows is on the way of every TCE. */

static inline raw_spinlock_t *
tce_view_block_lock(struct iommu_tce_view *view, unsigned long block)
{
	return &view->locks[block % TCE_VIEW_LOCKS];
}

/* The pointer to what is at @level above a block; NULL where no node is. */
static inline void **tce_view_slot(struct iommu_tce_view *view,
				   unsigned long block, unsigned int level)
{
	unsigned int shift = view->shift, end = level * TCE_VIEW_SHIFT;
	void **slot = &view->root;
	struct tce_view_node *node;

	while (shift > end) {
		/* pairs with cmpxchg() in tce_view_prepare() */
		node = smp_load_acquire(slot);
		if (!node)
			return NULL;
		shift -= TCE_VIEW_SHIFT;
		slot = &node->slot[(block >> shift) % TCE_VIEW_SLOTS];
	}
	return slot;
}

/**
 * tce_view_lock() - lock a block of the view and the TCEs that it describes
 * @view: the view
 * @block: number of the block
 *
 * Interrupts stay on: nobody takes it in one, and real mode only tries.
 *
 * Context: Process context; preemption is off until tce_view_unlock().
 * Return: the block, or NULL where nothing is mapped.
 */
static inline struct tce_view_block *
tce_view_lock(struct iommu_tce_view *view, unsigned long block)
{
	void **slot = tce_view_slot(view, block, 0);

	raw_spin_lock(tce_view_block_lock(view, block));
	/* sparse cannot follow a lock that comes with what is returned */
	__release(tce_view_block_lock(view, block));
	return slot ? *slot : NULL;
}

/**
 * tce_view_unlock() - unlock a block, and free it if it is empty
 * @view: the view
 * @block: number of the block
 * @blk: what tce_view_lock() returned
 *
 * Context: As for tce_view_lock(); interrupts may be off.
 */
static inline void tce_view_unlock(struct iommu_tce_view *view,
				   unsigned long block,
				   struct tce_view_block *blk)
{
	bool drop = blk && !blk->used && tce_view_forget(view, block);

	__acquire(tce_view_block_lock(view, block));
	raw_spin_unlock(tce_view_block_lock(view, block));
	if (drop)
		tce_view_free_block(blk);
}

/**
 * tce_view_used() - count entries that a block has more, or less
 * @view: the view
 * @blk: the block
 * @more: number of entries
 *
 * Context: Holds the lock of the block.
 */
static inline void tce_view_used(struct iommu_tce_view *view,
				 struct tce_view_block *blk, long more)
{
	unsigned long was = blk->used;

	blk->used += more;
	if (!was != !blk->used)
		atomic_add(was ? 1 : -1, &view->spare);
}

/* Whether a view keeps no more empty blocks. */
static inline bool tce_view_is_full(const struct iommu_tce_view *view)
{
	return atomic_read(&view->spare) > TCE_VIEW_SPARE;
}

#endif /* _POWERPC_KERNEL_IOMMU_TCE_VIEW_H */
