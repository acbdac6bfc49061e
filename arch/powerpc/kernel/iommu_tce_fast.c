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
 * iommu_tce.c: the platform may refuse (a single entry can be put back), a
 * block or a level of the table does not exist, the table is closed, a lock
 * cannot be taken, or one of the reasons in mm_iommu_hold.c.
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

static inline __kprobes bool block_trylock(arch_spinlock_t *lock)
{
	unsigned int i;

	for (i = 0; i < CHANGE_TRIES; i++) {
		if (likely(arch_spin_trylock(lock)))
			return true;
		cpu_relax();
	}
	return false;
}

/*
 * Whether the table may be changed in the current mode; under a lock of its
 * view.
 */
static inline __kprobes bool table_is_open(struct iommu_table *tbl,
					   const struct iommu_tce_view *view)
{
	if (READ_ONCE(view->closed))
		return false;
	if (mfmsr() & MSR_DR)
		return true;
	/* asks the groups of the table, which the lock keeps in place */
	return tbl->it_ops->realmode && tbl->it_ops->realmode(tbl);
}

static __kprobes unsigned long change_index(const struct iommu_tce_change *c)
{
	return c->entry - c->tbl->it_offset;
}

static __kprobes arch_spinlock_t *
change_lock_of(const struct iommu_tce_change *c, unsigned int i)
{
	unsigned long block = change_index(c) / TCE_VIEW_ENTRIES + i;

	return &tce_view_block_lock(c->tbl->it_view, block)->raw_lock;
}

static __kprobes void change_unlock(struct iommu_tce_change *c)
{
	for (; c->nr_blocks; c->nr_blocks--)
		arch_spin_unlock(change_lock_of(c, c->nr_blocks - 1));
}

/*
 * Locks all view blocks of a change, and enters the section. Blocks may only be
 * missing if the change is a clear.
 */
static inline __kprobes int
change_start(struct iommu_tce_change *c, struct iommu_table *tbl,
	     unsigned long entry, unsigned long npages, bool clear)
{
	unsigned long at = entry - tbl->it_offset;
	struct iommu_tce_view *view = tbl->it_view;
	struct tce_view_block *blk;
	unsigned int i, nr;

	if (npages > IOMMU_TCE_FAST_MAX || !tbl->it_ops->realmode)
		return -EAGAIN;

	c->tbl = tbl;
	c->entry = entry;
	c->npages = npages;
	c->done = 0;
	c->in_first = min(npages, TCE_VIEW_ENTRIES - at % TCE_VIEW_ENTRIES);
	c->nr_blocks = 0;
	nr = 1 + (c->in_first < npages);
	for (i = 0; i < nr; i++) {
		if (!block_trylock(change_lock_of(c, i)))
			goto err_unlock;
		c->nr_blocks++;
		blk = tce_view_find(view, at / TCE_VIEW_ENTRIES + i);
		/* the table was prepared before the block was created */
		if (!blk && !clear)
			goto err_unlock;
		c->blocks[i] = blk;
		c->empty[i] = !blk || !tce_view_used(blk);
	}
	if (table_is_open(tbl, view) &&
	    !mm_iommu_section_enter(view->mm, &c->section))
		return 0;

err_unlock:
	change_unlock(c);
	return -EAGAIN;
}

/* Ends a change, successful or not. */
static __kprobes void change_end(struct iommu_tce_change *c)
{
	change_unlock(c);
	mm_iommu_section_exit(&c->section);
}

static __kprobes struct tce_view_block *
change_block(const struct iommu_tce_change *c, unsigned long i)
{
	return likely(i < c->in_first) ? c->blocks[0] : c->blocks[1];
}

/* An entry that was held enters a block: with a reference, or at home. */
static __kprobes void block_enter(struct tce_view_block *blk, u64 cookie,
				  int refs)
{
	if (refs)
		tce_view_enter_other(blk, cookie, 1);
	else
		blk->homes++;
}

/* Entries of a region leave a block. */
static __kprobes void change_drop(struct iommu_tce_change *c,
				  struct tce_view_block *blk, u64 cookie,
				  unsigned long n)
{
	unsigned long refs = n ? tce_view_leave(blk, cookie, n) : 0;

	if (refs)
		mm_iommu_section_drop(&c->section, cookie, refs);
}

/**
 * iommu_tce_change_abort() - cancel a change
 * @change: a change that has begun; over after this
 *
 * Context: As iommu_tce_change_begin(), which has begun it.
 */
