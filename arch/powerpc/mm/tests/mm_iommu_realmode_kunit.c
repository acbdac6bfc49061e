// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of the guarantees of the registry of DMA memory for real mode:
 * lookups and struct pages are the same in real mode and in virtual mode.
 *
 * Real mode is only entered if the kernel is the hypervisor and real mode
 * reaches all of its memory. A fault in real mode takes the machine down, so
 * that is how a test fails.
 */
#include <linux/memblock.h>
#include <linux/pgalloc.h>
#include <linux/prandom.h>

#include <asm/interrupt.h>
#include <asm/pte-walk.h>
#include <asm/realmode_page.h>
#include <asm/sections.h>

#include <mm/mmu_decl.h>

#include "mm_iommu_kunit.h"

/**
 * mm_iommu_kunit_need_real_mode() - skip a test if real mode cannot be used
 * @test: the test; it ends here in that case
 */
void mm_iommu_kunit_need_real_mode(struct kunit *test)
{
	if (!cpu_has_feature(CPU_FTR_HVMODE))
		kunit_skip(test, "needs bare metal: a guest has little memory in real mode");
	if (IS_ENABLED(CONFIG_KASAN) && radix_enabled())
		kunit_skip(test, "needs the hash MMU, where KASAN is off: it has no real mode");
}

/**
 * mm_iommu_kunit_virtual_mode() - call a function with interrupts disabled
 * @fn: the function
 * @data: its argument
 *
 * Return: the return value of @fn.
 */
unsigned long mm_iommu_kunit_virtual_mode(unsigned long (*fn)(void *data),
					  void *data)
{
	unsigned long flags, ret;

	local_irq_save(flags);
	ret = fn(data);
	local_irq_restore(flags);
	return ret;
}

/**
 * mm_iommu_kunit_real_mode() - call a function in real mode, interrupts off
 * @fn: the function
 * @data: its argument, in the linear map, as stacks are
 *
 * Return: the return value of @fn.
 */
unsigned long mm_iommu_kunit_real_mode(unsigned long (*fn)(void *data),
				       void *data)
{
	unsigned long entry =
		(unsigned long)dereference_function_descriptor(fn);
	unsigned long flags, ret;

	local_irq_save(flags);
	hard_irq_disable();
	ret = mm_iommu_kunit_mmu_off(entry, data);
	srr_regs_clobbered();
	local_irq_restore(flags);
	return ret;
}

static unsigned long get_msr(void *unused)
{
	return mfmsr();
}

static void the_mmu_goes_off(struct kunit *test)
{
	unsigned long msr, before = mfmsr();

	mm_iommu_kunit_need_real_mode(test);
	msr = mm_iommu_kunit_real_mode(get_msr, NULL);
	KUNIT_EXPECT_EQ(test, msr & (MSR_IR | MSR_DR | MSR_EE), 0);
	KUNIT_EXPECT_EQ(test, msr & (MSR_HV | MSR_LE | MSR_SF),
			before & (MSR_HV | MSR_LE | MSR_SF));
	KUNIT_EXPECT_EQ(test, mfmsr(), before);
}

/* ---- lookup and translation -------------------------------------------- */

/* Neighbours on each side of the region under test; they make it a tree. */
#define NEIGHBOURS		20
#define NEIGHBOUR_DISTANCE	SZ_16G

/*
 * A query of the registry, and its results. @tried: the lock was not held.
 * @found: a region contains the address. @has: the region has an IOMMU page of
 * 2^@shift there.
 */
struct lookup {
	struct mm_iommu *reg;
	unsigned long ua;
	unsigned int shift;
	bool mark;
	bool tried;
	bool found;
	bool has;
	u64 block;
	u64 at;
	u64 filled;
};

