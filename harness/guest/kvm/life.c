// SPDX-License-Identifier: GPL-2.0
/*
 * Life cycle of a guest with Debian's own kernel while its passed-through disk
 * is written to: it is reset and reboots, loses the disk and gets it again,
 * starts another kernel by kexec, and crashes into one. Each time the data is
 * on the disk, and the host has as much pinned and locked as at first.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "disktest.h"
#include "libspapr.h"

#define MEMORY		(512L << 20)
#define CRASH		"crashkernel=192M"	/* for the kernel after a crash */
#define REBOOTS		5
#define PLUG		"{\"driver\":\"vfio-pci\",\"host\":\"%s\",\"bus\":\"phb1.0\",\"id\":\"dev0\"}"

/* Resources that the host holds for the guest. */
struct held {
	long pins, locked, windows, mapped;
};

static struct held first;	/* when the guest had booted */
static unsigned int texts;	/* that were written */

static bool is_v1(void)
{
	return !strcmp(getenv("harness_container") ? : "", "v1");
}

static void add_window(const char *line, void *arg)
{
	if (!strncmp(line, "spapr_tce_window:", 17))
		++*(long *)arg;
}

static struct held held(void)
{
	struct held h = {
		.pins = spapr_pins() - test.pins,
		.locked = vm_memory(&test.vm, "VmLck"),
		.mapped = vm_mapped(&test.vm),
	};

	vm_each_line(&test.vm, add_window, &h.windows);
	return h;
}

static void print_held(const struct held *h)
{
	printf("# %ld pages pinned, %ld KiB locked, %ld windows, %ld TCEs\n",
	       h->pins, h->locked >> 10, h->windows, h->mapped);
}

/* Version 1 pins mapped memory only, which can differ each time. */
static void check_held(void)
{
	struct held now = held();

	print_held(&now);
	is(now.locked == first.locked && now.windows == first.windows &&
	   now.pins == (is_v1() ? now.mapped : first.pins),
	   "pins, locked memory and windows are those of the first boot");
}

/* ------------------------------------------------------------------ */
/* The disk */

/* The texts that were written before are right, and some more now. */
static bool use(struct vm *vm, unsigned int writers)
{
	unsigned int from = texts + 1;

	texts += writers;
	return does(disk_mount(vm), "the disk is mounted") &&
	       (from == 1 || does(disk_has_texts(vm, 1, from - 1),
				  "what was written is there")) &&
	       (!writers || (does(disk_texts(vm, from, texts),
				  "several write concurrently") &&
			     does(disk_has_texts(vm, from, texts),
				  "all of it is right")));
}

static bool busy(void)
{
	return does(disk_busy(&test.vm), "it goes on writing");
}

static bool give(void)
{
	return does(disk_umount(NULL), "the host lets it go") &&
	       does(disk_check(), "its file system is clean") &&
	       does(disk_give(), "VFIO has the disk");
}

static bool host_uses(void)
{
	return does(disk_take(), "the host's driver has the disk") &&
	       use(NULL, 0);
}

static bool start(const char *append, const char *cpus)
{
	const char * const more[] = { "-smp", cpus, NULL };
	bool ok;

	texts = 0;
	test.vm.more = more;
	ok = does(disk_mount(NULL), "the host mounts the disk") &&
	     does(disk_add_kernel(), "and puts a kernel there") && give() &&
	     disktest_boot(append);
	test.vm.more = NULL;
	if (!ok)
		return false;
	first = held();
	print_held(&first);
	is(first.locked >= MEMORY && first.pins > 0,
	   "the memory of the guest is locked and pinned");
	return use(&test.vm, atoi(cpus));
}

/* ------------------------------------------------------------------ */
/* Events of the guest */

static bool comes_up(const char *what)
{
	if (!does(disk_boot(&test.vm, NULL, 0), what))
		return false;
	check_held();
	return true;
}

/* Nothing maps between the two kernels. */
static bool reset(void)
{
	struct held now;

	if (!does(vm_monitor(&test.vm, "stop", "") &&
		  vm_monitor(&test.vm, "system_reset", "") &&
		  vm_event(&test.vm, "\"RESET\"", ""), "it is reset"))
		return false;
	now = held();
	is(now.windows == 1 && now.mapped <= 0,
	   "there is one window, and it is empty: %ld TCEs", now.mapped);
	return does(vm_monitor(&test.vm, "cont", ""), "it goes on");
}

static bool reboot(unsigned int n)
{
	if (!busy())
		return false;
	if (n % 2 ? !reset() :
		    !does(vm_say(&test.vm, "sh reboot -f"), "it reboots"))
		return false;
	return comes_up("it boots again") && use(&test.vm, 0);
}

