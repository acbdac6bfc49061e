// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a device really reads and writes through the TCE tables.
 *
 * The device is QEMU's edu: its transfers to addresses that are not mapped
 * end without an error, read as zeros and write nothing, and on the emulated
 * machines the device works on afterwards. So "does not reach" is tested by
 * looking at the memory.
 *
 * To open and close a device resets its bus, which takes seconds: one device
 * per test, and not more tests than needed.
 */
#include <sys/mman.h>

#include "edu.h"
#include "spapr_test.h"

#define CHUNK		0x10000UL
#define CHUNKS		8
#define LEN		EDU_DMA_MAX
#define SECONDS		120

FIXTURE(dma)
{
	struct spapr s;
	struct spapr_account base;
	struct vfio_iommu_spapr_tce_info info;
	struct edu edu;
	__u64 window;
	__u64 iova;
	size_t ip;
	char *mem;
};

FIXTURE_VARIANT(dma)
{
	bool second_window;
};

FIXTURE_VARIANT_ADD(dma, in_the_default_window) {
	.second_window = false,
};

FIXTURE_VARIANT_ADD(dma, in_the_second_window) {
	.second_window = true,
};

FIXTURE_SETUP(dma)
{
	__u32 shift = 12;

	NEED_DEVICES(return, 1);
	self->edu.fd = -1;
	self->edu.bar = MAP_FAILED;
	self->mem = spapr_mem(CHUNKS * CHUNK);
	ASSERT_NE(NULL, self->mem);
	spapr_account(&self->base);
	spapr_open(&self->s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_info(self->s.fd, &self->info);
	self->window = self->info.dma32_window_start;
	if (variant->second_window) {
		shift = iommu_shift(&self->info);
		if (__spapr_create(self->s.fd, shift, GIB, 1, &self->window)) {
			spapr_close(&self->s);
			SKIP(return, "needs a machine with a second window");
		}
	}
	self->ip = 1UL << shift;
	self->iova = self->window + 16 * MIB;
	spapr_register(self->s.fd, self->mem, CHUNKS * CHUNK);
	ASSERT_EQ(0, edu_open(&self->edu, self->s.group[0], spapr_bdf(0)));
}

FIXTURE_TEARDOWN(dma)
{
	edu_close(&self->edu);
	spapr_close(&self->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* The n-th chunk of memory, and the n-th of addresses. */
#define MEM(n)	(self->mem + (n) * CHUNK)
#define IOVA(n)	(self->iova + (n) * CHUNK)

#define map_chunks(va, iova, n) \
	spapr_map(self->s.fd, iova, va, (n) * CHUNK, SPAPR_RW)

/* The device reads @src; then a write of it to @dst shows what it has. */
#define EXPECT_COPIED(dst, src, mem, seed) do {				\
	EXPECT_EQ(0, edu_memcpy(&self->edu, dst, src, LEN));		\
	EXPECT_TRUE(is_filled(mem, LEN, seed));				\
} while (0)

/* The device writes to @iova and the memory there stays as it is. */
#define EXPECT_NOT_WRITTEN(iova, mem) do {				\
	char *__mem = (mem);						\
									\
	fill(__mem, LEN, 99);						\
	edu_dma_from_device(&self->edu, iova, 0, LEN);			\
	EXPECT_TRUE(is_filled(__mem, LEN, 99));				\
} while (0)

TEST_F_TIMEOUT(dma, the_device_copies_memory, SECONDS)
{
	fill(MEM(0), CHUNK, 1);
	map_chunks(MEM(0), IOVA(0), 2);
	EXPECT_EQ(0, edu_memcpy(&self->edu, IOVA(1), IOVA(0), 3 * LEN));
	EXPECT_TRUE(is_filled(MEM(1), 3 * LEN, 1));
	EXPECT_EQ(0, edu_memcpy(&self->edu, IOVA(1) + 8005, IOVA(0) + 3, 777));
	EXPECT_EQ(0, memcmp(MEM(1) + 8005, MEM(0) + 3, 777));
}

TEST_F_TIMEOUT(dma, each_iommu_page_leads_to_the_page_it_was_given, SECONDS)
{
	size_t n = CHUNKS * CHUNK / self->ip, i;

	n = n < 16 ? n : 16;
	for (i = 0; i < n; i++) {
		spapr_map(self->s.fd, self->iova + (n - 1 - i) * self->ip,
			  self->mem + i * self->ip, self->ip, SPAPR_RW);
	}
	for (i = 0; i < n; i += 2) {
		fill(self->mem + i * self->ip, LEN, i);
		EXPECT_COPIED(self->iova + (n - 2 - i) * self->ip,
			      self->iova + (n - 1 - i) * self->ip,
			      self->mem + (i + 1) * self->ip, i);
	}
}

TEST_F_TIMEOUT(dma, what_is_unmapped_is_neither_written_nor_read, SECONDS)
{
	fill(MEM(0), LEN, 1);
	fill(MEM(1), LEN, 2);
	map_chunks(MEM(0), IOVA(0), 3);
	EXPECT_COPIED(IOVA(2), IOVA(0), MEM(2), 1);
	spapr_unmap(self->s.fd, IOVA(1), CHUNK);
	EXPECT_NOT_WRITTEN(IOVA(1), MEM(1));
	fill(MEM(1), LEN, 3);
	edu_memcpy(&self->edu, IOVA(2), IOVA(1), LEN);
	EXPECT_FALSE(is_filled(MEM(2), LEN, 3));
	/* the rest of the mapping and the device are as before */
	EXPECT_COPIED(IOVA(2), IOVA(0), MEM(2), 1);
	spapr_unmap(self->s.fd, self->window, GIB);
	EXPECT_NOT_WRITTEN(IOVA(0), MEM(0));
	EXPECT_NOT_WRITTEN(IOVA(2), MEM(2));
	map_chunks(MEM(0), IOVA(0), 2);
	fill(MEM(0), LEN, 4);
	EXPECT_COPIED(IOVA(1), IOVA(0), MEM(1), 4);
}

TEST_F_TIMEOUT(dma, the_permissions_of_a_mapping_hold, SECONDS)
{
	fill(MEM(0), LEN, 1);
	spapr_map(self->s.fd, IOVA(0), MEM(0), CHUNK, VFIO_DMA_MAP_FLAG_READ);
	spapr_map(self->s.fd, IOVA(1), MEM(1), CHUNK, VFIO_DMA_MAP_FLAG_WRITE);
	EXPECT_COPIED(IOVA(1), IOVA(0), MEM(1), 1);
	EXPECT_NOT_WRITTEN(IOVA(0), MEM(0));
}

/* stock, pseries: it cannot be read. */
TEST_F_TIMEOUT(dma, what_the_device_may_write_it_may_read, SECONDS)
{
	spapr_map(self->s.fd, IOVA(0), MEM(0), CHUNK, VFIO_DMA_MAP_FLAG_WRITE);
	map_chunks(MEM(1), IOVA(1), 1);
	fill(MEM(0), LEN, 1);
	EXPECT_COPIED(IOVA(1), IOVA(0), MEM(1), 1);
}

TEST_F_TIMEOUT(dma, mapping_again_leads_to_the_new_memory_only, SECONDS)
{
	fill(MEM(0), LEN, 1);
	map_chunks(MEM(0), IOVA(0), 2);
	map_chunks(MEM(2), IOVA(1), 1);
	fill(MEM(1), LEN, 9);
	EXPECT_COPIED(IOVA(1), IOVA(0), MEM(2), 1);
	EXPECT_TRUE(is_filled(MEM(1), LEN, 9));
	spapr_map(self->s.fd, IOVA(1), MEM(2), CHUNK, VFIO_DMA_MAP_FLAG_READ);
	EXPECT_NOT_WRITTEN(IOVA(1), MEM(2));
}

/* stock: the part that was reached is cleared, the old mapping is lost. */
TEST_F_TIMEOUT(dma, a_failed_mapping_leaves_the_old_one_in_force, SECONDS)
{
	char *end = MEM(CHUNKS - 1);

	fill(MEM(0), LEN, 1);
	map_chunks(MEM(0), IOVA(0), 4);
	EXPECT_ERRNO(EINVAL, __spapr_map(self->s.fd, IOVA(1), end, 2 * CHUNK,
					 SPAPR_RW));
	EXPECT_COPIED(IOVA(1), IOVA(0), MEM(1), 1);
	EXPECT_COPIED(IOVA(2), IOVA(0), MEM(2), 1);
	EXPECT_COPIED(IOVA(3), IOVA(0), MEM(3), 1);
}

/* stock: UNREGISTER answers 0 and the region is lost. */
TEST_F_TIMEOUT(dma, a_refused_unregister_does_not_disturb_the_device, SECONDS)
{
	size_t size = CHUNKS * CHUNK;
	int fd = self->s.fd;

	fill(MEM(0), LEN, 1);
	map_chunks(MEM(0), IOVA(0), 2);
	EXPECT_ERRNO(EBUSY, __spapr_unregister(fd, self->mem, size));
	EXPECT_COPIED(IOVA(1), IOVA(0), MEM(1), 1);
	map_chunks(MEM(2), IOVA(2), 1);
	EXPECT_COPIED(IOVA(2), IOVA(0), MEM(2), 1);
	spapr_unmap(fd, IOVA(0), 3 * CHUNK);
	spapr_unregister(fd, self->mem, size);
	EXPECT_EQ(self->base.pins, spapr_pins_settle(self->base.pins));
	spapr_register(fd, self->mem, size);
	map_chunks(MEM(0), IOVA(0), 2);
	fill(MEM(0), LEN, 2);
	EXPECT_COPIED(IOVA(1), IOVA(0), MEM(1), 2);
}

/*
 * Memory is unplugged although the device still reaches it, and other memory
 * is plugged at the same place. stock: the new mapping leads to the old pages.
 */
TEST_F_TIMEOUT(dma, new_memory_at_an_old_place_is_what_the_device_sees, SECONDS)
{
	size_t size = CHUNKS * CHUNK;
	int fd = self->s.fd;

	fill(MEM(0), LEN, 1);
	map_chunks(MEM(0), IOVA(0), 1);
	EXPECT_ERRNO(EBUSY, __spapr_unregister(fd, self->mem, size));
	ASSERT_EQ(self->mem, mmap(self->mem, size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				  -1, 0));
	fill(MEM(0), LEN, 2);
	spapr_register(fd, self->mem, size);
	map_chunks(MEM(0), IOVA(4), 2);
	/* the old address leads to the old memory, the new one to the new */
	EXPECT_COPIED(IOVA(5), IOVA(0), MEM(1), 1);
	EXPECT_COPIED(IOVA(5), IOVA(4), MEM(1), 2);
	EXPECT_NOT_WRITTEN(IOVA(0), MEM(0));
	EXPECT_EQ(2 * (long)(size / spapr_page_size()),
		  spapr_pins() - self->base.pins);
	spapr_unmap(fd, IOVA(0), CHUNK);
	EXPECT_EQ((long)(size / spapr_page_size()),
		  spapr_pins() - self->base.pins);
	EXPECT_NOT_WRITTEN(IOVA(0), MEM(0));
	spapr_unmap(fd, IOVA(4), 2 * CHUNK);
	spapr_unregister(fd, self->mem, size);
}

TEST_F_TIMEOUT(dma, a_removed_window_leads_nowhere, SECONDS)
{
	__u64 start = ~0ULL;

	map_chunks(MEM(0), IOVA(0), 2);
	fill(MEM(0), LEN, 1);
	EXPECT_COPIED(IOVA(1), IOVA(0), MEM(1), 1);
	spapr_remove(self->s.fd, self->window);
	EXPECT_NOT_WRITTEN(IOVA(0), MEM(0));
	spapr_create(self->s.fd, __builtin_ctzl(self->ip), GIB, 1, &start);
	EXPECT_EQ(self->window, start);
	EXPECT_NOT_WRITTEN(IOVA(0), MEM(0));
	map_chunks(MEM(0), IOVA(0), 2);
	fill(MEM(0), LEN, 2);
	EXPECT_COPIED(IOVA(1), IOVA(0), MEM(1), 2);
}

TEST_F_TIMEOUT(dma, the_device_sees_what_was_registered_not_what_came_later,
	       SECONDS)
{
	pid_t pid;

	map_chunks(MEM(0), IOVA(0), 4);
	fill(MEM(0), LEN, 1);
	/* a child that copies on write gets the copies, not we */
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		fill(MEM(0), 4 * CHUNK, 77);
		pause();
		_exit(0);
	}
	fill(MEM(0), LEN, 2);
	EXPECT_COPIED(IOVA(1), IOVA(0), MEM(1), 2);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* new pages at the same addresses are not those of the device */
	ASSERT_EQ(0, madvise(MEM(2), CHUNK, MADV_DONTNEED));
	EXPECT_NOT_WRITTEN(IOVA(2), MEM(2));
	ASSERT_EQ(0, munmap(MEM(3), CHUNK));
	EXPECT_EQ(0, edu_dma_from_device(&self->edu, IOVA(3), 0, LEN));
	EXPECT_COPIED(IOVA(1), IOVA(3), MEM(1), 2);
}

