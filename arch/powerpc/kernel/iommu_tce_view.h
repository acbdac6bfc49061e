/* SPDX-License-Identifier: GPL-2.0 */
/* Userspace view of a TCE table: keeps the memory behind each entry. */
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
#define TCE_VIEW_CHILDREN	TCE_VIEW_ENTRIES

/**
 * struct tce_view_block - view of a block of entries
 * @home: the id of a region, at its place in a cookie; 0 while @homes is 0
 * @homes: number of entries that its reference is for, or is going to be
 * @others: number of the other entries that are mapped, or are going to be
 * @entry: 0, or the cookie of the mapping
 *
 * All under the lock of the block.
 *
 * Mappings are referenced: by one reference of the block on its home, if it has
 * one, and by one for each of @others. So mapping or clearing an entry of the
 * home only writes the block. The first entry of a block without a home chooses
 * the home; entries of that region which had a reference each before still
 * count in @others, and leave after those of @homes: only the numbers count,
 * because the regions of the others are not known. If the memory does not
 * belong to regions there is no home.
 *
 * See tce_view_enter() for the ordering against concurrent changes.
 */
struct tce_view_block {
	u64 home;
	unsigned int homes;
	unsigned int others;
	u64 entry[TCE_VIEW_ENTRIES];
};

/* A lock of several blocks, on a cache line of its own. */
struct tce_view_lock {
	raw_spinlock_t lock;
} ____cacheline_aligned_in_smp;

struct iommu_tce_backing;

/**
 * struct iommu_tce_view - userspace view of a TCE table
 * @levels: levels of nodes above the blocks; a node is an array of pointers
 * @blocks: number of blocks that the table has room for
 * @root: a node, or the only block
 * @backing: source of the memory that is mapped
 * @mm: owner of that memory, whose locked_vm is charged for the table; with a
 *	reference by mmgrab(); NULL until the table is bound, stored last
 * @closed: nothing is mapped any more; read under the lock of a block
 * @locked: pages that @mm is charged
 * @locks: of the blocks, by their number; all other members are rarely written
 */
struct iommu_tce_view {
	unsigned int levels;
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

/* Hot path: the following is used for every TCE. */

static inline __kprobes raw_spinlock_t *
tce_view_block_lock(struct iommu_tce_view *view, unsigned long block)
{
	return &view->locks[block % TCE_VIEW_LOCKS].lock;
}

/*
 * Returns the pointer to a block, with *@level 0; or to the first node on the
 * way that is missing, with its level.
 */
static inline __kprobes void **tce_view_child(struct iommu_tce_view *view,
					      unsigned long block,
					      unsigned long *level)
{
	void **child = &view->root, **node;

	for (*level = view->levels; *level; ) {
		/* pairs with cmpxchg() in tce_view_prepare() */
		node = READ_ONCE(*child);
		if (!node)
			break;
		--*level;
		child = node + (block >> *level * TCE_VIEW_SHIFT) %
			      TCE_VIEW_CHILDREN;
	}
	return child;
}

/* Returns a block, or NULL if nothing was mapped yet. */
static inline __kprobes struct tce_view_block *
tce_view_find(struct iommu_tce_view *view, unsigned long block)
{
	unsigned long level;
	void **child = tce_view_child(view, block, &level);

	/*
	 * pairs with cmpxchg() in tce_view_prepare(): if a block is present, so
	 * are the levels of the table that were created before it
	 */
	return level ? NULL : smp_load_acquire(child);
}

/**
 * tce_view_lock() - lock a block of the view and the TCEs that it describes
 * @view: the view
 * @block: number of the block
 *
 * Interrupts stay on: no interrupt handler takes it, and the fast path only
 * tries.
 *
 * Context: Process context; preemption is off until tce_view_unlock().
 * Return: the block, or NULL if nothing was mapped yet.
 */
static inline struct tce_view_block *
tce_view_lock(struct iommu_tce_view *view, unsigned long block)
{
	raw_spin_lock(tce_view_block_lock(view, block));
	/* sparse cannot follow a lock that depends on the return value */
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

/* As tce_view_enter(), for entries of a region that is not the home. */
static inline __kprobes unsigned long
tce_view_enter_other(struct tce_view_block *blk, u64 cookie, unsigned long n)
{
	if (blk->home) {
		blk->others += n;
		return n;
	}
	blk->home = cookie & MM_IOMMU_COOKIE_ID;
	blk->homes = n;
	return 1;
}

/**
 * tce_view_enter() - count entries of a region that enter a block
 * @blk: the block
 * @cookie: cookie of any of them
 * @n: entries, more than 0; the caller writes them
 *
 * The caller takes the references before the entries become visible, and must
 * not drop one before the TCEs that it protects were invalidated:
 *
 * - The fast path invalidates under the lock of the block. So when @homes
 *   becomes 0 there, all entries of the home that were cleared before were
 *   invalidated, or have references of their own. The reference of the block is
 *   dropped after this invalidation, or in a section that ends after it.
 * - The range path invalidates later, without the lock. Each entry that it
 *   takes out of a block has a reference until then, taken under the lock while
 *   the block has its own. So if another CPU makes @homes 0 in between, the
 *   region stays held.
 *
 * Context: The lock of the block.
 * Return: number of references on the region that the block has for them.
 */
static inline __kprobes unsigned long
tce_view_enter(struct tce_view_block *blk, u64 cookie, unsigned long n)
{
	if (!((cookie ^ blk->home) & MM_IOMMU_COOKIE_ID)) {
		blk->homes += n;
		return 0;
	}
	return tce_view_enter_other(blk, cookie, n);
}

/**
 * tce_view_leave() - count entries of a region that leave a block
 * @blk: the block
 * @cookie: cookie of any of them
 * @n: entries, more than 0, that tce_view_enter() has counted; the caller
 *	clears them
 *
 * Context: As tce_view_enter().
 * Return: number of references on the region that the block no longer has, and
 *	that the caller must drop.
 */
static inline __kprobes unsigned long
tce_view_leave(struct tce_view_block *blk, u64 cookie, unsigned long n)
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
