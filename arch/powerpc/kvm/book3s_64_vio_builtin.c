// SPDX-License-Identifier: GPL-2.0
/*
 * The TCE hypercalls, as far as they can be served at once: where one neither
 * sleeps nor allocates, with the MMU on or off.
 *
 * One body serves both. With the MMU on book3s_64_vio.c calls it first, with
 * interrupts off, and does the rest itself. With the MMU off, where a POWER8 host
 * takes the hypercalls of a guest with a hash table, hcall_real_table calls what is
 * at the end of this file, and H_TOO_HARD from there has the hypercall done again
 * with the MMU on. So H_TOO_HARD, or -EAGAIN, means here: nothing but the guest's
 * view has changed, nothing is known; or that the call is to be made again all the
 * same, see changed().
 *
 * Who holds what: a call runs under kvm->srcu. With the MMU off that is held by
 * the thread that runs the core, for every VM on it, from before the first guest
 * is entered until all threads of the core are back (kvmppc_run_core()). It
 * keeps tables, tables of the hardware and memory slots. SRCU does not mind that
 * the other threads of the core are offline to Linux, or that no CPU of a guest
 * is watched by RCU.
 *
 * All of it, and all that it calls, reads and writes nothing but the linear map: no
 * printk, no lockdep, no trace event, no allocation. It is part of vmlinux because
 * modules are not in the linear map; stacks may be small, and a call changes at
 * most 512 entries. Nor can it be traced or probed: the object is built without
 * ftrace, and what real mode reaches is marked __kprobes.
 * arch/powerpc/tools/realmode_check.sh checks both.
 */
#include <linux/debugfs.h>
#include <linux/kprobes.h>
#include <linux/kvm_host.h>

#include <asm/hvcall.h>
#include <asm/iommu.h>
#include <asm/iommu_tce.h>
#include <asm/kvm_book3s.h>
#include <asm/kvm_ppc.h>
#include <asm/mm_iommu.h>
#include <asm/pte-walk.h>

#include "book3s_64_vio.h"

/**
 * kvmppc_tce_find_slot() - find the memory slot of an address
 * @mem: where to store it
 * @gpa: guest physical address
 *
 * Context: Under kvm->srcu, MMU on or off.
 * Return: whether there is one that a device may write.
 */
__kprobes bool kvmppc_tce_find_slot(struct kvmppc_tce_mem *mem,
				    unsigned long gpa)
{
	struct kvm_memory_slot *slot;
	struct kvm_memslots *slots;

	mem->size = 0;
	/* not by kvm_memslots(): lockdep is not for real mode */
	slots = rcu_dereference_raw_check(mem->kvm->memslots[0]);
	slot = __gfn_to_memslot(slots, gpa >> PAGE_SHIFT);
	if (!slot || slot->flags & (KVM_MEMSLOT_INVALID | KVM_MEM_READONLY))
		return false;

	mem->gpa = slot->base_gfn << PAGE_SHIFT;
	mem->size = slot->npages << PAGE_SHIFT;
	mem->ua = slot->userspace_addr;
	return true;
}
EXPORT_SYMBOL_GPL(kvmppc_tce_find_slot);

/* The guest's view */

static __kprobes bool view_is_present(struct kvmppc_tce_table *t,
				      unsigned long first, unsigned long npages)
{
	unsigned long i, last = (first + npages - 1) / TCES_PER_PAGE;

	for (i = first / TCES_PER_PAGE; i <= last; i++)
		if (!kvmppc_tce_view_page(t, i))
			return false;
	return true;
}

/**
 * kvmppc_tce_view_write() - tell the guest what it has written
 * @t: a table of the guest
 * @first: number of the first entry
 * @npages: number of entries; their pages of the view are present
 * @list: what the guest has asked for
 *
 * Context: Under kvm->srcu, MMU on or off.
 */
