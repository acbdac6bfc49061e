#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# bench.sh: what the calls cost in instructions of the guest, on the base kernel
# and on the series, in one run: tables on stdout, and $OUT/bench/bench.csv.
#
# T= narrows to operations, M= to machines; K= names other kernels than those two.
# PROFILE=1 also counts instructions by function of the kernel.
. "$(dirname "$0")/lib.sh"

DIR=$OUT/bench
CSV=$DIR/bench.csv
# The clock of bare metal counts instructions from this version on.
QEMU_POWERNV=8.1
# What one machine may touch of its memory, in KiB.
MEMORY=$((6 * 1024 * 1024))

KERNELS=${KERNELS:-"$(flavour stock) $(flavour series)"}

# The programs that print rows, one case of each.
programs() {
	echo "vfio:spapr_bench${TESTS:+/$(echo "$TESTS" | tr -s ' ' +)}"
}

about() { sed -n 's/^about: *//p' "$HARNESS/machines/$1"; }

build_all() {
	local k
	"$HARNESS/userland.sh" busybox busybox-static >/dev/null
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
			BARE=$("$HARNESS/qemu.sh" $QEMU_POWERNV) || BARE=
		QEMU=$BARE ;;
	*) QEMU=$(command -v qemu-system-ppc64) ;;
	esac
	[ -n "$QEMU" ]
}

# What counts from outside, where this QEMU can load it. Its interface changed.
plugin_for() {
	local so=$OUT/bin/count.so new=
	if at_least "$(qemu_version "$QEMU")" 9.0; then
		so=$OUT/bin/count-new.so new=1
	fi
	"$QEMU" --help | grep -q '^-plugin ' || return 0
	gcc -O2 -shared -fPIC ${new:+-DNEW} -o "$so" "$HARNESS/count/plugin.c"
	echo "$so${PROFILE:+,profile=on}"
}

# plugin_args KERNEL: with where the kernel calls the firmware.
plugin_args() {
	[ -z "$PLUGIN" ] || awk -v plugin="$PLUGIN" '$3 == "__opal_call" { opal = $1 }
		END { print plugin (opal == "" ? "" : ",opal=" opal) }' \
		"$OUT/kernel-$1/System.map"
}

no_qemu() {
	echo "$1: needs QEMU $QEMU_POWERNV or newer for -icount, which is neither" \
		"here nor in Debian's backports; why is said above"
}

run_one() {
	local option=
	case $2 in stock*) option=-stock ;; esac
	TESTS=$(programs) OVERRIDE=$HARNESS/bench.data QEMU_SYSTEM=$QEMU \
		PLUGIN=$(plugin_args "$2") PROGRAM_TIMEOUT=3000 \
		exec "$HARNESS/run.sh" $option "$1" "$2" \
		>"$DIR/$1-$2.out" 2>"$DIR/$1-$2.err"
}

PIDS=
# shellcheck disable=SC2317
stop() {
	trap - INT TERM HUP
	# shellcheck disable=SC2086
	kill -TERM $PIDS 2>/dev/null || true
	wait
	say ""
	say "stopped; what was measured is in $DIR"
	exit 130
}

# Where a run keeps what it has so far; nowhere if it did not begin.
where() {
	local dir
	dir=$(head -n 1 "$DIR/$1-$2.out" 2>/dev/null) || true
	echo "${dir:-$DIR/nowhere}"
}

# How far a run is: "12/34".
how_far() {
	awk '/^@begin / { on = /:spapr_bench$/ } /^@end / { on = 0 }
	     on && /^1\.\./ { plan = substr($1, 4) }
	     on && /^(not )?ok / { n++ }
	     END { printf "%d/%s", n, plan == "" ? "?" : plan }' \
		"$(where "$1" "$2")/report.log" 2>/dev/null || echo "0/?"
}

tell_progress() {
	local k line=
	for k in $KERNELS; do line="$line  $k $(how_far "$1" "$k")"; done
	if [ -t 2 ]; then
		printf '\r  %-16s %-50s %s ' "$1" "$line" "$(elapsed "$2")" >&2
	elif [ "$2" -gt 0 ] && [ $(($2 % 60)) -eq 0 ]; then
		say "  $1: $line operations, $(elapsed "$2")"
	fi
}

# Wait until no more than $3 of the runs on machine $1 are left.
wait_for() {
	local start=$2 last=-1 t
	while [ "$(jobs -rp | wc -l)" -gt "$3" ]; do
		t=$((SECONDS - start))
		[ $t -eq $last ] || tell_progress "$1" $t
		last=$t
		sleep 0.2
	done
}

