/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Userspace view of a TCE table: what is behind each of its entries.
 */
#ifndef _POWERPC_KERNEL_IOMMU_TCE_VIEW_H
#define _POWERPC_KERNEL_IOMMU_TCE_VIEW_H

#include <linux/bits.h>
#include <linux/cache.h>
#include <linux/kprobes.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include <asm/mm_iommu.h>

#define TCE_VIEW_SHIFT		9
#define TCE_VIEW_ENTRIES	BIT(TCE_VIEW_SHIFT)
#define TCE_VIEW_LOCKS		16
#define TCE_VIEW_SLOTS		TCE_VIEW_ENTRIES

/**
 * struct tce_view_block - view of a block of entries
 * @home: the id of a region, where it has it in a cookie; 0 while @homes is 0
 * @homes: number of entries that its reference is for, or is going to be
 * @others: number of the other entries that are mapped, or are going to be
 * @entry: 0, or the cookie of what is mapped
 *
 * All under the lock of the block.
 *
 * What is mapped is referenced: by one reference of the block on its home, as
 * long as there is one, and by one for each of @others. So whoever maps or
 * clears an entry of the home writes nothing but the block. The first entry of
 * a block without a home chooses it; entries of that region which had a
 * reference each before are among @others still, and leave after those of
 * @homes: only the numbers count, as it is not known of which regions the
 * others are. Where memory is not of regions there is no home.
 *
 * See tce_view_enter() for who may run beside it.
 */
struct tce_view_block {
	u64 home;
	unsigned int homes;
	unsigned int others;
	u64 entry[TCE_VIEW_ENTRIES];
};

/* A lock of some of the blocks, on a cache line of its own. */
struct tce_view_lock {
	raw_spinlock_t lock;
} ____cacheline_aligned_in_smp;

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
 * @mm: whose memory that is, and whose locked_vm is charged for the table; held
 *	by mmgrab(); NULL until the table is bound, stored last
 * @closed: nothing is mapped any more; read under the lock of a block
 * @locked: pages that @mm is charged
 * @locks: of the blocks, by their number; all else is hardly ever written
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
	struct tce_view_lock locks[TCE_VIEW_LOCKS];
};

int tce_view_prepare(struct iommu_tce_view *view, unsigned long block);
unsigned long tce_view_next(struct iommu_tce_view *view, unsigned long block);

/* What follows is on the way of every TCE. */

static inline __kprobes raw_spinlock_t *
tce_view_block_lock(struct iommu_tce_view *view, unsigned long block)
{
	return &view->locks[block % TCE_VIEW_LOCKS].lock;
}

/* The pointer to what is at @level above a block; NULL where no node is. */
static inline __kprobes void **tce_view_slot(struct iommu_tce_view *view,
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
static inline __kprobes struct tce_view_block *
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

/* Number of entries of a block that are mapped, or are going to be. */
static inline __kprobes unsigned int
tce_view_used(const struct tce_view_block *blk)
{
	return blk->homes + blk->others;
}

/**
 * tce_view_enter() - count entries of a region that come into a block
 * @blk: the block
 * @cookie: of any of them
 * @n: entries, more than 0; the caller writes them
 *
 * The caller takes the references before the entries can be seen, and must not
 * drop one before the TCEs that it protects were killed:
 *
 * - The fast path kills under the lock of the block. So when @homes becomes 0
 *   there, all entries of the home that were cleared before were killed, or
 *   have references of their own. The reference of the block is dropped after
 *   this kill, or in a section that ends after it.
 * - The range path kills later, without the lock. Each entry that it takes out
 *   of a block has a reference until then, taken under the lock while the block
 *   has its own. So if another CPU makes @homes 0 in between, the region stays
 *   held.
 *
 * Context: The lock of the block.
 * Return: how many references on the region the block has for them.
 */
static inline __kprobes unsigned long tce_view_enter(struct tce_view_block *blk,
					   u64 cookie, unsigned long n)
{
	if (!((cookie ^ blk->home) & MM_IOMMU_COOKIE_ID)) {
		blk->homes += n;
		return 0;
	}
	if (blk->home) {
		blk->others += n;
		return n;
	}
	blk->home = cookie & MM_IOMMU_COOKIE_ID;
	blk->homes = n;
	return 1;
}

/**
 * tce_view_leave() - count entries of a region that leave a block
 * @blk: the block
 * @cookie: of any of them
 * @n: entries, more than 0, that tce_view_enter() has counted; the caller
 *	clears them
 *
 * Context: As tce_view_enter().
 * Return: how many references on the region the block has no more, which the
 *	caller is to drop.
 */
static inline __kprobes unsigned long tce_view_leave(struct tce_view_block *blk,
					   u64 cookie, unsigned long n)
{
	if ((cookie ^ blk->home) & MM_IOMMU_COOKIE_ID) {
		blk->others -= n;
		return n;
	}
	if (n < blk->homes) {
		blk->homes -= n;
		return 0;
	}
	n -= blk->homes;
	blk->others -= n;
	blk->homes = 0;
	blk->home = 0;
	return 1 + n;
}

#endif /* _POWERPC_KERNEL_IOMMU_TCE_VIEW_H */
