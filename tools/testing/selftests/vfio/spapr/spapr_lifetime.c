// SPDX-License-Identifier: GPL-2.0-only
/*
 * End of life: all resources of a process that exited, was killed or called
 * exec are released, and the device works for the next user.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "edu.h"
#include "spapr_test.h"
#include "stall.h"

#define CHUNK		0x10000UL
#define CHUNKS		16
#define LEN		EDU_DMA_MAX
#define SECONDS		180
#define EXEC_OPTION	"--wait-after-exec"

/* All resources that a process can hold. */
struct holder {
	struct spapr s;
	struct edu edu;
	bool has_edu;
	__u64 start;
	__u64 second;
	char *mem;
};

/*
 * Fills @h: memory in several regions, mapped in the default and in a second
 * window, if there is one, and with @with_device an open device that has done
 * DMA. Returns 0, or the number of the failed step.
 */
static int hold_everything(struct holder *h, bool with_device)
{
	struct vfio_iommu_spapr_tce_info info;
	size_t half = CHUNKS / 2 * CHUNK;
	__u64 iova;

	if (__spapr_open(&h->s, VFIO_SPAPR_TCE_v2_IOMMU, 1))
		return 1;
	h->mem = spapr_mem(2 * half);
	if (__spapr_register(h->s.fd, h->mem, half) ||
	    __spapr_register(h->s.fd, h->mem + half, half))
		return 2;
	if (__spapr_info(h->s.fd, &info))
		return 3;
	h->start = info.dma32_window_start;
	iova = h->start + 16 * MIB;
	if (__spapr_map(h->s.fd, iova, h->mem, 2 * half, SPAPR_RW))
		return 4;
	if (info.ddw.max_dynamic_windows_supported > 1 &&
	    (__spapr_create(h->s.fd, iommu_shift(&info), GIB, 1, &h->second) ||
	     __spapr_map(h->s.fd, h->second, h->mem, half, SPAPR_RW)))
		return 5;
	h->has_edu = with_device;
	if (!with_device)
		return 0;
	if (edu_open(&h->edu, h->s.group[0], spapr_bdf(0)))
		return 6;
	fill(h->mem, LEN, 5);
	if (edu_memcpy(&h->edu, iova + CHUNK, iova, LEN) ||
	    !is_filled(h->mem + CHUNK, LEN, 5))
		return 7;
	return 0;
}

static void let_go(struct holder *h)
{
	if (h->has_edu)
		edu_close(&h->edu);
	spapr_close(&h->s);
	munmap(h->mem, CHUNKS * CHUNK);
}

/*
 * The child holds all resources, reports this by one byte, and waits to be
 * killed.
 */
