// SPDX-License-Identifier: GPL-2.0
/*
 * The model of a translation, and the comparison with it. Slow and plain.
 */
#include <stdlib.h>

#include "model.h"

void layout_init(struct layout *l, unsigned long ua)
{
	l->ua = ua;
	l->end = ua;
	l->nr = 0;
	l->max = 16;
	l->runs = test_alloc(l->max, sizeof(*l->runs));
}

void layout_add(struct layout *l, unsigned long hpa, unsigned long len)
{
	if (l->nr == l->max) {
		l->max *= 2;
		l->runs = realloc(l->runs, l->max * sizeof(*l->runs));
		check(l->runs);
	}
	l->runs[l->nr++] = (struct run){ l->end, hpa, len };
	l->end += len;
}

void layout_free(struct layout *l)
{
	free(l->runs);
}

/* Some page; 2^51 bytes are what a POWER9 can address. */
static unsigned long random_hpa(struct rng *rng, unsigned int shift)
{
	return rng_below(rng, 1UL << (51 - shift)) << shift;
}

static unsigned long random_pages(struct rng *rng, unsigned int max)
{
	return (1 + rng_below(rng, max)) << PAGE_SHIFT;
}

/* A block aligned in host addresses as at @ua, from there to its end. */
static unsigned long random_block(struct rng *rng, unsigned long ua,
				  unsigned long *hpa)
{
	static const unsigned char shifts[] = { 21, 21, 24, 24, 30, 34 };
	unsigned int shift = shifts[rng_below(rng, ARRAY_SIZE(shifts))];
	unsigned long mask = BIT(shift) - 1;

	*hpa = random_hpa(rng, shift) | (ua & mask);
	return mask + 1 - (ua & mask) + rng_below(rng, 3) * (mask + 1);
}

static unsigned long random_run(struct rng *rng, unsigned long ua,
				unsigned long delta, unsigned long *hpa)
{
	switch (rng_below(rng, 8)) {
	case 0:
	case 1:
		/* goes on behind a page that is elsewhere */
		*hpa = ua + delta;
		return random_pages(rng, 4096);
	case 2:
	case 3:
		*hpa = random_hpa(rng, PAGE_SHIFT);
		return PAGE_SIZE;
	case 4:
		/* contiguous, but not aligned alike: a shifted huge page */
		*hpa = random_hpa(rng, PAGE_SHIFT);
		return random_pages(rng, 1024);
	default:
		return random_block(rng, ua, hpa);
	}
}

void layout_random(struct layout *l, struct rng *rng, unsigned long ua,
		   unsigned long bytes)
{
	unsigned long end = ua + bytes, len, hpa;
	/* from user to host addresses, here and as long as nothing breaks it */
	unsigned long delta = BIT(50) - (ua & ~(BIT(34) - 1));

	layout_init(l, ua);
	while (ua < end) {
		len = min(random_run(rng, ua, delta, &hpa), end - ua);
		if (!rng_below(rng, 8))
			hpa ^= MODEL_READONLY;
		layout_add(l, hpa, len);
		if (len > PAGE_SIZE)
			delta = hpa - ua;
		ua += len;
	}
}

unsigned long layout_hpa(const struct layout *l, unsigned long ua)
{
	unsigned int low = 0, high = l->nr, mid;

	while (high - low > 1) {
		mid = (low + high) / 2;
		if (l->runs[mid].ua <= ua)
			low = mid;
		else
			high = mid;
	}
	return l->runs[low].hpa + (ua - l->runs[low].ua);
}

