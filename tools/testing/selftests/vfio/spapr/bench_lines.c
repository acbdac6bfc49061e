// SPDX-License-Identifier: GPL-2.0-only
/*
 * Single calls, one after another, by one processor or by several in turn: for
 * whoever counts from outside which cache lines they touch, and which of them come
 * from another processor. The program itself measures nothing and needs no clock.
 *
 * A thread is bound to each processor, and waits until it is its turn. So a call
 * never meets another one, and what it takes from other processors is the same each
 * time: what they have written when it was their turn.
 *
 * Each row is a line of words between tabs:
 *
 *	lines OPERATION PARAMETERS FIRST STEP N
 *
 * The marked intervals FIRST, FIRST + STEP, ... are N calls that are alike. What
 * each processor does first is none of them.
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
#define ROUNDS		8	/* that do */
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

static void put_lines(const char *op, const char *params, unsigned long first,
		      unsigned long step)
{
	printf("lines\t%s\t%s\t%lu\t%lu\t%u\n", op, params, first, step,
	       ROUNDS * nr_workers);
}

/* A row of each of @ops, whose intervals come in this order in each call. */
static void measure(void (*call)(struct worker *w), const char * const *ops,
		    unsigned int n, const char *params)
{
	unsigned long first;
	unsigned int i;

	for (i = 0; i < WARM; i++)
		each(call);
	first = bench_interval + 1;
	for (i = 0; i < ROUNDS; i++)
		each(call);
	for (i = 0; i < n; i++)
		put_lines(ops[i], params, first + i, n);
}

static void measure_one(void (*call)(struct worker *w), const char *op,
			const char *params)
{
	measure(call, &op, 1, params);
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

static void call_map_unmap(struct worker *w)
{
	int ret;

	mark_start();
	ret = map(w);
	if (!ret)
		ret = unmap(w);
	marked(ret);
}

static void call_map(struct worker *w)
{
	mark_start();
	marked(map(w));
	mark_start();
	marked(unmap(w));
}

static void call_register(struct worker *w)
{
	mark_start();
	marked(__spapr_register(w->s->fd, w->page, spapr_page_size()));
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

/* Each processor has a page of its own; so that no two of them are neighbours. */
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
	static const char * const ops[] = { "MAP", "UNMAP" };
	const char *params = text("one page, %s", which(own_window, own_region));

	measure(call_map, ops, 2, params);
	measure_one(call_map_unmap, "MAP + UNMAP of a page",
		    which(own_window, own_region));
}

/* No page is registered by two, so that each call has all of the work to do. */
static void measure_register(bool own)
{
	static const char * const ops[] = { "REGISTER", "UNREGISTER" };
	const char *params = processors();

	if (nr_workers > 1)
		params = text("%s, %s", params, own ? "own containers" :
			      "one container");
	measure(call_register, ops, 2, text("one page, %s", params));
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
	if (nr_workers == 1)
		measure_one(call_null, "null ioctl", "VFIO_GET_API_VERSION");
	measure_register(own);
}

/* @how: the number of processors, and what each of them has for itself */
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

static struct hcall at(struct worker *w, unsigned long nr, unsigned long third,
		       unsigned long n)
{
	return (struct hcall){
		.nr = nr, .count = 1,
		.arg = { GUEST_LIOBN, g.window + (w->nr * APART << shift),
			 third, n },
	};
}

/* The guest's program makes an interval of each. */
static void hcall(struct worker *w, struct hcall h, long answer)
{
	MUST(vm_hcall(&g.vm.cpu[w->nr], &h) == answer ? 0 : -EIO);
	bench_interval++;
}

static void call_h_null(struct worker *w)
{
	hcall(w, (struct hcall){ .nr = H_PROD, .arg = { -1UL }, .count = 1 },
	      H_PARAMETER);
}

static void call_put(struct worker *w)
{
	hcall(w, at(w, H_PUT_TCE, BUFFER | TCE_RW, 0), H_SUCCESS);
	hcall(w, at(w, H_PUT_TCE, 0, 0), H_SUCCESS);
}

static void call_list(struct worker *w)
{
	hcall(w, at(w, H_PUT_TCE_INDIRECT, LIST, LIST_LEN), H_SUCCESS);
	hcall(w, at(w, H_STUFF_TCE, 0, LIST_LEN), H_SUCCESS);
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
	static const char * const puts[] = { "H_PUT_TCE", "H_PUT_TCE clear" };
	static const char * const lists[] = {
		"H_PUT_TCE_INDIRECT", "H_STUFF_TCE"
	};
	const char *who = processors();

	measure_one(call_h_null, "null hypercall",
		    text("H_PROD of no processor, %s", who));
	measure(call_put, puts, 2, text("one page, %s", who));
	measure(call_list, lists, 2, text("512 adjacent, %s", who));
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
