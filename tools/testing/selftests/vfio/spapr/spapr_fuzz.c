// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random sequences of container and memory calls, compared with a model.
 *
 * The model knows which memory is registered, which pages it had at that time,
 * and what each window maps. It predicts the result of each call, the pinned
 * pages after each sequence, and what a device reads after some: the page that
 * was registered, or nothing. When all containers are closed, no memory is
 * locked.
 *
 * A failure prints the calls of its sequence. VFIO_TEST_SEED repeats a run,
 * VFIO_FUZZ_SEQUENCES makes it longer.
 */
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "edu.h"
#include "memkind.h"
#include "spapr_test.h"

#define V2		VFIO_SPAPR_TCE_v2_IOMMU
#define SECONDS		86400		/* the harness ends what hangs */
#define SEQUENCES	16
#define CALLS		80

#define ARENA		(3 * MIB)
#define MAX_PAGES	(ARENA / IOMMU_PAGE)
#define MAX_REGIONS	128
#define NR_CONTAINERS	2
#define NR_WINDOWS	2

/* Entries of a window that calls use: the first and the last ones. */
#define HEAD		2048
#define TAIL		256
#define PROBE		(HEAD - 1)	/* for the result of a transfer */

#define TAG_MAGIC	0xa5a5000000000000UL
#define TAG_MASK	0xffff000000000000UL
#define MARKER		0x5a5a5a5a5a5a5a5aUL

/* No errnos: the result depends on the machine, or there are two causes. */
#define ANY		1
#define REFUSED		2

/* ------------------------------------------------------------------ */
/* Model */

/* A page of the process: its content is its tag. 0: not touched yet. */
struct page {
	bool present;
	bool read_only;
	__u64 frame;
};

struct region {
	bool alive;
	bool orphan;
	bool refused;		/* its last UNREGISTER failed */
	bool used[NR_CONTAINERS];
	unsigned int start;
	unsigned int len;
	unsigned int mapped;
	__u64 frame[MAX_PAGES];
	bool read_only[MAX_PAGES];
};

struct entry {
	struct region *region;	/* NULL: not mapped */
	__u64 tag;
};

struct window {
	bool active;
	__u64 start;
	__u64 size;
	__u32 shift;
	struct entry entry[HEAD + TAIL];
};

struct container {
	struct spapr s;
	struct vfio_iommu_spapr_tce_info info;
	struct window window[NR_WINDOWS];
	bool bound;		/* to this process, by a call that binds */
	bool enabled;		/* it has registered memory */
};

static struct {
	char *arena;
	char *probe;
	size_t page;
	unsigned int nr_pages;
	unsigned int nr_groups;
	bool joined;		/* all groups are in the first container */
	__u64 last_frame;
	pid_t child;
	struct page mem[MAX_PAGES];
	struct region region[MAX_REGIONS];
	struct container container[NR_CONTAINERS];
	unsigned int seed;
	unsigned long calls;
	unsigned long done;	/* calls that succeeded */
	unsigned long maps;
	unsigned long no_memory;	/* calls that failed for want of it */
	unsigned long transfers;
} f;

static char log_text[CALLS * 160];
static size_t log_len;

static void add_note(const char *format, va_list ap)
{
	log_len += vsnprintf(log_text + log_len, sizeof(log_text) - log_len,
			     format, ap);
	if (log_len >= sizeof(log_text))
		log_len = sizeof(log_text) - 1;
}

static void note(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	add_note(format, ap);
	va_end(ap);
}

static unsigned int pick(unsigned int n)
{
	return rand_r(&f.seed) % n;
}

static bool wrong(const char *format, ...)
{
	va_list ap;

	note("=> ");
	va_start(ap, format);
	add_note(format, ap);
	va_end(ap);
	return false;
}

/* Compares the result of a call with the prediction. */
static bool is_result(int expected, int ret)
{
	note(" = %d\n", ret);
	f.calls++;
	f.done += !ret;
	if (expected == ANY || ret == expected)
		return true;
	if (expected == REFUSED && (ret == -EINVAL || ret == -EFAULT))
		return true;
	/* nothing was changed; the test fails if that is no exception */
	if (!expected && ret == -ENOMEM) {
		f.no_memory++;
		return true;
	}
	return wrong("expected %d\n", expected);
}

static char *va_of(unsigned int page)
{
	return f.arena + page * f.page;
}

static __u64 tag_of(__u64 frame, unsigned int sub)
{
	return TAG_MAGIC | frame << 4 | sub;
}

static void protect(unsigned int start, unsigned int len, int prot)
{
	if (mprotect(va_of(start), len * f.page, prot))
		abort();
}