void pages_init(struct pages *p, const struct layout *l)
{
	const struct run *run = l->runs;
	unsigned long i, addr;

	p->ua = l->ua;
	p->nr = (l->end - l->ua) >> PAGE_SHIFT;
	p->hpa = test_alloc(p->nr, sizeof(*p->hpa));
	p->left = test_alloc(p->nr, sizeof(*p->left));
	p->run = test_alloc(p->nr, sizeof(*p->run));
	p->dirty = test_alloc(p->nr, sizeof(*p->dirty));

	for (i = 0; i < p->nr; i++) {
		addr = p->ua + (i << PAGE_SHIFT);
		if (addr == run->ua + run->len)
			run++;
		p->hpa[i] = run->hpa + (addr - run->ua);
	}
	for (i = p->nr; i-- > 0; ) {
		p->left[i] = 1;
		p->run[i] = 1;
		if (i + 1 == p->nr)
			continue;
		if (p->hpa[i + 1] == p->hpa[i] + PAGE_SIZE)
			p->left[i] += p->left[i + 1];
		if (!((p->hpa[i + 1] ^ (p->hpa[i] + PAGE_SIZE)) &
		      MM_IOMMU_ADDR))
			p->run[i] += p->run[i + 1];
	}
}

void pages_free(struct pages *p)
{
	free(p->hpa);
	free(p->left);
	free(p->run);
	free(p->dirty);
}

/*
 * The least memory that a table can take, found by trying all: granules, and
 * in each that is broken pieces of one size.
 */
static const unsigned char model_shifts[] = { PAGE_SHIFT, 21, 24, 30, 34 };

/* What the code under test allocates in one go, at most. */
#define MODEL_MAX_GRANULES	32768
#define MODEL_MAX_LEAF		8192

static bool pages_are_blocks(const struct pages *p, unsigned long ua,
			     unsigned long end, unsigned int shift)
{
	unsigned long next, i;

	for (; ua < end; ua = next) {
		next = min(((ua >> shift) + 1) << shift, end);
		i = (ua - p->ua) >> PAGE_SHIFT;
		if (p->left[i] < (next - ua) >> PAGE_SHIFT ||
		    (ua ^ p->hpa[i]) & (BIT(shift) - 1))
			return false;
	}
	return true;
}

static unsigned long pages_entries(unsigned long ua, unsigned long end,
				   unsigned int shift)
{
	return ((end - 1) >> shift) - (ua >> shift) + 1;
}

static unsigned long pages_granule_bytes(const struct pages *p,
					 unsigned long ua, unsigned long end,
					 unsigned int i)
{
	unsigned long leaf;

	if (pages_are_blocks(p, ua, end, model_shifts[i]))
		return sizeof(u64);
	while (--i)
		if (pages_are_blocks(p, ua, end, model_shifts[i]))
			break;
	leaf = pages_entries(ua, end, model_shifts[i]) * sizeof(u64);
	return leaf > MODEL_MAX_LEAF ? ULONG_MAX : leaf + sizeof(u64);
}

static unsigned long pages_bytes(const struct pages *p, unsigned int i)
{
	unsigned long ua = p->ua, end = ua + (p->nr << PAGE_SHIFT), next;
	unsigned int shift = model_shifts[i];
	unsigned long bytes = 0, more;

	if (pages_entries(ua, end, shift) > MODEL_MAX_GRANULES)
		return ULONG_MAX;
	for (; ua < end; ua = next) {
		next = min(((ua >> shift) + 1) << shift, end);
		more = pages_granule_bytes(p, ua, next, i);
		if (more == ULONG_MAX)
			return ULONG_MAX;
		bytes += more;
	}
	return bytes;
}

unsigned long pages_least_bytes(const struct pages *p)
{
	unsigned long least = ULONG_MAX;
	unsigned int i;

	/* granules of one page are for small regions only */
	for (i = p->nr > 512; i < ARRAY_SIZE(model_shifts); i++)
		least = min(least, pages_bytes(p, i));
	return least;
}

void pages_mark_dirty(struct pages *p, unsigned long ua, unsigned long size)
{
	unsigned long i = (ua - p->ua) >> PAGE_SHIFT;
	unsigned long last = (ua + size - 1 - p->ua) >> PAGE_SHIFT;

	for (; i <= last; i++)
		p->dirty[i] = true;
}

