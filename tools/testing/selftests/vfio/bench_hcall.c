// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the TCE hypercalls cost that KVM serves, as the guest sees it: from the
 * hypercall to its answer, the way into the host and back with it. The guest
 * itself looks at the timebase, before and after some of them.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "bench.h"
#include "libkvm_tce.h"

#define LIST		0x20000UL
#define LIST_LEN	512UL
#define MEM_AT		(2 * MIB)	/* what is mapped, in the guest */
#define WINDOW		GIB
#define CALLS		64UL
#define MANY		256UL

static struct guest g;
static unsigned int shift;	/* of the IOMMU pages */
static unsigned int repeats;

/* ------------------------------------------------------------------ */
/* The guest */

static unsigned long region_size(void)
{
	unsigned long page = spapr_page_size(), iommu = 1UL << shift;

	return page > iommu ? page : iommu;
}

/* Each second page, so that no two regions are neighbours. */
static unsigned long region(unsigned long i)
{
	return MEM_AT + 2 * i * region_size();
}

static void register_regions(unsigned long n)
{
	unsigned long i;

	MUST(__spapr_unregister(g.s.fd, g.mem, g.size));
	for (i = 0; i < n; i++)
		MUST(__spapr_register(g.s.fd, g.mem + region(i),
				      region_size()));
}

/* The list leads to all regions in turn. */
static void write_list(unsigned long n)
{
	__u64 *tce = (__u64 *)(g.mem + LIST);
	unsigned long i;

	for (i = 0; i < LIST_LEN; i++)
		tce[i] = htobe64(region(i % n) | TCE_RW);
}

/* 0 regions: no device */
static bool open_guest(unsigned long regions)
{
	struct guest_config config = {
		.size = region(MANY), .nr_cpus = 1, .window = WINDOW,
		.shift = shift, .hw_shift = regions ? shift : 0,
	};
	const char *missing = vm_missing();
	int ret;

	if (missing)
		return cannot("%s", missing);
	ret = __guest_open(&g, &config);
	if (ret)
		return cannot("a guest with a device: %s", strerror(-ret));
	if (regions)
		register_regions(regions);
	write_list(regions ? : 1);
	return true;
}

static void close_guest(void)
{
	guest_close(&g);
}

static const char *behind(unsigned long regions)
{
	if (!regions)
		return "no device";
	return text("%lu region%s", regions, regions > 1 ? "s" : "");
}

/* ------------------------------------------------------------------ */
/* Measuring */

static void hcall(struct figure *best, struct hcall *h, long answer)
{
	uint64_t t;

	settle();
	t = start();
	MUST(vm_hcall(&g.vm.cpu[0], h) == answer ? 0 : -EIO);
	since(t);
	least(best, h->ticks);
}

/* CALLS of them, each for the next page. */
static struct hcall put(unsigned long tce)
{
	return (struct hcall){
		.nr = H_PUT_TCE, .arg = { GUEST_LIOBN, g.window, tce },
		.step = 1UL << shift, .count = CALLS,
	};
}

static struct hcall indirect(unsigned long n)
{
	return (struct hcall){
		.nr = H_PUT_TCE_INDIRECT,
		.arg = { GUEST_LIOBN, g.window, LIST, n }, .count = 1,
	};
}

static struct hcall stuff(unsigned long n)
{
	return (struct hcall){
		.nr = H_STUFF_TCE, .arg = { GUEST_LIOBN, g.window, 0, n },
		.count = 1,
	};
}

static void measure_null(void)
{
	struct hcall h = {
		.nr = H_PROD, .arg = { -1UL }, .count = CALLS,
	};
	struct figure best = {};
	unsigned int r;

	for (r = 0; r < repeats; r++)
		hcall(&best, &h, H_PARAMETER);
	row_average("null hypercall", "H_PROD of no processor", &best, CALLS,
		    CALLS);
}

static void measure_put(unsigned long regions)
{
	struct figure map = {}, over = {}, clear = {};
	/* the oldest region, in turn with itself */
	struct hcall set = put(region(0) | TCE_RW), unset = put(0);
	const char *where = behind(regions);
	unsigned int r;

	for (r = 0; r < repeats; r++) {
		hcall(&map, &set, H_SUCCESS);
		hcall(&over, &set, H_SUCCESS);
		hcall(&clear, &unset, H_SUCCESS);
	}
	row_average("H_PUT_TCE", text("map, %s", where), &map, CALLS, CALLS);
	row_average("H_PUT_TCE", text("replace, %s", where), &over, CALLS,
		    CALLS);
	row_average("H_PUT_TCE", text("clear, %s", where), &clear, CALLS,
		    CALLS);
}

static void measure_list(unsigned long regions, unsigned long n)
{
	struct hcall set = indirect(n), unset = stuff(n);
	struct figure map = {}, over = {};
	const char *where = behind(regions);
	unsigned int r;

	for (r = 0; r < repeats; r++) {
		hcall(&map, &set, H_SUCCESS);
		hcall(&over, &set, H_SUCCESS);
		MUST(vm_hcall(&g.vm.cpu[0], &unset) ? -EIO : 0);
	}
	row_insns("H_PUT_TCE_INDIRECT", text("map %lu, %s", n, where), &map, n,
		  "TCE");
	row_insns("H_PUT_TCE_INDIRECT", text("replace %lu, %s", n, where),
		  &over, n, "TCE");
}

static void measure_indirect(unsigned long regions)
{
	measure_list(regions, 1);
	measure_list(regions, LIST_LEN);
}

static void measure_fill(unsigned long regions, unsigned long n)
{
	struct hcall set = indirect(n), unset = stuff(n);
	struct figure mapped = {}, empty = {};
	const char *where = behind(regions);
	unsigned int r;

	for (r = 0; r < repeats; r++) {
		MUST(vm_hcall(&g.vm.cpu[0], &set) ? -EIO : 0);
		hcall(&mapped, &unset, H_SUCCESS);
		hcall(&empty, &unset, H_SUCCESS);
	}
	row_insns("H_STUFF_TCE", text("clear %lu, %s", n, where), &mapped, n,
		  "TCE");
	row_insns("H_STUFF_TCE", text("clear %lu empty, %s", n, where), &empty,
		  n, "TCE");
}

static void measure_stuff(unsigned long regions)
{
	measure_fill(regions, 1);
	measure_fill(regions, LIST_LEN);
}

typedef void (*measure_fn)(unsigned long regions);

/* With one region, with many, and with no device at all */
static bool with_each_guest(measure_fn measure)
{
	static const unsigned long regions[] = { 1, MANY, 0 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(regions); i++) {
		if (!open_guest(regions[i]))
			return false;
		measure(regions[i]);
		close_guest();
	}
	return true;
}

bool bench_hcall(enum bench_hcall which, unsigned int page_shift,
		 unsigned int repeat)
{
	shift = page_shift;
	repeats = repeat;
	switch (which) {
	case HCALL_PUT:
		return with_each_guest(measure_put);
	case HCALL_INDIRECT:
		return with_each_guest(measure_indirect);
	case HCALL_STUFF:
		return with_each_guest(measure_stuff);
	default:
		if (!open_guest(0))
			return false;
		measure_null();
		close_guest();
		return true;
	}
}
