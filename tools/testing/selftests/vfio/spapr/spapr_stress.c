// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registration in large numbers, by many tasks concurrently, and while the
 * registering task is disturbed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "memkind.h"
#include "spapr_test.h"
#include "stall.h"

#define V2		VFIO_SPAPR_TCE_v2_IOMMU
#define SECONDS		300

/* Container with the first device, and one with the second if available. */
FIXTURE(stress)
{
	struct spapr a;
	struct spapr b;
	struct spapr_account base;
	__u64 iova;
	size_t page;
};

FIXTURE_SETUP(stress)
{
	struct vfio_iommu_spapr_tce_info info;

	NEED_DEVICES(return, 1);
	self->page = spapr_page_size();
	spapr_account(&self->base);
	spapr_open_with(&self->a, V2, 0);
	spapr_info(self->a.fd, &info);
	self->iova = info.dma32_window_start + 16 * MIB;
	if (__spapr_open_with(&self->b, V2, 1))
		self->b.fd = -1;
}

FIXTURE_TEARDOWN(stress)
{
	spapr_close(&self->a);
	spapr_close(&self->b);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* ------------------------------------------------------------------ */
/* Many regions */

#define MANY		10000
#define SAMPLE		50	/* every n-th region is mapped */

/* Registers one-page regions, in the order of @order. */
static int register_all(int fd, char *mem, const unsigned int *order)
{
	size_t page = spapr_page_size(), i;
	int ret = 0;

	for (i = 0; !ret && i < MANY; i++)
		ret = __spapr_register(fd, mem + order[i] * page, page);
	return ret;
}

/*
 * Unregisters all: mapped ones are refused, the others released unless they
 * were before; returns the number of refused ones.
 */
static int unregister_all(int fd, char *mem, const unsigned int *order)
{
	size_t page = spapr_page_size(), i;
	int ret, busy = 0;

	for (i = 0; i < MANY; i++) {
		ret = __spapr_unregister(fd, mem + order[i] * page, page);
		if (ret && ret != -EBUSY && ret != -ENOENT)
			return ret;
		busy += ret == -EBUSY;
	}
	return busy;
}

/* Each of them is found, alone and in a range of many. */
static int map_sample(int fd, __u64 iova, char *mem)
{
	size_t page = spapr_page_size(), i;
	int ret = 0;

	for (i = 0; !ret && i < MANY; i += SAMPLE)
		ret = __spapr_map(fd, iova + i * page, mem + i * page, page,
				  SPAPR_RW);
	if (!ret)
		ret = __spapr_map(fd, iova, mem, SAMPLE * page, SPAPR_RW);
	if (!ret)
		ret = __spapr_unmap(fd, iova + page, (SAMPLE - 1) * page);
	return ret;
}

TEST_F_TIMEOUT(stress, ten_thousand_regions_go_in_any_order, SECONDS)
{
	unsigned int *order = calloc(MANY, sizeof(*order));
	unsigned int seed = test_seed();
	size_t page = self->page;
	int fd = self->a.fd;
	char *mem = spapr_mem(MANY * page);

	ASSERT_NE(NULL, mem);
	shuffle(order, MANY, &seed);
	ASSERT_EQ(0, register_all(fd, mem, order));
	EXPECT_ACCOUNT(&self->base, MANY * page, MANY);
	ASSERT_EQ(0, map_sample(fd, self->iova, mem));
	/* the base kernel would leak mapped regions */
	shuffle(order, MANY, &seed);
	if (!spapr_on_stock()) {
		EXPECT_EQ(MANY / SAMPLE, unregister_all(fd, mem, order));
		EXPECT_EQ(self->base.pins + MANY / SAMPLE, spapr_pins());
	}
	spapr_unmap(fd, self->iova, MANY * page);
	EXPECT_EQ(0, unregister_all(fd, mem, order));
	EXPECT_EQ(self->base.pins, spapr_pins_settle(self->base.pins));
	/* leave the rest to the release of the container */
	shuffle(order, MANY, &seed);
	ASSERT_EQ(0, register_all(fd, mem, order));
}

/* ------------------------------------------------------------------ */
/* Many threads */

#define THREADS		4
#define SLOTS		24
#define SLOT_PAGES	8
#define STEPS		1500

/*
 * A thread and its exclusive ranges, in both containers. The expected result of
 * each call follows from the previous calls of the thread.
 */
struct player {
	pthread_t thread;
	unsigned int seed;
	int fd[2];
	char *mem;
	__u64 iova;
	bool registered[SLOTS][2];
	bool mapped[SLOTS][2];
	const char *what;	/* failed call */
	int wanted;
	int got;
};

static char *slot_mem(const struct player *p, unsigned int slot)
{
	return p->mem + slot * SLOT_PAGES * spapr_page_size();
}

static __u64 slot_iova(const struct player *p, unsigned int slot)
{
	return p->iova + slot * SLOT_PAGES * spapr_page_size();
}

/* Ranges of different length, so that they do not fill their slots. */
static size_t slot_size(unsigned int slot)
{
	return (1 + slot % SLOT_PAGES) * spapr_page_size();
}

static void answer(struct player *p, const char *what, int wanted, int got)
{
	if (wanted == got || p->what)
		return;
	p->what = what;
	p->wanted = wanted;
	p->got = got;
}

static void do_register(struct player *p, unsigned int slot, int c)
{
	answer(p, "REGISTER", p->registered[slot][c] ? -EBUSY : 0,
	       __spapr_register(p->fd[c], slot_mem(p, slot), slot_size(slot)));
	p->registered[slot][c] = true;
}

static void do_map(struct player *p, unsigned int slot, int c)
{
	bool known = p->registered[slot][0] || p->registered[slot][1];

	answer(p, "MAP", known ? 0 : -EINVAL,
	       __spapr_map(p->fd[c], slot_iova(p, slot), slot_mem(p, slot),
			   slot_size(slot), SPAPR_RW));
	p->mapped[slot][c] |= known;
}

static void do_unmap(struct player *p, unsigned int slot, int c)
{
	answer(p, "UNMAP", 0, __spapr_unmap(p->fd[c], slot_iova(p, slot),
					    slot_size(slot)));
	p->mapped[slot][c] = false;
}

static bool is_busy(const struct player *p, unsigned int slot, int c)
{
	return p->registered[slot][c] && !p->registered[slot][!c] &&
	       (p->mapped[slot][0] || p->mapped[slot][1]);
}

/* The base kernel leaks mapped regions, so it is never tried there. */
static void do_unregister(struct player *p, unsigned int slot, int c)
{
	char *mem = slot_mem(p, slot);
	size_t size = slot_size(slot);

	if (is_busy(p, slot, c)) {
		if (!spapr_on_stock())
			answer(p, "UNREGISTER", -EBUSY,
			       __spapr_unregister(p->fd[c], mem, size));
		do_unmap(p, slot, 0);
		do_unmap(p, slot, 1);
	}
	answer(p, "UNREGISTER", p->registered[slot][c] ? 0 : -ENOENT,
	       __spapr_unregister(p->fd[c], mem, size));
	p->registered[slot][c] = false;
}

static void *play(void *arg)
{
	void (*const moves[])(struct player *p, unsigned int slot, int c) = {
		do_register, do_map, do_unmap, do_unregister,
	};
	struct player *p = arg;
	unsigned int i, slot;

	for (i = 0; i < STEPS && !p->what; i++) {
		slot = rand_r(&p->seed) % SLOTS;
		moves[rand_r(&p->seed) % 4](p, slot, rand_r(&p->seed) % 2);
	}
	for (slot = 0; slot < SLOTS; slot++) {
		do_unregister(p, slot, 0);
		do_unregister(p, slot, 1);
	}
	return NULL;
}

/* The container belongs to this process, and unknown ranges are ENOENT. */
static int claim(int fd)
{
	void *mem = spapr_mem(spapr_page_size());
	int ret = __spapr_register(fd, mem, spapr_page_size());

	return ret ? : __spapr_unregister(fd, mem, spapr_page_size());
}

TEST_F_TIMEOUT(stress, threads_do_not_disturb_each_other, SECONDS)
{
	size_t size = SLOTS * SLOT_PAGES * self->page;
	unsigned int seed = test_seed(), i;
	struct player players[THREADS];

	NEED_DEVICES(return, 2);
	NOT_ON_STOCK(return);
	ASSERT_EQ(0, claim(self->a.fd));
	ASSERT_EQ(0, claim(self->b.fd));
	for (i = 0; i < THREADS; i++) {
		players[i] = (struct player){
			.seed = seed + i,
			.fd = { self->a.fd, self->b.fd },
			.mem = spapr_mem(size),
			.iova = self->iova + i * size,
		};
		ASSERT_EQ(0, pthread_create(&players[i].thread, NULL, play,
					    &players[i]));
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(players[i].thread, NULL);
		EXPECT_EQ(NULL, players[i].what) {
			TH_LOG("thread %u: %s gave %d instead of %d", i,
			       players[i].what, players[i].got,
			       players[i].wanted);
		}
	}
	EXPECT_EQ(self->base.pins, spapr_pins_settle(self->base.pins));
}

#define ROUNDS		2000

struct mapper {
	pthread_t thread;
	int fd;
	__u64 iova;
	char *mem;
	size_t size;
	bool stop;
	unsigned long mapped;
	unsigned long refused;
	int wrong;
};

static void *map_and_unmap(void *arg)
{
	struct mapper *m = arg;
	int ret;

	while (!__atomic_load_n(&m->stop, __ATOMIC_RELAXED) && !m->wrong) {
		ret = __spapr_map(m->fd, m->iova, m->mem, m->size, SPAPR_RW);
		m->mapped += !ret;
		m->refused += ret == -EINVAL;
		if (ret && ret != -EINVAL)
			m->wrong = ret;
		ret = __spapr_unmap(m->fd, m->iova, m->size);
		if (ret)
			m->wrong = ret;
	}
	return NULL;
}

/*
 * A region is registered and unregistered in one container while the other one
 * looks it up. It is found completely or not at all, and not after it was
 * unregistered.
 */
TEST_F_TIMEOUT(stress, regions_go_while_they_are_looked_up, SECONDS)
{
	struct mapper m = { .size = 4 * self->page };
	int i, ret, busy = 0;

	NEED_DEVICES(return, 2);
	NOT_ON_STOCK(return);
	ASSERT_EQ(0, claim(self->a.fd));
	m.mem = spapr_mem(m.size);
	m.fd = self->a.fd;
	m.iova = self->iova;
	ASSERT_EQ(0, pthread_create(&m.thread, NULL, map_and_unmap, &m));
	for (i = 0; i < ROUNDS; i++) {
		/* a refused region is replaced by the new one */
		ret = __spapr_register(self->b.fd, m.mem, m.size);
		EXPECT_EQ(0, ret);
		ret = __spapr_unregister(self->b.fd, m.mem, m.size);
		EXPECT_TRUE(!ret || ret == -EBUSY);
		busy += !!ret;
	}
	__atomic_store_n(&m.stop, true, __ATOMIC_RELAXED);
	pthread_join(m.thread, NULL);
	EXPECT_EQ(0, m.wrong);
	TH_LOG("%lu mapped, %lu not found, %d refused to go", m.mapped,
	       m.refused, busy);
	if (ret)
		ret = __spapr_unregister(self->b.fd, m.mem, m.size);
	EXPECT_EQ(0, ret);
	EXPECT_EQ(self->base.pins, spapr_pins());
}

/* ------------------------------------------------------------------ */
/* Simultaneous calls */

#define AT_ONCE_PAGES	64
#define AT_ONCE_ROUNDS	30

TEST_F_TIMEOUT(stress, two_containers_register_one_range_concurrently, SECONDS)
{
	size_t size = AT_ONCE_PAGES * self->page;
	char *mem = spapr_mem(size);
	struct call a, b;
	pthread_barrier_t start;
	int i;

	NEED_DEVICES(return, 2);
	a = (struct call){
		.start = &start, .fd = self->a.fd, .va = mem, .size = size,
	};
	b = a;
	b.fd = self->b.fd;
	pthread_barrier_init(&start, NULL, 2);
	for (i = 0; i < AT_ONCE_ROUNDS; i++) {
		ASSERT_EQ(0, madvise(mem, size, MADV_DONTNEED));
		ASSERT_EQ(0, call_start(&a));
		ASSERT_EQ(0, call_start(&b));
		ASSERT_EQ(0, call_end(&a));
		ASSERT_EQ(0, call_end(&b));
		EXPECT_ACCOUNT(&self->base, size, AT_ONCE_PAGES);
		spapr_unregister(self->a.fd, mem, size);
		spapr_unregister(self->b.fd, mem, size);
	}
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

enum { TOOK_IT = 20, NOT_PERMITTED, SOMETHING_ELSE };

/* A process that registers a page on request. */
static pid_t start_rival(int fd, int *go)
{
	void *mem = spapr_mem(spapr_page_size());
	pid_t pid = fork();
	int ret;

	if (pid)
		return pid;
	__atomic_sub_fetch(go, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(go, __ATOMIC_SEQ_CST))
		;
	ret = __spapr_register(fd, mem, spapr_page_size());
	_exit(!ret ? TOOK_IT : ret == -EPERM ? NOT_PERMITTED : SOMETHING_ELSE);
}

TEST_F_TIMEOUT(stress, two_processes_cannot_both_have_a_container, SECONDS)
{
	int *go = mmap(NULL, self->page, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int i, k, status, took;
	pid_t pid[2];

	NOT_ON_STOCK(return);
	for (i = 0; i < AT_ONCE_ROUNDS; i++) {
		spapr_close(&self->a);
		spapr_open_with(&self->a, V2, 0);
		*go = 2;
		pid[0] = start_rival(self->a.fd, go);
		pid[1] = start_rival(self->a.fd, go);
		for (k = 0, took = 0; k < 2; k++) {
			ASSERT_EQ(pid[k], waitpid(pid[k], &status, 0));
			ASSERT_TRUE(WIFEXITED(status));
			EXPECT_NE(SOMETHING_ELSE, WEXITSTATUS(status));
			took += WEXITSTATUS(status) == TOOK_IT;
		}
		EXPECT_EQ(1, took);
	}
}

/* A process that maps, starting before the other one has registered @mem. */
static pid_t start_mapper(int fd, __u64 iova, void *mem, int *go)
{
	pid_t pid = fork();
	int ret, last;

	if (pid)
		return pid;
	__atomic_store_n(go, 1, __ATOMIC_SEQ_CST);
	do {
		last = __atomic_load_n(go, __ATOMIC_SEQ_CST) == 2;
		ret = __spapr_map(fd, iova, mem, 4096, SPAPR_RW);
	} while (ret == -EPERM && !last);
	_exit(ret == -EPERM ? NOT_PERMITTED : SOMETHING_ELSE);
}

TEST_F_TIMEOUT(stress, nobody_maps_what_another_process_registers, SECONDS)
{
	int *go = mmap(NULL, self->page, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	void *mem = spapr_mem(self->page);
	int i, status;
	pid_t pid;

	for (i = 0; i < AT_ONCE_ROUNDS; i++) {
		spapr_close(&self->a);
		spapr_open_with(&self->a, V2, 0);
		*go = 0;
		pid = start_mapper(self->a.fd, self->iova, mem, go);
		ASSERT_LT(0, pid);
		while (__atomic_load_n(go, __ATOMIC_SEQ_CST) != 1)
			sched_yield();
		spapr_register(self->a.fd, mem, self->page);
		__atomic_store_n(go, 2, __ATOMIC_SEQ_CST);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFEXITED(status));
		ASSERT_EQ(NOT_PERMITTED, WEXITSTATUS(status));
	}
}

/* ------------------------------------------------------------------ */
/* During a registration */

#define STALL_PAGES	1024

/* A range in whose second half a registration stalls as long as requested. */
FIXTURE(stalled)
{
	struct spapr a;
	struct spapr b;
	struct spapr_account base;
	struct stall stall;
	struct call call;
	size_t page;
	size_t size;
	char *mem;
	char *middle;
};

static int open_stall(struct _test_data_stalled *self)
{
	int ret = stall_init(&self->stall, self->middle, self->size / 2);

	self->call = (struct call){
		.stall = &self->stall,
		.fd = self->a.fd,
		.va = self->mem,
		.size = self->size,
	};
	return ret;
}

FIXTURE_SETUP(stalled)
{
	NEED_DEVICES(return, 1);
	self->page = spapr_page_size();
	self->size = STALL_PAGES * self->page;
	self->mem = spapr_mem(self->size + 2 * self->page) + self->page;
	self->middle = self->mem + self->size / 2;
	spapr_account(&self->base);
	spapr_open_with(&self->a, V2, 0);
	if (__spapr_open_with(&self->b, V2, 1))
		self->b.fd = -1;
	if (open_stall(self)) {
		spapr_close(&self->a);
		spapr_close(&self->b);
		SKIP(return, "needs userfaultfd: CONFIG_USERFAULTFD");
	}
}

FIXTURE_TEARDOWN(stalled)
{
	stall_free(&self->stall);
	spapr_close(&self->a);
	spapr_close(&self->b);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

#define NEED_STALL(statement) do {					\
	if (spapr_on_stock())						\
		SKIP(statement, "needs a REGISTER that can let go of mmap_lock"); \
} while (0)

#define ASSERT_STALLED() do {						\
	ASSERT_EQ(0, call_start(&self->call));				\
	ASSERT_TRUE(stall_reached(&self->stall)) {			\
		TH_LOG("REGISTER gave %d", call_end(&self->call));	\
	}								\
	EXPECT_LT(self->base.pins, spapr_pins());			\
} while (0)

#define ASSERT_COMPLETES() do {						\
	stall_release(&self->stall);					\
	ASSERT_EQ(0, call_end(&self->call));				\
	EXPECT_ACCOUNT(&self->base, self->size, STALL_PAGES);		\
} while (0)

TEST_F(stalled, memory_is_mapped_touched_and_unmapped)
{
	size_t size = 4 * self->page;
	char *mem;
	int i;

	ASSERT_STALLED();
	for (i = 0; i < 100; i++) {
		mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, mem);
		mem_mark(mem, size, i);
		ASSERT_EQ(0, mprotect(mem, self->page, PROT_READ));
		ASSERT_EQ(0, munmap(mem, size));
	}
	ASSERT_COMPLETES();
}

