// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation of each call that reaches a paging domain fails in turn,
 * until the call makes so few that it succeeds. A call that fails for lack of
 * memory must not change anything: locked and pinned memory, and what devices
 * read; and it can be repeated.
 *
 * A call may succeed despite a failed allocation if it has a fallback. It is
 * then undone, and the next allocation fails.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "failnth.h"
#include "libiommufd.h"
#include "spapr_test.h"

#define LEN		256UL
#define DEVICES		2
#define PAGES		24	/* not in order, so each is a run of its own */
#define OLD		1
#define NEW		2

/*
 * @ioas is the address space of the devices at the start of a call, and @other
 * the one that replaces it. Both have a result area at LOW.
 */
FIXTURE(fail)
{
	int fd;
	__u32 ioas;
	__u32 other;
	__u32 hwpt;
	struct device dev[DEVICES];
	struct spapr_account base;
	size_t page;
	char *result;
	char *old;
	char *new;
	int cdev;
};

#define AREA_LOW	(LOW + CHUNK)
#define AREA_SIZE	(PAGES * self->page)

/* Charge the process, as containers do, and not the user. */
static int charge_process(int fd)
{
	struct iommu_option arg = {
		.size = sizeof(arg),
		.option_id = IOMMU_OPTION_RLIMIT_MODE,
		.op = IOMMU_OPTION_OP_SET,
		.val64 = 1,
	};

	return __spapr_ioctl(fd, IOMMU_OPTION, &arg);
}

/* Memory whose pages were faulted in backwards. */
static char *scattered(struct _test_data_fail *self, unsigned int seed)
{
	char *mem = spapr_mem(AREA_SIZE);
	int i;

	for (i = PAGES - 1; mem && i >= 0; i--)
		fill(mem + i * self->page, LEN, seed);
	return mem;
}

FIXTURE_SETUP(fail)
{
	unsigned int i;

	self->fd = -1;
	self->cdev = -1;
	for (i = 0; i < DEVICES; i++)
		self->dev[i].edu = (struct edu){ .fd = -1, .bar = MAP_FAILED };
	NEED_DEVICES(return, DEVICES);
	NEED_INJECTION(return);
	SPARE_DEVICE_TREE(return);
	self->page = spapr_page_size();
	self->old = scattered(self, OLD);
	self->new = scattered(self, NEW);
	self->result = spapr_mem(CHUNK);
	ASSERT_TRUE(self->old && self->new && self->result);
	memset(self->result, 1, CHUNK);
	spapr_account(&self->base);
	self->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, charge_process(self->fd));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->other));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, LOW, self->result, CHUNK));
	ASSERT_EQ(0, ioas_map(self->fd, self->other, LOW, self->result, CHUNK));
	for (i = 0; i < DEVICES; i++)
		ASSERT_EQ(0,
			  open_device(&self->dev[i], spapr_bdf(i), self->fd));
}

FIXTURE_TEARDOWN(fail)
{
	unsigned int i;

	for (i = 0; i < DEVICES; i++)
		edu_close(&self->dev[i].edu);
	if (self->fd >= 0)
		close(self->fd);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* ------------------------------------------------------------------ */
/* Calls and what they must not change */

/* Whether a device reads memory with this pattern at an address. */
static bool device_reads(struct _test_data_fail *self, unsigned int d,
			 __u64 iova, unsigned int seed)
{
	struct edu *edu = &self->dev[d].edu;

	memset(self->result, 0, LEN);
	return !edu_dma_to_device(edu, iova, 0, LEN) &&
	       !edu_dma_from_device(edu, LOW, 0, LEN) &&
	       is_filled(self->result, LEN, seed);
}

/* Whether a device of no address space cannot write. */
static bool device_is_blocked(struct _test_data_fail *self, unsigned int d)
{
	fill(self->result, LEN, 99);
	return !edu_dma_from_device(&self->dev[d].edu, LOW, 0, LEN) &&
	       is_filled(self->result, LEN, 99);
}

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
	struct spapr_account before;
	bool reached;

	if (t->prepare)
		ASSERT_EQ(0, t->prepare(self));
	spapr_account(&before);
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
	EXPECT_EQ(-ENOMEM, *ret);
	EXPECT_ACCOUNT(&before, 0, 0);
	EXPECT_TRUE(!t->as_before || t->as_before(self));
	/* the next one works */
	ASSERT_EQ(0, t->call(self));
	ASSERT_EQ(0, t->undo ? t->undo(self) : 0);
	return true;
}

