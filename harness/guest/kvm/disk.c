// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"

#define NVME		"0x010802"
#define FOUND		"until [ -b /dev/nvme0n1 ]; do sleep 0.1; done"

struct disk disk;

const char *disk_missing(void)
{
	return vm_pci(NVME, &disk.bdf, 1) ? NULL :
	       "an NVMe disk: see harness/machines/*-kvm";
}

bool disk_has_kernel(void)
{
	return !access(ROOT "/guest/debian/vmlinux", F_OK);
}

/* ------------------------------------------------------------------ */
/* Commands */

static bool on_host(const char *command)
{
	char all[640], line[sizeof(disk.line)] = "";
	FILE *f;

	snprintf(all, sizeof(all), "{ %s; } 2>&1", command);
	fflush(stdout);
	f = popen(all, "re");
	while (f && fgets(line, sizeof(line), f))
		line[strcspn(line, "\n")] = '\0';
	strcpy(disk.line, line);
	return f && !pclose(f);
}

static bool in_guest(struct vm *vm, const char *command)
{
	char all[640];

	snprintf(all, sizeof(all), "sh %s", command);
	if (vm_tell(vm, all, "sh ", disk.line, sizeof(disk.line)))
		return true;
	strcpy(disk.line, vm->why);
	return false;
}

/* Commands that are not shown, such as to wait. */
bool disk_sh(struct vm *vm, const char *command)
{
	return vm ? in_guest(vm, command) : on_host(command);
}

bool disk_shell(struct vm *vm, const char *command)
{
	return disk_sh(vm, command);
}

static bool run(struct vm *vm, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static bool run(struct vm *vm, const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	if (disk.said)
		disk.said(vm ? "guest" : "host", command);
	return disk_sh(vm, command);
}

/* ------------------------------------------------------------------ */
/* The owner of the disk */

bool disk_bind(const char *bdf, const char *driver)
{
	char check[128];

	snprintf(check, sizeof(check),
		 "[ -e /sys/bus/pci/drivers/%s/%s ] || { echo not bound; false; }",
		 driver, bdf);
	return run(NULL, "cd " VM_PCI "/%s; echo %s >driver_override", bdf,
		   driver) &&
	       run(NULL, "cd " VM_PCI "/%s; echo %s >driver/unbind", bdf,
		   bdf) &&
	       run(NULL, "echo %s >/sys/bus/pci/drivers_probe", bdf) &&
	       disk_sh(NULL, check);
}

bool disk_give(void)
{
	return disk_bind(disk.bdf, "vfio-pci");
}

/* A driver probes the disk asynchronously after the bind. */
bool disk_take(void)
{
	return disk_bind(disk.bdf, "nvme") && disk_sh(NULL, FOUND);
}

bool disk_start(struct vm *vm, const char *append)
{
	vm->disk = disk.bdf;
	vm->nr_devices = 1;
	return vm_start(vm, append);
}

bool disk_boot(struct vm *vm, char *version, size_t size)
{
	return vm_hear(vm, "@hello", version, size) &&
	       vm_hear(vm, "@agent ready", NULL, 0) && disk_sh(vm, FOUND);
}

/* ------------------------------------------------------------------ */
/* Contents of the disk */

bool disk_mount(struct vm *vm)
{
	return disk_sh(vm, FOUND "; mkdir -p /mnt") &&
	       run(vm, "mount -t ext4 /dev/nvme0n1 /mnt");
}

bool disk_umount(struct vm *vm)
{
	return run(vm, "umount /mnt");
}

bool disk_sum(struct vm *vm, const char *file)
{
	return run(vm, "echo 3 >/proc/sys/vm/drop_caches; sha256sum /mnt/%s",
		   file);
}

bool disk_check(void)
{
	return run(NULL, "chroot /run/disk e2fsck -fn /dev/nvme0n1");
}

bool disk_write(struct vm *vm, const char *file)
{
	return run(vm,
		   "dd if=/dev/urandom of=/mnt/%s bs=1M count=%d conv=fsync",
		   file, DISK_WRITTEN) &&
	       run(vm, "sha256sum /mnt/%s", file);
}

/* The ninth word is what the disk has not answered yet. */
bool disk_busy(struct vm *vm)
{
	return run(vm,
		   "for i in $(seq $(nproc)); do"
		   " while dd if=/dev/urandom of=/mnt/busy$i bs=1M count=8 conv=fsync;"
		   " do :; done >/dev/null 2>&1 & done") &&
	       disk_sh(vm, "until [ -s /mnt/busy1 ] && awk '{ exit !$9 }' "
			   "/sys/block/nvme0n1/stat; do :; done");
}

/* Each file has numbers of its own. */
#define TEXTS	"for i in $(seq %u %u); do seq ${i}000000 ${i}399999 | "

bool disk_texts(struct vm *vm, unsigned int from, unsigned int to)
{
	return run(vm, TEXTS "dd of=/mnt/text$i bs=64k conv=fsync & done; wait",
		   from, to);
}

bool disk_has_texts(struct vm *vm, unsigned int from, unsigned int to)
{
	return run(vm, "echo 3 >/proc/sys/vm/drop_caches; "
		   TEXTS "cmp - /mnt/text$i || exit 1; done", from, to);
}

/* ------------------------------------------------------------------ */
/* Other kernels of a guest */

#define KEXEC	"/mnt/kexec/ld64.so.2 --library-path /mnt/kexec /mnt/kexec/kexec"

bool disk_add_kernel(void)
{
	return run(NULL, "mkdir -p /mnt/kexec; cd " ROOT "; cp -L sbin/kexec "
		   "lib/powerpc64le-linux-gnu/ld64.so.2 lib/powerpc64le-linux-gnu/libc.so.6 "
		   "guest/debian/vmlinux guest/debian/initramfs.cpio.gz /mnt/kexec/");
}

bool disk_load(struct vm *vm, const char *how, const char *append)
{
	return run(vm,
		   KEXEC " %s /mnt/kexec/vmlinux "
			 "--initrd=/mnt/kexec/initramfs.cpio.gz --append=\""
			 "$(sed 's/crashkernel=[^ ]*//' /proc/cmdline) %s\"",
		   how, append);
}

bool disk_kexec(struct vm *vm)
{
	return vm_say(vm, "sh " KEXEC " -e -y");
}

/*
 * The head of its memory as an ELF file, which begins with a note of each CPU.
 */
bool disk_dump(struct vm *vm)
{
	return run(vm, "dd if=/proc/vmcore of=/mnt/vmcore bs=64k count=256 conv=fsync");
}

bool disk_has_dump(void)
{
	return run(NULL, "[ $(stat -c %%s /mnt/vmcore) = 16777216 ] && "
		   "head -c 4 /mnt/vmcore | grep ELF && grep -c 'OSRELEASE=' /mnt/vmcore");
}

/* ------------------------------------------------------------------ */
/* The disk leaves a guest that writes to it, and comes back */

bool disk_release(struct vm *vm)
{
	char command[32];

	if (!disk_sh(vm, "basename $(dirname $(grep -l " NVME " " VM_PCI "/*/class))"))
		return false;
	snprintf(command, sizeof(command), "release %.16s", disk.line);
	if (!vm_tell(vm, command, "released", NULL, 0)) {
		strcpy(disk.line, vm->why);
		return false;
	}
	/* writers have failed by now, or will */
	return disk_sh(vm, "until umount /mnt; do :; done");
}

bool disk_accept(struct vm *vm)
{
	if (vm_tell(vm, "accept", "accepted", NULL, 0))
		return disk_sh(vm, FOUND);
	strcpy(disk.line, vm->why);
	return false;
}
