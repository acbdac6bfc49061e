#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Install the Debian packages that are missing, all in one call.
. "$(dirname "$0")/lib.sh"

PACKAGES="make gcc libc6-dev git e2fsprogs flex bison bc perl xz-utils rsync
	kmod ccache libelf-dev libssl-dev sparse spin clang libclang-rt-dev
	gcc-powerpc64le-linux-gnu libc6-dev-ppc64el-cross qemu-system-ppc
	qemu-system-data python3"

missing() {
	local p
	[ -n "$LINUX$(base_says suites)" ] ||
		PACKAGES="$PACKAGES $(base_says package)"
	for p in $PACKAGES "$@"; do
		dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null |
			grep -q '^install ok installed' || echo "$p"
	done
}

# Not Debian: the tools have to be there, they are not installed from here.
check_tools() {
	local t
	[ -n "$LINUX" ] ||
		die "this is not Debian: give a Linux tree with LINUX=path," \
			"one of: $(all_bases)"
	for t in make gcc git flex bison bc perl xz rsync depmod sparse \
		 ${CROSS}gcc qemu-system-ppc64 dpkg-deb apt-get; do
		have "$t" || die "the program $t is missing"
	done
}

install_packages() {
	local root=
	if [ "$(id -u)" -ne 0 ]; then
		root=sudo
		have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; } ||
			die "packages are missing; as root: apt install $*"
	fi
	say "installing: $*"
	step "apt-get install" "$LOGS/apt.log" $root sh -c '
		apt-get update || true
		DEBIAN_FRONTEND=noninteractive exec apt-get install -y \
			--no-install-recommends "$@"' sh "$@"
}

check_qemu() {
	local v
	v=$(qemu_version qemu-system-ppc64)
	at_least "$v" 7.2 ||
		die "QEMU $v is too old: 7.2 or newer is needed"
}

take_lock
if have dpkg-query; then
	list=$(missing "$@" | tr '\n' ' ')
	# shellcheck disable=SC2086
	[ -z "$list" ] || install_packages $list
else
	check_tools
fi
check_qemu