TEST_F(stalled, the_process_forks)
{
	int fd = self->a.fd;
	pid_t pid;

	NEED_STALL(return);
	ASSERT_STALLED();
	pid = fork();
	if (!pid)
		_exit(0);
	EXPECT_EQ(pid, waitpid(pid, NULL, 0));
	ASSERT_COMPLETES();
	EXPECT_IN_CHILD(__spapr_unregister(fd, self->mem, self->size) ==
			-EPERM);
	spapr_unregister(fd, self->mem, self->size);
}

static int signals;

static void count_signal(int sig)
{
	__atomic_add_fetch(&signals, 1, __ATOMIC_SEQ_CST);
}

TEST_F(stalled, a_signal_that_is_handled_does_not_end_it)
{
	struct sigaction action = { .sa_handler = count_signal };

	NEED_STALL(return);
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ASSERT_STALLED();
	ASSERT_EQ(0, pthread_kill(self->call.thread, SIGUSR1));
	ASSERT_COMPLETES();
	EXPECT_EQ(1, __atomic_load_n(&signals, __ATOMIC_SEQ_CST));
}

TEST_F(stalled, neighbours_are_registered_and_overlaps_refused)
{
	size_t page = self->page, size = self->size;
	char *mem = self->mem;
	long locked;
	int fd;

	NEED_DEVICES(return, 2);
	NEED_STALL(return);
	fd = self->b.fd;
	ASSERT_STALLED();
	spapr_register(fd, mem - page, page);
	spapr_register(fd, mem + size, page);
	locked = spapr_locked();
	EXPECT_ERRNO(EINVAL, __spapr_register(fd, mem, page));
	EXPECT_ERRNO(EINVAL, __spapr_register(fd, mem, size - page));
	EXPECT_ERRNO(EINVAL, __spapr_register(fd, mem + page, size - page));
	EXPECT_ERRNO(EINVAL, __spapr_register(fd, mem + size - page, page));
	EXPECT_EQ(locked, spapr_locked());
	/* not registered yet: cannot be mapped or unregistered */
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, 16 * MIB, mem, page, SPAPR_RW));
	EXPECT_ERRNO(ENOENT, __spapr_unregister(fd, mem, size));
	spapr_unregister(fd, mem - page, page);
	spapr_unregister(fd, mem + size, page);
	spapr_remove(fd, 0);
	ASSERT_COMPLETES();
}