/* A plain store, but never omitted: a device reads it. */
static void write_tag(char *p, __u64 tag)
{
	__atomic_store_n((__u64 *)p, tag, __ATOMIC_RELAXED);
}

/* Makes the content of a page unique, in each of its IOMMU pages. */
static void write_tags(unsigned int page)
{
	__u64 frame = ++f.last_frame;
	size_t off;

	protect(page, 1, PROT_READ | PROT_WRITE);
	for (off = 0; off < f.page; off += IOMMU_PAGE)
		write_tag(va_of(page) + off, tag_of(frame, off / IOMMU_PAGE));
	if (f.mem[page].read_only)
		protect(page, 1, PROT_READ);
	f.mem[page].frame = frame;
}

static bool overlaps(const struct region *r, unsigned int start,
		     unsigned int len)
{
	return r->alive && !r->orphan && r->start < start + len &&
	       start < r->start + r->len;
}

static unsigned int nr_used(const struct region *r)
{
	return r->used[0] + r->used[1];
}

static struct region *find_exact(unsigned int start, unsigned int len)
{
	struct region *r;

	for (r = f.region; r < f.region + MAX_REGIONS; r++)
		if (overlaps(r, start, len) && r->start == start &&
		    r->len == len)
			return r;
	return NULL;
}

static struct region *find_page(unsigned int page)
{
	struct region *r;

	for (r = f.region; r < f.region + MAX_REGIONS; r++)
		if (overlaps(r, page, 1))
			return r;
	return NULL;
}

static void settle(struct region *r)
{
	if (r->orphan && !r->mapped)
		r->alive = false;
}

/* No container uses it any more, but windows may still map it. */
static void abandon(struct region *r)
{
	memset(r->used, 0, sizeof(r->used));
	r->orphan = true;
	settle(r);
}

static void set_entry(struct entry *e, struct region *r, __u64 tag)
{
	struct region *old = e->region;

	if (r)
		r->mapped++;
	e->region = r;
	e->tag = tag;
	if (old) {
		old->mapped--;
		settle(old);
	}
}

static void clear_window(struct window *w)
{
	unsigned int i;

	for (i = 0; i < HEAD + TAIL; i++)
		set_entry(&w->entry[i], NULL, 0);
}

static __u64 nr_entries(const struct window *w)
{
	return w->size >> w->shift;
}

/* The record of an entry; NULL: calls do not use it. */
static struct entry *entry_of(struct window *w, __u64 index)
{
	__u64 n = nr_entries(w);

	if (index < HEAD)
		return index < n ? &w->entry[index] : NULL;
	if (index < n && index >= n - TAIL)
		return &w->entry[HEAD + index - (n - TAIL)];
	return NULL;
}

/* Another window is now where this one was. */
static bool is_replaced(const struct container *c, const struct window *w)
{
	unsigned int i;

	for (i = 0; !w->active && i < NR_WINDOWS; i++)
		if (c->window[i].active &&
		    w->start < c->window[i].start + c->window[i].size &&
		    c->window[i].start < w->start + w->size)
			return true;
	return false;
}

static struct window *free_window(struct container *c)
{
	unsigned int i;

	for (i = 0; i < NR_WINDOWS; i++)
		if (!c->window[i].active)
			return &c->window[i];
	return NULL;
}

/* ------------------------------------------------------------------ */
/* Containers */

static bool open_container(unsigned int n)
{
	struct container *c = &f.container[n];
	struct window *w = c->window;
	int ret;

	memset(c, 0, sizeof(*c));
	ret = __spapr_open_with(&c->s, V2, n);
	ret = ret ? : __spapr_info(c->s.fd, &c->info);
	if (ret)
		return wrong("open: %d\n", ret);
	*w = (struct window){
		.active = true,
		.start = c->info.dma32_window_start,
		.size = c->info.dma32_window_size,
		.shift = 12,
	};
	/* not there yet: an address without a window */
	w[1] = (struct window){ .start = 1ULL << 61, .size = GIB, .shift = 12 };
	return true;
}

static void close_container(unsigned int n)
{
	struct container *c = &f.container[n];
	struct region *r;
	unsigned int i;

	spapr_close(&c->s);
	for (i = 0; i < NR_WINDOWS; i++)
		clear_window(&c->window[i]);
	for (r = f.region; r < f.region + MAX_REGIONS; r++) {
		if (!r->alive || !r->used[n])
			continue;
		r->used[n] = false;
		if (!nr_used(r))
			abandon(r);
	}
}

