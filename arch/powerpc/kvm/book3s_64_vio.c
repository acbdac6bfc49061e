// SPDX-License-Identifier: GPL-2.0
/*
 * TCE tables of a guest, and the slow path of its TCE hypercalls.
 *
 * Most hypercalls are handled by the fast path in book3s_64_vio_builtin.c,
 * which neither sleeps nor allocates. This file handles the others.
 *
 * Locking and lifetimes:
 *
 * - A hypercall holds kvm->srcu from before the lookup of its table to its end.
 *   Guest and hardware TCE tables are freed after an SRCU grace period.
 * - kvm->arch.spapr_tce_lock serializes all updates of the lists. KVM calls
 *   with or without kvm->lock held.
 * - A hardware TCE table may outlive its window. It is closed then: nothing
 *   more can be mapped in it.
 * - Only tables are attached that are owned by the VM's own mm and map its
 *   registered memory, because references are taken in the registry of this mm.
 */

/**
 * DOC: TCE hypercalls
 *
 * A guest sees its DMA windows as TCE tables, which it updates by H_PUT_TCE,
 * H_PUT_TCE_INDIRECT and H_STUFF_TCE (LoPAPR 14.5). User space creates a guest
 * TCE table for each window, and attaches the hardware TCE tables of VFIO
 * devices to it. A guest TCE table without hardware tables is for emulated
 * devices: user space maps its *shadow*, which holds the TCEs as the guest
 * wrote them. A hypercall is handled in four steps:
 *
 * 1. Validate: the arguments are checked, a list of TCEs is copied once, and
 *    every page to be mapped is looked up in a writable memory slot.
 * 2. Prepare: for each hardware TCE table the registered memory is looked up
 *    and counted as mapped.
 * 3. Commit: each hardware TCE table is written, then invalidated once.
 * 4. The shadow is written.
 *
 * If a step before the third fails, nothing has changed and the call returns
 * H_TOO_HARD: user space repeats the whole call, by MAP and UNMAP. The third
 * step fails only if the platform does, or if a window was removed
 * concurrently; a call that only clears has no second step, and may fail at any
 * of the tables. Those that were updated before stay updated, which is
 * harmless: user space repeats the same update.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/iommu.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/srcu.h>

#include <asm/hvcall.h>
#include <asm/iommu.h>
#include <asm/iommu_tce.h>
#include <asm/kvm_book3s.h>
#include <asm/kvm_ppc.h>
#include <asm/mm_iommu.h>
#include <asm/tce.h>

#include "book3s_64_vio.h"

#define CREATE_TRACE_POINTS
#include "trace_vio.h"

/* IOMMU pages of 16G. */
#define TCE_MAX_PAGE_SHIFT	34

/* Entries of the shadow to fill between two reschedule points. */
#define SHADOW_STEP	SZ_64K

/* Shadow */

/* Returns page @i of the shadow, allocated on first use, or NULL. */
static u64 *kvmppc_tce_shadow_alloc_page(struct kvmppc_tce_table *t,
					 unsigned long i)
{
	u64 *page = kvmppc_tce_shadow_page(t, i);

	if (page)
		return page;
	page = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	/*
	 * pairs with READ_ONCE() in kvmppc_tce_shadow_page(): the page is
	 * zeroed before it is visible
	 */
	if (page && cmpxchg(&t->pages[i], NULL, page)) {
		free_page((unsigned long)page);
		page = kvmppc_tce_shadow_page(t, i);
	}
	return page;
}

/* Allocates the pages of the shadow for a range of entries. */
static int kvmppc_tce_shadow_prepare(struct kvmppc_tce_table *t,
				     unsigned long first, unsigned long npages)
{
	unsigned long i, end = DIV_ROUND_UP(first + npages, TCES_PER_PAGE);

	for (i = first / TCES_PER_PAGE; i < end; i++) {
		if (!kvmppc_tce_shadow_alloc_page(t, i))
			return -ENOMEM;
		cond_resched();
	}
	return 0;
}