static void look_up_region(struct lookup *q, struct mm_iommu_region *region)
{
	struct mm_iommu_trans *trans = &region->trans;
	u64 *entry;

	q->found = true;
	entry = mm_iommu_trans_entry(trans, q->ua, &q->block);
	mm_iommu_trans_mark(entry, q->block, q->mark ? MM_IOMMU_DIRTY : 0);
	q->block = *entry;
	q->at = mm_iommu_trans_hpa(q->block, q->ua);
	q->has = mm_iommu_region_has_page(region, q->ua, q->shift, q->block);
	mm_iommu_trans_fill(trans, q->ua, 1, 0, 0,
			    (__force __be64 *)&q->filled);
}

static unsigned long look_up(void *data)
{
	struct mm_iommu_region *region;
	struct mm_iommu_slot *slot;
	struct lookup *q = data;

	slot = mm_iommu_read_trylock(q->reg);
	if (!slot)
		return false;

	q->tried = true;
	region = mm_iommu_index_find(q->reg, slot, q->ua);
	if (region)
		look_up_region(q, region);
	__mm_iommu_read_unlock(slot);
	return true;
}

static void insert_region(struct kunit *test, struct mm_iommu *reg,
			  const struct mm_iommu_kunit_layout *l,
			  unsigned long distance)
{
	struct mm_iommu_region *region = kzalloc_obj(*region);

	KUNIT_ASSERT_NOT_NULL(test, region);
	mm_iommu_kunit_trans(test, &region->trans, l);
	region->trans.ua += distance;
	mutex_lock(&reg->lock);
	mm_iommu_index_insert(reg, region);
	mutex_unlock(&reg->lock);
}

static void free_registry(void *data)
{
	struct mm_iommu_region *region, *next;
	struct mm_iommu *reg = data;

	rbtree_postorder_for_each_entry_safe(region, next, &reg->index, node) {
		mm_iommu_trans_free(&region->trans);
		kfree(region);
	}
	kfree(reg);
}

/* A registry with a region of the layout, and smaller regions around it. */
static struct mm_iommu *make_registry(struct kunit *test,
				      const struct mm_iommu_kunit_layout *l)
{
	const struct mm_iommu_kunit_layout *one = mm_iommu_kunit_layouts;
	struct mm_iommu *reg = mm_iommu_index_alloc(NULL, nr_cpu_ids);
	unsigned long i;

	KUNIT_ASSERT_NOT_NULL(test, reg);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_registry,
							   reg));
	insert_region(test, reg, l, 0);
	for (i = 1; i <= NEIGHBOURS; i++) {
		insert_region(test, reg, one, i * NEIGHBOUR_DISTANCE);
		insert_region(test, reg, one, -i * NEIGHBOUR_DISTANCE);
	}
	return reg;
}

/* Looks up in real mode, then in virtual mode; the results must be equal. */
static void compare_lookup(struct kunit *test, struct lookup *q)
{
	struct lookup off = *q;

	/* a mark is set in real mode and read in virtual mode */
	mm_iommu_kunit_real_mode(look_up, &off);
	q->mark = false;
	mm_iommu_kunit_virtual_mode(look_up, q);
	KUNIT_EXPECT_TRUE(test, q->tried);
	KUNIT_EXPECT_TRUE(test, off.tried);
	KUNIT_EXPECT_EQ(test, q->found, off.found);
	KUNIT_EXPECT_EQ(test, q->block, off.block);
	KUNIT_EXPECT_EQ(test, q->at, off.at);
	KUNIT_EXPECT_EQ(test, q->has, off.has);
	KUNIT_EXPECT_EQ(test, q->filled, off.filled);
	q->mark = off.mark;
}

KUNIT_ARRAY_PARAM_DESC(layout, mm_iommu_kunit_layouts, name);

