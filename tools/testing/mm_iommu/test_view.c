// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the userspace view of a TCE table: iommu_tce_view.c against a list
 * of blocks, and under threads.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <asm/iommu.h>
#include <asm/iommu_tce.h>

#include "test.h"
#include "kselftest.h"
#include "../../../arch/powerpc/kernel/iommu_tce_view.h"

#define ENTRIES		TCE_VIEW_ENTRIES

static struct iommu_tce_view *view_create(struct iommu_table *tbl,
					  unsigned long size)
{
	*tbl = (struct iommu_table){ .it_size = size };
	check(!iommu_tce_view_create(tbl));
	check(tbl->it_view);
	return tbl->it_view;
}

/* -- against a list ------------------------------------------------------ */

#define BLOCKS	48UL

/* A block, and its expected contents. */
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
};

static int by_block(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->block > y->block) - (x->block < y->block);
}

/* Blocks that are close to each other, some far apart, and the last one. */
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

static void model_prepare(struct model *m, struct place *p)
{
	check(!tce_view_prepare(m->view, p->block));
	p->present = true;
}

/* Writes or clears some entries, or all. */
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
		blk->others += (long)p->used - was;
		m->mapped += (long)p->used - was;
	}
	tce_view_unlock(m->view, p->block);
}

static void model_clear(struct model *m, struct place *p)
{
	struct tce_view_block *blk;

	blk = tce_view_lock(m->view, p->block);
	if (blk) {
		memset(blk->entry, 0, sizeof(blk->entry));
		blk->others -= p->used;
	}
	m->mapped -= p->used;
	p->used = 0;
	memset(p->entry, 0, sizeof(p->entry));
	tce_view_unlock(m->view, p->block);
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
	struct tce_view_block *blk = tce_view_find(m->view, p->block);

	check(!!blk == p->present);
	if (!blk)
		return;
	check(tce_view_used(blk) == p->used);
	check(!memcmp(blk->entry, p->entry, sizeof(p->entry)));
}

/* First block from @block on; the number of blocks if there is none. */
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
	/* visits all blocks */
	if (!rng_below(rng, 32))
		check(iommu_tce_view_mapped(&m->tbl) == m->mapped);
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
		ksft_print_msg("%lu entries, %u levels: %lu mapped\n",
			       sizes[i], m.view->levels, m.mapped);
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

	/* exactly as many levels as the last entry needs */
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

/* Adds @more to the used entries of a block. */
static void view_add(struct iommu_tce_view *view, unsigned long block,
		     unsigned int place, int more)
{
	struct tce_view_block *blk;

	blk = tce_view_lock(view, block);
	check(blk);
	blk->entry[place] = more > 0 ? block + 1 : 0;
	blk->others += more;
	tce_view_unlock(view, block);
}

/* Mapping and unmapping pages anywhere allocates each block only once. */
static void test_once(struct rng *rng)
{
	struct iommu_table tbl;
	struct iommu_tce_view *view = view_create(&tbl, 100 * ENTRIES);
	unsigned long i;

	shim_slab_fail(0, false);
	for (i = 0; i < 1000; i++) {
		check(!tce_view_prepare(view, i % 100));
		view_add(view, i % 100, i % ENTRIES, 1);
		view_add(view, i % 100, i % ENTRIES, -1);
	}
	check(shim_slab.calls == 100 + view->levels);
	iommu_tce_view_destroy(&tbl);
}