static bool unplug(void)
{
	struct held now;

	if (!busy() ||
	    !does(vm_monitor(&test.vm, "device_del", "{\"id\":\"dev0\"}"),
		  "the disk is unplugged") ||
	    !does(disk_release(&test.vm), "the guest lets it go") ||
	    !does(vm_event(&test.vm, "DEVICE_DELETED", "\"dev0\""),
		  "QEMU has closed it"))
		return false;
	now = held();
	is(!now.pins, "nothing is pinned: %ld pages", now.pins);
	is(now.locked >= 0 && now.locked < MEMORY / 16,
	   "QEMU has %ld KiB locked: no memory of the guest", now.locked >> 10);
	return host_uses() && give();
}

static bool plug(void)
{
	char text[160];

	snprintf(text, sizeof(text), PLUG, disk.bdf);
	if (!does(vm_monitor(&test.vm, "device_add", text),
		  "it is plugged in again") ||
	    !does(disk_accept(&test.vm), "the guest finds it"))
		return false;
	check_held();
	return use(&test.vm, 2);
}

static bool load(const char *how, const char *append)
{
	return does(disk_load(&test.vm, how, append), "a kernel is loaded");
}

static bool kexec(void)
{
	return load("-l", CRASH) && busy() &&
	       does(disk_kexec(&test.vm), "it goes on with that kernel") &&
	       comes_up("which finds the disk") && use(&test.vm, 2);
}

/*
 * The kernel after the crash writes the memory of the dead one to the disk.
 * Before that it asks for each TCE that may be in use, and does not schedule:
 * an emulated guest of a guest needs more time than a watchdog allows.
 */
static bool crash(void)
{
	if (!load("-p", "nr_cpus=1 irqpoll reset_devices nosoftlockup") ||
	    !busy())
		return false;
	is(!vm_print_splats("# console of the guest: "),
	   "no warning of the guest's kernel");
	vm_expect_crash();
	return does(vm_say(&test.vm, "sh echo c >/proc/sysrq-trigger"),
		    "its kernel crashes") &&
	       comes_up("the kernel for that boots and finds the disk") &&
	       use(&test.vm, 1) &&
	       does(disk_dump(&test.vm),
		    "it writes what is left of the dead one");
}

/* After its end, which leaves the file system to be mended. */
static bool end(void)
{
	disktest_nothing_left();
	return host_uses();
}

static bool finish(void)
{
	return does(disk_umount(NULL), "the host lets it go") &&
	       does(disk_check(), "its file system is clean");
}

/* ------------------------------------------------------------------ */
/* The cases */

/*
 * The kernel after a crash finds no virtio console on a POWER8 host, with the
 * base kernel on that host as little as with the series.
 */
static bool crash_or_skip(void)
{
	if (!vm_is_power8())
		return crash();
	skip("the kernel after a crash",
	     "on POWER8 it finds no virtio console, with the base kernel too");
	return true;
}

static bool host_has_dump(void)
{
	return vm_is_power8() ||
	       does(disk_has_dump(), "the host finds the dump");
}

static bool live(const char *append, const char *cpus)
{
	unsigned int i;
	int status;

	if (!start(append, cpus))
		return false;
	for (i = 1; i < REBOOTS; i++)
		if (!reboot(i))
			return false;
	/*
	 * the device tree, which kexec hands on, is right again after a reboot
	 */
	if (!unplug() || !plug() || !reboot(i) || !kexec() || !crash_or_skip())
		return false;
	vm_print_stats(&test.vm, "# ");
	is(vm_stat(&test.vm, "tce_user") <= 0, "no hypercall is left to QEMU");
	if (!does(vm_say(&test.vm, "quit") && vm_wait(&test.vm, &status),
		  "it powers off"))
		return false;
	is(WIFEXITED(status) && !WEXITSTATUS(status), "QEMU ends well");
	return end() && host_has_dump() && finish();
}

static bool ddw(void)
{
	tap.about = "64-bit window";
	return live(CRASH, "4");
}

static bool no_ddw(void)
{
	tap.about = "32-bit window";
	return live(CRASH " " DISK_NO_DDW, "2");
}

/* The least, also with version 1 of the container. */
static bool once(void)
{
	tap.about = "once";
	if (!start(DISK_NO_DDW, "2") || !reboot(1) || !busy())
		return false;
	vm_kill(&test.vm);
	return end() && finish();
}

static const struct tap_case cases[] = {
	{ "ddw", ddw },
	{ "no_ddw", no_ddw },
	{ "once", once },
};

int main(int argc, char **argv)
{
	return disktest_main(cases, sizeof(cases) / sizeof(cases[0]), argc,
			     argv);
}
