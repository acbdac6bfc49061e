# SPDX-License-Identifier: GPL-2.0
# Rows of a report, "row OPERATION PARAMETERS VALUE UNIT COUNT OF-WHAT INTERVAL
# CALLS", without the last two, and each followed by rows of what the plugin
# counted in that interval (its output: the file `counts`), for one call.
BEGIN {
	FS = OFS = "\t"
	n = split("hypercalls,OPAL calls,TCE kills,device stores," \
		  "context switches", unit, ",")
	while ((getline line <counts) > 0)
		if (split(line, word, " ") == n + 2 && word[1] == "interval")
			for (i = 1; i <= n; i++)
				count[word[2], i] = word[i + 2]
}

{
	print $1, $2, $3, $4, $5, $6, $7
	for (i = 1; $8 && i <= n; i++)
		if (($8, i) in count)
			print $1, $2, $3, count[$8, i] / $9, unit[i], $6, $7
}
