// SPDX-License-Identifier: GPL-2.0
/*
 * Interprets bytes as a region of memory and as operations on its translation,
 * and compares the results with the model. With clang it is a target for
 * libFuzzer, otherwise a program that takes a file of such inputs.
 */
#include <stdio.h>
#include <stdlib.h>

#include "model.h"
#include "kselftest.h"

#define FUZZ_UA		BIT(44)
#define FUZZ_HPA	BIT(45)
#define FUZZ_MAX_PAGES	8192UL

struct input {
	const unsigned char *data;
	size_t size;
};

/* The next @n bytes as a number; bytes after the last are 0. */
static unsigned long take(struct input *in, unsigned int n)
{
	unsigned long value = 0;
	unsigned int i;

	for (i = 0; i < n && in->size; i++, in->size--)
		value |= (unsigned long)*in->data++ << (8 * i);
	return value;
}

static void fuzz_add(struct layout *l, unsigned long hpa, unsigned long npages)
{
	unsigned long left = FUZZ_MAX_PAGES - ((l->end - l->ua) >> PAGE_SHIFT);

	npages = min(npages, left);
	if (npages)
		layout_add(l, hpa, npages << PAGE_SHIFT);
}

/*
 * One run or a few. @delta: distance of the last block from its user address,
 * to continue it.
 */
static void fuzz_run(struct layout *l, struct input *in, unsigned long *delta)
{
	static const unsigned char shifts[] = { 21, 24, 30, 34 };
	unsigned long op = take(in, 1), n = take(in, 2) + 1, mask;

	/* from here on memory is read-only, or writable again */
	if (op == 255)
		*delta ^= MODEL_READONLY;

	switch (op & 7) {
	case 0:
	case 1:
		fuzz_add(l, l->end + *delta, n);
		break;
	case 2:
		fuzz_add(l, take(in, 3) << PAGE_SHIFT, n);
		break;
	case 3:
		/* every other page is located elsewhere */
		for (n = n % 64 + 1; n; n--) {
			fuzz_add(l, n << PAGE_SHIFT, 1);
			fuzz_add(l, l->end + *delta, 1);
		}
		break;
	default:
		mask = BIT(shifts[op & 3]) - 1;
		*delta = FUZZ_HPA + (op >> 3) * (mask + 1) -
			 (l->end & ~mask);
		fuzz_add(l, l->end + *delta, n);
		break;
	}
}

static void fuzz_layout(struct layout *l, struct input *in)
{
	unsigned long delta = FUZZ_HPA - FUZZ_UA;

	layout_init(l, FUZZ_UA + (take(in, 3) << PAGE_SHIFT));
	do {
		fuzz_run(l, in, &delta);
	} while (in->size);
}

static void fuzz_mark(struct mm_iommu_trans *trans, struct pages *p,
		      unsigned long mark)
{
	trans_mark(trans, p, p->ua + mark % (p->nr << PAGE_SHIFT));
	trans_check_dirty(trans, p);
}

static void fuzz_one(struct input *in)
{
	unsigned long nth = take(in, 1), step = take(in, 1);
	unsigned long mark = take(in, 3), end, n;
	struct mm_iommu_trans trans;
	struct layout l;
	struct rng rng;
	struct pages p;
	int ret;

	rng_init(&rng, mark);
	fuzz_layout(&l, in);
	pages_init(&p, &l);

	shim_slab_fail(nth & 127, nth & 128);
	ret = trans_enter(&trans, &l, step ? step << PAGE_SHIFT : ULONG_MAX,
			  &end);
	n = (end - l.ua) >> PAGE_SHIFT;
	check(ret || n == p.nr);
	if (!ret)
		ret = mm_iommu_trans_finish(&trans);
	shim_slab_fail(0, false);
	check(!ret || (nth && ret == -ENOMEM));
	trans_check_pages(&trans, &p, n, &rng);
	if (!ret) {
		trans_check_fill(&trans, &p, &rng);
		fuzz_mark(&trans, &p, mark);
		trans_check_fill(&trans, &p, &rng);
	}

	mm_iommu_trans_free(&trans);
	check(!shim_slab.objects && !shim_slab.bytes);
	pages_free(&p);
	layout_free(&l);
}

/* Under the name that libFuzzer calls. */
int fuzz_input(const unsigned char *data, size_t size)
	__asm__("LLVMFuzzerTestOneInput");

int fuzz_input(const unsigned char *data, size_t size)
{
	struct input in = { data, size };

	fuzz_one(&in);
	return 0;
}

#ifndef LIBFUZZER

/* One line of the corpus: bytes in hex. */
static void fuzz_line(const char *line)
{
	unsigned char data[256];
	struct input in = { data };
	unsigned int byte;

	while (in.size < sizeof(data) && sscanf(line, "%2x", &byte) == 1) {
		data[in.size++] = byte;
		line += 2;
	}
	fuzz_one(&in);
}

/* Replays the corpus given as argument; exits if an input fails. */
int main(int argc, char **argv)
{
	FILE *f = argc == 2 ? fopen(argv[1], "r") : NULL;
	char line[514];
	int n = 0;

	ksft_print_header();
	ksft_set_plan(1);
	if (!f)
		ksft_exit_fail_msg("usage: fuzz_trans corpus.txt\n");
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#')
			continue;
		fuzz_line(line);
		n++;
	}
	fclose(f);
	ksft_test_result(n, "%d inputs of the corpus\n", n);
	ksft_finished();
}

#endif /* !LIBFUZZER */
