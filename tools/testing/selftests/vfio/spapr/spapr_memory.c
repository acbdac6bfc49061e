// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registering memory of all kinds: page sizes, files, read-only memory, and
 * addresses without memory. spapr_dma tests which of it a device reaches.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/io_uring.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "memkind.h"
#include "spapr_test.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define NR_MSEAL	462
#define PAGES		16
#define SECONDS		120

/* Next larger IOMMU page size, as a shift; 0 if there is none. */
static __u32 larger_shift(const struct vfio_iommu_spapr_tce_info *info,
			  __u32 shift)
{
	while (++shift <= 30)
		if (info->ddw.pgsizes & (1ULL << shift))
			return shift;
	return 0;
}

/* ------------------------------------------------------------------ */
/* Each kind in the default window */

FIXTURE(kind)
{
	struct spapr s;
	struct spapr_account base;
	struct vfio_iommu_spapr_tce_info info;
	__u64 iova;
	size_t page;
	size_t unit;
	size_t size;
	char *mem;
};

FIXTURE_VARIANT(kind)
{
	enum mem_kind kind;
};

FIXTURE_VARIANT_ADD(kind, anonymous) { .kind = MEM_ANON };
FIXTURE_VARIANT_ADD(kind, transparent_huge) { .kind = MEM_THP };
FIXTURE_VARIANT_ADD(kind, hugetlb_2m) { .kind = MEM_HUGETLB_2M };
FIXTURE_VARIANT_ADD(kind, hugetlb_16m) { .kind = MEM_HUGETLB_16M };
FIXTURE_VARIANT_ADD(kind, hugetlb_1g) { .kind = MEM_HUGETLB_1G };
FIXTURE_VARIANT_ADD(kind, hugetlb_shared) { .kind = MEM_HUGETLB_SHARED };
FIXTURE_VARIANT_ADD(kind, shared) { .kind = MEM_SHARED };
FIXTURE_VARIANT_ADD(kind, memfd) { .kind = MEM_MEMFD };
FIXTURE_VARIANT_ADD(kind, memfd_private) { .kind = MEM_MEMFD_PRIVATE };
FIXTURE_VARIANT_ADD(kind, disk_private) { .kind = MEM_DISK_PRIVATE };

FIXTURE_SETUP(kind)
{
	NEED_DEVICES(return, 1);
	self->page = spapr_page_size();
	self->unit = mem_unit(variant->kind);
	self->size = self->unit;
	if (self->unit == self->page)
		self->size = PAGES * self->page;
	else if (self->unit < GIB)
		self->size = 3 * self->unit;
	self->mem = mem_map(variant->kind, NULL, self->size);
	if (!self->mem)
		SKIP(return, "%s", mem_why());
	spapr_account(&self->base);
	spapr_open(&self->s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_info(self->s.fd, &self->info);
	self->iova = self->info.dma32_window_start + 16 * MIB;
	if (variant->kind != MEM_THP)
		mem_mark(self->mem, self->size, 0);
}

FIXTURE_TEARDOWN(kind)
{
	spapr_close(&self->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* All of it is accounted, even if a huge page needs one pin only. */
TEST_F_TIMEOUT(kind, is_counted_mapped_and_released, SECONDS)
{
	size_t size = self->size;
	int fd = self->s.fd;

	spapr_register(fd, self->mem, size);
	EXPECT_EQ(self->base.locked + (long)size, spapr_locked());
	EXPECT_LT(self->base.pins, spapr_pins());
	EXPECT_TRUE(mem_is_marked(self->mem, size, 0));
	if (size > self->info.dma32_window_size / 2)
		size = self->info.dma32_window_size / 2;
	spapr_map(fd, self->iova, self->mem, size, SPAPR_RW);
	if (!spapr_on_stock()) {
		EXPECT_ERRNO(EBUSY, __spapr_unregister(fd, self->mem,
						       self->size));
	}
	spapr_unmap(fd, self->iova, size);
	EXPECT_TRUE(mem_is_marked(self->mem, size, 0));
	spapr_unregister(fd, self->mem, self->size);
	spapr_remove(fd, self->info.dma32_window_start);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* Two regions meet inside a page: each keeps its own part of it. */
TEST_F_TIMEOUT(kind, can_be_cut_anywhere, SECONDS)
{
	size_t page = self->page, size = self->size - 2 * page;
	size_t cut = self->unit / 2 / page * page + page;
	char *mem = self->mem + page, *next = mem + cut;
	int fd = self->s.fd;

	/* both ends are inside pages as well */
	spapr_register(fd, mem, cut);
	spapr_register(fd, next, size - cut);
	EXPECT_EQ(self->base.locked + (long)size, spapr_locked());
	spapr_map(fd, self->iova, next - page, 2 * page, SPAPR_RW);
	spapr_map(fd, self->iova + 2 * page, mem, page, SPAPR_RW);
	spapr_map(fd, self->iova + 3 * page, mem + size - page, page, SPAPR_RW);
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->iova, mem - page, page,
					 SPAPR_RW));
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->iova, mem + size, page,
					 SPAPR_RW));
	spapr_unmap(fd, self->iova, page);
	spapr_unmap(fd, self->iova + 2 * page, page);
	spapr_unregister(fd, mem, cut);
	EXPECT_LT(self->base.pins, spapr_pins());
	spapr_unmap(fd, self->iova, 4 * page);
	spapr_unregister(fd, next, size - cut);
	EXPECT_EQ(self->base.pins, spapr_pins_settle(self->base.pins));
	EXPECT_TRUE(mem_is_marked(self->mem, self->size, 0));
	/* REGISTER faults in memory that was never touched */
	if (self->unit > page) {
		ASSERT_EQ(0, madvise(self->mem, self->size, MADV_DONTNEED));
	} else {
		self->mem = mem_map(variant->kind, self->mem, self->size);
		ASSERT_NE(NULL, self->mem);
	}
	spapr_register(fd, next, size - cut);
	spapr_register(fd, mem, cut);
	spapr_map(fd, self->iova, next - page, 2 * page, SPAPR_RW);
}

