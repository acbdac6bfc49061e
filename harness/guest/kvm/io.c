// SPDX-License-Identifier: GPL-2.0
/*
 * Costs of the I/O of a passed-through disk: hypercalls of the guest and those
 * that a host under a hypervisor makes for them, by the 64-bit window and by
 * the 32-bit one, for several sizes of I/O, one at a time. `make disk-figures`
 * takes the lines "# io" of the base kernel and of the series into
 * docs/figures.md.
 */
#include <stdlib.h>

#include "disktest.h"
#include "libspapr.h"

/*
 * The guest's allocator has one part of the window for small buffers of a CPU,
 * and one for those of 64 KiB and more: each is gone through, and a bit of it
 * again.
 */
#define WALK \
	"dd if=/dev/nvme0n1 of=/dev/null bs=4k count=6144 iflag=direct && " \
	"for i in 1 2; do dd if=/dev/nvme0n1 of=/dev/null bs=1M count=160 iflag=direct;" \
	" done"

/*
 * H_GET_TCE, H_PUT_TCE, H_STUFF_TCE and H_PUT_TCE_INDIRECT in the guest's trace
 */
#define TRACE		"cd /sys/kernel/tracing; "
#define COUNT_BEGIN \
	"mount -t tracefs none /sys/kernel/tracing 2>/dev/null; " TRACE \
	"echo 'opcode == 0x1c || opcode == 0x20 || opcode == 0x138 || opcode == 0x13c'" \
	" >events/powerpc/hcall_entry/filter && echo >trace && " \
	"echo 1 >events/powerpc/hcall_entry/enable"
#define COUNT_END \
	TRACE "echo 0 >events/powerpc/hcall_entry/enable; " \
	"cat per_cpu/cpu*/stats | awk '/^(entries|overrun):/ { n += $2 } END { print n }'"

static const struct load {
	const char *name;
	const char *command;
	unsigned int kib;
} loads[] = {
	{ "read, 1 MiB each",
	  "dd if=/dev/nvme0n1 of=/dev/null bs=1M count=32 iflag=direct",
	  32 << 10 },
	{ "read, 64 KiB each",
	  "dd if=/dev/nvme0n1 of=/dev/null bs=64k count=512 iflag=direct",
	  32 << 10 },
	{ "read, 4 KiB each",
	  "dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1024 iflag=direct",
	  4 << 10 },
	{ "a file is written",
	  "dd if=/dev/zero of=/mnt/zeros bs=1M count=32 conv=fsync", 32 << 10 },
};

/*
 * Of the last load, in the guest and, where it has a hypervisor, of the host.
 */
struct cost {
	long guest;
	long host;
	struct vm_counts kvm;
};

static bool measure(const struct load *load, struct cost *c)
{
	struct vm_counts before = vm_counts(&test.vm), after;
	bool has_trace;

	if (!does(disk_sh(&test.vm, COUNT_BEGIN),
		  "the guest counts its hypercalls"))
		return false;
	has_trace = !spapr_hcalls_begin();
	if (!does(disk_sh(&test.vm, load->command), load->name))
		return false;
	c->host = has_trace ? spapr_hcalls_end() : -1;
	after = vm_counts(&test.vm);
	if (!does(disk_sh(&test.vm, COUNT_END), "it has counted them"))
		return false;
	c->guest = atol(disk.line);
	c->kvm.hcalls = after.hcalls - before.hcalls;
	c->kvm.user = after.user - before.user;
	c->kvm.real = after.real - before.real;
	return true;
}

static void print_cost(const struct load *load, const struct cost *c)
{
	double mib = load->kib / 1024.0;

	printf("# io\t%s\t%s\t%.1f\t", tap.about, load->name, c->guest / mib);
	if (c->host >= 0)
		printf("%.1f", c->host / mib);
	printf("\t");
	if (!vm_no_real_mode(&test.vm) && c->kvm.hcalls)
		printf("%.1f", 100.0 * c->kvm.real / c->kvm.hcalls);
	printf("\n");
}

/* Reading the trace, KVM's counters or the clock makes none of these calls. */
static void check_cost(const struct load *load, const struct cost *c, bool ddw)
{
	const char *why = vm_no_real_mode(&test.vm);

	if (ddw)
		is(!c->guest, "%s: %ld hypercalls", load->name, c->guest);
	else
		is(c->guest > 0, "%s: %ld hypercalls", load->name, c->guest);
	if (vm_stat(&test.vm, "tce_hcalls") < 0)
		return;		/* the base kernel does not count them */
	is(c->kvm.hcalls == c->guest && c->kvm.user <= 0,
	   "%s: the kernel serves all of them: %ld", load->name, c->kvm.hcalls);
	if (!ddw && !why)
		is(c->kvm.real * 100 >= c->kvm.hcalls * 99,
		   "%s: at least 99 %% in real mode: %ld of %ld", load->name,
		   c->kvm.real, c->kvm.hcalls);
}

static bool use(const char *append, bool ddw)
{
	struct cost cost;
	unsigned int i;

	if (!does(disk_give(), "VFIO has the disk") || !disktest_boot(append) ||
	    !does(disk_mount(&test.vm), "it mounts the disk") ||
	    !does(disk_sh(&test.vm, WALK), "its I/O goes through the window"))
		return false;
	for (i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		if (!measure(&loads[i], &cost))
			return false;
		print_cost(&loads[i], &cost);
		check_cost(&loads[i], &cost, ddw);
	}
	if (!does(disk_umount(&test.vm), "it lets the disk go"))
		return false;
	vm_kill(&test.vm);
	disktest_nothing_left();
	return does(disk_take(), "the host's driver has the disk");
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
