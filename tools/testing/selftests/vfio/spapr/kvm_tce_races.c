// SPDX-License-Identifier: GPL-2.0-only
/*
 * Races of TCE hypercalls of a guest with two processors, with each other and
 * with user space, which maps, unmaps, registers, and removes the objects of
 * the hypercalls. A bounded number of moves, after which the final state is
 * checked: each return value was valid, everything can be unmapped and
 * unregistered, and nothing stays pinned or accounted.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>

#include "kvm_tce.h"

#define SECONDS		300
#define RACERS		4
#define ROUNDS		500	/* of the slowest racer */
#define WINDOW		(16 * MIB)
#define ENTRIES		64U	/* used by the racers */
#define REGIONS		4U
#define REGION_SIZE	(256 * KIB)
/* Guest memory: program, lists of TCEs, and memory to map */
#define LIST_OF(n)	(LIST + (n) * IOMMU_PAGE)
#define LIST_LEN	32U
#define PLAYGROUND	MIB
#define MEM_SIZE	(2 * MIB)

/* Shared by the racers. */
struct arena {
	struct guest g;
	unsigned int arrived;	/* racers that have made enough moves */
};

struct racer {
	pthread_t thread;
	struct arena *arena;
	void (*move)(struct racer *r);
	pthread_barrier_t *start;
	unsigned int nr;	/* the first two run a processor */
	unsigned int seed;
	unsigned long made;
	unsigned long completed;	/* completed hypercalls */
	unsigned long left;	/* hypercalls left to user space */
	const char *what;	/* failed call */
	long got;
};

typedef void (*move_fn)(struct racer *r);

/* ------------------------------------------------------------------ */
/* Moves */

static unsigned int some(struct racer *r, unsigned int n)
{
	return rand_r(&r->seed) / 7 % n;
}

/* Keeps the first wrong return value. */
static void judge(struct racer *r, const char *what, long got, bool right)
{
	if (!right && !r->what) {
		r->what = what;
		r->got = got;
	}
}

static void judge_hcall(struct racer *r, const char *what, long got)
{
	judge(r, what, got, got == H_SUCCESS || got == H_TO_USER);
	if (got == H_SUCCESS)
		r->completed++;
	else
		r->left++;
}

static void judge_call(struct racer *r, const char *what, int got, int also)
{
	judge(r, what, got, !got || got == -also);
}

static struct cpu *own_cpu(struct racer *r)
{
	return &r->arena->g.vm.cpu[r->nr];
}

static unsigned long some_ioba(struct racer *r)
{
	return r->arena->g.window + some(r, ENTRIES) * IOMMU_PAGE;
}

/* One in three does not map. */
static unsigned long some_tce(struct racer *r)
{
	unsigned long page = some(r, REGIONS * REGION_SIZE / IOMMU_PAGE);

	return some(r, 3) ? (PLAYGROUND + page * IOMMU_PAGE) | TCE_RW : 0;
}

static void put_some(struct racer *r)
{
	judge_hcall(r, "H_PUT_TCE",
		    h_put_tce(own_cpu(r), LIOBN, some_ioba(r), some_tce(r)));
}

static void write_list(struct racer *r, unsigned int list)
{
	__u64 *tce = (__u64 *)(r->arena->g.mem + LIST_OF(list));
	unsigned int i;

	for (i = 0; i < LIST_LEN; i++)
		__atomic_store_n(&tce[i], htobe64(some_tce(r)),
				 __ATOMIC_RELAXED);
}

static void list_some(struct racer *r)
{
	write_list(r, r->nr);
	judge_hcall(r, "H_PUT_TCE_INDIRECT",
		    h_put_tce_indirect(own_cpu(r), LIOBN, some_ioba(r),
				       LIST_OF(r->nr), 1 + some(r, LIST_LEN)));
}

static void stuff_some(struct racer *r)
{
	judge_hcall(r, "H_STUFF_TCE",
		    h_stuff_tce(own_cpu(r), LIOBN, some_ioba(r), 0,
				1 + some(r, LIST_LEN)));
}

/* Consecutive calls without leaving the guest, in real mode if possible. */
static void hcall_many(struct racer *r)
{
	static const unsigned long calls[] = { H_PUT_TCE, H_STUFF_TCE };
	struct tce_hcall h = {
		.nr = calls[some(r, ARRAY_SIZE(calls))],
		.arg = { LIOBN, some_ioba(r) },
		.step = IOMMU_PAGE,
		.count = 1 + some(r, LIST_LEN),
	};

	if (h.nr == H_PUT_TCE)
		h.arg[2] = some_tce(r);
	else
		h.arg[3] = 1 + some(r, LIST_LEN);
	judge_hcall(r, "many hypercalls", vm_hcall(own_cpu(r), &h));
}

