// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of paging domains: which windows a group has after each step, and
 * what is left if the platform fails. Included by iommu_domain.c.
 *
 * The platform is a fake. Its groups have a device each, and an IOMMU group, as
 * real ones do. Each group refuses a window on request, and each table refuses
 * to be cleared.
 */
#include <kunit/device.h>
#include <kunit/test-bug.h>
#include <linux/gfp.h>

#include "iommu_tce_kunit.h"

#define KUNIT_GROUPS	2
#define KUNIT_ENTRIES	64UL
#define KUNIT_START32	0x10000000ULL
#define KUNIT_START64	BIT_ULL(59)
#define KUNIT_RW	(IOMMU_READ | IOMMU_WRITE)

/**
 * struct fake_group - a group of the fake platform
 * @table_group: platform side of the group
 * @dev: its device
 * @group: its IOMMU group
 * @refuse_set: bit mask of windows that cannot be set
 * @refuse_unset: bit mask of windows that cannot be unset
 */
struct fake_group {
	struct iommu_table_group table_group;
	struct device *dev;
	struct iommu_group *group;
	unsigned int refuse_set;
	unsigned int refuse_unset;
};

/**
 * struct domain_kunit - state of a test
 * @ops: operations of the platform
 * @group: its groups
 * @blocked: domain of the groups before they are attached
 * @page: memory to be mapped
 * @tables: number of tables that exist
 * @no_table: bit mask of windows for which no table can be created
 */
struct domain_kunit {
	struct iommu_table_group_ops ops;
	struct fake_group group[KUNIT_GROUPS];
	struct iommu_domain blocked;
	struct page *page;
	unsigned int tables;
	unsigned int no_table;
};

static struct domain_kunit *fake_state(struct iommu_table_group *table_group)
{
	return container_of(table_group->ops, struct domain_kunit, ops);
}

static struct fake_group *fake_group(struct iommu_table_group *table_group)
{
	return container_of(table_group, struct fake_group, table_group);
}

/* Tables */

static void fake_free(struct iommu_table *tbl)
{
	struct tce_fake *ft = tce_fake_of(tbl);
	struct domain_kunit *t = ft->test->priv;

	t->tables--;
	tce_fake_end(ft);
}

static long fake_domain_table(struct iommu_table_group *table_group, int num,
			      struct iommu_table **ptbl)
{
	u32 shift = num ? PAGE_SHIFT : IOMMU_PAGE_SHIFT_4K;
	u64 start = num ? KUNIT_START64 : KUNIT_START32;
	struct domain_kunit *t = fake_state(table_group);
	struct tce_fake *ft;

	if (t->no_table & BIT(num))
		return -ENOMEM;
	if (num ? table_group->max_dynamic_windows_supported < 2 :
		  !table_group->tce32_size)
		return -ENODEV;
	ft = kzalloc_obj(*ft);
	if (!ft)
		return -ENOMEM;
	if (tce_fake_init(ft, kunit_get_current_test(), KUNIT_ENTRIES,
			  start >> shift, shift)) {
		kfree(ft);
		return -ENOMEM;
	}
	ft->ops.free = fake_free;
	t->tables++;
	*ptbl = &ft->tbl;
	return 0;
}

static long fake_set_window(struct iommu_table_group *table_group, int num,
			    struct iommu_table *tbl)
{
	if (fake_group(table_group)->refuse_set & BIT(num))
		return -EIO;
	table_group->tables[num] = iommu_tce_table_get(tbl);
	return 0;
}

static long fake_unset_window(struct iommu_table_group *table_group, int num)
{
	struct iommu_table *tbl = table_group->tables[num];

	if (fake_group(table_group)->refuse_unset & BIT(num))
		return -EIO;
	table_group->tables[num] = NULL;
	iommu_tce_table_put(tbl);
	return 0;
}

/* Set-up */

static void fake_remove(struct fake_group *g)
{
	iommu_group_remove_device(g->dev);
	iommu_group_put(g->group);
}

