// SPDX-License-Identifier: GPL-2.0-only
/*
 * Single calls, one after another, by one processor or by several in turn, for
 * an outside observer that counts the cache lines they touch, and those of them
 * that come from another processor. The program itself measures nothing and
 * needs no clock.
 *
 * A thread is bound to each processor, and waits until it is its turn. So a
 * call never meets another one, and the cache lines it takes from other
 * processors are the same each time: those written in their last turns.
 *
 * Each row is a line of words between tabs:
 *
 *	lines OPERATION PARAMETERS FIRST STEP ROUNDS N
 *
 * In ROUNDS rounds N marked intervals are calls that are alike: those from
 * FIRST on, from FIRST + STEP on, and so on. The first calls of each processor
 * do not count.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "bench.h"
#include "libkvm_tce.h"

#define MAX_WORKERS	VM_MAX_CPUS
#define WARM		3	/* calls of each processor that do not count */
#define CALLS		48	/* of all of them that do */
#define WINDOW		GIB
#define LIST		0x20000UL
#define LIST_LEN	512UL
#define BUFFER		(32 * MIB)
#define GUEST_SIZE	(80 * MIB)
/* Entries of a table from those of one processor to those of the next. */
#define APART		1024UL

static unsigned int shift;	/* of the IOMMU pages */

void bench_lines_setup(unsigned int page_shift)
{
	shift = page_shift;
}

/* ------------------------------------------------------------------ */
/* Processors that take turns */

struct worker {
	pthread_t thread;
	unsigned int nr;
	sem_t turn;
	void (*call)(struct worker *w);	/* NULL: the end */
	/* of MAP and REGISTER */
	struct spapr *s;
	__u64 iova;
	char *page;
};

static struct worker workers[MAX_WORKERS];
static unsigned int nr_workers;
static sem_t done;

static void bind_to(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	must(sched_setaffinity(0, sizeof(set), &set) ? -errno : 0,
	     "sched_setaffinity");
}

static void *work(void *arg)
{
	struct worker *w = arg;

	bind_to(w->nr);
	for (;;) {
		sem_wait(&w->turn);
		if (!w->call)
			return NULL;
		w->call(w);
		sem_post(&done);
	}
}

static void start_workers(unsigned int n)
{
	unsigned int i;

	sem_init(&done, 0, 0);
	for (i = 0; i < n; i++) {
		workers[i] = (struct worker){ .nr = i };
		sem_init(&workers[i].turn, 0, 0);
		must(-pthread_create(&workers[i].thread, NULL, work,
				     &workers[i]), "pthread_create");
	}
	nr_workers = n;
}

static void let(struct worker *w, void (*call)(struct worker *w))
{
	w->call = call;
	sem_post(&w->turn);
	if (call)
		sem_wait(&done);
}

static void stop_workers(void)
{
	unsigned int i;

	for (i = 0; i < nr_workers; i++) {
		let(&workers[i], NULL);
		pthread_join(workers[i].thread, NULL);
	}
}

static void each(void (*call)(struct worker *w))
{
	unsigned int i;

	for (i = 0; i < nr_workers; i++)
		let(&workers[i], call);
}

static const char *processors(void)
{
	return text("%u CPU%s", nr_workers, nr_workers > 1 ? "s" : "");
}

/* A call, and its opposite for the next round; each must be one interval. */
struct op {
	const char *name;
	void (*call)(struct worker *w);
};

static void each_op(const struct op *ops, unsigned int n, unsigned int rounds)
{
	unsigned int i;

	while (rounds--)
		for (i = 0; i < n; i++)
			each(ops[i].call);
}

static void measure(const struct op *ops, unsigned int n, const char *params)
{
	unsigned int rounds = CALLS / nr_workers, i;
	unsigned long first;

	each_op(ops, n, WARM);
	first = bench_interval + 1;
	each_op(ops, n, rounds);
	for (i = 0; i < n; i++)
		printf("lines\t%s\t%s\t%lu\t%u\t%u\t%u\n", ops[i].name, params,
		       first + i * nr_workers, n * nr_workers, rounds,
		       nr_workers);
}

static bool need_processors(unsigned int n)
{
	if (n <= MAX_WORKERS && (long)n <= sysconf(_SC_NPROCESSORS_ONLN))
		return true;
	return cannot("needs %u processors", n);
}

/* ------------------------------------------------------------------ */
/* Calls of containers */

static void marked(int ret)
{
	mark_end();
	bench_interval++;
	MUST(ret);
}

static void call_null(struct worker *w)
{
	mark_start();
	ioctl(w->s->fd, VFIO_GET_API_VERSION);
	marked(0);
}

