// SPDX-License-Identifier: GPL-2.0
/*
 * The registry of DMA memory for those who may not sleep, with the MMU on or off.
 *
 * A section keeps all regions where they are, because it holds a slot of the
 * index: none enters or leaves, none becomes an orphan, and no memory is
 * unpinned, whatever is counted meanwhile. So inside of it pages may be counted
 * as not mapped any more before the hardware was told; all that counts is that
 * it was told when the section ends.
 *
 * What would need more is refused with -EAGAIN, and done by mm_iommu_hold() and
 * mm_iommu_drop(), which may sleep: memory in two regions, memory of which some
 * may only be read, and everything while there are orphans, because the last
 * page of an orphan unpins it.
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
 * Return: 0; -EAGAIN if nothing is registered, there are orphans, or the lock
 *	is not to be had soon.
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
	if (!list_empty(&reg->orphans)) {
		__mm_iommu_read_unlock(slot);
		return -EAGAIN;
	}
	section->reg = reg;
	section->slot = slot;
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
 * mm_iommu_section_hold_one() - translate an IOMMU page, and count it as mapped
 * @section: the section
 * @ua: user address
 * @shift: log2 of the size of the IOMMU page
 * @write: whether a device may write there
 * @held: where to store what is held
 *
 * Context: Inside of the section.
 * Return: 0; -EAGAIN where it cannot be mapped, or that is not to be found out
 *	here.
 */
__kprobes int mm_iommu_section_hold_one(struct mm_iommu_section *section,
					unsigned long ua, unsigned int shift,
					bool write, struct mm_iommu_held *held)
{
	struct mm_iommu_region *region;

	region = mm_iommu_index_find(section->reg, section->slot, ua);
	if (!region ||
	    mm_iommu_region_hold_one(region, ua, shift, write, held))
		return -EAGAIN;
	return 0;
}

/**
 * mm_iommu_section_hold() - translate IOMMU pages, and count them as mapped
 * @section: the section
 * @ua: user address
 * @npages: IOMMU pages, 1 to 512
 * @shift: log2 of the size of the IOMMU page
 * @bits: what to add to each address
 * @write: whether a device may write there
 * @cookie: where to store what stands for the first page; see struct
 *	mm_iommu_held
 * @out: where to store @npages host physical addresses, as bridges read them
 *
 * Context: Inside of the section.
 * Return: 0; -EAGAIN where not all of them can be mapped, as where @ua is no
 *	multiple of the IOMMU page, or that is not to be found out here: then none
 *	is counted.
 */
__kprobes int mm_iommu_section_hold(struct mm_iommu_section *section,
				    unsigned long ua, unsigned long npages,
				    unsigned int shift, u64 bits, bool write,
				    u64 *cookie, __be64 *out)
{
	struct mm_iommu_region *region;

	region = mm_iommu_index_find(section->reg, section->slot, ua);
	if (!region || ua & ((1UL << shift) - 1) ||
	    (npages << shift) - 1 > mm_iommu_last(region) - ua ||
	    (write && region->trans.readonly) ||
	    !all_blocks(region, ua, npages, shift) ||
	    !mm_iommu_region_tryget(region, npages))
		return -EAGAIN;

	*cookie = ua | region->tag;
	mm_iommu_trans_fill(&region->trans, ua, npages, shift,
			    bits | (write ? MM_IOMMU_DIRTY : 0), out);
	return 0;
}

/**
 * mm_iommu_translate() - host addresses of IOMMU pages that are held
 * @region: the region
 * @ua: user address of the first one
 * @npages: IOMMU pages; the caller bounds the work
 * @shift: log2 of the size of the IOMMU page
 * @bits: what to add to each address
 * @write: whether a device may write there from now on
 * @out: where to store @npages host physical addresses, as bridges read them
 *
 * Context: Any, MMU on or off.
 */
__kprobes void mm_iommu_translate(struct mm_iommu_region *region,
				  unsigned long ua, unsigned long npages,
				  unsigned int shift, u64 bits, bool write,
				  __be64 *out)
{
	mm_iommu_trans_fill(&region->trans, ua, npages, shift,
			    bits | (write ? MM_IOMMU_DIRTY : 0), out);
}
EXPORT_SYMBOL_GPL(mm_iommu_translate);

/**
 * mm_iommu_section_find() - find the region of a page that is mapped
 * @section: the section
 * @cookie: what stands for the page
 * @start: where to store the first user address of the region
 * @size: where to store its bytes
 *
 * All mapped pages with a user address in that range are its.
 *
 * Context: Inside of the section.
 * Return: the region; NULL if there is none, because the page is not held.
 */
__kprobes struct mm_iommu_region *
mm_iommu_section_find(struct mm_iommu_section *section, u64 cookie,
		      unsigned long *start, unsigned long *size)
{
	struct mm_iommu_region *region;

	region = mm_iommu_index_find(section->reg, section->slot,
				     ALIGN_DOWN(cookie, SZ_4K));
	if (region) {
		*start = region->trans.ua;
		*size = region->trans.npages << PAGE_SHIFT;
	}
	return region;
}

/**
 * mm_iommu_section_drop() - count IOMMU pages as not mapped any more
 * @region: a region that was found in a section which has not ended
 * @npages: IOMMU pages, no more than are held
 *
 * The hardware must have forgotten them before the section ends.
 *
 * Context: Inside of the section.
 */
__kprobes void mm_iommu_section_drop(struct mm_iommu_region *region,
				     unsigned long npages)
{
	/* what is in the index keeps 1, so this is not the last */
	atomic_long_sub(npages, &region->mapped);
}
