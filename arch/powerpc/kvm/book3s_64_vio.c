// SPDX-License-Identifier: GPL-2.0
/*
 * TCE tables of a guest, and the hypercalls that change them.
 *
 * A guest sees its DMA windows as TCE tables that it changes by H_PUT_TCE,
 * H_PUT_TCE_INDIRECT and H_STUFF_TCE (LoPAPR 14.5). User space makes a table for
 * each window, and attaches to it the tables of the hardware that devices of
 * VFIO use. A table without any belongs to devices that user space emulates,
 * which looks into the guest's view of it.
 *
 * Most hypercalls are served at once, by book3s_64_vio_builtin.c. What follows
 * here is for the others.
 *
 * DOC: a hypercall
 *
 * 1. The call is checked, a list of TCEs is copied once, and every page that is
 *    to be mapped is found in a memory slot that the guest may write.
 * 2. For each table of the hardware all is made ready: the memory must be
 *    registered (arch/powerpc/mm/mmu_context_iommu.c) and is counted as mapped.
 * 3. The tables are changed, each invalidated once.
 * 4. The guest's view is written.
 *
 * What fails before step 3 is H_TOO_HARD: user space does the whole call again,
 * by MAP and UNMAP. After it only a platform can refuse, or a window that was
 * just removed; then the tables so far are changed, which does no harm, because
 * user space changes them in the same way.
 *
 * Who holds what: a hypercall holds kvm->srcu from before it looks for its table
 * to its end, so tables of the guest and of the hardware are freed only after a
 * grace period of it. kvm->arch.spapr_tce_lock serialises all changes of the
 * lists; KVM calls with kvm->lock held or without it. A table of the hardware may
 * outlive its window: it is closed then, and nothing more is mapped in it. Only
 * tables are attached that the VM's own mm uses with registered memory: counts
 * are taken there.
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
#include <asm/iommu_tce_view.h>
#include <asm/kvm_book3s.h>
#include <asm/kvm_ppc.h>
#include <asm/mm_iommu.h>
#include <asm/tce.h>

#include "book3s_64_vio.h"

#define CREATE_TRACE_POINTS
#include "trace_vio.h"

/* IOMMU pages of 16G. */
#define TCE_MAX_PAGE_SHIFT	34

/* Entries of the guest's view between two points where another task may run. */
#define VIEW_STEP	SZ_64K

/* Whether the lists of a table may be walked. */
static inline bool lists_held(const struct kvmppc_tce_table *t)
{
	return srcu_read_lock_held(&t->kvm->srcu) ||
	       lockdep_is_held(&t->kvm->arch.spapr_tce_lock);
}

/* The guest's view */

static u64 *view_alloc_page(struct kvmppc_tce_table *t, unsigned long i)
{
	u64 *page;

	mutex_lock(&t->alloc_lock);
	page = t->pages[i];
	if (!page) {
		page = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		/* pairs with READ_ONCE() in kvmppc_tce_view_page(): zeroed first */
		smp_store_release(&t->pages[i], page);
	}
	mutex_unlock(&t->alloc_lock);
	return page;
}

/* Makes the view of a range present. */
static int view_prepare(struct kvmppc_tce_table *t, unsigned long first,
			unsigned long npages)
{
	unsigned long i, last = (first + npages - 1) / TCES_PER_PAGE;

	for (i = first / TCES_PER_PAGE; i <= last; i++) {
		if (!kvmppc_tce_view_page(t, i) && !view_alloc_page(t, i))
			return -ENOMEM;
		cond_resched();
	}
	return 0;
}

