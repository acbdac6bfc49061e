// SPDX-License-Identifier: GPL-2.0-only
/*
 * Call sequences of users of the interface: a machine emulator (memory first,
 * then windows as requested by its guest) and a packet framework (one window
 * first, then memory and mappings in step).
 */
#include <sys/mman.h>

#include "spapr_test.h"

#define SECTIONS	3
#define SEGMENTS	64

FIXTURE(order)
{
	struct spapr s;
	struct spapr_account base;
	struct vfio_iommu_spapr_tce_info info;
	__u32 shift;
	size_t size;
	char *mem;
};

/* Opens the group, checks its status, queries extensions, then attaches it. */
FIXTURE_SETUP(order)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };

	NEED_DEVICES(return, 1);
	self->size = 16 * spapr_page_size();
	self->mem = spapr_mem(SEGMENTS * self->size);
	ASSERT_NE(NULL, self->mem);
	spapr_account(&self->base);
	spapr_open(&self->s, VFIO_SPAPR_TCE_v2_IOMMU, 0);
	self->s.group[0] = spapr_group_fd(0);
	ASSERT_LE(0, self->s.group[0]);
	ASSERT_EQ(0, __spapr_ioctl(self->s.group[0], VFIO_GROUP_GET_STATUS,
				   &status));
	ASSERT_EQ((__u32)VFIO_GROUP_FLAGS_VIABLE, status.flags);
	ASSERT_EQ(VFIO_API_VERSION, __spapr_ioctl(self->s.fd,
						  VFIO_GET_API_VERSION, NULL));
	ASSERT_EQ(1, __spapr_ioctl(self->s.fd, VFIO_CHECK_EXTENSION,
				   (void *)VFIO_SPAPR_TCE_v2_IOMMU));
	ASSERT_EQ(0, __spapr_ioctl(self->s.group[0], VFIO_GROUP_SET_CONTAINER,
				   &self->s.fd));
	ASSERT_EQ(0, __spapr_ioctl(self->s.fd, VFIO_SET_IOMMU,
				   (void *)VFIO_SPAPR_TCE_v2_IOMMU));
}

