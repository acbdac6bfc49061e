/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Definitions that look to the compiler and in the object file as in a kernel.
 */
#define noinline	__attribute__((__noinline__))
#define __cold		__attribute__((__cold__, __noinline__))
#define notrace		__attribute__((patchable_function_entry(0, 0)))
#define __kprobes	notrace __attribute__((section(".kprobes.text")))

int _printk(const char *fmt, ...) __attribute__((__cold__));
void *memcpy(void *to, const void *from, unsigned long n);

struct paca {
	unsigned long unused[6];
	unsigned long data_offset;
};

register struct paca *local_paca asm("r13");

#define DEFINE_PER_CPU(type, name)					\
	type __attribute__((section(".data..percpu"))) name

#define per_cpu_here(var)						\
	(*(typeof(var) *)((unsigned long)&(var) + local_paca->data_offset))

#define WARN()		asm volatile("twi 31, 0, 0")
#define BUG_ON(cond)	asm volatile("tdnei %0, 0" : : "r" ((long)(cond)))
