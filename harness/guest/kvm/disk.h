/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The NVMe disk that the host passes on to a guest with Debian's kernel: it has
 * a file system and the file "numbers". All accesses, on the host and in the
 * guest, are shell commands, which can be shown to the user. A call returns
 * false if its command fails, and disk.line is the last line of the command's
 * output.
 */
#ifndef HARNESS_KVM_DISK_H
#define HARNESS_KVM_DISK_H

#include "vm.h"

#define DISK_NO_DDW	"disable_ddw"	/* of the guest's kernel */
#define DISK_WRITTEN	64		/* MiB that disk_write() writes */

struct disk {
	char bdf[VM_BDF_LEN];
	char line[512];
	/* called with each command, before it runs, and its place */
	void (*said)(const char *where, const char *command);
};

extern struct disk disk;

/* Finds it: NULL, or what is missing. */
const char *disk_missing(void);

/* Debian's kernel is on the disk with QEMU, if it could be had. */
#define DISK_NEEDS_KERNEL \
	"Debian's kernel for the guest, of which no package could be had"
bool disk_has_kernel(void);

/* A command on the host, or in the guest @vm, that is not shown. */
bool disk_shell(struct vm *vm, const char *command);

/* Another device, to a driver. */
bool disk_bind(const char *bdf, const char *driver);

/* To vfio-pci, and to the host's own driver, which must find the disk again. */
bool disk_give(void);
bool disk_take(void);

/*
 * On the host, or in the guest @vm: mount and umount, and the checksum of a
 * file as the disk has it. The host checks the file system, too.
 */
bool disk_mount(struct vm *vm);
bool disk_umount(struct vm *vm);
bool disk_sum(struct vm *vm, const char *file);
bool disk_check(void);

/* The guest writes a new file; the checksum is that of the data written. */
bool disk_write(struct vm *vm, const char *file);

/* A command that is not shown, in the guest or on the host (NULL). */
bool disk_sh(struct vm *vm, const char *command);

/* Each CPU of the guest writes until its end; something is under way now. */
bool disk_busy(struct vm *vm);

/*
 * Some MiB for each number, written all together; are they as they were
 * written?
 */
bool disk_texts(struct vm *vm, unsigned int from, unsigned int to);
bool disk_has_texts(struct vm *vm, unsigned int from, unsigned int to);

/*
 * The guest's own kernel, from the disk, where the host has put it: it is
 * loaded (@how is an option of kexec), and the guest goes on with it.
 */
bool disk_add_kernel(void);
bool disk_load(struct vm *vm, const char *how, const char *append);
bool disk_kexec(struct vm *vm);

/*
 * The kernel after a crash writes memory of the dead one, and the host finds
 * it.
 */
bool disk_dump(struct vm *vm);
bool disk_has_dump(void);

/* The guest forgets the disk, in use or not, and looks for it. */
bool disk_release(struct vm *vm);
bool disk_accept(struct vm *vm);

/* A guest that gets the disk: it has booted, and its driver has found it. */
bool disk_start(struct vm *vm, const char *append);
bool disk_boot(struct vm *vm, char *version, size_t size);

#endif
