// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits of every range: each call with an address and a size is called with
 * all pairs of start and end at and around 0, the ends of windows, the end of
 * the user address space, and powers of two up to 2^64. The expected result is
 * computed by other arithmetic than the kernel's: nothing wraps in 128 bits.
 *
 * Accepted ranges are mapped, and a device must find the memory of the process
 * there.
 */
#include <sys/mman.h>

#include "edu.h"
#include "memkind.h"
#include "spapr_test.h"

#define PAGES		8
#define SECONDS		120
#define MAX_MARKS	64
#define LEN		EDU_DMA_MAX
#define CHUNK		0x10000UL

#define END_OF_ALL	((__uint128_t)1 << 64)

/* Addresses that ranges start and end at; 2^64 is 0. */
struct marks {
	unsigned int nr;
	__u64 at[MAX_MARKS];
};

static void add_mark(struct marks *m, __u64 at)
{
	unsigned int i;

	for (i = 0; i < m->nr; i++)
		if (m->at[i] == at)
			return;
	if (m->nr < MAX_MARKS)
		m->at[m->nr++] = at;
}

/* Adds @at and its neighbours at a distance of @page. */
static void add_marks(struct marks *m, __u64 at, size_t page)
{
	add_mark(m, at);
	add_mark(m, at + page);
	add_mark(m, at - page);
}

static void init_marks(struct marks *m, size_t page)
{
	static const unsigned char shifts[] = { 47, 48, 52, 59, 63 };
	size_t i;

	m->nr = 0;
	add_marks(m, 0, page);
	for (i = 0; i < ARRAY_SIZE(shifts); i++)
		add_marks(m, 1ULL << shifts[i], page);
}

/* Range between two marks; all 0 before the first one. */
struct range {
	unsigned int i;
	__u64 start;
	__u64 size;
};

static bool next_range(const struct marks *m, struct range *r)
{
	if (r->i == m->nr * m->nr)
		return false;
	r->start = m->at[r->i / m->nr];
	r->size = m->at[r->i % m->nr] - r->start;
	r->i++;
	return true;
}

static __uint128_t end_of(__u64 start, __u64 size)
{
	return (__uint128_t)start + size;
}

/* End of the user address space: the largest possible one. */
static __u64 task_size(size_t page)
{
	unsigned int shift;
	void *at, *mem;

	for (shift = 52; shift > 46; shift--) {
		at = (void *)((1UL << shift) - page);
		mem = mmap(at, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
			   MAP_FIXED_NOREPLACE, -1, 0);
		if (mem == at) {
			munmap(mem, page);
			break;
		}
		if (mem != MAP_FAILED)
			munmap(mem, page);
	}
	return 1ULL << shift;
}

FIXTURE(ends)
{
	struct spapr s;
	struct spapr_account base;
	struct vfio_iommu_spapr_tce_info info;
	__u64 window;
	__u64 window_size;
	__u64 task_size;
	size_t page;
	size_t size;
	char *mem;
};

FIXTURE_VARIANT(ends)
{
	int type;
};

FIXTURE_VARIANT_ADD(ends, v1) { .type = VFIO_SPAPR_TCE_IOMMU };
FIXTURE_VARIANT_ADD(ends, v2) { .type = VFIO_SPAPR_TCE_v2_IOMMU };

FIXTURE_SETUP(ends)
{
	NEED_DEVICES(return, 1);
	NOT_ON_STOCK(return);
	self->page = spapr_page_size();
	self->size = PAGES * self->page;
	self->mem = spapr_mem(self->size);
	ASSERT_NE(NULL, self->mem);
	self->task_size = task_size(self->page);
	spapr_account(&self->base);
	spapr_open(&self->s, variant->type, 1);
	spapr_info(self->s.fd, &self->info);
	self->window = self->info.dma32_window_start;
	self->window_size = self->info.dma32_window_size;
	ASSERT_EQ(0, variant->type == VFIO_SPAPR_TCE_IOMMU ?
		     __spapr_enable(self->s.fd) :
		     __spapr_register(self->s.fd, self->mem, self->size));
}

