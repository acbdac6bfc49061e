// SPDX-License-Identifier: GPL-2.0-only
/* User memory of all kinds that a device may reach. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/magic.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include "libspapr.h"
#include "memkind.h"

#define THP_SIZE	"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"
#define HUGETLB		"/sys/kernel/mm/hugepages/hugepages-%lukB/%s"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

static char why[256];

const char *mem_why(void)
{
	return why;
}

static void *refuse(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return NULL;
}

/* ------------------------------------------------------------------ */
/* Huge pages */

static long hugetlb_pages(size_t unit, const char *which)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), HUGETLB, unit >> 10, which);
	return spapr_read_number(path);
}

static size_t hugetlb_if_there(size_t unit)
{
	return hugetlb_pages(unit, "nr_hugepages") >= 0 ? unit : 0;
}

/* Default huge page size, for files that do not select one. */
static size_t hugetlb_default(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	size_t kib = 0;
	char line[128];

	if (!f)
		return 0;
	while (!kib && fgets(line, sizeof(line), f))
		sscanf(line, "Hugepagesize: %zu kB", &kib);
	fclose(f);
	return kib << 10;
}

static size_t thp_unit(void)
{
	long size = spapr_read_number(THP_SIZE);

	return size > 0 ? size : 0;
}

size_t mem_unit(enum mem_kind kind)
{
	switch (kind) {
	case MEM_THP:
		return thp_unit();
	case MEM_HUGETLB_2M:
		return hugetlb_if_there(1UL << 21);
	case MEM_HUGETLB_16M:
		return hugetlb_if_there(1UL << 24);
	case MEM_HUGETLB_1G:
		return hugetlb_if_there(1UL << 30);
	case MEM_HUGETLB_SHARED:
		return hugetlb_default();
	default:
		return spapr_page_size();
	}
}

long mem_free(enum mem_kind kind)
{
	return hugetlb_pages(mem_unit(kind), "free_hugepages");
}

/* Bytes of a range in transparent huge pages, according to smaps. */
static size_t thp_bytes(const void *va, size_t size)
{
	unsigned long start, end, from = (unsigned long)va;
	FILE *f = fopen("/proc/self/smaps", "r");
	size_t kib, bytes = 0;
	bool inside = false;
	char line[256];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start < from + size && end > from;
		else if (inside &&
			 sscanf(line, "AnonHugePages: %zu kB", &kib) == 1)
			bytes += kib << 10;
	}
	fclose(f);
	return bytes;
}

/* Make huge pages now, not when khugepaged runs. */
static void *make_huge(void *va, size_t size)
{
	if (madvise(va, size, MADV_HUGEPAGE))
		return refuse("needs CONFIG_TRANSPARENT_HUGEPAGE");
	mem_mark(va, size, 0);
	if (thp_bytes(va, size) < size)
		madvise(va, size, MADV_COLLAPSE);
	if (thp_bytes(va, size) < size)
		return refuse("needs %zu KiB in transparent huge pages: %s",
			      size >> 10,
			      "echo 1 > /proc/sys/vm/compact_memory");
	return va;
}

/* ------------------------------------------------------------------ */
/* Files */

static const char *disk_dir(void)
{
	const char *dir = getenv("VFIO_TEST_DIR");

	return dir && *dir ? dir : ".";
}

/* Whether the file system needs writeback. */
static bool is_on_disk(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type != TMPFS_MAGIC &&
	       fs.f_type != RAMFS_MAGIC;
}

static int open_file(bool on_disk)
{
	char path[PATH_MAX];
	int fd;

	if (!on_disk)
		return memfd_create("spapr", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "%s/spapr.XXXXXX", disk_dir());
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -1;
	unlink(path);
	if (is_on_disk(fd))
		return fd;
	close(fd);
	return -1;
}

int mem_file(bool on_disk, size_t size)
{
	int fd = open_file(on_disk);

	if (fd < 0 || !ftruncate(fd, size))
		return fd;
	close(fd);
	return -1;
}

/* ------------------------------------------------------------------ */
/* Mapping */

