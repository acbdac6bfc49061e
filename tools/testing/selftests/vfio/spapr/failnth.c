// SPDX-License-Identifier: GPL-2.0-only
/* Injects a failure into the n-th allocation of the calling thread. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "failnth.h"
#include "libspapr.h"

#define DEBUGFS		"/sys/kernel/debug"

static int fail_nth = -1;

static bool set(const char *file, const char *value)
{
	return !spapr_write(file, value);
}

/* All allocations count, including GFP_KERNEL ones and single pages. */
bool failnth_begin(void)
{
	fail_nth = open("/proc/self/fail-nth", O_RDWR);
	return fail_nth >= 0 &&
	       set(DEBUGFS "/failslab/ignore-gfp-wait", "N") &&
	       set(DEBUGFS "/failslab/verbose", "0") &&
	       set(DEBUGFS "/fail_page_alloc/ignore-gfp-wait", "N") &&
	       set(DEBUGFS "/fail_page_alloc/ignore-gfp-highmem", "N") &&
	       set(DEBUGFS "/fail_page_alloc/min-order", "0") &&
	       set(DEBUGFS "/fail_page_alloc/verbose", "0");
}

/* Finds the addresses of a kernel function and of the next one. */
static bool find_function(const char *wanted, unsigned long *start,
			  unsigned long *end)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	unsigned long at;
	char name[256];

	*start = 0;
	*end = -1UL;
	while (f && fscanf(f, "%lx %*c %255s%*[^\n]", &at, name) == 2)
		if (!strcmp(name, wanted))
			*start = at;
	if (f)
		rewind(f);
	while (*start && fscanf(f, "%lx %*c %255s%*[^\n]", &at, name) == 2)
		if (at > *start && at < *end)
			*end = at;
	if (f)
		fclose(f);
	return *start;
}

bool failnth_spare(const char *function)
{
	unsigned long start, end;
	char from[32], to[32];

	if (!find_function(function, &start, &end))
		return false;
	snprintf(from, sizeof(from), "0x%lx", start);
	snprintf(to, sizeof(to), "0x%lx", end);
	return set(DEBUGFS "/failslab/reject-start", from) &&
	       set(DEBUGFS "/failslab/reject-end", to) &&
	       set(DEBUGFS "/fail_page_alloc/reject-start", from) &&
	       set(DEBUGFS "/fail_page_alloc/reject-end", to);
}

bool failnth_arm(unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	return pwrite(fail_nth, text, len, 0) == len;
}

bool failnth_disarm(void)
{
	char text[16] = "";
	/* the kernel counts down to 0 */
	bool reached = pread(fail_nth, text, sizeof(text) - 1, 0) > 0 &&
		       !atoi(text);

	if (pwrite(fail_nth, "0", 1, 0) != 1)
		abort();
	return reached;
}
