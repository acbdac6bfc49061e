// SPDX-License-Identifier: GPL-2.0-only
/*
 * Concurrent calls on one container: a bounded number of moves by several
 * threads, or processes that exit in the middle. The final state is checked:
 * each return value was valid, everything can be unmapped and unregistered, and
 * nothing stays pinned or accounted.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

#include "memkind.h"
#include "spapr_test.h"

#define V2		VFIO_SPAPR_TCE_v2_IOMMU
#define SECONDS		300
#define RACERS		4
#define ROUNDS		100	/* of the slowest racer */
#define REGIONS		4
#define REGION_SIZE	(256 * KIB)
#define PLAYGROUND	(REGIONS * REGION_SIZE)

/* Shared by the racers. */
struct arena {
	struct spapr s;
	struct vfio_iommu_spapr_tce_info info;
	__u64 start;		/* of the default window */
	__u64 iova;
	char *mem;
	const int *may;		/* valid errnos of every call; 0-terminated */
	unsigned long rounds;	/* minimal number of moves of each racer */
	unsigned int arrived;	/* racers that have made them */
	unsigned long *moves;	/* of all racers, read by another process */
	char *huge;		/* 2 * RACERS huge pages, if available */
	size_t unit;		/* page size in bytes */
	char *spare;		/* reserved addresses for one more page */
};

struct racer {
	pthread_t thread;
	struct arena *arena;
	void (*move)(struct racer *r);
	pthread_barrier_t *barrier;
	unsigned int nr;
	unsigned int seed;
	unsigned long made;
	__u64 mapped;		/* enter_own(): a bit per entry */
	unsigned long refused;
	int got_errno;		/* of the last call, valid or not */
	const char *what;	/* failed call */
	int got;
};

typedef void (*move_fn)(struct racer *r);

static const int nothing[] = { 0 };

/* ------------------------------------------------------------------ */
/* Moves */

static bool may_be(const struct racer *r, int err, int also)
{
	const int *may;

	if (!err || err == also)
		return true;
	for (may = r->arena->may; *may; may++)
		if (err == *may)
			return true;
	return false;
}

/* Keeps the first wrong return value. */
static bool judge(struct racer *r, const char *what, int ret, int also)
{
	bool right = may_be(r, -ret, also);

	r->got_errno = -ret;
	r->refused += ret < 0;
	if (!right && !r->what) {
		r->what = what;
		r->got = ret;
	}
	return right;
}

static unsigned int some(struct racer *r, unsigned int n)
{
	return rand_r(&r->seed) / 7 % n;
}

/* A part of the addresses that all racers use. */
static void some_range(struct racer *r, size_t *off, size_t *size)
{
	size_t pages = REGION_SIZE / IOMMU_PAGE;

	*size = (1 + some(r, pages)) * IOMMU_PAGE;
	*off = some(r, PLAYGROUND / IOMMU_PAGE - *size / IOMMU_PAGE) *
	       IOMMU_PAGE;
}

static void map_some(struct racer *r)
{
	struct arena *a = r->arena;
	size_t off, size, from;

	some_range(r, &from, &size);
	some_range(r, &off, &size);
	if (from + size > PLAYGROUND)
		from = PLAYGROUND - size;
	judge(r, "MAP", __spapr_map(a->s.fd, a->iova + off, a->mem + from,
				    size, SPAPR_RW), 0);
}

static void unmap_some(struct racer *r)
{
	size_t off, size;

	some_range(r, &off, &size);
	judge(r, "UNMAP", __spapr_unmap(r->arena->s.fd, r->arena->iova + off,
					size), 0);
}

static void map_or_unmap(struct racer *r)
{
	if (some(r, 2))
		map_some(r);
	else
		unmap_some(r);
}

/* Each racer owns every n-th entry, between those of the others. */
static void enter_own(struct racer *r)
{
	struct arena *a = r->arena;
	unsigned int entry = some(r, 64);
	__u64 iova = a->iova + (entry * RACERS + r->nr) * IOMMU_PAGE;

	if (r->mapped & 1ULL << entry)
		judge(r, "UNMAP", __spapr_unmap(a->s.fd, iova, IOMMU_PAGE), 0);
	else
		judge(r, "MAP",
		      __spapr_map(a->s.fd, iova, a->mem + r->nr * REGION_SIZE,
				  IOMMU_PAGE, SPAPR_RW),
		      0);
	r->mapped ^= 1ULL << entry;
}

