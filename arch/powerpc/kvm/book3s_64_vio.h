/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TCE tables of a guest: what it sees of them, and the tables of the hardware
 * behind them. See book3s_64_vio.c.
 */
#ifndef _POWERPC_KVM_BOOK3S_64_VIO_H
#define _POWERPC_KVM_BOOK3S_64_VIO_H

#include <linux/kvm_host.h>
#include <linux/list.h>
#include <linux/mutex.h>

struct iommu_group;
struct iommu_table;

/* Entries of the guest's view in a page. */
#define TCES_PER_PAGE	(PAGE_SIZE / sizeof(u64))

/**
 * struct kvmppc_tce_hw - a table of the hardware behind one of a guest
 * @list: in kvmppc_tce_table::hws; changed under spapr_tce_lock, read under kvm->srcu
 * @tbl: the table, with a reference
 * @order: log2 of its entries in a page of the guest's table
 * @users: number of groups that it was attached for; under spapr_tce_lock
 * @free: in a list of those that nobody uses any more
 */
struct kvmppc_tce_hw {
	struct list_head list;
	struct iommu_table *tbl;
	unsigned int order;
	unsigned int users;
	struct list_head free;
};

/**
 * struct kvmppc_tce_user - a group that a table of the hardware was attached for
 * @list: in kvmppc_tce_table::users; under spapr_tce_lock
 * @grp: the group; the KVM device for VFIO holds it
 * @hw: the table
 */
struct kvmppc_tce_user {
	struct list_head list;
	struct iommu_group *grp;
	struct kvmppc_tce_hw *hw;
};

/**
 * struct kvmppc_tce_table - a TCE table of a guest
 * @list: in kvm->arch.spapr_tce_tables; changed under spapr_tce_lock, read under
 *	kvm->srcu
 * @kvm: the VM, with a reference
 * @liobn: what the guest calls it
 * @page_shift: log2 of its IOMMU page
 * @offset: first entry, counted from bus address 0
 * @size: number of entries
 * @locked: pages counted in locked_vm of the VM's mm
 * @hws: list of struct kvmppc_tce_hw
 * @users: list of struct kvmppc_tce_user
 * @alloc_lock: serialises who adds to @pages
 * @pages: the guest's view, in pages that appear when they are used; user space
 *	may map and write them, so nothing in them is believed
 */
struct kvmppc_tce_table {
	struct list_head list;
	struct kvm *kvm;
	u64 liobn;
	u32 page_shift;
	u64 offset;
	u64 size;
	unsigned long locked;
	struct list_head hws;
	struct list_head users;
	struct mutex alloc_lock;	/* additions to pages */
	struct page *pages[];
};

#endif /* _POWERPC_KVM_BOOK3S_64_VIO_H */
