// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suites of the TCE core and of the userspace view of TCE tables: the
 * resulting state, the order of the calls, and the state after a failure. See
 * iommu_tce.c and iommu_tce_view.c. The fake table, which records the calls, is
 * that of other suites as well.
 *
 * The memory is a fake, too, except in the tests at the end, which register
 * some. The suite keeps track of the memory that a device could reach, through
 * a TCE or through one that may still be in the TCE cache, and detects it if
 * such memory is dropped.
 */
#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/prandom.h>

#include <asm/iommu.h>
#include <asm/iommu_tce.h>
#include <asm/tce.h>

#include "iommu_tce_kunit.h"

#define BLOCK		TCE_VIEW_ENTRIES

/* ---- the fake table ---------------------------------------------------- */

/* Letter of a call in the log; lower case if it was refused. */
static const char fake_letter[FAKE_OPS] = { 'H', 'P', 'S', 'C', 'K', 'D' };
static const int fake_error[FAKE_OPS] = {
	[FAKE_HOLD] = -EFAULT, [FAKE_PREPARE] = -ENOMEM, [FAKE_SET] = -EIO,
	[FAKE_CLEAR] = -EBUSY,
};

/* Records a call. Return: 0, or the error to refuse it with. */
static int fake_called(struct tce_fake *t, enum tce_fake_op op,
		       unsigned long entry, unsigned long npages)
{
	struct tce_fake_calls *c = &t->calls[op];
	int ret = 0;

	if (t->mute)
		return 0;
	c->nr++;
	c->entry = entry;
	c->npages = npages;
	if (c->refuse_at && c->nr >= c->refuse_at &&
	    c->nr < c->refuse_at + c->refuse_nr)
		ret = fake_error[op];
	if (t->refuse && (op == FAKE_SET || op == FAKE_CLEAR)) {
		t->refuse--;
		ret = -EIO;
	}
	if (t->logged < sizeof(t->log) - 1)
		t->log[t->logged++] = fake_letter[op] | (ret ? 'a' - 'A' : 0);
	tce_fake_wrong(t, !npages, "a call for nothing");
	return ret;
}

/**
 * tce_fake_range() - record a call that changes a part of the table
 * @t: the table
 * @op: what was called
 * @entry: first entry
 * @npages: number of entries
 * @ret: what the call is to return
 *
 * Context: Any, also real mode: all that it uses is in the linear map. If CPUs
 *	call concurrently a lock of the suite is held, or @t is mute.
 * Return: number of entries that the call may change.
 */
unsigned long tce_fake_range(struct tce_fake *t, enum tce_fake_op op,
			     unsigned long entry, unsigned long npages,
			     int *ret)
{
	unsigned long i = entry - t->tbl.it_offset;

	*ret = fake_called(t, op, entry, npages);
	tce_fake_wrong(t, i >= t->tbl.it_size || npages > t->tbl.it_size - i,
		       "a range that is not in the table");
	if (t->watch && !t->mute)
		t->watch(t, op, entry, npages);
	if (!*ret)
		return npages;
	return t->calls[op].nr == t->calls[op].refuse_at ?
	       min(t->calls[op].part, npages) : 0;
}

static int fake_set_plain(struct iommu_table *tbl, unsigned long index,
			  unsigned long npages, const __be64 *tces)
{
	unsigned long i, n;
	int ret;

	n = tce_fake_range(tce_fake_of(tbl), FAKE_SET, index, npages, &ret);
	/* a single entry that is refused may have been written all the same */
	if (ret && npages == 1)
		n = 1;
	for (i = 0; i < n; i++)
		*tce_fake_entry(tce_fake_of(tbl), index + i) = tces[i];
	return ret;
}

static int fake_clear_plain(struct iommu_table *tbl, unsigned long index,
			    unsigned long npages)
{
	unsigned long i, n;
	int ret;

	n = tce_fake_range(tce_fake_of(tbl), FAKE_CLEAR, index, npages, &ret);
	for (i = 0; i < n; i++)
		*tce_fake_entry(tce_fake_of(tbl), index + i) = 0;
	return ret;
}

static void fake_kill_plain(struct iommu_table *tbl, unsigned long index,
			    unsigned long npages)
{
	int ret;

	tce_fake_killing(tce_fake_of(tbl));
	tce_fake_range(tce_fake_of(tbl), FAKE_KILL, index, npages, &ret);
}

/**
 * tce_fake_init() - make a fake table
 * @t: the table, zeroed
 * @test: test that it is used by
 * @size: number of entries, of which only as many exist as a test can use
 * @offset: first entry, counted from bus address 0
 * @shift: log2 of the size of an IOMMU page
 *
 * It has one reference, and no view. A suite replaces the operations in which
 * it has more to look at, or a lock to take.
 *
 * Return: 0 or -ENOMEM.
 */
int tce_fake_init(struct tce_fake *t, struct kunit *test, unsigned long size,
		  unsigned long offset, unsigned int shift)
{
	t->test = test;
	t->nr_entries = min(size, 40 * BLOCK);
	/* in the linear map, for real mode */
	t->tces = kcalloc(t->nr_entries, sizeof(*t->tces), GFP_KERNEL);
	if (!t->tces)
		return -ENOMEM;
	t->ops.set_tces = fake_set_plain;
	t->ops.clear_tces = fake_clear_plain;
	t->ops.tce_kill = fake_kill_plain;
	t->tbl.it_ops = &t->ops;
	t->tbl.it_size = size;
	t->tbl.it_offset = offset;
	t->tbl.it_page_shift = shift;
	INIT_LIST_HEAD_RCU(&t->tbl.it_group_list);
	kref_init(&t->tbl.it_kref);
	return 0;
}

/**
 * tce_fake_end() - check that a table was used well and is empty, and free it
 * @t: the table; the struct itself is the caller's
 */
void tce_fake_end(struct tce_fake *t)
{
	KUNIT_EXPECT_STREQ(t->test, t->wrong ? : "", "");
	KUNIT_EXPECT_EQ(t->test, iommu_tce_view_mapped(&t->tbl), 0);
	/* it warns, which adds nothing if a test has failed */
	if (!iommu_tce_view_mapped(&t->tbl))
		iommu_tce_view_destroy(&t->tbl);
	kfree(t->tces);
}

/**
 * tce_fake_check_blocks() - check that the counts of blocks match the entries
 * @t: a table with a view, which nobody changes
 *
 * Return: number of blocks that exist.
 */
unsigned long tce_fake_check_blocks(struct tce_fake *t)
{
	struct iommu_tce_view *view = t->tbl.it_view;
	unsigned long b, i, used, of_home, nr = 0;
	struct tce_view_block *blk;

	for (b = 0; b < view->blocks; b++) {
		blk = tce_view_find(view, b);
		if (!blk)
			continue;
		for (used = 0, of_home = 0, i = 0; i < BLOCK; i++) {
			used += !!blk->entry[i];
			of_home += blk->entry[i] && blk->home ==
				   (blk->entry[i] & MM_IOMMU_COOKIE_ID);
		}
		KUNIT_ASSERT_EQ(t->test, tce_view_used(blk), used);
		KUNIT_ASSERT_EQ(t->test, !blk->home, !blk->homes);
		KUNIT_ASSERT_LE(t->test, blk->homes, of_home);
		nr++;
	}
	return nr;
}

/* ---- memory, and what a device can reach ------------------------------- */

#define FAKE_MEMS	66
#define FAKE_STALE	8

/**
 * struct fake_mem - a piece of memory
 * @f: table that it belongs to
 * @ua: first user address
 * @npages: number of IOMMU pages
 * @hpa: host address of the first page; the pages are not contiguous
 * @id: region id in its cookies
 * @first: offset in bytes of its first page from that of cookie 0
 * @orphan: other memory is at its address now
 * @refs: references held
 * @reach: its TCEs in the table or possibly in the cache
 * @dirty: references that were dropped as written to
 */
struct fake_mem {
	struct fake *f;
	unsigned long ua;
	unsigned long npages;
	u64 hpa;
	u64 id;
	unsigned long first;
	bool orphan;
	long refs;
	long reach;
	long dirty;
};

/* Older TCEs of an entry that may still be in the cache. */
struct fake_stale {
	u64 tce[FAKE_STALE];
	unsigned int nr;
};

/**
 * struct fake - a table, and memory to be mapped in it
 * @t: the table
 * @lock: protects all members below, and the table
 * @stale: TCEs that may be in the cache, for each element of the table
 * @now: snapshot of the view by fake_look(), as many elements
 * @mems: memory that tests map
 * @nr_mems: number of elements used in @mems
 * @at_most: limit of pages per hold, 0 for none
 * @regions: the memory has regions, which blocks of the view can have as home
 * @translating: called once, before memory is translated
 * @closing: the table is closed while TCEs are being written
 */
struct fake {
	struct tce_fake t;
	raw_spinlock_t lock;	/* all members below, and the table */
	struct fake_stale *stale;
	u64 *now;
	struct fake_mem mems[FAKE_MEMS];
	unsigned int nr_mems;
	unsigned long at_most;
	bool regions;
	void (*translating)(struct fake *f);
	bool closing;
};

static struct fake *fake_of(struct iommu_table *tbl)
{
	return container_of(tbl, struct fake, t.tbl);
}

static struct fake_stale *fake_stale(struct fake *f, unsigned long entry)
{
	return &f->stale[tce_fake_entry(&f->t, entry) - f->t.tces];
}

static u64 mem_hpa(const struct fake_mem *mem, unsigned long ua)
{
	return mem->hpa + 2 * (ua - mem->ua);
}

/* Counts the TCEs through which a device can reach the memory. */
static void fake_reach(struct fake *f, u64 tce, int more)
{
	unsigned int i;

	for (i = 0; tce && i < f->nr_mems; i++)
		if (tce - f->mems[i].hpa < BIT(36))
			f->mems[i].reach += more;
}

static void fake_write(struct fake *f, unsigned long entry, u64 tce)
{
	__be64 *place = tce_fake_entry(&f->t, entry);
	struct fake_stale *s = fake_stale(f, entry);
	u64 old = be64_to_cpu(*place);
	unsigned int i;

	if (old == tce)
		return;

	/* the same TCE in both the table and the cache counts once */
	for (i = 0; i < s->nr && s->tce[i] != tce; i++)
		;
	if (i < s->nr)
		s->tce[i] = s->tce[--s->nr];
	else
		fake_reach(f, tce, 1);
	if (old) {
		tce_fake_wrong(&f->t, s->nr == FAKE_STALE,
			       "an entry that nobody kills");
		if (s->nr < FAKE_STALE)
			s->tce[s->nr++] = old;
	}
	*place = cpu_to_be64(tce);
}

static int fake_prepare(struct iommu_table *tbl, unsigned long index,
			unsigned long npages)
{
	struct fake *f = fake_of(tbl);
	unsigned long flags;
	int ret;

	might_sleep();
	raw_spin_lock_irqsave(&f->lock, flags);
	tce_fake_range(&f->t, FAKE_PREPARE, index, npages, &ret);
	raw_spin_unlock_irqrestore(&f->lock, flags);
	return ret;
}

static int fake_set(struct iommu_table *tbl, unsigned long index,
		    unsigned long npages, const __be64 *tces)
{
	struct fake *f = fake_of(tbl);
	unsigned long flags, i, n;
	int ret;

	raw_spin_lock_irqsave(&f->lock, flags);
	tce_fake_wrong(&f->t, npages > BLOCK, "too many TCEs in a list");
	tce_fake_wrong(&f->t,
		       npages > 1 && !IS_ALIGNED((unsigned long)tces, SZ_4K),
		       "a list that does not start on 4K");
	tce_fake_wrong(&f->t, npages > 1 && !virt_addr_valid(tces),
		       "a list that is not in the linear map");
	n = tce_fake_range(&f->t, FAKE_SET, index, npages, &ret);
	/* a concurrent close now waits for the lock of the block */
	if (f->closing)
		WRITE_ONCE(tbl->it_view->closed, true);
	for (i = 0; i < n; i++)
		fake_write(f, index + i, be64_to_cpu(tces[i]));
	raw_spin_unlock_irqrestore(&f->lock, flags);
	return ret;
}