/* ------------------------------------------------------------------ */
/* IOMMU pages larger than a page */

/*
 * An IOMMU page can be mapped if and only if its memory is one run that is
 * aligned in the host as well. The page tables of the kernel show the runs.
 */
FIXTURE(large)
{
	struct spapr s;
	struct spapr_account base;
	struct vfio_iommu_spapr_tce_info info;
	size_t page;
	__u64 start;		/* of the window with these IOMMU pages */
	__u32 shift;		/* the smallest size larger than a page */
	unsigned int mapped;
	unsigned int refused;
};

FIXTURE_SETUP(large)
{
	NEED_DEVICES(return, 1);
	self->page = spapr_page_size();
	spapr_account(&self->base);
	spapr_open(&self->s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_info(self->s.fd, &self->info);
	self->shift = larger_shift(&self->info, spapr_page_shift());
	if (!self->shift) {
		spapr_close(&self->s);
		SKIP(return, "needs IOMMU pages larger than %zu KiB",
		     self->page >> 10);
	}
	spapr_remove(self->s.fd, self->info.dma32_window_start);
}

FIXTURE_TEARDOWN(large)
{
	spapr_close(&self->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* Next part of a region; size 0 at its end. */
struct piece {
	enum mem_kind kind;
	size_t size;
};

/* Pages that are adjacent in the process but not in the host. */
static void scatter(char *va, size_t size, size_t page)
{
	char *spare;

	mem_mark(va, size, 0);
	if (size < 2 * page || mem_pfn(va) + 1 != mem_pfn(va + page))
		return;
	spare = mem_reserve(page, page);
	mremap(va, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, spare);
	mremap(va + page, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, va);
	mremap(spare, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, va + page);
}

/*
 * Maps all parts as one range, the second one aligned; NULL if one is not
 * available.
 */
static char *put_together(const struct piece *pieces, size_t align,
			  size_t *size)
{
	const struct piece *p;
	char *mem, *at;

	*size = 0;
	for (p = pieces; p->size; p++)
		*size += p->size;
	mem = mem_reserve(*size + align, align) + align - pieces->size;
	for (p = pieces, at = mem; p->size; at += p->size, p++) {
		if (!mem_map(p->kind, at, p->size))
			return NULL;
		if (p->kind == MEM_ANON)
			scatter(at, p->size, spapr_page_size());
		else
			mem_mark(at, p->size, 0);
	}
	return mem;
}

/* Tries every aligned IOMMU page of a region; counts the mapped ones. */
static void try_all(struct __test_metadata *_metadata,
		    struct _test_data_large *self, char *mem, size_t size,
		    __u32 shift)
{
	size_t ip = 1UL << shift;
	char *va = (char *)(((unsigned long)mem + ip - 1) & -ip);
	bool good;
	int ret;

	for (; va + ip <= mem + size; va += ip) {
		good = mem_is_block(va, ip);
		ret = __spapr_map(self->s.fd, self->start, va, ip, SPAPR_RW);
		EXPECT_EQ(good ? 0 : -EINVAL, ret) {
			TH_LOG("IOMMU page of %zu KiB at %zu KiB", ip >> 10,
			       (size_t)(va - mem) >> 10);
		}
		self->mapped += !ret;
		self->refused += ret < 0;
		if (!ret)
			spapr_unmap(self->s.fd, self->start, ip);
	}
	/* ranges across the ends are refused, whatever memory follows */
	EXPECT_ERRNO(EINVAL, __spapr_map(self->s.fd, self->start, va, ip,
					 SPAPR_RW));
	va = (char *)((unsigned long)(mem - 1) & -ip);
	EXPECT_ERRNO(EINVAL, __spapr_map(self->s.fd, self->start, va, ip,
					 SPAPR_RW));
}

static void make_window(struct __test_metadata *_metadata,
			struct _test_data_large *self, __u32 shift)
{
	spapr_create(self->s.fd, shift, 1ULL << (shift + 13), 1, &self->start);
}

/* Creates one window after the other, with each supported page size. */
static void try_each_size(struct __test_metadata *_metadata,
			  struct _test_data_large *self, char *mem, size_t size)
{
	__u32 shift;

	spapr_register(self->s.fd, mem, size);
	for (shift = self->shift; shift;
	     shift = larger_shift(&self->info, shift)) {
		make_window(_metadata, self, shift);
		try_all(_metadata, self, mem, size, shift);
		spapr_remove(self->s.fd, self->start);
	}
	TH_LOG("%u mapped, %u refused", self->mapped, self->refused);
	spapr_unregister(self->s.fd, mem, size);
	EXPECT_EQ(self->base.pins, spapr_pins_settle(self->base.pins));
}

/*
 * Kind of huge pages at least as large, with one free page; -1 if there is
 * none.
 */
static int huge_kind(size_t at_least)
{
	const enum mem_kind kinds[] = {
		MEM_HUGETLB_2M, MEM_HUGETLB_16M, MEM_THP, MEM_HUGETLB_1G,
	};
	size_t unit, i;
	char *mem;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		unit = mem_unit(kinds[i]);
		mem = unit >= at_least ? mem_map(kinds[i], NULL, unit) : NULL;
		if (!mem)
			continue;
		munmap(mem, unit);
		return kinds[i];
	}
	return -1;
}

#define NEED_HUGE(statement, self) ({					\
	size_t __size = 1UL << (self)->shift;				\
	int __kind = huge_kind(__size);					\
									\
	if (__kind < 0)							\
		SKIP(statement, "needs a free huge page of %zu KiB or more", \
		     __size >> 10);					\
	__kind;								\
})

