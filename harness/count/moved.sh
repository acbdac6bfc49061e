#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# moved.sh COUNTS REPORT VMLINUX [OPERATION]: for each row of cache lines of a report,
# which lines moved from one processor to another in one of its calls, and the code of
# the kernel that touches them; COUNTS was written by the plugin with list=on.
set -eu -o pipefail
export LC_ALL=C

COUNTS=$1 REPORT=$2 VMLINUX=$3 ONLY=${4:-}

# The lines of the last call of FIRST STEP N.
listed() {
	awk -v n=$(($1 + $2 * ($3 - 1))) '
	$1 == "lines" { on = $2 == n; next }
	on && $1 == "line" && $2 == 1' "$COUNTS"
}

# Code that runs in real mode is known by its place in the linear map.
symbols() {
	powerpc64le-linux-gnu-addr2line -f -e "$VMLINUX" "$@" | sed -n '1~2p'
}

functions() {
	local a codes=()
	for a in "$@"; do codes+=("$(printf '%x' $((0x$a | 0xc000000000000000)))"); done
	symbols "${codes[@]}" | uniq | paste -sd' '
}

# A variable that is linked with the kernel, with the offset in it.
variable() {
	nm "$VMLINUX" | sort | awk -v a="$(printf '%016x' $((0x$1 | 0xc000000000000000)))" '
	$1 <= a && $2 ~ /^[bBdDrRgGsS]$/ { at = $1; name = $3 }
	$3 == "_end" { end = $1 }
	END { if (a < end && name != "") print name " (" at ")"; else print "-" }'
}

awk -F'\t' -v only="$ONLY" '$1 == "lines" && (only == "" || index($2, only) == 1) {
	print $4, $5, $6, $2 ", " $3 }' "$REPORT" |
while read -r first step n what; do
	echo "$what:"
	listed "$first" "$step" "$n" | while read -r _ _ written phys virt codes; do
		# shellcheck disable=SC2086
		printf '  %-7s %10s %16s %s: %s\n' \
			"$([ "$written" = 1 ] && echo written || echo read)" \
			"$phys" "$virt" "$(variable "$virt")" "$(functions $codes)"
	done
done
