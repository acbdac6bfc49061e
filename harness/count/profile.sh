#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# profile.sh COUNTS REPORT SYSTEM.MAP [LINES]: for each row of a report, what
# the plugin counted, by function of the kernel: instructions, their share, and
# how often the function was entered.
set -eu -o pipefail
export LC_ALL=C

COUNTS=$1 REPORT=$2 MAP=$3 LINES=${4:-25}

# The blocks of an interval, their addresses as 16 digits; the kernel's real
# mode like its linear map.
blocks() {
	awk -v n="$1" '$1 == "interval" { on = $2 == n; next }
	on { a = sprintf("%16s", $1); gsub(/ /, "0", a)
	     if (a ~ /^000000000[0-3]/) a = "c" substr(a, 2)
	     print a, 1, $2 * $3, $3 }' "$COUNTS"
}

symbols() { awk '$2 ~ /^[tTwW]$/ && $3 !~ /^\./ { print $1, 0, $3 }' "$MAP"; }

by_function() {
	{ symbols; blocks "$1"; } | sort | awk -v calls="$2" '
	function low(hex,  i, n) {
		for (i = 9; i <= 16; i++)
			n = 16 * n + index("123456789abcdef", substr(hex, i, 1))
		return n
	}
	$2 == 0 { name = $3; at = low($1); next }
	{ f = $1 ~ /^c/ ? name :
	      $1 ~ /^00000000[3-9]/ ? "(firmware)" : "(user space)"
	  insns[f] += $3; all += $3
	  # calls within the kernel leave out two instructions that set r2
	  if (f == name && low($1) - at <= 8) entered[f] += $4 }
	END { for (f in insns)
		printf "%14.1f %5.1f%% %10.1f  %s\n", insns[f] / calls,
		       100 * insns[f] / all, entered[f] / calls, f
	      printf "%14.1f        %10s  (all)\n", all / calls, "" }' |
		sort -nr
}

# Two rows of one interval are the same here.
awk -F'\t' '$1 == "row" && $8 && !seen[$8]++' "$REPORT" | cut -f2- |
while IFS='	' read -r op params _ _ _ _ n calls; do
	echo "$op, $params: instructions, share, times entered"
	by_function "$n" "$calls" | awk -v n="$LINES" 'NR <= n + 1'
	echo
done
