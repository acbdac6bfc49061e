// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of mm_iommu_index.c: the index of regions, by address and by id,
 * against arrays and under threads, and the lock of its readers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"
#include "kselftest.h"
#include "../../../arch/powerpc/mm/mm_iommu.h"

static struct mm_iommu *registry_alloc(unsigned int cpus)
{
	struct mm_iommu *reg;

	shim_cpu = 0;
	reg = mm_iommu_index_alloc(NULL, cpus);
	check(reg);
	/* one per CPU, up to a limit */
	check(is_power_of_2(reg->slot_mask + 1));
	check(reg->slot_mask + 1 >= min(cpus, 64U));
	/* each on its own cache lines, in no more than two pages of 4K */
	check(!((unsigned long)reg->slots % 128) && sizeof(*reg->slots) == 128);
	check((reg->slot_mask + 1) * sizeof(*reg->slots) <= SZ_8K);
	return reg;
}

static struct mm_iommu_region *region_alloc(unsigned long ua,
					    unsigned long npages)
{
	struct mm_iommu_region *region = kzalloc_obj(*region);

	check(region);
	region->trans.ua = ua;
	region->trans.npages = npages;
	atomic_long_set(&region->mapped, 1);
	return region;
}

static void insert(struct mm_iommu *reg, struct mm_iommu_region *region)
{
	mutex_lock(&reg->lock);
	mm_iommu_index_insert(reg, region);
	mutex_unlock(&reg->lock);
}

/* Frees it immediately: no access may follow, whatever the hints contain. */
static void erase(struct mm_iommu *reg, struct mm_iommu_region *region)
{
	mutex_lock(&reg->lock);
	mm_iommu_index_erase(reg, region);
	mutex_unlock(&reg->lock);
	kfree(region);
}

static int id_alloc(struct mm_iommu *reg, struct mm_iommu_region *region)
{
	int ret;

	mutex_lock(&reg->lock);
	ret = mm_iommu_id_alloc(reg, region);
	mutex_unlock(&reg->lock);
	return ret;
}

static void id_free(struct mm_iommu *reg, struct mm_iommu_region *region)
{
	mutex_lock(&reg->lock);
	mm_iommu_id_free(reg, region);
	mutex_unlock(&reg->lock);
}

static u64 id_cookie(u64 id)
{
	return FIELD_PREP(MM_IOMMU_COOKIE_ID, id);
}

static unsigned int id_of(const struct mm_iommu_region *region)
{
	return FIELD_GET(MM_IOMMU_COOKIE_ID,
			 mm_iommu_cookie(region, region->trans.ua, false));
}

static struct mm_iommu_region *find(struct mm_iommu *reg, unsigned long ua)
{
	struct mm_iommu_region *region;
	struct mm_iommu_slot *slot;
	unsigned long flags;

	slot = mm_iommu_read_lock(reg, &flags);
	region = mm_iommu_index_find(reg, slot, ua);
	mm_iommu_read_unlock(slot, flags);
	return region;
}

/* As if a reader had been in each of the first slots. */
static void use_slots(struct mm_iommu *reg, unsigned int nr)
{
	unsigned int cpu = shim_cpu;
	struct mm_iommu_slot *slot;
	unsigned long flags;

	for (shim_cpu = 0; shim_cpu < nr; shim_cpu++) {
		slot = mm_iommu_read_lock(reg, &flags);
		mm_iommu_read_unlock(slot, flags);
	}
	shim_cpu = cpu;
}

static struct mm_iommu_region *highest(struct mm_iommu *reg, unsigned long ua,
				       unsigned long last)
{
	struct mm_iommu_region *region;

	mutex_lock(&reg->lock);
	region = mm_iommu_index_overlap(reg, ua, last);
	mutex_unlock(&reg->lock);
	return region;
}

/* -- against a sorted array ---------------------------------------------- */

#define ARENA_PAGES	4096	/* few, so that regions touch and collide */

struct model {
	struct mm_iommu *reg;
	struct mm_iommu_region **regions;	/* by address */
	unsigned int nr;
	unsigned int max;
	unsigned long base;
};

