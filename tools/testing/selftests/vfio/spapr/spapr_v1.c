// SPDX-License-Identifier: GPL-2.0-only
/*
 * Version 1 of the container: no registration; ENABLE accounts the whole window
 * as locked, MAP pins and UNMAP unpins.
 */
#include <linux/capability.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "edu.h"
#include "memkind.h"
#include "spapr_test.h"
#include "stall.h"

#define PAGES		16
#define SECONDS		120

FIXTURE(v1)
{
	struct spapr s;
	struct spapr_account base;
	__u64 start;
	__u64 window;
	__u64 iova;
	size_t page;
	size_t size;
	char *mem;
};

FIXTURE_SETUP(v1)
{
	struct vfio_iommu_spapr_tce_info info;

	NEED_DEVICES(return, 1);
	self->page = spapr_page_size();
	self->size = PAGES * self->page;
	self->mem = spapr_mem(self->size);
	ASSERT_NE(NULL, self->mem);
	spapr_account(&self->base);
	spapr_open(&self->s, VFIO_SPAPR_TCE_IOMMU, 1);
	spapr_info(self->s.fd, &info);
	self->start = info.dma32_window_start;
	self->window = info.dma32_window_size;
	self->iova = self->start + 16 * MIB;
}

FIXTURE_TEARDOWN(v1)
{
	spapr_close(&self->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

#define pins_by(self)	(spapr_pins() - (self)->base.pins)
#define locked_by(self)	(spapr_locked() - (self)->base.locked)

static bool file_has(const char *path, const char *words)
{
	FILE *f = fopen(path, "re");
	char line[256];
	bool has = false;

	while (f && !has && fgets(line, sizeof(line), f))
		has = strstr(line, words);
	if (f)
		fclose(f);
	return has;
}

/*
 * An emulator tries version 2 first, and version 1 of the same container if
 * that is refused. The accepted version must be able to have a window.
 */
TEST(version_2_is_offered_only_where_windows_can_be_created)
{
	struct vfio_iommu_spapr_tce_info info;
	__u64 start = ~0ULL;
	struct spapr s;
	char path[64];
	int ret;

	NEED_DEVICES(return, 1);
	spapr_open(&s, VFIO_SPAPR_TCE_v2_IOMMU, 0);
	spapr_attach(&s, 0);
	ret = __spapr_ioctl(s.fd, VFIO_SET_IOMMU,
			    (void *)VFIO_SPAPR_TCE_v2_IOMMU);
	if (ret) {
		ASSERT_EQ(-EINVAL, ret);
		/* the cause is kept, although the container has no IOMMU */
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", s.fd);
		EXPECT_TRUE(spapr_on_stock() ||
			    file_has(path, "version 1 can use it"));
		ASSERT_EQ(0, __spapr_ioctl(s.fd, VFIO_SET_IOMMU,
					   (void *)VFIO_SPAPR_TCE_IOMMU));
		spapr_info(s.fd, &info);
		EXPECT_EQ(0U, info.flags);
		EXPECT_EQ(0U, info.ddw.max_dynamic_windows_supported);
		EXPECT_NE(0U, info.dma32_window_size);
		spapr_enable(s.fd);
	} else {
		spapr_info(s.fd, &info);
		EXPECT_LE(1U, info.ddw.max_dynamic_windows_supported);
		EXPECT_GE(2U, info.ddw.max_dynamic_windows_supported);
		spapr_remove(s.fd, info.dma32_window_start);
		spapr_create(s.fd, 12, 256 * MIB, 1, &start);
	}
	spapr_close(&s);
}

TEST_F(v1, enable_counts_the_whole_window_as_locked)
{
	spapr_enable(self->s.fd);
	EXPECT_ACCOUNT(&self->base, self->window, 0);
	spapr_disable(self->s.fd);
	EXPECT_ACCOUNT(&self->base, 0, 0);
	spapr_enable(self->s.fd);
	EXPECT_ACCOUNT(&self->base, self->window, 0);
}

TEST_F(v1, enable_twice_is_busy)
{
	spapr_enable(self->s.fd);
	EXPECT_ERRNO(EBUSY, __spapr_enable(self->s.fd));
	EXPECT_ACCOUNT(&self->base, self->window, 0);
}

TEST_F(v1, disable_always_succeeds)
{
	spapr_disable(self->s.fd);
	EXPECT_ACCOUNT(&self->base, 0, 0);
	spapr_enable(self->s.fd);
	spapr_disable(self->s.fd);
	spapr_disable(self->s.fd);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(v1, nothing_is_mapped_unless_enabled)
{
	int fd = self->s.fd;

	EXPECT_ERRNO(EPERM, __spapr_map(fd, self->iova, self->mem, IOMMU_PAGE,
					SPAPR_RW));
	EXPECT_ERRNO(EPERM, __spapr_unmap(fd, self->iova, IOMMU_PAGE));
	spapr_enable(fd);
	spapr_map(fd, self->iova, self->mem, IOMMU_PAGE, SPAPR_RW);
	spapr_unmap(fd, self->iova, IOMMU_PAGE);
	spapr_disable(fd);
	EXPECT_ERRNO(EPERM, __spapr_map(fd, self->iova, self->mem, IOMMU_PAGE,
					SPAPR_RW));
	EXPECT_ERRNO(EPERM, __spapr_unmap(fd, self->iova, IOMMU_PAGE));
}

TEST_F(v1, map_pins_and_unmap_unpins)
{
	int fd = self->s.fd;

	spapr_enable(fd);
	spapr_map(fd, self->iova, self->mem, self->size, SPAPR_RW);
	EXPECT_LE(PAGES, pins_by(self));
	spapr_unmap(fd, self->iova, self->size);
	EXPECT_EQ(0, pins_by(self));
}

TEST_F(v1, mapping_again_replaces_and_pins_no_more)
{
	int fd = self->s.fd;
	long pins;

	spapr_enable(fd);
	spapr_map(fd, self->iova, self->mem, 4 * IOMMU_PAGE, SPAPR_RW);
	pins = pins_by(self);
	spapr_map(fd, self->iova, self->mem, 4 * IOMMU_PAGE, SPAPR_RW);
	EXPECT_EQ(pins, pins_by(self));
	spapr_unmap(fd, self->start, self->window);
	EXPECT_EQ(0, pins_by(self));
}

TEST_F(v1, a_failed_mapping_changes_nothing)
{
	int fd = self->s.fd;
	long pins;

	spapr_enable(fd);
	spapr_map(fd, self->iova, self->mem, self->size / 2, SPAPR_RW);
	pins = pins_by(self);
	ASSERT_EQ(0, munmap(self->mem + self->size / 4, self->page));
	EXPECT_ERRNO(EFAULT, __spapr_map(fd, self->iova, self->mem,
					 self->size / 2, SPAPR_RW));
	EXPECT_EQ(pins, pins_by(self));
	EXPECT_ERRNO(EFAULT, __spapr_map(fd, self->iova + 16 * MIB, self->mem,
					 self->size / 2, SPAPR_RW));
	EXPECT_EQ(pins, pins_by(self));
	spapr_unmap(fd, self->iova, self->size / 2);
	EXPECT_EQ(0, pins_by(self));
}

TEST_F(v1, read_only_memory_is_mapped_for_reading)
{
	int fd = self->s.fd;

	fill(self->mem, self->size, 1);
	ASSERT_EQ(0, mprotect(self->mem, self->size, PROT_READ));
	spapr_enable(fd);
	EXPECT_ERRNO(EFAULT, __spapr_map(fd, self->iova, self->mem, IOMMU_PAGE,
					 SPAPR_RW));
	EXPECT_EQ(0, pins_by(self));
	EXPECT_EQ(0, __spapr_map(fd, self->iova, self->mem, IOMMU_PAGE,
				 VFIO_DMA_MAP_FLAG_READ));
}

TEST_F(v1, memory_is_pinned_for_long)
{
	char *mem = mem_map(MEM_DISK_SHARED, NULL, self->page);
	int fd = self->s.fd;

	if (!mem)
		SKIP(return, "%s", mem_why());
	spapr_enable(fd);
	EXPECT_ERRNO(EFAULT,
		     __spapr_map(fd, self->iova, mem, IOMMU_PAGE, SPAPR_RW));
	EXPECT_EQ(0, pins_by(self));
	munmap(mem, self->page);
}

TEST_F(v1, a_mapping_that_fails_late_leaves_no_pin)
{
	int fd = self->s.fd;
	int i;

	ASSERT_EQ(0, munmap(self->mem + self->size - self->page, self->page));
	spapr_enable(fd);
	for (i = 0; i < 3; i++) {
		EXPECT_ERRNO(EFAULT, __spapr_map(fd, self->iova, self->mem,
						 self->size, SPAPR_RW));
		EXPECT_EQ(0, pins_by(self));
	}
}

TEST_F(v1, a_refusal_leaves_no_pin)
{
	int fd = self->s.fd;

	spapr_enable(fd);
	EXPECT_ERRNO(EINVAL,
		     __spapr_map(fd, self->iova, self->mem, IOMMU_PAGE, 0));
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->iova, self->mem + 8,
					 IOMMU_PAGE, SPAPR_RW));
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->iova, self->mem,
					 IOMMU_PAGE + 8, SPAPR_RW));
	EXPECT_ERRNO(ENXIO, __spapr_map(fd, self->start + self->window,
					self->mem, IOMMU_PAGE, SPAPR_RW));
	EXPECT_ERRNO(ENXIO,
		     __spapr_unmap(fd, self->start + self->window, IOMMU_PAGE));
	EXPECT_ERRNO(EINVAL, __spapr_unmap(fd, self->iova, IOMMU_PAGE + 8));
	EXPECT_EQ(0, pins_by(self));
}

