// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the userspace view of a TCE table: iommu_tce_view.c against a list
 * of blocks, and under threads.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <asm/iommu.h>

#include "test.h"
#include "kselftest.h"
#include "../../../arch/powerpc/kernel/iommu_tce_view.h"

#define SPARE		8	/* empty blocks that a view keeps */
#define ENTRIES		TCE_VIEW_ENTRIES

static struct iommu_tce_view *view_create(struct iommu_table *tbl,
					  unsigned long size)
{
	*tbl = (struct iommu_table){ .it_size = size };
	check(!iommu_tce_view_create(tbl));
	check(tbl->it_view);
	return tbl->it_view;
}

/* Looks at a block and changes nothing. */
static struct tce_view_block *peek(struct iommu_tce_view *view,
				   unsigned long block)
{
	struct tce_view_block *blk;

	blk = tce_view_lock(view, block);
	tce_view_unlock(view, block, NULL);
	return blk;
}

/* -- against a list ------------------------------------------------------ */

#define BLOCKS	48UL	/* with 8 spare, some are always free */

/* A block, and what must be in it. */
struct place {
	unsigned long block;
	bool present;
	unsigned int used;
	u64 entry[ENTRIES];
};

struct model {
	struct iommu_table tbl;
	struct iommu_tce_view *view;
	struct place *places;	/* by block */
	unsigned int nr;
	unsigned long mapped;
	unsigned int spare;
};

static int by_block(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->block > y->block) - (x->block < y->block);
}

/* Blocks that are close to each other, and far, and the last one. */
static void model_places(struct model *m, struct rng *rng)
{
	unsigned long blocks = m->view->blocks, block = blocks - 1;
	unsigned int i, k;

	m->nr = min(blocks, BLOCKS);
	m->places = test_alloc(m->nr, sizeof(*m->places));
	for (i = 0; i < m->nr; i++) {
		m->places[i].block = blocks <= BLOCKS ? i : block;
		do {
			block = rng_below(rng, 2) ? rng_below(rng, blocks) :
				(block + 1) % blocks;
			for (k = 0; k <= i; k++)
				if (m->places[k].block == block)
					break;
		} while (blocks > BLOCKS && k <= i);
	}
	qsort(m->places, m->nr, sizeof(*m->places), by_block);
}

static void model_init(struct model *m, struct rng *rng, unsigned long size)
{
	memset(m, 0, sizeof(*m));
	m->view = view_create(&m->tbl, size);
	check(m->view->blocks == (size + ENTRIES - 1) / ENTRIES);
	model_places(m, rng);
}

static void model_unlocked(struct model *m, struct place *p)
{
	if (!p->present || p->used || m->spare <= SPARE)
		return;
	p->present = false;
	m->spare--;
}

static void model_prepare(struct model *m, struct place *p)
{
	check(!tce_view_prepare(m->view, p->block));
	m->spare += !p->present;
	p->present = true;
}

/* Enters or clears some, or all. */
static void model_change(struct model *m, struct place *p, struct rng *rng)
{
	unsigned int i = rng_below(rng, ENTRIES), n, was = p->used;
	struct tce_view_block *blk;
	bool clear = rng_below(rng, 2);

	n = rng_below(rng, 4) ? 1 + rng_below(rng, 8) : ENTRIES;
	blk = tce_view_lock(m->view, p->block);
	check(!!blk == p->present);
	for (; blk && n && i < ENTRIES; i++, n--) {
		p->used -= !!p->entry[i];
		p->entry[i] = clear ? 0 : rng_next(rng) | 1;
		p->used += !!p->entry[i];
		blk->entry[i] = p->entry[i];
	}
	if (blk) {
		tce_view_used(m->view, blk, (long)p->used - was);
		m->mapped += (long)p->used - was;
		if (!was && p->used)
			m->spare--;
		else if (was && !p->used)
			m->spare++;
	}
	tce_view_unlock(m->view, p->block, blk);
	model_unlocked(m, p);
}

static void model_clear(struct model *m, struct place *p)
{
	struct tce_view_block *blk;

	blk = tce_view_lock(m->view, p->block);
	if (blk) {
		memset(blk->entry, 0, sizeof(blk->entry));
		tce_view_used(m->view, blk, -(long)p->used);
		m->spare += !!p->used;
	}
	m->mapped -= p->used;
	p->used = 0;
	memset(p->entry, 0, sizeof(p->entry));
	tce_view_unlock(m->view, p->block, blk);
	model_unlocked(m, p);
}

