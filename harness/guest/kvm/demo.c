// SPDX-License-Identifier: GPL-2.0
/*
 * Demonstrates that a disk goes to a guest and comes back: prints each step and
 * the state of the kernel, and exits with 0 only if all steps succeeded.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk.h"
#include "libspapr.h"

#define MEMORY		(512L << 20)	/* of the guest */

static struct {
	struct vm vm;
	long pins;
	unsigned int steps;
	unsigned int failed;
	unsigned int waited;
	const char *what;	/* is waited for */
	char numbers[sizeof(disk.line)];	/* checksum: the host's data */
	char written[2][sizeof(disk.line)];	/* checksum: each guest's */
} demo;

static const char * const files[] = { "by-64-bit", "by-32-bit" };

static void say_step(const char *what)
{
	printf("\n%u. %s\n", ++demo.steps, what);
}

static void said(const char *where, const char *command)
{
	printf("          %s# %s\n", where, command);
}

static bool check(bool ok, const char *what)
{
	printf("   %s  %s\n", ok ? "ok   " : "WRONG", what);
	if (!ok)
		demo.failed++;
	return ok;
}

/* A step that all later ones depend on. */
static bool works(bool ok, const char *what)
{
	check(ok, what);
	if (!ok)
		printf("          %s\n",
		       *demo.vm.why ? demo.vm.why : disk.line);
	return ok;
}

/* Shows what the command said, too. */
static bool shows(bool ok, const char *what)
{
	if (ok)
		printf("          %s\n", disk.line);
	return works(ok, what);
}

/* Once in five seconds of silence. */
static void waiting(void)
{
	if (++demo.waited % 5 == 0)
		printf("   ...    %s, %u s\n", demo.what, demo.waited);
}

static void wait_for(const char *what)
{
	demo.what = what;
	demo.waited = 0;
}

/* ------------------------------------------------------------------ */
/* State of the kernel */

static void look_at_the_registration(void)
{
	vm_print_containers(&demo.vm, "          ");
	printf("   now    %ld KiB locked for QEMU, %ld pages pinned\n",
	       vm_memory(&demo.vm, "VmLck") / 1024, spapr_pins() - demo.pins);
	check(vm_memory(&demo.vm, "VmLck") >= MEMORY &&
	      spapr_pins() > demo.pins,
	      "all 512 MiB of the guest are locked and pinned, once");
}

static void say_counts(const struct vm_counts *from, bool ddw)
{
	struct vm_counts to = vm_counts(&demo.vm);

	printf("   now    %ld hypercalls served by the kernel, with %ld TCEs\n",
	       to.hcalls - from->hcalls, to.entries - from->entries);
	if (to.real >= 0)
		printf("          %ld of them in real mode\n",
		       to.real - from->real);
	printf("          %ld left to QEMU\n", to.user - from->user);
	if (ddw)
		check(to.hcalls == from->hcalls,
		      "none: this window has all memory of the guest");
	else
		check(to.hcalls > from->hcalls, "each I/O was hypercalls");
	check(to.user == from->user, "QEMU has seen none");
}

/* ------------------------------------------------------------------ */
/* The steps */

static bool host_uses_disk(void)
{
	say_step("Look at the disk of the host");
	if (!works(disk_mount(NULL), "the host has it") ||
	    !shows(disk_sum(NULL, "numbers"), "there is a file on it"))
		return false;
	strcpy(demo.numbers, disk.line);
	return works(disk_umount(NULL), "the host lets it go") &&
	       works(disk_give(), "VFIO has it");
}

static bool start(const char *title, const char *append)
{
	char version[128];

	say_step(title);
	if (*append)
		printf("          -append %s\n", append);
	wait_for("QEMU starts");
	if (!works(disk_start(&demo.vm, append), "QEMU has the disk"))
		return false;
	vm_print_command(&demo.vm, "          ");
	wait_for("the guest boots");
	if (!works(disk_boot(&demo.vm, version, sizeof(version)),
		   "the guest has booted, and its driver has found the disk"))
		return false;
	printf("          Linux%s\n", version);
	look_at_the_registration();
	return true;
}

static bool use(bool ddw)
{
	char *written = demo.written[!ddw];
	const char *file = files[!ddw];
	struct vm_counts before = vm_counts(&demo.vm);

	say_step("Read and write in the guest");
	wait_for("the guest reads and writes");
	if (!works(disk_mount(&demo.vm), "the guest has mounted it") ||
	    !shows(disk_sum(&demo.vm, "numbers"),
		   "the guest has read the file"))
		return false;
	check(!strcmp(disk.line, demo.numbers), "it is what the host has");
	if (!shows(disk_write(&demo.vm, file), "the guest has written 64 MiB"))
		return false;
	strcpy(written, disk.line);
	if (!shows(disk_sum(&demo.vm, file),
		   "and read them again, from the disk"))
		return false;
	check(!strcmp(disk.line, written), "it is what it has written");
	say_counts(&before, ddw);
	return works(disk_umount(&demo.vm), "the guest lets it go");
}

static bool end(void)
{
	int status = 0;

	wait_for("the guest powers off");
	if (write(demo.vm.control, "quit\n", 5) != 5 ||
	    !works(vm_wait(&demo.vm, &status), "the guest is off"))
		return false;
	check(WIFEXITED(status) && !WEXITSTATUS(status), "QEMU has ended well");
	printf("   now    %ld pages pinned\n",
	       spapr_pins_settle(demo.pins) - demo.pins);
	check(spapr_pins() == demo.pins, "nothing is pinned any more");
	check(!vm_print_splats("          "),
	      "no warning of the guest's kernel");
	return true;
}

static bool take_back(void)
{
	unsigned int i;

	say_step("Take the disk back");
	if (!works(disk_take(), "the host's own driver has it") ||
	    !works(disk_mount(NULL), "the host has mounted it"))
		return false;
	for (i = 0; i < 2; i++)
		if (shows(disk_sum(NULL, files[i]),
			  "there is a new file on it"))
			check(!strcmp(disk.line, demo.written[i]),
			      "it is what the guest has written");
	return works(disk_umount(NULL), "the host lets it go") &&
	       shows(disk_check(), "the file system is clean");
}

static void explain(void)
{
	printf("\n   What the guest and QEMU said last:\n");
	vm_print_console("   | ", 20);
}

int main(void)
{
	const char *missing = vm_missing() ? : disk_missing();

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (missing) {
		printf("This needs %s\n", missing);
		return 4;
	}
	demo.pins = spapr_pins();
	demo.vm.waiting = waiting;
	disk.said = said;
	if (works(vm_mount(demo.vm.why, sizeof(demo.vm.why)),
		  "QEMU is on a disk") &&
	    works(disk_has_kernel(), "and Debian's kernel for the guest") &&
	    host_uses_disk() &&
	    start("Pass it to a guest with Debian's kernel, with Debian's own QEMU",
		  "") && use(true) && end() &&
	    start("The same once more, without the 64-bit window",
		  DISK_NO_DDW) &&
	    use(false) && end())
		take_back();
	if (demo.vm.pid > 0) {
		vm_kill(&demo.vm);
		explain();
	}
	vm_umount();
	printf("\n%u steps, %u answers were wrong.\n", demo.steps, demo.failed);
	return demo.failed ? 1 : 0;
}
