// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the translation of a region: mm_iommu_trans.c against a model.
 */
#include <stdio.h>
#include <stdlib.h>

#include "model.h"
#include "kselftest.h"

#define GIB		BIT(30)
#define TIB		BIT(40)

/* Aligned for every node, and far from 0, as the result of mmap() would be. */
#define BASE_UA		0x7ff000000000UL
#define BASE_HPA	0x00c000000000UL

static void trans_build(struct mm_iommu_trans *trans, const struct layout *l,
			unsigned long step)
{
	unsigned long end;

	check(!trans_enter(trans, l, step, &end));
	check(end == l->end);
}

/* Whether a part of it is read-only for devices. */
static bool layout_readonly(const struct layout *l)
{
	unsigned int i;

	for (i = 0; i < l->nr; i++)
		if (l->runs[i].hpa & MODEL_READONLY)
			return true;
	return false;
}

/* Builds and compares a translation. Return: size of the table in bytes. */
static unsigned long check_layout(const struct layout *l, unsigned long step,
				  struct rng *rng)
{
	struct mm_iommu_trans trans;
	unsigned long bytes, i;
	struct pages p;

	pages_init(&p, l);
	trans_build(&trans, l, step);
	trans_check_pages(&trans, &p, p.nr, rng);
	check(!mm_iommu_trans_finish(&trans));
	trans_check_pages(&trans, &p, p.nr, rng);
	trans_check_fill(&trans, &p, rng);
	check(trans.readonly == layout_readonly(l));
	for (i = 0; i < p.nr && p.order[i] != trans.order; i++)
		check(p.order[i] > trans.order);
	check(i < p.nr);
	check(shim_slab.bytes == trans.bytes);
	bytes = shim_slab.bytes;

	mm_iommu_trans_free(&trans);
	check(!shim_slab.objects);
	pages_free(&p);
	return bytes;
}

/* Memory in blocks of 2^@shift, no two of which are contiguous. */
static void layout_blocks(struct layout *l, unsigned long ua,
			  unsigned long bytes, unsigned int shift)
{
	unsigned long end = ua + bytes, size = BIT(shift), len, n = 0;

	layout_init(l, ua);
	for (; ua < end; ua += len, n += 2) {
		len = min(size - (ua & (size - 1)), end - ua);
		layout_add(l, BASE_HPA + n * size + (ua & (size - 1)), len);
	}
}

/*
 * Memory as huge pages of 2^@shift, except for the page at @broken, which is
 * elsewhere.
 */
static void layout_broken(struct layout *l, unsigned long ua,
			  unsigned long bytes, unsigned int shift,
			  unsigned long broken)
{
	unsigned long hpa = BASE_HPA + (ua & (BIT(shift) - 1));

	layout_init(l, ua);
	if (broken > ua)
		layout_add(l, hpa, broken - ua);
	layout_add(l, BASE_HPA / 2, PAGE_SIZE);
	broken += PAGE_SIZE;
	if (broken < ua + bytes)
		layout_add(l, hpa + (broken - ua), ua + bytes - broken);
}

static unsigned long blocks_bytes(unsigned int shift, unsigned long offset,
				  struct rng *rng)
{
	unsigned long bytes;
	struct layout l;

	layout_blocks(&l, BASE_UA + offset, GIB, shift);
	bytes = check_layout(&l, ULONG_MAX, rng);
	check(check_layout(&l, 0, rng) == bytes);
	ksft_print_msg("GiB of 2^%u blocks from offset 0x%lx: %lu bytes\n",
		       shift, offset, bytes);
	layout_free(&l);
	return bytes;
}

static void test_bytes_per_gib(struct rng *rng)
{
	static const unsigned long offsets[] = { 0, SZ_64K, SZ_2M, SZ_512M };
	/* a kernel with 4K pages has sixteen entries per 64K */
	unsigned long pages = 139264UL << (16 - PAGE_SHIFT);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		check(blocks_bytes(PAGE_SHIFT, offsets[i], rng) <= pages);
		check(blocks_bytes(16, offsets[i], rng) <= pages);
		check(blocks_bytes(21, offsets[i], rng) <= 5120);
		check(blocks_bytes(24, offsets[i], rng) <= 5120);
	}
	/* a single block, from its start on or not */
	check(!blocks_bytes(30, 0, rng));
	check(!blocks_bytes(34, SZ_512M, rng));
}

