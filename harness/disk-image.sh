#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# disk-image.sh FLAVOUR [DISK]: make the disk of a machine and print its path.
# Those of hosts of KVM guests have Debian's QEMU for ppc64el with all that it
# needs, and the kernels of the guests with their user space: those of the host,
# and Debian's. The disk kvm has QEMU of the machine's own release, kvm-sid of
# Debian's sid, and what may follow is what debian-kernel.sh makes of a guest:
# kvm-new, kvm-4k; dpdk has DPDK of sid, or else of the release. Where a disk's
# packages cannot be had the exit status is 4; Debian's kernel alone is left
# out.
. "$(dirname "$0")/lib.sh"

FLAVOUR=$1 DISK=${2:-kvm}
IMAGE=$OUT/$DISK-$FLAVOUR.img
USERLAND=$TOP/userland/qemu
ROOTFS=$OUT/kvm.root
GUEST=

# Kernels and user space of the machine's guests.
add_guests() {
	mkdir "$ROOTFS/guest"
	"${CROSS}strip" -o "$ROOTFS/guest/vmlinux" \
		"$OUT/kernel-$FLAVOUR/vmlinux"
	cp "$CPIO" "$ROOTFS/guest/initramfs.cpio.gz"
	[ -n "$DEBIAN" ] || return 0
	mkdir "$ROOTFS/guest/debian"
	cp "$DEBIAN/vmlinux" "$ROOTFS/guest/debian/"
	cp "$DEBIAN_CPIO" "$ROOTFS/guest/debian/initramfs.cpio.gz"
}

make_image() {
	rm -rf "$ROOTFS"
	cp -a "$USERLAND" "$ROOTFS"
	mkdir -p "$ROOTFS"/{proc,sys,dev,tmp}
	[ -z "$GUEST" ] || add_guests
	rm -f "$IMAGE"
	/sbin/mke2fs -q -t ext4 -d "$ROOTFS" "$IMAGE.new" 1G
	mv "$IMAGE.new" "$IMAGE"
	rm -rf "$ROOTFS"
}

# A disk to pass on, with a file of which no two pages are the same.
make_files() {
	rm -rf "$OUT/files.root"
	mkdir "$OUT/files.root"
	seq 2200000 >"$OUT/files.root/numbers"
	rm -f "$OUT/files.img"
	/sbin/mke2fs -q -t ext4 -d "$OUT/files.root" "$OUT/files.img.new" 256M
	mv "$OUT/files.img.new" "$OUT/files.img"
	rm -rf "$OUT/files.root"
}

case $DISK in
kvm-sid*)
	USERLAND=$("$HARNESS/debian-packages.sh" -sid qemu-sid \
		qemu-system-ppc e2fsprogs kexec-tools) || exit 4 ;;
kvm*)
	USERLAND=$("$HARNESS/debian-packages.sh" qemu \
		qemu-system-ppc e2fsprogs kexec-tools) ;;
dpdk)
	USERLAND=$("$HARNESS/debian-packages.sh" -sid dpdk-sid dpdk-dev) || {
		say "DPDK of this machine's own release is taken"
		USERLAND=$("$HARNESS/debian-packages.sh" dpdk dpdk-dev) ||
			exit 4
	} ;;
*) die "no such disk: $DISK" ;;
esac
case $DISK in kvm*)
	CPIO=$("$HARNESS/initramfs.sh" "$FLAVOUR")
	GUEST="$OUT/kernel-$FLAVOUR/vmlinux $CPIO"
	KIND=${DISK#kvm} KIND=${KIND#-sid} KIND=${KIND#-}
	if DEBIAN=$("$HARNESS/debian-kernel.sh" "$FLAVOUR" "$KIND"); then
		DEBIAN_CPIO=$("$HARNESS/initramfs.sh" "${DEBIAN##*/}")
		GUEST="$GUEST $DEBIAN.stamp $DEBIAN_CPIO"
	else
		say "the guest with Debian's kernel is left out"
		DEBIAN=
	fi ;;
esac
take_lock
# shellcheck disable=SC2086
KEY=$(cat $GUEST "$0" "$USERLAND.stamp" | hash_of)
if ! is_done "$IMAGE.stamp" "$KEY" || [ ! -f "$IMAGE" ]; then
	need_space 2 "the disk $DISK"
	rm -f "$IMAGE.stamp"
	step "make the disk $DISK" "$LOGS/image.log" make_image
	set_done "$IMAGE.stamp" "$KEY"
fi
[ -f "$OUT/files.img" ] ||
	step "make the disk that is passed on" "$LOGS/files.log" make_files
echo "$IMAGE"