TEST_F(v1, an_iova_within_a_page_is_refused)
{
	int fd = self->s.fd;

	spapr_enable(fd);
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->iova + 8, self->mem,
					 IOMMU_PAGE, SPAPR_RW));
	EXPECT_ERRNO(EINVAL, __spapr_unmap(fd, self->iova + 8, IOMMU_PAGE));
	EXPECT_EQ(0, pins_by(self));
}

TEST_F(v1, a_mapping_does_not_leave_the_window)
{
	__u64 end = self->start + self->window;
	int fd = self->s.fd;

	NOT_ON_STOCK(return);
	spapr_enable(fd);
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, end - IOMMU_PAGE, self->mem,
					 2 * IOMMU_PAGE, SPAPR_RW));
	EXPECT_ERRNO(EOVERFLOW, __spapr_map(fd, self->iova, self->mem,
					    -IOMMU_PAGE, SPAPR_RW));
	EXPECT_ERRNO(EINVAL,
		     __spapr_unmap(fd, end - IOMMU_PAGE, 2 * IOMMU_PAGE));
	EXPECT_EQ(0, pins_by(self));
}

TEST_F(v1, disable_ends_all_mappings)
{
	int fd = self->s.fd;

	spapr_enable(fd);
	spapr_map(fd, self->iova, self->mem, self->size, SPAPR_RW);
	spapr_map(fd, self->start + self->window - IOMMU_PAGE, self->mem,
		  IOMMU_PAGE, SPAPR_RW);
	spapr_disable(fd);
	EXPECT_EQ(0, pins_by(self));
	EXPECT_GT((long)self->window, locked_by(self));
	spapr_enable(fd);
	spapr_map(fd, self->iova, self->mem, self->size, SPAPR_RW);
}