static void test_stay(struct rng *rng)
{
	struct iommu_table tbl;
	struct iommu_tce_view *view = view_create(&tbl, 100 * ENTRIES);
	struct tce_view_block *blk[100];
	unsigned long i;

	for (i = 0; i < 100; i++) {
		check(!tce_view_prepare(view, i));
		view_add(view, i, i, 1);
		blk[i] = tce_view_find(view, i);
	}
	for (i = 0; i < 100; i++) {
		view_add(view, i, 200, 1);
		view_add(view, i, 200, -1);
		check(tce_view_find(view, i) == blk[i]);
		check(tce_view_used(blk[i]) == 1 && blk[i]->entry[i] == i + 1);
	}
	for (i = 0; i < 100; i++)
		view_add(view, i, i, -1);
	for (i = 0; i < 100; i++)
		check(tce_view_find(view, i) == blk[i] &&
		      !tce_view_used(blk[i]));
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
			/*
			 * nodes allocated on the path stay, and so do those
			 * above
			 */
			shim_slab_fail(nth, i & 1);
			if (!tce_view_prepare(view, block))
				break;
			check(!tce_view_find(view, block));
			check(tce_view_next(view, block) != block);
		}
		check(tce_view_find(view, block));
		check(tce_view_next(view, block) == block);
	}
	shim_slab_fail(0, false);
	ksft_print_msg("%lu allocations failed in turn\n", points);
	check(points > 100);
	iommu_tce_view_destroy(&tbl);
}

/* -- counts of blocks ---------------------------------------------------- */

#define COUNT_BLOCKS	3UL
#define COUNT_REGIONS	5

/*
 * Some regions in some blocks, against a list: the mapped entries, the
 * references held by the blocks, and the references of entries that the range
 * path has removed but not killed yet.
 */
struct counts {
	struct iommu_table tbl;
	struct iommu_tce_view *view;
	struct mm_struct mm;
	u64 entry[COUNT_BLOCKS][ENTRIES];
	long refs[COUNT_REGIONS + 1];	/* by id, which is not 0 */
	long later[COUNT_REGIONS + 1];
};

static u64 id_cookie(unsigned int id)
{
	return FIELD_PREP(MM_IOMMU_COOKIE_ID, (u64)id);
}

static unsigned int cookie_id(u64 cookie)
{
	return FIELD_GET(MM_IOMMU_COOKIE_ID, cookie);
}

/* Counts removed entries out, by runs of a region. */
static void counts_leave(struct counts *c, struct tce_view_block *blk,
			 const u64 *entry, unsigned int n, bool later)
{
	unsigned long refs;
	unsigned int i, k, id;

	for (i = 0; i < n; i += k) {
		id = cookie_id(entry[i]);
		for (k = 1; i + k < n && cookie_id(entry[i + k]) == id; k++)
			;
		if (!id)
			continue;
		refs = tce_view_leave(blk, entry[i + k - 1], k);
		check(refs <= k);
		/* the range path has a reference per entry until its kill */
		if (later)
			c->later[id] += k;
		c->refs[id] += later ? k - refs : -refs;
	}
}

/* Counts new entries in, by runs of a region. */
static void counts_enter(struct counts *c, struct tce_view_block *blk,
			 const u64 *entry, unsigned int n)
{
	unsigned int i, k, id;
	unsigned long refs;

	for (i = 0; i < n; i += k) {
		id = cookie_id(entry[i]);
		for (k = 1; i + k < n && cookie_id(entry[i + k]) == id; k++)
			;
		if (!id)
			continue;
		refs = tce_view_enter(blk, entry[i], k);
		check(refs <= k);
		c->refs[id] += refs;
	}
}

/* Replaces a part of a block by entries of one region, of two, or of none. */
static void counts_change(struct counts *c, struct rng *rng)
{
	unsigned long b = rng_below(rng, COUNT_BLOCKS);
	struct tce_view_block *blk = tce_view_lock(c->view, b);
	unsigned int place = rng_below(rng, ENTRIES), n, i, id[2];
	bool first = rng_below(rng, 2), later = rng_below(rng, 2);
	u64 *mine = c->entry[b], new[ENTRIES];

	n = min(rng_below(rng, 3) ? 1 + rng_below(rng, 9) : ENTRIES,
		ENTRIES - place);
	if (!rng_below(rng, 8)) {
		place = 0;
		n = ENTRIES;
	}
	id[0] = rng_below(rng, COUNT_REGIONS + 1);
	id[1] = rng_below(rng, 2) ? id[0] : rng_below(rng, COUNT_REGIONS + 1);
	for (i = 0; i < n; i++) {
		new[i] = id_cookie(id[2 * i / n]);
		if (new[i])
			new[i] += 2 * i + rng_below(rng, 2);
	}

	/* the fast path counts new entries before it counts old ones out */
	if (first)
		counts_enter(c, blk, new, n);
	counts_leave(c, blk, blk->entry + place, n, later);
	/*
	 * the range path writes the entries that it has counted before it
	 * continues
	 */
	if (!first)
		counts_enter(c, blk, new, n);
	memcpy(blk->entry + place, new, n * sizeof(*new));
	memcpy(mine + place, new, n * sizeof(*new));
	tce_view_unlock(c->view, b);
}

