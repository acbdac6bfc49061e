#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# image.sh FLAVOUR: make the disk of a machine that is a host of KVM guests, and
# print its path. Debian's QEMU for ppc64el with all that it needs, and the
# kernel and the user space of the guest, which are those of the host.
. "$(dirname "$0")/lib.sh"

FLAVOUR=$1
IMAGE=$OUT/kvm-$FLAVOUR.img
ROOTFS=$OUT/kvm.root
CPIO=$("$HARNESS/initramfs.sh" "$FLAVOUR")

make_image() {
	rm -rf "$ROOTFS"
	cp -a "$OUT/userland/qemu" "$ROOTFS"
	mkdir -p "$ROOTFS"/{proc,sys,dev,tmp,guest}
	"${CROSS}strip" -o "$ROOTFS/guest/vmlinux" "$OUT/kernel-$FLAVOUR/vmlinux"
	cp "$CPIO" "$ROOTFS/guest/initramfs.cpio.gz"
	rm -f "$IMAGE"
	/sbin/mke2fs -q -t ext4 -d "$ROOTFS" "$IMAGE.new" 1G
	mv "$IMAGE.new" "$IMAGE"
	rm -rf "$ROOTFS"
}

"$HARNESS/userland.sh" qemu qemu-system-ppc >/dev/null
take_lock
KEY=$(cat "$OUT/kernel-$FLAVOUR/vmlinux" "$CPIO" "$0" \
	"$OUT/userland/qemu.stamp" | hash_of)
if ! is_done "$IMAGE.stamp" "$KEY" || [ ! -f "$IMAGE" ]; then
	need_space 2 "the disk of the KVM host"
	rm -f "$IMAGE.stamp"
	step "make the disk of the KVM host" "$LOGS/image.log" make_image
	set_done "$IMAGE.stamp" "$KEY"
fi
echo "$IMAGE"
