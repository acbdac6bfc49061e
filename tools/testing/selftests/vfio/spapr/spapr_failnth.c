// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation of each call of a container fails in turn, until the call
 * makes so few that it succeeds. A call that fails for lack of memory must not
 * change anything: locked and pinned memory, windows, the memory that a device
 * reads through them; and it can be repeated.
 *
 * A call may succeed despite a failed allocation if it has a fallback. It is
 * then undone, and the next allocation fails.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "edu.h"
#include "failnth.h"
#include "spapr_test.h"

#define V2		VFIO_SPAPR_TCE_v2_IOMMU
#define LEN		EDU_DMA_MAX
#define SECONDS		300

/* Entries in two leaves of 512 and a part of the third. */
#define MANY		(1024 * IOMMU_PAGE)
#define OFFSET		(511 * IOMMU_PAGE)

/* ------------------------------------------------------------------ */
/* State that must not change */

FIXTURE(fail)
{
	struct spapr s;
	struct spapr_account base;
	struct vfio_iommu_spapr_tce_info info;
	struct edu edu;
	__u64 start;
	__u64 iova;
	__u64 probe;		/* target of the device's writes */
	__u64 created;
	size_t page;
	char *old;
	char *new;
	char *seen;
};

struct state {
	struct spapr_account account;
	int windows[2];
};

/* Unmaps nothing; the call needs a window. */
static void look(struct _test_data_fail *self, struct state *state)
{
	spapr_account(&state->account);
	state->windows[0] = __spapr_unmap(self->s.fd, self->start, 0);
	state->windows[1] = __spapr_unmap(self->s.fd, 1ULL << 59, 0);
}

/* Whether the device reads the fill pattern there. */
static bool device_reads(struct _test_data_fail *self, __u64 iova,
			 unsigned int seed)
{
	memset(self->seen, 0, LEN);
	return !edu_dma_to_device(&self->edu, iova, 0, LEN) &&
	       !edu_dma_from_device(&self->edu, self->probe, 0, LEN) &&
	       is_filled(self->seen, LEN, seed);
}

enum { OLD = 1, NEW };

/* One kind of call; all members but the call are optional. */
struct attempt {
	/* before each call; the call; after success; after failure */
	int (*prepare)(struct _test_data_fail *self);
	int (*call)(struct _test_data_fail *self);
	int (*undo)(struct _test_data_fail *self);
	bool (*as_before)(struct _test_data_fail *self);
};

/* One call with the nth allocation failing; true if there was an nth. */
static bool fail_one(struct __test_metadata *_metadata,
		     struct _test_data_fail *self, const struct attempt *t,
		     unsigned int nth, int *ret)
{
	struct state before, after;
	bool reached;

	if (t->prepare)
		ASSERT_EQ(0, t->prepare(self));
	look(self, &before);
	ASSERT_TRUE(failnth_arm(nth));
	*ret = t->call(self);
	reached = failnth_disarm();
	if (!*ret) {
		ASSERT_EQ(0, t->undo ? t->undo(self) : 0);
		return reached;
	}
	ASSERT_TRUE(reached) {
		TH_LOG("gave %d with no allocation failing", *ret);
	}
	look(self, &after);
	EXPECT_EQ(before.account.locked, after.account.locked);
	EXPECT_EQ(before.account.pins, after.account.pins);
	EXPECT_EQ(before.windows[0], after.windows[0]);
	EXPECT_EQ(before.windows[1], after.windows[1]);
	EXPECT_TRUE(!t->as_before || t->as_before(self));
	return true;
}

/* Fails each allocation in turn; stops after an error. */
static void fail_each(struct __test_metadata *_metadata,
		      struct _test_data_fail *self, const struct attempt *t)
{
	unsigned int nth, refused = 0;
	bool reached = true;
	int ret = 0, last = 0;

	for (nth = 1; reached && nth < FAILNTH_LIMIT; nth++) {
		reached = fail_one(_metadata, self, t, nth, &ret);
		refused += !!ret;
		last = ret ? : last;
		if (_metadata->exit_code) {
			TH_LOG("with allocation %u failing: %d", nth, ret);
			return;
		}
	}
	EXPECT_FALSE(reached);
	TH_LOG("%u allocations failed in turn, %u calls with them (%d)",
	       nth - 2, refused, last);
}

/* ------------------------------------------------------------------ */
/* Container and memory, with the device's view of it */

static int open_container(struct _test_data_fail *self)
{
	int ret = __spapr_open_with(&self->s, V2, 0);

	return ret ? : __spapr_info(self->s.fd, &self->info);
}