static void model_exit(struct model *m)
{
	unsigned int i;

	for (i = 0; i < m->nr; i++)
		model_clear(m, &m->places[i]);
	check(!m->mapped && !iommu_tce_view_mapped(&m->tbl));
	iommu_tce_view_destroy(&m->tbl);
	check(!m->tbl.it_view);
	check(!shim_slab.objects);
	free(m->places);
}

static void model_compare(struct model *m, const struct place *p)
{
	struct tce_view_block *blk = peek(m->view, p->block);

	check(!!blk == p->present);
	if (!blk)
		return;
	check(blk->used == p->used);
	check(!memcmp(blk->entry, p->entry, sizeof(p->entry)));
}

/* The first block from @block on; the number of blocks if there is none. */
static unsigned long model_next(const struct model *m, unsigned long block)
{
	unsigned int i;

	for (i = 0; i < m->nr; i++)
		if (m->places[i].present && m->places[i].block >= block)
			return m->places[i].block;
	return m->view->blocks;
}

static void model_step(struct model *m, struct rng *rng)
{
	struct place *p = &m->places[rng_below(rng, m->nr)];
	unsigned long block, next;

	switch (rng_below(rng, 8)) {
	case 0:
	case 1:
		model_prepare(m, p);
		break;
	case 2:
		model_clear(m, p);
		break;
	case 3:
		model_compare(m, p);
		break;
	case 4:
		block = rng_below(rng, 2) ? p->block + rng_below(rng, 2) :
			rng_below(rng, m->view->blocks);
		next = tce_view_next(m->view, block);
		check(min(next, m->view->blocks) == model_next(m, block));
		break;
	default:
		model_change(m, p, rng);
		break;
	}
	check(iommu_tce_view_mapped(&m->tbl) == m->mapped);
	check(atomic_read(&m->view->spare) == m->spare);
}

static void test_model(struct rng *rng)
{
	static const unsigned long sizes[] = {
		1, 100, 512, 513, BIT(13), BIT(18), BIT(18) + 1, BIT(27),
		BIT(27) + 1, BIT(36), BIT(43), BIT(51),
	};
	unsigned long n;
	struct model m;
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		model_init(&m, rng, sizes[i]);
		for (n = steps() / 10 / ARRAY_SIZE(sizes); n; n--)
			model_step(&m, rng);
		for (k = 0; k < m.nr; k++)
			model_compare(&m, &m.places[k]);
		ksft_print_msg("%lu entries, %u levels: %lu mapped, %u spare\n",
			       sizes[i], m.view->levels, m.mapped, m.spare);
		model_exit(&m);
	}
}

/* -- one by one ---------------------------------------------------------- */

static void test_levels(struct rng *rng)
{
	struct iommu_tce_view *view;
	struct iommu_table tbl;
	unsigned long size, room;
	unsigned int shift;
	int more;

	/* no level too few for the last entry, and none too many */
	for (shift = 0; shift < 60; shift++) {
		for (more = -1; more <= 1; more++) {
			size = BIT(shift) + more;
			if (!size)
				continue;
			view = view_create(&tbl, size);
			room = BIT(min(63U, TCE_VIEW_SHIFT *
					    (view->levels + 1)));
			check(size <= room);
			check(!view->levels || size > room >> TCE_VIEW_SHIFT ||
			      room == BIT(63));
			iommu_tce_view_destroy(&tbl);
		}
	}
}

static void test_two_views(struct rng *rng)
{
	struct iommu_table tbl = { };
	struct iommu_tce_view *view = view_create(&tbl, 1000);

	check(!iommu_tce_view_create(&tbl) && tbl.it_view == view);
	iommu_tce_view_destroy(&tbl);
	iommu_tce_view_destroy(&tbl);
	check(!iommu_tce_view_mapped(&tbl));
}

