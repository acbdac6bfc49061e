#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test.sh [stock]: build what is needed, run the test programs on the machines,
# several at a time, and end with one line of totals.
#
# Without M=, T=, K=, PAGES= and DEBUG= it runs all that harness/matrix says and
# the tests of the harness itself; with ALL=1 also what harness/matrix.all says.
. "$(dirname "$0")/lib.sh"

MODE=${1:-test}
NEWEST=7.3
DIR=$OUT/results/.work.$$
RESULTS=$DIR/results

# Where it runs without M=.
default_machines() {
	case $TESTS in
	dpdk*) echo pseries-dpdk ;;
	*) echo "powernv8 powernv9-hash powernv9 pseries pseries-movable" ;;
	esac
}

# Lines of "machine flavour [programs]".
plan() {
	local m k what=series
	if [ "$MODE" = test ] &&
	   [ -z "$MACHINES$TESTS$KERNELS$PAGES$DEBUG" ]; then
		# Of a base that has no list of its own, what there is.
		m=$ROOT/bases/$BASE/matrix
		[ -f "$m" ] && [ -z "$ALL" ] || m=$HARNESS/matrix
		cat "$m" ${ALL:+"$HARNESS/matrix.all"} | sed '/^#/d'
		return
	fi
	[ "$MODE" != stock ] || what=stock
	for k in ${KERNELS:-$(flavour $what)}; do
		for m in $(machines "$(default_machines)"); do
			echo "$m $k"
		done
	done
}

# late SECONDS: CI ends a run after 90 minutes. What would begin too late there
# is left out, and says so.
late() { [ -n "${CI:-}" ] && [ $SECONDS -gt "$1" ]; }
LATE='SKIP\t(run)\tno time\tCI ends a run after 90 minutes\n'

is_full() {
	[ "$MODE" = test ] && [ -z "$MACHINES$TESTS$KERNELS$PAGES$DEBUG" ]
}

build_all() {
	local m k
	"$HARNESS/debian-packages.sh" busybox busybox-static >/dev/null
	"$HARNESS/selftests.sh" >/dev/null
	for k in $(awk '{ print $2 }' "$DIR/plan" | sort -u); do
		if late 2400; then
			awk -v k="$k" '$2 == k { print $1 }' "$DIR/plan" |
				sort -u |
			while read -r m; do
				# shellcheck disable=SC2059
				printf "$LATE" >"$DIR/$m-$k.skip"
			done
			continue
		fi
		"$HARNESS/kernel.sh" "$k" >/dev/null
		"$HARNESS/initramfs.sh" "$k" >/dev/null
	done
	while read -r m k _; do
		[ ! -f "$DIR/$m-$k.skip" ] || continue
		[ -z "$(disk "$m")" ] ||
			get "$m-$k" "no disk" "$HARNESS/disk-image.sh" \
				"$k" "$(disk "$m")"
		[ -z "$(emulator "$m")" ] ||
			get "$m-$k" "no QEMU" "$HARNESS/find-qemu.sh" \
				"$(emulator "$m")"
	done <"$DIR/plan"
}

# get RUN WHAT COMMAND...: what the archive does not have is left out, and its
# run with it.
get() {
	local run=$1 what=$2 rc=0
	shift 2
	"$@" >/dev/null 2>"$DIR/$run.err" || rc=$?
	cat "$DIR/$run.err" >&2
	case $rc in
	0) ;;
	4) printf 'SKIP\t(run)\t%s\t%s\n' "$what" \
		"$(grep -m 1 -E '^(E|error): ' "$DIR/$run.err")" \
		>"$DIR/$run.skip" ;;
	*) exit $rc ;;
	esac
}

count() { awk -F'\t' -v s="$1" '$1 == s { n++ } END { print n + 0 }' "$2"; }

# show NAME RESULTS FAILURES SECONDS: and what failed once more at the end,
# which is what is left of a long log.
show() {
	if grep -q '^FAIL' "$2"; then
		row "$@" | tee -a "$DIR/failed"
	else
		row "$@"
	fi
}

