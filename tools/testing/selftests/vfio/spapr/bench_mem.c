// SPDX-License-Identifier: GPL-2.0-only
/* Memory of all kinds, and accounting of kernel memory, for benchmarks. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "bench.h"
#include "libspapr.h"
#include "memkind.h"

/* Far away from other mappings: POWER8 has one page size per segment. */
#define HUGE_ADDRESS	((void *)0x7e0000000000UL)

/*
 * Largest block of the page allocator, and a sufficient number of smaller ones.
 */
#define LARGEST_BLOCK	(16 * MIB)
#define REMAINDERS	(512 * MIB)

struct kind kinds[MAX_KINDS];
unsigned int nr_kinds;

static unsigned long read_number(const char *path)
{
	long n = spapr_read_number(path);

	return n < 0 ? 0 : n;
}

static bool write_number(const char *path, unsigned long n)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return false;
	fprintf(f, "%lu\n", n);
	return !fclose(f);
}

static unsigned long thp_size(void)
{
	return read_number("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size");
}

static void add_kind(const char *name, int type, unsigned long page)
{
	if (nr_kinds == MAX_KINDS)
		return;
	kinds[nr_kinds++] = (struct kind){
		.name = name, .type = type, .page = page,
	};
}

void find_kinds(void)
{
	const char *base = size_text(spapr_page_size());
	unsigned long size;

	add_kind(text("%s pages, adjacent", base), PLAIN, spapr_page_size());
	add_kind(text("%s pages, scattered", base), SCATTERED,
		 spapr_page_size());
	add_kind(text("THP of %s", size_text(thp_size())), THP, thp_size());
	for (size = MIB; size <= GIB; size <<= 1)
		if (!access(text("/sys/kernel/mm/hugepages/hugepages-%lukB",
				 size / KIB), F_OK))
			add_kind(text("hugetlb of %s", size_text(size)),
				 HUGETLB, size);
}

/* Reserves addresses aligned to 1 GiB, the same for all kinds. */
static char *reserve(unsigned long size)
{
	unsigned long align = GIB;
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

char *plain(unsigned long size, int advice)
{
	char *p = reserve(size);

	if (!p || mmap(p, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != p)
		return NULL;
	madvise(p, size, advice);
	return p;
}

void touch(char *p, unsigned long size, unsigned long step)
{
	unsigned long i;

	for (i = 0; i < size; i += step) {
		p[i] = 1;
		asm volatile("" : : : "memory");
	}
}

/*
 * Per-CPU free lists return pages in reverse order of freeing. Drain them, so
 * that pages touched in order are adjacent, independent of earlier
 * measurements.
 */
static void drain_free_lists(void)
{
	static const char high[] = "/proc/sys/vm/percpu_pagelist_high_fraction";
	unsigned int i;
	char c;
	int fd;

	write_number(high, INT_MAX);
	/* each read frees a few */
	for (i = 0; i < 1000; i++) {
		fd = open("/proc/sys/vm/stat_refresh", O_RDONLY);
		if (fd >= 0 && read(fd, &c, 1))
			break;
		close(fd);
	}
	write_number(high, 0);
}

/*
 * The allocator hands out remainders of large blocks first. Allocate them page
 * by page, until the next page starts a large block: then pages touched in
 * order are adjacent and also aligned, for any page size of the kernel. They
 * stay allocated until the next call.
 */
void take_remainders(void)
{
	static char *p;
	unsigned long page = spapr_page_size(), i, pfn, next = 0, run = 0;

	if (p)
		munmap(p, REMAINDERS);
	p = plain(REMAINDERS, MADV_NOHUGEPAGE);
	drain_free_lists();
	for (i = 0; p && i < REMAINDERS; i += page) {
		touch(p + i, page, page);
		pfn = mem_pfn(p + i);
		run = pfn == next ? run + page : page;
		next = pfn + 1;
		if (run >= LARGEST_BLOCK && !(next * page % LARGEST_BLOCK))
			return;
	}
}

/*
 * Touches every second page first, then the others, so that neighbours are
 * never adjacent. The same for huge pages, which might be adjacent or not by
 * chance.
 */
static void touch_scattered(char *p, unsigned long size, unsigned long page)
{
	touch(p, size, 2 * page);
	touch(p + page, size - page, 2 * page);
}

static char *huge_file(const struct kind *k)
{
	return (char *)text("/sys/kernel/mm/hugepages/hugepages-%lukB/nr_hugepages",
			    k->page / KIB);
}

static char *hugetlb(const struct kind *k, unsigned long size)
{
	unsigned long want = size / k->page, have;
	const char *file = huge_file(k);
	char *p;

	if (read_number(file) < want)
		write_number(file, want);
	have = read_number(file);
	if (have < want) {
		cannot("%lu of %lu; boot with hugepagesz=%luM hugepages=%lu",
		       have, want, k->page / MIB, want);
		return NULL;
	}
	p = mmap(HUGE_ADDRESS, size, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_HUGETLB |
		 __builtin_ctzl(k->page) << MAP_HUGE_SHIFT, -1, 0);
	if (p == MAP_FAILED) {
		cannot("mmap of huge pages: %m");
		return NULL;
	}
	touch_scattered(p, size, k->page);
	return p;
}

/* Bytes at @p that are mapped by THP, according to the kernel. */
static unsigned long thp_bytes(const char *p)
{
	unsigned long start, end, kib = 0;
	bool here = false;
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start == (unsigned long)p;
		else if (here && sscanf(line, "AnonHugePages: %lu", &kib) == 1)
			break;
	}
	if (f)
		fclose(f);
	return kib * KIB;
}

static char *thp(const struct kind *k, unsigned long size)
{
	char *p = plain(size, MADV_HUGEPAGE);

	if (!p)
		return NULL;
	touch_scattered(p, size, k->page);
	if (thp_bytes(p) == size)
		return p;
	cannot("only %lu of %lu bytes became transparent huge pages",
	       thp_bytes(p), size);
	munmap(p, size);
	return NULL;
}

void release_memory(const struct kind *k, char *p, unsigned long size)
{
	munmap(p, size);
	if (k->type == HUGETLB && k->page < GIB)
		write_number(huge_file(k), 0);
}

/*
 * Returns populated memory of one kind, or NULL with the reason in bench_why.
 */
char *take(const struct kind *k, unsigned long size)
{
	char *p;

	if (!k->page) {
		cannot("this machine has no transparent huge pages");
		return NULL;
	}
	if (size % k->page) {
		cannot("%s is no multiple of it", size_text(size));
		return NULL;
	}
	cannot("no memory");
	switch (k->type) {
	case HUGETLB:
		drain_free_lists();
		return hugetlb(k, size);
	case THP:
		drain_free_lists();
		return thp(k, size);
	default:
		take_remainders();
		p = plain(size, MADV_NOHUGEPAGE);
		if (p && k->type == SCATTERED)
			touch_scattered(p, size, k->page);
		else if (p)
			touch(p, size, k->page);
		return p;
	}
}

/* ------------------------------------------------------------------ */
/* Memory of the kernel */

/*
 * Bytes allocated by the kernel: objects in use of all slab caches, by their
 * size, plus pages that are neither free nor part of a slab (vmalloc, large
 * kmalloc, pages).
 *
 * Objects in per-CPU slabs count as used, so all caches are shrunk first. No
 * file is opened between that and reading the counters, because it would
 * allocate. Pages in per-CPU lists count as free.
 */
static struct {
	int slabinfo;
	int zoneinfo;
	int shrink[512];
	unsigned int nr;
	char text[1 << 17];
} look;

/* Rereads a file that stays open; each caller has a buffer of its own. */
static char *read_again(int fd)
{
	ssize_t n;
	size_t len = 0;

	if (lseek(fd, 0, SEEK_SET))
		return NULL;
	while ((n = read(fd, look.text + len, sizeof(look.text) - 1 - len)) > 0)
		len += n;
	look.text[len] = '\0';
	return look.text;
}

static void read_slabs(struct kernel_memory *m)
{
	unsigned long used, size, pages, nr;
	char *line, *rest;

	m->objects = 0;
	m->slabs = 0;
	for (line = strtok_r(read_again(look.slabinfo), "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		if (sscanf(line,
			   "%*s %lu %*u %lu %*u %lu : tunables %*u %*u %*u : slabdata %*u %lu",
			   &used, &size, &pages, &nr) != 4)
			continue;
		m->objects += used * size;
		m->slabs += nr * pages;
	}
}

