#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# bench.sh [check]: what the calls cost in instructions of the guest, on the
# base kernel and on the series, in one run: tables on stdout, and
# $OUT/bench/bench.csv. Each kernel runs RUNS times on each machine, and the
# tables say where two runs differ.
#
# Cache lines are counted in runs of their own, on several processors: the
# operations lines-*, and in the CSV lines, lines written and lines moved of one
# call.
#
# T= narrows to operations, M= to machines; K= names other kernels than those
# two. PROFILE=1 also counts instructions by function of the kernel, and lists
# the lines that move from one processor to another.
#
# check measures what takes little time on the series alone, and compares it
# with the figures that are committed for this compiler. ACCEPT=1 commits to new
# ones.
. "$(dirname "$0")/lib.sh"

MODE=${1:-bench}
DIR=$OUT/$([ "$MODE" = check ] && echo bench-check || echo bench)
CSV=$DIR/bench.csv
FIGURES=$HARNESS/figures
# The clock of bare metal counts instructions from this version on.
QEMU_POWERNV=8.1
# Memory that one machine may touch, in KiB.
MEMORY=$((6 * 1024 * 1024))

# Operations that take no time without a slow kernel to compare with.
CHECKED="null register-pages register-thp register-second regions-1 regions-256
	map-pages map-thp range-4K window bytes-pages bytes-thp bytes-regions
	hcall-null hcall-*-none hcall-*-1 hcall-*-32 hcall-put-16M lines slots"
# A loss that fails a check, in per cent.
LIMIT=2

NARROW=$TESTS
if [ "$MODE" = check ]; then
	PARTIAL=$MACHINES
	KERNELS=series RUNS=1 TESTS=${TESTS:-$CHECKED}
	MACHINES=${MACHINES:-pseries powernv9 powernv8}
else
	PARTIAL=$TESTS$KERNELS$PAGES$DEBUG
fi
KERNELS=${KERNELS:-"$(flavour stock) $(flavour series)"}
RUNS=${RUNS:-2}

# Where there is another machine for all the rest: huge pages are its affair.
HASH_ONLY="null register map bytes exit window"

one_a_line() { printf %s "$1" | tr -s '[:space:]' '\n'; }

# operations MACHINE RUN: what is asked for; nothing: all. That of a run whose
# name begins with "lines" is what begins so.
operations() {
	local ops=$TESTS
	[ "$1" != powernv9-hash ] || ops=${ops:-$HASH_ONLY}
	case $2 in
	lines*) one_a_line "${ops:-lines}" | grep '^lines' ;;
	*) [ -z "$ops" ] || one_a_line "$ops" | grep -v '^lines' ;;
	esac | paste -sd+
}

# runs MACHINE: their names, as far as there is something to run.
runs() {
	local r
	for r in $(seq "$RUNS"); do
		[ -n "$TESTS" ] && [ -z "$(operations "$1" "$r")" ] || echo "$r"
		[ -z "$(operations "$1" "lines$r")" ] || echo "lines$r"
	done
}

# programs MACHINE KERNEL RUN: those that print rows, and what of them. The rows
# "slots" come from a KUnit case of the series, since one CPU has one slot.
programs() {
	local ops rest
	ops=$(operations "$1" "$3")
	rest=$(one_a_line "$ops" | tr + '\n' | grep -vx slots | paste -sd+) ||
		true
	case $2:$3:+$ops+ in
	stock* | *:lines*) ;;
	*:++ | *+slots+*) echo "kunit:mm_iommu_figures/cost_of_the_slots" ;;
	esac
	echo "vfio:spapr_bench${ops:+/${rest:-null}}"
}

about() { machine_says about "$1"; }

build_all() {
	local k
	"$HARNESS/debian-packages.sh" busybox busybox-static >/dev/null
	"$HARNESS/selftests.sh" >/dev/null
	for k in $KERNELS; do
		"$HARNESS/kernel.sh" "$k" >/dev/null
		"$HARNESS/initramfs.sh" "$k" >/dev/null
	done
}