void *mem_reserve(size_t size, size_t align)
{
	char *p, *start;

	p = mmap(NULL, size + align, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	start = (char *)(((unsigned long)p + align - 1) & -align);
	if (start > p)
		munmap(p, start - p);
	munmap(start + size, p + align - start);
	return start;
}

static void *map_at(void *at, size_t size, int flags, int fd)
{
	void *va = mmap(at, size, PROT_READ | PROT_WRITE,
			flags | (at ? MAP_FIXED : 0), fd, 0);

	if (va != MAP_FAILED)
		return va;
	if (errno == EBUSY)
		return refuse("needs an MMU that can have huge pages beside others: radix");
	return refuse("mmap: %s", strerror(errno));
}

static void *map_anon(void *at, size_t size, int flags)
{
	return map_at(at, size, flags | MAP_ANONYMOUS, -1);
}

static void *map_file(int fd, void *at, size_t size, int flags)
{
	void *va;

	if (fd < 0)
		return refuse("needs a folder on a disk, not in memory: %s",
			      "VFIO_TEST_DIR=/some/where");
	va = map_at(at, size, flags, fd);
	close(fd);
	return va;
}

static bool hugetlb_is_free(size_t unit, size_t size)
{
	if (hugetlb_pages(unit, "free_hugepages") >= (long)(size / unit))
		return true;
	if (unit >= 1UL << 30)
		refuse("needs %zu free pages of 1 GiB: boot with %s",
		       size / unit, "hugepagesz=1G hugepages=1");
	else
		refuse("needs %zu free huge pages: echo %zu > " HUGETLB,
		       size / unit, size / unit, unit >> 10, "nr_hugepages");
	return false;
}

static void *map_hugetlb(void *at, size_t size, size_t unit)
{
	if (!hugetlb_is_free(unit, size))
		return NULL;
	return map_anon(at, size, MAP_PRIVATE | MAP_HUGETLB |
			(__builtin_ctzl(unit) << MAP_HUGE_SHIFT));
}

static void *map_hugetlb_file(void *at, size_t size, size_t unit)
{
	int fd;

	if (!hugetlb_is_free(unit, size))
		return NULL;
	fd = memfd_create("spapr", MFD_CLOEXEC | MFD_HUGETLB);
	if (fd >= 0 && ftruncate(fd, size)) {
		close(fd);
		fd = -1;
	}
	if (fd < 0)
		return refuse("needs CONFIG_HUGETLBFS and CONFIG_MEMFD_CREATE");
	return map_file(fd, at, size, MAP_SHARED);
}

static void *map_kind(enum mem_kind kind, void *at, size_t size, size_t unit)
{
	void *va;

	switch (kind) {
	case MEM_THP:
		va = map_anon(at, size, MAP_PRIVATE);
		return va ? make_huge(va, size) : NULL;
	case MEM_HUGETLB_2M:
	case MEM_HUGETLB_16M:
	case MEM_HUGETLB_1G:
		return map_hugetlb(at, size, unit);
	case MEM_HUGETLB_SHARED:
		return map_hugetlb_file(at, size, unit);
	case MEM_SHARED:
		return map_anon(at, size, MAP_SHARED);
	case MEM_MEMFD:
		return map_file(mem_file(false, size), at, size, MAP_SHARED);
	case MEM_MEMFD_PRIVATE:
		return map_file(mem_file(false, size), at, size, MAP_PRIVATE);
	case MEM_DISK_PRIVATE:
		return map_file(mem_file(true, size), at, size, MAP_PRIVATE);
	case MEM_DISK_SHARED:
		return map_file(mem_file(true, size), at, size, MAP_SHARED);
	default:
		return map_anon(at, size, MAP_PRIVATE);
	}
}

/* Huge pages: the kernel chooses the address if it needs a special range. */
static bool is_hugetlb(enum mem_kind kind)
{
	return kind >= MEM_HUGETLB_2M && kind <= MEM_HUGETLB_SHARED;
}

void *mem_map(enum mem_kind kind, void *at, size_t size)
{
	size_t unit = mem_unit(kind);

	if (!unit)
		return refuse("needs huge pages of a size that this machine does not have");
	if (!at && !is_hugetlb(kind)) {
		at = mem_reserve(size, unit);
		if (!at)
			return refuse("no addresses are left");
	}
	return map_kind(kind, at, size, unit);
}

/* ------------------------------------------------------------------ */
/* Page frames */

/* Returns the number of pages, of @n, that could be read. */
static size_t read_pfns(const void *va, __u64 *pfn, size_t n)
{
	const __u64 present = 1ULL << 63, mask = (1ULL << 55) - 1;
	off_t at = (unsigned long)va / spapr_page_size() * sizeof(*pfn);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t got, i;

	if (fd < 0)
		return 0;
	got = pread(fd, pfn, n * sizeof(*pfn), at) / (ssize_t)sizeof(*pfn);
	close(fd);
	for (i = 0; i < got; i++)
		pfn[i] = pfn[i] & present ? pfn[i] & mask : 0;
	return got > 0 ? got : 0;
}

__u64 mem_pfn(const void *va)
{
	__u64 pfn;

	return read_pfns(va, &pfn, 1) == 1 ? pfn : 0;
}

bool mem_is_block(const void *va, size_t size)
{
	size_t n = size / spapr_page_size(), i;
	__u64 *pfn = calloc(n, sizeof(*pfn));
	bool block = false;

	if (pfn && read_pfns(va, pfn, n) == n)
		block = pfn[0] && !(pfn[0] % n) && !((unsigned long)va % size);
	for (i = 1; block && i < n; i++)
		block = pfn[i] == pfn[0] + i;
	free(pfn);
	return block;
}

/* Exactly one access per page: volatile, so that the compiler keeps it. */
void mem_mark(void *va, size_t size, unsigned long seed)
{
	size_t page = spapr_page_size(), at;

	for (at = 0; at < size; at += page)
		__atomic_store_n((unsigned long *)((char *)va + at), seed + at,
				 __ATOMIC_RELAXED);
}

bool mem_is_marked(const void *va, size_t size, unsigned long seed)
{
	size_t page = spapr_page_size(), at;

	for (at = 0; at < size; at += page)
		if (__atomic_load_n((unsigned long *)((char *)va + at),
				    __ATOMIC_RELAXED) != seed + at)
			return false;
	return true;
}