/* Who maps and unmaps one page over and over allocates once. */
static void test_spare(struct rng *rng)
{
	struct iommu_table tbl;
	struct iommu_tce_view *view = view_create(&tbl, 100 * ENTRIES);
	struct tce_view_block *blk;
	unsigned long i;

	shim_slab_fail(0, false);
	for (i = 0; i < 1000; i++) {
		check(!tce_view_prepare(view, 7));
		blk = tce_view_lock(view, 7);
		check(blk);
		tce_view_used(view, blk, 1);
		tce_view_unlock(view, 7, blk);
		blk = tce_view_lock(view, 7);
		check(blk);
		tce_view_used(view, blk, -1);
		tce_view_unlock(view, 7, blk);
	}
	check(shim_slab.calls == 1 + view->levels);
	iommu_tce_view_destroy(&tbl);
}

/* Adds to what a block has, which may be gone after that. */
static void view_add(struct iommu_tce_view *view, unsigned long block,
		     unsigned int place, int more)
{
	struct tce_view_block *blk;

	blk = tce_view_lock(view, block);
	check(blk);
	blk->entry[place] = more > 0 ? block + 1 : 0;
	tce_view_used(view, blk, more);
	tce_view_unlock(view, block, blk);
}

static void test_stay(struct rng *rng)
{
	struct iommu_table tbl;
	struct iommu_tce_view *view = view_create(&tbl, 100 * ENTRIES);
	struct tce_view_block *blk[100];
	unsigned long i, left = 0;

	for (i = 0; i < 100; i++) {
		check(!tce_view_prepare(view, i));
		view_add(view, i, i, 1);
		blk[i] = peek(view, i);
	}
	check(!atomic_read(&view->spare));
	for (i = 0; i < 100; i++) {
		view_add(view, i, 200, 1);
		view_add(view, i, 200, -1);
		check(peek(view, i) == blk[i]);
		check(blk[i]->used == 1 && blk[i]->entry[i] == i + 1);
	}
	for (i = 0; i < 100; i++)
		view_add(view, i, i, -1);
	for (i = 0; i < 100; i++)
		left += !!peek(view, i);
	check(left == SPARE);
	iommu_tce_view_destroy(&tbl);
}

static void test_fail_nth(struct rng *rng)
{
	unsigned long nth, points = 0, block;
	struct iommu_tce_view *view;
	struct iommu_table tbl = { .it_size = BIT(43) };
	unsigned int i;

	shim_slab_fail(1, false);
	check(iommu_tce_view_create(&tbl) == -ENOMEM && !tbl.it_view);
	shim_slab_fail(0, false);

	view = view_create(&tbl, BIT(43));
	for (i = 0; i < 100; i++) {
		block = rng_below(rng, view->blocks);
		for (nth = 1; ; nth++, points++) {
			/* what was made of the way stays, what is above too */
			shim_slab_fail(nth, i & 1);
			if (!tce_view_prepare(view, block))
				break;
			check(!peek(view, block));
			check(tce_view_next(view, block) != block);
		}
		check(peek(view, block));
		check(tce_view_next(view, block) == block);
	}
	shim_slab_fail(0, false);
	ksft_print_msg("%lu allocations failed in turn\n", points);
	check(points > 100);
	iommu_tce_view_destroy(&tbl);
}

/* -- threads ------------------------------------------------------------- */

#define THREADS		4
#define SHARED_BLOCKS	40UL	/* more than locks */

/* Each has the entries whose number leaves its own when divided. */
struct actor {
	pthread_t thread;
	struct iommu_tce_view *view;
	unsigned int id;
	struct rng rng;
	u64 entry[SHARED_BLOCKS][ENTRIES / THREADS];
	unsigned long mapped;
};

static struct tce_view_block *actor_lock(struct actor *a, unsigned long block)
{
	struct tce_view_block *blk;

	for (;;) {
		blk = tce_view_lock(a->view, block);
		if (blk)
			return blk;
		tce_view_unlock(a->view, block, NULL);
		check(!tce_view_prepare(a->view, block));
	}
}