/* A region that is one block needs no table, wherever it is located. */
static void test_one_block(struct rng *rng)
{
	unsigned long bytes;
	struct layout l;
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		bytes = i % 2 ? PAGE_SIZE : (1 + rng_below(rng, 5000)) <<
					    PAGE_SHIFT;
		layout_init(&l, rng_below(rng, BIT(50 - 34)) * 16 * GIB +
				PAGE_SIZE * rng_below(rng, BIT(20)));
		layout_add(&l, l.ua + (rng_below(rng, BIT(16)) * 16 * GIB) %
				      BIT(50), bytes);
		check(!check_layout(&l, PAGE_SIZE, rng) || bytes > PAGE_SIZE);
		layout_free(&l);

		layout_random(&l, rng, rng_below(rng, BIT(50 - PAGE_SHIFT)) <<
			      PAGE_SHIFT, PAGE_SIZE);
		check(!check_layout(&l, ULONG_MAX, rng));
		layout_free(&l);
	}
}

/* A block with a single page missing costs little more than a whole one. */
static void test_broken_page(struct rng *rng)
{
	static const unsigned char shifts[] = { 21, 24, 30 };
	unsigned long size, at, bytes;
	struct layout l;
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(shifts); i++) {
		size = BIT(shifts[i]);
		for (k = 0; k < 5; k++) {
			at = k == 0 ? 0 : k == 1 ? size - PAGE_SIZE :
			     rng_below(rng, size >> PAGE_SHIFT) << PAGE_SHIFT;
			layout_broken(&l, BASE_UA, size, shifts[i],
				      BASE_UA + at);
			bytes = check_layout(&l, k == 4 ? SZ_64K : ULONG_MAX,
					     rng);
			check(bytes <= (SZ_4M >> PAGE_SHIFT) * 8 + 8192);
			layout_free(&l);
		}
	}
}

/* A page within a run is never mistaken for a part of the pages around it. */
static void test_page_elsewhere(struct rng *rng)
{
	struct layout l;
	unsigned int i;

	for (i = 1; i < 40; i++) {
		layout_init(&l, BASE_UA);
		layout_add(&l, BASE_HPA / 2, PAGE_SIZE);
		layout_add(&l, BASE_HPA, i * PAGE_SIZE);
		layout_add(&l, BASE_HPA / 4, PAGE_SIZE);
		layout_add(&l, BASE_HPA + (i + 1) * PAGE_SIZE,
			   (40 - i) * PAGE_SIZE);
		check_layout(&l, ULONG_MAX, rng);
		layout_free(&l);
	}

	/* in the third block of 2M */
	layout_blocks(&l, BASE_UA, SZ_4M, 21);
	layout_add(&l, BASE_HPA / 2, SZ_1M);
	layout_add(&l, BASE_HPA / 4, PAGE_SIZE);
	layout_add(&l, BASE_HPA / 2 + SZ_1M + PAGE_SIZE, SZ_1M - PAGE_SIZE);
	check_layout(&l, 0, rng);
	layout_free(&l);

	/* the smallest block, with no other one of its size */
	layout_init(&l, BASE_UA);
	layout_add(&l, BASE_HPA, SZ_1M);
	layout_add(&l, BASE_HPA / 2 + PAGE_SIZE, PAGE_SIZE);
	layout_add(&l, BASE_HPA / 4 + SZ_1M + PAGE_SIZE, PAGE_SIZE);
	check_layout(&l, 0, rng);
	layout_free(&l);
}

/*
 * Large and contiguous, but nothing larger than a page has the same alignment.
 */