/* One reference per block, and one for each entry that it does not cover. */
static void counts_check(struct counts *c)
{
	long refs[COUNT_REGIONS + 1] = { 0 };
	unsigned long b, i, used;
	struct tce_view_block *blk;

	for (b = 0; b < COUNT_BLOCKS; b++) {
		blk = tce_view_find(c->view, b);
		for (i = 0, used = 0; i < ENTRIES; i++) {
			check(blk->entry[i] == c->entry[b][i]);
			used += !!blk->entry[i];
			refs[cookie_id(blk->entry[i])]++;
		}
		check(tce_view_used(blk) == used);
		check(!blk->homes == !blk->home);
		if (!blk->home)
			continue;
		check(blk->homes <= refs[cookie_id(blk->home)]);
		refs[cookie_id(blk->home)] -= blk->homes - 1L;
	}
	for (i = 1; i <= COUNT_REGIONS; i++)
		check(c->refs[i] == refs[i] + c->later[i]);
}

static void test_counts(struct rng *rng)
{
	static const struct iommu_tce_backing backing;
	struct counts *c = test_alloc(1, sizeof(*c));
	unsigned long n, b, i;

	c->view = view_create(&c->tbl, COUNT_BLOCKS * ENTRIES);
	iommu_tce_bind(&c->tbl, &backing, &c->mm, 0);
	for (b = 0; b < COUNT_BLOCKS; b++)
		check(!tce_view_prepare(c->view, b));
	for (n = steps() / 200; n; n--) {
		counts_change(c, rng);
		counts_check(c);
		i = 1 + rng_below(rng, COUNT_REGIONS);
		c->refs[i] -= c->later[i];
		c->later[i] = 0;
	}
	for (b = 0; b < COUNT_BLOCKS; b++) {
		tce_view_find(c->view, b)->homes = 0;
		tce_view_find(c->view, b)->others = 0;
	}
	iommu_tce_view_destroy(&c->tbl);
	free(c);
}

/* Each lock has its own cache line, apart from read-only members. */
static void test_lines(struct rng *rng)
{
	struct iommu_table tbl;
	struct iommu_tce_view *view = view_create(&tbl, 100 * ENTRIES);
	unsigned long line = 128, last = (unsigned long)&view->locked / line, b;

	for (b = 0; b < TCE_VIEW_LOCKS; b++) {
		check((unsigned long)tce_view_block_lock(view, b) / line >
		      last);
		last = (unsigned long)tce_view_block_lock(view, b) / line;
	}
	iommu_tce_view_destroy(&tbl);
}

/* -- threads ------------------------------------------------------------- */

#define THREADS		4
#define SHARED_BLOCKS	40UL	/* more than locks */

/* Entries whose index modulo THREADS is @id belong to the thread. */
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
		tce_view_unlock(a->view, block);
		check(!tce_view_prepare(a->view, block));
	}
}

static void actor_step(struct actor *a)
{
	unsigned long block = rng_below(&a->rng, SHARED_BLOCKS);
	unsigned int i, from = rng_below(&a->rng, ENTRIES / THREADS);
	unsigned int n = 1 + rng_below(&a->rng, 16);
	/* clears more than it writes, so that blocks are empty at times */
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
	blk->others += more;
	tce_view_unlock(a->view, block);
	a->mapped += more;
}

