// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that a device reads and writes through TCE tables.
 *
 * The device is QEMU's edu: its transfers to unmapped addresses end without an
 * error, read zeros and write nothing, and on the emulated machines the device
 * continues to work. So "does not reach" is tested by comparing memory.
 *
 * Opening and closing a device resets its bus, which takes up to eight seconds.
 * Therefore cases do not run in a process and with a device of their own each,
 * as usual in the harness, but one after the other with one open device. Each
 * case gets fresh memory and the initial window; afterwards its mappings are
 * cleared and the accounting is checked.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <linux/falloc.h>
#include <sys/mman.h>

#include "edu.h"
#include "memkind.h"
#include "spapr_test.h"

/* A failed assertion ends its case; the harness alone would end the test. */
static jmp_buf case_end;

static inline int end_of_case(int for_real)
{
	if (for_real)
		longjmp(case_end, 1);
	return 0;
}

#define __bail(for_real, metadata) \
	((void)(metadata), end_of_case(for_real))

#define CHUNK		0x10000UL
#define CHUNKS		8
#define SIZE		(CHUNKS * CHUNK)
#define LEN		EDU_DMA_MAX
#define SECONDS		60

struct dma {
	struct spapr s;
	struct spapr_account base;
	struct vfio_iommu_spapr_tce_info info;
	struct spapr other;	/* second container, if the case has one */
	struct edu edu[2];
	bool in_second_window;
	__u64 second;
	__u64 window;
	__u64 iova;
	size_t ip;
	char *mem;
};

#define CASE(name) \
	static void name(struct __test_metadata *_metadata, struct dma *self)

/* The n-th chunk of memory, and of addresses. */
#define MEM(n)	(self->mem + (n) * CHUNK)
#define IOVA(n)	(self->iova + (n) * CHUNK)

#define map_chunks(va, iova, n) \
	spapr_map(self->s.fd, iova, va, (n) * CHUNK, SPAPR_RW)

/* The device reads @src; writing it to @dst reveals what was read. */
#define EXPECT_COPIED(dst, src, mem, seed) do {				\
	EXPECT_EQ(0, edu_memcpy(&self->edu[0], dst, src, LEN));		\
	EXPECT_TRUE(is_filled(mem, LEN, seed));				\
} while (0)

/* The device writes to @iova, and the memory there does not change. */
#define EXPECT_NOT_WRITTEN(iova, mem) do {				\
	char *__mem = (mem);						\
									\
	fill(__mem, LEN, 99);						\
	edu_dma_from_device(&self->edu[0], iova, 0, LEN);		\
	EXPECT_TRUE(is_filled(__mem, LEN, 99));				\
} while (0)

CASE(the_device_copies_memory)
{
	fill(MEM(0), CHUNK, 1);
	map_chunks(MEM(0), IOVA(0), 2);
	EXPECT_EQ(0, edu_memcpy(&self->edu[0], IOVA(1), IOVA(0), 3 * LEN));
	EXPECT_TRUE(is_filled(MEM(1), 3 * LEN, 1));
	EXPECT_EQ(0, edu_memcpy(&self->edu[0], IOVA(1) + 8005, IOVA(0) + 3,
				777));
	EXPECT_EQ(0, memcmp(MEM(1) + 8005, MEM(0) + 3, 777));
}

CASE(each_iommu_page_leads_to_the_page_it_was_given)
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

CASE(what_is_unmapped_is_neither_written_nor_read)
{
	fill(MEM(0), LEN, 1);
	fill(MEM(1), LEN, 2);
	map_chunks(MEM(0), IOVA(0), 3);
	EXPECT_COPIED(IOVA(2), IOVA(0), MEM(2), 1);
	spapr_unmap(self->s.fd, IOVA(1), CHUNK);
	EXPECT_NOT_WRITTEN(IOVA(1), MEM(1));
	fill(MEM(1), LEN, 3);
	edu_memcpy(&self->edu[0], IOVA(2), IOVA(1), LEN);
	EXPECT_FALSE(is_filled(MEM(2), LEN, 3));
	/* the rest of the mapping and the device still work */
	EXPECT_COPIED(IOVA(2), IOVA(0), MEM(2), 1);
	spapr_unmap(self->s.fd, self->window, GIB);
	EXPECT_NOT_WRITTEN(IOVA(0), MEM(0));
	EXPECT_NOT_WRITTEN(IOVA(2), MEM(2));
	map_chunks(MEM(0), IOVA(0), 2);
	fill(MEM(0), LEN, 4);
	EXPECT_COPIED(IOVA(1), IOVA(0), MEM(1), 4);
}

