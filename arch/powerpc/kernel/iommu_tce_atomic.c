// SPDX-License-Identifier: GPL-2.0
/*
 * TCE core for those who may not sleep, with the MMU on or off: a hypercall of a
 * guest, served where it came in.
 *
 * It changes up to 512 entries, as a whole or not at all, in the steps of
 * iommu_tce.c. But here all of them are made in one stretch: with the blocks of
 * the view locked and in a section of the registry. So nobody sees a half of it,
 * there is nothing to undo, and nothing to remember but what is to be written:
 *
 * 1. Begin: lock the blocks, enter the section. Interrupts are off from here on.
 * 2. Hold: every page is translated and counted, or the whole is given up. This
 *    is the last step that can fail.
 * 3. Exchange the TCEs and the view. What was mapped before is dropped on the
 *    way: it is not unpinned as long as the section lasts, and never here. The
 *    caller asks mm_iommu_must_reap() afterwards.
 * 4. Kill once, then end the section.
 *
 * -EAGAIN means that nothing has changed, and that iommu_tce.c should do it: the
 * platform may refuse, a block or a level of the table does not exist, the table
 * is closed, somebody else holds a lock (only with the MMU off), or what
 * mm_iommu_atomic.c says.
 *
 * What holds off whom, with the MMU off: the table is the caller's; the lists
 * that tce_kill() walks change before all locks of the view were taken once
 * (iommu_tce_view_sync()); everything else is under these locks or the section.
 *
 * What has "real" in its arguments is compiled twice. With the MMU off it, and all
 * that it calls, reads and writes nothing but the linear map: no printk, no
 * lockdep, no allocation. arch/powerpc/tools/realmode_check.sh looks
 * after that.
 */
#include <linux/export.h>
#include <linux/irqflags.h>
#include <linux/kprobes.h>
#include <linux/minmax.h>
#include <linux/processor.h>
#include <linux/string.h>

#include <asm/iommu.h>
#include <asm/iommu_tce_atomic.h>
#include <asm/tce.h>

#include "iommu_tce_view.h"

/* A holder needs some thousand instructions, for 512 entries. */
#define CHANGE_TRIES	256

static u64 change_perm(bool write)
{
	return write ? TCE_PCI_READ | TCE_PCI_WRITE : TCE_PCI_READ;
}

static unsigned long change_index(const struct iommu_tce_change *c)
{
	return c->entry - c->tbl->it_offset;
}

static unsigned long change_block(const struct iommu_tce_change *c,
				  unsigned int i)
{
	return change_index(c) / TCE_VIEW_ENTRIES + i;
}

/*
 * With the MMU off the lock is taken below what debugs locks, and not for long:
 * its holder may wait for this very CPU.
 */
static __kprobes bool block_trylock(raw_spinlock_t *lock)
{
	unsigned int i;

	for (i = 0; i < CHANGE_TRIES; i++) {
		if (arch_spin_trylock(&lock->raw_lock))
			return true;
		cpu_relax();
	}
	return false;
}

static __always_inline bool block_lock(raw_spinlock_t *lock, const bool real)
{
	if (real)
		return block_trylock(lock);
	raw_spin_lock(lock);
	/* sparse cannot follow a lock that is taken or not */
	__release(lock);
	return true;
}

static __always_inline void block_unlock(raw_spinlock_t *lock, const bool real)
{
	if (real) {
		arch_spin_unlock(&lock->raw_lock);
	} else {
		__acquire(lock);
		raw_spin_unlock(lock);
	}
}

static raw_spinlock_t *change_lock_of(const struct iommu_tce_change *c,
				      unsigned int i)
{
	return tce_view_block_lock(c->tbl->it_view, change_block(c, i));
}

static __always_inline void change_unlock(struct iommu_tce_change *c,
					  unsigned int nr, const bool real)
{
	while (nr--)
		block_unlock(change_lock_of(c, nr), real);
}

/* The locks of neighbours are not in order where their number wraps. */
static void change_lock_both(struct iommu_tce_change *c)
{
	raw_spinlock_t *a = change_lock_of(c, 0), *b = change_lock_of(c, 1);

	if (a > b)
		swap(a, b);
	raw_spin_lock(a);
	raw_spin_lock_nested(b, SINGLE_DEPTH_NESTING);
	/* sparse cannot follow locks that somebody else gives back */
	__release(a);
	__release(b);
}

static __kprobes bool change_trylock_all(struct iommu_tce_change *c)
{
	unsigned int i;

	for (i = 0; i < c->nr_blocks; i++)
		if (!block_trylock(change_lock_of(c, i))) {
			change_unlock(c, i, true);
			return false;
		}
	return true;
}