static void fake_add(struct kunit *test, struct domain_kunit *t,
		     struct fake_group *g, const char *name)
{
	g->table_group.ops = &t->ops;
	g->table_group.tce32_start = KUNIT_START32;
	g->table_group.tce32_size = KUNIT_ENTRIES * SZ_4K;
	g->table_group.pgsizes = SZ_4K | PAGE_SIZE;
	g->table_group.max_dynamic_windows_supported = 2;
	g->dev = kunit_device_register(test, name);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, g->dev);
	g->group = iommu_group_alloc();
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, g->group);
	iommu_group_set_iommudata(g->group, &g->table_group, NULL);
	KUNIT_ASSERT_EQ(test, iommu_group_add_device(g->group, g->dev), 0);
}

static int domain_kunit_init(struct kunit *test)
{
	static const char * const names[KUNIT_GROUPS] = { "first", "second" };
	struct domain_kunit *t;
	int i;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	test->priv = t;
	t->ops.domain_table = fake_domain_table;
	t->ops.set_window = fake_set_window;
	t->ops.unset_window = fake_unset_window;
	t->blocked.type = IOMMU_DOMAIN_BLOCKED;
	t->page = alloc_page(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->page);
	for (i = 0; i < KUNIT_GROUPS; i++)
		fake_add(test, t, &t->group[i], names[i]);
	return 0;
}

static void domain_kunit_exit(struct kunit *test)
{
	struct domain_kunit *t = test->priv;
	int i;

	if (!t)
		return;
	for (i = 0; i < KUNIT_GROUPS; i++)
		if (!IS_ERR_OR_NULL(t->group[i].group))
			fake_remove(&t->group[i]);
	KUNIT_EXPECT_EQ(test, t->tables, 0);
	if (t->page)
		put_page(t->page);
}

static struct iommu_domain *domain_alloc(struct kunit *test)
{
	struct domain_kunit *t = test->priv;
	struct iommu_domain *domain = spapr_domain_alloc(t->group[0].dev, 0,
							 NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, domain);
	return domain;
}

static int domain_attach(struct kunit *test, struct iommu_domain *domain,
			 int nr, struct iommu_domain *old)
{
	struct domain_kunit *t = test->priv;

	return spapr_attach_dev(domain, t->group[nr].dev, old ?: &t->blocked);
}

/* Maps or replaces one page of a window. */
static int domain_map(struct kunit *test, struct iommu_domain *domain, u64 iova)
{
	struct domain_kunit *t = test->priv;
	size_t mapped = 0;
	int ret = spapr_map_pages(domain, iova, page_to_phys(t->page),
				  PAGE_SIZE, 1, KUNIT_RW, GFP_KERNEL, &mapped);

	KUNIT_EXPECT_EQ(test, mapped, ret ? 0 : PAGE_SIZE);
	return ret;
}

static struct iommu_table *domain_table(struct iommu_domain *domain, int num)
{
	return to_spapr_domain(domain)->windows[num].tbl;
}

/* Whether a group has the first, the second, both or no window of a domain. */
static unsigned int domain_windows(struct kunit *test,
				   struct iommu_domain *domain, int nr)
{
	struct domain_kunit *t = test->priv;
	unsigned int i, mask = 0;

	for (i = 0; i < IOMMU_TABLE_GROUP_MAX_TABLES; i++)
		if (domain_table(domain, i) &&
		    t->group[nr].table_group.tables[i] ==
		    domain_table(domain, i))
			mask |= BIT(i);
	return mask;
}

/* Memory that a device of the domain reaches at an address, or 0. */
static u64 domain_reaches(struct iommu_domain *domain, int num, u64 iova)
{
	struct iommu_table *tbl = domain_table(domain, num);
	unsigned long i = (iova >> tbl->it_page_shift) - tbl->it_offset;

	return tce_fake_tce(tce_fake_of(tbl), i) & ~(u64)(SZ_4K - 1);
}

