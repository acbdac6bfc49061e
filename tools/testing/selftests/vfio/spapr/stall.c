// SPDX-License-Identifier: GPL-2.0-only
/* A registration that stalls in the middle, as long as a test needs. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "libspapr.h"
#include "stall.h"

static int stall_register(struct stall *stall)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = {
			.start = (unsigned long)stall->at,
			.len = stall->size,
		},
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (ioctl(stall->uffd, UFFDIO_API, &api) ||
	    ioctl(stall->uffd, UFFDIO_REGISTER, &reg))
		return -errno;
	return 0;
}

int stall_init(struct stall *stall, void *at, size_t size)
{
	int ret;

	*stall = (struct stall){ .at = at, .size = size };
	stall->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (stall->uffd < 0)
		return -errno;
	if (pipe2(stall->returned, O_CLOEXEC)) {
		ret = -errno;
		close(stall->uffd);
		return ret;
	}
	ret = stall_register(stall);
	if (ret)
		stall_free(stall);
	return ret;
}

void stall_free(struct stall *stall)
{
	close(stall->uffd);
	close(stall->returned[0]);
	if (stall->returned[1] >= 0)
		close(stall->returned[1]);
	stall->returned[1] = -1;
}

static void stall_returned(struct stall *stall)
{
	close(stall->returned[1]);
	stall->returned[1] = -1;
}

bool stall_reached(struct stall *stall)
{
	struct pollfd fds[] = {
		{ .fd = stall->uffd, .events = POLLIN },
		{ .fd = stall->returned[0], .events = POLLIN },
	};
	struct uffd_msg msg;

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	return fds[0].revents & POLLIN &&
	       read(stall->uffd, &msg, sizeof(msg)) == sizeof(msg) &&
	       msg.event == UFFD_EVENT_PAGEFAULT;
}

void stall_release(struct stall *stall)
{
	struct uffdio_range range = {
		.start = (unsigned long)stall->at,
		.len = stall->size,
	};

	/* only the second one works if nothing is mapped any more */
	ioctl(stall->uffd, UFFDIO_UNREGISTER, &range);
	ioctl(stall->uffd, UFFDIO_WAKE, &range);
}

static void *call_thread(void *arg)
{
	struct call *call = arg;

	if (call->start)
		pthread_barrier_wait(call->start);
	__atomic_store_n(&call->tid, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	call->ret = __spapr_register(call->fd, call->va, call->size);
	if (call->stall)
		stall_returned(call->stall);
	return NULL;
}

int call_start(struct call *call)
{
	call->tid = 0;
	return -pthread_create(&call->thread, NULL, call_thread, call);
}

/* State letter of the thread in /proc; 0 if there is no such thread. */
static char thread_state(int tid)
{
	char path[64], text[256] = "", *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	state = strrchr(text, ')');
	return state && state[1] ? state[2] : 0;
}

void task_sleeps(int tid)
{
	char state;

	do {
		sched_yield();
		state = thread_state(tid);
	} while (state && state != 'D' && state != 'S' && state != 'Z');
}

void call_sleeps(struct call *call)
{
	int tid;

	do {
		tid = __atomic_load_n(&call->tid, __ATOMIC_SEQ_CST);
	} while (!tid);
	task_sleeps(tid);
}

int call_end(struct call *call)
{
	pthread_join(call->thread, NULL);
	return call->ret;
}
