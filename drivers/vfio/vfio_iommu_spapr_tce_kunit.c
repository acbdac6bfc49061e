// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit suite of the sPAPR TCE container: error paths when the platform fails
 * to set or unset a window. Included by vfio_iommu_spapr_tce.c.
 *
 * The groups and their tables are fakes. Each group records whether a table had
 * an owner when it was set, and fails on request.
 */
#include <kunit/test.h>
#include <kunit/test-bug.h>
#include <kunit/visibility.h>

#define KUNIT_GROUPS	2
#define KUNIT_SHIFT	IOMMU_PAGE_SHIFT_4K
#define KUNIT_WINDOW	SZ_1G
#define KUNIT_START	((u64)SZ_2G * 2)
#define KUNIT_PAGES	4	/* accounted for each table */

/**
 * struct tce_kunit_group - a fake group
 * @table_group: platform side of the group
 * @refuse_set: fail to set a window
 * @refuse_unset: fail to unset a window
 * @refuse_again: fail to set a window after one was unset
 * @unset: a window was unset
 * @owned: a table was set that already had an owner
 */
struct tce_kunit_group {
	struct iommu_table_group table_group;
	bool refuse_set;
	bool refuse_unset;
	bool refuse_again;
	bool unset;
	bool owned;
};

/**
 * struct tce_kunit - state of a test
 * @container: container with KUNIT_GROUPS groups and no window
 * @group: groups of the container
 * @freed: number of tables freed
 */
struct tce_kunit {
	struct tce_container *container;
	struct tce_kunit_group group[KUNIT_GROUPS];
	unsigned int freed;
};

static struct tce_kunit *tce_kunit_state(void)
{
	return kunit_get_current_test()->priv;
}

static struct tce_kunit_group *
to_kunit_group(struct iommu_table_group *table_group)
{
	return container_of(table_group, struct tce_kunit_group, table_group);
}

static void tce_kunit_free(struct iommu_table *tbl)
{
	tce_kunit_state()->freed++;
	iommu_tce_view_destroy(tbl);
}

static struct iommu_table_ops tce_kunit_table_ops = {
	.free = tce_kunit_free,
};

static unsigned long tce_kunit_table_size(u32 page_shift, u64 window_size,
					  u32 levels)
{
	return KUNIT_PAGES * PAGE_SIZE;
}

static long tce_kunit_create_table(struct iommu_table_group *table_group,
				   int num, u32 page_shift, u64 window_size,
				   u32 levels, struct iommu_table **tblp)
{
	struct iommu_table *tbl = kzalloc_obj(*tbl);

	if (!tbl)
		return -ENOMEM;
	tbl->it_ops = &tce_kunit_table_ops;
	tbl->it_page_shift = page_shift;
	tbl->it_offset = KUNIT_START >> page_shift;
	tbl->it_size = window_size >> page_shift;
	INIT_LIST_HEAD_RCU(&tbl->it_group_list);
	kref_init(&tbl->it_kref);
	*tblp = tbl;
	return 0;
}

static long tce_kunit_set_window(struct iommu_table_group *table_group, int num,
				 struct iommu_table *tbl)
{
	struct tce_kunit_group *group = to_kunit_group(table_group);

	if (iommu_tce_is_owner(tbl, tce_kunit_state()->container->mm) &&
	    !group->unset)
		group->owned = true;
	if (group->refuse_set || (group->refuse_again && group->unset))
		return -EIO;
	table_group->tables[num] = iommu_tce_table_get(tbl);
	return 0;
}

static long tce_kunit_unset_window(struct iommu_table_group *table_group,
				   int num)
{
	struct tce_kunit_group *group = to_kunit_group(table_group);
	struct iommu_table *tbl = table_group->tables[num];

	if (group->refuse_unset)
		return -EIO;
	group->unset = true;
	table_group->tables[num] = NULL;
	iommu_tce_table_put(tbl);
	return 0;
}

static struct iommu_table_group_ops tce_kunit_group_ops = {
	.get_table_size = tce_kunit_table_size,
	.create_table = tce_kunit_create_table,
	.set_window = tce_kunit_set_window,
	.unset_window = tce_kunit_unset_window,
};

static int tce_kunit_init(struct kunit *test)
{
	struct tce_container *container;
	struct tce_group *group;
	struct tce_kunit *t;
	int i;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	container = tce_iommu_open(VFIO_SPAPR_TCE_v2_IOMMU);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, container);
	t->container = container;
	test->priv = t;

	container->mm = mm_alloc();
	KUNIT_ASSERT_NOT_NULL(test, container->mm);
	/* keep the mm_struct only, as the container does */
	mmgrab(container->mm);
	mmput(container->mm);

	for (i = 0; i < KUNIT_GROUPS; i++) {
		group = kunit_kzalloc(test, sizeof(*group), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, group);
		t->group[i].table_group.ops = &tce_kunit_group_ops;
		t->group[i].table_group.max_dynamic_windows_supported = 2;
		group->table_group = &t->group[i].table_group;
		list_add_tail(&group->list, &container->groups);
	}
	return 0;
}

