// SPDX-License-Identifier: GPL-2.0-only
/* Virtual machine that only makes hypercalls. See libkvm_tce.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <linux/const.h>

#include "kvm_tce_guest.h"
#include "libkvm_tce.h"
#include "libspapr.h"
#include "memkind.h"

#define KVM_VM_HV	1UL
#define KVM_VM_PR	2UL
#define HASH_ORDER	20

#define MSR_SF		_BITUL(63)
#define MSR_ME		_BITUL(12)
#define MSR_RI		_BITUL(1)
#define MSR_LE		_BITUL(0)
#define LPCR_ILE	_BITUL(25)

/* ------------------------------------------------------------------ */
/* Guest program */

#define PROGRAM_AT	0x8000

/* Each interrupt vector exits to user space. */
static void write_program(char *mem)
{
	size_t len = guest_interrupt_end - guest_interrupt, at;

	for (at = 0; at < PROGRAM_AT; at += len)
		memcpy(mem + at, guest_interrupt, len);
	len = guest_program_end - guest_program;
	memcpy(mem + PROGRAM_AT, guest_program, len);
	__builtin___clear_cache(mem, mem + PROGRAM_AT + len);
}

/* ------------------------------------------------------------------ */
/* Machine */

static int do_ioctl(int fd, unsigned long cmd, const void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

static bool has_cap(int fd, unsigned long cap)
{
	return do_ioctl(fd, KVM_CHECK_EXTENSION, (void *)cap) > 0;
}

/* VFIO_TEST_KVM=PR selects KVM-PR, which runs the whole guest in user mode. */
static bool is_pr(void)
{
	const char *type = getenv("VFIO_TEST_KVM");

	return type && !strcmp(type, "PR");
}

static int create_vm(int kvm)
{
	return do_ioctl(kvm, KVM_CREATE_VM,
			(void *)(is_pr() ? KVM_VM_PR : KVM_VM_HV));
}

const char *vm_missing(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), fd;
	const char *why = NULL;

	if (kvm < 0)
		return "needs /dev/kvm: a bare-metal host, or nested KVM-HV";
	fd = create_vm(kvm);
	if (fd < 0)
		why = "needs KVM-HV, KVM_CREATE_VM has no such type here";
	else if (!has_cap(fd, KVM_CAP_SPAPR_TCE_64) ||
		 !has_cap(fd, KVM_CAP_SPAPR_MULTITCE) ||
		 !has_cap(fd, KVM_CAP_SPAPR_TCE_VFIO))
		why = "needs a KVM that serves the TCE hypercalls";
	if (fd >= 0)
		close(fd);
	close(kvm);
	return why;
}

long vm_count(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%s", name);
	return spapr_read_number(path);
}

/* ------------------------------------------------------------------ */
/* Real mode */

#define REAL_MODE	"/sys/kernel/debug/powerpc/kvm_tce_real_mode"

bool vm_has_real_mode(void)
{
	const char *platform = (const char *)getauxval(AT_PLATFORM);

	return !is_pr() && platform && !strcmp(platform, "power8");
}

int vm_real_mode(void)
{
	int fd = open(REAL_MODE, O_RDONLY | O_CLOEXEC), ret;
	char on;

	if (fd < 0)
		return -errno;
	ret = read(fd, &on, 1) == 1 ? on == 'Y' : -EIO;
	close(fd);
	return ret;
}

/*
 * Runs in a session of its own, so that killing the test does not kill it. It
 * waits until all holders of the other end of the pipe have exited.
 */
static void keep_switch(int pipe)
{
	sigset_t all;
	char byte;

	setsid();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	dup2(pipe, 0);
	close_range(1, ~0U, 0);
	while (read(0, &byte, 1) < 0 && errno == EINTR)
		;
	_exit(spapr_write(REAL_MODE, "Y") ? 1 : 0);
}

int vm_real_mode_off(struct vm_switch *sw)
{
	int was = vm_real_mode(), fds[2];

	*sw = (struct vm_switch){ .fd = -1 };
	if (was <= 0)
		return was;
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	sw->fd = fds[1];
	sw->pid = fork();
	if (!sw->pid)
		keep_switch(fds[0]);
	close(fds[0]);
	if (sw->pid > 0)
		return spapr_write(REAL_MODE, "N");
	close(sw->fd);
	return -EAGAIN;
}