static int fake_clear(struct iommu_table *tbl, unsigned long index,
		      unsigned long npages)
{
	struct fake *f = fake_of(tbl);
	unsigned long flags, i, n;
	int ret;

	raw_spin_lock_irqsave(&f->lock, flags);
	n = tce_fake_range(&f->t, FAKE_CLEAR, index, npages, &ret);
	for (i = 0; i < n; i++)
		fake_write(f, index + i, 0);
	raw_spin_unlock_irqrestore(&f->lock, flags);
	return ret;
}

static void fake_kill(struct iommu_table *tbl, unsigned long index,
		      unsigned long npages)
{
	struct fake *f = fake_of(tbl);
	struct fake_stale *s;
	unsigned long flags, i, n;
	int ret;

	tce_fake_killing(&f->t);
	raw_spin_lock_irqsave(&f->lock, flags);
	n = tce_fake_range(&f->t, FAKE_KILL, index, npages, &ret);
	for (i = 0; i < min(n, f->t.nr_entries); i++) {
		s = fake_stale(f, index + i);
		while (s->nr)
			fake_reach(f, s->tce[--s->nr], -1);
	}
	raw_spin_unlock_irqrestore(&f->lock, flags);
}

/* The fake is passed as the mm too; only the fake dereferences it. */
static struct mm_struct *fake_mm(struct fake *f)
{
	return (struct mm_struct *)f;
}

static u64 mem_cookie(const struct fake_mem *mem, unsigned long ua, bool write)
{
	return FIELD_PREP(MM_IOMMU_COOKIE_ID, mem->id) +
	       mm_iommu_cookie_step(mem->first + ua - mem->ua) + write;
}

static unsigned long cookie_bytes(u64 cookie)
{
	return FIELD_GET(MM_IOMMU_COOKIE_PAGE, cookie) * SZ_4K;
}

static unsigned long mem_ua(const struct fake_mem *mem, u64 cookie)
{
	return mem->ua + cookie_bytes(cookie) - mem->first;
}

static bool mem_has(const struct fake_mem *mem, unsigned long ua)
{
	return ua - mem->ua < mem->npages << mem->f->t.tbl.it_page_shift;
}

static long fake_hold(struct mm_struct *mm, unsigned long ua,
		      unsigned long npages, unsigned int shift, bool write,
		      struct mm_iommu_held *held)
{
	struct fake *f = (struct fake *)mm;
	struct fake_mem *mem;
	unsigned long flags, n;
	long ret;

	might_sleep();
	held->bad = ua;
	raw_spin_lock_irqsave(&f->lock, flags);
	tce_fake_wrong(&f->t, shift != f->t.tbl.it_page_shift,
		       "another page size");
	ret = fake_called(&f->t, FAKE_HOLD, ua, npages);
	if (ret)
		goto out_unlock;
	ret = -EINVAL;
	for (mem = f->mems; mem < f->mems + f->nr_mems; mem++) {
		if (mem->orphan || !mem_has(mem, ua))
			continue;
		n = mem->npages - ((ua - mem->ua) >> shift);
		n = min3(n, npages, f->at_most ? : ULONG_MAX);
		mem->refs += n;
		held->cookie = mem_cookie(mem, ua, write);
		held->hpa = mem_hpa(mem, ua);
		ret = n;
		break;
	}
out_unlock:
	raw_spin_unlock_irqrestore(&f->lock, flags);
	return ret;
}

static struct fake_mem *fake_find(struct fake *f, u64 cookie)
{
	u64 id = FIELD_GET(MM_IOMMU_COOKIE_ID, cookie);
	struct fake_mem *mem;

	for (mem = f->mems; mem < f->mems + f->nr_mems; mem++)
		if (mem->id == id && mem_has(mem, mem_ua(mem, cookie)))
			return mem;
	tce_fake_wrong(&f->t, true, "memory that is not there");
	return NULL;
}

static int fake_translate(struct mm_struct *mm, u64 cookie,
			  unsigned long npages, unsigned int shift, u64 bits,
			  __be64 *tces)
{
	struct fake *f = (struct fake *)mm;
	struct fake_mem *mem = fake_find(f, cookie);
	void (*hook)(struct fake *f) = f->translating;
	unsigned long i, ua;

	if (!mem)
		return -ENOENT;
	ua = mem_ua(mem, cookie);
	if (hook) {
		f->translating = NULL;
		hook(f);
	}
	for (i = 0; i < npages; i++)
		tces[i] = cpu_to_be64(mem_hpa(mem, ua + (i << shift)) | bits);
	return 0;
}

/* References are per page, or per block for entries of its home. */
static void mem_drop(struct fake_mem *mem, unsigned long n)
{
	struct fake *f = mem->f;

	mem->refs -= n;
	tce_fake_wrong(&f->t, mem->refs < 0, "a reference that nobody had");
	tce_fake_wrong(&f->t, f->regions ? mem->reach && !mem->refs :
					   mem->refs < mem->reach,
		       "memory let go that a device can reach");
}

static void fake_count(struct mm_struct *mm, u64 cookie, long more)
{
	struct fake *f = (struct fake *)mm;
	struct fake_mem *mem = fake_find(f, cookie);
	unsigned long flags;

	if (!mem)
		return;
	raw_spin_lock_irqsave(&f->lock, flags);
	tce_fake_wrong(&f->t, mem->refs < 1, "more of what nobody held");
	mem_drop(mem, -more);
	tce_fake_wrong(&f->t, mem->refs < 1,
		       "the last reference, and not dropped");
	raw_spin_unlock_irqrestore(&f->lock, flags);
}

static int fake_drop_now(struct fake *f, u64 cookie, unsigned long npages)
{
	struct fake_mem *mem = fake_find(f, cookie);
	unsigned long flags;

	if (!mem)
		return -ENOENT;
	raw_spin_lock_irqsave(&f->lock, flags);
	fake_called(&f->t, FAKE_DROP, mem->id, npages);
	mem_drop(mem, npages);
	if (cookie & MM_IOMMU_COOKIE_WRITE)
		mem->dirty += npages;
	raw_spin_unlock_irqrestore(&f->lock, flags);
	return 0;
}

static int fake_drop(struct mm_struct *mm, u64 cookie, unsigned long npages)
{
	might_sleep();
	return fake_drop_now((struct fake *)mm, cookie, npages);
}

/* Pages that the core reported as lost, since a test set it to 0. */
static unsigned long fake_lost;

static void fake_lose(u64 cookie, unsigned long npages, unsigned int shift)
{
	fake_lost += npages;
}

static const struct iommu_tce_backing fake_backing = {
	.hold = fake_hold,
	.translate = fake_translate,
	.drop = fake_drop,
	.lose = fake_lose,
	.alike = MM_IOMMU_COOKIE_ID | MM_IOMMU_COOKIE_WRITE,
};

static const struct iommu_tce_backing fake_regions = {
	.hold = fake_hold,
	.translate = fake_translate,
	.count = fake_count,
	.drop = fake_drop,
	.lose = fake_lose,
	.alike = MM_IOMMU_COOKIE_ID,
};

/* ---- helpers of the tests ---------------------------------------------- */

static int fake_map(struct fake *f, unsigned long i, unsigned long ua,
		    unsigned long npages)
{
	return iommu_tce_map(&f->t.tbl, f->t.tbl.it_offset + i, ua, npages,
			     true, NULL);
}

static int fake_unmap(struct fake *f, unsigned long i, unsigned long npages)
{
	return iommu_tce_unmap(&f->t.tbl, f->t.tbl.it_offset + i, npages);
}

/* However a test ends, nothing is left mapped or held. */
static void fake_finish(void *data)
{
	struct fake *f = data;
	struct kunit *test = f->t.test;
	unsigned int i;

	tce_fake_log_reset(&f->t);
	f->translating = NULL;
	f->t.killing = NULL;
	KUNIT_EXPECT_EQ(test, fake_unmap(f, 0, f->t.tbl.it_size), 0);
	for (i = 0; i < f->nr_mems; i++) {
		KUNIT_EXPECT_EQ(test, f->mems[i].refs, 0);
		KUNIT_EXPECT_EQ(test, f->mems[i].reach, 0);
	}
	/* not a real mm */
	if (f->t.tbl.it_view->mm == fake_mm(f))
		f->t.tbl.it_view->mm = NULL;
	tce_fake_end(&f->t);
	kvfree(f->stale);
	kvfree(f->now);
}

/* A table of @size entries, of which only as many exist as a test can use. */
static struct fake *fake_create(struct kunit *test, unsigned long size,
				unsigned long offset, unsigned int shift)
{
	struct fake *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	raw_spin_lock_init(&f->lock);
	KUNIT_ASSERT_EQ(test, 0,
			tce_fake_init(&f->t, test, size, offset, shift));
	f->stale = kvcalloc(f->t.nr_entries, sizeof(*f->stale), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f->stale);
	f->now = kvcalloc(f->t.nr_entries, sizeof(*f->now), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f->now);

	f->t.ops.prepare = fake_prepare;
	f->t.ops.set_tces = fake_set;
	f->t.ops.clear_tces = fake_clear;
	f->t.ops.tce_kill = fake_kill;
	KUNIT_ASSERT_EQ(test, iommu_tce_view_create(&f->t.tbl), 0);
	f->t.tbl.it_view->backing = &fake_backing;
	f->t.tbl.it_view->mm = fake_mm(f);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, fake_finish, f));
	return f;
}

static struct fake *fake_simple(struct kunit *test)
{
	return fake_create(test, 10 * BLOCK, 0, PAGE_SHIFT);
}

static void fake_use_regions(struct fake *f)
{
	f->regions = true;
	f->t.tbl.it_view->backing = &fake_regions;
}

/* A platform that supports the fast path cannot refuse. */
static bool fake_realmode(const struct iommu_table *tbl)
{
	return true;
}

static unsigned long fake_bytes(struct fake *f, unsigned long npages)
{
	return npages << f->t.tbl.it_page_shift;
}

/* More memory at an address; memory that was there before becomes an orphan. */
static struct fake_mem *fake_mem_at(struct kunit *test, struct fake *f,
				    unsigned long ua, unsigned long npages)
{
	struct fake_mem *mem = &f->mems[f->nr_mems], *old;

	KUNIT_ASSERT_LT(test, f->nr_mems, FAKE_MEMS);
	for (old = f->mems; old < mem; old++)
		if (mem_has(old, ua))
			old->orphan = true;
	f->nr_mems++;
	mem->f = f;
	mem->ua = ua;
	mem->npages = npages;
	mem->hpa = BIT(44) + f->nr_mems * BIT(36);
	mem->id = f->nr_mems;
	return mem;
}

/* Memory with no other memory adjacent to it. */
static struct fake_mem *fake_mem(struct kunit *test, struct fake *f,
				 unsigned long npages)
{
	return fake_mem_at(test, f, KUNIT_UA + f->nr_mems * BIT(35), npages);
}

/* Copies the whole view to f->now; a look-up per entry would take too long. */
static void fake_look(struct kunit *test, struct fake *f)
{
	struct tce_view_block *blk = NULL;
	unsigned long i;

	KUNIT_ASSERT_EQ(test, f->t.tbl.it_size, f->t.nr_entries);
	for (i = 0; i < f->t.nr_entries; i++) {
		if (!(i % BLOCK))
			blk = tce_view_find(f->t.tbl.it_view, i / BLOCK);
		f->now[i] = blk ? blk->entry[i % BLOCK] : 0;
	}
}

/* The TCE that an entry of the view requires; counts its reference. */
static u64 fake_wanted(struct fake *f, u64 view, long *refs)
{
	struct fake_mem *mem;

	if (!view)
		return 0;
	mem = fake_find(f, view);
	if (!mem)
		return 0;
	refs[mem - f->mems]++;
	return mem_hpa(mem, mem_ua(mem, view)) | TCE_PCI_READ |
	       (view & MM_IOMMU_COOKIE_WRITE ? TCE_PCI_WRITE : 0);
}

/* The entries of a home have one reference of their block. */
static void subtract_homes(struct fake *f, long *refs)
{
	struct iommu_tce_view *view = f->t.tbl.it_view;
	struct tce_view_block *blk;
	unsigned long b;

	for (b = 0; b < view->blocks; b++) {
		blk = tce_view_find(view, b);
		if (blk && blk->home)
			refs[fake_find(f, blk->home) - f->mems] -=
				blk->homes - 1;
	}
}