/* Locks all blocks of the view that the change touches. */
static __always_inline bool change_lock(struct iommu_tce_change *c,
					const bool real)
{
	unsigned int i;

	if (real) {
		if (!change_trylock_all(c))
			return false;
	} else if (c->nr_blocks > 1) {
		change_lock_both(c);
	} else {
		block_lock(change_lock_of(c, 0), real);
	}
	for (i = 0; i < c->nr_blocks; i++)
		c->blocks[i] = tce_view_find(c->tbl->it_view,
					     change_block(c, i));
	return true;
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
	c->clears = false;
	c->nr_blocks = (first + npages - 1) / TCE_VIEW_ENTRIES -
		       first / TCE_VIEW_ENTRIES + 1;
}

/* The end of a change, whatever became of it. */
static __always_inline void change_end(struct iommu_tce_change *c,
				       const bool real)
{
	mm_iommu_exit(&c->section);
	if (!real)
		local_irq_restore(c->flags);
}

static __always_inline int change_start(struct iommu_tce_change *c,
					const bool real)
{
	struct iommu_tce_view *view = c->tbl->it_view;
	int ret = -EAGAIN;

	if (!c->tbl->it_ops->realmode)
		return -EAGAIN;

	if (!real)
		local_irq_save(c->flags);
	if (!change_lock(c, real))
		goto err_restore;
	if (READ_ONCE(view->closed))
		goto err_unlock;
	/* asks the groups of the table, which the locks keep */
	if (real && !c->tbl->it_ops->realmode(c->tbl))
		goto err_unlock;
	ret = real ? mm_iommu_enter_rm(view->mm, &c->section) :
		     mm_iommu_enter(view->mm, &c->section);
	if (ret)
		goto err_unlock;
	return 0;

err_unlock:
	change_unlock(c, c->nr_blocks, real);
err_restore:
	if (!real)
		local_irq_restore(c->flags);
	return ret;
}

/* Pages of one region that are not mapped any more, and the cookie of one. */
struct dropped {
	struct mm_iommu_section *section;
	u64 cookie;
	unsigned long npages;
};

static __kprobes void dropped_flush(struct dropped *d)
{
	if (d->npages)
		mm_iommu_section_drop(d->section, d->cookie, d->npages);
}

static __kprobes noinline void dropped_next(struct dropped *d, u64 cookie)
{
	dropped_flush(d);
	d->cookie = cookie;
	d->npages = 1;
}

static __always_inline void dropped_add(struct dropped *d, u64 cookie)
{
	if (likely(!((cookie ^ d->cookie) & MM_IOMMU_COOKIE_ID)))
		d->npages++;
	else
		dropped_next(d, cookie);
}

static __always_inline void change_abort(struct iommu_tce_change *c,
					 const bool real)
{
	struct dropped d = { .section = &c->section };
	unsigned long i;

	for (i = 0; i < c->done; i++)
		if (c->cookies[i])
			dropped_add(&d, c->cookies[i]);
	dropped_flush(&d);
	change_unlock(c, c->nr_blocks, real);
	change_end(c, real);
}

static __always_inline int
change_begin(struct iommu_tce_change *c, struct iommu_table *tbl,
	     unsigned long entry, unsigned long npages,
	     struct iommu_tce_scratch *scratch, const bool real)
{
	unsigned int i;
	int ret;

	if (npages > (scratch ? IOMMU_TCE_ATOMIC_MAX : 1))
		return -EAGAIN;
	change_init(c, tbl, entry, npages);
	c->tces = scratch ? scratch->tces : &c->tce;
	c->cookies = scratch ? scratch->cookies : &c->cookie;

	ret = change_start(c, real);
	if (ret)
		return ret;

	/* whoever makes a block has prepared the table before */
	for (i = 0; i < c->nr_blocks; i++)
		if (!c->blocks[i])
			ret = -EAGAIN;
	if (ret)
		change_abort(c, real);
	return ret;
}

/**
 * iommu_tce_change_begin() - begin to change some entries of a table
 * @change: where to keep it
 * @tbl: a table that is bound to registered memory
 * @entry: first entry, counted from bus address 0; the range is in the table
 * @npages: entries, 1 to IOMMU_TCE_ATOMIC_MAX
 * @scratch: needed for more than one entry
 *
 * The caller says what becomes of each entry, from the first to the last, by
 * iommu_tce_change_map() and iommu_tce_change_clear(), and then commits it, or
 * aborts it at any point.
 *
 * Context: Process context, or with preemption off; not in an interrupt. MMU
 *	on. Interrupts are off from now on to the end of the change. The caller
 *	keeps @tbl in place.
 * Return: 0; -EAGAIN where it is to be done by iommu_tce_map().
 */
