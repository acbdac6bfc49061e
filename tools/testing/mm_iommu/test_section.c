// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of sections of the registry: mm_iommu_hold.c holds, finds and drops
 * pages; the results are checked against a list of the pages held. Threads in
 * sections are part of test_index.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "kselftest.h"

#define REGIONS		8
#define HELD		64
#define MOST		512	/* maximum number of pages per hold */
#define BLOCK_UA	BIT(44)
#define BLOCK_HPA	BIT(45)

struct held {
	unsigned int region;
	unsigned long npages;
	unsigned int shift;
	u64 cookie;
};

struct model {
	struct mm_struct mm;
	struct mm_iommu *reg;
	struct mm_iommu_region *region[REGIONS];
	struct layout layout[REGIONS];
	bool readonly[REGIONS];
	bool closed[REGIONS];
	long mapped[REGIONS];
	struct held held[HELD];
	unsigned int nr_held;
	unsigned long holds;
	unsigned long refusals;
};

static struct mm_iommu *registry_alloc(struct mm_struct *mm)
{
	struct mm_iommu *reg = mm_iommu_index_alloc(mm, 8);

	check(reg);
	mm->context.mm_iommu = reg;
	return reg;
}

static void insert(struct mm_iommu *reg, struct mm_iommu_region *region)
{
	region->registry = reg;
	mutex_lock(&reg->lock);
	check(!mm_iommu_id_alloc(reg, region));
	mm_iommu_index_insert(reg, region);
	mutex_unlock(&reg->lock);
}

/* Removes a region from the index; it is not found by its address any more. */
static void give_up(struct mm_iommu *reg, struct mm_iommu_region *region)
{
	mutex_lock(&reg->lock);
	mm_iommu_index_erase(reg, region);
	mutex_unlock(&reg->lock);
}

static void reap(struct mm_iommu *reg, struct mm_iommu_region *region)
{
	mutex_lock(&reg->lock);
	mm_iommu_id_free(reg, region);
	mutex_unlock(&reg->lock);
	mm_iommu_trans_free(&region->trans);
	kfree(region);
}

static void erase(struct mm_iommu *reg, struct mm_iommu_region *region)
{
	give_up(reg, region);
	reap(reg, region);
}

/* Enters a section while no lock is held. */
static void enter(struct mm_struct *mm, struct mm_iommu_section *s,
		  unsigned long *flags)
{
	local_irq_save(*flags);
	check(!mm_iommu_section_enter(mm, s));
}

static void leave(struct mm_iommu_section *s, unsigned long flags)
{
	mm_iommu_section_exit(s);
	local_irq_restore(flags);
}

/* -- against a list ------------------------------------------------------ */

static void model_region(struct model *m, struct rng *rng, unsigned int i,
			 unsigned long ua, unsigned long bytes)
{
	struct mm_iommu_region *region = kzalloc_obj(*region);
	struct layout *l = &m->layout[i];
	unsigned long end;
	unsigned int k;

	check(region);
	layout_random(l, rng, ua, bytes);
	/* every other region is fully writable */
	for (k = 0; k < l->nr; k++) {
		if (i % 2)
			l->runs[k].hpa &= ~MODEL_READONLY;
		m->readonly[i] |= !!(l->runs[k].hpa & MODEL_READONLY);
	}
	check(!trans_enter(&region->trans, l, SZ_1G, &end));
	check(!mm_iommu_trans_finish(&region->trans));
	check(region->trans.readonly == m->readonly[i]);
	m->closed[i] = i == REGIONS - 1;
	atomic_long_set(&region->mapped, !m->closed[i]);
	m->region[i] = region;
	insert(m->reg, region);
}

static void model_init(struct model *m, struct rng *rng)
{
	unsigned long ua = rng_below(rng, BIT(20)) << 34, bytes;
	unsigned int i;

	memset(m, 0, sizeof(*m));
	m->reg = registry_alloc(&m->mm);
	for (i = 0; i < REGIONS; i++) {
		bytes = (1 + rng_below(rng, i % 3 ? SZ_64M / PAGE_SIZE : 40)) <<
			PAGE_SHIFT;
		model_region(m, rng, i, ua, bytes);
		/* some are adjacent */
		ua += bytes + (rng_below(rng, 2) ? 0 : PAGE_SIZE);
	}
}