TEST_F_TIMEOUT(dma, the_registers_of_the_device_are_not_memory, SECONDS)
{
	EXPECT_ERRNO(EFAULT, __spapr_register(self->s.fd, self->edu.bar,
					      spapr_page_size()));
}

TEST_F_TIMEOUT(dma, the_whole_of_both_windows_works_at_once, SECONDS)
{
	__u64 start = self->info.dma32_window_start;
	__u64 end = start + self->info.dma32_window_size;

	spapr_map(self->s.fd, start, MEM(0), CHUNK, SPAPR_RW);
	spapr_map(self->s.fd, end - CHUNK, MEM(1), CHUNK, SPAPR_RW);
	fill(MEM(0), LEN, 1);
	EXPECT_COPIED(end - CHUNK, start, MEM(1), 1);
	if (!variant->second_window)
		return;
	spapr_map(self->s.fd, self->window, MEM(2), CHUNK, SPAPR_RW);
	spapr_map(self->s.fd, self->window + GIB - CHUNK, MEM(3), CHUNK,
		  SPAPR_RW);
	EXPECT_COPIED(self->window, start, MEM(2), 1);
	EXPECT_COPIED(self->window + GIB - CHUNK, end - CHUNK, MEM(3), 1);
}

/* ------------------------------------------------------------------ */
/* Two devices, each in its own group, in one container */