static int map(struct worker *w)
{
	return __spapr_map(w->s->fd, w->iova, w->page, 1UL << shift, SPAPR_RW);
}

static int unmap(struct worker *w)
{
	return __spapr_unmap(w->s->fd, w->iova, 1UL << shift);
}

/* The next entry of the window leads somewhere, or nowhere. */
static void map_next(struct worker *w)
{
	MUST(__spapr_map(w->s->fd, w->iova + (1UL << shift), w->page,
			 1UL << shift, SPAPR_RW));
}

static void unmap_next(struct worker *w)
{
	MUST(__spapr_unmap(w->s->fd, w->iova + (1UL << shift), 1UL << shift));
}

static void call_map(struct worker *w)
{
	mark_start();
	marked(map(w));
}

static void call_unmap(struct worker *w)
{
	mark_start();
	marked(unmap(w));
}

static void call_map_unmap(struct worker *w)
{
	int ret;

	mark_start();
	ret = map(w);
	if (!ret)
		ret = unmap(w);
	marked(ret);
}

static void call_register(struct worker *w)
{
	mark_start();
	marked(__spapr_register(w->s->fd, w->page, spapr_page_size()));
}

static void call_unregister(struct worker *w)
{
	mark_start();
	marked(__spapr_unregister(w->s->fd, w->page, spapr_page_size()));
}

/* ------------------------------------------------------------------ */
/* Containers and memory: for all in common, or for each */

static struct spapr containers[MAX_WORKERS];
static unsigned int nr_containers;

static int open_one(struct spapr *s, unsigned int device, __u64 *window)
{
	struct vfio_iommu_spapr_tce_info info;
	int ret = __spapr_open_with(s, VFIO_SPAPR_TCE_v2_IOMMU, device);

	if (ret)
		return ret;
	ret = __spapr_info(s->fd, &info);
	if (!ret)
		ret = __spapr_remove(s->fd, info.dma32_window_start);
	return ret ? : __spapr_create_rising(s->fd, shift, WINDOW,
					     info.ddw.levels, window);
}

static void close_containers(void)
{
	while (nr_containers)
		spapr_close(&containers[--nr_containers]);
}

static bool open_containers(bool own)
{
	unsigned int n = own ? nr_workers : 1, i;
	__u64 window = 0;
	int ret;

	if (n > spapr_nr_devices())
		return cannot("needs %u devices, each of a group of its own",
			      n);
	for (i = 0; i < nr_workers; i++) {
		if (i < n) {
			ret = open_one(&containers[i], i, &window);
			if (ret)
				return cannot("a window of device %u: %s", i,
					      strerror(-ret));
			nr_containers++;
		}
		workers[i].s = &containers[own ? i : 0];
		workers[i].iova = window + (i * APART << shift);
	}
	return true;
}

/* Each processor has a page of its own; no two of them are adjacent. */
static char *give_pages(void)
{
	unsigned long size = MAX_WORKERS * 2 * MIB, i;
	char *p = plain(size, MADV_NOHUGEPAGE);

	touch(p, size, spapr_page_size());
	for (i = 0; i < nr_workers; i++)
		workers[i].page = p + i * 2 * MIB;
	return p;
}

static void register_all(char *p, bool own)
{
	unsigned int i;

	for (i = 0; own && i < nr_workers; i++)
		MUST(__spapr_register(workers[i].s->fd, workers[i].page,
				      1UL << shift));
	for (i = 0; !own && i < nr_containers; i++)
		MUST(__spapr_register(containers[i].fd, p,
				      MAX_WORKERS * 2 * MIB));
}

static const char *which(bool own_window, bool own_region)
{
	if (nr_workers == 1)
		return "1 CPU";
	return text("%s, %s, %s", processors(),
		    own_window ? "own windows" : "one window",
		    own_region ? "own regions" : "one region");
}

static void measure_map(bool own_window, bool own_region)
{
	static const struct op ops[] = {
		{ "MAP", call_map }, { "UNMAP", call_unmap }
	};
	static const struct op both = {
		"MAP + UNMAP of a page", call_map_unmap
	};
	const char *what = which(own_window, own_region);

	measure(ops, 2, text("one page, %s", what));
	measure(&both, 1, what);
	each(map_next);
	measure(ops, 2, text("one page beside another, %s", what));
	measure(&both, 1, text("beside another, %s", what));
	each(unmap_next);
}

/* No page is registered by two, so that each call has all of the work to do. */
static void measure_register(bool own)
{
	static const struct op ops[] = {
		{ "REGISTER", call_register }, { "UNREGISTER", call_unregister }
	};
	const char *params = processors();

	if (nr_workers > 1)
		params = text("%s, %s", params, own ? "own containers" :
			      "one container");
	measure(ops, 2, text("one page, %s", params));
}

