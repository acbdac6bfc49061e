// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite that reports the cost of a lookup in the registry of DMA memory,
 * and of a registration.
 *
 * Time is converted to instructions by means of a loop of known length. That is
 * exact if the timebase counts instructions, as in QEMU with -icount. Elsewhere
 * the figures are noise, so no test passes or fails because of them.
 */
#include <linux/prandom.h>

#include <asm/time.h>

#include "mm_iommu_kunit.h"

#define LOOKUPS		1024UL
#define PASSES		8
#define DISTANCE	SZ_1M

/* Number of instructions of the reference loop. */
#define LOOP		1000000UL

struct figures {
	struct mm_iommu *reg;
	struct mm_iommu_region **regions;
	unsigned long nr;
	unsigned long ua[LOOKUPS];
	unsigned long found;
	struct mm_iommu_region nowhere;	/* a hint that never applies */
	unsigned long sum;	/* keeps the compiler from removing a loop */
};

/* Ticks of a loop that consists of one branch to itself. */
static unsigned long loop_ticks(void)
{
	unsigned long n = LOOP, start = mftb();

	asm volatile("mtctr %0; 1: bdnz 1b" : : "r" (n) : "ctr");
	return mftb() - start;
}

/* A pass with the measured operation, or the same pass without it. */
typedef void (*pass_fn)(struct figures *f);

static struct mm_iommu_slot *this_slot(struct figures *f)
{
	return &f->reg->slots[raw_smp_processor_id() & f->reg->slot_mask];
}

static void pass_nothing(struct figures *f)
{
	unsigned int i;

	for (i = 0; i < LOOKUPS; i++) {
		f->sum += f->ua[i];
		this_slot(f)->hint = &f->nowhere;
	}
}

static __always_inline void find_and_look(struct figures *f,
					  struct mm_iommu_slot *slot,
					  unsigned long ua)
{
	struct mm_iommu_region *region;
	u64 block;

	region = mm_iommu_index_find(f->reg, slot, ua);
	if (!region)
		return;
	mm_iommu_trans_entry(&region->trans, ua, &block);
	f->found += !!mm_iommu_trans_hpa(block, ua);
}

/* Random addresses, so the hint never applies. */
static void pass_find(struct figures *f)
{
	struct mm_iommu_slot *slot;
	unsigned int i;

	for (i = 0; i < LOOKUPS; i++) {
		slot = this_slot(f);
		slot->hint = &f->nowhere;
		find_and_look(f, slot, f->ua[i]);
	}
}

static void pass_lookup(struct figures *f)
{
	struct mm_iommu_slot *slot;
	unsigned long flags;
	unsigned int i;

	for (i = 0; i < LOOKUPS; i++) {
		this_slot(f)->hint = &f->nowhere;
		slot = mm_iommu_read_lock(f->reg, &flags);
		find_and_look(f, slot, f->ua[i]);
		mm_iommu_read_unlock(slot, flags);
	}
}

static void pass_nothing_hint(struct figures *f)
{
	unsigned int i;

	for (i = 0; i < LOOKUPS; i++)
		f->sum += f->ua[0];
}

static void pass_find_hint(struct figures *f)
{
	struct mm_iommu_slot *slot;
	unsigned int i;

	for (i = 0; i < LOOKUPS; i++) {
		slot = this_slot(f);
		find_and_look(f, slot, f->ua[0]);
	}
}

static void pass_lookup_hint(struct figures *f)
{
	struct mm_iommu_slot *slot;
	unsigned long flags;
	unsigned int i;

	for (i = 0; i < LOOKUPS; i++) {
		slot = mm_iommu_read_lock(f->reg, &flags);
		find_and_look(f, slot, f->ua[0]);
		mm_iommu_read_unlock(slot, flags);
	}
}

/* The minimum of several passes; the others were hit by a timer interrupt. */
static unsigned long pass_ticks(struct figures *f, pass_fn pass)
{
	unsigned long best = ULONG_MAX, start, flags;
	struct mm_iommu_slot *slot;
	unsigned int i;

	for (i = 0; i < PASSES; i++) {
		preempt_disable();
		/* the first reader after a writer has more to do */
		slot = mm_iommu_read_lock(f->reg, &flags);
		mm_iommu_read_unlock(slot, flags);
		start = mftb();
		pass(f);
		best = min(best, mftb() - start);
		preempt_enable();
		cond_resched();
	}
	return best;
}

static void tell(struct kunit *test, const char *what, struct figures *f,
		 int hint, pass_fn pass, pass_fn nothing)
{
	unsigned long ticks = pass_ticks(f, pass), less, loop = loop_ticks();

	less = min(ticks, pass_ticks(f, nothing));
	kunit_info(test, "mm_iommu figure: %s n=%lu hint=%d instr=%lu\n", what,
		   f->nr, hint,
		   DIV_ROUND_CLOSEST((ticks - less) * LOOP,
				     max(loop, 1UL) * LOOKUPS));
}