/* Maps so briefly that the memory can usually be unregistered. */
static void map_and_clear(struct racer *r)
{
	unsigned long ioba = some_ioba(r);
	unsigned long page = some(r, REGIONS * REGION_SIZE / IOMMU_PAGE);

	judge_hcall(r, "H_PUT_TCE",
		    h_put_tce(own_cpu(r), LIOBN, ioba,
			      (PLAYGROUND + page * IOMMU_PAGE) | TCE_RW));
	judge_hcall(r, "H_PUT_TCE, to clear",
		    h_put_tce(own_cpu(r), LIOBN, ioba, 0));
}

/* Random hypercalls of the guest */
static void hcall_some(struct racer *r)
{
	static const move_fn moves[] = {
		put_some, list_some, stuff_some, hcall_many,
	};

	moves[some(r, ARRAY_SIZE(moves))](r);
}

static void map_some(struct racer *r)
{
	struct guest *g = &r->arena->g;
	size_t off =
		some(r, REGIONS * REGION_SIZE / IOMMU_PAGE - 8) * IOMMU_PAGE;

	judge_call(r, "MAP",
		   __spapr_map(g->s.fd, some_ioba(r), g->mem + PLAYGROUND + off,
			       (1 + some(r, 8)) * IOMMU_PAGE, SPAPR_RW),
		   EINVAL);
}

static void unmap_some(struct racer *r)
{
	judge_call(r, "UNMAP",
		   __spapr_unmap(r->arena->g.s.fd, some_ioba(r),
				 (1 + some(r, 8)) * IOMMU_PAGE),
		   0);
}

static void map_or_unmap(struct racer *r)
{
	if (some(r, 2))
		map_some(r);
	else
		unmap_some(r);
}

/*
 * UNREGISTER may fail for mapped memory, which is then replaced by a new
 * region.
 */
static void region_goes_and_comes(struct racer *r)
{
	struct guest *g = &r->arena->g;
	char *mem = g->mem + PLAYGROUND + some(r, REGIONS) * REGION_SIZE;

	judge_call(r, "UNREGISTER",
		   __spapr_unregister(g->s.fd, mem, REGION_SIZE), EBUSY);
	sched_yield();
	judge_call(r, "REGISTER", __spapr_register(g->s.fd, mem, REGION_SIZE),
		   0);
}

static void group_goes_and_comes(struct racer *r)
{
	struct guest *g = &r->arena->g;

	judge_call(r, "GROUP_DEL", __vm_del_group(&g->vm, g->s.group[0]), 0);
	sched_yield();
	judge_call(r, "SET_SPAPR_TCE", __guest_attach(g, 0), 0);
}

static void window_goes_and_comes(struct racer *r)
{
	struct guest *g = &r->arena->g;
	__u64 at;

	judge_call(r, "REMOVE", __spapr_remove(g->s.fd, g->window), 0);
	sched_yield();
	judge_call(r, "CREATE", __spapr_create(g->s.fd, 12, WINDOW, 1, &at), 0);
	judge_call(r, "SET_SPAPR_TCE", __vm_attach(&g->vm, g->s.group[0],
						   g->table), 0);
}

static void table_goes_and_comes(struct racer *r)
{
	struct guest *g = &r->arena->g;

	guest_close_table(g);
	sched_yield();
	g->table = __vm_table(&g->vm, LIOBN, 12, g->window / IOMMU_PAGE,
			      WINDOW / IOMMU_PAGE);
	judge_call(r, "CREATE_SPAPR_TCE", g->table < 0 ? g->table : 0, 0);
	judge_call(r, "SET_SPAPR_TCE", __vm_attach(&g->vm, g->s.group[0],
						   g->table), 0);
}

/* Modifies the lists of both processors while KVM reads them. */
static void write_lists(struct racer *r)
{
	write_list(r, some(r, 2));
}

/* Removes the pages of the lists, so that KVM has to wait for a page fault. */
static void lists_go(struct racer *r)
{
	madvise(r->arena->g.mem + LIST_OF(0), 64 * KIB, MADV_DONTNEED);
	write_lists(r);
}

static void scribble(struct racer *r)
{
	unsigned long *view = mmap(NULL, spapr_page_size(),
				   PROT_READ | PROT_WRITE, MAP_SHARED,
				   r->arena->g.table, 0);
	unsigned int i;

	if (view == MAP_FAILED)
		return;
	for (i = 0; i < ENTRIES; i++)
		view[i] = some_tce(r);
	munmap(view, spapr_page_size());
}