static void model_drop(struct model *m, struct rng *rng, unsigned int i)
{
	struct held held = m->held[i];
	struct mm_iommu_region *region = m->region[held.region];
	struct mm_iommu_section s;
	unsigned long flags;
	u64 cookie;

	/* each of its pages identifies the region */
	cookie = held.cookie + rng_below(rng, held.npages) *
		 mm_iommu_cookie_step(BIT(held.shift));
	check(mm_iommu_id_find(m->reg, cookie) == region);
	check(mm_iommu_has(region, mm_iommu_cookie_ua(region, cookie)));
	enter(&m->mm, &s, &flags);
	mm_iommu_section_drop(&s, cookie, held.npages);
	leave(&s, flags);
	m->mapped[held.region] -= held.npages;
	m->held[i] = m->held[--m->nr_held];
}

static void model_exit(struct model *m, struct rng *rng)
{
	unsigned int i;

	while (m->nr_held)
		model_drop(m, rng, m->nr_held - 1);
	for (i = 0; i < REGIONS; i++) {
		check(!m->mapped[i]);
		check(atomic_long_read(&m->region[i]->mapped) == !m->closed[i]);
		erase(m->reg, m->region[i]);
		layout_free(&m->layout[i]);
	}
	mm_iommu_index_free(m->reg);
}

static unsigned long model_hpa(const struct model *m, unsigned int i,
			       unsigned long ua)
{
	return layout_hpa(&m->layout[i], ua) & MM_IOMMU_ADDR;
}

/* Whether an IOMMU page is one block of memory, aligned to its size. */
static bool is_block(const struct model *m, unsigned int i, unsigned long ua,
		     unsigned int shift)
{
	unsigned long at = layout_hpa(&m->layout[i], ua), k;

	if (shift <= PAGE_SHIFT)
		return true;
	/* a writable block contains no read-only memory */
	for (k = 0; k < BIT(shift); k += PAGE_SIZE)
		if (layout_hpa(&m->layout[i], ua + k) != at + k)
			return false;
	return !((at | ua) & (BIT(shift) - 1));
}

/*
 * A single page is checked by itself; for more, the whole region must be
 * writable.
 */
static bool may_write(const struct model *m, unsigned int i, unsigned long ua,
		      unsigned long npages, unsigned int shift)
{
	unsigned long k;

	if (npages > 1)
		return !m->readonly[i];
	for (k = 0; k < BIT(shift); k += SZ_4K)
		if (layout_hpa(&m->layout[i], ua + k) & MODEL_READONLY)
			return false;
	return true;
}

static bool model_has(const struct model *m, unsigned int i, unsigned long ua,
		      unsigned long npages, unsigned int shift, bool write)
{
	const struct layout *l = &m->layout[i];
	unsigned long n;

	if (ua < l->ua || ua >= l->end || npages << shift > l->end - ua ||
	    m->closed[i])
		return false;
	if (write && !may_write(m, i, ua, npages, shift))
		return false;
	for (n = 0; n < npages; n++)
		if (!is_block(m, i, ua + (n << shift), shift))
			return false;
	return true;
}

/*
 * Same steps as in the TCE core. @home: region on which a reference is already
 * held.
 */
static int hold(struct mm_iommu_section *s, unsigned long ua,
		unsigned long npages, unsigned int shift, bool write,
		u64 home, u64 *cookie, __be64 *out)
{
	struct mm_iommu_held held;
	int ret;

	if (npages > 1) {
		struct mm_iommu_run run = {
			.ua = ua, .npages = npages, .shift = shift,
			.write = write, .bits = 3, .out = out,
		};

		ret = mm_iommu_section_find(s, &run);
		*cookie = run.cookie;
		if (!ret && (*cookie ^ home) & MM_IOMMU_COOKIE_ID &&
		    !mm_iommu_section_get(s, *cookie, npages)) {
			memset(out, 0xff, npages * sizeof(*out));
			ret = -EAGAIN;
		}
		return ret;
	}
	ret = mm_iommu_section_hold_one(s, ua, shift, write, home, &held);
	if (ret < 0)
		return ret;
	check(ret == !!((held.cookie ^ home) & MM_IOMMU_COOKIE_ID));
	*cookie = held.cookie;
	*out = cpu_to_be64(held.hpa | 3);
	return 0;
}

/* Whether a device may have written to the block that contains @ua. */
static bool is_dirty(struct mm_iommu_region *region, unsigned long ua)
{
	u64 block, at;

	mm_iommu_trans_entry(&region->trans, ua, &block);
	ua &= ~(BIT(mm_iommu_trans_order(block)) - 1);
	mm_iommu_trans_block(&region->trans, max(ua, region->trans.ua), &at);
	return at & MM_IOMMU_DIRTY;
}