/* MAP pins, and may fault pages in. */
struct map_call {
	pthread_t thread;
	int fd;
	__u64 iova;
	void *mem;
	size_t size;
	int ret;
};

static void *map_thread(void *arg)
{
	struct map_call *c = arg;

	c->ret = __spapr_map(c->fd, c->iova, c->mem, c->size, SPAPR_RW);
	return NULL;
}

static int map_start(struct map_call *c, struct stall *stall)
{
	int ret = -pthread_create(&c->thread, NULL, map_thread, c);

	return ret ? : stall_reached(stall) ? 0 : -EIO;
}

static int map_end(struct map_call *c, struct stall *stall)
{
	stall_release(stall);
	pthread_join(c->thread, NULL);
	return c->ret;
}

TEST_F(v1, a_stalled_map_keeps_nobody)
{
	struct map_call call = {
		.fd = self->s.fd, .iova = self->iova, .mem = self->mem,
		.size = self->size,
	};
	struct vfio_iommu_spapr_tce_info info;
	char *other = spapr_mem(self->page);
	struct stall stall;
	int fd = self->s.fd;

	if (stall_init(&stall, self->mem + self->size / 2, self->size / 2))
		SKIP(return, "needs userfaultfd: CONFIG_USERFAULTFD");
	spapr_enable(fd);
	ASSERT_EQ(0, map_start(&call, &stall));
	EXPECT_EQ(0, __spapr_map(fd, self->start, other, IOMMU_PAGE, SPAPR_RW));
	EXPECT_EQ(0, __spapr_unmap(fd, self->start, IOMMU_PAGE));
	EXPECT_EQ(0, map_end(&call, &stall));
	EXPECT_LE(PAGES, pins_by(self));
	spapr_unmap(fd, self->start, self->window);
	EXPECT_EQ(0, pins_by(self));

	/* memory that arrives after DISABLE is not mapped */
	ASSERT_EQ(0, madvise(self->mem, self->size, MADV_DONTNEED));
	stall_free(&stall);
	ASSERT_EQ(0, stall_init(&stall, self->mem + self->size / 2,
				self->size / 2));
	ASSERT_EQ(0, map_start(&call, &stall));
	EXPECT_EQ(0, __spapr_disable(fd));
	EXPECT_EQ(0, __spapr_info(fd, &info));
	EXPECT_GT(0, map_end(&call, &stall));
	EXPECT_EQ(0, pins_by(self));

	/* but may be after ENABLE */
	ASSERT_EQ(0, madvise(self->mem, self->size, MADV_DONTNEED));
	stall_free(&stall);
	ASSERT_EQ(0, stall_init(&stall, self->mem + self->size / 2,
				self->size / 2));
	spapr_enable(fd);
	ASSERT_EQ(0, map_start(&call, &stall));
	EXPECT_EQ(0, __spapr_disable(fd));
	EXPECT_EQ(0, __spapr_enable(fd));
	EXPECT_EQ(0, map_end(&call, &stall));
	EXPECT_LE(PAGES, pins_by(self));
	spapr_disable(fd);
	EXPECT_EQ(0, pins_by(self));
	stall_free(&stall);
}