static vm_fault_t view_fault(struct vm_fault *vmf)
{
	struct kvmppc_tce_table *t = vmf->vma->vm_file->private_data;
	u64 *page;

	if (vmf->pgoff >= DIV_ROUND_UP(t->size, TCES_PER_PAGE))
		return VM_FAULT_SIGBUS;

	page = kvmppc_tce_view_page(t, vmf->pgoff) ? :
	       view_alloc_page(t, vmf->pgoff);
	if (!page)
		return VM_FAULT_OOM;

	vmf->page = virt_to_page(page);
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct view_vm_ops = {
	.fault = view_fault,
};

/* Life of a table */

static void free_hw(struct kvmppc_tce_hw *hw)
{
	iommu_tce_table_put(hw->tbl);
	kfree(hw);
}

/* Moves a table of the hardware that nobody uses any more to @gone. */
static void detach_user(struct kvmppc_tce_user *user, struct list_head *gone)
{
	struct kvmppc_tce_hw *hw = user->hw;

	list_del(&user->list);
	kfree(user);
	if (--hw->users)
		return;
	/* readers may stand on it still: it goes on pointing into the list */
	list_del_rcu(&hw->list);
	list_add(&hw->free, gone);
}

/*
 * Waits until all hypercalls, in either mode, know how the lists have changed,
 * and frees what was detached. Expedited: user space waits under a lock that its
 * vcpu threads need.
 */
static void sync_and_free(struct kvm *kvm, struct list_head *gone)
{
	struct kvmppc_tce_hw *hw, *next;

	synchronize_srcu_expedited(&kvm->srcu);
	list_for_each_entry_safe(hw, next, gone, free)
		free_hw(hw);
}

static int table_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &view_vm_ops;
	return 0;
}

static void free_table(struct kvmppc_tce_table *t)
{
	unsigned long i, n = DIV_ROUND_UP(t->size, TCES_PER_PAGE);

	for (i = 0; i < n; i++) {
		free_page((unsigned long)t->pages[i]);
		if (!(i % 1024))
			cond_resched();
	}
	account_locked_vm(t->kvm->mm, t->locked, false);
	kfree(t);
}

static int table_release(struct inode *inode, struct file *file)
{
	struct kvmppc_tce_table *t = file->private_data;
	struct kvmppc_tce_user *user, *next;
	struct kvm *kvm = t->kvm;
	LIST_HEAD(gone);

	mutex_lock(&kvm->arch.spapr_tce_lock);
	list_del_rcu(&t->list);
	list_for_each_entry_safe(user, next, &t->users, list)
		detach_user(user, &gone);
	mutex_unlock(&kvm->arch.spapr_tce_lock);

	sync_and_free(kvm, &gone);
	free_table(t);
	kvm_put_kvm(kvm);
	return 0;
}

static const struct file_operations table_fops = {
	.owner		= THIS_MODULE,
	.mmap		= table_mmap,
	.release	= table_release,
};

static int check_create(const struct kvm_create_spapr_tce_64 *args)
{
	u64 end;

	if (!args->size || args->page_shift < IOMMU_PAGE_SHIFT_4K ||
	    args->page_shift > TCE_MAX_PAGE_SHIFT ||
	    check_add_overflow(args->offset, args->size, &end) ||
	    end > ULLONG_MAX >> args->page_shift)
		return -EINVAL;
	return 0;
}

static struct kvmppc_tce_table *
alloc_table(struct kvm *kvm, const struct kvm_create_spapr_tce_64 *args)
{
	unsigned long n = DIV_ROUND_UP(args->size, TCES_PER_PAGE);
	struct kvmppc_tce_table *t;

	/* user space chooses the size: too much is an answer, not a warning */
	t = kzalloc(struct_size(t, pages, n), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!t)
		return NULL;

	t->kvm = kvm;
	t->liobn = args->liobn;
	t->page_shift = args->page_shift;
	t->offset = args->offset;
	t->size = args->size;
	t->locked = n + DIV_ROUND_UP(struct_size(t, pages, n), PAGE_SIZE);
	INIT_LIST_HEAD(&t->hws);
	INIT_LIST_HEAD(&t->users);
	mutex_init(&t->alloc_lock);
	return t;
}

/**
 * kvm_vm_ioctl_create_spapr_tce() - KVM_CREATE_SPAPR_TCE_64
 * @kvm: the VM
 * @args: what user space asks for
 *
 * Context: Process context, may sleep.
 * Return: a file descriptor of the table; -EINVAL, -ENOMEM, or -EBUSY where the
 *	VM has a table of this LIOBN.
 */
int kvm_vm_ioctl_create_spapr_tce(struct kvm *kvm,
				  struct kvm_create_spapr_tce_64 *args)
{
	struct kvmppc_tce_table *t;
	int ret;

	ret = check_create(args);
	if (ret)
		return ret;

	t = alloc_table(kvm, args);
	if (!t)
		return -ENOMEM;

