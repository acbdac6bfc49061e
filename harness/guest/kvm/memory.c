// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of a guest that has a disk: all kinds that QEMU can back it with,
 * DIMMs plugged and unplugged and pages ballooned under I/O, and the limits of
 * locked memory. Each time the data is right, the memory registered, pinned and
 * locked is as expected, to the byte, and nothing is left behind.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disktest.h"
#include "libspapr.h"

#define KIB		1024L
#define MIB		(1L << 20)
#define MEMORY		(512 * MIB)
#define DIMM		(512 * MIB)	/* all that can be added */
#define DIMM_AT		"0x40000000"	/* in the guest */
#define BALLOON		(320 * MIB)
#define NOBODY		65534
#define DOCTOR \
	"/tests/vfio/spapr_doctor --memory 512M --max-memory 1G --bridges 1 "
#define REFUSED		"/sys/kernel/tracing/events/spapr_tce/spapr_tce_refused"

/* Locked memory of such a guest, as spapr_doctor reports it. */
static struct {
	long all;
	long kvm;	/* of it in KVM's tables */
	long libvirt;	/* limit that libvirt sets */
} need;

/* ------------------------------------------------------------------ */
/* State of the kernel */

struct sum {
	unsigned int regions;
	long bytes;		/* of the regions */
	long mapped;		/* of them in bytes, in IOMMU pages */
	long granule;		/* the smallest */
	unsigned int windows;
	long tables;		/* bytes locked for the windows */
	long locked;
};

static long number(const char *line, const char *name)
{
	const char *at = strstr(line, name);

	return at ? strtol(at + strlen(name), NULL, 0) : 0;
}

static void add_line(const char *line, void *arg)
{
	struct sum *s = arg;
	long granule = number(line, " granule=");

	if (!strncmp(line, "spapr_tce_window:", 17)) {
		s->windows++;
		s->tables += number(line, " locked=") * KIB;
		s->mapped += number(line, " mapped=") * number(line, " page=");
	} else if (!strncmp(line, "spapr_tce_region:", 17)) {
		s->regions++;
		s->bytes += number(line, " size=");
		if (!s->granule || granule < s->granule)
			s->granule = granule;
	} else if (!strncmp(line, "spapr_tce_locked:", 17)) {
		s->locked += number(line, "spapr_tce_locked:") * KIB;
	}
}

static struct sum sum(void)
{
	struct sum s = { };

	vm_each_line(&test.vm, add_line, &s);
	return s;
}

static void equal(long is_now, long wanted, const char *what)
{
	if (is_now != wanted)
		printf("# %s: not %ld\n", what, wanted);
	is(is_now == wanted, "%s: %ld", what, is_now);
}

/*
 * All memory that the guest has now, once, in pages of this size; each is
 * pinned.
 */
static void check_registered(unsigned int regions, long bytes, long page,
			     bool ddw)
{
	struct sum s = sum();

	equal(s.regions, regions, "regions");
	equal(s.bytes, bytes, "bytes registered");
	/* neighbours may be one block */
	is(s.granule >= page, "their blocks, in bytes: %ld of at least %ld",
	   s.granule, page);
	equal(spapr_pins() - test.pins, bytes / spapr_page_size(),
	      "pages pinned");
	equal(s.windows, ddw ? 2 : 1, "windows");
	if (ddw)
		equal(s.mapped, bytes, "bytes mapped");
	equal(s.locked, bytes + s.tables, "bytes locked by the container");
	/*
	 * KVM has a table for each window of the guest, of its first bridge too
	 */
	if (ddw)
		equal(vm_memory(&test.vm, "VmLck"), s.locked + need.kvm,
		      "bytes locked by QEMU");
}

/* ------------------------------------------------------------------ */

static bool ask_doctor(void)
{
	char command[256], line[256];
	FILE *f;

	snprintf(command, sizeof(command), DOCTOR "%s", disk.bdf);
	memset(&need, 0, sizeof(need));
	fflush(stdout);
	f = popen(command, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, " KiB") || strstr(line, "tables"))
			printf("# %s", line);
		if (strstr(line, " locks "))
			need.all = number(line, " locks ") * KIB;
		if (strstr(line, " of KVM's"))
			need.kvm = number(line, " of TCE tables,") * KIB;
		if (strstr(line, "libvirt allows it "))
			need.libvirt = number(line, "libvirt allows it ") * KIB;
	}
	strcpy(disk.line, "see what spapr_doctor says");
	return f && !pclose(f) && need.all && need.kvm && need.libvirt;
}

