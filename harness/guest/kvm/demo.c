// SPDX-License-Identifier: GPL-2.0
/*
 * The whole way of a device into a guest, for people: says what happens, shows
 * what the kernel knows of it, and ends with 0 only if all went as it should.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libspapr.h"
#include "vm.h"

#define SIZE		(16L << 20)
#define TCE_PAGE	4096		/* of the guest's default window */
#define MEMORY		(512L << 20)	/* of the guest */

static struct {
	struct vm vm;
	long pins;
	unsigned int steps;
	unsigned int failed;
	unsigned int waited;
	const char *what;	/* is waited for */
} demo;

static void say_step(const char *what)
{
	printf("\n%u. %s\n", ++demo.steps, what);
}

static bool check(bool ok, const char *what)
{
	printf("   %s  %s\n", ok ? "ok   " : "WRONG", what);
	if (!ok)
		demo.failed++;
	return ok;
}

/* What the rest makes no sense without. */
static bool works(bool ok, const char *what)
{
	check(ok, what);
	if (!ok)
		printf("          %s\n", demo.vm.why);
	return ok;
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

static void say_memory(void)
{
	printf("   now    %ld KiB locked for QEMU, %ld pages pinned\n",
	       vm_memory(&demo.vm, "VmLck") / 1024, spapr_pins() - demo.pins);
}

/* ------------------------------------------------------------------ */
/* The steps */

static bool start(void)
{
	char text[128];

	snprintf(text, sizeof(text), "Pass the device %s to a guest, with Debian's own QEMU",
		 spapr_bdf(0));
	say_step(text);
	vm_print_command(&demo.vm, "          ");
	wait_for("QEMU starts");
	if (!works(vm_start(&demo.vm, ""), "QEMU has the device"))
		return false;
	wait_for("the guest boots");
	if (!works(vm_hear(&demo.vm, "@hello", text, sizeof(text)),
		   "the guest has booted"))
		return false;
	printf("          Linux%s\n", text);
	return works(vm_hear(&demo.vm, "@agent ready: 1 device", NULL, 0),
		     "and found the device; its own VFIO has it now");
}

static void look_at_the_registration(void)
{
	say_step("Look at what QEMU has registered: the memory of the guest, once");
	vm_print_containers(&demo.vm, "          ");
	say_memory();
	check(vm_memory(&demo.vm, "VmLck") >= MEMORY,
	      "all 512 MiB of the guest are locked");
	check(spapr_pins() > demo.pins, "and pinned");
}

struct counts {
	long hcalls;
	long entries;
	long user;
	long real;
};

static struct counts counts(void)
{
	return (struct counts){
		.hcalls = vm_stat(&demo.vm, "tce_hcalls"),
		.entries = vm_stat(&demo.vm, "tce_entries"),
		.user = vm_stat(&demo.vm, "tce_user"),
		.real = vm_stat(&demo.vm, "tce_realmode"),
	};
}

static void say_counts(const struct counts *from)
{
	struct counts to = counts();

	printf("   now    %ld hypercalls served by the kernel, with %ld TCEs\n",
	       to.hcalls - from->hcalls, to.entries - from->entries);
	if (to.real >= 0)
		printf("          %ld of them in real mode\n",
		       to.real - from->real);
	printf("          %ld left to QEMU\n", to.user - from->user);
	check(to.hcalls > from->hcalls, "the kernel served them");
	check((to.user - from->user) * 100 <= to.hcalls - from->hcalls,
	      "at most 1 % went to QEMU");
}

static bool tell(const char *command, const char *answer, const char *what)
{
	wait_for(what);
	return works(vm_tell(&demo.vm, command, answer, NULL, 0), what);
}

static bool map(void)
{
	struct counts before;
	char text[64];

	say_step("Map 16 MiB in the guest, page by page: each is a hypercall");
	snprintf(text, sizeof(text), "open %ld", SIZE);
	if (!tell(text, "opened", "the guest has registered memory and made a DMA window"))
		return false;
	before = counts();
	if (!tell("map", "mapped", "the guest has mapped it"))
		return false;
	say_counts(&before);
	printf("          the host's table: %ld TCEs are mapped\n",
	       vm_mapped(&demo.vm));
	check(vm_mapped(&demo.vm) == SIZE / TCE_PAGE,
	      "they are those of the guest, and QEMU has not seen one");
	say_memory();
	return true;
}

static bool copy(void)
{
	say_step("Let the device copy memory of the guest");
	return tell("copy", "copied 4096",
		    "it read 4096 bytes and wrote them 8 MiB further") &&
	       check(true, "the guest compared: all of them arrived");
}

static bool unmap(void)
{
	struct counts before = counts();

	say_step("Unmap");
	if (!tell("unmap", "unmapped", "the guest has unmapped all"))
		return false;
	say_counts(&before);
	check(!vm_mapped(&demo.vm), "the host's table is empty");
	return tell("close", "closed", "the guest has closed the device");
}

static void end(void)
{
	int status = 0;

	say_step("Power the guest off");
	wait_for("the guest powers off");
	if (write(demo.vm.control, "quit\n", 5) != 5 ||
	    !works(vm_wait(&demo.vm, &status), "the guest is off"))
		return;
	check(WIFEXITED(status) && !WEXITSTATUS(status), "QEMU has ended well");
	printf("   now    %ld pages pinned\n",
	       spapr_pins_settle(demo.pins) - demo.pins);
	check(spapr_pins() == demo.pins, "nothing is pinned any more");
	check(!vm_print_splats("          "), "no warning of the guest's kernel");
}

static void explain(void)
{
	printf("\n   What the guest and QEMU said last:\n");
	vm_print_console("   | ", 20);
}

int main(void)
{
	const char *missing = vm_missing();

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (missing) {
		printf("This needs %s\n", missing);
		return 4;
	}
	demo.pins = spapr_pins();
	demo.vm.nr_devices = 1;
	demo.vm.waiting = waiting;
	if (!works(vm_mount(demo.vm.why, sizeof(demo.vm.why)),
		   "QEMU and the guest are on a disk"))
		return 1;
	if (start()) {
		look_at_the_registration();
		if (map() && copy() && unmap())
			end();
	}
	if (demo.vm.pid > 0) {
		vm_kill(&demo.vm);
		explain();
	}
	vm_umount();
	printf("\n%u steps, %u answers were wrong.\n", demo.steps, demo.failed);
	return demo.failed ? 1 : 0;
}
