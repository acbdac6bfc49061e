#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# plots.sh FOLDER svg|png CSV...: draw the curves of figures of `make bench`
# that were measured on both kernels.
. "$(dirname "$0")/lib.sh"

DIR=$1 TYPE=$2
shift 2
DATA=$(mktemp -d)
trap 'rm -rf "$DATA"' EXIT

# points OPERATION BEFORE AFTER MACHINE...: lines of "X STOCK SERIES", of the
# rows whose parameters are X between these two texts; KiB if it is a size.
points() {
	awk -F'"' -v op="$1" -v before="$2" -v after="$3" -v machines="${*:4}" '
	function x(params,  unit) {
		if (index(params, before) != 1 || length(params) <= \
		    length(before after) || substr(params, length(params) - \
		    length(after) + 1) != after)
			return 0
		params = substr(params, length(before) + 1, length(params) - \
				length(before after))
		if (params !~ /^[0-9]+( [KMG]iB| adjacent)?$/)
			return 0
		unit = substr(params, length(params) - 2, 1)
		return params * (unit == "M" ? 1024 : unit == "G" ? 1048576 : 1)
	}
	function machine() { return " " substr($1, 1, length($1) - 1) " " }
	$2 == op && index(" " machines " ", machine()) {
		split($5, v, ",")
		if (v[2] ~ /^(instructions|bytes)$/ && x($4) &&
		    v[5] > 0 && v[6] > 0)
			print x($4), v[5], v[6]
	}' "${CSV[@]}" | sort -n
}

SIZES='("64K" 64, "1M" 1024, "16M" 16384, "256M" 262144, "1G" 1048576)'

# draw NAME TITLE X-LABEL Y-LABEL TICS TITLE-OF-CURVES...: one pair of curves
# for each file NAME.N of DATA.
draw() {
	local name=$1 n=0 file plot='' points size t
	for t in "${@:6}"; do
		n=$((n + 1))
		file=$DATA/$name.$n
		[ -s "$file" ] || continue
		points="dt $n pt $((2 * n + 3))"
		plot="$plot${plot:+, }'$file' using 1:2 title '$t, base'"
		plot="$plot with linespoints lt 1 $points,"
		plot="$plot '$file' using 1:3 title '$t, series'"
		plot="$plot with linespoints lt 2 $points"
	done
	[ -n "$plot" ] || return 0
	size="pngcairo size 960,600"
	[ "$TYPE" != svg ] || size="svg size 640,400"
	gnuplot <<-EOT
	set terminal $size font 'sans,11'
	set output '$DIR/$name.$TYPE'
	set linetype 1 lc rgb '#c0392b' lw 1.5
	set linetype 2 lc rgb '#2471a3' lw 1.5
	set logscale xy
	set format y '10^{%T}'
	${5:+set xtics $5}
	set grid lc rgb '#dddddd'
	set key left top Left reverse samplen 3 font ',9' noenhanced
	set title '$2' noenhanced
	set xlabel '$3'
	set ylabel '$4'
	plot $plot
	EOT
}

# each_machine NAME OPERATION BEFORE AFTER: a curve for each of them
each_machine() {
	local n=0 m
	for m in pseries powernv9 powernv8; do
		n=$((n + 1))
		points "$2" "$3" "$4" "$m" >"$DATA/$1.$n"
	done
}

# by_folio OPERATION: of 1 GiB in all sizes, those of the hash MMU too
by_folio() {
	points "$1" '1 GiB, ' ' pages, adjacent' pseries
	points "$1" '1 GiB, hugetlb of ' '' pseries powernv9-hash
}

CSV=("$@")
mkdir -p "$DIR"
if ! have gnuplot; then
	say "no plots: gnuplot is missing (apt install gnuplot-nox)"
	exit 0
fi

each_machine lookup 'MAP + UNMAP of a page' 'in the oldest of ' ' regions'
draw lookup 'MAP + UNMAP of one page in the oldest region' \
	'registered regions' \
	instructions '' pseries powernv9 powernv8

by_folio REGISTER >"$DATA/register.1"
by_folio 'UNREGISTER in all, deferred work too' >"$DATA/register.2"
draw register 'Registration of 1 GiB' 'size of a folio' instructions "$SIZES" \
	REGISTER UNREGISTER

by_folio bookkeeping >"$DATA/memory.1"
draw memory 'Kernel memory for 1 GiB that is registered' 'size of a folio' \
	bytes \
	"$SIZES" bookkeeping

each_machine map 'MAP of a range' '' ', IOMMU pages of 64 KiB'
draw map 'MAP, IOMMU pages of 64 KiB' 'length of the range' instructions \
	"$SIZES" \
	pseries powernv9 powernv8

points H_PUT_TCE_INDIRECT 'map ' ', 1 region' powernv9 >"$DATA/hcall.1"
points H_STUFF_TCE 'clear ' ', 1 region' powernv9 >"$DATA/hcall.2"
draw hcall 'Hypercalls on powernv9, one region' entries instructions '' \
	H_PUT_TCE_INDIRECT H_STUFF_TCE

each_machine regions H_PUT_TCE 'replace, ' ' regions'
draw regions 'H_PUT_TCE that replaces an entry' 'registered regions' \
	instructions '' \
	pseries powernv9 powernv8
