// SPDX-License-Identifier: GPL-2.0
/*
 * Pass a disk to a guest that runs Debian's own kernel, with its own driver, by
 * Debian's own QEMU: what it reads and writes is right, by the 64-bit window and by
 * the 32-bit one, where each I/O is hypercalls; and when QEMU is killed with I/O
 * under way the host can use the disk, and nothing is left behind.
 */
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "libspapr.h"
#include "tap.h"

#define MEMORY		(512L << 20)

static struct {
	struct vm vm;
	long pins;		/* before there was any guest */
	char numbers[sizeof(disk.line)];	/* checksum of what the host wrote */
} all;

/* What the rest cannot do without. */
static bool does(bool good, const char *what)
{
	tap.why = *all.vm.why ? all.vm.why : disk.line;
	return must(good, what);
}

/* A file has this checksum, on the host or in the guest. */
static bool has(struct vm *vm, const char *file, const char *sum)
{
	if (!does(disk_sum(vm, file), "a file is read"))
		return false;
	if (strcmp(disk.line, sum))
		printf("# %s, not %s\n", disk.line, sum);
	return is(!strcmp(disk.line, sum), "%s is as it was written", file);
}

/* The host has the disk. */
static bool begin(void)
{
	if (!does(disk_mount(NULL), "the host mounts the disk") ||
	    !does(disk_sum(NULL, "numbers"), "the host reads a file"))
		return false;
	strcpy(all.numbers, disk.line);
	return does(disk_umount(NULL), "the host lets it go") &&
	       does(disk_give(), "VFIO has the disk");
}

static void check_counters(const struct vm_counts *from, bool ddw)
{
	struct vm_counts to = vm_counts(&all.vm);
	long hcalls = to.hcalls - from->hcalls;

	vm_print_stats(&all.vm, "# ");
	if (to.hcalls < 0)
		skip("hypercalls are counted", "this kernel does not count them");
	else if (ddw)
		is(!hcalls, "no I/O is a hypercall: %ld", hcalls);
	else
		is(hcalls > 0, "the kernel serves the hypercalls of I/O: %ld", hcalls);
	is(to.user <= 0, "none is left to QEMU: %ld", to.user);
}

static bool read_and_write(char *written)
{
	if (!does(disk_mount(&all.vm), "the guest mounts the disk") ||
	    !has(&all.vm, "numbers", all.numbers) ||
	    !does(disk_write(&all.vm, "written"), "the guest writes a file"))
		return false;
	strcpy(written, disk.line);
	return has(&all.vm, "written", written);
}

/* What was written before is there, and the file system can be mended. */
static bool host_uses(const char *written)
{
	return does(disk_take(), "the host's driver has the disk") &&
	       does(disk_mount(NULL), "the host mounts the disk") &&
	       has(NULL, "numbers", all.numbers) &&
	       has(NULL, "written", written) &&
	       does(disk_umount(NULL), "the host lets it go") &&
	       does(disk_check(), "its file system is clean");
}

static bool use(const char *append, bool ddw)
{
	char written[sizeof(disk.line)], version[128];
	struct vm_counts before;

	if (!begin() ||
	    !does(disk_start(&all.vm, append), "QEMU starts with the disk") ||
	    !does(disk_boot(&all.vm, version, sizeof(version)),
		  "the guest boots and finds the disk"))
		return false;
	printf("# Linux%s\n", version);
	vm_print_containers(&all.vm, "# ");
	is(vm_memory(&all.vm, "VmLck") >= MEMORY && spapr_pins() > all.pins,
	   "the memory of the guest is locked and pinned");
	before = vm_counts(&all.vm);
	if (!read_and_write(written))
		return false;
	check_counters(&before, ddw);
	if (!does(disk_busy(&all.vm), "it goes on writing"))
		return false;
	vm_kill(&all.vm);
	is(spapr_pins_settle(all.pins) == all.pins, "nothing is pinned: %ld pages",
	   spapr_pins() - all.pins);
	is(!vm_print_splats("# console of the guest: "),
	   "no warning of the guest's kernel");
	return host_uses(written);
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
	const char *missing = vm_missing() ? : disk_missing();

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (missing) {
		printf("1..0 # SKIP needs %s\n", missing);
		return 0;
	}
	all.pins = spapr_pins();
	if (!vm_mount(all.vm.why, sizeof(all.vm.why))) {
		printf("Bail out! %s\n", all.vm.why);
		return 1;
	}
	if (!disk_has_kernel()) {
		printf("1..0 # SKIP needs " DISK_NEEDS_KERNEL "\n");
		vm_umount();
		return 0;
	}
	if (!run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv)) {
		vm_kill(&all.vm);
		vm_print_console("# console of the guest: ", 40);
	}
	vm_umount();
	printf("1..%u\n", tap.tests);
	return tap.failed ? 1 : 0;
}