__kprobes void kvmppc_tce_view_write(struct kvmppc_tce_table *t,
				     unsigned long first, unsigned long npages,
				     const __be64 *list)
{
	unsigned long n, i;
	u64 *tces;

	for (; npages; npages -= n, first += n, list += n) {
		n = min(npages, TCES_PER_PAGE - first % TCES_PER_PAGE);
		tces = kvmppc_tce_view_page(t, first / TCES_PER_PAGE) +
		       first % TCES_PER_PAGE;
		for (i = 0; i < n; i++)
			WRITE_ONCE(tces[i], be64_to_cpu(list[i]));
	}
}
EXPORT_SYMBOL_GPL(kvmppc_tce_view_write);

/**
 * kvmppc_tce_view_fill() - write one value to a range of a guest's view
 * @t: a table of the guest
 * @first: number of the first entry
 * @npages: number of entries; where no page of the view is they are 0, and stay
 * @tce: the value
 *
 * Context: Under kvm->srcu, MMU on or off. The caller bounds @npages.
 */
__kprobes void kvmppc_tce_view_fill(struct kvmppc_tce_table *t,
				    unsigned long first, unsigned long npages,
				    u64 tce)
{
	unsigned long n, i;
	u64 *tces;

	for (; npages; npages -= n, first += n) {
		n = min(npages, TCES_PER_PAGE - first % TCES_PER_PAGE);
		tces = kvmppc_tce_view_page(t, first / TCES_PER_PAGE);
		if (!tces)
			continue;
		tces += first % TCES_PER_PAGE;
		for (i = 0; i < n; i++)
			WRITE_ONCE(tces[i], tce);
	}
}
EXPORT_SYMBOL_GPL(kvmppc_tce_view_fill);

/* The tables of the hardware */

/*
 * The only table of the hardware, or NULL where there is none. With more than
 * one all must be ready before the first is changed: not here.
 */
static __kprobes int only_hw(struct kvmppc_tce_table *t,
			     struct kvmppc_tce_hw **hw)
{
	struct list_head *first = READ_ONCE(t->hws.next);

	*hw = NULL;
	if (first == &t->hws)
		return 0;
	*hw = list_entry(first, struct kvmppc_tce_hw, list);
	return READ_ONCE(first->next) == &t->hws ? 0 : -EAGAIN;
}

static __kprobes int begin(struct kvm_vcpu *vcpu, struct kvmppc_tce_table *t,
			   struct kvmppc_tce_hw *hw, unsigned long i,
			   unsigned long npages,
			   struct iommu_tce_change *change)
{
	struct kvmppc_tce_scratch *scratch = vcpu->arch.tce_scratch;
	struct iommu_tce_scratch *more = NULL;

	npages <<= hw->order;
	if (npages > 1 && scratch)
		more = &scratch->change;
	return iommu_tce_change_begin(change, hw->tbl,
				      kvmppc_tce_hw_entry(t, hw, i), npages,
				      more);
}

/*
 * After a change. If it has dropped the last page of a region that was given up,
 * which cannot be unpinned here, all of the call is made again where one may sleep.
 * To do it twice does no harm.
 */
static __kprobes int changed(struct kvm_vcpu *vcpu, int kills)
{
	if (kills < 0)
		return kills;
	vcpu->stat.tce_kills += kills;
	return kills && mm_iommu_must_reap(vcpu->kvm->mm) ? -EAGAIN : 0;
}

/*
 * Makes a change, if all that went before succeeded. This and what follows return
 * how often the hardware's cache was invalidated, or less than 0 with nothing
 * changed.
 */
static __kprobes int finish(struct iommu_tce_change *change, int ret)
{
	if (!ret)
		return iommu_tce_change_commit(change) ? : 1;
	iommu_tce_change_abort(change);
	return ret;
}

static __kprobes int clear_hw(struct kvmppc_tce_table *t,
			      struct kvmppc_tce_hw *hw, unsigned long i,
			      unsigned long npages)
{
	if (npages > IOMMU_TCE_FAST_MAX >> hw->order)
		return -EAGAIN;
	return iommu_tce_fast_clear(hw->tbl, kvmppc_tce_hw_entry(t, hw, i),
				    npages << hw->order);
}

