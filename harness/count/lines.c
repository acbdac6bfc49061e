// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU (TCG) that watches which cache lines (of 128 bytes) the
 * kernel touches during a measurement, which a count of instructions does not
 * show.
 *
 * Something is measured on one processor, as spapr_bench says, from an
 * instruction "twi 0,0,0x7b1" to "twi 0,0,0x7b2". For each such interval, by
 * its number from 1 in the order of their ends, this is written:
 *
 *	lines N CPU TOUCHED WRITTEN MOVED INTERRUPTS
 *
 * TOUCHED are different lines that are read or written, WRITTEN those of them
 * that are written, and MOVED those that came from another processor: another
 * one has written it since this one had it, or had it, and this one writes.
 * Accesses outside the intervals move nothing. INTERRUPTS is the number of
 * interrupts in the interval; their lines cannot be separated, so that interval
 * is better left out.
 *
 * With list=on a line follows for each line of the cache:
 *
 *	line MOVED WRITTEN PHYSICAL VIRTUAL CODE...
 *
 * CODE are instructions that touch it, MOVED and WRITTEN 0 or 1.
 *
 * Only code of the kernel counts, also in real mode, with its stacks and
 * per-CPU data; neither user space nor firmware, and no
 * registers of devices. A line is one of physical memory. The marks themselves
 * touch no memory. Lines cleared by dcbz are not seen.
 *
 * Arguments: out=FILE, list=on.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu.h"

#define LINE_SHIFT	7
#define CPUS		16
#define TABLE_SHIFT	17
#define TABLE		(1UL << TABLE_SHIFT)	/* lines that can be known */
#define PCS		8		/* that are listed for a line */

/* Where user space begins, which is linked to run from there on. */
#define USER		0x10000000UL
#define KERNEL		0xcUL		/* the first digit of its addresses */

/*
 * Last interval of a processor that touched, wrote or moved the line; 0: none.
 */
struct mine {
	unsigned long touched, written, moved;
};

struct line {
	uint64_t nr;		/* physical address, shifted; 0: not used */
	uint64_t vaddr;
	unsigned int holders;	/* processors that have it as it is */
	int writer;		/* last processor that wrote it; -1: none */
	struct mine by[CPUS];
	uint64_t pc[PCS];
};

static struct cpu {
	unsigned long interval;	/* a number that no other one has; 0: none */
	unsigned long touched, written, moved, interrupts;
} cpus[CPUS];

static struct line table[TABLE];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long begun, ended;
static bool list;
static FILE *out;

static struct line *find(uint64_t nr)
{
	unsigned long i = (nr * 0x9e3779b97f4a7c15UL) >> (64 - TABLE_SHIFT);
	unsigned long tries;

	for (tries = 0; tries < TABLE; tries++, i = (i + 1) % TABLE) {
		if (!table[i].nr) {
			table[i].nr = nr;
			table[i].writer = -1;
		}
		if (table[i].nr == nr)
			return &table[i];
	}
	abort();
}

/*
 * Does a processor that does not have the line, or not alone, get it from
 * another?
 */
static bool moves(const struct line *l, unsigned int cpu, bool write)
{
	bool has = l->holders & 1U << cpu;

	if (write && (l->holders & ~(1U << cpu)))
		return true;
	return !has && l->writer >= 0 && l->writer != (int)cpu;
}

static void note_pc(struct line *l, uint64_t pc)
{
	unsigned int i;

	for (i = 0; i < PCS && l->pc[i] != pc; i++) {
		if (!l->pc[i]) {
			l->pc[i] = pc;
			return;
		}
	}
}

static void touch(unsigned int nr, uint64_t addr, uint64_t vaddr, bool write,
		  uint64_t pc)
{
	struct cpu *cpu = &cpus[nr];
	struct line *l = find(addr >> LINE_SHIFT);
	struct mine *m = &l->by[nr];

	if (m->touched != cpu->interval) {
		m->touched = cpu->interval;
		cpu->touched++;
		l->vaddr = vaddr;
		memset(l->pc, 0, sizeof(l->pc));
	}
	if (write && m->written != cpu->interval) {
		m->written = cpu->interval;
		cpu->written++;
	}
	if (m->moved != cpu->interval && moves(l, nr, write)) {
		m->moved = cpu->interval;
		cpu->moved++;
	}
	if (write) {
		l->writer = nr;
		l->holders = 0;
	}
	l->holders |= 1U << nr;
	if (list)
		note_pc(l, pc);
}

