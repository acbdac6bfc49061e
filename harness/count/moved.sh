#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# moved.sh COUNTS REPORT SYSTEM.MAP [all]: for each row of cache lines of a
# report, which lines moved from one processor to another in one of its calls,
# what they are as far as the kernel has linked them, and the code of the kernel
# that touches them; all: of all lines that are touched. COUNTS was written by
# the plugin with list=on.
set -eu -o pipefail
export LC_ALL=C

COUNTS=$1 REPORT=$2 MAP=$3 ALL=${4:-}

# The last call of FIRST STEP ROUNDS N without an interrupt, as "call N what it
# is".
calls() {
	awk -F'\t' '
	NR == FNR {
		split($0, w, " ")
		if (w[1] == "lines")
			bad[w[2]] = w[7]
		next
	}
	$1 == "lines" && $3 ~ /CPUs/ {
		for (i = $4 + $5 * ($6 - 1); i > $4 && bad[i]; i -= $5)
			;
		print "call", i, $2 ", " $3
	}' "$COUNTS" "$REPORT"
}

{ sed 's/^/symbol /' "$MAP"; calls; cat "$COUNTS"; } | awk -v all="$ALL" '
# The low 32 bits: the kernel and its real mode are the same then.
function low(hex,  i, n) {
	for (i = length(hex) > 8 ? length(hex) - 7 : 1; i <= length(hex); i++)
		n = 16 * n + index("123456789abcdef", substr(hex, i, 1))
	return n
}

# The last symbol that is not above an address, with the offset.
function name(hex,  a, lo, hi, mid) {
	a = low(hex)
	if (hex !~ /^c0000000/ && length(hex) > 8 || a >= end)
		return "-"
	lo = 1
	hi = n
	while (lo < hi) {
		mid = int((lo + hi + 1) / 2)
		if (at[mid] <= a)
			lo = mid
		else
			hi = mid - 1
	}
	return sprintf("%s+0x%x", symbol[lo], a - at[lo])
}

$1 == "symbol" {
	if ($2 !~ /^c0000000/ || $3 == "a")
		next
	at[++n] = low($2)
	symbol[n] = $4
	if ($4 == "_end")
		end = at[n]
	next
}

$1 == "call" {
	nr = $2
	sub(/^call [0-9]+ /, "")
	what[nr] = $0
	next
}

$1 == "lines" {
	on = $2 in what
	if (on)
		print what[$2] ": lines " $4 ", written " $5 ", moved " $6
	next
}

# A function once, with the first of its instructions.
on && $1 == "line" && ($2 || all) {
	printf "  %-7s %9s  %-16s %s:", $3 ? "written" : "read", $4, $5,
		name($5)
	for (i = 6; i <= NF; i++) {
		code = function_of = name($i)
		sub(/\+.*/, "", function_of)
		if (function_of != last)
			printf " %s", code
		last = function_of
	}
	print ""
	last = ""
}'
