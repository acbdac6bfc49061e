// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cost of the calls of the sPAPR TCE container in instructions. See bench.h for
 * the method.
 *
 * Each row is a line of words between tabs:
 *
 *	row OPERATION PARAMETERS VALUE UNIT COUNT OF-WHAT INTERVAL CALLS
 *
 * VALUE is for all of the COUNT things that one call does, including the null
 * ioctl. For short calls it is the average of many. INTERVAL is the number of
 * the marked interval, with CALLS calls in it; 0: none.
 */
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "bench.h"
#include "libspapr.h"

/* Operations that need no clock begin like this. */
#define LINES		"lines"

#define USEC		1000L
#define SEC		1000000000L
/* Size of a mostly empty window. */
#define SPARSE_SIZE	(64 * GIB)

/* A kernel may defer the work of a call. */
#define UNREGISTER_CALL	"UNREGISTER, the call alone"
#define UNREGISTER_ALL	"UNREGISTER in all, deferred work too"

static struct {
	unsigned long size;	/* of the measured memory */
	unsigned int repeat;
	char *patterns;
	unsigned int page_shift; /* log2 of the IOMMU page size of the window */
} opt = { .size = GIB, .repeat = 3 };

/* "1 GiB, 64 KiB pages" */
static const char *amount(const struct kind *k)
{
	return text("%s, %s", size_text(opt.size), k->name);
}

/* ------------------------------------------------------------------ */
/* Container with a window */

static struct spapr s;
static __u64 window;
static __u32 window_levels;

static void open_container(void)
{
	MUST(__spapr_open(&s, VFIO_SPAPR_TCE_v2_IOMMU, 1));
}

static bool need_pages(struct vfio_iommu_spapr_tce_info *info)
{
	MUST(__spapr_info(s.fd, info));
	if (info->ddw.pgsizes & (1ULL << opt.page_shift))
		return true;
	return cannot("no windows of %s IOMMU pages",
		      size_text(1UL << opt.page_shift));
}

static bool open_window(__u64 size)
{
	struct vfio_iommu_spapr_tce_info info;
	int ret;

	open_container();
	if (!need_pages(&info)) {
		spapr_close(&s);
		return false;
	}
	window_levels = info.ddw.levels;
	/* as QEMU does it */
	MUST(__spapr_remove(s.fd, info.dma32_window_start));
	ret = __spapr_create_rising(s.fd, opt.page_shift, size, window_levels,
				    &window);
	if (!ret)
		return true;
	spapr_close(&s);
	return cannot("a window of 2^%d bytes: %s", __builtin_ctzll(size),
		      strerror(-ret));
}

static void close_window(void)
{
	MUST(__spapr_remove(s.fd, window));
	spapr_close(&s);
}

static unsigned long tces(unsigned long size)
{
	return size >> opt.page_shift;
}

/* ------------------------------------------------------------------ */
/* Operations */

static bool op_null(unsigned long unused)
{
	unsigned int i, n = 1000, r;
	struct figure best = {};
	uint64_t t;

	open_container();
	for (r = 0; r < opt.repeat; r++) {
		settle();
		t = start();
		for (i = 0; i < n; i++)
			ioctl(s.fd, VFIO_GET_API_VERSION);
		least(&best, since(t));
	}
	row_average("null ioctl", "VFIO_GET_API_VERSION", &best, n, n);
	spapr_close(&s);
	return true;
}

static uint64_t time_register(char *p)
{
	uint64_t t;

	settle();
	t = start();
	MUST(__spapr_register(s.fd, p, opt.size));
	return since(t);
}

/* Returns the total, and the deferred part in *@later. */
static uint64_t time_unregister(char *p, uint64_t *later)
{
	uint64_t t, spent;

	prepare_deferred();
	settle();
	t = start();
	MUST(__spapr_unregister(s.fd, p, opt.size));
	spent = since(t);
	*later = deferred_since(t);
	return spent;
}