/* TCEs, view and references match, and no stale TCE is left in the cache. */
static void fake_check(struct kunit *test, struct fake *f)
{
	unsigned long i, mapped = 0;
	long refs[FAKE_MEMS] = { };
	u64 wanted;

	KUNIT_ASSERT_STREQ(test, f->t.wrong ? : "", "");
	fake_look(test, f);
	for (i = 0; i < f->t.nr_entries; i++) {
		mapped += !!f->now[i];
		wanted = fake_wanted(f, f->now[i], refs);
		if (tce_fake_tce(&f->t, i) != wanted)
			KUNIT_ASSERT_EQ(test, tce_fake_tce(&f->t, i), wanted);
	}
	KUNIT_ASSERT_EQ(test, iommu_tce_view_mapped(&f->t.tbl), mapped);
	for (i = 0; i < f->nr_mems; i++)
		KUNIT_ASSERT_EQ(test, f->mems[i].reach, refs[i]);
	tce_fake_check_blocks(&f->t);
	subtract_homes(f, refs);
	for (i = 0; i < f->nr_mems; i++)
		KUNIT_ASSERT_EQ(test, f->mems[i].refs, refs[i]);
}

/* @npages pages are mapped; with regions, they may share one reference. */
static void expect_refs(struct kunit *test, const struct fake_mem *mem,
			long npages)
{
	if (mem->f->regions)
		KUNIT_EXPECT_EQ(test, !!mem->refs, !!npages);
	else
		KUNIT_EXPECT_EQ(test, mem->refs, npages);
}

static u64 *fake_save(struct kunit *test, struct fake *f)
{
	u64 *saved;

	saved = kunit_kmalloc_array(test, f->t.nr_entries, sizeof(*saved),
				    GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, saved);
	fake_look(test, f);
	memcpy(saved, f->now, f->t.nr_entries * sizeof(*saved));
	return saved;
}

static void expect_unchanged(struct kunit *test, struct fake *f,
			     const u64 *saved)
{
	fake_check(test, f);
	KUNIT_ASSERT_EQ(test, 0, memcmp(f->now, saved,
					f->t.nr_entries * sizeof(*saved)));
}

static void expect_log(struct kunit *test, struct fake *f, const char *log)
{
	KUNIT_EXPECT_STREQ(test, f->t.log, log);
	tce_fake_log_reset(&f->t);
}

/* Expands the log: "H", 5 times "S" and "K" is "H5SK". */
static void expect_calls(struct kunit *test, struct fake *f, const char *fmt,
			 ...)
{
	char log[sizeof(f->t.log)], *to = log;
	va_list args;
	int n;

	va_start(args, fmt);
	for (; *fmt; fmt++) {
		n = 1;
		if (*fmt == '*') {
			n = va_arg(args, int);
			fmt++;
		}
		while (n-- > 0 && to < log + sizeof(log) - 1)
			*to++ = *fmt;
	}
	va_end(args);
	*to = 0;
	expect_log(test, f, log);
}

/* The entries from @i on map memory from @ua on. */
static void expect_mapped(struct kunit *test, struct fake *f, unsigned long i,
			  struct fake_mem *mem, unsigned long ua,
			  unsigned long npages, bool write)
{
	unsigned long n;

	for (n = 0; n < npages; n++, ua += fake_bytes(f, 1)) {
		KUNIT_ASSERT_EQ(test, tce_fake_tce(&f->t, i + n),
				mem_hpa(mem, ua) | TCE_PCI_READ |
				(write ? TCE_PCI_WRITE : 0));
		KUNIT_ASSERT_EQ(test, tce_fake_view(&f->t, i + n),
				mem_cookie(mem, ua, write));
	}
}

/* ---- mapping and unmapping --------------------------------------------- */

static const struct tce_range {
	const char *name;
	unsigned long size;
	unsigned long offset;
	unsigned int shift;
	unsigned long first;
	unsigned long npages;
	bool regions;
} ranges[] = {
	{ "one page", 10 * BLOCK, 0, 16, 7, 1 },
	{ "the first page", 10 * BLOCK, 0, 16, 0, 1 },
	{ "the last page", 10 * BLOCK, 0, 16, 10 * BLOCK - 1, 1 },
	{ "two pages", 10 * BLOCK, 0, 16, 7, 2 },
	{ "two pages in two blocks", 10 * BLOCK, 0, 16, BLOCK - 1, 2 },
	{ "eight pages", 10 * BLOCK, 0, 16, BLOCK - 3, 8 },
	{ "nine pages", 10 * BLOCK, 0, 16, BLOCK - 3, 9 },
	{ "a block", 10 * BLOCK, 0, 16, BLOCK, BLOCK },
	{ "a block, but in two", 10 * BLOCK, 0, 16, BLOCK / 2, BLOCK },
	{ "a block and a page", 10 * BLOCK, 0, 16, BLOCK, BLOCK + 1 },
	{ "parts of six blocks", 10 * BLOCK, 0, 16, 300, 5 * BLOCK + 100 },
	{ "all of a table", 10 * BLOCK, 0, 16, 0, 10 * BLOCK },
	{ "a table smaller than a block", 100, 0, 16, 0, 100 },
	{ "one of two entries", 2, 0, 16, 1, 1 },
	{ "a table that ends in a block", 1000, 0, 16, 3, 997 },
	{ "a window at 2^59", 10 * BLOCK, BIT(43), 16, 300, 1000 },
	{ "a window at an odd place", 10 * BLOCK, 12345, 16, 300, 1000 },
	{ "one page of it", 10 * BLOCK, 12345, 16, 300, 1 },
	{ "pages of 4K", 10 * BLOCK, BIT(47), 12, 300, 1000 },
	{ "pages of 2M", 10 * BLOCK, 0, 21, 300, 1000 },
	{ "a window up to 2^64", 10 * BLOCK, BIT(48) - 10 * BLOCK, 16, 0,
	  10 * BLOCK },
	{ "the last pages of it", 10 * BLOCK, BIT(48) - 10 * BLOCK, 16,
	  10 * BLOCK - 9, 9 },
	{ "the last page of it", 10 * BLOCK, BIT(48) - 10 * BLOCK, 16,
	  10 * BLOCK - 1, 1 },
	{ "the last page of one of 4K pages", 100, BIT(52) - 100, 12, 99, 1 },
	{ "all of it", 100, BIT(52) - 100, 12, 0, 100 },
	{ "one page of a region", 10 * BLOCK, 0, 16, 7, 1, true },
	{ "two in two blocks", 10 * BLOCK, 0, 16, BLOCK - 1, 2, true },
	{ "nine", 10 * BLOCK, 0, 16, BLOCK - 3, 9, true },
	{ "a block of them", 10 * BLOCK, 0, 16, BLOCK, BLOCK, true },
	{ "a block, in two", 10 * BLOCK, 0, 16, BLOCK / 2, BLOCK, true },
	{ "six blocks", 10 * BLOCK, 12345, 16, 300, 5 * BLOCK + 100, true },
	{ "all of a table of them", 10 * BLOCK, 0, 16, 0, 10 * BLOCK, true },
};

KUNIT_ARRAY_PARAM_DESC(range, ranges, name);

static struct fake *fake_for(struct kunit *test, const struct tce_range *r)
{
	struct fake *f = fake_create(test, r->size, r->offset, r->shift);

	if (r->regions)
		fake_use_regions(f);
	return f;
}

static int range_blocks(const struct tce_range *r)
{
	return (r->first + r->npages - 1) / BLOCK - r->first / BLOCK + 1;
}

static void expect_last(struct kunit *test, struct fake *f, enum tce_fake_op op,
			unsigned long i, unsigned long npages)
{
	KUNIT_EXPECT_EQ(test, f->t.calls[op].entry, f->t.tbl.it_offset + i);
	KUNIT_EXPECT_EQ(test, f->t.calls[op].npages, npages);
}

/*
 * The last byte of the memory is at 2^64 - 1: sums of addresses must not
 * overflow.
 */
static void memory_ends_where_addresses_end(struct kunit *test)
{
	const struct tce_range *r = test->param_value;
	struct fake *f = fake_for(test, r);
	unsigned long ua = -fake_bytes(f, r->npages), half = r->npages / 2;
	struct fake_mem *mem = fake_mem_at(test, f, ua, r->npages);

	KUNIT_ASSERT_EQ(test, fake_map(f, r->first, ua, r->npages), 0);
	expect_mapped(test, f, r->first, mem, ua, r->npages, true);
	fake_check(test, f);
	/* in place of itself; nothing beyond the end can be mapped */
	KUNIT_ASSERT_EQ(test, fake_map(f, r->first, ua, r->npages), 0);
	fake_check(test, f);
	if (r->first + r->npages < r->size)
		KUNIT_EXPECT_EQ(test, -EINVAL,
				fake_map(f, r->first, ua, r->npages + 1));
	fake_check(test, f);
	KUNIT_ASSERT_EQ(test, fake_unmap(f, r->first, half), 0);
	fake_check(test, f);
	KUNIT_ASSERT_EQ(test, fake_unmap(f, r->first, r->npages), 0);
	KUNIT_EXPECT_EQ(test, mem->refs, 0);
	fake_check(test, f);
}

static void map_and_unmap_change_the_range(struct kunit *test)
{
	const struct tce_range *r = test->param_value;
	struct fake *f = fake_for(test, r);
	struct fake_mem *mem = fake_mem(test, f, r->npages + 10);
	unsigned long ua = mem->ua + fake_bytes(f, 10);

	KUNIT_ASSERT_EQ(test, fake_map(f, r->first, ua, r->npages), 0);
	expect_last(test, f, FAKE_PREPARE, r->first, r->npages);
	expect_last(test, f, FAKE_KILL, r->first, r->npages);
	expect_calls(test, f, "HP*SK", range_blocks(r));
	expect_refs(test, mem, r->npages);
	fake_check(test, f);
	expect_mapped(test, f, r->first, mem, ua, r->npages, true);

	KUNIT_ASSERT_EQ(test, fake_unmap(f, r->first, r->npages), 0);
	expect_last(test, f, FAKE_KILL, r->first, r->npages);
	expect_calls(test, f, "*CKD", range_blocks(r));
	KUNIT_EXPECT_EQ(test, mem->refs, 0);
	if (!r->regions)
		KUNIT_EXPECT_EQ(test, mem->dirty, r->npages);
	fake_check(test, f);
}

static void map_over_drops_the_old_after_the_kill(struct kunit *test)
{
	const struct tce_range *r = test->param_value;
	struct fake *f = fake_for(test, r);
	struct fake_mem *old = fake_mem(test, f, r->npages);
	struct fake_mem *new = fake_mem(test, f, r->npages);

	KUNIT_ASSERT_EQ(test, fake_map(f, r->first, old->ua, r->npages), 0);
	tce_fake_log_reset(&f->t);
	KUNIT_ASSERT_EQ(test, fake_map(f, r->first, new->ua, r->npages), 0);
	expect_calls(test, f, "HP*SKD", range_blocks(r));
	KUNIT_EXPECT_EQ(test, old->refs, 0);
	expect_refs(test, new, r->npages);
	fake_check(test, f);
	expect_mapped(test, f, r->first, new, new->ua, r->npages, true);

	/* replaced by itself */
	KUNIT_ASSERT_EQ(test, fake_map(f, r->first, new->ua, r->npages), 0);
	expect_calls(test, f, "HP*SKD", range_blocks(r));
	expect_refs(test, new, r->npages);
	fake_check(test, f);
}

/*
 * Maps alternating pieces of two kinds of memory, with empty entries between
 * some of them.
 */
static void map_patches(struct kunit *test, struct fake *f,
			unsigned long first, unsigned long npages)
{
	struct fake_mem *mem[2];
	unsigned long i, n, k = 0;

	mem[0] = fake_mem(test, f, npages);
	mem[1] = fake_mem(test, f, npages);
	for (i = 0; i < npages; i += n + k % 5, k++) {
		n = min(npages - i, 1 + k % 17);
		KUNIT_ASSERT_EQ(test, 0,
				iommu_tce_map(&f->t.tbl,
					      f->t.tbl.it_offset + first + i,
					      mem[k % 2]->ua + fake_bytes(f, i),
					      n, k % 3 == 0, NULL));
	}
	fake_check(test, f);
	tce_fake_log_reset(&f->t);
}