static void actor_step(struct actor *a)
{
	unsigned long block = rng_below(&a->rng, SHARED_BLOCKS);
	unsigned int i, from = rng_below(&a->rng, ENTRIES / THREADS);
	unsigned int n = 1 + rng_below(&a->rng, 16);
	/* more than is entered: blocks are to come and go */
	bool clear = rng_below(&a->rng, 2), all = rng_below(&a->rng, 3);
	struct tce_view_block *blk = actor_lock(a, block);
	u64 *mine = a->entry[block];
	u64 *entry;
	long more = 0;

	if (all) {
		from = 0;
		n = ENTRIES / THREADS;
		clear = true;
	}
	for (i = from; n && i < ENTRIES / THREADS; i++, n--) {
		entry = &blk->entry[i * THREADS + a->id];
		check(*entry == mine[i]);
		more -= !!mine[i];
		mine[i] = clear ? 0 : rng_next(&a->rng) | 1;
		more += !!mine[i];
		*entry = mine[i];
	}
	tce_view_used(a->view, blk, more);
	tce_view_unlock(a->view, block, blk);
	a->mapped += more;
}

/* The blocks that are there may change meanwhile, their order may not. */
static void actor_walk(struct actor *a)
{
	unsigned long block = 0, next;
	struct tce_view_block *blk;

	while ((next = tce_view_next(a->view, block)) < SHARED_BLOCKS) {
		check(next >= block);
		blk = tce_view_lock(a->view, next);
		if (blk)
			check(blk->used <= ENTRIES);
		tce_view_unlock(a->view, next, blk);
		block = next + 1;
	}
}

static void *actor_run(void *arg)
{
	struct actor *a = arg;
	unsigned long n, block, i;

	for (n = steps() / 50; n; n--) {
		actor_step(a);
		if (!(n % 64))
			actor_walk(a);
		if (!(n % 16))
			sched_yield();
	}
	for (block = 0; block < SHARED_BLOCKS; block++)
		for (i = 0; i < ENTRIES / THREADS; i++)
			a->mapped -= !!a->entry[block][i];
	check(!a->mapped);
	return NULL;
}

static void test_threads(struct rng *rng)
{
	struct iommu_tce_view *view;
	struct iommu_table tbl;
	struct actor *a;
	unsigned long block, used = 0;
	struct tce_view_block *blk;
	unsigned int i, k, empty = 0;

	view = view_create(&tbl, SHARED_BLOCKS * ENTRIES);
	a = test_alloc(THREADS, sizeof(*a));
	for (i = 0; i < THREADS; i++) {
		a[i].view = view;
		a[i].id = i;
		rng_init(&a[i].rng, rng_next(rng));
		check(!pthread_create(&a[i].thread, NULL, actor_run, &a[i]));
	}
	for (i = 0; i < THREADS; i++)
		check(!pthread_join(a[i].thread, NULL));

	for (block = 0; block < SHARED_BLOCKS; block++) {
		blk = peek(view, block);
		for (i = 0; i < THREADS; i++)
			for (k = 0; k < ENTRIES / THREADS; k++)
				check((blk ? blk->entry[k * THREADS + i] : 0) ==
				      a[i].entry[block][k]);
		if (!blk)
			continue;
		used += blk->used;
		empty += !blk->used;
	}
	check(iommu_tce_view_mapped(&tbl) == used);
	check(atomic_read(&view->spare) == empty && empty <= SPARE);
	for (block = 0; block < SHARED_BLOCKS; block++) {
		blk = tce_view_lock(view, block);
		if (blk)
			tce_view_used(view, blk, -(long)blk->used);
		tce_view_unlock(view, block, blk);
	}
	iommu_tce_view_destroy(&tbl);
	free(a);
}

/* Whoever destroys it, what the table was charged for is uncharged. */
static void test_charge(struct rng *rng)
{
	struct mm_struct mm = { .locked_vm = 7, .count = 1 };
	struct iommu_table tbl;

	view_create(&tbl, ENTRIES);
	iommu_tce_view_charge(&tbl, &mm, 5);
	check(mm.locked_vm == 7 && mm.count == 2);
	iommu_tce_view_destroy(&tbl);
	check(mm.locked_vm == 2 && mm.count == 1);
}

static const struct test tests[] = {
	{ "random steps agree with a list of blocks", test_model },
	{ "as many levels as a size needs", test_levels },
	{ "a second view is not made, nor destroyed", test_two_views },
	{ "what is used over and over is allocated once", test_spare },
	{ "a block with an entry stays where it is", test_stay },
	{ "every allocation failed in turn", test_fail_nth },
	{ "a charge is given back with the view", test_charge },
	{ "threads on the same blocks", test_threads, true },
};

int main(void)
{
	return test_main(tests, ARRAY_SIZE(tests));
}