static void lookup_is_the_same_with_the_mmu_off(struct kunit *test)
{
	const struct mm_iommu_kunit_layout *l = test->param_value;
	unsigned long start = KUNIT_UA + l->offset, i;
	struct mm_iommu *reg;
	struct rnd_state rnd;
	struct lookup q;

	mm_iommu_kunit_need_real_mode(test);
	reg = make_registry(test, l);
	prandom_seed_state(&rnd, 1);
	for (i = 0; i < 500; i++) {
		q = (struct lookup){ .reg = reg, .shift = i % 24 };
		q.ua = start + prandom_u32_state(&rnd) % l->size;
		q.mark = i % 2;
		compare_lookup(test, &q);
		KUNIT_ASSERT_TRUE(test, q.found);
		KUNIT_ASSERT_EQ(test, q.at, mm_iommu_kunit_hpa(l, q.ua));
		KUNIT_ASSERT_EQ(test, be64_to_cpu((__force __be64)q.filled),
				q.at);
		KUNIT_ASSERT_TRUE(test, !q.mark || q.block & MM_IOMMU_DIRTY);
	}
}

static void lookup_of_nothing_is_the_same_with_the_mmu_off(struct kunit *test)
{
	const struct mm_iommu_kunit_layout *l = mm_iommu_kunit_layouts;
	unsigned long ua = KUNIT_UA + l->offset;
	struct mm_iommu *reg;
	struct lookup q;
	long i;

	mm_iommu_kunit_need_real_mode(test);
	reg = make_registry(test, l);
	for (i = -NEIGHBOURS - 1; i <= NEIGHBOURS + 1; i++) {
		q = (struct lookup){ .reg = reg };
		q.ua = ua + i * NEIGHBOUR_DISTANCE - 1;
		compare_lookup(test, &q);
		KUNIT_ASSERT_FALSE(test, q.found);
		q.ua += l->size + 1;
		compare_lookup(test, &q);
		KUNIT_ASSERT_FALSE(test, q.found);
	}
}

static void real_mode_does_not_wait_for_a_writer(struct kunit *test)
{
	const struct mm_iommu_kunit_layout *l = mm_iommu_kunit_layouts;
	struct mm_iommu *reg;
	unsigned long flags;
	struct lookup q, first;
	unsigned int i;

	mm_iommu_kunit_need_real_mode(test);
	reg = make_registry(test, l);
	q = (struct lookup){ .reg = reg, .ua = KUNIT_UA + l->offset };
	first = q;
	local_irq_save(flags);
	for (i = 0; i <= reg->slot_mask; i++)
		arch_spin_lock(&reg->slots[i].lock);
	mm_iommu_kunit_real_mode(look_up, &q);
	for (i = 0; i <= reg->slot_mask; i++)
		arch_spin_unlock(&reg->slots[i].lock);
	/* the writer does not want the slot, which is not in use */
	arch_spin_lock(&reg->used_lock);
	mm_iommu_kunit_real_mode(look_up, &first);
	arch_spin_unlock(&reg->used_lock);
	local_irq_restore(flags);
	KUNIT_EXPECT_FALSE(test, q.tried);
	KUNIT_EXPECT_FALSE(test, first.tried);

	mm_iommu_kunit_real_mode(look_up, &q);
	KUNIT_EXPECT_TRUE(test, q.tried);
	KUNIT_EXPECT_TRUE(test, q.found);
}

/* ---- struct page ------------------------------------------------------- */

#define PAGES		256
#define PAGE_MARK(pfn)	(0x5eed0000000000UL ^ (pfn))

static void free_page_of(void *page)
{
	__free_pages(page, compound_order(page));
}

static struct page *test_alloc_pages(struct kunit *test, unsigned int order)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP, order);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_page_of,
							   page));
	return page;
}

/* log2 of the size of the memory block in which a struct page starts. */
static unsigned int block_shift(const struct page *page)
{
	unsigned int shift;

	if (!IS_ENABLED(CONFIG_SPARSEMEM_VMEMMAP))
		return BITS_PER_LONG - 1;
	if (!radix_enabled())
		return mmu_psize_defs[mmu_vmemmap_psize].shift;
	find_init_mm_pte((unsigned long)page, &shift);
	return shift ?: PAGE_SHIFT;
}

static bool is_in_two_blocks(const struct page *page)
{
	unsigned long size = BIT(block_shift(page));

	return ((unsigned long)page & (size - 1)) + sizeof(*page) > size;
}