static void test_shifted(struct rng *rng)
{
	unsigned long hpa;
	struct layout l;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		layout_init(&l, BASE_UA + (i & 1) * PAGE_SIZE);
		hpa = BASE_HPA + (i & 2) * SZ_1M + (1 + (i & 4)) * PAGE_SIZE;
		layout_add(&l, hpa, SZ_64M);
		layout_add(&l, BASE_HPA / 2, SZ_16M);
		check_layout(&l, ULONG_MAX, rng);
		layout_free(&l);
	}

	/* same size as the aligned ones before */
	layout_init(&l, BASE_UA);
	for (i = 0; i < 16; i++)
		layout_add(&l, BASE_HPA + i * SZ_4M + (i % 3 / 2) * PAGE_SIZE,
			   SZ_2M);
	check_layout(&l, 0, rng);
	layout_free(&l);
}

static void test_address_zero(struct rng *rng)
{
	struct layout l;

	/* page 0 of the host is memory, an entry of 0 is empty */
	layout_init(&l, BASE_UA + SZ_2M);
	layout_add(&l, 0, SZ_2M);
	layout_add(&l, PAGE_SIZE, PAGE_SIZE);
	layout_add(&l, 0, PAGE_SIZE);
	layout_add(&l, 2 * PAGE_SIZE, PAGE_SIZE);
	check_layout(&l, PAGE_SIZE, rng);
	layout_free(&l);

	layout_init(&l, 0);
	layout_add(&l, 0, SZ_1G);
	check(!check_layout(&l, ULONG_MAX, rng));
	layout_free(&l);
}

/* One block of memory, a part of which is read-only. */
static void test_readonly(struct rng *rng)
{
	static const unsigned long sizes[] = { PAGE_SIZE, SZ_2M, SZ_16M };
	struct layout l;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		layout_init(&l, BASE_UA);
		layout_add(&l, BASE_HPA, SZ_64M);
		layout_add(&l, (BASE_HPA + SZ_64M) | MODEL_READONLY, sizes[i]);
		layout_add(&l, BASE_HPA + SZ_64M + sizes[i], SZ_64M - sizes[i]);
		check_layout(&l, ULONG_MAX, rng);
		layout_free(&l);
	}

	/* all read-only: as small as writable memory */
	layout_init(&l, BASE_UA);
	layout_add(&l, BASE_HPA | MODEL_READONLY, SZ_1G);
	check(!check_layout(&l, ULONG_MAX, rng));
	layout_free(&l);
}

/* Adjacent struct page addresses do not imply that memory is contiguous. */
static void test_sections(struct rng *rng)
{
	unsigned long hpa = BASE_HPA + SZ_16M;
	struct layout l;
	unsigned int i;

	/* around the ends of buddy blocks, see shim_page() */
	layout_init(&l, BASE_UA);
	for (i = 0; i < 8; i++, hpa += SZ_64M) {
		check(shim_page(hpa - PAGE_SIZE) + 1 ==
		      shim_page(hpa + SZ_32M));
		layout_add(&l, hpa - PAGE_SIZE, PAGE_SIZE);
		layout_add(&l, hpa + SZ_32M, PAGE_SIZE);
		layout_add(&l, hpa - 2 * PAGE_SIZE, 2 * PAGE_SIZE);
		layout_add(&l, hpa + SZ_32M, 2 * PAGE_SIZE);
		layout_add(&l, hpa - 2 * PAGE_SIZE, 4 * PAGE_SIZE);
	}
	check_layout(&l, 0, rng);
	layout_free(&l);
}

/* IOMMU pages that start inside an entry, or span several entries. */
static void test_fill(struct rng *rng)
{
	struct mm_iommu_trans trans;
	unsigned long i;
	struct layout l;
	struct pages p;

	/* blocks of 2M, and a page */
	layout_init(&l, BASE_UA);
	for (i = 0; i < 16; i++)
		layout_add(&l, (BASE_HPA + i * SZ_2M) |
			       (i & 1 ? MODEL_READONLY : 0), SZ_2M);
	layout_add(&l, BASE_HPA / 2, PAGE_SIZE);
	pages_init(&p, &l);
	trans_build(&trans, &l, ULONG_MAX);
	check(!mm_iommu_trans_finish(&trans));
	for (i = 0; i < 200; i++)
		trans_check_fill(&trans, &p, rng);

	/* marks are not part of the address */
	for (i = 0; i < p.nr; i++)
		trans_mark(&trans, &p, p.ua + (i << PAGE_SHIFT));
	for (i = 0; i < 200; i++)
		trans_check_fill(&trans, &p, rng);
	mm_iommu_trans_free(&trans);
	pages_free(&p);
	layout_free(&l);
}

