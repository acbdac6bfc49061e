// SPDX-License-Identifier: GPL-2.0
/*
 * TCE core, fast path: never sleeps, for virtual and real mode. Used by the
 * hypercall handlers, in the mode in which the hypercall arrived.
 *
 * Changes up to 512 entries, as a whole or not at all, in the steps of
 * iommu_tce.c. But here all steps are made in one stretch: with the view blocks
 * locked and in a section of the registry. So no intermediate state is visible,
 * there is nothing to roll back, and no state to keep except the new TCEs and
 * view:
 *
 * 1. Begin: lock the blocks, enter the section.
 * 2. Hold: every page is translated, and counted in its block, which takes a
 *    reference if it has none for it; or the whole change is aborted. This is
 *    the last step that can fail.
 * 3. Exchange the TCEs and the view. The old references are dropped on the
 *    way: the memory is not unpinned as long as the section lasts, and never
 *    here. The return value asks the caller to call mm_iommu_reap().
 * 4. Invalidate once, then unlock and end the section.
 *
 * -EAGAIN means that nothing has changed, and that the caller should use
 * iommu_tce.c: the platform may refuse, a block or a level of the table does
 * not exist, the table is closed, a lock cannot be taken, or one of the reasons
 * in mm_iommu_hold.c.
 *
 * One body serves both modes. The caller has interrupts off, and every lock is
 * only tried, for a bounded time, below the level of lock debugging: in real
 * mode its holder may wait for this very CPU. The body, and all functions that
 * it calls, read and write only the linear map: no printk, no lockdep, no
 * allocation. arch/powerpc/tools/realmode_check.sh checks that.
 *
 * Lifetimes: the caller pins the table; the lists that tce_kill() walks are
 * updated before each view lock was taken once (iommu_tce_view_sync(); RCU does
 * not wait for a CPU that is offline to Linux), so the locks are held over the
 * invalidation; everything else is under these locks or the section.
 */
#include <linux/kprobes.h>
#include <linux/minmax.h>
#include <linux/processor.h>
#include <linux/string.h>

#include <asm/iommu.h>
#include <asm/iommu_tce.h>
#include <asm/reg.h>
#include <asm/tce.h>

#include "iommu_tce_view.h"

/* A holder needs a few thousand instructions, for 512 entries. */
#define CHANGE_TRIES	256

static __kprobes u64 change_perm(bool write)
{
	return write ? TCE_PCI_READ | TCE_PCI_WRITE : TCE_PCI_READ;
}

static __kprobes unsigned long change_index(const struct iommu_tce_change *c)
{
	return c->entry - c->tbl->it_offset;
}

static __kprobes unsigned long change_block(const struct iommu_tce_change *c,
					    unsigned int i)
{
	return change_index(c) / TCE_VIEW_ENTRIES + i;
}

static __kprobes noinline bool block_trylock_again(arch_spinlock_t *lock)
{
	unsigned int i;

	for (i = 0; i < CHANGE_TRIES; i++) {
		cpu_relax();
		if (arch_spin_trylock(lock))
			return true;
	}
	return false;
}

static inline __kprobes bool block_trylock(raw_spinlock_t *lock)
{
	return likely(arch_spin_trylock(&lock->raw_lock)) ||
	       block_trylock_again(&lock->raw_lock);
}

static __kprobes raw_spinlock_t *
change_lock_of(const struct iommu_tce_change *c, unsigned int i)
{
	return tce_view_block_lock(c->tbl->it_view, change_block(c, i));
}

static __kprobes void change_unlock(struct iommu_tce_change *c, unsigned int nr)
{
	while (nr--)
		arch_spin_unlock(&change_lock_of(c, nr)->raw_lock);
}

/* Locks all view blocks of the change. */
static __kprobes bool change_lock(struct iommu_tce_change *c)
{
	unsigned int i;

	for (i = 0; i < c->nr_blocks; i++) {
		if (!block_trylock(change_lock_of(c, i))) {
			change_unlock(c, i);
			return false;
		}
		c->blocks[i] = tce_view_find(c->tbl->it_view,
					     change_block(c, i));
	}
	return true;
}

/*
 * Whether the table may be changed in the current mode; under a lock of its
 * view.
 */
static inline __kprobes bool table_is_open(struct iommu_table *tbl)
{
	if (READ_ONCE(tbl->it_view->closed))
		return false;
	if (mfmsr() & MSR_DR)
		return true;
	/* asks the groups of the table, which the lock keeps in place */
	return tbl->it_ops->realmode && tbl->it_ops->realmode(tbl);
}

