/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TCE tables of a guest: what it sees of them, and the tables of the hardware
 * behind them. See book3s_64_vio.c and, for what is done with the MMU on or off,
 * book3s_64_vio_builtin.c.
 */
#ifndef _POWERPC_KVM_BOOK3S_64_VIO_H
#define _POWERPC_KVM_BOOK3S_64_VIO_H

#include <linux/kvm_host.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/nospec.h>

#include <asm/hvcall.h>
#include <asm/iommu_tce.h>
#include <asm/mm_iommu.h>
#include <asm/reg.h>
#include <asm/tce.h>

struct iommu_group;
struct iommu_table;

/* Entries of the guest's view in a page. */
#define TCES_PER_PAGE	(PAGE_SIZE / sizeof(u64))

#define TCE_PERM	(TCE_PCI_READ | TCE_PCI_WRITE)

/* TCEs in a list of H_PUT_TCE_INDIRECT: a page of 4K. */
#define TCE_LIST_MAX	512UL

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
 * @pages: the guest's view, in pages of the linear map that appear when they
 *	are used; user space may map and write them, so nothing in them is
 *	believed
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
	u64 *pages[];
};

/**
 * struct kvmppc_tce_scratch - what a VCPU works with where there is more than one
 *	TCE to be written
 * @list: what the guest gave to H_PUT_TCE_INDIRECT
 * @change: for the table of the hardware
 *
 * In the linear map; made by the first call that needs it.
 */
struct kvmppc_tce_scratch {
	__be64 list[TCE_LIST_MAX];
	struct iommu_tce_scratch change;
};

/**
 * struct kvmppc_tce_mem - the memory slot in which a page was found last
 * @kvm: the VM
 * @gpa: guest physical address of the slot
 * @size: bytes of it; 0 where none was found
 * @ua: user address of it
 */
struct kvmppc_tce_mem {
	struct kvm *kvm;
	unsigned long gpa;
	unsigned long size;
	unsigned long ua;
};

bool kvmppc_tce_find_slot(struct kvmppc_tce_mem *mem, unsigned long gpa);
int kvmppc_tce_put_list(struct kvm_vcpu *vcpu, struct kvmppc_tce_table *t,
			unsigned long first, unsigned long npages);
long kvmppc_tce_get(struct kvm_vcpu *vcpu, unsigned long liobn,
		    unsigned long ioba, u64 *tce);
void kvmppc_tce_view_write(struct kvmppc_tce_table *t, unsigned long first,
			   unsigned long npages, const __be64 *list);
void kvmppc_tce_view_fill(struct kvmppc_tce_table *t, unsigned long first,
			  unsigned long npages, u64 tce);

/* Counts a call that is not left to anybody else, for the statistics of the VM. */
static inline void kvmppc_tce_count(struct kvm_vcpu *vcpu, long ret,
				    unsigned long npages)
{
	vcpu->stat.tce_hcalls++;
	if (!(mfmsr() & MSR_DR))
		vcpu->stat.tce_realmode++;
	if (ret == H_SUCCESS)
		vcpu->stat.tce_entries += npages;
}

/* Under kvm->srcu, or spapr_tce_lock. Without lockdep: the MMU may be off. */
static __always_inline struct kvmppc_tce_table *
kvmppc_tce_find(struct kvm *kvm, u64 liobn)
{
	struct kvmppc_tce_table *t;

	list_for_each_entry_lockless(t, &kvm->arch.spapr_tce_tables, list)
		if (t->liobn == liobn)
			return t;
	return NULL;
}

/*
 * Finds the entry of the view for a bus address, or false. The guest chooses it:
 * no entry outside of the table may be loaded speculatively, neither of this
 * table nor of those of the hardware.
 */
static __always_inline bool
kvmppc_tce_index(const struct kvmppc_tce_table *t, unsigned long ioba,
		 unsigned long npages, unsigned long *entry)
{
	unsigned long i = (ioba >> t->page_shift) - t->offset;

	if (ioba & (BIT(t->page_shift) - 1) || i >= t->size ||
	    npages > t->size - i)
		return false;
	*entry = array_index_nospec(i, t->size);
	return true;
}

