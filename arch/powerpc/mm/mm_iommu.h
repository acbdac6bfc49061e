/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the registry of DMA memory share: the region, the index
 * that finds it, the translation inside it, and the pinning under it.
 */
#ifndef _POWERPC_MM_MM_IOMMU_H
#define _POWERPC_MM_MM_IOMMU_H

#include "mm_iommu_internal.h"

/*
 * An entry of a translation: 0; a node, with the order of what each of its
 * entries translates; or a block, with its order and first host address, and
 * marks, that a device may only read there, that one may have written there.
 * Memory that may only be read is no part of a block that may be written.
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
 * @root: the entry of all of it
 * @readonly: a device may only read some of it
 * @order: log2 of the size of the smallest block
 * @bytes: memory that its nodes take
 * @added: pages that were added, counted from the first
 * @run_ua: where the run begins that was added last and is not in the table
 * @run_at: its host address, with MM_IOMMU_READONLY where that is so
 * @next: the entry of @run_ua in the node of the block before it
 * @next_left: number of entries there from @next on
 * @next_order: log2 of the bytes of an entry there
 *
 * Written by the thread that pins, before anybody else can find the region,
 * and by the one that unpins, when nobody can. In between only dirty marks are
 * set, any number of times, by whoever maps memory for writing. All of it is
 * kmalloc memory: readable with the MMU off. mm_iommu_trans.c has the format.
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
int mm_iommu_pin(struct mm_iommu_trans *trans, unsigned long *bad);
void mm_iommu_unpin(struct mm_iommu_trans *trans);

enum mm_iommu_state {
	MM_IOMMU_PENDING,	/* being pinned: on mm_iommu::pending */
	MM_IOMMU_LIVE,		/* in the index */
	MM_IOMMU_REFUSED,	/* in the index, but its owner gave it up */
	MM_IOMMU_ORPHAN,	/* given up while mapped: only its id finds it */
	MM_IOMMU_DEAD,		/* closed: not to be found, pages going */
};

/**
 * struct mm_iommu_region - a range of user memory that is pinned for DMA
 * @node: in the index; under mm_iommu::lock and all slots
 * @list: in mm_iommu::pending, under mm_iommu::lock
 * @dead: the next one in mm_iommu::dead, when it has come there
 * @registry: the registry of the mm whose memory this is
 * @trans: the range and its host addresses
 * @cookie: that of user address 0, if it were in the region: its id, less the
 *	pages of 4K below the region
 * @id_slot: the slot of its id
 * @state: under mm_iommu::lock
 * @used: containers that registered exactly this range; under mm_iommu::lock
 * @refs: keeps this structure (not the pins): one for the index or a list,
 *	one for each container
 * @mapped: references on its pages: 1 while the region is open, and what keeps
 *	mappings, which is one for all of a block of a view, or one for each;
 *	see struct tce_view_block.
 *	Going from 1 to 0 closes it, in one step, for good. A region that was
 *	given up while mapped has given the 1 back, so its last unmap closes it.
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
	unsigned long *id_slot;
	atomic_long_t mapped;
	enum mm_iommu_state state;
	unsigned int used;
	refcount_t refs;
	struct completion pinned;
};

/**
 * struct mm_iommu_slot - one reader's share of the big-reader lock
 * @lock: held by a reader with interrupts off, or by a writer with all others
 * @hint: the region that the last lookup through this slot found; under @lock
 */
struct mm_iommu_slot {
	arch_spinlock_t lock;
	struct mm_iommu_region *hint;
} ____cacheline_aligned_in_smp;

#define MM_IOMMU_ID_SHIFT	9
#define MM_IOMMU_ID_SLOTS	BIT(MM_IOMMU_ID_SHIFT)
#define MM_IOMMU_MAX_ID		(BIT(23) - 1)	/* of 8 M regions */
#define MM_IOMMU_ID_ROOTS	(BIT(23) >> 2 * MM_IOMMU_ID_SHIFT)

/* In a slot of the table of ids beside the next free one. */
#define MM_IOMMU_ID_FREE	1UL

/* 4K of the table of ids: nodes, or what has the ids. */
struct mm_iommu_id_node {
	unsigned long slot[MM_IOMMU_ID_SLOTS];
};

/**
 * struct mm_iommu_ids - the table of ids
 * @fresh: the first id that was never given out
 * @limit: the last that may be
 * @first: of those that were given back, the one that waits longest, or 0
 * @last: the slot of the one that was given back last
 * @root: the nodes above
 *
 * A slot has 0, where the id was never given out; a region; or the next free
 * id, doubled, with MM_IOMMU_ID_FREE. Nodes are never moved, and not freed
 * before the registry. All of it is changed under mm_iommu::lock. The slot of a
 * region of which a page is held does not change, so whoever has the cookie of
 * such a page looks the region up without a lock.
 */
