// SPDX-License-Identifier: GPL-2.0
/*
 * Fast path of the TCE hypercalls. Neither sleeps nor allocates, and runs in
 * virtual or real mode.
 *
 * Both modes share the code. In virtual mode book3s_64_vio.c tries the fast
 * path first, with interrupts off, and falls back to its slow path. In real
 * mode, where a POWER8 host takes the hypercalls of a guest with the hash MMU,
 * hcall_real_table calls the kvmppc_rm_*() functions below, and on H_TOO_HARD
 * the hypercall is repeated in virtual mode. H_TOO_HARD and -EAGAIN mean that
 * only the shadow may have been modified and the result is not known yet; or
 * that the call must be repeated although it was done, see kvmppc_tce_done().
 *
 * Lifetimes: a call runs under kvm->srcu, which protects guest TCE tables,
 * hardware TCE tables and memory slots. In real mode it is held by the thread
 * that runs the core, for every VM on the core, from before the first guest
 * entry until all threads of the core are back (kvmppc_run_core()). SRCU works
 * even though the other threads of the core are offline to Linux, and RCU does
 * not watch CPUs in a guest.
 *
 * In real mode only the linear map can be accessed, by this file and by all
 * functions it calls: no printk, no lockdep, no trace events, no allocation.
 * This file is built into vmlinux because modules are not in the linear map.
 * Stacks may be small, and a call updates 512 entries at most. The code must
 * not be traced or probed: the object is built without ftrace, and functions
 * that real mode reaches are marked __kprobes.
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
 * kvmppc_tce_find_slot() - look up the memory slot of an address
 * @mem: result, with mem->kvm set by the caller
 * @gpa: guest physical address
 *
 * Context: Under kvm->srcu, virtual or real mode.
 * Return: true if there is a writable slot.
 */
