// SPDX-License-Identifier: GPL-2.0
/*
 * Registry of the memory of a process that devices may reach by DMA.
 *
 * User space that runs a guest, or drives a device itself, registers ranges of
 * its memory. Each is pinned once and accounted once in locked_vm, however many
 * VFIO containers register it, and its host physical addresses are kept, so
 * that a TCE can be written without a page table walk. The states of a region
 * are described below.
 *
 * The end of an orphan: its last page may be dropped in real mode, where
 * nothing can be unpinned, so mm_iommu_region_drop() only puts the region on
 * mm_iommu::dead. mm_iommu_reap() takes all regions from there, waits for the
 * readers, and unpins. It is called by all functions that register, unregister,
 * release, or drop in process context, by KVM after each hypercall, and with
 * the last reference of a TCE table.
 *
 * No device reaches the pages then, because a reference is dropped
 *
 * - after the TCEs that it protects were invalidated: in process context, and
 *   by mm_iommu_drop_page() in either mode. The decrement of @mapped is a
 *   release, and the one that makes it 0 comes later in the same counter, so
 *   the invalidation is before the region is on the list;
 * - or in a section, where the invalidation may come after the drop, but comes
 *   before the section ends. The drop was before the region was put on the
 *   list, by this reader or another; the reaper takes the region off and waits
 *   for all sections after that, see mm_iommu_index_sync(). So that section has
 *   ended.
 *
 * A section that begins later has nothing to drop of this region: @mapped was
 * 0, and no lookup by address has found the region since it was taken out of
 * the index, with no reader inside. For the same reason only the thread that
 * took the region off the list may unpin it, and its id may be allocated again
 * as soon as the structure is freed.
 * If unregister() closes a region itself, it waits for all sections after that,
 * when it takes the region out of the index.
 *
 * Readers: lookups run in a read-side section of the index (mm_iommu_index.c).
 * A region is used inside the section that found it, or under a reference taken
 * there: @mapped, which keeps its pages, or @refs, which keeps just the
 * structure.
 *
 * Locks: mm_iommu::lock serialises all changes, and is outside of the slots of
 * the index. It is not held while pages are pinned or unpinned, so different
 * ranges are registered in parallel; mmap_lock is never taken under it.
 *
 * Vocabulary: ua is a user address, hpa a host physical address; "last" is
 * inclusive, "end" is not.
 */

/**
 * DOC: life of a region
 *
 * ::
 *
 *    register()             map              unregister()
 *        |                   |                    |
 *     pending -- pinned --> live -----------------+--> dead (unpinned)
 *        |                   |                    |     ^
 *        +--> nothing left   +-- EBUSY: refused --+     |
 *                                  |                    |
 *               register() over it |                    | last TCE
 *               or release()       +--> orphan ---------+
 *
 * ===========  ==============================================================
 * State        Meaning
 * ===========  ==============================================================
 * pending      the range is reserved, its pages are being pinned
 * live         the region can be mapped
 * refused      as live, but the last UNREGISTER failed with ``EBUSY`` because
 *              pages were mapped; it can be repeated after the unmap
 * orphan       a new region was registered over a refused one, or the last
 *              container was released while another one still maps the
 *              region: lookups by address do not find it, clearing its last
 *              TCE frees it
 * dead         *used* dropped to zero while nothing was mapped, and the region
 *              was closed in the same step, or an orphan lost its last TCE; its
 *              pages are unpinned, then ``locked_vm`` is reduced
 * ===========  ==============================================================
 *
 * A region is created by the first container that registers its range. *used*
 * counts the containers, *mapped* the references of TCE tables: one for each
 * view block that has the region as home, and one for each entry that is not
 * counted there. When the last container unregisters the region, *mapped* must
 * be without references and is closed against new ones in one step; otherwise
 * the call fails with ``EBUSY`` and nothing has changed.
 *
 * The owner may ignore this ``EBUSY``, unmap the memory and later register new
 * memory at the same address, which must not be translated to the old pages.
 * So the refused region becomes an orphan, which stays pinned and accounted. A
 * mapping refers to its region by an id, which finds the region in any state,
 * and which no other region has until the last mapping is gone.
 */