/* Sizes of all orders, starts of all alignments. */
static void random_layout(struct layout *l, struct rng *rng,
			  unsigned int max_order)
{
	unsigned long ua = rng_below(rng, BIT(50 - PAGE_SHIFT)) << PAGE_SHIFT;
	unsigned long npages = 1 + rng_below(rng,
					     BIT(rng_below(rng, max_order)));

	switch (rng_below(rng, 4)) {
	case 0:
		ua &= ~(BIT(34) - 1);
		break;
	case 1:
		ua &= ~(BIT(30) - 1);
		ua += rng_below(rng, 3) * PAGE_SIZE;
		break;
	case 2:
		ua &= ~(BIT(21) - 1);
		break;
	}
	layout_random(l, rng, ua, npages << PAGE_SHIFT);
}

static unsigned long random_step(struct rng *rng)
{
	switch (rng_below(rng, 5)) {
	case 0:
		return 0;
	case 1:
		return PAGE_SIZE;
	case 2:
		return SZ_64K;
	case 3:
		return (1 + rng_below(rng, 600)) << PAGE_SHIFT;
	default:
		return ULONG_MAX;
	}
}

static void test_random(struct rng *rng)
{
	unsigned long n = steps() / 250;
	struct layout l;

	for (; n; n--) {
		random_layout(&l, rng, 18);
		check_layout(&l, random_step(rng), rng);
		layout_free(&l);
	}
}

static void check_large(struct layout *l, struct rng *rng)
{
	struct mm_iommu_trans trans;

	trans_build(&trans, l, ULONG_MAX);
	trans_check_runs(&trans, l, rng);
	check(!mm_iommu_trans_finish(&trans));
	trans_check_runs(&trans, l, rng);
	ksft_print_msg("%lu GiB of %u runs: %lu bytes\n",
		       (l->end - l->ua) >> 30, l->nr, shim_slab.bytes);
	mm_iommu_trans_free(&trans);
	check(!shim_slab.objects);
	layout_free(l);
}

static void test_large(struct rng *rng)
{
	struct layout l;

	layout_blocks(&l, 0, 4 * TIB, 30);
	check_large(&l, rng);
	layout_blocks(&l, SZ_512M, 4 * TIB, 34);
	check_large(&l, rng);
	layout_broken(&l, SZ_16M, 4 * TIB, 30, 3 * TIB + 5 * PAGE_SIZE);
	check_large(&l, rng);
	layout_random(&l, rng, 0, TIB / 4);
	check_large(&l, rng);
	/* the maximum of a process */
	layout_blocks(&l, PAGE_SIZE, 4096 * TIB - 2 * PAGE_SIZE, 38);
	check_large(&l, rng);
}

/* A node is one page, for any region. */
static void test_large_allocations(struct rng *rng)
{
	struct layout l;

	shim_slab.largest = 0;
	/* too large for one page of 2M entries, but not for two */
	layout_blocks(&l, BASE_UA, 3UL << (PAGE_SHIFT + 17), 21);
	check_large(&l, rng);
	layout_blocks(&l, BASE_UA, 128 * GIB, 21);
	check_large(&l, rng);
	layout_blocks(&l, 0, 4 * TIB, 24);
	check_large(&l, rng);
	layout_blocks(&l, 0, 64 * TIB, 30);
	check_large(&l, rng);
	layout_blocks(&l, PAGE_SIZE, 64 * TIB, 34);
	check_large(&l, rng);
	layout_blocks(&l, PAGE_SIZE, 4096 * TIB - 2 * PAGE_SIZE, 38);
	check_large(&l, rng);
	check(shim_slab.largest <= PAGE_SIZE);
}