/* As iommufd: nothing is mapped any more when a domain is freed. */
static void domain_release(struct iommu_domain *domain)
{
	struct spapr_domain *dom = to_spapr_domain(domain);
	struct spapr_window *win;

	for (win = dom->windows; win < ARRAY_END(dom->windows); win++)
		if (win->size)
			spapr_unmap_pages(domain, win->start, win->size, 1,
					  NULL);
	spapr_domain_free(domain);
}

/* Tests */

static void domain_has_the_windows_of_the_platform(struct kunit *test)
{
	struct iommu_domain *domain = domain_alloc(test);
	struct iommu_domain_geometry ap;

	KUNIT_ASSERT_TRUE(test, spapr_get_aperture(domain, 0, &ap));
	KUNIT_EXPECT_EQ(test, ap.aperture_start, KUNIT_START32);
	KUNIT_EXPECT_EQ(test, ap.aperture_end,
			KUNIT_START32 + KUNIT_ENTRIES * SZ_4K - 1);
	KUNIT_ASSERT_TRUE(test, spapr_get_aperture(domain, 1, &ap));
	KUNIT_EXPECT_EQ(test, ap.aperture_start, KUNIT_START64);
	KUNIT_EXPECT_EQ(test, ap.aperture_end,
			KUNIT_START64 + KUNIT_ENTRIES * PAGE_SIZE - 1);
	KUNIT_EXPECT_FALSE(test, spapr_get_aperture(domain, 2, &ap));
	KUNIT_EXPECT_EQ(test, domain->geometry.aperture_start, KUNIT_START32);
	KUNIT_EXPECT_EQ(test, domain->geometry.aperture_end,
			KUNIT_START64 + KUNIT_ENTRIES * PAGE_SIZE - 1);
	domain_release(domain);
}

static void domain_of_a_platform_with_one_window(struct kunit *test)
{
	struct domain_kunit *t = test->priv;
	struct iommu_domain_geometry ap;
	struct iommu_domain *domain;
	int max;

	/* 0: a hypervisor without dynamic windows */
	for (max = 1; max >= 0; max--) {
		t->group[0].table_group.max_dynamic_windows_supported = max;
		domain = domain_alloc(test);
		KUNIT_EXPECT_TRUE(test, spapr_get_aperture(domain, 0, &ap));
		KUNIT_EXPECT_FALSE(test, spapr_get_aperture(domain, 1, &ap));
		KUNIT_EXPECT_EQ(test, domain_map(test, domain, KUNIT_START64),
				-EINVAL);
		KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 0, NULL), 0);
		spapr_domain_leave(domain, t->group[0].dev);
		domain_release(domain);
	}
}

static void domain_alloc_fails_as_a_whole(struct kunit *test)
{
	struct domain_kunit *t = test->priv;
	int i;

	for (i = 0; i < IOMMU_TABLE_GROUP_MAX_TABLES; i++) {
		t->no_table = BIT(i);
		KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOMEM),
				    spapr_domain_alloc(t->group[0].dev, 0,
						       NULL));
		KUNIT_EXPECT_EQ(test, t->tables, 0);
	}
	t->no_table = 0;
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EOPNOTSUPP),
			    spapr_domain_alloc(t->group[0].dev,
					       IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
					       NULL));
	t->group[0].table_group.max_dynamic_windows_supported = 0;
	t->group[0].table_group.tce32_size = 0;
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EOPNOTSUPP),
			    spapr_domain_alloc(t->group[0].dev, 0, NULL));
	KUNIT_EXPECT_EQ(test, t->tables, 0);
}