static void map_over_patches_counts_each(struct kunit *test)
{
	const struct tce_range *r = test->param_value;
	struct fake *f = fake_for(test, r);
	struct fake_mem *new = fake_mem(test, f, r->npages);

	map_patches(test, f, r->first, r->npages);
	KUNIT_ASSERT_EQ(test, fake_map(f, r->first, new->ua, r->npages), 0);
	KUNIT_EXPECT_EQ(test, f->t.calls[FAKE_KILL].nr, 1);
	fake_check(test, f);
	expect_mapped(test, f, r->first, new, new->ua, r->npages, true);
	KUNIT_EXPECT_EQ(test, f->mems[1].refs, 0);
	KUNIT_EXPECT_EQ(test, f->mems[2].refs, 0);
}

static void unmap_of_patches_counts_each(struct kunit *test)
{
	const struct tce_range *r = test->param_value;
	struct fake *f = fake_for(test, r);

	map_patches(test, f, r->first, r->npages);
	KUNIT_ASSERT_EQ(test, fake_unmap(f, r->first, r->npages), 0);
	fake_check(test, f);
	KUNIT_EXPECT_EQ(test, f->mems[0].refs, 0);
	KUNIT_EXPECT_EQ(test, f->mems[1].refs, 0);
}

static void permissions_are_in_the_tce(struct kunit *test)
{
	struct fake *f = fake_simple(test);
	struct fake_mem *mem = fake_mem(test, f, 5);
	unsigned int write, n;

	for (n = 1; n <= 5; n += 4) {
		for (write = 0; write < 2; write++) {
			mem->dirty = 0;
			KUNIT_ASSERT_EQ(test, 0,
					iommu_tce_map(&f->t.tbl, 100, mem->ua,
						      n, write, NULL));
			expect_mapped(test, f, 100, mem, mem->ua, n, write);
			KUNIT_ASSERT_EQ(test, fake_unmap(f, 100, n), 0);
			KUNIT_EXPECT_EQ(test, mem->dirty, write ? n : 0);
		}
	}
}

static void map_of_many_pieces_of_memory(struct kunit *test)
{
	struct fake *f = fake_simple(test);
	unsigned long ua = KUNIT_UA, n = 41, i;

	/* adjacent pieces, none of which ends at the end of a block */
	for (i = 0; i < 60; i++)
		fake_mem_at(test, f, ua + fake_bytes(f, i * n), n);
	f->at_most = 30;
	KUNIT_ASSERT_EQ(test, fake_map(f, 77, ua, 60 * n), 0);
	expect_calls(test, f, "*HP*SK", 120, 5);
	fake_check(test, f);
	for (i = 0; i < 60; i++)
		expect_mapped(test, f, 77 + i * n, &f->mems[i], f->mems[i].ua,
			      n, true);

	/* each of the old pieces is dropped as a whole */
	KUNIT_ASSERT_EQ(test, fake_map(f, 77, ua, 60 * n), 0);
	expect_calls(test, f, "*HP*SK*D", 120, 5, 60);
	fake_check(test, f);
}

static void nothing_to_map_or_unmap(struct kunit *test)
{
	struct fake *f = fake_simple(test);

	KUNIT_EXPECT_EQ(test, fake_map(f, 5, KUNIT_UA, 0), 0);
	KUNIT_EXPECT_EQ(test, fake_unmap(f, 5, 0), 0);
	expect_log(test, f, "");
}

static void a_platform_without_prepare_or_kill(struct kunit *test)
{
	struct fake *f = fake_simple(test);
	struct fake_mem *mem = fake_mem(test, f, 1000);

	f->t.ops.prepare = NULL;
	f->t.ops.tce_kill = NULL;
	KUNIT_EXPECT_EQ(test, fake_map(f, 0, mem->ua, 1000), 0);
	KUNIT_EXPECT_EQ(test, fake_map(f, 1000, mem->ua, 1), 0);
	expect_log(test, f, "HSSHS");
	KUNIT_EXPECT_EQ(test, mem->refs, 1001);
	/* restored, or the fake counts cleared TCEs as reachable */
	f->t.ops.tce_kill = fake_kill;
}

/* ---- empty entries are not touched ------------------------------------- */

static void unmap_of_nothing_touches_nothing(struct kunit *test)
{
	const struct tce_range *r = test->param_value;
	struct fake *f = fake_for(test, r);
	struct fake_mem *mem = fake_mem(test, f, r->npages);

	KUNIT_EXPECT_EQ(test, fake_unmap(f, r->first, r->npages), 0);
	expect_log(test, f, "");

	/* blocks exist now, but they are empty */
	KUNIT_ASSERT_EQ(test, fake_map(f, r->first, mem->ua, r->npages), 0);
	KUNIT_ASSERT_EQ(test, fake_unmap(f, r->first, r->npages), 0);
	tce_fake_log_reset(&f->t);
	KUNIT_EXPECT_EQ(test, fake_unmap(f, r->first, r->npages), 0);
	expect_log(test, f, "");
	fake_check(test, f);
}

static void unmap_leaves_what_is_beside(struct kunit *test)
{
	const struct tce_range *r = test->param_value;
	struct fake *f = fake_for(test, r);
	struct fake_mem *mem = fake_mem(test, f, r->size);
	unsigned long i, end = r->first + r->npages;

	KUNIT_ASSERT_EQ(test, fake_map(f, 0, mem->ua, r->size), 0);
	KUNIT_ASSERT_EQ(test, fake_unmap(f, r->first, r->npages), 0);
	fake_check(test, f);
	for (i = 0; i < r->size; i++)
		KUNIT_ASSERT_EQ(test, !tce_fake_tce(&f->t, i),
				i >= r->first && i < end);
}

static void unmap_of_a_sparse_window(struct kunit *test)
{
	static const unsigned long at[] = { 3, 5, 100, 5 * BLOCK + 7 };
	struct fake *f = fake_simple(test);
	struct fake_mem *mem = fake_mem(test, f, 10);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(at); i++)
		KUNIT_ASSERT_EQ(test, fake_map(f, at[i], mem->ua, 1), 0);
	tce_fake_log_reset(&f->t);
	KUNIT_EXPECT_EQ(test, fake_unmap(f, 0, 10 * BLOCK), 0);

	/* from the first mapped entry to the last, block by block */
	expect_last(test, f, FAKE_CLEAR, 5 * BLOCK + 7, 1);
	expect_last(test, f, FAKE_KILL, 3, 5 * BLOCK + 7 - 3 + 1);
	KUNIT_EXPECT_EQ(test, f->t.calls[FAKE_CLEAR].nr, 2);
	KUNIT_EXPECT_EQ(test, f->t.calls[FAKE_KILL].nr, 1);
	KUNIT_EXPECT_EQ(test, mem->refs, 0);
	fake_check(test, f);
}

/* ---- a single kill ----------------------------------------------------- */

static void map_mems(struct kunit *test, struct fake *f, unsigned int nr,
		     unsigned long npages)
{
	struct fake_mem *mem;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		mem = fake_mem(test, f, npages);
		KUNIT_ASSERT_EQ(test, 0,
				fake_map(f, i * npages, mem->ua, npages));
	}
	fake_check(test, f);
	tce_fake_log_reset(&f->t);
}

static void unmap_of_64_regions_kills_once(struct kunit *test)
{
	struct fake *f = fake_simple(test);

	map_mems(test, f, 64, 70);
	KUNIT_EXPECT_EQ(test, fake_unmap(f, 0, 10 * BLOCK), 0);
	expect_calls(test, f, "*CK*D", DIV_ROUND_UP(64 * 70, BLOCK), 64);
	fake_check(test, f);
}

static void unmap_of_more_regions_kills_first(struct kunit *test)
{
	struct fake *f = fake_simple(test);

	map_mems(test, f, 65, 70);
	KUNIT_EXPECT_EQ(test, fake_unmap(f, 0, 10 * BLOCK), 0);
	/*
	 * the last block has the entries that do not fit, and was killed with
	 * them
	 */
	expect_calls(test, f, "*CK*DD", DIV_ROUND_UP(65 * 70, BLOCK), 64);
	fake_check(test, f);
}

/* A short unmap has a smaller array on the stack. */
static void short_unmap_of_many_regions(struct kunit *test)
{
	struct fake *f = fake_simple(test);

	map_mems(test, f, 8, 1);
	KUNIT_EXPECT_EQ(test, fake_unmap(f, 0, 8), 0);
	expect_calls(test, f, "CK*D", 8);
	fake_check(test, f);

	f->nr_mems = 0;
	map_mems(test, f, 65, 1);
	KUNIT_EXPECT_EQ(test, fake_unmap(f, 0, 65), 0);
	expect_calls(test, f, "CK*D", 65);
	fake_check(test, f);
}

/* ---- all or nothing ---------------------------------------------------- */

static void map_more_than_there_is(struct kunit *test)
{
	struct fake *f = fake_simple(test);
	struct fake_mem *mem = fake_mem(test, f, 1000);
	u64 *saved = fake_save(test, f);

	KUNIT_EXPECT_EQ(test, fake_map(f, 0, mem->ua, 1001), -EINVAL);
	expect_log(test, f, "HHD");
	KUNIT_EXPECT_EQ(test, -EINVAL,
			fake_map(f, 0, mem->ua + fake_bytes(f, 1000), 1));
	expect_log(test, f, "H");
	expect_unchanged(test, f, saved);
}

static void every_hold_fails_in_turn(struct kunit *test)
{
	const struct tce_range *r = test->param_value;
	struct fake *f = fake_for(test, r);
	struct fake_mem *new = fake_mem(test, f, r->npages);
	unsigned int n;
	u64 *saved;

	map_patches(test, f, r->first, r->npages);
	saved = fake_save(test, f);
	f->at_most = 1 + r->npages / 20;
	for (n = 1; ; n++) {
		tce_fake_refuse(&f->t, FAKE_HOLD, n, 1, 0);
		if (!fake_map(f, r->first, new->ua, r->npages))
			break;
		expect_calls(test, f, "*Hh*D", n - 1, n - 1);
		expect_unchanged(test, f, saved);
		KUNIT_ASSERT_LE(test, n, 20);
	}
	KUNIT_EXPECT_EQ(test, n, DIV_ROUND_UP(r->npages, f->at_most) + 1);
	fake_check(test, f);
}

static void prepare_fails(struct kunit *test)
{
	const struct tce_range *r = test->param_value;
	struct fake *f = fake_for(test, r);
	struct fake_mem *new = fake_mem(test, f, r->npages);
	u64 *saved;

	/* the whole range is prepared, even if pages are mapped in it */
	if (r->npages > 1)
		map_patches(test, f, r->first, r->npages);
	saved = fake_save(test, f);
	tce_fake_refuse(&f->t, FAKE_PREPARE, 1, 1, 0);
	KUNIT_EXPECT_EQ(test, -ENOMEM,
			fake_map(f, r->first, new->ua, r->npages));
	expect_log(test, f, "HpD");
	expect_unchanged(test, f, saved);
}

/*
 * Each set_tces() fails in turn, after it has written a part of its list or
 * none.
 */
static void fail_each_set(struct kunit *test, struct fake *f,
			  const struct tce_range *r, struct fake_mem *new,
			  unsigned long part)
{
	u64 *saved = fake_save(test, f);
	unsigned int n;

	for (n = 1; n <= range_blocks(r); n++) {
		tce_fake_refuse(&f->t, FAKE_SET, n, 1, part);
		KUNIT_ASSERT_EQ(test, -EIO,
				fake_map(f, r->first, new->ua, r->npages));
		/* fake_drop() detects an early drop */
		KUNIT_EXPECT_EQ(test, f->t.calls[FAKE_KILL].nr, 1);
		KUNIT_EXPECT_EQ(test, new->refs, 0);
		expect_unchanged(test, f, saved);
	}
	tce_fake_log_reset(&f->t);
	KUNIT_ASSERT_EQ(test, fake_map(f, r->first, new->ua, r->npages), 0);
	KUNIT_ASSERT_EQ(test, fake_unmap(f, r->first, r->npages), 0);
	fake_check(test, f);
}