TEST_F(stalled, a_range_that_cannot_be_is_invalid_first)
{
	int fd = self->a.fd;

	NEED_STALL(return);
	ASSERT_STALLED();
	EXPECT_ERRNO(EINVAL, __spapr_register(fd, self->mem, 0));
	EXPECT_ERRNO(EINVAL, __spapr_register(fd, self->mem, self->size + 1));
	EXPECT_ERRNO(EBUSY, __spapr_register(fd, self->mem, self->size));
	ASSERT_COMPLETES();
	spapr_unregister(fd, self->mem, self->size);
}

TEST_F(stalled, the_same_range_waits_and_is_shared)
{
	struct call second = self->call;

	NEED_DEVICES(return, 2);
	NEED_STALL(return);
	second.fd = self->b.fd;
	second.stall = NULL;
	ASSERT_STALLED();
	ASSERT_EQ(0, call_start(&second));
	call_sleeps(&second);
	ASSERT_COMPLETES();
	ASSERT_EQ(0, call_end(&second));
	EXPECT_ACCOUNT(&self->base, self->size, STALL_PAGES);
	spapr_unregister(self->a.fd, self->mem, self->size);
	EXPECT_ACCOUNT(&self->base, self->size, STALL_PAGES);
	spapr_unregister(self->b.fd, self->mem, self->size);
}

