// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of the fast path of the TCE core, which changes a few TCEs
 * without sleeping: the resulting state, the locks and the order of the calls,
 * and that nothing has changed when it returns -EAGAIN. See iommu_tce_fast.c
 * and ../mm/mm_iommu_hold.c.
 *
 * The memory is registered. The table is a fake, or a table of the PowerNV
 * code. Every test runs twice: in virtual mode, and in real mode, where a fault
 * takes the machine down. Code that runs during a change is therefore limited
 * to what the code under test may do: the fake records what it observes, and
 * the test checks the record afterwards.
 */
#include <linux/completion.h>
#include <linux/iommu.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/prandom.h>
#include <linux/slab.h>

#include <asm/iommu.h>
#include <asm/iommu_tce.h>
#include <asm/tce.h>

#ifdef CONFIG_PPC_POWERNV
#include "../../platforms/powernv/pci.h"
#endif
#include "iommu_tce_kunit.h"

#define BLOCK		TCE_VIEW_ENTRIES
#define BLOCKS		32UL
#define ENTRIES		(BLOCKS * BLOCK)
#define MOST		IOMMU_TCE_FAST_MAX

/* IOMMU pages of the tests; memory is registered in units of 64K. */
#define SHIFT		12
#define UNIT		SZ_64K
#define PER_UNIT	(UNIT >> SHIFT)

#define REGIONS		4

/* ---- modes ------------------------------------------------------------- */

static const struct mode {
	const char *name;
	mm_iommu_kunit_call call;
	bool off;			/* real mode */
} modes[] = {
	{ "MMU on", mm_iommu_kunit_virtual_mode },
	{ "MMU off", mm_iommu_kunit_real_mode, true },
};

KUNIT_ARRAY_PARAM_DESC(mode, modes, name);

/* ---- the fake table ---------------------------------------------------- */

/**
 * struct fake - a table, and the memory that is mapped in it
 * @t: the table; mute unless a fast path change is in progress
 * @mm: mm of the memory
 * @mode: mode in which the code under test is called
 * @pnv: a PowerNV table has the TCEs
 * @one: the change is of a single entry, which is written outside of any
 *	section
 * @entry: first index of the change
 * @npages: number of its entries
 * @only_on: the platform rejects calls in real mode
 * @asked: number of calls of realmode()
 * @region: registered memory
 * @nr_regions: number of regions in @region
 */
struct fake {
	struct tce_fake t;
	struct mm_struct *mm;
	const struct mode *mode;
	bool pnv;
	bool one;
	unsigned long entry;
	unsigned long npages;
	bool only_on;
	unsigned int asked;
	struct mm_iommu_region *region[REGIONS];
	unsigned int nr_regions;
};

static struct fake *fake_of(struct iommu_table *tbl)
{
	return container_of(tbl, struct fake, t.tbl);
}

/* View locks that are held, as a bit mask; the table has no other users. */
static unsigned int locks_held(struct fake *f)
{
	unsigned int i, held = 0;

	for (i = 0; i < TCE_VIEW_LOCKS; i++)
		if (arch_spin_is_locked(&f->t.tbl.it_view->locks[i].lock
					.raw_lock))
			held |= BIT(i);
	return held;
}

static unsigned int locks_wanted(struct fake *f)
{
	unsigned long first = f->entry / BLOCK;
	unsigned long last = (f->entry + f->npages - 1) / BLOCK;

	return BIT(first % TCE_VIEW_LOCKS) | BIT(last % TCE_VIEW_LOCKS);
}

/* Number of held slots of the registry. */
static unsigned int slots_held(struct fake *f)
{
	struct mm_iommu *reg = f->mm->context.mm_iommu;
	unsigned int i, n = 0;

	for (i = 0; reg && i <= reg->slot_mask; i++)
		n += !!arch_spin_is_locked(&reg->slots[i].lock);
	return n;
}

/* State during a change. */
static void fake_watch(struct tce_fake *t, enum tce_fake_op op,
		       unsigned long entry, unsigned long npages)
{
	struct fake *f = fake_of(&t->tbl);
	unsigned long i = entry - t->tbl.it_offset;

	tce_fake_wrong(t, i != f->entry || npages != f->npages,
		       "not the range of the change");
	tce_fake_wrong(t, !irqs_disabled(), "interrupts are on");
	tce_fake_wrong(t, slots_held(f) != !f->one,
		       "not in a section of the registry, or still");
	tce_fake_wrong(t, f->mode->off != !(mfmsr() & MSR_DR),
		       "not the mode of the test");
	tce_fake_wrong(t, locks_held(f) != locks_wanted(f),
		       "not the locks of the blocks, which keep the groups");

	/*
	 * by the time of the kill the view must match the table, but a refused
	 * entry may be empty
	 */
	if (op != FAKE_KILL || f->pnv || t->log[0] == 's')
		return;
	for (; npages; i++, npages--)
		tce_fake_wrong(t, !tce_fake_view(t, i) != !tce_fake_tce(t, i),
			       "a kill before all was exchanged");
}

static u64 fake_tce(struct fake *f, unsigned long i)
{
#ifdef CONFIG_PPC_POWERNV
	if (f->pnv)
		return pnv_tce_get(&f->t.tbl, f->t.tbl.it_offset + i);
#endif
	return tce_fake_tce(&f->t, i);
}

static int fake_prepare(struct iommu_table *tbl, unsigned long index,
			unsigned long npages)
{
	tce_fake_wrong(tce_fake_of(tbl), !tce_fake_of(tbl)->mute,
		       "not on the fast path");
#ifdef CONFIG_PPC_POWERNV
	if (fake_of(tbl)->pnv)
		return pnv_tce_prepare(tbl, index, npages);
#endif
	return 0;
}

static bool fake_realmode(const struct iommu_table *tbl)
{
	struct fake *f = fake_of((struct iommu_table *)tbl);

	f->asked++;
	tce_fake_wrong(&f->t, !f->t.mute && locks_held(f) != locks_wanted(f),
		       "asked without the locks that keep the groups");
	return !f->only_on;
}

/* Two levels of one page each; pnv_tce_prepare() creates the lower ones. */
#define PNV_LEVEL	(PAGE_SIZE / sizeof(__be64))

static void pnv_free_table(struct fake *f)
{
	__be64 *root = (__be64 *)f->t.tbl.it_base;
	unsigned long i;

	for (i = 0; root && i < ENTRIES / PNV_LEVEL; i++)
		if (root[i])
			free_page((unsigned long)__va(be64_to_cpu(root[i]) &
						      PAGE_MASK));
	free_page(f->t.tbl.it_base);
}

static void fake_free(void *data)
{
	struct fake *f = data;

	tce_fake_end(&f->t);
	if (f->pnv)
		pnv_free_table(f);
}

#ifdef CONFIG_PPC_POWERNV
static int pnv_set(struct iommu_table *tbl, unsigned long index,
		   unsigned long npages, const __be64 *tces)
{
	int ret;

	tce_fake_range(tce_fake_of(tbl), FAKE_SET, index, npages, &ret);
	return ret ? : pnv_tce_set(tbl, index, npages, tces);
}

static int pnv_clear(struct iommu_table *tbl, unsigned long index,
		     unsigned long npages)
{
	int ret;

	tce_fake_range(tce_fake_of(tbl), FAKE_CLEAR, index, npages, &ret);
	return ret ? : pnv_tce_clear(tbl, index, npages);
}

static void pnv_init(struct kunit *test, struct fake *f)
{
	f->pnv = true;
	f->t.ops.set_tces = pnv_set;
	f->t.ops.clear_tces = pnv_clear;
	f->t.tbl.it_level_size = PNV_LEVEL;
	f->t.tbl.it_indirect_levels = 1;
	f->t.tbl.it_nid = NUMA_NO_NODE;
	f->t.tbl.it_base = get_zeroed_page(GFP_KERNEL);
	KUNIT_ASSERT_NE(test, f->t.tbl.it_base, 0);
}
#else
static void pnv_init(struct kunit *test, struct fake *f) { }
#endif

static struct fake *fake_create_as(struct kunit *test, const struct mode *mode,
				   unsigned long offset, unsigned int shift,
				   bool pnv)
{
	struct mm_iommu_kunit *t = test->priv;
	struct fake *f;

	if (mode->off)
		mm_iommu_kunit_need_real_mode(test);
	f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f);
	KUNIT_ASSERT_EQ(test, 0,
			tce_fake_init(&f->t, test, ENTRIES, offset, shift));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, fake_free, f));
	f->mm = t->mm;
	f->mode = mode;
	if (pnv)
		pnv_init(test, f);

	f->t.mute = true;
	f->t.watch = fake_watch;
	f->t.ops.prepare = fake_prepare;
	f->t.ops.realmode = fake_realmode;
	KUNIT_ASSERT_EQ(test, iommu_tce_view_create(&f->t.tbl), 0);
	iommu_tce_bind(&f->t.tbl, &iommu_tce_registered, f->mm, 0);
	return f;
}

static struct fake *fake_create(struct kunit *test)
{
	return fake_create_as(test, test->param_value, 777, SHIFT, false);
}

static struct mm_iommu_region *fake_register_at(struct kunit *test,
						struct fake *f,
						unsigned long ua,
						unsigned long size)
{
	struct mm_iommu_region *region;

	KUNIT_ASSERT_LT(test, f->nr_regions, REGIONS);
	KUNIT_ASSERT_EQ(test, 0,
			mm_iommu_kunit_register(test, ua, size, &region));
	f->region[f->nr_regions++] = region;
	return region;
}

/* Registers memory for @npages IOMMU pages, rounded up. */
static struct mm_iommu_region *fake_register(struct kunit *test,
					     struct fake *f,
					     unsigned long npages)
{
	unsigned long size = ALIGN(npages << SHIFT, UNIT);
	unsigned long ua = mm_iommu_kunit_map(test, size >> PAGE_SHIFT);

	return fake_register_at(test, f, ua, size);
}

static u64 id_of(u64 cookie)
{
	return cookie & MM_IOMMU_COOKIE_ID;
}

/* True if orphans are waiting to be unpinned. */
static bool must_reap(struct fake *f)
{
	return READ_ONCE(f->mm->context.mm_iommu->dead);
}

static long mapped(struct fake *f, const struct mm_iommu_region *region)
{
	return iommu_tce_kunit_mapped(&f->t.tbl, region);
}

/*
 * References on a region: one for all the entries that a block counts for its
 * home, one for each other entry.
 */
static long refs_of(struct fake *f, const struct mm_iommu_region *region)
{
	u64 id = id_of(mm_iommu_cookie(region, region->trans.ua, false));
	long refs = mapped(f, region);
	struct tce_view_block *blk;
	unsigned long b;

	for (b = 0; b < BLOCKS; b++) {
		blk = tce_view_find(f->t.tbl.it_view, b);
		if (blk && blk->home == id)
			refs -= blk->homes - 1L;
	}
	return refs;
}

