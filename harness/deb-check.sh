#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# deb-check.sh: install the package of K=distro in a fresh Debian for ppc64el,
# as a person would, boot that with it, and run test programs there. Prints a
# line for each machine. The installation runs under emulation, and takes up to
# a quarter of an hour.
# shellcheck disable=SC2317
. "$(dirname "$0")/lib.sh"

DIR=$OUT/installed
KERNEL=$OUT/kernel-installed	# what run.sh boots
ROOTFS=$DIR/root
LIMIT=5400
BAD=0

# Host bridges and KVM where there are some.
PLAN='pseries	spapr_uapi,spapr_register,spapr_dma
powernv9	spapr_uapi,spapr_dma,kvm_tce,kvm_tce_vfio'

# PID 1 of the first boot.
first_boot() {
	cat <<-'EOF'
	#!/bin/sh
	export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
	export DEBIAN_FRONTEND=noninteractive
	exec </dev/null >/dev/console 2>&1
	end() { echo "deb-check.sh: $*"; sync; busybox poweroff -f; }
	mount -t proc proc /proc
	mount -t sysfs sys /sys
	/debootstrap/debootstrap --second-stage || end "debootstrap failed"
	dpkg -i /package.deb || end "dpkg failed"
	end "installed"
	EOF
}

# First stage of debootstrap: nothing of the new system runs.
unpack() {
	rm -rf "$DIR"
	mkdir -p "$DIR"
	debootstrap --foreign --arch=ppc64el --variant=minbase \
		--include=kmod,linux-base,initramfs-tools "$(release)" \
		"$ROOTFS" "$(archive)"
	# In a container it makes links to the folders of the host.
	rm -f "$ROOTFS/proc" "$ROOTFS/sys" 2>/dev/null || true
	mkdir -p "$ROOTFS/proc" "$ROOTFS/sys"
	cp "$DEB" "$ROOTFS/package.deb"
	first_boot >"$ROOTFS/first-boot"
	chmod 755 "$ROOTFS/first-boot"
	# The PID 1 of the tests, and they.
	mkdir "$DIR/tests"
	(cd "$DIR/tests" && zcat "$CPIO" |
		cpio -idm --quiet init bin/busybox 'tests/*' tests)
	cp "$DIR/tests/init" "$ROOTFS/init"
	cp "$DIR/tests/bin/busybox" "$ROOTFS/bin/busybox"
	cp -a "$DIR/tests/tests" "$ROOTFS/"
	/sbin/mke2fs -q -t ext4 -d "$ROOTFS" "$DIR/root.img" 3G
	rm -rf "$ROOTFS" "$DIR/tests"
}

# The kernel of the tests has what it takes to boot from a disk without an
# initramfs.
install_there() {
	local options="init=/first-boot kunit.enable=0 panic=-1"
	setpriv --pdeathsig TERM timeout $LIMIT \
		qemu-system-ppc64 -M pseries -cpu power9 -smp 2 -m 2G \
		-net none -vga none -display none -no-reboot -monitor none \
		-serial "file:$DIR/console.log" \
		-kernel "$OUT/kernel-series/vmlinux" -append \
		"console=hvc0 root=/dev/vda rw $options" \
		-drive "file=$DIR/root.img,format=raw,if=virtio,cache=unsafe" ||
		true
	cat "$DIR/console.log"
	grep -q '^deb-check.sh: installed' "$DIR/console.log"
}

# take PATH NAME: copy a file out of /boot of the image.
take() {
	/sbin/debugfs -R "dump /boot/$2 $1" "$DIR/root.img"
	[ -s "$1" ] || { echo "error: there is no /boot/$2"; return 1; }
}

take_boot_files() {
	mkdir -p "$KERNEL"
	take "$KERNEL/vmlinux" "vmlinux-$RELEASE" &&
		take "$KERNEL/.config" "config-$RELEASE" &&
		take "$DIR/initrd.img" "initrd.img-$RELEASE"
}

make_it() {
	step "install: unpack Debian" "$LOGS/installed-unpack.log" unpack
	step "install: the package" "$LOGS/installed.log" install_there
	step "install: what it boots" "$LOGS/installed-boot.log" take_boot_files
	set_done "$DIR/stamp" "$KEY"
}

PATH=$PATH:/usr/sbin:/sbin
if [ "$(id -u)" != 0 ]; then
	printf 'SKIP\tdeb-check\tall\t%s\n' \
		"debootstrap needs root: sudo make deb-check"
	exit
fi
have debootstrap || die "debootstrap is missing: apt install debootstrap"
have cpio || die "cpio is missing: apt install cpio"
[ -n "$(archive)" ] || die "this machine is set up for no archive of Debian"
"$HARNESS/kernel.sh" series >/dev/null
"$HARNESS/kernel.sh" distro >/dev/null
"$HARNESS/debian-packages.sh" busybox busybox-static >/dev/null
"$HARNESS/selftests.sh" >/dev/null
CPIO=$("$HARNESS/initramfs.sh" series)
DEB=$("$HARNESS/deb.sh" distro)
RELEASE=$(ls "$OUT/kernel-distro/modules/lib/modules")
KEY=$(cat "$OUT/kernel-distro/built" "$DEB.stamp" "$OUT/initramfs.stamp" "$0" |
	hash_of)
take_lock
if ! is_done "$DIR/stamp" "$KEY"; then
	need_space 6 "a fresh Debian"
	make_it
fi
exec 9>&-

# How many cases of a run passed: skipped ones must not hide behind a good run.
counts() {
	awk -F'\t' '
		{ n[$1]++ }
		END { printf "%d passed, %d skipped", n["PASS"], n["SKIP"] }' \
		"$1/results.tsv"
}

printf 'PASS\tdeb-check\tit is installed\t\n'
while read -r machine tests; do
	if TESTS=$tests "$HARNESS/run.sh" "$machine" installed \
		>"$DIR/$machine.run"; then
		printf 'PASS\tdeb-check\t%s: %s\t%s\n' "$machine" "$tests" \
			"$(counts "$(cat "$DIR/$machine.run")")"
	else
		printf 'FAIL\tdeb-check\t%s: %s\tsee %s\n' "$machine" \
			"$tests" "$(cat "$DIR/$machine.run")"
		BAD=1
	fi
done <<<"$PLAN"
exit $BAD