__kprobes void iommu_tce_change_abort(struct iommu_tce_change *change)
{
	unsigned long i;
	u64 cookie;

	for (i = 0; i < change->done; i++) {
		cookie = change->scratch->cookies[i];
		if (cookie)
			change_drop(change, change_block(change, i), cookie, 1);
	}
	change_end(change);
}

/**
 * iommu_tce_change_begin() - begin to change several entries of a table
 * @change: where to keep its state
 * @tbl: a table that is bound to registered memory
 * @entry: first entry, counted from bus address 0; the range is in the table
 * @npages: entries, 1 to IOMMU_TCE_FAST_MAX
 * @scratch: buffers for the change
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
	change->scratch = scratch;
	return change_start(change, tbl, entry, npages, false);
}

/* Not inlined: its stack frame would burden single pages. */
static __kprobes noinline int change_map_run(struct iommu_tce_change *c,
					     unsigned long ua,
					     unsigned long npages, bool write)
{
	struct mm_iommu_run run = {
		.ua = ua,
		.npages = npages,
		.shift = c->tbl->it_page_shift,
		.write = write,
		.bits = iommu_tce_perm(write),
		.out = c->scratch->tces + c->done,
	};
	u64 step = mm_iommu_cookie_step(BIT_ULL(run.shift));
	u64 *cookies = c->scratch->cookies + c->done;
	struct tce_view_block *blk;
	unsigned long i, n, refs;
	u64 cookie;

	if (mm_iommu_section_find(&c->section, &run))
		return -EAGAIN;
	cookie = run.cookie;
	for (i = 0; i < npages; i++)
		cookies[i] = cookie + i * step;

	/* each block counts its own part */
	for (; npages; npages -= n) {
		blk = change_block(c, c->done);
		n = npages;
		if (c->done < c->in_first)
			n = min(n, c->in_first - c->done);
		refs = tce_view_enter(blk, cookie, n);
		if (refs && !mm_iommu_section_get(&c->section, cookie, refs)) {
			tce_view_leave(blk, cookie, n);
			return -EAGAIN;
		}
		c->done += n;
	}
	return 0;
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
	struct mm_iommu_held held __uninitialized;
	unsigned long i = change->done;
	struct iommu_tce_scratch *scratch;
	struct tce_view_block *blk;
	int ret;

	if (npages > 1)
		return change_map_run(change, ua, npages, write);

	/* lists of scattered pages consist of single pages only */
	blk = change_block(change, i);
	ret = mm_iommu_section_hold_one(&change->section, ua,
					change->tbl->it_page_shift, write,
					blk->home, &held);
	if (ret < 0)
		return ret;
	block_enter(blk, held.cookie, ret);
	scratch = change->scratch;
	scratch->tces[i] = cpu_to_be64(held.hpa | iommu_tce_perm(write));
	scratch->cookies[i] = held.cookie;
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
		change->scratch->tces[i] = 0;
		change->scratch->cookies[i] = 0;
	}
	change->done = end;
}

/*
 * Writes or clears @n entries of a block, which has counted the new ones
 * already, and drops the old ones, region by region. Inlined, as its caller,
 * because @clear is constant: not to be asked for each entry.
 */
static __always_inline void block_write(struct iommu_tce_change *c,
					struct tce_view_block *blk, u64 *view,
					const u64 *cookies, unsigned long n,
					bool clear)
{
	u64 *end = view + n, cookie = blk->home, old;
	unsigned long leave = 0;

	for (; view < end; view++) {
		old = *view;
		if (!clear)
			*view = *cookies++;
		if (!old)
			continue;
		if (clear)
			*view = 0;
		if (unlikely((old ^ cookie) & MM_IOMMU_COOKIE_ID)) {
			change_drop(c, blk, cookie, leave);
			cookie = old;
			leave = 0;
		}
		leave++;
	}
	change_drop(c, blk, cookie, leave);
}