TEST_F(stalled, a_failure_is_not_passed_to_waiters)
{
	struct call second = self->call;

	NEED_DEVICES(return, 2);
	NEED_STALL(return);
	second.fd = self->b.fd;
	second.stall = NULL;
	ASSERT_STALLED();
	ASSERT_EQ(0, call_start(&second));
	call_sleeps(&second);
	ASSERT_EQ(0, mprotect(self->middle, self->page, PROT_NONE));
	stall_release(&self->stall);
	EXPECT_ERRNO(EFAULT, call_end(&self->call));
	EXPECT_ERRNO(EFAULT, call_end(&second));
	EXPECT_ACCOUNT(&self->base, 0, 0);
	ASSERT_EQ(0, mprotect(self->middle, self->page,
			      PROT_READ | PROT_WRITE));
	spapr_register(self->b.fd, self->mem, self->size);
	spapr_register(self->a.fd, self->mem, self->size);
	EXPECT_ACCOUNT(&self->base, self->size, STALL_PAGES);
}

/* ------------------------------------------------------------------ */
/* Progress of others during a stalled registration */

struct writer {
	pthread_t thread;
	int fd;
	int tid;
	int ret;
};

/* Needs the container exclusively, as attaching a group does. */
static void *set_iommu_again(void *arg)
{
	struct writer *w = arg;

	__atomic_store_n(&w->tid, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	w->ret = __spapr_ioctl(w->fd, VFIO_SET_IOMMU, (void *)V2);
	return NULL;
}

static int writer_start(struct writer *w)
{
	int ret = pthread_create(&w->thread, NULL, set_iommu_again, w), tid;

	if (ret)
		return -ret;
	do {
		tid = __atomic_load_n(&w->tid, __ATOMIC_SEQ_CST);
	} while (!tid);
	task_sleeps(tid);
	return 0;
}

static bool fdinfo_is_read(int fd)
{
	char path[64], text[4096];
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	if (!f)
		return false;
	len = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[len] = '\0';
	return strstr(text, "spapr_tce_version:\t2\n");
}

/* The thread that handles page faults may make all calls. */
#define EXPECT_CALLS_GO_ON(fd) do {					\
	struct vfio_iommu_spapr_tce_info __info;			\
	char *__mem = spapr_mem(self->page);				\
	__u64 __at;							\
	int __fd = (fd);						\
									\
	EXPECT_EQ(0, __spapr_info(__fd, &__info));			\
	EXPECT_EQ(0, __spapr_register(__fd, __mem, self->page));	\
	EXPECT_EQ(0, __spapr_map(__fd, __info.dma32_window_start,	\
				 __mem, 4096, SPAPR_RW));		\
	EXPECT_TRUE(fdinfo_is_read(__fd));				\
	EXPECT_EQ(0, __spapr_unmap(__fd, __info.dma32_window_start,	\
				   4096));				\
	EXPECT_EQ(0, __spapr_remove(__fd, __info.dma32_window_start));	\
	EXPECT_EQ(0, __spapr_create(__fd, 12, GIB, 1, &__at));		\
	EXPECT_EQ(0, __spapr_remove(__fd, __at));			\
	EXPECT_EQ(0, __spapr_unregister(__fd, __mem, self->page));	\
	EXPECT_EQ(1, __spapr_ioctl(__fd, VFIO_CHECK_EXTENSION,		\
				   (void *)V2));			\
	__spapr_eeh(__fd, VFIO_EEH_PE_GET_STATE);			\
	munmap(__mem, self->page);					\
} while (0)

