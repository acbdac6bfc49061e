// SPDX-License-Identifier: GPL-2.0-only
/*
 * MAP and UNMAP in the default window: accepted calls, every errno, and
 * accounting. References show in UNREGISTER, which must fail with EBUSY while
 * any part of the region is mapped.
 */
#include <sys/mman.h>

#include "spapr_test.h"

#define PAGES		16

FIXTURE(map)
{
	struct spapr s;
	struct spapr_account base;
	struct vfio_iommu_spapr_tce_info info;
	__u64 start;
	__u64 end;
	__u64 iova;
	size_t page;
	size_t size;
	char *mem;
};

/* self->iova is not the start of the window. */
FIXTURE_SETUP(map)
{
	NEED_DEVICES(return, 1);
	self->page = spapr_page_size();
	self->size = PAGES * self->page;
	self->mem = spapr_mem(2 * self->size);
	ASSERT_NE(NULL, self->mem);
	spapr_account(&self->base);
	spapr_open(&self->s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_info(self->s.fd, &self->info);
	self->start = self->info.dma32_window_start;
	self->end = self->start + self->info.dma32_window_size;
	self->iova = self->start + 16 * MIB;
	spapr_register(self->s.fd, self->mem, self->size);
}

FIXTURE_TEARDOWN(map)
{
	spapr_close(&self->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* Nothing of the region is mapped if it can be unregistered. */
#define EXPECT_NOT_MAPPED(self, va, len) do {				\
	int __fd = (self)->s.fd;					\
	char *__va = (va);						\
	size_t __len = (len);						\
									\
	EXPECT_EQ(0, __spapr_unregister(__fd, __va, __len));		\
	EXPECT_EQ(0, __spapr_register(__fd, __va, __len));		\
} while (0)

/* The base kernel would leak the region on this check. */
#define EXPECT_MAPPED(self, va, len) do {				\
	if (!spapr_on_stock()) {					\
		EXPECT_ERRNO(EBUSY,					\
			     __spapr_unregister((self)->s.fd, va, len)); \
	}								\
} while (0)

/* ------------------------------------------------------------------ */
/* Accepted calls */

TEST_F(map, each_permission_can_be_given)
{
	const __u32 flags[] = {
		VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE, SPAPR_RW,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		spapr_map(self->s.fd, self->iova, self->mem, IOMMU_PAGE,
			  flags[i]);
		spapr_unmap(self->s.fd, self->iova, IOMMU_PAGE);
	}
	EXPECT_NOT_MAPPED(self, self->mem, self->size);
}

TEST_F(map, the_first_and_the_last_page_of_the_window_can_be_mapped)
{
	spapr_map(self->s.fd, self->start, self->mem, IOMMU_PAGE, SPAPR_RW);
	spapr_map(self->s.fd, self->end - IOMMU_PAGE, self->mem + IOMMU_PAGE,
		  IOMMU_PAGE, SPAPR_RW);
	spapr_unmap(self->s.fd, self->end - IOMMU_PAGE, IOMMU_PAGE);
	spapr_unmap(self->s.fd, self->start, IOMMU_PAGE);
	EXPECT_NOT_MAPPED(self, self->mem, self->size);
}

TEST_F(map, memory_stays_pinned_and_counted_as_it_was_registered)
{
	long table, entries = self->info.dma32_window_size / IOMMU_PAGE;

	spapr_map(self->s.fd, self->iova, self->mem, self->size, SPAPR_RW);
	table = spapr_locked() - self->base.locked - (long)self->size;
	/* eight bytes per IOMMU page, and as many for the view */
	EXPECT_GE(table, entries * 8);
	EXPECT_LE(table, entries * 16);
	EXPECT_ACCOUNT(&self->base, (long)self->size + table, PAGES);
	spapr_unmap(self->s.fd, self->iova, self->size);
	EXPECT_ACCOUNT(&self->base, (long)self->size + table, PAGES);
}

TEST_F(map, one_call_may_span_neighbouring_regions)
{
	char *next = self->mem + self->size;

	spapr_register(self->s.fd, next, self->size);
	spapr_map(self->s.fd, self->iova, self->mem, 2 * self->size, SPAPR_RW);
	EXPECT_MAPPED(self, self->mem, self->size);
	EXPECT_MAPPED(self, next, self->size);
	spapr_unmap(self->s.fd, self->iova, self->size);
	EXPECT_NOT_MAPPED(self, self->mem, self->size);
	EXPECT_MAPPED(self, next, self->size);
	spapr_unmap(self->s.fd, self->iova + self->size, self->size);
	EXPECT_NOT_MAPPED(self, next, self->size);
}

TEST_F(map, one_page_can_be_mapped_at_many_addresses)
{
	size_t n = 1000, i;

	for (i = 0; i < n; i++) {
		spapr_map(self->s.fd, self->iova + i * IOMMU_PAGE, self->mem,
			  IOMMU_PAGE, SPAPR_RW);
	}
	spapr_unmap(self->s.fd, self->iova, (n - 1) * IOMMU_PAGE);
	EXPECT_MAPPED(self, self->mem, self->size);
	spapr_unmap(self->s.fd, self->iova + (n - 1) * IOMMU_PAGE, IOMMU_PAGE);
	EXPECT_NOT_MAPPED(self, self->mem, self->size);
}

TEST_F(map, mapping_again_replaces_what_was_there)
{
	char *next = self->mem + self->size;

	spapr_register(self->s.fd, next, self->size);
	spapr_map(self->s.fd, self->iova, self->mem, self->size, SPAPR_RW);
	spapr_map(self->s.fd, self->iova, self->mem, self->size, SPAPR_RW);
	spapr_map(self->s.fd, self->iova, next, self->size, SPAPR_RW);
	EXPECT_NOT_MAPPED(self, self->mem, self->size);
	EXPECT_MAPPED(self, next, self->size);
	spapr_unmap(self->s.fd, self->iova, self->size);
	EXPECT_NOT_MAPPED(self, next, self->size);
}

TEST_F(map, memory_may_be_unmapped_from_the_process_before_it_is_mapped)
{
	ASSERT_EQ(0, munmap(self->mem, self->size));
	spapr_map(self->s.fd, self->iova, self->mem, self->size, SPAPR_RW);
	EXPECT_MAPPED(self, self->mem, self->size);
	spapr_unmap(self->s.fd, self->iova, self->size);
	spapr_unregister(self->s.fd, self->mem, self->size);
}

TEST_F(map, size_zero_maps_and_unmaps_nothing)
{
	spapr_map(self->s.fd, self->iova, self->mem, IOMMU_PAGE, SPAPR_RW);
	spapr_map(self->s.fd, self->iova, self->mem, 0, SPAPR_RW);
	spapr_unmap(self->s.fd, self->iova, 0);
	EXPECT_MAPPED(self, self->mem, self->size);
	spapr_unmap(self->s.fd, self->iova, IOMMU_PAGE);
	EXPECT_NOT_MAPPED(self, self->mem, self->size);
}

TEST_F(map, size_zero_at_the_window_start_returns)
{
	NEEDS_FIXES(return);
	spapr_map(self->s.fd, self->start, self->mem, 0, SPAPR_RW);
	spapr_unmap(self->s.fd, self->start, 0);
	EXPECT_NOT_MAPPED(self, self->mem, self->size);
}

/* ------------------------------------------------------------------ */
/* Unmapping */

TEST_F(map, any_part_of_a_mapping_can_be_unmapped)
{
	__u64 iova = self->iova;

	spapr_map(self->s.fd, iova, self->mem, self->size, SPAPR_RW);
	spapr_unmap(self->s.fd, iova + IOMMU_PAGE, IOMMU_PAGE);
	spapr_unmap(self->s.fd, iova, 4 * IOMMU_PAGE);
	spapr_unmap(self->s.fd, iova + self->size - IOMMU_PAGE, IOMMU_PAGE);
	EXPECT_MAPPED(self, self->mem, self->size);
	spapr_unmap(self->s.fd, iova, self->size);
	EXPECT_NOT_MAPPED(self, self->mem, self->size);
}

TEST_F(map, unmapped_entries_can_be_unmapped)
{
	spapr_unmap(self->s.fd, self->iova, IOMMU_PAGE);
	spapr_map(self->s.fd, self->iova + IOMMU_PAGE, self->mem, IOMMU_PAGE,
		  SPAPR_RW);
	spapr_unmap(self->s.fd, self->iova, IOMMU_PAGE);
	spapr_unmap(self->s.fd, self->iova + 2 * IOMMU_PAGE, 100 * IOMMU_PAGE);
	EXPECT_MAPPED(self, self->mem, self->size);
	spapr_unmap(self->s.fd, self->iova - 8 * IOMMU_PAGE, 100 * IOMMU_PAGE);
	EXPECT_NOT_MAPPED(self, self->mem, self->size);
}

TEST_F(map, the_whole_window_can_be_unmapped_in_one_call)
{
	__u64 window = self->end - self->start;

	spapr_map(self->s.fd, self->start, self->mem, IOMMU_PAGE, SPAPR_RW);
	spapr_map(self->s.fd, self->iova, self->mem, self->size, SPAPR_RW);
	spapr_map(self->s.fd, self->end - IOMMU_PAGE, self->mem, IOMMU_PAGE,
		  SPAPR_RW);
	spapr_unmap(self->s.fd, self->start, window);
	EXPECT_NOT_MAPPED(self, self->mem, self->size);
	spapr_unmap(self->s.fd, self->start, window);
}

TEST_F(map, unmapping_nothing_makes_no_window)
{
	spapr_unmap(self->s.fd, self->iova, IOMMU_PAGE);
	EXPECT_ACCOUNT(&self->base, self->size, PAGES);
}

/* ------------------------------------------------------------------ */
/* Refused calls */

TEST_F(map, a_mapping_needs_a_permission)
{
	EXPECT_ERRNO(EINVAL, __spapr_map(self->s.fd, self->iova, self->mem,
					 IOMMU_PAGE, 0));
	EXPECT_NOT_MAPPED(self, self->mem, self->size);
}

TEST_F(map, only_whole_iommu_pages_are_mapped)
{
	const size_t off[] = { 1, 8, 512, 2048, IOMMU_PAGE - 1 };
	int fd = self->s.fd;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(off); i++) {
		EXPECT_ERRNO(EINVAL,
			     __spapr_map(fd, self->iova + off[i], self->mem,
					 IOMMU_PAGE, SPAPR_RW));
		EXPECT_ERRNO(EINVAL,
			     __spapr_map(fd, self->iova, self->mem + off[i],
					 IOMMU_PAGE, SPAPR_RW));
		EXPECT_ERRNO(EINVAL,
			     __spapr_map(fd, self->iova, self->mem,
					 IOMMU_PAGE + off[i], SPAPR_RW));
		EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->iova, self->mem,
						 off[i], SPAPR_RW));
	}
	EXPECT_NOT_MAPPED(self, self->mem, self->size);
}

