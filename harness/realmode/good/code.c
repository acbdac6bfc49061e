// SPDX-License-Identifier: GPL-2.0
#include "../kernel.h"

/* All that is allowed: data, other objects, functions without a TOC, loops. */
int other(int a);

static int calls;
static const int table[] = { 3, 1, 4, 1, 5, 9, 2, 6 };

static noinline int same_name(int a)
{
	return a > 1 ? a * same_name(a - 2) : table[a & 7];
}

static __cold int in_another_section(int a)
{
	return a * 3;
}

int entry(char *to, const char *from, int a)
{
	calls++;
	if (a > 7)
		return in_another_section(a);
	memcpy(to, from, a);
	return same_name(a) + other(a);
}

int second_entry(int a)
{
	return entry((char *)0, (char *)0, a);
}

/* Not from here. */
int not_in_real_mode(int a)
{
	_printk("%d\n", a);
	WARN();
	return same_name(a);
}