#include "mm_iommu.h"

/**
 * mm_iommu_destroy() - free the registry of a dying mm
 * @mm: the mm; it has no other users
 *
 * Context: Any that may free memory.
 */
void mm_iommu_destroy(struct mm_struct *mm)
{
	/* no regions are left, each has a reference on the mm */
	if (mm->context.mm_iommu)
		mm_iommu_index_free(mm->context.mm_iommu);
}

static struct mm_iommu *mm_iommu_make_registry(struct mm_struct *mm)
{
	struct mm_iommu *reg = mm_iommu_get_registry(mm);

	if (reg)
		return reg;

	reg = mm_iommu_index_alloc(mm, nr_cpu_ids);
	if (reg && cmpxchg_release(&mm->context.mm_iommu, NULL, reg)) {
		mm_iommu_index_free(reg);
		reg = mm_iommu_get_registry(mm);
	}
	return reg;
}

/**
 * mm_iommu_unregistered_start() - a container maps memory that is not
 *	registered
 * @mm: the mm that owns the memory; the caller has a reference by mmgrab()
 *
 * From now on code that serves TCEs from registered memory leaves those of the
 * process to user space, until as many calls of mm_iommu_unregistered_end():
 * see mm_iommu_is_unregistered().
 *
 * Context: Process context, may sleep.
 * Return: 0; -ENOMEM.
 */
int mm_iommu_unregistered_start(struct mm_struct *mm)
{
	struct mm_iommu *reg = mm_iommu_make_registry(mm);

	if (!reg)
		return -ENOMEM;

	atomic_inc(&reg->unregistered);
	/* pairs with smp_mb() in kvmppc_tce_is_complete() */
	smp_mb__after_atomic();
	return 0;
}
EXPORT_SYMBOL_GPL(mm_iommu_unregistered_start);

/**
 * mm_iommu_unregistered_end() - undo one mm_iommu_unregistered_start()
 * @mm: the mm
 *
 * Context: Any.
 */
void mm_iommu_unregistered_end(struct mm_struct *mm)
{
	atomic_dec(&mm_iommu_get_registry(mm)->unregistered);
}
EXPORT_SYMBOL_GPL(mm_iommu_unregistered_end);

static void region_put(struct mm_iommu_region *region)
{
	struct mm_iommu *reg = region->registry;
	struct mm_struct *mm = reg->mm;

	if (!refcount_dec_and_test(&region->refs))
		return;

	scoped_guard(mutex, &reg->lock)
		mm_iommu_id_free(reg, region);
	mm_iommu_trans_free(&region->trans);
	kfree(region);
	mmdrop(mm);
}

/*
 * Unpins a region that is closed, and drops the reference of the index.
 * locked_vm is updated after the pages are unpinned, so that the limit is never
 * exceeded.
 */
static void region_unpin(struct mm_iommu_region *region)
{
	mm_iommu_unpin(&region->trans);
	account_locked_vm(region->registry->mm, region->trans.npages, false);
	region_put(region);
}

/**
 * mm_iommu_reap() - unpin memory that was given up and is not mapped any more
 * @mm: an mm that lives during the call
 *
 * Must be called if a drop of pages requested it, and also after code that
 * could not sleep: by KVM, and at the end of a table.
 *
 * Context: Process context, may sleep; any process.
 */
void mm_iommu_reap(struct mm_struct *mm)
{
	struct mm_iommu *reg = mm_iommu_get_registry(mm);
	struct mm_iommu_region *region, *next;

	if (!reg || !READ_ONCE(reg->dead))
		return;

	/* pairs with cmpxchg() in mm_iommu_region_drop() */
	region = xchg(&reg->dead, NULL);
	mm_iommu_index_sync(reg);
	for (; region; region = next) {
		next = region->dead;
		region_unpin(region);
		cond_resched();
	}
}
EXPORT_SYMBOL_GPL(mm_iommu_reap);

