// SPDX-License-Identifier: GPL-2.0
/*
 * Atomic accessors of the registry of DMA memory: never sleep, for virtual and
 * real mode.
 *
 * A section keeps all regions in place, because it holds a slot of the index:
 * none enters or leaves, and no memory is unpinned, whatever references are
 * dropped while it lasts. So inside of it references may be dropped before the
 * hardware caches are invalidated; they only have to be invalidated when the
 * section ends. When the last page of a region that was given up is dropped,
 * the region is left to mm_iommu_reap(), which may sleep, and waits for the
 * sections to end first.
 *
 * Requests that need more fail with -EAGAIN, and are left to mm_iommu_hold()
 * and mm_iommu_drop(), which may sleep: memory in two regions, and memory that
 * is partly read-only.
 *
 * In real mode this file, and all functions that it calls, read and write only
 * the linear map: no printk, no lockdep, no struct page, no per-CPU variable
 * other than in the paca. arch/powerpc/tools/realmode_check.sh checks that.
 */
#include "mm_iommu.h"

/**
 * mm_iommu_is_unregistered() - check whether unregistered memory is mapped
 * @mm: an mm that lives during the call
 *
 * Context: Any, virtual or real mode.
 * Return: whether a container of @mm maps memory that is not registered.
 */
__kprobes bool mm_iommu_is_unregistered(struct mm_struct *mm)
{
	struct mm_iommu *reg = mm_iommu_get_registry(mm);

	return reg && atomic_read(&reg->unregistered);
}
EXPORT_SYMBOL_GPL(mm_iommu_is_unregistered);

/**
 * mm_iommu_section_enter() - begin a section
 * @mm: the mm that owns the memory
 * @section: where to keep the state that mm_iommu_section_exit() needs
 *
 * At most 512 pages should be looked up in it: writers wait for it.
 *
 * Context: Interrupts off, virtual or real mode.
 * Return: 0; -EAGAIN if nothing is registered, or the lock cannot be taken
 *	soon.
 */
__kprobes int mm_iommu_section_enter(struct mm_struct *mm,
				     struct mm_iommu_section *section)
{
	struct mm_iommu *reg = mm_iommu_get_registry(mm);
	struct mm_iommu_slot *slot;

	slot = reg ? mm_iommu_read_trylock(reg) : NULL;
	if (!slot)
		return -EAGAIN;
	section->reg = reg;
	section->slot = slot;
	section->reap = false;
	return 0;
}

/**
 * mm_iommu_section_exit() - end a section
 * @section: the section; regions found in it may be gone after this
 *
 * Context: As mm_iommu_section_enter().
 */
__kprobes void mm_iommu_section_exit(struct mm_iommu_section *section)
{
	__mm_iommu_read_unlock(section->slot);
}

/*
 * Whether each IOMMU page of a range is in one block; the region has the range.
 */
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
 * mm_iommu_section_hold_one() - translate and hold an IOMMU page
 * @section: the section
 * @ua: user address
 * @shift: log2 of the IOMMU page size
 * @write: whether a device may write there
 * @home: a cookie with the id of a region on which the caller has a reference
 *	that counts for this page too; 0 if there is none
 * @held: where to store the page that is held
 *
 * Context: Inside of the section.
 * Return: 1 with a reference; 0 if that of @home counts; -EAGAIN if the page
 *	cannot be mapped, or this cannot be determined here.
 */
__kprobes int mm_iommu_section_hold_one(struct mm_iommu_section *section,
					unsigned long ua, unsigned int shift,
					bool write, u64 home,
					struct mm_iommu_held *held)
{
	struct mm_iommu_region *region;
	int ret;

	region = mm_iommu_index_find(section->reg, section->slot, ua);
	ret = mm_iommu_region_hold_one(region, ua, shift, write, home, held);
	return ret < 0 ? -EAGAIN : ret;
}

/**
 * mm_iommu_hold_page() - translate and hold an IOMMU page
 * @mm: the mm that owns the memory
 * @ua: user address
 * @shift: log2 of the IOMMU page size
 * @write: whether a device may write there
 * @home: see mm_iommu_section_hold_one()
 * @held: where to store the page that is held
 *
 * A section for one page.
 *
 * Context: Interrupts off, virtual or real mode.
 * Return: as mm_iommu_section_hold_one(); -EAGAIN as mm_iommu_section_enter()
 *	too.
 */
__kprobes int mm_iommu_hold_page(struct mm_struct *mm, unsigned long ua,
				 unsigned int shift, bool write, u64 home,
				 struct mm_iommu_held *held)
{
	struct mm_iommu *reg = mm_iommu_get_registry(mm);
	struct mm_iommu_region *region;
	struct mm_iommu_slot *slot;
	int ret;

	slot = reg ? mm_iommu_read_trylock(reg) : NULL;
	if (!slot)
		return -EAGAIN;
	region = mm_iommu_index_find(reg, slot, ua);
	ret = mm_iommu_region_hold_one(region, ua, shift, write, home, held);
	__mm_iommu_read_unlock(slot);
	return ret < 0 ? -EAGAIN : ret;
}

/**
 * mm_iommu_drop_page() - drop one reference
 * @mm: the mm that owns the memory
 * @cookie: cookie of a page of the region; ignored if it was never held
 *
 * The mapping must be gone from the hardware caches. Takes no lock: a held
 * region stays.
 *
 * Context: Any, virtual or real mode.
 * Return: whether mm_iommu_reap() must be called.
 */