/*
 * Creates and removes the slot of the memory that the racers use, which is a
 * part of slot 0 otherwise.
 */
static void slot_goes_and_comes(struct racer *r)
{
	struct guest *g = &r->arena->g;
	__u64 size = REGIONS * REGION_SIZE;

	judge_call(r, "delete a slot",
		   __vm_slot(&g->vm, 1, PLAYGROUND, g->mem + PLAYGROUND, 0),
		   0);
	sched_yield();
	judge_call(r, "add a slot",
		   __vm_slot(&g->vm, 1, PLAYGROUND, g->mem + PLAYGROUND, size),
		   0);
}

/* Moves memory to other guest addresses and back. */
static void slot_moves(struct racer *r)
{
	struct guest *g = &r->arena->g;
	__u64 size = REGIONS * REGION_SIZE;
	char *mem = g->mem + PLAYGROUND;

	judge_call(r, "move a slot", __vm_slot(&g->vm, 1, OTHER, mem, size), 0);
	sched_yield();
	judge_call(r, "move it back",
		   __vm_slot(&g->vm, 1, PLAYGROUND, mem, size), 0);
}

/* Modifies the memory below the hypercalls; only one racer per operation. */
static void memory_changes(struct racer *r)
{
	static const move_fn moves[] = {
		region_goes_and_comes, slot_goes_and_comes, slot_moves,
		lists_go,
	};

	moves[some(r, ARRAY_SIZE(moves))](r);
}

static void table_changes(struct racer *r)
{
	static const move_fn moves[] = {
		group_goes_and_comes, window_goes_and_comes,
		table_goes_and_comes,
	};

	moves[some(r, ARRAY_SIZE(moves))](r);
}

/* ------------------------------------------------------------------ */
/* Racing */

/* Runs until the slowest racer has arrived, or an error occurred. */
static void *run(void *arg)
{
	struct racer *r = arg;
	struct arena *a = r->arena;

	pthread_barrier_wait(r->start);
	while (__atomic_load_n(&a->arrived, __ATOMIC_RELAXED) < RACERS) {
		r->move(r);
		if (r->what || ++r->made == ROUNDS)
			__atomic_add_fetch(&a->arrived, r->what ? RACERS : 1,
					   __ATOMIC_RELAXED);
	}
	return NULL;
}

FIXTURE(races)
{
	struct arena arena;
	struct spapr_account base;
	struct racer racers[RACERS];
};

/* Splits the memory: a separate slot, and several regions. */
static int divide(struct guest *g)
{
	__u64 size = REGIONS * REGION_SIZE;
	unsigned int i;
	int ret;

	ret = __vm_slot(&g->vm, 0, 0, g->mem, 0);
	if (!ret)
		ret = __vm_slot(&g->vm, 0, 0, g->mem, PLAYGROUND);
	if (!ret)
		ret = __vm_slot(&g->vm, 1, PLAYGROUND, g->mem + PLAYGROUND,
				size);
	if (!ret)
		ret = __spapr_unregister(g->s.fd, g->mem, g->size);
	for (i = 0; !ret && i < REGIONS; i++)
		ret = __spapr_register(g->s.fd, g->mem + PLAYGROUND +
				       i * REGION_SIZE, REGION_SIZE);
	return ret;
}

FIXTURE_SETUP(races)
{
	struct guest_config config = {
		.size = MEM_SIZE, .nr_cpus = 2, .shift = 12, .hw_shift = 12,
		.window = WINDOW,
	};

	self->arena = (struct arena){ 0 };
	guest_init(&self->arena.g);
	NEED_DEVICES(return, 1);
	NOT_ON_STOCK(return);
	spapr_account(&self->base);
	ASSERT_EQ(0, __guest_open(&self->arena.g, &config));
	ASSERT_EQ(0, divide(&self->arena.g));
}

