/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A test that passes the disk on: its TAP results about the host before and
 * after the guest, and about the data that the guest reads and writes.
 */
#ifndef HARNESS_KVM_DISKTEST_H
#define HARNESS_KVM_DISKTEST_H

#include "disk.h"
#include "tap.h"

struct disktest {
	struct vm vm;
	long pins;		/* before there was any guest */
	char numbers[sizeof(disk.line)];	/* checksum: the host's data */
	char written[sizeof(disk.line)];	/* checksum: the guest's */
};

extern struct disktest test;

/* A result that all later steps depend on. */
bool does(bool good, const char *what);

/* A file has this checksum, on the host or in the guest. */
bool has(struct vm *vm, const char *file, const char *sum);

/* From the host, which has the disk, to VFIO. */
bool disktest_begin(void);

/* QEMU with the disk, and the guest has found it. */
bool disktest_boot(const char *append);

bool disktest_read_and_write(void);

/*
 * With the 64-bit window no I/O is a hypercall, without it KVM serves them all.
 */
void disktest_counters(const struct vm_counts *from, bool ddw);

/* QEMU has ended: nothing is left behind. */
void disktest_nothing_left(void);

/* All data is on the disk, and the file system can be repaired. */
bool disktest_host_uses(void);

/* Exit status of main(). */
int disktest_main(const struct tap_case *cases, size_t nr, int argc,
		  char **argv);

#endif
