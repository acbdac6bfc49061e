# SPDX-License-Identifier: GPL-2.0
# Lines of merge.awk as a table for people, with the ratio if there are two kernels.

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

function is_event() { return $4 ~ /calls$|stores$/ }

# What one page, or one TCE, has of it.
function each(  i, s) {
	if ($5 < 2 || is_event())
		return ""
	for (i = 7; i <= NF; i++)
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

BEGIN {
	FS = "\t"
	n = split(kernels, name, " ")
	printf "%56s", ""
	for (i = 1; i <= n; i++)
		printf "%13s", name[i]
	print (n == 2 ? "    ratio" : "")
}

$2 != last {
	print "  " $2 ($4 == "instructions" ? "" : ", " $4)
	last = $2
}

{
	printf "    %-52s", (is_event() ? "  " $4 : $3)
	for (i = 7; i <= NF; i++)
		printf "%13s", grouped($i)
	print ratio() each()
}