/* Takes a region out of the index. It must be reaped after its last TCE. */
static void region_give_up(struct mm_iommu_region *region)
{
	struct mm_iommu *reg = region->registry;

	lockdep_assert_held(&reg->lock);
	mm_iommu_index_erase(reg, region);
	region->used = 0;
	mm_iommu_region_drop(region, 1);
}

/*
 * Looks up a region that overlaps a new one. Refused regions do not count, they
 * are replaced: see registry_publish().
 */
static struct mm_iommu_region *registry_overlap(struct mm_iommu *reg,
						unsigned long ua,
						unsigned long last)
{
	struct mm_iommu_region *region;

	list_for_each_entry(region, &reg->pending, list)
		if (region->trans.ua <= last && ua <= mm_iommu_last(region))
			return region;

	while ((region = mm_iommu_index_overlap(reg, ua, last))) {
		if (!region->refused)
			return region;
		if (region->trans.ua <= ua)
			return NULL;
		last = region->trans.ua - 1;
		cond_resched();
	}
	return NULL;
}

/*
 * Makes a pinned region visible in place of the refused ones that it overlaps.
 * No other regions can be there: registry_reserve() has checked that when the
 * region became pending, and all others have checked against it since.
 */
static void registry_publish(struct mm_iommu_region *region)
{
	unsigned long ua = region->trans.ua, last = mm_iommu_last(region);
	struct mm_iommu *reg = region->registry;
	struct mm_iommu_region *old;

	while ((old = mm_iommu_index_overlap(reg, ua, last))) {
		region_give_up(old);
		cond_resched();
	}
	region->used = 1;
	/* for the index */
	refcount_inc(&region->refs);
	mm_iommu_index_insert(reg, region);
}

/**
 * mm_iommu_limit_left() - memory that a process may still lock
 * @mm: its mm
 *
 * Context: The process itself.
 * Return: bytes left of RLIMIT_MEMLOCK; may change any time.
 */
unsigned long mm_iommu_limit_left(const struct mm_struct *mm)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK);
	unsigned long locked = READ_ONCE(mm->locked_vm) << PAGE_SHIFT;

	return limit - min(limit, locked);
}
EXPORT_SYMBOL_GPL(mm_iommu_limit_left);

/* The causes of a failed pin; the first address that is not pinned follows. */
static const char *pin_cause(int error)
{
	switch (error) {
	case -EFAULT:
		return "no memory there, or none that can be pinned: 0x";
	case -ENOMEM:
		return "the kernel has no memory for it: 0x";
	case -EINTR:
		return "the process was killed: 0x";
	default:
		return "for another reason, see the error: 0x";
	}
}

/* Accounts and pins a pending region; leaves nothing behind on failure. */
static int region_pin(struct mm_iommu_region *region,
		      struct mm_iommu_refusal *why)
{
	struct mm_struct *mm = region->registry->mm;
	int ret;

	ret = account_locked_vm(mm, region->trans.npages, true);
	if (ret)
		return mm_iommu_refuse(why, ret, mm_iommu_limit_left(mm),
					"over the limit of locked memory, bytes left of it: ");

	ret = mm_iommu_pin(&region->trans);
	if (ret) {
		account_locked_vm(mm, region->trans.npages, false);
		mm_iommu_refuse(why, ret, mm_iommu_trans_next(&region->trans),
				pin_cause(ret));
	}
	return ret;
}

/* Creates a pending region; returns 1, -ENOMEM or -ENOSPC. */
static int registry_add(struct mm_iommu *reg, unsigned long ua,
			unsigned long npages, struct mm_iommu_region **regionp,
			struct mm_iommu_refusal *why)
{
	struct mm_iommu_region *region;
	int ret;

	region = kzalloc_obj(*region, GFP_KERNEL_ACCOUNT);
	if (!region)
		return -ENOMEM;