/* A platform may have no room for a window, or have it elsewhere. */
static bool is_error_of_windows(int ret)
{
	return ret == -EINVAL || ret == -EPERM || ret == -ENODEV ||
	       ret == -ENOMEM || ret == -EIO ||
	       wrong("no error of this call\n");
}

static unsigned int nr_containers(void)
{
	return f.joined ? 1 : f.nr_groups;
}

static bool call_reopen(unsigned int n)
{
	bool both = f.joined;

	note("close and open container %u\n", n);
	close_container(n);
	f.joined = false;
	return open_container(n) && (!both || open_container(1));
}

/* The second group leaves its container, or comes back to it. */
static bool call_join_or_leave(void)
{
	struct spapr *s = &f.container[0].s;
	int ret;

	if (f.nr_groups < 2)
		return true;
	if (f.joined) {
		note("leave");
		f.joined = false;
		return is_result(0, __spapr_detach(s, 1)) && open_container(1);
	}
	close_container(1);
	note("join");
	ret = __spapr_attach(s, 1);
	if (!is_result(ANY, ret))
		return false;
	f.joined = !ret;
	if (!ret)
		return true;
	return is_error_of_windows(ret) && open_container(1);
}

/* ------------------------------------------------------------------ */
/* REGISTER and UNREGISTER */

static bool all_present(unsigned int start, unsigned int len)
{
	while (len--)
		if (!f.mem[start + len].present)
			return false;
	return true;
}

static int predict_register(unsigned int n, unsigned int start,
			    unsigned int len)
{
	struct region *r = find_exact(start, len);

	if (r && !r->refused)
		return r->used[n] ? -EBUSY : 0;
	for (r = f.region; r < f.region + MAX_REGIONS; r++)
		if (overlaps(r, start, len) && !r->refused)
			return -EINVAL;
	return all_present(start, len) ? 0 : -EFAULT;
}

static struct region *free_region(void)
{
	struct region *r;

	for (r = f.region; r < f.region + MAX_REGIONS; r++)
		if (!r->alive)
			return r;
	return NULL;
}

static void add_region(unsigned int n, unsigned int start, unsigned int len)
{
	struct region *r;
	unsigned int i;

	for (r = f.region; r < f.region + MAX_REGIONS; r++)
		if (overlaps(r, start, len))
			abandon(r);
	r = free_region();
	memset(r, 0, sizeof(*r));
	r->alive = true;
	r->used[n] = true;
	r->start = start;
	r->len = len;
	for (i = 0; i < len; i++) {
		if (!f.mem[start + i].frame)
			write_tags(start + i);
		r->frame[i] = f.mem[start + i].frame;
		r->read_only[i] = f.mem[start + i].read_only;
	}
}

static bool call_register(unsigned int n, unsigned int start, unsigned int len)
{
	struct container *c = &f.container[n];
	int expected = predict_register(n, start, len), ret;
	struct region *r = find_exact(start, len);

	if (!free_region())
		return true;
	c->bound = true;
	note("register(%u, page %u, %u)", n, start, len);
	ret = __spapr_register(c->s.fd, va_of(start), len * f.page);
	if (!is_result(expected, ret))
		return false;
	if (ret)
		return true;
	c->enabled = true;
	if (r && !r->refused)
		r->used[n] = true;
	else
		add_region(n, start, len);
	return true;
}

static bool call_unregister(unsigned int n, unsigned int start,
			    unsigned int len)
{
	struct container *c = &f.container[n];
	struct region *r = find_exact(start, len);
	int expected = 0;

	if (!c->bound)
		expected = -EPERM;
	else if (!r || !r->used[n])
		expected = -ENOENT;
	else if (r->mapped && nr_used(r) == 1)
		expected = -EBUSY;
	note("unregister(%u, page %u, %u)", n, start, len);
	if (!is_result(expected, __spapr_unregister(c->s.fd, va_of(start),
						    len * f.page)))
		return false;
	if (expected == -EBUSY)
		r->refused = true;
	if (expected)
		return true;
	r->used[n] = false;
	if (!nr_used(r))
		abandon(r);
	return true;
}

/* ------------------------------------------------------------------ */
/* MAP and UNMAP */

/* Errors that both calls have in common; 0 if the range is good. */
static int predict_range(const struct container *c, const struct window *w,
			 __u64 index, __u64 n, __u64 off)
{
	if (!c->enabled)
		return -EPERM;
	if (!w->active || index >= nr_entries(w))
		return -ENXIO;
	if (off || index + n > nr_entries(w))
		return -EINVAL;
	return 0;
}

/*
 * One IOMMU page. If it has several pages, they must be contiguous memory of
 * the host, which cannot be predicted, of one region, and of one protection.
 */
