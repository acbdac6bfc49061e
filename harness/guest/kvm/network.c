// SPDX-License-Identifier: GPL-2.0
/*
 * Pass a network card to a guest that runs Debian's own kernel, alone or beside
 * a disk: frames of all sizes that it answers and streams both ways are right,
 * by the 64-bit window and by the 32-bit one; and when QEMU is killed with
 * traffic under way the host can use the card, and nothing is left behind.
 *
 * The outside is another card of the host: its traffic does not pass the IOMMU
 * of the card that is passed on.
 */
#include <string.h>

#include "card.h"
#include "disktest.h"
#include "libspapr.h"

/* The owner of the card, guest or host, sends and receives. */
static bool frames(struct vm *vm, const char *what)
{
	int n = card_frames(vm);

	if (n > 0)
		printf("# %d frames\n", n);
	return does(n > 0, what);
}

/* The last word on the other side is the checksum of what has arrived there. */
static bool streams(void)
{
	char sum[sizeof(disk.line)];

	if (!does(card_numbers(sum, sizeof(sum)),
		  "there is something to send") ||
	    !does(card_receive(&test.vm), "the guest receives a file"))
		return false;
	is(!strcmp(disk.line, sum), "what it has received is what was sent");
	if (!does(card_send(&test.vm), "the guest sends a file"))
		return false;
	is(!strcmp(disk.line, sum), "what has arrived is what it has sent");
	return true;
}

static bool boot(const char *append)
{
	unsigned int want;

	if (!does(vm_start(&test.vm, append), "QEMU starts with the card") ||
	    !does(vm_hear(&test.vm, "@hello", NULL, 0) &&
		  vm_hear(&test.vm, "@agent ready", NULL, 0),
		  "the guest boots"))
		return false;
	want = test.vm.one_bridge ? 1 : test.vm.nr_devices;
	vm_print_containers(&test.vm, "# ");
	is(vm_containers(&test.vm) == want, "%u containers for %u groups", want,
	   test.vm.nr_devices);
	return does(card_up(&test.vm), "the guest brings the card up");
}

static bool traffic(bool ddw)
{
	struct vm_counts before = vm_counts(&test.vm);

	if (!frames(&test.vm, "the guest answers each frame as it was sent") ||
	    !streams() || (test.vm.disk && !disktest_read_and_write()))
		return false;
	disktest_counters(&before, ddw);
	return true;
}

/* All that the guest has is in use now. */
static bool be_busy(void)
{
	return does(card_busy(&test.vm), "it goes on sending and receiving") &&
	       (!test.vm.disk ||
		does(disk_busy(&test.vm), "it goes on writing to the disk")) &&
	       does(card_goes_on(), "all of it goes on");
}

static bool host_uses(void)
{
	return does(card_take(), "the host's driver has the card") &&
	       frames(NULL, "the host sends and receives") &&
	       (!test.vm.disk || disktest_host_uses());
}

static bool use(const char *append, bool ddw)
{
	bool good;

	if (!frames(NULL, "the host has the card, it sends and receives") ||
	    (test.vm.disk && !disktest_begin()) ||
	    !does(card_give(), "VFIO has the card") || !card_serve())
		return false;
	test.vm.card = card.bdf;
	test.vm.nr_devices = test.vm.disk ? 2 : 1;
	good = boot(append) && traffic(ddw) && be_busy();
	if (good)
		vm_kill(&test.vm);
	card_stop();
	if (!good)
		return false;
	disktest_nothing_left();
	return host_uses();
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

static bool beside_a_disk(void)
{
	tap.about = "a disk and a card";
	test.vm.disk = disk.bdf;
	return use("", true);
}

static bool one_bridge(void)
{
	tap.about = "a disk and a card on one host bridge, 64-bit window";
	test.vm.disk = disk.bdf;
	test.vm.one_bridge = true;
	return use("", true);
}

static bool one_bridge_no_ddw(void)
{
	tap.about = "a disk and a card on one host bridge, 32-bit window";
	test.vm.disk = disk.bdf;
	test.vm.one_bridge = true;
	return use(DISK_NO_DDW, false);
}

static const struct tap_case cases[] = {
	{ "ddw", ddw },
	{ "no_ddw", no_ddw },
	{ "beside_a_disk", beside_a_disk },
	{ "one_bridge", one_bridge },
	{ "one_bridge_no_ddw", one_bridge_no_ddw },
};

int main(int argc, char **argv)
{
	const char *missing = card_missing();

	if (missing) {
		printf("1..0 # SKIP needs %s\n", missing);
		return 0;
	}
	return disktest_main(cases, sizeof(cases) / sizeof(cases[0]), argc,
			     argv);
}
