// SPDX-License-Identifier: GPL-2.0
/*
 * Pass the devices through to a KVM guest with Debian's own QEMU and let the
 * guest map memory for them: the maps become hypercalls that this host's KVM
 * serves from registered memory. Then the guest is reset, unplugged from and
 * killed while the devices are in use, and nothing may be left behind.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dma.h"
#include "tap.h"
#include "vm.h"

#define OPEN		"open 0x400000"
#define TCES		(0x400000 / 4096)	/* of the default window */
#define MEMORY		(512L << 20)
#define TRACING		"/sys/kernel/tracing"
#define EVENT		TRACING "/events/kvm_vio/kvm_tce_hcall"

static struct {
	struct vm vm;
	long pins;		/* before there was any guest */
	bool in_program;	/* the guest runs one of its own */
	char program[64];
} all;

/* The tests of the guest are tests of ours. */
static void said(const char *line)
{
	const char *rest = line;
	bool good = !strncmp(line, "ok ", 3);

	if (!all.in_program || (!good && strncmp(line, "not ok ", 7))) {
		if (strncmp(line, "#  ", 3))
			printf("# guest: %s\n", line);
		return;
	}
	rest += strcspn(rest, "0123456789");
	rest += strspn(rest, "0123456789");
	rest += strspn(rest, " -");
	if (!strncmp(rest, "# SKIP ", 7))
		skip(all.program, rest + 7);
	else
		is(good, "%s: %s", all.program, rest);
}

/* ------------------------------------------------------------------ */
/* State of the host */

static void nothing_is_pinned(void)
{
	long pins = spapr_pins_settle(all.pins);

	is(pins == all.pins, "nothing is pinned: %ld pages", pins - all.pins);
}

static void no_warning(void)
{
	is(!vm_print_splats("# console of the guest: "),
	   "no warning of the guest's kernel");
}

static int use_one(unsigned int n)
{
	struct dma d;
	int ret = dma_open(&d, n, 1 << 20);

	if (ret)
		return ret;
	ret = dma_map(&d);
	if (!ret)
		ret = dma_copy(&d, 'h');
	dma_close(&d);
	return ret;
}

/* The host uses the device itself: its group is free, and it works. */
static void host_uses(unsigned int n)
{
	int ret = use_one(n);

	if (ret < 0)
		printf("# device %s: %s\n", spapr_bdf(n), strerror(-ret));
	is(ret > 0, "the host can use the device %u", n);
}

static bool write_to(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");
	bool good;

	if (!f)
		return false;
	good = fputs(text, f) >= 0;
	return !fclose(f) && good;
}

/* From now on the calls that KVM leaves to user space are noted. */
static void note_left_calls(void)
{
	if (!write_to(EVENT "/filter", "ret == 9999"))	/* H_TOO_HARD */
		return;
	write_to(TRACING "/trace", "\n");
	write_to(EVENT "/enable", "1");
}

static void print_left_calls(void)
{
	FILE *f = fopen(TRACING "/trace", "re");
	unsigned int shown = 0;
	char line[512], *what;

	write_to(EVENT "/enable", "0");
	while (f && shown < 20 && fgets(line, sizeof(line), f)) {
		what = strstr(line, "kvm_tce_hcall: ");
		if (!what)
			continue;
		printf("# left to user space: %s", what + 15);
		shown++;
	}
	if (f)
		fclose(f);
}

/* Version of QEMU's container, by the description of the host. */
static bool is_v1(void)
{
	return !strcmp(getenv("harness_container") ? : "", "v1");
}

static void check_version(void)
{
	long version = vm_version(&all.vm);

	if (version < 0)
		skip("the version of the container",
		     "this kernel does not tell it");
	else
		is(version == (is_v1() ? 1 : 2),
		   "QEMU uses version %ld of the container", version);
}

/* The guest's maps are in the tables of the host, which QEMU does not see. */
static void check_mapped(void)
{
	long want = (long)TCES * all.vm.nr_devices;
	long mapped = vm_mapped(&all.vm);

	if (mapped < 0)
		skip("the maps of the guest are there",
		     "this kernel does not tell what is mapped");
	else
		is(mapped == want, "the maps of the guest are there: %ld TCEs",
		   mapped);
}