	mm_iommu_trans_init(&region->trans, ua, npages);
	region->registry = reg;
	refcount_set(&region->refs, 1);
	atomic_long_set(&region->mapped, 1);
	init_completion(&region->pinned);
	ret = mm_iommu_id_alloc(reg, region);
	if (ret) {
		kfree(region);
		if (ret == -ENOSPC)
			mm_iommu_refuse(why, ret, 0,
					"too many regions: registered, or given up and still mapped");
		return ret;
	}

	mmgrab(reg->mm);
	list_add(&region->list, &reg->pending);
	*regionp = region;
	return 1;
}

/*
 * Gets a reference on the region of a range, which is shared or created.
 *
 * Return: 0 if it is shared; 1 if it is new, and to be pinned; -EAGAIN if it is
 * just being pinned by another thread; without a reference -EINVAL, -ENOMEM or
 * -ENOSPC.
 */
static int registry_reserve(struct mm_iommu *reg, unsigned long ua,
			    unsigned long npages,
			    struct mm_iommu_region **regionp,
			    struct mm_iommu_refusal *why)
{
	struct mm_iommu_region *region;

	guard(mutex)(&reg->lock);
	region = registry_overlap(reg, ua, ua + (npages << PAGE_SHIFT) - 1);
	if (!region)
		return registry_add(reg, ua, npages, regionp, why);
	if (region->trans.ua != ua || region->trans.npages != npages)
		return mm_iommu_refuse(why, -EINVAL, region->trans.ua,
				       "overlaps what is registered there: 0x");

	refcount_inc(&region->refs);
	*regionp = region;
	if (!region->used)
		return -EAGAIN;
	region->used++;
	return 0;
}

/**
 * mm_iommu_register() - pin a range of user memory for DMA, or share it
 * @mm: the caller's own mm
 * @ua: first user address
 * @size: bytes
 * @regionp: where to store the region
 * @why: where to store the reason on failure
 *
 * The first registration of a range accounts its pages in locked_vm and pins
 * them; further ones of the same range share it. Memory that is mapped
 * read-only can then be mapped for a device that only reads. The caller gets a
 * reference, which is dropped by mm_iommu_unregister() or mm_iommu_release().
 *
 * A conflicting region whose mm_iommu_unregister() was refused is replaced: it
 * is not found by address any more, and ends with its last mapping.
 *
 * Context: Process context, may sleep for long.
 * Return: 0; -EINVAL if @ua or @size is not a multiple of PAGE_SIZE, @size is
 *	0, or the range does not lie below the task size of @mm, or overlaps
 *	another region; -ENOMEM over RLIMIT_MEMLOCK or without memory; -EFAULT
 *	if memory cannot be pinned; -EINTR when killed; -ENOSPC if there are 8 M
 *	regions, live or given up and still mapped; other negative errors of
 *	pinning. Nothing is left behind on failure.
 */
int mm_iommu_register(struct mm_struct *mm, unsigned long ua,
		      unsigned long size, struct mm_iommu_region **regionp,
		      struct mm_iommu_refusal *why)
{
	struct mm_iommu_region *region;
	struct mm_iommu *reg;
	int ret;

	*why = (struct mm_iommu_refusal){ };
	if (!size || !PAGE_ALIGNED(ua | size) || size > mm->task_size ||
	    ua > mm->task_size - size)
		return mm_iommu_refuse(why, -EINVAL, 0,
					"not whole pages, or nothing, or beyond the end");

	reg = mm_iommu_make_registry(mm);
	if (!reg)
		return -ENOMEM;

	/* regions given up still count against the locked memory limit */
	mm_iommu_reap(mm);
	while ((ret = registry_reserve(reg, ua, size >> PAGE_SHIFT, regionp,
				       why)) == -EAGAIN) {
		ret = wait_for_completion_killable(&(*regionp)->pinned);
		region_put(*regionp);
		if (ret)
			return -EINTR;
	}
	if (ret <= 0)
		return ret;

