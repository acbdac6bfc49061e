#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Build the kselftests of the series, static, against its own UAPI headers, and
# upstream's of VFIO.
. "$(dirname "$0")/lib.sh"

DIR=$OUT/selftests
TESTS=tools/testing/selftests

# Only what the patched tree has, and upstream's only where they know powerpc.
collections() {
	[ ! -f "$TREE/$TESTS/vfio/spapr/Makefile" ] || echo vfio/spapr
	! grep -qs powerpc "$TREE/$TESTS/vfio/Makefile" || echo vfio
}

install_headers() {
	make -C "$TREE" O="$OUT/headers" ARCH=powerpc LOCALVERSION= \
		-j"$JOBS" headers_install
}

# Upstream's tests need this library. Of all that its package needs, there is
# only it here: the compiler has a C library of its own.
link_uuid() {
	local from
	from=$("$HARNESS/debian-packages.sh" uuid uuid-dev)
	mkdir -p "$DIR"/uuid/{include,lib}
	ln -sfn "$from/usr/include/uuid" "$DIR/uuid/include/uuid"
	ln -sf "$from"/usr/lib/*/libuuid.a "$DIR/uuid/lib/"
}

build() {
	make -C "$TREE/$TESTS" TARGETS="$*" FORCE_TARGETS=1 \
		ARCH=powerpc CROSS_COMPILE="$CROSS" O="$DIR" \
		USERLDFLAGS="-static -L$DIR/uuid/lib" \
		EXTRA_CFLAGS="-isystem $DIR/uuid/include" \
		KHDR_INCLUDES="-isystem $OUT/headers/usr/include" \
		INSTALL_PATH="$DIR/install" -j"$JOBS" install
	# PID 1 knows no collection in another.
	mv "$DIR"/install/vfio/spapr/* "$DIR/install/vfio"
	rmdir "$DIR/install/vfio/spapr"
	sed -i 's,^\([a-z]*\)/[^:]*:,\1:,' "$DIR/install/kselftest-list.txt"
}

# The hash of a file or folder of the series.
object() { gitb rev-parse -q --verify "series:$1" || echo none; }

take_lock
HKEY=$(for f in include/uapi include/asm-generic include/uapi/asm-generic \
		arch/powerpc/include/uapi arch/powerpc/kernel/syscalls \
		usr/include scripts; do object $f; done | hash_of)
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
		object "$TESTS/$f"
	done; } | hash_of)
if ! is_done "$DIR/built" "$KEY"; then
	rm -rf "$DIR/built" "$DIR/install"
	mkdir -p "$DIR/install"
	: >"$DIR/install/kselftest-list.txt"
	case " $list " in *" vfio "*) link_uuid ;; esac
	# shellcheck disable=SC2086
	[ -z "$list" ] ||
		step "build the test programs" "$LOGS/selftests.log" build $list
	set_done "$DIR/built" "$KEY"
fi
echo "$DIR/install"
