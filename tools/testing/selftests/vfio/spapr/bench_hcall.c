// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cost of the TCE hypercalls that KVM completes, as the guest sees it: from the
 * hypercall to its return, including guest exit and entry. The guest reads the
 * timebase itself, before and after a number of calls.
 *
 * The first region that is registered is the initial memory of the guest: its
 * program, its lists and the memory it maps. All others are smaller and
 * registered later, so the first one is the oldest. They are below it in this
 * process, in the order of mmap(), and above it in the guest.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"
#include "libkvm_tce.h"

#define LIST		0x20000UL
#define LIST_LEN	512UL
#define SHIFT_16M	24U
/* Memory that the guest maps: up to 512 pages of a list, or 16 MiB. */
#define BUFFER		(16 * MIB)
#define FIRST_SIZE	(48 * MIB)
#define LATER_SLOT	1
#define WINDOW		GIB
/* Distance in pages between two mappings of a walk. */
#define WALK		512
/* Stride that spreads regions over a list; coprime to powers of two. */
#define STRIDE		2654435761UL

static struct guest g;
static char *later;		/* memory of all regions but the first */
static unsigned long later_len;
static unsigned int shift;	/* log2 of the IOMMU page size of the device */
static unsigned int repeats;

void bench_hcall_setup(unsigned int page_shift, unsigned int repeat)
{
	shift = page_shift;
	repeats = repeat;
}

/* ------------------------------------------------------------------ */
/* The guest */

static unsigned long region_size(void)
{
	unsigned long page = spapr_page_size(), iommu = 1UL << shift;

	return page > iommu ? page : iommu;
}

/* Returns a page of region @i in the guest; small regions are not adjacent. */
static unsigned long region(unsigned long i)
{
	return i ? FIRST_SIZE + 2 * (i - 1) * region_size() : BUFFER;
}

/* Size of the memory of @n small regions. */
static unsigned long later_size(unsigned long n)
{
	unsigned long size = n > 1 ? 2 * (n - 1) * region_size() : 0;

	return (size + GUEST_ALIGN - 1) & -GUEST_ALIGN;
}

static char *later_region(unsigned long i)
{
	return later + region(i) - FIRST_SIZE;
}

static void register_regions(unsigned long n)
{
	unsigned long i;

	if (n)
		MUST(__spapr_register(g.s.fd, g.mem, FIRST_SIZE));
	for (i = 1; i < n; i++)
		MUST(__spapr_register(g.s.fd, later_region(i), region_size()));
}

/* Returns the first region, which is above all others. */
static char *take_memory(unsigned long regions)
{
	unsigned long i;

	take_remainders();
	later_len = later_size(regions);
	later = plain(later_len + FIRST_SIZE, MADV_NOHUGEPAGE);
	if (!later)
		return NULL;
	touch(later + later_len, FIRST_SIZE, spapr_page_size());
	for (i = 1; i < regions; i++)
		touch(later_region(i), region_size(), spapr_page_size());
	return later + later_len;
}

static void close_guest(void)
{
	guest_close(&g);
	if (later_len)
		munmap(later, later_len);
}

/* @guest_shift: IOMMU page size of the guest; 0 regions: no device */
static bool open_guest(unsigned long regions, unsigned int guest_shift)
{
	struct guest_config config = {
		.size = FIRST_SIZE, .nr_cpus = 1, .window = WINDOW,
		.shift = guest_shift, .hw_shift = regions ? shift : 0,
	};
	const char *missing = vm_missing();
	int ret;

	if (missing)
		return cannot("%s", missing);
	config.mem = take_memory(regions);
	if (!config.mem)
		return cannot("no memory");
	ret = __guest_open(&g, &config);
	if (!ret && later_len)
		ret = __vm_slot(&g.vm, LATER_SLOT, FIRST_SIZE, later,
				later_len);
	if (ret) {
		close_guest();
		return cannot("a guest with a device: %s", strerror(-ret));
	}
	register_regions(regions);
	return true;
}

static const char *behind(unsigned long regions)
{
	if (!regions)
		return "no device";
	return text("%lu region%s", regions, regions > 1 ? "s" : "");
}