FIXTURE_TEARDOWN(ends)
{
	spapr_close(&self->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

static void log_range(struct __test_metadata *_metadata, const struct range *r)
{
	TH_LOG("0x%llx, 0x%llx bytes", (unsigned long long)r->start,
	       (unsigned long long)r->size);
}

/* ------------------------------------------------------------------ */
/* REGISTER and UNREGISTER */

/* Nothing is mapped at the marks; registered memory is in between. */
static int register_answer(struct _test_data_ends *self, const struct range *r)
{
	__uint128_t end = end_of(r->start, r->size);
	__u64 mem = (__u64)self->mem;

	if (!r->size || end > self->task_size)
		return -EINVAL;
	if (r->start < mem + self->size && end > mem)
		return -EINVAL;
	return -EFAULT;
}

TEST_F_TIMEOUT(ends, only_what_lies_below_the_end_is_registered, SECONDS)
{
	struct range r = { 0 };
	struct marks m;
	void *va;
	int ret;

	if (variant->type == VFIO_SPAPR_TCE_IOMMU)
		SKIP(return, "version 1 registers nothing");
	init_marks(&m, self->page);
	add_marks(&m, self->task_size, self->page);
	add_mark(&m, 0xc000000000000000UL);
	while (next_range(&m, &r)) {
		va = (void *)r.start;
		ret = __spapr_register(self->s.fd, va, r.size);
		/* nothing is touched on a kernel with a larger address space */
		ASSERT_EQ(register_answer(self, &r), ret) {
			log_range(_metadata, &r);
		}
		ret = __spapr_unregister(self->s.fd, va, r.size);
		EXPECT_TRUE(ret == -EINVAL || ret == -ENOENT) {
			log_range(_metadata, &r);
		}
	}
	EXPECT_ACCOUNT(&self->base, self->size, PAGES);
}

/* The last page of the user address space, and the surroundings of its ends. */
TEST_F(ends, the_last_page_of_the_process_is_registered)
{
	__u64 end = self->task_size, page = self->page;
	char *last = (char *)(end - 2 * page), *mem;
	int fd = self->s.fd;

	if (variant->type == VFIO_SPAPR_TCE_IOMMU)
		SKIP(return, "version 1 registers nothing");
	mem = mmap(last, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		   MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	ASSERT_EQ(last, mem);
	EXPECT_ERRNO(EINVAL, __spapr_register(fd, last, 3 * page));
	EXPECT_ERRNO(EINVAL, __spapr_register(fd, last + page, 2 * page));
	EXPECT_ERRNO(EINVAL, __spapr_register(fd, last + 2 * page, page));
	EXPECT_ERRNO(EINVAL, __spapr_register(fd, last, -(__u64)last));
	spapr_register(fd, last, 2 * page);
	EXPECT_ACCOUNT(&self->base, self->size + 2 * page, PAGES + 2);
	spapr_map(fd, self->window, last, 2 * page, SPAPR_RW);
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->window, last + page,
					 2 * page, SPAPR_RW));
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->window, last + 2 * page,
					 page, SPAPR_RW));
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->window, last, -(__u64)last,
					 SPAPR_RW));
	spapr_unmap(fd, self->window, 2 * page);
	spapr_unregister(fd, last, 2 * page);
	spapr_register(fd, last + page, page);
	spapr_unregister(fd, last + page, page);
	munmap(last, 2 * page);
}

/* ------------------------------------------------------------------ */
/* MAP and UNMAP */

/* Expected result of both calls for a range of bus addresses. */
static int iova_answer(struct _test_data_ends *self, const struct range *r)
{
	__uint128_t end = end_of(r->start, r->size);

	if (end > END_OF_ALL)
		return -EOVERFLOW;
	if (r->start < self->window ||
	    r->start >= end_of(self->window, self->window_size))
		return -ENXIO;
	if (end > end_of(self->window, self->window_size))
		return -EINVAL;
	return 0;
}

static void init_bus_marks(struct marks *m, struct _test_data_ends *self)
{
	init_marks(m, self->page);
	add_marks(m, self->window, self->page);
	add_marks(m, self->window + self->window_size, self->page);
}

static void unmap_all(struct __test_metadata *_metadata,
		      struct _test_data_ends *self)
{
	struct range r = { 0 };
	struct marks m;

	init_bus_marks(&m, self);
	while (next_range(&m, &r)) {
		EXPECT_EQ(iova_answer(self, &r),
			  __spapr_unmap(self->s.fd, r.start, r.size)) {
			log_range(_metadata, &r);
		}
	}
}

