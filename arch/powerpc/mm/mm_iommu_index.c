// SPDX-License-Identifier: GPL-2.0
/*
 * Index of the regions of DMA memory of one mm, and the lock of its readers.
 *
 * Regions do not overlap, so a red-black tree ordered by user address finds the
 * region of an address in log2(n) steps. Its nodes are part of the regions:
 * nothing is allocated here, so an insertion cannot fail, and lookups only read
 * the kernel's linear map.
 *
 * Alternatives that were measured, in instructions of x86_64 per random lookup
 * among 256, 4096 and 100,000 regions ("make bench" in tools/testing/mm_iommu):
 *
 *	this tree	 88	119	154
 *	maple tree	230	317	421
 *	sorted array	 92	130	174
 *
 * The maple tree allocates on insertion and frees by RCU; an array is copied as
 * a whole for every region.
 *
 * A mapped page refers to its region by an id, not by its address, where
 * another region may be by now. Ids are looked up in a table of three levels,
 * for live regions and those given up alike.
 *
 * Readers and writers exclude each other by a "big reader" lock (as lglock
 * was): an array of spinlocks, of which a reader takes the one of its CPU and a
 * writer all that are in use, in turn. Unlike RCU this also works for a reader
 * that runs in real mode on a CPU which is offline to Linux, or in an extended
 * quiescent state: while a writer holds the lock, no reader is inside. A region
 * that it took out of the index may be freed as soon as it has released it.
 *
 * A slot is in use if a reader has taken it since the last writer. The first
 * such reader notes that in mm_iommu::used, under mm_iommu::used_lock, which a
 * writer holds from before it takes the first slot until it has released the
 * last one; then no slot is in use any more. So in a slot that is not in use,
 * no reader is inside, and one that has just taken it stays outside until the
 * writer is done. It cannot deadlock with the writer, which waits only for
 * slots that are in use. Whether its slot is in use a reader sees by its hint,
 * which is NULL if it is not, and which a writer resets in the slots that it
 * holds. So the cost of a writer depends on the readers since the last one,
 * not on the number of CPUs: when a process registers its memory at its start,
 * no slot is taken.
 *
 * Readers run with interrupts off, so the holder of a slot never sleeps and is
 * never preempted, and spinning for a slot does not take long. The locks are
 * arch_spinlock_t because real mode can neither report to lockdep nor use the
 * slow path of a queued lock; a writer would also hold more locks at the same
 * time than lockdep can follow.
 */
#include "mm_iommu.h"

/* A bit each in mm_iommu::used. More CPUs share them. */
#define MM_IOMMU_MAX_SLOTS	64U

/* The hint of a slot in use that has no better one: has no address. */
static struct mm_iommu_region mm_iommu_nowhere __ro_after_init;

/**
 * mm_iommu_index_alloc() - allocate a registry with an empty index
 * @mm: the mm that will own the memory
 * @cpus: CPUs that may look up regions; more than there are slots share them
 *
 * Context: Process context, may sleep.
 * Return: the registry, initialised, or NULL.
 */
struct mm_iommu *mm_iommu_index_alloc(struct mm_struct *mm, unsigned int cpus)
{
	unsigned int slots = min(roundup_pow_of_two(cpus), MM_IOMMU_MAX_SLOTS);
	struct mm_iommu *reg;
	unsigned int i;

	/*
	 * kmalloc aligns to the largest power of two that divides the size, so
	 * the slots to cache lines
	 */
	reg = kzalloc(struct_size(reg, slots, slots), GFP_KERNEL_ACCOUNT);
	if (!reg)
		return NULL;

	reg->mm = mm;
	mutex_init(&reg->lock);
	INIT_LIST_HEAD(&reg->pending);
	reg->index = RB_ROOT;
	reg->ids.fresh = 1;
	reg->ids.limit = MM_IOMMU_MAX_ID;
	reg->used_lock = (arch_spinlock_t)__ARCH_SPIN_LOCK_UNLOCKED;
	reg->slot_mask = slots - 1;
	for (i = 0; i < slots; i++)
		reg->slots[i].lock =
			(arch_spinlock_t)__ARCH_SPIN_LOCK_UNLOCKED;
	return reg;
}

/**
 * mm_iommu_use_slot() - note that a slot is in use
 * @reg: the registry
 * @slot: the slot, which the caller holds, and which is not in use
 *
 * Context: A reader that holds mm_iommu::used_lock, which is released.
 */