# use_qemu MACHINE: the QEMU that can count there.
use_qemu() {
	case $1 in
	powernv*)
		[ -n "${BARE+looked}" ] ||
			BARE=$("$HARNESS/find-qemu.sh" $QEMU_POWERNV) || BARE=
		QEMU=$BARE ;;
	*) QEMU=$(command -v qemu-system-ppc64) ;;
	esac
	[ -n "$QEMU" ]
}

# A plugin that counts from outside, if this QEMU can load it: plugin or lines.
# Its interface changed.
plugin() {
	local new=
	! at_least "$(qemu_version "$QEMU")" 9.0 || new=-new
	echo "$OUT/bin/$1$new.so"
}

build_plugins() {
	local name so interface
	"$QEMU" --help | grep -q '^-plugin ' || return 0
	for name in plugin lines; do
		so=$(plugin $name)
		interface=OLD
		case $so in *-new*) interface=NEW ;; esac
		gcc -O2 -shared -fPIC -D$interface \
			-o "$so" "$HARNESS/count/$name.c"
	done
}

# compute WHAT [-v VARIABLE=VALUE] [FILE...]
compute() { awk -f "$HARNESS/count/bench.awk" -v what="$1" "${@:2}"; }

# plugin_args KERNEL RUN: with where the kernel calls the firmware and switches.
plugin_args() {
	local stores=$DIR/stores-$1 args new
	"$QEMU" --help | grep -q '^-plugin ' || return 0
	case $2 in
	lines*) echo "$(plugin lines)${PROFILE:+,list=on}"; return ;;
	esac
	new=$stores.$BASHPID	# that of this shell, not of the pipe's
	sort "$OUT/kernel-$1/System.map" | compute stores >"$new"
	mv "$new" "$stores"
	args=$(plugin plugin)${PROFILE:+,profile=on},stores=$stores
	compute places -v args="$args" "$OUT/kernel-$1/System.map"
}

no_qemu() {
	echo "$1: needs QEMU $QEMU_POWERNV or newer for -icount, which is" \
		"neither here nor in Debian's backports; why is said above"
}

# lines_data MACHINE: several processors, and where it can be a device for each.
# Their calls come in turn, so the order needs no clock of instructions; and
# with -icount a plugin of QEMU 9 and newer gets the processor that has
# translated the code, not the one that runs it.
lines_data() {
	local i device mask=dma_mask=0xffffffffffffffff
	sed 's/^cpus:.*/cpus: 4/; s/^memory:.*/memory: 3G/
		s/-accel tcg -icount [^ ]*/-accel tcg,thread=multi/' \
			"$HARNESS/bench.data"
	for i in 3 4; do
		case $1 in
		pseries)
			device=spapr-pci-host-bridge,index=$i,id=phb$i
			echo "qemu: -device $device"
			echo "qemu: -device edu,bus=phb$i.0,$mask" ;;
		powernv9)
			device=pcie-pci-bridge,id=b$i,bus=pcie.$i,addr=0x0
			echo "qemu: -device $device"
			echo "qemu: -device edu,bus=b$i,addr=0x1,$mask" ;;
		esac
	done
}

# run_one MACHINE KERNEL RUN
run_one() {
	local option='' data=$HARNESS/bench.data
	case $2 in stock*) option=-stock ;; esac
	case $3 in
	lines*)
		data=$DIR/$1-$2-$3.data
		lines_data "$1" >"$data" ;;
	esac
	use_qemu "$1"
	TESTS=$(programs "$@" | paste -sd,) OVERRIDE=$data QEMU_SYSTEM=$QEMU \
		PLUGIN=$(plugin_args "$2" "$3") \
		PROGRAM_TIMEOUT=3000 RUN_TIMEOUT=7200 \
		exec "$HARNESS/run.sh" $option "$1" "$2" \
		>"$DIR/$1-$2-$3.out" 2>"$DIR/$1-$2-$3.err"
}

PIDS=
end_all() {
	trap - INT TERM HUP
	# shellcheck disable=SC2086
	kill -TERM $PIDS 2>/dev/null || true
	wait
}

# shellcheck disable=SC2317
stop() {
	end_all
	say ""
	say "stopped; what was measured is in $DIR"
	exit 130
}