static bool start_test(void)
{
	return disktest_begin() &&
	       does(ask_doctor(), "spapr_doctor says what the guest locks");
}

static bool end(void)
{
	int status;

	if (!does(disk_umount(&test.vm), "the guest lets the disk go") ||
	    !does(write(test.vm.control, "quit\n", 5) == 5 &&
		  vm_wait(&test.vm, &status), "the guest powers off"))
		return false;
	is(WIFEXITED(status) && !WEXITSTATUS(status), "QEMU ends well");
	disktest_nothing_left();
	return disktest_host_uses();
}

static bool kill_busy(void)
{
	vm_kill(&test.vm);
	disktest_nothing_left();
	return disktest_host_uses();
}

/* ------------------------------------------------------------------ */
/* Backing of the memory */

static bool use(const char * const *more, unsigned int regions, long page,
		bool ddw)
{
	test.vm.more = more;
	if (!start_test() || !disktest_boot(ddw ? "" : DISK_NO_DDW))
		return false;
	check_registered(regions, MEMORY, page, ddw);
	if (!disktest_read_and_write())
		return false;
	check_registered(regions, MEMORY, page, ddw);
	return end();
}

#define MEMFD(id, size, more) \
	"-object", "memory-backend-memfd,share=on,id=" id ",size=" size more

static bool memfd(void)
{
	static const char * const more[] = {
		MEMFD("ram", "512M", ""), "-machine", "memory-backend=ram", NULL
	};

	tap.about = "memfd";
	return use(more, 1, spapr_page_size(), true);
}

static const char * const two_nodes[] = {
	MEMFD("m0", "256M", ""), "-numa", "node,nodeid=0,memdev=m0",
	MEMFD("m1", "256M", ""), "-numa", "node,nodeid=1,memdev=m1", NULL
};

static bool nodes(void)
{
	tap.about = "two nodes";
	return use(two_nodes, 2, spapr_page_size(), true);
}

static bool nodes_no_ddw(void)
{
	tap.about = "two nodes, 32-bit window";
	return use(two_nodes, 2, spapr_page_size(), false);
}

/* Reserves them: false if the host has no pages of this size. */
static bool reserve(long page, long nr)
{
	char path[96];
	long have = -1;
	FILE *f;

	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/hugepages/hugepages-%ldkB/nr_hugepages",
		 page / KIB);
	f = fopen(path, "r+e");
	if (!f)
		return false;
	fprintf(f, "%ld\n", nr);
	rewind(f);
	if (fscanf(f, "%ld", &have) != 1)
		have = -1;
	fclose(f);
	equal(have, nr, "huge pages reserved");
	return true;
}

static bool use_huge(bool ddw)
{
	static const char * const of_2m[] = {
		MEMFD("ram", "512M", ",hugetlb=on,hugetlbsize=2M"),
		"-machine", "memory-backend=ram", NULL
	};
	static const char * const of_16m[] = {
		MEMFD("ram", "512M", ",hugetlb=on,hugetlbsize=16M"),
		"-machine", "memory-backend=ram", NULL
	};
	long page = 16 * MIB;
	bool good;

	if (!reserve(page, MEMORY / page)) {
		page = 2 * MIB;
		if (!reserve(page, MEMORY / page)) {
			skip("huge pages", "this host has none of 2M or 16M");
			return true;
		}
	}
	good = use(page == 2 * MIB ? of_2m : of_16m, 1, page, ddw);
	return reserve(page, 0) && good;
}

static bool hugetlb(void)
{
	tap.about = "huge pages";
	return use_huge(true);
}

static bool hugetlb_no_ddw(void)
{
	tap.about = "huge pages, 32-bit window";
	return use_huge(false);
}

/* ------------------------------------------------------------------ */
/* A DIMM */

static bool in_guest(const char *command, const char *what)
{
	return does(vm_tell(&test.vm, command, "sh ", NULL, 0), what);
}