/* Writes or clears the view, invalidates the TCEs, and ends the change. */
static __always_inline int change_finish(struct iommu_tce_change *c, bool clear)
{
	unsigned long at = change_index(c) % TCE_VIEW_ENTRIES, n = c->in_first;
	u64 *cookies = clear ? NULL : c->scratch->cookies;
	struct iommu_table *tbl = c->tbl;
	unsigned int i;

	for (i = 0; i < c->nr_blocks; i++) {
		if (!c->empty[i])
			block_write(c, c->blocks[i], c->blocks[i]->entry + at,
				    cookies, n, clear);
		else if (!clear)
			/* a starting guest, which maps all of its memory */
			unsafe_memcpy(c->blocks[i]->entry + at, cookies,
				      n * sizeof(*cookies),
				      /* in the block; no WARN in real mode */);
		at = 0;
		cookies += n;
		n = c->npages - n;
	}
	/* under the locks: see tce_view_enter() */
	if (tbl->it_ops->tce_kill)
		tbl->it_ops->tce_kill(tbl, c->entry, c->npages);
	change_end(c);
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
	struct iommu_table *tbl = change->tbl;

	if (tbl->it_ops->set_tces(tbl, change->entry, change->npages,
				  change->scratch->tces)) {
		iommu_tce_change_abort(change);
		return -EAGAIN;
	}
	return change_finish(change, false);
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

	if (change_start(&c, tbl, entry, npages, true))
		return -EAGAIN;
	if (!c.empty[0] || !c.empty[c.nr_blocks - 1]) {
		if (!tbl->it_ops->clear_tces(tbl, entry, npages))
			return change_finish(&c, true);
		ret = -EAGAIN;
	}
	change_end(&c);
	return ret;
}

/*
 * Single entries, as in most hypercalls: the same steps, without the state that
 * describes a change of several entries.
 */

/*
 * The platform has refused a TCE. Whatever it did, the TCE must match the view,
 * and be out of the cache, before the reference on the new page is dropped. If
 * it can neither be set nor cleared a device may reach both pages, and neither
 * is ever unpinned. Not inlined, because put_one() would save more registers.
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
				   iommu_tce_perm(old & MM_IOMMU_COOKIE_WRITE),
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

static inline __kprobes int set_one(struct iommu_table *tbl,
				    unsigned long entry, u64 hpa, u64 perm)
{
	__be64 tce = cpu_to_be64(hpa | perm | TCE_PCI_READ);

	return tbl->it_ops->set_tces(tbl, entry, 1, &tce);
}

/*
 * Maps or clears an entry. Returns IOMMU_TCE_DONE; IOMMU_TCE_REAP if a
 * reference of the mapping *@old is to be dropped; or 0 if the entry was clear.
 */
static __kprobes int put_one(struct iommu_table *tbl,
			     struct tce_view_block *blk, unsigned long entry,
			     unsigned long ua, u64 perm, u64 *old)
{
	unsigned long i = entry - tbl->it_offset;
	u64 *place = &blk->entry[i % TCE_VIEW_ENTRIES], cookie = 0;
	struct mm_iommu_held held __uninitialized;
	int ret;

	if (perm) {
		ret = mm_iommu_hold_page(tbl->it_view->mm, ua,
					 tbl->it_page_shift,
					 perm & TCE_PCI_WRITE, blk->home,
					 &held);
		if (ret < 0)
			return -EAGAIN;
		cookie = held.cookie;
		block_enter(blk, cookie, ret);
		ret = set_one(tbl, entry, held.hpa, perm);
	} else if (*place) {
		ret = tbl->it_ops->clear_tces(tbl, entry, 1);
	} else {
		return 0;
	}
	if (unlikely(ret))
		return put_undo(tbl, entry, blk, *place, cookie, ret);

	*old = *place;
	*place = cookie;
	ret = IOMMU_TCE_DONE;
	if (*old && tce_view_leave(blk, *old, 1))
		ret = IOMMU_TCE_REAP;
	if (tbl->it_ops->tce_kill)
		tbl->it_ops->tce_kill(tbl, entry, 1);
	return ret;
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
	arch_spinlock_t *lock = &tce_view_block_lock(view, block)->raw_lock;
	struct tce_view_block *blk;
	int ret = -EAGAIN;
	u64 old;

	if (!block_trylock(lock))
		return -EAGAIN;

	blk = tce_view_find(view, block);
	/* without a block nothing is mapped, and nothing can be */
	if (table_is_open(tbl, view))
		ret = likely(blk) ? put_one(tbl, blk, entry, ua, perm, &old) :
				    perm ? -EAGAIN : 0;
	arch_spin_unlock(lock);
	/* a reference of the entry or the block, in the cache until now */
	if (ret == IOMMU_TCE_REAP && !mm_iommu_drop_page(view->mm, old))
		return IOMMU_TCE_DONE;
	return ret;
}
