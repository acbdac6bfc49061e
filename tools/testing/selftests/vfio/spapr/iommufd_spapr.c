// SPDX-License-Identifier: GPL-2.0-only
/*
 * POWER devices under iommufd: both DMA windows, attach, replace and detach,
 * two devices, type1 compatibility, and coexistence with the sPAPR container.
 *
 * QEMU's edu device shows which memory it can reach: transfers to unmapped
 * addresses complete without an error and change nothing.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "libiommufd.h"
#include "spapr_test.h"

#define LEN		EDU_DMA_MAX
#define CHUNKS		8

FIXTURE(iommufd)
{
	int fd;
	__u32 ioas;
	struct device dev[2];
	char *mem;
};

#define MEM(n)	(self->mem + (n) * CHUNK)

FIXTURE_SETUP(iommufd)
{
	unsigned int i;

	NEED_DEVICES(return, 2);
	self->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	for (i = 0; i < 2; i++)
		self->dev[i].edu.fd = -1;
	ASSERT_EQ(0, open_device(&self->dev[0], spapr_bdf(0), self->fd));
	self->mem = spapr_mem(CHUNKS * CHUNK);
	ASSERT_NE(NULL, self->mem);
}

FIXTURE_TEARDOWN(iommufd)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (self->dev[i].edu.fd >= 0)
			edu_close(&self->dev[i].edu);
	close(self->fd);
}

/* Each of the tests resets devices, which takes seconds. */
TEST_F(iommufd, the_windows_are_the_iova_ranges)
{
	struct iommu_iova_range range[4];
	struct iommu_ioas_iova_ranges ranges = {
		.size = sizeof(ranges),
		.ioas_id = self->ioas,
		.num_iovas = 4,
		.allowed_iovas = (__u64)range,
	};
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_READABLE,
		.ioas_id = self->ioas,
		.user_va = (__u64)self->mem,
		.length = CHUNK,
	};

	ASSERT_EQ(0, attach(&self->dev[0], self->ioas));
	ASSERT_EQ(0, __spapr_ioctl(self->fd, IOMMU_IOAS_IOVA_RANGES, &ranges));
	ASSERT_EQ(2U, ranges.num_iovas);
	EXPECT_EQ(0ULL, range[0].start);
	EXPECT_GE(range[0].last, GIB - 1);
	EXPECT_LT(range[0].last, 4 * GIB);
	EXPECT_EQ(WINDOW64, range[1].start);
	EXPECT_GE(range[1].last, WINDOW64 + 4 * GIB - 1);
	EXPECT_EQ(spapr_page_size(), ranges.out_iova_alignment);
	TH_LOG("windows up to 0x%lx, 0x%lx", (unsigned long)range[0].last,
	       (unsigned long)range[1].last);

	/* between them, across an end, and the last page of each */
	EXPECT_ERRNO(EINVAL, ioas_map(self->fd, self->ioas, 4 * GIB, MEM(0),
				      CHUNK));
	EXPECT_ERRNO(EINVAL, ioas_map(self->fd, self->ioas,
				      range[0].last + 1 - CHUNK, MEM(0),
				      2 * CHUNK));
	EXPECT_ERRNO(EINVAL, ioas_map(self->fd, self->ioas,
				      range[1].last + 1 - CHUNK, MEM(0),
				      2 * CHUNK));
	EXPECT_EQ(0, ioas_map(self->fd, self->ioas, range[0].last + 1 - CHUNK,
			      MEM(0), CHUNK));
	EXPECT_EQ(0, ioas_map(self->fd, self->ioas, range[1].last + 1 - CHUNK,
			      MEM(1), CHUNK));
	fill(MEM(0), LEN, 1);
	EXPECT_COPIED(&self->dev[0], range[1].last + 1 - CHUNK,
		      range[0].last + 1 - CHUNK, MEM(1), 1);

	/* at an address that the kernel chooses */
	ASSERT_EQ(0, __spapr_ioctl(self->fd, IOMMU_IOAS_MAP, &map));
	EXPECT_LE(map.iova, range[0].last);
}

