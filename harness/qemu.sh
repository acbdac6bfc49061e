#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# qemu.sh VERSION: print the path of a qemu-system-ppc64 of this version or newer:
# the machine's own, else that of Debian's backports, unpacked in $OUT. It fails,
# and says why, where there is neither.
. "$(dirname "$0")/lib.sh"

# A program that finds the libraries, modules and data that came with it.
wrap() {
	local lib
	lib=$1/usr/lib/$(gcc -print-multiarch)
	cat >"$WRAPPER.new" <<-EOF
	#!/bin/sh
	export LD_LIBRARY_PATH='$lib' QEMU_MODULE_DIR='$lib/qemu'
	exec '$1/usr/bin/qemu-system-ppc64' -L '$1/usr/share/qemu' "\$@"
	EOF
	chmod +x "$WRAPPER.new"
	mv "$WRAPPER.new" "$WRAPPER"
}

WRAPPER=$OUT/bin/qemu-system-ppc64
if at_least "$(qemu_version qemu-system-ppc64)" "$1"; then
	command -v qemu-system-ppc64
	exit
fi
if ! have apt-get || ! have dpkg-deb; then
	die "QEMU $1 or newer is needed; this is not Debian"
fi
DIR=$("$HARNESS/userland.sh" -backports qemu-backports qemu-system-ppc) || exit
mkdir -p "$OUT/bin"
wrap "$DIR"
at_least "$(qemu_version "$WRAPPER")" "$1" ||
	die "QEMU $1 or newer is needed; Debian's backports have an older one"
echo "$WRAPPER"