int iommu_tce_change_begin(struct iommu_tce_change *change,
			   struct iommu_table *tbl, unsigned long entry,
			   unsigned long npages,
			   struct iommu_tce_scratch *scratch)
{
	return change_begin(change, tbl, entry, npages, scratch, false);
}
EXPORT_SYMBOL_GPL(iommu_tce_change_begin);

/* The same with the MMU off; also -EBUSY where somebody holds the registry. */
__kprobes int
iommu_tce_change_begin_rm(struct iommu_tce_change *change,
			  struct iommu_table *tbl, unsigned long entry,
			  unsigned long npages,
			  struct iommu_tce_scratch *scratch)
{
	return change_begin(change, tbl, entry, npages, scratch, true);
}

/**
 * iommu_tce_change_abort() - change nothing after all
 * @change: a change that has begun; over after this
 *
 * Context: As iommu_tce_change_begin(), which has begun it.
 */
void iommu_tce_change_abort(struct iommu_tce_change *change)
{
	change_abort(change, false);
}
EXPORT_SYMBOL_GPL(iommu_tce_change_abort);

/* The same with the MMU off. */
__kprobes void iommu_tce_change_abort_rm(struct iommu_tce_change *change)
{
	change_abort(change, true);
}

static __kprobes noinline int change_map_run(struct iommu_tce_change *c,
					     unsigned long ua,
					     unsigned long npages, bool write)
{
	unsigned int shift = c->tbl->it_page_shift;
	u64 *to = c->cookies + c->done, *end = to + npages, cookie;
	u64 step = mm_iommu_cookie_step(BIT_ULL(shift));
	int ret;

	ret = mm_iommu_section_hold(&c->section, ua, npages, shift,
				    change_perm(write), write, &cookie,
				    c->tces + c->done);
	if (ret)
		return ret;

	c->done += npages;
	do {
		*to++ = cookie;
		cookie += step;
	} while (to < end);
	return 0;
}

/**
 * iommu_tce_change_map() - the next entries are going to be mapped
 * @change: the change
 * @ua: user address, a multiple of the IOMMU page
 * @npages: entries, more than 0 and not more than are left
 * @write: whether the device may write, and not only read
 *
 * Context: Between iommu_tce_change_begin() and the end of the change.
 * Return: 0; -EAGAIN where they cannot be mapped, or not so: the caller is to
 *	abort the change.
 */
__kprobes int iommu_tce_change_map(struct iommu_tce_change *change,
				   unsigned long ua, unsigned long npages,
				   bool write)
{
	unsigned long i = change->done;
	struct mm_iommu_held held;

	if (npages > 1)
		return change_map_run(change, ua, npages, write);

	/* lists without order have nothing but single pages */
	if (mm_iommu_section_hold_one(&change->section, ua,
				      change->tbl->it_page_shift, write, &held))
		return -EAGAIN;

	change->tces[i] = cpu_to_be64(held.hpa | change_perm(write));
	change->cookies[i] = held.cookie;
	change->done = i + 1;
	return 0;
}
EXPORT_SYMBOL_GPL(iommu_tce_change_map);

/**
 * iommu_tce_change_clear() - the next entries are going to be nothing
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
	change->clears = true;
	change->done = end;
}
EXPORT_SYMBOL_GPL(iommu_tce_change_clear);

/* Writes a part of the view that is in one block. */
static __kprobes void change_view(struct iommu_tce_change *c,
				  struct tce_view_block *blk, unsigned long at,
				  const u64 *cookies, unsigned long n,
				  struct dropped *d)
{
	u64 *view = blk->entry + at, *end = view + n, old;
	long more = n;

	/* what guests do first: map all of their memory */
	if (!blk->used && !c->clears) {
		unsafe_memcpy(view, cookies, n * sizeof(*view),
			      /* inside of the block; a WARN is not for real mode */);
		blk->used = n;
		return;
	}

	for (; view < end; view++) {
		old = *view;
		*view = *cookies++;
		if (!old)
			continue;
		more--;
		dropped_add(d, old);
	}
	if (c->clears)
		for (view -= n; view < end; view++)
			more -= !*view;
	blk->used += more;
}

/* Clears a part of the view that is in one block. */
static __kprobes void clear_view(struct iommu_tce_change *c,
				 struct tce_view_block *blk, unsigned long at,
				 unsigned long n, struct dropped *d)
{
	u64 *view = blk->entry + at, *end = view + n, old;
	long less = 0;

	for (; view < end; view++) {
		old = *view;
		if (unlikely(!old))
			continue;
		*view = 0;
		less++;
		dropped_add(d, old);
	}
	blk->used -= less;
}