static void need_answer(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_SPARSEMEM_VMEMMAP) &&
	    !IS_ENABLED(CONFIG_FLATMEM))
		kunit_skip(test,
			   "needs CONFIG_SPARSEMEM_VMEMMAP or CONFIG_FLATMEM");
}

/* Contents of a struct page, read through its real mode address. */
struct look {
	unsigned long pfn;
	struct page *found;
	unsigned long private;
	bool tail;
};

static unsigned long look_at(void *data)
{
	struct look *q = data;

	q->found = realmode_pfn_to_page(q->pfn);
	if (!q->found)
		return false;
	q->private = page_private(q->found);
	q->tail = PageTail(q->found);
	return true;
}

static void expect_found(struct kunit *test, struct page *page,
			 mm_iommu_kunit_call call)
{
	struct look q = { .pfn = page_to_pfn(page) };
	unsigned long found;

	set_page_private(page, PAGE_MARK(q.pfn));
	found = call(look_at, &q);
	KUNIT_EXPECT_EQ(test, found, !is_in_two_blocks(page));
	if (found) {
		KUNIT_EXPECT_EQ(test, q.private, PAGE_MARK(q.pfn));
		KUNIT_EXPECT_EQ(test, q.tail, PageTail(page));
		/* in the linear map and nowhere else */
		KUNIT_EXPECT_TRUE(test, virt_addr_valid(q.found));
	}
	set_page_private(page, 0);
}

static void struct_pages_are_found(struct kunit *test)
{
	unsigned int i;

	need_answer(test);
	for (i = 0; i < PAGES; i++)
		expect_found(test, test_alloc_pages(test, 0),
			     mm_iommu_kunit_virtual_mode);
	expect_found(test, test_alloc_pages(test, 2) + 3,
		     mm_iommu_kunit_virtual_mode);
}

static void struct_pages_are_found_with_the_mmu_off(struct kunit *test)
{
	unsigned int i;

	need_answer(test);
	mm_iommu_kunit_need_real_mode(test);
	for (i = 0; i < PAGES; i++)
		expect_found(test, test_alloc_pages(test, 0),
			     mm_iommu_kunit_real_mode);
	expect_found(test, test_alloc_pages(test, 2) + 3,
		     mm_iommu_kunit_real_mode);
}

static void struct_page_in_two_blocks_is_not_found(struct kunit *test)
{
	unsigned long pfn, n = 0;

	need_answer(test);
	for (pfn = 0; pfn < max_pfn; pfn++) {
		if (!pfn_valid(pfn) || !is_in_two_blocks(pfn_to_page(pfn)))
			continue;
		KUNIT_EXPECT_NULL(test, realmode_pfn_to_page(pfn));
		n++;
	}
	if (!n)
		kunit_skip(test,
			   "no struct page of %zu bytes is in two blocks here",
			   sizeof(struct page));
	kunit_info(test, "%lu struct pages are in two blocks\n", n);
}

static void struct_page_of_no_memory_is_not_found(struct kunit *test)
{
	need_answer(test);
	KUNIT_EXPECT_NULL(test, realmode_pfn_to_page(PHYS_PFN(BIT(50))));
}

static void struct_page_is_not_looked_for_in_a_changing_list(struct kunit *test)
{
#ifdef CONFIG_SPARSEMEM_VMEMMAP
	struct page *page = test_alloc_pages(test, 0);
	unsigned long pfn = page_to_pfn(page);

	if (radix_enabled())
		kunit_skip(test, "the list of blocks is for the hash MMU");
	preempt_disable();
	raw_write_seqcount_begin(&vmemmap_list_seq);
	KUNIT_EXPECT_NULL(test, realmode_pfn_to_page(pfn));
	raw_write_seqcount_end(&vmemmap_list_seq);
	preempt_enable();
	if (!is_in_two_blocks(page))
		KUNIT_EXPECT_NOT_NULL(test, realmode_pfn_to_page(pfn));
#else
	kunit_skip(test, "needs CONFIG_SPARSEMEM_VMEMMAP");
#endif
}