TEST_F(stalled, other_calls_go_on_beside_a_waiting_attach)
{
	struct writer writer = { .fd = self->a.fd };

	NEED_STALL(return);
	ASSERT_STALLED();
	ASSERT_EQ(0, writer_start(&writer));
	EXPECT_CALLS_GO_ON(self->a.fd);
	ASSERT_COMPLETES();
	EXPECT_EQ(0, pthread_join(writer.thread, NULL));
	EXPECT_EQ(-EINVAL, writer.ret);
}

/* Two devices are needed for a group that can be attached. */
TEST_F(stalled, groups_come_and_go)
{
	NEED_STALL(return);
	ASSERT_STALLED();
	EXPECT_ERRNO(EINVAL, __spapr_ioctl(self->a.fd, VFIO_SET_IOMMU,
					   (void *)V2));
	if (self->b.fd >= 0) {
		spapr_close(&self->b);
		EXPECT_EQ(0, __spapr_attach(&self->a, 1));
		EXPECT_EQ(0, __spapr_detach(&self->a, 1));
	}
	ASSERT_COMPLETES();
}

/* The container is released when the call that uses it returns. */
TEST_F(stalled, the_last_group_leaves)
{
	NEED_STALL(return);
	ASSERT_STALLED();
	spapr_detach(&self->a, 0);
	EXPECT_ERRNO(EINVAL, __spapr_unregister(self->a.fd, self->mem,
						self->size));
	/* the next container does not see registrations of the last one */
	spapr_attach(&self->a, 0);
	ASSERT_EQ(0, __spapr_ioctl(self->a.fd, VFIO_SET_IOMMU, (void *)V2));
	spapr_register(self->a.fd, self->mem - self->page, self->page);
	EXPECT_ERRNO(ENOENT, __spapr_unregister(self->a.fd, self->mem,
						self->size));
	stall_release(&self->stall);
	EXPECT_EQ(0, call_end(&self->call));
	EXPECT_ACCOUNT(&self->base, self->page, 1);
	spapr_register(self->a.fd, self->mem, self->size);
	spapr_unregister(self->a.fd, self->mem, self->size);
}

/* ------------------------------------------------------------------ */
/* Progress of others during a call whose argument stalls */

FIXTURE(argument)
{
	struct spapr a;
	struct spapr_account base;
	struct stall stall;
	size_t page;
	char *mem;
};

FIXTURE_VARIANT(argument)
{
	unsigned long cmd;
	unsigned int there;	/* readable bytes */
	int ret;
};

/* the page that arrives is zeroed: the size is too small */
FIXTURE_VARIANT_ADD(argument, of_map)
{
	.cmd = VFIO_IOMMU_MAP_DMA, .ret = -EINVAL,
};

FIXTURE_VARIANT_ADD(argument, of_unmap)
{
	.cmd = VFIO_IOMMU_UNMAP_DMA, .ret = -EINVAL,
};

FIXTURE_VARIANT_ADD(argument, of_register)
{
	.cmd = VFIO_IOMMU_SPAPR_REGISTER_MEMORY, .ret = -EINVAL,
};

FIXTURE_VARIANT_ADD(argument, of_create)
{
	.cmd = VFIO_IOMMU_SPAPR_TCE_CREATE, .ret = -EINVAL,
};