static long refs(const struct mm_iommu_region *region)
{
	return atomic_long_read(&region->mapped);
}

static unsigned long ua_of(const struct mm_iommu_region *region,
			   unsigned long page)
{
	return region->trans.ua + (page << SHIFT);
}

/*
 * End of a test: unmaps everything, then unregisters all memory. If the table
 * is not empty then, tce_fake_end() finds it.
 */
static void fake_end(struct kunit *test, struct fake *f)
{
	unsigned int i;

	KUNIT_EXPECT_EQ(test, 0, iommu_tce_unmap(&f->t.tbl, f->t.tbl.it_offset,
						 ENTRIES));
	for (i = 0; i < f->nr_regions; i++) {
		KUNIT_EXPECT_EQ(test, mapped(f, f->region[i]), 0);
		KUNIT_EXPECT_EQ(test, refs(f->region[i]), 1);
		KUNIT_EXPECT_EQ(test, mm_iommu_unregister(f->region[i]), 0);
	}
}

/* ---- changes ----------------------------------------------------------- */

#define PARTS	5

/**
 * struct op - a change; in kmalloc memory, because it is accessed in real mode
 * @f: table
 * @entry: first index
 * @npages: number of entries
 * @segs: parts of the change; unused for iommu_tce_fast_clear()
 * @nr: number of parts; 0 for iommu_tce_fast_clear()
 * @abort: abort when all parts are known
 * @one: by iommu_tce_fast_put()
 * @change: the change
 * @scratch: its scratch memory
 */
struct op {
	struct fake *f;
	unsigned long entry;
	unsigned long npages;
	struct iommu_tce_seg segs[PARTS];
	unsigned int nr;
	bool abort;
	bool one;
	struct iommu_tce_change change;
	struct iommu_tce_scratch scratch;
};

static int op_begin(struct op *op)
{
	struct fake *f = op->f;

	return iommu_tce_change_begin(&op->change, &f->t.tbl,
				      f->t.tbl.it_offset + op->entry,
				      op->npages, &op->scratch);
}

static int op_fill(struct op *op)
{
	const struct iommu_tce_seg *seg;
	int ret = 0;

	for (seg = op->segs; seg < op->segs + op->nr && !ret; seg++) {
		if (seg->clear)
			iommu_tce_change_clear(&op->change, seg->npages);
		else
			ret = iommu_tce_change_map(&op->change, seg->ua,
						   seg->npages, seg->write);
	}
	return ret;
}

static int op_end(struct op *op, bool commit)
{
	if (commit)
		return min(iommu_tce_change_commit(&op->change), 0);
	iommu_tce_change_abort(&op->change);
	return 0;
}

static int op_clear(struct op *op)
{
	return iommu_tce_fast_clear(&op->f->t.tbl,
				    op->f->t.tbl.it_offset + op->entry,
				    op->npages);
}

/* A single entry. */
static int op_put(struct op *op)
{
	const struct iommu_tce_seg *seg = op->segs;
	struct iommu_table *tbl = &op->f->t.tbl;
	u64 perm = 0;

	if (op->nr && !seg->clear)
		perm = seg->write ? TCE_PCI_WRITE : TCE_PCI_READ;
	return iommu_tce_fast_put(tbl, tbl->it_offset + op->entry,
				  seg->ua, perm);
}

/* Makes the whole change, in one mode. */
static unsigned long op_run(void *data)
{
	struct op *op = data;
	int ret;

	if (op->one)
		return op_put(op);
	if (!op->nr)
		return op_clear(op);
	ret = op_begin(op);
	if (ret)
		return ret;
	ret = op_fill(op);
	if (ret || op->abort) {
		op_end(op, false);
		return ret;
	}
	return op_end(op, true);
}

static struct op *op_alloc(struct kunit *test, struct fake *f)
{
	struct op *op = kunit_kzalloc(test, sizeof(*op), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, op);
	op->f = f;
	return op;
}

/* Makes a change, and expects that it releases all that it held. */
static int op_do(struct kunit *test, struct op *op)
{
	struct fake *f = op->f;
	int ret;

	tce_fake_log_reset(&f->t);
	f->entry = op->entry;
	f->npages = op->npages;
	f->one = op->one;
	f->t.mute = false;
	ret = f->mode->call(op_run, op);
	f->t.mute = true;

	KUNIT_EXPECT_EQ(test, locks_held(f), 0);
	KUNIT_EXPECT_EQ(test, slots_held(f), 0);
	KUNIT_EXPECT_FALSE(test, irqs_disabled());
	KUNIT_EXPECT_EQ(test, preempt_count(), 0);
	KUNIT_EXPECT_STREQ(test, f->t.wrong ? : "", "");
	return ret;
}

static int change(struct kunit *test, struct fake *f, unsigned long entry,
		  const struct iommu_tce_seg *segs, unsigned int nr)
{
	struct op *op = op_alloc(test, f);
	unsigned int i;
	int ret;

	op->entry = entry;
	op->nr = nr;
	for (i = 0; i < nr; i++) {
		op->segs[i] = segs[i];
		op->npages += segs[i].npages;
	}
	ret = op_do(test, op);
	kunit_kfree(test, op);
	return ret;
}

static int map(struct kunit *test, struct fake *f, unsigned long entry,
	       unsigned long ua, unsigned long npages, bool write)
{
	struct iommu_tce_seg seg = {
		.ua = ua,
		.npages = npages,
		.write = write,
	};

	return change(test, f, entry, &seg, 1);
}

static int clear(struct kunit *test, struct fake *f, unsigned long entry,
		 unsigned long npages)
{
	struct op *op = op_alloc(test, f);
	int ret;

	op->entry = entry;
	op->npages = npages;
	ret = op_do(test, op);
	kunit_kfree(test, op);
	return ret;
}

/* Creates the blocks of a range, as an earlier mapping there would have. */
static void prepare(struct kunit *test, struct fake *f, unsigned long entry,
		    unsigned long npages)
{
	unsigned long b;

	KUNIT_ASSERT_EQ(test, 0,
			fake_prepare(&f->t.tbl, f->t.tbl.it_offset + entry,
				     npages));
	for (b = entry / BLOCK; b <= (entry + npages - 1) / BLOCK; b++)
		KUNIT_ASSERT_EQ(test, tce_view_prepare(f->t.tbl.it_view, b), 0);
}

/* ---- state after a change ---------------------------------------------- */

static u64 wanted_tce(const struct mm_iommu_region *region, unsigned long ua,
		      bool write)
{
	u64 at;

	mm_iommu_trans_block(&region->trans, ua, &at);
	return (at & MM_IOMMU_ADDR) | TCE_PCI_READ |
	       (write ? TCE_PCI_WRITE : 0);
}

static void expect_mapped(struct kunit *test, struct fake *f, unsigned long i,
			  const struct mm_iommu_region *region,
			  unsigned long page, unsigned long npages, bool write)
{
	for (; npages; npages--, i++, page++) {
		KUNIT_ASSERT_EQ(test, tce_fake_view(&f->t, i),
				mm_iommu_cookie(region, ua_of(region, page),
						write));
		KUNIT_ASSERT_EQ(test, fake_tce(f, i),
				wanted_tce(region, ua_of(region, page), write));
	}
}

static void expect_nothing(struct kunit *test, struct fake *f, unsigned long i,
			   unsigned long npages)
{
	for (; npages; npages--, i++) {
		KUNIT_ASSERT_EQ(test, tce_fake_view(&f->t, i), 0);
		KUNIT_ASSERT_EQ(test, fake_tce(f, i), 0);
	}
}

static void expect_total(struct kunit *test, struct fake *f,
			 unsigned long npages)
{
	tce_fake_check_blocks(&f->t);
	KUNIT_EXPECT_EQ(test, iommu_tce_view_mapped(&f->t.tbl), npages);
}

/* Contents of a whole table, for comparison. */
struct snapshot {
	u64 tce[ENTRIES];
	u64 view[ENTRIES];
};

static void free_snapshot(void *p)
{
	kvfree(p);
}

static struct snapshot *alloc_snapshot(struct kunit *test)
{
	struct snapshot *p = kvzalloc(sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, free_snapshot, p));
	return p;
}

static void take_snapshot(struct fake *f, struct snapshot *p)
{
	unsigned long i;

	for (i = 0; i < ENTRIES; i++) {
		p->tce[i] = fake_tce(f, i);
		p->view[i] = tce_fake_view(&f->t, i);
	}
}

static void expect_snapshot(struct kunit *test, struct fake *f,
			   const struct snapshot *p)
{
	unsigned long i;

	for (i = 0; i < ENTRIES; i++) {
		if (fake_tce(f, i) == p->tce[i] &&
		    tce_fake_view(&f->t, i) == p->view[i])
			continue;
		KUNIT_ASSERT_EQ(test, fake_tce(f, i), p->tce[i]);
		KUNIT_ASSERT_EQ(test, tce_fake_view(&f->t, i), p->view[i]);
	}
}

/* ---- mapping and clearing ---------------------------------------------- */

static const struct tce_range {
	unsigned long first;
	unsigned long npages;
} ranges[] = {
	{ 0, 1 },
	{ 5, 1 },
	{ BLOCK - 1, 1 },
	{ ENTRIES - 1, 1 },
	{ BLOCK - 1, 2 },
	{ 7, 100 },
	{ 3 * BLOCK, MOST },
	{ 3 * BLOCK + 200, MOST },
	{ 4 * BLOCK - 1, MOST },
	/* blocks 15 and 16: their locks are not in block order */
	{ 16 * BLOCK - 10, 20 },
	{ 16 * BLOCK - 300, MOST },
	{ ENTRIES - MOST, MOST },
};

static void a_change_is_made_and_unmade(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *region = fake_register(test, f, MOST + 3);
	const struct tce_range *r;
	unsigned int write;

	for (r = ranges; r < ranges + ARRAY_SIZE(ranges); r++) {
		prepare(test, f, r->first, r->npages);
		for (write = 0; write < 2; write++) {
			KUNIT_ASSERT_EQ(test, 0,
					map(test, f, r->first, ua_of(region, 3),
					    r->npages, write));
			KUNIT_EXPECT_STREQ(test, f->t.log, "SK");
			KUNIT_EXPECT_EQ(test, mapped(f, region), r->npages);
			expect_total(test, f, r->npages);
			expect_mapped(test, f, r->first, region, 3, r->npages,
				      write);
		}
		KUNIT_ASSERT_EQ(test, clear(test, f, r->first, r->npages), 1);
		KUNIT_EXPECT_STREQ(test, f->t.log, "CK");
		KUNIT_EXPECT_EQ(test, mapped(f, region), 0);
		expect_total(test, f, 0);
		expect_nothing(test, f, r->first, r->npages);
	}
	KUNIT_EXPECT_EQ(test, f->asked, f->mode->off ?
					3 * ARRAY_SIZE(ranges) : 0);
	fake_end(test, f);
}

