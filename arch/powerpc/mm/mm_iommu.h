/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the parts of the registry of DMA memory: the region, the index that
 * finds it, the translation inside it, and the pinning below it.
 */
#ifndef _POWERPC_MM_MM_IOMMU_H
#define _POWERPC_MM_MM_IOMMU_H

#include "mm_iommu_internal.h"

/*
 * An entry of a translation is 0; or a node, with the order of the memory that
 * each of its entries translates; or a block, with its order and first host
 * address, and flags: a device may only read it, a device may have written it.
 * Read-only memory is never part of a writable block.
 */
#define MM_IOMMU_ADDR		GENMASK_ULL(54, 0)
#define MM_IOMMU_READONLY	BIT_ULL(55)
#define MM_IOMMU_ORDER		GENMASK_ULL(61, 56)
#define MM_IOMMU_NODE		BIT_ULL(62)
#define MM_IOMMU_DIRTY		BIT_ULL(63)

/**
 * struct mm_iommu_trans - translation of one region
 * @ua: first user address, a multiple of PAGE_SIZE
 * @npages: number of pages of PAGE_SIZE
 * @root: entry of the whole region
 * @readonly: a device may only read some of it
 * @order: log2 of the size of the smallest block
 * @bytes: memory used by its nodes
 * @added: pages that were added, counted from the first
 * @run_ua: start of the run that was added last and is not in the table
 * @run_at: its host address, with MM_IOMMU_READONLY if it is read-only
 * @next: the entry of @run_ua in the node of the block before it
 * @next_left: number of entries there from @next on
 * @next_order: log2 of the bytes of an entry there
 *
 * Written by the thread that pins, before the region can be found by others,
 * and by the thread that unpins, when it can no longer be found. In between
 * only dirty marks are set, any number of times, when memory is mapped for
 * writing. All of it is kmalloc memory: readable in real mode. The format is
 * described in mm_iommu_trans.c.
 */
struct mm_iommu_trans {
	unsigned long ua;
	unsigned long npages;
	u64 root;
	bool readonly;
	u8 order;
	u8 next_order;
	unsigned long bytes;
	unsigned long added;
	unsigned long run_ua;
	u64 run_at;
	u64 *next;
	unsigned long next_left;
};

/* The address of the page to be added next. */
static inline unsigned long
mm_iommu_trans_next(const struct mm_iommu_trans *trans)
{
	return trans->ua + (trans->added << PAGE_SHIFT);
}

void mm_iommu_trans_init(struct mm_iommu_trans *trans, unsigned long ua,
			 unsigned long npages);
int mm_iommu_trans_add(struct mm_iommu_trans *trans, u64 at,
		       unsigned long npages);
int mm_iommu_trans_add_pages(struct mm_iommu_trans *trans, struct page **pages,
			     unsigned long nr, u64 marks);
int mm_iommu_trans_finish(struct mm_iommu_trans *trans);
void mm_iommu_trans_free(struct mm_iommu_trans *trans);
unsigned long mm_iommu_trans_block(const struct mm_iommu_trans *trans,
				   unsigned long ua, u64 *at);
void mm_iommu_trans_fill(struct mm_iommu_trans *trans, unsigned long ua,
			 unsigned long npages, unsigned int shift, u64 bits,
			 __be64 *out);

int mm_iommu_pin_user(unsigned long ua, int n, unsigned int flags,
		      struct page **pages);
int mm_iommu_pin(struct mm_iommu_trans *trans);
void mm_iommu_unpin(struct mm_iommu_trans *trans);

/**
 * struct mm_iommu_region - a range of user memory that is pinned for DMA
 * @node: in the index, see mm_iommu::index
 * @list: in mm_iommu::pending, under mm_iommu::lock
 * @dead: next region in mm_iommu::dead, when it is on that list
 * @registry: the registry of the mm that owns the memory
 * @trans: the range and its host addresses
 * @cookie: cookie of user address 0, if that were in the region: its id, minus
 *	the pages of 4K below the region
 * @id_entry: the entry of its id
 * @refused: in the index, but given up by its owner, see mm_iommu_unregister();
 *	under mm_iommu::lock
 * @used: containers that registered exactly this range; 0 as long as it is
 *	pending, and when it was taken out of the index; under mm_iommu::lock
 * @refs: keeps this structure and its id (not the pins): one for the index or a
 *	list, one for each container
 * @mapped: references on its pages: 1 while the region is open, plus those of
 *	mappings: one for all of a view block, or one for each mapping; see
 *	struct tce_view_block. The transition from 1 to 0 closes the region, in
 *	one step, permanently. A region that was given up while mapped has
 *	dropped the 1, so its last unmap closes it.
 * @pinned: completed when a pending region has become live or dead
 *
 * Every region holds a reference on the mm (mmgrab), for locked_vm. Lookups
 * read the fields up to @mapped, which are not written while the region is in
 * the index.
 */