/* Sizes of regions, and the nodes on the path to a page, for 4K and 64K. */
static void test_loads(struct rng *rng)
{
	static const struct {
		unsigned long bytes;
		unsigned int loads[2];
	} sizes[] = {
		{ SZ_2M, { 1, 1 } },
		{ SZ_1G, { 2, 2 } },
		{ 16 * GIB, { 3, 2 } },
		{ 512 * GIB, { 3, 3 } },
		{ 128 * TIB, { 4, 3 } },
	};
	struct mm_iommu_trans trans;
	unsigned long loads;
	struct layout l;
	unsigned int i;
	u64 block;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		layout_init(&l, BASE_UA & ~(128 * TIB - 1));
		layout_add(&l, BASE_HPA, PAGE_SIZE);
		layout_add(&l, PAGE_SIZE, sizes[i].bytes - PAGE_SIZE);
		trans_build(&trans, &l, ULONG_MAX);
		check(!mm_iommu_trans_finish(&trans));
		loads = shim_va_calls;
		mm_iommu_trans_entry(&trans, l.ua, &block);
		check(mm_iommu_trans_hpa(block, l.ua) == BASE_HPA);
		loads = shim_va_calls - loads;
		ksft_print_msg("%lu MiB: %lu loads\n", sizes[i].bytes >> 20,
			       loads);
		check(loads <= sizes[i].loads[PAGE_SHIFT > 12]);
		mm_iommu_trans_free(&trans);
		layout_free(&l);
	}
}

/* Runs that do not fit are rejected. */
static void check_overrun(struct mm_iommu_trans *trans)
{
	check(mm_iommu_trans_add(trans, BASE_HPA / 2, 1) == -EINVAL);
	check(mm_iommu_trans_add(trans, BASE_HPA / 2, ULONG_MAX) == -EINVAL);
}

static void test_overrun(struct rng *rng)
{
	struct mm_iommu_trans trans;
	unsigned int shift, extra;
	struct page *pages[8];
	struct layout l;
	struct pages p;

	for (shift = PAGE_SHIFT; shift < 22; shift++) {
		for (extra = 0; extra < 3; extra++) {
			layout_blocks(&l, BASE_UA, SZ_4M + extra * PAGE_SIZE,
				      shift);
			pages_init(&p, &l);
			trans_build(&trans, &l, ULONG_MAX);
			check_overrun(&trans);
			trans_check_pages(&trans, &p, p.nr, rng);
			check(!mm_iommu_trans_finish(&trans));
			check_overrun(&trans);
			trans_check_pages(&trans, &p, p.nr, rng);
			mm_iommu_trans_free(&trans);
			pages_free(&p);
			layout_free(&l);
		}
	}
	/* more pages than are missing */
	for (extra = 0; extra < ARRAY_SIZE(pages); extra++)
		pages[extra] = shim_page(BASE_HPA + extra * SZ_2M);
	mm_iommu_trans_init(&trans, BASE_UA, 5);
	check(mm_iommu_trans_add_pages(&trans, pages, ARRAY_SIZE(pages), 0) ==
	      -EINVAL);
	check(trans.added == 5);
	mm_iommu_trans_free(&trans);

	/* the last run is too long: no part of it is added */
	mm_iommu_trans_init(&trans, BASE_UA, 3);
	check(!mm_iommu_trans_add(&trans, BASE_HPA, 2));
	check(mm_iommu_trans_add(&trans, BASE_HPA, 2) == -EINVAL);
	check(mm_iommu_trans_finish(&trans) == -EFAULT);
	mm_iommu_trans_free(&trans);
}

