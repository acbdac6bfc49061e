// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of the registry of DMA memory: its counters, its translations,
 * and its state after failures. See mmu_context_iommu.c.
 *
 * Every test has its own mm with real memory in it. The index and the
 * translation alone are also tested in user space (tools/testing/mm_iommu).
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/debugfs.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/prandom.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/swap.h>

#include "mm_iommu_kunit.h"

/*
 * Number of pages that a test maps and registers if their number is irrelevant.
 */
#define TEST_PAGES	40UL
#define TEST_SIZE	(TEST_PAGES << PAGE_SHIFT)

/* ---- common to all tests ----------------------------------------------- */

static u64 id_cookie(u64 id)
{
	return FIELD_PREP(MM_IOMMU_COOKIE_ID, id);
}

/* Number of regions that have an id. */
static unsigned long count_ids(struct mm_iommu *reg)
{
	unsigned long n = 0;
	unsigned int id;

	for (id = 0; id < reg->ids.fresh; id++)
		n += !!mm_iommu_id_find(reg, id_cookie(id));
	return n;
}

/**
 * mm_iommu_kunit_init() - create an mm for a test
 * @test: the test
 *
 * Return: 0 or -ENOMEM.
 */
int mm_iommu_kunit_init(struct kunit *test)
{
	struct mm_iommu_kunit *t;
	struct mm_struct *mm;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	if (!t)
		return -ENOMEM;

	mm = mm_alloc();
	if (!mm)
		return -ENOMEM;

	mm->task_size = TASK_SIZE;
	arch_pick_mmap_layout(mm, &current->signal->rlim[RLIMIT_STACK]);
	/* the mm is in use until the thread exits, at the end of the test */
	kthread_use_mm(mm);
	t->mm = mm;
	test->priv = t;
	return 0;
}

/**
 * mm_iommu_kunit_exit() - check that a test has left nothing behind
 * @test: the test; its thread has exited
 */
void mm_iommu_kunit_exit(struct kunit *test)
{
	struct mm_iommu_kunit *t = test->priv;
	struct mm_iommu *reg;

	if (!t)
		return;

	reg = t->mm->context.mm_iommu;
	if (reg) {
		KUNIT_EXPECT_TRUE(test, RB_EMPTY_ROOT(&reg->index));
		KUNIT_EXPECT_TRUE(test, list_empty(&reg->pending));
		KUNIT_EXPECT_NULL(test, reg->dead);
		KUNIT_EXPECT_EQ(test, count_ids(reg), 0);
	}
	KUNIT_EXPECT_EQ(test, t->mm->locked_vm, 0);
	/* drop the reference of kthread_use_mm() */
	mmdrop(t->mm);
}

/**
 * mm_iommu_kunit_map() - map memory for a test
 * @test: the test
 * @npages: number of pages of PAGE_SIZE
 *
 * Return: the user address of the memory.
 */
unsigned long mm_iommu_kunit_map(struct kunit *test, unsigned long npages)
{
	unsigned long ua = vm_mmap(NULL, 0, npages << PAGE_SHIFT,
				   PROT_READ | PROT_WRITE,
				   MAP_ANONYMOUS | MAP_PRIVATE, 0);

	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(ua));
	return ua;
}

/**
 * mm_iommu_kunit_register() - mm_iommu_register() in the mm of the test
 * @test: the test
 * @ua: first user address
 * @size: size in bytes
 * @regionp: where to store the region
 *
 * Return: as mm_iommu_register().
 */
int mm_iommu_kunit_register(struct kunit *test, unsigned long ua,
			    unsigned long size,
			    struct mm_iommu_region **regionp)
{
	struct mm_iommu_kunit *t = test->priv;

	memset(&t->refusal, 0, sizeof(t->refusal));
	return mm_iommu_register(t->mm, ua, size, regionp, &t->refusal);
}

static void kill_current(bool kill)
{
	struct sighand_struct *sighand = rcu_dereference_raw(current->sighand);

	spin_lock_irq(&sighand->siglock);
	if (kill)
		sigaddset(&current->pending.signal, SIGKILL);
	else
		sigdelset(&current->pending.signal, SIGKILL);
	recalc_sigpending();
	spin_unlock_irq(&sighand->siglock);
}

/* Pins pages of other addresses, one by one; each is a real pin. */
static int pin_instead(const struct mm_iommu_kunit *t, unsigned long ua, int n,
		       unsigned int flags, struct page **pages)
{
	unsigned long first = (ua - t->from_ua) >> PAGE_SHIFT, at;
	int i;

	for (i = 0; i < n; i++) {
		at = t->from ? t->from[first + i] : t->instead;
		if (pin_user_pages_fast(at, 1, flags, pages + i) != 1)
			break;
	}
	return i;
}

/* The range at @ua is just being pinned: waits for it, and is killed. */
static int register_killed(struct mm_iommu_kunit *t, unsigned long ua)
{
	struct mm_iommu_region *region;
	int ret;

	kill_current(true);
	ret = mm_iommu_register(t->mm, ua, t->again, &region, &t->refusal);
	kill_current(false);
	return ret;
}

/* Replaces mm_iommu_pin_user(). */
static int pin_stub(unsigned long ua, int n, unsigned int flags,
		    struct page **pages)
{
	struct mm_iommu_kunit *t = kunit_get_current_test()->priv;

	t->calls++;
	if (t->fail_at && t->calls >= t->fail_at &&
	    t->calls < t->fail_at + t->fail_calls)
		return t->fail_with;
	if (t->calls == 1 && t->again)
		t->again_ret = register_killed(t, ua);
	if (t->calls == t->kill_at)
		kill_current(true);
	if (t->at_most)
		n = min(n, t->at_most);
	if (t->instead || t->from)
		return pin_instead(t, ua, n, flags, pages);
	return pin_user_pages_fast(ua, n, flags, pages);
}

/**
 * mm_iommu_kunit_stub_pins() - let members of mm_iommu_kunit control pins
 * @test: the test
 */
void mm_iommu_kunit_stub_pins(struct kunit *test)
{
	kunit_activate_static_stub(test, mm_iommu_pin_user, pin_stub);
}

/* Maps other memory at the same address. */
static void test_map_again(struct kunit *test, unsigned long ua,
			   unsigned long npages, unsigned long prot)
{
	unsigned long flags = MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED;

	KUNIT_ASSERT_EQ(test, vm_mmap(NULL, ua, npages << PAGE_SHIFT, prot,
				      flags, 0), ua);
}

static struct mm_iommu_region *test_register(struct kunit *test,
					     unsigned long ua,
					     unsigned long size)
{
	struct mm_iommu_region *region;

	KUNIT_ASSERT_EQ(test, mm_iommu_kunit_register(test, ua, size, &region),
			0);
	return region;
}

static long test_map(struct kunit *test, unsigned long ua, bool write,
		     struct mm_iommu_held *held)
{
	struct mm_iommu_kunit *t = test->priv;
	__be64 out;
	long n;

	n = mm_iommu_hold(t->mm, ua, 1, PAGE_SHIFT, write, held);
	if (n == 1) {
		KUNIT_EXPECT_EQ(test, held->cookie & MM_IOMMU_COOKIE_WRITE,
				write);
		KUNIT_EXPECT_EQ(test, 0,
				mm_iommu_translate(t->mm, held->cookie, 1,
						   PAGE_SHIFT, 3, &out));
		KUNIT_EXPECT_EQ(test, held->hpa | 3, be64_to_cpu(out));
	}
	return n;
}

static void test_unmap(struct kunit *test, const struct mm_iommu_held *m)
{
	struct mm_iommu_kunit *t = test->priv;

	KUNIT_ASSERT_EQ(test, mm_iommu_drop(t->mm, m->cookie, 1), 0);
}

/* Whether a TCE could be written for an address now. */
static bool test_is_found(struct kunit *test, unsigned long ua)
{
	struct mm_iommu_held m;

	if (test_map(test, ua, false, &m) != 1)
		return false;
	test_unmap(test, &m);
	return true;
}

/* Pages of a range; the test holds references on them to inspect them. */
struct test_pages {
	struct page *page[TEST_PAGES];
};

static void put_test_pages(void *data)
{
	struct test_pages *p = data;
	unsigned int i;

	for (i = 0; i < TEST_PAGES; i++)
		put_page(p->page[i]);
}

static struct test_pages *test_get_pages(struct kunit *test, unsigned long ua)
{
	struct test_pages *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_EQ(test, get_user_pages_fast(ua, TEST_PAGES, FOLL_WRITE,
						  p->page), TEST_PAGES);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, put_test_pages,
							p), 0);
	/*
	 * from now on only references that the tests look for are taken or
	 * dropped
	 */
	lru_add_drain_all();
	return p;
}