static __kprobes void change_init(struct iommu_tce_change *c,
				  struct iommu_table *tbl, unsigned long entry,
				  unsigned long npages)
{
	unsigned long first = entry - tbl->it_offset;

	c->tbl = tbl;
	c->entry = entry;
	c->npages = npages;
	c->done = 0;
	c->in_first = min(npages, TCE_VIEW_ENTRIES - first % TCE_VIEW_ENTRIES);
	c->nr_blocks = 1 + (c->in_first < npages);
}

/* Ends a change, successful or not. */
static __kprobes void change_end(struct iommu_tce_change *c)
{
	change_unlock(c, c->nr_blocks);
	mm_iommu_exit(&c->section);
}

static inline __kprobes int change_start(struct iommu_tce_change *c)
{
	unsigned int i;

	if (!c->tbl->it_ops->realmode || !change_lock(c))
		return -EAGAIN;
	if (!table_is_open(c->tbl) ||
	    mm_iommu_enter(c->tbl->it_view->mm, &c->section)) {
		change_unlock(c, c->nr_blocks);
		return -EAGAIN;
	}
	for (i = 0; i < c->nr_blocks; i++)
		c->empty[i] = !c->blocks[i] || !tce_view_used(c->blocks[i]);
	return 0;
}

static __kprobes struct tce_view_block *
change_block_of(const struct iommu_tce_change *c, unsigned long i)
{
	return c->blocks[i >= c->in_first];
}

static __kprobes void change_use(struct iommu_tce_change *c, unsigned int i)
{
	c->blk = c->blocks[i];
	c->until = i ? c->npages : c->in_first;
}

/* Number of the next entries that are in one block. */
static __kprobes unsigned long change_room(struct iommu_tce_change *c,
					   unsigned long npages)
{
	if (unlikely(c->done >= c->until))
		change_use(c, 1);
	return min(npages, c->until - c->done);
}

/**
 * iommu_tce_change_abort() - cancel a change
 * @change: a change that has begun; over after this
 *
 * Context: As iommu_tce_change_begin(), which has begun it.
 */
__kprobes void iommu_tce_change_abort(struct iommu_tce_change *change)
{
	unsigned long i, refs;
	u64 cookie;

	for (i = 0; i < change->done; i++) {
		cookie = change->cookies[i];
		if (!cookie)
			continue;
		refs = tce_view_leave(change_block_of(change, i), cookie, 1);
		if (refs)
			mm_iommu_section_drop(&change->section, cookie, refs);
	}
	change_end(change);
}

/**
 * iommu_tce_change_begin() - begin to change several entries of a table
 * @change: where to keep its state
 * @tbl: a table that is bound to registered memory
 * @entry: first entry, counted from bus address 0; the range is in the table
 * @npages: entries, 1 to IOMMU_TCE_FAST_MAX
 * @scratch: required for more than one entry
 *
 * The caller defines the new content of each entry, from the first to the last,
 * by iommu_tce_change_map() and iommu_tce_change_clear(), and then commits the
 * change, or aborts it at any point.
 *
 * Context: Interrupts off until the end of the change, virtual or real mode;
 *	not in an interrupt. The caller keeps @tbl in place.
 * Return: 0; -EAGAIN if it must be done by iommu_tce_map().
 */
__kprobes int iommu_tce_change_begin(struct iommu_tce_change *change,
				     struct iommu_table *tbl,
				     unsigned long entry, unsigned long npages,
				     struct iommu_tce_scratch *scratch)
{
	unsigned int i;

	if (npages > (scratch ? IOMMU_TCE_FAST_MAX : 1))
		return -EAGAIN;
	change_init(change, tbl, entry, npages);
	change->tces = scratch ? scratch->tces : &change->tce;
	change->cookies = scratch ? scratch->cookies : &change->cookie;
	if (change_start(change))
		return -EAGAIN;

	/* the table was prepared before the block was created */
	for (i = 0; i < change->nr_blocks; i++)
		if (!change->blocks[i]) {
			change_end(change);
			return -EAGAIN;
		}
	change_use(change, 0);
	return 0;
}

/* Counts the next entries, all in one block, and of one region. */
static __kprobes bool change_count(struct iommu_tce_change *c, u64 cookie,
				   unsigned long n)
{
	struct tce_view_block *blk = c->blk;
	unsigned long refs = tce_view_enter(blk, cookie, n);
	u64 *to = c->cookies + c->done, *end = to + n;
	u64 step = mm_iommu_cookie_step(BIT_ULL(c->tbl->it_page_shift));

	if (refs && !mm_iommu_section_get(&c->section, cookie, refs)) {
		tce_view_leave(blk, cookie, n);
		return false;
	}
	c->done += n;
	do {
		*to++ = cookie;
		cookie += step;
	} while (to < end);
	return true;
}