/* User space chooses the size: no size may cause more than a failure. */
static void test_absurd(struct rng *rng)
{
	unsigned long max = ULONG_MAX >> PAGE_SHIFT;
	struct mm_iommu_trans trans;
	unsigned int i;
	int ret;

	mm_iommu_trans_init(&trans, 0, max);
	check(mm_iommu_trans_add(&trans, PAGE_SIZE, 1) == -EINVAL);
	mm_iommu_trans_free(&trans);

	/* the limit, and one page more */
	for (i = 0; i < 2; i++) {
		mm_iommu_trans_init(&trans, 0, BIT(63 - PAGE_SHIFT) + i);
		check(!mm_iommu_trans_add(&trans, PAGE_SIZE, 1) == !i);
		ret = mm_iommu_trans_add(&trans, 3 * PAGE_SIZE, 1);
		check((ret == -EINVAL) == i);
		mm_iommu_trans_free(&trans);
		check(!shim_slab.objects);
	}

	for (i = 0; i <= 64 - PAGE_SHIFT; i++) {
		unsigned long npages = max >> i ? : 1;

		mm_iommu_trans_init(&trans, 0, npages);
		ret = mm_iommu_trans_add(&trans, PAGE_SIZE, 1);
		check(!ret || ret == -ENOMEM || ret == -EINVAL);
		mm_iommu_trans_free(&trans);
		check(!shim_slab.objects);
	}
}

/* A range from @ua on is translated to its end, or not at all. */
static void check_ends(unsigned long ua, unsigned long bytes, struct rng *rng)
{
	unsigned long hpa = BASE_HPA + (ua & (BIT(34) - 1));
	unsigned long npages = bytes >> PAGE_SHIFT;
	struct mm_iommu_trans trans;
	struct layout l;
	int ret;

	mm_iommu_trans_init(&trans, ua, npages);
	ret = mm_iommu_trans_add(&trans, hpa, 1);
	mm_iommu_trans_free(&trans);
	if (ret) {
		check(ret == -EINVAL);
		check(ua > BIT(63) - bytes);
		check(!shim_slab.objects);
		return;
	}
	check(ua <= BIT(63) - bytes);
	layout_init(&l, ua);
	layout_add(&l, hpa, bytes - PAGE_SIZE);
	layout_add(&l, BASE_HPA / 2, PAGE_SIZE);
	check_layout(&l, ULONG_MAX, rng);
	layout_free(&l);
}

static void test_ends(struct rng *rng)
{
	static const unsigned char shifts[] = { 47, 48, 52, 59, 62, 63, 64 };
	static const unsigned long pages[] = { 2, 3, 5, 16, 33, 512, 513, 700 };
	unsigned long end, i, k, off;

	for (i = 0; i < ARRAY_SIZE(shifts); i++) {
		end = shifts[i] < 64 ? BIT(shifts[i]) : 0;
		for (k = 0; k < ARRAY_SIZE(pages); k++) {
			/* up to the end, across it, and from there on */
			for (off = 0; off <= pages[k]; off += pages[k] / 2)
				check_ends(end - off * PAGE_SIZE,
					   pages[k] * PAGE_SIZE, rng);
		}
	}
	for (k = 0; k < ARRAY_SIZE(pages); k++)
		check_ends(0, pages[k] * PAGE_SIZE, rng);
}

/* Builds @l without the run @skip. */
static int finish_without(const struct layout *l, unsigned int skip)
{
	struct mm_iommu_trans trans;
	unsigned int i;
	int ret;

	mm_iommu_trans_init(&trans, l->ua, (l->end - l->ua) >> PAGE_SHIFT);
	for (i = 0; i < l->nr; i++) {
		if (i == skip)
			continue;
		check(!mm_iommu_trans_add(&trans, l->runs[i].hpa,
					  l->runs[i].len >> PAGE_SHIFT));
	}
	ret = mm_iommu_trans_finish(&trans);
	mm_iommu_trans_free(&trans);
	check(!shim_slab.objects);
	return ret;
}

static void check_unfilled(const struct layout *l)
{
	unsigned int i;

	for (i = 0; i < l->nr; i++)
		check(finish_without(l, i) == -EFAULT);
	check(!finish_without(l, l->nr));
}