#define NEED_THP(statement, self) do {					\
	size_t __size = 1UL << (self)->shift;				\
									\
	if (mem_unit(MEM_THP) < __size)					\
		SKIP(statement, "needs transparent huge pages of %zu KiB or more", \
		     __size >> 10);					\
} while (0)

TEST_F_TIMEOUT(large, huge_pages_are_mapped_as_a_whole, SECONDS)
{
	size_t unit;
	char *mem;
	int kind;

	kind = NEED_HUGE(return, self);
	unit = mem_unit(kind);
	mem = mem_map(kind, NULL, unit);
	ASSERT_NE(NULL, mem);
	mem_mark(mem, unit, 0);
	try_each_size(_metadata, self, mem, unit);
	EXPECT_LT(0U, self->mapped);
}

TEST_F_TIMEOUT(large, transparent_huge_pages_are_mapped_as_a_whole, SECONDS)
{
	size_t size = 2 * mem_unit(MEM_THP);
	char *mem;

	NEED_THP(return, self);
	mem = mem_map(MEM_THP, NULL, size);
	if (!mem)
		SKIP(return, "%s", mem_why());
	try_each_size(_metadata, self, mem, size);
	EXPECT_LT(0U, self->mapped);
}

/* Pages that are adjacent by chance are as good as a huge page. */
TEST_F_TIMEOUT(large, ordinary_pages_are_mapped_where_they_make_a_block,
	       SECONDS)
{
	size_t size = 2UL << self->shift;
	char *mem = mem_reserve(size, size);

	ASSERT_NE(NULL, mem_map(MEM_ANON, mem, size));
	scatter(mem, size / 2, self->page);
	mem_mark(mem + size / 2, size / 2, 0);
	try_each_size(_metadata, self, mem, size);
	EXPECT_LT(0U, self->refused);
}

TEST_F_TIMEOUT(large, each_page_of_a_mixed_region_has_its_own_size, SECONDS)
{
	size_t thp = mem_unit(MEM_THP), size, small;
	char *mem;
	int kind;

	kind = NEED_HUGE(return, self);
	small = 1UL << self->shift;
	small = small < thp ? thp : small;
	mem = put_together((struct piece[]){
		{ MEM_ANON, small }, { kind, mem_unit(kind) },
		{ MEM_ANON, small }, { MEM_THP, thp }, { },
	}, mem_unit(kind), &size);
	/* some MMUs do not support hugetlb pages beside others */
	if (!mem && thp)
		mem = put_together((struct piece[]){
			{ MEM_ANON, small }, { MEM_THP, thp },
			{ MEM_ANON, small }, { },
		}, thp, &size);
	if (!mem)
		SKIP(return, "%s", mem_why());
	try_each_size(_metadata, self, mem + small, size - small);
	EXPECT_LT(0U, self->mapped);
	EXPECT_LT(0U, self->refused);
	try_each_size(_metadata, self, mem, size);
}