/* Bytes on both sides of each edge are written or not, exactly. */
CASE(a_part_that_is_unmapped_is_cut_out_exactly)
{
	char *middle = self->mem + self->ip, *after = middle + self->ip;
	__u64 iova = self->iova + self->ip, end = iova + self->ip;

	fill(MEM(7), LEN, 1);
	spapr_map(self->s.fd, self->iova, self->mem, 3 * self->ip, SPAPR_RW);
	map_chunks(MEM(7), IOVA(7), 1);
	spapr_unmap(self->s.fd, iova, self->ip);
	EXPECT_EQ(0, edu_dma_to_device(&self->edu[0], IOVA(7), 0, LEN));
	fill(middle, self->ip, 99);
	edu_dma_from_device(&self->edu[0], iova, 0, LEN);
	edu_dma_from_device(&self->edu[0], end - LEN, 0, LEN);
	EXPECT_TRUE(is_filled(middle, self->ip, 99));
	EXPECT_EQ(0, edu_dma_from_device(&self->edu[0], iova - LEN, 0, LEN));
	EXPECT_TRUE(is_filled(middle - LEN, LEN, 1));
	EXPECT_EQ(0, edu_dma_from_device(&self->edu[0], end, 0, LEN));
	EXPECT_TRUE(is_filled(after, LEN, 1));
}

/*
 * Memory is unmapped during a transfer. Data written before is ignored; after
 * the calls have returned nothing may be written.
 */
CASE(a_transfer_under_way_misses_what_was_unmapped)
{
	int fd = self->s.fd;

	fill(MEM(7), LEN, 1);
	map_chunks(MEM(0), IOVA(0), 1);
	map_chunks(MEM(7), IOVA(7), 1);
	EXPECT_EQ(0, edu_dma_to_device(&self->edu[0], IOVA(7), 0, LEN));
	EXPECT_EQ(0, edu_start_from_device(&self->edu[0], IOVA(0), 0, LEN));
	spapr_unmap(fd, IOVA(0), 8 * CHUNK);
	spapr_unregister(fd, self->mem, SIZE);
	fill(MEM(0), LEN, 99);
	EXPECT_EQ(0, edu_wait(&self->edu[0]));
	EXPECT_TRUE(is_filled(MEM(0), LEN, 99));
	spapr_register(fd, self->mem, SIZE);
}

CASE(a_transfer_under_way_misses_what_was_replaced)
{
	fill(MEM(7), LEN, 1);
	map_chunks(MEM(0), IOVA(0), 1);
	map_chunks(MEM(7), IOVA(7), 1);
	EXPECT_EQ(0, edu_dma_to_device(&self->edu[0], IOVA(7), 0, LEN));
	EXPECT_EQ(0, edu_start_from_device(&self->edu[0], IOVA(0), 0, LEN));
	map_chunks(MEM(2), IOVA(0), 1);
	fill(MEM(0), LEN, 99);
	EXPECT_EQ(0, edu_wait(&self->edu[0]));
	EXPECT_TRUE(is_filled(MEM(0), LEN, 99));
}

CASE(the_permissions_of_a_mapping_hold)
{
	fill(MEM(0), LEN, 1);
	spapr_map(self->s.fd, IOVA(0), MEM(0), CHUNK, VFIO_DMA_MAP_FLAG_READ);
	spapr_map(self->s.fd, IOVA(1), MEM(1), CHUNK, VFIO_DMA_MAP_FLAG_WRITE);
	EXPECT_COPIED(IOVA(1), IOVA(0), MEM(1), 1);
	EXPECT_NOT_WRITTEN(IOVA(0), MEM(0));
}

CASE(what_the_device_may_write_it_may_read)
{
	spapr_map(self->s.fd, IOVA(0), MEM(0), CHUNK, VFIO_DMA_MAP_FLAG_WRITE);
	map_chunks(MEM(1), IOVA(1), 1);
	fill(MEM(0), LEN, 1);
	EXPECT_COPIED(IOVA(1), IOVA(0), MEM(1), 1);
}

CASE(mapping_again_leads_to_the_new_memory_only)
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

CASE(a_failed_mapping_leaves_the_old_one)
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