struct mm_iommu_region {
	union {
		struct rb_node node;
		struct list_head list;
		struct mm_iommu_region *dead;
	};
	struct mm_iommu *registry;
	struct mm_iommu_trans trans;
	u64 cookie;
	unsigned long *id_entry;
	atomic_long_t mapped;
	bool refused;
	unsigned int used;
	refcount_t refs;
	struct completion pinned;
};

/**
 * struct mm_iommu_slot - the part of the big-reader lock for one reader
 * @lock: held by a reader with interrupts off, or by a writer
 * @hint: the region found by the last lookup through this slot; NULL if no
 *	reader has taken it since the last writer; under @lock
 */
struct mm_iommu_slot {
	arch_spinlock_t lock;
	struct mm_iommu_region *hint;
} ____cacheline_aligned_in_smp;

#define MM_IOMMU_ID_SHIFT	9
#define MM_IOMMU_ID_ENTRIES	BIT(MM_IOMMU_ID_SHIFT)
#define MM_IOMMU_MAX_ID		(BIT(23) - 1)	/* 8 M regions */
#define MM_IOMMU_ID_ROOTS	(BIT(23) >> 2 * MM_IOMMU_ID_SHIFT)

/* Flag in an entry of the id table: the entry has the next free id. */
#define MM_IOMMU_ID_FREE	1UL

/**
 * struct mm_iommu_ids - the id table
 * @fresh: the first id that was never allocated
 * @limit: the last id that may be allocated
 * @first: the id that was freed longest ago, or 0
 * @last: the entry of the id that was freed last
 * @root: pointers to nodes of the first level, or 0
 *
 * A node is 4K: pointers to nodes of the second level, or the entries of ids.
 * An entry is 0, if the id was never allocated; a region; or the next free id,
 * doubled, with MM_IOMMU_ID_FREE. Nodes are never moved, and not freed before
 * the registry. All of it is changed under mm_iommu::lock. The entry of a
 * region does not change while one of its pages is held, so the cookie of such
 * a page is looked up without a lock.
 */
struct mm_iommu_ids {
	unsigned int fresh;
	unsigned int limit;
	unsigned int first;
	unsigned long *last;
	unsigned long root[MM_IOMMU_ID_ROOTS];
};

/**
 * struct mm_iommu - all regions of one mm
 * @mm: the mm; the registry is freed with it (destroy_context)
 * @lock: serialises changes; taken outside of the slots
 * @pending: regions being pinned; under @lock
 * @dead: regions given up whose last page was dropped, and which wait to be
 *	unpinned; lockless, see mm_iommu_reap()
 * @used: the slots that a reader has taken since the last writer
 * @used_lock: protects @used; held by a writer over its whole change, and by a
 *	reader that holds a slot, if that is not in @used
 * @unregistered: containers that map memory which is not registered
 * @index: live and refused regions by user address; changed under @lock,
 *	@used_lock and all slots in @used; read under any slot in @used, or
 *	@lock
 * @ids: all regions that may be mapped, by id
 * @slot_mask: number of slots minus one, a power of two minus one
 * @slots: the big-reader lock, on cache lines of its own
 */
struct mm_iommu {
	struct mm_struct *mm;
	struct mutex lock;	/* all but the slots */
	struct list_head pending;
	struct mm_iommu_region *dead;
	unsigned long used;
	arch_spinlock_t used_lock;
	atomic_t unregistered;
	struct rb_root index;
	struct mm_iommu_ids ids;
	unsigned int slot_mask;
	struct mm_iommu_slot slots[];
};

struct mm_iommu *mm_iommu_index_alloc(struct mm_struct *mm, unsigned int cpus);
void mm_iommu_index_free(struct mm_iommu *reg);
struct mm_iommu_region *__mm_iommu_index_find(struct mm_iommu *reg,
					      struct mm_iommu_slot *slot,
					      unsigned long ua);
struct mm_iommu_region *mm_iommu_index_overlap(struct mm_iommu *reg,
					       unsigned long ua,
					       unsigned long last);
void mm_iommu_index_insert(struct mm_iommu *reg,
			   struct mm_iommu_region *region);
