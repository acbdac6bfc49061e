# SPDX-License-Identifier: GPL-2.0
# ROWS CSV...: the rows (readme.rows) of the figures of all machines as tables of
# Markdown. Where `machines` have no figure there is none in the table; a machine
# with "-hash" behind its name stands in for it.
function number(x) {
	if (x < 10000)
		return sprintf("%d", x + 0.5)
	if (x < 1000000)
		return sprintf("%.4g k", x / 1000)
	return sprintf("%.4g M", x / 1000000)
}

function ratio(a, b) {
	if (!(b > 0))
		return a > 0 ? "all" : ""
	return sprintf(a / b >= 99.95 ? "%.0f x" : a / b >= 9.995 ? "%.1f x" : \
		       "%.2f x", a / b)
}

# The figures of a machine whose parameters match.
function find(m, op, params, unit,  i) {
	for (i = 1; i <= n[m, op, unit]; i++)
		if (name[m, op, unit, i] ~ "^(" params ")$")
			return value[m, op, unit, i]
	return ""
}

function cell(m, op, params, unit,  v, note) {
	v = find(m, op, params, unit)
	if (v == "" && (v = find(m "-hash", op, params, unit)) != "")
		note = " (hash)"
	split(v, pair, " ")
	if (!(pair[1] + pair[2]))
		return ""
	return number(pair[1]) " / " number(pair[2]) \
	       (unit == "ns" ? "" : ", **" ratio(pair[1], pair[2]) "**") note
}

function head(title,  i) {
	printf "\n| %s |", title
	for (i = 1; i <= machines_n; i++)
		printf " %s |", m[i]
	printf "\n| --- |"
	for (i = 1; i <= machines_n; i++)
		printf " --- |"
	print ""
}

BEGIN { machines_n = split(machines, m, " ") }

FNR == NR {
	if (!/^#/ && NF)
		row[++rows] = $0
	next
}

/^#/ { next }

# machine,"operation","parameters",unit,count,of,stock,series,ratio,differs
{
	split($0, q, "\"")
	split(q[5], rest, ",")
	key = substr(q[1], 1, length(q[1]) - 1) SUBSEP q[2] SUBSEP rest[2]
	name[key, ++n[key]] = q[4]
	value[key, n[key]] = (rest[5] + 0) " " (rest[6] + 0)
}

END {
	for (r = 1; r <= rows; r++) {
		if (split(row[r], word, "\t") == 1) {
			title = word[1]
			continue
		}
		line = "| " word[1] " |"
		any = ""
		for (i = 1; i <= machines_n; i++) {
			c = cell(m[i], word[2], word[3], word[4])
			line = line " " c " |"
			any = any c
		}
		if (any == "")
			continue
		if (title != "")
			head(title)
		title = ""
		print line
	}
}