static void model_hold(struct model *m, struct rng *rng)
{
	static const unsigned char shifts[] = { 12, PAGE_SHIFT, 16, 21 };
	unsigned int i = rng_below(rng, REGIONS);
	unsigned int shift = shifts[rng_below(rng, ARRAY_SIZE(shifts))];
	unsigned long npages = 1 + rng_below(rng, rng_below(rng, 2) ? 4 : MOST);
	unsigned long bytes = m->layout[i].end - m->layout[i].ua, n, flags;
	/*
	 * a guest's memory slot is page aligned, whatever the size of IOMMU
	 * pages
	 */
	unsigned int align = rng_below(rng, 4) ? shift :
			     min_t(unsigned int, shift, PAGE_SHIFT);
	/* includes addresses before the region, which may follow another one */
	unsigned long ua = (m->layout[i].ua - BIT(shift) +
			    rng_below(rng, bytes + BIT(shift))) &
			   ~(BIT(align) - 1);
	bool write = rng_below(rng, 2), want, counted = true;
	struct mm_iommu_section s;
	__be64 out[MOST + 1];
	u64 cookie = 0, home = 0;
	int ret;

	/* find the region at the address */
	for (i = 0; i < REGIONS - 1; i++)
		if (ua < m->layout[i].end)
			break;
	want = model_has(m, i, ua, npages, shift, write);
	/* a page of this region, or of another one, is already held */
	if (m->nr_held && rng_below(rng, 2)) {
		home = m->held[rng_below(rng, m->nr_held)].cookie;
		counted = mm_iommu_id_find(m->reg, home) != m->region[i];
	}
	memset(out, 0xff, sizeof(out));
	enter(&m->mm, &s, &flags);
	ret = hold(&s, ua, npages, shift, write, home, &cookie, out);
	leave(&s, flags);
	check(ret == (want ? 0 : -EAGAIN));
	check(!~out[npages]);
	if (!want) {
		check(!~out[0]);
		m->refusals++;
		return;
	}
	check(mm_iommu_id_find(m->reg, cookie) == m->region[i]);
	check(mm_iommu_cookie_ua(m->region[i], cookie) == ua);
	check(!(cookie & MM_IOMMU_COOKIE_WRITE) == !write);
	for (n = 0; n < npages; n++) {
		check(be64_to_cpu(out[n]) ==
		      (model_hpa(m, i, ua + (n << shift)) | 3));
	}
	for (n = 0; write && n < npages << shift; n += PAGE_SIZE)
		check(is_dirty(m->region[i], ua + n));
	m->holds++;
	if (!counted)
		return;
	m->held[m->nr_held++] = (struct held){ i, npages, shift, cookie };
	m->mapped[i] += npages;
}

static void model_step(struct model *m, struct rng *rng)
{
	unsigned int i;

	if (m->nr_held == HELD || (m->nr_held && !rng_below(rng, 3)))
		model_drop(m, rng, rng_below(rng, m->nr_held));
	else
		model_hold(m, rng);
	for (i = 0; i < REGIONS; i++)
		check(atomic_long_read(&m->region[i]->mapped) ==
		      m->mapped[i] + !m->closed[i]);
}

static void test_model(struct rng *rng)
{
	unsigned long n, holds = 0, refusals = 0;
	struct model m;
	unsigned int i;

	for (i = 0; i < 20; i++) {
		model_init(&m, rng);
		for (n = steps() / 200; n; n--)
			model_step(&m, rng);
		holds += m.holds;
		refusals += m.refusals;
		model_exit(&m, rng);
	}
	ksft_print_msg("%lu holds, %lu refusals\n", holds, refusals);
	check(holds && refusals);
}

/* -- one by one ---------------------------------------------------------- */

static void test_enter(struct rng *rng)
{
	struct mm_struct mm = { };
	struct mm_iommu_section s;
	struct mm_iommu *reg;
	unsigned long flags;

	local_irq_save(flags);
	check(mm_iommu_section_enter(&mm, &s) == -EAGAIN);
	local_irq_restore(flags);

	reg = registry_alloc(&mm);
	local_irq_save(flags);
	/*
	 * there is nothing, and dropping a page that was not held does nothing
	 */
	check(!mm_iommu_section_enter(&mm, &s));
	mm_iommu_section_drop(&s, FIELD_PREP(MM_IOMMU_COOKIE_ID, 5), 1);
	check(!s.reap);
	/* a section excludes other users of its slot */
	check(mm_iommu_section_enter(&mm, &s) == -EAGAIN);
	mm_iommu_section_exit(&s);
	check(!mm_iommu_section_enter(&mm, &s));
	mm_iommu_section_exit(&s);
	local_irq_restore(flags);
	mm_iommu_index_free(reg);
}

