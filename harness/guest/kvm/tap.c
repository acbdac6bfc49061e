// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tap.h"

struct tap tap;

bool is(bool good, const char *fmt, ...)
{
	va_list ap;

	printf("%s %u %s: ", good ? "ok" : "not ok", ++tap.tests, tap.about);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	if (!good)
		tap.failed++;
	return good;
}

bool must(bool good, const char *what)
{
	if (!good)
		printf("# %s\n", tap.why);
	return is(good, "%s", what);
}

void skip(const char *what, const char *why)
{
	printf("ok %u %s: %s # SKIP %s\n", ++tap.tests, tap.about, what, why);
}

static bool is_wanted(const char *names, const char *name)
{
	size_t len = strlen(name);
	const char *at = names;

	while (at && strncmp(at, name, len))
		at = strchr(at, '+') ? strchr(at, '+') + 1 : NULL;
	return !names || (at && (!at[len] || at[len] == '+'));
}

bool run_cases(const struct tap_case *cases, size_t nr, int argc, char **argv)
{
	bool some = argc == 3 && !strcmp(argv[1], "-t");
	const char *names = some ? argv[2] : NULL;
	unsigned int n = 0;
	const char *why;
	bool ok = true;
	size_t i;

	for (i = 0; ok && i < nr; i++) {
		if (!is_wanted(names, cases[i].name))
			continue;
		n++;
		tap.about = cases[i].name;
		why = cases[i].missing ? cases[i].missing() : NULL;
		if (why)
			skip("the case", why);
		else
			ok = cases[i].call();
	}
	if (!n)
		printf("Bail out! there is no case %s\n", names);
	return n && ok;
}
