// SPDX-License-Identifier: GPL-2.0
/*
 * Model of a translation, and the comparison with it. Simple and slow.
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

/* A random page; a POWER9 can address 2^51 bytes. */
static unsigned long random_hpa(struct rng *rng, unsigned int shift)
{
	return rng_below(rng, 1UL << (51 - shift)) << shift;
}

static unsigned long random_pages(struct rng *rng, unsigned int max)
{
	return (1 + rng_below(rng, max)) << PAGE_SHIFT;
}

/* A block with the same alignment in host addresses as @ua, up to its end. */
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
		/* continues the block after a page that is elsewhere */
		*hpa = ua + delta;
		return random_pages(rng, 4096);
	case 2:
	case 3:
		*hpa = random_hpa(rng, PAGE_SHIFT);
		return PAGE_SIZE;
	case 4:
		/* contiguous, but aligned differently: a shifted huge page */
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
	/* offset of host from user addresses; kept while the runs continue */
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

/*
 * Order of the block of page @i: the largest one that is contiguous and
 * aligned, under the assumption that memory continues in the same way before
 * and after the region.
 */
static unsigned int pages_block(const struct pages *p, unsigned long i)
{
	unsigned long first = p->first[i], end = i + p->left[i], mask;
	unsigned long ua = p->ua + (i << PAGE_SHIFT);
	unsigned int order = PAGE_SHIFT;

	for (; order < MODEL_MAX_ORDER; order++) {
		mask = BIT(order + 1) - 1;
		if ((ua ^ p->hpa[i]) & mask)
			break;
		if (first && (ua & ~mask) < p->ua + (first << PAGE_SHIFT))
			break;
		if (end < p->nr && (ua | mask) >= p->ua + (end << PAGE_SHIFT))
			break;
	}
	return order;
}

void pages_init(struct pages *p, const struct layout *l)
{
	const struct run *run = l->runs;
	unsigned long i, addr;

	p->ua = l->ua;
	p->nr = (l->end - l->ua) >> PAGE_SHIFT;
	p->hpa = test_alloc(p->nr, sizeof(*p->hpa));
	p->left = test_alloc(p->nr, sizeof(*p->left));
	p->first = test_alloc(p->nr, sizeof(*p->first));
	p->order = test_alloc(p->nr, sizeof(*p->order));
	p->dirty = test_alloc(p->nr, sizeof(*p->dirty));

	for (i = 0; i < p->nr; i++) {
		addr = p->ua + (i << PAGE_SHIFT);
		if (addr == run->ua + run->len)
			run++;
		p->hpa[i] = run->hpa + (addr - run->ua);
		p->first[i] = i && p->hpa[i] == p->hpa[i - 1] + PAGE_SIZE ?
			      p->first[i - 1] : i;
	}
	for (i = p->nr; i-- > 0; )
		p->left[i] = i + 1 < p->nr && p->first[i + 1] == p->first[i] ?
			     p->left[i + 1] + 1 : 1;
	for (i = 0; i < p->nr; i++)
		p->order[i] = pages_block(p, i);
}

void pages_free(struct pages *p)
{
	free(p->hpa);
	free(p->left);
	free(p->first);
	free(p->order);
	free(p->dirty);
}

void pages_mark_dirty(struct pages *p, unsigned long ua, unsigned long size)
{
	unsigned long i = (ua - p->ua) >> PAGE_SHIFT;
	unsigned long last = (ua + size - 1 - p->ua) >> PAGE_SHIFT;

	for (; i <= last; i++)
		p->dirty[i] = true;
}

/*
 * Short runs are added as an array of pages, together with the pages of the
 * runs that follow, as scattered order-0 pages would be.
 */
static int trans_enter_pages(struct mm_iommu_trans *trans,
			     const struct layout *l, unsigned long *end)
{
	struct page *pages[1024];
	u64 marks = layout_hpa(l, *end) & MODEL_READONLY;
	unsigned long hpa, nr = 0, first = trans->added;
	int ret;

	for (; nr < ARRAY_SIZE(pages); nr++) {
		if (*end + (nr << PAGE_SHIFT) >= l->end)
			break;
		hpa = layout_hpa(l, *end + (nr << PAGE_SHIFT));
		if ((hpa ^ marks) & MODEL_READONLY)
			break;
		pages[nr] = shim_page(hpa & MM_IOMMU_ADDR);
	}
	ret = mm_iommu_trans_add_pages(trans, pages, nr, marks);
	check(ret ? trans->added - first < nr : trans->added - first == nr);
	*end += (trans->added - first) << PAGE_SHIFT;
	return ret;
}

/*
 * Builds a translation from a layout, in steps of at most @step bytes, or page
 * by page if it is 0, but does not call mm_iommu_trans_finish(). On failure
 * @end is where it failed; everything before that was added.
 */