/* From the first byte to the last; that may be in the next line. */
static void access_memory(unsigned int nr, uint32_t info, uint64_t vaddr,
			  void *pc)
{
	struct qemu_plugin_hwaddr *hw;
	uint64_t addr, last;
	bool write;

	if (nr >= CPUS || !cpus[nr].interval)
		return;
	hw = qemu_plugin_get_hwaddr(info, vaddr);
	if (!hw || qemu_plugin_hwaddr_is_io(hw))
		return;
	addr = qemu_plugin_hwaddr_phys_addr(hw);
	last = addr + (1UL << qemu_plugin_mem_size_shift(info)) - 1;
	write = qemu_plugin_mem_is_store(info);
	pthread_mutex_lock(&lock);
	touch(nr, addr, vaddr, write, (uintptr_t)pc);
	if (addr >> LINE_SHIFT != last >> LINE_SHIFT)
		touch(nr, last, vaddr, write, (uintptr_t)pc);
	pthread_mutex_unlock(&lock);
}

/* ------------------------------------------------------------------ */
/* Intervals */

static void start(unsigned int nr, void *unused)
{
	(void)unused;
	if (nr >= CPUS)
		return;
	pthread_mutex_lock(&lock);
	cpus[nr] = (struct cpu){ .interval = ++begun };
	pthread_mutex_unlock(&lock);
}

static void write_lines(unsigned int nr, unsigned long interval)
{
	const struct line *l;
	unsigned int i;

	for (l = table; l < table + TABLE; l++) {
		if (!l->nr || l->by[nr].touched != interval)
			continue;
		fprintf(out, "line %d %d %lx %lx", l->by[nr].moved == interval,
			l->by[nr].written == interval, l->nr << LINE_SHIFT,
			l->vaddr);
		for (i = 0; i < PCS && l->pc[i]; i++)
			fprintf(out, " %lx", l->pc[i]);
		fputc('\n', out);
	}
}

static void end(unsigned int nr, void *unused)
{
	struct cpu *cpu = &cpus[nr];

	(void)unused;
	if (nr >= CPUS || !cpu->interval)
		return;
	pthread_mutex_lock(&lock);
	fprintf(out, "lines %lu %u %lu %lu %lu %lu\n", ++ended, nr,
		cpu->touched, cpu->written, cpu->moved, cpu->interrupts);
	if (list)
		write_lines(nr, cpu->interval);
	cpu->interval = 0;
	pthread_mutex_unlock(&lock);
}

static void interrupt(unsigned int nr, void *unused)
{
	(void)unused;
	if (nr < CPUS && cpus[nr].interval)
		cpus[nr].interrupts++;
}

/* ------------------------------------------------------------------ */
/* Code that is translated */

static bool is_kernel(uint64_t vaddr)
{
	return vaddr >> 60 == KERNEL || vaddr < USER;
}

/*
 * Interrupts that come from outside or from a clock begin at these places, of
 * real memory or where the kernel lets them begin with the MMU on.
 */
static bool is_interrupt(uint64_t vaddr)
{
	static const uint16_t at[] = {
		0x500, 0x900, 0x980, 0xa00, 0xe60, 0xe80, 0xea0
	};
	uint64_t low = vaddr & 0x3fff;
	unsigned int i;

	if (vaddr != low && vaddr != (0xc000000000004000UL | low))
		return false;
	for (i = 0; i < sizeof(at) / sizeof(*at); i++)
		if (at[i] == low)
			return true;
	return false;
}

static void look_at(struct qemu_plugin_insn *insn, bool kernel)
{
	void *pc = (void *)(uintptr_t)qemu_plugin_insn_vaddr(insn);

	if (kernel)
		qemu_plugin_register_vcpu_mem_cb(insn, access_memory, 0, MEM_RW,
						 pc);
	switch (opcode(insn)) {
	case MARK_START:
		qemu_plugin_register_vcpu_insn_exec_cb(insn, start, 0, NULL);
		break;
	case MARK_END:
		qemu_plugin_register_vcpu_insn_exec_cb(insn, end, 0, NULL);
		break;
	}
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	uint64_t vaddr = qemu_plugin_tb_vaddr(tb);
	size_t n = qemu_plugin_tb_n_insns(tb), i;

	(void)id;
	if (is_interrupt(vaddr))
		qemu_plugin_register_vcpu_insn_exec_cb(
			qemu_plugin_tb_get_insn(tb, 0), interrupt, 0, NULL);
	for (i = 0; i < n; i++)
		look_at(qemu_plugin_tb_get_insn(tb, i), is_kernel(vaddr));
}

static void close_out(qemu_plugin_id_t id, void *unused)
{
	(void)id;
	(void)unused;
	fclose(out);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info,
			       int argc, char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
		else if (!strcmp(argv[i], "list=on"))
			list = true;
		else
			return -1;
	}
	if (!out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, close_out, NULL);
	return 0;
}