/* ------------------------------------------------------------------ */
/* Targets of a list */

enum list { ADJACENT, ONE_PAGE, SCATTERED_LIST };

static unsigned long target(enum list kind, unsigned long i,
			    unsigned long regions)
{
	switch (kind) {
	case ADJACENT:
		return BUFFER + (i << shift);
	case SCATTERED_LIST:
		return region(i * STRIDE % regions);
	default:
		return BUFFER;
	}
}

static void write_list(enum list kind, unsigned long regions)
{
	__u64 *tce = (__u64 *)(g.mem + LIST);
	unsigned long i;

	for (i = 0; i < LIST_LEN; i++)
		tce[i] = htobe64(target(kind, i, regions) | TCE_RW);
}

/* "512 scattered, 4096 regions" */
static const char *many(enum list kind, unsigned long n, unsigned long regions)
{
	static const char * const kinds[] = {
		[ADJACENT] = "adjacent", [ONE_PAGE] = "times one page",
		[SCATTERED_LIST] = "scattered",
	};

	if (n == 1)
		return text("1, %s", behind(regions));
	return text("%lu %s, %s", n, kinds[kind], behind(regions));
}

/* ------------------------------------------------------------------ */
/* Measuring */

/* The guest's program makes each call an interval. */
static void call(struct tce_hcall *h, long answer)
{
	MUST(vm_hcall(&g.vm.cpu[0], h) == answer ? 0 : -EIO);
	bench_interval++;
}

static void time_hcall(struct figure *best, struct tce_hcall *h, long answer)
{
	settle();
	call(h, answer);
	least(best, h->ticks);
}

/* Number of calls that complete before the next timer tick. */
static unsigned long calls(unsigned long regions)
{
	if (regions >= 32768)
		return 4;
	return regions >= 4096 ? 16 : 64;
}

/*
 * Makes as many calls as its name says, each for the next page of the window.
 */
static struct tce_hcall put_tce(unsigned long tce, unsigned int page_shift,
				unsigned long n)
{
	return (struct tce_hcall){
		.nr = H_PUT_TCE, .arg = { GUEST_LIOBN, g.window, tce },
		.step = 1UL << page_shift, .count = n,
	};
}

static struct tce_hcall put_indirect(unsigned long n)
{
	return (struct tce_hcall){
		.nr = H_PUT_TCE_INDIRECT,
		.arg = { GUEST_LIOBN, g.window, LIST, n }, .count = 1,
	};
}

static struct tce_hcall stuff_tce(unsigned long n)
{
	return (struct tce_hcall){
		.nr = H_STUFF_TCE, .arg = { GUEST_LIOBN, g.window, 0, n },
		.count = 1,
	};
}

static void measure_null(void)
{
	unsigned long n = calls(1);
	struct tce_hcall h = { .nr = H_PROD, .arg = { -1UL }, .count = n };
	struct figure best = {};
	unsigned int r;

	for (r = 0; r < repeats; r++)
		time_hcall(&best, &h, H_PARAMETER);
	row_average("null hypercall", "H_PROD of no processor", &best, n, n);
}

/* Maps a page of one of the oldest regions. */
static void measure_put(unsigned int page_shift, unsigned long n,
			const char *where)
{
	struct tce_hcall set = put_tce(BUFFER | TCE_RW, page_shift, n);
	struct tce_hcall unset = put_tce(0, page_shift, n);
	struct figure map = {}, over = {}, clear = {};
	unsigned int r;

	for (r = 0; r < repeats; r++) {
		time_hcall(&map, &set, H_SUCCESS);
		time_hcall(&over, &set, H_SUCCESS);
		time_hcall(&clear, &unset, H_SUCCESS);
	}
	row_average("H_PUT_TCE", text("map, %s", where), &map, n, n);
	row_average("H_PUT_TCE", text("replace, %s", where), &over, n, n);
	row_average("H_PUT_TCE", text("clear, %s", where), &clear, n, n);
}

/*
 * Access pattern of drivers: one page per I/O, at new addresses each time, and
 * each address is the first that is reused in its part of the window. In the
 * first round the window is empty.
 */