/* Fails each allocation in turn; stops after an error. */
static void fail_each(struct __test_metadata *_metadata,
		      struct _test_data_fail *self, const struct attempt *t)
{
	unsigned int nth, refused = 0;
	bool reached = true;
	int ret = 0;

	for (nth = 1; reached && nth < FAILNTH_LIMIT; nth++) {
		reached = fail_one(_metadata, self, t, nth, &ret);
		refused += !!ret;
		if (_metadata->exit_code) {
			TH_LOG("with allocation %u failing: %d", nth, ret);
			return;
		}
	}
	EXPECT_FALSE(reached);
	TH_LOG("%u allocations failed in turn, %u calls with them", nth - 2,
	       refused);
}

/* ------------------------------------------------------------------ */
/* Address spaces and domains */

static int alloc_ioas(struct _test_data_fail *self)
{
	return ioas_alloc(self->fd, &self->hwpt);
}

static int destroy_it(struct _test_data_fail *self)
{
	return iommufd_destroy(self->fd, self->hwpt);
}

TEST_F(fail, ioas_alloc)
{
	const struct attempt t = { NULL, alloc_ioas, destroy_it, NULL };

	fail_each(_metadata, self, &t);
}

static int map_both(struct _test_data_fail *self, __u32 ioas, char *mem)
{
	int ret = ioas_map(self->fd, ioas, AREA_LOW, mem, AREA_SIZE);

	return ret ? : ioas_map(self->fd, ioas, HIGH, mem, AREA_SIZE);
}

static int alloc_hwpt(struct _test_data_fail *self)
{
	return hwpt_alloc(self->fd, self->dev[0].id, self->ioas, &self->hwpt);
}

/* It is filled with what the address space has. */
TEST_F(fail, hwpt_alloc)
{
	const struct attempt t = { NULL, alloc_hwpt, destroy_it, NULL };

	ASSERT_EQ(0, map_both(self, self->ioas, self->old));
	fail_each(_metadata, self, &t);
}

/* ------------------------------------------------------------------ */
/* MAP and UNMAP */

static int attach_both(struct _test_data_fail *self)
{
	int ret = attach(&self->dev[0], self->ioas);

	return ret ? : attach(&self->dev[1], self->ioas);
}

static int detach_both(struct _test_data_fail *self)
{
	int ret = detach(&self->dev[0]);

	return ret ? : detach(&self->dev[1]);
}

static int map_low(struct _test_data_fail *self)
{
	return ioas_map(self->fd, self->ioas, AREA_LOW, self->new, AREA_SIZE);
}

static int unmap_low(struct _test_data_fail *self)
{
	return ioas_unmap(self->fd, self->ioas, AREA_LOW, AREA_SIZE);
}

static int map_high(struct _test_data_fail *self)
{
	return ioas_map(self->fd, self->ioas, HIGH, self->new, AREA_SIZE);
}

static int unmap_high(struct _test_data_fail *self)
{
	return ioas_unmap(self->fd, self->ioas, HIGH, AREA_SIZE);
}

static bool reads_new_at(struct _test_data_fail *self, __u64 iova)
{
	__u64 last = iova + AREA_SIZE - self->page;
	unsigned int i;

	for (i = 0; i < DEVICES; i++)
		if (device_reads(self, i, iova, NEW) ||
		    device_reads(self, i, last, NEW))
			return true;
	return false;
}

static bool low_is_unmapped(struct _test_data_fail *self)
{
	return !reads_new_at(self, AREA_LOW);
}

static bool high_is_unmapped(struct _test_data_fail *self)
{
	return !reads_new_at(self, HIGH);
}

TEST_F(fail, map)
{
	const struct attempt t = { NULL, map_low, unmap_low, low_is_unmapped };

	ASSERT_EQ(0, attach_both(self));
	fail_each(_metadata, self, &t);
}

/* One is full when the other one fails. */
TEST_F(fail, map_in_two_domains)
{
	const struct attempt t = { NULL, map_high, unmap_high,
				   high_is_unmapped };
	__u32 hwpt;

	ASSERT_EQ(0, attach_both(self));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev[1].id, self->ioas, &hwpt));
	ASSERT_EQ(0, attach(&self->dev[1], hwpt));
	fail_each(_metadata, self, &t);
}

static int attach_again(struct _test_data_fail *self)
{
	int ret = detach_both(self);

	return ret ? : attach_both(self);
}

/* The window is made in both groups. */
TEST_F(fail, map_that_opens_the_64_bit_window)
{
	const struct attempt t = {
		attach_again, map_high, unmap_high, high_is_unmapped,
	};

	fail_each(_metadata, self, &t);
}

static int map_again(struct _test_data_fail *self)
{
	unmap_high(self);
	return map_high(self);
}

