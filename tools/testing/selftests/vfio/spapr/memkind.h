/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User memory of all kinds that a device may reach.
 *
 * Machines have different huge pages: mem_map() returns NULL if a kind is not
 * available, and mem_why() what is missing and how to get it.
 */
#ifndef SELFTESTS_VFIO_MEMKIND_H
#define SELFTESTS_VFIO_MEMKIND_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

enum mem_kind {
	MEM_ANON,		/* private, base pages */
	MEM_THP,		/* private, transparent huge pages */
	MEM_HUGETLB_2M,
	MEM_HUGETLB_16M,
	MEM_HUGETLB_1G,
	MEM_HUGETLB_SHARED,	/* file of huge pages, as DPDK uses */
	MEM_SHARED,		/* shared with children */
	MEM_MEMFD,		/* file in memory, shared */
	MEM_MEMFD_PRIVATE,	/* file in memory, copied on write */
	MEM_DISK_PRIVATE,	/* file on a disk, copied on write */
	MEM_DISK_SHARED,	/* file on a disk, written back by the kernel */
};

/* Page size of this kind in bytes; 0 if there is none. */
size_t mem_unit(enum mem_kind kind);

/* Number of free pages of this kind; -1 if unknown. */
long mem_free(enum mem_kind kind);

/*
 * Maps memory at @at, replacing what is there, or anywhere if it is NULL; @size
 * is in whole units, aligned to them. All of it is writable.
 */
void *mem_map(enum mem_kind kind, void *at, size_t size);
const char *mem_why(void);

/* Reserves aligned addresses without memory, which nothing else will use. */
void *mem_reserve(size_t size, size_t align);

/*
 * Creates a file of zeros, on a disk or in memory; returns its descriptor or
 * -1.
 */
int mem_file(bool on_disk, size_t size);

/* Page frame of an address, 0 if there is none. Needs root. */
__u64 mem_pfn(const void *va);

/* Whether the memory is one run, aligned in the host as in the process. */
bool mem_is_block(const void *va, size_t size);

/* Marks each page with one access, which is cheap even for a gigabyte. */
void mem_mark(void *va, size_t size, unsigned long seed);
bool mem_is_marked(const void *va, size_t size, unsigned long seed);

#endif