static void add_regions(struct kunit *test, struct figures *f, unsigned long nr)
{
	struct mm_iommu_kunit *t = test->priv;
	unsigned long ua;

	for (; f->nr < nr; f->nr++) {
		ua = KUNIT_UA + f->nr * DISTANCE;
		KUNIT_ASSERT_EQ(test, 0,
				mm_iommu_kunit_register(test, ua, PAGE_SIZE,
							&f->regions[f->nr]));
	}
	f->reg = t->mm->context.mm_iommu;
}

static void choose_addresses(struct figures *f)
{
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, 1);
	for (i = 0; i < LOOKUPS; i++)
		f->ua[i] = KUNIT_UA +
			   prandom_u32_state(&rnd) % f->nr * DISTANCE +
			   prandom_u32_state(&rnd) % PAGE_SIZE;
}

static void cost_of_a_lookup(struct kunit *test)
{
	static const unsigned long numbers[] = { 1, 256, 4096, 32768 };
	struct mm_iommu_kunit *t = test->priv;
	struct figures *f;
	unsigned int i;

	f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f);
	f->regions = kunit_kcalloc(test, 32768, sizeof(*f->regions),
				   GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f->regions);
	mm_iommu_kunit_stub_pins(test);
	t->instead = mm_iommu_kunit_map(test, 1);

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		add_regions(test, f, numbers[i]);
		choose_addresses(f);
		tell(test, "lookup", f, 0, pass_lookup, pass_nothing);
		tell(test, "find", f, 0, pass_find, pass_nothing);
		tell(test, "lookup", f, 1, pass_lookup_hint, pass_nothing_hint);
		tell(test, "find", f, 1, pass_find_hint, pass_nothing_hint);
	}
	/* four times per number of regions */
	KUNIT_EXPECT_EQ(test, f->found,
			4 * ARRAY_SIZE(numbers) * PASSES * LOOKUPS);
	while (f->nr--)
		KUNIT_ASSERT_EQ(test, 0,
				mm_iommu_unregister(f->regions[f->nr]));
}

#define GIVEN_UP	100000UL

/*
 * Registers a page in place of earlier ones, maps it, and makes it an orphan.
 */
static void give_up(struct kunit *test, struct mm_iommu_held *held)
{
	struct mm_iommu_kunit *t = test->priv;
	struct mm_iommu_region *region;

	KUNIT_ASSERT_EQ(test, 0,
			mm_iommu_kunit_register(test, KUNIT_UA, PAGE_SIZE,
						&region));
	KUNIT_ASSERT_EQ(test, 1, mm_iommu_hold(t->mm, KUNIT_UA, 1, PAGE_SHIFT,
					       false, held));
	mm_iommu_release(region);
}

static void tell_drops(struct kunit *test, const struct mm_iommu_held *held,
		       unsigned long nr, unsigned long of)
{
	unsigned long start, best = ULONG_MAX, loop = loop_ticks(), i;
	struct mm_iommu_kunit *t = test->priv;

	for (i = 0; i < nr; i++) {
		start = mftb();
		KUNIT_ASSERT_EQ(test, 0, mm_iommu_drop(t->mm, held[i].cookie,
						       1));
		best = min(best, mftb() - start);
		cond_resched();
	}
	kunit_info(test, "mm_iommu figure: last drop n=%lu instr=%lu\n", of,
		   DIV_ROUND_CLOSEST(best * LOOP, max(loop, 1UL)));
}

/*
 * Cost of the drop of an orphan's last page, independent of the number of
 * orphans.
 */
static void cost_of_the_last_drop(struct kunit *test)
{
	struct mm_iommu_kunit *t = test->priv;
	struct mm_iommu_held *held;
	unsigned long i;

	held = kvcalloc(GIVEN_UP, sizeof(*held), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, held);
	mm_iommu_kunit_stub_pins(test);
	t->instead = mm_iommu_kunit_map(test, 1);

	for (i = 0; i < 3; i++) {
		give_up(test, held);
		tell_drops(test, held, 1, 1);
	}
	for (i = 0; i < GIVEN_UP; i++)
		give_up(test, &held[i]);
	KUNIT_EXPECT_EQ(test, t->mm->locked_vm, GIVEN_UP);
	tell_drops(test, held, 100, GIVEN_UP);
	tell_drops(test, held + 100, GIVEN_UP - 100, GIVEN_UP - 100);
	KUNIT_EXPECT_EQ(test, t->mm->locked_vm, 0);
	kvfree(held);
}

/* Whether the timebase counts instructions, each as a nanosecond. */
static bool counts_instructions(void)
{
	unsigned long best = ULONG_MAX;
	unsigned int i;

	for (i = 0; i < PASSES; i++)
		best = min(best, loop_ticks());
	return abs_diff(best, LOOP / 1000 * tb_ticks_per_usec) <= 2;
}