static void check_real_mode(long hcalls)
{
	const char *what = "at least 99 % of them in real mode";
	long real = vm_stat(&all.vm, "tce_realmode");
	const char *why = vm_no_real_mode(&all.vm);

	if (why)
		skip(what, why);
	else
		is(real * 100 >= hcalls * 99, "%s: %ld", what, real);
}

static void check_counters(void)
{
	long entries = (long)TCES * all.vm.nr_devices;
	struct vm *vm = &all.vm;
	long hcalls = vm_stat(vm, "tce_hcalls"), user = vm_stat(vm, "tce_user");
	long is_served = vm_stat(vm, "tce_entries");

	if (hcalls < 0) {
		skip("hypercalls are counted",
		     "this kernel does not count them");
		return;
	}
	vm_print_stats(vm, "# ");
	if (is_v1()) {
		skip("KVM served hypercalls",
		     "QEMU serves them with version 1");
		return;
	}
	is(hcalls > 0 && is_served >= entries,
	   "KVM served %ld hypercalls, %ld entries", hcalls, is_served);
	is(user * 100 <= hcalls + user,
	   "at most 1 %% were left to user space: %ld", user);
	check_real_mode(hcalls);
}

/* ------------------------------------------------------------------ */
/* Events of the guest */

static bool tell(const char *command, const char *answer, const char *what)
{
	return must(vm_tell(&all.vm, command, answer, NULL, 0), what);
}

/* From its start, or its reset, until its agent listens. */
static bool boot(const char *what)
{
	unsigned int have = 0;
	char rest[128];
	bool ok;

	ok = vm_hear(&all.vm, "@hello", NULL, 0) &&
	     vm_hear(&all.vm, "@agent ready: ", rest, sizeof(rest));
	if (ok)
		have = atoi(rest);
	return must(ok, what) &&
	       is(have == all.vm.nr_devices, "it has %u devices", have);
}

static bool start(unsigned int nr_devices, const char *append)
{
	all.vm.nr_devices = nr_devices;
	if (!must(vm_start(&all.vm, append), "QEMU starts with the devices"))
		return false;
	check_version();
	return boot("the guest boots");
}

static bool map_and_copy(void)
{
	return tell(OPEN, "opened", "the guest opens the devices") &&
	       tell("map", "mapped", "the guest maps memory for each device") &&
	       tell("copy", "copied", "each device copies memory of the guest");
}

/* Maps, copies and unmaps, until something happens to it. */
static bool be_busy(void)
{
	return tell(OPEN, "opened", "the guest opens the devices") &&
	       tell("map", "mapped", "it maps memory for each device") &&
	       tell("busy", "busy", "it goes on mapping and copying");
}

static bool reset(const char *what)
{
	return must(vm_monitor(&all.vm, "system_reset", ""), what) &&
	       boot("the guest boots again");
}

static bool run(const char *program)
{
	char command[96], rest[128];
	bool ok;

	snprintf(all.program, sizeof(all.program), "%s", program);
	snprintf(command, sizeof(command), "run %s", program);
	all.in_program = true;
	ok = vm_tell(&all.vm, command, "ran", rest, sizeof(rest));
	all.in_program = false;
	return must(ok, "the guest runs a test program") &&
	       is(strstr(rest, "exit status 0"), "it ends well:%s", rest);
}

/* The device goes away under the guest, which has it open and mapped. */
static bool unplug(unsigned int n)
{
	char text[64];

	snprintf(text, sizeof(text), "{\"id\":\"dev%u\"}", n);
	if (!must(vm_monitor(&all.vm, "device_del", text),
		  "a device is unplugged in use"))
		return false;
	snprintf(text, sizeof(text), "isolate %u", n);
	if (!tell(text, "isolated", "the guest lets it go"))
		return false;
	snprintf(text, sizeof(text), "\"dev%u\"", n);
	return must(vm_event(&all.vm, "DEVICE_DELETED", text),
		    "QEMU has closed it");
}