/* Blocks may change concurrently, but their order may not. */
static void actor_walk(struct actor *a)
{
	unsigned long block = 0, next;
	struct tce_view_block *blk;

	while ((next = tce_view_next(a->view, block)) < SHARED_BLOCKS) {
		check(next >= block);
		blk = tce_view_lock(a->view, next);
		if (blk)
			check(tce_view_used(blk) <= ENTRIES);
		tce_view_unlock(a->view, next);
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
	unsigned int i, k;

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
		blk = tce_view_find(view, block);
		for (i = 0; i < THREADS; i++)
			for (k = 0; k < ENTRIES / THREADS; k++)
				check((blk ? blk->entry[k * THREADS + i] : 0) ==
				      a[i].entry[block][k]);
		if (!blk)
			continue;
		used += tce_view_used(blk);
	}
	check(iommu_tce_view_mapped(&tbl) == used);
	for (block = 0; block < SHARED_BLOCKS; block++) {
		blk = tce_view_lock(view, block);
		if (blk)
			blk->others = 0;
		tce_view_unlock(view, block);
	}
	iommu_tce_view_destroy(&tbl);
	free(a);
}

struct visited {
	unsigned long calls;
	unsigned long first;
	unsigned long npages;
	int ret;
};

static int visit(struct iommu_table *tbl, unsigned long index,
		 unsigned long npages, void *arg)
{
	struct visited *v = arg;

	v->calls++;
	v->first = index;
	v->npages = npages;
	return v->ret;
}

/* Visits the range from the first to the last mapped entry of a block. */
static void test_walk(struct rng *rng)
{
	struct iommu_table tbl = { };
	struct visited v = { 0 };
	struct iommu_tce_view *view;

	check(!iommu_tce_view_walk(&tbl, visit, &v) && !v.calls);
	check(!iommu_tce_view_mapped(&tbl));
	iommu_tce_view_sync(&tbl);
	view = view_create(&tbl, 100 * ENTRIES);
	tbl.it_offset = 77;
	check(!tce_view_prepare(view, 3) && !tce_view_prepare(view, 9));
	check(!iommu_tce_view_walk(&tbl, visit, &v) && !v.calls);
	view_add(view, 9, 5, 1);
	view_add(view, 9, 300, 1);
	check(!iommu_tce_view_walk(&tbl, visit, &v) && v.calls == 1);
	check(v.first == 77 + 9 * ENTRIES + 5 && v.npages == 296);
	view_add(view, 3, ENTRIES - 1, 1);
	v.ret = -EIO;
	check(iommu_tce_view_walk(&tbl, visit, &v) == -EIO && v.calls == 2);
	check(v.first == 77 + 4 * ENTRIES - 1 && v.npages == 1);
	view_add(view, 9, 5, -1);
	view_add(view, 9, 300, -1);
	view_add(view, 3, ENTRIES - 1, -1);
	iommu_tce_view_destroy(&tbl);
}

/* The first region of an empty block has one reference for all its entries. */
static void test_home(struct rng *rng)
{
	const u64 one = FIELD_PREP(MM_IOMMU_COOKIE_ID, 1);
	const u64 two = FIELD_PREP(MM_IOMMU_COOKIE_ID, 2);
	struct tce_view_block blk = { };

	check(tce_view_enter(&blk, one, 7) == 1);
	check(tce_view_enter(&blk, one, 5) == 0);
	check(tce_view_enter(&blk, two, 3) == 3);
	check(blk.home == one && blk.homes == 12 && blk.others == 3);
	check(tce_view_leave(&blk, one, 12) == 1);
	check(!blk.home && !blk.homes);
	check(tce_view_enter(&blk, two, 2) == 1);
	check(tce_view_leave(&blk, two, 5) == 4);
	check(!tce_view_used(&blk));
}

static struct iommu_tce_view *raced_view;

static void race(void)
{
	check(!tce_view_prepare(raced_view, 77));
}

/* Another thread has made the same block concurrently: one of them is freed. */
static void test_raced(struct rng *rng)
{
	const unsigned long sizes[] = { 78, 78 * TCE_VIEW_CHILDREN };
	struct iommu_table tbl;
	unsigned long objects;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		raced_view = view_create(&tbl, sizes[i] * ENTRIES);
		check(!tce_view_prepare(raced_view, 77));
		objects = shim_slab.objects;
		iommu_tce_view_destroy(&tbl);

		raced_view = view_create(&tbl, sizes[i] * ENTRIES);
		shim_allocating = race;
		check(!tce_view_prepare(raced_view, 77));
		check(!shim_allocating);
		check(shim_slab.objects == objects);
		iommu_tce_view_destroy(&tbl);
	}
}