/* Replaces the registry of the test, which is empty, by one for @cpus CPUs. */
static void new_registry(struct kunit *test, unsigned int cpus)
{
	struct mm_iommu_kunit *t = test->priv;

	mm_iommu_destroy(t->mm);
	t->mm->context.mm_iommu = mm_iommu_index_alloc(t->mm, cpus);
	KUNIT_ASSERT_NOT_NULL(test, t->mm->context.mm_iommu);
}

struct pair_cost {
	unsigned long reg;
	unsigned long unreg;
};

/* As if there had been a reader in each slot. */
static void use_all_slots(struct mm_iommu *reg)
{
	struct mm_iommu_slot *slot;
	unsigned long flags;
	unsigned int i;

	local_irq_save(flags);
	for (i = 0; i <= reg->slot_mask; i++) {
		slot = &reg->slots[i];
		arch_spin_lock(&slot->lock);
		if (!slot->hint) {
			arch_spin_lock(&reg->used_lock);
			mm_iommu_use_slot(reg, slot);
		}
		arch_spin_unlock(&slot->lock);
	}
	local_irq_restore(flags);
}

/*
 * The cost of a registration and of its end, the minimum of several; with
 * @used there was a reader in each slot before each of them.
 */
static struct pair_cost pair_cost(struct kunit *test, unsigned int slots,
				  bool used)
{
	struct mm_iommu_kunit *t = test->priv;
	struct pair_cost best = { .reg = ULONG_MAX, .unreg = ULONG_MAX };
	unsigned long start, loop = loop_ticks();
	struct mm_iommu_region *region;
	unsigned int i;
	int ret;

	new_registry(test, slots);
	for (i = 0; i < PASSES; i++) {
		if (used)
			use_all_slots(t->mm->context.mm_iommu);
		start = mftb();
		ret = mm_iommu_kunit_register(test, KUNIT_UA, PAGE_SIZE,
					      &region);
		best.reg = min(best.reg, mftb() - start);
		KUNIT_ASSERT_EQ(test, 0, ret);

		if (used)
			use_all_slots(t->mm->context.mm_iommu);
		start = mftb();
		ret = mm_iommu_unregister(region);
		best.unreg = min(best.unreg, mftb() - start);
		KUNIT_ASSERT_EQ(test, 0, ret);
		cond_resched();
	}

	best.reg = DIV_ROUND_CLOSEST(best.reg * LOOP, max(loop, 1UL));
	best.unreg = DIV_ROUND_CLOSEST(best.unreg * LOOP, max(loop, 1UL));
	return best;
}

/* A row for harness/bench.sh. */
static void tell_slots(const char *op, unsigned int slots, bool used,
		       unsigned long cost)
{
	pr_info("row\t%s\ta page, slots: %u%s\t%lu\tinstructions\t1\tcall\n",
		op, slots, used ? ", in use" : "", cost);
}

static void tell_pair(unsigned int slots, bool used, struct pair_cost cost)
{
	tell_slots("REGISTER in the kernel", slots, used, cost.reg);
	tell_slots("UNREGISTER in the kernel", slots, used, cost.unreg);
}

/*
 * Cost of a registration, and of its end: independent of the number of slots,
 * but for those that readers have used since the one before.
 */
static void cost_of_the_slots(struct kunit *test)
{
	static const unsigned int numbers[] = { 1, 8, 64 };
	struct mm_iommu_kunit *t = test->priv;
	struct pair_cost one = {}, cost;
	unsigned int i;

	mm_iommu_kunit_stub_pins(test);
	t->instead = mm_iommu_kunit_map(test, 1);

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		tell_pair(numbers[i], true, pair_cost(test, numbers[i], true));
		cost = pair_cost(test, numbers[i], false);
		tell_pair(numbers[i], false, cost);
		if (!i)
			one = cost;
		if (!counts_instructions())
			continue;
		KUNIT_EXPECT_LE(test, cost.reg, one.reg + one.reg / 10);
		KUNIT_EXPECT_LE(test, cost.unreg, one.unreg + one.unreg / 10);
	}
}

static struct kunit_case mm_iommu_figures_cases[] = {
	KUNIT_CASE_SLOW(cost_of_a_lookup),
	KUNIT_CASE_SLOW(cost_of_the_slots),
	KUNIT_CASE_SLOW(cost_of_the_last_drop),
	{ }
};

static struct kunit_suite mm_iommu_figures_suite = {
	.name = "mm_iommu_figures",
	.init = mm_iommu_kunit_init,
	.exit = mm_iommu_kunit_exit,
	.test_cases = mm_iommu_figures_cases,
};

kunit_test_suite(mm_iommu_figures_suite);