static unsigned long count_pinned(struct test_pages *p)
{
	unsigned long i, n = 0;

	for (i = 0; i < TEST_PAGES; i++)
		n += folio_maybe_dma_pinned(page_folio(p->page[i]));
	return n;
}

/* All state that a registration may change. */
struct test_state {
	unsigned long locked_vm;
	unsigned long refs;
	unsigned long regions;
	unsigned long pending;
	unsigned long orphans;
};

static struct test_state get_state(struct kunit *test, struct test_pages *p)
{
	struct mm_iommu_kunit *t = test->priv;
	struct mm_iommu *reg = t->mm->context.mm_iommu;
	struct test_state s = { .locked_vm = t->mm->locked_vm };
	struct rb_node *node;
	unsigned int i;

	for (i = 0; p && i < TEST_PAGES; i++)
		s.refs += folio_ref_count(page_folio(p->page[i]));
	if (!reg)
		return s;

	mutex_lock(&reg->lock);
	for (node = rb_first(&reg->index); node; node = rb_next(node))
		s.regions++;
	s.pending = list_count_nodes(&reg->pending);
	s.orphans = count_ids(reg) - s.regions - s.pending;
	mutex_unlock(&reg->lock);
	return s;
}

/* Checks the reported cause of a failed registration. */
static void expect_refusal(struct kunit *test, const char *words,
			   unsigned long at)
{
	struct mm_iommu_kunit *t = test->priv;

	KUNIT_EXPECT_STREQ(test, t->refusal.words, words);
	KUNIT_EXPECT_EQ(test, t->refusal.at, at);
}

static void expect_state(struct kunit *test, struct test_pages *p,
			 const struct test_state *want)
{
	struct test_state is = get_state(test, p);

	KUNIT_EXPECT_EQ(test, is.locked_vm, want->locked_vm);
	KUNIT_EXPECT_EQ(test, is.refs, want->refs);
	KUNIT_EXPECT_EQ(test, is.regions, want->regions);
	KUNIT_EXPECT_EQ(test, is.pending, want->pending);
	KUNIT_EXPECT_EQ(test, is.orphans, want->orphans);
}

/* ---- translation ------------------------------------------------------- */

/* Nodes of 2M with an entry per page, and the node above them. */
#define BYTES_OF_PAGES	((SZ_1G / PAGE_SIZE + 512) * 8)

const struct mm_iommu_kunit_layout
mm_iommu_kunit_layouts[MM_IOMMU_KUNIT_LAYOUTS] = {
	{
		.name = "one page",
		.offset = 3 * PAGE_SIZE, .size = PAGE_SIZE,
		.run = PAGE_SIZE, .gap = PAGE_SIZE,
		.bytes = 0,
	}, {
		.name = "1G of single pages",
		.size = SZ_1G, .run = PAGE_SIZE, .gap = PAGE_SIZE,
		.order = PAGE_SHIFT, .bytes = BYTES_OF_PAGES,
	}, {
		.name = "1G of single pages from an odd address",
		.offset = 5 * PAGE_SIZE, .size = SZ_1G,
		.run = PAGE_SIZE, .gap = PAGE_SIZE,
		.order = PAGE_SHIFT, .bytes = BYTES_OF_PAGES + 8192,
	}, {
		.name = "1G of 2M folios",
		.size = SZ_1G, .run = SZ_2M, .gap = SZ_2M,
		.order = 21, .bytes = 4096,
	}, {
		.name = "1G of 2M folios from inside of one",
		.offset = SZ_1M, .size = SZ_1G, .run = SZ_2M, .gap = SZ_2M,
		.order = 21, .bytes = 8192,
	}, {
		.name = "64M of 2M folios, not aligned alike",
		.size = SZ_64M, .run = SZ_2M, .gap = SZ_2M, .skew = PAGE_SIZE,
		.order = PAGE_SHIFT, .bytes = BYTES_OF_PAGES / 16,
	}, {
		.name = "1G of 2M folios, one page elsewhere",
		.size = SZ_1G, .run = SZ_2M, .gap = SZ_2M,
		.broken = SZ_512M + 7 * PAGE_SIZE,
		.order = PAGE_SHIFT, .bytes = 4096 + SZ_2M / PAGE_SIZE * 8,
	}, {
		.name = "64M, every other 2M in single pages",
		.size = SZ_64M, .run = SZ_2M, .gap = SZ_2M, .mixed = true,
		.order = PAGE_SHIFT, .bytes = 256 + SZ_32M / PAGE_SIZE * 8,
	}, {
		.name = "1G of 16M folios",
		.size = SZ_1G, .run = SZ_16M, .gap = SZ_16M,
		.order = 24, .bytes = 4096,
	}, {
		.name = "4G of 1G folios",
		.size = SZ_4G, .run = SZ_1G, .gap = SZ_1G,
		.order = 30, .bytes = 4 * 4096,
	}, {
		.name = "1G folio, one page elsewhere",
		.size = SZ_1G, .run = SZ_1G, .gap = SZ_1G,
		.broken = SZ_512M,
		.order = PAGE_SHIFT, .bytes = 4096 + SZ_2M / PAGE_SIZE * 8,
	}, {
		.name = "neighbours, 16M of them aligned alike",
		.offset = SZ_16M, .size = SZ_64M, .run = SZ_64M, .gap = 0,
		.skew = SZ_16M, .order = 24, .bytes = 256,
	}, {
		.name = "neighbours, all in one block",
		.offset = SZ_2M, .size = SZ_64M, .run = PAGE_SIZE, .gap = 0,
		.bytes = 0,
	},
};

KUNIT_ARRAY_PARAM_DESC(layout, mm_iommu_kunit_layouts, name);

/**
 * mm_iommu_kunit_hpa() - host address in a layout
 * @l: the layout
 * @ua: user address
 *
 * Return: the host physical address.
 */
unsigned long mm_iommu_kunit_hpa(const struct mm_iommu_kunit_layout *l,
				 unsigned long ua)
{
	unsigned long at = ua - KUNIT_UA, offset = offset_in_page(ua);

	if (l->broken && ALIGN_DOWN(at, PAGE_SIZE) == l->broken)
		return 2 * KUNIT_HPA + offset;
	if (l->mixed && at & SZ_2M)
		return 3 * KUNIT_HPA + 2 * (at - offset) + offset;
	return KUNIT_HPA + l->skew + at / l->run * (l->run + l->gap) +
	       at % l->run;
}

/* Length of the contiguous memory at @ua, limited by @end. */
static unsigned long layout_run(const struct mm_iommu_kunit_layout *l,
				unsigned long ua, unsigned long end)
{
	unsigned long hpa = mm_iommu_kunit_hpa(l, ua);
	unsigned long len = min(PAGE_SIZE - offset_in_page(ua), end - ua);

	while (ua + len < end && mm_iommu_kunit_hpa(l, ua + len) == hpa + len)
		len += min(PAGE_SIZE, end - ua - len);
	return len;
}

/**
 * mm_iommu_kunit_trans() - create the translation of a layout
 * @test: the test
 * @trans: the translation to create; the caller frees it
 * @l: the layout
 *
 * Runs are added in batches, as pinning does.
 */
void mm_iommu_kunit_trans(struct kunit *test, struct mm_iommu_trans *trans,
			  const struct mm_iommu_kunit_layout *l)
{
	unsigned long ua = KUNIT_UA + l->offset, end = ua + l->size, len;
	unsigned long most = max(l->run, 1024 * PAGE_SIZE);

	mm_iommu_trans_init(trans, ua, l->size >> PAGE_SHIFT);
	for (; ua < end; ua += len) {
		len = layout_run(l, ua, min(end, ALIGN(ua + 1, most)));
		KUNIT_ASSERT_EQ(test, 0,
				mm_iommu_trans_add(trans,
						   mm_iommu_kunit_hpa(l, ua),
						   len >> PAGE_SHIFT));
	}
	KUNIT_ASSERT_EQ(test, mm_iommu_trans_finish(trans), 0);
}

static void trans_takes_little_memory(struct kunit *test)
{
	const struct mm_iommu_kunit_layout *l = test->param_value;
	struct mm_iommu_trans trans;

	mm_iommu_kunit_trans(test, &trans, l);
	KUNIT_EXPECT_LE(test, trans.bytes, l->bytes);
	kunit_info(test, "mm_iommu figure: translation of %s bytes=%lu\n",
		   l->name, trans.bytes);
	mm_iommu_trans_free(&trans);
}