static void test_unfilled(struct rng *rng)
{
	struct mm_iommu_trans trans;
	struct layout l;
	unsigned int i;

	/* nothing was added */
	mm_iommu_trans_init(&trans, BASE_UA, 3);
	check(mm_iommu_trans_finish(&trans) == -EFAULT);
	mm_iommu_trans_free(&trans);

	/* host address 0 is memory */
	layout_init(&l, BASE_UA);
	layout_add(&l, 0, PAGE_SIZE);
	layout_add(&l, 0, PAGE_SIZE);
	layout_add(&l, BASE_HPA, PAGE_SIZE);
	check_unfilled(&l);
	layout_free(&l);

	/* full nodes and partial ones */
	layout_blocks(&l, BASE_UA, 64 * SZ_2M, 21);
	check_unfilled(&l);
	layout_free(&l);
	layout_blocks(&l, BASE_UA + PAGE_SIZE, SZ_64M, 24);
	check_unfilled(&l);
	layout_free(&l);
	for (i = 0; i < 3; i++) {
		layout_blocks(&l, BASE_UA + i * PAGE_SIZE,
			      (600 + i) * PAGE_SIZE, PAGE_SHIFT);
		check_unfilled(&l);
		layout_free(&l);
	}
}

/* Marks pages as their translation does. */
static void fill_dirty(struct mm_iommu_trans *trans, struct pages *p,
		       unsigned long page, unsigned long n)
{
	__be64 *out = test_alloc(n, sizeof(*out));
	unsigned long ua = p->ua + (page << PAGE_SHIFT);

	mm_iommu_trans_fill(trans, ua, n, PAGE_SHIFT, MM_IOMMU_DIRTY, out);
	pages_mark_dirty(p, ua, n << PAGE_SHIFT);
	free(out);
}

static void test_dirty(struct rng *rng)
{
	unsigned long n = steps() / 1000, page, npages;
	struct mm_iommu_trans trans;
	struct layout l;
	struct pages p;
	unsigned int k;

	for (; n; n--) {
		random_layout(&l, rng, 15);
		pages_init(&p, &l);
		trans_build(&trans, &l, ULONG_MAX);
		check(!mm_iommu_trans_finish(&trans));
		trans_check_dirty(&trans, &p);
		for (k = 0; k < 8; k++) {
			page = rng_below(rng, p.nr);
			npages = 1 + rng_below(rng, min(64UL, p.nr - page));
			if (k % 2)
				fill_dirty(&trans, &p, page, npages);
			else
				trans_mark(&trans, &p,
					   p.ua + (page << PAGE_SHIFT));
			trans_check_dirty(&trans, &p);
		}
		trans_check_pages(&trans, &p, p.nr, rng);
		trans_check_fill(&trans, &p, rng);
		mm_iommu_trans_free(&trans);
		pages_free(&p);
		layout_free(&l);
	}
}

struct marker {
	pthread_t thread;
	pthread_barrier_t *start;
	struct mm_iommu_trans *trans;
	struct pages pages;	/* with its own marks */
	struct rng rng;
};

/*
 * Marks and translates pages while others mark: all that happens in real mode.
 */
static void *marker_run(void *arg)
{
	struct marker *m = arg;
	unsigned long i, ua;
	unsigned int n;
	u64 block, at;

	pthread_barrier_wait(m->start);
	for (n = 0; n < 400; n++) {
		/* all threads start with the same pages */
		i = n < 16 ? n : rng_below(&m->rng, m->pages.nr);
		ua = m->pages.ua + (i << PAGE_SHIFT);
		mm_iommu_trans_entry(m->trans, ua, &block);
		check(mm_iommu_trans_hpa(block, ua) ==
		      (m->pages.hpa[i] & MM_IOMMU_ADDR));
		if (n >= 16 && n % 32)
			continue;
		trans_mark(m->trans, &m->pages, ua);
		mm_iommu_trans_block(m->trans, ua, &at);
		check(at & MM_IOMMU_DIRTY);
	}
	return NULL;
}

static void marker_start(struct marker *m, struct mm_iommu_trans *trans,
			 const struct layout *l, pthread_barrier_t *start,
			 struct rng *rng)
{
	m->trans = trans;
	m->start = start;
	pages_init(&m->pages, l);
	rng_init(&m->rng, rng_next(rng));
	check(!pthread_create(&m->thread, NULL, marker_run, m));
}

