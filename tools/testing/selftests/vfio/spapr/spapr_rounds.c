// SPDX-License-Identifier: GPL-2.0-only
/*
 * Repeated calls leave nothing behind in the kernel: no lines in its log, which
 * a guest could flood, and no memory.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "spapr_test.h"

#define V2		VFIO_SPAPR_TCE_v2_IOMMU
#define LEN		(16 * spapr_page_size())
#define ROUNDS		4	/* that may print */
#define MANY		300	/* that may allocate */
#define FIRST		3	/* that may allocate permanently */
#define SETTLE_BEFORE	8	/* seconds that kfree_rcu() may take */
#define SETTLE_AFTER	30
#define TRIES		3
#define LEVEL_INFO	6
#define NO_WINDOW	(~0ULL)

/* ------------------------------------------------------------------ */
/* Kernel log */

static int log_fd = -1;

/* Skips the current contents of the log. */
static bool open_log(void)
{
	log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return log_fd >= 0 && lseek(log_fd, 0, SEEK_END) == 0;
}

/* Number of kernel lines at info level or above since the last call. */
static unsigned int new_lines(void)
{
	unsigned int prio, lines = 0;
	char text[8192], *line;
	ssize_t len;

	for (;;) {
		len = read(log_fd, text, sizeof(text) - 1);
		/* the log has overtaken the reader: it is flooded */
		if (len < 0 && errno == EPIPE) {
			lines++;
			continue;
		}
		if (len <= 0)
			return lines;
		text[len] = '\0';
		/* 8 * facility + level; facility 0 is the kernel */
		if (sscanf(text, "%u,", &prio) != 1 || prio > LEVEL_INFO)
			continue;
		line = strchr(text, ';');
		if (!lines++ && line)
			ksft_print_msg("%.*s\n", (int)strcspn(line + 1, "\n"),
				       line + 1);
	}
}

/* ------------------------------------------------------------------ */
/* Kernel memory */

/* A kmalloc() cache without memory cgroup accounting. */
struct cache {
	char name[32];
	long used;
};

#define MAX_CACHES	64

static struct cache caches[MAX_CACHES], before[MAX_CACHES];
static unsigned int nr_caches, nr_shrink;
static int slabinfo = -1, shrink[MAX_CACHES];

static int open_shrink(const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", name);
	return open(path, O_WRONLY | O_CLOEXEC);
}

/* Opens all files before use, because opening allocates. */
static bool open_caches(void)
{
	DIR *dir = opendir("/sys/kernel/slab");
	struct dirent *d;

	while (dir && (d = readdir(dir)) && nr_shrink < MAX_CACHES - 1)
		if (!strncmp(d->d_name, "kmalloc-", 8) &&
		    strcmp(d->d_name, "kmalloc-8"))
			shrink[nr_shrink++] = open_shrink(d->d_name);
	if (dir)
		closedir(dir);
	/*
	 * a write of one byte allocates an object of this cache, so it is the
	 * last
	 */
	shrink[nr_shrink++] = open_shrink("kmalloc-8");
	slabinfo = open("/proc/slabinfo", O_RDONLY | O_CLOEXEC);
	return slabinfo >= 0;
}

/*
 * Counts objects in use. Free objects in per-CPU slabs count as used until the
 * cache is shrunk.
 */
