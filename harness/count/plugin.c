// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU (TCG) that counts, during a measurement, events that cost
 * the guest no instructions: hypercalls, calls of the firmware, TCE kills and
 * stores to registers of devices; also context switches; and on request the
 * executions of each block of code.
 *
 * Something is measured, as spapr_bench says, from an instruction "twi
 * 0,0,0x7b1" to "twi 0,0,0x7b2". For each such interval, by its number from 1,
 * this is written:
 *
 *	interval N HYPERCALLS OPAL-CALLS TCE-KILLS DEVICE-STORES SWITCHES
 *	ADDRESS INSTRUCTIONS EXECUTIONS
 *
 * Arguments: out=FILE, profile=on, addresses in the kernel: opal=__opal_call,
 * switch=__switch_to, and stores=FILE with lines "FROM TO": only the stores of
 * the kernel between these addresses are looked at, because that takes time;
 * those of the firmware always are. One processor only.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu.h"

#define BLOCKS		(1UL << 20)
#define SC_1		0x44000022U	/* a hypercall */
/*
 * The register of a PHB3 or PHB4 that drops TCEs, from the start of all of them
 */
#define PHB_TCE_KILL	0x210
#define PHB_MASK	0xffff
/* Where firmware runs */
#define FIRMWARE	0x30000000UL
#define FIRMWARE_END	0x40000000UL
#define RANGES		4096U

/* One block of code, as often as QEMU has translated it. */
struct block {
	uint64_t vaddr;
	uint64_t insns;
	uint64_t before;
};

enum event { HYPERCALL, OPAL_CALL, TCE_KILL, DEVICE_STORE, SWITCH, EVENTS };

static struct block *blocks[BLOCKS];
static unsigned long nr_blocks;
static uint64_t events[EVENTS], before[EVENTS];
static unsigned long interval;
static bool started;
static FILE *out;
static uint64_t opal, switch_to;
static struct { uint64_t from, to; } ranges[RANGES];
static unsigned int nr_ranges;
static bool profile;

#ifdef NEW
/* One number for each block, all in one array of the one processor. */
static struct qemu_plugin_scoreboard *score;

static uint64_t executed(unsigned long i)
{
	return ((uint64_t *)qemu_plugin_scoreboard_find(score, 0))[i];
}

static void count_block(struct qemu_plugin_tb *tb, unsigned long i)
{
	qemu_plugin_u64 entry = { score, i * sizeof(uint64_t) };

	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, 0, entry, 1);
}
#else
static uint64_t counts[BLOCKS];

static uint64_t executed(unsigned long i)
{
	return counts[i];
}

static void count_block(struct qemu_plugin_tb *tb, unsigned long i)
{
	qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &counts[i], 1);
}
#endif

static void start(unsigned int vcpu, void *unused)
{
	unsigned long i;

	(void)vcpu;
	(void)unused;
	started = true;
	memcpy(before, events, sizeof(events));
	for (i = 0; profile && i < nr_blocks; i++)
		blocks[i]->before = executed(i);
}

static void write_blocks(void)
{
	unsigned long i;
	uint64_t n;

	for (i = 0; i < nr_blocks; i++) {
		n = executed(i) - blocks[i]->before;
		if (n)
			fprintf(out, "%lx %lu %lu\n", blocks[i]->vaddr,
				blocks[i]->insns, n);
	}
}

static void end(unsigned int vcpu, void *unused)
{
	unsigned long i;

	(void)vcpu;
	(void)unused;
	if (!started)
		return;
	started = false;
	fprintf(out, "interval %lu", ++interval);
	for (i = 0; i < EVENTS; i++)
		fprintf(out, " %lu", events[i] - before[i]);
	fputc('\n', out);
	if (profile)
		write_blocks();
}

static void count(unsigned int vcpu, void *event)
{
	(void)vcpu;
	events[(uintptr_t)event]++;
}

/*
 * The kernel maps devices at 0xc00a... (not so with the hash MMU and pages of
 * 4K); firmware, whose addresses are real, finds them far above all memory.
 */