TEST_F(map, only_whole_iommu_pages_are_unmapped)
{
	const size_t off[] = { 1, 8, 512, 2048, IOMMU_PAGE - 1 };
	int fd = self->s.fd;
	size_t i;

	spapr_map(fd, self->iova, self->mem, 4 * IOMMU_PAGE, SPAPR_RW);
	for (i = 0; i < ARRAY_SIZE(off); i++) {
		EXPECT_ERRNO(EINVAL, __spapr_unmap(fd, self->iova + off[i],
						   IOMMU_PAGE));
		EXPECT_ERRNO(EINVAL, __spapr_unmap(fd, self->iova,
						   IOMMU_PAGE + off[i]));
		EXPECT_ERRNO(EINVAL, __spapr_unmap(fd, self->iova, off[i]));
	}
	EXPECT_MAPPED(self, self->mem, self->size);
	spapr_unmap(fd, self->iova, 4 * IOMMU_PAGE);
}

TEST_F(map, an_address_in_no_window_is_not_there)
{
	const __u64 iova[] = {
		self->end, self->end + GIB, 1ULL << 40, 1ULL << 59, 1ULL << 62,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(iova); i++) {
		EXPECT_ERRNO(ENXIO, __spapr_map(self->s.fd, iova[i], self->mem,
						IOMMU_PAGE, SPAPR_RW));
		EXPECT_ERRNO(ENXIO,
			     __spapr_unmap(self->s.fd, iova[i], IOMMU_PAGE));
	}
	EXPECT_NOT_MAPPED(self, self->mem, self->size);
}