static void read_free(struct kernel_memory *m)
{
	char *line, *rest;
	long n;

	m->free = 0;
	for (line = strtok_r(read_again(look.zoneinfo), "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		if (sscanf(line, " nr_free_pages %ld", &n) == 1 ||
		    sscanf(line, " count: %ld", &n) == 1)
			m->free += n;
}

static void open_caches(void)
{
	DIR *dir = opendir("/sys/kernel/slab");
	struct dirent *d;
	int fd;

	while (dir && (d = readdir(dir)) && look.nr < 512) {
		if (d->d_name[0] == '.')
			continue;
		fd = open(text("/sys/kernel/slab/%s/shrink", d->d_name),
			  O_WRONLY);
		if (fd >= 0)
			look.shrink[look.nr++] = fd;
	}
	if (dir)
		closedir(dir);
}

bool open_kernel_memory(void)
{
	if (look.nr)
		return true;
	look.slabinfo = open("/proc/slabinfo", O_RDONLY);
	look.zoneinfo = open("/proc/zoneinfo", O_RDONLY);
	open_caches();
	if (look.slabinfo < 0 || look.zoneinfo < 0 || !look.nr)
		return cannot("no /proc/slabinfo, zoneinfo or /sys/kernel/slab: CONFIG_SLUB_DEBUG");
	return true;
}

void read_kernel_memory(struct kernel_memory *m)
{
	unsigned int i;

	/* kfree_rcu() defers for up to 5 s */
	pause_ms(8000);
	for (i = 0; i < look.nr; i++)
		if (write(look.shrink[i], "1", 1) != 1)
			ksft_print_msg("a cache does not shrink\n");
	read_free(m);
	read_slabs(m);
}

long bytes_between(const struct kernel_memory *a,
		   const struct kernel_memory *b)
{
	long page = spapr_page_size();

	return b->objects - a->objects +
	       (a->free - b->free - (b->slabs - a->slabs)) * page;
}