/* The 64-bit window costs time and memory of a hypervisor. */
static void domain_opens_the_64_bit_window_when_it_is_used(struct kunit *test)
{
	struct iommu_domain *domain = domain_alloc(test);
	struct domain_kunit *t = test->priv;
	int i;

	KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 0, NULL), 0);
	KUNIT_EXPECT_EQ(test, domain_map(test, domain, KUNIT_START32), 0);
	KUNIT_EXPECT_EQ(test, domain_windows(test, domain, 0), BIT(0));
	KUNIT_EXPECT_EQ(test, domain_map(test, domain, KUNIT_START64), 0);
	KUNIT_EXPECT_EQ(test, domain_windows(test, domain, 0), BIT(0) | BIT(1));

	/* a group that comes later gets both */
	KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 1, NULL), 0);
	KUNIT_EXPECT_EQ(test, domain_windows(test, domain, 1), BIT(0) | BIT(1));
	for (i = 0; i < KUNIT_GROUPS; i++) {
		KUNIT_EXPECT_TRUE(test, spapr_domain_leave(domain,
							   t->group[i].dev));
		KUNIT_EXPECT_EQ(test, domain_windows(test, domain, i), 0);
	}
	domain_release(domain);
}

/* Several devices of a group: the first attaches it, the first detaches it. */
static void domain_has_a_group_once(struct kunit *test)
{
	struct iommu_domain *domain = domain_alloc(test);
	struct domain_kunit *t = test->priv;
	struct iommu_table *tbl = domain_table(domain, 0);

	KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 0, NULL), 0);
	KUNIT_EXPECT_EQ(test, kref_read(&tbl->it_kref), 2);
	KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 0, NULL), 0);
	KUNIT_EXPECT_EQ(test, kref_read(&tbl->it_kref), 2);
	KUNIT_EXPECT_TRUE(test, spapr_domain_leave(domain, t->group[0].dev));
	KUNIT_EXPECT_TRUE(test, spapr_domain_leave(domain, t->group[0].dev));
	KUNIT_EXPECT_EQ(test, kref_read(&tbl->it_kref), 1);
	KUNIT_EXPECT_FALSE(test, spapr_domain_leave(&t->blocked,
						    t->group[0].dev));
	domain_release(domain);
}

static void domain_takes_no_group_from_the_kernel(struct kunit *test)
{
	struct iommu_domain platform = { .type = IOMMU_DOMAIN_PLATFORM };
	struct iommu_domain *domain = domain_alloc(test);
	struct domain_kunit *t = test->priv;

	KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 0, &platform),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, spapr_attach_dev(domain, t->group[0].dev, NULL),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, domain_windows(test, domain, 0), 0);
	domain_release(domain);
}

static void domain_takes_no_group_with_other_windows(struct kunit *test)
{
	struct domain_kunit *t = test->priv;
	struct iommu_domain *domain = domain_alloc(test);
	struct iommu_table_group *other = &t->group[1].table_group;
	struct iommu_table_group_ops ops = t->ops;
	const struct iommu_table_group good = *other;

	other->ops = &ops;
	KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 1, NULL), -EINVAL);
	*other = good;
	other->tce32_start += SZ_64K;
	KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 1, NULL), -EINVAL);
	*other = good;
	other->tce32_size -= SZ_4K;
	KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 1, NULL), -EINVAL);
	*other = good;
	other->pgsizes = SZ_16M;
	KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 1, NULL), -EINVAL);
	*other = good;
	other->max_dynamic_windows_supported = 1;
	KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 1, NULL), -EINVAL);
	*other = good;
	KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 1, NULL), 0);
	spapr_domain_leave(domain, t->group[1].dev);
	domain_release(domain);
}

/* A refused attach changes nothing, whichever window is refused. */
static void domain_refused_attach_leaves_nothing(struct kunit *test)
{
	struct iommu_domain *domain = domain_alloc(test);
	struct domain_kunit *t = test->priv;
	struct fake_group *g = &t->group[1];
	int i;

	KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 0, NULL), 0);
	KUNIT_EXPECT_EQ(test, domain_map(test, domain, KUNIT_START64), 0);
	for (i = 0; i < IOMMU_TABLE_GROUP_MAX_TABLES; i++) {
		g->refuse_set = BIT(i);
		KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 1, NULL),
				-EIO);
		KUNIT_EXPECT_NULL(test, g->table_group.tables[0]);
		KUNIT_EXPECT_NULL(test, g->table_group.tables[1]);
		KUNIT_EXPECT_EQ(test, domain_windows(test, domain, 0),
				BIT(0) | BIT(1));
	}
	g->refuse_set = 0;
	KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 1, NULL), 0);
	for (i = 0; i < KUNIT_GROUPS; i++)
		spapr_domain_leave(domain, t->group[i].dev);
	domain_release(domain);
}