TEST_F(map, a_mapping_does_not_leave_the_window)
{
	__u64 window = self->end - self->start;
	int fd = self->s.fd;

	NOT_ON_STOCK(return);
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->end - IOMMU_PAGE, self->mem,
					 2 * IOMMU_PAGE, SPAPR_RW));
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->end - self->size / 2,
					 self->mem, self->size, SPAPR_RW));
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->start, self->mem,
					 window + IOMMU_PAGE, SPAPR_RW));
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->iova, self->mem,
					 1ULL << 59, SPAPR_RW));
	EXPECT_NOT_MAPPED(self, self->mem, self->size);
}

TEST_F(map, unmapping_does_not_leave_the_window)
{
	__u64 window = self->end - self->start;
	int fd = self->s.fd;

	spapr_map(fd, self->end - IOMMU_PAGE, self->mem, IOMMU_PAGE, SPAPR_RW);
	EXPECT_ERRNO(EINVAL,
		     __spapr_unmap(fd, self->end - IOMMU_PAGE, 2 * IOMMU_PAGE));
	EXPECT_ERRNO(EINVAL,
		     __spapr_unmap(fd, self->start, window + IOMMU_PAGE));
	EXPECT_ERRNO(EINVAL, __spapr_unmap(fd, self->iova, 1ULL << 59));
	EXPECT_MAPPED(self, self->mem, self->size);
	spapr_unmap(fd, self->start, window);
}

