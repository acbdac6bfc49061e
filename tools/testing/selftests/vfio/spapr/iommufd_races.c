// SPDX-License-Identifier: GPL-2.0-only
/*
 * Maps and unmaps in an address space while devices are attached to it, get
 * another one and are detached: a number of rounds, at the end of which every
 * attached device reaches all that is mapped, and nothing else. Nothing stays
 * pinned.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "libiommufd.h"
#include "spapr_test.h"

#define DEVICES		2
#define HALF		4	/* areas in each window */
#define AREAS		(2 * HALF)
#define PROBE		64UL	/* bytes that distinguish areas */
#define ALL		((1U << AREAS) - 1)
#define ROUNDS		24
#define MOVES		100	/* of the slowest racer */
#define RACERS		(2 + DEVICES)

/*
 * @ioas has the areas of @mapped, and at LOW always a result area with zeros
 * behind it; @other has the result area only.
 */
struct arena {
	int fd;
	__u32 ioas;
	__u32 other;
	__u32 hwpt;
	__u32 hwpt_other;
	struct device dev[DEVICES];
	char *mem;
	char *result;
	unsigned int mapped;
	unsigned int wanted;		/* number of swaps of a round */
	bool done;			/* the other side of the race is over */
	pthread_barrier_t start;
	unsigned int arrived;		/* racers that have made their moves */
	unsigned long *moves;		/* of all, read by another process */
};

struct racer {
	pthread_t thread;
	struct arena *arena;
	void (*move)(struct racer *r);
	unsigned int nr;
	unsigned int seed;
	const char *what;		/* the call that failed first */
	int got;
};

FIXTURE(races)
{
	struct arena a;
	long pins;
};

static void *area(struct arena *a, unsigned int n)
{
	return a->mem + n * CHUNK;
}

/* Each area is in a block of TCEs of its own, which has a lock of its own. */
static __u64 area_iova(unsigned int n)
{
	__u64 base = n < HALF ? LOW + 2 * CHUNK : HIGH;

	return base + (n % HALF) * 512 * spapr_page_size();
}

static int map_area(struct arena *a, unsigned int n)
{
	int ret = ioas_map(a->fd, a->ioas, area_iova(n), area(a, n), CHUNK);

	if (!ret)
		__atomic_or_fetch(&a->mapped, 1U << n, __ATOMIC_SEQ_CST);
	return ret;
}

static int unmap_area(struct arena *a, unsigned int n)
{
	int ret = ioas_unmap(a->fd, a->ioas, area_iova(n), CHUNK);

	if (!ret)
		__atomic_and_fetch(&a->mapped, ~(1U << n), __ATOMIC_SEQ_CST);
	return ret;
}

static int swap_area(struct arena *a, unsigned int n)
{
	return a->mapped & 1U << n ? unmap_area(a, n) : map_area(a, n);
}

static int set_areas(struct arena *a, unsigned int wanted)
{
	unsigned int n;
	int ret = 0;

	for (n = 0; n < AREAS && !ret; n++)
		if ((a->mapped ^ wanted) & 1U << n)
			ret = swap_area(a, n);
	return ret;
}

/*
 * Areas that a device reads; what it does not reach does not change its buffer.
 */
static int read_areas(struct arena *a, unsigned int d, unsigned int *seen)
{
	struct edu *edu = &a->dev[d].edu;
	unsigned int n;
	int ret;

	ret = edu_dma_to_device(edu, LOW + CHUNK, 0, AREAS * PROBE);
	for (n = 0; n < AREAS && !ret; n++)
		ret = edu_dma_to_device(edu, area_iova(n), n * PROBE, PROBE);
	memset(a->result, 0xff, AREAS * PROBE);
	if (!ret)
		ret = edu_dma_from_device(edu, LOW, 0, AREAS * PROBE);

	*seen = 0;
	for (n = 0; n < AREAS; n++)
		if (is_filled(a->result + n * PROBE, PROBE, n + 1))
			*seen |= 1U << n;
	return ret;
}

#define EXPECT_REACHES(a, d, areas) do {				\
	unsigned int __reached, __d = (d);				\
									\
	EXPECT_EQ(0, read_areas(a, __d, &__reached));			\
	EXPECT_EQ(areas, __reached) {					\
		TH_LOG("device %u", __d);					\
	}								\
} while (0)

static int open_arena(struct arena *a)
{
	unsigned int n;
	int ret = 0;

	a->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (a->fd < 0)
		return -errno;
	for (n = 0; n < DEVICES && !ret; n++)
		ret = open_device(&a->dev[n], spapr_bdf(n), a->fd);
	if (!ret)
		ret = ioas_alloc(a->fd, &a->ioas);
	if (!ret)
		ret = ioas_alloc(a->fd, &a->other);
	if (!ret)
		ret = ioas_map(a->fd, a->ioas, LOW, a->result, 2 * CHUNK);
	if (!ret)
		ret = ioas_map(a->fd, a->other, LOW, a->result, 2 * CHUNK);
	if (!ret)
		ret = hwpt_alloc(a->fd, a->dev[0].id, a->ioas, &a->hwpt);
	if (!ret)
		ret = hwpt_alloc(a->fd, a->dev[0].id, a->other, &a->hwpt_other);
	return ret;
}

