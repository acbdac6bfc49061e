/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Userspace view of a TCE table: what is behind each of its entries.
 */
#ifndef _POWERPC_KERNEL_IOMMU_TCE_VIEW_H
#define _POWERPC_KERNEL_IOMMU_TCE_VIEW_H

#include <linux/atomic.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#define TCE_VIEW_SHIFT		9
#define TCE_VIEW_ENTRIES	(1UL << TCE_VIEW_SHIFT)
#define TCE_VIEW_LOCKS		16

/**
 * struct tce_view_block - view of a block of entries
 * @used: number of entries that are not 0
 * @entry: 0, or the cookie of what is mapped, in the byte order of TCEs
 *
 * Both under the lock of the block.
 */
struct tce_view_block {
	unsigned long used;
	__be64 entry[TCE_VIEW_ENTRIES];
};

/**
 * struct iommu_tce_view - userspace view of a TCE table
 * @levels: levels of nodes above the blocks
 * @blocks: number of blocks that the table has room for
 * @root: a node, or the only block
 * @mapped: number of entries that are not 0
 * @spare: empty blocks that were kept
 * @shared: base KVM walks it without a lock, so no block may go
 * @locks: of the blocks, by their number
 */
struct iommu_tce_view {
	unsigned int levels;
	unsigned long blocks;
	void *root;
	atomic_long_t mapped;
	atomic_t spare;
	bool shared;
	raw_spinlock_t locks[TCE_VIEW_LOCKS];
};

int tce_view_prepare(struct iommu_tce_view *view, unsigned long block);
struct tce_view_block *tce_view_lock(struct iommu_tce_view *view,
				     unsigned long block, unsigned long *flags);
void tce_view_unlock(struct iommu_tce_view *view, unsigned long block,
		     struct tce_view_block *blk, unsigned long flags);
void tce_view_used(struct iommu_tce_view *view, struct tce_view_block *blk,
		   long more);
unsigned long tce_view_next(struct iommu_tce_view *view, unsigned long block);

#endif /* _POWERPC_KERNEL_IOMMU_TCE_VIEW_H */