static bool plug(unsigned int n)
{
	char text[160];

	snprintf(text, sizeof(text),
		 "{\"driver\":\"vfio-pci\",\"host\":\"%s\",\"bus\":\"phb%u.0\",\"id\":\"dev%u\"}",
		 spapr_bdf(n), n + 1, n);
	return must(vm_monitor(&all.vm, "device_add", text),
		    "a device is plugged in again");
}

/* ------------------------------------------------------------------ */
/* The cases */

static bool boot_and_map(void)
{
	tap.about = "boot";
	note_left_calls();
	if (!start(0, ""))
		return false;
	is(vm_memory(&all.vm, "VmLck") >= MEMORY && spapr_pins() > all.pins,
	   "the memory of the guest is locked and pinned");
	if (!map_and_copy())
		return false;
	check_mapped();
	check_counters();
	return tell("close", "closed", "the guest closes the devices");
}

static bool reset_in_use(void)
{
	tap.about = "reset";
	if (!be_busy() || !reset("the guest is reset with all in use") ||
	    !run("spapr_map") || !run("spapr_dma"))
		return false;
	check_counters();
	print_left_calls();
	return true;
}

static bool unplug_in_use(void)
{
	unsigned int i, nr = spapr_nr_devices();
	long locked;

	tap.about = "unplug";
	if (!be_busy())
		return false;
	for (i = 0; i < nr; i++) {
		if (!unplug(i))
			return false;
		host_uses(i);
	}
	nothing_is_pinned();
	locked = vm_memory(&all.vm, "VmLck");
	is(locked >= 0 && locked < MEMORY / 16,
	   "QEMU has %ld KiB locked: no memory of the guest", locked >> 10);
	for (i = 0; i < nr; i++)
		if (!plug(i))
			return false;
	if (!reset("and the guest is reset") || !map_and_copy())
		return false;
	check_mapped();
	return true;
}

static bool end(void)
{
	int status;

	if (write(all.vm.control, "quit\n", 5) != 5 ||
	    !must(vm_wait(&all.vm, &status), "the guest powers off"))
		return false;
	is(WIFEXITED(status) && !WEXITSTATUS(status), "QEMU ends well");
	nothing_is_pinned();
	return true;
}

/* One guest for all events that leave it alive. */
static bool use(void)
{
	if (!boot_and_map() || !reset_in_use() || !unplug_in_use())
		return false;
	tap.about = "end";
	if (!end())
		return false;
	no_warning();
	return true;
}

static bool kill_in_use(void)
{
	unsigned int i;

	tap.about = "kill";
	if (!start(0, "") || !be_busy())
		return false;
	vm_kill(&all.vm);
	nothing_is_pinned();
	for (i = 0; i < spapr_nr_devices(); i++)
		host_uses(i);
	nothing_is_pinned();
	no_warning();
	return true;
}

/*
 * A guest that does not use the calls with many entries. Its kernel always
 * warns of that parameter, because it comes after the code was patched.
 */
static bool one_by_one(void)
{
	tap.about = "one by one";
	if (!start(1, "multitce=off panic_on_warn=0") || !map_and_copy())
		return false;
	check_mapped();
	check_counters();
	return end();
}

static const struct tap_case cases[] = {
	{ "use", use },
	{ "kill", kill_in_use },
	{ "one_by_one", one_by_one },
};

int main(int argc, char **argv)
{
	const char *missing = vm_missing();

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (missing) {
		printf("1..0 # SKIP needs %s\n", missing);
		return 0;
	}
	all.pins = spapr_pins();
	all.vm.said = said;
	tap.why = all.vm.why;
	if (!vm_mount(all.vm.why, sizeof(all.vm.why))) {
		printf("Bail out! %s\n", all.vm.why);
		return 1;
	}
	if (!run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv)) {
		vm_kill(&all.vm);
		vm_print_console("# console of the guest: ", 40);
	}
	vm_umount();
	printf("1..%u\n", tap.tests);
	return tap.failed ? 1 : 0;
}
