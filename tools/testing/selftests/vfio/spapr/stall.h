/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A registration that stands still in its middle, for as long as a test wants.
 *
 * Some pages of the range are under userfaultfd, so that pinning waits for
 * them. No luck and no large amount of memory is needed to do something while
 * a registration goes on.
 */
#ifndef SELFTESTS_VFIO_STALL_H
#define SELFTESTS_VFIO_STALL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct stall {
	int uffd;
	int returned[2];	/* a pipe: closed when a call has returned */
	void *at;
	size_t size;
};

/* Gives 0 or the negative errno of the step that failed. */
int stall_init(struct stall *stall, void *at, size_t size);
void stall_free(struct stall *stall);

/* Waits until somebody stands there; false: the call came back instead. */
bool stall_reached(struct stall *stall);

/* The pages are like all others again, and who waits for them goes on. */
void stall_release(struct stall *stall);

/* One REGISTER call in a thread of its own. */
struct call {
	pthread_t thread;
	struct stall *stall;	/* is told when the call returns, or NULL */
	pthread_barrier_t *start;	/* where it waits before, or NULL */
	int fd;
	void *va;
	size_t size;
	int tid;
	int ret;
};

int call_start(struct call *call);
int call_end(struct call *call);

/* Wait for a thread or process to sleep in the kernel, or to end. */
void call_sleeps(struct call *call);
void task_sleeps(int tid);

#endif