FIXTURE_SETUP(fail)
{
	NEED_DEVICES(return, 1);
	NEED_INJECTION(return);
	self->edu = (struct edu){ .fd = -1, .bar = MAP_FAILED };
	self->page = spapr_page_size();
	self->old = spapr_mem(MANY);
	self->new = spapr_mem(MANY);
	self->seen = spapr_mem(self->page);
	ASSERT_NE(NULL, self->seen);
	memset(self->old, 1, MANY);
	memset(self->new, 1, MANY);
	memset(self->seen, 1, self->page);
	spapr_account(&self->base);
	ASSERT_EQ(0, open_container(self));
	self->start = self->info.dma32_window_start;
	self->probe = self->start + 512 * MIB;
	self->iova = self->start + 16 * MIB + OFFSET;
}

FIXTURE_TEARDOWN(fail)
{
	edu_close(&self->edu);
	spapr_close(&self->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* Restores the container to before the first use of the default window. */
static int begin_again(struct _test_data_fail *self)
{
	int ret;

	spapr_close(&self->s);
	ret = open_container(self);
	return ret ? : __spapr_register(self->s.fd, self->old, MANY);
}

static int make_window(struct _test_data_fail *self)
{
	int ret = __spapr_remove(self->s.fd, self->start);

	return ret ? : __spapr_create(self->s.fd, 12, GIB, 1, &self->created);
}

/* A window in which nothing was mapped except for the probe. */
static int empty_window(struct _test_data_fail *self)
{
	int ret = make_window(self);

	return ret ? : __spapr_map(self->s.fd, self->probe, self->seen,
				   self->page, SPAPR_RW);
}

static int map(struct _test_data_fail *self, char *mem, size_t size)
{
	return __spapr_map(self->s.fd, self->iova, mem, size, SPAPR_RW);
}

static int map_one(struct _test_data_fail *self)
{
	return map(self, self->new, IOMMU_PAGE);
}

static int map_many(struct _test_data_fail *self)
{
	return map(self, self->new, MANY);
}

static int map_old(struct _test_data_fail *self)
{
	return map(self, self->old, MANY);
}

static int unmap(struct _test_data_fail *self)
{
	return __spapr_unmap(self->s.fd, self->iova, MANY);
}

static int full_window(struct _test_data_fail *self)
{
	int ret = empty_window(self);

	return ret ? : map_old(self);
}

/* Every second entry, so that entries are replaced and added alternately. */
static int half_full_window(struct _test_data_fail *self)
{
	int ret = full_window(self);
	size_t off;

	for (off = IOMMU_PAGE; !ret && off < MANY; off += 2 * IOMMU_PAGE)
		ret = __spapr_unmap(self->s.fd, self->iova + off, IOMMU_PAGE);
	return ret;
}

#define OPEN_DEVICE() do {						\
	ASSERT_EQ(0, edu_open(&self->edu, self->s.group[0], spapr_bdf(0))); \
	spapr_register(self->s.fd, self->old, MANY);			\
	spapr_register(self->s.fd, self->new, MANY);			\
	spapr_register(self->s.fd, self->seen, self->page);		\
	fill(self->old, LEN, OLD);					\
	fill(self->old + MANY - IOMMU_PAGE, LEN, OLD);			\
	fill(self->old + MANY - 2 * IOMMU_PAGE, LEN, OLD);		\
	fill(self->new, LEN, NEW);					\
	fill(self->new + MANY - IOMMU_PAGE, LEN, NEW);			\
	fill(self->new + MANY - 2 * IOMMU_PAGE, LEN, NEW);		\
} while (0)

/* No reference was taken, because unmapped memory can be unregistered. */
static bool is_unmapped(struct _test_data_fail *self, char *mem)
{
	return !__spapr_unregister(self->s.fd, mem, MANY) &&
	       !__spapr_register(self->s.fd, mem, MANY);
}

static bool nothing_is_mapped(struct _test_data_fail *self)
{
	__u64 last = self->iova + MANY - IOMMU_PAGE;

	return is_unmapped(self, self->new) &&
	       !device_reads(self, self->iova, NEW) &&
	       !device_reads(self, last, NEW);
}

/* Also checks the counts: one too many or too few on either side would show. */
static bool old_is_mapped(struct _test_data_fail *self)
{
	__u64 last = self->iova + MANY - 2 * IOMMU_PAGE;

	return is_unmapped(self, self->new) &&
	       __spapr_unregister(self->s.fd, self->old, MANY) == -EBUSY &&
	       device_reads(self, self->iova, OLD) &&
	       device_reads(self, last, OLD);
}

/* ------------------------------------------------------------------ */
/* MAP and UNMAP */

TEST_F_TIMEOUT(fail, map_of_one_page, SECONDS)
{
	const struct attempt t = {
		empty_window, map_one, unmap, nothing_is_mapped,
	};

	OPEN_DEVICE();
	fail_each(_metadata, self, &t);
}

TEST_F_TIMEOUT(fail, map_of_many_pages, SECONDS)
{
	const struct attempt t = {
		empty_window, map_many, unmap, nothing_is_mapped,
	};

	OPEN_DEVICE();
	fail_each(_metadata, self, &t);
}

TEST_F_TIMEOUT(fail, map_over_what_is_mapped, SECONDS)
{
	const struct attempt t = {
		full_window, map_many, unmap, old_is_mapped,
	};

	OPEN_DEVICE();
	fail_each(_metadata, self, &t);
	EXPECT_TRUE(is_unmapped(self, self->old));
}

TEST_F_TIMEOUT(fail, map_over_what_is_half_mapped, SECONDS)
{
	const struct attempt t = {
		half_full_window, map_many, unmap, old_is_mapped,
	};

	OPEN_DEVICE();
	fail_each(_metadata, self, &t);
	EXPECT_TRUE(is_unmapped(self, self->old));
}

TEST_F_TIMEOUT(fail, unmap_of_many_pages, SECONDS)
{
	const struct attempt t = {
		full_window, unmap, NULL, old_is_mapped,
	};

	OPEN_DEVICE();
	fail_each(_metadata, self, &t);
	EXPECT_TRUE(is_unmapped(self, self->old));
}

/* ------------------------------------------------------------------ */
/* REGISTER and UNREGISTER */

static int register_old(struct _test_data_fail *self)
{
	return __spapr_register(self->s.fd, self->old, MANY);
}

static int unregister_old(struct _test_data_fail *self)
{
	return __spapr_unregister(self->s.fd, self->old, MANY);
}

static bool old_is_not_registered(struct _test_data_fail *self)
{
	int ret = unregister_old(self);

	return ret == -ENOENT || ret == -EPERM;
}

TEST_F_TIMEOUT(fail, register_memory_that_is_there, SECONDS)
{
	const struct attempt t = {
		NULL, register_old, unregister_old, old_is_not_registered,
	};

	fail_each(_metadata, self, &t);
}

static int forget_memory(struct _test_data_fail *self)
{
	return madvise(self->old, MANY, MADV_DONTNEED);
}

/* Pages faulted in by the call count as its allocations. */
TEST_F_TIMEOUT(fail, register_memory_that_was_never_touched, SECONDS)
{
	const struct attempt t = {
		forget_memory, register_old, unregister_old,
		old_is_not_registered,
	};

	fail_each(_metadata, self, &t);
}

static int register_and_map(struct _test_data_fail *self)
{
	int ret = begin_again(self);

	return ret ? : map_old(self);
}

static int refuse_and_register(struct _test_data_fail *self)
{
	int ret = register_and_map(self);

	if (!ret && unregister_old(self) != -EBUSY)
		ret = -EBADE;
	return ret;
}

/* The refused region is unchanged, also if it could not be replaced. */
static bool old_can_still_go(struct _test_data_fail *self)
{
	return unregister_old(self) == -EBUSY && !unmap(self) &&
	       !unregister_old(self);
}

TEST_F_TIMEOUT(fail, register_where_a_refused_region_is, SECONDS)
{
	const struct attempt t = {
		refuse_and_register, register_old, unregister_old,
		old_can_still_go,
	};

	fail_each(_metadata, self, &t);
}

static int register_again(struct _test_data_fail *self)
{
	unregister_old(self);
	return register_old(self);
}

static bool old_is_registered(struct _test_data_fail *self)
{
	return !unregister_old(self);
}

TEST_F_TIMEOUT(fail, unregister, SECONDS)
{
	const struct attempt t = {
		register_again, unregister_old, NULL, old_is_registered,
	};

	fail_each(_metadata, self, &t);
}

/* ------------------------------------------------------------------ */
/* SET_CONTAINER and SET_IOMMU */

static int leave(struct _test_data_fail *self)
{
	return __spapr_ioctl(self->s.group[0], VFIO_GROUP_UNSET_CONTAINER,
			     NULL);
}

static int join(struct _test_data_fail *self)
{
	return __spapr_ioctl(self->s.group[0], VFIO_GROUP_SET_CONTAINER,
			     &self->s.fd);
}

static int set_iommu(struct _test_data_fail *self)
{
	return __spapr_ioctl(self->s.fd, VFIO_SET_IOMMU, (void *)V2);
}

static int leave_and_join(struct _test_data_fail *self)
{
	int ret = leave(self);

	return ret ? : join(self);
}

/* A group that failed to join can try again; as can one that has joined. */
static int leave_if_there(struct _test_data_fail *self)
{
	int ret = leave(self);

	return ret == -EINVAL ? 0 : ret;
}

TEST_F_TIMEOUT(fail, set_container, SECONDS)
{
	const struct attempt t = { leave_if_there, join, NULL, NULL };

	fail_each(_metadata, self, &t);
	EXPECT_EQ(0, set_iommu(self));
	EXPECT_EQ(0, register_old(self));
	EXPECT_EQ(0, map_old(self));
}

TEST_F_TIMEOUT(fail, set_iommu, SECONDS)
{
	const struct attempt t = { leave_and_join, set_iommu, NULL, NULL };

	fail_each(_metadata, self, &t);
	EXPECT_EQ(0, register_old(self));
	EXPECT_EQ(0, map_old(self));
}

static int second_joins(struct _test_data_fail *self)
{
	return __spapr_ioctl(self->s.group[1], VFIO_GROUP_SET_CONTAINER,
			     &self->s.fd);
}

static int second_leaves(struct _test_data_fail *self)
{
	return __spapr_ioctl(self->s.group[1], VFIO_GROUP_UNSET_CONTAINER,
			     NULL);
}

static bool first_is_as_before(struct _test_data_fail *self)
{
	return !map_old(self) && unregister_old(self) == -EBUSY;
}

TEST_F_TIMEOUT(fail, set_container_of_a_second_group, SECONDS)
{
	const struct attempt t = {
		NULL, second_joins, second_leaves, first_is_as_before,
	};

	NEED_DEVICES(return, 2);
	SPARE_DEVICE_TREE(return);
	spapr_register(self->s.fd, self->old, MANY);
	ASSERT_EQ(0, map_old(self));
	self->s.group[1] = spapr_group_fd(1);
	ASSERT_LE(0, self->s.group[1]);
	fail_each(_metadata, self, &t);
}

/* ------------------------------------------------------------------ */
/* Windows */

static int no_window(struct _test_data_fail *self)
{
	int ret = begin_again(self);

	return ret ? : __spapr_remove(self->s.fd, self->start);
}

static int create(struct _test_data_fail *self)
{
	return __spapr_create(self->s.fd, 12, GIB, 1, &self->created);
}

static int create_large(struct _test_data_fail *self)
{
	return __spapr_create_rising(self->s.fd, iommu_shift(&self->info),
				     1ULL << 40, self->info.ddw.levels,
				     &self->created);
}

static int remove_created(struct _test_data_fail *self)
{
	return __spapr_remove(self->s.fd, self->created);
}

static bool create_can_be_repeated(struct _test_data_fail *self)
{
	return !create(self) && !remove_created(self);
}

TEST_F_TIMEOUT(fail, create_a_window, SECONDS)
{
	const struct attempt t = {
		no_window, create, remove_created, create_can_be_repeated,
	};

	SPARE_DEVICE_TREE(return);
	fail_each(_metadata, self, &t);
}

/* Each number of levels fails before the next one is tried. */
TEST_F_TIMEOUT(fail, create_a_large_window, SECONDS)
{
	const struct attempt t = {
		no_window, create_large, remove_created, create_can_be_repeated,
	};

	SPARE_DEVICE_TREE(return);
	fail_each(_metadata, self, &t);
}

static int create_second(struct _test_data_fail *self)
{
	return __spapr_create(self->s.fd, iommu_shift(&self->info), GIB, 1,
			      &self->created);
}

/* The default one is created first, and reverted when the second one fails. */
TEST_F_TIMEOUT(fail, create_a_window_beside_the_default_one, SECONDS)
{
	const struct attempt t = {
		begin_again, create_second, remove_created, NULL,
	};

	if (self->info.ddw.max_dynamic_windows_supported < 2)
		SKIP(return, "needs a machine with two windows");
	SPARE_DEVICE_TREE(return);
	fail_each(_metadata, self, &t);
}

static int remove_default(struct _test_data_fail *self)
{
	return __spapr_remove(self->s.fd, self->start);
}

TEST_F_TIMEOUT(fail, remove_a_window_with_mappings, SECONDS)
{
	const struct attempt t = {
		register_and_map, remove_default, NULL, NULL,
	};

	fail_each(_metadata, self, &t);
}

/* The default window is created, and then memory for the map may be short. */
TEST_F_TIMEOUT(fail, map_that_makes_the_default_window, SECONDS)
{
	const struct attempt t = { begin_again, map_old, unmap, NULL };

	SPARE_DEVICE_TREE(return);
	fail_each(_metadata, self, &t);
}

TEST_HARNESS_MAIN
