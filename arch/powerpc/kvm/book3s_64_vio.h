/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest TCE tables and the hardware TCE tables attached to them. See
 * book3s_64_vio.c for the slow path, which runs in virtual mode only, and
 * book3s_64_vio_builtin.c for the fast path, which runs in both modes.
 */
#ifndef _POWERPC_KVM_BOOK3S_64_VIO_H
#define _POWERPC_KVM_BOOK3S_64_VIO_H

#include <linux/kprobes.h>
#include <linux/kvm_host.h>
#include <linux/list.h>
#include <linux/nospec.h>

#include <asm/hvcall.h>
#include <asm/iommu_tce.h>
#include <asm/mm_iommu.h>
#include <asm/reg.h>
#include <asm/tce.h>

struct iommu_group;
struct iommu_table;

/* Entries per page of the shadow. */
#define TCES_PER_PAGE	(PAGE_SIZE / sizeof(u64))

#define TCE_PERM	(TCE_PCI_READ | TCE_PCI_WRITE)

/* Maximal number of TCEs in a list of H_PUT_TCE_INDIRECT, a 4K page. */
#define TCE_LIST_MAX	512UL

/**
 * struct kvmppc_tce_hwtbl - hardware TCE table attached for a group
 * @list: node in kvmppc_tce_table::hwtbls, empty if the table is there for
 *	another group; updated under spapr_tce_lock, read under kvm->srcu
 * @tbl: hardware TCE table, with a reference
 * @order: log2 of the number of hardware TCEs per guest TCE
 * @grp: group; the KVM-VFIO device holds a reference on it
 * @attached: node in kvmppc_tce_table::attached, under spapr_tce_lock, or in a
 *	list of detached tables to be freed
 */
struct kvmppc_tce_hwtbl {
	struct list_head list;
	struct iommu_table *tbl;
	unsigned int order;
	struct iommu_group *grp;
	struct list_head attached;
};

/**
 * struct kvmppc_tce_table - guest TCE table
 * @list: node in kvm->arch.spapr_tce_tables; updated under spapr_tce_lock, read
 *	under kvm->srcu
 * @kvm: VM, with a reference
 * @liobn: logical I/O bus number, by which the guest names the table
 * @page_shift: log2 of the IOMMU page size
 * @offset: first entry, counted from bus address 0
 * @size: number of entries
 * @locked: pages accounted in locked_vm of the VM's mm
 * @hwtbls: list of struct kvmppc_tce_hwtbl, one for each hardware TCE table
 * @attached: list of all struct kvmppc_tce_hwtbl, one for each group and table
 * @pages: shadow, in pages of the linear map that are allocated on first use;
 *	user space may map and modify them, so their contents are not trusted
 */
struct kvmppc_tce_table {
	struct list_head list;
	struct kvm *kvm;
	u64 liobn;
	u32 page_shift;
	u64 offset;
	u64 size;
	unsigned long locked;
	struct list_head hwtbls;
	struct list_head attached;
	u64 *pages[];
};

/**
 * struct kvmppc_tce_scratch - per-vCPU scratch memory for lists of TCEs
 * @list: copy of the list of H_PUT_TCE_INDIRECT
 * @change: scratch memory for the update of the hardware TCE table
 *
 * In the linear map; allocated by the first H_PUT_TCE_INDIRECT that takes the
 * slow path, or the first such call if the table has hardware TCE tables.
 */
struct kvmppc_tce_scratch {
	__be64 list[TCE_LIST_MAX];
	struct iommu_tce_scratch change;
};

/**
 * struct kvmppc_tce_mem - memory slot that was looked up last
 * @kvm: VM
 * @gpa: guest physical address of the slot
 * @size: size of the slot in bytes; 0 if none was found
 * @ua: user address of the slot
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
void kvmppc_tce_shadow_write(struct kvmppc_tce_table *t, unsigned long first,
			     unsigned long npages, const __be64 *list);
void kvmppc_tce_shadow_fill(struct kvmppc_tce_table *t, unsigned long first,
			    unsigned long npages, u64 tce);

/* Counts a call in the statistics of the vCPU, unless it will be repeated. */
static inline __kprobes void kvmppc_tce_count(struct kvm_vcpu *vcpu, long ret,
					      unsigned long npages)
{
	if (ret == H_TOO_HARD)
		return;
	vcpu->stat.tce_hcalls++;
	if (!(mfmsr() & MSR_DR))
		vcpu->stat.tce_realmode++;
	if (ret == H_SUCCESS)
		vcpu->stat.tce_entries += npages;
}