static void measure_register(const struct kind *k, char *p)
{
	struct figure reg = {}, unreg = {}, total = {};
	uint64_t later, t;
	unsigned long pages = opt.size / spapr_page_size();
	unsigned int r;

	for (r = 0; r < opt.repeat; r++) {
		least(&reg, time_register(p));
		t = time_unregister(p, &later);
		least(&unreg, t);
		least(&total, t + later);
	}
	row_insns("REGISTER", amount(k), &reg, pages, "page");
	row_insns(UNREGISTER_CALL, amount(k), &unreg, pages, "page");
	row_insns(UNREGISTER_ALL, amount(k), &total, pages, "page");
}

/* Operations are repeated for each kind of memory. */
static bool op_register(unsigned long kind)
{
	const struct kind *k = &kinds[kind];
	char *p = take(k, opt.size);

	if (!p)
		return false;
	open_container();
	measure_register(k, p);
	spapr_close(&s);
	release_memory(k, p, opt.size);
	return true;
}

static bool op_unpopulated(unsigned long unused)
{
	unsigned long pages = opt.size / spapr_page_size();
	const char *amount = size_text(opt.size);
	struct figure reg = {}, touched = {}, above = {};
	unsigned int r;
	uint64_t t;
	char *p;

	open_container();
	for (r = 0; r < opt.repeat; r++) {
		p = plain(opt.size, MADV_NOHUGEPAGE);
		least(&reg, time_register(p));
		MUST(__spapr_unregister(s.fd, p, opt.size));
		munmap(p, opt.size);
		p = plain(opt.size, MADV_NOHUGEPAGE);
		settle();
		t = start();
		touch(p, opt.size, spapr_page_size());
		least(&touched, since(t));
		munmap(p, opt.size);
	}
	row_insns("REGISTER", text("%s, not populated", amount), &reg, pages,
		  "page");
	row_insns("touch the memory", text("%s, for comparison", amount),
		  &touched, pages, "page");
	/* without allocating and clearing the pages */
	above.ticks = reg.ticks - touched.ticks;
	if (reg.ticks > touched.ticks)
		row_insns("REGISTER",
			  text("%s, not populated, above touching it", amount),
			  &above, pages, "page");
	spapr_close(&s);
	return true;
}

static bool op_second(unsigned long unused)
{
	struct figure reg = {}, unreg = {};
	struct spapr other;
	const char *params;
	unsigned int r;
	uint64_t t;
	char *p;

	if (spapr_nr_devices() < 2)
		return cannot("needs a second device, of another group");
	p = take(&kinds[0], opt.size);
	if (!p)
		return false;
	open_container();
	other = (struct spapr){ .fd = spapr_container_fd(), .group = {
		-1, -1, -1, -1 } };
	MUST(__spapr_attach(&other, 1));
	MUST(__spapr_ioctl(other.fd, VFIO_SET_IOMMU,
			   (void *)VFIO_SPAPR_TCE_v2_IOMMU));
	MUST(__spapr_register(other.fd, p, opt.size));
	for (r = 0; r < opt.repeat; r++) {
		least(&reg, time_register(p));
		settle();
		t = start();
		MUST(__spapr_unregister(s.fd, p, opt.size));
		least(&unreg, since(t));
	}
	params = text("%s that another container holds", size_text(opt.size));
	row_insns("REGISTER", params, &reg, 1, "call");
	row_insns(UNREGISTER_CALL, params, &unreg, 1, "call");
	MUST(__spapr_unregister(other.fd, p, opt.size));
	spapr_close(&other);
	spapr_close(&s);
	munmap(p, opt.size);
	return true;
}

/* ------------------------------------------------------------------ */
/* Many regions of one page */

static unsigned long region_size(void)
{
	unsigned long page = spapr_page_size(), iommu = 1UL << opt.page_shift;

	return page > iommu ? page : iommu;
}

/* Every second page, so that regions are not adjacent. */
static char *region(char *p, unsigned long i)
{
	return p + 2 * i * region_size();
}

static char *take_regions(unsigned long n)
{
	unsigned long size = 2 * n * region_size(), i;
	char *p;

	if ((unsigned long)sysconf(_SC_AVPHYS_PAGES) * spapr_page_size() <
	    n * region_size() + n * (64 * KIB) + 256 * MIB) {
		cannot("needs %lu MiB of free memory",
		       (n * (region_size() + 64 * KIB)) / MIB + 256);
		return NULL;
	}
	p = plain(size, MADV_NOHUGEPAGE);
	for (i = 0; p && i < n; i++)
		touch(region(p, i), region_size(), spapr_page_size());
	return p;
}