static __kprobes noinline int change_map_run(struct iommu_tce_change *c,
					     unsigned long ua,
					     unsigned long npages, bool write)
{
	unsigned long n = change_room(c, npages);
	struct mm_iommu_run run = {
		.ua = ua,
		.npages = npages,
		.shift = c->tbl->it_page_shift,
		.write = write,
		.bits = change_perm(write),
		.out = c->tces + c->done,
	};

	if (mm_iommu_section_find(&c->section, &run))
		return -EAGAIN;
	/* each block counts its own part */
	if (!change_count(c, run.cookie, n))
		return -EAGAIN;
	if (n == npages)
		return 0;
	change_use(c, 1);
	run.cookie += mm_iommu_cookie_step((u64)n << run.shift);
	return change_count(c, run.cookie, npages - n) ? 0 : -EAGAIN;
}

/**
 * iommu_tce_change_map() - map the next entries of a change
 * @change: the change
 * @ua: user address, a multiple of the IOMMU page size
 * @npages: entries, more than 0 and not more than are left
 * @write: whether the device may write, and not only read
 *
 * Context: Between iommu_tce_change_begin() and the end of the change.
 * Return: 0; -EAGAIN if they cannot be mapped, or not here: the caller must
 *	abort the change.
 */
__kprobes int iommu_tce_change_map(struct iommu_tce_change *change,
				   unsigned long ua, unsigned long npages,
				   bool write)
{
	unsigned long i = change->done;
	struct mm_iommu_held held;
	int ret;

	if (npages > 1)
		return change_map_run(change, ua, npages, write);

	/* lists of scattered pages consist of single pages only */
	change_room(change, 1);
	ret = mm_iommu_section_hold_one(&change->section, ua,
					change->tbl->it_page_shift, write,
					change->blk->home, &held);
	if (ret < 0)
		return ret;
	if (ret)
		tce_view_enter(change->blk, held.cookie, 1);
	else
		change->blk->homes++;
	change->tces[i] = cpu_to_be64(held.hpa | change_perm(write));
	change->cookies[i] = held.cookie;
	change->done = i + 1;
	return 0;
}

/**
 * iommu_tce_change_clear() - clear the next entries of a change
 * @change: the change
 * @npages: entries, not more than are left
 *
 * Context: Between iommu_tce_change_begin() and the end of the change.
 */
__kprobes void iommu_tce_change_clear(struct iommu_tce_change *change,
				      unsigned long npages)
{
	unsigned long i, end = change->done + npages;

	for (i = change->done; i < end; i++) {
		change->tces[i] = 0;
		change->cookies[i] = 0;
	}
	change->done = end;
}

/* Entries of one region that leave a block, and the cookie of one of them. */
struct dropped {
	struct mm_iommu_section *section;
	struct tce_view_block *blk;
	u64 cookie;
	unsigned long npages;
};

static __kprobes void dropped_flush(struct dropped *d)
{
	unsigned long refs;

	if (!d->npages)
		return;
	refs = tce_view_leave(d->blk, d->cookie, d->npages);
	if (refs)
		mm_iommu_section_drop(d->section, d->cookie, refs);
}

static inline __kprobes void dropped_add(struct dropped *d, u64 cookie)
{
	if (unlikely((cookie ^ d->cookie) & MM_IOMMU_COOKIE_ID)) {
		dropped_flush(d);
		d->cookie = cookie;
		d->npages = 0;
	}
	d->npages++;
}

/*
 * Writes a part of the view that is in a block, which has counted it already;
 * if the block was empty there is nothing to drop.
 */
static __kprobes void change_view(struct iommu_tce_change *c, unsigned int i,
				  unsigned long at, const u64 *cookies,
				  unsigned long n)
{
	struct tce_view_block *blk = c->blocks[i];
	struct dropped d = {
		.section = &c->section,
		.blk = blk,
		.cookie = blk->home,
	};
	u64 *view = blk->entry + at, *end = view + n, old;

	/* typical for a starting guest, which maps all of its memory */
	if (c->empty[i]) {
		unsafe_memcpy(view, cookies, n * sizeof(*view),
			      /* inside of the block; no WARN in real mode */);
		return;
	}

	for (; view < end; view++) {
		old = *view;
		*view = *cookies++;
		if (old)
			dropped_add(&d, old);
	}
	dropped_flush(&d);
}

