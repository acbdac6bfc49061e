# SPDX-License-Identifier: GPL-2.0
# Lines of merge.awk as a table for people, with the ratio if there are two kernels.
# What costs no instructions stands at the end of the line that it belongs to.

# 1234567 is 1,234,567.
function grouped(x,  s, r) {
	if (x == "")
		return "-"
	if (x < 1000)
		return sprintf("%.1f", x)
	s = sprintf("%.0f", x)
	while (length(s) > 3) {
		r = "," substr(s, length(s) - 2) r
		s = substr(s, 1, length(s) - 3)
	}
	return s r
}

# A count of one is 1, an average may be 0.3.
function counted(x,  s) {
	s = grouped(x)
	sub(/\.0$/, "", s)
	return s
}

function is_event() { return $4 ~ /calls$|kills$|stores$|switches$|^lines ./ }

# The share of one page, or of one TCE.
function each(  i, s) {
	if ($5 < 2)
		return ""
	for (i = 7; i < NF; i++)
		s = s (i == 7 ? "   " : " / ") \
		    ($i == "" ? "-" : sprintf("%.1f", $i / $5))
	return s " a " $6
}

function ratio() {
	if (n != 2)
		return ""
	if ($7 == "" || !($8 > 0))
		return sprintf("%9s", "-")
	return sprintf("%9.2f", $7 / $8)
}

function event(  i, s) {
	for (i = 7; i < NF; i++)
		s = s (i == 7 ? "" : " / ") counted($i)
	return s " " $4
}

function flush() {
	if (line != "")
		print line
	line = ""
}

BEGIN {
	FS = "\t"
	n = split(kernels, name, " ")
	printf "%60s", ""
	for (i = 1; i <= n; i++)
		printf "%13s", name[i]
	print (n == 2 ? "    ratio" : "")
}

is_event() {
	if ($4 != "device stores")
		line = line (line ~ /;/ ? ", " : "   ; ") event()
	next
}

{ flush() }

$2 " " $4 != last {
	print "  " $2 ($4 == "instructions" ? "" : ", " $4)
	last = $2 " " $4
}

{
	line = sprintf("    %-56s", $3)
	for (i = 7; i < NF; i++)
		line = line sprintf("%13s", grouped($i))
	line = line ratio() ($NF > 0 ? " +-" grouped($NF) : "") each()
}

END { flush() }