static uint64_t map_unmap(char *p)
{
	uint64_t t = start();

	MUST(__spapr_map(s.fd, window, p, 1UL << opt.page_shift, SPAPR_RW));
	MUST(__spapr_unmap(s.fd, window, 1UL << opt.page_shift));
	return since(t);
}

static void measure_regions_map(char *p, unsigned long n)
{
	unsigned long i, rounds = 16, at = 0;
	const char *of = text("of %lu regions", n);
	struct figure oldest = {}, any = {};

	map_unmap(p);
	settle();
	for (i = 0; i < rounds; i++)
		add(&oldest, map_unmap(p));
	row_average("MAP + UNMAP of a page", text("in the oldest %s", of),
		    &oldest, rounds, 1);
	if (n == 1)
		return;
	settle();
	for (i = 0; i < rounds; i++) {
		/* a stride that visits the regions in scattered order */
		at = (at + 2654435761UL) % n;
		add(&any, map_unmap(region(p, at)));
	}
	row_average("MAP + UNMAP of a page", text("in any %s", of), &any,
		    rounds, 1);
}

static void measure_regions(char *p, unsigned long n)
{
	const char *params = text("a page, average of %lu", n);
	struct figure reg = {}, unreg = {}, total;
	unsigned long i;
	uint64_t t;

	prepare_deferred();
	settle();
	t = start();
	for (i = 0; i < n; i++)
		MUST(__spapr_register(s.fd, region(p, i), region_size()));
	add(&reg, since(t));
	measure_regions_map(p, n);
	settle();
	t = start();
	for (i = 0; i < n; i++)
		MUST(__spapr_unregister(s.fd, region(p, i), region_size()));
	add(&unreg, since(t));
	total = unreg;
	add(&total, deferred_since(t));
	row_average("REGISTER", params, &reg, n, n);
	row_average(UNREGISTER_CALL, params, &unreg, n, n);
	/* deferring costs as much as a few regions */
	if (n >= 256)
		row_average(UNREGISTER_ALL, params, &total, n, n);
}

static bool op_regions(unsigned long n)
{
	char *p = take_regions(n);

	if (!p)
		return false;
	if (!open_window(GIB)) {
		munmap(p, 2 * n * region_size());
		return false;
	}
	/* the first one of a process costs more and is not one of the n */
	MUST(__spapr_register(s.fd, p, region_size()));
	MUST(__spapr_unregister(s.fd, p, region_size()));
	measure_regions(p, n);
	close_window();
	munmap(p, 2 * n * region_size());
	return true;
}

/* ------------------------------------------------------------------ */
/* Mapping */

static void measure_map_page(char *p)
{
	unsigned long page = 1UL << opt.page_shift;
	struct figure map = {}, unmap = {};
	unsigned int i, n = 16;
	uint64_t t;

	map_unmap(p);
	settle();
	for (i = 0; i < n; i++) {
		t = start();
		MUST(__spapr_map(s.fd, window, p, page, SPAPR_RW));
		add(&map, since(t));
		t = start();
		MUST(__spapr_unmap(s.fd, window, page));
		add(&unmap, since(t));
	}
	row_average("MAP", "a page", &map, n, 1);
	row_average("UNMAP", "a page", &unmap, n, 1);
}

static uint64_t time_map(char *p, unsigned long len)
{
	uint64_t t;

	settle();
	t = start();
	MUST(__spapr_map(s.fd, window, p, len, SPAPR_RW));
	return since(t);
}

static uint64_t time_unmap(unsigned long len)
{
	uint64_t t;

	settle();
	t = start();
	MUST(__spapr_unmap(s.fd, window, len));
	return since(t);
}