FIXTURE_TEARDOWN(races)
{
	guest_close(&self->arena.g);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

static int start_racers(struct arena *a, struct racer *racers,
			pthread_barrier_t *start, const move_fn *moves,
			unsigned int seed)
{
	unsigned int i;
	int ret = 0;

	pthread_barrier_init(start, NULL, RACERS);
	for (i = 0; i < RACERS && !ret; i++) {
		racers[i] = (struct racer){
			.arena = a, .move = moves[i], .start = start, .nr = i,
			.seed = seed + i,
		};
		ret = pthread_create(&racers[i].thread, NULL, run, &racers[i]);
	}
	return ret;
}

/* Returns the number of hypercalls that were completed in real mode. */
static long race(struct __test_metadata *_metadata, struct arena *a,
		 struct racer *racers, const move_fn *moves)
{
	long real = vm_count("tce_realmode");
	unsigned long completed = 0, left = 0;
	pthread_barrier_t start;
	unsigned int i;

	ASSERT_EQ(0, start_racers(a, racers, &start, moves, test_seed()));
	for (i = 0; i < RACERS; i++) {
		pthread_join(racers[i].thread, NULL);
		completed += racers[i].completed;
		left += racers[i].left;
		EXPECT_EQ(NULL, racers[i].what) {
			TH_LOG("racer %u: %s gave %ld", i, racers[i].what,
			       racers[i].got);
		}
	}
	real = vm_count("tce_realmode") - real;
	TH_LOG("%lu answers served, %lu left to user space, %ld hypercalls in real mode",
	       completed, left, real);
	if (!vm_real_mode())
		EXPECT_EQ(0, real);
	return real;
}

/* No reference is left: memory that is unmapped can be unregistered. */
#define EXPECT_ALL_GOES() do {						\
	struct guest *__g = &self->arena.g;				\
	unsigned int __i;						\
									\
	EXPECT_EQ(0, __spapr_unmap(__g->s.fd, __g->window, WINDOW));	\
	for (__i = 0; __i < REGIONS; __i++) {				\
		EXPECT_EQ(0, __spapr_unregister(__g->s.fd, __g->mem +	\
						PLAYGROUND + __i *	\
						REGION_SIZE,		\
						REGION_SIZE));		\
	}								\
	EXPECT_EQ(self->base.pins, spapr_pins());			\
} while (0)

#define RACE(moves) do {						\
	race(_metadata, &self->arena, self->racers, moves);		\
	EXPECT_ALL_GOES();						\
} while (0)

TEST_F_TIMEOUT(races, processors_against_each_other, SECONDS)
{
	const move_fn moves[RACERS] = {
		hcall_some, hcall_some, scribble,
		scribble,
	};
	long real = race(_metadata, &self->arena, self->racers, moves);

	/*
	 * none of these moves leaves real mode for long, if there is real mode
	 */
	if (vm_has_real_mode() && vm_real_mode())
		EXPECT_LT(0, real);
	EXPECT_ALL_GOES();
}

TEST_F_TIMEOUT(races, hypercalls_against_map_and_unmap, SECONDS)
{
	const move_fn moves[RACERS] = {
		hcall_some, hcall_some, map_or_unmap,
		map_or_unmap,
	};

	RACE(moves);
}

TEST_F_TIMEOUT(races, hypercalls_while_memory_comes_and_goes, SECONDS)
{
	const move_fn moves[RACERS] = {
		hcall_some, hcall_some, map_or_unmap,
		region_goes_and_comes,
	};

	RACE(moves);
}

TEST_F_TIMEOUT(races, mappings_are_shorter_than_registrations, SECONDS)
{
	const move_fn moves[RACERS] = {
		map_and_clear, map_and_clear, scribble,
		region_goes_and_comes,
	};

	RACE(moves);
}

TEST_F_TIMEOUT(races, hypercalls_while_slots_come_and_go, SECONDS)
{
	const move_fn moves[RACERS] = {
		hcall_some, hcall_some, map_or_unmap,
		slot_goes_and_comes,
	};

	RACE(moves);
}

TEST_F_TIMEOUT(races, hypercalls_while_slots_move, SECONDS)
{
	const move_fn moves[RACERS] = {
		hcall_some, hcall_many, map_or_unmap,
		slot_moves,
	};

	RACE(moves);
}

TEST_F_TIMEOUT(races, lists_that_change, SECONDS)
{
	const move_fn moves[RACERS] = {
		list_some, list_some, write_lists,
		region_goes_and_comes,
	};

	RACE(moves);
}

TEST_F_TIMEOUT(races, the_table_comes_and_goes, SECONDS)
{
	const move_fn moves[RACERS] = {
		hcall_some, list_some, lists_go,
		table_goes_and_comes,
	};

	RACE(moves);
}

TEST_F_TIMEOUT(races, the_group_comes_and_goes, SECONDS)
{
	const move_fn moves[RACERS] = {
		hcall_some, hcall_some, map_or_unmap,
		group_goes_and_comes,
	};

	RACE(moves);
}

TEST_F_TIMEOUT(races, the_window_comes_and_goes, SECONDS)
{
	const move_fn moves[RACERS] = {
		hcall_some, hcall_some, region_goes_and_comes,
		window_goes_and_comes,
	};

	RACE(moves);
}

TEST_F_TIMEOUT(races, hypercalls_while_everything_changes, SECONDS)
{
	const move_fn moves[RACERS] = {
		hcall_some, hcall_some, memory_changes,
		table_changes,
	};

	RACE(moves);
}

TEST_HARNESS_MAIN