static void window_goes_and_comes(struct racer *r)
{
	struct arena *a = r->arena;
	__u64 at;

	judge(r, "REMOVE", __spapr_remove(a->s.fd, a->start), EINVAL);
	sched_yield();
	judge(r, "CREATE", __spapr_create(a->s.fd, 12, GIB, 1, &at), 0);
}

/*
 * UNREGISTER may fail for mapped memory, which is then replaced by a new
 * region.
 */
static void region_goes_and_comes(struct racer *r)
{
	struct arena *a = r->arena;
	char *mem = a->mem + some(r, REGIONS) * REGION_SIZE;

	judge(r, "UNREGISTER", __spapr_unregister(a->s.fd, mem, REGION_SIZE),
	      EBUSY);
	sched_yield();
	judge(r, "REGISTER", __spapr_register(a->s.fd, mem, REGION_SIZE), 0);
}

static void ask(struct racer *r)
{
	int fd = r->arena->s.fd;
	struct vfio_iommu_spapr_tce_info info;

	judge(r, "GET_INFO", __spapr_info(fd, &info), 0);
	/* any return value: the state of a PE, or that there is none */
	__spapr_eeh(fd, VFIO_EEH_PE_GET_STATE);
	if (__spapr_ioctl(fd, VFIO_CHECK_EXTENSION, (void *)V2) != 1)
		judge(r, "CHECK_EXTENSION", -EIO, 0);
}

/* Small and huge pages, each racer at its own address. */
static void register_and_map_huge(struct racer *r)
{
	struct arena *a = r->arena;
	size_t page = spapr_page_size(), pages = a->unit / page;
	size_t size = (2 + some(r, pages - 2)) * page;
	char *mem = a->huge + (2 * r->nr + 1) * a->unit - page;
	__u64 iova = a->iova + 64 * MIB * (r->nr + 1);

	/* memory that is being moved is missing */
	if (!judge(r, "REGISTER", __spapr_register(a->s.fd, mem, size),
		   EFAULT) || r->got_errno)
		return;
	judge(r, "MAP", __spapr_map(a->s.fd, iova, mem, size, SPAPR_RW), 0);
	judge(r, "UNMAP", __spapr_unmap(a->s.fd, iova, size), 0);
	judge(r, "UNREGISTER", __spapr_unregister(a->s.fd, mem, size), 0);
}

