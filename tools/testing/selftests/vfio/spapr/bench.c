// SPDX-License-Identifier: GPL-2.0-only
/* Instruction clock and output of the benchmarks, see bench.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

/*
 * Largest normal gap between two clock reads, in ticks; a larger one is an
 * interrupt.
 */
#define GAP		64
/* Deferred work of a call is done after this number of timer ticks. */
#define LATER_TICKS	20
#define MSEC		1000000L

/* ------------------------------------------------------------------ */
/* The clock */

uint64_t bench_empty;
unsigned long bench_interval;

static double per_tick;		/* instructions */
static uint64_t period;		/* ticks between two timer interrupts */
static uint64_t idle_stolen;	/* by the timer, when the machine is idle */

void pause_ms(long ms)
{
	struct timespec t = {
		.tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * MSEC,
	};

	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

/* Reads the clock until an interrupt; returns the time after it. */
static uint64_t until_interrupt(void)
{
	uint64_t last = ticks(), now = ticks();

	while (now - last < GAP) {
		last = now;
		now = ticks();
	}
	return now;
}

/* Waits until all deferred work is done and a timer tick has just passed. */
void settle(void)
{
	pause_ms(300);
	until_interrupt();
}

/*
 * Returns the ticks stolen by interrupts while this loop only reads the clock.
 */
static uint64_t stolen_until(uint64_t end)
{
	uint64_t last = ticks(), now, sum = 0;

	while ((now = ticks()) < end) {
		if (now - last >= GAP)
			sum += now - last;
		last = now;
	}
	return sum;
}

/*
 * Returns the ticks stolen from @start, just after a timer tick, to LATER_TICKS
 * ticks after the next one. The end is half a period after a tick, so that the
 * number of ticks is deterministic.
 */
static uint64_t stolen_since(uint64_t start)
{
	uint64_t past = (ticks() - start) / period;

	return stolen_until(start + (past + 1 + LATER_TICKS) * period +
			    period / 2);
}

/* Must be called before the call that deferred_since() measures. */
void prepare_deferred(void)
{
	if (idle_stolen)
		return;
	settle();
	idle_stolen = stolen_since(ticks());
}

/*
 * Returns the deferred work of a call that has returned and was started at
 * @start, just after a timer tick.
 */
uint64_t deferred_since(uint64_t start)
{
	uint64_t stolen = stolen_since(start);

	return stolen > idle_stolen ? stolen - idle_stolen : 0;
}

static uint64_t loop(unsigned long n)
{
	uint64_t t;

	settle();
	t = ticks();
	asm volatile("mtctr %0; 1: bdnz 1b" : : "r" (n) : "ctr");
	return ticks() - t;
}

/* Returns the longest of several periods: other interrupts may shorten one. */
static uint64_t timer_period(void)
{
	uint64_t last = until_interrupt(), now, most = 0;
	int i;

	for (i = 0; i < 4; i++) {
		now = until_interrupt();
		if (now - last > most)
			most = now - last;
		last = now;
	}
	return most;
}

/* Whether the timebase counts instructions. */
bool calibrate(void)
{
	unsigned long n = 1000000;
	uint64_t t = loop(n), again = loop(n);

	/* a tick is two instructions, so the phase is random */
	if (t > again + 1 || again > t + 1)
		return false;
	/* loop overhead cancels out */
	per_tick = n / (double)(loop(2 * n) - t);
	settle();
	t = ticks();
	bench_empty = ticks() - t;
	period = timer_period();
	ksft_print_msg("%.0f ticks are %.0f instructions\n",
		       1000 / per_tick, 1000.0);
	return true;
}

double insns(uint64_t t)
{
	return t * per_tick;
}

/* ------------------------------------------------------------------ */
/* Rows and operations */

static void put_row(const char *op, const char *params, double value,
		    const char *unit, unsigned long count, const char *what,
		    unsigned long interval, unsigned long calls)
{
	printf("row\t%s\t%s\t%.*f\t%s\t%lu\t%s\t%lu\t%lu\n", op, params,
	       value < 10000 ? 1 : 0, value, unit, count, what, interval,
	       calls);
}

/* Prints a value that is not measured in an interval. */
void row(const char *op, const char *params, double value, const char *unit)
{
	put_row(op, params, value, unit, 1, "", 0, 1);
}

/* Prints the cost of one call that does the same to @count things. */
void row_insns(const char *op, const char *params, const struct figure *f,
	       unsigned long count, const char *what)
{
	put_row(op, params, insns(f->ticks), "instructions", count, what,
		f->interval, 1);
}

/* Prints the average of @n calls, @calls of them in one interval. */
void row_average(const char *op, const char *params, const struct figure *f,
		 unsigned long n, unsigned long calls)
{
	put_row(op, params, insns(f->ticks) / n, "instructions", 1, "call",
		f->interval, calls);
}

/* Returns a formatted string that is never freed. */
const char *text(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = "";
	va_end(ap);
	return s;
}

const char *size_text(unsigned long size)
{
	if (size >= GIB && !(size % GIB))
		return text("%lu GiB", size / GIB);
	if (size >= MIB && !(size % MIB))
		return text("%lu MiB", size / MIB);
	return text("%lu KiB", size / KIB);
}

/* Reason why an operation cannot be measured here; the last one is reported. */
char bench_why[256];

bool cannot(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(bench_why, sizeof(bench_why), fmt, ap);
	va_end(ap);
	return false;
}

/* A call that must succeed, or the figure would be that of an error path. */
void must(int ret, const char *what)
{
	if (ret)
		ksft_exit_fail_msg("%s: %d (%s)\n", what, ret,
				   strerror(ret < 0 ? -ret : 0));
}

/* Keeps the least of several measurements, which has no interruptions in it. */
void least(struct figure *f, uint64_t t)
{
	if (!f->interval || t < f->ticks)
		*f = (struct figure){ t, bench_interval };
}

void add(struct figure *f, uint64_t t)
{
	*f = (struct figure){ f->ticks + t, bench_interval };
}
