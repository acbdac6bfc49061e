#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Linux 7.2.13 and 7.3-rc7 (Debian linux-source-7.2 7.2.13-1, linux-source-7.3
# 7.3~rc7-1~exp1): no check of a linked powerpc kernel runs any more.
#
# The build links vmlinux.unstripped and calls the architecture's
# Makefile.postlink with that name as its target. riscv, mips and s390 have a
# rule for it; powerpc has one for vmlinux alone. The file exists when make is
# called, so make says "Nothing to be done" and succeeds: head_check.sh,
# relocs_check.sh and ftrace_check.sh are never started, and a kernel with a bad
# relocation is built without a word. Linux 6.12 passed "vmlinux" there.
#
# The makefiles are run with -n on an empty file of that name. A rule
# "vmlinux vmlinux.unstripped: FORCE" is what the other architectures have, and
# what a series that adds a check for powerpc needs.
#
# Needs: an apt set up for Debian (amd64 or any other), 400 MB in TMPDIR.
set -eu -o pipefail

TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
cd "$TMP"

# An apt of its own: the machine's archive, other suites.
# shellcheck disable=SC2016
uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
	'Origin: Debian' 'Component: main' | head -n 1)
[ -n "$uri" ] || { echo "this machine is set up for no archive of Debian"; exit 1; }
mkdir -p apt/lists/partial apt/cache/archives/partial
for suite in sid experimental; do
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main"
done >apt/sources
cat >apt/conf <<-EOF
	Dir::Etc::sourcelist "$TMP/apt/sources";
	Dir::Etc::sourceparts "-";
	Dir::State::lists "$TMP/apt/lists";
	Dir::Cache "$TMP/apt/cache";
	Acquire::Languages "none";
	APT::Sandbox::User "root";
EOF
export APT_CONFIG=$TMP/apt/conf
apt-get -qq update
apt-get -qq download linux-source-7.2=7.2.13-1 'linux-source-7.3=7.3~rc7-1~exp1'

fail() { echo "CHANGED: $*"; exit 1; }

# postlink TREE ARCH TARGET: the checks that make would start.
postlink() {
	(cd "$1" && LC_ALL=C make -n srctree=. \
		-f "arch/$2/Makefile.postlink" "$3" 2>&1) |
		grep -oE 'CHK[A-Z]+|Nothing to be done' | sort | paste -sd' '
}

for v in 7.2 7.3; do
	mkdir "$v"
	dpkg-deb --fsys-tarfile linux-source-$v*.deb |
		tar xO "./usr/src/linux-source-$v.tar.xz" |
		tar xJ -C "$v" --strip-components=1 --wildcards \
			'*/arch/powerpc/Makefile.postlink' \
			'*/arch/riscv/Makefile.postlink' \
			'*/scripts/Makefile.vmlinux' '*/scripts/Kbuild.include'
	mkdir -p "$v/include/config"
	printf 'CONFIG_PPC64=y\nCONFIG_RELOCATABLE=y\nCONFIG_FUNCTION_TRACER=y\n' \
		>"$v/include/config/auto.conf"
	touch "$v/vmlinux" "$v/vmlinux.unstripped"

	grep -q '^vmlinux.unstripped: scripts/link-vmlinux.sh' \
		"$v/scripts/Makefile.vmlinux" ||
		fail "$v no longer links vmlinux.unstripped"
	wanted=$(postlink $v powerpc vmlinux)
	got=$(postlink $v powerpc vmlinux.unstripped)
	riscv=$(postlink $v riscv vmlinux.unstripped)
	echo "$v: powerpc vmlinux: $wanted"
	echo "$v: powerpc vmlinux.unstripped, which is what the build asks for: $got"
	echo "$v: riscv vmlinux.unstripped: $riscv"
	[ "$wanted" = "CHKFTRC CHKHEAD CHKREL" ] || fail "$v has other checks"
	[ "$got" = "Nothing to be done" ] || fail "$v runs: $got"
	[ "$riscv" = CHKREL ] || fail "$v, riscv: $riscv"
done