FIXTURE_VARIANT_ADD(argument, of_remove)
{
	.cmd = VFIO_IOMMU_SPAPR_TCE_REMOVE, .ret = -EINVAL,
};

FIXTURE_VARIANT_ADD(argument, of_info)
{
	.cmd = VFIO_IOMMU_SPAPR_TCE_GET_INFO, .ret = -EINVAL,
};

/* the size is readable, and the write faults */
FIXTURE_VARIANT_ADD(argument, of_info_that_is_written)
{
	.cmd = VFIO_IOMMU_SPAPR_TCE_GET_INFO, .there = 4,
};

FIXTURE_VARIANT_ADD(argument, of_eeh)
{
	.cmd = VFIO_EEH_PE_OP, .ret = -EINVAL,
};

/* the error to inject: the argument requests an unknown one */
FIXTURE_VARIANT_ADD(argument, of_eeh_with_an_error)
{
	.cmd = VFIO_EEH_PE_OP,
	.there = offsetof(struct vfio_eeh_pe_op, err),
};

FIXTURE_SETUP(argument)
{
	NEED_DEVICES(return, 1);
	self->page = spapr_page_size();
	self->mem = spapr_mem(2 * self->page);
	spapr_account(&self->base);
	spapr_open_with(&self->a, V2, 0);
	ASSERT_EQ(0, stall_init(&self->stall, self->mem + self->page,
				self->page));
}