	ret = account_locked_vm(kvm->mm, t->locked, true);
	if (ret) {
		kfree(t);
		return ret;
	}

	mutex_lock(&kvm->arch.spapr_tce_lock);
	if (kvmppc_tce_find(kvm, args->liobn)) {
		ret = -EBUSY;
		goto err_unlock;
	}

	/* the file holds the VM; whoever guesses the fd waits for the lock */
	kvm_get_kvm(kvm);
	ret = anon_inode_getfd("kvm-spapr-tce", &table_fops, t,
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
	free_table(t);
	return ret;
}

/* Tables of the hardware */

/* Whether the window of @tbl is that of @t, in pages of the same size or less. */
static bool same_window(const struct kvmppc_tce_table *t,
			const struct iommu_table *tbl)
{
	unsigned int order = t->page_shift - tbl->it_page_shift;

	return tbl->it_page_shift <= t->page_shift &&
	       tbl->it_offset == t->offset << order &&
	       tbl->it_size >= t->size << order;
}

/* The table of a group for a window of the guest's, with a reference. */
static struct iommu_table *get_group_table(struct kvmppc_tce_table *t,
					   struct iommu_group *grp)
{
	struct iommu_table_group *tables = iommu_group_get_iommudata(grp);
	struct iommu_table *tbl = NULL;
	unsigned int i;

	if (!tables)
		return NULL;

	/* VFIO may remove the window just now: the table is freed by RCU */
	rcu_read_lock();
	for (i = 0; i < IOMMU_TABLE_GROUP_MAX_TABLES; i++) {
		tbl = READ_ONCE(tables->tables[i]);
		if (!tbl)
			continue;
		tbl = iommu_tce_table_get(tbl);
		if (!tbl)
			continue;
		/* first the owner: the rest of a new table is visible then */
		if (iommu_tce_is_owner(tbl, t->kvm->mm) &&
		    !iommu_tce_is_closed(tbl) && same_window(t, tbl))
			break;
		rcu_read_unlock();
		iommu_tce_table_put(tbl);
		tbl = NULL;
		rcu_read_lock();
	}
	rcu_read_unlock();
	return tbl;
}

/*
 * Detaches the tables of a group that were closed, when it has @tbl for the
 * same window: not before, because a closed table is opened again if the
 * platform refuses to remove it. Until then its hypercalls are H_TOO_HARD.
 */
static void detach_closed(struct kvmppc_tce_table *t,
			  const struct iommu_group *grp,
			  const struct iommu_table *tbl, struct list_head *gone)
{
	struct kvmppc_tce_user *user, *next;

	list_for_each_entry_safe(user, next, &t->users, list)
		if (user->grp == grp && user->hw->tbl != tbl &&
		    iommu_tce_is_closed(user->hw->tbl))
			detach_user(user, gone);
}

static struct kvmppc_tce_hw *find_hw(struct kvmppc_tce_table *t,
				     const struct iommu_table *tbl)
{
	struct kvmppc_tce_hw *hw;

	list_for_each_entry(hw, &t->hws, list)
		if (hw->tbl == tbl)
			return hw;
	return NULL;
}

static bool is_user(struct kvmppc_tce_table *t, const struct kvmppc_tce_hw *hw,
		    const struct iommu_group *grp)
{
	const struct kvmppc_tce_user *user;

	list_for_each_entry(user, &t->users, list)
		if (user->hw == hw && user->grp == grp)
			return true;
	return false;
}

/* Takes over the reference on @tbl, but for an error. */
static int attach_table(struct kvmppc_tce_table *t, struct iommu_table *tbl,
			struct iommu_group *grp)
{
	struct kvmppc_tce_hw *hw = find_hw(t, tbl), *new = NULL;
	struct kvmppc_tce_user *user;

	lockdep_assert_held(&t->kvm->arch.spapr_tce_lock);
	if (hw && is_user(t, hw, grp)) {
		iommu_tce_table_put(tbl);
		return 0;
	}

	user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);
	if (!user)
		return -ENOMEM;
	if (!hw) {
		new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
		if (!new) {
			kfree(user);
			return -ENOMEM;
		}
		new->tbl = tbl;
		new->order = t->page_shift - tbl->it_page_shift;
		list_add_rcu(&new->list, &t->hws);
		hw = new;
	} else {
		iommu_tce_table_put(tbl);
	}