static void measure_map(const struct kind *k, char *p)
{
	struct figure map = {}, over = {}, unmap = {}, none = {};
	unsigned long n = tces(opt.size);
	unsigned int r;

	for (r = 0; r < opt.repeat; r++) {
		least(&map, time_map(p, opt.size));
		least(&over, time_map(p, opt.size));
		least(&unmap, time_unmap(opt.size));
		least(&none, time_unmap(opt.size));
	}
	row_insns("MAP", amount(k), &map, n, "TCE");
	row_insns("MAP over existing", amount(k), &over, n, "TCE");
	row_insns("UNMAP", amount(k), &unmap, n, "TCE");
	if (k == kinds)
		row_insns("UNMAP of nothing", size_text(opt.size), &none, n,
			  "TCE");
}

static bool op_map(unsigned long kind)
{
	const struct kind *k = &kinds[kind];
	char *p = take(k, opt.size);

	if (!p)
		return false;
	if (!open_window(4 * GIB)) {
		release_memory(k, p, opt.size);
		return false;
	}
	MUST(__spapr_register(s.fd, p, opt.size));
	if (k == kinds)
		measure_map_page(p);
	measure_map(k, p);
	MUST(__spapr_unregister(s.fd, p, opt.size));
	close_window();
	release_memory(k, p, opt.size);
	return true;
}

/* ------------------------------------------------------------------ */
/* Mapping ranges of all lengths, with IOMMU pages of a given size */

static void measure_range(char *p, unsigned long len)
{
	const char *params = text("%s, IOMMU pages of %s", size_text(len),
				  size_text(1UL << opt.page_shift));
	struct figure map = {}, over = {}, unmap = {};
	unsigned int r;

	for (r = 0; r < opt.repeat; r++) {
		least(&map, time_map(p, len));
		least(&over, time_map(p, len));
		least(&unmap, time_unmap(len));
	}
	row_insns("MAP of a range", params, &map, tces(len), "TCE");
	row_insns("MAP of a range over existing", params, &over, tces(len),
		  "TCE");
	row_insns("UNMAP of a range", params, &unmap, tces(len), "TCE");
}

static void measure_ranges(char *p)
{
	unsigned long len;

	measure_range(p, 1UL << opt.page_shift);
	for (len = 256 * KIB; len <= opt.size; len *= 4)
		measure_range(p, len);
}

static bool range_with_pages(void)
{
	char *p = take(&kinds[0], opt.size);

	if (!p)
		return false;
	if (!open_window(4 * GIB)) {
		munmap(p, opt.size);
		return false;
	}
	MUST(__spapr_register(s.fd, p, opt.size));
	map_unmap(p);
	measure_ranges(p);
	MUST(__spapr_unregister(s.fd, p, opt.size));
	close_window();
	munmap(p, opt.size);
	return true;
}

static bool op_range(unsigned long page_shift)
{
	unsigned int was = opt.page_shift;
	bool good;

	opt.page_shift = page_shift;
	good = range_with_pages();
	opt.page_shift = was;
	return good;
}

/* ------------------------------------------------------------------ */
/* Windows */

static bool op_window(unsigned long unused)
{
	const char *params = text("2^%d bytes, IOMMU pages of %s",
				  __builtin_ctzl(SPARSE_SIZE),
				  size_text(1UL << opt.page_shift));
	struct figure create = {}, clear = {}, remove = {};
	__u32 levels = 1;
	unsigned int r;
	uint64_t t;
	char *p;

	if (!open_window(SPARSE_SIZE))
		return false;
	/* UNMAP needs a process that has registered memory */
	p = take(&kinds[0], spapr_page_size());
	MUST(__spapr_register(s.fd, p, spapr_page_size()));
	MUST(__spapr_remove(s.fd, window));
	while (__spapr_create(s.fd, opt.page_shift, SPARSE_SIZE, levels,
			      &window))
		levels++;
	MUST(__spapr_remove(s.fd, window));
	for (r = 0; r < opt.repeat; r++) {
		settle();
		t = start();
		MUST(__spapr_create(s.fd, opt.page_shift, SPARSE_SIZE, levels,
				    &window));
		least(&create, since(t));
		settle();
		t = start();
		MUST(__spapr_unmap(s.fd, window, SPARSE_SIZE));
		least(&clear, since(t));
		settle();
		t = start();
		MUST(__spapr_remove(s.fd, window));
		least(&remove, since(t));
	}
	row_insns("create a window", params, &create, 1, "call");
	row_insns("UNMAP of all of an empty window", params, &clear, 1, "call");
	row_insns("remove an empty window", params, &remove, 1, "call");
	MUST(__spapr_unregister(s.fd, p, spapr_page_size()));
	spapr_close(&s);
	munmap(p, spapr_page_size());
	return true;
}