static void tce_kunit_exit(struct kunit *test)
{
	struct tce_kunit *t = test->priv;
	int i;

	if (!t)
		return;
	for (i = 0; i < KUNIT_GROUPS; i++) {
		t->group[i].refuse_unset = false;
		t->group[i].refuse_set = false;
	}
	down_write(&t->container->lock);
	for (i = 0; i < TCE_MAX_WINDOWS; i++)
		if (t->container->windows[i].tbl)
			tce_drop_window(t->container, i);
	INIT_LIST_HEAD(&t->container->groups);
	up_write(&t->container->lock);
	KUNIT_EXPECT_EQ(test, t->container->mm->locked_vm, 0);
	tce_iommu_release(t->container);
}

static long tce_kunit_add(struct tce_kunit *t)
{
	struct mm_iommu_refusal why;
	long ret;

	down_write(&t->container->lock);
	ret = tce_add_window(t->container, 0, KUNIT_SHIFT, KUNIT_WINDOW, 1,
			     &why);
	up_write(&t->container->lock);
	return ret;
}

static long tce_kunit_remove(struct tce_kunit *t)
{
	long ret;

	down_write(&t->container->lock);
	ret = tce_remove_table(t->container, 0);
	if (!ret)
		t->container->windows[0] = (struct tce_window){ };
	up_write(&t->container->lock);
	return ret;
}

/* KVM attaches a table with an owner: it must be set in all groups before. */
static void tce_owner_is_set_last(struct kunit *test)
{
	struct tce_kunit *t = test->priv;
	int i;

	KUNIT_ASSERT_EQ(test, tce_kunit_add(t), 0);
	for (i = 0; i < KUNIT_GROUPS; i++)
		KUNIT_EXPECT_FALSE(test, t->group[i].owned);
	KUNIT_EXPECT_TRUE(test,
			  iommu_tce_is_owner(t->container->windows[0].tbl,
					     t->container->mm));
}

/* set_window() fails for the second group: the window is rolled back. */
static void tce_refused_create_leaves_nothing(struct kunit *test)
{
	struct tce_kunit *t = test->priv;
	int i;

	t->group[1].refuse_set = true;
	KUNIT_EXPECT_EQ(test, tce_kunit_add(t), -EIO);
	KUNIT_EXPECT_EQ(test, t->freed, 1);
	KUNIT_EXPECT_EQ(test, t->container->mm->locked_vm, 0);
	KUNIT_EXPECT_EQ(test, t->container->windows[0].size, 0);
	for (i = 0; i < KUNIT_GROUPS; i++) {
		KUNIT_EXPECT_FALSE(test, t->group[i].owned);
		KUNIT_EXPECT_NULL(test, t->group[i].table_group.tables[0]);
	}
}

/* unset_window() fails for the second group: the first gets its window back. */
static void tce_refused_remove_changes_nothing(struct kunit *test)
{
	struct tce_kunit *t = test->priv;
	struct iommu_table *tbl;
	int i;

	KUNIT_ASSERT_EQ(test, tce_kunit_add(t), 0);
	tbl = t->container->windows[0].tbl;
	t->group[1].refuse_unset = true;
	KUNIT_EXPECT_EQ(test, tce_kunit_remove(t), -EIO);
	KUNIT_EXPECT_PTR_EQ(test, t->container->windows[0].tbl, tbl);
	KUNIT_EXPECT_FALSE(test, iommu_tce_is_closed(tbl));
	for (i = 0; i < KUNIT_GROUPS; i++)
		KUNIT_EXPECT_PTR_EQ(test, t->group[i].table_group.tables[0],
				    tbl);

	t->group[1].refuse_unset = false;
	KUNIT_EXPECT_EQ(test, tce_kunit_remove(t), 0);
	KUNIT_EXPECT_EQ(test, t->freed, 1);
	KUNIT_EXPECT_EQ(test, t->container->mm->locked_vm, 0);
}

/*
 * The first group cannot get its window back, which is only logged. The window
 * stays in the other group.
 */