	hw->users++;
	user->grp = grp;
	user->hw = hw;
	list_add(&user->list, &t->users);
	return 0;
}

/**
 * kvm_spapr_tce_attach_iommu_group() - KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE
 * @kvm: the VM
 * @tablefd: a table of the VM
 * @grp: a group of VFIO; the caller holds it until
 *	kvm_spapr_tce_release_iommu_group()
 *
 * Context: Process context, may sleep.
 * Return: 0, also where it was attached before; -EBADF; -ENOMEM; -EINVAL where
 *	@tablefd is no table of the VM, or the group has no such window with
 *	memory that the VM's own process has registered.
 */
long kvm_spapr_tce_attach_iommu_group(struct kvm *kvm, int tablefd,
				      struct iommu_group *grp)
{
	struct kvmppc_tce_table *t;
	struct iommu_table *tbl;
	LIST_HEAD(gone);
	struct fd f;
	long ret = -EINVAL;

	f = fdget(tablefd);
	if (!fd_file(f))
		return -EBADF;
	if (fd_file(f)->f_op != &table_fops)
		goto out_put;
	t = fd_file(f)->private_data;
	if (t->kvm != kvm)
		goto out_put;

	mutex_lock(&kvm->arch.spapr_tce_lock);
	tbl = get_group_table(t, grp);
	if (tbl) {
		ret = attach_table(t, tbl, grp);
		if (ret)
			iommu_tce_table_put(tbl);
		else
			detach_closed(t, grp, tbl, &gone);
	}
	mutex_unlock(&kvm->arch.spapr_tce_lock);

	/* user space repeats the mappings in the table after all such calls */
	if (!ret)
		sync_and_free(kvm, &gone);

out_put:
	fdput(f);
	return ret;
}

/**
 * kvm_spapr_tce_release_iommu_group() - detach all that was attached for a group
 * @kvm: the VM
 * @grp: the group
 *
 * What is mapped stays: its references are known to the tables, and VFIO clears
 * them.
 *
 * Context: Process context, may sleep.
 */
void kvm_spapr_tce_release_iommu_group(struct kvm *kvm, struct iommu_group *grp)
{
	struct kvmppc_tce_user *user, *next;
	struct kvmppc_tce_table *t;
	LIST_HEAD(gone);

	mutex_lock(&kvm->arch.spapr_tce_lock);
	list_for_each_entry(t, &kvm->arch.spapr_tce_tables, list)
		list_for_each_entry_safe(user, next, &t->users, list)
			if (user->grp == grp)
				detach_user(user, &gone);
	mutex_unlock(&kvm->arch.spapr_tce_lock);
	if (!list_empty(&gone))
		sync_and_free(kvm, &gone);
}

/* What a guest asks for */

/* What a list asks for; returns the number of parts, or -errno. */
static int want_list(struct kvmppc_tce_table *t, const __be64 *list,
		     unsigned long npages, struct iommu_tce_want *wants)
{
	struct kvmppc_tce_mem mem = { .kvm = t->kvm };
	struct iommu_tce_want *want = wants;
	unsigned long i;
	int ret;

	for (i = 0; i < npages; i += want++->npages) {
		ret = kvmppc_tce_want_run(&mem, t, list + i, npages - i, want);
		if (ret)
			return ret;
	}
	return want - wants;
}

/* Changes */

/* Maps what is wanted in the only table of the hardware. */
static int put_one(struct kvmppc_tce_table *t, struct kvmppc_tce_hw *hw,
		   unsigned long i, const struct iommu_tce_want *want)
{
	unsigned long entry = kvmppc_tce_hw_entry(t, hw, i);
	unsigned long npages = want->npages << hw->order;

	if (iommu_tce_is_closed(hw->tbl))
		return -ENXIO;
	if (want->clear)
		return iommu_tce_unmap(hw->tbl, entry, npages);
	return iommu_tce_map(hw->tbl, entry, want->ua, npages, want->write,
			     NULL);
}

/* A change of one table of the hardware that is ready to be made. */
struct ready {
	struct list_head list;
	struct tce_map *map;
};

static void abort_all(struct list_head *all)
{
	struct ready *ready, *next;

	list_for_each_entry_safe(ready, next, all, list) {
		iommu_tce_abort(ready->map);
		kfree(ready);
	}
}