static void every_set_fails_in_turn(struct kunit *test)
{
	const struct tce_range *r = test->param_value;
	struct fake *f = fake_for(test, r);
	struct fake_mem *new = fake_mem(test, f, r->npages), *old;
	unsigned long parts[] = { 0, 1, 13, BLOCK };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		/* over empty entries */
		fail_each_set(test, f, r, new, parts[i]);

		/* over other memory */
		old = fake_mem(test, f, r->npages);
		KUNIT_ASSERT_EQ(test, 0,
				fake_map(f, r->first, old->ua, r->npages));
		fail_each_set(test, f, r, new, parts[i]);

		/* over a partly mapped range */
		map_patches(test, f, r->first, r->npages);
		fail_each_set(test, f, r, new, parts[i]);
	}
}

/* An entry that cannot be restored has no TCE, but its reference is counted. */
static void unrestorable_entries_are_cleared(struct kunit *test)
{
	const struct tce_range *r = test->param_value;
	struct fake *f = fake_for(test, r);
	struct fake_mem *old = fake_mem(test, f, r->npages);
	struct fake_mem *new = fake_mem(test, f, r->npages);

	KUNIT_ASSERT_EQ(test, fake_map(f, r->first, old->ua, r->npages), 0);
	tce_fake_refuse(&f->t, FAKE_SET, 1, 1000, BLOCK);
	KUNIT_EXPECT_EQ(test, fake_map(f, r->first, new->ua, r->npages), -EIO);
	KUNIT_EXPECT_STREQ(test, f->t.wrong ? : "", "");
	expect_refs(test, old, r->npages);
	KUNIT_EXPECT_EQ(test, new->refs, 0);
	KUNIT_EXPECT_EQ(test, tce_fake_view(&f->t, r->first),
			mem_cookie(old, old->ua, true));

	/* the range was empty before, so it must be empty afterwards */
	tce_fake_log_reset(&f->t);
	KUNIT_ASSERT_EQ(test, fake_unmap(f, r->first, r->npages), 0);
	tce_fake_refuse(&f->t, FAKE_SET, 1, 1000, BLOCK);
	KUNIT_EXPECT_EQ(test, fake_map(f, r->first, new->ua, r->npages), -EIO);
	fake_check(test, f);
}

/*
 * The contents of the table are unknown, so a device may reach either memory.
 */
static void unclearable_memory_is_never_released(struct kunit *test)
{
	const struct tce_range *r = test->param_value;
	struct fake *f = fake_for(test, r);
	struct fake_mem *old = fake_mem(test, f, r->npages);
	struct fake_mem *new = fake_mem(test, f, r->npages);

	KUNIT_ASSERT_EQ(test, fake_map(f, r->first, old->ua, r->npages), 0);
	tce_fake_refuse(&f->t, FAKE_SET, 1, 1000, BLOCK);
	f->t.calls[FAKE_CLEAR].refuse_at = 1;
	f->t.calls[FAKE_CLEAR].refuse_nr = 1000;
	fake_lost = 0;
	KUNIT_EXPECT_EQ(test, fake_map(f, r->first, new->ua, r->npages), -EIO);
	KUNIT_EXPECT_STREQ(test, f->t.wrong ? : "", "");
	KUNIT_EXPECT_EQ(test, fake_lost, r->npages);
	expect_refs(test, old, r->npages);
	expect_refs(test, new, r->npages);

	tce_fake_log_reset(&f->t);
	KUNIT_ASSERT_EQ(test, fake_unmap(f, r->first, r->npages), 0);
	KUNIT_EXPECT_EQ(test, old->refs, 0);
	/* leaked on purpose; do not let fake_finish() complain */
	new->refs = 0;
}

static void every_clear_fails_in_turn(struct kunit *test)
{
	const struct tce_range *r = test->param_value;
	struct fake *f = fake_for(test, r);
	struct fake_mem *mem = fake_mem(test, f, r->npages);
	unsigned long i, block, first = r->first / BLOCK;
	unsigned int n, blocks = range_blocks(r);

	for (n = 1; n <= blocks; n++) {
		KUNIT_ASSERT_EQ(test, 0,
				fake_map(f, r->first, mem->ua, r->npages));
		tce_fake_refuse(&f->t, FAKE_CLEAR, n, 1, 0);
		KUNIT_EXPECT_EQ(test, fake_unmap(f, r->first, r->npages),
				-EBUSY);
		KUNIT_EXPECT_EQ(test, f->t.calls[FAKE_CLEAR].nr, blocks);
		KUNIT_EXPECT_EQ(test, f->t.calls[FAKE_KILL].nr, blocks > 1);
		fake_check(test, f);
		for (i = 0; i < r->npages; i++) {
			block = (r->first + i) / BLOCK - first + 1;
			KUNIT_ASSERT_EQ(test, block == n,
					!!tce_fake_tce(&f->t, r->first + i));
		}
		tce_fake_log_reset(&f->t);
		KUNIT_EXPECT_EQ(test, fake_unmap(f, r->first, r->npages), 0);
		fake_check(test, f);
	}
}

/* Refused three times, and nothing was dropped. */
static void unmap_goes_on_after_an_error(struct kunit *test)
{
	struct fake *f = fake_simple(test);
	struct fake_mem *mem = fake_mem(test, f, 3 * BLOCK);

	KUNIT_ASSERT_EQ(test, fake_map(f, 0, mem->ua, 3 * BLOCK), 0);
	tce_fake_refuse(&f->t, FAKE_CLEAR, 1, 3, 7);
	KUNIT_EXPECT_EQ(test, fake_unmap(f, 0, 3 * BLOCK), -EBUSY);
	expect_log(test, f, "ccc");
	KUNIT_EXPECT_EQ(test, mem->refs, 3 * BLOCK);
}

static void a_failed_map_of_many_blocks(struct kunit *test)
{
	struct fake *f = fake_create(test, 40 * BLOCK, 0, PAGE_SHIFT);
	struct fake_mem *mem = fake_mem(test, f, 40 * BLOCK);
	u64 *saved = fake_save(test, f);

	/* all blocks exist when the first call is refused */
	tce_fake_refuse(&f->t, FAKE_SET, 1, 1, 0);
	KUNIT_EXPECT_EQ(test, fake_map(f, 0, mem->ua, 40 * BLOCK), -EIO);
	expect_unchanged(test, f, saved);
	tce_fake_refuse(&f->t, FAKE_SET, 30, 1, 0);
	KUNIT_EXPECT_EQ(test, fake_map(f, 0, mem->ua, 40 * BLOCK), -EIO);
	expect_unchanged(test, f, saved);
}

/* ---- failing allocations ----------------------------------------------- */

/* Maps while each allocation fails in turn; in the last round none does. */
static unsigned int map_fail_each(struct kunit *test, struct fake *f,
				  unsigned long first, unsigned long ua,
				  unsigned long npages)
{
	u64 *saved = fake_save(test, f);
	unsigned int nth;
	int ret;

	tce_fake_log_reset(&f->t);
	for (nth = 1; nth < 1000; nth++) {
		mm_iommu_kunit_fail_alloc(nth);
		ret = fake_map(f, first, ua, npages);
		if (!mm_iommu_kunit_alloc_failed())
			break;
		/*
		 * vmalloc() may have succeeded in place of the failed kmalloc()
		 */
		if (!ret) {
			KUNIT_ASSERT_EQ(test, fake_unmap(f, first, npages), 0);
		} else {
			KUNIT_ASSERT_EQ(test, ret, -ENOMEM);
			KUNIT_EXPECT_EQ(test, f->t.calls[FAKE_SET].nr, 0);
		}
		expect_unchanged(test, f, saved);
		tce_fake_log_reset(&f->t);
	}
	KUNIT_ASSERT_EQ(test, ret, 0);
	fake_check(test, f);
	return nth - 1;
}

/* With 4K pages more than 8K do not come from a slab, and never fail here. */
static bool range_from_slab(void)
{
	return PAGE_SIZE > SZ_4K;
}

static void every_allocation_fails_in_turn(struct kunit *test)
{
	struct fake *f = fake_create(test, 16 * BLOCK, 77, PAGE_SHIFT);
	struct fake_mem *mem = fake_mem(test, f, 16 * BLOCK);
	unsigned int n;

	mm_iommu_kunit_failslab(test);
	/* the node and the block */
	n = map_fail_each(test, f, 15 * BLOCK, mem->ua, 1);
	KUNIT_EXPECT_GE(test, n, 2);
	KUNIT_ASSERT_EQ(test, fake_unmap(f, 15 * BLOCK, 1), 0);
	/* the range, the old entries, and blocks, of which some are kept */
	n = map_fail_each(test, f, 100, mem->ua, 12 * BLOCK);
	KUNIT_EXPECT_GE(test, n, 1 + range_from_slab() + 4);

	/* held in more pieces than there was room for */
	f->at_most = 10;
	n = map_fail_each(test, f, 100, mem->ua, 700);
	KUNIT_EXPECT_GE(test, n, 1 + range_from_slab() + 3);
	f->at_most = 0;

	/* no block is allocated, it exists */
	n = map_fail_each(test, f, 100, mem->ua, 1);
	KUNIT_EXPECT_EQ(test, n, 1 + range_from_slab());
	/* and no old entries are kept if the platform cannot refuse */
	f->t.ops.realmode = fake_realmode;
	KUNIT_EXPECT_EQ(test, n - 1, map_fail_each(test, f, 100, mem->ua, 1));
	KUNIT_EXPECT_EQ(test, n - 1,
			map_fail_each(test, f, 100, mem->ua, 12 * BLOCK));
}

static void unmap_needs_no_memory(struct kunit *test)
{
	struct fake *f = fake_simple(test);

	mm_iommu_kunit_failslab(test);
	map_mems(test, f, 64, 70);
	mm_iommu_kunit_fail_alloc(1);
	KUNIT_EXPECT_EQ(test, fake_unmap(f, 0, 10 * BLOCK), 0);
	KUNIT_EXPECT_EQ(test, mm_iommu_kunit_alloc_failed(), range_from_slab());
	fake_check(test, f);
	KUNIT_EXPECT_EQ(test, iommu_tce_view_mapped(&f->t.tbl), 0);
}

/* ---- concurrency ------------------------------------------------------- */

/*
 * A concurrent caller maps the first block while the second is being written.
 */
static void map_first_block(struct fake *f)
{
	struct fake_mem *mem = &f->mems[2];

	tce_fake_wrong(&f->t, fake_map(f, 0, mem->ua, 10), "a map that failed");
	tce_fake_wrong(&f->t, fake_unmap(f, 20, 10), "an unmap that failed");
}

static void map_first_block_later(struct fake *f)
{
	/* called for the second translation, that of the second block */
	f->translating = map_first_block;
}

static void undo_leaves_concurrent_changes(struct kunit *test)
{
	struct fake *f = fake_simple(test);
	struct fake_mem *old = fake_mem(test, f, 2 * BLOCK);
	struct fake_mem *new = fake_mem(test, f, 2 * BLOCK);
	struct fake_mem *other = fake_mem(test, f, 10);

	KUNIT_ASSERT_EQ(test, fake_map(f, 0, old->ua, 2 * BLOCK), 0);
	/*
	 * the third set is that of the second block: the concurrent map has one
	 * too
	 */
	tce_fake_refuse(&f->t, FAKE_SET, 3, 1, 0);
	f->translating = map_first_block_later;
	KUNIT_EXPECT_EQ(test, fake_map(f, 0, new->ua, 2 * BLOCK), -EIO);
	fake_check(test, f);
	KUNIT_EXPECT_EQ(test, new->refs, 0);
	expect_mapped(test, f, 0, other, other->ua, 10, true);
	expect_mapped(test, f, 10, old, old->ua + fake_bytes(f, 10), 10, true);
	KUNIT_EXPECT_EQ(test, tce_fake_tce(&f->t, 20), 0);
	KUNIT_EXPECT_EQ(test, tce_fake_tce(&f->t, 29), 0);
	expect_mapped(test, f, 30, old, old->ua + fake_bytes(f, 30),
		      2 * BLOCK - 30, true);
}

static void close_and_clear(struct fake *f)
{
	f->translating = NULL;
	iommu_tce_close(&f->t.tbl, true);
	KUNIT_EXPECT_EQ(f->t.test, fake_unmap(f, 0, f->t.tbl.it_size), 0);
	tce_fake_log_reset(&f->t);
}

