// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tour of memory registration and DMA windows with a real device: prints each
 * step and its figures, and exits with 0 only if all steps succeeded.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "edu.h"
#include "libspapr.h"

#define MIB		(1024 * 1024UL)
#define SIZE		(64 * MIB)
#define WINDOW		(1024 * MIB)
#define BYTES		8192UL

static struct {
	struct spapr s;
	struct edu edu;
	struct vfio_iommu_spapr_tce_info info;
	struct spapr_account base;
	__u64 window;
	char *mem;
	unsigned int steps;
	unsigned int failed;
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

/* Further steps make no sense after an unexpected errno. */
static bool succeeds(int ret, const char *what)
{
	check(!ret, what);
	if (ret)
		printf("         it answered %d: %s\n", ret,
		       ret < 0 ? strerror(-ret) : "not an errno");
	return !ret;
}

static void say_account(void)
{
	printf("   now    %ld KiB locked for this process, %ld pages pinned\n",
	       (spapr_locked() - demo.base.locked) / 1024,
	       spapr_pins() - demo.base.pins);
}

static bool account_is(unsigned long locked, unsigned long pins)
{
	long expected = demo.base.pins + pins;

	return spapr_locked() == demo.base.locked + (long)locked &&
	       spapr_pins_settle(expected) == expected;
}

/* ------------------------------------------------------------------ */
/* Steps */

static bool open_container(void)
{
	struct vfio_iommu_spapr_tce_info *info = &demo.info;

	say_step("Take the device from the kernel, into a VFIO container");
	if (!succeeds(__spapr_open(&demo.s, VFIO_SPAPR_TCE_v2_IOMMU, 1),
		      "the container has the sPAPR TCE IOMMU, version 2") ||
	    !succeeds(__spapr_info(demo.s.fd, info),
		      "it tells its DMA windows"))
		return false;
	printf("          default window: %u MiB at bus address %#x\n",
	       info->dma32_window_size >> 20, info->dma32_window_start);
	printf("          at most %u window(s), tables of up to %u level(s)\n",
	       info->ddw.max_dynamic_windows_supported, info->ddw.levels);
	say_account();
	return true;
}

static bool register_memory(void)
{
	unsigned long pages = SIZE / spapr_page_size();

	say_step("Register 64 MiB: each page is pinned and counted, once");
	demo.mem = spapr_mem(SIZE);
	if (!check(demo.mem, "64 MiB of memory") ||
	    !succeeds(__spapr_register(demo.s.fd, demo.mem, SIZE),
		      "registered"))
		return false;
	say_account();
	check(account_is(SIZE, pages), "64 MiB locked and as much pinned");
	check(__spapr_register(demo.s.fd, demo.mem, SIZE) == -EBUSY,
	      "registering the same range again is refused (EBUSY)");
	return true;
}

static bool open_second_container(struct spapr *o)
{
	return succeeds(__spapr_open(o, VFIO_SPAPR_TCE_v2_IOMMU, 0),
			"a second container") &&
	       succeeds(__spapr_attach(o, 1), "with a second device") &&
	       succeeds(__spapr_ioctl(o->fd, VFIO_SET_IOMMU,
				      (void *)VFIO_SPAPR_TCE_v2_IOMMU),
			"and an IOMMU");
}

static void share_with_a_second_container(void)
{
	unsigned long pages = SIZE / spapr_page_size();
	struct spapr o;

	say_step("Register the same memory in a second container");
	if (spapr_nr_devices() < 2) {
		printf("   left out: needs a second device, of another group\n");
		return;
	}
	if (!open_second_container(&o))
		return;
	succeeds(__spapr_register(o.fd, demo.mem, SIZE), "registered there");
	say_account();
	check(account_is(SIZE, pages),
	      "nothing was pinned or counted a second time");
	succeeds(__spapr_unregister(o.fd, demo.mem, SIZE),
		 "unregistered there");
	check(account_is(SIZE, pages), "the first container still has it");
	spapr_close(&o);
}

static bool make_window(void)
{
	__u32 shift = spapr_page_shift();

	say_step("Replace the default DMA window by one of 1 GiB");
	while (shift > 12 && !(demo.info.ddw.pgsizes & (1ULL << shift)))
		shift--;
	if (!succeeds(__spapr_remove(demo.s.fd, demo.info.dma32_window_start),
		      "the default window is gone") ||
	    !succeeds(__spapr_create_rising(demo.s.fd, shift, WINDOW,
					    demo.info.ddw.levels, &demo.window),
		      "a window was created"))
		return false;
	printf("          at bus address %#llx, with IOMMU pages of %u KiB\n",
	       (unsigned long long)demo.window, 1U << (shift - 10));
	say_account();
	printf("          (the difference is the TCE table)\n");
	return true;
}

static void fill_source(char seed)
{
	unsigned long i;

	for (i = 0; i < BYTES; i++)
		demo.mem[i] = seed + i * 13 + (i >> 8);
	memset(demo.mem + SIZE / 2, 0, BYTES);
}

static bool copied(void)
{
	return !memcmp(demo.mem, demo.mem + SIZE / 2, BYTES);
}

static int let_the_device_copy(void)
{
	return edu_memcpy(&demo.edu, demo.window + SIZE / 2, demo.window,
			  BYTES);
}

static bool map_and_copy(void)
{
	say_step("Map the memory into the window and let the device copy");
	if (!succeeds(__spapr_map(demo.s.fd, demo.window, demo.mem, SIZE,
				  SPAPR_RW), "64 MiB mapped"))
		return false;
	say_account();
	printf("          (mapping pins and counts nothing more)\n");
	if (!succeeds(edu_open(&demo.edu, demo.s.group[0], spapr_bdf(0)),
		      "the device answers"))
		return false;
	fill_source('a');
	succeeds(let_the_device_copy(),
		 "the device read 8192 bytes and wrote them 32 MiB further");
	check(copied(), "compared: all 8192 bytes arrived, through the TCEs");
	return true;
}

static void try_to_unregister(void)
{
	int ret;

	say_step("Unregister the memory while the device can reach it");
	ret = __spapr_unregister(demo.s.fd, demo.mem, SIZE);
	printf("   the kernel answers %d (%s)\n", ret,
	       ret < 0 ? strerror(-ret) : "done");
	check(ret == -EBUSY, "refused: the device could still write there");
	fill_source('n');
	let_the_device_copy();
	check(copied(), "the refusal changed nothing, the device copies on");
}

static void unmap_and_look(void)
{
	say_step("Unmap: the device reaches the memory no more");
	succeeds(__spapr_unmap(demo.s.fd, demo.window, WINDOW),
		 "the whole window unmapped in one call");
	fill_source('x');
	let_the_device_copy();
	check(!demo.mem[SIZE / 2] && !demo.mem[SIZE / 2 + BYTES - 1],
	      "the device was told to copy and nothing arrived");
}

static void release(void)
{
	say_step("Give everything back");
	edu_close(&demo.edu);
	succeeds(__spapr_unregister(demo.s.fd, demo.mem, SIZE),
		 "unregistered, now that nothing is mapped");
	succeeds(__spapr_remove(demo.s.fd, demo.window), "window removed");
	say_account();
	check(account_is(0, 0), "0 KiB locked, 0 pages pinned");
	spapr_close(&demo.s);
	munmap(demo.mem, SIZE);
}

static int print_help(const char *name, int ret)
{
	fprintf(ret ? stderr : stdout,
		"usage: %s [--help]\n"
		"Shows how memory is registered, mapped into a DMA window and\n"
		"reached by a device, step by step and with the figures.\n"
		"Needs root and QEMU's edu device, bound to vfio-pci;\n"
		"%s.\n"
		"Ends with 0 if every step went as it should, 1 if one did\n"
		"not, 4 if there is no device.\n",
		name, SPAPR_HOW_TO_BIND);
	return ret;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return print_help(argv[0], strcmp(argv[1], "--help") &&
					   strcmp(argv[1], "-h"));
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!spapr_nr_devices()) {
		printf("No device; %s.\n", SPAPR_HOW_TO_BIND);
		return 4;
	}
	spapr_account(&demo.base);
	printf("Device %s, pages of %zu KiB.\n", spapr_bdf(0),
	       spapr_page_size() >> 10);
	if (open_container() && register_memory()) {
		share_with_a_second_container();
		if (make_window() && map_and_copy()) {
			try_to_unregister();
			unmap_and_look();
			release();
		}
	}
	printf("\n%u steps, %u answers were wrong.\n", demo.steps,
	       demo.failed);
	return demo.failed ? 1 : 0;
}