/* A run of a few pages is entered as such: as memory without order would be. */
static int trans_enter_run(struct mm_iommu_trans *trans, unsigned long ua,
			   unsigned long hpa, unsigned long len)
{
	unsigned long i, nr = len >> PAGE_SHIFT;
	struct page *pages[4];
	long n;

	if (nr > ARRAY_SIZE(pages))
		return mm_iommu_trans_add(trans, ua, hpa, len);

	for (i = 0; i < nr; i++)
		pages[i] = shim_page((hpa & MM_IOMMU_ADDR) + (i << PAGE_SHIFT));
	for (i = 0; i < nr; i += n, ua += n << PAGE_SHIFT) {
		n = mm_iommu_trans_add_pages(trans, ua, pages + i, nr - i,
					     hpa & MM_IOMMU_READONLY);
		if (n < 0)
			return n;
		check(n && n <= nr - i);
	}
	return 0;
}

/*
 * Builds a translation from a layout, in steps of at most @step bytes, up to
 * but without mm_iommu_trans_finish(). @end is where it failed, if it did; all
 * before that was added.
 */
int trans_enter(struct mm_iommu_trans *trans, const struct layout *l,
		unsigned long step, unsigned long *end)
{
	unsigned long npages = (l->end - l->ua) >> PAGE_SHIFT;
	unsigned long done, len;
	unsigned int i;
	int ret = 0;

	*end = l->ua;
	mm_iommu_trans_init(trans, l->ua, npages);
	for (i = 0; !ret && i < l->nr; i++) {
		for (done = 0; done < l->runs[i].len; done += len) {
			len = min(step, l->runs[i].len - done);
			ret = trans_enter_run(trans, *end,
					      l->runs[i].hpa + done, len);
			if (ret)
				break;
			*end += len;
		}
	}
	return ret;
}

/* A run of up to @size bytes must be @len bytes long, and begin at @hpa. */
void trans_check_addr(const struct mm_iommu_trans *trans, unsigned long ua,
		      unsigned long size, unsigned long hpa, unsigned long len)
{
	u64 at = 0;

	check(mm_iommu_trans_run(trans, ua, size, &at) == len);
	check((at & ~MM_IOMMU_DIRTY) == hpa);
}

/*
 * Compares one entry, and what is said about the memory behind it, of which
 * @nr pages were added.
 */
static void trans_check_entry(const struct mm_iommu_trans *trans,
			      const struct pages *p, unsigned long nr,
			      unsigned long i, unsigned long offset)
{
	unsigned long ua = p->ua + (i << PAGE_SHIFT) + offset;
	unsigned long end = p->ua + (nr << PAGE_SHIFT);
	unsigned long left = (p->left[i] << PAGE_SHIFT) - offset;
	unsigned long len;
	u64 at = 0;

	len = mm_iommu_trans_entry(trans, ua, &at);
	check((at & ~MM_IOMMU_DIRTY) == p->hpa[i] + offset);
	check(len > 0 && min(len, end - ua) <= left);
}

static void trans_check_run(const struct mm_iommu_trans *trans,
			    const struct pages *p, unsigned long i,
			    unsigned long offset, unsigned long size)
{
	unsigned long ua = p->ua + (i << PAGE_SHIFT) + offset;
	unsigned long left = (p->run[i] << PAGE_SHIFT) - offset;
	unsigned long hpa = p->hpa[i] + offset, k;

	size = min(size, left);
	for (k = i; k <= i + ((offset + size - 1) >> PAGE_SHIFT); k++)
		hpa |= p->hpa[k] & MODEL_READONLY;
	trans_check_addr(trans, ua, size, hpa, size);
}

/* Compares the first @nr pages, which must have been added. */
void trans_check_pages(const struct mm_iommu_trans *trans,
		       const struct pages *p, unsigned long nr,
		       struct rng *rng)
{
	unsigned long i, offset, size;

	for (i = 0; i < nr; i++) {
		offset = rng_below(rng, PAGE_SIZE);
		size = 1 + rng_below(rng, 3 * PAGE_SIZE);
		size = min(size, ((nr - i) << PAGE_SHIFT) - offset);
		trans_check_entry(trans, p, nr, i, offset);
		trans_check_run(trans, p, i, offset, size);

		/* from the start of each run as far as it goes, and beyond */
		if (!i || p->run[i - 1] == 1)
			trans_check_run(trans, p, i, 0,
					(nr - i) << PAGE_SHIFT);
	}
}