/* A view without a node, and one with a full node: one visit of each block. */
static void test_walk_once(struct rng *rng)
{
	const unsigned long blocks[] = { 1, TCE_VIEW_CHILDREN };
	struct iommu_tce_view *view;
	struct iommu_table tbl;
	struct visited v;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(blocks); i++) {
		v = (struct visited){ };
		view = view_create(&tbl, blocks[i] * ENTRIES);
		check(!tce_view_prepare(view, 0));
		view_add(view, 0, 0, 1);
		check(!iommu_tce_view_walk(&tbl, visit, &v) && v.calls == 1);
		check(!v.first && v.npages == 1);
		check(iommu_tce_view_mapped(&tbl) == 1);
		view_add(view, 0, 0, -1);
		iommu_tce_view_destroy(&tbl);
	}
}

/* Destroying the view uncharges the table, whichever process does it. */
static void test_bind(struct rng *rng)
{
	const struct iommu_tce_backing backing = { };
	struct mm_struct mm = { .locked_vm = 7, .count = 1 };
	struct iommu_table tbl;

	view_create(&tbl, ENTRIES);
	iommu_tce_bind(&tbl, &backing, &mm, 5);
	check(mm.locked_vm == 7 && mm.count == 2);
	/* orphans of its last drops are reaped while the mm is still alive */
	shim_reaped = NULL;
	iommu_tce_view_destroy(&tbl);
	check(mm.locked_vm == 2 && mm.count == 1);
	check(shim_reaped == &mm);
}

struct closer {
	struct iommu_table tbl;
	bool done;
};

static void *closer_run(void *arg)
{
	struct closer *c = arg;

	iommu_tce_close(&c->tbl, true);
	__atomic_store_n(&c->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Closing waits for a change in any block; later ones see it. */
static void test_close(struct rng *rng)
{
	struct iommu_tce_view *view;
	struct closer c = { };
	pthread_t thread;
	unsigned long block, i;

	view = view_create(&c.tbl, 2 * TCE_VIEW_LOCKS * ENTRIES);
	for (block = 0; block < TCE_VIEW_LOCKS; block++) {
		iommu_tce_close(&c.tbl, false);
		check(!iommu_tce_is_closed(&c.tbl));
		c.done = false;
		check(!tce_view_lock(view, block));
		check(!pthread_create(&thread, NULL, closer_run, &c));
		/* it is closed first, and then waits */
		for (i = 0; !iommu_tce_is_closed(&c.tbl); i++) {
			check(i < BIT(22));
			sched_yield();
		}
		for (i = 0; i < 1000; i++) {
			sched_yield();
			check(!__atomic_load_n(&c.done, __ATOMIC_ACQUIRE));
		}
		tce_view_unlock(view, block);
		check(!pthread_join(thread, NULL));
		check(c.done);
	}
	iommu_tce_view_destroy(&c.tbl);
}

static const struct test tests[] = {
	{ "random steps agree with a list of blocks", test_model },
	{ "as many levels as a size needs", test_levels },
	{ "a second view is not made, nor destroyed", test_two_views },
	{ "what is used over and over is allocated once", test_once },
	{ "a block stays where it is, empty or not", test_stay },
	{ "every allocation failed in turn", test_fail_nth },
	{ "a walk visits what is mapped", test_walk },
	{ "the home of a block", test_home },
	{ "a block that two threads make", test_raced },
	{ "a walk visits each block once", test_walk_once },
	{ "who owns a table, and its charge", test_bind },
	{ "closing waits for changes in progress", test_close, true },
	{ "blocks count references as a list does", test_counts },
	{ "locks are on lines of their own", test_lines },
	{ "threads on the same blocks", test_threads, true },
};

int main(void)
{
	return test_main(tests, ARRAY_SIZE(tests));
}
