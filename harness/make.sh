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
	"$HARNESS/debian-packages.sh" busybox busybox-static >/dev/null
	"$HARNESS/selftests.sh" >/dev/null
	kernel "$1" >/dev/null
	"$HARNESS/initramfs.sh" "$1"
}

# Only what this harness made goes: O= may name a folder with more in it.
remove() {
	local name
	for name in "$@"; do rm -rf "${OUT:?}/$name"; done
}

clean() {
	local p
	rm -rf "$OUT"/kernel-{stock,series,style,distro,installed}*
	for p in $(all_parts); do
		rm -rf "$OUT/kernel-$p"* "$OUT/part-$p" "$OUT/series-$p" \
			"$OUT/series-$p.stamp"
	done
	remove selftests headers headers.stamp bin series series.stamp style \
		deb deb.root installed configs each each.done bench \
		bench-check bench-disk mutants mutants-check kernel-mutants \
		kvm.root initramfs.stamp initramfs.cpio.gz mm_iommu
	rm -rf "$OUT"/initramfs-{series-,debian-,distro}* "$OUT"/kvm-*.img* \
		"$OUT"/files.img "$OUT"/debian-*
}

# Words that a person may have mistyped, before anything long begins.
check_variables() {
	local k names kinds='(-4k)?(-debug)?(-faults)?(-modular)?'
	names="stock|series|$(all_parts | tr ' ' '|')"
	flavour series >/dev/null
	machines "" >/dev/null
	for k in $KERNELS; do
		echo "$k" | grep -qxE "distro|($names)$kinds" ||
			die "K=$k: no such kernel; distro, or stock, series" \
				"or a part of it ($(all_parts)), then" \
				"-4k -debug -faults -modular"
	done
	[ -z "$PART" ] || is_part "$PART" ||
		die "PART=$PART: the series has no such part; there are:" \
			"$(all_parts)"
	case $JOBS in
	'' | *[!0-9]*) die "JOBS=$JOBS is not a number" ;;
	esac
}

# The host of guests that M= means: powernv9 is short for powernv9-kvm.
kvm_host() {
	local m=${MACHINES:-powernv9}
	[ -f "$HARNESS/machines/$m-kvm" ] && m=$m-kvm
	[ -n "$(disk "$m" 2>/dev/null)" ] ||
		die "M=$MACHINES cannot be a host of guests; there are:" \
			"$(all_machines | tr ' ' '\n' | sed -n 's/-kvm$//p' |
				paste -sd' ')"
	# The data may name a better one.
	machine_says run "$m" | grep . || echo "$m"
}

check_variables
[ "$1" != run ] || HOST=$(kvm_host)
case $1 in
check) ;; # the variables alone, for a test
setup) setup; say "all packages are there" ;;
tree) tree; echo "$TREE" ;;
series) tree; "$HARNESS/series.sh" ;;
bases) setup; ALL=1 "$HARNESS/bases.sh" ;;
configs) setup clang-19 lld-19 llvm-19; tree; exec "$HARNESS/configs.sh" ;;
each) tree; "$HARNESS/each.sh" ;;
kernel) tree; kernel "${KERNELS:-$(flavour series)}" ;;
stock) base; kernel "$(flavour stock)" ;;
modular) tree; kernel "$(flavour series)-modular" ;;
deb) tree; kernel distro >/dev/null; "$HARNESS/deb.sh" distro ;;
deb-check) setup debootstrap cpio; tree; exec "$HARNESS/deb-check.sh" ;;
selftests) tree; "$HARNESS/selftests.sh" ;;
initramfs) tree; guest "${KERNELS:-$(flavour series)}" ;;
run)
	tree; f=${KERNELS:-$(flavour series)}; guest "$f" >/dev/null
	"$HARNESS/disk-image.sh" "$f" "$(disk "$HOST")" >/dev/null
	TESTS=${TESTS:-kvm:demo} exec "$HARNESS/run.sh" -demo "$HOST" "$f" ;;
demo | doctor)
	tree; f=${KERNELS:-$(flavour series)}; guest "$f" >/dev/null
	TESTS=${TESTS:-vfio:spapr_$1} exec "$HARNESS/run.sh" -demo \
		"$(machines powernv9)" "$f" ;;
shell | gdb)
	tree; f=${KERNELS:-$(flavour series)}; guest "$f" >/dev/null
	exec "$HARNESS/run.sh" -"$1" "$(machines powernv9)" "$f" ;;
test)
	[ -z "$ALL" ] || setup clang-19 lld-19 llvm-19 debootstrap cpio
	tree; exec "$HARNESS/test.sh" ;;
bench) setup gnuplot-nox; tree; exec "$HARNESS/bench.sh" ;;
bench-disk) setup; tree; exec "$HARNESS/bench-disk.sh" ;;
bench-check) tree; exec "$HARNESS/bench.sh" check ;;
figures) setup gnuplot-nox; exec "$HARNESS/figures.sh" ;;
test-stock) tree; exec "$HARNESS/test.sh" stock ;;
fuzz)
	: "${N:=}" "${SEED:=}"
	for v in "N=$N" "SEED=$SEED"; do
		case ${v#*=} in *[!0-9]*) die "$v is not a number" ;; esac
	done
	[ "$N" != 0 ] || die "N=0: no sequence"
	tree
	# Until it has run that long it is not stuck.
	export RUN_TIMEOUT=${RUN_TIMEOUT:-86400} \
		PROGRAM_TIMEOUT=${PROGRAM_TIMEOUT:-86400}
	WORDS=VFIO_FUZZ_SEQUENCES=${N:-2000}
	export WORDS="$WORDS${SEED:+ VFIO_TEST_SEED=$SEED}"
	export KERNELS=${KERNELS:-$(DEBUG=1 flavour series)} PAGES='' DEBUG=''
	export TESTS=spapr_fuzz MACHINES=${MACHINES:-pseries}
	exec "$HARNESS/test.sh" ;;
mutants) tree; exec "$HARNESS/mutants.sh" ;;
rerun) exec "$HARNESS/rerun.sh" ;;
style) setup python3-sphinx; tree; exec "$HARNESS/style.sh" ;;
clean) take_lock; clean ;;
distclean)
	[ -f "$OUT/lock" ] || exit 0
	take_lock
	clean
	remove base base.new base.stamp base.index tree tree.stamp tree.work \
		linux.git linux.git.new roundtrip drift log results lock
	# With the default goes what is there for all bases, and they too.
	# shellcheck disable=SC2046
	[ "$OUT" != "$TOP" ] || remove userland apt apt-{backports,native,sid} \
		apt-{trixie,experimental} $(all_bases)
	rmdir "$OUT" 2>/dev/null || true ;;
esac
