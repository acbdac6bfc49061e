#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Build the kselftests of the series, static, against its own UAPI headers.
. "$(dirname "$0")/lib.sh"

COLLECTIONS="vfio/spapr"
DIR=$OUT/selftests

# Only what the patched tree has.
collections() {
	local c
	for c in $COLLECTIONS; do
		[ ! -f "$TREE/tools/testing/selftests/$c/Makefile" ] || echo "$c"
	done
}

install_headers() {
	make -C "$TREE" O="$OUT/headers" ARCH=powerpc LOCALVERSION= \
		-j"$JOBS" headers_install
}

build() {
	local c=$1
	make -C "$TREE/tools/testing/selftests" TARGETS="$c" FORCE_TARGETS=1 \
		ARCH=powerpc CROSS_COMPILE="$CROSS" O="$DIR" USERLDFLAGS=-static \
		KHDR_INCLUDES="-isystem $OUT/headers/usr/include" \
		INSTALL_PATH="$DIR/install" -j"$JOBS" install
	# PID 1 knows no collection in another.
	mv "$DIR/install/$c"/* "$DIR/install/${c%%/*}"
	rmdir "$DIR/install/$c"
	sed -i 's,^\([a-z]*\)/[^:]*:,\1:,' "$DIR/install/kselftest-list.txt"
}

# The hash of a file or folder of the series.
object() { gitb rev-parse -q --verify "series:$1" || echo none; }

take_lock
HKEY=$(for f in include/uapi include/asm-generic include/uapi/asm-generic \
		arch/powerpc/include/uapi arch/powerpc/kernel/syscalls usr/include \
		scripts; do object $f; done | hash_of)
if ! is_done "$OUT/headers.stamp" "$HKEY"; then
	rm -f "$OUT/headers.stamp"
	step "install the kernel's headers" "$LOGS/headers.log" install_headers
	set_done "$OUT/headers.stamp" "$HKEY"
fi

mkdir -p "$DIR"
list=$(collections | paste -sd' ')
KEY=$({ echo "$HKEY $list"; "${CROSS}gcc" --version; cat "$0"
	object drivers/vfio/vfio_iommu_spapr_tce.c
	for f in lib.mk kselftest.h kselftest_harness.h Makefile $list; do
		object "tools/testing/selftests/$f"
	done; } | hash_of)
if ! is_done "$DIR/built" "$KEY"; then
	rm -rf "$DIR/built" "$DIR/install"
	mkdir -p "$DIR/install"
	: >"$DIR/install/kselftest-list.txt"
	[ -z "$list" ] ||
		step "build the test programs" "$LOGS/selftests.log" build "$list"
	set_done "$DIR/built" "$KEY"
fi
echo "$DIR/install"
