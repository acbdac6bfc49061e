/* SPDX-License-Identifier: GPL-2.0 */
/*
 * RCU for a program of one thread, so that tools/testing/shared can be used
 * where liburcu is not installed.
 */
#ifndef _MM_IOMMU_BENCH_URCU_H
#define _MM_IOMMU_BENCH_URCU_H

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};

#define rcu_read_lock()			do { } while (0)
#define rcu_read_unlock()		do { } while (0)
#define rcu_dereference(p)		READ_ONCE(p)
#define rcu_assign_pointer(p, v)	WRITE_ONCE(p, v)
#define call_rcu(head, f)		((f)(head))

#define uatomic_inc(p)			(++*(p))
#define uatomic_read(p)			(*(p))
#define uatomic_set(p, v)		(*(p) = (v))

#endif /* _MM_IOMMU_BENCH_URCU_H */
