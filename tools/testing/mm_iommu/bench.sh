#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Instructions of a lookup, by the number of regions: what there is, and what
# could be in its place. Those of the host, so they compare only with another.
LOOKUPS=${LOOKUPS:-2000}

if ! command -v valgrind >/dev/null; then
	echo '1..0 # SKIP no valgrind: apt install valgrind'
	exit 0
fi

$MAKE -s "$O/bench/bench" || exit 1

# function, arguments of bench
callgrind() {
	toggle=$1
	shift
	valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		--toggle-collect="$toggle" "$O/bench/bench" "$@" 2>&1 |
		sed -n 's/.*Collected : //p'
}

# function, candidate, regions, how many of them are looked for
count() {
	callgrind "$1" "$2" "$3" "$LOOKUPS" "$4"
}

# the same, each, less what an empty function costs
cost() {
	all=$(count "$1" "$2" "$3" "$4")
	none=$(count "$1" none "$3" "$4")
	each=$LOOKUPS
	[ "$1" = bench_insert ] && each=$3
	echo $(((all - none + each / 2) / each))
}

echo "Instructions of $(uname -m) for each lookup, at random"
echo "  hint:   rbtree, the region that the slot found before"
echo "  whole:  rbtree, with the slot's lock and the translation"
echo "  rb-insert, m-insert: rbtree and maple tree, one region, on the average"
echo
printf '%9s %9s %9s %9s %9s %9s | %9s %9s\n' regions rbtree maple array \
	whole hint rb-insert m-insert
for n in 1 256 4096 32768 100000; do
	printf '%9s %9s %9s %9s %9s %9s | %9s %9s\n' "$n" \
		"$(cost bench_find rbtree "$n" "$n")" \
		"$(cost bench_find maple "$n" "$n")" \
		"$(cost bench_find array "$n" "$n")" \
		"$(cost bench_find whole "$n" "$n")" \
		"$(cost bench_find rbtree "$n" 1)" \
		"$(cost bench_insert rbtree "$n" "$n")" \
		"$(cost bench_insert maple "$n" "$n")"
done

gib=16
echo
echo "Instructions for the translation of a GiB that comes in runs of" \
	"one block,"
echo "of $gib GiB; finish: to enter the last"
echo
printf '%9s %9s %9s\n' block add finish
for shift in 16 21 24 30; do
	printf '%9s %9s %9s\n' "2^$shift" \
		$(($(callgrind bench_enter trans $gib $shift 0) / gib)) \
		$(($(callgrind bench_finish trans $gib $shift 0) / gib))
done