static vm_fault_t kvmppc_tce_shadow_fault(struct vm_fault *vmf)
{
	struct kvmppc_tce_table *t = vmf->vma->vm_file->private_data;
	u64 *page;

	if (vmf->pgoff >= DIV_ROUND_UP(t->size, TCES_PER_PAGE))
		return VM_FAULT_SIGBUS;

	page = kvmppc_tce_shadow_alloc_page(t, vmf->pgoff);
	if (!page)
		return VM_FAULT_OOM;

	vmf->page = virt_to_page(page);
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct kvmppc_tce_shadow_vm_ops = {
	.fault = kvmppc_tce_shadow_fault,
};

/* Creation and release */

/* Finds the record of a group, or with @grp NULL that of any group. */
static struct kvmppc_tce_hwtbl *
kvmppc_tce_find_hwtbl(struct kvmppc_tce_table *t, const struct iommu_table *tbl,
		      const struct iommu_group *grp)
{
	struct kvmppc_tce_hwtbl *hwtbl;

	list_for_each_entry(hwtbl, &t->attached, attached)
		if (hwtbl->tbl == tbl && (!grp || hwtbl->grp == grp))
			return hwtbl;
	return NULL;
}

/*
 * Detaches the hardware TCE table of a group. If it is attached for another
 * group as well, the record of that group takes its place.
 */
static void kvmppc_tce_detach(struct kvmppc_tce_table *t,
			      struct kvmppc_tce_hwtbl *hwtbl,
			      struct list_head *to_free)
{
	struct kvmppc_tce_hwtbl *other;

	list_move(&hwtbl->attached, to_free);
	if (list_empty(&hwtbl->list))
		return;
	other = kvmppc_tce_find_hwtbl(t, hwtbl->tbl, NULL);
	/* its next pointer stays valid for concurrent readers */
	if (other)
		list_replace_rcu(&hwtbl->list, &other->list);
	else
		list_del_rcu(&hwtbl->list);
}

/*
 * Waits for all hypercalls, in either mode, that may have seen the old lists,
 * and frees the detached tables. Expedited, because user space may call with a
 * lock held that its vCPU threads need.
 */
static void kvmppc_tce_sync_and_free(struct kvm *kvm, struct list_head *to_free)
{
	struct kvmppc_tce_hwtbl *hwtbl, *next;

	synchronize_srcu_expedited(&kvm->srcu);
	list_for_each_entry_safe(hwtbl, next, to_free, attached) {
		iommu_tce_table_put(hwtbl->tbl);
		kfree(hwtbl);
	}
}

static int kvmppc_tce_table_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &kvmppc_tce_shadow_vm_ops;
	return 0;
}

static void kvmppc_tce_free_table(struct kvmppc_tce_table *t)
{
	unsigned long i, n = DIV_ROUND_UP(t->size, TCES_PER_PAGE);

	for (i = 0; i < n; i++) {
		free_page((unsigned long)t->pages[i]);
		cond_resched();
	}
	account_locked_vm(t->kvm->mm, t->locked, false);
	kfree(t);
}

static int kvmppc_tce_table_release(struct inode *inode, struct file *file)
{
	struct kvmppc_tce_table *t = file->private_data;
	struct kvmppc_tce_hwtbl *hwtbl, *next;
	struct kvm *kvm = t->kvm;
	LIST_HEAD(to_free);

	mutex_lock(&kvm->arch.spapr_tce_lock);
	list_del_rcu(&t->list);
	list_for_each_entry_safe(hwtbl, next, &t->attached, attached)
		kvmppc_tce_detach(t, hwtbl, &to_free);
	mutex_unlock(&kvm->arch.spapr_tce_lock);

	kvmppc_tce_sync_and_free(kvm, &to_free);
	kvmppc_tce_free_table(t);
	kvm_put_kvm(kvm);
	return 0;
}

static const struct file_operations kvmppc_tce_table_fops = {
	.owner		= THIS_MODULE,
	.mmap		= kvmppc_tce_table_mmap,
	.release	= kvmppc_tce_table_release,
};

/* Allocates a table, which is accounted in locked_vm; NULL on failure. */
static struct kvmppc_tce_table *
kvmppc_tce_alloc_table(struct kvm *kvm,
		       const struct kvm_create_spapr_tce_64 *args)
{
	unsigned long n = DIV_ROUND_UP(args->size, TCES_PER_PAGE);
	struct kvmppc_tce_table *t;

	/* the size is user controlled: fail with -ENOMEM, do not warn */
	t = kzalloc(struct_size(t, pages, n),
		    GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!t)
		return NULL;

	t->kvm = kvm;
	t->liobn = args->liobn;
	t->page_shift = args->page_shift;
	t->offset = args->offset;
	t->size = args->size;
	t->locked = n + DIV_ROUND_UP(struct_size(t, pages, n), PAGE_SIZE);
	INIT_LIST_HEAD(&t->hwtbls);
	INIT_LIST_HEAD(&t->attached);
	if (account_locked_vm(kvm->mm, t->locked, true)) {
		kfree(t);
		return NULL;
	}
	return t;
}