void vm_real_mode_restore(struct vm_switch *sw)
{
	if (sw->pid <= 0)
		return;
	close(sw->fd);
	waitpid(sw->pid, NULL, 0);
	*sw = (struct vm_switch){ .fd = -1 };
}

/* ------------------------------------------------------------------ */

/* A radix host runs radix guests; their tables are not used in real mode. */
static int setup_mmu(struct vm *vm)
{
	struct kvm_ppc_mmuv3_cfg radix = {
		.flags = KVM_PPC_MMUV3_RADIX,
		.process_table = _BITUL(63),
	};
	__u32 order = HASH_ORDER;

	/* defined by user space */
	if (is_pr())
		return 0;
	if (has_cap(vm->fd, KVM_CAP_PPC_MMU_RADIX))
		return do_ioctl(vm->fd, KVM_PPC_CONFIGURE_V3_MMU, &radix);
	return do_ioctl(vm->fd, KVM_PPC_ALLOCATE_HTAB, &order);
}

/* Interrupts use the byte order of the program. */
static int set_byte_order(struct cpu *cpu)
{
	__u64 lpcr;
	struct kvm_one_reg reg = {
		.id = KVM_REG_PPC_LPCR_64,
		.addr = (unsigned long)&lpcr,
	};
	int ret = do_ioctl(cpu->fd, KVM_GET_ONE_REG, &reg);

	if (ret)
		return ret;
#ifdef __LITTLE_ENDIAN__
	lpcr |= LPCR_ILE;
#endif
	return do_ioctl(cpu->fd, KVM_SET_ONE_REG, &reg);
}

static int set_start(struct cpu *cpu)
{
	struct kvm_regs regs;
	int ret = do_ioctl(cpu->fd, KVM_GET_REGS, &regs);

	if (ret)
		return ret;
	regs.pc = PROGRAM_AT;
	regs.msr = MSR_SF | MSR_ME | MSR_RI;
#ifdef __LITTLE_ENDIAN__
	regs.msr |= MSR_LE;
#endif
	return do_ioctl(cpu->fd, KVM_SET_REGS, &regs);
}

/* Hypercalls need a PAPR machine. */
static int set_papr(struct cpu *cpu)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_PPC_PAPR };

	return do_ioctl(cpu->fd, KVM_ENABLE_CAP, &cap);
}

/* Runs the vCPU until it makes a hypercall that exits to user space. */
static int enter(struct cpu *cpu)
{
	int ret;

	do {
		ret = do_ioctl(cpu->fd, KVM_RUN, NULL);
	} while (ret == -EINTR);
	if (ret)
		return ret;
	return cpu->run->exit_reason == KVM_EXIT_PAPR_HCALL ? 0 : -EIO;
}

static bool is_at(const struct cpu *cpu, unsigned long nr)
{
	return cpu->run->exit_reason == KVM_EXIT_PAPR_HCALL &&
	       cpu->run->papr_hcall.nr == nr;
}

static int open_cpu(struct vm *vm, struct cpu *cpu, unsigned long id)
{
	int ret;

	cpu->fd = do_ioctl(vm->fd, KVM_CREATE_VCPU, (void *)id);
	if (cpu->fd < 0)
		return cpu->fd;
	cpu->run_size = do_ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL);
	cpu->run = mmap(NULL, cpu->run_size, PROT_READ | PROT_WRITE,
			MAP_SHARED, cpu->fd, 0);
	if (cpu->run == MAP_FAILED)
		return -errno;
	ret = set_papr(cpu);
	if (!ret)
		ret = set_byte_order(cpu);
	if (!ret)
		ret = set_start(cpu);
	if (!ret)
		ret = enter(cpu);
	if (!ret && !is_at(cpu, H_DONE))
		ret = -EIO;
	return ret;
}

/*
 * One vCPU per core, because vCPUs of a core would have to run simultaneously.
 */
