// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA windows: addresses, parameters, accounting, and failed creation without
 * side effects.
 *
 * The capabilities of the machine (windows, page sizes, levels) are queried.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "edu.h"
#include "spapr_test.h"

#define PAGES		16
#define NO_WINDOW	(~0ULL)
#define SECONDS		120

FIXTURE(window)
{
	struct spapr s;
	struct spapr_account base;
	struct vfio_iommu_spapr_tce_info info;
	__u64 default_start;
	__u32 shift;
	size_t size;
	char *mem;
};

FIXTURE_SETUP(window)
{
	NEED_DEVICES(return, 1);
	self->size = PAGES * spapr_page_size();
	self->mem = spapr_mem(2 * self->size);
	ASSERT_NE(NULL, self->mem);
	spapr_account(&self->base);
	spapr_open(&self->s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_info(self->s.fd, &self->info);
	self->default_start = self->info.dma32_window_start;
	self->shift = iommu_shift(&self->info);
}

FIXTURE_TEARDOWN(window)
{
	spapr_close(&self->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

#define locked_by(self)		(spapr_locked() - (self)->base.locked)

/* A refusal: a negative errno for "invalid" or "not enough". */
#define EXPECT_REFUSED(call) do {					\
	int __ret = (call);						\
									\
	EXPECT_TRUE(__ret == -EINVAL || __ret == -ENOMEM) {		\
		TH_LOG("%s gave %d", #call, __ret);			\
	}								\
} while (0)

/* Memory can be mapped and unmapped at @iova, and is accounted there. */
#define EXPECT_USABLE(self, iova) do {					\
	typeof(self) __self = (self);					\
	__u64 __iova = (iova);						\
									\
	EXPECT_EQ(0, __spapr_map(__self->s.fd, __iova, __self->mem,	\
				 __self->size, SPAPR_RW));		\
	EXPECT_EQ(0, __spapr_unmap(__self->s.fd, __iova, __self->size)); \
} while (0)

/* ------------------------------------------------------------------ */
/* Capabilities of the machine */

TEST_F(window, information_is_complete_and_does_not_create_a_window)
{
	__u32 windows = self->info.ddw.max_dynamic_windows_supported;

	EXPECT_EQ((__u32)VFIO_IOMMU_SPAPR_INFO_DDW, self->info.flags);
	EXPECT_EQ(0U, self->info.dma32_window_size & (IOMMU_PAGE - 1));
	EXPECT_LE(256 * MIB, self->info.dma32_window_size);
	EXPECT_TRUE(!!(self->info.ddw.pgsizes & IOMMU_PAGE));
	EXPECT_GE(windows, 1U);
	EXPECT_LE(windows, 2U);
	EXPECT_GE(self->info.ddw.levels, 1U);
	EXPECT_EQ(0, locked_by(self));
	TH_LOG("%u windows, page sizes %#llx, %u levels, %u MiB by default",
	       windows, (unsigned long long)self->info.ddw.pgsizes,
	       self->info.ddw.levels, self->info.dma32_window_size >> 20);
}

/* ------------------------------------------------------------------ */
/* Window numbers and addresses */

TEST_F(window, the_default_window_goes_free_of_charge_before_its_first_use)
{
	spapr_remove(self->s.fd, self->default_start);
	EXPECT_EQ(0, locked_by(self));
	EXPECT_ERRNO(EINVAL, __spapr_remove(self->s.fd, self->default_start));
	spapr_register(self->s.fd, self->mem, self->size);
	EXPECT_ERRNO(ENXIO,
		     __spapr_map(self->s.fd, self->default_start + IOMMU_PAGE,
				 self->mem, IOMMU_PAGE, SPAPR_RW));
	EXPECT_ERRNO(ENXIO,
		     __spapr_unmap(self->s.fd, self->default_start + IOMMU_PAGE,
				   IOMMU_PAGE));
}

TEST_F(window, the_default_window_goes_with_its_table_after_use)
{
	spapr_register(self->s.fd, self->mem, self->size);
	EXPECT_USABLE(self, self->default_start + MIB);
	EXPECT_LT((long)self->size, locked_by(self));
	spapr_remove(self->s.fd, self->default_start);
	EXPECT_EQ((long)self->size, locked_by(self));
	EXPECT_ERRNO(EINVAL, __spapr_remove(self->s.fd, self->default_start));
}

TEST_F(window, the_first_window_takes_the_default_place)
{
	__u64 start = NO_WINDOW;

	spapr_register(self->s.fd, self->mem, self->size);
	spapr_remove(self->s.fd, self->default_start);
	spapr_create(self->s.fd, self->shift, GIB, 1, &start);
	EXPECT_EQ(self->default_start, start);
	EXPECT_USABLE(self, start);
	EXPECT_USABLE(self, start + GIB - self->size);
}

TEST_F(window, a_window_of_4k_pages_takes_the_place_of_the_default_one)
{
	__u64 start = NO_WINDOW;

	spapr_register(self->s.fd, self->mem, self->size);
	spapr_remove(self->s.fd, self->default_start);
	spapr_create(self->s.fd, 12, GIB, 1, &start);
	EXPECT_EQ(self->default_start, start);
	EXPECT_USABLE(self, start);
}

TEST_F(window, a_window_comes_beside_the_default_one)
{
	__u64 start = NO_WINDOW;

	if (self->info.ddw.max_dynamic_windows_supported < 2)
		SKIP(return, "needs a machine with two windows");
	spapr_register(self->s.fd, self->mem, self->size);
	spapr_create(self->s.fd, self->shift, GIB, 1, &start);
	EXPECT_NE(self->default_start, start);
	EXPECT_EQ(1ULL << 59, start);
	EXPECT_USABLE(self, start);
	EXPECT_USABLE(self, self->default_start + MIB);
	EXPECT_ERRNO(ENXIO, __spapr_map(self->s.fd, start + GIB, self->mem,
					IOMMU_PAGE, SPAPR_RW));
	spapr_remove(self->s.fd, start);
	EXPECT_ERRNO(ENXIO, __spapr_unmap(self->s.fd, start, self->size));
	EXPECT_USABLE(self, self->default_start + MIB);
}

TEST_F(window, there_is_no_third_window)
{
	__u64 first = NO_WINDOW, second = NO_WINDOW, none;
	long locked;

	if (self->info.ddw.max_dynamic_windows_supported < 2)
		SKIP(return, "needs a machine with two windows");
	spapr_register(self->s.fd, self->mem, self->size);
	spapr_remove(self->s.fd, self->default_start);
	spapr_create(self->s.fd, 12, GIB, 1, &first);
	spapr_create(self->s.fd, self->shift, GIB, 1, &second);
	EXPECT_NE(first, second);
	locked = locked_by(self);
	EXPECT_ERRNO(ENOSPC, __spapr_create(self->s.fd, 12, GIB, 1, &none));
	EXPECT_ERRNO(ENOSPC, __spapr_create(self->s.fd, 12, GIB, 1, &none));
	EXPECT_EQ(locked, locked_by(self));
	EXPECT_USABLE(self, first + MIB);
	EXPECT_USABLE(self, second + MIB);
}

TEST_F(window, a_freed_place_is_used_again)
{
	__u64 first = NO_WINDOW, second = NO_WINDOW, again = NO_WINDOW;

	if (self->info.ddw.max_dynamic_windows_supported < 2)
		SKIP(return, "needs a machine with two windows");
	spapr_register(self->s.fd, self->mem, self->size);
	spapr_remove(self->s.fd, self->default_start);
	spapr_create(self->s.fd, 12, GIB, 1, &first);
	spapr_create(self->s.fd, self->shift, GIB, 1, &second);
	spapr_remove(self->s.fd, second);
	spapr_create(self->s.fd, self->shift, GIB, 1, &again);
	EXPECT_EQ(second, again);
	spapr_remove(self->s.fd, again);
	spapr_remove(self->s.fd, first);
	EXPECT_EQ((long)self->size, locked_by(self));
}

/* Two windows of these page sizes, with mappings in each. */
static void create_both(struct __test_metadata *_metadata,
			struct _test_data_window *self, const __u32 *shifts,
			__u64 *at)
{
	int i;

	for (i = 0; i < 2; i++) {
		spapr_create(self->s.fd, shifts[i], GIB, 1, &at[i]);
		EXPECT_USABLE(self, at[i] + MIB);
	}
	EXPECT_EQ(self->default_start, at[0]);
	EXPECT_EQ(1ULL << 59, at[1]);
}

TEST_F(window, two_windows_go_in_any_order_and_come_again)
{
	const __u32 shifts[][2] = {
		{ 12, self->shift }, { self->shift, 12 },
		{ self->shift, self->shift }, { 12, 12 },
	};
	__u64 at[2] = { NO_WINDOW, NO_WINDOW };
	unsigned int i, first;

	if (self->info.ddw.max_dynamic_windows_supported < 2)
		SKIP(return, "needs a machine with two windows");
	spapr_register(self->s.fd, self->mem, self->size);
	spapr_remove(self->s.fd, self->default_start);
	for (i = 0; i < ARRAY_SIZE(shifts); i++) {
		for (first = 0; first < 2; first++) {
			create_both(_metadata, self, shifts[i], at);
			spapr_remove(self->s.fd, at[first]);
			EXPECT_USABLE(self, at[!first] + MIB);
			EXPECT_ERRNO(ENXIO, __spapr_unmap(self->s.fd, at[first],
							  IOMMU_PAGE));
			spapr_remove(self->s.fd, at[!first]);
		}
	}
	EXPECT_EQ((long)self->size, locked_by(self));
}

/* The other window and its mappings do not change, whatever the result is. */
TEST_F(window, the_first_window_comes_again_or_is_refused_beside_the_second)
{
	const __u32 shifts[2] = { self->shift, 12 };
	__u64 at[2] = { NO_WINDOW, NO_WINDOW }, again;
	int i, ret;

	if (self->info.ddw.max_dynamic_windows_supported < 2)
		SKIP(return, "needs a machine with two windows");
	spapr_register(self->s.fd, self->mem, self->size);
	spapr_remove(self->s.fd, self->default_start);
	create_both(_metadata, self, shifts, at);
	spapr_map(self->s.fd, at[1], self->mem, self->size, SPAPR_RW);
	spapr_remove(self->s.fd, at[0]);
	for (i = 0; i < 4; i++) {
		ret = __spapr_create(self->s.fd, shifts[i % 2], GIB, 1, &again);
		if (ret) {
			/* the hypervisor has no place for it now */
			EXPECT_EQ(-EPERM, ret);
			EXPECT_TRUE(levels_are_a_hint(&self->info));
		} else {
			EXPECT_EQ(at[0], again);
			EXPECT_USABLE(self, again + MIB);
			spapr_remove(self->s.fd, again);
		}
		EXPECT_USABLE(self, at[1] + MIB);
	}
	spapr_unmap(self->s.fd, at[1], self->size);
	spapr_remove(self->s.fd, at[1]);
	create_both(_metadata, self, shifts, at);
}

TEST_F_TIMEOUT(window, the_device_copies_from_one_window_to_the_other, SECONDS)
{
	const __u32 shifts[2] = { self->shift, self->shift };
	__u64 at[2] = { NO_WINDOW, NO_WINDOW };
	size_t half = self->size / 2;
	struct edu edu;
	int round;

	if (self->info.ddw.max_dynamic_windows_supported < 2)
		SKIP(return, "needs a machine with two windows");
	ASSERT_EQ(0, edu_open(&edu, self->s.group[0], spapr_bdf(0)));
	spapr_register(self->s.fd, self->mem, self->size);
	spapr_remove(self->s.fd, self->default_start);
	for (round = 0; round < 2; round++) {
		create_both(_metadata, self, shifts, at);
		spapr_map(self->s.fd, at[0], self->mem, half, SPAPR_RW);
		spapr_map(self->s.fd, at[1], self->mem + half, half, SPAPR_RW);
		fill(self->mem, EDU_DMA_MAX, round);
		EXPECT_EQ(0, edu_memcpy(&edu, at[1], at[0], EDU_DMA_MAX));
		EXPECT_TRUE(is_filled(self->mem + half, EDU_DMA_MAX, round));
		fill(self->mem + half, EDU_DMA_MAX, round + 7);
		EXPECT_EQ(0, edu_memcpy(&edu, at[0], at[1], EDU_DMA_MAX));
		EXPECT_TRUE(is_filled(self->mem, EDU_DMA_MAX, round + 7));
		spapr_remove(self->s.fd, at[round]);
		spapr_remove(self->s.fd, at[!round]);
	}
	edu_close(&edu);
}

TEST_F(window, creating_and_removing_can_go_on_for_ever)
{
	__u64 start = NO_WINDOW;
	int i;

	spapr_register(self->s.fd, self->mem, self->size);
	spapr_remove(self->s.fd, self->default_start);
	for (i = 0; i < 20; i++) {
		spapr_create(self->s.fd, 12, 256 * MIB, 1, &start);
		EXPECT_USABLE(self, start + MIB);
		spapr_remove(self->s.fd, start);
	}
	EXPECT_EQ((long)self->size, locked_by(self));
}

TEST_F(window, windows_need_no_registered_memory)
{
	__u64 start = NO_WINDOW;

	spapr_remove(self->s.fd, self->default_start);
	spapr_create(self->s.fd, 12, GIB, 1, &start);
	EXPECT_ERRNO(EPERM, __spapr_map(self->s.fd, start + IOMMU_PAGE,
					self->mem, IOMMU_PAGE, SPAPR_RW));
	spapr_remove(self->s.fd, start);
	EXPECT_EQ(0, locked_by(self));
}

TEST_F(window, a_table_is_counted_while_its_window_exists)
{
	long entries = GIB / IOMMU_PAGE;
	__u64 start = NO_WINDOW;

	spapr_remove(self->s.fd, self->default_start);
	spapr_create(self->s.fd, 12, GIB, 1, &start);
	EXPECT_LE(entries * 8, locked_by(self));
	EXPECT_GE(entries * 16, locked_by(self));
	spapr_remove(self->s.fd, start);
	EXPECT_EQ(0, locked_by(self));
}

/* ------------------------------------------------------------------ */
/* REMOVE */

TEST_F(window, only_the_start_of_a_window_removes_it)
{
	__u64 off[] = { 1,	 IOMMU_PAGE, MIB,	GIB - IOMMU_PAGE,
			GIB - 1, GIB,	     1ULL << 40 };
	__u64 start = NO_WINDOW;
	size_t i;

	spapr_register(self->s.fd, self->mem, self->size);
	spapr_remove(self->s.fd, self->default_start);
	spapr_create(self->s.fd, 12, GIB, 1, &start);
	for (i = 0; i < ARRAY_SIZE(off); i++) {
		EXPECT_ERRNO(EINVAL, __spapr_remove(self->s.fd,
						    start + off[i])) {
			TH_LOG("%#llx into the window",
			       (unsigned long long)off[i]);
		}
	}
	EXPECT_ERRNO(EINVAL, __spapr_remove(self->s.fd, NO_WINDOW));
	EXPECT_USABLE(self, start + MIB);
	spapr_remove(self->s.fd, start);
}

TEST_F(window, removing_where_no_window_is_leaves_the_default_one)
{
	EXPECT_ERRNO(EINVAL, __spapr_remove(self->s.fd,
					    self->default_start + IOMMU_PAGE));
	EXPECT_ERRNO(EINVAL, __spapr_remove(self->s.fd, 1ULL << 59));
	spapr_register(self->s.fd, self->mem, self->size);
	EXPECT_USABLE(self, self->default_start + MIB);
}

TEST_F(window, removing_a_window_ends_its_mappings)
{
	__u64 start = NO_WINDOW;

	spapr_register(self->s.fd, self->mem, self->size);
	spapr_remove(self->s.fd, self->default_start);
	spapr_create(self->s.fd, 12, GIB, 1, &start);
	spapr_map(self->s.fd, start, self->mem, self->size, SPAPR_RW);
	spapr_map(self->s.fd, start + GIB - IOMMU_PAGE, self->mem, IOMMU_PAGE,
		  SPAPR_RW);
	spapr_remove(self->s.fd, start);
	spapr_unregister(self->s.fd, self->mem, self->size);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* ------------------------------------------------------------------ */
/* Failed CREATE */

/* Invalid on all machines. */
FIXTURE(refused)
{
	struct spapr s;
	struct spapr_account base;
	struct vfio_iommu_spapr_tce_info info;
	size_t size;
	char *mem;
};

FIXTURE_VARIANT(refused)
{
	__u32 page_shift;	/* 0: the largest that memory always supports */
	__u64 window_size;
	__u32 levels;
	bool not_on_stock;
};

FIXTURE_VARIANT_ADD(refused, page_shift_1) {
	.page_shift = 1, .window_size = GIB, .levels = 1,
};

FIXTURE_VARIANT_ADD(refused, page_shift_11) {
	.page_shift = 11, .window_size = GIB, .levels = 1,
};

FIXTURE_VARIANT_ADD(refused, page_shift_13) {
	.page_shift = 13, .window_size = GIB, .levels = 1,
};

FIXTURE_VARIANT_ADD(refused, page_shift_63) {
	.page_shift = 63, .window_size = GIB, .levels = 1,
};

FIXTURE_VARIANT_ADD(refused, page_shift_64) {
	.page_shift = 64, .window_size = GIB, .levels = 1,
};

FIXTURE_VARIANT_ADD(refused, page_shift_76) {
	.page_shift = 76, .window_size = GIB, .levels = 1,
};

FIXTURE_VARIANT_ADD(refused, page_shift_140) {
	.page_shift = 140, .window_size = GIB, .levels = 1,
	.not_on_stock = true,
};

FIXTURE_VARIANT_ADD(refused, page_shift_4294967295) {
	.page_shift = 0xffffffff, .window_size = GIB, .levels = 1,
	.not_on_stock = true,
};

FIXTURE_VARIANT_ADD(refused, size_0) {
	.page_shift = 0, .window_size = 0, .levels = 1,
};

FIXTURE_VARIANT_ADD(refused, size_1) {
	.page_shift = 0, .window_size = 1, .levels = 1,
};

FIXTURE_VARIANT_ADD(refused, size_less_than_an_iommu_page) {
	.page_shift = 0, .window_size = 2048, .levels = 1,
};

FIXTURE_VARIANT_ADD(refused, size_not_a_power_of_two) {
	.page_shift = 0, .window_size = GIB + GIB / 2, .levels = 1,
};

FIXTURE_VARIANT_ADD(refused, size_one_page_too_many) {
	.page_shift = 0, .window_size = GIB + 0x10000, .levels = 1,
};

FIXTURE_VARIANT_ADD(refused, size_of_the_whole_space) {
	.page_shift = 0, .window_size = 1ULL << 63, .levels = 1,
};

FIXTURE_VARIANT_ADD(refused, size_that_is_all_ones) {
	.page_shift = 0, .window_size = ~0ULL, .levels = 1,
};

FIXTURE_VARIANT_ADD(refused, levels_0) {
	.page_shift = 0, .window_size = GIB, .levels = 0,
};

FIXTURE_VARIANT_ADD(refused, levels_6) {
	.page_shift = 0, .window_size = GIB, .levels = 6,
};

FIXTURE_VARIANT_ADD(refused, levels_255) {
	.page_shift = 0, .window_size = GIB, .levels = 255,
};

FIXTURE_VARIANT_ADD(refused, levels_4294967295) {
	.page_shift = 0, .window_size = GIB, .levels = 0xffffffff,
};

FIXTURE_VARIANT_ADD(refused, more_levels_than_needed) {
	.page_shift = 0, .window_size = 64 * KIB, .levels = 5,
};

FIXTURE_SETUP(refused)
{
	NEED_DEVICES(return, 1);
	if (variant->not_on_stock)
		NOT_ON_STOCK(return);
	self->size = PAGES * spapr_page_size();
	self->mem = spapr_mem(self->size);
	spapr_account(&self->base);
	spapr_open(&self->s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_info(self->s.fd, &self->info);
	spapr_register(self->s.fd, self->mem, self->size);
	spapr_remove(self->s.fd, self->info.dma32_window_start);
}

FIXTURE_TEARDOWN(refused)
{
	spapr_close(&self->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(refused, nothing_is_left_and_it_can_be_repeated)
{
	__u32 shift = variant->page_shift ?: iommu_shift(&self->info);
	__u64 start = NO_WINDOW;
	int i;

	if (variant->levels != 1 && levels_are_a_hint(&self->info))
		SKIP(return, "needs levels that mean something: a powernv machine");
	for (i = 0; i < 3; i++) {
		EXPECT_REFUSED(__spapr_create(self->s.fd, shift,
					      variant->window_size,
					      variant->levels, &start));
		EXPECT_EQ((long)self->size, locked_by(self));
	}
	EXPECT_EQ(NO_WINDOW, start);
	spapr_create(self->s.fd, 12, GIB, 1, &start);
	EXPECT_USABLE(self, start + MIB);
	spapr_remove(self->s.fd, start);
	EXPECT_EQ((long)self->size, locked_by(self));
}

TEST_F(window, page_sizes_not_offered_are_refused)
{
	__u64 start;
	__u32 shift;

	spapr_remove(self->s.fd, self->default_start);
	for (shift = 0; shift < 128; shift++) {
		if (shift < 64 && (self->info.ddw.pgsizes & (1ULL << shift)))
			continue;
		EXPECT_ERRNO(EINVAL, __spapr_create(self->s.fd, shift, GIB, 1,
						    &start)) {
			TH_LOG("page shift %u", shift);
		}
	}
	EXPECT_EQ(0, locked_by(self));
}

TEST_F(window, each_page_size_offered_makes_a_window)
{
	__u64 start = NO_WINDOW;
	__u32 shift;

	spapr_remove(self->s.fd, self->default_start);
	for (shift = 12; shift < 35; shift++) {
		if (!(self->info.ddw.pgsizes & (1ULL << shift)))
			continue;
		EXPECT_EQ(0, __spapr_create(self->s.fd, shift,
					    shift < 31 ? 2 * GIB : 2UL << shift,
					    1, &start)) {
			TH_LOG("page shift %u", shift);
			continue;
		}
		spapr_remove(self->s.fd, start);
	}
	EXPECT_EQ(0, locked_by(self));
}

TEST_F(window, a_level_more_for_each_refusal_ends_in_a_window)
{
	__u64 start = NO_WINDOW;

	if (self->info.ddw.levels < 2)
		SKIP(return, "needs several levels: a powernv machine");
	spapr_register(self->s.fd, self->mem, self->size);
	spapr_remove(self->s.fd, self->default_start);
	ASSERT_EQ(0, __spapr_create_rising(self->s.fd, self->shift, 1ULL << 44,
					   self->info.ddw.levels, &start));
	EXPECT_USABLE(self, start);
	EXPECT_USABLE(self, start + (1ULL << 43));
	EXPECT_USABLE(self, start + (1ULL << 44) - self->size);
	spapr_remove(self->s.fd, start);
	EXPECT_EQ((long)self->size, locked_by(self));
}

TEST_F(window, levels_are_a_hint_where_the_hypervisor_has_the_table)
{
	const __u32 levels[] = { 0, 1, 2, 5, 6, 255, ~0U };
	__u64 start = NO_WINDOW;
	size_t i;

	if (!levels_are_a_hint(&self->info))
		SKIP(return, "needs a hypervisor: a pseries machine");
	spapr_register(self->s.fd, self->mem, self->size);
	spapr_remove(self->s.fd, self->default_start);
	for (i = 0; i < ARRAY_SIZE(levels); i++) {
		EXPECT_EQ(0, __spapr_create(self->s.fd, self->shift, GIB,
					    levels[i], &start)) {
			TH_LOG("%u levels", levels[i]);
			continue;
		}
		EXPECT_EQ((long)(self->size + (GIB >> self->shift) * 8),
			  locked_by(self));
		EXPECT_USABLE(self, start + MIB);
		spapr_remove(self->s.fd, start);
	}
	EXPECT_EQ((long)self->size, locked_by(self));
}

TEST_F(window, levels_make_a_window_or_leave_nothing)
{
	__u64 start = NO_WINDOW;
	__u32 levels;
	int ret;

	spapr_remove(self->s.fd, self->default_start);
	for (levels = 1; levels <= 8; levels++) {
		ret = __spapr_create(self->s.fd, self->shift, GIB, levels,
				     &start);
		if (!ret)
			ret = __spapr_remove(self->s.fd, start);
		EXPECT_TRUE(!ret || ret == -EINVAL || ret == -ENOMEM);
		EXPECT_EQ(0, locked_by(self)) {
			TH_LOG("%u levels gave %d", levels, ret);
		}
	}
	spapr_create(self->s.fd, self->shift, GIB, 1, &start);
}

TEST_F(window, reserved_fields_must_be_zero)
{
	struct vfio_iommu_spapr_tce_create create = {
		.argsz = sizeof(create), .page_shift = 12,
		.window_size = GIB, .levels = 1, .__resv1 = 1,
	};

	spapr_remove(self->s.fd, self->default_start);
	EXPECT_ERRNO(EINVAL, __spapr_ioctl(self->s.fd,
					   VFIO_IOMMU_SPAPR_TCE_CREATE,
					   &create));
	create.__resv1 = 0;
	create.__resv2 = 1;
	EXPECT_ERRNO(EINVAL, __spapr_ioctl(self->s.fd,
					   VFIO_IOMMU_SPAPR_TCE_CREATE,
					   &create));
	EXPECT_EQ(0, locked_by(self));
}

TEST_F(window, a_window_that_is_not_reported_is_not_kept)
{
	struct vfio_iommu_spapr_tce_create *create;

	create = spapr_mem(spapr_page_size());
	*create = (struct vfio_iommu_spapr_tce_create){
		.argsz = sizeof(*create), .page_shift = 12,
		.window_size = GIB, .levels = 1,
	};
	ASSERT_EQ(0, mprotect(create, spapr_page_size(), PROT_READ));
	spapr_remove(self->s.fd, self->default_start);
	EXPECT_ERRNO(EFAULT, __spapr_ioctl(self->s.fd,
					   VFIO_IOMMU_SPAPR_TCE_CREATE,
					   create));
	EXPECT_EQ(0, locked_by(self));
}

/* A hypervisor counts the TCEs of a window in 32 bits. */
TEST_F(window, more_tces_than_a_hypervisor_counts_are_refused)
{
	__u64 size = 1ULL << (32 + self->shift), start = NO_WINDOW;

	NOT_ON_STOCK(return);
	if (!levels_are_a_hint(&self->info))
		SKIP(return, "needs a hypervisor: a pseries machine");
	spapr_register(self->s.fd, self->mem, self->size);
	spapr_remove(self->s.fd, self->default_start);
	for (; size; size <<= 1) {
		EXPECT_ERRNO(EINVAL, __spapr_create(self->s.fd, self->shift,
						    size, 1, &start)) {
			TH_LOG("%#llx bytes", (unsigned long long)size);
		}
		EXPECT_EQ((long)self->size, locked_by(self));
	}
	spapr_create(self->s.fd, self->shift, GIB, 1, &start);
	EXPECT_EQ(self->default_start, start);
	EXPECT_USABLE(self, start);
}

/* Errors that the kernel has logged since the last read of @fd. */
static int errors_in_log(int fd, char *text, size_t size)
{
	unsigned int prio;
	int errors = 0;
	ssize_t len;

	while ((len = read(fd, text, size - 1)) > 0) {
		text[len] = '\0';
		/* a record starts with 8 * facility + level; 0 is the kernel */
		if (sscanf(text, "%u,", &prio) == 1 && prio <= 3)
			errors++;
	}
	return errors;
}

TEST_F(window, a_refusal_is_no_error_of_the_kernel)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	char text[8192];
	__u64 start;

	if (log < 0)
		SKIP(return, "needs /dev/kmsg: CONFIG_PRINTK");
	spapr_remove(self->s.fd, self->default_start);
	lseek(log, 0, SEEK_END);
	EXPECT_REFUSED(__spapr_create(self->s.fd, 13, GIB, 1, &start));
	if (!levels_are_a_hint(&self->info)) {
		EXPECT_REFUSED(__spapr_create(self->s.fd, 12, GIB, 0, &start));
		EXPECT_REFUSED(__spapr_create(self->s.fd, 12, GIB, 6, &start));
	}
	EXPECT_REFUSED(
		__spapr_create(self->s.fd, 12, GIB + IOMMU_PAGE, 1, &start));
	EXPECT_REFUSED(__spapr_create(self->s.fd, 12, 2 * KIB, 1, &start));
	EXPECT_REFUSED(__spapr_create(self->s.fd, 12, 1ULL << 63, 1, &start));
	if (!levels_are_a_hint(&self->info))
		EXPECT_REFUSED(__spapr_create(self->s.fd, 12, 64 * KIB, 5,
					      &start));
	EXPECT_EQ(0, errors_in_log(log, text, sizeof(text)));
	close(log);
}

/* A table of many entries, two of them used. */
TEST_F(window, a_large_window_takes_memory_as_it_is_used)
{
	__u64 start = NO_WINDOW, size = 1ULL << (24 + self->shift);
	long before, after;

	spapr_register(self->s.fd, self->mem, self->size);
	spapr_remove(self->s.fd, self->default_start);
	before = spapr_mem_free();
	ASSERT_EQ(0, __spapr_create_rising(self->s.fd, self->shift, size,
					   self->info.ddw.levels, &start));
	EXPECT_USABLE(self, start);
	EXPECT_USABLE(self, start + size - self->size);
	after = spapr_mem_free();
	/* bare metal: the table itself may have one level */
	EXPECT_GT(self->info.ddw.levels > 1 ? 192 * (long)MIB : 32 * (long)MIB,
		  before - after);
	TH_LOG("%ld KiB for 2^24 entries", (before - after) / 1024);
	spapr_remove(self->s.fd, start);
}

static int give_up_ipc_lock(size_t limit)
{
	struct rlimit r = { .rlim_cur = limit, .rlim_max = limit };
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (setrlimit(RLIMIT_MEMLOCK, &r) ||
	    syscall(SYS_capget, &header, data))
		return -errno;
	data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &=
		~CAP_TO_MASK(CAP_IPC_LOCK);
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

TEST_F(window, a_table_over_the_limit_of_locked_memory_is_refused)
{
	__u64 start = NO_WINDOW;

	spapr_remove(self->s.fd, self->default_start);
	ASSERT_EQ(0, give_up_ipc_lock(MIB));
	EXPECT_ERRNO(ENOMEM, __spapr_create(self->s.fd, 12, GIB, 1, &start));
	EXPECT_EQ(0, locked_by(self));
	EXPECT_EQ(0, __spapr_create(self->s.fd, 12, 256 * MIB, 1, &start));
	EXPECT_NE(0, locked_by(self));
	spapr_remove(self->s.fd, start);
	EXPECT_EQ(0, locked_by(self));
}

TEST_F(window, the_default_window_over_the_limit_is_refused)
{
	spapr_register(self->s.fd, self->mem, self->size);
	ASSERT_EQ(0, give_up_ipc_lock(self->size + spapr_page_size()));
	EXPECT_ERRNO(ENOMEM, __spapr_map(self->s.fd, self->default_start + MIB,
					 self->mem, IOMMU_PAGE, SPAPR_RW));
	EXPECT_ERRNO(ENOMEM, __spapr_map(self->s.fd, self->default_start + MIB,
					 self->mem, IOMMU_PAGE, SPAPR_RW));
	EXPECT_EQ((long)self->size, locked_by(self));
}

/* ------------------------------------------------------------------ */
/* In a window of another page size */

TEST_F(window, addresses_are_multiples_of_the_page_of_the_window)
{
	size_t ip = 1UL << self->shift;
	__u64 start = NO_WINDOW;
	int fd = self->s.fd;

	if (ip == IOMMU_PAGE)
		SKIP(return, "needs a kernel with 64K pages");
	spapr_register(fd, self->mem, self->size);
	spapr_remove(fd, self->default_start);
	spapr_create(fd, self->shift, GIB, 1, &start);
	start += MIB;
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, start, self->mem + IOMMU_PAGE, ip,
					 SPAPR_RW));
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, start, self->mem, ip + IOMMU_PAGE,
					 SPAPR_RW));
	EXPECT_ERRNO(EINVAL,
		     __spapr_map(fd, start, self->mem, IOMMU_PAGE, SPAPR_RW));
	EXPECT_ERRNO(EINVAL, __spapr_unmap(fd, start, IOMMU_PAGE));
	spapr_map(fd, start, self->mem, ip, SPAPR_RW);
	spapr_unmap(fd, start, ip);
	spapr_unregister(fd, self->mem, self->size);
}

TEST_F(window, an_iova_within_a_page_is_refused)
{
	size_t ip = 1UL << self->shift;
	__u64 start = NO_WINDOW;
	int fd = self->s.fd;

	spapr_register(fd, self->mem, self->size);
	spapr_remove(fd, self->default_start);
	spapr_create(fd, self->shift, GIB, 1, &start);
	start += MIB;
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, start + ip / 2, self->mem, ip,
					 SPAPR_RW));
	EXPECT_ERRNO(EINVAL, __spapr_unmap(fd, start + ip / 2, ip));
	spapr_unregister(fd, self->mem, self->size);
}