static void move_huge(char *from, char *to, size_t size)
{
	mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

/* Huge pages are replaced by others, partly or completely. */
static void remap_huge(struct racer *r)
{
	struct arena *a = r->arena;
	char *at = a->huge + some(r, 2 * RACERS) * a->unit;
	char *other = a->huge + some(r, 2 * RACERS) * a->unit;
	size_t page = spapr_page_size();

	switch (some(r, 3)) {
	case 0:
		at += some(r, a->unit / page) * page;
		madvise(at, page, MADV_DONTNEED);
		break;
	case 1:
		mem_map(MEM_THP, at, a->unit);
		break;
	default:
		if (at == other)
			break;
		move_huge(at, a->spare, a->unit);
		move_huge(other, at, a->unit);
		move_huge(a->spare, other, a->unit);
	}
}

/* If each group has tables of its own this may fail with EPERM. */
static void second_group_comes_and_goes(struct racer *r)
{
	struct spapr *s = &r->arena->s;

	if (judge(r, "SET_CONTAINER", __spapr_attach(s, 1), EPERM) &&
	    s->group[1] >= 0)
		judge(r, "UNSET_CONTAINER", __spapr_detach(s, 1), 0);
}

static void last_group_goes_and_comes(struct racer *r)
{
	struct spapr *s = &r->arena->s;

	if (s->group[0] >= 0)
		judge(r, "UNSET_CONTAINER", __spapr_detach(s, 0), 0);
	judge(r, "SET_CONTAINER", __spapr_attach(s, 0), 0);
	judge(r, "SET_IOMMU", __spapr_ioctl(s->fd, VFIO_SET_IOMMU, (void *)V2),
	      0);
	judge(r, "REGISTER", __spapr_register(s->fd, r->arena->mem,
					      REGION_SIZE), EBUSY);
}

static void fork_and_try(struct racer *r)
{
	struct arena *a = r->arena;
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(__spapr_map(a->s.fd, a->iova, a->mem, IOMMU_PAGE,
				  SPAPR_RW) != -EPERM);
	if (waitpid(pid, &status, 0) != pid || status)
		judge(r, "fork", -EIO, 0);
}

/* ------------------------------------------------------------------ */
/* Racing */

/* Runs until the slowest racer has arrived, or an error occurred. */
static void *run(void *arg)
{
	struct racer *r = arg;
	struct arena *a = r->arena;

	pthread_barrier_wait(r->barrier);
	while (__atomic_load_n(&a->arrived, __ATOMIC_RELAXED) < RACERS) {
		r->move(r);
		__atomic_add_fetch(a->moves, 1, __ATOMIC_RELAXED);
		if (r->what || ++r->made == a->rounds)
			__atomic_add_fetch(&a->arrived, r->what ? RACERS : 1,
					   __ATOMIC_RELAXED);
	}
	return NULL;
}

static int start_racers(struct arena *a, struct racer *racers,
			pthread_barrier_t *barrier, const move_fn *moves,
			unsigned int seed)
{
	unsigned int i;
	int ret = 0;

	pthread_barrier_init(barrier, NULL, RACERS);
	for (i = 0; i < RACERS && !ret; i++) {
		racers[i] = (struct racer){
			.arena = a, .move = moves[i], .barrier = barrier,
			.nr = i,
			.seed = seed + i,
		};
		ret = pthread_create(&racers[i].thread, NULL, run, &racers[i]);
	}
	return ret;
}

static void race(struct __test_metadata *_metadata, struct arena *a,
		 struct racer *racers, const move_fn *moves)
{
	pthread_barrier_t barrier;
	unsigned long refused = 0;
	unsigned int i;

	a->rounds = ROUNDS;
	ASSERT_EQ(0, start_racers(a, racers, &barrier, moves, test_seed()));
	for (i = 0; i < RACERS; i++) {
		pthread_join(racers[i].thread, NULL);
		refused += racers[i].refused;
		EXPECT_EQ(NULL, racers[i].what) {
			TH_LOG("racer %u: %s gave %d", i, racers[i].what,
			       racers[i].got);
		}
	}
	TH_LOG("%lu moves, %lu calls refused", *a->moves, refused);
}

/* Container with one group, regions, and the default window in use. */
static int enter_arena(struct arena *a)
{
	int ret = __spapr_open_with(&a->s, V2, 0), i;

	if (ret)
		return ret;
	ret = __spapr_info(a->s.fd, &a->info);
	a->start = a->info.dma32_window_start;
	a->iova = a->start + 16 * MIB;
	for (i = 0; !ret && i < REGIONS; i++)
		ret = __spapr_register(a->s.fd, a->mem + i * REGION_SIZE,
				       REGION_SIZE);
	if (!ret)
		ret = __spapr_map(a->s.fd, a->iova, a->mem, IOMMU_PAGE,
				  SPAPR_RW);
	return ret;
}

FIXTURE(races)
{
	struct arena arena;
	struct spapr_account base;
	struct racer racers[RACERS];
	long table;
};

FIXTURE_SETUP(races)
{
	struct arena *a = &self->arena;

	NEED_DEVICES(return, 1);
	NOT_ON_STOCK(return);
	*a = (struct arena){ .may = nothing, .mem = spapr_mem(PLAYGROUND) };
	a->moves = mmap(NULL, spapr_page_size(), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(NULL, a->mem);
	ASSERT_NE(MAP_FAILED, a->moves);
	spapr_account(&self->base);
	ASSERT_EQ(0, enter_arena(a));
	self->table = spapr_locked() - self->base.locked - PLAYGROUND;
}

FIXTURE_TEARDOWN(races)
{
	spapr_close(&self->arena.s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* No reference is left: memory that is unmapped can be unregistered. */
#define EXPECT_ALL_GOES() do {						\
	struct arena *__a = &self->arena;				\
	size_t __off;							\
									\
	EXPECT_EQ(0, __spapr_unmap(__a->s.fd, __a->start, GIB));	\
	for (__off = 0; __off < PLAYGROUND; __off += REGION_SIZE) {	\
		EXPECT_EQ(0, __spapr_unregister(__a->s.fd,		\
						__a->mem + __off,	\
						REGION_SIZE));		\
	}								\
	EXPECT_EQ(self->base.pins, spapr_pins());			\
} while (0)

TEST_F_TIMEOUT(races, map_and_unmap_the_same_range, SECONDS)
{
	const move_fn moves[RACERS] = {
		map_some, map_some, unmap_some, map_or_unmap,
	};

	race(_metadata, &self->arena, self->racers, moves);
	EXPECT_ACCOUNT(&self->base, self->table + PLAYGROUND,
		       PLAYGROUND / spapr_page_size());
	EXPECT_ALL_GOES();
}

TEST_F_TIMEOUT(races, map_and_unmap_entries_side_by_side, SECONDS)
{
	const move_fn moves[RACERS] = {
		enter_own, enter_own, enter_own, enter_own,
	};
	struct arena *a = &self->arena;
	unsigned int i;

	spapr_unmap(a->s.fd, a->start, GIB);
	race(_metadata, a, self->racers, moves);
	for (i = 0; i < RACERS; i++) {
		EXPECT_EQ(self->racers[i].mapped ? -EBUSY : 0,
			  __spapr_unregister(a->s.fd,
					     a->mem + i * REGION_SIZE,
					     REGION_SIZE));
		if (!self->racers[i].mapped)
			spapr_register(a->s.fd, a->mem + i * REGION_SIZE,
				       REGION_SIZE);
	}
	EXPECT_ALL_GOES();
}

TEST_F_TIMEOUT(races, map_while_the_window_goes, SECONDS)
{
	const move_fn moves[RACERS] = {
		map_some, map_or_unmap, window_goes_and_comes, ask,
	};
	const int may[] = { ENXIO, 0 };

	self->arena.may = may;
	race(_metadata, &self->arena, self->racers, moves);
	EXPECT_ALL_GOES();
	spapr_remove(self->arena.s.fd, self->arena.start);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F_TIMEOUT(races, map_while_memory_comes_and_goes, SECONDS)
{
	const move_fn moves[RACERS] = {
		map_some, map_or_unmap, unmap_some, region_goes_and_comes,
	};
	const int may[] = { EINVAL, 0 };

	self->arena.may = may;
	race(_metadata, &self->arena, self->racers, moves);
	EXPECT_ALL_GOES();
	EXPECT_ACCOUNT(&self->base, self->table, 0);
}

/* A changing page table does not affect pages that were pinned before. */
TEST_F_TIMEOUT(races, huge_pages_are_replaced_while_they_are_registered,
	       SECONDS)
{
	const move_fn moves[RACERS] = {
		register_and_map_huge, register_and_map_huge,
		register_and_map_huge, remap_huge,
	};
	struct arena *a = &self->arena;

	a->unit = mem_unit(MEM_THP);
	if (!a->unit)
		SKIP(return, "needs transparent huge pages");
	a->huge = mem_map(MEM_THP, NULL, 2 * RACERS * a->unit);
	a->spare = mem_reserve(a->unit, a->unit);
	ASSERT_NE(NULL, a->huge);
	ASSERT_NE(NULL, a->spare);
	race(_metadata, a, self->racers, moves);
	EXPECT_ACCOUNT(&self->base, self->table + PLAYGROUND,
		       PLAYGROUND / spapr_page_size());
	EXPECT_ALL_GOES();
	munmap(a->huge, 2 * RACERS * a->unit);
}

TEST_F_TIMEOUT(races, windows_and_memory_come_and_go, SECONDS)
{
	const move_fn moves[RACERS] = {
		map_some, map_or_unmap, window_goes_and_comes,
		region_goes_and_comes,
	};
	const int may[] = { EINVAL, ENXIO, 0 };

	self->arena.may = may;
	race(_metadata, &self->arena, self->racers, moves);
	EXPECT_ALL_GOES();
}

TEST_F_TIMEOUT(races, fork_while_memory_is_mapped, SECONDS)
{
	const move_fn moves[RACERS] = {
		map_some, unmap_some, region_goes_and_comes, fork_and_try,
	};
	const int may[] = { EINVAL, 0 };

	self->arena.may = may;
	race(_metadata, &self->arena, self->racers, moves);
	EXPECT_ALL_GOES();
	EXPECT_ACCOUNT(&self->base, self->table, 0);
}

TEST_F_TIMEOUT(races, ask_while_a_group_comes_and_goes, SECONDS)
{
	const move_fn moves[RACERS] = {
		ask, ask, map_or_unmap, second_group_comes_and_goes,
	};

	NEED_DEVICES(return, 2);
	race(_metadata, &self->arena, self->racers, moves);
	EXPECT_ALL_GOES();
}

/* ------------------------------------------------------------------ */
/* Two simultaneous calls, repeatedly */

#define PAIRS		60

struct one_call {
	pthread_t thread;
	pthread_barrier_t *barrier;
	struct arena *arena;
	bool do_map;
	__u64 iova;
	int ret;
};

static void *call_once(void *arg)
{
	struct one_call *c = arg;
	struct arena *a = c->arena;

	pthread_barrier_wait(c->barrier);
	c->ret = c->do_map ? __spapr_map(a->s.fd, c->iova, a->mem, REGION_SIZE,
					 SPAPR_RW) :
			     __spapr_unregister(a->s.fd, a->mem, REGION_SIZE);
	return NULL;
}

/* Both start together; their results are in c[]. */
static int call_both(struct arena *a, struct one_call c[2])
{
	pthread_barrier_t barrier;
	int i, ret = 0;

	pthread_barrier_init(&barrier, NULL, 2);
	for (i = 0; i < 2 && !ret; i++) {
		c[i].barrier = &barrier;
		c[i].arena = a;
		ret = pthread_create(&c[i].thread, NULL, call_once, &c[i]);
	}
	for (i = 0; i < 2 && !ret; i++)
		ret = pthread_join(c[i].thread, NULL);
	pthread_barrier_destroy(&barrier);
	return ret;
}

TEST_F_TIMEOUT(races, two_threads_make_the_default_window_once, SECONDS)
{
	struct arena *a = &self->arena;
	struct one_call c[2] = {
		{ .do_map = true, .iova = a->iova },
		{ .do_map = true, .iova = a->iova + 16 * MIB },
	};
	int i;

	for (i = 0; i < PAIRS; i++) {
		spapr_close(&a->s);
		spapr_open_with(&a->s, V2, 0);
		spapr_register(a->s.fd, a->mem, REGION_SIZE);
		ASSERT_EQ(0, call_both(a, c));
		EXPECT_EQ(0, c[0].ret);
		EXPECT_EQ(0, c[1].ret);
		EXPECT_EQ(self->base.locked + self->table + (long)REGION_SIZE,
			  spapr_locked());
		spapr_unmap(a->s.fd, c[0].iova, REGION_SIZE);
		EXPECT_ERRNO(EBUSY, __spapr_unregister(a->s.fd, a->mem,
						       REGION_SIZE));
	}
}

/* Either mapped completely, and not unregistered; or not mapped. */
TEST_F_TIMEOUT(races, memory_is_mapped_while_it_goes, SECONDS)
{
	struct arena *a = &self->arena;
	struct one_call c[2] = { { .iova = a->iova }, { .iova = a->iova } };
	int fd = a->s.fd, i, mapped = 0, map, unregister;

	spapr_unmap(fd, a->start, GIB);
	for (i = 0; i < PAIRS; i++) {
		/* the thread started last usually begins first */
		c[i % 2].do_map = true;
		c[!(i % 2)].do_map = false;
		ASSERT_EQ(0, call_both(a, c));
		map = c[i % 2].ret;
		unregister = c[!(i % 2)].ret;
		if (map) {
			EXPECT_EQ(-EINVAL, map);
			if (unregister == -EBUSY)
				unregister = __spapr_unregister(fd, a->mem,
								REGION_SIZE);
			EXPECT_EQ(0, unregister);
		} else {
			EXPECT_EQ(-EBUSY, unregister);
			/* also its very last entry */
			spapr_unmap(fd, a->iova, REGION_SIZE - IOMMU_PAGE);
			EXPECT_ERRNO(EBUSY, __spapr_unregister(fd, a->mem,
							       REGION_SIZE));
			spapr_unmap(fd, a->iova + REGION_SIZE - IOMMU_PAGE,
				    IOMMU_PAGE);
			spapr_unregister(fd, a->mem, REGION_SIZE);
			mapped++;
		}
		spapr_register(fd, a->mem, REGION_SIZE);
	}
	TH_LOG("mapped in %d of %d rounds", mapped, PAIRS);
}

/* ------------------------------------------------------------------ */
/* Processes that exit in the middle */

#define ENDS		8
#define MOVES		300

static const move_fn all_kinds[RACERS] = {
	map_some, map_or_unmap, window_goes_and_comes, region_goes_and_comes,
};

/* Races until one of its threads exits the process. */
static void race_to_the_end(struct arena *a, unsigned int seed,
			    unsigned long last_move)
{
	static const int may[] = { EINVAL, ENXIO, 0 };
	struct racer racers[RACERS];
	pthread_barrier_t barrier;

	a->may = may;
	a->rounds = -1UL;
	if (enter_arena(a) ||
	    start_racers(a, racers, &barrier, all_kinds, seed))
		_exit(1);
	while (__atomic_load_n(a->moves, __ATOMIC_RELAXED) < last_move)
		sched_yield();
	_exit(0);
}

static int end_of(pid_t pid)
{
	int status = -1;

	return waitpid(pid, &status, 0) == pid ? status : -1;
}

TEST_F_TIMEOUT(races, processes_are_killed_in_the_middle, SECONDS)
{
	struct arena *a = &self->arena;
	unsigned int seed = test_seed(), i;
	unsigned long enough;
	pid_t pid;

	spapr_close(&a->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
	for (i = 0; i < ENDS; i++) {
		*a->moves = 0;
		enough = 1 + rand_r(&seed) % MOVES;
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			race_to_the_end(a, seed, -1UL);
		while (__atomic_load_n(a->moves, __ATOMIC_RELAXED) < enough &&
		       !waitpid(pid, NULL, WNOHANG))
			sched_yield();
		EXPECT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(SIGKILL, end_of(pid));
		EXPECT_ACCOUNT(&self->base, 0, 0);
	}
	ASSERT_EQ(0, enter_arena(a));
	EXPECT_ALL_GOES();
}

TEST_F_TIMEOUT(races, processes_exit_in_the_middle, SECONDS)
{
	struct arena *a = &self->arena;
	unsigned int seed = test_seed(), i;
	pid_t pid;

	spapr_close(&a->s);
	for (i = 0; i < ENDS; i++) {
		*a->moves = 0;
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			race_to_the_end(a, seed, 1 + rand_r(&seed) % MOVES);
		EXPECT_EQ(0, end_of(pid));
		EXPECT_ACCOUNT(&self->base, 0, 0);
		rand_r(&seed);
	}
	ASSERT_EQ(0, enter_arena(a));
	EXPECT_ALL_GOES();
}

/* ------------------------------------------------------------------ */
/* Containers that are opened and closed */

TEST_F_TIMEOUT(races, call_while_the_last_group_leaves, SECONDS)
{
	const move_fn moves[RACERS] = {
		map_or_unmap, region_goes_and_comes, ask,
		last_group_goes_and_comes,
	};
	/*
	 * no group, no IOMMU, nothing registered, registered by another process
	 */
	const int may[] = {
		EINVAL, ENXIO, EPERM, ENOENT, EBUSY, ENODEV, ENOTTY, 0
	};

	self->arena.may = may;
	race(_metadata, &self->arena, self->racers, moves);
}

TEST_HARNESS_MAIN