static int commit_all(struct list_head *all)
{
	struct ready *ready, *next;
	int err, ret = 0;

	list_for_each_entry_safe(ready, next, all, list) {
		err = iommu_tce_commit(ready->map);
		if (err && !ret)
			ret = err;
		kfree(ready);
	}
	return ret;
}

/* Maps what is wanted in all tables of the hardware, or in none. */
static int put_all(struct kvmppc_tce_table *t, unsigned long i,
		   const struct iommu_tce_want *wants, unsigned int nr)
{
	struct kvmppc_tce_hw *hw;
	struct ready *ready;
	LIST_HEAD(all);
	int ret;

	list_for_each_entry_srcu(hw, &t->hws, list, lists_held(t)) {
		ready = kmalloc(sizeof(*ready), GFP_KERNEL);
		if (!ready) {
			ret = -ENOMEM;
			goto err_abort;
		}
		ready->map = iommu_tce_begin(hw->tbl,
					     kvmppc_tce_hw_entry(t, hw, i),
					     wants, nr, hw->order);
		if (IS_ERR(ready->map)) {
			ret = PTR_ERR(ready->map);
			kfree(ready);
			goto err_abort;
		}
		list_add_tail(&ready->list, &all);
	}
	return commit_all(&all);

err_abort:
	abort_all(&all);
	return ret;
}

static int put(struct kvmppc_tce_table *t, unsigned long i,
	       const struct iommu_tce_want *wants, unsigned int nr)
{
	struct kvmppc_tce_hw *hw;

	hw = list_first_or_null_rcu(&t->hws, struct kvmppc_tce_hw, list);
	if (!hw)
		return 0;
	if (nr > 1 || list_next_or_null_rcu(&t->hws, &hw->list,
					    struct kvmppc_tce_hw, list))
		return put_all(t, i, wants, nr);
	return put_one(t, hw, i, wants);
}

/*
 * The hypercalls, as far as they need memory or more time, or may be refused in
 * the middle.
 */

/* What the VCPU works with, made when it is needed for the first time. */
static struct kvmppc_tce_scratch *get_scratch(struct kvm_vcpu *vcpu)
{
	if (!vcpu->arch.tce_scratch)
		vcpu->arch.tce_scratch =
			kmalloc(sizeof(*vcpu->arch.tce_scratch),
				GFP_KERNEL_ACCOUNT);
	return vcpu->arch.tce_scratch;
}

/* Whether an entry of the guest's table is several of the hardware's. */
static bool is_many(struct kvmppc_tce_table *t)
{
	struct kvmppc_tce_hw *hw;

	hw = list_first_or_null_rcu(&t->hws, struct kvmppc_tce_hw, list);
	return hw && hw->order;
}

static long put_tce(struct kvm_vcpu *vcpu, struct kvmppc_tce_table *t,
		    unsigned long i, u64 tce)
{
	struct kvmppc_tce_mem mem = { .kvm = t->kvm };
	struct iommu_tce_want want;

	/* so that the next one is served at once */
	if (is_many(t))
		get_scratch(vcpu);
	if (kvmppc_tce_want(&mem, t, tce, &want) || view_prepare(t, i, 1) ||
	    put(t, i, &want, 1))
		return H_TOO_HARD;

	kvmppc_tce_view_fill(t, i, 1, tce);
	return H_SUCCESS;
}

static noinline long put_list_slowly(struct kvmppc_tce_table *t,
				     unsigned long first, const __be64 *list,
				     unsigned long npages)
{
	struct iommu_tce_want *wants;
	long ret = H_TOO_HARD;
	int nr;

	wants = kmalloc_array(npages, sizeof(*wants), GFP_KERNEL);
	if (!wants)
		return H_TOO_HARD;

	nr = want_list(t, list, npages, wants);
	if (nr < 0 || view_prepare(t, first, npages) ||
	    put(t, first, wants, nr))
		goto out_free;

	kvmppc_tce_view_write(t, first, npages, list);
	ret = H_SUCCESS;
out_free:
	kfree(wants);
	return ret;
}