/* The mark of the block that contains the page. */
static bool is_dirty(const struct mm_iommu_region *region, unsigned long page)
{
	unsigned long ua = region->trans.ua, len;
	u64 at;

	while ((len = mm_iommu_trans_block(&region->trans, ua, &at)) <=
	       ua_of(region, page) - ua)
		ua += len;
	return at & MM_IOMMU_DIRTY;
}

/* Unpinning marks a page dirty if a device may have written to it. */
static void writable_memory_is_marked(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *a = fake_register(test, f, 3 * PER_UNIT);
	struct mm_iommu_region *b = fake_register(test, f, 3 * PER_UNIT);

	prepare(test, f, 0, BLOCK);
	KUNIT_ASSERT_EQ(test, 0, map(test, f, 9, ua_of(a, 0), 3 * PER_UNIT,
				     false));
	KUNIT_EXPECT_FALSE(test, is_dirty(a, PER_UNIT));
	KUNIT_ASSERT_EQ(test, 0, map(test, f, 99, ua_of(a, PER_UNIT), 1, true));
	KUNIT_EXPECT_TRUE(test, is_dirty(a, PER_UNIT));
	KUNIT_ASSERT_EQ(test, 0, map(test, f, 9, ua_of(b, 2 * PER_UNIT - 1), 2,
				     true));
	KUNIT_EXPECT_TRUE(test, is_dirty(b, 2 * PER_UNIT - 1));
	KUNIT_EXPECT_TRUE(test, is_dirty(b, 2 * PER_UNIT));
	fake_end(test, f);
}

/* The shortest list of H_PUT_TCE_INDIRECT. */
static void a_change_of_one_entry(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *region = fake_register(test, f, 2);
	struct op *op = op_alloc(test, f);

	prepare(test, f, 0, BLOCK);
	op->entry = 9;
	op->npages = 1;
	op->nr = 1;
	op->segs[0] = (struct iommu_tce_seg){
		.ua = ua_of(region, 1), .npages = 1, .write = true,
	};
	KUNIT_EXPECT_EQ(test, op_do(test, op), 0);
	expect_mapped(test, f, 9, region, 1, 1, true);
	op->segs[0].clear = true;
	KUNIT_EXPECT_EQ(test, op_do(test, op), 0);
	expect_nothing(test, f, 9, 1);
	expect_total(test, f, 0);
	fake_end(test, f);
}

static void a_change_replaces_what_was_there(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *old = fake_register(test, f, 400);
	struct mm_iommu_region *new = fake_register(test, f, 300);

	prepare(test, f, BLOCK, 2 * BLOCK);
	KUNIT_ASSERT_EQ(test, 0, map(test, f, 2 * BLOCK - 200, ua_of(old, 0),
				     400, true));
	KUNIT_ASSERT_EQ(test, 0, map(test, f, 2 * BLOCK - 100, ua_of(new, 0),
				     200, false));
	KUNIT_EXPECT_STREQ(test, f->t.log, "SK");
	KUNIT_EXPECT_EQ(test, mapped(f, old), 200);
	KUNIT_EXPECT_EQ(test, mapped(f, new), 200);
	expect_total(test, f, 400);
	expect_mapped(test, f, 2 * BLOCK - 200, old, 0, 100, true);
	expect_mapped(test, f, 2 * BLOCK - 100, new, 0, 200, false);
	expect_mapped(test, f, 2 * BLOCK + 100, old, 300, 100, true);

	/* replaced by itself, and across both edges */
	KUNIT_ASSERT_EQ(test, 0, map(test, f, 2 * BLOCK - 150, ua_of(new, 0),
				     300, true));
	KUNIT_EXPECT_EQ(test, mapped(f, old), 100);
	KUNIT_EXPECT_EQ(test, mapped(f, new), 300);
	expect_total(test, f, 400);
	expect_mapped(test, f, 2 * BLOCK - 150, new, 0, 300, true);
	fake_end(test, f);
}

static void a_list_may_clear_some(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *old = fake_register(test, f, 60);
	struct mm_iommu_region *new = fake_register(test, f, 60);
	struct iommu_tce_seg list[] = {
		{ .npages = 5, .clear = true },
		{ .ua = ua_of(new, 0), .npages = 10, .write = true },
		{ .npages = 20, .clear = true },
		{ .ua = ua_of(new, 40), .npages = 10 },
		{ .npages = 15, .clear = true },
	};
	unsigned long at = BLOCK - 30;

	/* over empty entries, over the whole range, and over itself */
	prepare(test, f, at, 60);
	KUNIT_ASSERT_EQ(test, change(test, f, at, list, 5), 0);
	expect_total(test, f, 20);
	KUNIT_ASSERT_EQ(test, 0, map(test, f, at, ua_of(old, 0), 60, true));
	KUNIT_EXPECT_EQ(test, mapped(f, new), 0);
	KUNIT_ASSERT_EQ(test, change(test, f, at, list, 5), 0);
	KUNIT_EXPECT_STREQ(test, f->t.log, "SK");
	KUNIT_ASSERT_EQ(test, change(test, f, at, list, 5), 0);

	KUNIT_EXPECT_EQ(test, mapped(f, old), 0);
	KUNIT_EXPECT_EQ(test, mapped(f, new), 20);
	expect_total(test, f, 20);
	expect_nothing(test, f, at, 5);
	expect_mapped(test, f, at + 5, new, 0, 10, true);
	expect_nothing(test, f, at + 15, 20);
	expect_mapped(test, f, at + 35, new, 40, 10, false);
	expect_nothing(test, f, at + 45, 15);
	fake_end(test, f);
}

static void a_change_of_two_regions_counts_each(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *a = fake_register(test, f, 100);
	struct mm_iommu_region *b = fake_register(test, f, 100);
	struct iommu_tce_seg list[] = {
		{ .ua = ua_of(a, 50), .npages = 30, .write = true },
		{ .ua = ua_of(b, 10), .npages = 20, .write = true },
		{ .ua = ua_of(a, 80), .npages = 7 },
	};

	prepare(test, f, 0, BLOCK);
	KUNIT_ASSERT_EQ(test, change(test, f, 100, list, 3), 0);
	KUNIT_EXPECT_EQ(test, mapped(f, a), 37);
	KUNIT_EXPECT_EQ(test, mapped(f, b), 20);
	expect_mapped(test, f, 100, a, 50, 30, true);
	expect_mapped(test, f, 130, b, 10, 20, true);
	expect_mapped(test, f, 150, a, 80, 7, false);

	/* the dropped range has pieces of both regions */
	KUNIT_ASSERT_EQ(test, clear(test, f, 120, 32), 1);
	KUNIT_EXPECT_EQ(test, mapped(f, a), 37 - 12);
	KUNIT_EXPECT_EQ(test, mapped(f, b), 0);
	expect_total(test, f, 25);
	fake_end(test, f);
}

/* Emptiness is known per block, not per entry. */
static void clear_of_nothing_kills_nothing(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *region = fake_register(test, f, 2);

	/* no block, empty blocks, one of each */
	KUNIT_EXPECT_EQ(test, clear(test, f, BLOCK - 5, 10), 0);
	KUNIT_EXPECT_STREQ(test, f->t.log, "");
	prepare(test, f, BLOCK, BLOCK);
	KUNIT_EXPECT_EQ(test, clear(test, f, BLOCK - 5, 10), 0);
	KUNIT_EXPECT_STREQ(test, f->t.log, "");
	prepare(test, f, 0, BLOCK);
	KUNIT_EXPECT_EQ(test, clear(test, f, BLOCK - 5, 10), 0);
	KUNIT_EXPECT_STREQ(test, f->t.log, "");

	/* mapped entries, but elsewhere in one of the blocks */
	KUNIT_ASSERT_EQ(test, 0, map(test, f, BLOCK + 9, ua_of(region, 0), 2,
				     true));
	KUNIT_EXPECT_EQ(test, clear(test, f, BLOCK - 5, 10), 1);
	KUNIT_EXPECT_STREQ(test, f->t.log, "CK");
	KUNIT_EXPECT_EQ(test, mapped(f, region), 2);
	expect_mapped(test, f, BLOCK + 9, region, 0, 2, true);
	expect_total(test, f, 2);
	fake_end(test, f);
}

static void clear_where_a_block_is_missing(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *region = fake_register(test, f, 20);
	unsigned int missing;

	for (missing = 0; missing < 2; missing++) {
		unsigned long at = missing ? 2 * BLOCK - 20 : 4 * BLOCK;

		prepare(test, f, at, 20);
		KUNIT_ASSERT_EQ(test, 0, map(test, f, at, ua_of(region, 0), 20,
					     true));
		KUNIT_EXPECT_EQ(test, 1, clear(test, f, missing ? at + 10 :
					       at - 10, 20));
		KUNIT_EXPECT_EQ(test, mapped(f, region), 10);
		expect_mapped(test, f, missing ? at : at + 10, region,
			      missing ? 0 : 10, 10, true);
		expect_total(test, f, 10);
		KUNIT_EXPECT_EQ(test, clear(test, f, at, 20), 1);
	}
	fake_end(test, f);
}

/* Mapping and unmapping one page at ever new addresses succeeds every time. */
static void a_walk_through_a_table_that_was_walked_before(struct kunit *test)
{
	struct iommu_tce_seg nothing = { .npages = 1, .clear = true };
	struct fake *f = fake_create(test);
	struct mm_iommu_region *region = fake_register(test, f, 1);
	unsigned long i, step = 37;

	prepare(test, f, 0, BLOCKS * BLOCK);
	for (i = 0; i < BLOCKS * BLOCK; i += step) {
		KUNIT_ASSERT_EQ(test, 0, map(test, f, i, ua_of(region, 0), 1,
					     true));
		/* a guest clears by H_PUT_TCE as well */
		if (i % 2)
			KUNIT_ASSERT_EQ(test, clear(test, f, i, 1), 1);
		else
			KUNIT_ASSERT_EQ(test, 0, change(test, f, i, &nothing,
							1));
	}
	KUNIT_EXPECT_EQ(test, tce_fake_check_blocks(&f->t), BLOCKS);
	KUNIT_EXPECT_EQ(test, mapped(f, region), 0);
	fake_end(test, f);
}

/* ---- left to the range path -------------------------------------------- */