/* Not only the page size matters, but also the alignment. */
TEST_F_TIMEOUT(large, huge_pages_at_a_shifted_address_are_small, SECONDS)
{
	size_t unit = mem_unit(MEM_THP), size = 2 * unit;
	char *mem, *to;

	NEED_THP(return, self);
	mem = mem_map(MEM_THP, NULL, size);
	if (!mem)
		SKIP(return, "%s", mem_why());
	to = (char *)mem_reserve(3 * unit, unit) + self->page;
	ASSERT_EQ(to, mremap(mem, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
			     to));
	try_each_size(_metadata, self, to, size);
	EXPECT_EQ(0U, self->mapped);
	EXPECT_LT(0U, self->refused);
	/* with base IOMMU pages it can be mapped */
	spapr_register(self->s.fd, to, size);
	make_window(_metadata, self, spapr_page_shift());
	spapr_map(self->s.fd, self->start, to, size, SPAPR_RW);
}

TEST_F_TIMEOUT(large, a_part_of_a_huge_page_is_not_the_whole, SECONDS)
{
	size_t unit;
	char *mem;
	int kind;

	kind = NEED_HUGE(return, self);
	unit = mem_unit(kind);
	mem = mem_map(kind, NULL, unit);
	ASSERT_NE(NULL, mem);
	mem_mark(mem, unit, 0);
	try_each_size(_metadata, self, mem + self->page,
		      unit - 2 * self->page);
}

/* One IOMMU page must be in one region, or it could lose half of its memory. */
TEST_F_TIMEOUT(large, two_regions_do_not_make_one_iommu_page, SECONDS)
{
	size_t unit, cut;
	char *mem;
	int kind;

	kind = NEED_HUGE(return, self);
	unit = mem_unit(kind);
	cut = (1UL << self->shift) / 2;
	mem = mem_map(kind, NULL, unit);
	ASSERT_NE(NULL, mem);
	spapr_register(self->s.fd, mem, cut);
	spapr_register(self->s.fd, mem + cut, unit - cut);
	make_window(_metadata, self, self->shift);
	EXPECT_ERRNO(EINVAL, __spapr_map(self->s.fd, self->start, mem, 2 * cut,
					 SPAPR_RW));
	spapr_unregister(self->s.fd, mem, cut);
	spapr_unregister(self->s.fd, mem + cut, unit - cut);
	spapr_register(self->s.fd, mem, unit);
	spapr_map(self->s.fd, self->start, mem, 2 * cut, SPAPR_RW);
}

/* Two huge pages; all of the second but its first bytes is read-only. */
static char *half_read_only(struct _test_data_large *self, size_t from)
{
	size_t unit = mem_unit(MEM_THP);
	char *mem = mem_map(MEM_THP, NULL, 2 * unit);

	if (!mem || mprotect(mem + unit + from, unit - from, PROT_READ) ||
	    __spapr_register(self->s.fd, mem, 2 * unit))
		return NULL;
	return mem;
}

TEST_F_TIMEOUT(large, read_only_huge_pages_are_mapped_for_reading, SECONDS)
{
	size_t unit = mem_unit(MEM_THP);
	int fd = self->s.fd;
	char *mem;

	NEED_THP(return, self);
	mem = half_read_only(self, 0);
	ASSERT_NE(NULL, mem);
	make_window(_metadata, self, self->shift);
	spapr_map(fd, self->start, mem, unit, SPAPR_RW);
	EXPECT_ERRNO(EFAULT, __spapr_map(fd, self->start, mem + unit, unit,
					 SPAPR_RW));
	EXPECT_ERRNO(EFAULT, __spapr_map(fd, self->start, mem, 2 * unit,
					 VFIO_DMA_MAP_FLAG_WRITE));
	spapr_map(fd, self->start + unit, mem, 2 * unit,
		  VFIO_DMA_MAP_FLAG_READ);
}

TEST_F_TIMEOUT(large, a_huge_page_that_is_half_read_only_is_not_written,
	       SECONDS)
{
	size_t unit = mem_unit(MEM_THP), ip;
	int fd = self->s.fd, ret;
	char *mem;

	NEED_THP(return, self);
	ip = 1UL << self->shift;
	mem = half_read_only(self, ip - self->page);
	ASSERT_NE(NULL, mem);
	make_window(_metadata, self, self->shift);
	spapr_map(fd, self->start, mem, unit, SPAPR_RW);
	/* one run or not, it must not be written as one */
	ret = __spapr_map(fd, self->start, mem + unit, ip, SPAPR_RW);
	EXPECT_TRUE(ret == -EFAULT || ret == -EINVAL);
	spapr_remove(fd, self->start);
	make_window(_metadata, self, spapr_page_shift());
	EXPECT_ERRNO(EFAULT, __spapr_map(fd, self->start, mem, 2 * unit,
					 SPAPR_RW));
	spapr_map(fd, self->start, mem, 2 * unit, VFIO_DMA_MAP_FLAG_READ);
	spapr_map(fd, self->start, mem, unit + ip - self->page, SPAPR_RW);
}