struct mm_iommu_ids {
	unsigned int fresh;
	unsigned int limit;
	unsigned int first;
	unsigned long *last;
	struct mm_iommu_id_node *root[MM_IOMMU_ID_ROOTS];
};

/**
 * struct mm_iommu - all regions of one mm
 * @mm: the mm; the registry dies with it (destroy_context)
 * @lock: serialises changes; taken outside of the slots
 * @pending: regions being pinned; under @lock
 * @dead: regions given up whose last page was dropped, and which wait to be
 *	unpinned; without a lock, see mm_iommu_reap()
 * @unregistered: containers that map memory which is not registered
 * @index: live and refused regions by user address; changed under @lock and
 *	all slots, read under any of these
 * @ids: all regions that may be mapped, by id
 * @slot_mask: number of slots less one, a power of two less one
 * @slots: the big-reader lock, on cache lines of its own
 */
struct mm_iommu {
	struct mm_struct *mm;
	struct mutex lock;	/* all but the slots */
	struct list_head pending;
	struct mm_iommu_region *dead;
	atomic_t unregistered;
	struct rb_root index;
	struct mm_iommu_ids ids;
	unsigned int slot_mask;
	struct mm_iommu_slot *slots;
};

struct mm_iommu *mm_iommu_index_alloc(void);
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
int mm_iommu_id_alloc(struct mm_iommu *reg, struct mm_iommu_region *region);
void mm_iommu_id_free(struct mm_iommu *reg, struct mm_iommu_region *region);

static inline __kprobes unsigned long mm_iommu_last(const struct mm_iommu_region *region)
{
	return region->trans.ua + (region->trans.npages << PAGE_SHIFT) - 1;
}

static inline __kprobes bool mm_iommu_has(const struct mm_iommu_region *region,
					  unsigned long ua)
{
	return ua - region->trans.ua < region->trans.npages << PAGE_SHIFT;
}

static inline bool mm_iommu_overlaps(const struct mm_iommu_region *region,
				     unsigned long ua, unsigned long last)
{
	return region->trans.ua <= last && ua <= mm_iommu_last(region);
}

/* What follows is on the way of every TCE. */

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
	return slot;
}

/**
 * mm_iommu_read_trylock() - enter a read-side section where one must not wait
 * @reg: the registry
 *
 * For real mode, where a CPU that spins cannot be asked to let another run.
 *
 * Context: Interrupts off, MMU on or off.
 * Return: the slot, or NULL while a writer is at work: give up the call, and
 *	have it done where one may wait.
 */
static inline __kprobes struct mm_iommu_slot *
mm_iommu_read_trylock(struct mm_iommu *reg)
{
	struct mm_iommu_slot *slot;
	unsigned int i;

	slot = &reg->slots[raw_smp_processor_id() & reg->slot_mask];
	for (i = 0; i < MM_IOMMU_TRIES; i++) {
		if (arch_spin_trylock(&slot->lock))
			return slot;
		cpu_relax();
	}
	return NULL;
}

/**
 * __mm_iommu_read_unlock() - leave what mm_iommu_read_trylock() entered
 * @slot: what it returned
 *
 * Context: Interrupts off, MMU on or off.
 */
static inline __kprobes void __mm_iommu_read_unlock(struct mm_iommu_slot *slot)
{
	arch_spin_unlock(&slot->lock);
}

/**
 * mm_iommu_read_unlock() - leave a read-side section
 * @slot: what mm_iommu_read_lock() returned
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
 * mm_iommu_index_find() - find the region that holds a user address
 * @reg: the registry
 * @slot: the slot that the caller holds
 * @ua: user address
 *
 * Reads only the linear map: good with the MMU on and off.
 *
 * Context: Inside mm_iommu_read_lock().
 * Return: the region or NULL; it must not be used outside of the section
 *	unless a reference was taken inside.
 */
static inline __kprobes struct mm_iommu_region *
mm_iommu_index_find(struct mm_iommu *reg, struct mm_iommu_slot *slot,
		    unsigned long ua)
{
	struct mm_iommu_region *region = slot->hint;

	if (region && mm_iommu_has(region, ua))
		return region;
	return __mm_iommu_index_find(reg, slot, ua);
}

/**
 * mm_iommu_id_find() - find the region that a cookie names
 * @reg: the registry
 * @cookie: of a page that is held
 *
 * Takes no lock, and three loads whatever the number of regions is. Reads only
 * the linear map: good with the MMU on and off.
 *
 * Context: Any. The region stays as long as the page is held.
 * Return: the region, which may have been given up; NULL if there is none.
 */