FIXTURE_TEARDOWN(argument)
{
	stall_free(&self->stall);
	spapr_close(&self->a);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

struct argument_call {
	pthread_t thread;
	int fd;
	unsigned long cmd;
	void *arg;
	int ret;
};

static void *call_with_argument(void *arg)
{
	struct argument_call *c = arg;

	c->ret = __spapr_ioctl(c->fd, c->cmd, c->arg);
	return NULL;
}

TEST_F(argument, that_does_not_come_keeps_nobody)
{
	struct argument_call call = {
		.fd = self->a.fd, .cmd = variant->cmd,
		.arg = self->mem + self->page - variant->there,
	};
	struct vfio_eeh_pe_op op = {
		.argsz = sizeof(op), .op = VFIO_EEH_PE_INJECT_ERR,
	};
	struct writer writer = { .fd = self->a.fd };

	NEED_STALL(return);
	/* the first word is the size */
	memcpy(call.arg, &op, variant->there);
	if (variant->there == sizeof(__u32))
		*(__u32 *)call.arg = sizeof(struct vfio_iommu_spapr_tce_info);
	/* MAP and UNMAP need registered memory */
	spapr_register(self->a.fd, self->mem, self->page);
	ASSERT_EQ(0, pthread_create(&call.thread, NULL, call_with_argument,
				    &call));
	ASSERT_TRUE(stall_reached(&self->stall));
	ASSERT_EQ(0, writer_start(&writer));
	EXPECT_CALLS_GO_ON(self->a.fd);
	stall_release(&self->stall);
	EXPECT_EQ(0, pthread_join(call.thread, NULL));
	EXPECT_EQ(0, pthread_join(writer.thread, NULL));
	/* the result of the platform for an injected error is not checked */
	if (variant->there <= sizeof(__u32))
		EXPECT_EQ(variant->ret, call.ret);
}

/* ------------------------------------------------------------------ */
/* Killed registrations */

#define STACK		(64 * KIB)

static int register_and_exit(void *arg)
{
	struct call *call = arg;

	_exit(__spapr_register(call->fd, call->va, call->size) ? 1 : 0);
}

/* A process that shares the mm: its accounting is ours. */
static pid_t start_twin(struct call *call)
{
	char *stack = spapr_mem(STACK);

	return clone(register_and_exit, stack + STACK, CLONE_VM | SIGCHLD,
		     call);
}

static int kill_and_reap(pid_t pid)
{
	int status = 0;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		return -1;
	return WTERMSIG(status);
}

TEST_F(stalled, a_killed_registration_releases_all_memory)
{
	pid_t pid;

	NEED_STALL(return);
	pid = start_twin(&self->call);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(stall_reached(&self->stall));
	EXPECT_LT(self->base.pins, spapr_pins());
	EXPECT_EQ(self->base.locked + (long)self->size, spapr_locked());
	EXPECT_EQ(SIGKILL, kill_and_reap(pid));
	EXPECT_ACCOUNT(&self->base, 0, 0);
	EXPECT_ERRNO(ENOENT, __spapr_unregister(self->a.fd, self->mem,
						self->size));
	/* the container and the range can still be used */
	stall_release(&self->stall);
	spapr_register(self->a.fd, self->mem, self->size);
	EXPECT_ACCOUNT(&self->base, self->size, STALL_PAGES);
	spapr_unregister(self->a.fd, self->mem, self->size);
}

TEST_F(stalled, waiting_for_another_is_killable)
{
	struct call second = self->call;
	pid_t pid;

	NEED_DEVICES(return, 2);
	NEED_STALL(return);
	second.fd = self->b.fd;
	ASSERT_EQ(0, claim(self->b.fd));
	ASSERT_STALLED();
	pid = start_twin(&second);
	ASSERT_LT(0, pid);
	task_sleeps(pid);
	EXPECT_EQ(SIGKILL, kill_and_reap(pid));
	ASSERT_COMPLETES();
	EXPECT_ERRNO(ENOENT, __spapr_unregister(self->b.fd, self->mem,
						self->size));
	spapr_unregister(self->a.fd, self->mem, self->size);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* A child that exits during a call of another of its threads. */
static void stall_and_end(struct _test_data_stalled *self, bool kill_it)
{
	if (open_stall(self) || call_start(&self->call) ||
	    !stall_reached(&self->stall))
		_exit(1);
	if (kill_it)
		kill(getpid(), SIGKILL);
	_exit(7);
}

/* The container is bound to a dead process until its group is detached. */
#define EXPECT_USABLE_ANEW(s) do {					\
	struct spapr *__s = (s);					\
	void *__mem = spapr_mem(spapr_page_size());			\
									\
	EXPECT_ERRNO(EPERM, __spapr_register(__s->fd, __mem,		\
					     spapr_page_size()));	\
	spapr_detach(__s, 0);						\
	spapr_attach(__s, 0);						\
	ASSERT_EQ(0, __spapr_ioctl(__s->fd, VFIO_SET_IOMMU, (void *)V2)); \
	spapr_register(__s->fd, __mem, spapr_page_size());		\
	spapr_unregister(__s->fd, __mem, spapr_page_size());		\
} while (0)

TEST_F(stalled, a_process_exits_while_a_thread_of_it_registers)
{
	int status;
	pid_t pid;

	NEED_STALL(return);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		stall_and_end(self, false);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(7, WEXITSTATUS(status));
	EXPECT_ACCOUNT(&self->base, 0, 0);
	EXPECT_USABLE_ANEW(&self->a);
}

TEST_F(stalled, a_process_is_killed_while_a_thread_of_it_registers)
{
	int status;
	pid_t pid;

	NEED_STALL(return);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		stall_and_end(self, true);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_ACCOUNT(&self->base, 0, 0);
	EXPECT_USABLE_ANEW(&self->a);
}

/* ------------------------------------------------------------------ */
/* Long registrations */

#define LONG_PAGES	8192
#define PINS_ACQUIRED	"nr_foll_pin_acquired "
#define TRIES		20
#define MEANWHILE	3	/* minimal progress of others */

static pid_t start_long(int fd, int *done)
{
	size_t size = LONG_PAGES * spapr_page_size();
	void *mem = spapr_mem(size);
	pid_t pid = fork();

	if (!pid) {
		__spapr_register(fd, mem, size);
		__atomic_store_n(done, 1, __ATOMIC_SEQ_CST);
		for (;;)
			pause();
	}
	munmap(mem, size);
	return pid;
}

static bool is_done(int *done)
{
	return __atomic_load_n(done, __ATOMIC_SEQ_CST);
}

/* The kernel's counters show that it has begun and is not complete. */
TEST_F_TIMEOUT(stress, a_long_registration_can_be_killed_anywhere, SECONDS)
{
	int *done = mmap(NULL, self->page, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int tries, caught = 0;
	long enough;
	pid_t pid;

	for (tries = 0; tries < TRIES && caught < 3; tries++) {
		__atomic_store_n(done, 0, __ATOMIC_SEQ_CST);
		enough = self->base.pins + (caught + 1) * LONG_PAGES / 8;
		pid = start_long(self->a.fd, done);
		ASSERT_LT(0, pid);
		while (!is_done(done) && spapr_pins() < enough)
			;
		EXPECT_EQ(SIGKILL, kill_and_reap(pid));
		if (!is_done(done)) {
			caught++;
			EXPECT_ACCOUNT(&self->base, 0, 0);
			EXPECT_USABLE_ANEW(&self->a);
		}
		spapr_close(&self->a);
		EXPECT_ACCOUNT(&self->base, 0, 0);
		spapr_open_with(&self->a, V2, 0);
	}
	TH_LOG("caught %d times in %d tries", caught, tries);
	EXPECT_EQ(3, caught);
}

struct neighbour {
	pthread_t thread;
	long acquired;		/* total pins before the registration */
	int ended;
	unsigned long arrived;
	long done;
	long meanwhile;
};

/*
 * Counts operations that run completely while pages are pinned: some were
 * pinned before, and more are after.
 */
static void *live_on(void *arg)
{
	size_t size = 4 * spapr_page_size();
	struct neighbour *n = arg;
	long before, after = 0;
	char *mem;

	while (!__atomic_load_n(&n->ended, __ATOMIC_SEQ_CST)) {
		before = spapr_vmstat(PINS_ACQUIRED);
		if (before > after)
			n->meanwhile = n->done;
		mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		mem_mark(mem, size, 0);
		munmap(mem, size);
		after = spapr_vmstat(PINS_ACQUIRED);
		n->done += before > n->acquired;
		__atomic_add_fetch(&n->arrived, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* Progress of others during one registration. */
static long register_beside(struct __test_metadata *_metadata, int fd,
			    char *mem, size_t size)
{
	struct neighbour n = { .acquired = spapr_pins_acquired() };
	int ret;

	ASSERT_EQ(0, pthread_create(&n.thread, NULL, live_on, &n));
	while (!__atomic_load_n(&n.arrived, __ATOMIC_SEQ_CST))
		sched_yield();
	ret = __spapr_register(fd, mem, size);
	__atomic_store_n(&n.ended, 1, __ATOMIC_SEQ_CST);
	pthread_join(n.thread, NULL);
	ASSERT_EQ(0, ret);
	return n.meanwhile;
}

/*
 * mmap() and munmap() wait for each other and for one batch of pages, not for
 * the whole registration. A busy emulated machine may starve the others once,
 * but not each time.
 */
TEST_F_TIMEOUT(stress, others_live_on_beside_a_long_registration, SECONDS)
{
	size_t size = LONG_PAGES * self->page;
	char *mem = spapr_mem(size);
	long times = 0;
	int i;

	for (i = 0; i < TRIES && times < MEANWHILE; i++) {
		ASSERT_EQ(0, madvise(mem, size, MADV_DONTNEED));
		times = register_beside(_metadata, self->a.fd, mem, size);
		spapr_unregister(self->a.fd, mem, size);
	}
	TH_LOG("%ld times meanwhile in try %d", times, i);
	EXPECT_LE(MEANWHILE, times);
}

TEST_F(stress, an_overlap_is_refused_before_anything_is_pinned)
{
	size_t size = LONG_PAGES * self->page;
	char *mem = spapr_mem(size);
	long acquired;

	spapr_register(self->a.fd, mem + size - self->page, self->page);
	acquired = spapr_pins_acquired();
	EXPECT_ERRNO(EINVAL, __spapr_register(self->a.fd, mem, size));
	EXPECT_EQ(acquired, spapr_pins_acquired());
	EXPECT_ACCOUNT(&self->base, self->page, 1);
}

/* ------------------------------------------------------------------ */
/* Pages that are migrated */

/* A memory zone whose pages must be migrated before they are pinned. */
struct zone {
	__u64 start;
	__u64 end;
};

static struct zone find_movable(void)
{
	FILE *f = fopen("/proc/zoneinfo", "r");
	struct zone zone = { 0 };
	unsigned long n, spanned = 0;
	bool movable = false;
	char line[128];

	if (!f)
		return zone;
	while (!zone.end && fgets(line, sizeof(line), f)) {
		if (strstr(line, ", zone "))
			movable = strstr(line, "Movable");
		else if (movable && sscanf(line, " spanned %lu", &n) == 1)
			spanned = n;
		else if (movable && sscanf(line, " start_pfn: %lu", &n) == 1)
			zone = (struct zone){ n, n + spanned };
	}
	fclose(f);
	return zone;
}

/* A touched page in this zone; NULL if there is none. */
static char *movable_page(struct zone *zone)
{
	size_t page = spapr_page_size(), n = 64 * MIB / page, i;
	char *mem = spapr_mem(n * page);
	__u64 pfn;

	*zone = find_movable();
	for (i = 0; i < n && zone->end > zone->start; i++, mem += page) {
		mem_mark(mem, page, i);
		pfn = mem_pfn(mem);
		if (pfn >= zone->start && pfn < zone->end)
			return mem;
	}
	return NULL;
}

#define NEED_MOVABLE	"needs movable memory: boot with movablecore=512M"

/* Pages in a pipe cannot be migrated. */
struct holder {
	pthread_t thread;
	int pipe[2];
	size_t size;
	long failed;
};

static int hold_page(struct holder *h, void *mem, size_t size)
{
	struct iovec iov = { .iov_base = mem, .iov_len = size };

	h->size = size;
	if (pipe(h->pipe))
		return -errno;
	return vmsplice(h->pipe[1], &iov, 1, 0) == (ssize_t)size ? 0 : -EIO;
}

static void let_page_go(struct holder *h)
{
	close(h->pipe[0]);
	close(h->pipe[1]);
}

/* Drops the reference after an attempt to migrate the page has failed. */
static void *let_go_on_failure(void *arg)
{
	struct holder *h = arg;

	while (spapr_vmstat("pgmigrate_fail ") == h->failed)
		;
	let_page_go(h);
	return NULL;
}

/* Serializes: the holder runs whenever REGISTER sleeps. */
static void use_one_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

TEST_F_TIMEOUT(stress, a_page_that_cannot_be_moved_just_now, SECONDS)
{
	struct holder h = { 0 };
	struct zone zone;
	char *mem = movable_page(&zone);
	__u64 pfn;

	if (!mem)
		SKIP(return, NEED_MOVABLE);
	use_one_cpu();
	ASSERT_EQ(0, hold_page(&h, mem, self->page));
	h.failed = spapr_vmstat("pgmigrate_fail ");
	ASSERT_EQ(0, pthread_create(&h.thread, NULL, let_go_on_failure, &h));
	EXPECT_EQ(0, __spapr_register(self->a.fd, mem, self->page));
	pthread_join(h.thread, NULL);
	pfn = mem_pfn(mem);
	EXPECT_TRUE(pfn && (pfn < zone.start || pfn >= zone.end));
}

TEST_F_TIMEOUT(stress, a_page_that_can_never_be_moved_is_an_error, SECONDS)
{
	struct holder h = { 0 };
	struct zone zone;
	char *mem = movable_page(&zone);

	if (!mem)
		SKIP(return, NEED_MOVABLE);
	ASSERT_EQ(0, hold_page(&h, mem, self->page));
	EXPECT_GT(0, __spapr_register(self->a.fd, mem, self->page));
	EXPECT_ACCOUNT(&self->base, 0, 0);
	let_page_go(&h);
	spapr_register(self->a.fd, mem, self->page);
	EXPECT_ACCOUNT(&self->base, self->page, 1);
}

struct compactor {
	pthread_t thread;
	int stop;
	unsigned long rounds;
};

static void *compact(void *arg)
{
	struct compactor *c = arg;
	FILE *f;

	while (!__atomic_load_n(&c->stop, __ATOMIC_SEQ_CST)) {
		f = fopen("/proc/sys/vm/compact_memory", "w");
		if (!f)
			break;
		fputs("1", f);
		fclose(f);
		__atomic_add_fetch(&c->rounds, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* Compaction isolates and migrates pages that are being registered. */
TEST_F_TIMEOUT(stress, pages_may_move_before_they_are_pinned, SECONDS)
{
	size_t size = AT_ONCE_PAGES * self->page;
	struct compactor c = { 0 };
	char *mem = spapr_mem(size);
	unsigned long rounds = 0;

	if (access("/proc/sys/vm/compact_memory", W_OK))
		SKIP(return, "needs root and CONFIG_COMPACTION");
	ASSERT_EQ(0, pthread_create(&c.thread, NULL, compact, &c));
	while (rounds < 10) {
		ASSERT_EQ(0, madvise(mem, size, MADV_DONTNEED));
		mem_mark(mem, size, rounds);
		ASSERT_EQ(0, __spapr_register(self->a.fd, mem, size));
		EXPECT_TRUE(mem_is_marked(mem, size, rounds));
		spapr_unregister(self->a.fd, mem, size);
		rounds = __atomic_load_n(&c.rounds, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&c.stop, 1, __ATOMIC_SEQ_CST);
	pthread_join(c.thread, NULL);
}

TEST_HARNESS_MAIN