/* The first entry of a table of the hardware for an entry of the guest's. */
static inline unsigned long
kvmppc_tce_hw_entry(const struct kvmppc_tce_table *t,
		    const struct kvmppc_tce_hw *hw, unsigned long i)
{
	return (t->offset + i) << hw->order;
}

/*
 * Whether the guest's view is all that a call must change besides the tables that
 * it has changed. Not where the VMM uses a container of version 1: it attaches no
 * table, and maps what it is told of, as for devices that it emulates. The view
 * was written before; that it is then written again does no harm.
 */
static inline bool kvmppc_tce_is_complete(const struct kvmppc_tce_table *t)
{
	if (!list_empty(&t->hws))
		return true;
	/*
	 * pairs with mm_iommu_unregistered_start(): what was written to the view
	 * is there when the VMM looks for what it has to map, or it is told
	 */
	smp_mb();
	return !mm_iommu_is_unregistered(t->kvm->mm);
}

/* A page of the view, or NULL. */
static inline u64 *kvmppc_tce_view_page(struct kvmppc_tce_table *t,
					unsigned long i)
{
	/* pairs with smp_store_release() in view_alloc_page() */
	return READ_ONCE(t->pages[i]);
}

/*
 * The user address for a guest physical address in a slot. The guest chooses it:
 * nothing outside of the slot may be looked up speculatively.
 */
static __always_inline unsigned long
kvmppc_tce_slot_ua(const struct kvmppc_tce_mem *mem, unsigned long gpa)
{
	return mem->ua + array_index_nospec(gpa - mem->gpa, mem->size);
}

/*
 * Finds the user address of a page of the guest's, or false: it must be in one
 * memory slot that a device may write.
 */
static __always_inline bool
kvmppc_tce_ua(struct kvmppc_tce_mem *mem, const struct kvmppc_tce_table *t,
	      unsigned long gpa, unsigned long *ua)
{
	unsigned long size = BIT(t->page_shift);

	if (gpa & (size - 1))
		return false;
	if (gpa - mem->gpa >= mem->size && !kvmppc_tce_find_slot(mem, gpa))
		return false;
	if (size > mem->size - (gpa - mem->gpa))
		return false;
	*ua = kvmppc_tce_slot_ua(mem, gpa);
	return true;
}

/* What a TCE asks for. */
static __always_inline int kvmppc_tce_want(struct kvmppc_tce_mem *mem,
					   const struct kvmppc_tce_table *t,
					   u64 tce, struct iommu_tce_want *want)
{
	want->npages = 1;
	want->clear = !(tce & TCE_PERM);
	want->write = tce & TCE_PCI_WRITE;
	want->ua = 0;
	if (!want->clear &&
	    !kvmppc_tce_ua(mem, t, tce & ~(u64)TCE_PERM, &want->ua))
		return -ENOENT;
	return 0;
}

/*
 * What the first TCEs of a list ask for, as many as are one piece of memory, or
 * are cleared.
 */
static inline int kvmppc_tce_want_run(struct kvmppc_tce_mem *mem,
				      const struct kvmppc_tce_table *t,
				      const __be64 *list, unsigned long max,
				      struct iommu_tce_want *want)
{
	u64 tce = be64_to_cpu(list[0]), step = BIT_ULL(t->page_shift);
	unsigned long n = 1;
	int ret;

	ret = kvmppc_tce_want(mem, t, tce, want);
	if (ret || max == 1)
		return ret;
	if (want->clear) {
		while (n < max && !(be64_to_cpu(list[n]) & TCE_PERM))
			n++;
	} else if (be64_to_cpu(list[1]) == tce + step) {
		max = min(max, (mem->ua + mem->size - want->ua) >>
			       t->page_shift);
		while (n < max && be64_to_cpu(list[n]) == (tce += step))
			n++;
	}
	want->npages = n;
	return 0;
}

#endif /* _POWERPC_KVM_BOOK3S_64_VIO_H */
