/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest of KVM in Debian's own QEMU, from the disk of the host.
 *
 * QEMU is a child of ours, and its monitor (QMP) and the guest's ports "report"
 * and "control" are sockets that we have the other ends of. A call that fails
 * says why in vm->why; it fails when QEMU ends, when the guest reboots by
 * itself and when neither of them says anything for VM_SILENCE seconds.
 */
#ifndef HARNESS_KVM_VM_H
#define HARNESS_KVM_VM_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#define VM_SILENCE	900

/* Where the disk is mounted. */
#define ROOT		"/run/disk"

struct vm_stream {
	int fd;
	size_t len;
	char text[8192];
};

struct vm {
	unsigned int nr_devices;	/* that it gets; 0: all */
	const char *disk;	/* the devices, for Debian's own kernel */
	const char *card;
	bool one_bridge;	/* for all devices */
	const char * const *more;	/* arguments of QEMU; NULL ends them */
	void (*become)(void);	/* is called in the process that becomes QEMU */
	pid_t pid;
	int control;
	struct vm_stream qmp;
	struct vm_stream report;
	char events[4096];
	/* gets each line that the guest reports */
	void (*said)(const char *line);
	/* is called now and then while we wait */
	void (*waiting)(void);
	char why[512];
};

/* Checks the requirements: NULL, or the first one that is not met. */
const char *vm_missing(void);

/*
 * PCI devices of the host whose class begins so, by their addresses: how many,
 * and the first @max of them.
 */
#define VM_PCI		"/sys/bus/pci/devices"
#define VM_BDF_LEN	16
unsigned int vm_pci(const char *class, char (*bdf)[VM_BDF_LEN],
		    unsigned int max);

/* Mounts the disk; all guests see the same one. */
bool vm_mount(char *why, size_t size);
void vm_umount(void);

/* In a child: the disk is all that it sees, and it dies with us. */
void vm_enter(void);

/* The next line of the input, and reading more of it. */
bool vm_line(struct vm_stream *s, char *line, size_t size);
bool vm_more(struct vm_stream *s);

/* Starts QEMU with the devices; @append goes to the guest's kernel. */
bool vm_start(struct vm *vm, const char *append);

/* Waits for a line that begins so, and copies the rest of it. */
bool vm_hear(struct vm *vm, const char *prefix, char *rest, size_t size);

/* A command for the agent in the guest, and its answer if there will be one. */
bool vm_say(struct vm *vm, const char *command);
bool vm_tell(struct vm *vm, const char *command, const char *answer,
	     char *rest, size_t size);

/* A command of QMP with arguments as JSON ("" for none), and its end. */
bool vm_monitor(struct vm *vm, const char *command, const char *arguments);

/* Waits for an event that has this word in it. */
bool vm_event(struct vm *vm, const char *event, const char *word);

/* Waits until QEMU ends, or ends it; the status is that of waitpid(). */
bool vm_wait(struct vm *vm, int *status);
void vm_kill(struct vm *vm);

/* KVM's statistics of this guest; -1 where there is none of this name. */
long vm_stat(struct vm *vm, const char *name);
struct vm_counts {
	long hcalls;
	long entries;
	long user;
	long real;
};

struct vm_counts vm_counts(struct vm *vm);
void vm_print_stats(struct vm *vm, const char *prefix);

/*
 * Why none of the hypercalls of this guest is served in real mode; NULL: they
 * are.
 */
bool vm_is_power8(void);	/* the host */
const char *vm_no_real_mode(struct vm *vm);

/* A line "name: NUMBER kB" of QEMU's status in /proc, in bytes. */
long vm_memory(struct vm *vm, const char *name);

/*
 * The fdinfo of QEMU's containers, and the number of TCEs mapped in all their
 * windows; -1 if the kernel has no such fdinfo.
 */
void vm_print_containers(struct vm *vm, const char *prefix);
unsigned int vm_containers(struct vm *vm);

/* Calls @call for each line of ours in the fdinfo of each container of QEMU. */
void vm_each_line(struct vm *vm, void (*call)(const char *line, void *arg),
		  void *arg);
long vm_mapped(struct vm *vm);

/* The version of these containers; -1 if the kernel has no such fdinfo. */
long vm_version(struct vm *vm);

/* From now on only the output of the guest's last kernel can fail a run. */
void vm_expect_crash(void);

/* Lines of the last guest's console that fail a run; prints them. */
unsigned int vm_print_splats(const char *prefix);
void vm_print_console(const char *prefix, unsigned int lines);

/* QEMU's command line, without the part that is common to all guests. */
void vm_print_command(struct vm *vm, const char *prefix);

#endif