/*
 * The hardware forgets what it knows of the entries. With the MMU on this may be
 * a call of the firmware, so the blocks are given back first: what keeps the
 * memory in place is the section, and the groups of the table are freed by RCU,
 * which waits because interrupts are off. With the MMU off the locks keep them.
 */
static __always_inline void change_kill(struct iommu_tce_change *c,
					const bool real)
{
	struct iommu_table *tbl = c->tbl;

	if (!real)
		change_unlock(c, c->nr_blocks, real);
	if (tbl->it_ops->tce_kill)
		tbl->it_ops->tce_kill(tbl, c->entry, c->npages);
	if (real)
		change_unlock(c, c->nr_blocks, real);
}

static __always_inline int change_commit(struct iommu_tce_change *c,
					 const bool real)
{
	unsigned long at = change_index(c) % TCE_VIEW_ENTRIES, n;
	struct dropped d = { .section = &c->section };
	struct iommu_table *tbl = c->tbl;

	if (tbl->it_ops->set_tces(tbl, c->entry, c->npages, c->tces)) {
		change_abort(c, real);
		return -EAGAIN;
	}

	n = min(TCE_VIEW_ENTRIES - at, c->npages);
	change_view(c, c->blocks[0], at, c->cookies, n, &d);
	if (c->nr_blocks > 1)
		change_view(c, c->blocks[1], 0, c->cookies + n, c->npages - n,
			    &d);
	dropped_flush(&d);
	change_kill(c, real);
	change_end(c, real);
	return 0;
}

/**
 * iommu_tce_change_commit() - make the change
 * @change: a change of which all entries are known; over after this
 *
 * Context: As iommu_tce_change_begin().
 * Return: 0; -EAGAIN, with nothing changed, where the platform has refused what
 *	it had prepared.
 */
int iommu_tce_change_commit(struct iommu_tce_change *change)
{
	return change_commit(change, false);
}
EXPORT_SYMBOL_GPL(iommu_tce_change_commit);

/* The same with the MMU off. */
__kprobes int iommu_tce_change_commit_rm(struct iommu_tce_change *change)
{
	return change_commit(change, true);
}

static __kprobes int clear_all(struct iommu_tce_change *c)
{
	unsigned long at = change_index(c) % TCE_VIEW_ENTRIES;
	unsigned long n = min(TCE_VIEW_ENTRIES - at, c->npages);
	struct dropped d = { .section = &c->section };
	struct iommu_table *tbl = c->tbl;

	if (tbl->it_ops->clear_tces(tbl, c->entry, c->npages))
		return -EAGAIN;

	if (c->blocks[0])
		clear_view(c, c->blocks[0], at, n, &d);
	if (c->nr_blocks > 1 && c->blocks[1])
		clear_view(c, c->blocks[1], 0, c->npages - n, &d);
	dropped_flush(&d);
	return 0;
}

static __kprobes bool clear_is_nothing(const struct iommu_tce_change *c)
{
	unsigned int i;

	for (i = 0; i < c->nr_blocks; i++)
		if (c->blocks[i] && c->blocks[i]->used)
			return false;
	return true;
}

static __always_inline int clear_atomic(struct iommu_table *tbl,
					unsigned long entry,
					unsigned long npages, const bool real)
{
	struct iommu_tce_change c;
	int ret;

	if (npages > IOMMU_TCE_ATOMIC_MAX)
		return -EAGAIN;
	change_init(&c, tbl, entry, npages);
	ret = change_start(&c, real);
	if (ret)
		return ret;

	if (!clear_is_nothing(&c))
		ret = clear_all(&c) ? : 1;
	if (ret > 0)
		change_kill(&c, real);
	else
		change_unlock(&c, c.nr_blocks, real);
	change_end(&c, real);
	return ret;
}

/**
 * iommu_tce_clear_atomic() - clear some entries of a table
 * @tbl: a table that is bound to registered memory
 * @entry: first entry, counted from bus address 0; the range is in the table
 * @npages: entries, 1 to IOMMU_TCE_ATOMIC_MAX
 *
 * Context: Not in an interrupt, MMU on. The caller keeps @tbl in place.
 * Return: 1; 0 where nothing was mapped anywhere near, so that no cache had to
 *	be invalidated; -EAGAIN where it is to be done by iommu_tce_unmap().
 */
int iommu_tce_clear_atomic(struct iommu_table *tbl, unsigned long entry,
			   unsigned long npages)
{
	return clear_atomic(tbl, entry, npages, false);
}
EXPORT_SYMBOL_GPL(iommu_tce_clear_atomic);