__kprobes void mm_iommu_use_slot(struct mm_iommu *reg,
				 struct mm_iommu_slot *slot)
{
	reg->used |= BIT(slot - reg->slots);
	slot->hint = &mm_iommu_nowhere;
	arch_spin_unlock(&reg->used_lock);
}

static void mm_iommu_write_lock(struct mm_iommu *reg, unsigned long *flags)
{
	unsigned long used;

	local_irq_save(*flags);
	arch_spin_lock(&reg->used_lock);
	for (used = reg->used; used; used &= used - 1)
		arch_spin_lock(&reg->slots[__ffs(used)].lock);
}

static void mm_iommu_write_unlock(struct mm_iommu *reg, unsigned long flags)
{
	struct mm_iommu_slot *slot;
	unsigned long used;

	for (used = reg->used; used; used &= used - 1) {
		slot = &reg->slots[__ffs(used)];
		slot->hint = NULL;
		arch_spin_unlock(&slot->lock);
	}
	reg->used = 0;
	arch_spin_unlock(&reg->used_lock);
	local_irq_restore(flags);
}

static bool index_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct mm_iommu_region, node)->trans.ua <
	       rb_entry(b, struct mm_iommu_region, node)->trans.ua;
}

/* The last region that starts at @ua or below; its end is not checked. */
static __kprobes struct mm_iommu_region *index_below(const struct mm_iommu *reg,
						     unsigned long ua)
{
	struct mm_iommu_region *region, *below = NULL;
	struct rb_node *node = reg->index.rb_node;

	while (node) {
		region = rb_entry(node, struct mm_iommu_region, node);
		if (ua < region->trans.ua) {
			node = node->rb_left;
		} else {
			below = region;
			node = node->rb_right;
		}
	}
	return below;
}

/**
 * __mm_iommu_index_find() - mm_iommu_index_find() if the hint does not match
 * @reg: the registry
 * @slot: the slot that the caller holds
 * @ua: user address
 *
 * Reads only the linear map: usable in virtual and real mode.
 *
 * Context: Inside mm_iommu_read_lock().
 * Return: the region or NULL.
 */
__kprobes struct mm_iommu_region *
__mm_iommu_index_find(struct mm_iommu *reg, struct mm_iommu_slot *slot,
		      unsigned long ua)
{
	struct mm_iommu_region *region = index_below(reg, ua);

	if (!region || !mm_iommu_has(region, ua))
		return NULL;

	slot->hint = region;
	return region;
}

/**
 * mm_iommu_index_overlap() - find the highest region that overlaps a range
 * @reg: the registry
 * @ua: first user address of the range
 * @last: its last address (inclusive)
 *
 * Context: Process context, holds @reg->lock.
 * Return: the region or NULL.
 */
struct mm_iommu_region *mm_iommu_index_overlap(struct mm_iommu *reg,
					       unsigned long ua,
					       unsigned long last)
{
	struct mm_iommu_region *region;

	lockdep_assert_held(&reg->lock);
	region = index_below(reg, last);
	return region && ua <= mm_iommu_last(region) ? region : NULL;
}

/**
 * mm_iommu_index_insert() - make a region visible to lookups
 * @reg: the registry
 * @region: the region; overlaps none in the index
 *
 * Context: Process context, holds @reg->lock.
 */
void mm_iommu_index_insert(struct mm_iommu *reg,
			   struct mm_iommu_region *region)
{
	unsigned long flags;

	lockdep_assert_held(&reg->lock);
	mm_iommu_write_lock(reg, &flags);
	rb_add(&region->node, &reg->index, index_less);
	mm_iommu_write_unlock(reg, flags);
}

/**
 * mm_iommu_index_erase() - hide a region from lookups
 * @reg: the registry
 * @region: a region in the index
 *
 * On return no reader of either mode is accessing the region.
 *
 * Context: Process context, holds @reg->lock.
 */
void mm_iommu_index_erase(struct mm_iommu *reg,
			  struct mm_iommu_region *region)
{
	unsigned long flags;

	lockdep_assert_held(&reg->lock);
	mm_iommu_write_lock(reg, &flags);
	rb_erase(&region->node, &reg->index);
	mm_iommu_write_unlock(reg, flags);
}

/**
 * mm_iommu_index_sync() - wait for all readers that are inside
 * @reg: the registry
 *
 * Takes the slots that are in use one by one: each lock only has to be taken
 * once, and other readers go on. A slot that is not in use needs no look: since
 * a writer held it, no reader has been inside, and the caller takes
 * mm_iommu::used_lock after that writer.
 *
 * Context: Process context; readers that enter during the call do not matter.
 */