/* ------------------------------------------------------------------ */
/* Addresses without memory, or not for devices */

FIXTURE(special)
{
	struct spapr s;
	struct spapr_account base;
	size_t page;
	size_t size;
};

FIXTURE_SETUP(special)
{
	NEED_DEVICES(return, 1);
	self->page = spapr_page_size();
	self->size = PAGES * self->page;
	spapr_account(&self->base);
	spapr_open(&self->s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
}

FIXTURE_TEARDOWN(special)
{
	EXPECT_ACCOUNT(&self->base, 0, 0);
	spapr_close(&self->s);
}

#define EXPECT_EFAULT(mem, size) \
	EXPECT_ERRNO(EFAULT, __spapr_register(self->s.fd, mem, size))

/* Start of the mapping of this name in /proc/self/maps, or NULL. */
static void *find_mapping(const char *name)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long start = 0;
	char line[256];

	if (!f)
		return NULL;
	while (!start && fgets(line, sizeof(line), f))
		if (strstr(line, name))
			start = strtoul(line, NULL, 16);
	fclose(f);
	return (void *)start;
}

/*
 * Page frames of the kernel without struct page: VM_PFNMAP. Not [vvar], which
 * has pages since Linux 7.
 */
TEST_F(special, page_frames_of_the_kernel_are_refused)
{
	int fd = open("/dev/mem", O_RDONLY);
	void *mem = mmap(NULL, self->page, PROT_READ, MAP_SHARED, fd, 0);

	if (mem == MAP_FAILED)
		SKIP(return, "needs /dev/mem, and CONFIG_STRICT_DEVMEM=n");
	EXPECT_EFAULT(mem, self->page);
	munmap(mem, self->page);
	close(fd);
}

TEST_F(special, memory_without_access_is_refused)
{
	EXPECT_EFAULT(spapr_reserve(self->size), self->size);
}

TEST_F(special, a_file_that_ends_before_its_mapping_is_refused)
{
	int fd = mem_file(false, self->size / 2);
	char *mem = mmap(NULL, self->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 fd, 0);

	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_EFAULT(mem, self->size);
	EXPECT_EFAULT(mem + self->size / 2, self->page);
	ASSERT_EQ(0, ftruncate(fd, self->size));
	spapr_register(self->s.fd, mem, self->size);
	/* truncating the file does not release the registered pages */
	ASSERT_EQ(0, ftruncate(fd, 0));
	EXPECT_ACCOUNT(&self->base, self->size, PAGES);
	spapr_unregister(self->s.fd, mem, self->size);
	close(fd);
}

TEST_F(special, a_hole_between_huge_pages_is_refused)
{
	size_t unit = mem_unit(MEM_HUGETLB_SHARED);
	char *mem;

	mem = mem_map(MEM_HUGETLB_SHARED, NULL, 3 * unit);
	if (!mem)
		SKIP(return, "%s", mem_why());
	ASSERT_EQ(0, munmap(mem + unit, unit));
	EXPECT_EFAULT(mem, 3 * unit);
	EXPECT_EFAULT(mem, unit + self->page);
	EXPECT_EFAULT(mem + unit, 2 * unit);
	EXPECT_EFAULT(mem + 2 * unit - self->page, unit);
	spapr_register(self->s.fd, mem, unit);
	spapr_unregister(self->s.fd, mem, unit);
}

TEST_F(special, huge_pages_that_run_out_are_refused)
{
	size_t unit = mem_unit(MEM_HUGETLB_SHARED);
	long free = mem_free(MEM_HUGETLB_SHARED);
	size_t size = (free + 1) * unit;
	char *mem;

	if (free < 1)
		SKIP(return, "needs a free huge page: echo 1 > /proc/sys/vm/nr_hugepages");
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		   MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_GT(0, __spapr_register(self->s.fd, mem, size));
	EXPECT_ACCOUNT(&self->base, 0, 0);
	spapr_register(self->s.fd, mem, size - unit);
	spapr_unregister(self->s.fd, mem, size - unit);
}

/*
 * The kernel writes back such a file and must see each write to it, which fails
 * for writes of a device.
 */