static bool with_containers(unsigned int n, bool own_window,
			    void (*run)(bool own_window, bool own_region),
			    bool own_region, bool registered)
{
	bool good;
	char *p;

	if (!need_processors(n))
		return false;
	start_workers(n);
	p = give_pages();
	good = open_containers(own_window);
	if (good && registered)
		register_all(p, own_region);
	if (good)
		run(own_window, own_region);
	close_containers();
	stop_workers();
	munmap(p, MAX_WORKERS * 2 * MIB);
	return good;
}

static void run_register(bool own, bool unused)
{
	static const struct op null = { "null ioctl", call_null };

	if (nr_workers == 1)
		measure(&null, 1, "VFIO_GET_API_VERSION");
	measure_register(own);
}

/* @how: the number of processors, and their private resources */
bool bench_lines_map(unsigned long how)
{
	return with_containers(how & LINES_CPUS, how & LINES_OWN_WINDOW,
			       measure_map, how & LINES_OWN_REGION, true);
}

bool bench_lines_register(unsigned long how)
{
	return with_containers(how & LINES_CPUS, how & LINES_OWN_WINDOW,
			       run_register, false, false);
}

/* ------------------------------------------------------------------ */
/* Hypercalls: the processors of one guest, which has one window */

static struct guest g;

static struct tce_hcall at(struct worker *w, unsigned long nr,
			   unsigned long third, unsigned long n)
{
	return (struct tce_hcall){
		.nr = nr, .count = 1,
		.arg = { GUEST_LIOBN, g.window + (w->nr * APART << shift),
			 third, n },
	};
}

/* The guest's program makes an interval of each. */
static void make_hcall(struct worker *w, struct tce_hcall h, long answer)
{
	MUST(vm_hcall(&g.vm.cpu[w->nr], &h) == answer ? 0 : -EIO);
	bench_interval++;
}

static void call_h_null(struct worker *w)
{
	struct tce_hcall h = { .nr = H_PROD, .arg = { -1UL }, .count = 1 };

	make_hcall(w, h, H_PARAMETER);
}

static void put_next(struct worker *w)
{
	struct tce_hcall h = at(w, H_PUT_TCE, BUFFER | TCE_RW, 0);

	h.arg[1] += 1UL << shift;
	make_hcall(w, h, H_SUCCESS);
}

static void call_put(struct worker *w)
{
	make_hcall(w, at(w, H_PUT_TCE, BUFFER | TCE_RW, 0), H_SUCCESS);
}

static void call_clear(struct worker *w)
{
	make_hcall(w, at(w, H_PUT_TCE, 0, 0), H_SUCCESS);
}

static void call_indirect(struct worker *w)
{
	make_hcall(w, at(w, H_PUT_TCE_INDIRECT, LIST, LIST_LEN), H_SUCCESS);
}

static void call_stuff(struct worker *w)
{
	make_hcall(w, at(w, H_STUFF_TCE, 0, LIST_LEN), H_SUCCESS);
}

static void write_list(void)
{
	__u64 *tce = (__u64 *)(g.mem + LIST);
	unsigned long i;

	for (i = 0; i < LIST_LEN; i++)
		tce[i] = htobe64((BUFFER + (i << shift)) | TCE_RW);
}

static void measure_hcalls(void)
{
	static const struct op null = { "null hypercall", call_h_null };
	static const struct op puts[] = {
		{ "H_PUT_TCE", call_put }, { "H_PUT_TCE clear", call_clear }
	};
	static const struct op lists[] = {
		{ "H_PUT_TCE_INDIRECT", call_indirect },
		{ "H_STUFF_TCE", call_stuff }
	};
	const char *who = processors();

	measure(&null, 1, text("H_PROD of no processor, %s", who));
	measure(puts, 2, text("one page, %s", who));
	measure(lists, 2, text("512 adjacent, %s", who));
	each(put_next);
	measure(puts, 2, text("one page beside another, %s", who));
}

bool bench_lines_hcall(unsigned long n)
{
	struct guest_config config = {
		.size = GUEST_SIZE, .nr_cpus = n, .window = WINDOW,
		.shift = shift, .hw_shift = shift,
	};
	const char *missing = vm_missing();
	int ret;

	if (missing)
		return cannot("%s", missing);
	if (!need_processors(n))
		return false;
	ret = __guest_open(&g, &config);
	if (ret)
		return cannot("a guest with a device: %s", strerror(-ret));
	write_list();
	start_workers(n);
	measure_hcalls();
	stop_workers();
	guest_close(&g);
	return true;
}