TEST_F(map, a_mapping_that_wraps_overflows)
{
	int fd = self->s.fd;

	NOT_ON_STOCK(return);
	EXPECT_ERRNO(EOVERFLOW, __spapr_map(fd, self->iova, self->mem,
					    -IOMMU_PAGE, SPAPR_RW));
	EXPECT_ERRNO(EOVERFLOW, __spapr_map(fd, self->iova, (void *)-IOMMU_PAGE,
					    2 * IOMMU_PAGE, SPAPR_RW));
	EXPECT_ERRNO(EOVERFLOW,
		     __spapr_map(fd, self->iova, (void *)-(2 * IOMMU_PAGE),
				 4 * IOMMU_PAGE, SPAPR_RW));
	EXPECT_NOT_MAPPED(self, self->mem, self->size);
}

TEST_F(map, unmapping_addresses_that_wrap_overflows)
{
	int fd = self->s.fd;

	spapr_map(fd, self->iova, self->mem, IOMMU_PAGE, SPAPR_RW);
	EXPECT_ERRNO(EOVERFLOW,
		     __spapr_unmap(fd, self->iova, -self->iova + IOMMU_PAGE));
	EXPECT_ERRNO(EOVERFLOW, __spapr_unmap(fd, self->iova, -IOMMU_PAGE));
	EXPECT_MAPPED(self, self->mem, self->size);
	spapr_unmap(fd, self->iova, IOMMU_PAGE);
}

TEST_F(map, only_registered_memory_is_mapped)
{
	char *not_registered = self->mem + self->size;
	int fd = self->s.fd;

	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->iova, not_registered,
					 IOMMU_PAGE, SPAPR_RW));
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->iova, self->mem - IOMMU_PAGE,
					 IOMMU_PAGE, SPAPR_RW));
	EXPECT_ERRNO(EINVAL,
		     __spapr_map(fd, self->iova, NULL, IOMMU_PAGE, SPAPR_RW));
	EXPECT_ERRNO(EINVAL,
		     __spapr_map(fd, self->iova, (void *)0xc000000000000000UL,
				 IOMMU_PAGE, SPAPR_RW));
	spapr_unregister(fd, self->mem, self->size);
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->iova, self->mem, IOMMU_PAGE,
					 SPAPR_RW));
}

TEST_F(map, a_failure_at_the_window_start_returns)
{
	NOT_ON_STOCK(return);
	EXPECT_ERRNO(EINVAL,
		     __spapr_map(self->s.fd, self->start,
				 self->mem + self->size, IOMMU_PAGE, SPAPR_RW));
	EXPECT_NOT_MAPPED(self, self->mem, self->size);
}

