// SPDX-License-Identifier: GPL-2.0
/*
 * Pass a disk to a guest that runs Debian's own kernel, with its own driver, by
 * Debian's own QEMU: the data it reads and writes is right, by the 64-bit
 * window and by the 32-bit one, where each I/O is hypercalls; and when QEMU is
 * killed with I/O under way the host can use the disk, and nothing is left
 * behind.
 */
#include "disktest.h"
#include "libspapr.h"

#define MEMORY		(512L << 20)

static bool use(const char *append, bool ddw)
{
	struct vm_counts before;

	if (!disktest_begin() || !disktest_boot(append))
		return false;
	is(vm_memory(&test.vm, "VmLck") >= MEMORY && spapr_pins() > test.pins,
	   "the memory of the guest is locked and pinned");
	before = vm_counts(&test.vm);
	if (!disktest_read_and_write())
		return false;
	disktest_counters(&before, ddw);
	if (!does(disk_busy(&test.vm), "it goes on writing"))
		return false;
	vm_kill(&test.vm);
	disktest_nothing_left();
	return disktest_host_uses();
}

static bool ddw(void)
{
	tap.about = "64-bit window";
	return use("", true);
}

static bool no_ddw(void)
{
	tap.about = "32-bit window";
	return use(DISK_NO_DDW, false);
}

static const struct tap_case cases[] = {
	{ "ddw", ddw },
	{ "no_ddw", no_ddw },
};

int main(int argc, char **argv)
{
	return disktest_main(cases, sizeof(cases) / sizeof(cases[0]), argc,
			     argv);
}
