// SPDX-License-Identifier: GPL-2.0-only
/*
 * Common checks of the calls: which container has which call, argument length,
 * flags, and unreadable arguments.
 */
#include <sys/mman.h>

#include "spapr_test.h"

#define NR(cmd)			_IOC_NR(cmd)
#define LAST_VFIO_CALL		(VFIO_BASE + 21)

/* ------------------------------------------------------------------ */
/* Container without a group, or before VFIO_SET_IOMMU */

TEST(extensions_are_answered_without_a_group)
{
	int fd = spapr_container_fd();
	int eeh;

	if (fd < 0)
		SKIP(return, "needs /dev/vfio/vfio: CONFIG_VFIO_CONTAINER");
	EXPECT_EQ(1, __spapr_ioctl(fd, VFIO_CHECK_EXTENSION,
				   (void *)VFIO_SPAPR_TCE_IOMMU));
	EXPECT_EQ(1, __spapr_ioctl(fd, VFIO_CHECK_EXTENSION,
				   (void *)VFIO_SPAPR_TCE_v2_IOMMU));
	EXPECT_EQ(0, __spapr_ioctl(fd, VFIO_CHECK_EXTENSION, (void *)12345));
	eeh = __spapr_ioctl(fd, VFIO_CHECK_EXTENSION, (void *)VFIO_EEH);
	EXPECT_TRUE(eeh == 0 || eeh == 1);
	close(fd);
}

TEST(a_container_without_a_group_has_no_iommu)
{
	int fd = spapr_container_fd();
	void *mem = spapr_mem(spapr_page_size());
	struct vfio_iommu_spapr_tce_info info;

	if (fd < 0)
		SKIP(return, "needs /dev/vfio/vfio: CONFIG_VFIO_CONTAINER");
	EXPECT_ERRNO(EINVAL, __spapr_ioctl(fd, VFIO_SET_IOMMU,
					   (void *)VFIO_SPAPR_TCE_v2_IOMMU));
	EXPECT_ERRNO(EINVAL, __spapr_register(fd, mem, spapr_page_size()));
	EXPECT_ERRNO(EINVAL, __spapr_info(fd, &info));
	EXPECT_ERRNO(EINVAL, __spapr_remove(fd, 0));
	close(fd);
}

