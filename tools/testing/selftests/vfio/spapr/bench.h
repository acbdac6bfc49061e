/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Instruction clock, output, memory of all kinds, and kernel memory accounting
 * of the benchmarks.
 *
 * For QEMU with "-icount shift=0" and one CPU: the timebase then counts
 * instructions, and the figures are the same on any machine. A loop of known
 * length measures the number of instructions per tick. If the loop does not
 * take the same number of ticks each time, nothing is measured.
 *
 * The clock runs during interrupts, so each measurement starts just after a
 * timer tick: code that is shorter than the timer period is not interrupted.
 * Longer code is measured several times, and the least is taken. Nothing is
 * printed during a measurement, because the reader of the output would run as
 * well.
 */
#ifndef SELFTESTS_VFIO_BENCH_H
#define SELFTESTS_VFIO_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "../../kselftest.h"
#include "kvm_tce_guest.h"

#define KIB		1024UL
#define MIB		(1024 * KIB)
#define GIB		(1024 * MIB)

/* ------------------------------------------------------------------ */
/* The clock, in ticks of the timebase */

extern uint64_t bench_empty;	/* between two reads */

static inline uint64_t ticks(void)
{
	uint64_t t;

	asm volatile("mftb %0" : "=r" (t) : : "memory");
	return t;
}

bool calibrate(void);
double insns(uint64_t t);
void pause_ms(long ms);
void settle(void);
void prepare_deferred(void);
uint64_t deferred_since(uint64_t start);

/* A measured time in ticks, and the number of its interval, from 1. */
struct figure {
	uint64_t ticks;
	unsigned long interval;
};

extern unsigned long bench_interval;

/*
 * Markers for external tools: conditional traps that never trigger, before and
 * after the measured code.
 */
static inline void mark_start(void)
{
	asm volatile("twi 0, 0, %0" : : "i" (MARK_START) : "memory");
}

static inline void mark_end(void)
{
	asm volatile("twi 0, 0, %0" : : "i" (MARK_END) : "memory");
}

static inline uint64_t start(void)
{
	mark_start();
	return ticks();
}

/* Ticks since @from, without those of the clock itself. */
static inline uint64_t since(uint64_t from)
{
	uint64_t t = ticks() - from;

	mark_end();
	bench_interval++;
	return t > bench_empty ? t - bench_empty : 0;
}

void least(struct figure *f, uint64_t t);
void add(struct figure *f, uint64_t t);

/* ------------------------------------------------------------------ */
/* Output of rows, and of the reason if there is none */

extern char bench_why[256];

void row(const char *op, const char *params, double value, const char *unit);
void row_insns(const char *op, const char *params, const struct figure *f,
	       unsigned long count, const char *what);
void row_average(const char *op, const char *params, const struct figure *f,
		 unsigned long n, unsigned long calls);
__printf(1, 2) const char *text(const char *fmt, ...);
const char *size_text(unsigned long size);
__printf(1, 2) bool cannot(const char *fmt, ...);
void must(int ret, const char *what);

#define MUST(call)	must(call, #call)

/* ------------------------------------------------------------------ */
/* Memory of all kinds */

struct kind {
	const char *name;	/* for display */
	unsigned long page;	/* kind of pages */
	enum { PLAIN, SCATTERED, THP, HUGETLB } type;
};

#define MAX_KINDS	8

extern struct kind kinds[MAX_KINDS];
extern unsigned int nr_kinds;

void find_kinds(void);
void take_remainders(void);
char *plain(unsigned long size, int advice);
void touch(char *p, unsigned long size, unsigned long step);
char *take(const struct kind *k, unsigned long size);
void release_memory(const struct kind *k, char *p, unsigned long size);

/* ------------------------------------------------------------------ */
/* Hypercalls of a guest */

/* Each opens a guest of its own with @regions regions; 0: without a device. */
void bench_hcall_setup(unsigned int page_shift, unsigned int repeat);
bool bench_hcall_null(unsigned long unused);
bool bench_hcall_put(unsigned long regions);
bool bench_hcall_put_16m(unsigned long regions);
bool bench_hcall_indirect(unsigned long regions);
bool bench_hcall_stuff(unsigned long regions);

/* ------------------------------------------------------------------ */
/* Cache lines: single calls, of several processors in turn */

#define LINES_CPUS		0xffUL
#define LINES_OWN_WINDOW	0x100UL
#define LINES_OWN_REGION	0x200UL

void bench_lines_setup(unsigned int page_shift);
bool bench_lines_map(unsigned long how);
bool bench_lines_register(unsigned long how);
bool bench_lines_hcall(unsigned long cpus);

/* ------------------------------------------------------------------ */
/* Memory of the kernel */

struct kernel_memory {
	long objects;	/* bytes */
	long slabs;	/* pages */
	long free;	/* pages */
};

bool open_kernel_memory(void);
void read_kernel_memory(struct kernel_memory *m);
long bytes_between(const struct kernel_memory *a,
		   const struct kernel_memory *b);

#endif