static void trans_translates_every_page(struct kunit *test)
{
	const struct mm_iommu_kunit_layout *l = test->param_value;
	unsigned long ua = KUNIT_UA + l->offset, end = ua + l->size;
	struct mm_iommu_trans trans;
	unsigned long len, n;
	u64 at, block;

	mm_iommu_kunit_trans(test, &trans, l);
	for (; ua < end; ua += len) {
		len = mm_iommu_trans_block(&trans, ua, &at);
		KUNIT_ASSERT_GT(test, len, 0);
		KUNIT_ASSERT_LE(test, len, end - ua);
		for (n = 0; n < len; n += PAGE_SIZE) {
			KUNIT_ASSERT_EQ(test, at + n,
					mm_iommu_kunit_hpa(l, ua + n));
			mm_iommu_trans_entry(&trans, ua + n, &block);
			KUNIT_ASSERT_EQ(test, at + n,
					mm_iommu_trans_hpa(block, ua + n));
		}
	}
	mm_iommu_trans_free(&trans);
}

/* Whether there can be an IOMMU page at an address, within the region. */
static bool layout_has(const struct mm_iommu_kunit_layout *l, unsigned long ua,
		       unsigned int order)
{
	unsigned long size = BIT(order), end = KUNIT_UA + l->offset + l->size;

	return IS_ALIGNED(ua | mm_iommu_kunit_hpa(l, ua), size) &&
	       size <= end - ua && layout_run(l, ua, ua + size) == size;
}

static void trans_block_is_as_large_as_it_can_be(struct kunit *test)
{
	const struct mm_iommu_kunit_layout *l = test->param_value;
	unsigned long start = KUNIT_UA + l->offset, end = start + l->size, ua;
	struct mm_iommu_trans trans;
	unsigned int order, i;
	struct rnd_state rnd;
	u64 block;

	prandom_seed_state(&rnd, 1);
	mm_iommu_kunit_trans(test, &trans, l);
	if (l->order)
		KUNIT_EXPECT_EQ(test, trans.order, l->order);
	for (i = 0; i < 300; i++) {
		order = PAGE_SHIFT + i % 12;
		ua = ALIGN(start + prandom_u32_state(&rnd) % l->size,
			   BIT(order));
		if (ua >= end || BIT(order) > end - ua)
			continue;
		mm_iommu_trans_entry(&trans, ua, &block);
		KUNIT_ASSERT_EQ(test, mm_iommu_trans_order(block) >= order,
				layout_has(l, ua, order));
	}
	mm_iommu_trans_free(&trans);
}

static void trans_keeps_dirty_marks(struct kunit *test)
{
	const struct mm_iommu_kunit_layout *l = test->param_value;
	unsigned long start = KUNIT_UA + l->offset, end = start + l->size, ua;
	unsigned long mark = ALIGN_DOWN(start + l->size / 2, PAGE_SIZE), len;
	struct mm_iommu_trans trans;
	u64 *entry, block, at;

	mm_iommu_kunit_trans(test, &trans, l);
	entry = mm_iommu_trans_entry(&trans, mark, &block);
	mm_iommu_trans_mark(entry, block, MM_IOMMU_DIRTY);
	for (ua = start; ua < end; ua += len) {
		len = mm_iommu_trans_block(&trans, ua, &at);
		KUNIT_ASSERT_EQ(test, !!(at & MM_IOMMU_DIRTY),
				mark >= ua && mark < ua + len);
		KUNIT_ASSERT_EQ(test, at & MM_IOMMU_ADDR,
				mm_iommu_kunit_hpa(l, ua));
	}
	mm_iommu_trans_free(&trans);
}

/* One page is missing; that differs from memory at host address 0. */
static void trans_without_all_pages_is_refused(struct kunit *test)
{
	const struct mm_iommu_kunit_layout *l = test->param_value;
	struct mm_iommu_trans trans;

	mm_iommu_kunit_trans(test, &trans, l);
	KUNIT_EXPECT_EQ(test, mm_iommu_trans_add(&trans, KUNIT_HPA, 1),
			-EINVAL);
	trans.added--;
	KUNIT_EXPECT_EQ(test, mm_iommu_trans_finish(&trans), -EFAULT);
	trans.added++;
	KUNIT_EXPECT_EQ(test, mm_iommu_trans_finish(&trans), 0);
	mm_iommu_trans_free(&trans);
}

static void trans_with_nothing_is_refused(struct kunit *test)
{
	struct mm_iommu_trans trans;

	mm_iommu_trans_init(&trans, KUNIT_UA, 1);
	KUNIT_EXPECT_EQ(test, mm_iommu_trans_finish(&trans), -EFAULT);
	mm_iommu_trans_free(&trans);
}

/* ---- registering ------------------------------------------------------- */

static void register_pins_and_counts_once(struct kunit *test)
{
	struct mm_iommu_kunit *t = test->priv;
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct test_pages *p = test_get_pages(test, ua);
	struct test_state start = get_state(test, p);
	struct mm_iommu_region *region, *shared;
	struct test_state live;

	region = test_register(test, ua, TEST_SIZE);
	KUNIT_EXPECT_EQ(test, t->mm->locked_vm, TEST_PAGES);
	KUNIT_EXPECT_EQ(test, count_pinned(p), TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mm_iommu_size(region), TEST_SIZE);

	live = get_state(test, p);
	shared = test_register(test, ua, TEST_SIZE);
	KUNIT_EXPECT_PTR_EQ(test, shared, region);
	KUNIT_EXPECT_EQ(test, region->used, 2);
	expect_state(test, p, &live);

	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(shared), 0);
	expect_state(test, p, &live);
	KUNIT_EXPECT_TRUE(test, test_is_found(test, ua));

	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
	expect_state(test, p, &start);
	KUNIT_EXPECT_EQ(test, count_pinned(p), 0);
	KUNIT_EXPECT_FALSE(test, test_is_found(test, ua));
}

static void register_translates_to_the_pages_it_pinned(struct kunit *test)
{
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct test_pages *p = test_get_pages(test, ua);
	struct mm_iommu_region *region = test_register(test, ua, TEST_SIZE);
	struct mm_iommu_held m;
	unsigned long i;

	for (i = 0; i < TEST_PAGES; i++) {
		KUNIT_EXPECT_EQ(test, 1, test_map(test, ua + (i << PAGE_SHIFT),
						  false, &m));
		KUNIT_EXPECT_EQ(test, m.hpa, page_to_phys(p->page[i]));
		test_unmap(test, &m);
	}
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
}

static void memory_for_reading_is_not_written(struct kunit *test)
{
	struct mm_iommu_kunit *t = test->priv;
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct mm_iommu_held m;
	struct test_pages *p = test_get_pages(test, ua);
	unsigned long rest = ua + 10 * PAGE_SIZE;
	struct mm_iommu_region *region;
	struct mm_iommu_held held;
	struct test_state start;

	/* the first pages are read-only, the rest is writable */
	test_map_again(test, ua, 10, PROT_READ);
	start = get_state(test, p);
	region = test_register(test, ua, TEST_SIZE);
	KUNIT_EXPECT_TRUE(test, test_is_found(test, ua));
	KUNIT_EXPECT_EQ(test, test_map(test, ua, true, &m), -EFAULT);
	KUNIT_EXPECT_EQ(test, test_map(test, rest - PAGE_SIZE, true, &m),
			-EFAULT);
	KUNIT_ASSERT_EQ(test, test_map(test, rest, true, &m), 1);
	test_unmap(test, &m);

	/* all pages or none */
	KUNIT_EXPECT_EQ(test, -EFAULT,
			mm_iommu_hold(t->mm, ua, TEST_PAGES, PAGE_SHIFT, true,
				      &held));
	KUNIT_ASSERT_EQ(test, TEST_PAGES,
			mm_iommu_hold(t->mm, ua, TEST_PAGES, PAGE_SHIFT, false,
				      &held));
	KUNIT_EXPECT_EQ(test, held.cookie, mm_iommu_cookie(region, ua, false));
	KUNIT_EXPECT_EQ(test, mm_iommu_drop(t->mm, held.cookie, TEST_PAGES), 0);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
	expect_state(test, p, &start);
}

/*
 * On failure the caller learns which page was refused, wherever in the range.
 */
static void a_page_that_cannot_be_held_is_named(struct kunit *test)
{
	struct mm_iommu_kunit *t = test->priv;
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	unsigned long bad = ua + 5 * PAGE_SIZE, i;
	struct mm_iommu_region *region;
	struct mm_iommu_held held;

	KUNIT_EXPECT_EQ(test, -EINVAL, mm_iommu_hold(t->mm, bad, 2, PAGE_SHIFT,
						     true, &held));
	KUNIT_EXPECT_EQ(test, held.bad, bad);
	test_map_again(test, bad, 3, PROT_READ);
	region = test_register(test, ua, TEST_SIZE);
	for (i = 0; i < 8; i++) {
		KUNIT_EXPECT_EQ(test, -EFAULT,
				mm_iommu_hold(t->mm, ua + i * PAGE_SIZE, 8,
					      PAGE_SHIFT, true, &held));
		KUNIT_EXPECT_EQ(test, held.bad,
				max(bad, ua + i * PAGE_SIZE));
	}
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
}