TEST_F(special, a_shared_file_on_a_disk_is_refused)
{
	char *mem = mem_map(MEM_DISK_SHARED, NULL, self->size);

	if (!mem)
		SKIP(return, "%s", mem_why());
	EXPECT_EFAULT(mem, self->size);
	mem_mark(mem, self->size, 3);
	EXPECT_EFAULT(mem, self->size);
	EXPECT_TRUE(mem_is_marked(mem, self->size, 3));
}

TEST_F(special, the_file_of_a_program_is_there_to_be_read)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	struct vfio_iommu_spapr_tce_info info;
	char *mem = mmap(NULL, self->page, PROT_READ, MAP_SHARED, fd, 0);
	__u64 iova;

	ASSERT_NE(MAP_FAILED, mem);
	close(fd);
	spapr_info(self->s.fd, &info);
	iova = info.dma32_window_start + 16 * MIB;
	spapr_register(self->s.fd, mem, self->page);
	EXPECT_ERRNO(EFAULT, __spapr_map(self->s.fd, iova, mem, self->page,
					 SPAPR_RW));
	spapr_map(self->s.fd, iova, mem, self->page, VFIO_DMA_MAP_FLAG_READ);
	spapr_remove(self->s.fd, info.dma32_window_start);
	spapr_unregister(self->s.fd, mem, self->page);
}

/* ------------------------------------------------------------------ */
/* Linux behaviour of registered memory that may surprise user space */

TEST_F(special, code_of_the_kernel_in_the_process_is_taken)
{
	void *vdso = find_mapping("[vdso]");

	if (!vdso)
		SKIP(return, "needs a kernel with a [vdso] mapping");
	spapr_register(self->s.fd, vdso, self->page);
	spapr_unregister(self->s.fd, vdso, self->page);
}

TEST_F(special, rings_of_io_uring_are_taken)
{
	struct io_uring_params params = { };
	int fd = syscall(__NR_io_uring_setup, 4, &params);
	char *ring;

	if (fd < 0)
		SKIP(return, "needs io_uring: CONFIG_IO_URING");
	ring = mmap(NULL, self->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    IORING_OFF_SQ_RING);
	ASSERT_NE(MAP_FAILED, ring);
	spapr_register(self->s.fd, ring, self->page);
	EXPECT_ACCOUNT(&self->base, self->page, 1);
	spapr_unregister(self->s.fd, ring, self->page);
	munmap(ring, self->page);
	close(fd);
}

/* REGISTER needs pages that are exclusive to the process. */
TEST_F(special, read_only_pages_of_a_private_file_are_copied)
{
	int fd = mem_file(false, self->size);
	char *file = mmap(NULL, self->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			  fd, 0);
	char *mem = mmap(NULL, self->size, PROT_READ, MAP_PRIVATE, fd, 0);

	ASSERT_NE(MAP_FAILED, file);
	ASSERT_NE(MAP_FAILED, mem);
	fill(file, self->size, 1);
	EXPECT_TRUE(is_filled(mem, self->size, 1));
	EXPECT_EQ(mem_pfn(file), mem_pfn(mem));
	spapr_register(self->s.fd, mem, self->size);
	EXPECT_NE(mem_pfn(file), mem_pfn(mem));
	fill(file, self->size, 2);
	EXPECT_TRUE(is_filled(mem, self->size, 1));
	spapr_unregister(self->s.fd, mem, self->size);
	munmap(mem, self->size);
	munmap(file, self->size);
	close(fd);
}

TEST_F(special, a_registered_memfd_cannot_be_sealed)
{
	int fd = memfd_create("registered", MFD_ALLOW_SEALING);
	char *mem;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, self->size));
	mem = mmap(NULL, self->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	spapr_register(self->s.fd, mem, self->size);
	ASSERT_EQ(0, munmap(mem, self->size));
	EXPECT_EQ(-1, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_EQ(EBUSY, errno);
	spapr_unregister(self->s.fd, mem, self->size);
	EXPECT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	close(fd);
}

TEST_F(special, a_hole_in_a_file_leaves_the_registered_pages)
{
	int fd = mem_file(false, self->size);
	char *mem = mmap(NULL, self->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 fd, 0);
	__u64 pfn;

	ASSERT_NE(MAP_FAILED, mem);
	fill(mem, self->size, 1);
	pfn = mem_pfn(mem);
	spapr_register(self->s.fd, mem, self->size);
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       0, self->size));
	EXPECT_ACCOUNT(&self->base, self->size, PAGES);
	/* the process has other pages */
	EXPECT_EQ(0, mem[0]);
	mem[0] = 1;
	EXPECT_NE(pfn, mem_pfn(mem));
	spapr_unregister(self->s.fd, mem, self->size);
	munmap(mem, self->size);
	close(fd);
}