/* A refused window is set in no group, and tried again by the next mapping. */
static void domain_refused_window_is_open_in_no_group(struct kunit *test)
{
	struct iommu_domain *domain = domain_alloc(test);
	struct domain_kunit *t = test->priv;
	int i;

	for (i = 0; i < KUNIT_GROUPS; i++)
		KUNIT_EXPECT_EQ(test, domain_attach(test, domain, i, NULL), 0);
	t->group[1].refuse_set = BIT(1);
	KUNIT_EXPECT_EQ(test, domain_map(test, domain, KUNIT_START64), -EIO);
	for (i = 0; i < KUNIT_GROUPS; i++)
		KUNIT_EXPECT_EQ(test, domain_windows(test, domain, i), BIT(0));
	KUNIT_EXPECT_EQ(test, spapr_iova_to_phys(domain, KUNIT_START64), 0);

	t->group[1].refuse_set = 0;
	KUNIT_EXPECT_EQ(test, domain_map(test, domain, KUNIT_START64), 0);
	for (i = 0; i < KUNIT_GROUPS; i++) {
		KUNIT_EXPECT_EQ(test, domain_windows(test, domain, i),
				BIT(0) | BIT(1));
		spapr_domain_leave(domain, t->group[i].dev);
	}
	domain_release(domain);
}

/* A group that cannot have the new domain keeps the old one, mappings too. */
static void domain_refused_replace_keeps_the_old_one(struct kunit *test)
{
	struct iommu_domain *old = domain_alloc(test);
	struct iommu_domain *domain = domain_alloc(test);
	struct domain_kunit *t = test->priv;

	KUNIT_EXPECT_EQ(test, domain_attach(test, old, 0, NULL), 0);
	KUNIT_EXPECT_EQ(test, domain_map(test, old, KUNIT_START32), 0);
	KUNIT_EXPECT_EQ(test, domain_map(test, domain, KUNIT_START64), 0);
	t->group[0].refuse_set = BIT(1);
	KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 0, old), -EIO);
	KUNIT_EXPECT_EQ(test, domain_windows(test, old, 0), BIT(0));
	KUNIT_EXPECT_EQ(test, domain_windows(test, domain, 0), 0);

	t->group[0].refuse_set = 0;
	KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 0, old), 0);
	KUNIT_EXPECT_EQ(test, domain_windows(test, old, 0), 0);
	KUNIT_EXPECT_EQ(test, domain_windows(test, domain, 0), BIT(0) | BIT(1));
	spapr_domain_leave(domain, t->group[0].dev);
	domain_release(domain);
	domain_release(old);
}

/*
 * A group that cannot even have the old one again has none, until it is
 * attached.
 */
static void domain_refused_way_back_reaches_nothing(struct kunit *test)
{
	struct iommu_domain *old = domain_alloc(test);
	struct iommu_domain *domain = domain_alloc(test);
	struct domain_kunit *t = test->priv;

	KUNIT_EXPECT_EQ(test, domain_attach(test, old, 0, NULL), 0);
	t->group[0].refuse_set = BIT(0);
	KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 0, old), -EIO);
	KUNIT_EXPECT_EQ(test, domain_windows(test, old, 0), 0);
	KUNIT_EXPECT_EQ(test, domain_windows(test, domain, 0), 0);
	KUNIT_EXPECT_EQ(test, domain_map(test, old, KUNIT_START64), 0);
	KUNIT_EXPECT_EQ(test, domain_windows(test, old, 0), 0);

	/* for its callers it is still in the old one */
	t->group[0].refuse_set = 0;
	KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 0, old), 0);
	KUNIT_EXPECT_EQ(test, domain_windows(test, domain, 0), BIT(0));
	spapr_domain_leave(domain, t->group[0].dev);
	domain_release(domain);
	domain_release(old);
}

