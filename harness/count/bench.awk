# SPDX-License-Identifier: GPL-2.0
# What bench.sh computes; `what` is one of these:
#
# stores	sorted System.map: "FROM TO" of each function that writes to the
#		registers of a PHB
# places	System.map: `args`, with where the kernel calls the firmware and
#		switches
# progress	report.log: how far a run is, "12/34"
# skipped	reasons of SKIP: the operations of `machine` that each is of
# csv		rows of a machine, separated by tabs: lines of bench.csv
# others	MEASURED COMMITTED: lines of the second that the first does not have
BEGIN {
	if (what == "csv")
		FS = "\t"
	if (what == "others")
		FS = "\""
}

what == "stores" && $2 ~ /^[tTwW]$/ {
	if (from)
		print from, $1
	from = $3 ~ /pnv|phb/ ? $1 : ""
}

what == "places" && $3 == "__opal_call" { args = args ",opal=" $1 }
what == "places" && $3 == "__switch_to" { args = args ",switch=" $1 }

what == "progress" && /^@begin / { on = /:spapr_bench$/ }
what == "progress" && /^@end / { on = 0 }
what == "progress" && on && /^1\.\./ { plan = substr($1, 4) }
what == "progress" && on && /^(not )?ok / { n++ }

what == "skipped" {
	op = $1
	sub(/^[^ ]* /, "")
	sub(/:$/, "", op)
	ops[$0] = ops[$0] " " op
}

function quoted(s)
{
	gsub(/"/, "\"\"", s)
	return "\"" s "\""
}

# The base by the series, where both are there.
function ratio()
{
	return $7 != "" && $8 > 0 ? sprintf("%.3f", $7 / $8) : ""
}

what == "csv" {
	printf "%s,%s,%s,%s,%s,%s", $1, quoted($2), quoted($3), $4, $5, $6
	for (i = 7; i < NF; i++)
		printf ",%s", $i
	if (NF == 9)
		printf ",%s", ratio()
	print "," $NF
}

what == "others" {
	split($5, rest, ",")
	key = $1 $2 $4 rest[2]
}
what == "others" && NR == FNR {
	new[key]
	next
}
what == "others" && !/^#/ && !(key in new)

END {
	if (what == "places")
		print args
	if (what == "progress")
		printf "%d/%s", n, plan == "" ? "?" : plan
	for (why in ops)
		print machine ":" ops[why] ": " why
}