row() {
	printf '  %-30s %4d passed, %3d failed, %3d skipped  %s\n' "$1" \
		"$(count PASS "$2")" "$(count FAIL "$2")" "$(count SKIP "$2")" \
		"$(elapsed "$4")"
	# Of the base kernel, which tests fail; why is in the result folder.
	if [ "$MODE" = stock ] && [ -z "$VERBOSE" ]; then
		sed '/^    /d' "$3"
	else
		cat "$3"
	fi | sed 's/^/      /'
}

# The tests of the harness itself: a program that prints results like a run's.
run_own() {
	local name=$1 start=$SECONDS
	shift
	: >"$DIR/$name.failures"
	if "$@" >"$DIR/$name.log" 2>&1; then
		grep -E '^(PASS|FAIL|SKIP)	' "$DIR/$name.log" \
			>"$DIR/$name.tsv" ||
			printf 'PASS\tharness\t%s\t\n' "$name" >"$DIR/$name.tsv"
	else
		grep -E '^(PASS|FAIL|SKIP)	' "$DIR/$name.log" \
			>"$DIR/$name.tsv" || true
		if ! grep -q '^FAIL' "$DIR/$name.tsv"; then
			printf 'FAIL\tharness\t%s\t\n' "$name" \
				>>"$DIR/$name.tsv"
			tail -n 5 "$DIR/$name.log" >"$DIR/$name.failures"
		fi
	fi
	if grep -q '^FAIL' "$DIR/$name.tsv" &&
	   [ ! -s "$DIR/$name.failures" ]; then
		grep -v '^PASS' "$DIR/$name.log" >"$DIR/$name.failures" || true
	fi
	show "$name" "$DIR/$name.tsv" "$DIR/$name.failures" $((SECONDS - start))
	sed "s/^/$name\t/" "$DIR/$name.tsv" >>"$RESULTS"
}

skip_one() {
	show "$1 $2" "$DIR/$1-$2.skip" /dev/null 0
	cut -f4 "$DIR/$1-$2.skip" | sed 's/^/      /'
	sed "s/^/$1 $2\t/" "$DIR/$1-$2.skip" >>"$RESULTS"
}