/* A change that is refused: no call was made, nothing has changed. */
static void expect_refused(struct kunit *test, struct fake *f, int ret,
			   const struct snapshot *before)
{
	KUNIT_EXPECT_EQ(test, ret, -EAGAIN);
	KUNIT_EXPECT_STREQ(test, f->t.log, "");
	expect_snapshot(test, f, before);
	tce_fake_check_blocks(&f->t);
}

static struct snapshot *map_some(struct kunit *test, struct fake *f,
				struct mm_iommu_region *region,
				unsigned long first, unsigned long npages)
{
	struct snapshot *before = alloc_snapshot(test);

	prepare(test, f, first, npages);
	KUNIT_ASSERT_EQ(test, 0, map(test, f, first, ua_of(region, 0), npages,
				     true));
	take_snapshot(f, before);
	return before;
}

static void memory_that_is_not_all_registered(struct kunit *test)
{
	struct fake *f = fake_create(test);
	unsigned long ua = mm_iommu_kunit_map(test, 10 * UNIT >> PAGE_SHIFT);
	struct mm_iommu_region *a, *b;
	struct iommu_tce_seg list[2];
	struct snapshot *before;
	unsigned long end;

	a = fake_register_at(test, f, ua, 4 * UNIT);
	b = fake_register_at(test, f, ua + 4 * UNIT, 3 * UNIT);
	before = map_some(test, f, a, BLOCK - 10, 20);

	/* across two regions, beyond the last, and outside of any */
	end = ua + 4 * UNIT;
	expect_refused(test, f, map(test, f, BLOCK - 5, end - (2 << SHIFT), 3,
				    true), before);
	end += 3 * UNIT;
	expect_refused(test, f, map(test, f, BLOCK - 5, end - (2 << SHIFT), 3,
				    true), before);
	expect_refused(test, f, map(test, f, BLOCK - 5, end - (2 << SHIFT),
				    MOST, true), before);
	expect_refused(test, f, map(test, f, BLOCK - 5, end, 1, true), before);
	expect_refused(test, f, map(test, f, BLOCK - 5, ua - (1 << SHIFT), 3,
				    true), before);

	/* and after a part that was held */
	list[0] = (struct iommu_tce_seg){ .ua = ua, .npages = 7 };
	list[1] = (struct iommu_tce_seg){ .ua = end, .npages = 1 };
	expect_refused(test, f, change(test, f, BLOCK - 5, list, 2), before);
	KUNIT_EXPECT_EQ(test, mapped(f, a), 20);
	KUNIT_EXPECT_EQ(test, mapped(f, b), 0);

	/* up to the last page of the region the memory is complete */
	KUNIT_EXPECT_EQ(test, 0, map(test, f, BLOCK - 5, end - (3 << SHIFT), 3,
				     true));
	KUNIT_EXPECT_EQ(test, mapped(f, b), 3);
	fake_end(test, f);
}

static void nothing_was_ever_registered(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct snapshot *before = alloc_snapshot(test);

	prepare(test, f, 0, BLOCK);
	expect_refused(test, f, map(test, f, 0, KUNIT_UA, 1, true), before);
	expect_refused(test, f, clear(test, f, 0, 1), before);
	fake_end(test, f);
}

static void an_aborted_change_counts_back(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *a = fake_register(test, f, 400);
	struct mm_iommu_region *b = fake_register(test, f, 100);
	struct snapshot *before = map_some(test, f, a, 2 * BLOCK - 100, 200);
	struct op *op = op_alloc(test, f);

	op->abort = true;
	op->entry = 2 * BLOCK - 200;
	op->npages = 400;
	op->nr = 4;
	op->segs[0] = (struct iommu_tce_seg){
		.ua = ua_of(a, 0), .npages = 150, .write = true,
	};
	op->segs[1] = (struct iommu_tce_seg){ .npages = 50, .clear = true };
	op->segs[2] = (struct iommu_tce_seg){
		.ua = ua_of(b, 0), .npages = 100, .write = true,
	};
	op->segs[3] = (struct iommu_tce_seg){
		.ua = ua_of(a, 100), .npages = 100,
	};
	KUNIT_EXPECT_EQ(test, op_do(test, op), 0);
	KUNIT_EXPECT_STREQ(test, f->t.log, "");
	KUNIT_EXPECT_EQ(test, mapped(f, a), 200);
	KUNIT_EXPECT_EQ(test, mapped(f, b), 0);
	expect_snapshot(test, f, before);

	/* before all entries are known, and with nothing held */
	op->nr = 1;
	KUNIT_EXPECT_EQ(test, op_do(test, op), 0);
	op->segs[0].clear = true;
	KUNIT_EXPECT_EQ(test, op_do(test, op), 0);
	KUNIT_EXPECT_EQ(test, mapped(f, a), 200);
	expect_snapshot(test, f, before);
	fake_end(test, f);
}

static void read_only_memory_is_not_mapped_for_writing(struct kunit *test)
{
	struct fake *f = fake_create(test);
	unsigned long ua = mm_iommu_kunit_map(test, 2 * UNIT >> PAGE_SHIFT);
	struct snapshot *before = alloc_snapshot(test);
	struct mm_iommu_region *region;

	KUNIT_ASSERT_EQ(test, ua,
			vm_mmap(NULL, ua + UNIT, UNIT, PROT_READ,
				MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED, 0) -
			UNIT);
	region = fake_register_at(test, f, ua, 2 * UNIT);
	KUNIT_ASSERT_TRUE(test, region->trans.readonly);
	prepare(test, f, 0, BLOCK);
	expect_refused(test, f, map(test, f, 5, ua + UNIT, 1, true), before);
	expect_refused(test, f, map(test, f, 5, ua, 2 * PER_UNIT, true),
		       before);
	KUNIT_EXPECT_EQ(test, mapped(f, region), 0);

	KUNIT_EXPECT_EQ(test, map(test, f, 5, ua, 2 * PER_UNIT, false), 0);
	expect_mapped(test, f, 5, region, 0, 2 * PER_UNIT, false);
	KUNIT_EXPECT_EQ(test, mapped(f, region), 2 * PER_UNIT);
	fake_end(test, f);
}

/* The MMU pages are scattered, so no IOMMU page is contiguous. */
static void pages_of_the_iommu_that_are_no_block(struct kunit *test)
{
	struct fake *f = fake_create_as(test, test->param_value, 0, 21, false);
	unsigned long ua = mm_iommu_kunit_map(test, 3 * SZ_2M >> PAGE_SHIFT);
	struct snapshot *before = alloc_snapshot(test);
	struct mm_iommu_kunit *t = test->priv;
	struct mm_iommu_region *region;

	mm_iommu_kunit_stub_pins(test);
	t->instead = ua;
	ua = ALIGN(ua, SZ_2M);
	region = fake_register_at(test, f, ua, 2 * SZ_2M);
	prepare(test, f, 0, BLOCK);
	expect_refused(test, f, map(test, f, 0, ua, 1, true), before);
	expect_refused(test, f, map(test, f, 0, ua, 2, true), before);
	KUNIT_EXPECT_EQ(test, mapped(f, region), 0);
	fake_end(test, f);
}

static void a_closed_table_is_not_touched(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *region = fake_register(test, f, 20);
	struct snapshot *before = map_some(test, f, region, BLOCK - 10, 20);

	iommu_tce_close(&f->t.tbl, true);
	expect_refused(test, f, map(test, f, BLOCK - 5, ua_of(region, 0), 1,
				    true), before);
	expect_refused(test, f, map(test, f, BLOCK - 5, ua_of(region, 0), 10,
				    true), before);
	expect_refused(test, f, clear(test, f, BLOCK - 5, 10), before);
	KUNIT_EXPECT_EQ(test, mapped(f, region), 20);

	iommu_tce_close(&f->t.tbl, false);
	KUNIT_EXPECT_EQ(test, clear(test, f, BLOCK - 5, 10), 1);
	KUNIT_EXPECT_EQ(test, mapped(f, region), 10);
	fake_end(test, f);
}

static void a_block_that_is_missing(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *region = fake_register(test, f, 20);
	struct snapshot *before = map_some(test, f, region, BLOCK, 20);

	expect_refused(test, f, map(test, f, BLOCK - 1, ua_of(region, 0), 1,
				    true), before);
	expect_refused(test, f, map(test, f, BLOCK - 1, ua_of(region, 0), 2,
				    true), before);
	expect_refused(test, f, map(test, f, 2 * BLOCK - 1, ua_of(region, 0), 2,
				    true), before);
	expect_refused(test, f, map(test, f, 5 * BLOCK, ua_of(region, 0), 2,
				    true), before);
	KUNIT_EXPECT_EQ(test, mapped(f, region), 20);
	fake_end(test, f);
}

static void a_platform_that_cannot(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *region = fake_register(test, f, 20);
	struct snapshot *before = map_some(test, f, region, BLOCK - 10, 20);

	f->t.ops.realmode = NULL;
	expect_refused(test, f, map(test, f, BLOCK - 5, ua_of(region, 0), 1,
				    true), before);
	expect_refused(test, f, clear(test, f, BLOCK - 5, 10), before);
	f->t.ops.realmode = fake_realmode;
	KUNIT_EXPECT_EQ(test, mapped(f, region), 20);

	/* rejected in real mode; not called in virtual mode */
	f->only_on = true;
	f->asked = 0;
	if (f->mode->off) {
		expect_refused(test, f, map(test, f, BLOCK - 5,
					    ua_of(region, 0), 1, true), before);
		expect_refused(test, f, clear(test, f, BLOCK - 5, 10), before);
		KUNIT_EXPECT_EQ(test, f->asked, 2);
	} else {
		KUNIT_EXPECT_EQ(test, 0, map(test, f, BLOCK - 5,
					     ua_of(region, 0), 1, true));
		KUNIT_EXPECT_EQ(test, clear(test, f, BLOCK - 5, 10), 1);
		KUNIT_EXPECT_EQ(test, f->asked, 0);
	}
	fake_end(test, f);
}

static void a_platform_that_has_nothing_to_kill(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *region = fake_register(test, f, 20);

	f->t.ops.tce_kill = NULL;
	map_some(test, f, region, BLOCK - 10, 20);
	KUNIT_EXPECT_STREQ(test, f->t.log, "S");
	KUNIT_EXPECT_EQ(test, clear(test, f, BLOCK - 10, 20), 1);
	KUNIT_EXPECT_STREQ(test, f->t.log, "C");
	expect_total(test, f, 0);
	fake_end(test, f);
}

