# SPDX-License-Identifier: GPL-2.0
# Rows of a report, "row OPERATION PARAMETERS VALUE UNIT COUNT OF-WHAT INTERVAL
# CALLS", without the last two, and each followed by rows of what the plugin
# counted in that interval (its output: the file `counts`), for one call.
#
# Of "lines OPERATION PARAMETERS FIRST STEP ROUNDS N", which is calls of several
# intervals, become rows of cache lines. Intervals with an interrupt are left out, and of the
# others, where they differ, the middle one is taken.
function middle(what, first, step, rounds, n,  c, i, j, k, v, sorted) {
	for (c = 0; c < rounds * n; c++) {
		i = first + int(c / n) * step + c % n
		if (!((i, "interrupts") in lines) || lines[i, "interrupts"])
			continue
		v = lines[i, what] + 0
		for (j = k++; j > 0 && sorted[j - 1] > v; j--)
			sorted[j] = sorted[j - 1]
		sorted[j] = v
	}
	return k ? sorted[int(k / 2)] : ""
}

function put_lines(unit, what,  v) {
	v = middle(what, $4, $5, $6, $7)
	if (v != "")
		print "row", $2, $3, v, unit, 1, "call"
}

BEGIN {
	FS = OFS = "\t"
	n = split("hypercalls,OPAL calls,TCE kills,device stores," \
		  "context switches", unit, ",")
	while ((getline line <counts) > 0)
		if (split(line, word, " ") == n + 2 && word[1] == "interval")
			for (i = 1; i <= n; i++)
				count[word[2], i] = word[i + 2]
		else if (word[1] == "lines") {
			lines[word[2], "touched"] = word[4]
			lines[word[2], "written"] = word[5]
			lines[word[2], "moved"] = word[6]
			lines[word[2], "interrupts"] = word[7]
		}
}

$1 == "lines" {
	put_lines("lines", "touched")
	put_lines("lines written", "written")
	# a processor alone takes none
	if ($3 ~ /CPUs/)
		put_lines("lines moved", "moved")
	next
}

{
	print $1, $2, $3, $4, $5, $6, $7
	for (i = 1; $8 && i <= n; i++)
		if (($8, i) in count)
			print $1, $2, $3, count[$8, i] / $9, unit[i], $6, $7
}