/* The same page of a file repeatedly: no two pages are contiguous. */
static char *scattered_memory(size_t size, size_t align)
{
	size_t page = spapr_page_size(), off;
	char *mem = spapr_reserve(size + align);
	int fd = syscall(SYS_memfd_create, "spapr", 0);

	if (fd < 0 || !mem || ftruncate(fd, page))
		return NULL;
	mem = (char *)(((unsigned long)mem + align - 1) & -align);
	for (off = 0; off < size; off += page) {
		if (mmap(mem + off, page, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
			return NULL;
	}
	close(fd);
	return mem;
}

TEST_F(window, an_iommu_page_over_scattered_pages_is_refused)
{
	__u64 larger = self->info.ddw.pgsizes & ~(2 * spapr_page_size() - 1);
	__u32 shift = larger ? __builtin_ctzll(larger) : 63;
	__u64 start = NO_WINDOW;
	size_t ip = 1UL << shift;
	char *mem;

	if (shift > 24)
		SKIP(return, "needs IOMMU pages of up to 16M over a page");
	mem = scattered_memory(ip, ip);
	ASSERT_NE(NULL, mem);
	spapr_register(self->s.fd, mem, ip);
	spapr_remove(self->s.fd, self->default_start);
	spapr_create(self->s.fd, shift, GIB, 1, &start);
	EXPECT_ERRNO(EINVAL, __spapr_map(self->s.fd, start + 2 * ip, mem, ip,
					 SPAPR_RW));
	spapr_unregister(self->s.fd, mem, ip);
}

TEST_F(window, a_small_window_ends_where_it_should)
{
	__u64 start = NO_WINDOW, size = 256 * KIB;

	spapr_register(self->s.fd, self->mem, self->size);
	spapr_remove(self->s.fd, self->default_start);
	if (__spapr_create(self->s.fd, 12, size, 1, &start))
		SKIP(return, "needs a machine that makes windows of %llu bytes",
		     (unsigned long long)size);
	EXPECT_EQ(0, __spapr_map(self->s.fd, start + size - IOMMU_PAGE,
				 self->mem, IOMMU_PAGE, SPAPR_RW));
	EXPECT_ERRNO(ENXIO, __spapr_map(self->s.fd, start + size, self->mem,
					IOMMU_PAGE, SPAPR_RW));
	EXPECT_ERRNO(ENXIO,
		     __spapr_unmap(self->s.fd, start + size, IOMMU_PAGE));
}

TEST_F(window, a_forked_child_may_not_make_or_remove_windows)
{
	__u64 start = NO_WINDOW, at = self->default_start;
	int fd = self->s.fd;

	spapr_register(fd, self->mem, self->size);
	EXPECT_IN_CHILD(__spapr_create(fd, 12, GIB, 1, &start) == -EPERM);
	EXPECT_IN_CHILD(__spapr_remove(fd, at) == -EPERM);
	EXPECT_USABLE(self, at + MIB);
}

TEST_HARNESS_MAIN
