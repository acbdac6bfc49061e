// SPDX-License-Identifier: GPL-2.0
/*
 * Benchmark of the lookup of a region: the index in use, and possible
 * alternatives. To be run under a tool that counts the instructions in
 * bench_insert() and bench_find() (see bench.sh).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../test.h"
#include "../../../../arch/powerpc/mm/mm_iommu.h"
#include "bench.h"

#define BENCH_PAGES	2UL	/* per region, and between two regions */

static unsigned long region_ua(unsigned long i)
{
	return BIT(40) + ((2 * i * BENCH_PAGES) << PAGE_SHIFT);
}

static struct mm_iommu *reg;
static struct mm_iommu_slot *slot;

static void registry_init(void)
{
	reg = mm_iommu_index_alloc(NULL, 8);
	slot = &reg->slots[0];
}

/* -- candidates ---------------------------------------------------------- */

struct candidate {
	const char *name;
	void (*insert)(struct mm_iommu_region *region);
	void *(*find)(unsigned long ua);
};

static void none_insert(struct mm_iommu_region *region)
{
}

/* The loop and the call, which are common to all candidates. */
static void *none_find(unsigned long ua)
{
	return (void *)ua;
}

static void rbtree_insert(struct mm_iommu_region *region)
{
	mutex_lock(&reg->lock);
	mm_iommu_index_insert(reg, region);
	mutex_unlock(&reg->lock);
}

static void *rbtree_find(unsigned long ua)
{
	return mm_iommu_index_find(reg, slot, ua);
}

/* All steps of a reader for one address. */
static void *whole_find(unsigned long ua)
{
	struct mm_iommu_region *region;
	struct mm_iommu_slot *held;
	unsigned long flags;
	u64 block;

	held = mm_iommu_read_lock(reg, &flags);
	region = mm_iommu_index_find(reg, held, ua);
	if (region)
		mm_iommu_trans_entry(&region->trans, ua, &block);
	mm_iommu_read_unlock(held, flags);
	return region;
}

static struct mm_iommu_region *regions;
static struct {
	unsigned long ua;
	struct mm_iommu_region *region;
} *array;
static unsigned long array_nr;

static unsigned long array_place(unsigned long ua)
{
	unsigned long low = 0, high = array_nr, mid;

	while (low < high) {
		mid = (low + high) / 2;
		if (array[mid].ua <= ua)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void array_insert(struct mm_iommu_region *region)
{
	/* not a realistic insertion: only the lookup is of interest */
	unsigned long i = region - regions;

	array_nr++;
	array[i].ua = region->trans.ua;
	array[i].region = region;
}

static void *array_find(unsigned long ua)
{
	unsigned long i = array_place(ua);

	if (!i || ua > mm_iommu_last(array[i - 1].region))
		return NULL;
	return array[i - 1].region;
}

static void maple_insert(struct mm_iommu_region *region)
{
	bench_maple_insert(region->trans.ua, mm_iommu_last(region), region);
}

static const struct candidate candidates[] = {
	{ "none", none_insert, none_find },
	{ "rbtree", rbtree_insert, rbtree_find },
	{ "whole", rbtree_insert, whole_find },
	{ "array", array_insert, array_find },
	{ "maple", maple_insert, bench_maple_find },
};

/* -- measurement --------------------------------------------------------- */

void *bench_sink;

noinline void bench_insert(const struct candidate *c,
			   struct mm_iommu_region *region)
{
	c->insert(region);
}

noinline void bench_find(void *(*find)(unsigned long), const unsigned long *ua,
			 unsigned long n)
{
	while (n--)
		bench_sink = find(*ua++);
}

static void build(const struct candidate *c, unsigned long n,
		  struct rng *rng)
{
	unsigned long *order = calloc(n, sizeof(*order)), i, k;

	regions = calloc(n, sizeof(*regions));
	array = calloc(n + 1, sizeof(*array));
	for (i = 0; i < n; i++) {
		k = rng_below(rng, i + 1);
		order[i] = order[k];
		order[k] = i;
	}
	for (i = 0; i < n; i++) {
		struct mm_iommu_trans *trans = &regions[order[i]].trans;
		unsigned long ua = region_ua(order[i]);

		mm_iommu_trans_init(trans, ua, BENCH_PAGES);
		if (mm_iommu_trans_add(trans, ua, BENCH_PAGES) ||
		    mm_iommu_trans_finish(trans))
			exit(1);
		bench_insert(c, &regions[order[i]]);
	}
	free(order);
}

/*
 * The part of a registration that builds the translation, without pinning
 * pages.
 */
noinline void bench_enter(struct mm_iommu_trans *trans, unsigned long bytes,
			  unsigned int shift)
{
	unsigned long ua, end = BIT(40) + bytes;

	mm_iommu_trans_init(trans, BIT(40), bytes >> PAGE_SHIFT);
	/* no two blocks are contiguous */
	for (ua = BIT(40); ua < end; ua += BIT(shift))
		if (mm_iommu_trans_add(trans, 2 * ua, BIT(shift) >> PAGE_SHIFT))
			abort();
}

noinline void bench_finish(struct mm_iommu_trans *trans)
{
	if (mm_iommu_trans_finish(trans))
		exit(1);
}

static int bench_trans(unsigned long gib, unsigned int shift)
{
	struct mm_iommu_trans trans;

	bench_enter(&trans, gib << 30, shift);
	bench_finish(&trans);
	return 0;
}

int main(int argc, char **argv)
{
	const struct candidate *c = candidates;
	unsigned long n, lookups, spread, i, k = 0, *ua, flags;
	struct rng rng;

	if (argc != 5) {
		fprintf(stderr,
			"usage: bench CANDIDATE REGIONS LOOKUPS SPREAD\n"
			"       bench trans GIB SHIFT 0\n"
			"SPREAD: how many of the regions are looked for\n");
		return 2;
	}
	if (!strcmp(argv[1], "trans"))
		return bench_trans(atoi(argv[2]), atoi(argv[3]));
	while (strcmp(c->name, argv[1]))
		c++;
	n = strtoul(argv[2], NULL, 0);
	lookups = strtoul(argv[3], NULL, 0);
	spread = strtoul(argv[4], NULL, 0);

	rng_init(&rng, setting("SEED", 1));
	registry_init();
	build(c, n, &rng);
	ua = calloc(lookups, sizeof(*ua));
	for (i = 0; i < lookups; i++) {
		k = spread > 1 ? rng_below(&rng, spread) : n / 3;
		ua[i] = region_ua(k) + rng_below(&rng, BENCH_PAGES <<
						 PAGE_SHIFT);
	}
	/* the first reader after a writer has more to do */
	slot = mm_iommu_read_lock(reg, &flags);
	mm_iommu_read_unlock(slot, flags);
	bench_find(c->find, ua, lookups);
	return !bench_sink;
}