void mm_iommu_index_erase(struct mm_iommu *reg,
			  struct mm_iommu_region *region);
void mm_iommu_index_sync(struct mm_iommu *reg);
void mm_iommu_use_slot(struct mm_iommu *reg, struct mm_iommu_slot *slot);
int mm_iommu_id_alloc(struct mm_iommu *reg, struct mm_iommu_region *region);
void mm_iommu_id_free(struct mm_iommu *reg, struct mm_iommu_region *region);

/* The registry lives as long as @mm; NULL if nothing was registered yet. */
static inline __kprobes struct mm_iommu *
mm_iommu_get_registry(struct mm_struct *mm)
{
	/* pairs with cmpxchg_release() in mm_iommu_make_registry() */
	return READ_ONCE(mm->context.mm_iommu);
}

static inline __kprobes unsigned long
mm_iommu_last(const struct mm_iommu_region *region)
{
	return region->trans.ua + (region->trans.npages << PAGE_SHIFT) - 1;
}

static inline __kprobes bool mm_iommu_has(const struct mm_iommu_region *region,
					  unsigned long ua)
{
	return ua - region->trans.ua < region->trans.npages << PAGE_SHIFT;
}

/* Hot path: the following is used for every TCE. */

/* A reader needs about a hundred instructions, a writer a few thousand. */
#define MM_IOMMU_TRIES		64

/**
 * mm_iommu_read_lock() - enter a read-side section of the registry
 * @reg: the registry
 * @flags: where to keep the interrupt state
 *
 * Until mm_iommu_read_unlock() no region enters or leaves the index. Keep the
 * section short: interrupts are off.
 *
 * Context: Any but NMI.
 * Return: the slot, for mm_iommu_index_find() and mm_iommu_read_unlock().
 */
static inline struct mm_iommu_slot *
mm_iommu_read_lock(struct mm_iommu *reg, unsigned long *flags)
{
	struct mm_iommu_slot *slot;

	local_irq_save(*flags);
	slot = &reg->slots[raw_smp_processor_id() & reg->slot_mask];
	arch_spin_lock(&slot->lock);
	if (unlikely(!slot->hint)) {
		arch_spin_lock(&reg->used_lock);
		mm_iommu_use_slot(reg, slot);
	}
	return slot;
}

/**
 * mm_iommu_read_trylock() - enter a read-side section without waiting
 * @reg: the registry
 *
 * For real mode, where a spinning CPU cannot yield to another one.
 *
 * Context: Interrupts off, virtual or real mode.
 * Return: the slot, or NULL while a writer holds the lock: the caller must fail
 *	the call, to have it done where waiting is possible.
 */
static __always_inline __kprobes struct mm_iommu_slot *
mm_iommu_read_trylock(struct mm_iommu *reg)
{
	struct mm_iommu_slot *slot;
	unsigned int i;

	slot = &reg->slots[raw_smp_processor_id() & reg->slot_mask];
	for (i = 0; i < MM_IOMMU_TRIES; i++) {
		if (arch_spin_trylock(&slot->lock)) {
			if (likely(slot->hint))
				return slot;
			if (arch_spin_trylock(&reg->used_lock)) {
				mm_iommu_use_slot(reg, slot);
				return slot;
			}
			arch_spin_unlock(&slot->lock);
		}
		cpu_relax();
	}
	return NULL;
}

/**
 * __mm_iommu_read_unlock() - leave the section of mm_iommu_read_trylock()
 * @slot: the slot that it returned
 *
 * Context: Interrupts off, virtual or real mode.
 */
static inline __kprobes void __mm_iommu_read_unlock(struct mm_iommu_slot *slot)
{
	arch_spin_unlock(&slot->lock);
}

/**
 * mm_iommu_read_unlock() - leave a read-side section
 * @slot: the slot that mm_iommu_read_lock() returned
 * @flags: the interrupt state that it stored
 *
 * Context: Any but NMI, interrupts off.
 */
static inline void mm_iommu_read_unlock(struct mm_iommu_slot *slot,
					unsigned long flags)
{
	__mm_iommu_read_unlock(slot);
	local_irq_restore(flags);
}

/**
 * mm_iommu_index_find() - find the region of a user address
 * @reg: the registry
 * @slot: the slot that the caller holds
 * @ua: user address
 *
 * Reads only the linear map: usable in virtual and real mode.
 *
 * Context: Inside mm_iommu_read_lock().
 * Return: the region or NULL; it must not be used outside of the section unless
 *	a reference was taken inside.
 */