static pid_t start_holder(int *said, bool with_device)
{
	struct holder h = { 0 };
	int pipe_fd[2];
	char step = 0;
	pid_t pid;

	if (pipe(pipe_fd))
		return -1;
	pid = fork();
	if (!pid) {
		step = hold_everything(&h, with_device);
		if (write(pipe_fd[1], &step, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	*said = -1;
	if (pid > 0 && read(pipe_fd[0], &step, 1) == 1)
		*said = step;
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	return pid;
}

FIXTURE(lifetime)
{
	struct spapr_account base;
};

FIXTURE_SETUP(lifetime)
{
	NEED_DEVICES(return, 1);
	spapr_account(&self->base);
}

FIXTURE_TEARDOWN(lifetime)
{
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* The next user finds the device as the first one did. */
#define EXPECT_USABLE(with_device) do {					\
	struct holder __h = { 0 };					\
									\
	ASSERT_EQ(0, hold_everything(&__h, with_device));		\
	let_go(&__h);							\
	EXPECT_ACCOUNT(&self->base, 0, 0);				\
} while (0)

static void kill_and_reap(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST_F_TIMEOUT(lifetime, a_killed_process_leaves_nothing, SECONDS)
{
	long pages = CHUNKS * CHUNK / spapr_page_size();
	int said;
	pid_t pid = start_holder(&said, false);

	ASSERT_EQ(0, said);
	EXPECT_EQ(self->base.pins + pages, spapr_pins());
	kill_and_reap(pid);
	EXPECT_ACCOUNT(&self->base, 0, 0);
	EXPECT_USABLE(false);
}

TEST_F_TIMEOUT(lifetime, a_process_killed_with_an_open_device_leaves_nothing,
	       SECONDS)
{
	long pages = CHUNKS * CHUNK / spapr_page_size();
	int said;
	pid_t pid = start_holder(&said, true);

	ASSERT_EQ(0, said);
	EXPECT_EQ(self->base.pins + pages, spapr_pins());
	kill_and_reap(pid);
	EXPECT_ACCOUNT(&self->base, 0, 0);
	EXPECT_USABLE(true);
}

TEST_F_TIMEOUT(lifetime, a_process_may_just_exit, SECONDS)
{
	int status;
	pid_t pid = fork();

	ASSERT_GE(pid, 0);
	if (!pid) {
		struct holder h = { 0 };

		_exit(hold_everything(&h, false));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_ACCOUNT(&self->base, 0, 0);
	EXPECT_USABLE(false);
}

TEST_F_TIMEOUT(lifetime, processes_can_be_killed_one_after_the_other, SECONDS)
{
	int said, i;
	pid_t pid;

	for (i = 0; i < 10; i++) {
		pid = start_holder(&said, false);
		ASSERT_EQ(0, said);
		kill_and_reap(pid);
	}
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

#define LARGE_SHIFT	26	/* log2 of the number of TCEs */

/* Returns after all TCEs of a large window are cleared. */
static void create_large_window(int parent)
{
	struct vfio_iommu_spapr_tce_info info;
	struct spapr s;
	__u64 start;
	char byte;

	if (__spapr_open(&s, VFIO_SPAPR_TCE_v2_IOMMU, 1) ||
	    __spapr_info(s.fd, &info) ||
	    __spapr_remove(s.fd, info.dma32_window_start))
		_exit(1);
	if (write(parent, "", 1) == 1 && read(parent, &byte, 1) == 1)
		__spapr_create(s.fd, iommu_shift(&info),
			       1ULL << (LARGE_SHIFT + iommu_shift(&info)), 1,
			       &start);
	_exit(2);
}

TEST_F_TIMEOUT(lifetime, clearing_a_large_window_ends_with_the_process, SECONDS)
{
	int pair[2], status;
	siginfo_t info = {};
	long hcalls;
	char byte;
	pid_t pid;

	NOT_ON_STOCK(return);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		create_large_window(pair[1]);
	ASSERT_EQ(1, read(pair[0], &byte, 1));
	if (spapr_hcalls_begin()) {
		kill_and_reap(pid);
		SKIP(return, "needs a hypervisor and the trace of its calls");
	}
	ASSERT_EQ(1, write(pair[0], "", 1));
	/* more than a disk makes in this time */
	while (spapr_hcalls() < 500 &&
	       !waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) &&
	       !info.si_pid)
		;
	kill(pid, SIGKILL);
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	hcalls = spapr_hcalls_end();
	EXPECT_LE(500, hcalls);
	EXPECT_GT(1L << (LARGE_SHIFT - 9), hcalls);
	TH_LOG("%ld hypercalls", hcalls);
	EXPECT_ACCOUNT(&self->base, 0, 0);
	EXPECT_USABLE(true);
}

/* A refused UNREGISTER must not outlive the process. */
TEST_F_TIMEOUT(lifetime, a_refused_unregister_leaves_nothing_at_the_end,
	       SECONDS)
{
	pid_t pid = fork();
	int status;

	ASSERT_GE(pid, 0);
	if (!pid) {
		struct holder h = { 0 };

		if (hold_everything(&h, false))
			_exit(1);
		__spapr_unregister(h.s.fd, h.mem, CHUNKS / 2 * CHUNK);
		munmap(h.mem, CHUNKS * CHUNK);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* ------------------------------------------------------------------ */
/* Order of closing */

FIXTURE(closing)
{
	struct spapr_account base;
	struct holder h;
};

FIXTURE_VARIANT(closing)
{
	const char *order;	/* c: container, g: group, d: device */
};

FIXTURE_VARIANT_ADD(closing, container_group) { .order = "cg" };
FIXTURE_VARIANT_ADD(closing, group_container) { .order = "gc" };
FIXTURE_VARIANT_ADD(closing, container_group_device) { .order = "cgd" };
FIXTURE_VARIANT_ADD(closing, group_device_container) { .order = "gdc" };

FIXTURE_SETUP(closing)
{
	NEED_DEVICES(return, 1);
	spapr_account(&self->base);
	ASSERT_EQ(0, hold_everything(&self->h, strchr(variant->order, 'd')));
}

FIXTURE_TEARDOWN(closing)
{
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F_TIMEOUT(closing, in_any_order_gives_everything_back, SECONDS)
{
	const char *what;

	for (what = variant->order; *what; what++) {
		/* the memory is in use until group and device are closed */
		EXPECT_EQ(!!strpbrk(what, "gd"),
			  spapr_pins() > self->base.pins);
		if (*what == 'c')
			close(self->h.s.fd);
		else if (*what == 'g')
			close(self->h.s.group[0]);
		else
			edu_close(&self->h.edu);
	}
	EXPECT_ACCOUNT(&self->base, 0, 0);
	EXPECT_USABLE(false);
}

/* ------------------------------------------------------------------ */
/* Leaving groups */

TEST_F_TIMEOUT(lifetime, the_last_group_takes_everything_along, SECONDS)
{
	struct holder h = { 0 };

	ASSERT_EQ(0, hold_everything(&h, false));
	spapr_detach(&h.s, 0);
	EXPECT_ACCOUNT(&self->base, 0, 0);
	EXPECT_ERRNO(EINVAL, __spapr_unregister(h.s.fd, h.mem, CHUNK));
	spapr_attach(&h.s, 0);
	ASSERT_EQ(0, __spapr_ioctl(h.s.fd, VFIO_SET_IOMMU,
				   (void *)VFIO_SPAPR_TCE_v2_IOMMU));
	EXPECT_ERRNO(EPERM, __spapr_unregister(h.s.fd, h.mem, CHUNK));
	spapr_register(h.s.fd, h.mem, CHUNKS * CHUNK);
	spapr_map(h.s.fd, h.start + MIB, h.mem, CHUNKS * CHUNK, SPAPR_RW);
	let_go(&h);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F_TIMEOUT(lifetime, one_of_two_groups_takes_nothing_along, SECONDS)
{
	struct spapr_account before, after;
	struct holder h = { 0 };

	NEED_DEVICES(return, 2);
	ASSERT_EQ(0, hold_everything(&h, false));
	spapr_account(&before);
	spapr_attach(&h.s, 1);
	spapr_detach(&h.s, 0);
	spapr_account(&after);
	EXPECT_EQ(before.locked, after.locked);
	EXPECT_EQ(before.pins, after.pins);
	if (!spapr_on_stock()) {
		EXPECT_ERRNO(EBUSY, __spapr_unregister(h.s.fd, h.mem,
						       CHUNKS / 2 * CHUNK));
	}
	spapr_detach(&h.s, 1);
	EXPECT_ACCOUNT(&self->base, 0, 0);
	let_go(&h);
}

/* The window keeps its number after the other one was removed. */
TEST_F_TIMEOUT(lifetime, a_group_joins_a_second_window_that_is_alone, SECONDS)
{
	struct vfio_iommu_spapr_tce_info info;
	char *mem = spapr_mem(CHUNK);
	struct spapr s;
	__u64 at;

	NEED_DEVICES(return, 2);
	spapr_open(&s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_info(s.fd, &info);
	spapr_register(s.fd, mem, CHUNK);
	ASSERT_EQ(0, __spapr_create(s.fd, iommu_shift(&info), GIB, 1, &at));
	spapr_remove(s.fd, info.dma32_window_start);
	spapr_map(s.fd, at, mem, CHUNK, SPAPR_RW);
	spapr_attach(&s, 1);
	spapr_detach(&s, 0);
	spapr_map(s.fd, at + CHUNK, mem, CHUNK, SPAPR_RW);
	spapr_unmap(s.fd, at, 2 * CHUNK);
	spapr_close(&s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* ------------------------------------------------------------------ */
/* Large windows, with groups that join and leave */

#define NEEDS_HCALLS	"needs a hypervisor and the trace of its calls"
#define SHARED_SHIFT	21	/* log2 of the number of TCEs */
#define COPIED_SHIFT	18	/* the same, if each of them is copied */
#define HCALL_SHIFT	9	/* log2 of the TCEs cleared by one hypercall */
#define FEW		64	/* hypercalls: some more than a disk makes */

FIXTURE(large)
{
	struct spapr_account base;
	struct vfio_iommu_spapr_tce_info info;
	struct spapr s;
	char *mem;
	__u64 at;
};

FIXTURE_SETUP(large)
{
	NOT_ON_STOCK(return);
	NEED_DEVICES(return, 2);
	if (spapr_hcalls_begin())
		SKIP(return, NEEDS_HCALLS);
	spapr_hcalls_end();
	spapr_account(&self->base);
	spapr_open(&self->s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_info(self->s.fd, &self->info);
	self->mem = spapr_mem(MIB);
}

FIXTURE_TEARDOWN(large)
{
	spapr_close(&self->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* Replaces the default window by one of 2^@shift TCEs. */
static int make_large(struct _test_data_large *self, unsigned int shift)
{
	unsigned int page = iommu_shift(&self->info);

	return __spapr_remove(self->s.fd, self->info.dma32_window_start) ? :
	       __spapr_create(self->s.fd, page, 1ULL << (shift + page), 1,
			      &self->at);
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = {};

	waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT);
	return info.si_pid;
}

/* Whether a process makes this number of hypercalls before it exits. */
static bool hcalls_reach(long calls, pid_t pid)
{
	while (spapr_hcalls() < calls)
		if (has_ended(pid))
			return false;
	return true;
}

static long hcalls_of_detach(struct spapr *s, unsigned int n)
{
	if (spapr_hcalls_begin() || __spapr_detach(s, n))
		return -1;
	return spapr_hcalls_end();
}

TEST_F_TIMEOUT(large, a_group_that_leaves_is_cleared_where_it_is_mapped,
	       SECONDS)
{
	long all = 1L << (SHARED_SHIFT - HCALL_SHIFT), none, few;
	int fd = self->s.fd;

	ASSERT_EQ(0, make_large(self, SHARED_SHIFT));
	spapr_register(fd, self->mem, MIB);
	spapr_attach(&self->s, 1);
	none = hcalls_of_detach(&self->s, 1);
	spapr_map(fd, self->at, self->mem, CHUNK, SPAPR_RW);
	spapr_map(fd, self->at + GIB, self->mem, MIB, SPAPR_RW);
	spapr_attach(&self->s, 1);
	few = hcalls_of_detach(&self->s, 0);
	TH_LOG("%ld hypercalls, %ld with two blocks mapped", none, few);
	/* the kernel clears its own, smaller window */
	EXPECT_LE(0, none);
	EXPECT_GT(all / 2, none);
	EXPECT_LE(none + 2, few);
	EXPECT_GT(none + FEW, few);
	spapr_unmap(fd, self->at, 2 * GIB);
	spapr_unregister(fd, self->mem, MIB);
}

/* The second group reads the TCEs that the first one has left. */
TEST_F_TIMEOUT(large, a_group_that_joins_can_be_killed, SECONDS)
{
	__u64 size = 1ULL << (COPIED_SHIFT + iommu_shift(&self->info)), at;
	long clear = 1L << (COPIED_SHIFT - HCALL_SHIFT), hcalls;
	int fd = self->s.fd, status;
	struct edu edu;
	pid_t pid;

	ASSERT_EQ(0, make_large(self, COPIED_SHIFT));
	spapr_register(fd, self->mem, MIB);
	for (at = 0; at < size; at += MIB)
		spapr_map(fd, self->at + at, self->mem, MIB, SPAPR_RW);

	ASSERT_EQ(0, spapr_hcalls_begin());
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		_exit(!__spapr_attach(&self->s, 1));
	EXPECT_TRUE(hcalls_reach(clear + 1000, pid));
	kill(pid, SIGKILL);
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	hcalls = spapr_hcalls_end();
	TH_LOG("%ld hypercalls", hcalls);
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_GT(1L << COPIED_SHIFT, hcalls);

	spapr_unmap(fd, self->at + CHUNK, size - CHUNK);
	spapr_attach(&self->s, 1);
	spapr_detach(&self->s, 0);
	spapr_map(fd, self->at + size / 2, self->mem + CHUNK, CHUNK,
		  SPAPR_RW);
	fill(self->mem, LEN, 7);
	ASSERT_EQ(0, edu_open(&edu, self->s.group[1], spapr_bdf(1)));
	EXPECT_EQ(0, edu_memcpy(&edu, self->at + size / 2, self->at, LEN));
	EXPECT_TRUE(is_filled(self->mem + CHUNK, LEN, 7));
	edu_close(&edu);
}

/* The first user of the container, for which creating a window takes long. */
static pid_t start_large(struct _test_data_large *self)
{
	pid_t pid;

	if (spapr_hcalls_begin())
		return -1;
	pid = fork();
	if (!pid)
		_exit(!make_large(self, LARGE_SHIFT));
	return hcalls_reach(500, pid) ? pid : -1;
}

TEST_F_TIMEOUT(large, other_groups_do_not_wait_for_it, SECONDS)
{
	pid_t pid = start_large(self);
	struct spapr other;
	__u64 at;

	ASSERT_LT(0, pid);
	spapr_open_with(&other, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_remove(other.fd, self->info.dma32_window_start);
	spapr_create(other.fd, iommu_shift(&self->info), MIB, 1, &at);
	spapr_remove(other.fd, at);
	spapr_close(&other);
	EXPECT_FALSE(has_ended(pid));
	kill_and_reap(pid);
	EXPECT_GT(1L << (LARGE_SHIFT - HCALL_SHIFT), spapr_hcalls_end());
}

TEST_F_TIMEOUT(large, waiting_for_it_to_attach_is_killable, SECONDS)
{
	pid_t pid = start_large(self), second;

	ASSERT_LT(0, pid);
	second = fork();
	ASSERT_GE(second, 0);
	if (!second)
		_exit(!__spapr_attach(&self->s, 1));
	task_sleeps(second);
	kill_and_reap(second);
	EXPECT_FALSE(has_ended(pid));
	kill_and_reap(pid);
	EXPECT_GT(1L << (LARGE_SHIFT - HCALL_SHIFT), spapr_hcalls_end());
}

/* ------------------------------------------------------------------ */
/* Files that outlive their process */

/*
 * The owner dies while a child has inherited the files: the child cannot use
 * them, and the pages stay pinned until it closes them.
 */
TEST_F_TIMEOUT(lifetime, the_last_of_the_files_counts_not_the_owner, SECONDS)
{
	long pages = CHUNKS * CHUNK / spapr_page_size();
	int pipe_fd[2];
	pid_t owner, heir = -1;

	ASSERT_EQ(0, pipe(pipe_fd));
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	owner = fork();
	ASSERT_GE(owner, 0);
	if (!owner) {
		struct holder h = { 0 };

		if (hold_everything(&h, false))
			_exit(1);
		heir = fork();
		if (!heir && __spapr_unmap(h.s.fd, h.start, CHUNK) != -EPERM)
			_exit(2);
		if (heir && write(pipe_fd[1], &heir, sizeof(heir)) < 0)
			_exit(3);
		for (;;)
			pause();
	}
	close(pipe_fd[1]);
	ASSERT_EQ((ssize_t)sizeof(heir), read(pipe_fd[0], &heir, sizeof(heir)));
	kill_and_reap(owner);
	EXPECT_EQ(self->base.pins + pages, spapr_pins());
	EXPECT_ERRNO(EBUSY, spapr_group_fd(0));
	EXPECT_EQ(0, kill(heir, SIGKILL));
	/* reparented to this process, which is a subreaper */
	EXPECT_EQ(heir, waitpid(heir, NULL, 0));
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

#define FILES	2	/* passed on: container and group */

/* Room for the control data of a message of one byte. */
struct parcel {
	char byte;
	struct iovec iov;
	union {
		char buf[CMSG_SPACE(FILES * sizeof(int))];
		struct cmsghdr header;
	} control;
	struct msghdr msg;
};

static void make_parcel(struct parcel *p)
{
	*p = (struct parcel){ .byte = 'x' };
	p->iov = (struct iovec){ .iov_base = &p->byte, .iov_len = 1 };
	p->msg = (struct msghdr){
		.msg_iov = &p->iov,
		.msg_iovlen = 1,
		.msg_control = &p->control,
		.msg_controllen = sizeof(p->control),
	};
}

static bool send_files(int socket, const struct spapr *s)
{
	const int fd[FILES] = { s->fd, s->group[0] };
	struct cmsghdr *header;
	struct parcel p;

	make_parcel(&p);
	header = CMSG_FIRSTHDR(&p.msg);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(header), fd, sizeof(fd));
	return sendmsg(socket, &p.msg, 0) == 1;
}

static bool receive_files(int socket, struct spapr *s)
{
	struct cmsghdr *header;
	struct parcel p;
	int fd[FILES];

	make_parcel(&p);
	if (recvmsg(socket, &p.msg, 0) != 1)
		return false;
	header = CMSG_FIRSTHDR(&p.msg);
	if (!header || header->cmsg_len != CMSG_LEN(sizeof(fd)))
		return false;
	memcpy(fd, CMSG_DATA(header), sizeof(fd));
	*s = (struct spapr){ .fd = fd[0], .group = { fd[1], -1, -1, -1 } };
	return true;
}

/* Acquires all resources, sends them into the socket, and exits soon. */
static bool hold_and_send(int socket)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct holder h = { 0 };

		_exit(hold_everything(&h, false) || !send_files(socket, &h.s));
	}
	return waitpid(pid, &status, 0) == pid && !status;
}

/* The files are not open in any process, but can still be received. */
TEST_F_TIMEOUT(lifetime, files_in_a_socket_keep_the_memory, SECONDS)
{
	long pages = CHUNKS * CHUNK / spapr_page_size();
	int sockets[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	ASSERT_TRUE(hold_and_send(sockets[0]));
	EXPECT_EQ(self->base.pins + pages, spapr_pins());
	EXPECT_ERRNO(EBUSY, spapr_group_fd(0));
	close(sockets[0]);
	close(sockets[1]);
	EXPECT_ACCOUNT(&self->base, 0, 0);
	EXPECT_USABLE(false);
}

/* The memory is that of a dead process, the files are still usable. */
TEST_F_TIMEOUT(lifetime, files_that_are_passed_on_can_be_used, SECONDS)
{
	long pages = CHUNKS * CHUNK / spapr_page_size();
	void *mem = spapr_mem(CHUNK);
	int sockets[2];
	struct spapr s;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	ASSERT_TRUE(hold_and_send(sockets[0]));
	ASSERT_TRUE(receive_files(sockets[1], &s));
	EXPECT_EQ(self->base.pins + pages, spapr_pins());
	EXPECT_ERRNO(EPERM, __spapr_register(s.fd, mem, CHUNK));
	EXPECT_ERRNO(EPERM, __spapr_unmap(s.fd, 0, CHUNK));
	spapr_detach(&s, 0);
	EXPECT_ACCOUNT(&self->base, 0, 0);
	spapr_attach(&s, 0);
	ASSERT_EQ(0, __spapr_ioctl(s.fd, VFIO_SET_IOMMU,
				   (void *)VFIO_SPAPR_TCE_v2_IOMMU));
	spapr_register(s.fd, mem, CHUNK);
	EXPECT_ACCOUNT(&self->base, CHUNK, CHUNK / spapr_page_size());
	spapr_close(&s);
}

static void hold_and_exec(int fd)
{
	struct holder h = { 0 };
	char text[16];

	if (hold_everything(&h, false))
		_exit(1);
	snprintf(text, sizeof(text), "%d", fd);
	execl("/proc/self/exe", "spapr_lifetime", EXEC_OPTION, text, NULL);
	_exit(2);
}

static int after_exec(int fd)
{
	char byte = 'x';

	if (write(fd, &byte, 1) != 1)
		return 3;
	for (;;)
		pause();
}

TEST_F_TIMEOUT(lifetime, exec_closes_what_is_marked_so_and_leaves_nothing,
	       SECONDS)
{
	int pipe_fd[2];
	pid_t pid;
	char byte;

	ASSERT_EQ(0, pipe(pipe_fd));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		hold_and_exec(pipe_fd[1]);
	close(pipe_fd[1]);
	ASSERT_EQ(1, read(pipe_fd[0], &byte, 1));
	EXPECT_ACCOUNT(&self->base, 0, 0);
	EXPECT_USABLE(false);
	kill_and_reap(pid);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], EXEC_OPTION))
		return after_exec(atoi(argv[2]));
	return test_harness_run(argc, argv);
}
