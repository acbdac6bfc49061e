/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Changes of a few TCEs at once, without sleep and with the MMU on or off. See
 * kernel/iommu_tce_atomic.c.
 */
#ifndef _ASM_POWERPC_IOMMU_TCE_ATOMIC_H
#define _ASM_POWERPC_IOMMU_TCE_ATOMIC_H

#include <linux/types.h>

#include <asm/mm_iommu.h>

struct iommu_table;
struct tce_view_block;

/* Entries that one change may have. */
#define IOMMU_TCE_ATOMIC_MAX	512UL

/**
 * struct iommu_tce_scratch - what a change of more than one entry works with
 * @tces: what the table is going to be
 * @cookies: what the view is going to be
 *
 * In the linear map.
 */
struct iommu_tce_scratch {
	__be64 tces[IOMMU_TCE_ATOMIC_MAX];
	u64 cookies[IOMMU_TCE_ATOMIC_MAX];
};

/**
 * struct iommu_tce_change - a change between its begin and its end
 * @tbl: the table
 * @section: of the registry of the table's owner
 * @entry: first entry, counted from bus address 0
 * @npages: number of entries
 * @done: entries that it is known of what they are going to be
 * @clears: some of them are going to be nothing
 * @in_first: entries that are in the first block of the view
 * @nr_blocks: number of blocks, 1 or 2
 * @blocks: these blocks; NULL where nothing is mapped
 * @blk: that of the next entry
 * @home: the id that it has a reference for, or 0
 * @until: entries up to the end of it
 * @from: entries whose count is settled
 * @counted: entries since then that are nothing, or have been counted by themselves
 * @tces: what the table is going to be
 * @cookies: what the view is going to be
 * @tce: room for one
 * @cookie: room for one
 */
struct iommu_tce_change {
	struct iommu_table *tbl;
	struct mm_iommu_section section;
	unsigned long entry;
	unsigned long npages;
	unsigned long done;
	bool clears;
	unsigned int nr_blocks;
	unsigned long in_first;
	struct tce_view_block *blocks[2];
	struct tce_view_block *blk;
	u64 home;
	unsigned long until;
	unsigned long from;
	unsigned long counted;
	__be64 *tces;
	u64 *cookies;
	__be64 tce;
	u64 cookie;
};

int iommu_tce_put_atomic(struct iommu_table *tbl, unsigned long entry,
			 unsigned long ua, u64 perm);
int iommu_tce_clear_atomic(struct iommu_table *tbl, unsigned long entry,
			   unsigned long npages);

int iommu_tce_change_begin(struct iommu_tce_change *change,
			   struct iommu_table *tbl, unsigned long entry,
			   unsigned long npages,
			   struct iommu_tce_scratch *scratch);
int iommu_tce_change_map(struct iommu_tce_change *change, unsigned long ua,
			 unsigned long npages, bool write);
void iommu_tce_change_clear(struct iommu_tce_change *change,
			    unsigned long npages);
int iommu_tce_change_commit(struct iommu_tce_change *change);
void iommu_tce_change_abort(struct iommu_tce_change *change);

#endif /* _ASM_POWERPC_IOMMU_TCE_ATOMIC_H */