FIXTURE_TEARDOWN(order)
{
	spapr_close(&self->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* Number of levels that the emulator tries first, by the host page size. */
static __u32 first_levels(__u32 shift, __u64 size)
{
	__u32 bits = __builtin_ctzll(size >> shift) + 3;
	__u32 per_level = spapr_page_shift() + 8;

	return (bits + per_level - 1) / per_level;
}

static int emulator_window(int fd, __u32 shift, __u64 size,
			   __u64 *start)
{
	__u32 levels = first_levels(shift, size);
	__u32 max = (64 - shift) / spapr_page_shift();
	int ret = -EINVAL;

	for (; ret && levels <= max; levels++)
		ret = __spapr_create(fd, shift, size, levels, start);
	return ret;
}

TEST_F(order, of_a_machine_emulator)
{
	__u64 start = ~0ULL, second = ~0ULL, at;
	int fd = self->s.fd, i;

	for (i = 0; i < SECTIONS; i++)
		spapr_register(fd, self->mem + i * self->size, self->size);
	spapr_info(fd, &self->info);
	at = self->info.dma32_window_start;
	spapr_remove(fd, at);
	ASSERT_EQ(0, emulator_window(fd, 12, GIB, &start));
	ASSERT_EQ(at, start);
	for (i = 0; i < 16; i++) {
		spapr_map(fd, start + i * IOMMU_PAGE,
			  self->mem + i * IOMMU_PAGE, IOMMU_PAGE, SPAPR_RW);
	}
	self->shift = iommu_shift(&self->info);
	ASSERT_EQ(0, emulator_window(fd, self->shift, GIB, &second));
	ASSERT_EQ(1ULL << 59, second);
	for (i = 0; i < SECTIONS; i++) {
		spapr_map(fd, second + i * self->size,
			  self->mem + i * self->size, self->size, SPAPR_RW);
	}
	spapr_unmap(fd, start, GIB);
	spapr_remove(fd, start);
	spapr_unmap(fd, second, GIB);
	spapr_remove(fd, second);
	for (i = 0; i < SECTIONS; i++)
		spapr_unregister(fd, self->mem + i * self->size, self->size);
	EXPECT_ACCOUNT(&self->base, 0, 0);
	spapr_detach(&self->s, 0);
}

/* Guest reboot: both windows are removed, the default one is restored. */
TEST_F(order, of_a_machine_emulator_that_is_reset)
{
	__u64 start = ~0ULL;
	int fd = self->s.fd, i;

	spapr_register(fd, self->mem, self->size);
	spapr_info(fd, &self->info);
	spapr_remove(fd, self->info.dma32_window_start);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, emulator_window(fd, 12, GIB, &start));
		ASSERT_EQ(self->info.dma32_window_start, start);
		spapr_map(fd, start + MIB, self->mem, self->size, SPAPR_RW);
		spapr_unmap(fd, start, GIB);
		spapr_remove(fd, start);
	}
	spapr_unregister(fd, self->mem, self->size);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* Queries on a container without groups, and the expected answers. */
TEST(of_a_machine_emulator_that_asks_what_there_is)
{
	const struct {
		int extension;
		int wanted;
	} asked[] = {
		{ VFIO_TYPE1v2_IOMMU, 0 }, { VFIO_TYPE1_IOMMU, 0 },
		{ VFIO_SPAPR_TCE_v2_IOMMU, 1 }, { VFIO_SPAPR_TCE_IOMMU, 1 },
	};
	int fd = spapr_container_fd();
	size_t i;

	if (fd < 0)
		SKIP(return, "needs /dev/vfio/vfio: CONFIG_VFIO_CONTAINER");
	EXPECT_EQ(VFIO_API_VERSION, __spapr_ioctl(fd, VFIO_GET_API_VERSION,
						  NULL));
	for (i = 0; i < ARRAY_SIZE(asked); i++) {
		EXPECT_EQ(asked[i].wanted,
			  __spapr_ioctl(fd, VFIO_CHECK_EXTENSION,
					(void *)(long)asked[i].extension));
	}
	close(fd);
}

/*
 * Memory is unplugged while the guest has TCEs to it, and the error is ignored.
 * Later other memory is plugged at the same address of the process; the guest
 * exits if that fails.
 */
TEST_F(order, of_a_machine_emulator_that_replugs_memory)
{
	__u64 start = ~0ULL;
	int fd = self->s.fd, i;

	NOT_ON_STOCK(return);
	for (i = 0; i < SECTIONS; i++)
		spapr_register(fd, self->mem + i * self->size, self->size);
	spapr_info(fd, &self->info);
	spapr_remove(fd, self->info.dma32_window_start);
	ASSERT_EQ(0, emulator_window(fd, 12, GIB, &start));
	spapr_map(fd, start, self->mem, 4 * IOMMU_PAGE, SPAPR_RW);
	for (i = 0; i < 3; i++) {
		EXPECT_ERRNO(EBUSY, __spapr_unregister(fd, self->mem,
						       self->size));
		ASSERT_EQ(self->mem, mmap(self->mem, self->size,
					  PROT_READ | PROT_WRITE, MAP_PRIVATE |
					  MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		spapr_register(fd, self->mem, self->size);
		spapr_map(fd, start, self->mem, 4 * IOMMU_PAGE, SPAPR_RW);
	}
	spapr_unmap(fd, start, GIB);
	spapr_remove(fd, start);
	for (i = 0; i < SECTIONS; i++)
		spapr_unregister(fd, self->mem + i * self->size, self->size);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* The windows exist and have mappings; each group gets them. */
TEST_F(order, of_a_machine_emulator_with_a_device_plugged_later)
{
	__u64 start = ~0ULL;
	int fd = self->s.fd;

	NEED_DEVICES(return, 2);
	spapr_register(fd, self->mem, self->size);
	spapr_info(fd, &self->info);
	spapr_remove(fd, self->info.dma32_window_start);
	ASSERT_EQ(0, emulator_window(fd, 12, GIB, &start));
	spapr_map(fd, start, self->mem, 4 * IOMMU_PAGE, SPAPR_RW);
	spapr_attach(&self->s, 1);
	spapr_map(fd, start + MIB, self->mem, 4 * IOMMU_PAGE, SPAPR_RW);
	/* the first device is unplugged, the guest continues with the other */
	spapr_detach(&self->s, 0);
	spapr_map(fd, start + 2 * MIB, self->mem, 4 * IOMMU_PAGE, SPAPR_RW);
	spapr_unmap(fd, start, GIB);
	spapr_remove(fd, start);
	spapr_unregister(fd, self->mem, self->size);
	spapr_detach(&self->s, 1);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* Without dynamic windows: version 1, page by page. */
TEST_F(order, of_an_old_machine_emulator)
{
	int fd = self->s.fd, i;

	spapr_detach(&self->s, 0);
	spapr_attach(&self->s, 0);
	ASSERT_EQ(0, __spapr_ioctl(fd, VFIO_SET_IOMMU,
				   (void *)VFIO_SPAPR_TCE_IOMMU));
	spapr_enable(fd);
	spapr_info(fd, &self->info);
	for (i = 0; i < 16; i++) {
		spapr_map(fd, self->info.dma32_window_start + i * IOMMU_PAGE,
			  self->mem + i * IOMMU_PAGE, IOMMU_PAGE, SPAPR_RW);
	}
	for (i = 0; i < 16; i++)
		spapr_unmap(fd, self->info.dma32_window_start + i * IOMMU_PAGE,
			    IOMMU_PAGE);
	spapr_disable(fd);
	spapr_detach(&self->s, 0);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* One window for everything, at 0; memory is added and removed by segments. */
TEST_F(order, of_a_packet_framework)
{
	__u64 start = ~0ULL, size = GIB;
	int fd = self->s.fd, i;

	spapr_info(fd, &self->info);
	self->shift = iommu_shift(&self->info);
	/* the base kernel on POWER8 takes minutes to clear 2^46 bytes */
	if (self->info.ddw.levels > 1)
		size = spapr_on_stock() ? 1ULL << 40 : 1ULL << 46;
	spapr_remove(fd, self->info.dma32_window_start);
	ASSERT_EQ(0, __spapr_create_rising(fd, self->shift, size,
					   self->info.ddw.levels, &start));
	for (i = 0; i < SEGMENTS; i++) {
		char *mem = self->mem + i * self->size;
		__u64 iova = start + i * (size / SEGMENTS);

		spapr_register(fd, mem, self->size);
		spapr_map(fd, iova, mem, self->size, SPAPR_RW);
	}
	for (i = 0; i < SEGMENTS; i++) {
		char *mem = self->mem + i * self->size;
		__u64 iova = start + i * (size / SEGMENTS);

		spapr_unmap(fd, iova, self->size);
		spapr_unregister(fd, mem, self->size);
	}
	spapr_remove(fd, start);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* The memory outgrows the window: everything is mapped in a larger one. */
TEST_F(order, of_a_packet_framework_that_grows)
{
	__u64 start = ~0ULL, size;
	int fd = self->s.fd, i, n = 1;

	spapr_info(fd, &self->info);
	self->shift = iommu_shift(&self->info);
	spapr_remove(fd, self->info.dma32_window_start);
	ASSERT_EQ(0, __spapr_create(fd, self->shift, GIB / 2, 1, &start));
	for (size = GIB; size <= 4 * GIB; size *= 2, n++) {
		spapr_register(fd, self->mem + n * self->size, self->size);
		for (i = 1; i < n; i++)
			spapr_unmap(fd, start + i * self->size, self->size);
		spapr_remove(fd, start);
		ASSERT_EQ(0, __spapr_create_rising(fd, self->shift, size,
						   self->info.ddw.levels,
						   &start));
		ASSERT_EQ(self->info.dma32_window_start, start);
		for (i = 1; i <= n; i++) {
			spapr_map(fd, start + i * self->size,
				  self->mem + i * self->size, self->size,
				  SPAPR_RW);
		}
	}
	/* and it exits without cleanup */
	spapr_close(&self->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_HARNESS_MAIN
