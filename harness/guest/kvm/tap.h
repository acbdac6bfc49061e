/* SPDX-License-Identifier: GPL-2.0 */
/* Results as TAP, and the cases that a program is asked for. */
#ifndef HARNESS_KVM_TAP_H
#define HARNESS_KVM_TAP_H

#include <stdbool.h>
#include <stddef.h>

struct tap {
	unsigned int tests;
	unsigned int failed;
	const char *about;	/* current step, or the name of the case */
	const char *why;	/* printed by must() when it fails */
};

extern struct tap tap;

bool is(bool good, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A result that the rest of the case depends on. */
bool must(bool good, const char *what);

void skip(const char *what, const char *why);

struct tap_case {
	const char *name;
	bool (*call)(void);
	const char *(*missing)(void);	/* unmet requirement, or NULL */
};

/* All cases, or with "-t NAME[+NAME...]" some of them, until one is false. */
bool run_cases(const struct tap_case *cases, size_t nr, int argc, char **argv);

#endif
