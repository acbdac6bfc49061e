#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# sparse (0.6.5~rc1-2 of Debian sid) says "context imbalance" where a function returns
# with a lock held, with the headers of Linux 6.12.107. With those of 7.2.13 it says
# nothing: __acquires(), __must_hold() and the like are empty for a checker now, and
# attributes for clang where WARN_CONTEXT_ANALYSIS is defined. "make C=1" passes a lock
# that is never released, without any sign that it does not look. The sparse of Debian
# 12 (0.6.4-3) does not even read these headers ("got __typeof_unqual__").
#
# Debian builds its powerpc kernels with gcc, which cannot look either. clang 23.1.4
# can, also for powerpc64le, with the options that CONFIG_WARN_CONTEXT_ANALYSIS brings;
# so it has to be run for this alone. That a series for 7.x is clean with sparse says
# nothing about its locks.
#
# The checkers read one file with the headers of Debian's ppc64el kernels.
#
# Needs: an apt set up for Debian on amd64, 2 GB in TMPDIR.
set -eu -o pipefail

TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
cd "$TMP"

# shellcheck disable=SC2016
uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
	'Origin: Debian' 'Component: main' | head -n 1)
[ -n "$uri" ] || { echo "this machine is set up for no archive of Debian"; exit 1; }

# unpack FOLDER SUITE ARCHITECTURE HOW PACKAGE=VERSION...
unpack() {
	local to=$TMP/$1 p
	mkdir -p "$to"/apt/lists/partial "$to"/apt/cache/archives/partial "$to/root"
	: >"$to/apt/status"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $2 main" \
		>"$to/apt/sources"
	cat >"$to/apt/conf" <<-EOF
		Dir::Etc::sourcelist "$to/apt/sources";
		Dir::Etc::sourceparts "-";
		Dir::State "$to/apt";
		Dir::State::status "$to/apt/status";
		Dir::Cache "$to/apt/cache";
		Acquire::Languages "none";
		APT::Architecture "$3";
		APT::Architectures { "$3"; };
		APT::Install-Recommends "false";
		APT::Sandbox::User "root";
	EOF
	APT_CONFIG=$to/apt/conf apt-get -qq update
	if [ "$4" = alone ]; then
		(cd "$to/apt/cache/archives" &&
			APT_CONFIG=$to/apt/conf apt-get -qq download "${@:5}")
	else
		APT_CONFIG=$to/apt/conf apt-get -qq -y --download-only install \
			"${@:5}" >/dev/null
	fi
	for p in "$to"/apt/cache/archives/*.deb; do
		dpkg-deb -x "$p" "$to/root"
	done
	rm -r "$to/apt"
}

cat >lock.c <<'EOF'
#include <linux/spinlock.h>

static DEFINE_SPINLOCK(lock);
int take(int n);

int take(int n)
{
	spin_lock(&lock);
	if (n)
		return n;
	spin_unlock(&lock);
	return 0;
}
EOF

# check PROGRAM LINUX OPTIONS...: what it says, with the headers of $LINUX/root
check() {
	local r=${1%/usr/*} common arch
	common=$(echo "$2"/root/usr/src/linux-headers-*-common)
	arch=$(echo "$2"/root/usr/src/linux-headers-*-powerpc64le-64k)
	"$(find "$r/lib64" "$r/usr/lib64" -name ld-linux-x86-64.so.2 2>/dev/null |
		head -n 1)" --library-path \
		"$r/usr/lib/x86_64-linux-gnu:$r/lib/x86_64-linux-gnu:$r/usr/lib/llvm-23/lib" \
		"$1" -std=gnu11 -nostdinc -D__linux__ -D__KERNEL__ -DMODULE \
		'-DKBUILD_MODNAME="lock"' '-DKBUILD_MODFILE="lock"' \
		-I"$common/arch/powerpc/include" \
		-I"$arch/arch/powerpc/include/generated" \
		-I"$common/include" -I"$arch/include" \
		-I"$common/arch/powerpc/include/uapi" \
		-I"$arch/arch/powerpc/include/generated/uapi" \
		-I"$common/include/uapi" -I"$arch/include/generated/uapi" \
		-I"$common/arch/powerpc" \
		-include "$common/include/linux/compiler-version.h" \
		-include "$common/include/linux/kconfig.h" "${@:3}" \
		-include "$common/include/linux/compiler_types.h" lock.c 2>&1 || true
}

# sparse LINUX [FOLDER]: with the options that the kernel's makefiles give it
sparse() {
	check "$TMP/${2:-tools}/root/usr/bin/sparse" "$1" --arch=powerpc -m64 \
		-D__powerpc__ -D__powerpc64__ -D__LITTLE_ENDIAN__ -Wbitwise \
		-Wno-return-void -Wno-unknown-attribute
}

# look WHAT SAID WANTED
look() {
	local said
	said=$(echo "$2" | { grep -oF "$3" || true; } | sort -u | paste -sd" ")
	[ -n "$2" ] || said=nothing
	echo "$1: ${said:-something else}"
	[ "$said" = "$3" ] || { echo "CHANGED: $1: $2"; exit 1; }
}

unpack old bookworm amd64 whole sparse=0.6.4-3
unpack tools sid amd64 whole sparse=0.6.5~rc1-2 clang-23=1:23.1.4-2
unpack 6.12 trixie ppc64el alone linux-headers-6.12.107+deb13-powerpc64le-64k=6.12.107-1 \
	linux-headers-6.12.107+deb13-common=6.12.107-1
unpack 7.2 sid ppc64el alone linux-headers-7.2.13+deb14-powerpc64le-64k=7.2.13-1 \
	linux-headers-7.2.13+deb14-common=7.2.13-1

look "sparse, Linux 6.12.107" "$(sparse 6.12)" "context imbalance in 'take'"
look "sparse, Linux 7.2.13" "$(sparse 7.2)" nothing
look "sparse 0.6.4, Linux 7.2.13" "$(sparse 7.2 old)" "got __typeof_unqual__"
look "clang, Linux 7.2.13" \
	"$(check "$TMP/tools/root/usr/lib/llvm-23/bin/clang" 7.2 -fsyntax-only \
		--target=powerpc64le-linux-gnu -fms-extensions -Wno-everything \
		-DCONFIG_CC_IS_CLANG=1 -DCONFIG_CLANG_VERSION=230104 \
		-DWARN_CONTEXT_ANALYSIS -fexperimental-late-parse-attributes \
		-Wthread-safety)" \
	"spinlock 'lock' is not held on every path"