/* Index of the first region that does not end before @ua. */
static unsigned int model_place(const struct model *m, unsigned long ua)
{
	unsigned int low = 0, high = m->nr, mid;

	while (low < high) {
		mid = (low + high) / 2;
		if (mm_iommu_last(m->regions[mid]) < ua)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct mm_iommu_region *model_highest(const struct model *m,
					     unsigned long ua,
					     unsigned long last)
{
	unsigned int i = model_place(m, last);

	if (i == m->nr || m->regions[i]->trans.ua > last)
		i--;
	/* i may be -1 */
	return i < m->nr && mm_iommu_last(m->regions[i]) >= ua ?
	       m->regions[i] : NULL;
}

static void model_insert(struct model *m, struct mm_iommu_region *region)
{
	unsigned int i = model_place(m, region->trans.ua);

	check(m->nr < m->max);
	memmove(m->regions + i + 1, m->regions + i,
		(m->nr++ - i) * sizeof(*m->regions));
	m->regions[i] = region;
	insert(m->reg, region);
}

static struct mm_iommu_region *model_take(struct model *m, unsigned int i)
{
	struct mm_iommu_region *region = m->regions[i];

	memmove(m->regions + i, m->regions + i + 1,
		(--m->nr - i) * sizeof(*m->regions));
	return region;
}

static void model_erase(struct model *m, unsigned int i)
{
	erase(m->reg, model_take(m, i));
}

static void model_init(struct model *m, unsigned int cpus, unsigned int max,
		       unsigned long base)
{
	m->reg = registry_alloc(cpus);
	m->regions = test_alloc(max, sizeof(*m->regions));
	m->nr = 0;
	m->max = max;
	m->base = base;
}

static void model_exit(struct model *m)
{
	while (m->nr)
		model_erase(m, m->nr - 1);
	check(!m->reg->index.rb_node);
	mm_iommu_index_free(m->reg);
	free(m->regions);
}

static void model_step(struct model *m, struct rng *rng, unsigned int cpus,
		       unsigned int *fill)
{
	unsigned long ua = m->base + (rng_below(rng, ARENA_PAGES) <<
				      PAGE_SHIFT);
	unsigned long npages = 1 + rng_below(rng, rng_below(rng, 64) ? 4 : 128);
	unsigned long last = ua + (npages << PAGE_SHIFT) - 1;
	struct mm_iommu_region *hit = model_highest(m, ua, last);

	check(highest(m->reg, ua, last) == hit);

	/* grow, shrink, and grow again */
	if (!m->nr || !rng_below(rng, 20000))
		*fill = 1 + rng_below(rng, 7);
	if (!hit && rng_below(rng, 8) < *fill)
		model_insert(m, region_alloc(ua, npages));
	else if (hit && rng_below(rng, 8) >= *fill)
		model_erase(m, model_place(m, ua));

	/* hints differ between CPUs, and may point at an erased region */
	shim_cpu = rng_below(rng, cpus);
	if (rng_below(rng, 2))
		ua = m->base + rng_below(rng, ARENA_PAGES << PAGE_SHIFT);
	check(find(m->reg, ua) == model_highest(m, ua, ua));
}

static void test_model(struct rng *rng)
{
	/* one slot, a mask with holes, as many as CPUs, fewer than CPUs */
	static const unsigned int cpus[] = { 1, 3, 64, 100 };
	unsigned long n, most;
	unsigned int i, fill;
	struct model m;

	for (i = 0; i < ARRAY_SIZE(cpus); i++) {
		model_init(&m, cpus[i], 2 * ARENA_PAGES,
			   rng_below(rng, BIT(35)) << PAGE_SHIFT);
		most = 0;
		fill = 4;
		for (n = steps() / ARRAY_SIZE(cpus); n; n--) {
			model_step(&m, rng, cpus[i], &fill);
			most = max(most, m.nr);
		}
		ksft_print_msg("%u CPUs, up to %lu regions\n", cpus[i], most);
		model_exit(&m);
	}
}

/* -- ids ----------------------------------------------------------------- */

#define IDS		(3UL * MM_IOMMU_ID_ENTRIES)

/*
 * The owner of each id up to @limit; the freed ids, in the order of freeing;
 * and the first id that was never allocated. No region is in the index: all are
 * orphans, at the same address or at different ones.
 */
struct ids {
	struct mm_iommu *reg;
	struct mm_iommu_region *owner[IDS + 1];
	unsigned int queue[IDS];
	unsigned int nr_free;
	unsigned int nr_used;
	unsigned int fresh;
	unsigned int limit;
};

/* The id to be allocated next; 0 for none. */
static unsigned int ids_next(const struct ids *m)
{
	bool rest = m->fresh <= m->limit;

	/* allocated nodes are used up first */
	if (rest && (m->fresh % MM_IOMMU_ID_ENTRIES || !m->nr_free))
		return m->fresh;
	return m->nr_free ? m->queue[0] : 0;
}

static void ids_alloc(struct ids *m, struct rng *rng)
{
	unsigned long ua = rng_below(rng, 8) << PAGE_SHIFT, page;
	struct mm_iommu_region *region = region_alloc(ua, 8);
	unsigned int id = ids_next(m);
	int ret = id_alloc(m->reg, region);
	u64 cookie;

	if (!id) {
		check(ret == -ENOSPC);
		kfree(region);
		return;
	}
	check(!ret && id_of(region) == id && !m->owner[id]);
	page = rng_below(rng, 8 * PAGE_SIZE / SZ_4K);
	cookie = mm_iommu_cookie(region, ua + page * SZ_4K, id % 2);
	check(cookie == (id_cookie(id) | page << 1 | id % 2));
	check(mm_iommu_cookie_ua(region, cookie) == ua + page * SZ_4K);

	m->owner[id] = region;
	m->nr_used++;
	if (id == m->fresh)
		m->fresh++;
	else
		memmove(m->queue, m->queue + 1,
			--m->nr_free * sizeof(*m->queue));
}

static void ids_free(struct ids *m, unsigned int id)
{
	id_free(m->reg, m->owner[id]);
	kfree(m->owner[id]);
	m->owner[id] = NULL;
	m->nr_used--;
	m->queue[m->nr_free++] = id;
}

/*
 * A lookup by any page of a region finds it, with one load per level of the
 * table.
 */
static void ids_check(const struct ids *m, unsigned int id, struct rng *rng)
{
	u64 cookie = id_cookie(id) | (rng_next(rng) & MM_IOMMU_COOKIE_PAGE) |
		     rng_below(rng, 2);
	unsigned long loads = shim_loads;

	check(mm_iommu_id_find(m->reg, cookie) == m->owner[id]);
	check(shim_loads - loads <= 3);
}

static void ids_run(struct ids *m, struct rng *rng, unsigned int limit)
{
	unsigned long n, none = 0;
	unsigned int id, fill = 4;

	memset(m, 0, sizeof(*m));
	m->reg = registry_alloc(4);
	check(m->reg->ids.limit == MM_IOMMU_MAX_ID);
	m->reg->ids.limit = limit;
	m->limit = limit;
	m->fresh = 1;
	for (n = steps() / 5; n; n--) {
		if (!rng_below(rng, 4000))
			fill = 1 + rng_below(rng, 7);
		id = 1 + rng_below(rng, limit);
		if (rng_below(rng, 8) < fill) {
			none += !ids_next(m);
			ids_alloc(m, rng);
		} else if (m->owner[id]) {
			ids_free(m, id);
		}
		ids_check(m, rng_below(rng, limit + 1), rng);
	}
	ksft_print_msg("%u ids, %u of them used, %lu times none was left\n",
		       limit, m->fresh - 1, none);
	check(none && m->fresh > m->limit);
	for (id = 0; id <= limit; id++) {
		ids_check(m, id, rng);
		if (m->owner[id])
			ids_free(m, id);
	}
	check(!m->nr_used && m->nr_free == limit);
	mm_iommu_index_free(m->reg);
}

static void test_ids(struct rng *rng)
{
	/* a part of a node, exactly one, slightly more, all three */
	static const unsigned int limits[] = {
		3, MM_IOMMU_ID_ENTRIES - 1, MM_IOMMU_ID_ENTRIES + 2, IDS - 1,
	};
	struct ids *m = test_alloc(1, sizeof(*m));
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(limits); i++)
		ids_run(m, rng, limits[i]);
	free(m);
}

/* The highest ids, and the ids at the edges of all nodes. */
static void test_last_ids(struct rng *rng)
{
	struct mm_iommu_region *region[4];
	struct mm_iommu *reg = registry_alloc(1);
	unsigned int i;

	check(FIELD_MAX(MM_IOMMU_COOKIE_ID) == MM_IOMMU_MAX_ID);
	check(!mm_iommu_id_find(reg, id_cookie(MM_IOMMU_MAX_ID)));
	reg->ids.fresh = MM_IOMMU_MAX_ID - 2;
	for (i = 0; i < ARRAY_SIZE(region); i++) {
		region[i] = region_alloc(BIT(40), 1);
		check(id_alloc(reg, region[i]) == (i < 3 ? 0 : -ENOSPC));
		if (i < 3)
			check(id_of(region[i]) == MM_IOMMU_MAX_ID - 2 + i);
	}
	check(mm_iommu_id_find(reg, ~0ULL) == region[2]);
	/* no id is found in a node that does not exist */
	check(!mm_iommu_id_find(reg, 0));
	check(!mm_iommu_id_find(reg, id_cookie(BIT(18))));
	for (i = 0; i < 3; i++)
		id_free(reg, region[i]);
	check(!mm_iommu_id_find(reg, ~0ULL));
	for (i = 0; i < ARRAY_SIZE(region); i++)
		kfree(region[i]);
	mm_iommu_index_free(reg);
}

/* Of 100,000 orphans, each is found at the same cost as the first. */
static void test_many_ids(struct rng *rng)
{
	const unsigned long many = 100000;
	struct mm_iommu_region **region = test_alloc(many, sizeof(*region));
	struct mm_iommu *reg = registry_alloc(1);
	unsigned long i, k, loads;

	for (i = 0; i < many; i++) {
		region[i] = region_alloc(BIT(40), 1);
		check(!id_alloc(reg, region[i]));
	}
	check(!find(reg, BIT(40)));
	for (i = many; i; i--) {
		k = rng_below(rng, i);
		loads = shim_loads;
		check(mm_iommu_id_find(reg, mm_iommu_cookie(region[k], BIT(40),
							    true)) ==
		      region[k]);
		check(shim_loads - loads == 3);
		id_free(reg, region[k]);
		kfree(region[k]);
		region[k] = region[i - 1];
	}
	mm_iommu_index_free(reg);
	free(region);
}

/* -- many ---------------------------------------------------------------- */

#define MANY	100000UL

static unsigned long many_ua(unsigned long i)
{
	/* two pages, then a gap of two */
	return BIT(40) + (i << (PAGE_SHIFT + 2));
}

static unsigned int depth(const struct rb_node *node)
{
	return node ? 1 + max(depth(node->rb_left), depth(node->rb_right)) : 0;
}

static void many_insert(struct mm_iommu *reg, struct rng *rng,
			struct mm_iommu_region **regions, bool shuffled)
{
	unsigned long i, k, *order = test_alloc(MANY, sizeof(*order));

	for (i = 0; i < MANY; i++) {
		k = shuffled ? rng_below(rng, i + 1) : i;
		order[i] = order[k];
		order[k] = i;
	}
	for (i = 0; i < MANY; i++) {
		k = order[i];
		check(!highest(reg, many_ua(k),
			       many_ua(k) + 2 * PAGE_SIZE - 1));
		regions[k] = region_alloc(many_ua(k), 2);
		insert(reg, regions[k]);
	}
	free(order);
}

static void many_check(struct mm_iommu *reg, struct mm_iommu_region **regions)
{
	struct mm_iommu_region *below = NULL;
	unsigned long i, ua;

	for (i = 0; i < MANY; i++) {
		ua = many_ua(i);
		if (regions[i])
			below = regions[i];
		check(find(reg, ua) == regions[i]);
		check(find(reg, ua + 2 * PAGE_SIZE - 1) == regions[i]);
		check(!find(reg, ua - 1) && !find(reg, ua + 2 * PAGE_SIZE));
		check(highest(reg, 0, ua) == below);
		check(highest(reg, ua - PAGE_SIZE, ua) == regions[i]);
		check(!highest(reg, ua - PAGE_SIZE, ua - 1));
	}
}

static void check_many(struct rng *rng, bool shuffled)
{
	struct mm_iommu_region **regions = test_alloc(MANY, sizeof(*regions));
	struct mm_iommu *reg = registry_alloc(4);
	unsigned long i;

	many_insert(reg, rng, regions, shuffled);
	/* the height bound of red-black trees */
	check(depth(reg->index.rb_node) <= 2 * (ilog2(MANY + 1) + 1));
	ksft_print_msg("%lu regions, %s: at most %u comparisons\n", MANY,
		       shuffled ? "shuffled" : "ascending",
		       depth(reg->index.rb_node));
	many_check(reg, regions);

	for (i = 0; i < MANY; i++) {
		if (!rng_below(rng, 2))
			continue;
		erase(reg, regions[i]);
		regions[i] = NULL;
	}
	many_check(reg, regions);

	for (i = 0; i < MANY; i++)
		if (regions[i])
			erase(reg, regions[i]);
	check(!reg->index.rb_node);
	mm_iommu_index_free(reg);
	free(regions);
}

static void test_many(struct rng *rng)
{
	check_many(rng, false);
	check_many(rng, true);
}

/* -- hints --------------------------------------------------------------- */

static void test_hint(struct rng *rng)
{
	struct mm_iommu_region *a = region_alloc(SZ_1M, 1);
	struct mm_iommu_region *b = region_alloc(SZ_1M + PAGE_SIZE, 1);
	struct mm_iommu *reg = registry_alloc(4);
	unsigned int i;

	insert(reg, a);
	insert(reg, b);
	for (i = 0; i < 4; i++) {
		shim_cpu = i;
		check(!reg->slots[i].hint && reg->used == BIT(i) - 1);
		check(find(reg, SZ_1M) == a);
		check(reg->slots[i].hint == a);
	}

	/* a hint must not be returned for the neighbour, nor for a gap */
	check(find(reg, SZ_1M + PAGE_SIZE) == b);
	check(reg->slots[3].hint == b);
	check(!find(reg, SZ_1M - 1));
	check(reg->slots[3].hint == b);

	erase(reg, a);
	for (i = 0; i < 4; i++) {
		shim_cpu = i;
		check(!reg->slots[i].hint && reg->used == BIT(i) - 1);
		check(!find(reg, SZ_1M));
		check(reg->slots[i].hint);
	}

	/* an orphan is in no hint, and not found by its address */
	shim_cpu = 0;
	check(!id_alloc(reg, b));
	check(find(reg, SZ_1M + PAGE_SIZE) == b);
	mutex_lock(&reg->lock);
	mm_iommu_index_erase(reg, b);
	mutex_unlock(&reg->lock);
	for (i = 0; i < 4; i++) {
		shim_cpu = i;
		check(!reg->slots[i].hint);
		check(!find(reg, SZ_1M + PAGE_SIZE));
	}
	a = region_alloc(SZ_1M + PAGE_SIZE, 1);
	check(!id_alloc(reg, a));
	insert(reg, a);
	check(find(reg, SZ_1M + PAGE_SIZE) == a);
	check(mm_iommu_id_find(reg, id_cookie(id_of(a))) == a);
	check(mm_iommu_id_find(reg, id_cookie(id_of(b))) == b);
	id_free(reg, b);
	kfree(b);
	check(find(reg, SZ_1M + PAGE_SIZE) == a);
	id_free(reg, a);
	erase(reg, a);
	mm_iommu_index_free(reg);
}

static void test_edges(struct rng *rng)
{
	unsigned long top = 0UL - PAGE_SIZE;
	struct mm_iommu_region *low, *high;
	struct mm_iommu *reg;

	reg = registry_alloc(2);
	check(!find(reg, 0) && !find(reg, ULONG_MAX));
	check(!highest(reg, 0, ULONG_MAX));

	low = region_alloc(0, 1);
	high = region_alloc(top, 1);
	insert(reg, high);
	insert(reg, low);
	check(find(reg, 0) == low && find(reg, PAGE_SIZE - 1) == low);
	check(!find(reg, PAGE_SIZE) && !find(reg, top - 1));
	check(find(reg, top) == high && find(reg, ULONG_MAX) == high);
	check(highest(reg, 0, ULONG_MAX) == high);
	check(highest(reg, 0, top - 1) == low);
	check(!highest(reg, PAGE_SIZE, top - 1));
	erase(reg, low);
	erase(reg, high);
	mm_iommu_index_free(reg);
}

static void test_alloc_fails(struct rng *rng)
{
	struct mm_iommu_region *region;
	struct mm_iommu *reg;
	unsigned int i;

	shim_slab_fail(1, false);
	check(!mm_iommu_index_alloc(NULL, 1));
	check(!shim_slab.objects);

	/* the allocation of each node above an id fails */
	reg = registry_alloc(1);
	region = region_alloc(0, 1);
	for (i = 1; i <= 2; i++) {
		shim_slab_fail(i, false);
		check(id_alloc(reg, region) == -ENOMEM);
		check(reg->ids.fresh == 1);
		mm_iommu_index_free(reg);
		reg = registry_alloc(1);
	}
	shim_slab_fail(3, false);
	check(!id_alloc(reg, region));
	shim_slab_fail(0, false);
	mm_iommu_index_free(reg);
	kfree(region);
}

/* -- threads ------------------------------------------------------------- */

#define ARENA_SLOTS	64
#define SLOT_PAGES	8
#define ARENA_UA	BIT(44)

/* Current location of the regions; readers get it from the region. */
struct shared {
	struct mm_struct mm;
	struct mm_iommu *reg;
	struct mm_iommu_region *regions[ARENA_SLOTS];	/* of the writers */
	unsigned long busy;	/* actors that are not done yet */
};

struct actor {
	pthread_t thread;
	struct shared *shared;
	unsigned long steps;
	unsigned int cpu;
	unsigned int from, to;	/* slots of a writer */
	struct rng rng;
	unsigned long hits;	/* successful lookups, insertions */
	unsigned long refs;	/* references taken, erasures refused */
	unsigned long holds;	/* pages held in sections */
	unsigned long reaps;	/* orphans that were unpinned */
};

/* Whether to continue: until all actors are done. */
static bool actor_step(struct actor *a)
{
	/* there may be few real CPUs: yield while no lock is held */
	if (!(++a->steps % 16))
		sched_yield();
	if (a->steps == steps() / 20)
		__atomic_sub_fetch(&a->shared->busy, 1, __ATOMIC_RELAXED);
	return __atomic_load_n(&a->shared->busy, __ATOMIC_RELAXED);
}

/* All pages of a region are at the same offset from their user addresses. */
static struct mm_iommu_region *thread_region(struct rng *rng, unsigned int i)
{
	unsigned long offset = rng_below(rng, SLOT_PAGES);
	unsigned long npages = 1 + rng_below(rng, SLOT_PAGES - offset);
	unsigned long ua = ARENA_UA + ((i * SLOT_PAGES + offset) <<
				       PAGE_SHIFT);
	struct mm_iommu_region *region = region_alloc(ua, npages);

	mm_iommu_trans_init(&region->trans, ua, npages);
	check(!mm_iommu_trans_add(&region->trans, ua / 2 + PAGE_SIZE / 2 *
				  (ua >> PAGE_SHIFT & 1), npages));
	check(!mm_iommu_trans_finish(&region->trans));
	return region;
}

static void check_region(struct mm_iommu_region *region, unsigned long ua)
{
	unsigned long start = region->trans.ua, hpa;
	u64 block;

	check(mm_iommu_has(region, ua));
	hpa = start / 2 + PAGE_SIZE / 2 * (start >> PAGE_SHIFT & 1);
	mm_iommu_trans_entry(&region->trans, ua, &block);
	check(mm_iommu_trans_hpa(block, ua) == hpa + (ua - start));
}

static bool tryget_mapped(struct mm_iommu_region *region)
{
	long old = atomic_long_read(&region->mapped);

	do {
		if (!old)
			return false;
	} while (!atomic_long_try_cmpxchg(&region->mapped, &old, old + 1));
	return true;
}

/* Every other reader is in real mode: it must not wait, and retries. */
static struct mm_iommu_slot *reader_lock(struct actor *a, unsigned long *flags)
{
	struct mm_iommu *reg = a->shared->reg;
	struct mm_iommu_slot *slot;

	if (rng_below(&a->rng, 2))
		return mm_iommu_read_lock(reg, flags);

	for (;;) {
		local_irq_save(*flags);
		slot = mm_iommu_read_trylock(reg);
		if (slot)
			return slot;
		local_irq_restore(*flags);
		sched_yield();
	}
}

static void reader_unlock(struct actor *a, struct mm_iommu_slot *slot,
			  unsigned long flags)
{
	if (rng_below(&a->rng, 2)) {
		mm_iommu_read_unlock(slot, flags);
		return;
	}
	__mm_iommu_read_unlock(slot);
	local_irq_restore(flags);
}

/*
 * Whether a section was entered. It is not while a writer changes the index, or
 * may be freeing regions.
 */
static bool section_enter(struct actor *a, struct mm_iommu_section *s,
			  unsigned long *flags)
{
	int ret;

	local_irq_save(*flags);
	ret = mm_iommu_section_enter(&a->shared->mm, s);
	if (!ret)
		return true;
	check(ret == -EAGAIN);
	local_irq_restore(*flags);
	return false;
}

/*
 * Held pages are found without a lock, regardless of regions that were added or
 * removed. When they are dropped in a section, the region stays: memory must be
 * valid while a TCE is killed after the drop.
 */
static void section_drop(struct actor *a, struct mm_iommu_region *region,
			 u64 cookie, unsigned long npages)
{
	unsigned long ua = mm_iommu_cookie_ua(region, cookie), flags, i;
	struct mm_iommu_section s;

	check(mm_iommu_id_find(a->shared->reg, cookie) == region);
	check_region(region, ua);
	if (!section_enter(a, &s, &flags)) {
		mm_iommu_region_drop(region, npages);
		return;
	}
	mm_iommu_section_drop(&s, cookie, npages);
	/* time for a reaper that does not wait for this section */
	for (i = rng_below(&a->rng, 16); i; i--)
		sched_yield();
	check_region(region, ua);
	mm_iommu_section_exit(&s);
	local_irq_restore(flags);
}

static void section_step(struct actor *a, unsigned long ua)
{
	unsigned long n = 1 + rng_below(&a->rng, SLOT_PAGES);
	struct mm_iommu_region *region;
	struct mm_iommu_section s;
	__be64 out[SLOT_PAGES];
	struct mm_iommu_run run = {
		.npages = n, .shift = PAGE_SHIFT, .out = out,
		.write = rng_below(&a->rng, 2),
	};
	unsigned long flags, i;
	u64 cookie, block;

	ua &= ~(PAGE_SIZE - 1);
	if (!section_enter(a, &s, &flags))
		return;
	run.ua = ua;
	if (mm_iommu_section_find(&s, &run) ||
	    !mm_iommu_section_get(&s, run.cookie, n)) {
		mm_iommu_section_exit(&s);
		local_irq_restore(flags);
		return;
	}
	cookie = run.cookie;
	region = mm_iommu_id_find(s.reg, cookie);
	check(region && mm_iommu_cookie_ua(region, cookie) == ua);
	check_region(region, ua);
	mm_iommu_trans_entry(&region->trans, ua, &block);
	for (i = 0; i < n; i++)
		check(be64_to_cpu(out[i]) ==
		      mm_iommu_trans_hpa(block, ua) + (i << PAGE_SHIFT));
	mm_iommu_section_exit(&s);
	local_irq_restore(flags);

	a->holds += n;
	for (i = rng_below(&a->rng, 4); i; i--)
		sched_yield();
	section_drop(a, region, cookie, n);
}

static void *reader_run(void *arg)
{
	struct actor *a = arg;
	struct mm_iommu *reg = a->shared->reg;
	struct mm_iommu_region *region;
	struct mm_iommu_slot *slot;
	unsigned long flags, ua;
	u64 *entry, block;
	bool held;

	shim_cpu = a->cpu;
	while (actor_step(a)) {
		ua = ARENA_UA + rng_below(&a->rng, (ARENA_SLOTS * SLOT_PAGES) <<
					  PAGE_SHIFT);
		if (!rng_below(&a->rng, 3)) {
			section_step(a, ua);
			continue;
		}
		held = false;
		slot = reader_lock(a, &flags);
		region = mm_iommu_index_find(reg, slot, ua);
		if (region) {
			check_region(region, ua);
			held = !rng_below(&a->rng, 4) && tryget_mapped(region);
			entry = mm_iommu_trans_entry(&region->trans, ua,
						     &block);
			mm_iommu_trans_mark(entry, block,
					    held ? MM_IOMMU_DIRTY : 0);
			a->hits++;
		}
		reader_unlock(a, slot, flags);
		if (!held)
			continue;

		/* still valid: mapped regions are not closed */
		if (!(a->refs % 8))
			sched_yield();
		check_region(region, ua);
		mm_iommu_region_drop(region, 1);
		a->refs++;
	}
	return NULL;
}

static bool writer_close(struct mm_iommu_region *region)
{
	long one = 1;

	return atomic_long_try_cmpxchg(&region->mapped, &one, 0);
}

/* Frees it immediately, without any grace period. */
static void writer_free(struct mm_iommu_region *region)
{
	mm_iommu_trans_free(&region->trans);
	memset(region, 0xff, sizeof(*region));
	kfree(region);
}

static bool writer_erase(struct mm_iommu *reg, struct mm_iommu_region *region)
{
	if (!writer_close(region))
		return false;

	mutex_lock(&reg->lock);
	mm_iommu_index_erase(reg, region);
	mm_iommu_id_free(reg, region);
	mutex_unlock(&reg->lock);
	writer_free(region);
	return true;
}

/* Mapped or not, it makes way for other regions. */
static void writer_give_up(struct mm_iommu *reg, struct mm_iommu_region *region)
{
	mutex_lock(&reg->lock);
	mm_iommu_index_erase(reg, region);
	mutex_unlock(&reg->lock);
	mm_iommu_region_drop(region, 1);
}

/* Same steps as in mmu_context_iommu.c. */
static unsigned long writer_reap(struct mm_iommu *reg)
{
	struct mm_iommu_region *region, *next;
	unsigned long n = 0;

	if (!READ_ONCE(reg->dead))
		return 0;
	region = xchg(&reg->dead, NULL);
	mm_iommu_index_sync(reg);
	for (; region; region = next, n++) {
		next = region->dead;
		check(!atomic_long_read(&region->mapped));
		id_free(reg, region);
		writer_free(region);
	}
	return n;
}

static void *writer_run(void *arg)
{
	struct actor *a = arg;
	struct mm_iommu *reg = a->shared->reg;
	struct mm_iommu_region **region;
	unsigned int i;

	shim_cpu = a->cpu;
	while (actor_step(a)) {
		i = a->from + rng_below(&a->rng, a->to - a->from);
		region = &a->shared->regions[i];
		if (!*region) {
			*region = thread_region(&a->rng, i);
			(*region)->registry = reg;
			check(!id_alloc(reg, *region));
			insert(reg, *region);
			a->hits++;
		} else if (!rng_below(&a->rng, 4)) {
			writer_give_up(reg, *region);
			*region = NULL;
		} else if (writer_erase(reg, *region)) {
			*region = NULL;
		} else {
			a->refs++;
		}
		if (!rng_below(&a->rng, 4))
			a->reaps += writer_reap(reg);
	}
	return NULL;
}

static void actor_start(struct actor *a, struct shared *shared,
			unsigned int i, unsigned int writers, struct rng *rng)
{
	unsigned int share = ARENA_SLOTS / writers;

	*a = (struct actor){
		.shared = shared,
		.cpu = i,
		.from = i * share,
		.to = (i + 1) * share,
	};
	rng_init(&a->rng, rng_next(rng));
	check(!pthread_create(&a->thread, NULL,
			      i < writers ? writer_run : reader_run, a));
}

static void run_threads(struct rng *rng, unsigned int cpus)
{
	struct actor a[6];
	const unsigned int writers = 2;
	struct shared shared = { .busy = ARRAY_SIZE(a) };
	unsigned long sum[4] = {}, holds = 0, reaps = 0;
	unsigned int i;

	shared.reg = registry_alloc(cpus);
	shared.mm.context.mm_iommu = shared.reg;
	shared.reg->mm = &shared.mm;
	for (i = 0; i < ARRAY_SIZE(a); i++)
		actor_start(&a[i], &shared, i, writers, rng);
	for (i = 0; i < ARRAY_SIZE(a); i++) {
		check(!pthread_join(a[i].thread, NULL));
		sum[i < writers ? 0 : 2] += a[i].hits;
		sum[i < writers ? 1 : 3] += a[i].refs;
		holds += a[i].holds;
		reaps += a[i].reaps;
	}
	ksft_print_msg("%u CPUs: %lu insertions, %lu refusals, %lu lookups, %lu references\n",
		       cpus, sum[0], sum[1], sum[2], sum[3]);
	ksft_print_msg("%lu pages held in sections, %lu regions reaped\n",
		       holds, reaps);
	check(holds && reaps);

	writer_reap(shared.reg);
	for (i = 0; i < ARENA_SLOTS; i++)
		if (shared.regions[i])
			check(writer_erase(shared.reg, shared.regions[i]));
	check(!shared.reg->index.rb_node);
	for (i = 0; i < shared.reg->ids.fresh; i++)
		check(!mm_iommu_id_find(shared.reg, id_cookie(i)));
	mm_iommu_index_free(shared.reg);
}

static void test_threads(struct rng *rng)
{
	/* a slot per thread; two slots shared by all */
	run_threads(rng, 8);
	run_threads(rng, 2);
}

struct waiter {
	struct mm_iommu *reg;
	bool done;
};

static void *waiter_run(void *arg)
{
	struct waiter *w = arg;

	mm_iommu_index_sync(w->reg);
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/*
 * Waits for a reader in any slot, whatever is in the others. All are in use, or
 * only that one.
 */
static void check_sync(bool all)
{
	struct mm_iommu *reg = registry_alloc(8);
	struct waiter w = { .reg = reg };
	struct mm_iommu_slot *slot;
	unsigned long flags, i;
	pthread_t thread;

	for (shim_cpu = 0; shim_cpu < 8; shim_cpu++) {
		w.done = false;
		use_slots(reg, all ? 8 : 0);
		slot = mm_iommu_read_lock(reg, &flags);
		check(!pthread_create(&thread, NULL, waiter_run, &w));
		for (i = 0; i < 1000; i++) {
			sched_yield();
			check(!__atomic_load_n(&w.done, __ATOMIC_ACQUIRE));
		}
		mm_iommu_read_unlock(slot, flags);
		check(!pthread_join(thread, NULL));
		check(w.done);
		/* readers go on as before */
		check(reg->used & BIT(shim_cpu) && slot->hint);
	}
	mm_iommu_index_free(reg);
}

static void test_sync(struct rng *rng)
{
	check_sync(false);
	check_sync(true);
}

/* A reader stays outside while a writer is inside, in use or not. */
static void test_writer_inside(struct rng *rng)
{
	struct mm_iommu *reg = registry_alloc(2);
	struct mm_iommu_slot *slot;
	unsigned long flags;

	local_irq_save(flags);
	arch_spin_lock(&reg->used_lock);
	check(!mm_iommu_read_trylock(reg));
	check(!reg->used && !reg->slots[0].lock.locked);
	arch_spin_unlock(&reg->used_lock);

	slot = mm_iommu_read_trylock(reg);
	check(slot && reg->used == 1);
	__mm_iommu_read_unlock(slot);
	arch_spin_lock(&slot->lock);
	check(!mm_iommu_read_trylock(reg));
	arch_spin_unlock(&slot->lock);
	local_irq_restore(flags);
	mm_iommu_index_free(reg);
}

static const struct test tests[] = {
	{ "random steps agree with a sorted array", test_model },
	{ "random ids agree with an array and a queue", test_ids },
	{ "the last ids", test_last_ids },
	{ "100,000 regions by their ids", test_many_ids },
	{ "100,000 regions", test_many },
	{ "hints answer, and never outlive a region", test_hint },
	{ "first and last address", test_edges },
	{ "allocation failed", test_alloc_fails },
	{ "whoever is inside is waited for", test_sync, true },
	{ "whoever would come in waits for a writer", test_writer_inside },
	{ "readers while regions come, go and are freed", test_threads, true },
};

int main(void)
{
	return test_main(tests, ARRAY_SIZE(tests));
}
