/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User memory of every kind that a program may want a device to reach.
 *
 * What a machine has of huge pages differs: mem_map() gives NULL where a kind
 * is not to be had, and mem_why() tells what is missing and how to get it.
 */
#ifndef SELFTESTS_VFIO_MEMKIND_H
#define SELFTESTS_VFIO_MEMKIND_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

enum mem_kind {
	MEM_ANON,		/* private, page by page */
	MEM_THP,		/* private, transparent huge pages */
	MEM_HUGETLB_2M,
	MEM_HUGETLB_16M,
	MEM_HUGETLB_1G,
	MEM_HUGETLB_SHARED,	/* a file of huge pages, as DPDK has them */
	MEM_SHARED,		/* shared with children */
	MEM_MEMFD,		/* a file in memory, shared */
	MEM_MEMFD_PRIVATE,	/* the same, copied on write */
	MEM_DISK_PRIVATE,	/* a file on a disk, copied on write */
	MEM_DISK_SHARED,	/* the same, written back by the kernel */
};

/* Bytes in one page of this kind; 0 where there is no such page. */
size_t mem_unit(enum mem_kind kind);

/* How many of them are free; -1 where that is not known. */
long mem_free(enum mem_kind kind);

/*
 * Memory at @at, which is replaced, or anywhere if it is NULL; @size in whole
 * units, and aligned to them. All of it can be written.
 */
void *mem_map(enum mem_kind kind, void *at, size_t size);
const char *mem_why(void);

/* Addresses that nothing else will use, aligned, and no memory. */
void *mem_reserve(size_t size, size_t align);

/* A new file of zeros and -1 or its descriptor; on a disk, or in memory. */
int mem_file(bool on_disk, size_t size);

/* The page frame behind an address, 0 if there is none. Needs root. */
__u64 mem_pfn(const void *va);

/* Whether one block lies behind, aligned in the host as in the process. */
bool mem_is_block(const void *va, size_t size);

/* One mark in each page: a look at all of a gigabyte is cheap. */
void mem_mark(void *va, size_t size, unsigned long seed);
bool mem_is_marked(const void *va, size_t size, unsigned long seed);

#endif
