// SPDX-License-Identifier: GPL-2.0-only
/*
 * REGISTER: accepted ranges, the errno of all others, and locked and pinned
 * memory before and after each call.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "memkind.h"
#include "spapr_test.h"

#define PAGES		16
#define NOBODY		65534
#define MANY_REGIONS	500
#define EXEC_OPTION	"--register-after-exec"

FIXTURE(registry)
{
	struct spapr s;
	struct spapr_account base;
	size_t page;
	size_t size;
	char *mem;
};

FIXTURE_SETUP(registry)
{
	NEED_DEVICES(return, 1);
	self->page = spapr_page_size();
	self->size = PAGES * self->page;
	self->mem = spapr_mem(self->size);
	ASSERT_NE(NULL, self->mem);
	spapr_account(&self->base);
	spapr_open(&self->s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
}

/* Closing the last group releases memory that a test left registered. */
FIXTURE_TEARDOWN(registry)
{
	spapr_close(&self->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* ------------------------------------------------------------------ */
/* Accepted ranges */

TEST_F(registry, each_page_is_locked_and_pinned_once)
{
	spapr_register(self->s.fd, self->mem, self->size);
	EXPECT_ACCOUNT(&self->base, self->size, PAGES);
	spapr_unregister(self->s.fd, self->mem, self->size);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(registry, one_page_is_enough)
{
	spapr_register(self->s.fd, self->mem + self->page, self->page);
	EXPECT_ACCOUNT(&self->base, self->page, 1);
	spapr_unregister(self->s.fd, self->mem + self->page, self->page);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(registry, pages_are_counted_one_by_one_in_large_ranges)
{
	size_t size = 24 * MIB;
	void *mem = spapr_mem(size);

	ASSERT_NE(NULL, mem);
	spapr_register(self->s.fd, mem, size);
	EXPECT_ACCOUNT(&self->base, size, size / self->page);
	spapr_unregister(self->s.fd, mem, size);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(registry, neighbours_are_separate_regions)
{
	size_t half = self->size / 2;

	spapr_register(self->s.fd, self->mem, half);
	spapr_register(self->s.fd, self->mem + half, half);
	EXPECT_ACCOUNT(&self->base, self->size, PAGES);
	EXPECT_ERRNO(ENOENT, __spapr_unregister(self->s.fd, self->mem,
						self->size));
	spapr_unregister(self->s.fd, self->mem, half);
	EXPECT_ACCOUNT(&self->base, half, PAGES / 2);
	spapr_unregister(self->s.fd, self->mem + half, half);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(registry, the_same_range_can_come_back_many_times)
{
	int i;

	for (i = 0; i < 50; i++) {
		spapr_register(self->s.fd, self->mem, self->size);
		spapr_unregister(self->s.fd, self->mem, self->size);
	}
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(registry, shared_memory_is_taken)
{
	void *mem = mmap(NULL, self->size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, mem);
	spapr_register(self->s.fd, mem, self->size);
	EXPECT_ACCOUNT(&self->base, self->size, PAGES);
	spapr_unregister(self->s.fd, mem, self->size);
}

TEST_F(registry, transparent_huge_pages_are_taken)
{
	size_t size = 32 * MIB;
	char *mem = spapr_mem(size);

	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, madvise(mem, size, MADV_HUGEPAGE));
	memset(mem, 1, size);
	spapr_register(self->s.fd, mem + self->page, size - self->page);
	EXPECT_EQ(self->base.locked + (long)(size - self->page),
		  spapr_locked());
	spapr_unregister(self->s.fd, mem + self->page, size - self->page);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(registry, hugetlb_pages_are_taken_and_counted_like_others)
{
	size_t size = 16 * MIB;
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			 MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	if (mem == MAP_FAILED)
		SKIP(return, "needs free huge pages: %s",
		     "echo 8 > /proc/sys/vm/nr_hugepages");
	spapr_register(self->s.fd, mem, size);
	EXPECT_EQ(self->base.locked + (long)size, spapr_locked());
	spapr_unregister(self->s.fd, mem, size);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(registry, hundreds_of_regions_go_in_any_order)
{
	size_t step = 2 * self->page, n = MANY_REGIONS, i;
	unsigned int order[MANY_REGIONS], seed = test_seed();
	char *mem = spapr_mem(n * step);

	ASSERT_NE(NULL, mem);
	for (i = 0; i < n; i++)
		spapr_register(self->s.fd, mem + i * step, self->page);
	EXPECT_ACCOUNT(&self->base, n * self->page, n);
	shuffle(order, n, &seed);
	for (i = 0; i < n; i++) {
		spapr_unregister(self->s.fd, mem + order[i] * step,
				 self->page);
	}
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(registry, unmapped_memory_can_still_be_unregistered)
{
	spapr_register(self->s.fd, self->mem, self->size);
	ASSERT_EQ(0, munmap(self->mem, self->size));
	EXPECT_ACCOUNT(&self->base, self->size, PAGES);
	spapr_unregister(self->s.fd, self->mem, self->size);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(registry, closing_releases_all_registered_memory)
{
	spapr_register(self->s.fd, self->mem, self->page);
	spapr_register(self->s.fd, self->mem + 4 * self->page, 3 * self->page);
	EXPECT_ACCOUNT(&self->base, 4 * self->page, 4);
	spapr_close(&self->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* ------------------------------------------------------------------ */
/* Refused ranges, without side effects */

TEST_F(registry, size_zero_is_refused)
{
	EXPECT_ERRNO(EINVAL, __spapr_register(self->s.fd, self->mem, 0));
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(registry, only_whole_pages_are_registered)
{
	const size_t off[] = { 1, 8, 512, 2048, self->page / 2,
			       self->page - 1 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(off); i++) {
		EXPECT_ERRNO(EINVAL, __spapr_register(self->s.fd,
						      self->mem + off[i],
						      self->page));
		EXPECT_ERRNO(EINVAL, __spapr_register(self->s.fd, self->mem,
						      self->page + off[i]));
		EXPECT_ERRNO(EINVAL, __spapr_register(self->s.fd, self->mem,
						      off[i]));
	}
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(registry, a_range_that_wraps_is_refused)
{
	__u64 top = -(__u64)self->page;

	EXPECT_ERRNO(EINVAL, __spapr_register(self->s.fd, self->mem, top));
	EXPECT_ERRNO(EINVAL, __spapr_register(self->s.fd, (void *)top,
					      2 * self->page));
	EXPECT_ERRNO(EINVAL, __spapr_register(self->s.fd, (void *)top, top));
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* base kernel: EFAULT */
TEST_F(registry, addresses_of_the_kernel_cannot_be_registered)
{
	int ret = __spapr_register(self->s.fd, (void *)0xc000000000000000UL,
				   self->page);

	EXPECT_ERRNO(EINVAL, ret);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(registry, unmapped_memory_is_refused)
{
	ASSERT_EQ(0, munmap(self->mem, self->size));
	EXPECT_ERRNO(EFAULT, __spapr_register(self->s.fd, self->mem,
					      self->page));
	EXPECT_ERRNO(EFAULT, __spapr_register(self->s.fd, self->mem,
					      self->size));
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

FIXTURE(holes)
{
	struct spapr s;
	struct spapr_account base;
	size_t page;
	char *mem;
};

FIXTURE_VARIANT(holes)
{
	size_t pages;
	size_t hole_at;
	size_t hole_pages;
};

FIXTURE_VARIANT_ADD(holes, last_page) {
	.pages = 8, .hole_at = 7, .hole_pages = 1,
};

FIXTURE_VARIANT_ADD(holes, first_page) {
	.pages = 8, .hole_at = 0, .hole_pages = 1,
};

FIXTURE_VARIANT_ADD(holes, in_the_middle) {
	.pages = 8, .hole_at = 3, .hole_pages = 2,
};

FIXTURE_VARIANT_ADD(holes, second_half) {
	.pages = 2048, .hole_at = 1024, .hole_pages = 1024,
};

FIXTURE_SETUP(holes)
{
	NEED_DEVICES(return, 1);
	self->page = spapr_page_size();
	self->mem = spapr_mem(variant->pages * self->page);
	ASSERT_NE(NULL, self->mem);
	memset(self->mem, 1, variant->pages * self->page);
	spapr_account(&self->base);
	spapr_open(&self->s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
}

FIXTURE_TEARDOWN(holes)
{
	spapr_close(&self->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(holes, unmapped_pages_are_efault_and_nothing_is_kept)
{
	ASSERT_EQ(0, munmap(self->mem + variant->hole_at * self->page,
			    variant->hole_pages * self->page));
	EXPECT_ERRNO(EFAULT,
		     __spapr_register(self->s.fd, self->mem,
				      variant->pages * self->page));
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(holes, pages_without_access_are_efault_and_nothing_is_kept)
{
	ASSERT_EQ(0, mprotect(self->mem + variant->hole_at * self->page,
			      variant->hole_pages * self->page, PROT_NONE));
	EXPECT_ERRNO(EFAULT,
		     __spapr_register(self->s.fd, self->mem,
				      variant->pages * self->page));
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(holes, read_only_pages_are_no_hole)
{
	size_t size = variant->pages * self->page;

	ASSERT_EQ(0, mprotect(self->mem + variant->hole_at * self->page,
			      variant->hole_pages * self->page, PROT_READ));
	spapr_register(self->s.fd, self->mem, size);
	EXPECT_ACCOUNT(&self->base, size, variant->pages);
	spapr_unregister(self->s.fd, self->mem, size);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(holes, the_range_can_be_registered_once_it_is_filled)
{
	size_t size = variant->pages * self->page;
	size_t hole = variant->hole_pages * self->page;
	char *at = self->mem + variant->hole_at * self->page;

	ASSERT_EQ(0, mprotect(at, hole, PROT_NONE));
	EXPECT_ERRNO(EFAULT, __spapr_register(self->s.fd, self->mem, size));
	ASSERT_EQ(0, mprotect(at, hole, PROT_READ | PROT_WRITE));
	spapr_register(self->s.fd, self->mem, size);
	EXPECT_ACCOUNT(&self->base, size, variant->pages);
}

/* ------------------------------------------------------------------ */
/* Two ranges */

TEST_F(registry, the_same_range_twice_is_busy)
{
	spapr_register(self->s.fd, self->mem, self->size);
	EXPECT_ERRNO(EBUSY, __spapr_register(self->s.fd, self->mem,
					     self->size));
	EXPECT_ACCOUNT(&self->base, self->size, PAGES);
	spapr_unregister(self->s.fd, self->mem, self->size);
	EXPECT_ACCOUNT(&self->base, 0, 0);
	EXPECT_ERRNO(ENOENT, __spapr_unregister(self->s.fd, self->mem,
						self->size));
}

TEST_F(registry, any_other_overlap_is_refused)
{
	/* in pages; 4..11 is registered */
	const struct { size_t start, pages; } r[] = {
		{ 4, 1 }, { 4, 7 }, { 4, 9 }, { 11, 1 }, { 5, 7 }, { 6, 2 },
		{ 0, 5 }, { 3, 2 }, { 3, 9 }, { 3, 10 }, { 11, 2 }, { 0, 16 },
	};
	size_t page = self->page, i;

	spapr_register(self->s.fd, self->mem + 4 * page, 8 * page);
	for (i = 0; i < ARRAY_SIZE(r); i++) {
		EXPECT_ERRNO(EINVAL,
			     __spapr_register(self->s.fd,
					      self->mem + r[i].start * page,
					      r[i].pages * page)) {
			TH_LOG("pages %zu to %zu over 4 to 11", r[i].start,
			       r[i].start + r[i].pages - 1);
		}
	}
	EXPECT_ACCOUNT(&self->base, 8 * page, 8);
	spapr_unregister(self->s.fd, self->mem + 4 * page, 8 * page);
}

TEST_F(registry, only_exactly_what_was_registered_is_unregistered)
{
	const struct { size_t start, pages; } r[] = {
		{ 4, 7 }, { 4, 9 }, { 5, 7 }, { 6, 1 }, { 3, 9 }, { 0, 16 },
		{ 0, 4 }, { 12, 4 },
	};
	size_t page = self->page, i;

	spapr_register(self->s.fd, self->mem + 4 * page, 8 * page);
	for (i = 0; i < ARRAY_SIZE(r); i++) {
		EXPECT_ERRNO(ENOENT,
			     __spapr_unregister(self->s.fd,
						self->mem + r[i].start * page,
						r[i].pages * page));
	}
	EXPECT_ERRNO(EINVAL, __spapr_unregister(self->s.fd, self->mem + 1,
						page));
	EXPECT_ERRNO(EINVAL, __spapr_unregister(self->s.fd, self->mem,
						page + 1));
	EXPECT_ACCOUNT(&self->base, 8 * page, 8);
	spapr_unregister(self->s.fd, self->mem + 4 * page, 8 * page);
}

TEST_F(registry, unregister_before_anything_else_is_not_permitted)
{
	EXPECT_ERRNO(EPERM, __spapr_unregister(self->s.fd, self->mem,
					       self->size));
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* ------------------------------------------------------------------ */
/* Two containers of one process */

FIXTURE(two_containers)
{
	struct spapr a;
	struct spapr b;
	struct spapr_account base;
	size_t page;
	size_t size;
	char *mem;
};

FIXTURE_SETUP(two_containers)
{
	NEED_DEVICES(return, 2);
	self->page = spapr_page_size();
	self->size = PAGES * self->page;
	self->mem = spapr_mem(self->size);
	ASSERT_NE(NULL, self->mem);
	spapr_account(&self->base);
	spapr_open(&self->a, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_open_with(&self->b, VFIO_SPAPR_TCE_v2_IOMMU, 1);
}

FIXTURE_TEARDOWN(two_containers)
{
	spapr_close(&self->a);
	spapr_close(&self->b);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(two_containers, the_same_range_is_pinned_and_counted_once)
{
	spapr_register(self->a.fd, self->mem, self->size);
	spapr_register(self->b.fd, self->mem, self->size);
	EXPECT_ACCOUNT(&self->base, self->size, PAGES);
	EXPECT_ERRNO(EBUSY, __spapr_register(self->b.fd, self->mem,
					     self->size));
	spapr_unregister(self->a.fd, self->mem, self->size);
	EXPECT_ACCOUNT(&self->base, self->size, PAGES);
	EXPECT_ERRNO(ENOENT, __spapr_unregister(self->a.fd, self->mem,
						self->size));
	spapr_unregister(self->b.fd, self->mem, self->size);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(two_containers, closing_one_leaves_the_range_to_the_other)
{
	spapr_register(self->a.fd, self->mem, self->size);
	spapr_register(self->b.fd, self->mem, self->size);
	spapr_close(&self->a);
	EXPECT_ACCOUNT(&self->base, self->size, PAGES);
	spapr_unregister(self->b.fd, self->mem, self->size);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(two_containers, one_maps_what_the_other_registered_and_is_closed_last)
{
	spapr_register(self->a.fd, self->mem, self->page);
	spapr_register(self->b.fd, self->mem + self->page, self->page);
	spapr_map(self->b.fd, 0, self->mem, self->page, SPAPR_RW);
	spapr_close(&self->a);
	/* the teardown closes the other, and expects that nothing is left */
}

TEST_F(two_containers, a_different_range_over_the_first_is_refused)
{
	spapr_register(self->a.fd, self->mem, self->size);
	EXPECT_ERRNO(EINVAL, __spapr_register(self->b.fd, self->mem,
					      self->size / 2));
	EXPECT_ERRNO(EINVAL, __spapr_register(self->b.fd,
					      self->mem + self->page,
					      self->page));
	EXPECT_ACCOUNT(&self->base, self->size, PAGES);
}

TEST_F(two_containers, one_does_not_unregister_for_the_other)
{
	spapr_register(self->a.fd, self->mem, self->page);
	spapr_register(self->b.fd, self->mem + self->page, self->page);
	EXPECT_ERRNO(ENOENT, __spapr_unregister(self->b.fd, self->mem,
						self->page));
	EXPECT_ERRNO(ENOENT, __spapr_unregister(self->a.fd,
						self->mem + self->page,
						self->page));
	EXPECT_ACCOUNT(&self->base, 2 * self->page, 2);
}

/* ------------------------------------------------------------------ */
/* The limit of locked memory */

static int drop_ipc_lock(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &=
		~CAP_TO_MASK(CAP_IPC_LOCK);
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

static int limit_locked_memory(size_t bytes)
{
	struct rlimit limit = { .rlim_cur = bytes, .rlim_max = bytes };

	return setrlimit(RLIMIT_MEMLOCK, &limit) ? -errno : 0;
}

TEST_F(registry, the_limit_of_locked_memory_holds)
{
	size_t page = self->page;

	ASSERT_EQ(0, limit_locked_memory(4 * page));
	ASSERT_EQ(0, drop_ipc_lock());
	EXPECT_ERRNO(ENOMEM, __spapr_register(self->s.fd, self->mem,
					      5 * page));
	EXPECT_ACCOUNT(&self->base, 0, 0);
	spapr_register(self->s.fd, self->mem, 4 * page);
	EXPECT_ERRNO(ENOMEM, __spapr_register(self->s.fd,
					      self->mem + 8 * page, page));
	EXPECT_ACCOUNT(&self->base, 4 * page, 4);
	spapr_unregister(self->s.fd, self->mem, 4 * page);
	spapr_register(self->s.fd, self->mem + 8 * page, 4 * page);
	EXPECT_ACCOUNT(&self->base, 4 * page, 4);
}

TEST_F(registry, failed_calls_use_up_nothing_of_the_limit)
{
	size_t page = self->page;
	int i;

	ASSERT_EQ(0, limit_locked_memory(4 * page));
	ASSERT_EQ(0, drop_ipc_lock());
	ASSERT_EQ(0, munmap(self->mem, 2 * page));
	for (i = 0; i < 8; i++) {
		EXPECT_NE(0, __spapr_register(self->s.fd, self->mem, 4 * page));
		EXPECT_NE(0, __spapr_register(self->s.fd, self->mem,
					      5 * page));
	}
	spapr_register(self->s.fd, self->mem + 2 * page, 4 * page);
	EXPECT_ACCOUNT(&self->base, 4 * page, 4);
}

TEST_F(registry, cap_ipc_lock_is_counted_but_not_limited)
{
	ASSERT_EQ(0, limit_locked_memory(4 * self->page));
	spapr_register(self->s.fd, self->mem, self->size);
	EXPECT_ACCOUNT(&self->base, self->size, PAGES);
}

static bool become_nobody(size_t limit)
{
	return !limit_locked_memory(limit) &&
	       !setresgid(NOBODY, NOBODY, NOBODY) &&
	       !setresuid(NOBODY, NOBODY, NOBODY);
}

/*
 * An unprivileged child, in containers opened by root. There are five units of
 * memory, and the limit is four; nothing is left at the end.
 */
static void register_as_nobody(struct __test_metadata *_metadata,
			       struct _test_data_two_containers *self,
			       char *mem, size_t unit)
{
	size_t limit = 4 * unit, page = self->page;
	int a = self->a.fd, b = self->b.fd;
	char *rest = mem + limit;

	EXPECT_TRUE(become_nobody(limit));
	EXPECT_ERRNO(ENOMEM, __spapr_register(a, mem, limit + page));
	EXPECT_EQ(0, spapr_locked());
	EXPECT_EQ(0, __spapr_register(a, mem, limit));
	EXPECT_EQ((long)limit, spapr_locked());
	EXPECT_ERRNO(ENOMEM, __spapr_register(a, rest, page));
	/* the table of a window is accounted too */
	EXPECT_ERRNO(ENOMEM, __spapr_map(a, 16 * MIB, mem, page, SPAPR_RW));
	/* registering the same range again is free, anything else is not */
	EXPECT_EQ(0, __spapr_register(b, mem, limit));
	EXPECT_ERRNO(ENOMEM, __spapr_register(b, rest, page));
	EXPECT_EQ((long)limit, spapr_locked());
	EXPECT_EQ(0, __spapr_unregister(a, mem, limit));
	EXPECT_EQ((long)limit, spapr_locked());
	EXPECT_ERRNO(ENOMEM, __spapr_register(a, rest, page));
	EXPECT_EQ(0, __spapr_unregister(b, mem, limit));
	EXPECT_EQ(0, spapr_locked());
	EXPECT_EQ(0, __spapr_register(b, mem + unit, limit));
	EXPECT_EQ((long)limit, spapr_locked());
	EXPECT_EQ(0, __spapr_unregister(b, mem + unit, limit));
	EXPECT_EQ(0, spapr_locked());
	_exit(0);
}

TEST_F(two_containers, a_plain_user_registers_up_to_the_limit)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		register_as_nobody(_metadata, self, self->mem, self->page);
	EXPECT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(two_containers, huge_pages_of_a_plain_user_are_limited_like_others)
{
	size_t unit = mem_unit(MEM_HUGETLB_SHARED);
	char *mem = mem_map(MEM_HUGETLB_SHARED, NULL, 5 * unit);
	pid_t pid;

	if (!mem)
		SKIP(return, "%s", mem_why());
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		register_as_nobody(_metadata, self, mem, unit);
	EXPECT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* ------------------------------------------------------------------ */
/* Another address space */

TEST_F(registry, a_forked_child_may_not_use_the_container)
{
	int fd = self->s.fd;
	char *mem = self->mem;
	size_t page = self->page;

	spapr_register(fd, mem, page);
	EXPECT_IN_CHILD(__spapr_register(fd, mem + page, page) == -EPERM);
	EXPECT_IN_CHILD(__spapr_register(fd, mem, page) == -EPERM);
	EXPECT_IN_CHILD(__spapr_unregister(fd, mem, page) == -EPERM);
	EXPECT_ACCOUNT(&self->base, page, 1);
	spapr_unregister(fd, mem, page);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(registry, whoever_registers_first_owns_the_container)
{
	int fd = self->s.fd;
	char *mem = self->mem;
	size_t page = self->page;

	EXPECT_IN_CHILD(__spapr_register(fd, mem, page) == 0);
	EXPECT_ERRNO(EPERM, __spapr_register(fd, mem, page));
	EXPECT_ERRNO(EPERM, __spapr_unregister(fd, mem, page));
}

/* The child executes this program again, which runs after_exec(). */
static void register_and_exec(void)
{
	size_t page = spapr_page_size();
	void *mem = spapr_mem(page);
	struct spapr s;
	char fd[16];

	if (__spapr_open(&s, VFIO_SPAPR_TCE_v2_IOMMU, 1) ||
	    __spapr_register(s.fd, mem, page))
		_exit(1);
	fcntl(s.fd, F_SETFD, 0);
	fcntl(s.group[0], F_SETFD, 0);
	snprintf(fd, sizeof(fd), "%d", s.fd);
	execl("/proc/self/exe", "spapr_register", EXEC_OPTION, fd, NULL);
	_exit(2);
}

static int after_exec(int fd)
{
	size_t page = spapr_page_size();
	void *mem = spapr_mem(page);

	if (__spapr_register(fd, mem, page) != -EPERM)
		return 3;
	if (__spapr_unregister(fd, mem, page) != -EPERM)
		return 4;
	return __spapr_map(fd, 0, mem, page, SPAPR_RW) != -EPERM ? 5 : 0;
}

TEST(the_image_after_exec_may_not_use_the_container)
{
	long pins = spapr_pins();
	int status;
	pid_t pid;

	NEED_DEVICES(return, 1);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		register_and_exec();
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
	EXPECT_EQ(pins, spapr_pins_settle(pins));
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], EXEC_OPTION))
		return after_exec(atoi(argv[2]));
	return test_harness_run(argc, argv);
}