	region = *regionp;
	ret = region_pin(region, why);
	scoped_guard(mutex, &reg->lock) {
		list_del(&region->list);
		if (!ret)
			registry_publish(region);
	}
	complete_all(&region->pinned);
	if (ret)
		region_put(region);
	else
		mm_iommu_reap(mm);
	return ret;
}
EXPORT_SYMBOL_GPL(mm_iommu_register);

/**
 * mm_iommu_unregister() - give up one registration
 * @region: the region that mm_iommu_register() returned
 *
 * The last one unpins the memory and unaccounts it before it returns.
 *
 * Context: Process context, may sleep for long; any process.
 * Return: 0, and @region must not be used again; -EBUSY if this is the last
 *	registration and pages are still mapped: nothing has changed, the caller
 *	keeps its reference; -ENOENT if the region was replaced by another one:
 *	the caller's reference is gone, the region ends with its last TCE.
 */
int mm_iommu_unregister(struct mm_iommu_region *region)
{
	struct mm_iommu *reg = region->registry;
	bool last = false;
	int ret = 0;

	mutex_lock(&reg->lock);
	if (!region->used) {
		ret = -ENOENT;
	} else if (region->used > 1) {
		region->used--;
	} else if (atomic_long_cmpxchg(&region->mapped, 1, 0) == 1) {
		/* closed, in either mode: no reference can be taken any more */
		mm_iommu_index_erase(reg, region);
		region->used = 0;
		last = true;
	} else {
		region->refused = true;
		ret = -EBUSY;
	}
	mutex_unlock(&reg->lock);

	mm_iommu_reap(reg->mm);
	if (last)
		region_unpin(region);
	if (ret != -EBUSY)
		region_put(region);
	return ret;
}
EXPORT_SYMBOL_GPL(mm_iommu_unregister);

/**
 * mm_iommu_release() - give up one registration, mapped or not
 * @region: the region that mm_iommu_register() returned
 *
 * For the release of a container. Memory that another container of the same
 * process still maps stays pinned until its last TCE is cleared.
 *
 * Context: Process context, may sleep for long; any process, also when the user
 *	address space is gone.
 */
void mm_iommu_release(struct mm_iommu_region *region)
{
	struct mm_iommu *reg = region->registry;

	mutex_lock(&reg->lock);
	if (region->used > 1)
		region->used--;
	else if (region->used)
		region_give_up(region);
	mutex_unlock(&reg->lock);

	mm_iommu_reap(reg->mm);
	region_put(region);
}
EXPORT_SYMBOL_GPL(mm_iommu_release);

/**
 * mm_iommu_is_current() - check that a registration is still valid
 * @region: the region that mm_iommu_register() returned
 *
 * Context: Process context, may sleep.
 * Return: false for a region that was given up, and for one whose
 *	unregistration was refused: a new registration replaces it.
 */
bool mm_iommu_is_current(struct mm_iommu_region *region)
{
	guard(mutex)(&region->registry->lock);
	return region->used && !region->refused;
}
EXPORT_SYMBOL_GPL(mm_iommu_is_current);

/**
 * mm_iommu_size() - size of a registered range
 * @region: the region that mm_iommu_register() returned
 *
 * Context: Any.
 * Return: bytes.
 */
unsigned long mm_iommu_size(const struct mm_iommu_region *region)
{
	return region->trans.npages << PAGE_SHIFT;
}
EXPORT_SYMBOL_GPL(mm_iommu_size);

/**
 * mm_iommu_get_info() - get the state of a region, for diagnostics
 * @region: a region of which the caller has a registration
 * @info: where to store it
 *
 * Context: Any. Does not wait for the lock of the registry: a call that runs
 *	concurrently may be seen in part.
 */
void mm_iommu_get_info(struct mm_iommu_region *region,
		       struct mm_iommu_info *info)
{
	long mapped = atomic_long_read(&region->mapped);