# Where a run keeps what it has so far; nowhere if it did not begin.
where() {
	local dir
	dir=$(head -n 1 "$DIR/$1-$2-$3.out" 2>/dev/null) || true
	echo "${dir:-$DIR/nowhere}"
}

# How far a run is: "12/34".
how_far() {
	compute progress "$(where "$1" "$2" "$3")/report.log" 2>/dev/null ||
		echo "0/?"
}

# The runs that go on at this time.
show_progress() {
	local job line=
	for job in $(running); do
		# shellcheck disable=SC2086
		line="$line  ${job//,/ } $(how_far ${job//,/ })"
	done
	if [ -t 2 ]; then
		printf '\r %-68.68s %s ' "$line" "$(elapsed "$1")" >&2
	elif [ "$1" -gt 0 ] && [ $(($1 % 60)) -eq 0 ]; then
		say " $line, $(elapsed "$1")"
	fi
}

ALL_JOBS=
# Jobs are words MACHINE,KERNEL,RUN; what goes on has an output and no end.
running() {
	local job file
	for job in $ALL_JOBS; do
		file=$DIR/${job//,/-}
		[ ! -f "$file.out" ] || [ -f "$file.end" ] || echo "$job"
	done
}

# Once in a second.
LAST=-1
progress() {
	local t=$((SECONDS - START))
	[ $t -eq $LAST ] || show_progress $t
	LAST=$t
}

# run_job JOB: one that ends leaves a mark.
run_job() {
	local file=$DIR/${1//,/-} pid
	# shellcheck disable=SC2086
	(run_one ${1//,/ }) &
	pid=$!
	trap 'kill -TERM $pid 2>/dev/null; wait; exit 130' INT TERM HUP
	wait $pid || true
	: >"$file.end"
}

# All runs on all machines. A machine is reported when its last run is over.
run_all() {
	local job m k r slots
	# Two machines do not change a count of instructions.
	slots=$(slots $MEMORY $(($(nproc) < 2 ? 1 : 2)))
	for m in $LIST; do
		for r in $(runs "$m"); do
			for k in $KERNELS; do
				ALL_JOBS="$ALL_JOBS $m,$k,$r"
			done
		done
	done
	for m in $LIST; do
		for r in out err end tsv csv whole lines; do
			rm -f "$DIR/$m".$r "$DIR/$m"-s*.$r
		done
	done
	for job in $ALL_JOBS; do
		wait_jobs $((slots - 1)) progress
		finish_machines
		run_job "$job" &
		PIDS="$PIDS $!"
	done
	wait_jobs 0 progress
	finish_machines
}

# The runs of a machine that have ended.
ended() { find "$DIR" -maxdepth 1 -name "$1-*.end" | grep -c "/$1-s" || true; }

DONE=
finish_machines() {
	local m all
	for m in $LIST; do
		case " $DONE " in *" $m "*) continue ;; esac
		all=$(($(runs "$m" | wc -l) * $(echo "$KERNELS" | wc -w)))
		[ "$(ended "$m")" -eq $all ] || return 0
		DONE="$DONE $m"
		[ ! -t 2 ] || printf '\r%78s\r' '' >&2
		finish "$m" || bad=1
	done
}

# finish MACHINE: false when one of the runs was not good. `make figures` takes
# what is marked as the whole of a machine, or as all its rows of cache lines
# (T=lines).
finish() {
	local m=$1 k r bad=0
	for k in $KERNELS; do
		for r in $(runs "$m"); do judge "$m" "$k" "$r" || bad=1; done
	done
	merge "$m"
	[ "$MODE" = check ] || table "$m"
	compute csv "$DIR/$m.tsv" >"$DIR/$m.csv"
	[ -n "$PARTIAL" ] || [ $bad -ne 0 ] || [ "$RUNS" -lt 2 ] ||
		tools >"$DIR/$m.whole"
	[ "$PARTIAL" != lines ] || [ $bad -ne 0 ] ||
		tools >"$DIR/$m.lines"
	[ -z "$PROFILE" ] || write_profiles "$m"
	skipped "$m" >>"$DIR/left-out"
	measured=$((measured + $(wc -l <"$DIR/$m.tsv")))
	return $bad
}

judge() {
	local dir
	dir=$(where "$1" "$2" "$3")
	if [ ! -f "$dir/verdict" ]; then
		end_all
		cat "$DIR/$1-$2-$3.err" >&2
		die "$1 $2: the machine did not start"
	fi
	[ "$(head -n 1 "$dir/verdict")" != good ] || return 0
	say "$1 $2: the run was not good:"
	sed 's/^/    /' "$dir/failures" >&2
	say "    see $dir"
	return 1
}

# The rows of a run; modules of the kernel print theirs to the console.
rows() {
	touch "$1/counts"
	cat "$1/report.log" "$1/console.log" |
		sed -n 's/^.*\(\(row\|lines\)	\)/\1/p' |
		tr -d '\r' |
		awk -f "$HARNESS/count/rows.awk" -v counts="$1/counts"
}

# Operations that could not be measured, with the reason.
skipped() {
	local k r
	for k in $KERNELS; do
		for r in $(runs "$1"); do
			sed -n "s/^ok [0-9]* # SKIP //p" \
				"$(where "$1" "$k" "$r")/report.log"
		done
	done | sort -u | compute skipped -v machine="$1" | sort
}

# The rows of all kernels and runs on one machine, side by side.
merge() {
	local m=$1 k r
	for k in $KERNELS; do
		for r in $(runs "$m"); do
			rows "$(where "$m" "$k" "$r")" |
				sed "s/^row/$k	${r#lines}/"
		done
	done | awk -f "$HARNESS/count/merge.awk" -v machine="$m" \
		-v kernels="$KERNELS" -v runs="$RUNS" >"$DIR/$m.tsv"
}

header() {
	printf 'machine,operation,parameters,unit,count,of'
	# shellcheck disable=SC2086
	printf ',%s' $KERNELS
	[ "$(echo "$KERNELS" | wc -w)" -ne 2 ] || printf ',ratio'
	echo ",differs"
}

table() {
	echo
	echo "$1: $(about "$1")"
	awk -f "$HARNESS/count/table.awk" -v kernels="$KERNELS" \
		-v runs="$RUNS" "$DIR/$1.tsv"
}

# Tools of the measurement: a line that is kept with the figures.
tools() {
	local v=
	! use_qemu powernv9 2>/dev/null ||
		v=", $(qemu_version "$QEMU") for bare metal"
	echo "$BASE_NAME; ${CROSS}gcc $("${CROSS}gcc" -dumpfullversion);" \
		"QEMU $(qemu_version qemu-system-ppc64)$v"
}

versions() {
	echo "Instructions of the guest; the ratio is base / series," \
		"more is better."
	echo "$(tools); mitigations=off."
	echo "Instructions are not time: caches, waits for a device and" \
		"what a hypervisor"
	echo "does cost none. Hypercalls, OPAL calls, TCE kills and" \
		"context switches are"
	echo "counted beside them; stores to device registers are in the CSV."
	[ "$RUNS" -lt 2 ] ||
		echo "Measured $RUNS times; +- says by how much they differ."
}

write_profiles() {
	local k dir text
	for k in $KERNELS; do
		dir=$(where "$1" "$k" lines1)
		text=$DIR/moved-$1-$k.txt
		if [ -f "$dir/counts" ]; then
			"$HARNESS/count/moved.sh" "$dir/counts" \
				"$dir/report.log" \
				"$OUT/kernel-$k/System.map" >"$text"
			say "  lines that move: $text"
		fi
		dir=$(where "$1" "$k" 1)
		[ -f "$dir/counts" ] || continue
		"$HARNESS/count/profile.sh" "$dir/counts" "$dir/report.log" \
			"$OUT/kernel-$k/System.map" >"$DIR/profile-$1-$k.txt"
		say "  profile by function: $DIR/profile-$1-$k.txt"
	done
}

left_out() {
	[ -s "$DIR/left-out" ] || return 0
	echo
	echo "Left out:"
	sed 's/^/  /' "$DIR/left-out"
}

# Machines without a QEMU that can count there are left out.
find_machines() {
	local m
	for m in $(machines "pseries powernv9 powernv9-hash powernv8"); do
		if use_qemu "$m"; then
			build_plugins
			LIST="$LIST $m"
		else
			no_qemu "$m" >>"$DIR/left-out"
		fi
	done
}

# Curves need both kernels.
draw() {
	[ "$(echo "$KERNELS" | wc -w)" -eq 2 ] || return 0
	"$HARNESS/plots.sh" "$DIR/plots" svg "$CSV"
	"$HARNESS/plots.sh" "$DIR/plots" png "$CSV"
	say "curves: $DIR/plots"
}

# The figures that a check compares: one file for each compiler, with another
# base beside its data.
committed() {
	local dir=$FIGURES
	[ "$BASE" = 6.12 ] || dir=$ROOT/bases/$BASE
	echo "$dir/check-gcc-$("${CROSS}gcc" -dumpfullversion).csv"
}

# Figures that differ from run to run are not checked.
checked_rows() {
	sed 1d "$CSV" | grep -vE -e '^[^"]*"[^"]*(deferred|longest wait)' \
		-e ',(device stores|context switches),'
}

# Replace the committed figures by the measured ones. After a run of a part of
# the machines or operations the others stay.
accept() {
	mkdir -p "$FIGURES"
	checked_rows >"$DIR/checked.csv"
	touch "$(committed)"
	{
		echo "# $(tools)"
		[ -z "$NARROW$PARTIAL" ] ||
			compute others "$DIR/checked.csv" "$(committed)"
		cat "$DIR/checked.csv"
	} >"$DIR/accepted"
	mv "$DIR/accepted" "$(committed)"
	say "written: $(committed)"
}

how_to_accept() {
	cat <<-EOF

	A change of the kernel costs more than $LIMIT % here. If that is meant,
	    make bench-check ACCEPT=1
	writes what was measured to $(committed | sed "s,^$ROOT/,,"),
	to be committed with the change.
	    PROFILE=1 make bench M=... T=...
	says where the instructions are.
	EOF
	grep -qF "# $(tools)" "$(committed)" ||
		printf '%s\n' \
			"Note: committed with $(sed -n '1s/^# //p' \
				"$(committed)")" \
			"      measured with  $(tools)"
}

# The measured rows against those that are committed.
compare() {
	local rc=0
	sed -n 's/^\(powernv[^:]*\): \(needs QEMU.*\)/\1\t\2/p' \
		"$DIR/left-out" | sed 's/^/SKIP\tbench-check\t/'
	checked_rows >"$DIR/checked.csv"
	awk -f "$HARNESS/count/check.awk" -v limit=$LIMIT -v machines="$LIST" \
		-v narrow="$NARROW" "$(committed)" "$DIR/checked.csv" || rc=$?
	[ $rc -eq 0 ] || how_to_accept
	return $rc
}

no_figures() {
	local compiler
	compiler="${CROSS}gcc $("${CROSS}gcc" -dumpfullversion)"
	printf 'SKIP\tbench-check\tfigures\t%s%s\n' \
		"none are committed for $compiler: " \
		"make bench-check ACCEPT=1 writes them"
	exit 0
}

if [ "$MODE" = check ] && [ -z "$ACCEPT" ] && [ ! -f "$(committed)" ]; then
	no_figures
fi
BASE_NAME=$("$HARNESS/base.sh" 2>&1 >/dev/null | sed -n 's/^base: //p')
START=$SECONDS
LIST=
mkdir -p "$DIR" "$OUT/bin"
# The runs inherit the lock, so it is held as long as one of them lives.
exec 8>"$DIR/lock"
flock -n 8 || die "another make measures in $DIR"
: >"$DIR/left-out"
build_all
find_machines
[ "$MODE" = check ] || versions
bad=0 measured=0
trap stop INT TERM HUP
run_all
{
	header
	for m in $LIST; do cat "$DIR/$m.csv"; done
} >"$CSV"
[ $measured -gt 0 ] || die "nothing was measured"
if [ "$MODE" = check ]; then
	[ $bad -eq 0 ] || exit 1
	[ -z "$ACCEPT" ] || { accept; exit; }
	compare
	exit
fi
left_out
draw
say "measured in $(elapsed $((SECONDS - START))); as CSV: $CSV"
[ $bad -eq 0 ]