static void close_arena(struct arena *a)
{
	unsigned int n;

	for (n = 0; n < DEVICES; n++)
		if (a->dev[n].edu.fd >= 0)
			edu_close(&a->dev[n].edu);
	close(a->fd);
}

FIXTURE_SETUP(races)
{
	struct arena *a = &self->a;
	unsigned int n;

	a->fd = -1;
	for (n = 0; n < DEVICES; n++)
		a->dev[n].edu.fd = -1;
	NEED_DEVICES(return, DEVICES);
	a->mem = spapr_mem((AREAS + 2) * CHUNK);
	ASSERT_NE(NULL, a->mem);
	a->result = area(a, AREAS);
	for (n = 0; n < AREAS; n++)
		fill(area(a, n), PROBE, n + 1);
	memset(a->result, 0, 2 * CHUNK);
	self->pins = spapr_pins();
	ASSERT_EQ(0, open_arena(a));
}

FIXTURE_TEARDOWN(races)
{
	close_arena(&self->a);
	EXPECT_EQ(self->pins, spapr_pins_settle(self->pins));
}

/* ------------------------------------------------------------------ */
/* Two calls at the same time */

static void *swap_some(void *arg)
{
	struct arena *a = arg;
	unsigned int i;
	long ret = 0;

	pthread_barrier_wait(&a->start);
	for (i = 0; i < a->wanted && !ret; i++) {
		if (__atomic_load_n(&a->done, __ATOMIC_SEQ_CST))
			break;
		ret = swap_area(a, i % AREAS);
	}
	return (void *)ret;
}

static void *map_high(void *arg)
{
	struct arena *a = arg;

	pthread_barrier_wait(&a->start);
	return (void *)(long)map_area(a, HALF);
}

/* Attaches a device while the other side runs; returns the first error. */
static int attach_beside(struct arena *a, unsigned int d, __u32 pt,
			 void *(*side)(void *arg))
{
	pthread_t thread;
	void *other;
	int ret;

	a->done = false;
	pthread_barrier_init(&a->start, NULL, 2);
	ret = -pthread_create(&thread, NULL, side, a);
	if (ret)
		return ret;
	pthread_barrier_wait(&a->start);
	ret = attach(&a->dev[d], pt);
	__atomic_store_n(&a->done, true, __ATOMIC_SEQ_CST);
	pthread_join(thread, &other);
	pthread_barrier_destroy(&a->start);
	return ret ? : (int)(long)other;
}

/*
 * In each round the last change of an area is a little later. In every second
 * one the domain has another device.
 */
TEST_F(races, new_mappings_are_reached_by_a_new_device)
{
	struct arena *a = &self->a;
	unsigned int round;

	for (round = 0; round < ROUNDS; round++) {
		if (round % 2)
			ASSERT_EQ(0, attach(&a->dev[1], a->hwpt));
		a->wanted = 1 + round * 2;
		ASSERT_EQ(0, attach_beside(a, 0, a->hwpt, swap_some));
		EXPECT_REACHES(a, 0, a->mapped);
		if (round % 4 == 3)
			EXPECT_REACHES(a, 1, a->mapped);
		ASSERT_EQ(0, detach(&a->dev[0]));
		ASSERT_EQ(0, detach(&a->dev[1]));
	}
}

/* The first map there makes the window in all groups that the domain has. */
TEST_F(races, the_64_bit_window_opens_while_a_device_is_attached)
{
	struct arena *a = &self->a;
	unsigned int round;
	__u32 hwpt;

	for (round = 0; round < ROUNDS; round++) {
		ASSERT_EQ(0, hwpt_alloc(a->fd, a->dev[0].id, a->ioas, &hwpt));
		ASSERT_EQ(0, attach(&a->dev[1], hwpt));
		ASSERT_EQ(0, attach_beside(a, 0, hwpt, map_high));
		EXPECT_REACHES(a, round % DEVICES, 1U << HALF);
		ASSERT_EQ(0, detach(&a->dev[0]));
		ASSERT_EQ(0, detach(&a->dev[1]));
		ASSERT_EQ(0, unmap_area(a, HALF));
		ASSERT_EQ(0, iommufd_destroy(a->fd, hwpt));
	}
}

/* ------------------------------------------------------------------ */
/* Many calls at the same time */

static unsigned int some(struct racer *r, unsigned int n)
{
	return rand_r(&r->seed) / 7 % n;
}

static void judge(struct racer *r, const char *what, int ret)
{
	if (!ret || r->what)
		return;
	r->what = what;
	r->got = ret;
}