# Two kernels at a time where there are processors and memory: it makes no
# difference to a count of instructions.
slots() {
	local free
	free=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
	if [ "$free" -lt $((2 * MEMORY)) ] || [ "$(nproc)" -lt 2 ]; then
		echo 1
	else
		echo 2
	fi
}

# All kernels on one machine. False when one of the runs was not good.
run_machine() {
	local m=$1 k start=$SECONDS bad=0 slots
	slots=$(slots)
	PIDS=
	for k in $KERNELS; do
		wait_for "$m" "$start" $((slots - 1))
		rm -f "$DIR/$m-$k.out"
		run_one "$m" "$k" &
		PIDS="$PIDS $!"
	done
	wait_for "$m" "$start" 0
	[ ! -t 2 ] || printf '\r%78s\r' '' >&2
	say "$(printf '  %-44s %6s' "$m: measured" "$(elapsed $((SECONDS - start)))")"
	for k in $KERNELS; do
		judge "$m" "$k" || bad=1
	done
	return $bad
}

judge() {
	local dir
	dir=$(where "$1" "$2")
	if [ ! -f "$dir/verdict" ]; then
		cat "$DIR/$1-$2.err" >&2
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
	cat "$1/report.log" "$1/console.log" | sed -n 's/^.*\(row	\)/\1/p' |
		tr -d '\r' | awk -f "$HARNESS/count/rows.awk" -v counts="$1/counts"
}

skipped() {
	local k
	for k in $KERNELS; do
		sed -n "s/^ok [0-9]* # SKIP //p" "$(where "$1" "$k")/report.log"
	done | sort -u | sed "s/^/$1: /"
}

# The rows of all kernels on one machine, side by side.
merge() {
	local m=$1 k
	for k in $KERNELS; do
		rows "$(where "$m" "$k")" | sed "s/^row/$k/"
	done | awk -f "$HARNESS/count/merge.awk" -v machine="$m" \
		-v kernels="$KERNELS" >"$DIR/$m.tsv"
}

to_csv() {
	awk -F'\t' '
	function quoted(s) { gsub(/"/, "\"\"", s); return "\"" s "\"" }
	{ printf "%s,%s,%s,%s,%s,%s", $1, quoted($2), quoted($3), $4, $5, $6
	  for (i = 7; i <= NF; i++) printf ",%s", $i
	  if (NF == 8) printf ",%s", ($7 != "" && $8 > 0 ? sprintf("%.3f", $7 / $8) : "")
	  print "" }' "$1"
}

header() {
	printf 'machine,operation,parameters,unit,count,of'
	# shellcheck disable=SC2086
	printf ',%s' $KERNELS
	[ "$(echo "$KERNELS" | wc -w)" -ne 2 ] || printf ',ratio'
	echo
}

table() {
	echo
	echo "$1: $(about "$1")"
	awk -f "$HARNESS/count/table.awk" -v kernels="$KERNELS" "$DIR/$1.tsv"
}

versions() {
	echo "Instructions of the guest; the ratio is stock / series, more is better."
	echo "$BASE_NAME; ${CROSS}gcc $("${CROSS}gcc" -dumpfullversion);" \
		"mitigations=off."
	echo "Instructions are not time: caches, waits for a device and what a hypervisor"
	echo "does cost none. Hypercalls, OPAL calls and stores to device registers"
	echo "are counted beside them."
}

write_profiles() {
	local k dir
	[ -n "$PLUGIN" ] || { say "no profile: this QEMU loads no plugins"; return; }
	for k in $KERNELS; do
		dir=$(where "$1" "$k")
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

BASE_NAME=$("$HARNESS/base.sh" 2>&1 >/dev/null | sed -n 's/^base: //p')
mkdir -p "$DIR"
LIST=$(machines "pseries powernv9 powernv9-hash powernv8")
build_all
: >"$DIR/left-out"
header >"$CSV.new"
versions
bad=0 measured=0
trap stop INT TERM HUP
for m in $LIST; do
	if ! use_qemu "$m"; then
		no_qemu "$m" >>"$DIR/left-out"
		continue
	fi
	PLUGIN=$(plugin_for)
	run_machine "$m" || bad=1
	merge "$m"
	table "$m"
	to_csv "$DIR/$m.tsv" >>"$CSV.new"
	[ -z "$PROFILE" ] || write_profiles "$m"
	skipped "$m" >>"$DIR/left-out"
	measured=$((measured + $(wc -l <"$DIR/$m.tsv")))
done
left_out
mv "$CSV.new" "$CSV"
say "as CSV: $CSV"
[ $measured -gt 0 ] || die "nothing was measured"
[ $bad -eq 0 ]