/**
 * kvm_vm_ioctl_create_spapr_tce() - KVM_CREATE_SPAPR_TCE_64
 * @kvm: VM
 * @args: argument of the ioctl
 *
 * Context: Process context, may sleep.
 * Return: A file descriptor of the table; -EINVAL if @args is invalid, -ENOMEM
 *	if there is no memory or RLIMIT_MEMLOCK is exceeded, -EBUSY if the VM
 *	has a table of this LIOBN, or an errno of anon_inode_getfd().
 */
int kvm_vm_ioctl_create_spapr_tce(struct kvm *kvm,
				  struct kvm_create_spapr_tce_64 *args)
{
	struct kvmppc_tce_table *t;
	int ret = -EBUSY;
	u64 end;

	if (!args->size || args->page_shift < IOMMU_PAGE_SHIFT_4K ||
	    args->page_shift > TCE_MAX_PAGE_SHIFT ||
	    check_add_overflow(args->offset, args->size, &end) ||
	    end > ULLONG_MAX >> args->page_shift)
		return -EINVAL;

	t = kvmppc_tce_alloc_table(kvm, args);
	if (!t)
		return -ENOMEM;

	mutex_lock(&kvm->arch.spapr_tce_lock);
	if (kvmppc_tce_find(kvm, args->liobn))
		goto err_unlock;

	/*
	 * The file holds a reference on the VM. A close() of a guessed fd waits
	 * for the lock, so the table is in the list when it is released.
	 */
	kvm_get_kvm(kvm);
	ret = anon_inode_getfd("kvm-spapr-tce", &kvmppc_tce_table_fops, t,
			       O_RDWR | O_CLOEXEC);
	if (ret < 0) {
		kvm_put_kvm_no_destroy(kvm);
		goto err_unlock;
	}
	list_add_rcu(&t->list, &kvm->arch.spapr_tce_tables);
	mutex_unlock(&kvm->arch.spapr_tce_lock);
	return ret;

err_unlock:
	mutex_unlock(&kvm->arch.spapr_tce_lock);
	kvmppc_tce_free_table(t);
	return ret;
}

/* Hardware TCE tables */

/*
 * Whether @tbl covers the window of @t, with IOMMU pages of the same size or
 * smaller.
 */
static bool kvmppc_tce_same_window(const struct kvmppc_tce_table *t,
				   const struct iommu_table *tbl)
{
	unsigned int order = t->page_shift - tbl->it_page_shift;

	return tbl->it_page_shift <= t->page_shift &&
	       tbl->it_offset == t->offset << order &&
	       tbl->it_size >= t->size << order;
}

/* Returns the table of a group for the window of @t, with a reference. */
static struct iommu_table *
kvmppc_tce_get_group_table(struct kvmppc_tce_table *t, struct iommu_group *grp)
{
	struct iommu_table_group *table_group = iommu_group_get_iommudata(grp);
	struct iommu_table *tbl;
	unsigned int i;

	for (i = 0; table_group && i < IOMMU_TABLE_GROUP_MAX_TABLES; i++) {
		/* VFIO may remove the window concurrently: freed by RCU */
		rcu_read_lock();
		tbl = READ_ONCE(table_group->tables[i]);
		if (tbl)
			tbl = iommu_tce_table_get(tbl);
		rcu_read_unlock();
		if (!tbl)
			continue;
		/* check the owner first, it is published last by VFIO */
		if (iommu_tce_is_owner(tbl, t->kvm->mm) &&
		    !iommu_tce_is_closed(tbl) && kvmppc_tce_same_window(t, tbl))
			return tbl;
		iommu_tce_table_put(tbl);
	}
	return NULL;
}

/*
 * Detaches closed tables of a group after @tbl was attached for the same
 * window. They cannot be detached earlier, because VFIO opens a closed table
 * again if the platform fails to remove it. Until then hypercalls return
 * H_TOO_HARD.
 */
static void kvmppc_tce_detach_closed(struct kvmppc_tce_table *t,
				     const struct iommu_group *grp,
				     const struct iommu_table *tbl,
				     struct list_head *to_free)
{
	struct kvmppc_tce_hwtbl *hwtbl, *next;