/* A page of the guest's that is more than one of the hardware. */
static __kprobes noinline int put_hw_large(struct kvm_vcpu *vcpu,
					   struct kvmppc_tce_table *t,
					   struct kvmppc_tce_hw *hw,
					   unsigned long i, unsigned long ua,
					   u64 perm)
{
	struct iommu_tce_change change;
	int ret;

	if (!perm)
		return clear_hw(t, hw, i, 1);

	ret = begin(vcpu, t, hw, i, 1, &change);
	if (ret)
		return ret;
	ret = iommu_tce_change_map(&change, ua, 1UL << hw->order,
				   perm & TCE_PCI_WRITE);
	return finish(&change, ret);
}

/* Says to a change what a list asks for. */
static __kprobes int change_list(struct kvmppc_tce_table *t, const __be64 *list,
				 unsigned long npages, struct kvmppc_tce_hw *hw,
				 struct iommu_tce_change *change)
{
	struct kvmppc_tce_mem mem = { .kvm = t->kvm };
	struct iommu_tce_want want;
	unsigned long i;
	int ret;

	for (i = 0; i < npages; i += want.npages) {
		ret = kvmppc_tce_want_run(&mem, t, list + i, npages - i, &want);
		if (ret)
			return ret;
		if (!hw)
			continue;
		if (want.clear) {
			iommu_tce_change_clear(change, want.npages << hw->order);
			continue;
		}
		ret = iommu_tce_change_map(change, want.ua,
					   want.npages << hw->order, want.write);
		if (ret)
			return ret;
	}
	return 0;
}

static __kprobes int put_list_hw(struct kvm_vcpu *vcpu,
				 struct kvmppc_tce_table *t,
				 struct kvmppc_tce_hw *hw, unsigned long first,
				 unsigned long npages)
{
	struct iommu_tce_change change;
	int ret;

	if (npages > IOMMU_TCE_FAST_MAX >> hw->order)
		return -EAGAIN;
	ret = begin(vcpu, t, hw, first, npages, &change);
	if (ret)
		return ret;
	ret = change_list(t, vcpu->arch.tce_scratch->list, npages, hw, &change);
	return finish(&change, ret);
}

/* What most hypercalls are, so it has no frame of its own. */
static __always_inline int put_tce(struct kvm_vcpu *vcpu,
				   struct kvmppc_tce_table *t, unsigned long i,
				   u64 tce)
{
	u64 *page = kvmppc_tce_view_page(t, i / TCES_PER_PAGE);
	struct kvmppc_tce_mem mem = { .kvm = vcpu->kvm };
	unsigned long ua = 0;
	struct kvmppc_tce_hw *hw;
	u64 perm = tce & TCE_PERM;
	int ret;

	/* where no page is all is 0 */
	if (unlikely(!page && tce))
		return -EAGAIN;
	if (perm && !kvmppc_tce_ua(&mem, t, tce ^ perm, &ua))
		return -EAGAIN;
	if (only_hw(t, &hw))
		return -EAGAIN;
	if (hw) {
		ret = unlikely(hw->order) ?
		      put_hw_large(vcpu, t, hw, i, ua, perm) :
		      iommu_tce_fast_put(hw->tbl, t->offset + i, ua, perm);
		ret = changed(vcpu, ret);
		if (ret)
			return ret;
	}

	if (page)
		WRITE_ONCE(page[i % TCES_PER_PAGE], tce);
	return 0;
}

static __always_inline int put_list(struct kvm_vcpu *vcpu,
				    struct kvmppc_tce_table *t,
				    unsigned long first, unsigned long npages)
{
	const __be64 *list = vcpu->arch.tce_scratch->list;
	struct kvmppc_tce_hw *hw;
	int ret;

	if (npages == 1)
		return put_tce(vcpu, t, first, be64_to_cpu(*list));
	if (only_hw(t, &hw) || !view_is_present(t, first, npages))
		return -EAGAIN;
	ret = hw ? changed(vcpu, put_list_hw(vcpu, t, hw, first, npages)) :
		   change_list(t, list, npages, NULL, NULL);
	if (ret)
		return ret;

	kvmppc_tce_view_write(t, first, npages, list);
	return 0;
}