void mm_iommu_index_sync(struct mm_iommu *reg)
{
	unsigned long flags, used;
	arch_spinlock_t *lock;

	local_irq_save(flags);
	arch_spin_lock(&reg->used_lock);
	used = reg->used;
	arch_spin_unlock(&reg->used_lock);
	local_irq_restore(flags);

	for (; used; used &= used - 1) {
		lock = &reg->slots[__ffs(used)].lock;
		local_irq_save(flags);
		arch_spin_lock(lock);
		arch_spin_unlock(lock);
		local_irq_restore(flags);
	}
}

/*
 * Returns an entry of the node that @entry points to; NULL without memory for
 * it.
 */
static unsigned long *id_below(unsigned long *entry, unsigned int i)
{
	unsigned long *node = (void *)*entry;

	if (!node) {
		node = kcalloc(MM_IOMMU_ID_ENTRIES, sizeof(*node),
			       GFP_KERNEL_ACCOUNT);
		if (!node)
			return NULL;
		/* zeroed before it becomes visible */
		smp_store_release(entry, (unsigned long)node);
	}
	return &node[i % MM_IOMMU_ID_ENTRIES];
}

static unsigned long *id_entry(struct mm_iommu_ids *ids, unsigned int id)
{
	unsigned long *entry = &ids->root[id >> 2 * MM_IOMMU_ID_SHIFT];

	entry = id_below(entry, id >> MM_IOMMU_ID_SHIFT);
	return entry ? id_below(entry, id) : NULL;
}

/**
 * mm_iommu_id_alloc() - allocate the id of a region, the base of its cookies
 * @reg: the registry
 * @region: the region; only its address is read
 *
 * All ids of a node are allocated once before freed ids are reused, and those
 * in turn, so that a stale cookie is not soon mistaken for one of a new region.
 *
 * Context: Process context, may sleep, holds @reg->lock.
 * Return: 0; -ENOMEM; -ENOSPC if no id is left.
 */
int mm_iommu_id_alloc(struct mm_iommu *reg, struct mm_iommu_region *region)
{
	struct mm_iommu_ids *ids = &reg->ids;
	unsigned int id = ids->fresh;
	unsigned long *entry;

	lockdep_assert_held(&reg->lock);
	if (ids->first && (id > ids->limit || !(id % MM_IOMMU_ID_ENTRIES)))
		id = ids->first;
	else if (id > ids->limit)
		return -ENOSPC;

	entry = id_entry(ids, id);
	if (!entry)
		return -ENOMEM;
	if (id == ids->fresh)
		ids->fresh++;
	else
		ids->first = *entry / 2;
	region->id_entry = entry;
	region->cookie = FIELD_PREP(MM_IOMMU_COOKIE_ID, (u64)id) -
			 mm_iommu_cookie_step(region->trans.ua);
	/* pairs with READ_ONCE() in mm_iommu_id_find() */
	smp_store_release(entry, (unsigned long)region);
	return 0;
}

/**
 * mm_iommu_id_free() - free the id of a region
 * @reg: the registry
 * @region: a region of which no page is held, and none will be; all readers
 *	that dropped one have left
 *
 * Context: Process context, holds @reg->lock.
 */
void mm_iommu_id_free(struct mm_iommu *reg, struct mm_iommu_region *region)
{
	u64 cookie = mm_iommu_cookie(region, region->trans.ua, false);
	unsigned int id = FIELD_GET(MM_IOMMU_COOKIE_ID, cookie);
	struct mm_iommu_ids *ids = &reg->ids;

	lockdep_assert_held(&reg->lock);
	WRITE_ONCE(*region->id_entry, MM_IOMMU_ID_FREE);
	if (ids->first)
		WRITE_ONCE(*ids->last, 2UL * id | MM_IOMMU_ID_FREE);
	else
		ids->first = id;
	ids->last = region->id_entry;
}

static void id_free_node(unsigned long *node, unsigned int below)
{
	unsigned int i;

	for (i = 0; node && below && i < MM_IOMMU_ID_ENTRIES; i++)
		id_free_node((void *)node[i], below - 1);
	kfree(node);
}

/**
 * mm_iommu_index_free() - free a registry
 * @reg: the registry; it has no regions
 *
 * Context: Any that may free memory.
 */
void mm_iommu_index_free(struct mm_iommu *reg)
{
	unsigned int i;

	for (i = 0; i < MM_IOMMU_ID_ROOTS; i++)
		id_free_node((void *)reg->ids.root[i], 1);
	kfree(reg);
}