TEST_F(map, a_range_that_is_half_registered_is_not_mapped_at_all)
{
	int fd = self->s.fd;

	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->iova, self->mem,
					 self->size + IOMMU_PAGE, SPAPR_RW));
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->iova,
					 self->mem + self->size - self->page,
					 2 * self->page, SPAPR_RW));
	EXPECT_NOT_MAPPED(self, self->mem, self->size);
}

TEST_F(map, a_failed_mapping_leaves_the_old_one)
{
	char *next = self->mem + self->size;
	size_t half = self->size / 2;
	int fd = self->s.fd;

	spapr_register(fd, next, half);
	spapr_map(fd, self->iova, self->mem, self->size, SPAPR_RW);
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->iova, next, self->size,
					 SPAPR_RW));
	EXPECT_NOT_MAPPED(self, next, half);
	EXPECT_MAPPED(self, self->mem, self->size);
	spapr_unmap(fd, self->iova, self->size);
	EXPECT_NOT_MAPPED(self, self->mem, self->size);
}

TEST_F(map, a_forked_child_may_not_map_or_unmap)
{
	int fd = self->s.fd;
	__u64 iova = self->iova;
	char *mem = self->mem;

	spapr_map(fd, iova, mem, IOMMU_PAGE, SPAPR_RW);
	EXPECT_IN_CHILD(__spapr_map(fd, iova + IOMMU_PAGE, mem, IOMMU_PAGE,
				    3) == -EPERM);
	EXPECT_IN_CHILD(__spapr_unmap(fd, iova, IOMMU_PAGE) == -EPERM);
	EXPECT_IN_CHILD(__spapr_remove(fd, iova) == -EPERM);
	EXPECT_MAPPED(self, mem, self->size);
	spapr_unmap(fd, iova, IOMMU_PAGE);
}