TEST(the_iommu_is_set_once)
{
	struct spapr s;

	NEED_DEVICES(return, 1);
	spapr_open(&s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	EXPECT_ERRNO(EINVAL, __spapr_ioctl(s.fd, VFIO_SET_IOMMU,
					   (void *)VFIO_SPAPR_TCE_v2_IOMMU));
	EXPECT_ERRNO(EINVAL, __spapr_ioctl(s.fd, VFIO_SET_IOMMU,
					   (void *)VFIO_SPAPR_TCE_IOMMU));
	spapr_close(&s);
}

TEST(an_iommu_of_another_kind_is_not_there)
{
	struct spapr s;

	NEED_DEVICES(return, 1);
	EXPECT_ERRNO(ENODEV, __spapr_open(&s, 12345, 1));
	spapr_open(&s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	EXPECT_EQ(1, __spapr_ioctl(s.fd, VFIO_CHECK_EXTENSION,
				   (void *)VFIO_SPAPR_TCE_v2_IOMMU));
	spapr_close(&s);
}

TEST(a_container_can_change_its_kind_when_its_last_group_is_gone)
{
	struct spapr s;

	NEED_DEVICES(return, 1);
	spapr_open(&s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_detach(&s, 0);
	EXPECT_ERRNO(EINVAL, __spapr_register(s.fd, NULL, 0));
	spapr_attach(&s, 0);
	ASSERT_EQ(0, __spapr_ioctl(s.fd, VFIO_SET_IOMMU,
				   (void *)VFIO_SPAPR_TCE_IOMMU));
	EXPECT_ERRNO(ENOTTY, __spapr_register(s.fd, NULL, 0));
	spapr_close(&s);
}

TEST(version_1_takes_one_group_only)
{
	struct spapr s;

	NEED_DEVICES(return, 2);
	spapr_open(&s, VFIO_SPAPR_TCE_IOMMU, 1);
	EXPECT_ERRNO(EBUSY, __spapr_attach(&s, 1));
	EXPECT_ERRNO(EBUSY, __spapr_attach(&s, 1));
	spapr_enable(s.fd);
	spapr_close(&s);
}

TEST(version_2_takes_several_groups_in_any_order)
{
	struct spapr s;

	NEED_DEVICES(return, 2);
	spapr_open(&s, VFIO_SPAPR_TCE_v2_IOMMU, 2);
	spapr_detach(&s, 0);
	spapr_attach(&s, 0);
	spapr_detach(&s, 1);
	spapr_attach(&s, 1);
	spapr_close(&s);
}

/* ------------------------------------------------------------------ */
/* Calls of each version */

FIXTURE(kind)
{
	struct spapr s;
};

FIXTURE_VARIANT(kind)
{
	int type;
	unsigned int foreign[4];
	unsigned int nr_foreign;
};

FIXTURE_VARIANT_ADD(kind, v1) {
	.type = VFIO_SPAPR_TCE_IOMMU,
	.foreign = {
		VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
		VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY,
		VFIO_IOMMU_SPAPR_TCE_CREATE,
		VFIO_IOMMU_SPAPR_TCE_REMOVE,
	},
	.nr_foreign = 4,
};

FIXTURE_VARIANT_ADD(kind, v2) {
	.type = VFIO_SPAPR_TCE_v2_IOMMU,
	.foreign = { VFIO_IOMMU_ENABLE, VFIO_IOMMU_DISABLE },
	.nr_foreign = 2,
};

FIXTURE_SETUP(kind)
{
	NEED_DEVICES(return, 1);
	spapr_open(&self->s, variant->type, 1);
}

FIXTURE_TEARDOWN(kind)
{
	spapr_close(&self->s);
}

TEST_F(kind, calls_of_the_other_kind_are_not_known)
{
	char arg[64] = { 64 };
	unsigned int i;

	for (i = 0; i < variant->nr_foreign; i++) {
		EXPECT_ERRNO(ENOTTY, __spapr_ioctl(self->s.fd,
						   variant->foreign[i], arg));
	}
}

TEST_F(kind, other_numbers_are_not_known)
{
	char arg[64] = { 64 };
	unsigned int nr;

	/* 3 to 11 belong to groups and devices. */
	for (nr = 3; nr < 12; nr++) {
		EXPECT_ERRNO(ENOTTY, __spapr_ioctl(self->s.fd,
						   _IO(VFIO_TYPE,
						       VFIO_BASE + nr), arg));
	}
	for (nr = LAST_VFIO_CALL + 1; nr < 256; nr++) {
		EXPECT_ERRNO(ENOTTY, __spapr_ioctl(self->s.fd,
						   _IO(VFIO_TYPE, nr), arg));
	}
}

TEST_F(kind, extensions_are_answered_with_a_group)
{
	EXPECT_EQ(1, __spapr_ioctl(self->s.fd, VFIO_CHECK_EXTENSION,
				   (void *)VFIO_SPAPR_TCE_IOMMU));
	EXPECT_EQ(1, __spapr_ioctl(self->s.fd, VFIO_CHECK_EXTENSION,
				   (void *)VFIO_SPAPR_TCE_v2_IOMMU));
	EXPECT_EQ(0, __spapr_ioctl(self->s.fd, VFIO_CHECK_EXTENSION,
				   (void *)12345));
}

TEST_F(kind, dynamic_windows_belong_to_version_2)
{
	bool v2 = variant->type == VFIO_SPAPR_TCE_v2_IOMMU;
	struct vfio_iommu_spapr_tce_info info;

	spapr_info(self->s.fd, &info);
	EXPECT_NE(0U, info.dma32_window_size);
	EXPECT_EQ(v2, !!(info.flags & VFIO_IOMMU_SPAPR_INFO_DDW));
	EXPECT_EQ(v2, !!(info.ddw.pgsizes & 4096));
	EXPECT_EQ(v2, info.ddw.max_dynamic_windows_supported > 0);
	EXPECT_EQ(v2, info.ddw.levels > 0);
}

TEST_F(kind, info_copies_the_old_or_the_new_size_and_no_more)
{
	size_t old = offsetof(struct vfio_iommu_spapr_tce_info, ddw);
	union {
		struct vfio_iommu_spapr_tce_info info;
		unsigned char byte[64];
	} u;
	__u32 argsz;
	size_t i, end;

	for (argsz = old; argsz <= sizeof(u); argsz++) {
		memset(&u, 0xa5, sizeof(u));
		u.info.argsz = argsz;
		ASSERT_EQ(0, __spapr_ioctl(self->s.fd,
					   VFIO_IOMMU_SPAPR_TCE_GET_INFO, &u));
		end = argsz < sizeof(u.info) ? old : sizeof(u.info);
		for (i = end; i < sizeof(u); i++)
			ASSERT_EQ(0xa5, u.byte[i]);
		EXPECT_NE(0U, u.info.dma32_window_size);
	}
}

/* ------------------------------------------------------------------ */
/* Argument of each call */

FIXTURE(argument)
{
	struct spapr s;
	char *mem;
	struct spapr_account base;
};

FIXTURE_VARIANT(argument)
{
	unsigned long cmd;
	__u32 size;
	__u32 known_flags;
	bool flags_are_output;
};

FIXTURE_VARIANT_ADD(argument, get_info) {
	.cmd = VFIO_IOMMU_SPAPR_TCE_GET_INFO,
	.size = 16,
	.flags_are_output = true,
};

FIXTURE_VARIANT_ADD(argument, map_dma) {
	.cmd = VFIO_IOMMU_MAP_DMA,
	.size = 32,
	.known_flags = SPAPR_RW,
};

FIXTURE_VARIANT_ADD(argument, unmap_dma) {
	.cmd = VFIO_IOMMU_UNMAP_DMA,
	.size = 24,
};

FIXTURE_VARIANT_ADD(argument, register_memory) {
	.cmd = VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
	.size = 24,
};

FIXTURE_VARIANT_ADD(argument, unregister_memory) {
	.cmd = VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY,
	.size = 24,
};

FIXTURE_VARIANT_ADD(argument, tce_create) {
	.cmd = VFIO_IOMMU_SPAPR_TCE_CREATE,
	.size = 40,
};

FIXTURE_VARIANT_ADD(argument, tce_remove) {
	.cmd = VFIO_IOMMU_SPAPR_TCE_REMOVE,
	.size = 16,
};

FIXTURE_SETUP(argument)
{
	size_t page = spapr_page_size();

	NEED_DEVICES(return, 1);
	self->mem = spapr_mem(2 * page);
	spapr_open(&self->s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_register(self->s.fd, self->mem, page);
	spapr_account(&self->base);
}

FIXTURE_TEARDOWN(argument)
{
	EXPECT_EQ(self->base.pins, spapr_pins_settle(self->base.pins));
	spapr_close(&self->s);
}

TEST_F(argument, too_short_a_size_is_refused)
{
	__u32 arg[16] = { 0 }, argsz;

	for (argsz = 0; argsz < variant->size; argsz++) {
		arg[0] = argsz;
		EXPECT_ERRNO(EINVAL, __spapr_ioctl(self->s.fd, variant->cmd,
						   arg)) {
			TH_LOG("argsz %u", argsz);
		}
	}
}

TEST_F(argument, unknown_flags_are_refused)
{
	__u32 arg[16] = { 64 }, bit;

	if (variant->flags_are_output)
		return;
	for (bit = 0; bit < 32; bit++) {
		arg[1] = 1U << bit;
		if (arg[1] & variant->known_flags)
			continue;
		EXPECT_ERRNO(EINVAL, __spapr_ioctl(self->s.fd, variant->cmd,
						   arg)) {
			TH_LOG("flags %#x", arg[1]);
		}
	}
}

TEST_F(argument, an_unreadable_argument_is_a_fault)
{
	size_t page = spapr_page_size();
	char *mem = spapr_mem(2 * page);
	__u32 *arg;
	__u32 cut;

	ASSERT_EQ(0, munmap(mem + page, page));
	EXPECT_ERRNO(EFAULT, __spapr_ioctl(self->s.fd, variant->cmd, NULL));
	EXPECT_ERRNO(EFAULT, __spapr_ioctl(self->s.fd, variant->cmd,
					   mem + page));
	EXPECT_ERRNO(EFAULT, __spapr_ioctl(self->s.fd, variant->cmd,
					   (void *)-8UL));
	for (cut = 4; cut < variant->size; cut += 4) {
		arg = (__u32 *)(mem + page - cut);
		memset(arg, 0, cut);
		arg[0] = variant->size;
		EXPECT_ERRNO(EFAULT, __spapr_ioctl(self->s.fd, variant->cmd,
						   arg)) {
			TH_LOG("%u of %u bytes readable", cut, variant->size);
		}
	}
}

/* ------------------------------------------------------------------ */
/* All values of a field with all values of the others */

/*
 * The expected result is computed from the rules, in the order in which they
 * are documented. A page at mem is registered, the next one is not.
 */
FIXTURE(table)
{
	struct spapr s;
	__u64 start;
	__u64 end;
	__u64 page;
	__u64 mem;
	unsigned int calls;
};

FIXTURE_SETUP(table)
{
	struct vfio_iommu_spapr_tce_info info;

	NEED_DEVICES(return, 1);
	NOT_ON_STOCK(return);
	self->page = spapr_page_size();
	self->mem = (unsigned long)spapr_mem(4 * self->page);
	spapr_open(&self->s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_info(self->s.fd, &info);
	self->start = info.dma32_window_start;
	self->end = self->start + info.dma32_window_size;
	spapr_register(self->s.fd, (void *)self->mem, self->page);
}

FIXTURE_TEARDOWN(table)
{
	spapr_close(&self->s);
	TH_LOG("%u calls", self->calls);
}

#define FOR_EACH(value, list)						\
	for (size_t i_##list = 0;					\
	     i_##list < sizeof(list) / sizeof(value) &&			\
	     ((value) = (list)[i_##list], true); i_##list++)

static bool wraps(__u64 at, __u64 size)
{
	return size && at + (size - 1) < at;
}

/* Checks window and offset; @flags are checked before or after that. */
static int expect_range(const struct _test_data_table *self, __u64 iova,
			__u64 size)
{
	if (iova < self->start || iova >= self->end)
		return -ENXIO;
	if ((iova | size) % IOMMU_PAGE || size > self->end - iova)
		return -EINVAL;
	return 0;
}

static int expect_map(const struct _test_data_table *self, __u64 iova,
		      __u64 va, __u64 size, __u32 flags)
{
	int ret;

	if (flags & ~SPAPR_RW)
		return -EINVAL;
	if (wraps(iova, size) || wraps(va, size))
		return -EOVERFLOW;
	ret = expect_range(self, iova, size);
	if (ret)
		return ret;
	if (!flags || va % IOMMU_PAGE)
		return -EINVAL;
	if (!size)
		return 0;
	return va >= self->mem && size <= self->page &&
	       va - self->mem <= self->page - size ? 0 : -EINVAL;
}

TEST_F(table, of_map)
{
	const __u64 iovas[] = {
		self->start + 16 * MIB, self->start + 16 * MIB + 1,
		self->start + 16 * MIB + IOMMU_PAGE / 2,
		self->end - IOMMU_PAGE, self->end,
		1ULL << 40, -IOMMU_PAGE, -1ULL,
	};
	const __u64 vas[] = {
		self->mem, self->mem + 1, self->mem + IOMMU_PAGE / 2,
		self->mem + self->page - IOMMU_PAGE, self->mem + self->page,
		0, -IOMMU_PAGE,
	};
	const __u64 sizes[] = {
		0, 1, IOMMU_PAGE, IOMMU_PAGE + 1, self->page,
		self->page + IOMMU_PAGE,
		self->end - self->start, 1ULL << 63, -IOMMU_PAGE, -1ULL,
	};
	const __u32 flags[] = { 0, 1, 2, 3, 4, 7, 1U << 31 };
	__u64 iova, va, size;
	__u32 flag;

	FOR_EACH(iova, iovas) FOR_EACH(va, vas) FOR_EACH(size, sizes)
	FOR_EACH(flag, flags) {
		ASSERT_EQ(expect_map(self, iova, va, size, flag),
			  __spapr_map(self->s.fd, iova, (void *)va, size,
				      flag)) {
			TH_LOG("iova %#lx, mem + %#lx, size %#lx, flags %#x",
			       iova, va - self->mem, size, flag);
		}
		self->calls++;
	}
}

TEST_F(table, of_unmap)
{
	const __u64 iovas[] = {
		self->start, self->start + 1, self->start + IOMMU_PAGE / 2,
		self->end - IOMMU_PAGE, self->end, 1ULL << 40, -IOMMU_PAGE,
		-1ULL,
	};
	const __u64 sizes[] = {
		0, 1, IOMMU_PAGE, IOMMU_PAGE + 1, self->end - self->start,
		self->end - self->start + IOMMU_PAGE, 1ULL << 63, -IOMMU_PAGE,
		-1ULL,
	};
	const __u32 flags[] = { 0, 1, 2, 3, 4, 1U << 31 };
	struct vfio_iommu_type1_dma_unmap arg = { .argsz = sizeof(arg) };
	int wanted;

	FOR_EACH(arg.iova, iovas) FOR_EACH(arg.size, sizes)
	FOR_EACH(arg.flags, flags) {
		wanted = arg.flags ? -EINVAL :
			 wraps(arg.iova, arg.size) ? -EOVERFLOW :
			 expect_range(self, arg.iova, arg.size);
		ASSERT_EQ(wanted, __spapr_ioctl(self->s.fd,
						VFIO_IOMMU_UNMAP_DMA, &arg)) {
			TH_LOG("iova %#lx, size %#lx, flags %#x", arg.iova,
			       arg.size, arg.flags);
		}
		self->calls++;
	}
}

static bool is_range(const struct _test_data_table *self, __u64 va, __u64 size)
{
	return size && !((va | size) % self->page) && !wraps(va, size);
}

TEST_F(table, of_register_and_unregister)
{
	const __u64 vas[] = {
		self->mem, self->mem + 1, self->mem + 8,
		self->mem + IOMMU_PAGE / 2,
		self->mem + self->page, -self->page,
	};
	const __u64 sizes[] = {
		0, 1, IOMMU_PAGE / 2, self->page - 1, self->page,
		self->page + 8,
		2 * self->page, -self->page, -1ULL,
	};
	int fd = self->s.fd, wanted;
	__u64 va, size;

	FOR_EACH(va, vas) FOR_EACH(size, sizes) {
		/* beyond user space: cannot be pinned */
		if (va == -self->page && is_range(self, va, size))
			continue;
		wanted = !is_range(self, va, size) ? -EINVAL :
			 va != self->mem ? 0 :
			 size == self->page ? -EBUSY : -EINVAL;
		ASSERT_EQ(wanted, __spapr_register(fd, (void *)va, size)) {
			TH_LOG("mem + %#lx, size %#lx", va - self->mem, size);
		}
		if (!wanted)
			spapr_unregister(fd, (void *)va, size);
		if (wanted == -EBUSY)
			continue;
		wanted = !is_range(self, va, size) ? -EINVAL : -ENOENT;
		ASSERT_EQ(wanted, __spapr_unregister(fd, (void *)va, size)) {
			TH_LOG("mem + %#lx, size %#lx", va - self->mem, size);
		}
		self->calls += 2;
	}
}

/* One combination is valid, if the number of levels matters. */
TEST_F(table, of_tce_create)
{
	const __u32 shifts[] = { 0, 11, 12, 13, 63, 64, 76, ~0U };
	const __u64 sizes[] = { 0, IOMMU_PAGE / 2, GIB, GIB + IOMMU_PAGE,
				~0ULL };
	const __u32 levels[] = { 0, 1, 6, ~0U };
	const __u32 bits[] = { 0, 1, 1U << 31 };
	struct vfio_iommu_spapr_tce_create arg = { .argsz = sizeof(arg) };
	struct vfio_iommu_spapr_tce_info info;
	int wanted;

	spapr_info(self->s.fd, &info);
	spapr_remove(self->s.fd, self->start);
	FOR_EACH(arg.page_shift, shifts) FOR_EACH(arg.window_size, sizes)
	FOR_EACH(arg.levels, levels) FOR_EACH(arg.flags, bits)
	FOR_EACH(arg.__resv1, bits) FOR_EACH(arg.__resv2, bits) {
		wanted = arg.page_shift == 12 && arg.window_size == GIB &&
			 (arg.levels == 1 || levels_are_a_hint(&info)) &&
			 !arg.flags && !arg.__resv1 &&
			 !arg.__resv2 ? 0 : -EINVAL;
		ASSERT_EQ(wanted, __spapr_ioctl(self->s.fd,
						VFIO_IOMMU_SPAPR_TCE_CREATE,
						&arg)) {
			TH_LOG("shift %u, size %#lx, levels %u, flags %#x, %#x, %#x",
			       arg.page_shift, arg.window_size, arg.levels,
			       arg.flags, arg.__resv1, arg.__resv2);
		}
		if (!wanted)
			spapr_remove(self->s.fd, arg.start_addr);
		self->calls++;
	}
}

TEST_F(table, of_tce_remove)
{
	const __u64 starts[] = {
		self->start, self->start + 1, self->start + IOMMU_PAGE,
		self->end - IOMMU_PAGE, self->end, 1ULL << 40, 1ULL << 59,
		~0ULL,
	};
	const __u32 flags[] = { 1, 2, 1U << 31, 0 };
	struct vfio_iommu_spapr_tce_remove arg = { .argsz = sizeof(arg) };
	int wanted;

	FOR_EACH(arg.flags, flags) FOR_EACH(arg.start_addr, starts) {
		wanted = !arg.flags && arg.start_addr == self->start ? 0 :
			 -EINVAL;
		ASSERT_EQ(wanted, __spapr_ioctl(self->s.fd,
						VFIO_IOMMU_SPAPR_TCE_REMOVE,
						&arg)) {
			TH_LOG("start %#lx, flags %#x", arg.start_addr,
			       arg.flags);
		}
		self->calls++;
	}
}

/* A longer argument than today's means today's fields. */
TEST_F(table, of_longer_arguments)
{
	const __u32 more[] = { 0, 1, 8, 64, 4096, 1U << 31 };
	const struct {
		unsigned long cmd;
		__u32 size;
		__u64 field[4];	/* after argsz and flags */
		int wanted;
	} calls[] = {
		{ VFIO_IOMMU_MAP_DMA, 32,
		  { self->mem, 1ULL << 40, IOMMU_PAGE }, -ENXIO },
		{ VFIO_IOMMU_UNMAP_DMA, 24,
		  { 1ULL << 40, IOMMU_PAGE }, -ENXIO },
		{ VFIO_IOMMU_SPAPR_REGISTER_MEMORY, 24,
		  { self->mem, self->page }, -EBUSY },
		{ VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, 24,
		  { self->mem + self->page, self->page }, -ENOENT },
	};
	__u64 arg[8] = { 0 };
	__u32 *head = (__u32 *)arg;
	__u32 n;

	FOR_EACH(n, more) {
		for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
			memcpy(arg + 1, calls[i].field, sizeof(calls[i].field));
			head[0] = calls[i].size + n;
			head[1] = 0;
			ASSERT_EQ(calls[i].wanted,
				  __spapr_ioctl(self->s.fd, calls[i].cmd, arg));
			self->calls++;
		}
	}
}

/* ------------------------------------------------------------------ */
/* EEH, if the platform supports it for this device */

FIXTURE(eeh)
{
	struct spapr s;
};

FIXTURE_SETUP(eeh)
{
	NEED_DEVICES(return, 1);
	spapr_open(&self->s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	if (__spapr_eeh(self->s.fd, VFIO_EEH_PE_ENABLE)) {
		spapr_close(&self->s);
		SKIP(return, "needs EEH for the device: a powernv machine");
	}
}

FIXTURE_TEARDOWN(eeh)
{
	EXPECT_EQ(0, __spapr_eeh(self->s.fd, VFIO_EEH_PE_DISABLE));
	spapr_close(&self->s);
}

TEST_F(eeh, the_state_is_the_result_of_the_call)
{
	EXPECT_EQ(VFIO_EEH_PE_STATE_NORMAL,
		  __spapr_eeh(self->s.fd, VFIO_EEH_PE_GET_STATE));
}

TEST_F(eeh, bad_arguments_are_refused)
{
	struct vfio_eeh_pe_op op = { .op = VFIO_EEH_PE_GET_STATE };
	__u32 short_size = offsetof(struct vfio_eeh_pe_op, op) + 4;

	for (op.argsz = 0; op.argsz < short_size; op.argsz++) {
		EXPECT_ERRNO(EINVAL, __spapr_ioctl(self->s.fd, VFIO_EEH_PE_OP,
						   &op));
	}
	op.flags = 1;
	EXPECT_ERRNO(EINVAL, __spapr_ioctl(self->s.fd, VFIO_EEH_PE_OP, &op));
	op.flags = 0;
	op.op = 4711;
	EXPECT_ERRNO(EINVAL, __spapr_ioctl(self->s.fd, VFIO_EEH_PE_OP, &op));
	op.op = VFIO_EEH_PE_INJECT_ERR;
	EXPECT_ERRNO(EINVAL, __spapr_ioctl(self->s.fd, VFIO_EEH_PE_OP, &op));
	EXPECT_ERRNO(EFAULT, __spapr_ioctl(self->s.fd, VFIO_EEH_PE_OP, NULL));
}

TEST_HARNESS_MAIN