	list_for_each_entry_safe(hwtbl, next, &t->attached, attached)
		if (hwtbl->grp == grp && hwtbl->tbl != tbl &&
		    iommu_tce_is_closed(hwtbl->tbl))
			kvmppc_tce_detach(t, hwtbl, to_free);
}

/* Takes over the reference on @tbl, also if it fails. */
static int kvmppc_tce_attach(struct kvmppc_tce_table *t,
			     struct iommu_table *tbl, struct iommu_group *grp)
{
	struct kvmppc_tce_hwtbl *hwtbl;
	int ret = 0;

	lockdep_assert_held(&t->kvm->arch.spapr_tce_lock);
	if (kvmppc_tce_find_hwtbl(t, tbl, grp))
		goto out_put;
	ret = -ENOMEM;
	hwtbl = kmalloc_obj(*hwtbl, GFP_KERNEL_ACCOUNT);
	if (!hwtbl)
		goto out_put;

	hwtbl->tbl = tbl;
	hwtbl->order = t->page_shift - tbl->it_page_shift;
	hwtbl->grp = grp;
	INIT_LIST_HEAD(&hwtbl->list);
	if (!kvmppc_tce_find_hwtbl(t, tbl, NULL))
		list_add_rcu(&hwtbl->list, &t->hwtbls);
	list_add(&hwtbl->attached, &t->attached);
	return 0;

out_put:
	iommu_tce_table_put(tbl);
	return ret;
}

/**
 * kvm_spapr_tce_attach_iommu_group() - KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE
 * @kvm: VM
 * @tablefd: file descriptor of a guest TCE table of the VM
 * @grp: VFIO group; the caller holds a reference until
 *	kvm_spapr_tce_release_iommu_group()
 *
 * Attaches the hardware TCE table of @grp for the window of the guest table.
 *
 * Context: Process context, may sleep.
 * Return: 0, also if it was attached before; -EBADF; -ENOMEM; -EINVAL if
 *	@tablefd is no table of the VM, or if @grp has no table for this window
 *	in a version 2 container of the VM's own process.
 */
long kvm_spapr_tce_attach_iommu_group(struct kvm *kvm, int tablefd,
				      struct iommu_group *grp)
{
	CLASS(fd, f)(tablefd);
	struct kvmppc_tce_table *t;
	struct iommu_table *tbl;
	LIST_HEAD(to_free);
	long ret;

	if (fd_empty(f))
		return -EBADF;
	t = fd_file(f)->private_data;
	if (fd_file(f)->f_op != &kvmppc_tce_table_fops || t->kvm != kvm)
		return -EINVAL;

	mutex_lock(&kvm->arch.spapr_tce_lock);
	tbl = kvmppc_tce_get_group_table(t, grp);
	ret = tbl ? kvmppc_tce_attach(t, tbl, grp) : -EINVAL;
	if (!ret)
		kvmppc_tce_detach_closed(t, grp, tbl, &to_free);
	mutex_unlock(&kvm->arch.spapr_tce_lock);

	/*
	 * Also without a detached table: when this returns, user space repeats
	 * all mappings in the new table, and no older hypercall may still run
	 * without it.
	 */
	if (!ret)
		kvmppc_tce_sync_and_free(kvm, &to_free);
	return ret;
}

/**
 * kvm_spapr_tce_release_iommu_group() - detach all tables of a group
 * @kvm: VM
 * @grp: VFIO group
 *
 * Mappings stay: their references are recorded in the view of the hardware TCE
 * table, and VFIO clears them with the window.
 *
 * Context: Process context, may sleep.
 */
void kvm_spapr_tce_release_iommu_group(struct kvm *kvm, struct iommu_group *grp)
{
	struct kvmppc_tce_hwtbl *hwtbl, *next;
	struct kvmppc_tce_table *t;
	LIST_HEAD(to_free);

	mutex_lock(&kvm->arch.spapr_tce_lock);
	list_for_each_entry(t, &kvm->arch.spapr_tce_tables, list)
		list_for_each_entry_safe(hwtbl, next, &t->attached, attached)
			if (hwtbl->grp == grp)
				kvmppc_tce_detach(t, hwtbl, &to_free);
	mutex_unlock(&kvm->arch.spapr_tce_lock);
	if (!list_empty(&to_free))
		kvmppc_tce_sync_and_free(kvm, &to_free);
}