/**
 * kvmppc_tce_put_list() - write a list of TCEs, if it can be done at once
 * @vcpu: whose call it is; the list is in its scratch memory
 * @t: a table of the guest
 * @first: number of the first entry
 * @npages: number of entries, 1 to TCE_LIST_MAX, inside of the table
 *
 * Context: Under kvm->srcu, interrupts off, MMU on or off.
 * Return: 0; else a negative number with nothing changed.
 */
__kprobes int kvmppc_tce_put_list(struct kvm_vcpu *vcpu,
				  struct kvmppc_tce_table *t,
				  unsigned long first, unsigned long npages)
{
	return put_list(vcpu, t, first, npages);
}
EXPORT_SYMBOL_GPL(kvmppc_tce_put_list);

static __kprobes int stuff_many(struct kvm_vcpu *vcpu,
				struct kvmppc_tce_table *t, unsigned long first,
				unsigned long npages, u64 tce)
{
	struct kvmppc_tce_hw *hw;

	if (npages > IOMMU_TCE_FAST_MAX || only_hw(t, &hw) ||
	    (tce && !view_is_present(t, first, npages)))
		return -EAGAIN;
	if (hw && changed(vcpu, clear_hw(t, hw, first, npages)))
		return -EAGAIN;

	kvmppc_tce_view_fill(t, first, npages, tce);
	return 0;
}

/**
 * kvmppc_tce_get() - H_GET_TCE
 * @vcpu: whose call it is
 * @liobn: the table
 * @ioba: bus address
 * @tce: where to store the TCE; 0 where there is none
 *
 * Context: Under kvm->srcu, MMU on or off.
 * Return: as kvmppc_h_get_tce().
 */
__kprobes long kvmppc_tce_get(struct kvm_vcpu *vcpu, unsigned long liobn,
			      unsigned long ioba, u64 *tce)
{
	struct kvmppc_tce_table *t = kvmppc_tce_find(vcpu->kvm, liobn);
	u64 *page;
	unsigned long i;

	*tce = 0;
	if (!t)
		return H_TOO_HARD;
	if (!kvmppc_tce_index(t, ioba, 1, &i))
		return H_PARAMETER;

	page = kvmppc_tce_view_page(t, i / TCES_PER_PAGE);
	if (page)
		*tce = READ_ONCE(page[i % TCES_PER_PAGE]);
	return H_SUCCESS;
}
EXPORT_SYMBOL_GPL(kvmppc_tce_get);

/* The hypercalls */

#ifdef CONFIG_KVM_BOOK3S_64_TCE_SWITCH
/* Lets tests have each hypercall in both modes. */
static bool real_mode = true;

static int __init real_mode_init(void)
{
	debugfs_create_bool("kvm_tce_real_mode", 0600, arch_debugfs_dir,
			    &real_mode);
	return 0;
}
device_initcall(real_mode_init);

static __kprobes bool is_off(void)
{
	return !real_mode && !(mfmsr() & MSR_DR);
}
#else
static __kprobes bool is_off(void)
{
	return false;
}
#endif

/* Counts a call, unless it is done again. */
static __kprobes long served(struct kvm_vcpu *vcpu, long ret,
			     unsigned long npages)
{
	if (ret != H_TOO_HARD)
		kvmppc_tce_count(vcpu, ret, npages);
	return ret;
}

