// SPDX-License-Identifier: GPL-2.0
/*
 * Access to struct page in real mode.
 *
 * With SPARSEMEM_VMEMMAP all struct pages are one array in an address range of
 * its own, which only the MMU translates. The memory blocks behind it lie in
 * the linear map, whose addresses are real addresses for a bare-metal CPU in
 * real mode: it ignores their top bits. So the array is translated here in
 * software, by data that is itself in the linear map: the list of all blocks
 * with the hash MMU, the kernel page table with radix.
 */
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/pgalloc.h>
#include <linux/seqlock.h>

#include <asm/mmu.h>
#include <asm/pte-walk.h>
#include <asm/realmode_page.h>

#include <mm/mmu_decl.h>

#ifdef CONFIG_SPARSEMEM_VMEMMAP

/*
 * Translates @virt in a block of 2^@shift bytes at @phys. A struct page may
 * cross the end of a block, because its size need not be a power of two.
 */
static struct page *page_in_block(unsigned long virt, unsigned long phys,
				  unsigned int shift)
{
	unsigned long offset = virt & (BIT(shift) - 1);

	if (offset + sizeof(struct page) > BIT(shift))
		return NULL;
	return __va(phys + offset);
}

/*
 * Memory hotplug may change the list concurrently, and a removed entry leads to
 * the list of free entries, which still have their old addresses. The entries
 * themselves are never freed, so it is enough to check that nothing has
 * changed.
 */
static struct page *hash_find(unsigned long virt)
{
	unsigned int seq = raw_read_seqcount(&vmemmap_list_seq);
	unsigned int shift = mmu_psize_defs[mmu_vmemmap_psize].shift;
	struct vmemmap_backing *block;
	struct page *page = NULL;

	if (seq & 1)
		return NULL;

	for (block = READ_ONCE(vmemmap_list); block;
	     block = READ_ONCE(block->list)) {
		if (block->virt_addr == ALIGN_DOWN(virt, BIT(shift))) {
			page = page_in_block(virt, block->phys, shift);
			break;
		}
	}
	return read_seqcount_retry(&vmemmap_list_seq, seq) ? NULL : page;
}

/*
 * Memory hotplug frees a part of the table when it is empty. The part that
 * leads to the struct page of memory in use is not empty.
 */
static struct page *radix_find(unsigned long virt)
{
	unsigned int shift;
	pte_t *ptep, pte;

	ptep = find_init_mm_pte(virt, &shift);
	if (!ptep)
		return NULL;

	pte = READ_ONCE(*ptep);
	if (!pte_present(pte))
		return NULL;
	return page_in_block(virt, PFN_PHYS(pte_pfn(pte)), shift ?: PAGE_SHIFT);
}

static struct page *page_find(unsigned long pfn)
{
	unsigned long virt = (unsigned long)pfn_to_page(pfn);

	return radix_enabled() ? radix_find(virt) : hash_find(virt);
}

#else

/*
 * FLATMEM has one array, in the linear map. Else there is one for each section,
 * and those of added memory may be vmalloc memory.
 */
static struct page *page_find(unsigned long pfn)
{
	return IS_ENABLED(CONFIG_FLATMEM) && pfn_valid(pfn) ? pfn_to_page(pfn) :
							      NULL;
}

#endif

/**
 * realmode_pfn_to_page() - look up a struct page for use in real mode
 * @pfn: page frame of memory that the caller keeps from being freed, by a
 *	reference or a pin; so it cannot be unplugged during the lookup, and the
 *	result is valid for as long
 *
 * The return value is another address of the same struct page, in the linear
 * map. Fields of the structure may be loaded, stored and changed atomically
 * there, in virtual or real mode; put_page_unless_one() does only that. Nothing
 * else is allowed:
 *
 * - It is no element of the array of struct pages. page_to_pfn(), and with it
 *   page_address() and similar functions, and the neighbours of the page would
 *   be wrong.
 * - A pointer in it must not be followed in real mode: no compound_head(), no
 *   helper of page flags, get_page() or put_page(), which all do so for a tail
 *   page. PageTail() only reads.
 * - It must not be passed on: no list, no lock, no unpin_user_page().
 *
 * Context: Any, virtual mode; real mode on bare metal only, where all of the
 *	linear map is accessible.
 * Return: the address, or NULL if the struct page is not accessible this way:
 *	it crosses two memory blocks, or memory is just being plugged, or the
 *	kernel is built with SPARSEMEM without SPARSEMEM_VMEMMAP. The caller
 *	must then leave the work to code in virtual mode.
 */
struct page *realmode_pfn_to_page(unsigned long pfn)
{
	return page_find(pfn);
}