# One boot. What it prints comes in one piece, so that two do not mix.
run_one() {
	local m=$1 k=$2 option='' start=$SECONDS where try file
	# A machine may have several lines in the plan.
	file=$DIR/$1-$2-${3//[^a-z0-9_]/-}
	[ "$MODE" = test ] || option=-stock
	[ ! -f "$DIR/$m-$k.skip" ] || { skip_one "$m" "$k"; return; }
	for try in 1 2; do
		TESTS=${3:-$TESTS} "$HARNESS/run.sh" $option "$m" "$k" \
			>"$file.out" 2>"$file.err" &
		RUN=$!
		trap 'kill -TERM $RUN 2>/dev/null; wait $RUN; exit 130' \
			INT TERM HUP
		wait $RUN || true
		where=$(head -n 1 "$file.out")
		# A segmentation fault of the emulator says nothing of the
		# kernel.
		if [ $try = 2 ] ||
		   ! grep -qs 'QEMU failed.*exit status 139' "$where/failures"
		then
			break
		fi
		echo "  $m $k: the emulator crashed, see $where; once again"
	done
	if [ ! -f "$where/results.tsv" ]; then
		printf 'FAIL\t(run)\tcould not start\t\n' >"$file.tsv"
		cp "$file.err" "$file.failures"
	else
		cp "$where/results.tsv" "$file.tsv"
		cp "$where/failures" "$file.failures"
		[ ! -s "$file.failures" ] ||
			echo "see $where" >>"$file.failures"
	fi
	show "$m $k" "$file.tsv" "$file.failures" $((SECONDS - start)) \
		>"$file.told"
	cat "$file.told"
	sed "s/^/$m $k\t/" "$file.tsv" >>"$RESULTS"
}

# Tests that only the newest base has, and those that depend on the page size,
# in that of Debian's kernels. The archive may have another one by now.
newest() {
	local rc=0 tests=spapr_register,spapr_memory,spapr_map,spapr_window
	tests=$tests,spapr_dma,spapr_fuzz
	# Upstream's own, but for vfio_pci_driver_test, which waits for minutes.
	tests=$tests,vfio_dma_mapping_test,vfio_iommufd_setup_test
	tests=$tests,vfio_pci_device_test
	env BASE="$NEWEST" MACHINES=pseries KERNELS="series-4k${ALL:+ series}" \
		"TESTS=kunit:*,iommufd_*,$tests" \
		"$HARNESS/make.sh" test || rc=$?
	[ $rc = 4 ] || return $rc
	printf 'SKIP\tbases\t%s has no source\t\n' "$NEWEST"
}

WORKERS=
# shellcheck disable=SC2317
stop() {
	trap - INT TERM HUP
	# shellcheck disable=SC2086
	kill -TERM $WORKERS 2>/dev/null || true
	wait
	rm -rf "$DIR"
	say "stopped; the next make goes on from here"
	exit 130
}

# How many machines at a time: their programs wait a good part of the time, for
# the device under test and its resets, so more than there are processors. With
# three for each of them the guests of guests starved on a slow machine. Each
# machine may touch all of its memory.
run_all() {
	local m k t slots
	slots=$(slots 2621440 $((2 * $(nproc))))
	trap stop INT TERM HUP
	while read -r m k t <&8; do
		wait_jobs $((slots - 1))
		# shellcheck disable=SC2059
		! late 3600 || printf "$LATE" >"$DIR/$m-$k.skip"
		run_one "$m" "$k" "$t" &
		WORKERS="$WORKERS $!"
	done 8<"$DIR/plan"
	wait || true
	trap - INT TERM HUP
}

# One line ends it: results are "run STATUS program test detail" by tabs.
summary() {
	local passed failed skipped
	cut -f2- "$RESULTS" >"$DIR/sum"
	passed=$(count PASS "$DIR/sum")
	failed=$(count FAIL "$DIR/sum")
	skipped=$(count SKIP "$DIR/sum")
	if [ "$MODE" = test ] && [ -s "$DIR/failed" ] &&
	   [ "$(wc -l <"$DIR/plan")" -gt 1 ]; then
		echo "what failed:"
		head -n 200 "$DIR/failed"
	fi
	rm -rf "$DIR"
	if [ "$MODE" = stock ]; then
		echo "on the base kernel: $passed passed, $failed failed," \
			"$skipped skipped"
		[ $((passed + failed)) -gt 0 ]
		return
	fi
	[ $((passed + failed)) -gt 0 ] || say "error: no test ran"
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

for d in "$OUT"/results/.work.*; do
	kill -0 "${d##*.}" 2>/dev/null || rm -rf "$d"
done
mkdir -p "$DIR"
: >"$RESULTS"
plan >"$DIR/plan"
build_all
if is_full; then
	if [ "$BASE" = 6.12 ]; then
		run_own golden "$HARNESS/golden.sh"
		run_own realmode "$HARNESS/realmode.sh"
		run_own bases "$HARNESS/bases.sh"
		[ -z "$ALL" ] || run_own configs "$HARNESS/configs.sh"
		[ -z "$ALL" ] || run_own deb-check "$HARNESS/deb-check.sh"
		run_own "pseries $NEWEST" newest
		run_own figures "$HARNESS/figures.sh" -check
		run_own bench-check env ACCEPT= "$HARNESS/bench.sh" check
	fi
	run_own nospec "$HARNESS/nospec.sh" "$OUT/kernel-series/vmlinux"
	run_own round-trip "$HARNESS/series.sh"
	run_own fixes-alone env PART=fixes "$HARNESS/series.sh"
	run_own host "$HARNESS/host-tests.sh"
	run_own mutants "$HARNESS/mutants.sh" check
	run_own demo env TESTS=vfio:spapr_demo "$HARNESS/run.sh" -demo \
		powernv9 series
	run_own run env TESTS=kvm:demo "$HARNESS/run.sh" -demo powernv9-kvm \
		series
fi
run_all
summary