static bool read_caches(void)
{
	static char text[1 << 16];
	struct cache *c = caches;
	char *line, *rest;
	size_t len = 0;
	unsigned int i;
	ssize_t n;

	if (slabinfo < 0 && !open_caches())
		return false;
	for (i = 0; i < nr_shrink; i++)
		if (write(shrink[i], "1", 1) != 1)
			return false;

	lseek(slabinfo, 0, SEEK_SET);
	while ((n = read(slabinfo, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	text[len] = '\0';
	for (line = strtok_r(text, "\n", &rest);
	     line && c < caches + MAX_CACHES;
	     line = strtok_r(NULL, "\n", &rest))
		if (strncmp(line, "kmalloc-cg-", 11) &&
		    sscanf(line, "kmalloc-%20s %ld", c->name, &c->used) == 2)
			c++;
	nr_caches = c - caches;
	return nr_caches;
}

/* Largest growth of one cache since it was recorded in before[]. */
static long growth(const struct cache **which)
{
	long more, most = 0;
	unsigned int i;

	*which = caches;
	for (i = 0; i < nr_caches; i++) {
		more = caches[i].used - before[i].used;
		if (more > most) {
			most = more;
			*which = caches + i;
		}
	}
	return most;
}

/* kfree_rcu() and others free later: take the least of a few seconds. */
static void read_before(void)
{
	unsigned int i, j;

	read_caches();
	memcpy(before, caches, sizeof(before));
	for (i = 0; i < SETTLE_BEFORE; i++) {
		sleep(1);
		read_caches();
		for (j = 0; j < nr_caches; j++)
			if (caches[j].used < before[j].used)
				before[j] = caches[j];
	}
}

/* The same, once it is @most or less, or after a timeout. */
static long growth_settle(long most, const struct cache **which)
{
	unsigned int i;
	long more;

	for (i = 0; i <= SETTLE_AFTER; i++) {
		if (i)
			sleep(1);
		read_caches();
		more = growth(which);
		if (more <= most)
			break;
	}
	return more;
}

/* ------------------------------------------------------------------ */

FIXTURE(rounds)
{
	struct spapr s;
	struct vfio_iommu_spapr_tce_info info;
	__u32 shift;
	char *mem;
};

FIXTURE_SETUP(rounds)
{
	NEED_DEVICES(return, 1);
	self->mem = spapr_mem(LEN);
	ASSERT_NE(NULL, self->mem);
	spapr_open(&self->s, V2, 1);
	spapr_info(self->s.fd, &self->info);
	self->shift = iommu_shift(&self->info);
}

FIXTURE_TEARDOWN(rounds)
{
	spapr_close(&self->s);
}

/* Map, map again, unmap. */
static bool use_window(int fd, char *mem, __u64 start)
{
	return !__spapr_map(fd, start, mem, LEN, SPAPR_RW) &&
	       !__spapr_map(fd, start, mem, LEN, VFIO_DMA_MAP_FLAG_READ) &&
	       !__spapr_unmap(fd, start, LEN);
}

/* Creates windows of all page sizes, in both places, and removes them. */
static bool round_of_windows(struct spapr *s, char *mem, __u64 pgsizes,
			     __u32 shift)
{
	__u64 first = NO_WINDOW, second = NO_WINDOW;
	bool two;

	if (__spapr_create(s->fd, shift, GIB, 1, &first) ||
	    !use_window(s->fd, mem, first))
		return false;
	two = !__spapr_create(s->fd, shift, GIB, 1, &second);
	if (two && (!use_window(s->fd, mem, second) ||
		    __spapr_remove(s->fd, second)))
		return false;
	if (__spapr_remove(s->fd, first))
		return false;

	for (shift = 12; shift < 30; shift++)
		if (pgsizes & (1ULL << shift) &&
		    !__spapr_create(s->fd, shift, GIB, 1, &first) &&
		    __spapr_remove(s->fd, first))
			return false;
	return true;
}

/* All of these calls are refused. */
static bool round_of_refusals(struct spapr *s, char *mem, __u64 start)
{
	int fd = s->fd;
	__u64 no;

	return __spapr_create(fd, 11, GIB, 1, &no) &&
	       __spapr_create(fd, 13, GIB, 1, &no) &&
	       __spapr_create(fd, 12, GIB + IOMMU_PAGE, 1, &no) &&
	       __spapr_create(fd, 12, 1ULL << 63, 1, &no) &&
	       __spapr_create(fd, 12, 0, 1, &no) &&
	       __spapr_remove(fd, start + IOMMU_PAGE) &&
	       __spapr_remove(fd, 1ULL << 62) &&
	       __spapr_map(fd, 1ULL << 62, mem, IOMMU_PAGE, SPAPR_RW) &&
	       __spapr_map(fd, start, mem - IOMMU_PAGE, IOMMU_PAGE, SPAPR_RW) &&
	       __spapr_map(fd, start, mem, LEN + IOMMU_PAGE, SPAPR_RW) &&
	       __spapr_map(fd, start, mem, IOMMU_PAGE - 1, SPAPR_RW) &&
	       __spapr_unmap(fd, 1ULL << 62, IOMMU_PAGE) &&
	       __spapr_register(fd, mem, LEN) &&
	       __spapr_register(fd, mem + LEN / 2, LEN) &&
	       __spapr_register(fd, mem, 0) &&
	       __spapr_unregister(fd, mem, LEN / 2);
}

static bool round_of_owners(void)
{
	struct spapr s;
	bool done = !__spapr_open(&s, V2, 1);

	spapr_close(&s);
	return done;
}

#define NEED_LOG(statement) do {					\
	if (!open_log())						\
		SKIP(statement, "needs /dev/kmsg: CONFIG_PRINTK");	\
} while (0)

/* A line that is unrelated to the call does not repeat each time. */
#define EXPECT_SILENT(round) do {					\
	unsigned int __try, __lines = 1, __i;				\
									\
	for (__try = 0; __lines && __try < TRIES; __try++) {		\
		for (__i = 0; __i < ROUNDS; __i++)			\
			ASSERT_TRUE(round);				\
		__lines = new_lines();					\
	}								\
	EXPECT_EQ(0U, __lines);						\
	close(log_fd);							\
} while (0)

TEST_F(rounds, windows_print_nothing)
{
	spapr_register(self->s.fd, self->mem, LEN);
	spapr_remove(self->s.fd, self->info.dma32_window_start);
	NEED_LOG(return);
	EXPECT_SILENT(round_of_windows(&self->s, self->mem,
				       self->info.ddw.pgsizes, self->shift));
}

TEST_F(rounds, refused_calls_print_nothing)
{
	__u64 start = self->info.dma32_window_start;

	spapr_register(self->s.fd, self->mem, LEN);
	spapr_map(self->s.fd, start, self->mem, IOMMU_PAGE, SPAPR_RW);
	NEED_LOG(return);
	EXPECT_SILENT(round_of_refusals(&self->s, self->mem, start));
}

TEST_F(rounds, registering_prints_nothing)
{
	NEED_LOG(return);
	EXPECT_SILENT(!__spapr_register(self->s.fd, self->mem, LEN) &&
		      !__spapr_unregister(self->s.fd, self->mem, LEN));
}

TEST_F(rounds, owners_print_nothing)
{
	spapr_close(&self->s);
	NEED_LOG(return);
	EXPECT_SILENT(round_of_owners());
}

TEST_F(rounds, groups_that_come_and_go_print_nothing)
{
	NEED_DEVICES(return, 2);
	spapr_register(self->s.fd, self->mem, LEN);
	ASSERT_TRUE(use_window(self->s.fd, self->mem,
			       self->info.dma32_window_start));
	NEED_LOG(return);
	EXPECT_SILENT(!__spapr_attach(&self->s, 1) &&
		      !__spapr_detach(&self->s, 1));
}

#define NEED_SLABINFO(statement) do {					\
	if (!read_caches())						\
		SKIP(statement, "needs /proc/slabinfo: CONFIG_SLUB_DEBUG"); \
} while (0)