__kprobes bool mm_iommu_drop_page(struct mm_struct *mm, u64 cookie)
{
	struct mm_iommu_region *region = mm_iommu_held_region(mm, cookie);

	return region && mm_iommu_region_drop(region, 1);
}

static __kprobes void fill_pages(u64 *entry, unsigned long ua, unsigned long n,
				 u64 bits, u64 dirty, __be64 *out)
{
	u64 block;

	for (; n; n--, entry++, ua += PAGE_SIZE) {
		block = READ_ONCE(*entry);
		mm_iommu_trans_mark(entry, block, dirty);
		*out++ = cpu_to_be64(mm_iommu_trans_hpa(block, ua) | bits);
	}
}

/**
 * mm_iommu_trans_fill() - translate IOMMU pages one by one
 * @trans: the translation
 * @ua: user address inside the region, of the first IOMMU page
 * @npages: IOMMU pages, all of them in blocks and inside the region
 * @shift: log2 of the IOMMU page size
 * @bits: added to each address; MM_IOMMU_DIRTY if a device may write there from
 *	now on
 * @out: where to store @npages host physical addresses, in the format of the
 *	bridge
 *
 * Context: Any, virtual or real mode. The caller bounds @npages.
 */
__kprobes void mm_iommu_trans_fill(struct mm_iommu_trans *trans,
				   unsigned long ua, unsigned long npages,
				   unsigned int shift, u64 bits, __be64 *out)
{
	u64 *entry, block, tce, dirty = bits & MM_IOMMU_DIRTY;
	unsigned long n, i;

	for (bits ^= dirty; npages; npages -= n, ua += n << shift, out += n) {
		entry = mm_iommu_trans_entry(trans, ua, &block);
		if (shift == PAGE_SHIFT &&
		    mm_iommu_trans_order(block) == PAGE_SHIFT) {
			n = min(npages, (SZ_2M - ua % SZ_2M) >> PAGE_SHIFT);
			fill_pages(entry, ua, n, bits, dirty, out);
			continue;
		}
		mm_iommu_trans_mark(entry, block, dirty);
		n = min(npages, (mm_iommu_trans_end(block, ua) - ua) >> shift);
		tce = mm_iommu_trans_hpa(block, ua) | bits;
		for (i = 0; i < n; i++, tce += BIT_ULL(shift))
			out[i] = cpu_to_be64(tce);
	}
}

/**
 * mm_iommu_section_find() - translate IOMMU pages
 * @section: the section
 * @run: the pages
 *
 * Takes no references: see mm_iommu_section_get().
 *
 * Context: Inside of the section.
 * Return: 0; -EAGAIN if not all of them can be mapped, for example if the
 *	address is not a multiple of the IOMMU page size, or this cannot be
 *	determined here.
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
	/* if the region is closed by now, stray dirty marks do not matter */
	mm_iommu_trans_fill(&region->trans, ua, npages, shift,
			    run->bits | (run->write ? MM_IOMMU_DIRTY : 0),
			    run->out);
	return 0;
}

/**
 * mm_iommu_section_get() - take references on a region
 * @section: the section
 * @cookie: the cookie that mm_iommu_section_find() stored
 * @n: references
 *
 * Context: Inside of the section in which the region was found.
 * Return: false if the region is closed.
 */
__kprobes bool mm_iommu_section_get(struct mm_iommu_section *section,
				    u64 cookie, unsigned long n)
{
	/* it keeps its id until it leaves the index, so during this section */
	return mm_iommu_region_tryget(mm_iommu_id_find(section->reg, cookie),
				      n);
}

/**
 * mm_iommu_translate() - get the host addresses of IOMMU pages that are held
 * @mm: the mm that owns the memory
 * @cookie: cookie of the first one; MM_IOMMU_COOKIE_WRITE in it means that a
 *	device may write there from now on
 * @npages: IOMMU pages, all in the region of the first; the caller bounds the
 *	work
 * @shift: log2 of the IOMMU page size
 * @bits: added to each address
 * @out: where to store @npages host physical addresses, in the format of the
 *	bridge
 *
 * Context: Any, virtual or real mode.
 * Return: 0, or -ENOENT if the page is not held.
 */
__kprobes int mm_iommu_translate(struct mm_struct *mm, u64 cookie,
				 unsigned long npages, unsigned int shift,
				 u64 bits, __be64 *out)
{
	struct mm_iommu_region *region = mm_iommu_held_region(mm, cookie);

	if (!region)
		return -ENOENT;

	if (cookie & MM_IOMMU_COOKIE_WRITE)
		bits |= MM_IOMMU_DIRTY;
	mm_iommu_trans_fill(&region->trans, mm_iommu_cookie_ua(region, cookie),
			    npages, shift, bits, out);
	return 0;
}

/**
 * mm_iommu_count() - change the number of references on a held region
 * @mm: the mm that owns the memory
 * @cookie: cookie of any page of the region; ignored if it was never held
 * @more: references to take, or to drop if negative; at least one remains
 *
 * Context: Any, virtual or real mode.
 */
__kprobes void mm_iommu_count(struct mm_struct *mm, u64 cookie, long more)
{
	struct mm_iommu_region *region = mm_iommu_held_region(mm, cookie);

	/* not ordered: the release is in the drop of the last reference */
	if (region)
		atomic_long_add(more, &region->mapped);
}

/**
 * mm_iommu_section_drop() - drop references
 * @section: the section
 * @cookie: cookie of any page of the region; ignored if it was never held
 * @npages: references, no more than are held
 *
 * The mappings must be gone from the hardware caches before the section ends.
 * After its end mm_iommu_reap() must be called if @section->reap is set.
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