/* The memory accounted by ENABLE is for mappings, not for calls in progress. */
TEST_F(v1, maps_that_wait_hold_no_more_than_a_window)
{
	struct map_call call = {
		.fd = self->s.fd, .iova = self->start, .size = self->window,
	};
	struct stall stall;
	int fd = self->s.fd;

	/* one page to wait for, followed by none */
	call.mem = mmap(NULL, self->window, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, call.mem);
	ASSERT_EQ(0, mprotect(call.mem, self->page, PROT_READ | PROT_WRITE));
	if (stall_init(&stall, call.mem, self->page))
		SKIP(return, "needs userfaultfd: CONFIG_USERFAULTFD");
	spapr_enable(fd);
	ASSERT_EQ(0, map_start(&call, &stall));
	EXPECT_ERRNO(EBUSY, __spapr_map(fd, self->iova, self->mem, IOMMU_PAGE,
					SPAPR_RW));
	EXPECT_ERRNO(EFAULT, map_end(&call, &stall));
	EXPECT_EQ(0,
		  __spapr_map(fd, self->iova, self->mem, IOMMU_PAGE, SPAPR_RW));
	spapr_disable(fd);
	EXPECT_EQ(0, pins_by(self));
	stall_free(&stall);
	munmap(call.mem, self->window);
}