/* ------------------------------------------------------------------ */
/* Bookkeeping */

static long bytes_of_regions(char *p, unsigned long n, unsigned long step,
			     unsigned long size)
{
	struct kernel_memory before, after;
	unsigned long i;

	read_kernel_memory(&before);
	for (i = 0; i < n; i++)
		MUST(__spapr_register(s.fd, p + i * step, size));
	read_kernel_memory(&after);
	for (i = 0; i < n; i++)
		MUST(__spapr_unregister(s.fd, p + i * step, size));
	return bytes_between(&before, &after);
}

/* Other parts of the machine may allocate too: repeat until they do not. */
static bool measure_bytes(const char *params, char *p, unsigned long n,
			  unsigned long step, unsigned long size)
{
	char *other = take(&kinds[0], spapr_page_size());
	long bytes, before;
	int tries = 8;

	/* one-time allocations of a process do not count */
	MUST(__spapr_register(s.fd, other, spapr_page_size()));
	bytes = bytes_of_regions(p, n, step, size);
	do {
		before = bytes;
		bytes = bytes_of_regions(p, n, step, size);
	} while (bytes != before && --tries);
	MUST(__spapr_unregister(s.fd, other, spapr_page_size()));
	munmap(other, spapr_page_size());
	if (!tries)
		return cannot("no figure comes twice, the last was %ld", bytes);
	row("bookkeeping", params, (double)bytes / n, "bytes");
	return true;
}

static bool op_bytes(unsigned long kind)
{
	const struct kind *k = &kinds[kind];
	bool good;
	char *p;

	if (!open_kernel_memory())
		return false;
	p = take(k, opt.size);
	if (!p)
		return false;
	open_container();
	good = measure_bytes(amount(k), p, 1, 0, opt.size);
	spapr_close(&s);
	release_memory(k, p, opt.size);
	return good;
}

static bool op_bytes_regions(unsigned long unused)
{
	unsigned long n = 1024;
	bool good;
	char *p;

	if (!open_kernel_memory())
		return false;
	p = take_regions(n);
	if (!p)
		return false;
	open_container();
	good = measure_bytes(text("a region of a page, average of %lu", n), p,
			     n, 2 * region_size(), region_size());
	spapr_close(&s);
	munmap(p, 2 * n * region_size());
	return good;
}

/* ------------------------------------------------------------------ */
/* The end of a process */

/* State of the child that exits: memory, and optionally a container with it. */
enum leaving { NOTHING, REGISTERED, MAPPED, MAPPED_SPARSE };

struct note {
	uint64_t end;
	bool good;
};

/* In the child: nothing is released explicitly. */
static void leave(enum leaving what, struct note *note)
{
	char *p = plain(opt.size, MADV_NOHUGEPAGE);

	touch(p, opt.size, spapr_page_size());
	if (what == MAPPED || what == MAPPED_SPARSE) {
		if (!open_window(what == MAPPED ? 4 * GIB : SPARSE_SIZE))
			_exit(1);
	} else if (what == REGISTERED) {
		open_container();
	}
	if (what != NOTHING)
		MUST(__spapr_register(s.fd, p, opt.size));
	if (what == MAPPED || what == MAPPED_SPARSE)
		MUST(__spapr_map(s.fd, window, p, opt.size, SPAPR_RW));
	settle();
	note->good = true;
	note->end = start();
	_exit(0);
}

