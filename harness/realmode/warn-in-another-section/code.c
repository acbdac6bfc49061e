// SPDX-License-Identifier: GPL-2.0
#include "../kernel.h"

/* It needs no TOC, so its callers name its section and its place there. */
static __cold int beside(int a)
{
	return a * 5;
}

static __cold int unlikely(int a)
{
	WARN();
	return a * 3;
}

int entry(int a)
{
	return a > 7 ? unlikely(a) : a + 1;
}

int not_in_real_mode(int a)
{
	return beside(a);
}
