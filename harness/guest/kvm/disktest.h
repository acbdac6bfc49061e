/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A test that passes the disk on: what is said, as TAP, of the host before and after
 * the guest, and of what the guest reads and writes.
 */
#ifndef HARNESS_KVM_DISKTEST_H
#define HARNESS_KVM_DISKTEST_H

#include "disk.h"
#include "tap.h"

struct disktest {
	struct vm vm;
	long pins;		/* before there was any guest */
	char numbers[sizeof(disk.line)];	/* checksums: of what the host wrote */
	char written[sizeof(disk.line)];	/* and of what the guest wrote */
};

extern struct disktest test;

/* What the rest cannot do without. */
bool does(bool good, const char *what);

/* A file has this checksum, on the host or in the guest. */
bool has(struct vm *vm, const char *file, const char *sum);

/* From the host, which has the disk, to VFIO. */
bool disktest_begin(void);

/* QEMU with the disk, and the guest has found it. */
bool disktest_boot(const char *append);

bool disktest_read_and_write(void);

/* With the 64-bit window no I/O is a hypercall, without it KVM serves them all. */
void disktest_counters(const struct vm_counts *from, bool ddw);

/* QEMU has ended: nothing is left behind. */
void disktest_nothing_left(void);

/* What was written before is there, and the file system can be mended. */
bool disktest_host_uses(void);

/* What main() returns. */
int disktest_main(const struct tap_case *cases, size_t nr, int argc, char **argv);

#endif