/* Dropping the last page of an orphan leaves the rest to the reaper. */
static void test_last(struct rng *rng)
{
	unsigned long base = rng_below(rng, BIT(20)) << 34, flags, i;
	struct mm_iommu_region *region[3], *dead;
	struct mm_struct mm = { };
	struct mm_iommu_section s;
	struct mm_iommu *reg;

	reg = registry_alloc(&mm);
	for (i = 0; i < ARRAY_SIZE(region); i++) {
		region[i] = kzalloc_obj(*region[i]);
		check(region[i]);
		mm_iommu_trans_init(&region[i]->trans, base + i * SZ_1G, 1);
		/* two pages are mapped, and the region is closed */
		atomic_long_set(&region[i]->mapped, 2);
		insert(reg, region[i]);
		give_up(reg, region[i]);
	}
	for (i = 0; i < 2 * ARRAY_SIZE(region); i++) {
		enter(&mm, &s, &flags);
		mm_iommu_section_drop(&s, mm_iommu_cookie(region[i / 2],
							  base + i / 2 * SZ_1G,
							  false), 1);
		leave(&s, flags);
		check(s.reap == (i % 2));
	}
	/* each exactly once */
	for (dead = reg->dead; i; i -= 2, dead = dead->dead)
		check(dead == region[i / 2 - 1]);
	check(!dead);
	reg->dead = NULL;
	for (i = 0; i < ARRAY_SIZE(region); i++)
		reap(reg, region[i]);
	mm_iommu_index_free(reg);
}

/* A page that is not held has no address, and nothing is counted for it. */
static void test_not_held(struct rng *rng)
{
	const u64 cookie = FIELD_PREP(MM_IOMMU_COOKIE_ID, 5);
	struct mm_struct mm = { };
	struct mm_iommu_held held;
	struct mm_iommu *reg;
	__be64 out = 77;

	check(mm_iommu_hold_page(&mm, 0, PAGE_SHIFT, false, 0, &held) ==
	      -EAGAIN);
	check(mm_iommu_translate(&mm, cookie, 1, PAGE_SHIFT, 0, &out) ==
	      -ENOENT);
	check(!mm_iommu_drop_page(&mm, cookie));
	mm_iommu_count(&mm, cookie, 1);
	check(!mm_iommu_is_unregistered(&mm));

	reg = registry_alloc(&mm);
	check(mm_iommu_translate(&mm, cookie, 1, PAGE_SHIFT, 0, &out) ==
	      -ENOENT);
	check(!mm_iommu_drop_page(&mm, cookie));
	mm_iommu_count(&mm, cookie, 1);
	check(!mm_iommu_is_unregistered(&mm));
	check(out == 77);
	mm_iommu_index_free(reg);
}

