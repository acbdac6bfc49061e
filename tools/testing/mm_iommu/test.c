// SPDX-License-Identifier: GPL-2.0
/*
 * Runs tests in turn, each from the same seed, and reports in TAP format.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "test.h"
#include "kselftest.h"

/* Where to continue after a failed check; for the thread that runs the test. */
static jmp_buf test_escape;
static __thread bool test_running;

void test_fail(const char *file, int line, const char *cond)
{
	if (!test_running)
		shim_die(file, line, cond);
	ksft_print_msg("%s:%d: not true: %s\n", file, line, cond);
	longjmp(test_escape, 1);
}

void rng_init(struct rng *rng, unsigned long seed)
{
	/* any state except 0 */
	rng->state = seed * 0x9e3779b97f4a7c15ULL ? : 1;
}

u64 rng_next(struct rng *rng)
{
	u64 x = rng->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	rng->state = x;
	return (x * 0x2545f4914f6cdd1dULL) >> 8;
}

unsigned long setting(const char *name, unsigned long preset)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : preset;
}

unsigned long steps(void)
{
	return setting("STEPS", 1000000);
}

void *test_alloc(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (!p)
		ksft_exit_fail_msg("no memory for the test\n");
	return p;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static bool test_run(const struct test *test, unsigned long seed)
{
	struct rng rng;

	rng_init(&rng, seed);
	shim_irqs_off = false;
	shim_slab_fail(0, false);
	shim_slab.objects = 0;
	shim_slab.bytes = 0;
	test_running = true;
	if (setjmp(test_escape))
		return false;

	test->run(&rng);
	check(!shim_irqs_off);
	check(!shim_slab.objects);
	check(!shim_slab.bytes);
	return true;
}

static bool test_is_wanted(const struct test *test)
{
#ifdef __SANITIZE_THREAD__
	return test->threads;
#else
	return true;
#endif
}

int test_main(const struct test *tests, unsigned int nr)
{
	unsigned long seed = setting("SEED", 1);
	unsigned int i, plan = 0;
	double start;
	bool ok;

	for (i = 0; i < nr; i++)
		plan += test_is_wanted(&tests[i]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!seed)
		seed = time(NULL);

	ksft_print_header();
	ksft_set_plan(plan);
	ksft_print_msg("SEED=%lu, pages of %lu bytes\n", seed, PAGE_SIZE);
	for (i = 0; i < nr; i++) {
		if (!test_is_wanted(&tests[i]))
			continue;
		start = now();
		ok = test_run(&tests[i], seed);
		ksft_test_result(ok, "%s (%.1f s)\n", tests[i].name,
				 now() - start);
		if (!ok && setting("STOP", 0))
			break;
	}
	/* skip the leak report after a failure, it adds nothing */
	if (ksft_get_fail_cnt()) {
		ksft_print_cnts();
		_exit(KSFT_FAIL);
	}
	ksft_finished();
}
