#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# image.sh FLAVOUR [DISK]: make the disk of a machine that is a host of KVM guests,
# and print its path. Debian's QEMU for ppc64el with all that it needs, and the
# kernels of the guests with their user space: those of the host, and Debian's. On the disk
# kvm it is QEMU of the machine's own release, on kvm-sid of Debian's sid: where
# that cannot be had the exit status is 4.
. "$(dirname "$0")/lib.sh"

FLAVOUR=$1 DISK=${2:-kvm}
IMAGE=$OUT/$DISK-$FLAVOUR.img
USERLAND=$OUT/userland/qemu${DISK#kvm}
ROOTFS=$OUT/kvm.root
CPIO=$("$HARNESS/initramfs.sh" "$FLAVOUR")
DEBIAN=$("$HARNESS/debian.sh" "$FLAVOUR")
DEBIAN_CPIO=$("$HARNESS/initramfs.sh" "${DEBIAN##*/}")

make_image() {
	rm -rf "$ROOTFS"
	cp -a "$USERLAND" "$ROOTFS"
	mkdir -p "$ROOTFS"/{proc,sys,dev,tmp,guest}
	"${CROSS}strip" -o "$ROOTFS/guest/vmlinux" "$OUT/kernel-$FLAVOUR/vmlinux"
	cp "$CPIO" "$ROOTFS/guest/initramfs.cpio.gz"
	mkdir "$ROOTFS/guest/debian"
	cp "$DEBIAN/vmlinux" "$ROOTFS/guest/debian/"
	cp "$DEBIAN_CPIO" "$ROOTFS/guest/debian/initramfs.cpio.gz"
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
kvm) "$HARNESS/userland.sh" qemu qemu-system-ppc e2fsprogs >/dev/null ;;
kvm-sid) "$HARNESS/userland.sh" -sid qemu-sid qemu-system-ppc e2fsprogs >/dev/null || exit 4 ;;
*) die "no such disk: $DISK" ;;
esac
take_lock
KEY=$(cat "$OUT/kernel-$FLAVOUR/vmlinux" "$CPIO" "$DEBIAN.stamp" \
	"$DEBIAN_CPIO" "$0" "$USERLAND.stamp" | hash_of)
if ! is_done "$IMAGE.stamp" "$KEY" || [ ! -f "$IMAGE" ]; then
	need_space 2 "the disk of the KVM host"
	rm -f "$IMAGE.stamp"
	step "make the disk of the KVM host" "$LOGS/image.log" make_image
	set_done "$IMAGE.stamp" "$KEY"
fi
[ -f "$OUT/files.img" ] ||
	step "make the disk that is passed on" "$LOGS/files.log" make_files
echo "$IMAGE"