/* Clears a part of the view that is in a block. */
static __kprobes void clear_view(struct iommu_tce_change *c, unsigned int i,
				 unsigned long at, unsigned long n)
{
	struct tce_view_block *blk = c->blocks[i];
	struct dropped d = { .section = &c->section, .blk = blk };
	u64 *view, *end, old;

	if (c->empty[i])
		return;

	d.cookie = blk->home;
	view = blk->entry + at;
	for (end = view + n; view < end; view++) {
		old = *view;
		if (unlikely(!old))
			continue;
		*view = 0;
		dropped_add(&d, old);
	}
	dropped_flush(&d);
}

/* Invalidates the entries in the hardware caches. */
static __kprobes void change_kill(struct iommu_tce_change *c)
{
	struct iommu_table *tbl = c->tbl;

	if (tbl->it_ops->tce_kill)
		tbl->it_ops->tce_kill(tbl, c->entry, c->npages);
}

static __kprobes int change_result(const struct iommu_tce_change *c)
{
	return c->section.reap ? IOMMU_TCE_REAP : IOMMU_TCE_DONE;
}

/**
 * iommu_tce_change_commit() - apply a change
 * @change: a change of which all entries are known; over after this
 *
 * Context: As iommu_tce_change_begin(), which has begun it.
 * Return: IOMMU_TCE_DONE; IOMMU_TCE_REAP; -EAGAIN, with nothing changed, if the
 *	platform refuses entries that it had prepared.
 */
__kprobes int iommu_tce_change_commit(struct iommu_tce_change *change)
{
	unsigned long at = change_index(change) % TCE_VIEW_ENTRIES;
	unsigned long n = change->in_first;
	struct iommu_table *tbl = change->tbl;

	if (tbl->it_ops->set_tces(tbl, change->entry, change->npages,
				  change->tces)) {
		iommu_tce_change_abort(change);
		return -EAGAIN;
	}

	change_view(change, 0, at, change->cookies, n);
	if (change->nr_blocks > 1)
		change_view(change, 1, 0, change->cookies + n,
			    change->npages - n);
	change_kill(change);
	change_end(change);
	return change_result(change);
}

static __kprobes int clear_all(struct iommu_tce_change *c)
{
	unsigned long at = change_index(c) % TCE_VIEW_ENTRIES;
	unsigned long n = c->in_first;
	struct iommu_table *tbl = c->tbl;

	if (tbl->it_ops->clear_tces(tbl, c->entry, c->npages))
		return -EAGAIN;

	clear_view(c, 0, at, n);
	if (c->nr_blocks > 1)
		clear_view(c, 1, 0, c->npages - n);
	return 0;
}

static __kprobes bool clear_is_nothing(const struct iommu_tce_change *c)
{
	return c->empty[0] && (c->nr_blocks == 1 || c->empty[1]);
}

/**
 * iommu_tce_fast_clear() - clear several entries of a table
 * @tbl: a table that is bound to registered memory
 * @entry: first entry, counted from bus address 0; the range is in the table
 * @npages: entries, 1 to IOMMU_TCE_FAST_MAX
 *
 * Context: Interrupts off, virtual or real mode; not in an interrupt. The
 *	caller keeps @tbl in place.
 * Return: IOMMU_TCE_DONE; IOMMU_TCE_REAP; 0 if the blocks of the range had no
 *	mappings, so that no cache had to be invalidated; -EAGAIN if it must be
 *	done by iommu_tce_unmap().
 */
__kprobes int iommu_tce_fast_clear(struct iommu_table *tbl,
				   unsigned long entry, unsigned long npages)
{
	struct iommu_tce_change c;
	int ret = 0;

	if (npages > IOMMU_TCE_FAST_MAX)
		return -EAGAIN;
	change_init(&c, tbl, entry, npages);
	if (change_start(&c))
		return -EAGAIN;

	if (!clear_is_nothing(&c))
		ret = clear_all(&c) ? : IOMMU_TCE_DONE;
	if (ret > 0)
		change_kill(&c);
	change_end(&c);
	return ret > 0 ? change_result(&c) : ret;
}

/*
 * Single entries, as in most hypercalls: the same steps, without the state that
 * describes a change of several entries.
 */

/*
 * The platform has refused a TCE. Whatever it did, the TCE must match the view,
 * and be out of the cache, before the reference on the new page is dropped. If
 * it can neither be set nor cleared a device may reach both pages, and neither
 * is ever unpinned.
 */