/* Although the platform has promised not to refuse. */
static void a_platform_that_refuses(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *old = fake_register(test, f, 40);
	struct mm_iommu_region *new = fake_register(test, f, 40);
	struct snapshot *before = map_some(test, f, old, BLOCK - 10, 20);

	f->t.refuse = 1;
	KUNIT_EXPECT_EQ(test, -EAGAIN, map(test, f, BLOCK - 20, ua_of(new, 0),
					   40, true));
	KUNIT_EXPECT_STREQ(test, f->t.log, "s");
	f->t.refuse = 1;
	KUNIT_EXPECT_EQ(test, clear(test, f, BLOCK - 20, 40), -EAGAIN);
	KUNIT_EXPECT_STREQ(test, f->t.log, "c");

	KUNIT_EXPECT_EQ(test, mapped(f, old), 20);
	KUNIT_EXPECT_EQ(test, mapped(f, new), 0);
	expect_snapshot(test, f, before);
	expect_total(test, f, 20);
	fake_end(test, f);
}

/* Puts one entry while the platform refuses the next @refuse calls. */
static int put_refused(struct kunit *test, struct fake *f, unsigned long entry,
		       unsigned long ua, bool clear, unsigned int refuse)
{
	struct op *op = op_alloc(test, f);
	int ret;

	op->entry = entry;
	op->npages = 1;
	op->nr = 1;
	op->one = true;
	op->segs[0] = (struct iommu_tce_seg){
		.ua = ua, .npages = 1, .write = true, .clear = clear,
	};
	f->t.refuse = refuse;
	ret = op_do(test, op);
	f->t.refuse = 0;
	kunit_kfree(test, op);
	return ret;
}

/* Also if the refused entry has been written. */
static void one_entry_that_is_refused_is_put_back(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *old = fake_register(test, f, 40);
	struct mm_iommu_region *new = fake_register(test, f, 40);
	struct snapshot *before = map_some(test, f, old, BLOCK - 10, 20);

	/* the old entry is restored, or the entry is empty; the kill follows */
	KUNIT_EXPECT_EQ(test, -EIO, put_refused(test, f, BLOCK - 5,
						ua_of(new, 0), false, 1));
	KUNIT_EXPECT_STREQ(test, f->t.log, "sSK");
	expect_snapshot(test, f, before);
	KUNIT_EXPECT_EQ(test, -EIO, put_refused(test, f, BLOCK - 30,
						ua_of(new, 0), false, 1));
	KUNIT_EXPECT_STREQ(test, f->t.log, "sSK");
	expect_snapshot(test, f, before);
	KUNIT_EXPECT_EQ(test, -EIO, put_refused(test, f, BLOCK - 5, 0, true,
						1));
	KUNIT_EXPECT_STREQ(test, f->t.log, "cSK");
	expect_snapshot(test, f, before);

	/* the old entry cannot be set, so the entry is cleared */
	KUNIT_EXPECT_EQ(test, -EIO, put_refused(test, f, BLOCK - 5,
						ua_of(new, 0), false, 2));
	KUNIT_EXPECT_STREQ(test, f->t.log, "ssCK");
	KUNIT_EXPECT_EQ(test, fake_tce(f, BLOCK - 5), 0);
	KUNIT_EXPECT_EQ(test, mapped(f, new), 0);

	/* the contents are unknown, so the page is never dropped */
	KUNIT_EXPECT_EQ(test, -ENOTRECOVERABLE,
			put_refused(test, f, BLOCK - 6, ua_of(new, 0), false,
				    3));
	KUNIT_EXPECT_STREQ(test, f->t.log, "ssc");
	KUNIT_EXPECT_EQ(test, mapped(f, new), 0);
	KUNIT_EXPECT_EQ(test, refs(new), 2);
	KUNIT_EXPECT_EQ(test, -EIO, put_refused(test, f, BLOCK - 6, 0, true,
						3));
	KUNIT_EXPECT_EQ(test, mapped(f, old), 20);
	expect_total(test, f, 20);

	KUNIT_EXPECT_EQ(test, 0,
			mm_iommu_drop(f->mm,
				      mm_iommu_cookie(new, ua_of(new, 0), true),
				      1));
	fake_end(test, f);
}

static void more_than_fits_into_one_change(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *region = fake_register(test, f, MOST + 1);
	struct snapshot *before = map_some(test, f, region, 100, MOST);
	struct op *op = op_alloc(test, f);

	expect_refused(test, f, clear(test, f, 0, MOST + 1), before);
	expect_refused(test, f, clear(test, f, 0, ENTRIES), before);
	op->npages = MOST + 1;
	op->nr = 1;
	op->segs[0] = (struct iommu_tce_seg){ .npages = 1, .clear = true };
	expect_refused(test, f, op_do(test, op), before);
	KUNIT_EXPECT_EQ(test, mapped(f, region), MOST);
	fake_end(test, f);
}

/* ---- orphans ----------------------------------------------------------- */

/* Registers other memory at the address, which makes the region an orphan. */
static struct mm_iommu_region *replace(struct kunit *test, struct fake *f,
				       struct mm_iommu_region *old)
{
	unsigned long ua = old->trans.ua;

	KUNIT_ASSERT_EQ(test, mm_iommu_unregister(old), -EBUSY);
	f->nr_regions = 0;
	return fake_register_at(test, f, ua, old->trans.npages << PAGE_SHIFT);
}

/* An orphan, kept only by its TCEs, is changed like any other region. */
static void orphaned_entries_are_changed(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *old = fake_register(test, f, 32), *new;
	unsigned long locked = f->mm->locked_vm, ua = old->trans.ua;

	prepare(test, f, BLOCK - 10, 20);
	KUNIT_EXPECT_EQ(test, 0,
			map(test, f, BLOCK - 10, ua_of(old, 0), 20, true));
	new = replace(test, f, old);
	KUNIT_EXPECT_EQ(test, f->mm->locked_vm, 2 * locked);
	/* two blocks have entries of it */
	KUNIT_EXPECT_EQ(test, mapped(f, old), 20);
	KUNIT_EXPECT_EQ(test, refs(old), 2);

	/* replace some of it, one page and many, and clear some */
	KUNIT_EXPECT_EQ(test, map(test, f, BLOCK - 10, ua, 1, true), 0);
	KUNIT_EXPECT_EQ(test, map(test, f, BLOCK - 5, ua, 10, true), 0);
	KUNIT_EXPECT_EQ(test, clear(test, f, BLOCK + 8, 2), 1);
	expect_mapped(test, f, BLOCK - 10, new, 0, 1, true);
	expect_mapped(test, f, BLOCK - 9, old, 1, 4, true);
	expect_mapped(test, f, BLOCK - 5, new, 0, 10, true);
	KUNIT_EXPECT_EQ(test, mapped(f, new), 11);
	KUNIT_EXPECT_EQ(test, mapped(f, old), 7);
	KUNIT_EXPECT_EQ(test, refs(old), 2);
	KUNIT_EXPECT_FALSE(test, must_reap(f));

	/* dropping its last page unpins nothing, the next call may */
	KUNIT_EXPECT_EQ(test, map(test, f, BLOCK - 9, ua, 4, true), 0);
	KUNIT_EXPECT_EQ(test, clear(test, f, BLOCK + 5, 3), IOMMU_TCE_REAP);
	KUNIT_EXPECT_EQ(test, refs(old), 0);
	KUNIT_EXPECT_TRUE(test, must_reap(f));
	KUNIT_EXPECT_EQ(test, f->mm->locked_vm, 2 * locked);
	mm_iommu_reap(f->mm);
	KUNIT_EXPECT_FALSE(test, must_reap(f));
	KUNIT_EXPECT_EQ(test, f->mm->locked_vm, locked);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(old), -ENOENT);
	fake_end(test, f);
}

/* Any call that may sleep does the rest, whatever its purpose. */
static void the_last_page_of_many_regions(struct kunit *test)
{
	struct mm_iommu_region *old[4], *new = NULL;
	struct fake *f = fake_create(test);
	unsigned long locked, ua, i;

	old[0] = fake_register(test, f, 4);
	ua = old[0]->trans.ua;
	locked = f->mm->locked_vm;
	prepare(test, f, BLOCK - 2, 4);
	for (i = 0; i < ARRAY_SIZE(old); i++) {
		KUNIT_EXPECT_EQ(test, map(test, f, BLOCK - 2 + i, ua, 1, true),
				0);
		new = replace(test, f, old[i]);
		KUNIT_EXPECT_EQ(test, mm_iommu_unregister(old[i]), -ENOENT);
		if (i + 1 < ARRAY_SIZE(old))
			old[i + 1] = new;
	}
	KUNIT_EXPECT_EQ(test, f->mm->locked_vm, 5 * locked);
	KUNIT_EXPECT_EQ(test, clear(test, f, BLOCK - 5, 10), IOMMU_TCE_REAP);
	KUNIT_EXPECT_TRUE(test, must_reap(f));
	KUNIT_EXPECT_EQ(test, f->mm->locked_vm, 5 * locked);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(new), 0);
	KUNIT_EXPECT_EQ(test, f->mm->locked_vm, 0);
	f->nr_regions = 0;
	fake_end(test, f);
}

/* ---- counts of a block ------------------------------------------------- */

static struct tce_view_block *block(struct fake *f, unsigned long i)
{
	return tce_view_find(f->t.tbl.it_view, i / BLOCK);
}

/* Puts one entry as a hypercall does, or clears it. */
static int put_entry(struct kunit *test, struct fake *f, unsigned long entry,
		     unsigned long ua, bool clear)
{
	return put_refused(test, f, entry, ua, clear, 0);
}

/*
 * Mapping and clearing in a block in use leaves the count of the region alone.
 * The test sets the count to 0, so that no reference could be taken, and a
 * dropped one would show.
 */
static void a_block_in_use_counts_by_itself(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *region = fake_register(test, f, MOST);
	unsigned long n;
	long saved;

	prepare(test, f, BLOCK - 1, 2);
	KUNIT_EXPECT_EQ(test, 1,
			put_entry(test, f, 7, ua_of(region, 0), false));
	KUNIT_EXPECT_EQ(test, refs(region), 2);
	KUNIT_EXPECT_EQ(test, 1,
			put_entry(test, f, BLOCK, ua_of(region, 0), false));
	KUNIT_EXPECT_EQ(test, refs(region), 3);
	saved = refs(region);
	atomic_long_set(&region->mapped, 0);

	KUNIT_EXPECT_EQ(test, 1,
			put_entry(test, f, 9, ua_of(region, 1), false));
	KUNIT_EXPECT_EQ(test, 1,
			put_entry(test, f, 9, ua_of(region, 2), false));
	KUNIT_EXPECT_EQ(test, 1, put_entry(test, f, 9, 0, true));
	for (n = 1; n <= MOST - 8; n += MOST - 9) {
		/* over empty entries, over itself, and clearing */
		KUNIT_EXPECT_EQ(test, 0, map(test, f, BLOCK - n / 2 - 1,
					     ua_of(region, 0), n, true));
		KUNIT_EXPECT_EQ(test, 0, map(test, f, BLOCK - n / 2 - 1,
					     ua_of(region, 3), n, false));
		KUNIT_EXPECT_EQ(test, 1, clear(test, f, BLOCK - n / 2 - 1,
					       n / 2 + 1));
		KUNIT_EXPECT_EQ(test, refs(region), 0);
	}
	atomic_long_set(&region->mapped, saved);
	tce_fake_check_blocks(&f->t);
	KUNIT_EXPECT_EQ(test, refs(region), 1 + refs_of(f, region));
	fake_end(test, f);
}