static int predict_entry(size_t at, size_t ip, bool write)
{
	struct region *first = NULL, *r;
	bool bad = false;
	size_t i;

	for (i = at; i < at + ip; i += IOMMU_PAGE) {
		r = i < ARENA ? find_page(i / f.page) : NULL;
		if (!r)
			return ip > f.page ? REFUSED : -EINVAL;
		first = first ? : r;
		bad |= r != first ||
		       (write && r->read_only[i / f.page - r->start]);
	}
	if (ip > f.page)
		return bad ? REFUSED : ANY;
	return bad ? -EFAULT : 0;
}

static int predict_map(unsigned int n, const struct window *w, __u64 index,
		       unsigned int nr, __u64 off, size_t at, __u32 flags)
{
	int ret = predict_range(&f.container[n], w, index, nr, off);
	size_t ip = 1UL << w->shift, i;
	bool any = false;

	if (ret == -EPERM)
		return ret;
	if (!ret && (!flags || at % ip))
		ret = -EINVAL;
	if (ret || !nr)
		return ret;
	for (i = at; i < at + nr * ip; i += ip) {
		ret = predict_entry(i, ip, flags & VFIO_DMA_MAP_FLAG_WRITE);
		/* the first page that is refused is the cause */
		if (ret < 0 || ret == REFUSED)
			return any ? REFUSED : ret;
		any |= ret == ANY;
	}
	return any ? ANY : 0;
}

static void map_entries(struct window *w, __u64 index, unsigned int nr,
			size_t at)
{
	struct region *r;
	unsigned int i, page;

	for (i = 0; i < nr; i++, at += 1UL << w->shift) {
		page = at / f.page;
		r = find_page(page);
		set_entry(entry_of(w, index + i), r,
			  tag_of(r->frame[page - r->start],
				 at % f.page / IOMMU_PAGE));
	}
}

static bool call_map(unsigned int n, struct window *w, __u64 index,
		     unsigned int nr, __u64 off, size_t at, __u32 flags)
{
	int expected = predict_map(n, w, index, nr, off, at, flags);
	__u64 iova = w->start + (index << w->shift) + off;
	int ret;

	note("map(%u, %llx, arena + %zx, %llx, %u)", n, iova, at,
	     (__u64)nr << w->shift, flags);
	ret = __spapr_map(f.container[n].s.fd, iova, f.arena + at,
			  (__u64)nr << w->shift, flags);
	if (expected == ANY && ret)
		expected = REFUSED;
	if (!is_result(expected, ret))
		return false;
	if (!ret)
		map_entries(w, index, nr, at);
	f.maps += !ret && nr;
	return true;
}

static bool call_unmap(unsigned int n, struct window *w, __u64 index,
		       __u64 nr, __u64 off)
{
	int expected = predict_range(&f.container[n], w, index, nr, off);
	__u64 iova = w->start + (index << w->shift) + off;
	struct entry *e;
	unsigned int i;
	int ret;

	note("unmap(%u, %llx, %llx)", n, iova, nr << w->shift);
	ret = __spapr_unmap(f.container[n].s.fd, iova, nr << w->shift);
	if (!is_result(expected, ret))
		return false;
	if (ret)
		return true;
	if (nr == nr_entries(w)) {
		clear_window(w);
		return true;
	}
	for (i = 0; i < nr; i++) {
		e = entry_of(w, index + i);
		if (e)
			set_entry(e, NULL, 0);
	}
	return true;
}

/* ------------------------------------------------------------------ */
/* Windows */

static bool call_create(unsigned int n, __u32 shift, __u64 size, __u32 levels)
{
	struct container *c = &f.container[n];
	struct window *w = free_window(c);
	__u64 start = 0;
	int expected = ANY, ret;

	if (!(c->info.ddw.pgsizes & 1ULL << shift))
		expected = -EINVAL;
	else if (!w)
		expected = -ENOSPC;
	c->bound = true;
	note("create(%u, %u, %llx, %u)", n, shift, size, levels);
	ret = __spapr_create(c->s.fd, shift, size, levels, &start);
	if (!is_result(expected, ret))
		return false;
	if (ret)
		return expected != ANY || is_error_of_windows(ret);
	w->active = true;
	w->start = start;
	w->size = size;
	w->shift = shift;
	return true;
}

static bool call_remove(unsigned int n, struct window *w)
{
	bool was = w->active;

	f.container[n].bound = true;
	note("remove(%u, %llx)", n, w->start);
	if (!is_result(was ? 0 : -EINVAL,
		       __spapr_remove(f.container[n].s.fd, w->start)))
		return false;
	if (was)
		clear_window(w);
	w->active = false;
	return true;
}