static __kprobes noinline int put_undo(struct iommu_table *tbl,
				       unsigned long entry,
				       struct tce_view_block *blk, u64 old,
				       u64 new, int error)
{
	struct mm_struct *mm = tbl->it_view->mm;
	__be64 tce = 0;

	if (old)
		mm_iommu_translate(mm, old, 1, tbl->it_page_shift,
				   change_perm(old & MM_IOMMU_COOKIE_WRITE),
				   &tce);
	if (tbl->it_ops->set_tces(tbl, entry, 1, &tce) &&
	    tbl->it_ops->clear_tces(tbl, entry, 1)) {
		/* no entry of the block, but has a reference permanently */
		if (new && !tce_view_leave(blk, new, 1))
			mm_iommu_count(mm, new, 1);
		return new ? -ENOTRECOVERABLE : error;
	}
	if (tbl->it_ops->tce_kill)
		tbl->it_ops->tce_kill(tbl, entry, 1);
	if (new && tce_view_leave(blk, new, 1))
		mm_iommu_drop_page(mm, new);
	return error;
}

/*
 * Maps or clears an entry. Returns IOMMU_TCE_DONE, with the reference of the
 * old mapping to drop in *@old; or 0 if the entry was clear.
 */
static __kprobes int put_one(struct iommu_table *tbl, unsigned long entry,
			     unsigned long ua, u64 perm,
			     struct tce_view_block *blk, u64 *old)
{
	unsigned long i = (entry - tbl->it_offset) % TCE_VIEW_ENTRIES;
	bool write = perm & TCE_PCI_WRITE;
	struct mm_iommu_held held;
	u64 cookie = 0;
	__be64 tce = 0;
	int ret;

	*old = blk->entry[i];
	if (perm) {
		if (mm_iommu_hold_page(tbl->it_view->mm, ua, tbl->it_page_shift,
				       write, blk->home, &held) < 0)
			return -EAGAIN;
		tce_view_enter(blk, held.cookie, 1);
		tce = cpu_to_be64(held.hpa | change_perm(write));
		cookie = held.cookie;
	} else if (!*old) {
		return 0;
	}

	ret = perm ? tbl->it_ops->set_tces(tbl, entry, 1, &tce) :
		     tbl->it_ops->clear_tces(tbl, entry, 1);
	if (unlikely(ret))
		return put_undo(tbl, entry, blk, *old, cookie, ret);
	blk->entry[i] = cookie;
	if (*old && !tce_view_leave(blk, *old, 1))
		*old = 0;
	if (tbl->it_ops->tce_kill)
		tbl->it_ops->tce_kill(tbl, entry, 1);
	return IOMMU_TCE_DONE;
}

/**
 * iommu_tce_fast_put() - map or clear one entry of a table
 * @tbl: a table that is bound to registered memory
 * @entry: the entry, counted from bus address 0; it is in the table
 * @ua: user address, a multiple of the IOMMU page size
 * @perm: TCE_PCI_READ and TCE_PCI_WRITE; none of them clears the entry
 *
 * One entry can be restored, so platforms that may refuse are supported.
 *
 * Context: Interrupts off, virtual or real mode; not in an interrupt. The
 *	caller keeps @tbl in place.
 * Return: IOMMU_TCE_DONE; IOMMU_TCE_REAP; 0 if it was clear and stays so, and
 *	no cache had to be invalidated; -EAGAIN with nothing changed, if it must
 *	be done by iommu_tce_map() or iommu_tce_unmap(); the platform's error
 *	with nothing changed; -ENOTRECOVERABLE if the platform could not even
 *	clear the entry, the page to be mapped is never unpinned. After an error
 *	mm_iommu_reap() must be called too: the page that was held may have been
 *	the last of its region.
 */
__kprobes int iommu_tce_fast_put(struct iommu_table *tbl,
				 unsigned long entry, unsigned long ua,
				 u64 perm)
{
	unsigned long block = (entry - tbl->it_offset) / TCE_VIEW_ENTRIES;
	struct iommu_tce_view *view = tbl->it_view;
	raw_spinlock_t *lock = tce_view_block_lock(view, block);
	struct tce_view_block *blk;
	int ret = -EAGAIN;
	u64 old;

	if (!block_trylock(lock))
		return -EAGAIN;

	blk = tce_view_find(view, block);
	/* without a block nothing is mapped, and nothing can be */
	if (table_is_open(tbl))
		ret = likely(blk) ? put_one(tbl, entry, ua, perm, blk, &old) :
		      perm ? -EAGAIN : 0;
	arch_spin_unlock(&lock->raw_lock);
	/* references of the entry or the block, in the cache until now */
	if (ret > 0 && old && mm_iommu_drop_page(view->mm, old))
		return IOMMU_TCE_REAP;
	return ret;
}