/*
 * A window that the platform cannot take back stays set, so that unmapping
 * clears it there; no other domain gets the group.
 */
static void domain_that_cannot_leave_is_still_unmapped(struct kunit *test)
{
	struct iommu_domain *domain = domain_alloc(test);
	struct iommu_domain *other = domain_alloc(test);
	struct domain_kunit *t = test->priv;
	struct fake_group *g = &t->group[0];

	KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 0, NULL), 0);
	KUNIT_EXPECT_EQ(test, domain_map(test, domain, KUNIT_START32), 0);
	KUNIT_EXPECT_EQ(test, domain_map(test, domain, KUNIT_START64), 0);
	g->refuse_unset = BIT(1);
	KUNIT_EXPECT_TRUE(test, spapr_domain_leave(domain, g->dev));
	KUNIT_EXPECT_EQ(test, domain_windows(test, domain, 0), BIT(1));
	KUNIT_EXPECT_EQ(test, domain_attach(test, other, 0, NULL), -EBUSY);
	KUNIT_EXPECT_EQ(test, domain_windows(test, other, 0), 0);
	KUNIT_EXPECT_EQ(test, domain_attach(test, domain, 0, NULL), -EBUSY);

	KUNIT_EXPECT_EQ(test,
			spapr_unmap_pages(domain, KUNIT_START64, PAGE_SIZE, 1,
					  NULL),
			PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, domain_reaches(domain, 1, KUNIT_START64), 0);
	g->refuse_unset = 0;
	fake_unset_window(&g->table_group, 1);
	domain_release(domain);
	domain_release(other);
}

static void domain_maps_and_unmaps_in_one_kill(struct kunit *test)
{
	struct iommu_domain *domain = domain_alloc(test);
	struct domain_kunit *t = test->priv;
	struct tce_fake *ft = tce_fake_of(domain_table(domain, 0));
	phys_addr_t hpa = page_to_phys(t->page);
	unsigned long off;

	KUNIT_EXPECT_EQ(test, domain_map(test, domain, KUNIT_START32), 0);
	for (off = 0; off < PAGE_SIZE; off += SZ_4K) {
		KUNIT_EXPECT_EQ(test, domain_reaches(domain, 0,
						     KUNIT_START32 + off),
				hpa + off);
		KUNIT_EXPECT_EQ(test, spapr_iova_to_phys(domain, KUNIT_START32 +
							 off + 0x123),
				hpa + off + 0x123);
	}
	tce_fake_log_reset(ft);
	KUNIT_EXPECT_EQ(test, spapr_unmap_pages(domain, KUNIT_START32,
						PAGE_SIZE, 1, NULL), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, ft->calls[FAKE_KILL].nr, 1);
	KUNIT_EXPECT_EQ(test, spapr_iova_to_phys(domain, KUNIT_START32), 0);
	for (off = 0; off < PAGE_SIZE; off += SZ_4K)
		KUNIT_EXPECT_EQ(test, domain_reaches(domain, 0,
						     KUNIT_START32 + off), 0);
	domain_release(domain);
}