/* Two racers have every second area each. */
static void map_or_unmap(struct racer *r)
{
	unsigned int n = some(r, AREAS / 2) * 2 + r->nr % 2;

	judge(r, "MAP or UNMAP", swap_area(r->arena, n));
}

/* A domain of its own, one that comes and goes, another address space, none. */
static void attach_or_detach(struct racer *r)
{
	struct arena *a = r->arena;
	const __u32 pt[] = { a->hwpt, a->ioas, a->hwpt_other };
	unsigned int n = some(r, 4);
	struct device *dev = &a->dev[r->nr % DEVICES];

	if (n < 3)
		judge(r, "ATTACH", attach(dev, pt[n]));
	else
		judge(r, "DETACH", detach(dev));
}

static void *race(void *arg)
{
	struct racer *r = arg;
	struct arena *a = r->arena;
	unsigned long made = 0;

	pthread_barrier_wait(&a->start);
	while (__atomic_load_n(&a->arrived, __ATOMIC_SEQ_CST) < RACERS) {
		r->move(r);
		if (++made == MOVES)
			__atomic_add_fetch(&a->arrived, 1, __ATOMIC_SEQ_CST);
		if (a->moves)
			__atomic_add_fetch(a->moves, 1, __ATOMIC_SEQ_CST);
		if (!r->what)
			continue;
		/* the others need not wait for this one */
		__atomic_add_fetch(&a->arrived, RACERS, __ATOMIC_SEQ_CST);
		break;
	}
	return NULL;
}

/* Returns the first racer that failed, or NULL. */
static struct racer *run_racers(struct arena *a, struct racer *r,
				unsigned int seed)
{
	struct racer *failed = NULL;
	unsigned int n;

	pthread_barrier_init(&a->start, NULL, RACERS);
	for (n = 0; n < RACERS; n++) {
		r[n] = (struct racer){
			.arena = a,
			.nr = n,
			.seed = seed + n,
			.move = n < 2 ? map_or_unmap : attach_or_detach,
		};
		if (pthread_create(&r[n].thread, NULL, race, &r[n]))
			abort();
	}
	for (n = 0; n < RACERS; n++) {
		pthread_join(r[n].thread, NULL);
		if (r[n].what && !failed)
			failed = &r[n];
	}
	pthread_barrier_destroy(&a->start);
	return failed;
}

TEST_F(races, all_calls_race)
{
	struct racer racers[RACERS], *failed;
	struct arena *a = &self->a;
	unsigned int n;

	failed = run_racers(a, racers, test_seed());
	EXPECT_EQ(NULL, failed) {
		TH_LOG("%s: %d", failed->what, failed->got);
	}

	for (n = 0; n < DEVICES; n++)
		ASSERT_EQ(0, attach(&a->dev[n], a->hwpt));
	for (n = 0; n < DEVICES; n++)
		EXPECT_REACHES(a, n, a->mapped);
	ASSERT_EQ(0, set_areas(a, ALL));
	for (n = 0; n < DEVICES; n++)
		EXPECT_REACHES(a, n, ALL);
	ASSERT_EQ(0, set_areas(a, 0));
	for (n = 0; n < DEVICES; n++) {
		EXPECT_REACHES(a, n, 0U);
		ASSERT_EQ(0, detach(&a->dev[n]));
	}
	EXPECT_EQ(0, iommufd_destroy(a->fd, a->hwpt));
	EXPECT_EQ(0, iommufd_destroy(a->fd, a->hwpt_other));
	EXPECT_EQ(0, iommufd_destroy(a->fd, a->ioas));
	EXPECT_EQ(0, iommufd_destroy(a->fd, a->other));
	EXPECT_EQ(self->pins, spapr_pins_settle(self->pins));
}

/* Runs in a child until it is killed. */
static void race_on(struct arena *a)
{
	struct racer racers[RACERS];

	if (!open_arena(a))
		for (;;) {
			a->arrived = 0;
			if (run_racers(a, racers, 1))
				break;
		}
	/* a wrong number of moves */
	*a->moves = ~0UL;
	_exit(1);
}

TEST_F(races, a_program_is_killed_in_the_middle)
{
	unsigned long *moves, is;
	struct arena *a = &self->a;
	pid_t pid;

	close_arena(a);
	moves = mmap(NULL, sizeof(*moves), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, moves);
	a->moves = moves;
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		race_on(a);
	do {
		sched_yield();
		is = __atomic_load_n(moves, __ATOMIC_SEQ_CST);
	} while (is < RACERS * MOVES);
	EXPECT_NE(~0UL, is);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(self->pins, spapr_pins_settle(self->pins));

	a->moves = NULL;
	a->mapped = 0;
	ASSERT_EQ(0, open_arena(a));
	ASSERT_EQ(0, set_areas(a, ALL));
	ASSERT_EQ(0, attach(&a->dev[0], a->hwpt));
	EXPECT_REACHES(a, 0, ALL);
}

TEST_HARNESS_MAIN
