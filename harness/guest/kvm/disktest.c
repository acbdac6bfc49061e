// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "disktest.h"
#include "libspapr.h"

struct disktest test;

bool does(bool good, const char *what)
{
	tap.why = *test.vm.why ? test.vm.why : disk.line;
	return must(good, what);
}

bool has(struct vm *vm, const char *file, const char *sum)
{
	bool good;

	if (!does(disk_sum(vm, file), "a file is read"))
		return false;
	/* the name behind it may be that of a copy */
	good = !strncmp(disk.line, sum, strcspn(sum, " "));
	if (!good)
		printf("# %s, not %s\n", disk.line, sum);
	return is(good, "%s is as it was written", file);
}

bool disktest_begin(void)
{
	if (!does(disk_mount(NULL), "the host mounts the disk") ||
	    !does(disk_sum(NULL, "numbers"), "the host reads a file"))
		return false;
	strcpy(test.numbers, disk.line);
	return does(disk_umount(NULL), "the host lets it go") &&
	       does(disk_give(), "VFIO has the disk");
}

bool disktest_boot(const char *append)
{
	char version[128];

	if (!does(disk_start(&test.vm, append), "QEMU starts with the disk") ||
	    !does(disk_boot(&test.vm, version, sizeof(version)),
		  "the guest boots and finds the disk"))
		return false;
	printf("# Linux%s\n", version);
	vm_print_containers(&test.vm, "# ");
	return true;
}

bool disktest_read_and_write(void)
{
	if (!does(disk_mount(&test.vm), "the guest mounts the disk") ||
	    !has(&test.vm, "numbers", test.numbers) ||
	    !does(disk_write(&test.vm, "written"), "the guest writes a file"))
		return false;
	strcpy(test.written, disk.line);
	return has(&test.vm, "written", test.written);
}

void disktest_counters(const struct vm_counts *from, bool ddw)
{
	struct vm_counts to = vm_counts(&test.vm);
	long hcalls = to.hcalls - from->hcalls;

	vm_print_stats(&test.vm, "# ");
	if (to.real >= 0 && hcalls > 0)
		printf("# %ld %% of them in real mode\n",
		       (to.real - from->real) * 100 / hcalls);
	if (to.hcalls < 0)
		skip("hypercalls are counted",
		     "this kernel does not count them");
	else if (ddw)
		is(!hcalls, "no I/O is a hypercall: %ld", hcalls);
	else
		is(hcalls > 0, "the kernel serves the hypercalls of I/O: %ld",
		   hcalls);
	is(to.user <= 0, "none is left to QEMU: %ld", to.user);
}

void disktest_nothing_left(void)
{
	is(spapr_pins_settle(test.pins) == test.pins,
	   "nothing is pinned: %ld pages", spapr_pins() - test.pins);
	is(!vm_print_splats("# console of the guest: "),
	   "no warning of the guest's kernel");
}

bool disktest_host_uses(void)
{
	return does(disk_take(), "the host's driver has the disk") &&
	       does(disk_mount(NULL), "the host mounts the disk") &&
	       has(NULL, "numbers", test.numbers) &&
	       has(NULL, "written", test.written) &&
	       does(disk_umount(NULL), "the host lets it go") &&
	       does(disk_check(), "its file system is clean");
}

int disktest_main(const struct tap_case *cases, size_t nr, int argc,
		  char **argv)
{
	const char *missing = vm_missing() ? : disk_missing();

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (missing) {
		printf("1..0 # SKIP needs %s\n", missing);
		return 0;
	}
	test.pins = spapr_pins();
	if (!vm_mount(test.vm.why, sizeof(test.vm.why))) {
		printf("Bail out! %s\n", test.vm.why);
		return 1;
	}
	if (!disk_has_kernel()) {
		printf("1..0 # SKIP needs " DISK_NEEDS_KERNEL "\n");
		vm_umount();
		return 0;
	}
	if (!run_cases(cases, nr, argc, argv)) {
		vm_kill(&test.vm);
		vm_print_console("# console of the guest: ", 40);
	}
	vm_umount();
	printf("1..%u\n", tap.tests);
	return tap.failed ? 1 : 0;
}