/* A child would need copies of pinned pages, for which no huge page is free. */
TEST_F(special, a_process_with_the_last_huge_pages_cannot_fork)
{
	enum mem_kind kind = MEM_HUGETLB_2M;
	size_t unit = mem_unit(kind);
	long free = mem_free(kind);
	char *mem;
	pid_t pid;

	if (free < 1) {
		kind = MEM_HUGETLB_16M;
		unit = mem_unit(kind);
		free = mem_free(kind);
	}
	if (free < 1)
		SKIP(return, "needs a free huge page: echo 1 > /proc/sys/vm/nr_hugepages");
	mem = mem_map(kind, NULL, free * unit);
	ASSERT_NE(NULL, mem);
	mem_mark(mem, free * unit, 1);
	spapr_register(self->s.fd, mem, unit);
	pid = fork();
	if (!pid)
		_exit(0);
	EXPECT_EQ(-1, pid);
	EXPECT_EQ(ENOMEM, errno);
	/* nor do they return to the pool when they are unmapped */
	ASSERT_EQ(0, munmap(mem, free * unit));
	EXPECT_EQ(free - 1, mem_free(kind));
	spapr_unregister(self->s.fd, mem, unit);
	EXPECT_EQ(free, mem_free(kind));
	EXPECT_IN_CHILD(true);
}

TEST_F(special, small_pages_do_not_become_a_huge_one)
{
	size_t unit = mem_unit(MEM_THP);
	char *mem;

	if (!unit)
		SKIP(return, "needs transparent huge pages");
	mem = mem_reserve(unit, unit);
	ASSERT_NE(NULL, mem_map(MEM_ANON, mem, unit));
	/* distributions make huge pages where they can */
	ASSERT_EQ(0, madvise(mem, unit, MADV_NOHUGEPAGE));
	mem_mark(mem, unit, 1);
	spapr_register(self->s.fd, mem, unit);
	ASSERT_EQ(0, madvise(mem, unit, MADV_HUGEPAGE));
	EXPECT_EQ(-1, madvise(mem, unit, MADV_COLLAPSE));
	EXPECT_EQ(EAGAIN, errno);
	spapr_unregister(self->s.fd, mem, unit);
	EXPECT_EQ(0, madvise(mem, unit, MADV_COLLAPSE));
	EXPECT_TRUE(mem_is_marked(mem, unit, 1));
	munmap(mem, unit);
}

TEST_F(special, sealed_memory_is_unregistered)
{
	char *mem = spapr_mem(self->page);

	if (syscall(NR_MSEAL, mem, self->page, 0))
		SKIP(return, "needs mseal(): Linux 6.10");
	spapr_register(self->s.fd, mem, self->page);
	EXPECT_EQ(-1, munmap(mem, self->page));
	EXPECT_EQ(EPERM, errno);
	spapr_unregister(self->s.fd, mem, self->page);
}

/* ------------------------------------------------------------------ */
/* Read-only memory */

FIXTURE(read_only)
{
	struct spapr s;
	struct spapr_account base;
	struct vfio_iommu_spapr_tce_info info;
	__u64 iova;
	size_t page;
	size_t size;
	char *mem;
	char *next;		/* behind @mem, writable */
};

FIXTURE_VARIANT(read_only)
{
	enum mem_kind kind;
	bool untouched;
};

FIXTURE_VARIANT_ADD(read_only, anonymous) { .kind = MEM_ANON };
FIXTURE_VARIANT_ADD(read_only, untouched) {
	.kind = MEM_ANON, .untouched = true,
};

FIXTURE_VARIANT_ADD(read_only, memfd) { .kind = MEM_MEMFD };
FIXTURE_VARIANT_ADD(read_only, memfd_private) {
	.kind = MEM_MEMFD_PRIVATE, .untouched = true,
};

FIXTURE_VARIANT_ADD(read_only, disk_private) {
	.kind = MEM_DISK_PRIVATE, .untouched = true,
};

FIXTURE_VARIANT_ADD(read_only, disk_shared) { .kind = MEM_DISK_SHARED };