static void one_page_takes_512_bytes_at_most(struct kunit *test)
{
	unsigned long ua = mm_iommu_kunit_map(test, 1);
	struct mm_iommu_region *region;
	size_t bytes;

	if (IS_ENABLED(CONFIG_LOCKDEP) || IS_ENABLED(CONFIG_DEBUG_SPINLOCK))
		kunit_skip(test, "locks are larger with CONFIG_DEBUG_SPINLOCK");

	region = test_register(test, ua, PAGE_SIZE);
	bytes = ksize(region) + region->trans.bytes;
	kunit_info(test, "mm_iommu figure: region of one page bytes=%zu\n",
		   bytes);
	KUNIT_EXPECT_LE(test, bytes, 512);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
}

struct bad_range {
	const char *name;
	unsigned long ua;
	unsigned long size;
};

static const struct bad_range bad_ranges[] = {
	{ "no bytes at all", 0, 0 },
	{ "an odd address", 1, PAGE_SIZE },
	{ "an odd size", 0, PAGE_SIZE + 1 },
	{ "an address inside a page", PAGE_SIZE / 2, PAGE_SIZE },
	{ "a range that wraps", -PAGE_SIZE, 2 * PAGE_SIZE },
	{ "the last page", -PAGE_SIZE, PAGE_SIZE },
	{ "the last two pages", -2 * PAGE_SIZE, 2 * PAGE_SIZE },
	{ "all but the first page", PAGE_SIZE, -PAGE_SIZE },
	{ "all but the last page", 0, -PAGE_SIZE },
	{ "up to the last page", BIT(63), BIT(63) - PAGE_SIZE },
	{ "from 2^47 to 2^64", BIT(47), -BIT(47) },
	{ "from 2^48 to 2^64", BIT(48), -BIT(48) },
	{ "from 2^52 to 2^64", BIT(52), -BIT(52) },
	{ "from 2^63 to 2^64", BIT(63), BIT(63) },
	{ "up to 2^63", 0, BIT(63) },
	{ "a page below 2^63", BIT(63) - PAGE_SIZE, PAGE_SIZE },
	{ "a page at 2^63", BIT(63), PAGE_SIZE },
	{ "a page over 2^63", BIT(63) - PAGE_SIZE, 2 * PAGE_SIZE },
	{ "a page at 2^52", BIT(52), PAGE_SIZE },
	{ "a page over 2^52", BIT(52) - PAGE_SIZE, 2 * PAGE_SIZE },
	{ "a page at the task size", TASK_SIZE_USER64, PAGE_SIZE },
	{ "a page over the task size", TASK_SIZE_USER64 - PAGE_SIZE,
	  2 * PAGE_SIZE },
	{ "from 0 to a page over it", 0, TASK_SIZE_USER64 + PAGE_SIZE },
	{ "a page of the kernel", PAGE_OFFSET, PAGE_SIZE },
};

KUNIT_ARRAY_PARAM_DESC(bad_range, bad_ranges, name);

static void register_refuses_bad_ranges(struct kunit *test)
{
	const struct bad_range *r = test->param_value;
	struct test_state start = get_state(test, NULL);
	struct mm_iommu_region *region;
	int ret;

	ret = mm_iommu_kunit_register(test, r->ua, r->size, &region);
	KUNIT_EXPECT_EQ(test, ret, -EINVAL);
	expect_refusal(test, "not whole pages, or nothing, or beyond the end",
		       0);
	if (!ret)
		mm_iommu_unregister(region);
	expect_state(test, NULL, &start);
}

/* In pages, relative to the task size; memory is available up to there. */
static const struct task_end {
	const char *name;
	unsigned long before;
	unsigned long npages;
	int ret;
} task_ends[] = {
	{ "the last page", 1, 1, 0 },
	{ "the last eight pages", 8, 8, 0 },
	{ "up to the last page", 8, 7, 0 },
	{ "the page behind", 0, 1, -EINVAL },
	{ "the last page and one behind", 1, 2, -EINVAL },
	{ "the last eight pages and one behind", 8, 9, -EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(task_end, task_ends, name);

/* All pins succeed here, so only the registry can reject an address. */
static void check_task_end(struct kunit *test, unsigned long task_size)
{
	const struct task_end *e = test->param_value;
	struct mm_iommu_kunit *t = test->priv;
	unsigned long i, ua = task_size - e->before * PAGE_SIZE;
	struct test_state start = get_state(test, NULL);
	struct mm_iommu_region *region;
	int ret;

	t->mm->task_size = task_size;
	ret = mm_iommu_kunit_register(test, ua, e->npages * PAGE_SIZE,
				      &region);
	KUNIT_EXPECT_EQ(test, ret, e->ret);
	if (!ret) {
		for (i = 0; i < e->npages; i++)
			KUNIT_EXPECT_TRUE(test, test_is_found(test, ua +
							      i * PAGE_SIZE));
		KUNIT_EXPECT_FALSE(test, test_is_found(test, ua - PAGE_SIZE));
		KUNIT_EXPECT_FALSE(test, test_is_found(test, ua + e->npages *
						       PAGE_SIZE));
		KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
	}
	expect_state(test, NULL, &start);
}

static void register_ends_at_the_task_size(struct kunit *test)
{
	struct mm_iommu_kunit *t = test->priv;

	mm_iommu_kunit_stub_pins(test);
	t->instead = mm_iommu_kunit_map(test, 1);
	check_task_end(test, TASK_SIZE_USER64);
	/* a 32-bit process; a task size that is no power of two */
	check_task_end(test, SZ_4G - PAGE_SIZE);
	check_task_end(test, KUNIT_UA + 5 * PAGE_SIZE);
}

/* A pin must never skip a page, whatever the caller asks for. */
static void pin_of_the_last_pages_fails(struct kunit *test)
{
	static const unsigned long npages[] = { 1, 2, 8, 9, 300 };
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct test_pages *p = test_get_pages(test, ua);
	struct test_state start = get_state(test, p);
	struct mm_iommu_kunit *t = test->priv;
	struct mm_iommu_trans trans;
	unsigned int i;

	mm_iommu_kunit_stub_pins(test);
	t->instead = ua;
	for (i = 0; i < ARRAY_SIZE(npages); i++) {
		mm_iommu_trans_init(&trans, -npages[i] * PAGE_SIZE, npages[i]);
		KUNIT_EXPECT_LT(test, mm_iommu_pin(&trans), 0);
		mm_iommu_trans_free(&trans);
		expect_state(test, p, &start);
	}
}

/* Adjacent to or overlapping a region of the pages 10 to 19; in pages. */
static const struct overlap {
	const char *name;
	unsigned long first;
	unsigned long npages;
	int ret;
} overlaps[] = {
	{ "up to it", 5, 5, 0 },
	{ "from its end on", 20, 5, 0 },
	{ "its first page", 5, 6, -EINVAL },
	{ "its last page", 19, 5, -EINVAL },
	{ "a part of it", 12, 3, -EINVAL },
	{ "its start", 10, 9, -EINVAL },
	{ "its end", 11, 9, -EINVAL },
	{ "more than it", 5, 20, -EINVAL },
	{ "one page more", 10, 11, -EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(overlap, overlaps, name);

static void register_refuses_overlap(struct kunit *test)
{
	const struct overlap *o = test->param_value;
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct test_pages *p = test_get_pages(test, ua);
	struct mm_iommu_region *region, *other;
	struct test_state live;
	int ret;

	region = test_register(test, ua + 10 * PAGE_SIZE, 10 * PAGE_SIZE);
	live = get_state(test, p);
	ret = mm_iommu_kunit_register(test, ua + o->first * PAGE_SIZE,
				      o->npages * PAGE_SIZE, &other);
	KUNIT_EXPECT_EQ(test, ret, o->ret);
	if (ret)
		expect_refusal(test, "overlaps what is registered there: 0x",
			       ua + 10 * PAGE_SIZE);
	else
		KUNIT_EXPECT_EQ(test, mm_iommu_unregister(other), 0);
	expect_state(test, p, &live);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
}

/*
 * Drops CAP_IPC_LOCK; revert_creds() restores all capabilities, as a kthread
 * has.
 */
/* Gives or takes CAP_IPC_LOCK, which lifts the limit, of the test's thread. */
static void set_ipc_lock(struct kunit *test, bool on)
{
	struct cred *cred = prepare_creds();

	KUNIT_ASSERT_NOT_NULL(test, cred);
	if (on)
		cap_raise(cred->cap_effective, CAP_IPC_LOCK);
	else
		cap_lower(cred->cap_effective, CAP_IPC_LOCK);
	commit_creds(cred);
}

static void register_keeps_the_limit(struct kunit *test)
{
	struct rlimit *limit = &current->signal->rlim[RLIMIT_MEMLOCK];
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct test_pages *p = test_get_pages(test, ua);
	struct test_state start = get_state(test, p);
	struct mm_iommu_region *region;
	int ret;

	set_ipc_lock(test, false);
	limit->rlim_cur = TEST_SIZE - 1;
	ret = mm_iommu_kunit_register(test, ua, TEST_SIZE, &region);
	set_ipc_lock(test, true);
	KUNIT_ASSERT_EQ(test, ret, -ENOMEM);
	expect_refusal(test,
		       "over the limit of locked memory, bytes left of it: ",
		       TEST_SIZE - 1);
	expect_state(test, p, &start);

	set_ipc_lock(test, false);
	limit->rlim_cur = TEST_SIZE;
	ret = mm_iommu_kunit_register(test, ua, TEST_SIZE, &region);
	set_ipc_lock(test, true);
	KUNIT_ASSERT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
	expect_state(test, p, &start);
}

/* ---- mapped memory ----------------------------------------------------- */

static void unregister_while_mapped_changes_nothing(struct kunit *test)
{
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct mm_iommu_held m;
	struct test_pages *p = test_get_pages(test, ua);
	struct test_state start = get_state(test, p), live;
	struct mm_iommu_region *region;

	region = test_register(test, ua, TEST_SIZE);
	live = get_state(test, p);
	KUNIT_ASSERT_EQ(test, test_map(test, ua, true, &m), 1);

	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), -EBUSY);
	expect_state(test, p, &live);
	KUNIT_EXPECT_TRUE(test, test_is_found(test, ua));
	KUNIT_EXPECT_FALSE(test, mm_iommu_is_current(region));
	/* and again: one result does not guarantee the next */
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), -EBUSY);
	expect_state(test, p, &live);

	test_unmap(test, &m);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
	expect_state(test, p, &start);
}