/* Operations on held pages, by the cookie of any of them. */
static void test_held(struct rng *rng)
{
	struct mm_iommu_region *region = kzalloc_obj(*region);
	struct mm_struct mm = { };
	struct mm_iommu_held held;
	struct mm_iommu *reg;
	unsigned long flags;
	__be64 out = 0;
	u64 cookie;

	check(region);
	reg = registry_alloc(&mm);
	mm_iommu_trans_init(&region->trans, BLOCK_UA, 2);
	check(!mm_iommu_trans_add(&region->trans, BLOCK_HPA, 2));
	check(!mm_iommu_trans_finish(&region->trans));
	atomic_long_set(&region->mapped, 2);
	insert(reg, region);
	cookie = mm_iommu_cookie(region, BLOCK_UA + PAGE_SIZE, false);
	check(!mm_iommu_translate(&mm, cookie, 1, PAGE_SHIFT, 3, &out));
	check(be64_to_cpu(out) == (BLOCK_HPA + PAGE_SIZE) + 3);
	check(!is_dirty(region, BLOCK_UA + PAGE_SIZE));
	check(!mm_iommu_translate(&mm, cookie | MM_IOMMU_COOKIE_WRITE, 1,
				  PAGE_SHIFT, 3, &out));
	check(is_dirty(region, BLOCK_UA + PAGE_SIZE));
	mm_iommu_count(&mm, cookie, 5);
	check(atomic_long_read(&region->mapped) == 7);
	mm_iommu_count(&mm, cookie, -5);
	check(atomic_long_read(&region->mapped) == 2);
	check(!mm_iommu_drop_page(&mm, cookie));
	check(atomic_long_read(&region->mapped) == 1);

	local_irq_save(flags);
	check(mm_iommu_hold_page(&mm, BLOCK_UA + 2 * PAGE_SIZE, PAGE_SHIFT,
				 true, 0, &held) == -EAGAIN);
	check(mm_iommu_hold_page(&mm, BLOCK_UA + PAGE_SIZE, PAGE_SHIFT, true, 0,
				 &held) == 1);
	check(held.cookie == (cookie | MM_IOMMU_COOKIE_WRITE));
	check(atomic_long_read(&region->mapped) == 2);
	/* the reference of another page of the region counts */
	check(mm_iommu_hold_page(&mm, BLOCK_UA, PAGE_SHIFT, false, cookie,
				 &held) == 0);
	check(atomic_long_read(&region->mapped) == 2);
	/* not while a writer, or another reader, has the slot */
	arch_spin_lock(&reg->slots[0].lock);
	check(mm_iommu_hold_page(&mm, BLOCK_UA, PAGE_SHIFT, false, 0,
				 &held) == -EAGAIN);
	arch_spin_unlock(&reg->slots[0].lock);
	local_irq_restore(flags);
	check(!mm_iommu_drop_page(&mm, cookie));
	erase(reg, region);
	mm_iommu_index_free(reg);
}

/* Number of table loads needed to hold IOMMU pages of 1G from @ua on. */
static unsigned long hold_loads(struct mm_struct *mm, unsigned long ua,
				unsigned long npages, int want)
{
	struct mm_iommu_section s;
	unsigned long flags, loads = shim_va_calls;
	__be64 out[MOST];
	u64 cookie;

	enter(mm, &s, &flags);
	check(hold(&s, ua, npages, 30, false, 0, &cookie, out) == want);
	leave(&s, flags);
	return shim_va_calls - loads;
}

/*
 * Interrupts are off: the cost per IOMMU page is independent of its contents.
 */
static void test_bounded(struct rng *rng)
{
	struct mm_iommu_region *region = kzalloc_obj(*region);
	struct mm_struct mm = { };
	struct mm_iommu *reg;
	struct layout l;
	unsigned long end;

	/* a block of 32G; one that is broken by a page; single pages */
	layout_init(&l, BLOCK_UA);
	layout_add(&l, BLOCK_HPA, 32UL * SZ_1G);
	layout_add(&l, 2 * BLOCK_HPA, SZ_1G - PAGE_SIZE);
	layout_add(&l, 4 * BLOCK_HPA, PAGE_SIZE);
	layout_add(&l, 2 * BLOCK_HPA + 5 * PAGE_SIZE, SZ_1G);
	reg = registry_alloc(&mm);
	check(region && !trans_enter(&region->trans, &l, PAGE_SIZE, &end));
	check(!mm_iommu_trans_finish(&region->trans));
	atomic_long_set(&region->mapped, 1);
	insert(reg, region);

	check(hold_loads(&mm, BLOCK_UA, 1, 0) <= 3);
	check(hold_loads(&mm, BLOCK_UA + 32UL * SZ_1G, 1, -EAGAIN) <= 3);
	check(hold_loads(&mm, BLOCK_UA + 33UL * SZ_1G, 1, -EAGAIN) <= 3);
	/* to check each of them, and to fill in a block */
	check(hold_loads(&mm, BLOCK_UA, 32, 0) <= 3 * 33);
	check(hold_loads(&mm, BLOCK_UA, 33, -EAGAIN) <= 3 * 33);
	layout_free(&l);
	erase(reg, region);
	mm_iommu_index_free(reg);
}

static const struct test tests[] = {
	{ "random holds and drops agree with a list", test_model },
	{ "what keeps one out of a section", test_enter },
	{ "the last page of a region that was given up", test_last },
	{ "a page that is not held", test_not_held },
	{ "pages that are held, by their cookie", test_held },
	{ "an IOMMU page of any size takes one walk", test_bounded },
};

int main(void)
{
	return test_main(tests, ARRAY_SIZE(tests));
}