/* Entries of other regions than the home have a reference each. */
static void a_block_of_more_than_one_region(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *a = fake_register(test, f, MOST);
	struct mm_iommu_region *b = fake_register(test, f, MOST);
	unsigned long entry = f->t.tbl.it_offset;

	prepare(test, f, 0, BLOCK);
	KUNIT_ASSERT_EQ(test, 0, map(test, f, 0, ua_of(a, 0), 10, true));
	KUNIT_ASSERT_EQ(test, 0, map(test, f, 10, ua_of(b, 0), 20, true));
	KUNIT_EXPECT_EQ(test, 1, put_entry(test, f, 40, ua_of(b, 0), false));
	KUNIT_EXPECT_EQ(test, refs(a), 1 + 1);
	KUNIT_EXPECT_EQ(test, refs(b), 1 + 21);
	KUNIT_EXPECT_EQ(test, mapped(f, a), 10);
	KUNIT_EXPECT_EQ(test, mapped(f, b), 21);

	/* each in place of the other, on each path */
	KUNIT_EXPECT_EQ(test, 1, put_entry(test, f, 9, ua_of(b, 0), false));
	KUNIT_EXPECT_EQ(test, 1, put_entry(test, f, 10, ua_of(a, 0), false));
	KUNIT_EXPECT_EQ(test, 0, map(test, f, 5, ua_of(b, 0), 3, true));
	KUNIT_EXPECT_EQ(test, 0, map(test, f, 15, ua_of(a, 0), 3, true));
	KUNIT_EXPECT_EQ(test, refs(a), 1 + 1);
	KUNIT_EXPECT_EQ(test, refs(b), 1 + 21 + 1 - 1 + 3 - 3);
	KUNIT_EXPECT_EQ(test, 0, iommu_tce_map(&f->t.tbl, entry + 1,
					       ua_of(b, 0), 3, true, NULL));
	KUNIT_EXPECT_EQ(test, 0, iommu_tce_map(&f->t.tbl, entry + 20,
					       ua_of(a, 0), 3, true, NULL));
	KUNIT_EXPECT_EQ(test, refs(a), 1 + 1);
	KUNIT_EXPECT_EQ(test, refs(b), 1 + 21);
	KUNIT_EXPECT_EQ(test, mapped(f, a), 10);
	KUNIT_EXPECT_EQ(test, mapped(f, b), 21);
	tce_fake_check_blocks(&f->t);

	/* without a page of its home, the block has no reference on it */
	KUNIT_EXPECT_EQ(test, 0, map(test, f, 0, ua_of(b, 0), 30, true));
	KUNIT_EXPECT_EQ(test, refs(a), 1);
	KUNIT_EXPECT_EQ(test, refs(b), 1 + 31);
	KUNIT_EXPECT_EQ(test, 1, put_entry(test, f, 50, ua_of(a, 0), false));
	KUNIT_EXPECT_EQ(test, refs(a), 2);
	tce_fake_check_blocks(&f->t);
	fake_end(test, f);
}

static void expect_home(struct kunit *test, struct fake *f, unsigned long i,
			const struct mm_iommu_region *region,
			unsigned int homes)
{
	KUNIT_EXPECT_EQ(test, block(f, i)->homes, homes);
	KUNIT_EXPECT_EQ(test, block(f, i)->home, homes ?
			id_of(mm_iommu_cookie(region, region->trans.ua,
					      false)) : 0);
	KUNIT_EXPECT_EQ(test, refs(region), 1 + !!homes);
}

/* The region of the first entry of an empty block becomes its home. */
static void an_empty_block_gets_another_home(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *a = fake_register(test, f, MOST);
	struct mm_iommu_region *b = fake_register(test, f, MOST);
	unsigned long entry = f->t.tbl.it_offset;

	prepare(test, f, 0, BLOCK);
	KUNIT_EXPECT_EQ(test, 0, map(test, f, 0, ua_of(a, 0), MOST, true));
	expect_home(test, f, 0, a, MOST);
	KUNIT_EXPECT_EQ(test, 1, clear(test, f, 0, MOST));
	KUNIT_EXPECT_EQ(test, 1, put_entry(test, f, 5, ua_of(b, 0), false));
	expect_home(test, f, 0, b, 1);
	KUNIT_EXPECT_EQ(test, refs(a), 1);
	KUNIT_EXPECT_EQ(test, 1, put_entry(test, f, 5, 0, true));
	KUNIT_EXPECT_EQ(test, 1, put_entry(test, f, 6, ua_of(a, 0), false));
	expect_home(test, f, 0, a, 1);
	KUNIT_EXPECT_EQ(test, refs(b), 1);

	/* the range path empties a block that it replaces as a whole */
	KUNIT_EXPECT_EQ(test, 0, iommu_tce_map(&f->t.tbl, entry, ua_of(b, 0),
					       MOST, true, NULL));
	expect_home(test, f, 0, b, MOST);
	KUNIT_EXPECT_EQ(test, refs(a), 1);
	KUNIT_EXPECT_EQ(test, 0, iommu_tce_unmap(&f->t.tbl, entry, MOST));
	KUNIT_EXPECT_EQ(test, refs(b), 1);
	/* a change that failed leaves no home */
	KUNIT_EXPECT_EQ(test, -EIO, put_refused(test, f, 5, ua_of(a, 0), false,
						1));
	KUNIT_EXPECT_EQ(test, refs(a), 1);
	KUNIT_EXPECT_EQ(test, 0, map(test, f, 0, ua_of(b, 0), 1, true));
	expect_home(test, f, 0, b, 1);
	fake_end(test, f);
}

/* A leaked page keeps its reference, although it is no entry of its home. */
static void a_page_that_is_lost_at_home(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *region = fake_register(test, f, 40);
	u64 cookie = mm_iommu_cookie(region, ua_of(region, 1), true);

	prepare(test, f, 0, BLOCK);
	KUNIT_EXPECT_EQ(test, 1,
			put_entry(test, f, 5, ua_of(region, 0), false));
	KUNIT_EXPECT_EQ(test, -ENOTRECOVERABLE,
			put_refused(test, f, 6, ua_of(region, 1), false, 3));
	KUNIT_EXPECT_EQ(test, 1, put_entry(test, f, 5, 0, true));
	KUNIT_EXPECT_EQ(test, tce_view_used(block(f, 0)), 0);
	tce_fake_check_blocks(&f->t);
	KUNIT_EXPECT_EQ(test, refs(region), 2);
	/* as the first entry of an empty block */
	KUNIT_EXPECT_EQ(test, -ENOTRECOVERABLE,
			put_refused(test, f, 6, ua_of(region, 1), false, 3));
	tce_fake_check_blocks(&f->t);
	KUNIT_EXPECT_EQ(test, refs(region), 3);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), -EBUSY);

	/* drop the leaked references, so that the test can end */
	KUNIT_EXPECT_EQ(test, 0, mm_iommu_drop(f->mm, cookie, 1));
	KUNIT_EXPECT_EQ(test, 0, mm_iommu_drop(f->mm, cookie, 1));
	fake_end(test, f);
}

/* An orphan is kept only by the references of blocks. */
static void blocks_keep_what_was_given_up(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *old = fake_register(test, f, 40);
	unsigned long locked = f->mm->locked_vm;

	prepare(test, f, BLOCK - 20, 40);
	KUNIT_EXPECT_EQ(test, 0, map(test, f, BLOCK - 20, ua_of(old, 0), 40,
				     true));
	replace(test, f, old);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(old), -ENOENT);
	KUNIT_EXPECT_EQ(test, f->mm->locked_vm, 2 * locked);
	/* all but the last entry of the last block */
	KUNIT_EXPECT_EQ(test, 1, clear(test, f, BLOCK - 20, 39));
	KUNIT_EXPECT_FALSE(test, must_reap(f));
	KUNIT_EXPECT_EQ(test, IOMMU_TCE_REAP, clear(test, f, BLOCK + 19, 1));
	KUNIT_EXPECT_TRUE(test, must_reap(f));
	mm_iommu_reap(f->mm);
	KUNIT_EXPECT_EQ(test, f->mm->locked_vm, locked);
	fake_end(test, f);
}

/* Stands for another CPU that clears the rest of the block on the fast path. */
static void clear_the_rest(struct tce_fake *t)
{
	struct fake *f = fake_of(&t->tbl);
	unsigned long flags;
	int ret;

	local_irq_save(flags);
	ret = iommu_tce_fast_clear(&f->t.tbl, f->t.tbl.it_offset, BLOCK);
	local_irq_restore(flags);
	tce_fake_wrong(t, ret != 1, "a clear that failed");
	tce_fake_wrong(t, block(f, 0)->homes, "a block that is not empty");
	tce_fake_wrong(t, must_reap(f), "memory let go that was not killed");
}

/*
 * Entries that the range path has removed from a block may be in the cache
 * until its kill, which runs without the lock. The block may have dropped its
 * reference by then.
 */
static void a_block_is_emptied_before_the_kill(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *old = fake_register(test, f, 40), *new;
	unsigned long locked = f->mm->locked_vm, i;

	for (i = 0; i < 2; i++) {
		prepare(test, f, 0, BLOCK);
		KUNIT_EXPECT_EQ(test, 0, map(test, f, 0, ua_of(old, 0), 40,
					     true));
		new = replace(test, f, old);
		KUNIT_EXPECT_EQ(test, mm_iommu_unregister(old), -ENOENT);
		f->t.killing = clear_the_rest;
		/* cleared, or replaced: the new entries are cleared as well */
		if (i)
			KUNIT_EXPECT_EQ(test, 0,
					iommu_tce_map(&f->t.tbl,
						      f->t.tbl.it_offset + 10,
						      ua_of(new, 0), 10, true,
						      NULL));
		else
			KUNIT_EXPECT_EQ(test, 0,
					iommu_tce_unmap(&f->t.tbl,
							f->t.tbl.it_offset + 10,
							10));
		KUNIT_EXPECT_STREQ(test, f->t.wrong ? : "", "");
		KUNIT_EXPECT_NULL(test, f->t.killing);
		KUNIT_EXPECT_EQ(test, f->mm->locked_vm, locked);
		old = new;
	}
	fake_end(test, f);
}