static void store(unsigned int vcpu, uint32_t info, uint64_t vaddr,
		  void *unused)
{
	(void)vcpu;
	(void)info;
	(void)unused;
	if (vaddr >> 48 != 0xc00a && (vaddr >> 60 || !(vaddr >> 48)))
		return;
	events[DEVICE_STORE]++;
	if ((vaddr & PHB_MASK) == PHB_TCE_KILL)
		events[TCE_KILL]++;
}

static void on_insn(struct qemu_plugin_insn *insn, exec_cb cb, uintptr_t arg)
{
	qemu_plugin_register_vcpu_insn_exec_cb(insn, cb, 0, (void *)arg);
}

static bool may_store(uint64_t vaddr)
{
	unsigned int i;

	if (vaddr >= FIRMWARE && vaddr < FIRMWARE_END)
		return true;
	for (i = 0; i < nr_ranges; i++)
		if (vaddr >= ranges[i].from && vaddr < ranges[i].to)
			return true;
	return false;
}

/* The guest is little-endian; its firmware is not, and has none of these. */
static void look_at(struct qemu_plugin_insn *insn, bool stores)
{
	if (stores)
		qemu_plugin_register_vcpu_mem_cb(insn, store, 0, MEM_W, NULL);
	switch (opcode(insn)) {
	case SC_1:
		on_insn(insn, count, HYPERCALL);
		break;
	case MARK_START:
		on_insn(insn, start, 0);
		break;
	case MARK_END:
		on_insn(insn, end, 0);
		break;
	}
}

static void look_at_block(struct qemu_plugin_tb *tb, uint64_t vaddr, size_t n)
{
	struct block *b = calloc(1, sizeof(*b));

	if (!b || nr_blocks == BLOCKS)
		abort();
	b->vaddr = vaddr;
	b->insns = n;
	blocks[nr_blocks] = b;
	count_block(tb, nr_blocks++);
}

/* Calls within the kernel leave out two instructions that set r2. */
static void count_calls(struct qemu_plugin_tb *tb, uint64_t function,
			enum event event)
{
	uint64_t vaddr = qemu_plugin_tb_vaddr(tb);

	if (function && (vaddr == function || vaddr == function + 8))
		on_insn(qemu_plugin_tb_get_insn(tb, 0), count, event);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	bool stores = may_store(qemu_plugin_tb_vaddr(tb));
	size_t n = qemu_plugin_tb_n_insns(tb), i;

	(void)id;
	count_calls(tb, opal, OPAL_CALL);
	count_calls(tb, switch_to, SWITCH);
	if (profile)
		look_at_block(tb, qemu_plugin_tb_vaddr(tb), n);
	for (i = 0; i < n; i++)
		look_at(qemu_plugin_tb_get_insn(tb, i), stores);
}

static void close_out(qemu_plugin_id_t id, void *unused)
{
	(void)id;
	(void)unused;
	fclose(out);
}

static bool read_ranges(const char *path)
{
	FILE *f = fopen(path, "r");

	if (!f)
		return false;
	while (nr_ranges < RANGES &&
	       fscanf(f, "%lx %lx", &ranges[nr_ranges].from,
		      &ranges[nr_ranges].to) == 2)
		nr_ranges++;
	fclose(f);
	return true;
}

static bool argument(const char *arg)
{
	if (!strncmp(arg, "stores=", 7))
		return read_ranges(arg + 7);
	if (!strncmp(arg, "out=", 4))
		out = fopen(arg + 4, "w");
	else if (!strncmp(arg, "opal=", 5))
		opal = strtoull(arg + 5, NULL, 16);
	else if (!strncmp(arg, "switch=", 7))
		switch_to = strtoull(arg + 7, NULL, 16);
	else if (!strcmp(arg, "profile=on"))
		profile = true;
	else
		return false;
	return true;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info,
			       int argc, char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++)
		if (!argument(argv[i]))
			return -1;
	if (!out)
		return -1;
#ifdef NEW
	score = qemu_plugin_scoreboard_new(BLOCKS * sizeof(uint64_t));
#endif
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, close_out, NULL);
	return 0;
}