static void measure_walk(unsigned int page_shift, const char *where)
{
	unsigned long n = WINDOW / WALK >> page_shift;
	struct tce_hcall set = put_tce(BUFFER | TCE_RW, page_shift, n);
	struct tce_hcall unset = stuff_tce(1);
	struct figure map = {}, clear = {};
	unsigned int r;

	set.step *= WALK;
	unset.step = set.step;
	unset.count = n;
	for (r = 0; r <= repeats; r++) {
		time_hcall(&map, &set, H_SUCCESS);
		time_hcall(&clear, &unset, H_SUCCESS);
	}
	row_average("H_PUT_TCE", text("map, walking, %s", where), &map, n, n);
	row_average("H_STUFF_TCE", text("clear 1, walking, %s", where), &clear,
		    n, n);
}

static void measure_list(enum list kind, unsigned long n, unsigned long regions)
{
	struct tce_hcall set = put_indirect(n), unset = stuff_tce(n);
	const char *what = many(kind, n, regions);
	struct figure map = {}, over = {};
	unsigned int r;

	write_list(kind, regions);
	for (r = 0; r < repeats; r++) {
		time_hcall(&map, &set, H_SUCCESS);
		time_hcall(&over, &set, H_SUCCESS);
		call(&unset, H_SUCCESS);
	}
	row_insns("H_PUT_TCE_INDIRECT", text("map %s", what), &map, n, "TCE");
	row_insns("H_PUT_TCE_INDIRECT", text("replace %s", what), &over, n,
		  "TCE");
}

static void measure_fill(enum list kind, unsigned long n, unsigned long regions)
{
	struct tce_hcall set = put_indirect(n), unset = stuff_tce(n);
	struct figure mapped = {}, empty = {};
	unsigned int r;

	write_list(kind, regions);
	for (r = 0; r < repeats; r++) {
		call(&set, H_SUCCESS);
		time_hcall(&mapped, &unset, H_SUCCESS);
		time_hcall(&empty, &unset, H_SUCCESS);
	}
	row_insns("H_STUFF_TCE", text("clear %s", many(kind, n, regions)),
		  &mapped, n, "TCE");
	if (kind == ADJACENT)
		row_insns("H_STUFF_TCE", text("clear %lu empty, %s", n,
					      behind(regions)), &empty, n,
			  "TCE");
}

typedef void (*measure_fn)(enum list kind, unsigned long n,
			   unsigned long regions);

/* One entry, several, and full lists of every relevant kind. */
static void with_each_list(measure_fn measure, unsigned long regions)
{
	measure(ADJACENT, 1, regions);
	measure(ADJACENT, LIST_LEN, regions);
	if (!regions)
		return;
	if (regions == 1) {
		measure(ADJACENT, 8, regions);
		measure(ADJACENT, 64, regions);
	}
	measure(ONE_PAGE, LIST_LEN, regions);
	if (regions > 1)
		measure(SCATTERED_LIST, LIST_LEN, regions);
}

/* ------------------------------------------------------------------ */
/* Entry points */

bool bench_hcall_null(unsigned long unused)
{
	if (!open_guest(0, shift))
		return false;
	measure_null();
	close_guest();
	return true;
}

bool bench_hcall_put(unsigned long regions)
{
	if (!open_guest(regions, shift))
		return false;
	measure_put(shift, calls(regions), behind(regions));
	if (regions == 1)
		measure_walk(shift, behind(regions));
	close_guest();
	return true;
}

/* a guest page of many device pages */
bool bench_hcall_put_16m(unsigned long regions)
{
	if (!open_guest(regions, SHIFT_16M))
		return false;
	measure_put(SHIFT_16M, calls(4096),
		    text("16 MiB page on entries of %s, %s",
			 size_text(1UL << shift), behind(regions)));
	close_guest();
	return true;
}

bool bench_hcall_indirect(unsigned long regions)
{
	if (!open_guest(regions, shift))
		return false;
	with_each_list(measure_list, regions);
	close_guest();
	return true;
}

bool bench_hcall_stuff(unsigned long regions)
{
	if (!open_guest(regions, shift))
		return false;
	with_each_list(measure_fill, regions);
	close_guest();
	return true;
}