/* The same with the MMU off; also -EBUSY where somebody holds the registry. */
__kprobes int iommu_tce_clear_atomic_rm(struct iommu_table *tbl,
					unsigned long entry,
					unsigned long npages)
{
	return clear_atomic(tbl, entry, npages, true);
}

/*
 * One entry, as most hypercalls have: the same steps, without what is needed to
 * say what becomes of many.
 */

/* Maps or clears the entry at @place. Returns 1, or 0 where it was clear. */
static __always_inline int put_one(struct iommu_table *tbl,
				   struct mm_iommu_section *section,
				   unsigned long entry, unsigned long ua,
				   u64 perm, struct tce_view_block *blk,
				   u64 *place)
{
	bool write = perm & TCE_PCI_WRITE;
	u64 old = *place, cookie = 0;
	struct mm_iommu_held held;
	__be64 tce = 0;

	if (perm) {
		if (mm_iommu_section_hold_one(section, ua, tbl->it_page_shift,
					      write, &held))
			return -EAGAIN;
		tce = cpu_to_be64(held.hpa | change_perm(write));
		cookie = held.cookie;
	} else if (!old) {
		return 0;
	}

	if (tbl->it_ops->set_tces(tbl, entry, 1, &tce)) {
		if (perm)
			mm_iommu_section_drop(section, cookie, 1);
		return -EAGAIN;
	}
	*place = cookie;
	blk->used += !!perm - !!old;
	if (old)
		mm_iommu_section_drop(section, old, 1);
	return 1;
}

static __always_inline int
put_atomic(struct iommu_table *tbl, unsigned long entry, unsigned long ua,
	   u64 perm, const bool real)
{
	unsigned long i = entry - tbl->it_offset, flags = 0;
	unsigned long block = i / TCE_VIEW_ENTRIES;
	struct iommu_tce_view *view = tbl->it_view;
	raw_spinlock_t *lock = tce_view_block_lock(view, block);
	struct mm_iommu_section section;
	struct tce_view_block *blk;
	int ret = -EAGAIN;

	if (!tbl->it_ops->realmode)
		return -EAGAIN;
	if (!real)
		local_irq_save(flags);
	if (!block_lock(lock, real))
		return -EAGAIN;

	blk = tce_view_find(view, block);
	if (READ_ONCE(view->closed) ||
	    (real && !tbl->it_ops->realmode(tbl)))
		goto out_unlock;
	if (unlikely(!blk)) {
		/* nothing is mapped there, and nothing can be */
		ret = perm ? -EAGAIN : 0;
		goto out_unlock;
	}
	if (real ? mm_iommu_enter_rm(view->mm, &section) :
		   mm_iommu_enter(view->mm, &section))
		goto out_unlock;

	ret = put_one(tbl, &section, entry, ua, perm, blk,
		      &blk->entry[i % TCE_VIEW_ENTRIES]);
	/* with the MMU off the lock keeps the groups, see change_kill() */
	if (!real)
		block_unlock(lock, real);
	if (ret > 0 && tbl->it_ops->tce_kill)
		tbl->it_ops->tce_kill(tbl, entry, 1);
	if (real)
		block_unlock(lock, real);
	mm_iommu_exit(&section);
	if (!real)
		local_irq_restore(flags);
	return ret;

out_unlock:
	block_unlock(lock, real);
	if (!real)
		local_irq_restore(flags);
	return ret;
}

/**
 * iommu_tce_put_atomic() - map or clear one entry of a table
 * @tbl: a table that is bound to registered memory
 * @entry: the entry, counted from bus address 0; it is in the table
 * @ua: user address, a multiple of the IOMMU page
 * @perm: TCE_PCI_READ and TCE_PCI_WRITE; none of them clears the entry
 *
 * Context: Not in an interrupt, MMU on. The caller keeps @tbl in place.
 * Return: 1; 0 where it was clear and stays so, and no cache had to be
 *	invalidated; -EAGAIN where it is to be done by iommu_tce_map() or
 *	iommu_tce_unmap().
 */
int iommu_tce_put_atomic(struct iommu_table *tbl, unsigned long entry,
			 unsigned long ua, u64 perm)
{
	return put_atomic(tbl, entry, ua, perm, false);
}
EXPORT_SYMBOL_GPL(iommu_tce_put_atomic);

/* The same with the MMU off. */
__kprobes int iommu_tce_put_atomic_rm(struct iommu_table *tbl,
				      unsigned long entry, unsigned long ua,
				      u64 perm)
{
	return put_atomic(tbl, entry, ua, perm, true);
}