TEST_F_TIMEOUT(ends, unmap_is_answered_at_every_end, SECONDS)
{
	/* of a default window before and after its first use */
	unmap_all(_metadata, self);
	spapr_map(self->s.fd, self->window, self->mem, self->size, SPAPR_RW);
	unmap_all(_metadata, self);
}

/* Expected result of MAP if memory wraps, or is shorter than the range. */
static int map_answer(struct _test_data_ends *self, const struct range *r,
		      int type)
{
	int want = iova_answer(self, r);

	if (end_of((__u64)self->mem, r->size) > END_OF_ALL)
		return -EOVERFLOW;
	if (want || r->size <= self->size)
		return want;
	return type == VFIO_SPAPR_TCE_IOMMU ? -EFAULT : -EINVAL;
}

TEST_F_TIMEOUT(ends, map_is_answered_at_every_end_of_the_window, SECONDS)
{
	struct range r = { 0 };
	struct marks m;
	int ret, want;

	init_bus_marks(&m, self);
	while (next_range(&m, &r)) {
		want = map_answer(self, &r, variant->type);
		/* version 1 would pin existing memory first */
		if (want == -EFAULT)
			continue;
		ret = __spapr_map(self->s.fd, r.start, self->mem, r.size,
				  SPAPR_RW);
		EXPECT_EQ(want, ret) {
			log_range(_metadata, &r);
		}
		if (!ret)
			EXPECT_EQ(0, __spapr_unmap(self->s.fd, r.start,
						   r.size));
	}
}

/* No memory at these addresses, which are mapped at the start of the window. */
static int memory_answer(struct _test_data_ends *self, const struct range *r,
			 int type)
{
	if (end_of(r->start, r->size) > END_OF_ALL ||
	    end_of(self->window, r->size) > END_OF_ALL)
		return -EOVERFLOW;
	if (!r->size)
		return 0;
	if (r->size > self->window_size || type == VFIO_SPAPR_TCE_v2_IOMMU)
		return -EINVAL;
	/* pages that end at 2^64 cannot be pinned */
	return r->start + r->size ? -EFAULT : -EOVERFLOW;
}

TEST_F_TIMEOUT(ends, map_is_answered_at_every_end_of_memory, SECONDS)
{
	struct range r = { 0 };
	struct marks m;
	int ret;

	init_marks(&m, self->page);
	add_marks(&m, self->task_size, self->page);
	add_mark(&m, 0xc000000000000000UL);
	while (next_range(&m, &r)) {
		ret = __spapr_map(self->s.fd, self->window, (void *)r.start,
				  r.size, SPAPR_RW);
		EXPECT_EQ(memory_answer(self, &r, variant->type), ret) {
			log_range(_metadata, &r);
		}
	}
}

/* ------------------------------------------------------------------ */
/* CREATE and REMOVE */

/* QEMU, as a hypervisor, allocates the whole table, and exits if it cannot. */
static bool emulator_dies(struct _test_data_ends *self, __u64 size)
{
	return self->info.ddw.levels == 1 && size > GIB &&
	       __builtin_popcountll(size) == 1;
}

/*
 * The last page of a window is its last; removing the window leaves no trace.
 */
static void check_window(struct __test_metadata *_metadata,
			 struct _test_data_ends *self, __u64 start, __u64 size)
{
	__u64 last = start + size - self->page;
	int fd = self->s.fd;

	/* not rounded, and ends at a bus address */
	EXPECT_EQ(1, __builtin_popcountll(size));
	EXPECT_TRUE(end_of(start, size) <= END_OF_ALL);
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, last, self->mem, 2 * self->page,
					 SPAPR_RW));
	EXPECT_EQ(0, __spapr_map(fd, last, self->mem, self->page, SPAPR_RW));
	EXPECT_EQ(0, __spapr_unmap(fd, start, size));
	EXPECT_EQ(0, __spapr_remove(fd, start));
}