static void every_mapped_page_counts(struct kunit *test)
{
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct mm_iommu_region *region = test_register(test, ua, TEST_SIZE);
	struct mm_iommu_held m[TEST_PAGES];
	unsigned long i;

	for (i = 0; i < TEST_PAGES; i++) {
		KUNIT_ASSERT_EQ(test, 1, test_map(test, ua + (i << PAGE_SHIFT),
						  false, &m[i]));
		KUNIT_EXPECT_EQ(test, atomic_long_read(&region->mapped), i + 2);
	}
	for (i = 0; i < TEST_PAGES; i++) {
		KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), -EBUSY);
		test_unmap(test, &m[i]);
	}
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
}

static void mapping_for_writing_makes_pages_dirty(struct kunit *test)
{
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct mm_iommu_held read, write;
	struct test_pages *p = test_get_pages(test, ua);
	struct mm_iommu_region *region = test_register(test, ua, TEST_SIZE);
	unsigned long first, last;
	unsigned int i;
	u64 at;

	for (i = 0; i < TEST_PAGES; i++)
		folio_clear_dirty(page_folio(p->page[i]));
	KUNIT_ASSERT_EQ(test, test_map(test, ua, false, &read), 1);
	KUNIT_ASSERT_EQ(test, test_map(test, ua + PAGE_SIZE, true, &write), 1);
	test_unmap(test, &read);
	test_unmap(test, &write);

	/* a mark applies to the whole block */
	first = mm_iommu_trans_block(&region->trans, ua, &at) > PAGE_SIZE ?
		0 : 1;
	last = mm_iommu_trans_block(&region->trans, ua + PAGE_SIZE, &at) >>
	       PAGE_SHIFT;
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);

	for (i = 0; i < TEST_PAGES; i++)
		KUNIT_EXPECT_EQ(test, i >= first && i <= last,
				folio_test_dirty(page_folio(p->page[i])));
}

static void iommu_page_is_no_larger_than_a_block(struct kunit *test)
{
	struct mm_iommu_kunit *t = test->priv;
	unsigned long ua = mm_iommu_kunit_map(test, 2);
	struct mm_iommu_region *region;
	struct mm_iommu_held held;

	/*
	 * the same page twice is never contiguous, whatever the allocator did
	 */
	mm_iommu_kunit_stub_pins(test);
	t->instead = ua;
	ua = ALIGN(KUNIT_UA, 2 * PAGE_SIZE);
	region = test_register(test, ua, 2 * PAGE_SIZE);

	KUNIT_EXPECT_EQ(test, -EINVAL,
			mm_iommu_hold(t->mm, ua, 1, PAGE_SHIFT + 1, false,
				      &held));
	/* smaller IOMMU pages reach to the end of the region */
	KUNIT_EXPECT_EQ(test, 2 * PAGE_SIZE / SZ_4K,
			mm_iommu_hold(t->mm, ua, 1000, 12, false, &held));
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), -EBUSY);
	KUNIT_EXPECT_EQ(test, 0, mm_iommu_drop(t->mm, held.cookie,
					       2 * PAGE_SIZE / SZ_4K));
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
}

static void refused_region_gives_way_to_new_memory(struct kunit *test)
{
	struct mm_iommu_kunit *t = test->priv;
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct mm_iommu_held was, is;
	struct test_pages *old = test_get_pages(test, ua), *new;
	struct test_state start = get_state(test, old);
	struct mm_iommu_region *region, *next;

	region = test_register(test, ua, TEST_SIZE);
	KUNIT_ASSERT_EQ(test, test_map(test, ua, false, &was), 1);
	KUNIT_ASSERT_EQ(test, mm_iommu_unregister(region), -EBUSY);

	/* map other memory at the same address */
	test_map_again(test, ua, TEST_PAGES, PROT_READ | PROT_WRITE);
	new = test_get_pages(test, ua);
	next = test_register(test, ua, TEST_SIZE);
	KUNIT_EXPECT_PTR_NE(test, next, region);
	KUNIT_EXPECT_EQ(test, get_state(test, NULL).orphans, 1);
	KUNIT_EXPECT_EQ(test, get_state(test, NULL).locked_vm, 2 * TEST_PAGES);
	KUNIT_EXPECT_EQ(test, count_pinned(old), TEST_PAGES);
	KUNIT_EXPECT_EQ(test, count_pinned(new), TEST_PAGES);

	/* lookups do not find the orphan */
	KUNIT_ASSERT_EQ(test, test_map(test, ua, false, &is), 1);
	KUNIT_EXPECT_EQ(test, is.hpa, page_to_phys(new->page[0]));
	KUNIT_EXPECT_NE(test, is.hpa, was.hpa);
	KUNIT_EXPECT_NE(test, is.cookie, was.cookie);
	/* and a cookie without a region finds nothing at all */
	KUNIT_EXPECT_EQ(test, mm_iommu_drop(t->mm, 0, 1), -ENOENT);
	KUNIT_EXPECT_EQ(test, mm_iommu_drop(t->mm, id_cookie(3), 1), -ENOENT);
	KUNIT_EXPECT_EQ(test, -ENOENT,
			mm_iommu_drop(t->mm, id_cookie(MM_IOMMU_MAX_ID), 1));
	test_unmap(test, &is);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), -ENOENT);

	/* unmapping its last TCE frees the orphan, and nothing else */
	test_unmap(test, &was);
	KUNIT_EXPECT_EQ(test, get_state(test, NULL).orphans, 0);
	KUNIT_EXPECT_EQ(test, get_state(test, NULL).locked_vm, TEST_PAGES);
	KUNIT_EXPECT_EQ(test, count_pinned(old), 0);
	KUNIT_EXPECT_EQ(test, count_pinned(new), TEST_PAGES);

	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(next), 0);
	KUNIT_EXPECT_EQ(test, count_pinned(new), 0);
	KUNIT_EXPECT_EQ(test, get_state(test, NULL).locked_vm, start.locked_vm);
}

/* Registers a page, maps it, and makes it an orphan. */
static void test_give_up(struct kunit *test, unsigned long ua,
			 struct mm_iommu_held *held)
{
	struct mm_iommu_region *region = test_register(test, ua, PAGE_SIZE);

	KUNIT_ASSERT_EQ(test, test_map(test, ua, false, held), 1);
	mm_iommu_release(region);
}

/*
 * An id belongs to one region until its last mapping is removed, then it is
 * reused.
 */