TEST_F(iommufd, the_device_reaches_what_is_mapped_and_nothing_else)
{
	struct device *dev = &self->dev[0];

	/* mapped before there is a domain */
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, LOW, MEM(0), 2 * CHUNK));
	ASSERT_EQ(0, attach(dev, self->ioas));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, HIGH, MEM(2), 2 * CHUNK));

	fill(MEM(0), LEN, 1);
	EXPECT_COPIED(dev, LOW + CHUNK, LOW, MEM(1), 1);
	EXPECT_COPIED(dev, HIGH, LOW, MEM(2), 1);
	fill(MEM(3), LEN, 2);
	EXPECT_COPIED(dev, LOW, HIGH + CHUNK, MEM(0), 2);

	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, HIGH, 2 * CHUNK));
	EXPECT_NOT_WRITTEN(dev, HIGH, MEM(2));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, LOW, 2 * CHUNK));
	EXPECT_NOT_WRITTEN(dev, LOW, MEM(0));
	EXPECT_ERRNO(ENOENT, ioas_unmap(self->fd, self->ioas, LOW, CHUNK));
}

/* Pages of an area that are not contiguous are mapped one by one. */
TEST_F(iommufd, each_page_leads_to_the_page_it_was_given)
{
	struct device *dev = &self->dev[0];
	unsigned int i;

	ASSERT_EQ(0, attach(dev, self->ioas));
	for (i = 0; i < CHUNKS; i++)
		ASSERT_EQ(0, ioas_map(self->fd, self->ioas,
				      HIGH + (CHUNKS - 1 - i) * CHUNK, MEM(i),
				      CHUNK));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, LOW, MEM(0),
			      CHUNKS * CHUNK));
	for (i = 0; i < CHUNKS; i += 2) {
		fill(MEM(i), LEN, i);
		fill(MEM(i + 1), LEN, 77);
		EXPECT_COPIED(dev, LOW + (i + 1) * CHUNK,
			      HIGH + (CHUNKS - 1 - i) * CHUNK, MEM(i + 1), i);
	}
}

TEST_F(iommufd, a_detached_device_is_blocked)
{
	struct device *dev = &self->dev[0];
	__u32 hwpt;

	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, LOW, MEM(0), CHUNK));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, HIGH, MEM(1), CHUNK));
	EXPECT_NOT_WRITTEN(dev, LOW, MEM(0));

	/*
	 * a domain outlives the attachment of the device, and keeps its
	 * mappings
	 */
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev->id, self->ioas, &hwpt));
	EXPECT_NOT_WRITTEN(dev, LOW, MEM(0));
	ASSERT_EQ(0, attach(dev, hwpt));
	fill(MEM(0), LEN, 1);
	EXPECT_COPIED(dev, HIGH, LOW, MEM(1), 1);

	ASSERT_EQ(0, detach(dev));
	EXPECT_NOT_WRITTEN(dev, LOW, MEM(0));
	EXPECT_NOT_WRITTEN(dev, HIGH, MEM(1));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, LOW, CHUNK));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, LOW, MEM(2), CHUNK));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, HIGH + CHUNK, MEM(3),
			      CHUNK));

	ASSERT_EQ(0, attach(dev, hwpt));
	fill(MEM(2), LEN, 3);
	EXPECT_COPIED(dev, HIGH, LOW, MEM(1), 3);
	EXPECT_COPIED(dev, HIGH + CHUNK, LOW, MEM(3), 3);
	EXPECT_TRUE(is_filled(MEM(0), LEN, 99));
	ASSERT_EQ(0, detach(dev));
	EXPECT_EQ(0, iommufd_destroy(self->fd, hwpt));
}

TEST_F(iommufd, an_address_space_is_replaced_by_another)
{
	struct device *dev = &self->dev[0];
	__u32 other;
	int i;

	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, LOW, MEM(0), CHUNK));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, HIGH, MEM(1), CHUNK));
	ASSERT_EQ(0, ioas_map(self->fd, other, LOW, MEM(2), CHUNK));
	ASSERT_EQ(0, ioas_map(self->fd, other, HIGH, MEM(3), CHUNK));
	for (i = 0; i < 4; i++)
		fill(MEM(i), LEN, 10 + i);

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, attach(dev, self->ioas));
		fill(MEM(1), LEN, 11);
		EXPECT_COPIED(dev, HIGH, LOW, MEM(1), 10);
		ASSERT_EQ(0, attach(dev, other));
		fill(MEM(1), LEN, 11);
		EXPECT_COPIED(dev, HIGH, LOW, MEM(3), 12);
		EXPECT_TRUE(is_filled(MEM(1), LEN, 11));
		fill(MEM(3), LEN, 13);
	}
	ASSERT_EQ(0, detach(dev));
	EXPECT_NOT_WRITTEN(dev, LOW, MEM(2));
}