/* Updates of hardware TCE tables */

/*
 * Maps or clears segments in all hardware TCE tables. All of them are prepared
 * before the first is written.
 */
static int kvmppc_tce_update_all(struct kvmppc_tce_table *t, unsigned long i,
				 const struct iommu_tce_seg *segs,
				 unsigned int nr)
{
	struct kvmppc_tce_hwtbl *hwtbl;
	struct tce_map *all = NULL;
	int ret;

	list_for_each_entry_srcu(hwtbl, &t->hwtbls, list,
				 srcu_read_lock_held(&t->kvm->srcu)) {
		ret = -ENXIO;
		if (!iommu_tce_is_closed(hwtbl->tbl))
			ret = iommu_tce_begin(&all, hwtbl->tbl,
					      kvmppc_tce_hwtbl_entry(t, hwtbl,
								     i),
					      segs, nr, hwtbl->order);
		if (ret) {
			iommu_tce_abort(all);
			return ret;
		}
	}
	return iommu_tce_commit(all);
}

/* Clears entries in all hardware TCE tables. */
static int kvmppc_tce_clear_all(struct kvmppc_tce_table *t, unsigned long i,
				unsigned long npages)
{
	struct kvmppc_tce_hwtbl *hwtbl;
	int ret;

	list_for_each_entry_srcu(hwtbl, &t->hwtbls, list,
				 srcu_read_lock_held(&t->kvm->srcu)) {
		if (iommu_tce_is_closed(hwtbl->tbl))
			return -ENXIO;
		ret = iommu_tce_unmap(hwtbl->tbl,
				      kvmppc_tce_hwtbl_entry(t, hwtbl, i),
				      npages << hwtbl->order);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * Slow path of the hypercalls: allocates, handles ranges of any length, and
 * platforms that may fail after the first TCE.
 */

static long
kvmppc_tce_put_list_slow(struct kvmppc_tce_table *t, unsigned long first,
			 const __be64 *list, unsigned long npages)
{
	struct iommu_tce_seg *segs __free(kfree) =
		kmalloc_array(npages, sizeof(*segs), GFP_KERNEL);
	struct kvmppc_tce_mem mem = { .kvm = t->kvm };
	unsigned int nr = 0;
	unsigned long i;

	if (!segs)
		return H_TOO_HARD;

	for (i = 0; i < npages; i += segs[nr++].npages)
		if (kvmppc_tce_next_seg(&mem, t, list + i, npages - i,
					&segs[nr]))
			return H_TOO_HARD;
	if (kvmppc_tce_shadow_prepare(t, first, npages))
		return H_TOO_HARD;
	/* makes no blocks of the view */
	if (nr == 1 && segs->clear ? kvmppc_tce_clear_all(t, first, npages) :
				     kvmppc_tce_update_all(t, first, segs, nr))
		return H_TOO_HARD;

	kvmppc_tce_shadow_write(t, first, npages, list);
	return H_SUCCESS;
}

static long kvmppc_tce_put_indirect_slow(struct kvm_vcpu *vcpu,
					 struct kvmppc_tce_table *t,
					 unsigned long i, unsigned long gpa,
					 unsigned long npages)
{
	struct kvmppc_tce_scratch *scratch = vcpu->arch.tce_scratch;
	unsigned long flags;
	int ret;

	if (npages > TCE_LIST_MAX || gpa & (SZ_4K - 1))
		return H_PARAMETER;
	if (!npages)
		return H_SUCCESS;
	/* copy the list once, because the guest may modify it concurrently */
	if (!scratch || kvm_read_guest(vcpu->kvm, gpa, scratch->list,
				       npages * sizeof(*scratch->list)))
		return H_TOO_HARD;

	local_irq_save(flags);
	ret = kvmppc_tce_put_list(vcpu, t, i, npages);
	local_irq_restore(flags);
	return ret ? kvmppc_tce_put_list_slow(t, i, scratch->list, npages) :
		     H_SUCCESS;
}

/* Clears any number of entries. */
static long kvmppc_tce_stuff_slow(struct kvmppc_tce_table *t, unsigned long i,
				  unsigned long npages, u64 tce)
{
	unsigned long n;

	/* left to user space: some guests map a whole range to one page */
	if (tce & TCE_PERM ||
	    (tce && kvmppc_tce_shadow_prepare(t, i, npages)) ||
	    kvmppc_tce_clear_all(t, i, npages))
		return H_TOO_HARD;

	for (; npages; npages -= n, i += n) {
		n = min(npages, SHADOW_STEP);
		kvmppc_tce_shadow_fill(t, i, n, tce);
		cond_resched();
	}
	return H_SUCCESS;
}

static long
kvmppc_tce_write_slow(struct kvm_vcpu *vcpu, unsigned long req,
		      unsigned long liobn, unsigned long ioba,
		      unsigned long value, unsigned long npages)
{
	struct kvmppc_tce_table *t = kvmppc_tce_find(vcpu->kvm, liobn);
	__be64 one = cpu_to_be64(value);
	unsigned long i;
	long ret;

	if (!t)
		return H_TOO_HARD;
	/* without it the fast path takes neither lists nor large pages */
	if (!vcpu->arch.tce_scratch &&
	    (req == H_PUT_TCE_INDIRECT || !list_empty(&t->hwtbls)))
		vcpu->arch.tce_scratch =
			kmalloc_obj(*vcpu->arch.tce_scratch,
				    GFP_KERNEL_ACCOUNT);
	if (!kvmppc_tce_index(t, ioba, npages, &i))
		ret = H_PARAMETER;
	else if (req == H_PUT_TCE_INDIRECT)
		ret = kvmppc_tce_put_indirect_slow(vcpu, t, i, value, npages);
	else if (req == H_PUT_TCE && value & TCE_PERM)
		ret = kvmppc_tce_put_list_slow(t, i, &one, 1);
	else
		ret = kvmppc_tce_stuff_slow(t, i, npages, value);
	if (ret == H_SUCCESS && !kvmppc_tce_is_complete(t))
		ret = H_TOO_HARD;
	kvmppc_tce_count(vcpu, ret, npages);
	return ret;
}

static long kvmppc_tce_write(struct kvm_vcpu *vcpu, unsigned long req,
			     unsigned long liobn, unsigned long ioba,
			     unsigned long value, unsigned long npages)
{
	int idx = srcu_read_lock(&vcpu->kvm->srcu);
	long ret = H_TOO_HARD;
	unsigned long flags;

	/* not H_PUT_TCE_INDIRECT, because the copy of its list may sleep */
	if (req != H_PUT_TCE_INDIRECT) {
		local_irq_save(flags);
		ret = req == H_PUT_TCE ?
		      kvmppc_rm_h_put_tce(vcpu, liobn, ioba, value) :
		      kvmppc_rm_h_stuff_tce(vcpu, liobn, ioba, value, npages);
		local_irq_restore(flags);
	}
	if (ret == H_TOO_HARD)
		ret = kvmppc_tce_write_slow(vcpu, req, liobn, ioba, value,
					    npages);
	srcu_read_unlock(&vcpu->kvm->srcu, idx);
	/* also reaps regions that the call has dropped before in real mode */
	mm_iommu_reap(vcpu->kvm->mm);
	return ret;
}

static long kvmppc_tce_do_hcall(struct kvm_vcpu *vcpu, unsigned long req,
				unsigned long liobn, unsigned long ioba,
				unsigned long value, unsigned long npages)
{
	long ret = kvmppc_tce_write(vcpu, req, liobn, ioba, value, npages);

	trace_kvm_tce_hcall(req, liobn, ioba, value, npages, ret);
	if (ret == H_TOO_HARD)
		vcpu->stat.tce_user++;
	return ret;
}

/**
 * kvmppc_tce_hcall() - handle the TCE hypercall of a vCPU early
 * @vcpu: vCPU in H_PUT_TCE, H_PUT_TCE_INDIRECT or H_STUFF_TCE
 *
 * For exit handlers that try a hypercall before the generic exit path.
 *
 * Context: Process context, may sleep.
 * Return: true if the call is complete, with its return value in GPR 3 of the
 *	vCPU; false if the caller must take the generic path to
 *	kvmppc_h_put_tce() etc., which traces the call and counts it.
 */
bool kvmppc_tce_hcall(struct kvm_vcpu *vcpu)
{
	unsigned long req = kvmppc_get_gpr(vcpu, 3);
	unsigned long liobn = kvmppc_get_gpr(vcpu, 4);
	unsigned long ioba = kvmppc_get_gpr(vcpu, 5);
	unsigned long value = kvmppc_get_gpr(vcpu, 6);
	unsigned long npages = 1;
	long ret;

	if (req != H_PUT_TCE)
		npages = kvmppc_get_gpr(vcpu, 7);
	ret = kvmppc_tce_write(vcpu, req, liobn, ioba, value, npages);
	if (ret == H_TOO_HARD)
		return false;

	trace_kvm_tce_hcall(req, liobn, ioba, value, npages, ret);
	kvmppc_set_gpr(vcpu, 3, ret);
	return true;
}
EXPORT_SYMBOL_GPL(kvmppc_tce_hcall);

/**
 * kvmppc_h_put_tce() - H_PUT_TCE (LoPAPR 14.5.4.1)
 * @vcpu: calling vCPU
 * @liobn: number of the table
 * @ioba: bus address
 * @tce: TCE; clears the entry if it has no permissions
 *
 * Context: Process context, may sleep.
 * Return: H_SUCCESS; H_PARAMETER if @ioba is not in the table; H_TOO_HARD if
 *	user space must do the whole call, even if parts of it were done.
 */
long kvmppc_h_put_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
		      unsigned long ioba, unsigned long tce)
{
	return kvmppc_tce_do_hcall(vcpu, H_PUT_TCE, liobn, ioba, tce, 1);
}
EXPORT_SYMBOL_GPL(kvmppc_h_put_tce);

/**
 * kvmppc_h_put_tce_indirect() - H_PUT_TCE_INDIRECT (LoPAPR 14.5.4.2)
 * @vcpu: calling vCPU
 * @liobn: number of the table
 * @ioba: bus address of the first entry
 * @tce_list: guest physical address of the list, a multiple of 4K
 * @npages: number of TCEs in the list, up to 512
 *
 * Context: Process context, may sleep.
 * Return: H_SUCCESS if all entries are written; H_PARAMETER if the range is not
 *	in the table, or @tce_list or @npages is invalid; H_TOO_HARD if user
 *	space must do the whole call.
 */
long kvmppc_h_put_tce_indirect(struct kvm_vcpu *vcpu, unsigned long liobn,
			       unsigned long ioba, unsigned long tce_list,
			       unsigned long npages)
{
	return kvmppc_tce_do_hcall(vcpu, H_PUT_TCE_INDIRECT, liobn, ioba,
				   tce_list, npages);
}
EXPORT_SYMBOL_GPL(kvmppc_h_put_tce_indirect);

/**
 * kvmppc_h_stuff_tce() - H_STUFF_TCE (LoPAPR 14.5.4.3)
 * @vcpu: calling vCPU
 * @liobn: number of the table
 * @ioba: bus address of the first entry
 * @tce_value: value of the entries that H_GET_TCE returns afterwards
 * @npages: number of entries; not limited to 512, guests clear whole tables
 *
 * Context: Process context, may sleep.
 * Return: H_SUCCESS if all entries are cleared; H_PARAMETER if the range is not
 *	in the table; H_TOO_HARD if @tce_value has permissions, or if user space
 *	must do the whole call for another reason.
 */
long kvmppc_h_stuff_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			unsigned long ioba, unsigned long tce_value,
			unsigned long npages)
{
	return kvmppc_tce_do_hcall(vcpu, H_STUFF_TCE, liobn, ioba, tce_value,
				   npages);
}
EXPORT_SYMBOL_GPL(kvmppc_h_stuff_tce);

/**
 * kvmppc_h_get_tce() - H_GET_TCE (LoPAPR 14.5.4.4)
 * @vcpu: calling vCPU; the TCE is stored in its GPR 4
 * @liobn: number of the table
 * @ioba: bus address
 *
 * Context: Process context.
 * Return: H_SUCCESS; H_PARAMETER if @ioba is not in the table; H_TOO_HARD if
 *	the VM has no such table, which user space may emulate.
 */
long kvmppc_h_get_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
		      unsigned long ioba)
{
	int idx = srcu_read_lock(&vcpu->kvm->srcu);
	long ret;
	u64 tce;

	ret = kvmppc_tce_get(vcpu, liobn, ioba, &tce);
	srcu_read_unlock(&vcpu->kvm->srcu, idx);
	if (ret == H_SUCCESS)
		kvmppc_set_gpr(vcpu, 4, tce);
	trace_kvm_tce_hcall(H_GET_TCE, liobn, ioba, 0, 1, ret);
	return ret;
}
EXPORT_SYMBOL_GPL(kvmppc_h_get_tce);