static inline __kprobes struct mm_iommu_region *
mm_iommu_id_find(const struct mm_iommu *reg, u64 cookie)
{
	unsigned long id = FIELD_GET(MM_IOMMU_COOKIE_ID, cookie), found;
	const struct mm_iommu_id_node *node;

	/* these pair with smp_store_release() in id_below() */
	node = READ_ONCE(reg->ids.root[id >> 2 * MM_IOMMU_ID_SHIFT]);
	if (!node)
		return NULL;
	node = (void *)READ_ONCE(node->slot[(id >> MM_IOMMU_ID_SHIFT) %
					    MM_IOMMU_ID_SLOTS]);
	if (!node)
		return NULL;
	/* and this with the one in mm_iommu_id_alloc() */
	found = READ_ONCE(node->slot[id % MM_IOMMU_ID_SLOTS]);
	return found & MM_IOMMU_ID_FREE ? NULL : (void *)found;
}

/* The cookie of a user address in a region, which is a multiple of 4K. */
static inline __kprobes u64 mm_iommu_cookie(
					    const struct mm_iommu_region *region,
					    unsigned long ua, bool write)
{
	return region->cookie + mm_iommu_cookie_step(ua) + write;
}

/* The reverse. */
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

/* A node says where its entry of user address 0 would be. */
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

/* Where a block ends; what it has of its region may end before. */
static inline __kprobes unsigned long mm_iommu_trans_end(u64 block, unsigned long ua)
{
	return (ua | (BIT(mm_iommu_trans_order(block)) - 1)) + 1;
}

/**
 * mm_iommu_trans_entry() - find the entry of an address
 * @trans: the translation, complete
 * @ua: user address inside the region
 * @block: where to store the entry
 *
 * Context: Any, MMU on or off.
 * Return: where the entry is, for mm_iommu_trans_mark().
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
 * @entry: what mm_iommu_trans_entry() returned
 * @block: what it stored
 * @dirty: MM_IOMMU_DIRTY, or 0 for nothing
 *
 * All that changes in an entry: concurrent writers store the same. The pages of
 * the block are marked when they are unpinned: here struct page cannot be
 * reached.
 *
 * Context: Any, MMU on or off.
 */
static inline __kprobes void mm_iommu_trans_mark(u64 *entry, u64 block, u64 dirty)
{
	if (dirty & ~block)
		WRITE_ONCE(*entry, block | dirty);
}

/**
 * mm_iommu_region_has_page() - tell whether an IOMMU page is in one block
 * @region: a region, of which @ua is
 * @ua: user address; where a guest has chosen it, of any page
 * @shift: log2 of the size of the IOMMU page
 * @block: what mm_iommu_trans_entry() stored for @ua
 *
 * Context: Any, MMU on or off.
 * Return: whether @ua is a multiple of the IOMMU page, and all of that is in
 *	@block and in the region.
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
 * @region: what mm_iommu_index_find() returned
 * @n: references
 *
 * Not ordered: the lock that found the region is.
 *
 * Context: Inside mm_iommu_read_lock().
 * Return: false where the region is closed.
 */
static inline __kprobes bool mm_iommu_region_tryget(
						    struct mm_iommu_region *region,
						    long n)
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
 * mm_iommu_region_hold_one() - translate an IOMMU page, and hold it
 * @region: what mm_iommu_index_find() returned for @ua
 * @ua: user address, a multiple of the IOMMU page
 * @shift: log2 of the size of the IOMMU page
 * @write: whether a device may write there
 * @home: a cookie with the id of a region of which the caller has a reference
 *	that counts for this page too; 0: of none
 * @held: where to store what is held
 *
 * Context: Inside mm_iommu_read_lock(), MMU on or off.
 * Return: 1 with a reference; 0 where that of @home counts; -EINVAL where it is
 *	not one block, or the region is closed; -EFAULT where @write is asked for
 *	and it may only be read.
 */
static inline __kprobes int
mm_iommu_region_hold_one(struct mm_iommu_region *region, unsigned long ua,
			 unsigned int shift, bool write, u64 home,
			 struct mm_iommu_held *held)
{
	u64 *entry, block, cookie = mm_iommu_cookie(region, ua, write);
	int ret = 0;

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
 * mm_iommu_region_drop() - give references on the pages of a region back
 * @region: the region
 * @npages: references, no more than are held
 *
 * The last one of a region that was given up puts it on mm_iommu::dead: by
 * hand, because llist_add() may be traced.
 *
 * Context: Any, MMU on or off. Only what is held may be looked at afterwards.
 * Return: whether mm_iommu_reap() is to be called.
 */
static inline __kprobes bool mm_iommu_region_drop(
						  struct mm_iommu_region *region,
						  long npages)
{
	struct mm_iommu_region *first;
	struct mm_iommu *reg;

	/* after all that the caller has done to the TCEs */
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