static void ids_are_of_one_region(struct kunit *test)
{
	unsigned long max = 2 * MM_IOMMU_ID_ENTRIES + 10, i, k;
	struct mm_iommu_kunit *t = test->priv;
	struct mm_iommu_region *region;
	struct mm_iommu_held *held;
	unsigned int fresh;

	held = kvcalloc(max, sizeof(*held), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, held);
	mm_iommu_kunit_stub_pins(test);
	t->instead = mm_iommu_kunit_map(test, 1);

	for (i = 0; i < max; i++) {
		test_give_up(test, KUNIT_UA, &held[i]);
		for (k = 0; k < i; k++)
			KUNIT_ASSERT_NE(test, held[i].cookie, held[k].cookie);
	}
	KUNIT_EXPECT_EQ(test, t->mm->locked_vm, max);
	fresh = t->mm->context.mm_iommu->ids.fresh;
	for (i = 0; i < max; i += 2)
		test_unmap(test, &held[i]);

	/* the rest of the node is used first, then the freed ids */
	for (i = 0; i < 2 * max; i++) {
		region = test_register(test, KUNIT_UA, PAGE_SIZE);
		for (k = 1; k < max; k += 2)
			KUNIT_ASSERT_NE(test, held[k].cookie,
					mm_iommu_cookie(region, KUNIT_UA,
							false));
		KUNIT_ASSERT_EQ(test, mm_iommu_unregister(region), 0);
	}
	KUNIT_EXPECT_LE(test, t->mm->context.mm_iommu->ids.fresh,
			round_up(fresh, MM_IOMMU_ID_ENTRIES));
	for (i = 1; i < max; i += 2)
		test_unmap(test, &held[i]);
	kvfree(held);
}

/* Without a free id, only new registrations fail. */
static void without_an_id_register_is_refused(struct kunit *test)
{
	struct mm_iommu_kunit *t = test->priv;
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct test_pages *p = test_get_pages(test, ua);
	struct mm_iommu_region *region, *again, *none;
	struct mm_iommu_held held[3];
	struct mm_iommu *reg;
	unsigned int i;

	for (i = 0; i < 2; i++)
		test_give_up(test, ua, &held[i]);
	region = test_register(test, ua, PAGE_SIZE);
	reg = t->mm->context.mm_iommu;
	reg->ids.limit = 3;
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			mm_iommu_kunit_register(test, ua + PAGE_SIZE,
						PAGE_SIZE, &none));
	expect_refusal(test,
		       "too many regions: registered, or given up and still mapped",
		       0);
	KUNIT_EXPECT_EQ(test, t->mm->locked_vm, 3);
	KUNIT_EXPECT_EQ(test, count_pinned(p), 1);

	/*
	 * a registered region can be shared, mapped, refused and unregistered
	 */
	KUNIT_EXPECT_EQ(test, 0, mm_iommu_kunit_register(test, ua, PAGE_SIZE,
							 &again));
	KUNIT_EXPECT_PTR_EQ(test, again, region);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(again), 0);
	KUNIT_ASSERT_EQ(test, test_map(test, ua, true, &held[2]), 1);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), -EBUSY);
	test_unmap(test, &held[2]);

	/* an unmap frees one id */
	test_unmap(test, &held[0]);
	again = test_register(test, ua + PAGE_SIZE, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			mm_iommu_kunit_register(test, ua + 2 * PAGE_SIZE,
						PAGE_SIZE, &none));
	test_unmap(test, &held[1]);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
	region = test_register(test, ua, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(again), 0);
}

static void release_while_mapped_makes_an_orphan(struct kunit *test)
{
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct mm_iommu_held m;
	struct test_pages *p = test_get_pages(test, ua);
	struct test_state start = get_state(test, p);
	struct mm_iommu_region *region;

	region = test_register(test, ua, TEST_SIZE);
	KUNIT_ASSERT_EQ(test, test_map(test, ua, false, &m), 1);
	mm_iommu_release(region);
	KUNIT_EXPECT_EQ(test, get_state(test, NULL).orphans, 1);
	KUNIT_EXPECT_EQ(test, count_pinned(p), TEST_PAGES);
	KUNIT_EXPECT_FALSE(test, test_is_found(test, ua));

	test_unmap(test, &m);
	expect_state(test, p, &start);
}

static void release_of_one_of_two_leaves_the_other(struct kunit *test)
{
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct mm_iommu_held m;
	struct test_pages *p = test_get_pages(test, ua);
	struct test_state start = get_state(test, p), live;
	struct mm_iommu_region *region;

	region = test_register(test, ua, TEST_SIZE);
	live = get_state(test, p);
	test_register(test, ua, TEST_SIZE);
	KUNIT_ASSERT_EQ(test, test_map(test, ua, false, &m), 1);
	mm_iommu_release(region);
	expect_state(test, p, &live);
	KUNIT_EXPECT_TRUE(test, test_is_found(test, ua));
	KUNIT_EXPECT_TRUE(test, mm_iommu_is_current(region));

	test_unmap(test, &m);
	mm_iommu_release(region);
	expect_state(test, p, &start);
}

/* ---- failing pins ------------------------------------------------------ */

static const struct pin_error {
	const char *name;
	int with;
} transient[] = {
	{ "EAGAIN", -EAGAIN },
	{ "EBUSY", -EBUSY },
};

KUNIT_ARRAY_PARAM_DESC(transient, transient, name);

static void transient_pin_errors_are_retried(struct kunit *test)
{
	const struct pin_error *error = test->param_value;
	struct mm_iommu_kunit *t = test->priv;
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct test_pages *p = test_get_pages(test, ua);
	struct test_state start = get_state(test, p);
	struct mm_iommu_region *region;

	mm_iommu_kunit_stub_pins(test);
	t->at_most = 7;
	t->fail_with = error->with;
	t->fail_at = 2;
	t->fail_calls = 10;
	region = test_register(test, ua, TEST_SIZE);
	KUNIT_EXPECT_GT(test, t->calls, 11);
	KUNIT_EXPECT_EQ(test, count_pinned(p), TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);

	/* but the number of retries is limited */
	t->calls = 0;
	t->fail_calls = UINT_MAX / 2;
	KUNIT_EXPECT_EQ(test, error->with,
			mm_iommu_kunit_register(test, ua, TEST_SIZE, &region));
	KUNIT_EXPECT_EQ(test, t->calls, 12);
	expect_state(test, p, &start);
}

static void partial_pins_go_on(struct kunit *test)
{
	struct mm_iommu_kunit *t = test->priv;
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct test_pages *p = test_get_pages(test, ua);
	struct test_state start = get_state(test, p);
	struct mm_iommu_region *region;

	mm_iommu_kunit_stub_pins(test);
	t->at_most = 7;
	region = test_register(test, ua, TEST_SIZE);
	KUNIT_EXPECT_EQ(test, t->calls, DIV_ROUND_UP(TEST_PAGES, 7));
	KUNIT_EXPECT_EQ(test, count_pinned(p), TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
	expect_state(test, p, &start);
}

/*
 * Possible changes of a range by another thread while it is pinned. Before
 * them, the range is a single page followed by a huge page. A number is the
 * index of a page of the huge page, -1 is a page elsewhere.
 */
#define REMAPPED	6

static const struct remapped {
	const char *name;
	long page[REMAPPED];
} remapped[] = {
	{ "nothing", { -1, 0, 1, 2, 3, 4 } },
	{ "other pages after the first", { -1, 0, -1, -1, -1, -1 } },
	{ "other pages after two", { -1, 0, 1, -1, -1, -1 } },
	{ "another page in between", { -1, 0, 1, -1, 3, 4 } },
	{ "the same page again", { -1, 0, 0, 0, 0, 0 } },
	{ "pages in reverse order", { 5, 4, 3, 2, 1, 0 } },
	{ "pages with gaps", { -1, 0, 2, 4, 6, 8 } },
	{ "huge at last", { -1, -1, -1, -1, -1, 0 } },
};

KUNIT_ARRAY_PARAM_DESC(remapped, remapped, name);

/* A huge page that is mapped by one page table entry, or 0. */
static unsigned long map_huge_page(struct kunit *test)
{
	unsigned long ua, size = HPAGE_PMD_SIZE;
	struct mm_iommu_kunit *t = test->priv;
	struct page *page;
	bool huge;

	if (!has_transparent_hugepage())
		return 0;
	ua = ALIGN(mm_iommu_kunit_map(test, 2 * size >> PAGE_SHIFT), size);
	if (do_madvise(t->mm, ua, size, MADV_HUGEPAGE) ||
	    get_user_pages_fast(ua, 1, FOLL_WRITE, &page) != 1)
		return 0;
	huge = folio_size(page_folio(page)) >= size;
	put_page(page);
	return huge ? ua : 0;
}

static void only_pages_that_were_pinned_are_entered(struct kunit *test)
{
	const struct remapped *r = test->param_value;
	unsigned long other = mm_iommu_kunit_map(test, TEST_PAGES);
	unsigned long huge = map_huge_page(test), ua, i;
	unsigned long from[REMAPPED], refs;
	struct mm_iommu_kunit *t = test->priv;
	struct mm_iommu_region *region;
	struct page *page[REMAPPED], *first;
	struct folio *folio;
	u64 at;

	if (!huge)
		kunit_skip(test, "needs transparent huge pages");

	for (i = 0; i < REMAPPED; i++) {
		from[i] = r->page[i] < 0 ? other + 2 * i * PAGE_SIZE :
					   huge + r->page[i] * PAGE_SIZE;
		KUNIT_ASSERT_EQ(test, 1, get_user_pages_fast(from[i], 1,
							     FOLL_WRITE,
							     &page[i]));
	}
	KUNIT_ASSERT_EQ(test, 1, get_user_pages_fast(huge, 1, FOLL_WRITE,
						     &first));
	refs = folio_ref_count(page_folio(first));

	/* the region is at the huge page, so the page table is of no help */
	mm_iommu_kunit_stub_pins(test);
	t->from = from;
	ua = huge - PAGE_SIZE;
	t->from_ua = ua;
	region = test_register(test, ua, REMAPPED * PAGE_SIZE);
	for (i = 0; i < REMAPPED; i++) {
		mm_iommu_trans_block(&region->trans, ua + i * PAGE_SIZE, &at);
		KUNIT_EXPECT_EQ(test, at, page_to_phys(page[i]));
		folio = page_folio(page[i]);
		KUNIT_EXPECT_TRUE(test, folio_maybe_dma_pinned(folio));
	}
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(page_folio(first)), refs);
	put_page(first);
	for (i = 0; i < REMAPPED; i++) {
		folio = page_folio(page[i]);
		KUNIT_EXPECT_FALSE(test, folio_maybe_dma_pinned(folio));
		put_page(page[i]);
	}
}