static long put_tce_indirect(struct kvm_vcpu *vcpu, struct kvmppc_tce_table *t,
			     unsigned long i, unsigned long gpa,
			     unsigned long npages)
{
	struct kvmppc_tce_scratch *scratch;
	unsigned long flags;
	int ret;

	if (npages > TCE_LIST_MAX || gpa & (SZ_4K - 1))
		return H_PARAMETER;
	if (!npages)
		return H_SUCCESS;

	scratch = get_scratch(vcpu);
	if (!scratch)
		return H_TOO_HARD;
	/* read once: the guest may write to it meanwhile */
	if (kvm_read_guest(vcpu->kvm, gpa, scratch->list,
			   npages * sizeof(*scratch->list)))
		return H_TOO_HARD;

	local_irq_save(flags);
	ret = kvmppc_tce_put_list(vcpu, t, i, npages);
	local_irq_restore(flags);
	return ret ? put_list_slowly(t, i, scratch->list, npages) : H_SUCCESS;
}

static void view_fill(struct kvmppc_tce_table *t, unsigned long first,
		      unsigned long npages, u64 tce)
{
	unsigned long n;

	for (; npages; npages -= n, first += n) {
		n = min(npages, VIEW_STEP);
		kvmppc_tce_view_fill(t, first, n, tce);
		cond_resched();
	}
}

static long stuff_tce(struct kvmppc_tce_table *t, unsigned long i,
		      unsigned long npages, u64 tce)
{
	struct iommu_tce_want want = { .npages = npages, .clear = true };
	struct kvmppc_tce_hw *hw;

	/* some guests map a range to one page: user space can */
	if (tce & TCE_PERM || (tce && view_prepare(t, i, npages)))
		return H_TOO_HARD;

	list_for_each_entry_srcu(hw, &t->hws, list, lists_held(t))
		if (put_one(t, hw, i, &want))
			return H_TOO_HARD;

	view_fill(t, i, npages, tce);
	return H_SUCCESS;
}

static noinline long write_slowly(struct kvm_vcpu *vcpu, unsigned long req,
				  unsigned long liobn, unsigned long ioba,
				  unsigned long value, unsigned long npages)
{
	struct kvmppc_tce_table *t = kvmppc_tce_find(vcpu->kvm, liobn);
	unsigned long i;
	long ret;

	if (!t)
		return H_TOO_HARD;
	if (!kvmppc_tce_index(t, ioba, npages, &i))
		ret = H_PARAMETER;
	else if (req == H_PUT_TCE)
		ret = put_tce(vcpu, t, i, value);
	else if (req == H_PUT_TCE_INDIRECT)
		ret = put_tce_indirect(vcpu, t, i, value, npages);
	else
		ret = stuff_tce(t, i, npages, value);
	if (ret == H_SUCCESS && !kvmppc_tce_is_complete(t))
		ret = H_TOO_HARD;
	if (ret != H_TOO_HARD)
		kvmppc_tce_count(vcpu, ret, npages);
	return ret;
}

/* Where the list has to be read first, that may sleep. */
static long write_at_once(struct kvm_vcpu *vcpu, unsigned long req,
			  unsigned long liobn, unsigned long ioba,
			  unsigned long value, unsigned long npages)
{
	unsigned long flags;
	long ret;

	if (req == H_PUT_TCE_INDIRECT)
		return H_TOO_HARD;
	local_irq_save(flags);
	if (req == H_PUT_TCE)
		ret = kvmppc_rm_h_put_tce(vcpu, liobn, ioba, value);
	else
		ret = kvmppc_rm_h_stuff_tce(vcpu, liobn, ioba, value, npages);
	local_irq_restore(flags);
	return ret;
}

static long write_tces(struct kvm_vcpu *vcpu, unsigned long req,
		       unsigned long liobn, unsigned long ioba,
		       unsigned long value, unsigned long npages)
{
	int idx = srcu_read_lock(&vcpu->kvm->srcu);
	long ret;

	ret = write_at_once(vcpu, req, liobn, ioba, value, npages);
	if (ret == H_TOO_HARD)
		ret = write_slowly(vcpu, req, liobn, ioba, value, npages);
	srcu_read_unlock(&vcpu->kvm->srcu, idx);
	/* also for what was dropped with the MMU off, before the call came here */
	mm_iommu_reap(vcpu->kvm->mm);
	return ret;
}