static inline __kprobes struct mm_iommu_region *
mm_iommu_index_find(struct mm_iommu *reg, struct mm_iommu_slot *slot,
		    unsigned long ua)
{
	struct mm_iommu_region *region = slot->hint;

	if (mm_iommu_has(region, ua))
		return region;
	return __mm_iommu_index_find(reg, slot, ua);
}

/**
 * mm_iommu_id_find() - find the region of a cookie
 * @reg: the registry
 * @cookie: cookie of a page that is held
 *
 * Takes no lock, and three loads whatever the number of regions. Reads only the
 * linear map: usable in virtual and real mode.
 *
 * Context: Any. The region stays as long as the page is held.
 * Return: the region, which may have been given up; NULL if there is none.
 */
static inline __kprobes struct mm_iommu_region *
mm_iommu_id_find(const struct mm_iommu *reg, u64 cookie)
{
	unsigned long id = FIELD_GET(MM_IOMMU_COOKIE_ID, cookie), found;
	const unsigned long *node;

	/* these pair with smp_store_release() in id_below() */
	node = (void *)READ_ONCE(reg->ids.root[id >> 2 * MM_IOMMU_ID_SHIFT]);
	if (!node)
		return NULL;
	node = (void *)READ_ONCE(node[(id >> MM_IOMMU_ID_SHIFT) %
				      MM_IOMMU_ID_ENTRIES]);
	if (!node)
		return NULL;
	/* pairs with the one in mm_iommu_id_alloc() */
	found = READ_ONCE(node[id % MM_IOMMU_ID_ENTRIES]);
	return found & MM_IOMMU_ID_FREE ? NULL : (void *)found;
}

/* Same for the registry of an mm, of which nothing may be registered yet. */
static inline __kprobes struct mm_iommu_region *
mm_iommu_held_region(struct mm_struct *mm, u64 cookie)
{
	const struct mm_iommu *reg = mm_iommu_get_registry(mm);

	return reg ? mm_iommu_id_find(reg, cookie) : NULL;
}

/* Returns the cookie of a user address in a region, a multiple of 4K. */
static inline __kprobes u64
mm_iommu_cookie(const struct mm_iommu_region *region, unsigned long ua,
		bool write)
{
	return region->cookie + mm_iommu_cookie_step(ua) + write;
}

/* The reverse of mm_iommu_cookie(). */
static inline __kprobes unsigned long
mm_iommu_cookie_ua(const struct mm_iommu_region *region, u64 cookie)
{
	return region->trans.ua +
	       FIELD_GET(MM_IOMMU_COOKIE_PAGE, cookie) * SZ_4K;
}

static inline __kprobes unsigned int mm_iommu_trans_order(u64 entry)
{
	return FIELD_GET(MM_IOMMU_ORDER, entry);
}

/* A node has the address where its entry of user address 0 would be. */
static inline __kprobes u64 *mm_iommu_trans_below(u64 node, unsigned long ua)
{
	ua >>= mm_iommu_trans_order(node);
	return __va((node + ua * sizeof(u64)) & MM_IOMMU_ADDR);
}

static inline __kprobes u64 mm_iommu_trans_hpa(u64 block, unsigned long ua)
{
	return (block & MM_IOMMU_ADDR) |
	       (ua & (BIT(mm_iommu_trans_order(block)) - 1));
}

/* Returns the end of a block; the part in the region may end before. */
static inline __kprobes unsigned long
mm_iommu_trans_end(u64 block, unsigned long ua)
{
	return (ua | (BIT(mm_iommu_trans_order(block)) - 1)) + 1;
}

/**
 * mm_iommu_trans_entry() - look up the entry of an address
 * @trans: the translation, complete
 * @ua: user address inside the region
 * @block: where to store the entry
 *
 * Context: Any, virtual or real mode.
 * Return: pointer to the entry, for mm_iommu_trans_mark().
 */
static inline __kprobes u64 *
mm_iommu_trans_entry(struct mm_iommu_trans *trans, unsigned long ua, u64 *block)
{
	u64 *entry = &trans->root;

	while ((*block = READ_ONCE(*entry)) & MM_IOMMU_NODE)
		entry = mm_iommu_trans_below(*block, ua);
	return entry;
}

/**
 * mm_iommu_trans_mark() - note that a device may write to a block
 * @entry: the pointer that mm_iommu_trans_entry() returned
 * @block: the entry that it stored
 * @dirty: MM_IOMMU_DIRTY, or 0 to do nothing
 *
 * This is the only change of an entry: concurrent writers store the same value.
 * The pages of the block are marked dirty when they are unpinned: struct page
 * is not accessible here.
 *
 * Context: Any, virtual or real mode.
 */
