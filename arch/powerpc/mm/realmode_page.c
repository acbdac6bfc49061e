// SPDX-License-Identifier: GPL-2.0
/*
 * struct page where the MMU is off.
 *
 * With SPARSEMEM_VMEMMAP all struct pages are one array in a range of
 * addresses of its own, which only the MMU translates. The blocks of memory
 * behind it lie in the linear map, whose addresses a bare-metal CPU takes for
 * real ones when the MMU is off: it ignores their top bits. So the array is
 * translated here in software, by what is itself in the linear map: the list
 * of all blocks with the hash MMU, the kernel's page table with radix.
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
 * @virt in a block of 2^@shift bytes at @phys. What begins in one block may
 * end in another, because struct page need not be a power of two.
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
 * Memory hotplug changes the list meanwhile, and what it takes out leads to
 * the list of free entries, where old addresses still stand. The entries
 * themselves are never freed, so it is enough to see that nothing has changed.
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
 * Memory hotplug frees a part of the table when it is empty. What leads to the
 * struct page of memory that is in use is not.
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

#elif defined(CONFIG_FLATMEM)

/* One array, in the linear map. */
static struct page *page_find(unsigned long pfn)
{
	return pfn_valid(pfn) ? pfn_to_page(pfn) : NULL;
}

#else

/* An array for each section, and those of added memory may be vmalloc. */
static struct page *page_find(unsigned long pfn)
{
	return NULL;
}

#endif

/**
 * realmode_pfn_to_page() - find a struct page that is good with the MMU off
 * @pfn: page frame of memory that the caller keeps from being freed, by a
 *	reference or a pin; so it cannot be unplugged while it is looked up,
 *	and the answer is good for as long
 *
 * What is returned is another address of the same struct page, in the linear
 * map. Its own fields may be loaded, stored and changed atomically there, with
 * the MMU on or off; put_page_unless_one() does just that. That is all:
 *
 * - It is no element of the array of struct pages. page_to_pfn(), and with it
 *   page_address() and the like, and the neighbours of the page would be wrong.
 * - Nothing may follow a pointer in it with the MMU off: no compound_head(), no
 *   helper of page flags, get_page() or put_page(), which all do so for a tail
 *   page. PageTail() only looks.
 * - Nothing may hand it on: no list, no lock, no unpin_user_page().
 *
 * Context: Any, MMU on; MMU off on bare metal only, where all of the linear map
 *	can be reached.
 * Return: the address, or NULL where the struct page cannot be reached so: it
 *	is in two blocks of memory, or memory is being plugged just now, or the
 *	kernel is built with SPARSEMEM without SPARSEMEM_VMEMMAP. The
 *	caller then leaves the work to somebody with the MMU on.
 */
struct page *realmode_pfn_to_page(unsigned long pfn)
{
	return page_find(pfn);
}