int trans_enter(struct mm_iommu_trans *trans, const struct layout *l,
		unsigned long step, unsigned long *end)
{
	unsigned long npages = (l->end - l->ua) >> PAGE_SHIFT, len;
	const struct run *run = l->runs;
	int ret = 0;

	*end = l->ua;
	mm_iommu_trans_init(trans, l->ua, npages);
	while (!ret && *end < l->end) {
		for (; *end >= run->ua + run->len; run++)
			;
		len = min(step, run->ua + run->len - *end);
		if (len <= 4 * PAGE_SIZE) {
			ret = trans_enter_pages(trans, l, end);
			continue;
		}
		ret = mm_iommu_trans_add(trans, run->hpa + (*end - run->ua),
					 len >> PAGE_SHIFT);
		if (!ret)
			*end += len;
	}
	return ret;
}

/* Checks the result of a walk, and the number of nodes visited. */
static void trans_check_entry(struct mm_iommu_trans *trans,
			      const struct pages *p, unsigned long i,
			      unsigned long offset)
{
	unsigned long loads = shim_va_calls;
	u64 block;

	mm_iommu_trans_entry(trans, p->ua + (i << PAGE_SHIFT) + offset, &block);
	check(shim_va_calls - loads <= 3);
	check(mm_iommu_trans_order(block) == p->order[i]);
	check((mm_iommu_trans_hpa(block, p->ua + (i << PAGE_SHIFT) + offset) |
	       (block & MM_IOMMU_READONLY)) == p->hpa[i] + offset);
}

/*
 * Compares the first @nr pages, which must have been added; if the translation
 * is complete, also the blocks.
 */
void trans_check_pages(struct mm_iommu_trans *trans, const struct pages *p,
		       unsigned long nr, struct rng *rng)
{
	bool complete = trans->run_ua == p->ua + (p->nr << PAGE_SHIFT);
	unsigned long i, ua, offset, end, len;
	u64 at;

	for (i = 0; i < nr; i++) {
		offset = rng_below(rng, PAGE_SIZE);
		ua = p->ua + (i << PAGE_SHIFT) + offset;
		len = mm_iommu_trans_block(trans, ua, &at);
		check((at & ~MM_IOMMU_DIRTY) == p->hpa[i] + offset);
		check(len && len <= (p->left[i] << PAGE_SHIFT) - offset);
		check(len <= (trans->added << PAGE_SHIFT) - (ua - p->ua));
		if (!complete)
			continue;
		end = min((ua | (BIT(p->order[i]) - 1)) + 1,
			  p->ua + (p->nr << PAGE_SHIFT));
		check(ua + len == end);
		trans_check_entry(trans, p, i, offset);
	}
}

/* Whether an IOMMU page within the region is one block of memory. */
static bool pages_have_block(const struct pages *p, unsigned long ua,
			     unsigned int shift)
{
	unsigned long end = p->ua + (p->nr << PAGE_SHIFT);

	return ua >= p->ua && ua < end && end - ua >= BIT(shift) &&
	       p->order[(ua - p->ua) >> PAGE_SHIFT] >= shift;
}

/* IOMMU pages of one size: as many from @ua on as can be mapped, up to @max. */
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
		mm_iommu_trans_fill(trans, ua, n, shift, 3, out);
	for (i = 0; i < n; i++) {
		at = ua + (i << shift);
		check((be64_to_cpu(out[i]) ^ 3) ==
		      (p->hpa[(at - p->ua) >> PAGE_SHIFT] & MM_IOMMU_ADDR) +
		      (at & (PAGE_SIZE - 1)));
	}
	check(out[n] == ~0ULL);
	free(out);
}

/* Compares the translation of IOMMU pages of all sizes at random addresses. */
void trans_check_fill(struct mm_iommu_trans *trans,
		      const struct pages *p, struct rng *rng)
{
	static const unsigned char shifts[] = { 12, PAGE_SHIFT, 16, 21, 24 };
	unsigned long bytes = p->nr << PAGE_SHIFT, ua;
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(shifts); i++) {
		/*
		 * up to the MMU page size anywhere, larger ones where a page
		 * starts
		 */
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

/*
 * The same for regions of any size: checks the ends of the runs, and some
 * addresses inside.
 */
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
			len = mm_iommu_trans_block(trans,
						   l->runs[i].ua + offset, &at);
			check(at == l->runs[i].hpa + offset);
			check(len > 0);
			at += len - 1;
			check(at == layout_hpa(l, l->runs[i].ua + offset +
						len - 1));
		}
	}
}

/* Marks the largest IOMMU page around @ua as possibly written by a device. */
void trans_mark(struct mm_iommu_trans *trans, struct pages *p, unsigned long ua)
{
	u64 *entry, block;

	entry = mm_iommu_trans_entry(trans, ua, &block);
	mm_iommu_trans_mark(entry, block, MM_IOMMU_DIRTY);
	pages_mark_dirty(p, ua, 1);
}

/* A block is dirty if and only if one of its pages was marked. */
void trans_check_dirty(const struct mm_iommu_trans *trans,
		       const struct pages *p)
{
	unsigned long i = 0, n;
	bool want;
	u64 at;

	while (i < p->nr) {
		n = mm_iommu_trans_block(trans, p->ua + (i << PAGE_SHIFT),
					 &at) >> PAGE_SHIFT;
		check(n && n <= p->nr - i);
		check((at & ~MM_IOMMU_DIRTY) == p->hpa[i]);
		for (want = false; n; n--)
			want |= p->dirty[i++];
		check(!!(at & MM_IOMMU_DIRTY) == want);
	}
}