	/* a snapshot without the lock; without the bias of an open region */
	info->used = data_race(region->used);
	info->mapped = max(mapped - !!info->used, 0L);
	if (!info->used)
		info->state = mapped ? "orphan" : "dead";
	else if (data_race(region->refused)) /* likewise */
		info->state = "refused";
	else
		info->state = "live";
	info->readonly = region->trans.readonly;
	info->granule = min(BIT(region->trans.order),
			    rounddown_pow_of_two(mm_iommu_size(region)));
	info->bytes = ksize(region) + region->trans.bytes;
}
EXPORT_SYMBOL_GPL(mm_iommu_get_info);

/*
 * Checks that IOMMU pages from *@ua to @end, in a region, can be mapped as
 * requested; on failure *@ua is the first one that cannot.
 */
static int trans_check(struct mm_iommu_trans *trans, unsigned long *ua,
		       unsigned long end, unsigned int shift, bool write)
{
	u64 block;

	if (shift <= trans->order && !(write && trans->readonly))
		return 0;

	for (; *ua < end; *ua = mm_iommu_trans_end(block, *ua)) {
		mm_iommu_trans_entry(trans, *ua, &block);
		if (mm_iommu_trans_order(block) < shift)
			return -EINVAL;
		if (write && block & MM_IOMMU_READONLY)
			return -EFAULT;
		cond_resched();
	}
	return 0;
}

/**
 * mm_iommu_hold() - take references for IOMMU pages
 * @mm: the mm that owns the memory
 * @ua: user address, a multiple of the IOMMU page size
 * @npages: IOMMU pages requested, more than 0
 * @shift: log2 of the IOMMU page size
 * @write: whether a device may write there
 * @held: where to store the memory that is held, or the cause of failure
 *
 * An IOMMU page can be mapped if the memory behind it is one contiguous block,
 * aligned to its size, inside one region. A region is not unpinned before
 * mm_iommu_drop() was called for all of its pages that are held.
 *
 * Context: Process context, may sleep; any but NMI for a single page.
 * Return: the number of pages that are held, 1 to @npages: as many as are in
 *	one region; -EINVAL if there is none, or not all of them can be mapped:
 *	not registered, or an IOMMU page larger than the block of memory behind
 *	it; -EFAULT if @write is set and some memory was registered read-only.
 */
long mm_iommu_hold(struct mm_struct *mm, unsigned long ua, unsigned long npages,
		   unsigned int shift, bool write, struct mm_iommu_held *held)
{
	struct mm_iommu *reg = mm_iommu_get_registry(mm);
	struct mm_iommu_region *region;
	struct mm_iommu_slot *slot;
	unsigned long flags;
	int ret;

	held->bad = ua;
	if (!reg)
		return -EINVAL;

	slot = mm_iommu_read_lock(reg, &flags);
	region = mm_iommu_index_find(reg, slot, ua);
	ret = mm_iommu_region_hold_one(region, ua, shift, write, 0, held);
	mm_iommu_read_unlock(slot, flags);
	if (ret < 0 || npages == 1)
		return ret;

	/* a region with a reference stays: the others need no lock */
	npages = min(npages, (mm_iommu_last(region) - ua + 1) >> shift);
	atomic_long_add(npages - 1, &region->mapped);
	ret = trans_check(&region->trans, &ua, ua + (npages << shift), shift,
			  write);
	if (!ret)
		return npages;

	mm_iommu_drop(mm, held->cookie, npages);
	held->bad = ua;
	return ret;
}

/**
 * mm_iommu_drop() - drop references on a region
 * @mm: the mm that owns the memory; the caller has a reference on it, of its
 *	own or by a TCE table
 * @cookie: cookie of any page of the region
 * @npages: references, no more than are held
 *
 * The mappings that they protected must be gone from the table and from the
 * hardware caches. The last reference on a region that was given up unpins it.
 *
 * Context: Process context, may sleep; any process.
 * Return: 0, or -ENOENT if the page is not held.
 */
int mm_iommu_drop(struct mm_struct *mm, u64 cookie, unsigned long npages)
{
	struct mm_iommu_region *region = mm_iommu_held_region(mm, cookie);

	if (!region)
		return -ENOENT;
	mm_iommu_region_drop(region, npages);
	mm_iommu_reap(mm);
	return 0;
}