/* The first MAP makes the table, the last one that fails takes it back. */
TEST_F(v1, maps_that_fail_together_leave_no_table)
{
	size_t size = 2 * self->page;
	struct map_call calls[2];
	struct stall stalls[2];
	int i, fd = self->s.fd;
	long locked;
	char *mem;

	for (i = 0; i < 2; i++) {
		/* one page to wait for, followed by none */
		mem = spapr_mem(size);
		ASSERT_EQ(0, munmap(mem + self->page, self->page));
		calls[i] = (struct map_call){
			.fd = fd, .iova = self->start + i * size, .mem = mem,
			.size = size,
		};
		if (stall_init(&stalls[i], mem, self->page))
			SKIP(return, "needs userfaultfd: CONFIG_USERFAULTFD");
	}
	spapr_enable(fd);
	locked = spapr_locked();
	ASSERT_EQ(0, map_start(&calls[0], &stalls[0]));
	ASSERT_EQ(0, map_start(&calls[1], &stalls[1]));
	EXPECT_ERRNO(EFAULT, map_end(&calls[0], &stalls[0]));
	EXPECT_ERRNO(EFAULT, map_end(&calls[1], &stalls[1]));
	EXPECT_EQ(locked, spapr_locked());
	EXPECT_EQ(0, pins_by(self));
	spapr_disable(fd);
	stall_free(&stalls[0]);
	stall_free(&stalls[1]);
}

TEST_F(v1, closing_ends_all_mappings)
{
	spapr_enable(self->s.fd);
	spapr_map(self->s.fd, self->iova, self->mem, self->size, SPAPR_RW);
	spapr_close(&self->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(v1, a_forked_child_may_not_use_the_container)
{
	int fd = self->s.fd;
	__u64 iova = self->iova;
	char *mem = self->mem;

	spapr_enable(fd);
	EXPECT_IN_CHILD(__spapr_map(fd, iova, mem, IOMMU_PAGE, 3) == -EPERM);
	EXPECT_IN_CHILD(__spapr_unmap(fd, iova, IOMMU_PAGE) == -EPERM);
	EXPECT_ACCOUNT(&self->base, self->window, 0);
}

TEST_F(v1, the_window_over_the_limit_is_refused)
{
	struct rlimit limit = { .rlim_cur = MIB, .rlim_max = MIB };
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	ASSERT_EQ(0, syscall(SYS_capget, &header, data));
	data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &=
		~CAP_TO_MASK(CAP_IPC_LOCK);
	ASSERT_EQ(0, syscall(SYS_capset, &header, data));
	EXPECT_ERRNO(ENOMEM, __spapr_enable(self->s.fd));
	EXPECT_ERRNO(ENOMEM, __spapr_enable(self->s.fd));
	EXPECT_ERRNO(EPERM, __spapr_map(self->s.fd, self->iova, self->mem,
					IOMMU_PAGE, SPAPR_RW));
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F_TIMEOUT(v1, the_device_copies_until_disabled, SECONDS)
{
	char *src = self->mem, *dst = self->mem + self->size / 2;
	__u64 half = self->size / 2;
	struct edu edu;

	ASSERT_EQ(0, edu_open(&edu, self->s.group[0], spapr_bdf(0)));
	spapr_enable(self->s.fd);
	spapr_map(self->s.fd, self->iova, self->mem, self->size, SPAPR_RW);
	fill(src, 4096, 1);
	EXPECT_EQ(0, edu_memcpy(&edu, self->iova + half, self->iova, 4096));
	EXPECT_TRUE(is_filled(dst, 4096, 1));
	spapr_disable(self->s.fd);
	fill(dst, 4096, 2);
	edu_dma_from_device(&edu, self->iova + half, 0, EDU_DMA_MAX);
	EXPECT_TRUE(is_filled(dst, 4096, 2));
	edu_close(&edu);
}

TEST_HARNESS_MAIN