static void a_hole_is_efault(struct kunit *test)
{
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct test_pages *p = test_get_pages(test, ua);
	struct test_state start;
	struct mm_iommu_region *region;

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(ua + (TEST_PAGES - 2) * PAGE_SIZE,
					   PAGE_SIZE));
	start = get_state(test, p);
	KUNIT_EXPECT_EQ(test, mm_iommu_kunit_register(test, ua, TEST_SIZE,
						      &region), -EFAULT);
	expect_refusal(test, "no memory there, or none that can be pinned: 0x",
		       ua + (TEST_PAGES - 2) * PAGE_SIZE);
	expect_state(test, p, &start);
	KUNIT_EXPECT_EQ(test, count_pinned(p), 0);
	KUNIT_EXPECT_FALSE(test, test_is_found(test, ua));
}

static void a_killed_process_gives_up(struct kunit *test)
{
	struct mm_iommu_kunit *t = test->priv;
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct test_pages *p = test_get_pages(test, ua);
	struct test_state start = get_state(test, p);
	struct mm_iommu_region *region;
	int ret;

	mm_iommu_kunit_stub_pins(test);
	t->at_most = 7;
	t->kill_at = 3;
	ret = mm_iommu_kunit_register(test, ua, TEST_SIZE, &region);
	kill_current(false);
	KUNIT_EXPECT_EQ(test, ret, -EINTR);
	KUNIT_EXPECT_EQ(test, t->calls, 3);
	/* two calls of seven pages each have succeeded */
	expect_refusal(test, "the process was killed: 0x",
		       ua + 14 * PAGE_SIZE);
	expect_state(test, p, &start);
}

/* One thread is both: it cannot wait for the end of its own call. */
static void a_killed_process_waits_for_nobody(struct kunit *test)
{
	struct mm_iommu_kunit *t = test->priv;
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct test_pages *p = test_get_pages(test, ua);
	struct test_state start = get_state(test, p);
	struct mm_iommu_region *region;

	mm_iommu_kunit_stub_pins(test);
	t->again = TEST_SIZE;
	region = test_register(test, ua, TEST_SIZE);
	KUNIT_EXPECT_EQ(test, t->again_ret, -EINTR);
	/* the error says it all */
	KUNIT_EXPECT_NULL(test, t->refusal.words);
	KUNIT_EXPECT_EQ(test, region->used, 1);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
	expect_state(test, p, &start);
}

static int ask_for_region(void *region)
{
	return mm_iommu_is_current(region);
}

/* The lock of the registry has more to it than its first owner needs. */
static void a_second_thread_waits_for_the_lock(struct kunit *test)
{
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct mm_iommu_region *region = test_register(test, ua, TEST_SIZE);
	struct task_struct *task;
	bool waits = false;

	task = kthread_create(ask_for_region, region, "mm_iommu_kunit");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	get_task_struct(task);
	mutex_lock(&region->registry->lock);
	wake_up_process(task);
	while (!waits && !READ_ONCE(task->exit_state)) {
		/* it spins as long as the owner of the lock runs */
		schedule_timeout_uninterruptible(1);
		waits = wait_task_inactive(task, TASK_UNINTERRUPTIBLE);
	}
	mutex_unlock(&region->registry->lock);
	KUNIT_EXPECT_TRUE(test, waits);
	KUNIT_EXPECT_EQ(test, kthread_stop(task), 1);
	put_task_struct(task);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
}

/*
 * Possible results of pin_user_pages_fast() instead of a pin. They include 0,
 * for which the caller must choose an error code of its own.
 */
static const struct pin_error permanent[] = {
	{ "EFAULT", -EFAULT },
	{ "EOPNOTSUPP", -EOPNOTSUPP },
	{ "EHWPOISON", -EHWPOISON },
	{ "ERESTARTSYS", -ERESTARTSYS },
	{ "no page", 0 },
};

KUNIT_ARRAY_PARAM_DESC(permanent, permanent, name);

static void every_pin_fails_in_turn(struct kunit *test)
{
	const struct pin_error *error = test->param_value;
	struct mm_iommu_kunit *t = test->priv;
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct test_pages *p = test_get_pages(test, ua);
	struct test_state start = get_state(test, p);
	struct mm_iommu_region *region;
	unsigned int n;
	int ret;

	mm_iommu_kunit_stub_pins(test);
	t->at_most = 3;
	t->fail_calls = 1;
	t->fail_with = error->with;
	for (n = 1; ; n++) {
		t->calls = 0;
		t->fail_at = n;
		ret = mm_iommu_kunit_register(test, ua, TEST_SIZE, &region);
		if (!ret)
			break;
		/* never the number of pages that it could pin */
		KUNIT_EXPECT_EQ(test, ret, error->with ? : -EFAULT);
		expect_state(test, p, &start);
		KUNIT_EXPECT_EQ(test, count_pinned(p), 0);
		KUNIT_ASSERT_LE(test, n, TEST_PAGES);
	}
	KUNIT_EXPECT_EQ(test, n, 1 + DIV_ROUND_UP(TEST_PAGES, 3));
	kunit_info(test, "%u pins failed in turn\n", n - 1);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
	expect_state(test, p, &start);
}

/* ---- failing allocations ----------------------------------------------- */

#if defined(CONFIG_FAILSLAB) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)

/*
 * The value of a fault injection knob. There is no symbol for it in the kernel.
 */
static void *fault_knob(struct kunit *test, const char *in, const char *name)
{
	struct dentry *dir = debugfs_lookup(in, NULL), *file;
	void *value;

	KUNIT_ASSERT_NOT_NULL(test, dir);
	file = debugfs_lookup(name, dir);
	KUNIT_ASSERT_NOT_NULL(test, file);
	value = d_inode(file)->i_private;
	dput(file);
	dput(dir);
	return value;
}

/*
 * Fails allocations that may sleep, silently. Only slab allocations count: if a
 * page allocation fails, slab retries with fewer pages, which would hide the
 * intended failure.
 */
static void failslab_set(struct kunit *test, bool sleeping, unsigned long words,
			 u32 page_order)
{
	*(bool *)fault_knob(test, "failslab", "ignore-gfp-wait") = !sleeping;
	*(unsigned long *)fault_knob(test, "failslab", "verbose") = words;
	if (IS_ENABLED(CONFIG_FAIL_PAGE_ALLOC))
		*(u32 *)fault_knob(test, "fail_page_alloc", "min-order") =
			page_order;
}

static void failslab_reset(void *test)
{
	WRITE_ONCE(current->fail_nth, 0);
	failslab_set(test, false, 2, 1);
}

/**
 * mm_iommu_kunit_failslab() - let allocations fail until the test ends
 * @test: the test; it is skipped if the kernel does not support this
 */
void mm_iommu_kunit_failslab(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, failslab_reset, test));
	failslab_set(test, true, 0, U32_MAX);
}

/**
 * mm_iommu_kunit_fail_alloc() - let one allocation of this thread fail
 * @nth: number of the allocation, counted from 1
 */
void mm_iommu_kunit_fail_alloc(unsigned int nth)
{
	WRITE_ONCE(current->fail_nth, nth);
}

/**
 * mm_iommu_kunit_alloc_failed() - check for the injected failure, and end it
 *
 * Return: whether the allocation was reached and failed.
 */
bool mm_iommu_kunit_alloc_failed(void)
{
	bool failed = !READ_ONCE(current->fail_nth);

	WRITE_ONCE(current->fail_nth, 0);
	return failed;
}