static long hcall(struct kvm_vcpu *vcpu, unsigned long req,
		  unsigned long liobn, unsigned long ioba, unsigned long value,
		  unsigned long npages)
{
	long ret = write_tces(vcpu, req, liobn, ioba, value, npages);

	trace_kvm_tce_hcall(req, liobn, ioba, value, npages, ret);
	if (ret == H_TOO_HARD)
		vcpu->stat.tce_user++;
	return ret;
}

/**
 * kvmppc_tce_hcall() - serve the TCE hypercall that a guest has made
 * @vcpu: whose call it is: H_PUT_TCE, H_PUT_TCE_INDIRECT or H_STUFF_TCE
 *
 * For those who look at hypercalls before they tell of an exit.
 *
 * Context: Process context, may sleep.
 * Return: true with the answer in the guest's register 3; false where it is to
 *	be done by kvmppc_h_put_tce() and so on, which count it and tell of it.
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
	ret = write_tces(vcpu, req, liobn, ioba, value, npages);
	if (ret == H_TOO_HARD)
		return false;

	trace_kvm_tce_hcall(req, liobn, ioba, value, npages, ret);
	kvmppc_set_gpr(vcpu, 3, ret);
	return true;
}
EXPORT_SYMBOL_GPL(kvmppc_tce_hcall);

/**
 * kvmppc_h_put_tce() - H_PUT_TCE (LoPAPR 14.5.4.1)
 * @vcpu: whose call it is
 * @liobn: the table
 * @ioba: bus address
 * @tce: the TCE; without permissions it clears the entry
 *
 * Context: Process context, may sleep.
 * Return: H_SUCCESS; H_PARAMETER for an address outside of the table;
 *	H_TOO_HARD where user space is to do it, whatever of it was done.
 */
long kvmppc_h_put_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
		      unsigned long ioba, unsigned long tce)
{
	return hcall(vcpu, H_PUT_TCE, liobn, ioba, tce, 1);
}
EXPORT_SYMBOL_GPL(kvmppc_h_put_tce);

/**
 * kvmppc_h_put_tce_indirect() - H_PUT_TCE_INDIRECT (LoPAPR 14.5.4.2)
 * @vcpu: whose call it is
 * @liobn: the table
 * @ioba: bus address of the first entry
 * @tce_list: guest physical address of the list, a multiple of 4K
 * @npages: TCEs in it, up to 512
 *
 * Context: Process context, may sleep.
 * Return: H_SUCCESS, all are written; H_PARAMETER for a range outside of the
 *	table, or no such list; H_TOO_HARD where user space is to do it.
 */
long kvmppc_h_put_tce_indirect(struct kvm_vcpu *vcpu, unsigned long liobn,
			       unsigned long ioba, unsigned long tce_list,
			       unsigned long npages)
{
	return hcall(vcpu, H_PUT_TCE_INDIRECT, liobn, ioba, tce_list, npages);
}
EXPORT_SYMBOL_GPL(kvmppc_h_put_tce_indirect);

/**
 * kvmppc_h_stuff_tce() - H_STUFF_TCE (LoPAPR 14.5.4.3)
 * @vcpu: whose call it is
 * @liobn: the table
 * @ioba: bus address of the first entry
 * @tce_value: what H_GET_TCE says of the entries from now on
 * @npages: number of entries, which may be all: guests ask for more than 512
 *
 * Context: Process context, may sleep.
 * Return: H_SUCCESS, all are cleared; H_PARAMETER for a range outside of the
 *	table; H_TOO_HARD for a value with permissions, and where user space is
 *	to do it.
 */
long kvmppc_h_stuff_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			unsigned long ioba, unsigned long tce_value,
			unsigned long npages)
{
	return hcall(vcpu, H_STUFF_TCE, liobn, ioba, tce_value, npages);
}
EXPORT_SYMBOL_GPL(kvmppc_h_stuff_tce);

/**
 * kvmppc_h_get_tce() - H_GET_TCE (LoPAPR 14.5.4.4)
 * @vcpu: whose call it is; the TCE goes to its register 4
 * @liobn: the table
 * @ioba: bus address
 *
 * Context: Process context.
 * Return: H_SUCCESS; H_PARAMETER for an address outside of the table;
 *	H_TOO_HARD for a table that user space emulates.
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
