#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# debian-kernel.sh FLAVOUR [GUEST]: get Debian's own kernel for a guest and
# print the folder with it: vmlinux, and in modroot the modules that the guest
# needs, unpacked. It is the one of Debian 13 with pages of the size that the
# host has; in GUEST "new" is for the one of sid, and "4k" for pages of this
# size.
. "$(dirname "$0")/lib.sh"

# The disk and its file system; brd is the disk that PID 1 makes; the network
# card and the balloon.
MODULES="nvme ext4 brd e1000e virtio_balloon"

case $1-${2:-} in
*-4k*) NAME=4k PATTERN='[0-9][^-]*-powerpc64le' ;;
*) NAME=64k PATTERN='[0-9][^-]*-powerpc64le-64k' ;;
esac
# From 7.2 on the kernel and its modules are packages of their own.
case ${2:-} in
new*) NAME=$NAME-new SUITE=sid
	PATTERNS="linux-binary-$PATTERN linux-modules-$PATTERN" ;;
*) SUITE=trixie PATTERNS=linux-image-$PATTERN ;;
esac
DIR=$OUT/debian-$NAME

make_dir() {
	local from version m to
	from=$TOP/userland/linux-$NAME
	version=$(ls "$from/lib/modules")
	rm -rf "$DIR"
	mkdir -p "$DIR/modroot"
	/sbin/depmod -b "$from" "$version"
	# shellcheck disable=SC2086
	for m in $(needed_modules "$from" "$version" $MODULES); do
		to=$DIR/modroot/lib/modules/$version/${m%.xz}
		mkdir -p "$(dirname "$to")"
		case $m in
		*.xz) xz -dc "$from/lib/modules/$version/$m" >"$to" ;;
		*) cp "$from/lib/modules/$version/$m" "$to" ;;
		esac
	done
	/sbin/depmod -b "$DIR/modroot" "$version"
	cp "$from/boot/vmlinux-$version" "$DIR/vmlinux" ||
		cp "$from/lib/modules/$version/vmlinuz" "$DIR/vmlinux"
}

set -f
# shellcheck disable=SC2086
"$HARNESS/debian-packages.sh" -newest $SUITE "linux-$NAME" $PATTERNS >/dev/null
set +f
take_lock
KEY=$(cat "$0" "$TOP/userland/linux-$NAME.stamp" | hash_of)
if ! is_done "$DIR.stamp" "$KEY"; then
	rm -f "$DIR.stamp"
	step "unpack Debian's kernel for a guest" "$LOGS/debian-$NAME.log" \
		make_dir
	set_done "$DIR.stamp" "$KEY"
fi
echo "$DIR"