CASE(a_refused_unregister_does_not_disturb_the_device)
{
	int fd = self->s.fd;

	fill(MEM(0), LEN, 1);
	map_chunks(MEM(0), IOVA(0), 2);
	EXPECT_ERRNO(EBUSY, __spapr_unregister(fd, self->mem, SIZE));
	EXPECT_COPIED(IOVA(1), IOVA(0), MEM(1), 1);
	map_chunks(MEM(2), IOVA(2), 1);
	EXPECT_COPIED(IOVA(2), IOVA(0), MEM(2), 1);
	spapr_unmap(fd, IOVA(0), 3 * CHUNK);
	spapr_unregister(fd, self->mem, SIZE);
	EXPECT_EQ(self->base.pins, spapr_pins_settle(self->base.pins));
	spapr_register(fd, self->mem, SIZE);
	map_chunks(MEM(0), IOVA(0), 2);
	fill(MEM(0), LEN, 2);
	EXPECT_COPIED(IOVA(1), IOVA(0), MEM(1), 2);
}

/*
 * Memory is unplugged while the device still reaches it, and other memory is
 * plugged at the same address.
 */
CASE(new_memory_at_an_old_place_is_what_the_device_sees)
{
	int fd = self->s.fd;

	fill(MEM(0), LEN, 1);
	map_chunks(MEM(0), IOVA(0), 1);
	EXPECT_ERRNO(EBUSY, __spapr_unregister(fd, self->mem, SIZE));
	ASSERT_EQ(self->mem, mmap(self->mem, SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				  -1, 0));
	fill(MEM(0), LEN, 2);
	spapr_register(fd, self->mem, SIZE);
	map_chunks(MEM(0), IOVA(4), 2);
	/* the old mapping reaches the old memory, the new one the new */
	EXPECT_COPIED(IOVA(5), IOVA(0), MEM(1), 1);
	EXPECT_COPIED(IOVA(5), IOVA(4), MEM(1), 2);
	EXPECT_NOT_WRITTEN(IOVA(0), MEM(0));
	EXPECT_EQ(2 * (long)(SIZE / spapr_page_size()),
		  spapr_pins() - self->base.pins);
	spapr_unmap(fd, IOVA(0), CHUNK);
	EXPECT_EQ((long)(SIZE / spapr_page_size()),
		  spapr_pins() - self->base.pins);
	EXPECT_NOT_WRITTEN(IOVA(0), MEM(0));
	spapr_unmap(fd, IOVA(4), 2 * CHUNK);
	spapr_unregister(fd, self->mem, SIZE);
}

CASE(a_removed_window_leads_nowhere)
{
	__u64 start = ~0ULL, size = self->info.dma32_window_size;

	if (self->in_second_window)
		size = GIB;
	map_chunks(MEM(0), IOVA(0), 2);
	fill(MEM(0), LEN, 1);
	EXPECT_COPIED(IOVA(1), IOVA(0), MEM(1), 1);
	spapr_remove(self->s.fd, self->window);
	EXPECT_NOT_WRITTEN(IOVA(0), MEM(0));
	spapr_create(self->s.fd, __builtin_ctzl(self->ip), size, 1, &start);
	EXPECT_EQ(self->window, start);
	EXPECT_NOT_WRITTEN(IOVA(0), MEM(0));
	map_chunks(MEM(0), IOVA(0), 2);
	fill(MEM(0), LEN, 2);
	EXPECT_COPIED(IOVA(1), IOVA(0), MEM(1), 2);
}

CASE(the_device_sees_what_was_registered_not_what_came_later)
{
	pid_t pid;

	map_chunks(MEM(0), IOVA(0), 4);
	fill(MEM(0), LEN, 1);
	/* a child that copies on write gets the copies, not the parent */
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
	/* new pages at the same addresses are not reached by the device */
	ASSERT_EQ(0, madvise(MEM(2), CHUNK, MADV_DONTNEED));
	EXPECT_NOT_WRITTEN(IOVA(2), MEM(2));
	ASSERT_EQ(0, munmap(MEM(3), CHUNK));
	EXPECT_EQ(0, edu_dma_from_device(&self->edu[0], IOVA(3), 0, LEN));
	EXPECT_COPIED(IOVA(1), IOVA(3), MEM(1), 2);
}

/* Nor are pages that replace a hole in a file. */
CASE(a_hole_in_a_file_is_not_what_the_device_sees)
{
	int file = mem_file(false, CHUNK);
	char *mem = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_SHARED, file,
			 0);

	ASSERT_NE(MAP_FAILED, mem);
	fill(mem, LEN, 3);
	spapr_register(self->s.fd, mem, CHUNK);
	map_chunks(mem, IOVA(0), 1);
	map_chunks(MEM(1), IOVA(1), 1);
	ASSERT_EQ(0, fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       0, CHUNK));
	EXPECT_EQ(0, mem[1]);
	EXPECT_COPIED(IOVA(1), IOVA(0), MEM(1), 3);
	EXPECT_NOT_WRITTEN(IOVA(0), mem);
	spapr_unmap(self->s.fd, IOVA(0), CHUNK);
	spapr_unregister(self->s.fd, mem, CHUNK);
	munmap(mem, CHUNK);
	close(file);
}

