/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Userspace view of a TCE table: what is behind each of its entries.
 */
#ifndef _POWERPC_KERNEL_IOMMU_TCE_VIEW_H
#define _POWERPC_KERNEL_IOMMU_TCE_VIEW_H

#include <linux/bits.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#define TCE_VIEW_SHIFT		9
#define TCE_VIEW_ENTRIES	BIT(TCE_VIEW_SHIFT)
#define TCE_VIEW_LOCKS		16
#define TCE_VIEW_SLOTS		TCE_VIEW_ENTRIES

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

struct iommu_tce_backing;

struct tce_view_node {
	void *slot[TCE_VIEW_SLOTS];
};

/**
 * struct iommu_tce_view - userspace view of a TCE table
 * @levels: levels of nodes above the blocks
 * @shift: log2 of the number of blocks that they have slots for
 * @blocks: number of blocks that the table has room for
 * @root: a node, or the only block
 * @backing: where the memory comes from that is mapped
 * @mm: whose memory that is, and whose locked_vm is charged for the table; held by
 *	mmgrab(); NULL until the table is bound, stored last
 * @closed: nothing is mapped any more; read under the lock of a block
 * @locked: pages that @mm is charged
 * @locks: of the blocks, by their number
 */
struct iommu_tce_view {
	unsigned int levels;
	unsigned int shift;
	unsigned long blocks;
	void *root;
	const struct iommu_tce_backing *backing;
	struct mm_struct *mm;
	bool closed;
	unsigned long locked;
	raw_spinlock_t locks[TCE_VIEW_LOCKS];
};

int tce_view_prepare(struct iommu_tce_view *view, unsigned long block);
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
		node = READ_ONCE(*slot);
		if (!node)
			return NULL;
		shift -= TCE_VIEW_SHIFT;
		slot = &node->slot[(block >> shift) % TCE_VIEW_SLOTS];
	}
	return slot;
}

/* A block, or NULL where nothing was mapped yet. */
static inline struct tce_view_block *
tce_view_find(struct iommu_tce_view *view, unsigned long block)
{
	void **slot = tce_view_slot(view, block, 0);

	/*
	 * pairs with cmpxchg() in tce_view_prepare(): where a block is, the
	 * levels of the table are that were made before
	 */
	return slot ? smp_load_acquire(slot) : NULL;
}

/**
 * tce_view_lock() - lock a block of the view and the TCEs that it describes
 * @view: the view
 * @block: number of the block
 *
 * Interrupts stay on: nobody takes it in one, and the fast path only tries.
 *
 * Context: Process context; preemption is off until tce_view_unlock().
 * Return: the block, or NULL where nothing was mapped yet.
 */
static inline struct tce_view_block *
tce_view_lock(struct iommu_tce_view *view, unsigned long block)
{
	raw_spin_lock(tce_view_block_lock(view, block));
	/* sparse cannot follow a lock that comes with what is returned */
	__release(tce_view_block_lock(view, block));
	return tce_view_find(view, block);
}

/**
 * tce_view_unlock() - unlock a block
 * @view: the view
 * @block: number of the block
 *
 * Context: As for tce_view_lock(); interrupts may be off.
 */
static inline void tce_view_unlock(struct iommu_tce_view *view,
				   unsigned long block)
{
	__acquire(tce_view_block_lock(view, block));
	raw_spin_unlock(tce_view_block_lock(view, block));
}

#endif /* _POWERPC_KERNEL_IOMMU_TCE_VIEW_H */