/*
 * Looks up a guest TCE table, under kvm->srcu or spapr_tce_lock. Not asserted,
 * because lockdep must not run in real mode.
 */
static inline __kprobes struct kvmppc_tce_table *
kvmppc_tce_find(struct kvm *kvm, u64 liobn)
{
	struct kvmppc_tce_table *t;

	list_for_each_entry_lockless(t, &kvm->arch.spapr_tce_tables, list)
		if (t->liobn == liobn)
			return t;
	return NULL;
}

/*
 * Converts a bus address to an entry of the table; false if the range is not in
 * the table. The address is guest controlled: the mask prevents speculative
 * loads outside of this table and of the hardware TCE tables.
 */
static inline __kprobes bool
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

/* Returns the first hardware TCE of guest TCE @i. */
static inline __kprobes unsigned long
kvmppc_tce_hwtbl_entry(const struct kvmppc_tce_table *t,
		       const struct kvmppc_tce_hwtbl *hwtbl, unsigned long i)
{
	return (t->offset + i) << hwtbl->order;
}

/*
 * Whether a call is complete after the shadow was written. It is not if the
 * table has no hardware TCE tables and the VMM uses a version 1 container: this
 * VMM must map the page itself, as for emulated devices, and writes the shadow
 * again, which is harmless.
 */
static inline __kprobes bool
kvmppc_tce_is_complete(const struct kvmppc_tce_table *t)
{
	if (!list_empty(&t->hwtbls))
		return true;
	/*
	 * pairs with mm_iommu_unregistered_start(): either the VMM sees this
	 * write to the shadow when it maps existing entries after ENABLE, or
	 * the call is left to it
	 */
	smp_mb();
	return !mm_iommu_is_unregistered(t->kvm->mm);
}

/* Returns page @i of the shadow, or NULL if it is not allocated. */
static inline __kprobes u64 *kvmppc_tce_shadow_page(struct kvmppc_tce_table *t,
						    unsigned long i)
{
	/* pairs with cmpxchg() in kvmppc_tce_shadow_alloc_page() */
	return READ_ONCE(t->pages[i]);
}

/*
 * Converts a guest physical address in the slot to a user address. The address
 * is guest controlled: the mask prevents speculative lookups outside of the
 * slot.
 */
static inline __kprobes unsigned long
kvmppc_tce_slot_ua(const struct kvmppc_tce_mem *mem, unsigned long gpa)
{
	return mem->ua + array_index_nospec(gpa - mem->gpa, mem->size);
}

/*
 * Looks up the user address of an IOMMU page of the guest; false unless the
 * page is aligned and in one writable memory slot.
 */
static inline __kprobes bool
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

/*
 * Converts the first TCEs of a list to a segment: as many as map contiguous
 * memory of one slot with the same permissions, or as clear entries.
 */
static inline __kprobes int
kvmppc_tce_next_seg(struct kvmppc_tce_mem *mem,
		    const struct kvmppc_tce_table *t, const __be64 *list,
		    unsigned long max, struct iommu_tce_seg *seg)
{
	u64 tce = be64_to_cpu(list[0]), step = BIT_ULL(t->page_shift);
	unsigned long n = 1;

	seg->clear = !(tce & TCE_PERM);
	seg->write = tce & TCE_PCI_WRITE;
	seg->ua = 0;
	if (!seg->clear &&
	    !kvmppc_tce_ua(mem, t, tce & ~(u64)TCE_PERM, &seg->ua))
		return -ENOENT;
	if (seg->clear) {
		while (n < max && !(be64_to_cpu(list[n]) & TCE_PERM))
			n++;
	} else if (max > 1 && be64_to_cpu(list[1]) == tce + step) {
		max = min(max, (mem->ua + mem->size - seg->ua) >>
			       t->page_shift);
		while (n < max && be64_to_cpu(list[n]) == (tce += step))
			n++;
	}
	seg->npages = n;
	return 0;
}

#endif /* _POWERPC_KVM_BOOK3S_64_VIO_H */