static void domain_maps_only_what_it_can(struct kunit *test)
{
	struct iommu_domain *domain = domain_alloc(test);
	struct domain_kunit *t = test->priv;
	phys_addr_t hpa = page_to_phys(t->page);
	u64 end32 = KUNIT_START32 + KUNIT_ENTRIES * SZ_4K;
	size_t mapped = 0;

	/* below, between and above the windows, and across the end of one */
	KUNIT_EXPECT_EQ(test, domain_map(test, domain,
					 KUNIT_START32 - PAGE_SIZE), -EINVAL);
	KUNIT_EXPECT_EQ(test, domain_map(test, domain, end32), -EINVAL);
	KUNIT_EXPECT_EQ(test, domain_map(test, domain, KUNIT_START64 +
					 KUNIT_ENTRIES * PAGE_SIZE), -EINVAL);
	KUNIT_EXPECT_EQ(test,
			spapr_map_pages(domain, end32 - PAGE_SIZE, hpa,
					PAGE_SIZE, 2, KUNIT_RW, GFP_KERNEL,
					&mapped),
			-EINVAL);

	KUNIT_EXPECT_EQ(test,
			spapr_map_pages(domain, KUNIT_START32, hpa, PAGE_SIZE,
					1, KUNIT_RW, GFP_ATOMIC, &mapped),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, spapr_map_pages(domain, KUNIT_START32, hpa,
					      PAGE_SIZE, 1,
					      KUNIT_RW | IOMMU_MMIO, GFP_KERNEL,
					      &mapped), -EINVAL);
	KUNIT_EXPECT_EQ(test, spapr_map_pages(domain, KUNIT_START32, hpa,
					      PAGE_SIZE, 1, IOMMU_CACHE,
					      GFP_KERNEL, &mapped), -EINVAL);
	KUNIT_EXPECT_EQ(test, mapped, 0);
	domain_release(domain);
}

/* Memory that stays reachable is neither released nor mapped again. */
static void domain_keeps_memory_that_it_cannot_unmap(struct kunit *test)
{
	struct iommu_domain *domain = domain_alloc(test);
	struct domain_kunit *t = test->priv;
	int refs = page_ref_count(t->page);
	unsigned long pages = PAGE_SIZE / SZ_4K;

	KUNIT_EXPECT_EQ(test, domain_map(test, domain, KUNIT_START32), 0);
	tce_fake_refuse(tce_fake_of(domain_table(domain, 0)), FAKE_CLEAR, 1,
			1000, 0);
	KUNIT_EXPECT_EQ(test, spapr_unmap_pages(domain, KUNIT_START32,
						PAGE_SIZE, 1, NULL), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, page_ref_count(t->page), refs + pages);
	KUNIT_EXPECT_EQ(test, spapr_iova_to_phys(domain, KUNIT_START32), 0);
	KUNIT_EXPECT_EQ(test, iommu_tce_view_mapped(domain_table(domain, 0)),
			0);

	/* nothing reaches it here */
	while (page_ref_count(t->page) > refs)
		put_page(t->page);
	domain_release(domain);
}

static struct kunit_case domain_kunit_cases[] = {
	KUNIT_CASE(domain_has_the_windows_of_the_platform),
	KUNIT_CASE(domain_of_a_platform_with_one_window),
	KUNIT_CASE(domain_alloc_fails_as_a_whole),
	KUNIT_CASE(domain_opens_the_64_bit_window_when_it_is_used),
	KUNIT_CASE(domain_has_a_group_once),
	KUNIT_CASE(domain_takes_no_group_from_the_kernel),
	KUNIT_CASE(domain_takes_no_group_with_other_windows),
	KUNIT_CASE(domain_refused_attach_leaves_nothing),
	KUNIT_CASE(domain_refused_window_is_open_in_no_group),
	KUNIT_CASE(domain_refused_replace_keeps_the_old_one),
	KUNIT_CASE(domain_refused_way_back_reaches_nothing),
	KUNIT_CASE(domain_that_cannot_leave_is_still_unmapped),
	KUNIT_CASE(domain_maps_and_unmaps_in_one_kill),
	KUNIT_CASE(domain_maps_only_what_it_can),
	KUNIT_CASE(domain_keeps_memory_that_it_cannot_unmap),
	{ }
};

static struct kunit_suite domain_kunit_suite = {
	.name = "iommu_domain",
	.init = domain_kunit_init,
	.exit = domain_kunit_exit,
	.test_cases = domain_kunit_cases,
};

kunit_test_suite(domain_kunit_suite);