static __kprobes long put(struct kvm_vcpu *vcpu, unsigned long liobn,
			  unsigned long ioba, u64 tce)
{
	struct kvmppc_tce_table *t = kvmppc_tce_find(vcpu->kvm, liobn);
	unsigned long i;

	if (!t || is_off())
		return H_TOO_HARD;
	if (!kvmppc_tce_index(t, ioba, 1, &i))
		return H_PARAMETER;
	if (put_tce(vcpu, t, i, tce) || !kvmppc_tce_is_complete(t))
		return H_TOO_HARD;
	return H_SUCCESS;
}

/**
 * kvmppc_rm_h_put_tce() - H_PUT_TCE (LoPAPR 14.5.4.1), if it can be done at once
 * @vcpu: whose call it is
 * @liobn: the table
 * @ioba: bus address
 * @tce: the TCE
 *
 * Context: Under kvm->srcu, interrupts off, MMU on or off.
 * Return: as kvmppc_h_put_tce(); H_TOO_HARD where it is to be done by that.
 */
__kprobes long kvmppc_rm_h_put_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
				   unsigned long ioba, unsigned long tce)
{
	return served(vcpu, put(vcpu, liobn, ioba, tce), 1);
}
EXPORT_SYMBOL_GPL(kvmppc_rm_h_put_tce);

static __kprobes long stuff(struct kvm_vcpu *vcpu, unsigned long liobn,
			    unsigned long ioba, u64 tce, unsigned long npages)
{
	struct kvmppc_tce_table *t = kvmppc_tce_find(vcpu->kvm, liobn);
	unsigned long i;

	if (!t || is_off())
		return H_TOO_HARD;
	if (!kvmppc_tce_index(t, ioba, npages, &i))
		return H_PARAMETER;
	/* some guests map a range to one page: user space can */
	if (tce & TCE_PERM)
		return H_TOO_HARD;
	if (npages == 1 ? put_tce(vcpu, t, i, tce) :
	    npages && stuff_many(vcpu, t, i, npages, tce))
		return H_TOO_HARD;
	return kvmppc_tce_is_complete(t) ? H_SUCCESS : H_TOO_HARD;
}

/**
 * kvmppc_rm_h_stuff_tce() - H_STUFF_TCE (LoPAPR 14.5.4.3), if it can be done at
 *	once
 * @vcpu: whose call it is
 * @liobn: the table
 * @ioba: bus address of the first entry
 * @tce_value: what the entries are from now on
 * @npages: number of entries
 *
 * Context: Under kvm->srcu, interrupts off, MMU on or off.
 * Return: as kvmppc_h_stuff_tce(); H_TOO_HARD where it is to be done by that.
 */
__kprobes long
kvmppc_rm_h_stuff_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
		      unsigned long ioba, unsigned long tce_value,
		      unsigned long npages)
{
	return served(vcpu, stuff(vcpu, liobn, ioba, tce_value, npages),
		      npages);
}
EXPORT_SYMBOL_GPL(kvmppc_rm_h_stuff_tce);

#ifdef CONFIG_KVM_BOOK3S_HV_POSSIBLE

/* Not only the functions of this file must not trap in real mode. */
#ifdef CONFIG_KASAN
NOKPROBE_SYMBOL(__memcpy);
NOKPROBE_SYMBOL(__memset);
#else
NOKPROBE_SYMBOL(memcpy);
NOKPROBE_SYMBOL(memset);
#endif

/* Holders of mmu_lock are long at times, and may wait for this very CPU. */
#define MMU_LOCK_TRIES	64

/* The memory behind a user address, or NULL; under mmu_lock. */
static __kprobes const void *find_page(struct kvm *kvm, unsigned long ua)
{
	unsigned int shift;
	pte_t *ptep, pte;

	/* who takes the page away tells so under this lock, before he does it */
	if (kvm->mmu_invalidate_in_progress)
		return NULL;
	ptep = __find_linux_pte(kvm->mm->pgd, ua, NULL, &shift);
	if (!ptep)
		return NULL;
	pte = READ_ONCE(*ptep);
	if (!pte_present(pte) || !pte_user(pte) || !pte_read(pte) ||
	    pte_ci(pte))
		return NULL;
	return __va((pte_pfn(pte) << PAGE_SHIFT) +
		    (ua & (BIT(shift ? : PAGE_SHIFT) - 1)));
}