static unsigned long drop_page(void *page)
{
	return put_page_unless_one(page);
}

/* Drops references on a page by @alias, which is another address of it. */
static void expect_drops(struct kunit *test, struct page *page,
			 struct page *alias, mm_iommu_kunit_call call)
{
	KUNIT_ASSERT_EQ(test, page_ref_count(page), 1);
	KUNIT_EXPECT_FALSE(test, call(drop_page, alias));
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 1);

	page_ref_add(page, 2);
	KUNIT_EXPECT_TRUE(test, call(drop_page, alias));
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 2);
	KUNIT_EXPECT_TRUE(test, call(drop_page, alias));
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 1);
	KUNIT_EXPECT_FALSE(test, call(drop_page, alias));
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 1);
}

static void expect_tail_stays(struct kunit *test, struct page *head,
			      struct page *alias, mm_iommu_kunit_call call)
{
	page_ref_add(head, 5);
	KUNIT_EXPECT_FALSE(test, call(drop_page, alias));
	KUNIT_EXPECT_EQ(test, page_ref_count(head), 6);
	KUNIT_EXPECT_EQ(test, page_ref_count(head + 1), 0);
	page_ref_sub(head, 5);
}

static void last_reference_is_not_dropped(struct kunit *test)
{
	struct page *page = test_alloc_pages(test, 0);
	struct page *head = test_alloc_pages(test, 2);

	expect_drops(test, page, page, mm_iommu_kunit_virtual_mode);
	expect_drops(test, head, head, mm_iommu_kunit_virtual_mode);
	expect_tail_stays(test, head, head + 1, mm_iommu_kunit_virtual_mode);
}

static struct page *alias_of(struct kunit *test, struct page *page)
{
	struct page *alias = realmode_pfn_to_page(page_to_pfn(page));

	if (!alias && is_in_two_blocks(page))
		kunit_skip(test, "of all pages it got one in two blocks");
	KUNIT_ASSERT_NOT_NULL(test, alias);
	return alias;
}

static void last_reference_is_not_dropped_with_the_mmu_off(struct kunit *test)
{
	struct page *page = test_alloc_pages(test, 0);
	struct page *head = test_alloc_pages(test, 2);

	need_answer(test);
	mm_iommu_kunit_need_real_mode(test);
	expect_drops(test, page, alias_of(test, page),
		     mm_iommu_kunit_real_mode);
	expect_drops(test, head, alias_of(test, head),
		     mm_iommu_kunit_real_mode);
	expect_tail_stays(test, head, alias_of(test, head + 1),
			  mm_iommu_kunit_real_mode);
}

static struct kunit_case mm_iommu_realmode_cases[] = {
	KUNIT_CASE(the_mmu_goes_off),
	KUNIT_CASE_PARAM(lookup_is_the_same_with_the_mmu_off,
			 layout_gen_params),
	KUNIT_CASE(lookup_of_nothing_is_the_same_with_the_mmu_off),
	KUNIT_CASE(real_mode_does_not_wait_for_a_writer),
	KUNIT_CASE(struct_pages_are_found),
	KUNIT_CASE(struct_pages_are_found_with_the_mmu_off),
	KUNIT_CASE(struct_page_in_two_blocks_is_not_found),
	KUNIT_CASE(struct_page_of_no_memory_is_not_found),
	KUNIT_CASE(struct_page_is_not_looked_for_in_a_changing_list),
	KUNIT_CASE(last_reference_is_not_dropped),
	KUNIT_CASE(last_reference_is_not_dropped_with_the_mmu_off),
	{ }
};

static struct kunit_suite mm_iommu_realmode_suite = {
	.name = "mm_iommu_realmode",
	.test_cases = mm_iommu_realmode_cases,
};

kunit_test_suite(mm_iommu_realmode_suite);