static bool time_exit(enum leaving what, struct figure *best)
{
	struct note *note = mmap(NULL, spapr_page_size(),
				 PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t t;
	pid_t pid;
	bool good;

	prepare_deferred();
	pid = fork();
	if (!pid)
		leave(what, note);
	waitpid(pid, NULL, 0);
	t = since(note->end);
	t += deferred_since(note->end);
	good = note->good;
	if (good)
		least(best, t);
	munmap(note, spapr_page_size());
	return good;
}

static bool op_exit(unsigned long what)
{
	static const char * const params[] = {
		[NOTHING] = ", no VFIO",
		[REGISTERED] = " registered",
		[MAPPED] = " mapped",
		[MAPPED_SPARSE] = " mapped in a window of 64 GiB",
	};
	unsigned long pages = opt.size / spapr_page_size();
	struct figure best = {};
	unsigned int r;

	for (r = 0; r < opt.repeat; r++)
		if (!time_exit(what, &best))
			return cannot("the window was refused");
	row_insns("exit in all, deferred work too",
		  text("%s%s", size_text(opt.size), params[what]), &best, pages,
		  "page");
	return true;
}

/* ------------------------------------------------------------------ */
/* Longest latency of other tasks */

static struct {
	atomic_bool stop;
	atomic_ulong late;	/* maximum, in ns */
	char *page;		/* of the thread that takes mmap_lock */
} watch;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SEC + t.tv_nsec;
}

/* Takes mmap_lock for writing. */
static void take_mmap_lock(void)
{
	static int prot = PROT_READ;

	prot ^= PROT_WRITE;
	must(mprotect(watch.page, spapr_page_size(), prot), "mprotect");
}

/*
 * Real-time thread that wakes up every 20 us, optionally takes mmap_lock, and
 * records its latency.
 */
static void *watch_thread(void *unused)
{
	struct timespec t;
	uint64_t due, late;

	while (!watch.stop) {
		due = now_ns() + 20 * USEC;
		t.tv_sec = due / SEC;
		t.tv_nsec = due % SEC;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		if (watch.page)
			take_mmap_lock();
		late = now_ns() - due;
		if (late > watch.late)
			watch.late = late;
	}
	return NULL;
}

static void start_watch(pthread_t *thread)
{
	struct sched_param p = { .sched_priority = 50 };
	pthread_attr_t attr;

	watch.stop = false;
	pthread_attr_init(&attr);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &p);
	must(-pthread_create(thread, &attr, watch_thread, NULL),
	     "a thread of real-time priority");
}

static void row_late(const char *params)
{
	pause_ms(1);
	row(watch.page ? "longest wait of a FIFO thread for mmap_lock" :
	    "longest wait of a FIFO thread", params, watch.late, "ns");
	watch.late = 0;
}

static void watch_all(const struct kind *k, char *p)
{
	const char *what = amount(k);

	watch.late = 0;
	pause_ms(300);
	if (k == kinds)
		row_late("beside nothing");
	watch.late = 0;
	MUST(__spapr_register(s.fd, p, opt.size));
	row_late(text("beside REGISTER of %s", what));
	MUST(__spapr_map(s.fd, window, p, opt.size, SPAPR_RW));
	row_late(text("beside MAP of %s", what));
	MUST(__spapr_unmap(s.fd, window, opt.size));
	row_late(text("beside UNMAP of %s", what));
	MUST(__spapr_unregister(s.fd, p, opt.size));
	pause_ms(300);
	row_late(text("beside UNREGISTER of %s", what));
}

/* @page: its protection is changed on each wakeup, or NULL */
static void watch_with(char *page, const struct kind *k, char *p)
{
	pthread_t thread;

	watch.page = page;
	start_watch(&thread);
	watch_all(k, p);
	watch.stop = true;
	pthread_join(thread, NULL);
	if (page)
		munmap(page, spapr_page_size());
}

static bool op_latency(unsigned long kind)
{
	const struct kind *k = &kinds[kind];
	char *p = take(k, opt.size);

	if (!p)
		return false;
	if (!open_window(4 * GIB)) {
		release_memory(k, p, opt.size);
		return false;
	}
	watch_with(NULL, k, p);
	watch_with(plain(spapr_page_size(), MADV_NOHUGEPAGE), k, p);
	close_window();
	release_memory(k, p, opt.size);
	return true;
}

/* ------------------------------------------------------------------ */
/* Selection and order of operations */

static struct op {
	const char *name;
	bool (*run)(unsigned long arg);
	unsigned long arg;
} ops[96];
static unsigned int nr_ops;