__kprobes bool kvmppc_tce_find_slot(struct kvmppc_tce_mem *mem,
				    unsigned long gpa)
{
	struct kvm_memory_slot *slot;
	struct kvm_memslots *slots;

	mem->size = 0;
	/* not kvm_memslots(), because lockdep must not run in real mode */
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

/* Shadow */

static __kprobes bool kvmppc_tce_shadow_present(struct kvmppc_tce_table *t,
						unsigned long first,
						unsigned long npages)
{
	unsigned long i, last = (first + npages - 1) / TCES_PER_PAGE;

	for (i = first / TCES_PER_PAGE; i <= last; i++)
		if (!kvmppc_tce_shadow_page(t, i))
			return false;
	return true;
}

/**
 * kvmppc_tce_shadow_write() - write a list of TCEs to the shadow
 * @t: guest TCE table
 * @first: first entry
 * @npages: number of entries; their pages of the shadow must be present
 * @list: TCEs as the guest wrote them
 *
 * Context: Under kvm->srcu, virtual or real mode.
 */
__kprobes void kvmppc_tce_shadow_write(struct kvmppc_tce_table *t,
				       unsigned long first,
				       unsigned long npages, const __be64 *list)
{
	unsigned long n, i;
	u64 *tces;

	for (; npages; npages -= n, first += n, list += n) {
		n = min(npages, TCES_PER_PAGE - first % TCES_PER_PAGE);
		tces = kvmppc_tce_shadow_page(t, first / TCES_PER_PAGE) +
		       first % TCES_PER_PAGE;
		for (i = 0; i < n; i++)
			WRITE_ONCE(tces[i], be64_to_cpu(list[i]));
	}
}
EXPORT_SYMBOL_GPL(kvmppc_tce_shadow_write);

/**
 * kvmppc_tce_shadow_fill() - write one value to a range of the shadow
 * @t: guest TCE table
 * @first: first entry
 * @npages: number of entries, bounded by the caller; absent pages of the shadow
 *	are skipped, their entries read as zero
 * @tce: value
 *
 * Context: Under kvm->srcu, virtual or real mode.
 */
__kprobes void kvmppc_tce_shadow_fill(struct kvmppc_tce_table *t,
				      unsigned long first, unsigned long npages,
				      u64 tce)
{
	unsigned long n, i;
	u64 *tces;

	for (; npages; npages -= n, first += n) {
		n = min(npages, TCES_PER_PAGE - first % TCES_PER_PAGE);
		tces = kvmppc_tce_shadow_page(t, first / TCES_PER_PAGE);
		if (!tces)
			continue;
		tces += first % TCES_PER_PAGE;
		for (i = 0; i < n; i++)
			WRITE_ONCE(tces[i], tce);
	}
}
EXPORT_SYMBOL_GPL(kvmppc_tce_shadow_fill);

/* Hardware TCE tables */

/*
 * Finds the hardware TCE table, NULL if there is none. Fails if there are
 * several: they would all have to be prepared before the first is written,
 * which the slow path does.
 */
static __kprobes int kvmppc_tce_single_hwtbl(struct kvmppc_tce_table *t,
					     struct kvmppc_tce_hwtbl **hwtbl)
{
	struct list_head *first = READ_ONCE(t->hwtbls.next);

	*hwtbl = NULL;
	if (first == &t->hwtbls)
		return 0;
	*hwtbl = list_entry(first, struct kvmppc_tce_hwtbl, list);
	return READ_ONCE(first->next) == &t->hwtbls ? 0 : -EAGAIN;
}

/*
 * Counts the invalidations of an update. If the update has dropped the last
 * page of an orphan region, which cannot be unpinned here, the whole call is
 * repeated by the slow path, which may sleep. Repeating it is harmless.
 */
static __kprobes int kvmppc_tce_done(struct kvm_vcpu *vcpu, int ret)
{
	if (ret < 0)
		return ret;
	vcpu->stat.tce_kills += !!ret;
	return ret == IOMMU_TCE_REAP ? -EAGAIN : 0;
}

/* Adds a list of TCEs to an update; without @hwtbl only validates the list. */
static __kprobes int kvmppc_tce_add_list(struct kvmppc_tce_table *t,
					 const __be64 *list,
					 unsigned long npages,
					 struct kvmppc_tce_hwtbl *hwtbl,
					 struct iommu_tce_change *change)
{
	struct kvmppc_tce_mem mem = { .kvm = t->kvm };
	struct iommu_tce_seg seg;
	unsigned long i;
	int ret;

	for (i = 0; i < npages; i += seg.npages) {
		ret = kvmppc_tce_next_seg(&mem, t, list + i, npages - i, &seg);
		if (ret)
			return ret;
		if (!hwtbl)
			continue;
		if (seg.clear) {
			iommu_tce_change_clear(change,
					       seg.npages << hwtbl->order);
			continue;
		}
		ret = iommu_tce_change_map(change, seg.ua,
					   seg.npages << hwtbl->order,
					   seg.write);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * Returns IOMMU_TCE_DONE or IOMMU_TCE_REAP after one invalidation of the
 * hardware TCE cache, 0 if none was needed, or a negative errno if nothing was
 * modified; -EAGAIN also for more entries than the fast path takes.
 */
static __kprobes int kvmppc_tce_put_list_hwtbl(struct kvm_vcpu *vcpu,
					       struct kvmppc_tce_table *t,
					       struct kvmppc_tce_hwtbl *hwtbl,
					       const __be64 *list,
					       unsigned long first,
					       unsigned long npages)
{
	struct kvmppc_tce_scratch *scratch = vcpu->arch.tce_scratch;
	struct iommu_tce_change change;
	int ret;

	if (!scratch)
		return -EAGAIN;
	ret = iommu_tce_change_begin(&change, hwtbl->tbl,
				     kvmppc_tce_hwtbl_entry(t, hwtbl, first),
				     npages << hwtbl->order, &scratch->change);
	if (ret)
		return ret;
	ret = kvmppc_tce_add_list(t, list, npages, hwtbl, &change);
	if (!ret)
		return iommu_tce_change_commit(&change);
	iommu_tce_change_abort(&change);
	return ret;
}

/* Clears entries, and returns what kvmppc_tce_put_list_hwtbl() does. */
static __kprobes int kvmppc_tce_clear_hwtbl(struct kvmppc_tce_table *t,
					    struct kvmppc_tce_hwtbl *hwtbl,
					    unsigned long i,
					    unsigned long npages)
{
	return iommu_tce_fast_clear(hwtbl->tbl,
				    kvmppc_tce_hwtbl_entry(t, hwtbl, i),
				    npages << hwtbl->order);
}

/* H_PUT_TCE of a guest TCE that is several hardware TCEs. */
static __kprobes int
kvmppc_tce_put_large(struct kvm_vcpu *vcpu, struct kvmppc_tce_table *t,
		     struct kvmppc_tce_hwtbl *hwtbl, unsigned long i, u64 tce)
{
	__be64 list = cpu_to_be64(tce);

	if (tce & TCE_PERM)
		return kvmppc_tce_put_list_hwtbl(vcpu, t, hwtbl, &list, i, 1);
	return kvmppc_tce_clear_hwtbl(t, hwtbl, i, 1);
}

/* Hot path, most hypercalls update one TCE: inlined to save a stack frame. */
static __always_inline int kvmppc_tce_put_fast(struct kvm_vcpu *vcpu,
					       struct kvmppc_tce_table *t,
					       unsigned long i, u64 tce)
{
	u64 *page = kvmppc_tce_shadow_page(t, i / TCES_PER_PAGE);
	struct kvmppc_tce_mem mem = { .kvm = vcpu->kvm };
	unsigned long ua = 0;
	struct kvmppc_tce_hwtbl *hwtbl;
	u64 perm = tce & TCE_PERM;
	int ret;

	/* an absent page reads as zero */
	if (unlikely(!page && tce))
		return -EAGAIN;
	if (perm && !kvmppc_tce_ua(&mem, t, tce ^ perm, &ua))
		return -EAGAIN;
	if (kvmppc_tce_single_hwtbl(t, &hwtbl))
		return -EAGAIN;
	if (hwtbl) {
		ret = unlikely(hwtbl->order) ?
		      kvmppc_tce_put_large(vcpu, t, hwtbl, i, tce) :
		      iommu_tce_fast_put(hwtbl->tbl, t->offset + i, ua, perm);
		ret = kvmppc_tce_done(vcpu, ret);
		if (ret)
			return ret;
	}

	if (page)
		WRITE_ONCE(page[i % TCES_PER_PAGE], tce);
	return 0;
}

/**
 * kvmppc_tce_put_list() - write a list of TCEs by the fast path
 * @vcpu: calling vCPU, with the list in its scratch memory
 * @t: guest TCE table
 * @first: first entry
 * @npages: number of entries, 1 to TCE_LIST_MAX; the range is in the table
 *
 * Context: Under kvm->srcu, interrupts off, virtual or real mode.
 * Return: 0, or a negative errno if the slow path must do the whole list.
 */
__kprobes int kvmppc_tce_put_list(struct kvm_vcpu *vcpu,
				  struct kvmppc_tce_table *t,
				  unsigned long first, unsigned long npages)
{
	const __be64 *list = vcpu->arch.tce_scratch->list;
	struct kvmppc_tce_hwtbl *hwtbl;
	int ret;

	if (npages == 1)
		return kvmppc_tce_put_fast(vcpu, t, first, be64_to_cpu(*list));
	if (kvmppc_tce_single_hwtbl(t, &hwtbl) ||
	    !kvmppc_tce_shadow_present(t, first, npages))
		return -EAGAIN;
	if (hwtbl) {
		ret = kvmppc_tce_put_list_hwtbl(vcpu, t, hwtbl, list, first,
						npages);
		ret = kvmppc_tce_done(vcpu, ret);
	} else {
		ret = kvmppc_tce_add_list(t, list, npages, NULL, NULL);
	}
	if (!ret)
		kvmppc_tce_shadow_write(t, first, npages, list);
	return ret;
}
EXPORT_SYMBOL_GPL(kvmppc_tce_put_list);

static __kprobes int kvmppc_tce_stuff_fast(struct kvm_vcpu *vcpu,
					   struct kvmppc_tce_table *t,
					   unsigned long first,
					   unsigned long npages, u64 tce)
{
	struct kvmppc_tce_hwtbl *hwtbl;

	if (npages > IOMMU_TCE_FAST_MAX ||
	    kvmppc_tce_single_hwtbl(t, &hwtbl) ||
	    (tce && !kvmppc_tce_shadow_present(t, first, npages)))
		return -EAGAIN;
	if (hwtbl &&
	    kvmppc_tce_done(vcpu, kvmppc_tce_clear_hwtbl(t, hwtbl, first,
							 npages)))
		return -EAGAIN;

	kvmppc_tce_shadow_fill(t, first, npages, tce);
	return 0;
}

/**
 * kvmppc_tce_get() - H_GET_TCE
 * @vcpu: calling vCPU
 * @liobn: number of the table
 * @ioba: bus address
 * @tce: the TCE is stored here; 0 if there is none
 *
 * Context: Under kvm->srcu, virtual or real mode.
 * Return: As kvmppc_h_get_tce().
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

	page = kvmppc_tce_shadow_page(t, i / TCES_PER_PAGE);
	if (page)
		*tce = READ_ONCE(page[i % TCES_PER_PAGE]);
	return H_SUCCESS;
}
EXPORT_SYMBOL_GPL(kvmppc_tce_get);

/* Lists in guest memory */

/*
 * mmu_lock is only tried for: it may be held for long, and its holder may wait
 * for this CPU.
 */
#define MMU_LOCK_TRIES	64

/*
 * Looks up the page of a user address in the host page table, under mmu_lock;
 * returns NULL if it is not present or not readable.
 */
static __kprobes const void *kvmppc_tce_find_page(struct kvm *kvm,
						  unsigned long ua)
{
	unsigned int shift;
	pte_t *ptep, pte;

	/* raised under mmu_lock before pages are unmapped */
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

static __kprobes bool kvmppc_tce_mmu_trylock(struct kvm *kvm)
{
	unsigned int i;

	for (i = 0; i < MMU_LOCK_TRIES; i++)
		if (arch_spin_trylock(&kvm->mmu_lock.rlock.raw_lock))
			return true;
	return false;
}

/*
 * Copies a list of TCEs, which is in one page, from guest memory; false if it
 * cannot, or must not because the arguments are invalid. Its host physical
 * address is looked up in the host page table, not in the registry, because the
 * page may have been replaced since it was registered.
 */
static __kprobes bool kvmppc_tce_read_list(struct kvm_vcpu *vcpu,
					   unsigned long gpa,
					   unsigned long npages)
{
	struct kvmppc_tce_mem mem = { .kvm = vcpu->kvm };
	const void *from;

	if (!npages || npages > TCE_LIST_MAX || gpa & (SZ_4K - 1) ||
	    !vcpu->arch.tce_scratch || !kvmppc_tce_find_slot(&mem, gpa) ||
	    !kvmppc_tce_mmu_trylock(vcpu->kvm))
		return false;
	from = kvmppc_tce_find_page(vcpu->kvm, kvmppc_tce_slot_ua(&mem, gpa));
	if (from)
		unsafe_memcpy(vcpu->arch.tce_scratch->list, from,
			      npages * sizeof(__be64),
			      /* bounded; must not WARN in real mode */);
	arch_spin_unlock(&vcpu->kvm->mmu_lock.rlock.raw_lock);
	return from;
}

/* Hypercalls */

/* For tests, which run each hypercall in both modes. */
static bool kvmppc_tce_real_mode = true;

#ifdef CONFIG_KVM_BOOK3S_64_TCE_SWITCH
static int __init kvmppc_tce_real_mode_init(void)
{
	debugfs_create_bool("kvm_tce_real_mode", 0600, arch_debugfs_dir,
			    &kvmppc_tce_real_mode);
	return 0;
}
device_initcall(kvmppc_tce_real_mode_init);
#endif

static __kprobes bool kvmppc_tce_real_mode_off(void)
{
	return !kvmppc_tce_real_mode && !(mfmsr() & MSR_DR);
}

/* The hypercalls below, inlined because @req is constant in each of them. */
static __always_inline long
kvmppc_tce_hcall_fast(struct kvm_vcpu *vcpu, unsigned long req,
		      unsigned long liobn, unsigned long ioba,
		      unsigned long value, unsigned long npages)
{
	struct kvmppc_tce_table *t = kvmppc_tce_find(vcpu->kvm, liobn);
	long ret = H_PARAMETER;
	unsigned long i;
	int err = 0;

	if (!t || kvmppc_tce_real_mode_off())
		return H_TOO_HARD;
	if (!kvmppc_tce_index(t, ioba, npages, &i))
		goto out_count;

	if (req == H_PUT_TCE_INDIRECT)
		err = likely(kvmppc_tce_read_list(vcpu, value, npages)) ?
		      kvmppc_tce_put_list(vcpu, t, i, npages) : -EAGAIN;
	else if (req == H_STUFF_TCE && value & TCE_PERM)
		/* left to user space: some guests map a range to one page */
		err = -EAGAIN;
	else if (npages == 1)
		err = kvmppc_tce_put_fast(vcpu, t, i, value);
	else if (npages)
		err = kvmppc_tce_stuff_fast(vcpu, t, i, npages, value);
	if (err || !kvmppc_tce_is_complete(t))
		return H_TOO_HARD;
	ret = H_SUCCESS;

out_count:
	kvmppc_tce_count(vcpu, ret, npages);
	return ret;
}

/**
 * kvmppc_rm_h_put_tce() - H_PUT_TCE (LoPAPR 14.5.4.1), fast path
 * @vcpu: calling vCPU
 * @liobn: number of the table
 * @ioba: bus address
 * @tce: TCE
 *
 * Context: Under kvm->srcu, interrupts off, virtual or real mode.
 * Return: As kvmppc_h_put_tce(); H_TOO_HARD if that function must do the call.
 */
__kprobes long kvmppc_rm_h_put_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
				   unsigned long ioba, unsigned long tce)
{
	return kvmppc_tce_hcall_fast(vcpu, H_PUT_TCE, liobn, ioba, tce, 1);
}
EXPORT_SYMBOL_GPL(kvmppc_rm_h_put_tce);

/**
 * kvmppc_rm_h_stuff_tce() - H_STUFF_TCE (LoPAPR 14.5.4.3), fast path
 * @vcpu: calling vCPU
 * @liobn: number of the table
 * @ioba: bus address of the first entry
 * @tce_value: value of the entries that H_GET_TCE returns afterwards
 * @npages: number of entries
 *
 * Context: Under kvm->srcu, interrupts off, virtual or real mode.
 * Return: As kvmppc_h_stuff_tce(); H_TOO_HARD if that function must do the
 * call.
 */
__kprobes long
kvmppc_rm_h_stuff_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
		      unsigned long ioba, unsigned long tce_value,
		      unsigned long npages)
{
	return kvmppc_tce_hcall_fast(vcpu, H_STUFF_TCE, liobn, ioba, tce_value,
				     npages);
}
EXPORT_SYMBOL_GPL(kvmppc_rm_h_stuff_tce);

#ifdef CONFIG_KVM_BOOK3S_HV_POSSIBLE

/* Library functions that this file calls must not be probed either. */
#ifdef CONFIG_KASAN
NOKPROBE_SYMBOL(__memcpy);
NOKPROBE_SYMBOL(__memset);
#else
NOKPROBE_SYMBOL(memcpy);
NOKPROBE_SYMBOL(memset);
#endif

/**
 * kvmppc_rm_h_put_tce_indirect() - H_PUT_TCE_INDIRECT (LoPAPR 14.5.4.2) in real
 *	mode
 * @vcpu: calling vCPU
 * @liobn: number of the table
 * @ioba: bus address of the first entry
 * @tce_list: guest physical address of the list, a multiple of 4K
 * @npages: number of TCEs in the list, up to 512
 *
 * Context: Hypervisor real mode, interrupts off, under kvm->srcu.
 * Return: As kvmppc_h_put_tce_indirect(); H_TOO_HARD if the call must be
 *	repeated in virtual mode.
 */
__kprobes long kvmppc_rm_h_put_tce_indirect(struct kvm_vcpu *vcpu,
					    unsigned long liobn,
					    unsigned long ioba,
					    unsigned long tce_list,
					    unsigned long npages)
{
	return kvmppc_tce_hcall_fast(vcpu, H_PUT_TCE_INDIRECT, liobn, ioba,
				     tce_list, npages);
}

/**
 * kvmppc_rm_h_get_tce() - H_GET_TCE (LoPAPR 14.5.4.4) in real mode
 * @vcpu: calling vCPU
 * @liobn: number of the table
 * @ioba: bus address
 *
 * Context: Hypervisor real mode, interrupts off, under kvm->srcu.
 * Return: As kvmppc_h_get_tce().
 */
__kprobes long kvmppc_rm_h_get_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
				   unsigned long ioba)
{
	long ret;
	u64 tce;

	if (kvmppc_tce_real_mode_off())
		return H_TOO_HARD;
	ret = kvmppc_tce_get(vcpu, liobn, ioba, &tce);
	if (ret == H_SUCCESS)
		vcpu->arch.regs.gpr[4] = tce;
	return ret;
}

#endif /* CONFIG_KVM_BOOK3S_HV_POSSIBLE */