static inline __kprobes void
mm_iommu_trans_mark(u64 *entry, u64 block, u64 dirty)
{
	if (dirty & ~block)
		WRITE_ONCE(*entry, block | dirty);
}

/**
 * mm_iommu_region_has_page() - check that an IOMMU page is in one block
 * @region: a region that has @ua
 * @ua: user address; of any page if chosen by a guest
 * @shift: log2 of the IOMMU page size
 * @block: the entry that mm_iommu_trans_entry() stored for @ua
 *
 * Context: Any, virtual or real mode.
 * Return: whether @ua is a multiple of the IOMMU page size, and the whole page
 *	is in @block and in the region.
 */
static inline __kprobes bool
mm_iommu_region_has_page(const struct mm_iommu_region *region,
			 unsigned long ua, unsigned int shift, u64 block)
{
	unsigned long mask = (1UL << shift) - 1;

	return mm_iommu_trans_order(block) >= shift && !(ua & mask) &&
	       mask <= mm_iommu_last(region) - ua;
}

/**
 * mm_iommu_region_tryget() - take references on the pages of a region
 * @region: the region that mm_iommu_index_find() returned
 * @n: references
 *
 * Not ordered: the lock that found the region is.
 *
 * Context: Inside mm_iommu_read_lock().
 * Return: false if the region is closed.
 */
static inline __kprobes bool
mm_iommu_region_tryget(struct mm_iommu_region *region, long n)
{
	long old = atomic_long_read(&region->mapped);

	do {
		if (!old)
			return false;
	} while (!atomic_long_try_cmpxchg_relaxed(&region->mapped, &old,
						  old + n));
	return true;
}

/**
 * mm_iommu_region_hold_one() - translate and hold an IOMMU page
 * @region: what mm_iommu_index_find() has found at @ua, or NULL
 * @ua: user address
 * @shift: log2 of the IOMMU page size
 * @write: whether a device may write there
 * @home: a cookie with the id of a region on which the caller has a reference
 *	that counts for this page too; 0 if there is none
 * @held: where to store the page that is held
 *
 * Context: Inside mm_iommu_read_lock(), virtual or real mode.
 * Return: 1 with a reference; 0 if that of @home counts; -EINVAL if the page is
 *	not in one block of a region, or the region is closed; -EFAULT if @write
 *	is set and it may only be read.
 */
static inline __kprobes int
mm_iommu_region_hold_one(struct mm_iommu_region *region, unsigned long ua,
			 unsigned int shift, bool write, u64 home,
			 struct mm_iommu_held *held)
{
	u64 *entry, block, cookie;
	int ret = 0;

	if (!region)
		return -EINVAL;
	cookie = mm_iommu_cookie(region, ua, write);
	entry = mm_iommu_trans_entry(&region->trans, ua, &block);
	if (!mm_iommu_region_has_page(region, ua, shift, block))
		return -EINVAL;
	if (write && block & MM_IOMMU_READONLY)
		return -EFAULT;
	if ((cookie ^ home) & MM_IOMMU_COOKIE_ID) {
		if (!mm_iommu_region_tryget(region, 1))
			return -EINVAL;
		ret = 1;
	}

	mm_iommu_trans_mark(entry, block, write ? MM_IOMMU_DIRTY : 0);
	held->cookie = cookie;
	held->hpa = mm_iommu_trans_hpa(block, ua);
	return ret;
}

/**
 * mm_iommu_region_drop() - drop references on the pages of a region
 * @region: the region
 * @npages: references, no more than are held
 *
 * The last reference on a region that was given up puts the region on
 * mm_iommu::dead. Open-coded, because llist_add() may be traced.
 *
 * Context: Any, virtual or real mode. Only memory that is held may be accessed
 *	afterwards.
 * Return: whether mm_iommu_reap() must be called.
 */
static inline __kprobes bool
mm_iommu_region_drop(struct mm_iommu_region *region, long npages)
{
	struct mm_iommu_region *first;
	struct mm_iommu *reg;

	/* after all changes of the TCEs by the caller */
	if (likely(atomic_long_sub_return_release(npages, &region->mapped)))
		return false;

	reg = region->registry;
	do {
		first = READ_ONCE(reg->dead);
		region->dead = first;
	} while (cmpxchg(&reg->dead, first, region) != first);
	return true;
}

#endif /* _POWERPC_MM_MM_IOMMU_H */
