// SPDX-License-Identifier: GPL-2.0
/*
 * The registry of DMA memory for those who may not sleep, with the MMU on or
 * off.
 *
 * A section keeps all regions where they are, because it holds a slot of the
 * index: none enters or leaves, and no memory is unpinned, whatever is counted
 * meanwhile. So inside of it pages may be counted as not mapped any more before
 * the hardware was told; all that counts is that it was told when the section
 * ends. The last page of a region that was given up leaves the region to
 * mm_iommu_reap(), which may sleep, and has the sections end first.
 *
 * What would need more is refused with -EAGAIN, and done by mm_iommu_hold() and
 * mm_iommu_drop(), which may sleep: memory in two regions, and memory of which
 * some may only be read.
 *
 * With the MMU off this file, and all that it calls, reads and writes nothing
 * but the linear map: no printk, no lockdep, no page, no per-CPU variable other
 * than in the paca. arch/powerpc/tools/realmode_check.sh looks after that.
 */
#include "mm_iommu.h"

/**
 * mm_iommu_is_unregistered() - tell whether memory is mapped unregistered
 * @mm: an mm that does not end meanwhile
 *
 * Context: Any, MMU on or off.
 * Return: whether a container of @mm maps memory that is not registered.
 */
__kprobes bool mm_iommu_is_unregistered(struct mm_struct *mm)
{
	/* pairs with cmpxchg_release() in mm_iommu_make_registry() */
	struct mm_iommu *reg = READ_ONCE(mm->context.mm_iommu);

	return reg && atomic_read(&reg->unregistered);
}
EXPORT_SYMBOL_GPL(mm_iommu_is_unregistered);

/**
 * mm_iommu_enter() - begin a section
 * @mm: the mm whose memory it is
 * @section: where to keep what mm_iommu_exit() needs
 *
 * At most 512 pages should be looked at in it: others wait for it.
 *
 * Context: Interrupts off, MMU on or off.
 * Return: 0; -EAGAIN if nothing is registered, or the lock is not to be had
 * soon.
 */
__kprobes int mm_iommu_enter(struct mm_struct *mm,
			     struct mm_iommu_section *section)
{
	/* pairs with cmpxchg_release() in mm_iommu_make_registry() */
	struct mm_iommu *reg = READ_ONCE(mm->context.mm_iommu);
	struct mm_iommu_slot *slot;

	if (!reg)
		return -EAGAIN;

	slot = mm_iommu_read_trylock(reg);
	if (!slot)
		return -EAGAIN;
	section->reg = reg;
	section->slot = slot;
	section->reap = false;
	return 0;
}

/**
 * mm_iommu_exit() - end a section
 * @section: the section; what was found in it may be gone after this
 *
 * Context: As mm_iommu_enter().
 */
__kprobes void mm_iommu_exit(struct mm_iommu_section *section)
{
	__mm_iommu_read_unlock(section->slot);
}

/* Whether each IOMMU page of a range is in one block; the range is in the region. */
static __kprobes bool all_blocks(struct mm_iommu_region *region,
				 unsigned long ua, unsigned long npages,
				 unsigned int shift)
{
	u64 block;

	if (shift <= region->trans.order)
		return true;

	for (; npages; npages--, ua += 1UL << shift) {
		mm_iommu_trans_entry(&region->trans, ua, &block);
		if (mm_iommu_trans_order(block) < shift)
			return false;
	}
	return true;
}

/**
 * mm_iommu_section_hold_one() - translate an IOMMU page, and hold it
 * @section: the section
 * @ua: user address
 * @shift: log2 of the size of the IOMMU page
 * @write: whether a device may write there
 * @home: a cookie with the id of a region of which the caller has a reference
 *	that counts for this page too; 0: of none
 * @held: where to store what is held
 *
 * Context: Inside of the section.
 * Return: 1 with a reference; 0 where that of @home counts; -EAGAIN where it
 *	cannot be mapped, or that is not to be found out here.
 */
__kprobes int mm_iommu_section_hold_one(struct mm_iommu_section *section,
					unsigned long ua, unsigned int shift,
					bool write, u64 home,
					struct mm_iommu_held *held)
{
	struct mm_iommu_region *region;
	int ret;

	region = mm_iommu_index_find(section->reg, section->slot, ua);
	if (!region)
		return -EAGAIN;
	ret = mm_iommu_region_hold_one(region, ua, shift, write, home, held);
	return ret < 0 ? -EAGAIN : ret;
}

/**
 * mm_iommu_hold_page() - translate an IOMMU page, and hold it
 * @mm: the mm whose memory it is
 * @ua: user address
 * @shift: log2 of the size of the IOMMU page
 * @write: whether a device may write there
 * @home: see mm_iommu_section_hold_one()
 * @held: where to store what is held
 *
 * A section for one page.
 *
 * Context: Interrupts off, MMU on or off.
 * Return: as mm_iommu_section_hold_one(); -EAGAIN as mm_iommu_enter() too.
 */
__kprobes int mm_iommu_hold_page(struct mm_struct *mm, unsigned long ua,
				 unsigned int shift, bool write, u64 home,
				 struct mm_iommu_held *held)
{
	/* pairs with cmpxchg_release() in mm_iommu_make_registry() */
	struct mm_iommu *reg = READ_ONCE(mm->context.mm_iommu);
	struct mm_iommu_region *region;
	struct mm_iommu_slot *slot;
	int ret = -EAGAIN;

	if (!reg)
		return -EAGAIN;