FIXTURE_SETUP(read_only)
{
	NEED_DEVICES(return, 1);
	self->page = spapr_page_size();
	self->size = 4 * self->page;
	self->mem = spapr_mem(2 * self->size);
	self->next = self->mem + self->size;
	if (!mem_map(variant->kind, self->mem, self->size))
		SKIP(return, "%s", mem_why());
	if (!variant->untouched)
		mem_mark(self->mem, self->size, 1);
	ASSERT_EQ(0, mprotect(self->mem, self->size, PROT_READ));
	spapr_account(&self->base);
	spapr_open(&self->s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_info(self->s.fd, &self->info);
	self->iova = self->info.dma32_window_start + 16 * MIB;
}

FIXTURE_TEARDOWN(read_only)
{
	spapr_close(&self->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

#define READ	VFIO_DMA_MAP_FLAG_READ
#define WRITE	VFIO_DMA_MAP_FLAG_WRITE

TEST_F(read_only, is_mapped_for_reading_and_never_for_writing)
{
	size_t page = self->page, size = self->size;
	int fd = self->s.fd;

	spapr_register(fd, self->mem, size);
	EXPECT_ACCOUNT(&self->base, size, size / page);
	EXPECT_ERRNO(EFAULT, __spapr_map(fd, self->iova, self->mem, size,
					 WRITE));
	EXPECT_ERRNO(EFAULT, __spapr_map(fd, self->iova, self->mem, size,
					 READ | WRITE));
	EXPECT_ERRNO(EFAULT, __spapr_map(fd, self->iova, self->mem + page,
					 4096, WRITE));
	spapr_map(fd, self->iova, self->mem, size, READ);
	EXPECT_ERRNO(EBUSY, __spapr_unregister(fd, self->mem, size));
	spapr_unmap(fd, self->iova, size);
	spapr_unregister(fd, self->mem, size);
	EXPECT_EQ(self->base.pins, spapr_pins());
}

/* A failed MAP changes nothing: existing mappings stay. */
TEST_F(read_only, a_refused_mapping_leaves_the_old_one)
{
	size_t size = self->size;
	int fd = self->s.fd;

	spapr_register(fd, self->mem, size);
	spapr_register(fd, self->next, size);
	spapr_map(fd, self->iova, self->next, size, SPAPR_RW);
	EXPECT_ERRNO(EFAULT, __spapr_map(fd, self->iova, self->mem, size,
					 SPAPR_RW));
	/* for the whole range, also for its writable part */
	EXPECT_ERRNO(EFAULT, __spapr_map(fd, self->iova - size, self->mem,
					 2 * size, SPAPR_RW));
	spapr_unregister(fd, self->mem, size);
	EXPECT_ERRNO(EBUSY, __spapr_unregister(fd, self->next, size));
	spapr_unmap(fd, self->iova, size);
	spapr_unregister(fd, self->next, size);
}

TEST_F(read_only, one_region_may_have_both)
{
	size_t page = self->page, size = self->size;
	int fd = self->s.fd;
	char *mem = self->mem;

	spapr_register(fd, mem, 2 * size);
	EXPECT_ACCOUNT(&self->base, 2 * size, 2 * size / page);
	spapr_map(fd, self->iova, mem, 2 * size, READ);
	spapr_map(fd, self->iova + size, self->next, size, SPAPR_RW);
	EXPECT_ERRNO(EFAULT, __spapr_map(fd, self->iova, self->next - page,
					 2 * page, SPAPR_RW));
	EXPECT_ERRNO(EFAULT, __spapr_map(fd, self->iova, self->next - 4096,
					 4096, WRITE));
	spapr_map(fd, self->iova, self->next, 4096, WRITE);
	EXPECT_ERRNO(EFAULT, __spapr_map(fd, self->iova, mem, 2 * size,
					 SPAPR_RW));
	EXPECT_ERRNO(EBUSY, __spapr_unregister(fd, mem, 2 * size));
	spapr_unmap(fd, self->iova, 2 * size);
	spapr_unregister(fd, mem, 2 * size);
}

TEST_F(read_only, it_stays_what_it_was_when_it_was_registered)
{
	size_t size = self->size;
	int fd = self->s.fd;

	spapr_register(fd, self->mem, size);
	spapr_register(fd, self->next, size);
	ASSERT_EQ(0, mprotect(self->mem, size, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, mprotect(self->next, size, PROT_READ));
	EXPECT_ERRNO(EFAULT, __spapr_map(fd, self->iova, self->mem, size,
					 SPAPR_RW));
	spapr_map(fd, self->iova, self->next, size, SPAPR_RW);
}

TEST_F(read_only, it_may_be_written_when_registered_again)
{
	size_t size = self->size;
	int fd = self->s.fd;

	spapr_register(fd, self->mem, size);
	spapr_unregister(fd, self->mem, size);
	ASSERT_EQ(0, mprotect(self->mem, size, PROT_READ | PROT_WRITE));
	if (variant->kind == MEM_DISK_SHARED) {
		EXPECT_ERRNO(EFAULT, __spapr_register(fd, self->mem, size));
		return;
	}
	spapr_register(fd, self->mem, size);
	spapr_map(fd, self->iova, self->mem, size, SPAPR_RW);
	ASSERT_EQ(0, munmap(self->mem, size));
	spapr_map(fd, self->iova, self->mem, size, SPAPR_RW);
}

TEST_F(read_only, a_hole_beside_it_is_still_refused)
{
	ASSERT_EQ(0, munmap(self->next, self->page));
	EXPECT_ERRNO(EFAULT, __spapr_register(self->s.fd, self->mem,
					      self->size + self->page));
	EXPECT_ERRNO(EFAULT, __spapr_register(self->s.fd, self->mem,
					      2 * self->size));
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_HARNESS_MAIN