static void tce_refused_rollback_keeps_the_other_groups(struct kunit *test)
{
	struct tce_kunit *t = test->priv;
	struct iommu_table *tbl;

	KUNIT_ASSERT_EQ(test, tce_kunit_add(t), 0);
	tbl = t->container->windows[0].tbl;
	t->group[1].refuse_unset = true;
	t->group[0].refuse_again = true;
	KUNIT_EXPECT_EQ(test, tce_kunit_remove(t), -EIO);
	KUNIT_EXPECT_PTR_EQ(test, t->container->windows[0].tbl, tbl);
	KUNIT_EXPECT_FALSE(test, iommu_tce_is_closed(tbl));
	KUNIT_EXPECT_NULL(test, t->group[0].table_group.tables[0]);
	KUNIT_EXPECT_PTR_EQ(test, t->group[1].table_group.tables[0], tbl);

	t->group[1].refuse_unset = false;
	KUNIT_EXPECT_EQ(test, tce_kunit_remove(t), 0);
	KUNIT_EXPECT_EQ(test, t->freed, 1);
	KUNIT_EXPECT_EQ(test, t->container->mm->locked_vm, 0);
}

/* A MAP of memory that is not registered. */
static void tce_kunit_failed_map(struct kunit *test)
{
	const struct vfio_iommu_type1_dma_map map = {
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.iova = KUNIT_START,
		.size = SZ_4K,
	};
	struct tce_kunit *t = test->priv;
	struct mm_iommu_refusal why;

	KUNIT_EXPECT_EQ(test, tce_map_exclusive(t->container, &map, &why),
			-EPERM);
	t->container->enabled = true;
	KUNIT_EXPECT_EQ(test, tce_map_exclusive(t->container, &map, &why),
			-EINVAL);
	t->container->enabled = false;
}

/* A MAP that fails removes the table that it created. */
static void tce_failed_map_reverts_the_default_window(struct kunit *test)
{
	struct tce_kunit *t = test->priv;
	int i;

	t->group[0].table_group.tce32_size = KUNIT_WINDOW;
	tce_init_default_window(t->container, &t->group[0].table_group);
	t->container->windows[0].start = KUNIT_START;
	for (i = 1; i <= 2; i++) {
		tce_kunit_failed_map(test);
		KUNIT_EXPECT_EQ(test, t->freed, i);
		KUNIT_EXPECT_NULL(test, t->container->windows[0].tbl);
		KUNIT_EXPECT_EQ(test, t->container->windows[0].size,
				KUNIT_WINDOW);
		KUNIT_EXPECT_EQ(test, t->container->mm->locked_vm, 0);
	}
}

/* A MAP that fails does not remove a table that was there. */
static void tce_failed_map_keeps_a_window(struct kunit *test)
{
	struct tce_kunit *t = test->priv;

	KUNIT_ASSERT_EQ(test, tce_kunit_add(t), 0);
	tce_kunit_failed_map(test);
	KUNIT_EXPECT_EQ(test, t->freed, 0);
	KUNIT_EXPECT_NOT_NULL(test, t->container->windows[0].tbl);
}

static struct iommu_group *tce_kunit_group(struct kunit *test, int i)
{
	struct iommu_group *grp = iommu_group_alloc();
	struct tce_kunit *t = test->priv;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, grp);
	t->group[i].table_group.tce32_size = KUNIT_WINDOW;
	iommu_group_set_iommudata(grp, &t->group[i].table_group, NULL);
	return grp;
}

/* The slot may be taken by a table that could not be unset, see above. */
static void tce_default_window_is_of_the_first_group(struct kunit *test)
{
	struct iommu_group *first = tce_kunit_group(test, 0);
	struct iommu_group *second = tce_kunit_group(test, 1);
	struct tce_kunit *t = test->priv;
	struct tce_container *container = t->container;
	struct iommu_table leaked = { };

	INIT_LIST_HEAD(&container->groups);
	t->group[0].table_group.tables[0] = &leaked;
	KUNIT_EXPECT_EQ(test, 0,
			tce_iommu_attach_group(container, first, VFIO_IOMMU));
	KUNIT_EXPECT_EQ(test, container->windows[0].size, 0);
	tce_iommu_detach_group(container, first);

	t->group[0].table_group.tables[0] = NULL;
	KUNIT_EXPECT_EQ(test, 0,
			tce_iommu_attach_group(container, first, VFIO_IOMMU));
	KUNIT_EXPECT_EQ(test, container->windows[0].size, KUNIT_WINDOW);

	/* a window that user space has removed does not come back */
	KUNIT_EXPECT_EQ(test, tce_kunit_remove(t), 0);
	KUNIT_EXPECT_EQ(test, 0,
			tce_iommu_attach_group(container, second, VFIO_IOMMU));
	KUNIT_EXPECT_EQ(test, container->windows[0].size, 0);

	tce_iommu_detach_group(container, second);
	tce_iommu_detach_group(container, first);
	iommu_group_put(second);
	iommu_group_put(first);
}