FIXTURE(two_devices)
{
	struct spapr s;
	struct spapr_account base;
	struct edu edu[2];
	__u64 iova;
	char *mem;
};

FIXTURE_SETUP(two_devices)
{
	struct vfio_iommu_spapr_tce_info info;

	NEED_DEVICES(return, 2);
	self->mem = spapr_mem(CHUNKS * CHUNK);
	spapr_account(&self->base);
	spapr_open(&self->s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_info(self->s.fd, &info);
	self->iova = info.dma32_window_start + 16 * MIB;
	spapr_register(self->s.fd, self->mem, CHUNKS * CHUNK);
	spapr_map(self->s.fd, self->iova - CHUNK, self->mem, CHUNK, SPAPR_RW);
	if (windows_stay_with_a_group(&self->s)) {
		spapr_close(&self->s);
		SKIP(return, NEEDS_SHARED_WINDOWS);
	}
	spapr_attach(&self->s, 1);
	ASSERT_EQ(0, edu_open(&self->edu[0], self->s.group[0], spapr_bdf(0)));
	ASSERT_EQ(0, edu_open(&self->edu[1], self->s.group[1], spapr_bdf(1)));
}

FIXTURE_TEARDOWN(two_devices)
{
	edu_close(&self->edu[0]);
	edu_close(&self->edu[1]);
	spapr_close(&self->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

#define EXPECT_COPIES(n, to, from, seed) do {				\
	int __to = (to), __from = (from), __seed = (seed);		\
									\
	fill(MEM(__from), LEN, __seed);					\
	EXPECT_EQ(0, edu_memcpy(&self->edu[n], IOVA(__to), IOVA(__from), \
				LEN));					\
	EXPECT_TRUE(is_filled(MEM(__to), LEN, __seed));			\
} while (0)

TEST_F_TIMEOUT(two_devices, both_see_one_mapping, SECONDS)
{
	map_chunks(MEM(0), IOVA(0), 3);
	EXPECT_COPIES(0, 1, 0, 1);
	EXPECT_COPIES(1, 2, 0, 2);
	spapr_unmap(self->s.fd, IOVA(0), CHUNK);
	fill(MEM(0), LEN, 99);
	edu_dma_from_device(&self->edu[0], IOVA(0), 0, LEN);
	edu_dma_from_device(&self->edu[1], IOVA(0), 0, LEN);
	EXPECT_TRUE(is_filled(MEM(0), LEN, 99));
}

TEST(a_second_group_that_is_refused_does_not_disturb_the_first)
{
	struct vfio_iommu_spapr_tce_info info;
	char *mem = spapr_mem(CHUNK);
	struct spapr s;
	__u64 iova;
	int i;

	NEED_DEVICES(return, 2);
	spapr_open(&s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_info(s.fd, &info);
	iova = info.dma32_window_start + 16 * MIB;
	spapr_register(s.fd, mem, CHUNK);
	spapr_map(s.fd, iova, mem, CHUNK, SPAPR_RW);
	if (!windows_stay_with_a_group(&s)) {
		spapr_close(&s);
		SKIP(return, "needs windows of each group: a pseries machine");
	}
	for (i = 0; i < 3; i++)
		EXPECT_ERRNO(EPERM, __spapr_attach(&s, 1));
	spapr_unmap(s.fd, iova, CHUNK);
	spapr_map(s.fd, iova, mem, CHUNK, SPAPR_RW);
	spapr_close(&s);
	/* the refused group can still be used, in a container of its own */
	spapr_open(&s, VFIO_SPAPR_TCE_v2_IOMMU, 2);
	spapr_detach(&s, 0);
	spapr_register(s.fd, mem, CHUNK);
	spapr_map(s.fd, iova, mem, CHUNK, SPAPR_RW);
	spapr_close(&s);
}

/* stock: the mappings of the device that stays are cleared. */
TEST_F_TIMEOUT(two_devices, one_leaves_and_the_other_works_on, SECONDS)
{
	map_chunks(MEM(0), IOVA(0), 3);
	EXPECT_COPIES(0, 1, 0, 1);
	edu_close(&self->edu[1]);
	spapr_detach(&self->s, 1);
	EXPECT_COPIES(0, 2, 0, 2);
	map_chunks(MEM(3), IOVA(3), 1);
	EXPECT_COPIES(0, 3, 0, 3);
}

/* stock: as above; the order of joining makes no difference. */
TEST_F_TIMEOUT(two_devices, the_first_leaves_and_joins_again, SECONDS)
{
	map_chunks(MEM(0), IOVA(0), 4);
	edu_close(&self->edu[0]);
	spapr_detach(&self->s, 0);
	EXPECT_COPIES(1, 1, 0, 1);
	spapr_attach(&self->s, 0);
	ASSERT_EQ(0, edu_open(&self->edu[0], self->s.group[0], spapr_bdf(0)));
	EXPECT_COPIES(0, 2, 0, 2);
	EXPECT_COPIES(1, 3, 0, 3);
}

TEST_HARNESS_MAIN