static __kprobes bool mmu_trylock(struct kvm *kvm)
{
	unsigned int i;

	for (i = 0; i < MMU_LOCK_TRIES; i++)
		if (arch_spin_trylock(&kvm->mmu_lock.rlock.raw_lock))
			return true;
	return false;
}

/*
 * Copies a list of the guest's, which is in one page, from where the host's page
 * table says that it is now: the guest may have other memory there than what was
 * registered.
 */
static __kprobes bool read_list(struct kvm_vcpu *vcpu, unsigned long gpa,
				unsigned long npages)
{
	struct kvmppc_tce_mem mem = { .kvm = vcpu->kvm };
	const void *from;

	if (!kvmppc_tce_find_slot(&mem, gpa) || !mmu_trylock(vcpu->kvm))
		return false;
	from = find_page(vcpu->kvm, kvmppc_tce_slot_ua(&mem, gpa));
	if (from)
		unsafe_memcpy(vcpu->arch.tce_scratch->list, from,
			      npages * sizeof(__be64),
			      /* up to TCE_LIST_MAX; a WARN is not for real mode */);
	arch_spin_unlock(&vcpu->kvm->mmu_lock.rlock.raw_lock);
	return from;
}

static __kprobes long put_indirect(struct kvm_vcpu *vcpu, unsigned long liobn,
				   unsigned long ioba, unsigned long gpa,
				   unsigned long npages)
{
	struct kvmppc_tce_table *t = kvmppc_tce_find(vcpu->kvm, liobn);
	unsigned long i;

	if (!t || is_off() || !npages || npages > TCE_LIST_MAX || gpa & (SZ_4K - 1) ||
	    !vcpu->arch.tce_scratch)
		return H_TOO_HARD;
	if (!kvmppc_tce_index(t, ioba, npages, &i))
		return H_PARAMETER;
	if (!read_list(vcpu, gpa, npages) ||
	    put_list(vcpu, t, i, npages) ||
	    !kvmppc_tce_is_complete(t))
		return H_TOO_HARD;
	return H_SUCCESS;
}

/**
 * kvmppc_rm_h_put_tce_indirect() - H_PUT_TCE_INDIRECT (LoPAPR 14.5.4.2) with the
 *	MMU off
 * @vcpu: whose call it is
 * @liobn: the table
 * @ioba: bus address of the first entry
 * @tce_list: guest physical address of the list, a multiple of 4K
 * @npages: TCEs in it, up to 512
 *
 * Context: Hypervisor real mode, interrupts off, under kvm->srcu.
 * Return: as kvmppc_h_put_tce_indirect(); H_TOO_HARD where the MMU must be on.
 */
__kprobes long kvmppc_rm_h_put_tce_indirect(struct kvm_vcpu *vcpu,
					    unsigned long liobn,
					    unsigned long ioba,
					    unsigned long tce_list,
					    unsigned long npages)
{
	return served(vcpu, put_indirect(vcpu, liobn, ioba, tce_list, npages),
		      npages);
}

/**
 * kvmppc_rm_h_get_tce() - H_GET_TCE (LoPAPR 14.5.4.4) with the MMU off
 * @vcpu: whose call it is
 * @liobn: the table
 * @ioba: bus address
 *
 * Context: Hypervisor real mode, interrupts off, under kvm->srcu.
 * Return: as kvmppc_h_get_tce().
 */
__kprobes long kvmppc_rm_h_get_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
				   unsigned long ioba)
{
	long ret;
	u64 tce;

	if (is_off())
		return H_TOO_HARD;
	ret = kvmppc_tce_get(vcpu, liobn, ioba, &tce);
	if (ret == H_SUCCESS)
		vcpu->arch.regs.gpr[4] = tce;
	return ret;
}

#endif /* CONFIG_KVM_BOOK3S_HV_POSSIBLE */
