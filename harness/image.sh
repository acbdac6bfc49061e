#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# image.sh FLAVOUR [DISK]: make the disk of a machine and print its path. Those of
# hosts of KVM guests have Debian's QEMU for ppc64el with all that it needs, and the
# kernel and the user space of the guest, which are those of the host: kvm has QEMU of
# the machine's own release, kvm-sid of Debian's sid. The disk dpdk has DPDK of sid, or
# else of the release. Where a disk's packages cannot be had the exit status is 4.
. "$(dirname "$0")/lib.sh"

FLAVOUR=$1 DISK=${2:-kvm}
IMAGE=$OUT/$DISK-$FLAVOUR.img
USERLAND=$OUT/userland/qemu${DISK#kvm}
ROOTFS=$OUT/kvm.root
GUEST=

# What a guest of the machine boots.
add_guest() {
	mkdir "$ROOTFS/guest"
	"${CROSS}strip" -o "$ROOTFS/guest/vmlinux" "$OUT/kernel-$FLAVOUR/vmlinux"
	cp "$CPIO" "$ROOTFS/guest/initramfs.cpio.gz"
}

make_image() {
	rm -rf "$ROOTFS"
	cp -a "$USERLAND" "$ROOTFS"
	mkdir -p "$ROOTFS"/{proc,sys,dev,tmp}
	[ -z "$GUEST" ] || add_guest
	rm -f "$IMAGE"
	/sbin/mke2fs -q -t ext4 -d "$ROOTFS" "$IMAGE.new" 1G
	mv "$IMAGE.new" "$IMAGE"
	rm -rf "$ROOTFS"
}

case $DISK in
kvm) "$HARNESS/userland.sh" qemu qemu-system-ppc >/dev/null ;;
kvm-sid) "$HARNESS/userland.sh" -sid qemu-sid qemu-system-ppc >/dev/null || exit 4 ;;
dpdk)
	USERLAND=$("$HARNESS/userland.sh" -sid dpdk-sid dpdk-dev) || {
		say "DPDK of this machine's own release is taken"
		USERLAND=$("$HARNESS/userland.sh" dpdk dpdk-dev) || exit 4
	} ;;
*) die "no such disk: $DISK" ;;
esac
case $DISK in kvm*)
	CPIO=$("$HARNESS/initramfs.sh" "$FLAVOUR")
	GUEST="$OUT/kernel-$FLAVOUR/vmlinux $CPIO" ;;
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
echo "$IMAGE"