TEST_F(iommufd, two_devices_have_one_address_space)
{
	struct device *one = &self->dev[0], *two = &self->dev[1];

	ASSERT_EQ(0, open_device(two, spapr_bdf(1), self->fd));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, LOW, MEM(0), CHUNK));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, HIGH, MEM(1), CHUNK));
	ASSERT_EQ(0, attach(one, self->ioas));
	EXPECT_NOT_WRITTEN(two, LOW, MEM(0));

	/* mapped before the second device was attached, and after */
	ASSERT_EQ(0, attach(two, self->ioas));
	fill(MEM(0), LEN, 1);
	EXPECT_COPIED(two, HIGH, LOW, MEM(1), 1);
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, HIGH + CHUNK, MEM(2),
			      CHUNK));
	EXPECT_COPIED(one, HIGH + CHUNK, LOW, MEM(2), 1);
	fill(MEM(0), LEN, 2);
	EXPECT_COPIED(two, HIGH + CHUNK, LOW, MEM(2), 2);

	/* detach one, the other stays; an unmap applies to both */
	ASSERT_EQ(0, detach(one));
	EXPECT_NOT_WRITTEN(one, HIGH, MEM(1));
	EXPECT_COPIED(two, HIGH, LOW, MEM(1), 2);
	ASSERT_EQ(0, attach(one, self->ioas));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, HIGH, CHUNK));
	EXPECT_NOT_WRITTEN(one, HIGH, MEM(1));
	EXPECT_NOT_WRITTEN(two, HIGH, MEM(1));
	EXPECT_COPIED(one, HIGH + CHUNK, LOW, MEM(2), 2);
}

/* A group has one owner: iommufd or the sPAPR container. */
TEST_F(iommufd, the_container_cannot_have_the_group_too)
{
	struct spapr s;
	__u32 id;
	int fd;

	EXPECT_ERRNO(EBUSY, spapr_group_fd(0));
	ASSERT_EQ(0, attach(&self->dev[0], self->ioas));
	EXPECT_ERRNO(EBUSY, spapr_group_fd(0));
	edu_close(&self->dev[0].edu);

	spapr_open(&s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	fd = open_cdev(spapr_bdf(0));
	ASSERT_GE(fd, 0);
	EXPECT_ERRNO(EBUSY, bind_fd(fd, self->fd, &id));
	spapr_close(&s);
	EXPECT_EQ(0, bind_fd(fd, self->fd, &id));
	close(fd);
}

/* Windows are not leaked. */
TEST_F(iommufd, attach_and_detach_can_go_on_for_ever)
{
	struct device *dev = &self->dev[0];
	__u32 other;
	int i;

	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, HIGH, MEM(0), CHUNK));
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, attach(dev, self->ioas));
		if (i % 2)
			ASSERT_EQ(0, attach(dev, other));
		if (i % 3)
			ASSERT_EQ(0, detach(dev));
	}
	ASSERT_EQ(0, attach(dev, self->ioas));
	fill(MEM(0), LEN, 1);
	EXPECT_COPIED(dev, HIGH + LEN, HIGH, MEM(0) + LEN, 1);
}

/* Runs in a child until it is killed. */
static void map_and_wait(int sync)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	char *mem = spapr_mem(2 * CHUNK);
	struct device dev;
	__u32 ioas;
	bool good;

	good = fd >= 0 && mem && !ioas_alloc(fd, &ioas) &&
	       !open_device(&dev, spapr_bdf(0), fd) && !attach(&dev, ioas) &&
	       !ioas_map(fd, ioas, LOW, mem, CHUNK) &&
	       !ioas_map(fd, ioas, HIGH, mem + CHUNK, CHUNK);
	if (write(sync, &good, sizeof(good)) == sizeof(good))
		pause();
	_exit(1);
}