/* In the guest "direct" allocates from it first, as it is movable memory. */
static bool dma(bool plugged)
{
	char rest[64];
	long n;

	if (!does(vm_tell(&test.vm, "direct " DIMM_AT " /mnt/numbers /mnt/copy",
			  "direct", rest, sizeof(rest)),
		  "the disk writes to memory and reads it again"))
		return false;
	n = atol(rest);
	return is(plugged ? n > 0 : !n, "pages of it where the DIMM is:%s",
		  rest) &&
	       has(&test.vm, "copy", test.numbers);
}

static bool plug(void)
{
	return does(vm_monitor(&test.vm, "object-add",
			       "{\"qom-type\":\"memory-backend-memfd\",\"share\":true,"
			       "\"id\":\"dimm\",\"size\":536870912}") &&
		    vm_monitor(&test.vm, "device_add",
			       "{\"driver\":\"pc-dimm\",\"id\":\"dimm0\",\"memdev\":\"dimm\"}"),
		    "a DIMM is plugged under I/O") &&
	       in_guest("sh until awk '/^MemTotal/ { exit $2 < 900000 }' "
			"/proc/meminfo; do sleep 0.1; done", "the guest has it");
}

static bool unplug(void)
{
	return does(vm_monitor(&test.vm, "device_del", "{\"id\":\"dimm0\"}") &&
		    vm_event(&test.vm, "DEVICE_DELETED", "dimm0") &&
		    vm_monitor(&test.vm, "object-del", "{\"id\":\"dimm\"}"),
		    "it is unplugged under I/O");
}

static bool plug_and_unplug(const char *append, bool ddw)
{
	long page = spapr_page_size();
	unsigned int i;

	test.vm.more = (const char * const []){
		MEMFD("ram", "512M", ""), "-machine", "memory-backend=ram", NULL
	};
	if (!start_test() || !disktest_boot(append) ||
	    !disktest_read_and_write() ||
	    !does(disk_busy(&test.vm), "it goes on writing") || !dma(false))
		return false;
	for (i = 0; i < 2; i++) {
		check_registered(1, MEMORY, page, ddw);
		if (!plug())
			return false;
		check_registered(2, MEMORY + DIMM, page, ddw);
		if (!dma(true) || (!i && !unplug()))
			return false;
	}
	return kill_busy();
}

static bool dimm(void)
{
	tap.about = "DIMM";
	return plug_and_unplug("movable_node", true);
}

static bool dimm_no_ddw(void)
{
	tap.about = "DIMM, 32-bit window";
	return plug_and_unplug("movable_node " DISK_NO_DDW, false);
}

/* ------------------------------------------------------------------ */
/* A balloon */

static bool inflate(long left, const char *what)
{
	char text[64];

	snprintf(text, sizeof(text), "{\"value\":%ld}", left);
	if (!does(vm_monitor(&test.vm, "balloon", text), what))
		return false;
	snprintf(text, sizeof(text), "%ld", left);
	return does(vm_event(&test.vm, "BALLOON_CHANGE", text),
		    "the guest has done it");
}

/* QEMU must keep ballooned pages: the device has them mapped. */
static bool balloon(void)
{
	static const char * const more[] = {
		MEMFD("ram", "512M", ""), "-machine", "memory-backend=ram",
		"-device", "virtio-balloon-pci", NULL
	};
	long page = spapr_page_size();
	unsigned int i;

	tap.about = "balloon";
	test.vm.more = more;
	if (!start_test() || !disktest_boot("") || !disktest_read_and_write() ||
	    !does(disk_busy(&test.vm), "it goes on writing"))
		return false;
	for (i = 0; i < 2; i++) {
		if (!inflate(BALLOON, "the guest gives memory back"))
			return false;
		is(vm_memory(&test.vm, "VmRSS") >= MEMORY,
		   "QEMU keeps it: %ld KiB",
		   vm_memory(&test.vm, "VmRSS") / KIB);
		check_registered(1, MEMORY, page, true);
		if (!has(&test.vm, "numbers", test.numbers) ||
		    !inflate(MEMORY, "the guest takes it again") ||
		    !has(&test.vm, "written", test.written) || !dma(false))
			return false;
		check_registered(1, MEMORY, page, true);
	}
	return kill_busy();
}

/* ------------------------------------------------------------------ */
/* A user, and its limit of locked memory */

static struct rlimit limit;