TEST_F_TIMEOUT(ends, windows_of_every_size_are_made_or_leave_nothing, SECONDS)
{
	__u32 shift = iommu_shift(&self->info), levels;
	const int may[] = { EINVAL, ENOMEM, EPERM, ENODEV };
	long locked = spapr_locked();
	unsigned int i, k;
	struct marks m;
	__u64 start;
	int ret;

	if (variant->type == VFIO_SPAPR_TCE_IOMMU)
		SKIP(return, "version 1 has one window");
	init_marks(&m, self->page);
	add_marks(&m, GIB, self->page);
	add_marks(&m, 1ULL << 55, self->page);
	add_mark(&m, -1ULL);
	spapr_remove(self->s.fd, self->window);
	for (i = 0; i < m.nr; i++) {
		if (emulator_dies(self, m.at[i]))
			continue;
		for (levels = 0; levels < self->info.ddw.levels + 2; levels++) {
			ret = __spapr_create(self->s.fd, shift, m.at[i],
					     levels, &start);
			if (!ret)
				check_window(_metadata, self, start, m.at[i]);
			for (k = 0; k < ARRAY_SIZE(may) && -ret != may[k]; k++)
				;
			EXPECT_TRUE(!ret || k < ARRAY_SIZE(may)) {
				TH_LOG("%d", ret);
			}
			EXPECT_EQ(locked, spapr_locked());
		}
	}
}

TEST_F(ends, only_the_start_of_a_window_removes_it)
{
	struct marks m;
	unsigned int i;

	if (variant->type == VFIO_SPAPR_TCE_IOMMU)
		SKIP(return, "version 1 has one window");
	init_bus_marks(&m, self);
	spapr_map(self->s.fd, self->window, self->mem, self->size, SPAPR_RW);
	for (i = 0; i < m.nr; i++) {
		if (m.at[i] == self->window)
			continue;
		EXPECT_ERRNO(EINVAL, __spapr_remove(self->s.fd, m.at[i]));
	}
	spapr_unmap(self->s.fd, self->window, self->size);
	spapr_remove(self->s.fd, self->window);
}

/* ------------------------------------------------------------------ */
/* DMA at the limits */

/* All memory, as seen by the device, equals the memory of the process. */
static void compare(struct __test_metadata *_metadata,
		    struct _test_data_ends *self, struct edu *edu, __u64 iova,
		    char *va, char *other)
{
	__u64 to = self->window + self->window_size / 2;

	spapr_map(self->s.fd, to, other, CHUNK, SPAPR_RW);
	spapr_map(self->s.fd, iova, va, CHUNK, SPAPR_RW);
	fill(va, CHUNK, 5);
	fill(other, CHUNK, 6);
	EXPECT_EQ(0, edu_memcpy(edu, to, iova, LEN));
	EXPECT_TRUE(is_filled(other, LEN, 5));
	EXPECT_EQ(0, edu_memcpy(edu, to, iova + CHUNK - LEN, LEN));
	EXPECT_EQ(0, memcmp(other, va + CHUNK - LEN, LEN));
	/* and in the other direction */
	fill(other, CHUNK, 7);
	EXPECT_EQ(0, edu_memcpy(edu, iova + CHUNK - LEN, to, LEN));
	EXPECT_EQ(0, memcmp(other, va + CHUNK - LEN, LEN));
	spapr_unmap(self->s.fd, iova, CHUNK);
	spapr_unmap(self->s.fd, to, CHUNK);
}

TEST_F_TIMEOUT(ends, a_device_finds_what_is_at_the_ends, SECONDS)
{
	char *last = (char *)(self->task_size - CHUNK);
	__u64 end = self->window + self->window_size;
	bool v2 = variant->type == VFIO_SPAPR_TCE_v2_IOMMU;
	char *mem = spapr_mem(CHUNK), *other = spapr_mem(CHUNK);
	struct edu edu;

	ASSERT_EQ(last, mmap(last, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			     MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	ASSERT_EQ(0, edu_open(&edu, self->s.group[0], spapr_bdf(0)));
	if (v2) {
		spapr_register(self->s.fd, last, CHUNK);
		spapr_register(self->s.fd, mem, CHUNK);
		spapr_register(self->s.fd, other, CHUNK);
	}
	compare(_metadata, self, &edu, self->window, mem, other);
	compare(_metadata, self, &edu, end - CHUNK, mem, other);
	compare(_metadata, self, &edu, self->window, last, other);
	compare(_metadata, self, &edu, end - CHUNK, last, other);
	if (v2) {
		spapr_unregister(self->s.fd, last, CHUNK);
		spapr_unregister(self->s.fd, mem, CHUNK);
		spapr_unregister(self->s.fd, other, CHUNK);
	}
	edu_close(&edu);
}

TEST_HARNESS_MAIN