	slot = mm_iommu_read_trylock(reg);
	if (!slot)
		return -EAGAIN;
	region = mm_iommu_index_find(reg, slot, ua);
	if (region)
		ret = mm_iommu_region_hold_one(region, ua, shift, write, home,
					       held);
	__mm_iommu_read_unlock(slot);
	return ret < 0 ? -EAGAIN : ret;
}

/**
 * mm_iommu_drop_page() - give one reference back
 * @mm: the mm whose memory it is
 * @cookie: of a page of the region; what was never held is left alone
 *
 * The hardware must have forgotten what it held. Takes no lock: what is held
 * stays.
 *
 * Context: Any, MMU on or off.
 * Return: whether mm_iommu_reap() is to be called.
 */
__kprobes bool mm_iommu_drop_page(struct mm_struct *mm, u64 cookie)
{
	const struct mm_iommu *reg = READ_ONCE(mm->context.mm_iommu);
	struct mm_iommu_region *region;

	region = reg ? mm_iommu_id_find(reg, cookie) : NULL;
	return region && mm_iommu_region_drop(region, 1);
}

/**
 * mm_iommu_section_find() - translate IOMMU pages
 * @section: the section
 * @run: which
 *
 * Holds nothing: see mm_iommu_section_get().
 *
 * Context: Inside of the section.
 * Return: 0; -EAGAIN where not all of them can be mapped, as where the address
 *	is no multiple of the IOMMU page, or that is not to be found out here.
 */
__kprobes int mm_iommu_section_find(struct mm_iommu_section *section,
				    struct mm_iommu_run *run)
{
	unsigned long ua = run->ua, npages = run->npages;
	struct mm_iommu_region *region;
	unsigned int shift = run->shift;

	region = mm_iommu_index_find(section->reg, section->slot, ua);
	if (!region || ua & ((1UL << shift) - 1) ||
	    (npages << shift) - 1 > mm_iommu_last(region) - ua ||
	    (run->write && region->trans.readonly) ||
	    !all_blocks(region, ua, npages, shift))
		return -EAGAIN;

	run->cookie = mm_iommu_cookie(region, ua, run->write);
	/* should it be closed by now, it does not matter what is dirty */
	mm_iommu_trans_fill(&region->trans, ua, npages, shift,
			    run->bits | (run->write ? MM_IOMMU_DIRTY : 0),
			    run->out);
	return 0;
}

/**
 * mm_iommu_section_get() - take references on a region
 * @section: the section
 * @cookie: what mm_iommu_section_find() stored
 * @n: references
 *
 * Context: Inside of the section in which the region was found.
 * Return: false where the region is closed.
 */
__kprobes bool mm_iommu_section_get(struct mm_iommu_section *section,
				    u64 cookie, unsigned long n)
{
	/* it has its id until it is out of the index, thus in this section */
	return mm_iommu_region_tryget(mm_iommu_id_find(section->reg, cookie), n);
}

/**
 * mm_iommu_translate() - host addresses of IOMMU pages that are held
 * @mm: the mm whose memory it is
 * @cookie: of the first one; whether it has MM_IOMMU_COOKIE_WRITE says whether
 *	a device may write there from now on
 * @npages: IOMMU pages, all in the region of the first; the caller bounds the
 *	work
 * @shift: log2 of the size of the IOMMU page
 * @bits: what to add to each address
 * @out: where to store @npages host physical addresses, as bridges read them
 *
 * Context: Any, MMU on or off.
 * Return: 0, or -ENOENT where the page is not held.
 */
__kprobes int mm_iommu_translate(struct mm_struct *mm, u64 cookie,
				 unsigned long npages, unsigned int shift,
				 u64 bits, __be64 *out)
{
	struct mm_iommu *reg = READ_ONCE(mm->context.mm_iommu);
	struct mm_iommu_region *region;

	region = reg ? mm_iommu_id_find(reg, cookie) : NULL;
	if (!region)
		return -ENOENT;

	if (cookie & MM_IOMMU_COOKIE_WRITE)
		bits |= MM_IOMMU_DIRTY;
	mm_iommu_trans_fill(&region->trans, mm_iommu_cookie_ua(region, cookie),
			    npages, shift, bits, out);
	return 0;
}

/**
 * mm_iommu_count() - change the number of references on a region that is held
 * @mm: the mm whose memory it is
 * @cookie: of any page of the region; what was never held is left alone
 * @more: references to be taken, or given back if negative; at least one is
 *	left
 *
 * Context: Any, MMU on or off.
 */
__kprobes void mm_iommu_count(struct mm_struct *mm, u64 cookie, long more)
{
	const struct mm_iommu *reg = READ_ONCE(mm->context.mm_iommu);
	struct mm_iommu_region *region;

	region = reg ? mm_iommu_id_find(reg, cookie) : NULL;
	/* not ordered: whatever is let go is let go by who drops the last one */
	if (region)
		atomic_long_add(more, &region->mapped);
}

/**
 * mm_iommu_section_drop() - give references back
 * @section: the section
 * @cookie: of any page of the region; what was never held is left alone
 * @npages: references, no more than are held
 *
 * The hardware must have forgotten what they held before the section ends. When
 * it has ended, and @section->reap is set, mm_iommu_reap() is to be called.
 *
 * Context: Inside of the section.
 */
__kprobes void mm_iommu_section_drop(struct mm_iommu_section *section,
				     u64 cookie, unsigned long npages)
{
	struct mm_iommu_region *region = mm_iommu_id_find(section->reg, cookie);

	if (region && mm_iommu_region_drop(region, npages))
		section->reap = true;
}