static int open_cpus(struct vm *vm, unsigned int n)
{
	int threads = do_ioctl(vm->fd, KVM_CHECK_EXTENSION,
			       (void *)KVM_CAP_PPC_SMT);
	int ret = 0;

	while (!ret && vm->nr_cpus < n) {
		ret = open_cpu(vm, &vm->cpu[vm->nr_cpus],
			       vm->nr_cpus * (threads > 0 ? threads : 1));
		vm->nr_cpus++;
	}
	return ret;
}

static int open_vfio(struct vm *vm)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };
	int ret = do_ioctl(vm->fd, KVM_CREATE_DEVICE, &create);

	if (!ret)
		vm->vfio = create.fd;
	return ret;
}

static int fill_vm(struct vm *vm, void *mem, size_t size, unsigned int nr_cpus)
{
	int ret = setup_mmu(vm);

	if (!ret)
		ret = __vm_enable_hcall(vm, H_PUT_TCE_INDIRECT, true);
	if (!ret)
		ret = __vm_enable_hcall(vm, H_STUFF_TCE, true);
	if (!ret)
		ret = open_vfio(vm);
	if (ret)
		return ret;
	write_program(mem);
	ret = __vm_slot(vm, 0, 0, mem, size);
	return ret ? : open_cpus(vm, nr_cpus);
}

/* Makes vm_close() safe to call. */
void vm_init(struct vm *vm)
{
	unsigned int i;

	*vm = (struct vm){ .kvm = -1, .fd = -1, .vfio = -1 };
	for (i = 0; i < VM_MAX_CPUS; i++)
		vm->cpu[i] = (struct cpu){ .fd = -1, .run = MAP_FAILED };
}

int __vm_open(struct vm *vm, void *mem, size_t size, unsigned int nr_cpus)
{
	int ret;

	vm_init(vm);
	vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm < 0)
		return -errno;
	vm->fd = create_vm(vm->kvm);
	ret = vm->fd < 0 ? vm->fd : fill_vm(vm, mem, size, nr_cpus);
	if (ret)
		vm_close(vm);
	return ret;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void vm_close_cpus(struct vm *vm)
{
	struct cpu *cpu;

	for (cpu = vm->cpu; cpu < vm->cpu + VM_MAX_CPUS; cpu++) {
		if (cpu->run != MAP_FAILED)
			munmap(cpu->run, cpu->run_size);
		cpu->run = MAP_FAILED;
		close_fd(&cpu->fd);
	}
}

void vm_close(struct vm *vm)
{
	vm_close_cpus(vm);
	close_fd(&vm->vfio);
	close_fd(&vm->fd);
	close_fd(&vm->kvm);
}

/* A size of 0 deletes the slot. */
int __vm_slot(struct vm *vm, unsigned int slot, __u64 gpa, void *va,
	      __u64 size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (unsigned long)va,
	};

	return do_ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
}

int __vm_enable_hcall(struct vm *vm, unsigned long nr, bool on)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_PPC_ENABLE_HCALL,
		.args = { nr, on },
	};

	return do_ioctl(vm->fd, KVM_ENABLE_CAP, &cap);
}

/*
 * KVM-PR leaves H_GET_TCE to user space, which reads the shadow: these are the
 * tables by file descriptor, some of which may be closed by now.
 */
#define MAX_TABLES	64

static struct {
	const struct vm *vm;
	struct kvm_create_spapr_tce_64 is;
} tables[MAX_TABLES];