TEST_F(iommufd, a_killed_program_gives_all_back)
{
	bool good = false;
	struct spapr s;
	int sync[2];
	long pins;
	pid_t pid;

	edu_close(&self->dev[0].edu);
	pins = spapr_pins();
	ASSERT_EQ(0, pipe(sync));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		map_and_wait(sync[1]);
	ASSERT_EQ((ssize_t)sizeof(good), read(sync[0], &good, sizeof(good)));
	EXPECT_TRUE(good);
	EXPECT_LT(pins, spapr_pins());
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));

	EXPECT_EQ(pins, spapr_pins_settle(pins));
	spapr_open(&s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_close(&s);
	ASSERT_EQ(0, open_device(&self->dev[0], spapr_bdf(0), self->fd));
}

/* If memory cannot be pinned, no part of it is mapped. */
TEST_F(iommufd, a_map_that_fails_changes_nothing)
{
	struct device *dev = &self->dev[0];
	long pins;

	ASSERT_EQ(0, attach(dev, self->ioas));
	pins = spapr_pins();
	ASSERT_EQ(0, munmap(MEM(CHUNKS - 1), CHUNK));
	EXPECT_ERRNO(EFAULT, ioas_map(self->fd, self->ioas, HIGH, MEM(0),
				      CHUNKS * CHUNK));
	EXPECT_EQ(pins, spapr_pins_settle(pins));
	EXPECT_NOT_WRITTEN(dev, HIGH, MEM(0));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, HIGH, MEM(0), CHUNK));
	EXPECT_ERRNO(EEXIST, ioas_map(self->fd, self->ioas, HIGH, MEM(1),
				      CHUNK));
	fill(MEM(0), LEN, 1);
	EXPECT_COPIED(dev, HIGH + LEN, HIGH, MEM(0) + LEN, 1);
}

static int type1_map(int fd, __u64 iova, const void *va, __u64 size)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = SPAPR_RW,
		.vaddr = (__u64)va,
		.iova = iova,
		.size = size,
	};

	return __spapr_ioctl(fd, VFIO_IOMMU_MAP_DMA, &map);
}

static int type1_unmap(int fd, __u64 iova, __u64 size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = iova,
		.size = size,
	};
	int ret = __spapr_ioctl(fd, VFIO_IOMMU_UNMAP_DMA, &unmap);

	return ret ? : unmap.size == size ? 0 : -ERANGE;
}

/* For a program that only knows type1, /dev/iommu replaces /dev/vfio/vfio. */
TEST_F(iommufd, a_type1_program_runs)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	int container = open("/dev/iommu", O_RDWR | O_CLOEXEC), group;
	struct device dev;

	edu_close(&self->dev[0].edu);
	ASSERT_GE(container, 0);
	group = spapr_group_fd(0);
	ASSERT_GE(group, 0);
	EXPECT_EQ(VFIO_API_VERSION,
		  __spapr_ioctl(container, VFIO_GET_API_VERSION, NULL));
	EXPECT_EQ(1, __spapr_ioctl(container, VFIO_CHECK_EXTENSION,
				   (void *)VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, __spapr_ioctl(container, VFIO_CHECK_EXTENSION,
				   (void *)VFIO_SPAPR_TCE_v2_IOMMU));
	ASSERT_EQ(0,
		  __spapr_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	ASSERT_EQ(0, __spapr_ioctl(container, VFIO_SET_IOMMU,
				   (void *)VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, __spapr_ioctl(container, VFIO_IOMMU_GET_INFO, &info));
	EXPECT_TRUE(!!(info.iova_pgsizes & spapr_page_size()));
	ASSERT_EQ(0, edu_open(&dev.edu, group, spapr_bdf(0)));

	ASSERT_EQ(0, type1_map(container, LOW, MEM(0), CHUNK));
	ASSERT_EQ(0, type1_map(container, HIGH, MEM(1), CHUNK));
	EXPECT_ERRNO(EINVAL, type1_map(container, 8 * GIB, MEM(2), CHUNK));
	fill(MEM(0), LEN, 1);
	EXPECT_COPIED(&dev, HIGH, LOW, MEM(1), 1);
	ASSERT_EQ(0, type1_unmap(container, HIGH, CHUNK));
	EXPECT_NOT_WRITTEN(&dev, HIGH, MEM(1));
	edu_close(&dev.edu);
	close(group);
	close(container);
}

TEST_HARNESS_MAIN