/*
 * Leaks of each round show after many rounds; unrelated allocations are less
 * than half an object per round.
 */
#define EXPECT_NO_OBJECTS(round) do {					\
	const struct cache *__which;					\
	unsigned int __i;						\
	long __more;							\
									\
	for (__i = 0; __i < FIRST + MANY; __i++) {			\
		if (__i == FIRST)					\
			read_before();					\
		ASSERT_TRUE(round);					\
	}								\
	__more = growth_settle(MANY / 2, &__which);			\
	EXPECT_GE(MANY / 2, __more);					\
	TH_LOG("kmalloc-%s: %ld objects more after %d rounds",		\
	       __which->name, __more, MANY);				\
} while (0)

TEST_F_TIMEOUT(rounds, owners_leave_no_memory_behind, 300)
{
	NEED_SLABINFO(return);
	spapr_close(&self->s);
	EXPECT_NO_OBJECTS(round_of_owners());
}

TEST_F_TIMEOUT(rounds, windows_leave_no_memory_behind, 300)
{
	__u64 start = NO_WINDOW;

	NEED_SLABINFO(return);
	spapr_remove(self->s.fd, self->info.dma32_window_start);
	EXPECT_NO_OBJECTS(!__spapr_create(self->s.fd, self->shift, 256 * MIB, 1,
					  &start) &&
			  !__spapr_remove(self->s.fd, start));
}

TEST_F_TIMEOUT(rounds, a_default_window_leaves_no_memory_behind, 300)
{
	__u64 start = NO_WINDOW;

	NEED_SLABINFO(return);
	spapr_remove(self->s.fd, self->info.dma32_window_start);
	EXPECT_NO_OBJECTS(!__spapr_create(self->s.fd, 12, 256 * MIB, 1,
					  &start) &&
			  !__spapr_remove(self->s.fd, start));
}

TEST_HARNESS_MAIN