static void add_op(const char *name, bool (*run)(unsigned long),
		   unsigned long arg)
{
	if (nr_ops < ARRAY_SIZE(ops))
		ops[nr_ops++] = (struct op){ name, run, arg };
}

/* "hugetlb of 2 MiB" is hugetlb-2M in the name of an operation. */
static const char *short_name(const struct kind *k)
{
	static const char * const types[] = {
		[PLAIN] = "pages", [SCATTERED] = "scattered", [THP] = "thp",
		[HUGETLB] = "hugetlb",
	};

	if (k->type != HUGETLB)
		return types[k->type];
	if (k->page < GIB)
		return text("%s-%luM", types[k->type], k->page / MIB);
	return text("%s-%luG", types[k->type], k->page / GIB);
}

static void add_kind_ops(const char *name, bool (*run)(unsigned long))
{
	unsigned int i;

	for (i = 0; i < nr_kinds; i++)
		add_op(text("%s-%s", name, short_name(&kinds[i])), run, i);
}

static void add_number_ops(const char *name, bool (*run)(unsigned long),
			   unsigned int count)
{
	static const unsigned long n[] = { 1, 32, 256, 4096, 32768 };
	unsigned int i;

	for (i = 0; i < count; i++)
		add_op(text("%s-%lu", name, n[i]), run, n[i]);
}

static void add_hcall_ops(void)
{
	bench_hcall_setup(opt.page_shift, opt.repeat);
	add_op("hcall-null", bench_hcall_null, 0);
	add_op("hcall-put-none", bench_hcall_put, 0);
	add_number_ops("hcall-put", bench_hcall_put, 5);
	add_op("hcall-put-16M", bench_hcall_put_16m, 1);
	add_op("hcall-indirect-none", bench_hcall_indirect, 0);
	add_number_ops("hcall-indirect", bench_hcall_indirect, 4);
	add_op("hcall-stuff-none", bench_hcall_stuff, 0);
	add_number_ops("hcall-stuff", bench_hcall_stuff, 4);
}

/* Only on request: they are for an observer outside. */
static void add_lines_ops(void)
{
	unsigned long n = 4;

	bench_lines_setup(opt.page_shift);
	add_op("lines-register-1", bench_lines_register, 1);
	add_op("lines-map-1", bench_lines_map, 1);
	add_op("lines-hcall-1", bench_lines_hcall, 1);
	add_op("lines-register-4", bench_lines_register, n);
	add_op("lines-register-4-own", bench_lines_register,
	       n | LINES_OWN_WINDOW);
	add_op("lines-map-4", bench_lines_map, n);
	add_op("lines-map-4-own-regions", bench_lines_map,
	       n | LINES_OWN_REGION);
	add_op("lines-map-4-own-windows", bench_lines_map,
	       n | LINES_OWN_WINDOW);
	add_op("lines-map-4-own", bench_lines_map,
	       n | LINES_OWN_WINDOW | LINES_OWN_REGION);
	add_op("lines-hcall-4", bench_lines_hcall, n);
}

static void list_ops(void)
{
	if (opt.patterns && !strncmp(opt.patterns, LINES, strlen(LINES))) {
		add_lines_ops();
		return;
	}
	find_kinds();
	add_op("null", op_null, 0);
	add_kind_ops("register", op_register);
	add_op("register-unpopulated", op_unpopulated, 0);
	add_op("register-second", op_second, 0);
	add_number_ops("regions", op_regions, 5);
	add_kind_ops("map", op_map);
	if (opt.page_shift != 12)
		add_op("range-4K", op_range, 12);
	add_op("range", op_range, opt.page_shift);
	add_op("window", op_window, 0);
	add_kind_ops("bytes", op_bytes);
	add_op("bytes-regions", op_bytes_regions, 0);
	add_op("exit-nothing", op_exit, NOTHING);
	add_op("exit-registered", op_exit, REGISTERED);
	add_op("exit-mapped", op_exit, MAPPED);
	add_op("exit-sparse", op_exit, MAPPED_SPARSE);
	add_hcall_ops();
	add_kind_ops("latency", op_latency);
}

