/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A registration that stalls in the middle, as long as a test needs.
 *
 * Some pages of the range are under userfaultfd, so that pinning waits for
 * them. Operations during a registration need neither luck nor large memory.
 */
#ifndef SELFTESTS_VFIO_STALL_H
#define SELFTESTS_VFIO_STALL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct stall {
	int uffd;
	int returned[2];	/* pipe: closed when a call has returned */
	void *at;
	size_t size;
};

/* Returns 0 or the negative errno of the failed step. */
int stall_init(struct stall *stall, void *at, size_t size);
void stall_free(struct stall *stall);

/* Waits until a call stalls there; false: the call has returned instead. */
bool stall_reached(struct stall *stall);

/* Makes the pages normal, and wakes up their waiters. */
void stall_release(struct stall *stall);

/* One REGISTER call in a separate thread. */
struct call {
	pthread_t thread;
	struct stall *stall;	/* notified when the call returns, or NULL */
	pthread_barrier_t *start;	/* the call waits here first, or NULL */
	int fd;
	void *va;
	size_t size;
	int tid;
	int ret;
};

int call_start(struct call *call);
int call_end(struct call *call);

/* Waits for a thread or process to sleep in the kernel, or to exit. */
void call_sleeps(struct call *call);
void task_sleeps(int tid);

#endif