static void check_markers(const struct layout *l, struct rng *rng)
{
	struct mm_iommu_trans trans;
	pthread_barrier_t start;
	struct marker m[4];
	unsigned long k;
	unsigned int i;

	trans_build(&trans, l, ULONG_MAX);
	check(!mm_iommu_trans_finish(&trans));
	pthread_barrier_init(&start, NULL, ARRAY_SIZE(m));
	for (i = 0; i < ARRAY_SIZE(m); i++)
		marker_start(&m[i], &trans, l, &start, rng);

	for (i = 0; i < ARRAY_SIZE(m); i++) {
		check(!pthread_join(m[i].thread, NULL));
		for (k = 0; k < m[0].pages.nr; k++)
			m[0].pages.dirty[k] |= m[i].pages.dirty[k];
		if (i)
			pages_free(&m[i].pages);
	}
	/* no mark is lost, whichever thread set it */
	trans_check_dirty(&trans, &m[0].pages);
	pages_free(&m[0].pages);
	pthread_barrier_destroy(&start);
	mm_iommu_trans_free(&trans);
}

static void test_concurrent_marks(struct rng *rng)
{
	unsigned long n = steps() / 2500;
	struct layout l;

	for (; n; n--) {
		layout_random(&l, rng, BASE_UA - SZ_2M + PAGE_SIZE,
			      256 << PAGE_SHIFT);
		check_markers(&l, rng);
		layout_free(&l);
	}
}

/*
 * One build in which the @nth allocation fails. Return: false if there are
 * fewer.
 */
static bool fail_layout(const struct layout *l, unsigned long nth, bool on,
			struct rng *rng)
{
	struct mm_iommu_trans trans;
	unsigned long end, n;
	struct pages p;
	bool failed;
	int ret;

	pages_init(&p, l);
	shim_slab_fail(nth, on);
	ret = trans_enter(&trans, l, ULONG_MAX, &end);
	n = (end - l->ua) >> PAGE_SHIFT;
	check(ret || n == p.nr);
	if (!ret)
		ret = mm_iommu_trans_finish(&trans);
	check(!ret || ret == -ENOMEM);
	failed = shim_slab.calls >= nth;
	check(!ret == !failed);
	shim_slab_fail(0, false);

	/* pages that were added must be found, so that they can be unpinned */
	trans_check_pages(&trans, &p, n, rng);
	mm_iommu_trans_free(&trans);
	check(!shim_slab.objects);
	pages_free(&p);
	return failed;
}

static void test_fail_nth(struct rng *rng)
{
	unsigned long nth, points = 0;
	struct layout l;
	unsigned int i;

	for (i = 0; i < 32; i++) {
		if (i)
			random_layout(&l, rng, 16);
		else
			layout_broken(&l, BASE_UA, SZ_128M, 30,
				      BASE_UA + SZ_32M);
		for (nth = 1; fail_layout(&l, nth, i & 1, rng); nth++)
			points++;
		layout_free(&l);
	}
	ksft_print_msg("%lu allocations failed in turn\n", points);
	check(points > 24);
}

static const struct test tests[] = {
	{ "bytes per GiB stay in their bounds", test_bytes_per_gib },
	{ "a region that is one block takes nothing", test_one_block },
	{ "a broken page breaks only its block", test_broken_page },
	{ "a page in a run that is elsewhere", test_page_elsewhere },
	{ "contiguous memory that is not aligned alike", test_shifted },
	{ "host address 0 is an address", test_address_zero },
	{ "memory that may only be read", test_readonly },
	{ "pages on both sides of the end of a buddy block", test_sections },
	{ "IOMMU pages of all sizes", test_fill },
	{ "random regions translate as the model", test_random },
	{ "regions of many TiB", test_large },
	{ "no allocation of a table is large", test_large_allocations },
	{ "a translation takes three loads", test_loads },
	{ "absurd sizes fail cleanly", test_absurd },
	{ "ends of ranges are exact, or refused", test_ends },
	{ "what was never filled is no translation", test_unfilled },
	{ "no run gets in beyond the end", test_overrun },
	{ "dirty marks are kept, and only where written", test_dirty },
	{ "concurrent marks are kept", test_concurrent_marks, true },
	{ "every allocation failed in turn", test_fail_nth },
};

int main(void)
{
	return test_main(tests, ARRAY_SIZE(tests));
}