/* ---- contended locks --------------------------------------------------- */

/* An operation that runs while a lock that it needs is held. */
struct held_op {
	struct op *op;
	arch_spinlock_t *lock;
	bool was_locked;
};

static unsigned long held_op_run(void *data)
{
	struct held_op *h = data;
	unsigned long ret;

	arch_spin_lock(h->lock);
	ret = op_run(h->op);
	h->was_locked = arch_spin_is_locked(h->lock);
	arch_spin_unlock(h->lock);
	return ret;
}

/* That the call returns is the test: the lock is released only afterwards. */
static void expect_not_waiting(struct kunit *test, struct op *op,
			       arch_spinlock_t *lock, int seg,
			       const struct snapshot *before)
{
	struct fake *f = op->f;
	struct held_op *h = kunit_kzalloc(test, sizeof(*h), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, h);
	h->op = op;
	h->lock = lock;
	KUNIT_EXPECT_EQ(test, (int)f->mode->call(held_op_run, h), seg);
	KUNIT_EXPECT_TRUE(test, h->was_locked);
	KUNIT_EXPECT_EQ(test, locks_held(f), 0);
	KUNIT_EXPECT_EQ(test, slots_held(f), 0);
	expect_snapshot(test, f, before);
}

static void nobody_waits_for_a_lock(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct mm_iommu_region *region = fake_register(test, f, 40);
	struct snapshot *before = map_some(test, f, region, 16 * BLOCK - 10,
					   20);
	struct mm_iommu *reg = f->mm->context.mm_iommu;
	struct iommu_tce_view *view = f->t.tbl.it_view;
	struct op *op = op_alloc(test, f);
	unsigned int i;

	op->entry = 16 * BLOCK - 5;
	op->npages = 10;
	op->segs[0] = (struct iommu_tce_seg){
		.ua = ua_of(region, 20), .npages = 10, .write = true,
	};
	/* a change and a clear of two blocks, either of which is locked */
	for (op->nr = 0; op->nr < 2; op->nr++) {
		expect_not_waiting(test, op, &view->locks[0].lock.raw_lock,
				   -EAGAIN, before);
		expect_not_waiting(test, op, &view->locks[15].lock.raw_lock,
				   -EAGAIN, before);
	}

	/* the slot of the registry of the current CPU, whichever that is */
	for (op->nr = 0; op->nr < 2; op->nr++) {
		migrate_disable();
		i = raw_smp_processor_id() & reg->slot_mask;
		expect_not_waiting(test, op, &reg->slots[i].lock, -EAGAIN,
				   before);
		migrate_enable();
	}
	KUNIT_EXPECT_EQ(test, mapped(f, region), 20);

	/* succeeds while another lock is held */
	op->nr = 0;
	KUNIT_EXPECT_EQ(test, op_do(test, op), 1);
	KUNIT_EXPECT_EQ(test, mapped(f, region), 10);
	fake_end(test, f);
}

/* ---- compared with the range path -------------------------------------- */

#define STEPS	300

/**
 * struct model - two tables: fast path as far as possible, and range path
 * @fast: table of the fast path
 * @core: table of the range path
 * @snapshot: expected contents of both
 * @count: pages of each region that are mapped in each table
 * @op: the change
 * @region: memory; the first two are adjacent, the third is read-only
 * @rnd: state of the random numbers
 * @made: changes made on the fast path
 * @left: changes left to the range path
 * @failed: changes that cannot be made at all
 */
struct model {
	struct fake *fast;
	struct fake *core;
	struct snapshot *snapshot;
	long count[REGIONS];
	struct op *op;
	struct mm_iommu_region *region[3];
	struct rnd_state rnd;
	unsigned int made;
	unsigned int left;
	unsigned int failed;
};

static unsigned long below(struct model *t, unsigned long n)
{
	return prandom_u32_state(&t->rnd) % n;
}

static unsigned int model_shift(const struct model *t)
{
	return t->core->t.tbl.it_page_shift;
}

static struct mm_iommu_region *model_find(const struct model *t,
					  unsigned long ua)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(t->region); i++)
		if (mm_iommu_has(t->region[i], ua))
			return t->region[i];
	return NULL;
}

static void random_part(struct model *t, struct iommu_tce_seg *seg,
			unsigned long npages)
{
	unsigned int shift = model_shift(t);
	struct mm_iommu_region *region = t->region[below(t, 3)];
	unsigned long pages = region->trans.npages << PAGE_SHIFT >> shift;
	unsigned long at = below(t, pages);

	/* mostly within the region */
	if (below(t, 16) && at + npages > pages)
		at = npages > pages ? 0 : pages - npages;
	seg->clear = !below(t, 4);
	seg->write = below(t, 8) && (region != t->region[2] || !below(t, 8));
	seg->ua = region->trans.ua + (at << shift);
	seg->npages = npages;
}

static void random_op(struct model *t)
{
	unsigned long blocks = below(t, 4) ? 3 : BLOCKS, left;
	struct op *op = t->op;

	op->npages = below(t, 3) ? 1 + below(t, 20) : 1 + below(t, MOST);
	op->one = !below(t, 4);
	if (op->one)
		op->npages = 1;
	/* mostly over other entries, and where the locks wrap around */
	op->entry = (14 * BLOCK + below(t, blocks * BLOCK)) % ENTRIES;
	op->npages = min(op->npages, ENTRIES - op->entry);
	op->nr = 0;
	if (!below(t, 4))
		return;
	for (left = op->npages; left; left -= op->segs[op->nr++].npages)
		random_part(t, &op->segs[op->nr], op->nr == PARTS - 1 ? left :
			    1 + below(t, left));
}

/*
 * Whether a part can be mapped, on the fast path if @fast. For more than one
 * page the fast path does not look for pages that are read-only.
 */
static bool part_is_good(const struct model *t,
			 const struct iommu_tce_seg *seg, bool fast)
{
	struct mm_iommu_region *first = model_find(t, seg->ua), *region;
	unsigned long i, ua = seg->ua;
	u64 at;

	if (fast && seg->npages > 1 && first && seg->write &&
	    first->trans.readonly)
		return false;
	for (i = 0; i < seg->npages; i++, ua += BIT(model_shift(t))) {
		region = model_find(t, ua);
		if (!region || (fast && region != first))
			return false;
		mm_iommu_trans_block(&region->trans, ua, &at);
		if (seg->write && at & MM_IOMMU_READONLY)
			return false;
	}
	return true;
}

static bool op_is_good(const struct model *t, bool fast)
{
	unsigned int i;

	for (i = 0; i < t->op->nr; i++)
		if (!t->op->segs[i].clear &&
		    !part_is_good(t, &t->op->segs[i], fast))
			return false;
	return true;
}

/* Whether a block is missing in a range where pages are to be mapped. */
static bool op_lacks_block(const struct model *t)
{
	struct iommu_tce_view *view = t->fast->t.tbl.it_view;
	unsigned long b = t->op->entry / BLOCK;
	unsigned long last = (t->op->entry + t->op->npages - 1) / BLOCK;

	for (; t->op->nr && b <= last; b++)
		if (!tce_view_find(view, b))
			return true;
	return false;
}

static void snapshot_put(struct model *t, unsigned long i, unsigned long ua,
			bool write)
{
	struct mm_iommu_region *new = ua ? model_find(t, ua) : NULL;
	struct mm_iommu_region *old = NULL;
	unsigned int k;

	if (t->snapshot->view[i])
		old = mm_iommu_id_find(t->core->mm->context.mm_iommu,
				       t->snapshot->view[i]);
	for (k = 0; k < ARRAY_SIZE(t->region); k++)
		t->count[k] += (t->region[k] == new) - (t->region[k] == old);
	t->snapshot->view[i] = new ? mm_iommu_cookie(new, ua, write) : 0;
	t->snapshot->tce[i] = new ? wanted_tce(new, ua, write) : 0;
}

static void snapshot_change(struct model *t)
{
	const struct iommu_tce_seg *seg = t->op->segs;
	unsigned long i = t->op->entry, n, end = i + t->op->npages;

	for (; !t->op->nr && i < end; i++)
		snapshot_put(t, i, 0, false);
	for (; i < end; seg++)
		for (n = 0; n < seg->npages; n++)
			snapshot_put(t, i++, seg->clear ? 0 :
				    seg->ua + (n << model_shift(t)),
				    seg->write);
}

/* The same change on the range path. */
static int core_change(struct model *t, struct fake *f)
{
	struct tce_map *m = NULL;
	int ret;

	if (!t->op->nr)
		return iommu_tce_unmap(&f->t.tbl,
				       f->t.tbl.it_offset + t->op->entry,
				       t->op->npages);
	ret = iommu_tce_begin(&m, &f->t.tbl, f->t.tbl.it_offset + t->op->entry,
			      t->op->segs, t->op->nr, 0);
	return ret ? : iommu_tce_commit(m);
}

/* A single part is mapped as VFIO maps it. */
static int core_map(struct model *t, struct fake *f)
{
	const struct iommu_tce_seg *seg = t->op->segs;

	if (t->op->nr != 1 || seg->clear)
		return core_change(t, f);
	return iommu_tce_map(&f->t.tbl, f->t.tbl.it_offset + t->op->entry,
			     seg->ua, seg->npages, seg->write, NULL);
}

static void expect_counts(struct kunit *test, struct model *t, const long *core)
{
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(t->region); k++) {
		KUNIT_ASSERT_EQ(test, mapped(t->fast, t->region[k]) +
				mapped(t->core, t->region[k]),
				t->count[k] + core[k]);
		KUNIT_ASSERT_EQ(test, refs(t->region[k]),
				1 + refs_of(t->fast, t->region[k]) +
				refs_of(t->core, t->region[k]));
	}
}

static void model_step(struct kunit *test, struct model *t)
{
	bool lacks, clears, good, change_good;
	long before[REGIONS];
	int ret;

	random_op(t);
	lacks = op_lacks_block(t);
	clears = t->op->one && (!t->op->nr || t->op->segs->clear);
	change_good = op_is_good(t, true);
	good = op_is_good(t, false);
	memcpy(before, t->count, sizeof(before));

	ret = op_do(test, t->op);
	if (ret != -EAGAIN) {
		KUNIT_ASSERT_TRUE(test, change_good && (!lacks || clears));
		KUNIT_ASSERT_TRUE(test, !ret || (ret == 1 &&
						 (!t->op->nr || t->op->one)));
		t->made++;
	} else {
		KUNIT_ASSERT_TRUE(test, lacks || !change_good);
		expect_snapshot(test, t->fast, t->snapshot);
		expect_counts(test, t, before);
		ret = core_change(t, t->fast);
		KUNIT_ASSERT_EQ(test, !ret, good);
		t->left += good;
		t->failed += !good;
	}
	if (good)
		snapshot_change(t);
	/* in one of the two tables only */
	expect_snapshot(test, t->fast, t->snapshot);
	expect_counts(test, t, before);
	KUNIT_ASSERT_EQ(test, !core_map(t, t->core), good);
	expect_counts(test, t, t->count);
}