static bool high_is_mapped(struct _test_data_fail *self)
{
	return device_reads(self, 0, HIGH, NEW) &&
	       device_reads(self, 1, HIGH, NEW);
}

/* It does not fail: memory is needed to be fast only. */
TEST_F(fail, unmap)
{
	const struct attempt t = { map_again, unmap_high, NULL,
				   high_is_mapped };

	ASSERT_EQ(0, attach_both(self));
	fail_each(_metadata, self, &t);
	EXPECT_TRUE(high_is_unmapped(self));
}

/* ------------------------------------------------------------------ */
/* BIND, ATTACH, REPLACE, DETACH */

static int bind_again(struct _test_data_fail *self)
{
	return bind_fd(self->cdev, self->fd, &self->dev[0].id);
}

static int open_again(struct _test_data_fail *self)
{
	if (self->cdev >= 0)
		return 0;
	self->cdev = open_cdev(spapr_bdf(0));
	return self->cdev < 0 ? self->cdev : 0;
}

static int close_again(struct _test_data_fail *self)
{
	int ret = close(self->cdev);

	self->cdev = -1;
	return ret;
}

/* The group is taken from the kernel, and returned. */
TEST_F(fail, bind)
{
	const struct attempt t = { open_again, bind_again, close_again, NULL };

	edu_close(&self->dev[0].edu);
	fail_each(_metadata, self, &t);
	ASSERT_EQ(0, open_device(&self->dev[0], spapr_bdf(0), self->fd));
	ASSERT_EQ(0, map_both(self, self->ioas, self->old));
	ASSERT_EQ(0, attach(&self->dev[0], self->ioas));
	EXPECT_TRUE(device_reads(self, 0, HIGH, OLD));
}

static int attach_one(struct _test_data_fail *self)
{
	return attach(&self->dev[0], self->ioas);
}

static int detach_one(struct _test_data_fail *self)
{
	return detach(&self->dev[0]);
}

static int reads_old_and_detach(struct _test_data_fail *self)
{
	if (!device_reads(self, 0, AREA_LOW, OLD) ||
	    !device_reads(self, 0, HIGH, OLD))
		return -EBADE;
	return detach_one(self);
}

static bool one_is_blocked(struct _test_data_fail *self)
{
	return device_is_blocked(self, 0);
}

/* Makes a domain and fills it. */
TEST_F(fail, attach)
{
	const struct attempt t = {
		NULL, attach_one, reads_old_and_detach, one_is_blocked,
	};

	ASSERT_EQ(0, map_both(self, self->ioas, self->old));
	fail_each(_metadata, self, &t);
}

static bool one_is_blocked_and_two_is_not(struct _test_data_fail *self)
{
	return one_is_blocked(self) && device_reads(self, 1, HIGH, OLD);
}

/* Both windows are there, and full. */
TEST_F(fail, attach_to_the_domain_of_another)
{
	const struct attempt t = {
		NULL, attach_one, reads_old_and_detach,
		one_is_blocked_and_two_is_not,
	};

	ASSERT_EQ(0, attach(&self->dev[1], self->ioas));
	ASSERT_EQ(0, map_both(self, self->ioas, self->old));
	fail_each(_metadata, self, &t);
}

static int replace(struct _test_data_fail *self)
{
	return attach(&self->dev[0], self->other);
}

static int reads_new_and_go_back(struct _test_data_fail *self)
{
	if (!device_reads(self, 0, AREA_LOW, NEW) ||
	    !device_reads(self, 0, HIGH, NEW))
		return -EBADE;
	return attach_one(self);
}

static bool old_is_there(struct _test_data_fail *self)
{
	return device_reads(self, 0, AREA_LOW, OLD) &&
	       device_reads(self, 0, HIGH, OLD);
}

TEST_F(fail, replace)
{
	const struct attempt t = {
		NULL, replace, reads_new_and_go_back, old_is_there,
	};

	ASSERT_EQ(0, map_both(self, self->ioas, self->old));
	ASSERT_EQ(0, map_both(self, self->other, self->new));
	ASSERT_EQ(0, attach_one(self));
	fail_each(_metadata, self, &t);
}

static int is_blocked(struct _test_data_fail *self)
{
	return one_is_blocked(self) ? 0 : -EBADE;
}

/* It cannot fail. */
TEST_F(fail, detach)
{
	const struct attempt t = { attach_one, detach_one, is_blocked, NULL };

	ASSERT_EQ(0, map_both(self, self->ioas, self->old));
	fail_each(_metadata, self, &t);
}

TEST_HARNESS_MAIN