static void close_later(struct fake *f)
{
	/* called for the second translation, that of the second block */
	f->translating = close_and_clear;
}

/*
 * A window is removed while KVM maps in it: the platform may not know it any
 * more.
 */
static void undo_leaves_a_closed_table(struct kunit *test)
{
	struct fake *f = fake_simple(test);
	struct fake_mem *old = fake_mem(test, f, 2 * BLOCK);
	struct fake_mem *new = fake_mem(test, f, 2 * BLOCK);

	KUNIT_ASSERT_EQ(test, fake_map(f, 0, old->ua, 2 * BLOCK), 0);
	f->translating = close_later;
	KUNIT_EXPECT_EQ(test, fake_map(f, 0, new->ua, 2 * BLOCK), -ENXIO);
	KUNIT_EXPECT_EQ(test, f->t.calls[FAKE_SET].nr, 0);
	KUNIT_EXPECT_EQ(test, f->t.calls[FAKE_CLEAR].nr, 0);
	KUNIT_EXPECT_EQ(test, new->refs, 0);
	KUNIT_EXPECT_EQ(test, old->refs, 0);
	KUNIT_EXPECT_EQ(test, iommu_tce_view_mapped(&f->t.tbl), 0);
	iommu_tce_close(&f->t.tbl, false);
}

/*
 * The old mapping is still in the table, and must be held until the table is
 * cleared.
 */
static void a_refusal_in_a_closing_table_is_undone(struct kunit *test)
{
	struct fake *f = fake_simple(test);
	struct fake_mem *old = fake_mem(test, f, 10);
	struct fake_mem *new = fake_mem(test, f, 10);

	KUNIT_ASSERT_EQ(test, fake_map(f, 0, old->ua, 10), 0);
	f->closing = true;
	tce_fake_refuse(&f->t, FAKE_SET, 1, 1, 0);
	KUNIT_EXPECT_EQ(test, fake_map(f, 0, new->ua, 10), -EIO);
	f->closing = false;
	fake_check(test, f);
	KUNIT_EXPECT_EQ(test, new->refs, 0);
	expect_mapped(test, f, 0, old, old->ua, 10, true);
	iommu_tce_close(&f->t.tbl, false);
}

#define THREADS		2
#define THREAD_ROUNDS	400

struct tce_thread {
	struct fake *f;
	struct fake_mem *mem;
	struct task_struct *task;
	unsigned int seed;
	bool may_fail;
	struct completion done;
};

static int thread_run(void *data)
{
	struct tce_thread *t = data;
	unsigned long first, npages;
	struct rnd_state rnd;
	unsigned int i;
	int ret;

	prandom_seed_state(&rnd, t->seed);
	for (i = 0; i < THREAD_ROUNDS; i++) {
		first = prandom_u32_state(&rnd) % (2 * BLOCK);
		npages = prandom_u32_state(&rnd) % 3 ?
			 1 + prandom_u32_state(&rnd) % (2 * BLOCK) : 1;
		ret = prandom_u32_state(&rnd) % 3 ?
		      fake_map(t->f, first, t->mem->ua, npages) :
		      fake_unmap(t->f, first, npages);
		tce_fake_wrong(&t->f->t, ret && !t->may_fail,
			       "a call of a thread that failed");
		cond_resched();
	}
	complete(&t->done);
	while (!kthread_should_stop())
		msleep(20);
	return 0;
}

static void threads_run(struct kunit *test, struct fake *f, bool may_fail)
{
	struct tce_thread *t;
	unsigned int i;

	t = kunit_kcalloc(test, THREADS, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	for (i = 0; i < THREADS; i++) {
		t[i].f = f;
		t[i].mem = fake_mem(test, f, 4 * BLOCK);
		t[i].seed = i + 1;
		t[i].may_fail = may_fail;
		init_completion(&t[i].done);
	}
	for (i = 0; i < THREADS; i++)
		t[i].task = kthread_run(thread_run, &t[i], "iommu_tce_kunit");
	for (i = 0; i < THREADS; i++) {
		if (IS_ERR(t[i].task))
			continue;
		wait_for_completion(&t[i].done);
		kthread_stop(t[i].task);
	}
	for (i = 0; i < THREADS; i++)
		KUNIT_EXPECT_FALSE(test, IS_ERR(t[i].task));
}

static void threads_on_one_range(struct kunit *test)
{
	struct fake *f = fake_simple(test);

	threads_run(test, f, false);
	fake_check(test, f);
	/* once more in blocks that count */
	KUNIT_ASSERT_EQ(test, fake_unmap(f, 0, 10 * BLOCK), 0);
	fake_use_regions(f);
	threads_run(test, f, false);
	fake_check(test, f);
	f->t.ops.realmode = fake_realmode;
	threads_run(test, f, false);
	fake_check(test, f);
}

/* The platform refuses in the middle of concurrent maps. */
static void threads_that_are_refused(struct kunit *test)
{
	struct fake *f = fake_simple(test);

	tce_fake_refuse(&f->t, FAKE_SET, 100, 300, 50);
	threads_run(test, f, true);
	KUNIT_EXPECT_GT(test, f->t.calls[FAKE_SET].nr, 400);
	KUNIT_EXPECT_STREQ(test, f->t.wrong ? : "", "");
	KUNIT_ASSERT_EQ(test, fake_unmap(f, 0, 10 * BLOCK), 0);
	fake_use_regions(f);
	tce_fake_refuse(&f->t, FAKE_SET, 100, 300, 50);
	threads_run(test, f, true);
	KUNIT_EXPECT_STREQ(test, f->t.wrong ? : "", "");
}

/* ---- counts of a block ------------------------------------------------- */

/*
 * Stands for another CPU that clears the rest of the first block on the fast
 * path. Called in the kill of the range path, so it must not sleep.
 */
static void clear_the_rest(struct tce_fake *t)
{
	struct iommu_tce_view *view = t->tbl.it_view;
	struct fake *f = fake_of(&t->tbl);
	static u64 dropped[BLOCK];
	struct tce_view_block *blk;
	unsigned long i, n = 0;
	u64 cookie;

	blk = tce_view_lock(view, 0);
	for (i = 0; i < BLOCK; i++) {
		cookie = blk->entry[i];
		if (!cookie)
			continue;
		blk->entry[i] = 0;
		if (tce_view_leave(blk, cookie, 1))
			dropped[n++] = cookie;
	}
	tce_fake_wrong(&f->t, tce_view_used(blk), "a block that is not empty");
	tce_fake_wrong(&f->t, fake_clear(&f->t.tbl, f->t.tbl.it_offset, BLOCK),
		       "a clear that failed");
	tce_view_unlock(view, 0);
	fake_kill(&f->t.tbl, f->t.tbl.it_offset, BLOCK);
	while (n--)
		tce_fake_wrong(&f->t, fake_drop_now(f, dropped[n], 1),
			       "a drop of what is not held");
}

/*
 * Entries that were removed from a block are in the cache until the kill, which
 * runs without the lock. The block may have dropped its reference by then;
 * fake_drop() detects that.
 */
static void a_block_is_emptied_before_the_kill(struct kunit *test)
{
	struct fake *f = fake_simple(test);
	struct fake_mem *old, *new;
	unsigned int i;

	fake_use_regions(f);
	old = fake_mem(test, f, BLOCK);
	new = fake_mem(test, f, BLOCK);
	for (i = 0; i < 4; i++) {
		/* a platform that may refuse, and one that cannot */
		f->t.ops.realmode = i & 1 ? fake_realmode : NULL;
		KUNIT_ASSERT_EQ(test, fake_map(f, 0, old->ua, 40), 0);
		KUNIT_EXPECT_EQ(test, old->refs, 1);
		f->t.killing = clear_the_rest;
		if (i & 2)
			KUNIT_EXPECT_EQ(test, fake_map(f, 10, new->ua, 10), 0);
		else
			KUNIT_EXPECT_EQ(test, fake_unmap(f, 10, 10), 0);
		KUNIT_EXPECT_NULL(test, f->t.killing);
		KUNIT_EXPECT_EQ(test, old->refs, 0);
		KUNIT_EXPECT_EQ(test, new->refs, 0);
		fake_check(test, f);
	}
}

/* A block of two regions, each replaced by the other, on the range path. */
static void blocks_of_two_regions(struct kunit *test)
{
	struct fake *f = fake_simple(test);
	struct fake_mem *a, *b;
	unsigned int i, n;

	fake_use_regions(f);
	a = fake_mem(test, f, 3 * BLOCK);
	b = fake_mem(test, f, 3 * BLOCK);
	for (i = 0; i < 2; i++) {
		f->t.ops.realmode = i ? fake_realmode : NULL;
		for (n = 2; n < 2 * BLOCK; n += 97) {
			KUNIT_ASSERT_EQ(test, fake_map(f, n, a->ua, n), 0);
			KUNIT_ASSERT_EQ(test, fake_map(f, n / 2, b->ua, n), 0);
			fake_check(test, f);
			KUNIT_ASSERT_EQ(test, fake_map(f, n, a->ua, n / 2), 0);
			fake_check(test, f);
			KUNIT_ASSERT_EQ(test, fake_unmap(f, n / 3, n), 0);
			fake_check(test, f);
		}
		KUNIT_ASSERT_EQ(test, fake_unmap(f, 0, 10 * BLOCK), 0);
		KUNIT_EXPECT_EQ(test, a->refs, 0);
		KUNIT_ASSERT_EQ(test, fake_map(f, 0, a->ua, 3 * BLOCK), 0);
		KUNIT_EXPECT_EQ(test, a->refs, 3);
		KUNIT_ASSERT_EQ(test, fake_map(f, 0, b->ua, 3 * BLOCK), 0);
		KUNIT_EXPECT_EQ(test, b->refs, 3);
		KUNIT_ASSERT_EQ(test, fake_unmap(f, 0, 3 * BLOCK), 0);
		fake_check(test, f);
	}
}

/* ---- a platform that cannot refuse ------------------------------------- */

/* One kill for new and replaced entries. */
static void nothing_is_kept_to_be_undone(struct kunit *test)
{
	struct fake *f = fake_create(test, 40 * BLOCK, 0, PAGE_SHIFT);
	struct fake_mem *old = fake_mem(test, f, 40 * BLOCK);
	struct fake_mem *new = fake_mem(test, f, 40 * BLOCK);

	f->t.ops.realmode = fake_realmode;
	KUNIT_ASSERT_EQ(test, fake_map(f, 0, old->ua, 40 * BLOCK), 0);
	expect_calls(test, f, "HP*SK", 40);
	KUNIT_ASSERT_EQ(test, fake_map(f, 0, new->ua, 40 * BLOCK), 0);
	expect_calls(test, f, "HP*SKD", 40);
	KUNIT_EXPECT_EQ(test, old->refs, 0);
	KUNIT_EXPECT_EQ(test, f->t.tbl.it_size, 40 * BLOCK);
	fake_check(test, f);
}

/*
 * If more regions are replaced than fit, they are killed and dropped on the
 * way.
 */
static void replaced_memory_is_released_on_the_way(struct kunit *test)
{
	struct fake *f = fake_simple(test);
	struct fake_mem *new;

	f->t.ops.realmode = fake_realmode;
	map_mems(test, f, 65, 70);
	new = fake_mem(test, f, 10 * BLOCK);
	KUNIT_ASSERT_EQ(test, fake_map(f, 0, new->ua, 10 * BLOCK), 0);
	/* the last block that has any of them is killed before the next */
	expect_calls(test, f, "HP*SK*D*SK", DIV_ROUND_UP(65 * 70, BLOCK), 65,
		     10 - DIV_ROUND_UP(65 * 70, BLOCK));
	fake_check(test, f);
}

/*
 * Although the platform has promised not to refuse; nothing of the range is
 * mapped then.
 */
static void a_platform_that_refuses_all_the_same(struct kunit *test)
{
	struct fake *f = fake_simple(test);
	struct fake_mem *old = fake_mem(test, f, 3 * BLOCK);
	struct fake_mem *new = fake_mem(test, f, 3 * BLOCK);

	f->t.ops.realmode = fake_realmode;
	KUNIT_ASSERT_EQ(test, fake_map(f, 0, old->ua, 3 * BLOCK), 0);
	tce_fake_refuse(&f->t, FAKE_SET, 2, 1, 7);
	KUNIT_EXPECT_EQ(test, fake_map(f, 0, new->ua, 3 * BLOCK), -EIO);
	fake_check(test, f);
	KUNIT_EXPECT_EQ(test, new->refs, 0);
	KUNIT_EXPECT_EQ(test, old->refs, 2 * BLOCK);
	expect_mapped(test, f, BLOCK, old, old->ua + fake_bytes(f, BLOCK),
		      2 * BLOCK, true);
}

/* On failure the caller learns which page was refused. */
static void the_page_that_is_bad_is_named(struct kunit *test)
{
	struct fake *f = fake_simple(test);
	struct fake_mem *mem = fake_mem(test, f, 10);
	unsigned long bad = 1, end = mem->ua + fake_bytes(f, 10);

	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_tce_map(&f->t.tbl, 0, mem->ua, 11,
						     true, &bad));
	KUNIT_EXPECT_EQ(test, bad, end);
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_tce_map(&f->t.tbl, 0, end + 5, 1,
						     true, &bad));
	KUNIT_EXPECT_EQ(test, bad, end + 5);
	/* an error that is not caused by a page names none */
	bad = 1;
	tce_fake_refuse(&f->t, FAKE_SET, 1, 1, 0);
	KUNIT_EXPECT_EQ(test, -EIO, iommu_tce_map(&f->t.tbl, 0, mem->ua, 10,
						  true, &bad));
	KUNIT_EXPECT_EQ(test, bad, 1);
}