/* Whether the @nth allocation was reached, and therefore failed. */
static bool register_fail_nth(struct kunit *test, unsigned int nth,
			      unsigned long ua, unsigned long size, int *ret,
			      struct mm_iommu_region **region)
{
	mm_iommu_kunit_fail_alloc(nth);
	*ret = mm_iommu_kunit_register(test, ua, size, region);
	return mm_iommu_kunit_alloc_failed();
}

static void fail_each(struct kunit *test, struct test_pages *p,
		      unsigned long ua, unsigned long size,
		      unsigned int *failed, unsigned int *survived)
{
	struct test_state start = get_state(test, p);
	struct mm_iommu_kunit *t = test->priv;
	struct mm_iommu_region *region;
	unsigned int nth;
	int ret;

	for (nth = 1; register_fail_nth(test, nth, ua, size, &ret, &region);
	     nth++) {
		if (ret) {
			KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
			KUNIT_EXPECT_TRUE(test, !t->refusal.words ||
					  strstarts(t->refusal.words,
						    "the kernel has no memory for it"));
			(*failed)++;
		} else {
			KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
			(*survived)++;
		}
		expect_state(test, p, &start);
		KUNIT_EXPECT_EQ(test, count_pinned(p), 0);
		KUNIT_ASSERT_LT(test, nth, 1000);
	}
	KUNIT_ASSERT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
	expect_state(test, p, &start);
}

static void every_allocation_fails_in_turn(struct kunit *test)
{
	struct mm_iommu_kunit *t = test->priv;
	unsigned long ua = mm_iommu_kunit_map(test, TEST_PAGES);
	struct test_pages *p = test_get_pages(test, ua);
	unsigned int failed = 0, survived = 0;
	struct mm_iommu_region *region;
	int ret;

	mm_iommu_kunit_failslab(test);

	/*
	 * the very first allocation is that of the registry, which then stays
	 */
	KUNIT_ASSERT_TRUE(test, register_fail_nth(test, 1, ua, TEST_SIZE, &ret,
						  &region));
	KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
	KUNIT_EXPECT_NULL(test, t->mm->context.mm_iommu);
	region = test_register(test, ua, TEST_SIZE);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);

	/* the region, the array of pages, and the nodes needed */
	fail_each(test, p, ua, TEST_SIZE, &failed, &survived);
	KUNIT_EXPECT_GE(test, failed, 2);

	/* a node above at least two */
	mm_iommu_kunit_stub_pins(test);
	t->instead = ua;
	fail_each(test, p, KUNIT_UA + SZ_16M - 300 * PAGE_SIZE,
		  600 * PAGE_SIZE, &failed, &survived);
	KUNIT_EXPECT_GE(test, failed, 2 + 5);
	kunit_info(test,
		   "%u allocations failed in turn, %u of them without harm\n",
		   1 + failed + survived, survived);
}

#else

void mm_iommu_kunit_failslab(struct kunit *test)
{
	kunit_skip(test,
		   "needs CONFIG_FAILSLAB and CONFIG_FAULT_INJECTION_DEBUG_FS");
}

void mm_iommu_kunit_fail_alloc(unsigned int nth)
{
}

bool mm_iommu_kunit_alloc_failed(void)
{
	return false;
}

static void every_allocation_fails_in_turn(struct kunit *test)
{
	mm_iommu_kunit_failslab(test);
}

#endif

/* ---- many regions ------------------------------------------------------ */

/* With debugging of memory or locks, all of them would take minutes. */
#define MANY		(IS_ENABLED(CONFIG_KASAN) ? 10000UL : 100000UL)
#define MANY_DISTANCE	SZ_1M

static unsigned long many_ua(unsigned long i)
{
	/* in no order: the step and MANY are coprime */
	return KUNIT_UA + i * 61337 % MANY * MANY_DISTANCE;
}

/* The region at @ua, by a lookup and by arithmetic. */
static void check_lookup(struct kunit *test, unsigned long ua)
{
	struct mm_iommu_kunit *t = test->priv;
	struct mm_iommu *reg = t->mm->context.mm_iommu;
	unsigned long offset = ua % MANY_DISTANCE, start = 0, flags;
	struct mm_iommu_region *region;
	struct mm_iommu_slot *slot;

	slot = mm_iommu_read_lock(reg, &flags);
	region = mm_iommu_index_find(reg, slot, ua);
	if (region)
		start = region->trans.ua;
	mm_iommu_read_unlock(slot, flags);

	if (offset < PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, start, ua - offset);
	else
		KUNIT_ASSERT_NULL(test, region);
}

static void many_regions_are_found(struct kunit *test)
{
	struct mm_iommu_kunit *t = test->priv;
	struct mm_iommu_region **regions;
	struct rnd_state rnd;
	unsigned long i, ua;

	regions = kvcalloc(MANY, sizeof(*regions), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, regions);
	mm_iommu_kunit_stub_pins(test);
	t->instead = mm_iommu_kunit_map(test, 1);

	for (i = 0; i < MANY; i++)
		regions[i] = test_register(test, many_ua(i), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, t->mm->locked_vm, MANY);

	prandom_seed_state(&rnd, 1);
	for (i = 0; i < MANY; i++) {
		check_lookup(test, many_ua(i));
		ua = many_ua(prandom_u32_state(&rnd) % MANY);
		check_lookup(test, ua + PAGE_SIZE - 1);
		check_lookup(test, ua + PAGE_SIZE);
		check_lookup(test, ua + MANY_DISTANCE - 1);
	}

	for (i = 0; i < MANY; i++) {
		KUNIT_ASSERT_EQ(test, mm_iommu_unregister(regions[i]), 0);
		cond_resched();
	}
	kvfree(regions);
	kunit_info(test, "%lu regions\n", MANY);
}

static struct kunit_case mm_iommu_cases[] = {
	KUNIT_CASE_PARAM(trans_takes_little_memory, layout_gen_params),
	KUNIT_CASE_PARAM(trans_translates_every_page, layout_gen_params),
	KUNIT_CASE_PARAM(trans_block_is_as_large_as_it_can_be,
			 layout_gen_params),
	KUNIT_CASE_PARAM(trans_keeps_dirty_marks, layout_gen_params),
	KUNIT_CASE_PARAM(trans_without_all_pages_is_refused,
			 layout_gen_params),
	KUNIT_CASE(trans_with_nothing_is_refused),
	KUNIT_CASE(register_pins_and_counts_once),
	KUNIT_CASE(register_translates_to_the_pages_it_pinned),
	KUNIT_CASE(memory_for_reading_is_not_written),
	KUNIT_CASE(a_page_that_cannot_be_held_is_named),
	KUNIT_CASE(one_page_takes_512_bytes_at_most),
	KUNIT_CASE_PARAM(register_refuses_bad_ranges, bad_range_gen_params),
	KUNIT_CASE_PARAM(register_ends_at_the_task_size, task_end_gen_params),
	KUNIT_CASE(pin_of_the_last_pages_fails),
	KUNIT_CASE_PARAM(register_refuses_overlap, overlap_gen_params),
	KUNIT_CASE(register_keeps_the_limit),
	KUNIT_CASE(unregister_while_mapped_changes_nothing),
	KUNIT_CASE(every_mapped_page_counts),
	KUNIT_CASE(mapping_for_writing_makes_pages_dirty),
	KUNIT_CASE(iommu_page_is_no_larger_than_a_block),
	KUNIT_CASE(refused_region_gives_way_to_new_memory),
	KUNIT_CASE(ids_are_of_one_region),
	KUNIT_CASE(without_an_id_register_is_refused),
	KUNIT_CASE(release_while_mapped_makes_an_orphan),
	KUNIT_CASE(release_of_one_of_two_leaves_the_other),
	KUNIT_CASE_PARAM(transient_pin_errors_are_retried,
			 transient_gen_params),
	KUNIT_CASE(partial_pins_go_on),
	KUNIT_CASE_PARAM(only_pages_that_were_pinned_are_entered,
			 remapped_gen_params),
	KUNIT_CASE(a_hole_is_efault),
	KUNIT_CASE(a_killed_process_gives_up),
	KUNIT_CASE(a_killed_process_waits_for_nobody),
	KUNIT_CASE(a_second_thread_waits_for_the_lock),
	KUNIT_CASE_PARAM(every_pin_fails_in_turn, permanent_gen_params),
	KUNIT_CASE(every_allocation_fails_in_turn),
	KUNIT_CASE_SLOW(many_regions_are_found),
	{ }
};

static struct kunit_suite mm_iommu_suite = {
	.name = "mm_iommu",
	.init = mm_iommu_kunit_init,
	.exit = mm_iommu_kunit_exit,
	.test_cases = mm_iommu_cases,
};

kunit_test_suite(mm_iommu_suite);
