#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# find-qemu.sh VERSION: print the path of a qemu-system-ppc64 of this version or
# newer: the machine's own, else that of Debian's backports, else of sid, both
# unpacked in $TOP. It fails, and says why, where there is none.
. "$(dirname "$0")/lib.sh"

# wrap DIR: a program that finds the libraries, modules and data that came with
# it, with the loader of sid where they are for its C library.
wrap() {
	local lib loader
	lib=$1/usr/lib/$(gcc -print-multiarch)
	loader=$(find "$lib" -maxdepth 1 -name 'ld-linux*.so.*')
	mkdir -p "$OUT/bin"
	cat >"$WRAPPER.new" <<-EOF
	#!/bin/sh
	${loader:+#}export LD_LIBRARY_PATH='$lib'
	export QEMU_MODULE_DIR='$lib/qemu'
	exec ${loader:+"'$loader' --library-path '$lib' "}\\
		'$1/usr/bin/qemu-system-ppc64' -L '$1/usr/share/qemu' "\$@"
	EOF
	chmod +x "$WRAPPER.new"
	mv "$WRAPPER.new" "$WRAPPER"
}

# try OPTION VERSION: what debian-packages.sh gets with it, if it is new enough.
try() {
	local dir
	WRAPPER=$OUT/bin/qemu-system-ppc64-$1
	dir=$("$HARNESS/debian-packages.sh" "-$1" "qemu-$1" qemu-system-ppc) ||
		return
	wrap "$dir"
	at_least "$(qemu_version "$WRAPPER")" "$2" && echo "$WRAPPER"
}

if at_least "$(qemu_version qemu-system-ppc64)" "$1"; then
	command -v qemu-system-ppc64
	exit
fi
if ! have apt-get || ! have dpkg-deb; then
	say "error: QEMU $1 or newer is needed; this is not Debian"
	exit 4
fi
try backports "$1" || try native "$1" || {
	say "error: QEMU $1 or newer is needed;" \
		"Debian's backports and sid have none"
	exit 4
}