/* ---- orphans ----------------------------------------------------------- */

static void orphans_are_distinct_from_new_memory(struct kunit *test)
{
	struct fake *f = fake_simple(test);
	struct fake_mem *old = fake_mem(test, f, 1000), *new;

	KUNIT_ASSERT_EQ(test, fake_map(f, 0, old->ua, 1000), 0);
	new = fake_mem_at(test, f, old->ua, 1000);

	/* one, some, and across the edge of the mapped range */
	KUNIT_ASSERT_EQ(test, fake_map(f, 5, new->ua, 1), 0);
	KUNIT_ASSERT_EQ(test, fake_map(f, 500, new->ua, 100), 0);
	KUNIT_ASSERT_EQ(test, fake_map(f, 990, new->ua, 20), 0);
	KUNIT_EXPECT_EQ(test, old->refs, 1000 - 1 - 100 - 10);
	KUNIT_EXPECT_EQ(test, new->refs, 1 + 100 + 20);
	fake_check(test, f);

	/* a refused set restores the old memory */
	tce_fake_refuse(&f->t, FAKE_SET, 2, 1, 0);
	KUNIT_EXPECT_EQ(test, fake_map(f, 0, new->ua, 1000), -EIO);
	fake_check(test, f);
	expect_mapped(test, f, 0, old, old->ua, 5, true);

	tce_fake_log_reset(&f->t);
	KUNIT_ASSERT_EQ(test, fake_map(f, 0, new->ua, 1000), 0);
	KUNIT_EXPECT_EQ(test, old->refs, 0);
	KUNIT_EXPECT_EQ(test, new->refs, 1010);
	fake_check(test, f);
}

/* Consecutive pages of two adjacent pieces of memory. */
static void neighbours_differ_by_their_id(struct kunit *test)
{
	struct fake *f = fake_simple(test);
	struct fake_mem *mem[2];
	unsigned long n = 20;

	mem[0] = fake_mem_at(test, f, KUNIT_UA, n);
	mem[1] = fake_mem_at(test, f, KUNIT_UA + fake_bytes(f, n), n);
	mem[1]->first = fake_bytes(f, n);
	KUNIT_ASSERT_EQ(test, fake_map(f, 0, KUNIT_UA, 2 * n), 0);
	KUNIT_ASSERT_EQ(test, cookie_bytes(tce_fake_view(&f->t, n)),
			cookie_bytes(tce_fake_view(&f->t, n - 1)) +
			fake_bytes(f, 1));
	fake_check(test, f);
	KUNIT_ASSERT_EQ(test, fake_unmap(f, 0, 2 * n), 0);
	KUNIT_EXPECT_EQ(test, mem[0]->refs, 0);
	KUNIT_EXPECT_EQ(test, mem[1]->refs, 0);
}

/* ---- large tables ------------------------------------------------------ */

static void a_table_of_2_to_the_43_entries(struct kunit *test)
{
	struct fake *f = fake_create(test, BIT(43), BIT(43), 16);
	struct fake_mem *mem = fake_mem(test, f, 2000);
	unsigned long at[] = { 5, BIT(20) + 1000, BIT(42) - 700,
			       BIT(43) - 1000 };
	unsigned int i;

	KUNIT_EXPECT_EQ(test, f->t.tbl.it_view->levels, 4);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		KUNIT_ASSERT_EQ(test, fake_map(f, at[i], mem->ua, 1000), 0);
	KUNIT_EXPECT_EQ(test, mem->refs, 4000);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		KUNIT_EXPECT_EQ(test, tce_fake_view(&f->t, at[i] + 999),
				mem_cookie(mem, mem->ua + fake_bytes(f, 999),
					   true));
	tce_fake_log_reset(&f->t);

	/* 2^34 blocks are not visited one by one */
	KUNIT_EXPECT_EQ(test, fake_unmap(f, 0, BIT(43)), 0);
	expect_last(test, f, FAKE_KILL, 5, BIT(43) - 5);
	KUNIT_EXPECT_EQ(test, f->t.calls[FAKE_CLEAR].nr, 2 + 3 + 3 + 2);
	KUNIT_EXPECT_EQ(test, mem->refs, 0);
	/* and empty ranges are not cleared */
	KUNIT_EXPECT_EQ(test, fake_unmap(f, 0, BIT(43)), 0);
	KUNIT_EXPECT_EQ(test, f->t.calls[FAKE_CLEAR].nr, 2 + 3 + 3 + 2);
}

/* ---- registered memory ------------------------------------------------- */

static struct fake *real_create(struct kunit *test, unsigned long offset,
				unsigned int shift)
{
	struct fake *f = fake_create(test, 10 * BLOCK, offset, shift);
	struct mm_iommu_kunit *t = test->priv;

	iommu_tce_bind(&f->t.tbl, &iommu_tce_registered, t->mm, 0);
	return f;
}

static int real_map(struct fake *f, unsigned long i, unsigned long ua,
		    unsigned long npages, bool write)
{
	return iommu_tce_map(&f->t.tbl, f->t.tbl.it_offset + i, ua, npages,
			     write, NULL);
}

static int real_unmap(struct fake *f, unsigned long i, unsigned long npages)
{
	return iommu_tce_unmap(&f->t.tbl, f->t.tbl.it_offset + i, npages);
}

static struct mm_iommu_region *real_register(struct kunit *test,
					     unsigned long ua,
					     unsigned long npages)
{
	struct mm_iommu_region *region;

	KUNIT_ASSERT_EQ(test, 0,
			mm_iommu_kunit_register(test, ua, npages << PAGE_SHIFT,
						&region));
	return region;
}

static long real_mapped(struct fake *f, struct mm_iommu_region *region)
{
	return iommu_tce_kunit_mapped(&f->t.tbl, region);
}

/* The host address of a page, determined without mapping it. */
static u64 real_hpa(struct kunit *test, unsigned long ua, unsigned int shift)
{
	struct mm_iommu_kunit *t = test->priv;
	struct mm_iommu_held held;

	KUNIT_ASSERT_EQ(test, 1,
			mm_iommu_hold(t->mm, ua, 1, shift, false, &held));
	mm_iommu_drop(t->mm, held.cookie, 1);
	return held.hpa;
}

static void registered_memory_is_mapped(struct kunit *test)
{
	struct fake *f = real_create(test, 777, PAGE_SHIFT);
	unsigned long ua = mm_iommu_kunit_map(test, 600), i;
	struct mm_iommu_region *region = real_register(test, ua, 600);

	KUNIT_ASSERT_EQ(test, 0,
			real_map(f, 100, ua, 600, true));
	KUNIT_EXPECT_EQ(test, real_mapped(f, region), 600);
	for (i = 0; i < 600; i++) {
		KUNIT_ASSERT_EQ(test, tce_fake_tce(&f->t, 100 + i),
				real_hpa(test, ua + (i << PAGE_SHIFT),
					 PAGE_SHIFT) |
				TCE_PCI_READ | TCE_PCI_WRITE);
	}
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), -EBUSY);

	/* in reverse order: single pages first, then the rest */
	KUNIT_EXPECT_EQ(test, real_unmap(f, 100, 1), 0);
	KUNIT_EXPECT_EQ(test, real_unmap(f, 300, 200), 0);
	KUNIT_EXPECT_EQ(test, real_mapped(f, region), 600 - 201);
	KUNIT_EXPECT_EQ(test, real_unmap(f, 0, 10 * BLOCK), 0);
	KUNIT_EXPECT_EQ(test, real_mapped(f, region), 0);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
}

static void pages_of_the_iommu_are_smaller(struct kunit *test)
{
	struct fake *f = real_create(test, 0, 12);
	unsigned long ua = mm_iommu_kunit_map(test, 40);
	struct mm_iommu_region *region = real_register(test, ua, 40);
	unsigned long n = 40 << (PAGE_SHIFT - 12);

	KUNIT_ASSERT_EQ(test, 0,
			real_map(f, 3, ua, n, false));
	KUNIT_EXPECT_EQ(test, real_mapped(f, region), n);
	KUNIT_EXPECT_EQ(test, tce_fake_tce(&f->t, 3 + n - 1),
			real_hpa(test, ua + (n - 1) * SZ_4K, 12) |
			TCE_PCI_READ);
	KUNIT_EXPECT_EQ(test, real_unmap(f, 3, n), 0);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(region), 0);
}

static void memory_that_is_not_registered(struct kunit *test)
{
	struct fake *f = real_create(test, 0, PAGE_SHIFT);
	unsigned long ua = mm_iommu_kunit_map(test, 40), i;
	struct mm_iommu_region *first = real_register(test, ua, 10), *second;

	second = real_register(test, ua + 10 * PAGE_SIZE, 20);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			real_map(f, 0, ua, 31, true));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			real_map(f, 0, ua + 30 * PAGE_SIZE, 1,
				 true));
	expect_log(test, f, "");
	KUNIT_EXPECT_EQ(test, real_mapped(f, first), 0);
	KUNIT_EXPECT_EQ(test, real_mapped(f, second), 0);

	/*
	 * adjacent regions are mapped by one call, and each counts its own
	 * pages
	 */
	KUNIT_EXPECT_EQ(test, 0,
			real_map(f, 0, ua, 30, true));
	KUNIT_EXPECT_EQ(test, real_mapped(f, first), 10);
	KUNIT_EXPECT_EQ(test, real_mapped(f, second), 20);
	for (i = 0; i < 30; i++)
		KUNIT_EXPECT_NE(test, tce_fake_tce(&f->t, i), 0);
	KUNIT_EXPECT_EQ(test, real_unmap(f, 0, 30), 0);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(first), 0);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(second), 0);
}

/* Maps other memory at the same address. */
static void real_map_again(struct kunit *test, unsigned long ua,
			   unsigned long npages)
{
	KUNIT_ASSERT_EQ(test, ua,
			vm_mmap(NULL, ua, npages << PAGE_SHIFT,
				PROT_READ | PROT_WRITE,
				MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED, 0));
}