TEST(nothing_is_mapped_before_memory_was_registered)
{
	void *mem = spapr_mem(spapr_page_size());
	struct vfio_iommu_spapr_tce_info info;
	long locked = spapr_locked();
	__u64 iova;
	struct spapr s;

	NEED_DEVICES(return, 1);
	spapr_open(&s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_info(s.fd, &info);
	iova = info.dma32_window_start + 16 * MIB;
	EXPECT_ERRNO(EPERM, __spapr_map(s.fd, iova, mem, IOMMU_PAGE, SPAPR_RW));
	EXPECT_ERRNO(EPERM, __spapr_unmap(s.fd, iova, IOMMU_PAGE));
	EXPECT_EQ(locked, spapr_locked());
	spapr_close(&s);
}

/* ------------------------------------------------------------------ */
/* Unregistering mapped memory */

TEST_F(map, unregister_while_mapped_is_busy_and_changes_nothing)
{
	int fd = self->s.fd, i;
	long locked;

	spapr_map(fd, self->iova, self->mem, IOMMU_PAGE, SPAPR_RW);
	locked = spapr_locked() - self->base.locked;
	for (i = 0; i < 3; i++) {
		EXPECT_ERRNO(EBUSY, __spapr_unregister(fd, self->mem,
						       self->size));
	}
	EXPECT_ACCOUNT(&self->base, locked, PAGES);
	spapr_map(fd, self->iova + IOMMU_PAGE, self->mem + IOMMU_PAGE,
		  IOMMU_PAGE, SPAPR_RW);
	spapr_unmap(fd, self->iova, 2 * IOMMU_PAGE);
	spapr_unregister(fd, self->mem, self->size);
	EXPECT_ACCOUNT(&self->base, locked - (long)self->size, 0);
	spapr_register(fd, self->mem, self->size);
	spapr_map(fd, self->iova, self->mem, self->size, SPAPR_RW);
}

/*
 * An unplug that ignores EBUSY: the memory is unmapped and other memory is
 * mapped at the same address. The new registration must not see the old memory.
 */
TEST_F(map, a_refused_region_makes_room_for_a_new_one)
{
	int fd = self->s.fd;
	long table;

	spapr_map(fd, self->iova, self->mem, IOMMU_PAGE, SPAPR_RW);
	table = spapr_locked() - self->base.locked - (long)self->size;
	EXPECT_ERRNO(EBUSY, __spapr_unregister(fd, self->mem, self->size));
	ASSERT_EQ(self->mem, mmap(self->mem, self->size,
				  PROT_READ | PROT_WRITE, MAP_PRIVATE |
				  MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	spapr_register(fd, self->mem, self->size);
	EXPECT_ACCOUNT(&self->base, table + 2 * (long)self->size, 2 * PAGES);
	/*
	 * the old region is released with its last mapping, the new one stays
	 */
	spapr_unmap(fd, self->iova, IOMMU_PAGE);
	EXPECT_ACCOUNT(&self->base, table + (long)self->size, PAGES);
	spapr_unregister(fd, self->mem, self->size);
	EXPECT_ACCOUNT(&self->base, table, 0);
}

TEST_F(map, a_new_region_may_lie_half_over_a_refused_one)
{
	int fd = self->s.fd;
	size_t half = self->size / 2;
	char *mem = self->mem + half;

	spapr_map(fd, self->iova, self->mem, self->size, SPAPR_RW);
	ASSERT_ERRNO(EBUSY, __spapr_unregister(fd, self->mem, self->size));
	ASSERT_EQ(mem, mmap(mem, self->size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	spapr_register(fd, mem, self->size);
	spapr_map(fd, self->iova + MIB, mem, self->size, SPAPR_RW);
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->iova + 2 * MIB, self->mem,
					 IOMMU_PAGE, SPAPR_RW));
	spapr_unmap(fd, self->iova, self->size);
	EXPECT_EQ(PAGES, spapr_pins() - self->base.pins);
	spapr_unmap(fd, self->iova + MIB, self->size);
	spapr_unregister(fd, mem, self->size);
}

/* ------------------------------------------------------------------ */
/* Cost under a hypervisor */

#define NEEDS_HCALLS							\
	"needs a pseries machine and the trace event hcall_entry: "	\
	"CONFIG_FTRACE and CONFIG_ENABLE_DEFAULT_TRACERS"

#define NEED_HCALLS(statement) do {					\
	if (spapr_hcalls_begin())					\
		SKIP(statement, NEEDS_HCALLS);				\
} while (0)

/* Maximum of one hypercall, by the architecture. */
#define TCES_OF_HCALL	512

TEST_F(map, empty_entries_are_unmapped_for_nothing)
{
	__u64 window = self->end - self->start;
	long calls;

	spapr_map(self->s.fd, self->iova, self->mem, IOMMU_PAGE, SPAPR_RW);
	NEED_HCALLS(return);
	spapr_unmap(self->s.fd, self->start, window);
	calls = spapr_hcalls_end();
	EXPECT_LE(1, calls);
	EXPECT_GE((long)(window / IOMMU_PAGE / TCES_OF_HCALL), calls);
	TH_LOG("%ld hypercalls for %llu entries", calls,
	       (unsigned long long)window / IOMMU_PAGE);
}

TEST_F(map, many_entries_are_mapped_by_one_call)
{
	size_t size = 1024 * IOMMU_PAGE;
	char *mem = spapr_mem(size);
	int fd = self->s.fd;
	long calls;

	spapr_register(fd, mem, size);
	spapr_map(fd, self->iova, self->mem, IOMMU_PAGE, SPAPR_RW);
	NEED_HCALLS(return);
	spapr_map(fd, self->iova + MIB, mem, size, SPAPR_RW);
	calls = spapr_hcalls_end();
	/* lists need not be aligned to the range */
	EXPECT_LE(2, calls);
	EXPECT_GE(2 * (long)(size / IOMMU_PAGE / TCES_OF_HCALL + 1), calls);
	TH_LOG("%ld hypercalls for %zu entries", calls, size / IOMMU_PAGE);
	ASSERT_EQ(0, spapr_hcalls_begin());
	spapr_unmap(fd, self->iova + MIB, size);
	calls = spapr_hcalls_end();
	EXPECT_LE(2, calls);
	EXPECT_GE(2 * (long)(size / IOMMU_PAGE / TCES_OF_HCALL + 1), calls);
}

TEST_HARNESS_MAIN