/* Whether an IOMMU page inside the region is one block of memory. */
static bool pages_have_block(const struct pages *p, unsigned long ua,
			     unsigned int shift)
{
	unsigned long i = (ua - p->ua) >> PAGE_SHIFT, size = BIT(shift);
	unsigned long end = p->ua + (p->nr << PAGE_SHIFT);

	if (shift <= PAGE_SHIFT)
		return ua + size <= end;
	return ua >= p->ua && ua < end && end - ua >= size &&
	       p->run[i] >= size >> PAGE_SHIFT &&
	       !(p->hpa[i] & MM_IOMMU_ADDR & (size - 1));
}

/* IOMMU pages of one size, as many from @ua on as can be mapped, up to @max. */
static void trans_check_fill_at(struct mm_iommu_trans *trans,
				const struct pages *p, unsigned long ua,
				unsigned int shift, unsigned long max)
{
	unsigned long n = 0, i, at;
	__be64 *out = test_alloc(max + 1, sizeof(*out));

	while (n < max && pages_have_block(p, ua + (n << shift), shift))
		n++;
	out[n] = ~0ULL;
	if (n)
		mm_iommu_trans_fill(trans, ua, n, shift, 3, 0, out);
	for (i = 0; i < n; i++) {
		at = ua + (i << shift);
		check((be64_to_cpu(out[i]) ^ 3) ==
		      (p->hpa[(at - p->ua) >> PAGE_SHIFT] & MM_IOMMU_ADDR) +
		      (at & (PAGE_SIZE - 1)));
	}
	check(out[n] == ~0ULL);
	free(out);
}

/* Compares what is said of IOMMU pages of all sizes, here and there. */
void trans_check_fill(struct mm_iommu_trans *trans,
		      const struct pages *p, struct rng *rng)
{
	static const unsigned char shifts[] = { 12, PAGE_SHIFT, 16, 21, 24 };
	unsigned long bytes = p->nr << PAGE_SHIFT, ua;
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(shifts); i++) {
		/* pages of the MMU and smaller go anywhere, others where one is */
		for (k = 0; k < 4; k++) {
			ua = p->ua + rng_below(rng, bytes);
			if (k && shifts[i] > PAGE_SHIFT)
				ua = p->ua + rng_below(rng, k << shifts[i]) %
				     bytes + BIT(shifts[i]) - 1;
			trans_check_fill_at(trans, p,
					    ua & ~(BIT(shifts[i]) - 1),
					    shifts[i],
					    1 + rng_below(rng, 700));
		}
	}
}

/* The same for regions of any size: the ends of the runs, and some inside. */
void trans_check_runs(const struct mm_iommu_trans *trans,
		      const struct layout *l, struct rng *rng)
{
	unsigned long offset, len;
	unsigned int i, k;
	u64 at;

	for (i = 0; i < l->nr; i++) {
		for (k = 0; k < 4; k++) {
			offset = k == 0 ? 0 : k == 1 ? l->runs[i].len - 1 :
				 rng_below(rng, l->runs[i].len);
			len = mm_iommu_trans_entry(trans,
						   l->runs[i].ua + offset, &at);
			check(at == l->runs[i].hpa + offset);
			check(len > 0);
			at += len - 1;
			check(at == layout_hpa(l, l->runs[i].ua + offset +
						len - 1));
		}
	}
}

/* An entry is dirty if a page of it was marked, and only then. */
void trans_check_dirty(const struct mm_iommu_trans *trans,
		       const struct pages *p)
{
	unsigned long i = 0, n;
	bool want;
	u64 at;

	while (i < p->nr) {
		n = mm_iommu_trans_entry(trans, p->ua + (i << PAGE_SHIFT),
					 &at) >> PAGE_SHIFT;
		check(n && n <= p->nr - i);
		check((at & ~MM_IOMMU_DIRTY) == p->hpa[i]);
		for (want = false; n; n--)
			want |= p->dirty[i++];
		check(!!(at & MM_IOMMU_DIRTY) == want);
	}
}