/* A later MAP also reaches the registered pages. */
CASE(a_later_map_leads_to_what_was_registered)
{
	char *moved = spapr_mem(CHUNK);

	map_chunks(MEM(0), IOVA(0), 1);
	fill(MEM(0), LEN, 1);
	ASSERT_EQ(0, madvise(MEM(2), CHUNK, MADV_DONTNEED));
	map_chunks(MEM(2), IOVA(2), 1);
	EXPECT_NOT_WRITTEN(IOVA(2), MEM(2));
	ASSERT_EQ(MEM(3), mmap(MEM(3), CHUNK, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	map_chunks(MEM(3), IOVA(3), 1);
	EXPECT_NOT_WRITTEN(IOVA(3), MEM(3));
	/* the process has the page at another address, the region does not */
	ASSERT_EQ(moved, mremap(MEM(4), CHUNK, CHUNK,
				MREMAP_MAYMOVE | MREMAP_FIXED, moved));
	EXPECT_ERRNO(EINVAL, __spapr_map(self->s.fd, IOVA(4), moved, self->ip,
					 SPAPR_RW));
	map_chunks(MEM(4), IOVA(4), 1);
	EXPECT_COPIED(IOVA(4), IOVA(0), moved, 1);
	/* and the device may still write where the process may not */
	ASSERT_EQ(0, mprotect(MEM(5), CHUNK, PROT_READ));
	map_chunks(MEM(5), IOVA(5), 1);
	EXPECT_COPIED(IOVA(5), IOVA(0), MEM(5), 1);
	munmap(moved, CHUNK);
}

/* The first and the last page of this kind. */
static void reach(struct __test_metadata *_metadata, struct dma *self,
		  enum mem_kind kind)
{
	size_t unit = mem_unit(kind), size = unit < SIZE ? SIZE : unit;
	char *mem = mem_map(kind, NULL, size), *last = mem + size - CHUNK;

	if (!mem) {
		TH_LOG("kind %d: %s", kind, mem_why());
		return;
	}
	fill(mem, LEN, kind);
	spapr_register(self->s.fd, mem, size);
	map_chunks(mem, IOVA(0), 1);
	map_chunks(last, IOVA(1), 1);
	EXPECT_COPIED(IOVA(1), IOVA(0), last, kind);
	spapr_unmap(self->s.fd, IOVA(0), 2 * CHUNK);
	spapr_unregister(self->s.fd, mem, size);
	munmap(mem, size);
}

CASE(every_kind_of_memory_is_reached)
{
	const enum mem_kind kinds[] = {
		MEM_THP, MEM_HUGETLB_2M, MEM_HUGETLB_16M, MEM_HUGETLB_1G,
		MEM_HUGETLB_SHARED, MEM_MEMFD, MEM_DISK_PRIVATE,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		reach(_metadata, self, kinds[i]);
}

/* One huge page, followed by room for other memory in the process. */
static char *huge_page(enum mem_kind kind, size_t *unit)
{
	char *mem;

	*unit = mem_unit(kind);
	if (!*unit)
		return mem_map(kind, NULL, 0);
	mem = mem_reserve(2 * *unit, *unit);
	return mem ? mem_map(kind, mem, *unit) : NULL;
}

/* Huge and other pages in one region: across the border in both directions. */
CASE(mixed_memory_is_reached_where_it_is)
{
	size_t unit;
	char *mem, *mixed;

	mem = huge_page(MEM_HUGETLB_SHARED, &unit);
	if (!mem)
		mem = huge_page(MEM_THP, &unit);
	if (!mem)
		SKIP(return, "%s", mem_why());
	ASSERT_NE(NULL, mem_map(MEM_ANON, mem + unit, 2 * CHUNK));
	mixed = mem + unit - CHUNK;
	fill(mixed, LEN, 1);
	spapr_register(self->s.fd, mem, unit + 2 * CHUNK);
	map_chunks(mixed, IOVA(0), 3);
	EXPECT_COPIED(IOVA(2), IOVA(0), mixed + 2 * CHUNK, 1);
	fill(mixed + CHUNK, LEN, 2);
	EXPECT_COPIED(IOVA(0), IOVA(1), mixed, 2);
	spapr_unmap(self->s.fd, IOVA(0), 3 * CHUNK);
	spapr_unregister(self->s.fd, mem, unit + 2 * CHUNK);
	munmap(mem, 2 * unit);
}

#define MANY	1000

static int call_for_each(int fd, char *mem, bool do_register)
{
	int ret = 0, i;

	for (i = 0; !ret && i < MANY; i++, mem += CHUNK)
		ret = do_register ? __spapr_register(fd, mem, CHUNK) :
				    __spapr_unregister(fd, mem, CHUNK);
	return ret;
}

CASE(each_of_many_regions_is_found)
{
	char *mem = spapr_mem(MANY * CHUNK);
	int fd = self->s.fd, i;

	ASSERT_EQ(0, call_for_each(fd, mem, true));
	map_chunks(mem, IOVA(0), MANY);
	for (i = 7; i < MANY; i += MANY / 3) {
		fill(mem + i * CHUNK, LEN, i);
		EXPECT_COPIED(IOVA(MANY - i), IOVA(i),
			      mem + (MANY - i) * CHUNK, i);
	}
	spapr_unmap(fd, IOVA(0), MANY * CHUNK);
	ASSERT_EQ(0, call_for_each(fd, mem, false));
	munmap(mem, MANY * CHUNK);
}

static void read_only(struct __test_metadata *_metadata, struct dma *self,
		      enum mem_kind kind)
{
	char *mem = mem_map(kind, NULL, CHUNK);

	if (!mem) {
		TH_LOG("kind %d: %s", kind, mem_why());
		return;
	}
	fill(mem, LEN, kind);
	ASSERT_EQ(0, mprotect(mem, CHUNK, PROT_READ));
	spapr_register(self->s.fd, mem, CHUNK);
	spapr_map(self->s.fd, IOVA(1), mem, CHUNK, VFIO_DMA_MAP_FLAG_READ);
	EXPECT_ERRNO(EFAULT, __spapr_map(self->s.fd, IOVA(1), mem, CHUNK,
					 SPAPR_RW));
	EXPECT_COPIED(IOVA(0), IOVA(1), MEM(0), kind);
	/* load other data into the device before it tries to write */
	fill(MEM(0), LEN, 99);
	edu_dma_to_device(&self->edu[0], IOVA(0), 0, LEN);
	edu_dma_from_device(&self->edu[0], IOVA(1), 0, LEN);
	EXPECT_TRUE(is_filled(mem, LEN, kind));
	spapr_unmap(self->s.fd, IOVA(1), CHUNK);
	spapr_unregister(self->s.fd, mem, CHUNK);
	munmap(mem, CHUNK);
}

CASE(read_only_memory_is_read_and_never_written)
{
	map_chunks(MEM(0), IOVA(0), 1);
	read_only(_metadata, self, MEM_ANON);
	read_only(_metadata, self, MEM_MEMFD);
	read_only(_metadata, self, MEM_DISK_SHARED);
}

CASE(the_registers_of_the_device_are_not_memory)
{
	EXPECT_ERRNO(EFAULT, __spapr_register(self->s.fd, self->edu[0].bar,
					      spapr_page_size()));
}

CASE(the_first_and_the_last_page_of_a_window_work)
{
	__u64 start = self->info.dma32_window_start;
	__u64 end = start + self->info.dma32_window_size;

	spapr_map(self->s.fd, start, MEM(0), CHUNK, SPAPR_RW);
	spapr_map(self->s.fd, end - CHUNK, MEM(1), CHUNK, SPAPR_RW);
	fill(MEM(0), LEN, 1);
	EXPECT_COPIED(end - CHUNK, start, MEM(1), 1);
	if (!self->in_second_window)
		return;
	spapr_map(self->s.fd, self->window, MEM(2), CHUNK, SPAPR_RW);
	spapr_map(self->s.fd, self->window + GIB - CHUNK, MEM(3), CHUNK,
		  SPAPR_RW);
	EXPECT_COPIED(self->window, start, MEM(2), 1);
	EXPECT_COPIED(self->window + GIB - CHUNK, end - CHUNK, MEM(3), 1);
}

/* ------------------------------------------------------------------ */
/* Two devices, each in a separate container */

#define EXPECT_COPIES_MEM(n, to, to_iova, from, from_iova, seed) do {	\
	int __seed = (seed);						\
									\
	fill(from, LEN, __seed);					\
	EXPECT_EQ(0, edu_memcpy(&self->edu[n], to_iova, from_iova, LEN)); \
	EXPECT_TRUE(is_filled(to, LEN, __seed));			\
} while (0)

/* The same bus addresses and the same registered memory, mapped differently. */
CASE(two_containers_reach_what_each_of_them_maps)
{
	struct spapr *other = &self->other;
	int fd = self->s.fd;

	NEED_DEVICES(return, 2);
	spapr_open_with(other, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	ASSERT_EQ(0, edu_open(&self->edu[1], other->group[1], spapr_bdf(1)));
	spapr_register(other->fd, self->mem, SIZE);
	map_chunks(MEM(0), IOVA(0), 2);
	spapr_map(other->fd, IOVA(0), MEM(2), 2 * CHUNK, SPAPR_RW);
	EXPECT_COPIES_MEM(0, MEM(1), IOVA(1), MEM(0), IOVA(0), 1);
	EXPECT_COPIES_MEM(1, MEM(3), IOVA(1), MEM(2), IOVA(0), 2);
	EXPECT_TRUE(is_filled(MEM(1), LEN, 1));
	/* one unmaps and unregisters, the other is not affected */
	spapr_unmap(fd, IOVA(0), 2 * CHUNK);
	spapr_unregister(fd, self->mem, SIZE);
	EXPECT_NOT_WRITTEN(IOVA(0), MEM(0));
	EXPECT_NOT_WRITTEN(IOVA(0), MEM(2));
	EXPECT_COPIES_MEM(1, MEM(3), IOVA(1), MEM(2), IOVA(0), 3);
	/* and memory that one has released still works after the other exits */
	spapr_register(fd, self->mem, SIZE);
	map_chunks(MEM(4), IOVA(0), 2);
	edu_close(&self->edu[1]);
	spapr_close(other);
	EXPECT_COPIES_MEM(0, MEM(5), IOVA(1), MEM(4), IOVA(0), 4);
}

/* ------------------------------------------------------------------ */
/* Two devices, each in a separate group, in one container */

/*
 * The cases build on each other: both groups are present, the second leaves and
 * joins again, then the first leaves.
 */
#define EXPECT_COPIES(n, to, from, seed) do {				\
	int __to = (to), __from = (from), __seed = (seed);		\
									\
	fill(MEM(__from), LEN, __seed);					\
	EXPECT_EQ(0, edu_memcpy(&self->edu[n], IOVA(__to), IOVA(__from), \
				LEN));					\
	EXPECT_TRUE(is_filled(MEM(__to), LEN, __seed));			\
} while (0)

CASE(a_second_device_sees_the_mappings_that_are_there)
{
	NEED_DEVICES(return, 2);
	map_chunks(MEM(0), IOVA(0), 3);
	spapr_attach(&self->s, 1);
	ASSERT_EQ(0, edu_open(&self->edu[1], self->s.group[1], spapr_bdf(1)));
	EXPECT_COPIES(0, 1, 0, 1);
	EXPECT_COPIES(1, 2, 0, 2);
	spapr_unmap(self->s.fd, IOVA(0), CHUNK);
	fill(MEM(0), LEN, 99);
	edu_dma_from_device(&self->edu[0], IOVA(0), 0, LEN);
	edu_dma_from_device(&self->edu[1], IOVA(0), 0, LEN);
	EXPECT_TRUE(is_filled(MEM(0), LEN, 99));
}

/* More mappings than one hypercall handles, with holes between them. */
CASE(a_second_device_sees_each_of_many_mappings)
{
	static const unsigned int some[] = { 0, 170, 171, 341, 342, 598 };
	unsigned long n = SIZE / self->ip, i, k, last = 599;

	NEED_DEVICES(return, 2);
	edu_close(&self->edu[1]);
	spapr_detach(&self->s, 1);
	for (i = 0; i <= last; i++)
		spapr_map(self->s.fd, self->iova + 3 * i * self->ip,
			  self->mem + i % n * self->ip, self->ip, SPAPR_RW);
	spapr_attach(&self->s, 1);
	ASSERT_EQ(0, edu_open(&self->edu[1], self->s.group[1], spapr_bdf(1)));
	for (k = 0; k < ARRAY_SIZE(some); k++) {
		i = some[k];
		fill(self->mem + i % n * self->ip, LEN, i + 1);
		EXPECT_EQ(0, edu_memcpy(&self->edu[1],
					self->iova + 3 * last * self->ip,
					self->iova + 3 * i * self->ip, LEN));
		EXPECT_TRUE(is_filled(self->mem + last % n * self->ip, LEN,
				      i + 1));
	}
	spapr_unmap(self->s.fd, self->iova, 3 * (last + 1) * self->ip);
}

CASE(the_second_device_leaves)
{
	NEED_DEVICES(return, 2);
	map_chunks(MEM(0), IOVA(0), 3);
	EXPECT_COPIES(0, 1, 0, 1);
	edu_close(&self->edu[1]);
	spapr_detach(&self->s, 1);
	EXPECT_COPIES(0, 2, 0, 2);
	map_chunks(MEM(3), IOVA(3), 1);
	EXPECT_COPIES(0, 3, 0, 3);
	spapr_attach(&self->s, 1);
	ASSERT_EQ(0, edu_open(&self->edu[1], self->s.group[1], spapr_bdf(1)));
	EXPECT_COPIES(1, 3, 0, 4);
}

CASE(the_first_device_leaves)
{
	NEED_DEVICES(return, 2);
	map_chunks(MEM(0), IOVA(0), 4);
	edu_close(&self->edu[0]);
	spapr_detach(&self->s, 0);
	EXPECT_COPIES(1, 1, 0, 1);
}

/* ------------------------------------------------------------------ */
/* Running the cases */

typedef void (*case_fn)(struct __test_metadata *_metadata, struct dma *self);

#define C(name) { #name, name }

static const struct dma_case {
	const char *name;
	case_fn run;
} each_window[] = {
	C(the_device_copies_memory),
	C(each_iommu_page_leads_to_the_page_it_was_given),
	C(what_is_unmapped_is_neither_written_nor_read),
	C(a_part_that_is_unmapped_is_cut_out_exactly),
	C(a_transfer_under_way_misses_what_was_unmapped),
	C(a_transfer_under_way_misses_what_was_replaced),
	C(the_permissions_of_a_mapping_hold),
	C(what_the_device_may_write_it_may_read),
	C(mapping_again_leads_to_the_new_memory_only),
	C(a_failed_mapping_leaves_the_old_one),
	C(a_refused_unregister_does_not_disturb_the_device),
	C(new_memory_at_an_old_place_is_what_the_device_sees),
	C(a_hole_in_a_file_is_not_what_the_device_sees),
	C(a_removed_window_leads_nowhere),
	C(the_device_sees_what_was_registered_not_what_came_later),
	C(a_later_map_leads_to_what_was_registered),
	C(every_kind_of_memory_is_reached),
	C(mixed_memory_is_reached_where_it_is),
	C(each_of_many_regions_is_found),
	C(read_only_memory_is_read_and_never_written),
	C(the_registers_of_the_device_are_not_memory),
	C(the_first_and_the_last_page_of_a_window_work),
}, at_the_end[] = {
	C(two_containers_reach_what_each_of_them_maps),
	C(a_second_device_sees_the_mappings_that_are_there),
	C(a_second_device_sees_each_of_many_mappings),
	C(the_second_device_leaves),
	C(the_first_device_leaves),
};

static const char *only;

static bool chosen(const struct dma_case *c)
{
	return !only || !strcmp(only, c->name);
}

/* Nothing is mapped; fresh memory is registered. */
static void begin_case(struct __test_metadata *_metadata, struct dma *self)
{
	__u64 start = self->info.dma32_window_start;
	__u32 shift = 12;

	self->window = start;
	if (self->in_second_window) {
		self->window = self->second;
		shift = iommu_shift(&self->info);
	}
	self->ip = 1UL << shift;
	self->iova = self->window + 16 * MIB;
	spapr_account(&self->base);
	self->mem = spapr_mem(SIZE);
	ASSERT_NE(NULL, self->mem);
	spapr_register(self->s.fd, self->mem, SIZE);
}

/* Restores the windows, also if the case failed to do so. */
static void end_case(struct __test_metadata *_metadata, struct dma *self)
{
	__u64 start = self->info.dma32_window_start, at;
	__u64 size = self->info.dma32_window_size;

	if (self->other.fd >= 0) {
		edu_close(&self->edu[1]);
		spapr_close(&self->other);
	}
	if (__spapr_unmap(self->s.fd, start, size))
		__spapr_create(self->s.fd, 12, size, 1, &at);
	if (self->second && __spapr_unmap(self->s.fd, self->second, GIB))
		__spapr_create(self->s.fd, iommu_shift(&self->info), GIB, 1,
			       &at);
	__spapr_unregister(self->s.fd, self->mem, SIZE);
	/*
	 * keep the addresses reserved: leaked memory of a case must not affect
	 * the next
	 */
	mmap(self->mem, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
	     MAP_FIXED, -1, 0);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

static void run_case(const struct dma_case *c, struct dma *self,
		     const char *where)
{
	struct __test_results results = { 0 };
	struct __test_metadata meta = { .name = c->name, .results = &results };
	struct __test_metadata *_metadata = &meta;

	alarm(SECONDS);
	if (!setjmp(case_end)) {
		begin_case(_metadata, self);
		c->run(_metadata, self);
	}
	if (!setjmp(case_end))
		end_case(_metadata, self);
	alarm(0);
	if (meta.exit_code == KSFT_SKIP)
		ksft_test_result_skip("%s.%s # %s\n", where, c->name,
				      results.reason);
	else
		ksft_test_result(!meta.exit_code, "%s.%s\n", where, c->name);
}

/* Last: a hypervisor may not be able to recreate a default window beside it. */
static void add_second_window(struct dma *self)
{
	__u64 start;

	if (!__spapr_create(self->s.fd, iommu_shift(&self->info), GIB, 1,
			    &start))
		self->second = start;
	self->in_second_window = true;
}

static void run_cases(struct dma *self)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(each_window); i++)
		if (chosen(&each_window[i]))
			run_case(&each_window[i], self,
				 "in_the_default_window");
	add_second_window(self);
	for (i = 0; i < ARRAY_SIZE(each_window); i++) {
		if (!chosen(&each_window[i]))
			continue;
		if (self->second)
			run_case(&each_window[i], self, "in_the_second_window");
		else
			ksft_test_result_skip("in_the_second_window.%s # needs a second window\n",
					      each_window[i].name);
	}
	self->in_second_window = false;
	for (i = 0; i < ARRAY_SIZE(at_the_end); i++)
		if (chosen(&at_the_end[i]))
			run_case(&at_the_end[i], self, "two_devices");
}

/* The default window is created on first use. */
static int use_default_window(struct dma *self)
{
	__u64 start = self->info.dma32_window_start;
	char *mem = spapr_mem(CHUNK);

	if (__spapr_register(self->s.fd, mem, CHUNK) ||
	    __spapr_map(self->s.fd, start + MIB, mem, CHUNK, SPAPR_RW) ||
	    __spapr_unmap(self->s.fd, start + MIB, CHUNK))
		return -1;
	return __spapr_unregister(self->s.fd, mem, CHUNK);
}

/* One container with one device. */
static void prepare(struct dma *self)
{
	*self = (struct dma){ .other = { .fd = -1 } };
	self->edu[0] = (struct edu){ .fd = -1, .bar = MAP_FAILED };
	self->edu[1] = self->edu[0];
	if (geteuid() || !spapr_nr_devices())
		ksft_exit_skip("needs root and a device; how to bind one: %s\n",
			       SPAPR_HOW_TO_BIND);
	if (__spapr_open(&self->s, VFIO_SPAPR_TCE_v2_IOMMU, 1) ||
	    __spapr_info(self->s.fd, &self->info) || use_default_window(self))
		ksft_exit_fail_msg("no container for %s\n", spapr_bdf(0));
	if (edu_open(&self->edu[0], self->s.group[0], spapr_bdf(0)))
		ksft_exit_fail_msg("%s does not answer\n", spapr_bdf(0));
}

static unsigned int nr_chosen(void)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(each_window); i++)
		n += 2 * chosen(&each_window[i]);
	for (i = 0; i < ARRAY_SIZE(at_the_end); i++)
		n += chosen(&at_the_end[i]);
	return n;
}

int main(int argc, char **argv)
{
	struct spapr_account before;
	struct dma dma;
	int opt;

	while ((opt = getopt(argc, argv, "t:h")) != -1) {
		if (opt != 't') {
			printf("usage: %s [-t case]\n", argv[0]);
			return opt == 'h' ? KSFT_PASS : KSFT_FAIL;
		}
		only = optarg;
	}
	ksft_print_header();
	spapr_account(&before);
	prepare(&dma);
	ksft_set_plan(nr_chosen() + 1);
	run_cases(&dma);
	edu_close(&dma.edu[0]);
	edu_close(&dma.edu[1]);
	spapr_close(&dma.s);
	ksft_test_result(spapr_locked() == before.locked &&
			 spapr_pins_settle(before.pins) == before.pins,
			 "nothing_is_left_at_the_end\n");
	ksft_finished();
}