/* It is enough that the user may open the group and KVM. */
static void become_nobody(void)
{
	if (setrlimit(RLIMIT_MEMLOCK, &limit) || setgroups(0, NULL) ||
	    setgid(NOBODY) || setuid(NOBODY) ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL))
		_exit(125);
}

static bool begin_as_user(long bytes)
{
	char command[256];

	test.vm.more = NULL;
	limit.rlim_cur = limit.rlim_max = bytes;
	snprintf(command, sizeof(command),
		 "chown %d /dev/kvm /dev/vfio/$(basename $(readlink "
		 "/sys/bus/pci/devices/%s/iommu_group))", NOBODY, disk.bdf);
	printf("# %ld KiB may be locked\n", bytes / KIB);
	test.vm.become = become_nobody;
	return does(!system(command), "a user gets the group");
}

static bool use_as_user(long bytes)
{
	bool good = begin_as_user(bytes) && disktest_boot("");

	test.vm.become = NULL;
	if (!good)
		return false;
	equal(vm_memory(&test.vm, "VmLck"), need.all,
	      "bytes locked by QEMU, as spapr_doctor says");
	return disktest_read_and_write() && end();
}

static bool user(void)
{
	tap.about = "user, limit of libvirt";
	return start_test() && use_as_user(need.libvirt);
}

static bool user_exactly(void)
{
	tap.about = "user, no more than is needed";
	return start_test() && use_as_user(need.all);
}

/* A line of a file that has these words is shown. */
static bool shows(const char *words, const char *file)
{
	char command[256];

	fflush(stdout);
	snprintf(command, sizeof(command),
		 "grep '%s' %s | tail -n 1 | sed 's/^/# /' | grep .", words,
		 file);
	return !system(command);
}

static bool user_page_less(void)
{
	bool good;

	tap.about = "user, a page less";
	if (!start_test() ||
	    !does(!system("echo >/sys/kernel/tracing/trace; echo 1 >" REFUSED
			  "/enable; : >" ROOT "/tmp/qemu.log"),
		  "refusals are traced") ||
	    !begin_as_user(need.all - spapr_page_size()))
		return false;
	good = disk_start(&test.vm, "") && disk_boot(&test.vm, NULL, 0);
	test.vm.become = NULL;
	is(!good, "the guest does not get it: %s", test.vm.why);
	vm_kill(&test.vm);
	is(shows("cause=over the limit of locked memory",
		 "/sys/kernel/tracing/trace"), "the kernel has said why");
	is(shows("Cannot allocate memory", ROOT "/tmp/qemu.log"),
	   "QEMU has said it");
	good = does(!system("echo 0 >" REFUSED "/enable"), "no longer traced");
	test.vm.why[0] = '\0';
	equal(spapr_pins_settle(test.pins), test.pins, "pages pinned by all");
	/* and it is only this page */
	return good && use_as_user(need.all);
}

/* ------------------------------------------------------------------ */

/*
 * A host without dynamic windows: QEMU maps page by page. It offers the guest a
 * window that the host cannot make, and would end if the guest made it.
 */
static bool v1(void)
{
	tap.about = "version 1";
	if (strcmp(getenv("harness_container") ? : "", "v1")) {
		skip("version 1", "this host has dynamic windows");
		return true;
	}
	test.vm.more = NULL;
	if (!start_test() || !disktest_boot(DISK_NO_DDW))
		return false;
	equal(vm_version(&test.vm), 1, "version of the container");
	equal(vm_memory(&test.vm, "VmLck"), need.all,
	      "bytes locked by QEMU, as spapr_doctor says");
	return disktest_read_and_write() && end();
}

static const struct tap_case cases[] = {
	{ "memfd", memfd },
	{ "nodes", nodes },
	{ "nodes_no_ddw", nodes_no_ddw },
	{ "hugetlb", hugetlb },
	{ "hugetlb_no_ddw", hugetlb_no_ddw },
	{ "dimm", dimm },
	{ "dimm_no_ddw", dimm_no_ddw },
	{ "balloon", balloon },
	{ "user", user },
	{ "user_exactly", user_exactly },
	{ "user_page_less", user_page_less },
	{ "v1", v1 },
};

int main(int argc, char **argv)
{
	return disktest_main(cases, sizeof(cases) / sizeof(cases[0]), argc,
			     argv);
}