/* ------------------------------------------------------------------ */
/* Memory of the process */

static void new_memory(unsigned int start, unsigned int len)
{
	note("new memory(page %u, %u)\n", start, len);
	if (mmap(va_of(start), len * f.page, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		abort();
	madvise(va_of(start), len * f.page,
		pick(2) ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	while (len--)
		f.mem[start + len] = (struct page){ .present = true };
}

static void no_memory(unsigned int start, unsigned int len)
{
	note("no memory(page %u, %u)\n", start, len);
	if (mmap(va_of(start), len * f.page, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		abort();
	while (len--)
		f.mem[start + len] = (struct page){ .present = false };
}

static void protect_memory(unsigned int start, unsigned int len, bool write)
{
	note("%s memory(page %u, %u)\n", write ? "writable" : "read-only",
	     start, len);
	for (; len--; start++) {
		if (!f.mem[start].present)
			continue;
		f.mem[start].read_only = !write;
		protect(start, 1, write ? PROT_READ | PROT_WRITE : PROT_READ);
	}
}

/* The next access finds zeros. */
static void forget_memory(unsigned int start, unsigned int len)
{
	note("forget memory(page %u, %u)\n", start, len);
	if (madvise(va_of(start), len * f.page, MADV_DONTNEED))
		abort();
	while (len--)
		f.mem[start + len].frame = 0;
}

/*
 * Writes a page whose content is the tag of its frame. A registered page is not
 * written to, because regions have the old tag.
 */
static void touch_memory(unsigned int start, unsigned int len)
{
	note("touch memory(page %u, %u)\n", start, len);
	for (; len--; start++)
		if (f.mem[start].present && !f.mem[start].frame)
			write_tags(start);
}

static void end_child(void)
{
	if (f.child <= 0)
		return;
	kill(f.child, SIGKILL);
	waitpid(f.child, NULL, 0);
	f.child = 0;
}

/* A child with copies of all pages, to which it writes, and no container. */
static void make_child(void)
{
	unsigned int i;
	int pipes[2];
	char byte;

	note("new child\n");
	end_child();
	if (pipe(pipes))
		abort();
	f.child = fork();
	if (f.child < 0)
		abort();
	if (f.child) {
		close(pipes[1]);
		if (read(pipes[0], &byte, 1))
			abort();
		close(pipes[0]);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; i < f.nr_groups; i++)
		spapr_close(&f.container[i].s);
	for (i = 0; i < f.nr_pages; i++)
		if (f.mem[i].present && !f.mem[i].read_only)
			memset(va_of(i), 0xa5, 8);
	close(pipes[1]);
	for (;;)
		pause();
}

/* ------------------------------------------------------------------ */
/* Random calls */

static void pick_pages(unsigned int *start, unsigned int *len)
{
	static const unsigned int lens[] = { 1, 1, 2, 3, 5, 16, 48 };

	*len = lens[pick(ARRAY_SIZE(lens))];
	*start = pick(f.nr_pages);
	if (pick(2))
		*start = pick(8) * 4;
	if (*start + *len > f.nr_pages)
		*len = f.nr_pages - *start;
}

/* The pages of a region, mostly. */
static void pick_region(unsigned int *start, unsigned int *len)
{
	unsigned int first = pick(MAX_REGIONS), i;
	const struct region *r;

	pick_pages(start, len);
	for (i = 0; pick(16) && i < MAX_REGIONS; i++) {
		r = &f.region[(first + i) % MAX_REGIONS];
		if (!r->alive || r->orphan)
			continue;
		*start = r->start;
		*len = r->len;
		return;
	}
}

/* Entries of which all are in the head or in the tail. */
static void pick_entries(const struct window *w, __u64 *index,
			 unsigned int *nr)
{
	static const unsigned int nrs[] = { 1, 1, 2, 7, 16, 100, 512, 600 };
	__u64 n = nr_entries(w), limit = n < PROBE ? n : PROBE;

	*nr = nrs[pick(ARRAY_SIZE(nrs))];
	*index = pick(limit ? : 1);
	if (pick(2))
		*index = pick(3) * 256;
	if (n > HEAD + TAIL && !pick(4)) {
		*index = n - 1 - pick(TAIL);
		limit = n;
	}
	/* sometimes beyond the end of the window */
	if (*index + *nr > limit && (limit < n || pick(16)))
		*nr = *index < limit ? limit - *index : 0;
}

static bool random_map(unsigned int n, struct window *w)
{
	static const __u32 flags[] = { SPAPR_RW, SPAPR_RW, SPAPR_RW, SPAPR_RW,
				       VFIO_DMA_MAP_FLAG_READ,
				       VFIO_DMA_MAP_FLAG_WRITE, 0 };
	unsigned int start, len, nr, max;
	size_t at, ip = 1UL << w->shift;
	__u64 index, off;
	__u32 flag;

	pick_entries(w, &index, &nr);
	pick_region(&start, &len);
	at = start * f.page;
	max = len * f.page / ip;
	if (pick(4) && max) {
		at += pick(max) * ip;
		max = (start * f.page + len * f.page - at) / ip;
		if (nr > max)
			nr = max;
	}
	if (!pick(32))
		at += IOMMU_PAGE / 2;
	off = pick(64) ? 0 : IOMMU_PAGE / 2;
	flag = flags[pick(ARRAY_SIZE(flags))];
	return call_map(n, w, index, nr, off, at, flag);
}

static bool random_unmap(unsigned int n, struct window *w)
{
	unsigned int nr;
	__u64 index;

	if (w->active && !pick(6))
		return call_unmap(n, w, 0, nr_entries(w), 0);
	pick_entries(w, &index, &nr);
	return call_unmap(n, w, index, nr, pick(64) ? 0 : IOMMU_PAGE / 2);
}

static bool random_create(unsigned int n)
{
	static const __u32 shifts[] = { 12, 12, 16, 16, 21, 24, 13 };
	__u32 shift = shifts[pick(ARRAY_SIZE(shifts))];
	__u64 size = 1ULL << (28 + pick(8));

	return call_create(n, shift, size, 1 + pick(3));
}

static void random_memory(void)
{
	unsigned int start, len;

	pick_pages(&start, &len);
	switch (pick(6)) {
	case 0 ... 1:
		new_memory(start, len);
		break;
	case 2:
		no_memory(start, len);
		break;
	case 3:
		forget_memory(start, len);
		break;
	case 4:
		touch_memory(start, len);
		break;
	default:
		protect_memory(start, len, pick(2));
	}
}

static bool random_call(void)
{
	unsigned int n = pick(nr_containers()), start, len;
	struct window *w = &f.container[n].window[pick(NR_WINDOWS)];

	if (is_replaced(&f.container[n], w) || (!w->active && pick(8)))
		w = &f.container[n].window[w == f.container[n].window];
	if (is_replaced(&f.container[n], w))
		return true;
	switch (pick(25)) {
	case 0 ... 3:
		pick_pages(&start, &len);
		return call_register(n, start, len);
	case 4:
		pick_region(&start, &len);
		return call_register(n, start, len);
	case 5 ... 7:
		pick_region(&start, &len);
		return call_unregister(n, start, len);
	case 8 ... 12:
		return random_map(n, w);
	case 13 ... 14:
		return random_unmap(n, w);
	case 15:
		return random_create(n);
	case 16:
		return pick(2) ? true : call_remove(n, w);
	case 17 ... 22:
		random_memory();
		return true;
	case 23:
		if (!pick(4))
			make_child();
		return true;
	default:
		return pick(3) ? true : pick(2) ? call_reopen(n) :
		       call_join_or_leave();
	}
}

/* ------------------------------------------------------------------ */
/* Checks */

static long pages_registered(void)
{
	struct region *r;
	long n = 0;

	for (r = f.region; r < f.region + MAX_REGIONS; r++)
		n += r->alive ? r->len : 0;
	return n;
}

static bool pins_are(long base)
{
	long expected = base + pages_registered();
	long pins = spapr_pins_settle(expected);

	return pins == expected ||
	       wrong("%ld pages pinned, expected %ld\n", pins - base,
		     expected - base);
}

/* Reads the first word behind a DMA address by the device. */
static int device_reads(struct edu *edu, __u64 iova, __u64 probe, __u64 *word)
{
	int ret;

	write_tag(f.probe, MARKER);
	ret = edu_dma_to_device(edu, probe, 0, sizeof(*word));
	if (!ret)
		ret = edu_dma_to_device(edu, iova, 0, sizeof(*word));
	if (!ret)
		ret = edu_dma_from_device(edu, probe, 0, sizeof(*word));
	*word = __atomic_load_n((__u64 *)f.probe, __ATOMIC_RELAXED);
	f.transfers++;
	return ret;
}

/* The page that was registered, or no page of this process. */
static bool is_reachable_as(struct edu *edu, struct window *w, __u64 index)
{
	struct entry *e = entry_of(w, index);
	__u64 iova = w->start + (index << w->shift);
	__u64 probe = w->start + ((__u64)PROBE << w->shift);
	__u64 word;
	int ret = device_reads(edu, iova, probe, &word);

	if (ret)
		return wrong("transfer of %llx: %d\n", iova, ret);
	if (e->region ? word == e->tag : (word & TAG_MASK) != TAG_MAGIC)
		return true;
	return wrong("the device reads %llx at %llx, expected %llx\n", word,
		     iova, e->tag);
}

/*
 * An entry at the start or at the end that is mapped or not, if there is one.
 */
static __u64 find_mapped(const struct window *w, bool mapped)
{
	bool tail = nr_entries(w) > HEAD + TAIL && !pick(3);
	__u64 base = tail ? nr_entries(w) - TAIL : 0;
	const struct entry *e = &w->entry[tail ? HEAD : 0];
	unsigned int n = tail ? TAIL : PROBE, first = pick(n), i;

	for (i = 0; i < n; i++)
		if (!!e[(first + i) % n].region == mapped)
			return base + (first + i) % n;
	return base + first;
}

static bool device_sees(unsigned int n)
{
	struct container *c = &f.container[n];
	struct window *w = &c->window[pick(NR_WINDOWS)];
	unsigned int dev = f.joined ? pick(f.nr_groups) : n;
	struct edu edu;
	bool good = true;
	int ret;

	if (!spapr_is_edu(spapr_bdf(dev)) || !w->active ||
	    w->shift > spapr_page_shift() || nr_entries(w) < HEAD)
		return true;
	ret = edu_open(&edu, c->s.group[dev], spapr_bdf(dev));
	ret = ret ? : __spapr_register(c->s.fd, f.probe, f.page);
	if (ret)
		return wrong("open the device: %d\n", ret);
	c->bound = true;
	c->enabled = true;
	ret = __spapr_map(c->s.fd, w->start + ((__u64)PROBE << w->shift),
			  f.probe, 1ULL << w->shift, SPAPR_RW);
	if (ret)
		good = wrong("map the result: %d\n", ret);
	good = good && is_reachable_as(&edu, w, find_mapped(w, true)) &&
	       is_reachable_as(&edu, w, find_mapped(w, false));
	edu_close(&edu);
	ret = __spapr_unmap(c->s.fd, w->start + ((__u64)PROBE << w->shift),
			    1ULL << w->shift);
	ret = ret ? : __spapr_unregister(c->s.fd, f.probe, f.page);
	return good && (!ret || wrong("unmap the result: %d\n", ret));
}

/* Each call has random numbers of its own, whatever came of those before. */
static bool run_sequence(unsigned int seed, unsigned int nr, long pins)
{
	unsigned int i;

	log_len = 0;
	for (i = 0; i < CALLS; i++) {
		f.seed = seed + (nr * CALLS + i) * 2654435761U;
		if (!random_call())
			return false;
	}
	/* opening it resets it, which takes seconds on some machines */
	if (nr % 4 == 0 && !device_sees(pick(nr_containers())))
		return false;
	return pins_are(pins);
}

static bool close_all(const struct spapr_account *base)
{
	unsigned int i;

	for (i = nr_containers(); i--;)
		close_container(i);
	f.joined = false;
	if (spapr_locked() != base->locked)
		return wrong("%ld bytes locked, all is closed\n",
			     spapr_locked() - base->locked);
	return pins_are(base->pins);
}

static bool open_all(void)
{
	unsigned int i;

	for (i = 0; i < f.nr_groups; i++)
		if (!open_container(i))
			return false;
	return true;
}

/* ------------------------------------------------------------------ */

FIXTURE(fuzz)
{
	struct spapr_account base;
};

FIXTURE_SETUP(fuzz)
{
	NEED_DEVICES(return, 1);
	NOT_ON_STOCK(return);
	memset(&f, 0, sizeof(f));
	f.page = spapr_page_size();
	f.nr_pages = ARENA / f.page;
	f.nr_groups = spapr_nr_devices() > 1 ? 2 : 1;
	f.probe = spapr_mem(f.page);
	f.arena = mem_reserve(ARENA, 2 * MIB);
	ASSERT_TRUE(f.probe && f.arena);
	memset(f.probe, 1, f.page);
	new_memory(0, f.nr_pages);
	spapr_account(&self->base);
	ASSERT_TRUE(open_all());
}

FIXTURE_TEARDOWN(fuzz)
{
	end_child();
	close_all(&self->base);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

static unsigned int nr_sequences(void)
{
	const char *text = getenv("VFIO_FUZZ_SEQUENCES");

	return text ? atoi(text) : SEQUENCES;
}

TEST_F_TIMEOUT(fuzz, results_are_those_of_the_model, SECONDS)
{
	unsigned int i, n = nr_sequences(), seed = test_seed();

	ASSERT_LT(0U, n);
	for (i = 0; i < n; i++) {
		ASSERT_TRUE(run_sequence(seed, i, self->base.pins) &&
			    (i % 8 || (close_all(&self->base) && open_all()))) {
			TH_LOG("sequence %u:\n%s", i, log_text);
		}
		/* for who watches */
		if (i % 8 == 0)
			TH_LOG("sequence %u of %u", i, n);
	}
	TH_LOG("%lu calls, %lu of them succeeded, %lu maps, %lu transfers",
	       f.calls, f.done, f.maps, f.transfers);
	TH_LOG("%lu failed for want of memory", f.no_memory);
	EXPECT_GE(f.calls / 50, f.no_memory);
	EXPECT_LE(n / 4, f.maps);
}

/* ------------------------------------------------------------------ */
/* The same calls by several threads: no model, but nothing may be left */

#define THREADS		4
#define RACE_CALLS	1500

enum { REGISTER, UNREGISTER, MAP, UNMAP, CREATE, REMOVE, NR_KINDS };

struct racer {
	pthread_t thread;
	unsigned int seed;
	unsigned int done[NR_KINDS];
};

static __u64 window_start[NR_CONTAINERS][NR_WINDOWS];

static unsigned int next(struct racer *r, unsigned int n)
{
	return rand_r(&r->seed) % n;
}

static int race_create(struct racer *r, unsigned int n)
{
	const struct container *c = &f.container[n];
	__u32 shift = __builtin_ctzll(c->info.ddw.pgsizes);
	__u64 start;
	int ret;

	ret = __spapr_create(c->s.fd, shift, GIB, 1, &start);
	if (!ret)
		__atomic_store_n(&window_start[n][next(r, NR_WINDOWS)], start,
				 __ATOMIC_RELAXED);
	return ret;
}

static int race_call(struct racer *r, unsigned int kind, unsigned int n)
{
	unsigned int start = next(r, 8) * 4 % f.nr_pages;
	unsigned int len = 1U << next(r, 4);
	size_t size = (start + len > f.nr_pages ? 1 : len) * f.page;
	int fd = f.container[n].s.fd;
	__u64 window = __atomic_load_n(&window_start[n][next(r, NR_WINDOWS)],
				       __ATOMIC_RELAXED);
	__u64 iova = window + next(r, 16) * size;

	switch (kind) {
	case REGISTER:
		return __spapr_register(fd, va_of(start), size);
	case UNREGISTER:
		return __spapr_unregister(fd, va_of(start), size);
	case MAP:
		return __spapr_map(fd, iova, va_of(start), size, SPAPR_RW);
	case UNMAP:
		return __spapr_unmap(fd, next(r, 4) ? iova : window,
				     next(r, 4) ? size : GIB);
	case CREATE:
		return race_create(r, n);
	default:
		return __spapr_remove(fd, window);
	}
}

static void *race(void *arg)
{
	/* windows come and go less often than what is in them */
	static const unsigned int kinds[] = {
		REGISTER, REGISTER, UNREGISTER, UNREGISTER, MAP, MAP, MAP, MAP,
		MAP, UNMAP, UNMAP, CREATE, CREATE, REMOVE,
	};
	struct racer *r = arg;
	unsigned int i, kind, page;

	for (i = 0; i < RACE_CALLS; i++) {
		kind = kinds[next(r, ARRAY_SIZE(kinds))];
		r->done[kind] += !race_call(r, kind, next(r, f.nr_groups));
		if (next(r, 8))
			continue;
		page = next(r, f.nr_pages);
		madvise(va_of(page), f.page, MADV_DONTNEED);
		__atomic_store_n(va_of(page), 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST_F_TIMEOUT(fuzz, calls_of_threads_leave_nothing, SECONDS)
{
	static struct racer r[THREADS];
	unsigned int i, k, seed = test_seed(), done;

	for (i = 0; i < f.nr_groups; i++) {
		window_start[i][0] = f.container[i].info.dma32_window_start;
		window_start[i][1] = window_start[i][0];
	}
	for (i = 0; i < THREADS; i++) {
		r[i].seed = seed + i;
		ASSERT_EQ(0, pthread_create(&r[i].thread, NULL, race, &r[i]));
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(r[i].thread, NULL);
	for (k = 0; k < NR_KINDS; k++) {
		for (done = i = 0; i < THREADS; i++)
			done += r[i].done[k];
		/* not every hypervisor has room for a window */
		EXPECT_TRUE(done || k == CREATE || k == REMOVE) {
			TH_LOG("no call of kind %u succeeded", k);
		}
		TH_LOG("kind %u: %u succeeded", k, done);
	}
}

TEST_HARNESS_MAIN
