#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make.sh TARGET: what stands behind the targets of the Makefile.
. "$(dirname "$0")/lib.sh"

setup() { "$HARNESS/setup.sh" "$@"; }
base() { setup && "$HARNESS/base.sh"; }
tree() { base && "$HARNESS/tree.sh"; }
kernel() { "$HARNESS/kernel.sh" "$1"; }

# guest FLAVOUR: everything that a machine boots with.
guest() {
	"$HARNESS/userland.sh" busybox busybox-static >/dev/null
	"$HARNESS/selftests.sh" >/dev/null
	kernel "$1" >/dev/null
	"$HARNESS/initramfs.sh" "$1"
}

case $1 in
setup) setup; say "all packages are there" ;;
tree) tree; echo "$TREE" ;;
series) tree; "$HARNESS/series.sh" ;;
each) tree; "$HARNESS/each.sh" ;;
kernel) tree; kernel "$(flavour series)" ;;
stock) base; kernel "$(flavour stock)" ;;
modular) tree; kernel "$(flavour series)-modular" ;;
selftests) tree; "$HARNESS/selftests.sh" ;;
initramfs) tree; guest "${KERNELS:-$(flavour series)}" ;;
run)
	tree; f=${KERNELS:-$(flavour series)}; guest "$f" >/dev/null
	TESTS=${TESTS:-vfio:spapr_demo} exec "$HARNESS/run.sh" -demo \
		"$(machines powernv9)" "$f" ;;
shell | gdb)
	[ "$1" != gdb ] || setup gdb-multiarch
	tree; f=${KERNELS:-$(flavour series)}; guest "$f" >/dev/null
	exec "$HARNESS/run.sh" -"$1" "$(machines powernv9)" "$f" ;;
test) tree; exec "$HARNESS/test.sh" ;;
test-stock) tree; exec "$HARNESS/test.sh" stock ;;
rerun) exec "$HARNESS/rerun.sh" ;;
style) tree; exec "$HARNESS/style.sh" ;;
clean)
	take_lock
	rm -rf "$OUT"/kernel-* "$OUT"/selftests* "$OUT"/headers* "$OUT"/bin \
		"$OUT"/initramfs* "$OUT"/series "$OUT"/each* ;;
distclean)
	# Only what this harness made: O= may name a folder with more in it.
	if [ -f "$OUT/lock" ]; then
		take_lock
		rm -rf "$OUT"/{base,tree,linux.git,userland,apt,log,results}* \
			"$OUT"/kernel-* "$OUT"/selftests* "$OUT"/headers* \
			"$OUT"/bin "$OUT"/initramfs* "$OUT"/series "$OUT"/each* \
			"$OUT"/roundtrip*
		rm -f "$OUT/lock"
		rmdir "$OUT" 2>/dev/null || true
	fi ;;
esac