static void a_refused_region_ends_with_its_last_tce(struct kunit *test)
{
	struct fake *f = real_create(test, 0, PAGE_SHIFT);
	struct mm_iommu_kunit *t = test->priv;
	unsigned long ua = mm_iommu_kunit_map(test, 40);
	struct mm_iommu_region *old = real_register(test, ua, 40), *new;

	KUNIT_ASSERT_EQ(test, 0,
			real_map(f, 0, ua, 40, true));
	KUNIT_ASSERT_EQ(test, mm_iommu_unregister(old), -EBUSY);
	real_map_again(test, ua, 40);
	new = real_register(test, ua, 40);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(old), -ENOENT);
	KUNIT_EXPECT_EQ(test, t->mm->locked_vm, 80);

	KUNIT_ASSERT_EQ(test, 0,
			real_map(f, 0, ua, 1, true));
	KUNIT_ASSERT_EQ(test, 0, real_map(f, 1, ua + PAGE_SIZE, 20,
					  true));
	KUNIT_EXPECT_EQ(test, real_mapped(f, new), 21);
	KUNIT_EXPECT_EQ(test, t->mm->locked_vm, 80);
	/* unmap the rest of the old memory, and some of the new */
	KUNIT_EXPECT_EQ(test, real_unmap(f, 11, 29), 0);
	KUNIT_EXPECT_EQ(test, real_mapped(f, new), 11);
	KUNIT_EXPECT_EQ(test, t->mm->locked_vm, 40);

	KUNIT_EXPECT_EQ(test, real_unmap(f, 0, 40), 0);
	KUNIT_EXPECT_EQ(test, mm_iommu_unregister(new), 0);
}

static struct kunit_case iommu_tce_cases[] = {
	KUNIT_CASE_PARAM(memory_ends_where_addresses_end, range_gen_params),
	KUNIT_CASE_PARAM(map_and_unmap_change_the_range, range_gen_params),
	KUNIT_CASE_PARAM(map_over_drops_the_old_after_the_kill,
			 range_gen_params),
	KUNIT_CASE_PARAM(map_over_patches_counts_each, range_gen_params),
	KUNIT_CASE_PARAM(unmap_of_patches_counts_each, range_gen_params),
	KUNIT_CASE(permissions_are_in_the_tce),
	KUNIT_CASE(map_of_many_pieces_of_memory),
	KUNIT_CASE(nothing_to_map_or_unmap),
	KUNIT_CASE(a_platform_without_prepare_or_kill),
	KUNIT_CASE_PARAM(unmap_of_nothing_touches_nothing, range_gen_params),
	KUNIT_CASE_PARAM(unmap_leaves_what_is_beside, range_gen_params),
	KUNIT_CASE(unmap_of_a_sparse_window),
	KUNIT_CASE(unmap_of_64_regions_kills_once),
	KUNIT_CASE(unmap_of_more_regions_kills_first),
	KUNIT_CASE(short_unmap_of_many_regions),
	KUNIT_CASE(map_more_than_there_is),
	KUNIT_CASE_PARAM(every_hold_fails_in_turn, range_gen_params),
	KUNIT_CASE_PARAM(prepare_fails, range_gen_params),
	KUNIT_CASE_PARAM(every_set_fails_in_turn, range_gen_params),
	KUNIT_CASE_PARAM(unrestorable_entries_are_cleared, range_gen_params),
	KUNIT_CASE_PARAM(unclearable_memory_is_never_released,
			 range_gen_params),
	KUNIT_CASE_PARAM(every_clear_fails_in_turn, range_gen_params),
	KUNIT_CASE(unmap_goes_on_after_an_error),
	KUNIT_CASE(a_failed_map_of_many_blocks),
	KUNIT_CASE(every_allocation_fails_in_turn),
	KUNIT_CASE(unmap_needs_no_memory),
	KUNIT_CASE(undo_leaves_concurrent_changes),
	KUNIT_CASE(undo_leaves_a_closed_table),
	KUNIT_CASE(a_refusal_in_a_closing_table_is_undone),
	KUNIT_CASE(threads_on_one_range),
	KUNIT_CASE(threads_that_are_refused),
	KUNIT_CASE(a_block_is_emptied_before_the_kill),
	KUNIT_CASE(blocks_of_two_regions),
	KUNIT_CASE(nothing_is_kept_to_be_undone),
	KUNIT_CASE(replaced_memory_is_released_on_the_way),
	KUNIT_CASE(a_platform_that_refuses_all_the_same),
	KUNIT_CASE(the_page_that_is_bad_is_named),
	KUNIT_CASE(orphans_are_distinct_from_new_memory),
	KUNIT_CASE(neighbours_differ_by_their_id),
	KUNIT_CASE(a_table_of_2_to_the_43_entries),
	KUNIT_CASE(registered_memory_is_mapped),
	KUNIT_CASE(pages_of_the_iommu_are_smaller),
	KUNIT_CASE(memory_that_is_not_registered),
	KUNIT_CASE(a_refused_region_ends_with_its_last_tce),
	{ }
};

static struct kunit_suite iommu_tce_suite = {
	.name = "iommu_tce",
	.init = mm_iommu_kunit_init,
	.exit = mm_iommu_kunit_exit,
	.test_cases = iommu_tce_cases,
};

/* ---- the view ---------------------------------------------------------- */

static void view_destroy(void *tbl)
{
	iommu_tce_view_destroy(tbl);
}

static struct iommu_tce_view *view_create(struct kunit *test,
					  unsigned long size)
{
	static struct iommu_table_ops ops;
	struct iommu_table *tbl = kunit_kzalloc(test, sizeof(*tbl), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, tbl);
	tbl->it_size = size;
	tbl->it_ops = &ops;
	KUNIT_ASSERT_EQ(test, iommu_tce_view_create(tbl), 0);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, view_destroy, tbl));
	test->priv = tbl;
	return tbl->it_view;
}

/* Adds @more to the used entries of a block. */
static void view_use(struct kunit *test, struct iommu_tce_view *view,
		     unsigned long block, long more)
{
	struct tce_view_block *blk;

	KUNIT_ASSERT_EQ(test, tce_view_prepare(view, block), 0);
	blk = tce_view_lock(view, block);
	if (blk)
		blk->others += more;
	tce_view_unlock(view, block);
	KUNIT_ASSERT_NOT_NULL(test, blk);
}

static const struct view_size {
	const char *name;
	unsigned long size;
	unsigned long blocks;
	unsigned int levels;
} view_sizes[] = {
	{ "one entry", 1, 1, 0 },
	{ "less than a block", 100, 1, 0 },
	{ "a block", 512, 1, 0 },
	{ "a block and an entry", 513, 2, 1 },
	{ "a node", BIT(18), 512, 1 },
	{ "a node and an entry", BIT(18) + 1, 513, 2 },
	{ "2^27 entries", BIT(27), BIT(18), 2 },
	{ "and one more", BIT(27) + 1, BIT(18) + 1, 3 },
	{ "2^36 entries", BIT(36), BIT(27), 3 },
	{ "2^43 entries", BIT(43), BIT(34), 4 },
};

KUNIT_ARRAY_PARAM_DESC(view_size, view_sizes, name);

static void view_is_as_high_as_it_must(struct kunit *test)
{
	const struct view_size *s = test->param_value;
	struct iommu_tce_view *view = view_create(test, s->size);
	unsigned long last = s->blocks - 1;

	KUNIT_EXPECT_EQ(test, view->blocks, s->blocks);
	KUNIT_EXPECT_EQ(test, view->levels, s->levels);

	/* the view is empty at first */
	KUNIT_EXPECT_NULL(test, view->root);
	KUNIT_EXPECT_NULL(test, tce_view_find(view, 0));
	KUNIT_EXPECT_NULL(test, tce_view_find(view, last));
	KUNIT_EXPECT_GE(test, tce_view_next(view, 0), s->blocks);

	view_use(test, view, last, 5);
	KUNIT_EXPECT_NOT_NULL(test, tce_view_find(view, last));
	KUNIT_EXPECT_EQ(test, tce_view_next(view, 0), last);
	KUNIT_EXPECT_EQ(test, tce_view_next(view, last), last);
	KUNIT_EXPECT_GE(test, tce_view_next(view, last + 1), s->blocks);
	if (last)
		KUNIT_EXPECT_NULL(test, tce_view_find(view, last - 1));
	view_use(test, view, last, -5);
}

static void a_second_view_is_not_made(struct kunit *test)
{
	struct iommu_tce_view *view = view_create(test, 1000);
	struct iommu_table *tbl = test->priv;

	KUNIT_EXPECT_EQ(test, iommu_tce_view_create(tbl), 0);
	KUNIT_EXPECT_PTR_EQ(test, tbl->it_view, view);
	iommu_tce_view_destroy(tbl);
	KUNIT_EXPECT_NULL(test, tbl->it_view);
	/* destroying it again is allowed */
	iommu_tce_view_destroy(tbl);
	KUNIT_EXPECT_EQ(test, iommu_tce_view_mapped(tbl), 0);
}

static unsigned long view_count(struct iommu_tce_view *view)
{
	unsigned long b, n = 0;

	for (b = 0; b < view->blocks; b++)
		n += !!tce_view_find(view, b);
	return n;
}

static unsigned long view_mapped(struct iommu_tce_view *view)
{
	struct iommu_table tbl = { .it_view = view };

	return iommu_tce_view_mapped(&tbl);
}

/* Drivers map and unmap a page for each I/O, and walk through their window. */
static void blocks_stay_as_long_as_the_view(struct kunit *test)
{
	struct iommu_tce_view *view = view_create(test, 100 * BLOCK);
	struct tce_view_block *blk[100];
	unsigned long b, round;

	for (b = 0; b < 100; b++) {
		view_use(test, view, b, 1);
		blk[b] = tce_view_find(view, b);
	}
	KUNIT_EXPECT_EQ(test, view_mapped(view), 100);
	for (b = 0; b < 100; b++)
		view_use(test, view, b, -1);
	KUNIT_EXPECT_EQ(test, view_mapped(view), 0);

	for (round = 0; round < 3; round++)
		for (b = 0; b < 100; b++) {
			view_use(test, view, b, 1);
			KUNIT_EXPECT_PTR_EQ(test, tce_view_find(view, b),
					    blk[b]);
			view_use(test, view, b, -1);
		}
	KUNIT_EXPECT_EQ(test, view_count(view), 100);
}

static void next_skips_what_is_not_there(struct kunit *test)
{
	struct iommu_tce_view *view = view_create(test, BIT(36));
	static const unsigned long at[] = {
		0, 1, 511, 512, 513, 2 * 512 + 7, 512 * 512, 512 * 512 + 1,
		512 * 512 * 511, BIT(27) - 1,
	};
	unsigned long b = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(at); i++)
		view_use(test, view, at[i], 1);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		b = tce_view_next(view, b);
		KUNIT_EXPECT_EQ(test, b, at[i]);
		b++;
	}
	KUNIT_EXPECT_GE(test, tce_view_next(view, b), view->blocks);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		view_use(test, view, at[i], -1);
}

static void view_allocations_fail_in_turn(struct kunit *test)
{
	struct iommu_tce_view *view = view_create(test, BIT(43));
	struct iommu_table tbl = { .it_size = 1000 };
	unsigned int nth, failed = 0, made = 0;
	unsigned long block;
	int ret;

	mm_iommu_kunit_failslab(test);
	/* four nodes, of which those already created stay, and a block */
	for (nth = 1; nth <= 12; nth++) {
		block = nth * BIT(27);
		mm_iommu_kunit_fail_alloc(nth);
		ret = tce_view_prepare(view, block);
		if (mm_iommu_kunit_alloc_failed() && ret) {
			KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
			KUNIT_EXPECT_NULL(test, tce_view_find(view, block));
			failed++;
		} else {
			KUNIT_EXPECT_EQ(test, ret, 0);
			KUNIT_EXPECT_NOT_NULL(test, tce_view_find(view, block));
			made++;
		}
	}
	KUNIT_EXPECT_EQ(test, made, 12 - 4);
	KUNIT_EXPECT_EQ(test, failed, 4);

	mm_iommu_kunit_fail_alloc(1);
	ret = iommu_tce_view_create(&tbl);
	KUNIT_EXPECT_TRUE(test, mm_iommu_kunit_alloc_failed());
	KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
	KUNIT_EXPECT_NULL(test, tbl.it_view);
}

static struct kunit_case iommu_tce_view_cases[] = {
	KUNIT_CASE_PARAM(view_is_as_high_as_it_must, view_size_gen_params),
	KUNIT_CASE(a_second_view_is_not_made),
	KUNIT_CASE(blocks_stay_as_long_as_the_view),
	KUNIT_CASE(next_skips_what_is_not_there),
	KUNIT_CASE(view_allocations_fail_in_turn),
	{ }
};

static struct kunit_suite iommu_tce_view_suite = {
	.name = "iommu_tce_view",
	.test_cases = iommu_tce_view_cases,
};

kunit_test_suites(&iommu_tce_suite, &iommu_tce_view_suite);