static bool is_table(unsigned int fd)
{
	char path[32], link[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%u", fd);
	len = readlink(path, link, sizeof(link) - 1);
	link[len < 0 ? 0 : len] = '\0';
	return strstr(link, "kvm-spapr-tce");
}

static long read_view(unsigned int fd, unsigned long ioba, unsigned long *tce)
{
	const struct kvm_create_spapr_tce_64 *t = &tables[fd].is;
	unsigned long i = (ioba >> t->page_shift) - t->offset;
	size_t per_page = sysconf(_SC_PAGESIZE) / sizeof(*tce);
	unsigned long *view;

	if (ioba & (_BITUL(t->page_shift) - 1) || i >= t->size)
		return H_PARAMETER;
	view = mmap(NULL, per_page * sizeof(*tce), PROT_READ, MAP_SHARED, fd,
		    i / per_page * per_page * sizeof(*tce));
	if (view == MAP_FAILED)
		return H_TO_USER;
	*tce = view[i % per_page];
	munmap(view, per_page * sizeof(*tce));
	return H_SUCCESS;
}

static long get_in_user_space(const struct cpu *cpu, unsigned long liobn,
			      unsigned long ioba, unsigned long *tce)
{
	const struct vm *vm;
	unsigned int fd;

	for (fd = 0; fd < MAX_TABLES; fd++) {
		vm = tables[fd].vm;
		if (vm && cpu >= vm->cpu && cpu < vm->cpu + VM_MAX_CPUS &&
		    tables[fd].is.liobn == liobn && is_table(fd))
			return read_view(fd, ioba, tce);
	}
	return H_TO_USER;
}

int __vm_table(struct vm *vm, __u64 liobn, __u32 page_shift, __u64 offset,
	       __u64 size)
{
	struct kvm_create_spapr_tce_64 create = {
		.liobn = liobn,
		.page_shift = page_shift,
		.offset = offset,
		.size = size,
	};
	int fd = do_ioctl(vm->fd, KVM_CREATE_SPAPR_TCE_64, &create);

	if (fd >= 0 && fd < MAX_TABLES) {
		tables[fd].vm = vm;
		tables[fd].is = create;
	}
	return fd;
}

/* ------------------------------------------------------------------ */
/* Groups */

static int set_group(struct vm *vm, unsigned long attr, const void *arg)
{
	struct kvm_device_attr set = {
		.group = KVM_DEV_VFIO_GROUP,
		.attr = attr,
		.addr = (unsigned long)arg,
	};

	return do_ioctl(vm->vfio, KVM_SET_DEVICE_ATTR, &set);
}

int __vm_add_group(struct vm *vm, int group)
{
	return set_group(vm, KVM_DEV_VFIO_GROUP_ADD, &group);
}

int __vm_del_group(struct vm *vm, int group)
{
	return set_group(vm, KVM_DEV_VFIO_GROUP_DEL, &group);
}

int __vm_attach(struct vm *vm, int group, int table)
{
	struct kvm_vfio_spapr_tce attach = {
		.groupfd = group,
		.tablefd = table,
	};

	return set_group(vm, KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE, &attach);
}

/* ------------------------------------------------------------------ */
/* Hypercalls */

/* The vCPU is in H_DONE and continues with this call. */
static void prepare(struct cpu *cpu, const struct tce_hcall *h)
{
	struct kvm_run *run = cpu->run;
	unsigned int i;

	run->papr_hcall.ret = h->nr;
	for (i = 0; i < 4; i++)
		run->papr_hcall.args[i] = h->arg[i];
	run->papr_hcall.args[4] = h->step;
	run->papr_hcall.args[5] = h->count;
}

long vm_hcall(struct cpu *cpu, struct tce_hcall *h)
{
	int ret;

	prepare(cpu, h);
	do {
		ret = enter(cpu);
		/* only relevant for calls other than H_DONE */
		if (!ret && is_at(cpu, h->nr))
			cpu->run->papr_hcall.ret = H_TO_USER;
	} while (!ret && is_at(cpu, h->nr));
	if (ret || !is_at(cpu, H_DONE)) {
		printf("# the guest left with %d, exit reason %u\n", ret,
		       cpu->run->exit_reason);
		return H_BROKEN;
	}
	h->second = cpu->run->papr_hcall.args[6];
	h->ticks = cpu->run->papr_hcall.args[7];
	return cpu->run->papr_hcall.args[8];
}

long h_put_tce(struct cpu *cpu, unsigned long liobn, unsigned long ioba,
	       unsigned long tce)
{
	struct tce_hcall h = {
		.nr = H_PUT_TCE, .arg = { liobn, ioba, tce }, .count = 1,
	};

	return vm_hcall(cpu, &h);
}

long h_put_tce_indirect(struct cpu *cpu, unsigned long liobn,
			unsigned long ioba, unsigned long list,
			unsigned long n)
{
	struct tce_hcall h = {
		.nr = H_PUT_TCE_INDIRECT, .arg = { liobn, ioba, list, n },
		.count = 1,
	};

	return vm_hcall(cpu, &h);
}

long h_stuff_tce(struct cpu *cpu, unsigned long liobn, unsigned long ioba,
		 unsigned long tce, unsigned long n)
{
	struct tce_hcall h = {
		.nr = H_STUFF_TCE, .arg = { liobn, ioba, tce, n }, .count = 1,
	};

	return vm_hcall(cpu, &h);
}

long h_get_tce(struct cpu *cpu, unsigned long liobn, unsigned long ioba,
	       unsigned long *tce)
{
	struct tce_hcall h = {
		.nr = H_GET_TCE, .arg = { liobn, ioba }, .count = 1,
	};
	long ret = vm_hcall(cpu, &h);

	*tce = h.second;
	if (is_pr() && ret == H_TO_USER)
		ret = get_in_user_space(cpu, liobn, ioba, tce);
	return ret;
}

/* ------------------------------------------------------------------ */
/* Guest with a device */

static int open_memory(struct guest *g, const struct guest_config *c)
{
	g->size = c->size;
	g->mem = c->mem ? : mem_reserve(c->size, GUEST_ALIGN);
	if (!g->mem || (!c->mem && !mem_map(MEM_ANON, g->mem, c->size)))
		return -ENOMEM;
	return __vm_open(&g->vm, g->mem, c->size, c->nr_cpus);
}

/* As QEMU does: removes the default window, and creates another one. */
static int open_window(struct guest *g, const struct guest_config *c)
{
	struct vfio_iommu_spapr_tce_info info;
	int ret = __spapr_info(g->s.fd, &info);

	if (ret)
		return ret;
	if (!(info.ddw.pgsizes & _BITULL(c->hw_shift)))
		return -ENOTSUP;
	ret = __spapr_remove(g->s.fd, info.dma32_window_start);
	return ret ? : __spapr_create_rising(g->s.fd, c->hw_shift, c->window,
					     info.ddw.levels, &g->window);
}

static int open_device(struct guest *g, const struct guest_config *c)
{
	int ret = __spapr_open_with(&g->s, VFIO_SPAPR_TCE_v2_IOMMU, 0);

	if (!ret && !c->mem)
		ret = __spapr_register(g->s.fd, g->mem, g->size);
	if (!ret)
		ret = open_window(g, c);
	return ret;
}

int __guest_attach(struct guest *g, unsigned int n)
{
	int ret = __vm_add_group(&g->vm, g->s.group[n]);

	return ret ? : __vm_attach(&g->vm, g->s.group[n], g->table);
}

int __guest_open(struct guest *g, const struct guest_config *c)
{
	int ret;

	guest_init(g);
	ret = open_memory(g, c);
	if (!ret && c->hw_shift)
		ret = open_device(g, c);
	if (!ret)
		g->table = __vm_table(&g->vm, GUEST_LIOBN, c->shift,
				      g->window >> c->shift,
				      c->window >> c->shift);
	if (g->table < 0 && !ret)
		ret = g->table;
	if (!ret && c->hw_shift)
		ret = __guest_attach(g, 0);
	if (ret)
		guest_close(g);
	return ret;
}

/* Makes guest_close() safe to call. */
void guest_init(struct guest *g)
{
	unsigned int i;

	*g = (struct guest){ .table = -1, .s.fd = -1 };
	for (i = 0; i < SPAPR_MAX_GROUPS; i++)
		g->s.group[i] = -1;
	vm_init(&g->vm);
}

void guest_close_table(struct guest *g)
{
	close_fd(&g->table);
}

void guest_close(struct guest *g)
{
	vm_close(&g->vm);
	close_fd(&g->table);
	spapr_close(&g->s);
	if (g->mem)
		munmap(g->mem, g->size);
	g->mem = NULL;
}