/* KVM may hold the table of a removed window: it stays in locked_vm. */
static void tce_table_is_charged_until_it_is_freed(struct kunit *test)
{
	struct tce_kunit *t = test->priv;
	struct iommu_table *tbl;

	KUNIT_ASSERT_EQ(test, tce_kunit_add(t), 0);
	KUNIT_EXPECT_EQ(test, t->container->mm->locked_vm, KUNIT_PAGES);
	tbl = iommu_tce_table_get(t->container->windows[0].tbl);
	KUNIT_EXPECT_EQ(test, tce_kunit_remove(t), 0);
	KUNIT_EXPECT_EQ(test, t->freed, 0);
	KUNIT_EXPECT_EQ(test, t->container->mm->locked_vm, KUNIT_PAGES);
	iommu_tce_table_put(tbl);
	KUNIT_EXPECT_EQ(test, t->freed, 1);
	KUNIT_EXPECT_EQ(test, t->container->mm->locked_vm, 0);
}

/* A part whose lock is held is omitted. */
static void tce_fdinfo_waits_for_no_lock(struct kunit *test)
{
	struct tce_kunit *t = test->priv;
	struct seq_file m = { .size = SZ_4K };

	m.buf = kunit_kzalloc(test, m.size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m.buf);
	KUNIT_ASSERT_EQ(test, tce_kunit_add(t), 0);

	down_write(&t->container->lock);
	mutex_lock(&t->container->memory_lock);
	tce_iommu_show_fdinfo(t->container, &m);
	mutex_unlock(&t->container->memory_lock);
	up_write(&t->container->lock);
	KUNIT_EXPECT_NOT_NULL(test,
			      strstr(m.buf, "spapr_tce_busy:\twindows\n"));
	KUNIT_EXPECT_NOT_NULL(test,
			      strstr(m.buf, "spapr_tce_busy:\tregions\n"));
	KUNIT_EXPECT_NULL(test, strstr(m.buf, "spapr_tce_locked"));

	memset(m.buf, 0, m.size);
	m.count = 0;
	tce_iommu_show_fdinfo(t->container, &m);
	KUNIT_EXPECT_NULL(test, strstr(m.buf, "spapr_tce_busy"));
	KUNIT_EXPECT_NOT_NULL(test, strstr(m.buf, "spapr_tce_window:\tslot=0"));
	KUNIT_EXPECT_NOT_NULL(test, strstr(m.buf, "spapr_tce_locked"));
}

/* An older refusal makes room for a new one. */
static void tce_last_refusals_are_kept(struct kunit *test)
{
	struct tce_kunit *t = test->priv;
	struct mm_iommu_refusal why = { };
	unsigned int i, lines = 0;
	char *text, *at;

	KUNIT_EXPECT_NULL(test, tce_iommu_refusals(t->container));
	for (i = 0; i < TCE_REFUSALS; i++)
		tce_report(t->container, "MAP", i, 0, -EINVAL, &why);
	why.words = "words that go on: 0x";
	tce_report(t->container, "MAP", 0xabc, 0, -EINVAL, &why);

	text = tce_iommu_refusals(t->container);
	KUNIT_ASSERT_NOT_NULL(test, text);
	for (at = text; (at = strchr(at, '\n')); at++)
		lines++;
	KUNIT_EXPECT_EQ(test, lines, TCE_REFUSALS);
	KUNIT_EXPECT_NULL(test, strstr(text, "start=0x0 "));
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, "start=0x1 "));
	KUNIT_EXPECT_NOT_NULL(test,
			      strstr(text, "start=0xabc size=0x0 cause=words that go on: 0x0\n"));
	kfree(text);
}

static struct kunit_case tce_kunit_cases[] = {
	KUNIT_CASE(tce_owner_is_set_last),
	KUNIT_CASE(tce_refused_create_leaves_nothing),
	KUNIT_CASE(tce_refused_remove_changes_nothing),
	KUNIT_CASE(tce_refused_rollback_keeps_the_other_groups),
	KUNIT_CASE(tce_failed_map_reverts_the_default_window),
	KUNIT_CASE(tce_failed_map_keeps_a_window),
	KUNIT_CASE(tce_default_window_is_of_the_first_group),
	KUNIT_CASE(tce_table_is_charged_until_it_is_freed),
	KUNIT_CASE(tce_fdinfo_waits_for_no_lock),
	KUNIT_CASE(tce_last_refusals_are_kept),
	{ }
};

static struct kunit_suite tce_kunit_suite = {
	.name = "vfio_spapr_tce",
	.init = tce_kunit_init,
	.exit = tce_kunit_exit,
	.test_cases = tce_kunit_cases,
};

kunit_test_suite(tce_kunit_suite);

MODULE_INFO(import_ns, "EXPORTED_FOR_KUNIT_TESTING");