/* -t is a list of patterns with + between them; a word matches as a prefix. */
static bool wanted(const char *name)
{
	char *list, *one, *rest;
	bool found = !opt.patterns;

	if (found)
		return true;
	list = strdup(opt.patterns);
	for (one = strtok_r(list, "+", &rest); one && !found;
	     one = strtok_r(NULL, "+", &rest))
		found = !fnmatch(one, name, 0) ||
			!fnmatch(text("%s-*", one), name, 0);
	free(list);
	return found;
}

static int print_help(const char *name, int ret)
{
	fprintf(ret ? stderr : stdout,
		"usage: %s [-t OPERATION[+OPERATION]...] [-s MIB] [-r N] [-i SHIFT] [-l]\n"
		"Measures the calls of the sPAPR TCE container of VFIO, and the hypercalls\n"
		"that KVM serves.\n"
		"  -t  only these operations; patterns, or the beginning of names\n"
		"  -s  MiB of memory to register and to map (1024)\n"
		"  -r  how often to measure; the least counts (3)\n"
		"  -i  log2 of the size of the IOMMU pages (that of the kernel's pages)\n"
		"  -l  list the operations of this machine\n"
		"\n"
		"The unit is the instruction of the guest: the timebase under QEMU's\n"
		"-icount shift=0 with one CPU. Elsewhere nothing is measured. Instructions\n"
		"are not time: caches, and waits for a device or a hypervisor, cost none.\n"
		"Longest waits are in ns of the guest's clock, one for each instruction;\n"
		"bookkeeping is in bytes of kernel memory.\n"
		"\n"
		"The output is TAP, with lines of words between tabs:\n"
		"  row OPERATION PARAMETERS VALUE UNIT COUNT OF-WHAT INTERVAL CALLS\n"
		"VALUE is for all of the COUNT things that one call does.\n"
		"\n"
		"Needs root and QEMU's edu device, bound to vfio-pci;\n"
		"%s.\n",
		name, SPAPR_HOW_TO_BIND);
	return ret;
}

static bool parse(int argc, char **argv, bool *list)
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "t:s:r:i:lh", longs, NULL)) != -1) {
		switch (c) {
		case 't':
			opt.patterns = optarg;
			break;
		case 's':
			opt.size = strtoul(optarg, NULL, 0) * MIB;
			break;
		case 'r':
			opt.repeat = strtoul(optarg, NULL, 0);
			break;
		case 'i':
			opt.page_shift = strtoul(optarg, NULL, 0);
			break;
		case 'l':
			*list = true;
			break;
		case 'h':
			exit(print_help(argv[0], 0));
		default:
			return false;
		}
	}
	return optind == argc && opt.size && opt.repeat;
}

static void run(const struct op *op)
{
	fflush(stdout);
	/* let the reader of the output finish */
	pause_ms(1000);
	if (op->run(op->arg))
		ksft_test_result_pass("%s\n", op->name);
	else
		ksft_test_result_skip("%s: %s\n", op->name, bench_why);
}

int main(int argc, char **argv)
{
	unsigned int i, n = 0;
	bool list = false;

	if (!parse(argc, argv, &list))
		return print_help(argv[0], 2);
	if (!opt.page_shift)
		opt.page_shift = spapr_page_shift();
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	list_ops();
	for (i = 0; i < nr_ops; i++) {
		if (!wanted(ops[i].name))
			continue;
		n++;
		if (list)
			puts(ops[i].name);
	}
	if (list)
		return 0;
	ksft_print_header();
	if (geteuid() || !spapr_nr_devices())
		ksft_exit_skip("needs root and a device; %s\n",
			       SPAPR_HOW_TO_BIND);
	if (!n)
		ksft_exit_skip("no operation here is %s\n", opt.patterns);
	ksft_set_plan(n);
	if (strncmp(ops[0].name, LINES, strlen(LINES)) && !calibrate())
		ksft_exit_skip("needs QEMU with -icount shift=0, and one CPU\n");
	for (i = 0; i < nr_ops; i++)
		if (wanted(ops[i].name))
			run(&ops[i]);
	ksft_finished();
}