static void model_register(struct kunit *test, struct model *t)
{
	unsigned long ua = mm_iommu_kunit_map(test, 80 * UNIT >> PAGE_SHIFT);

	KUNIT_ASSERT_EQ(test, ua + 64 * UNIT,
			vm_mmap(NULL, ua + 64 * UNIT, UNIT, PROT_READ,
				MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED, 0));
	t->region[0] = fake_register_at(test, t->core, ua, 40 * UNIT);
	t->region[1] = fake_register_at(test, t->core, ua + 40 * UNIT,
					20 * UNIT);
	t->region[2] = fake_register_at(test, t->core, ua + 62 * UNIT,
					12 * UNIT);
	KUNIT_ASSERT_TRUE(test, t->region[2]->trans.readonly);
}

static void compare_paths(struct kunit *test, unsigned int shift, bool pnv)
{
	const struct mode *mode = test->param_value;
	struct model *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	unsigned int i, seed = 1000 * (mode - modes) + 10 * shift + pnv;

	KUNIT_ASSERT_NOT_NULL(test, t);
	prandom_seed_state(&t->rnd, seed);
	t->fast = fake_create_as(test, mode, 12345, shift, pnv);
	t->core = fake_create_as(test, mode, 12345, shift, false);
	t->snapshot = alloc_snapshot(test);
	t->op = op_alloc(test, t->fast);
	model_register(test, t);

	for (i = 0; i < STEPS; i++) {
		model_step(test, t);
		if (i % 16)
			continue;
		expect_snapshot(test, t->core, t->snapshot);
		tce_fake_check_blocks(&t->fast->t);
		tce_fake_check_blocks(&t->core->t);
	}
	kunit_info(test, "seed %u, pages of %lu, %s: %u on the fast path, %u left to the core, %u impossible\n",
		   seed, BIT(shift), pnv ? "PowerNV" : "fake", t->made, t->left,
		   t->failed);
	/* not all of it was left to the range path */
	KUNIT_EXPECT_GT(test, t->made, STEPS / 4);
	KUNIT_EXPECT_GT(test, t->left, 0);
	KUNIT_EXPECT_GT(test, t->failed, 0);
	expect_snapshot(test, t->core, t->snapshot);
	fake_end(test, t->fast);
	fake_end(test, t->core);
}

static void random_changes_are_as_the_core_makes_them(struct kunit *test)
{
	compare_paths(test, SHIFT, false);
	if (PAGE_SHIFT != SHIFT)
		compare_paths(test, PAGE_SHIFT, false);
}

static void random_changes_of_a_table_of_powernv(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_PPC_POWERNV))
		kunit_skip(test, "needs CONFIG_PPC_POWERNV");
	compare_paths(test, SHIFT, true);
}

/* ---- concurrency ------------------------------------------------------- */

#define ROUNDS	1500

struct fast_thread {
	struct fake *f;
	struct mm_iommu_region *region;
	struct completion done;
	unsigned int failed;
	struct op *op;
};

/* Maps and clears on the range path what others change on the fast path. */
static int thread_run(void *data)
{
	struct fast_thread *t = data;
	struct rnd_state rnd;
	unsigned long first, npages;
	unsigned int i;

	prandom_seed_state(&rnd, 1);
	for (i = 0; i < ROUNDS; i++) {
		first = t->f->t.tbl.it_offset + 15 * BLOCK +
			prandom_u32_state(&rnd) % BLOCK;
		npages = 1 + prandom_u32_state(&rnd) % 300;
		if (prandom_u32_state(&rnd) % 2)
			t->failed += !!iommu_tce_map(&t->f->t.tbl, first,
						     ua_of(t->region, 0),
						     npages, true, NULL);
		else
			t->failed += !!iommu_tce_unmap(&t->f->t.tbl, first,
						       npages);
		cond_resched();
	}
	complete(&t->done);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

/* Maps or clears at random; some of the calls return -EAGAIN. */
static void change_concurrently(struct kunit *test, struct fast_thread *t,
				struct mm_iommu_region *region)
{
	struct op *op = t->op;
	struct rnd_state rnd;
	unsigned int made = 0;
	int ret;

	prandom_seed_state(&rnd, 2);
	while (!completion_done(&t->done)) {
		op->entry = 15 * BLOCK + prandom_u32_state(&rnd) % BLOCK;
		op->npages = 1 + prandom_u32_state(&rnd) % 300;
		op->nr = prandom_u32_state(&rnd) % 2;
		op->segs[0] = (struct iommu_tce_seg){
			.ua = ua_of(region, 0), .npages = op->npages,
			.write = true,
		};
		ret = t->f->mode->call(op_run, op);
		made += ret >= 0;
		if (ret != -EAGAIN)
			KUNIT_ASSERT_GE(test, ret, 0);
		cond_resched();
	}
	KUNIT_EXPECT_GT(test, made, 0);
}

static void changes_beside_those_of_the_core(struct kunit *test)
{
	struct fake *f = fake_create(test);
	struct fast_thread *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	struct mm_iommu_region *a = fake_register(test, f, 300);
	struct mm_iommu_region *b = fake_register(test, f, 300), *region;
	unsigned long i, na = 0, nb = 0;
	struct task_struct *task;

	KUNIT_ASSERT_NOT_NULL(test, t);
	init_completion(&t->done);
	t->f = f;
	t->region = a;
	t->op = op_alloc(test, f);
	prepare(test, f, 15 * BLOCK, 2 * BLOCK);
	task = kthread_run(thread_run, t, "iommu_tce_kunit");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	change_concurrently(test, t, b);
	kthread_stop(task);

	KUNIT_EXPECT_EQ(test, t->failed, 0);
	for (i = 0; i < ENTRIES; i++) {
		u64 cookie = tce_fake_view(&f->t, i);

		if (!cookie) {
			KUNIT_ASSERT_EQ(test, fake_tce(f, i), 0);
			continue;
		}
		region = mm_iommu_id_find(f->mm->context.mm_iommu, cookie);
		KUNIT_ASSERT_TRUE(test, region == a || region == b);
		KUNIT_ASSERT_EQ(test, fake_tce(f, i),
				wanted_tce(region,
					   mm_iommu_cookie_ua(region, cookie),
					   true));
		na += region == a;
		nb += region == b;
	}
	KUNIT_EXPECT_EQ(test, mapped(f, a), na);
	KUNIT_EXPECT_EQ(test, mapped(f, b), nb);
	KUNIT_EXPECT_EQ(test, refs(a), 1 + refs_of(f, a));
	KUNIT_EXPECT_EQ(test, refs(b), 1 + refs_of(f, b));
	expect_total(test, f, na + nb);
	fake_end(test, f);
}

static struct kunit_case iommu_tce_fast_cases[] = {
	KUNIT_CASE_PARAM(a_change_is_made_and_unmade, mode_gen_params),
	KUNIT_CASE_PARAM(writable_memory_is_marked, mode_gen_params),
	KUNIT_CASE_PARAM(a_change_of_one_entry, mode_gen_params),
	KUNIT_CASE_PARAM(a_change_replaces_what_was_there, mode_gen_params),
	KUNIT_CASE_PARAM(a_list_may_clear_some, mode_gen_params),
	KUNIT_CASE_PARAM(a_change_of_two_regions_counts_each, mode_gen_params),
	KUNIT_CASE_PARAM(clear_of_nothing_kills_nothing, mode_gen_params),
	KUNIT_CASE_PARAM(clear_where_a_block_is_missing, mode_gen_params),
	KUNIT_CASE_PARAM(a_walk_through_a_table_that_was_walked_before,
			 mode_gen_params),
	KUNIT_CASE_PARAM(memory_that_is_not_all_registered, mode_gen_params),
	KUNIT_CASE_PARAM(nothing_was_ever_registered, mode_gen_params),
	KUNIT_CASE_PARAM(an_aborted_change_counts_back, mode_gen_params),
	KUNIT_CASE_PARAM(read_only_memory_is_not_mapped_for_writing,
			 mode_gen_params),
	KUNIT_CASE_PARAM(pages_of_the_iommu_that_are_no_block, mode_gen_params),
	KUNIT_CASE_PARAM(a_closed_table_is_not_touched, mode_gen_params),
	KUNIT_CASE_PARAM(a_block_that_is_missing, mode_gen_params),
	KUNIT_CASE_PARAM(a_platform_that_cannot, mode_gen_params),
	KUNIT_CASE_PARAM(a_platform_that_has_nothing_to_kill, mode_gen_params),
	KUNIT_CASE_PARAM(a_platform_that_refuses, mode_gen_params),
	KUNIT_CASE_PARAM(one_entry_that_is_refused_is_put_back,
			 mode_gen_params),
	KUNIT_CASE_PARAM(more_than_fits_into_one_change, mode_gen_params),
	KUNIT_CASE_PARAM(orphaned_entries_are_changed, mode_gen_params),
	KUNIT_CASE_PARAM(the_last_page_of_many_regions, mode_gen_params),
	KUNIT_CASE_PARAM(a_block_in_use_counts_by_itself, mode_gen_params),
	KUNIT_CASE_PARAM(a_block_of_more_than_one_region, mode_gen_params),
	KUNIT_CASE_PARAM(an_empty_block_gets_another_home, mode_gen_params),
	KUNIT_CASE_PARAM(a_page_that_is_lost_at_home, mode_gen_params),
	KUNIT_CASE_PARAM(blocks_keep_what_was_given_up, mode_gen_params),
	KUNIT_CASE_PARAM(a_block_is_emptied_before_the_kill, mode_gen_params),
	KUNIT_CASE_PARAM(nobody_waits_for_a_lock, mode_gen_params),
	KUNIT_CASE_PARAM(random_changes_are_as_the_core_makes_them,
			 mode_gen_params),
	KUNIT_CASE_PARAM(random_changes_of_a_table_of_powernv, mode_gen_params),
	KUNIT_CASE_PARAM(changes_beside_those_of_the_core, mode_gen_params),
	{ }
};

static struct kunit_suite iommu_tce_fast_suite = {
	.name = "iommu_tce_fast",
	.init = mm_iommu_kunit_init,
	.exit = mm_iommu_kunit_exit,
	.test_cases = iommu_tce_fast_cases,
};

kunit_test_suite(iommu_tce_fast_suite);
