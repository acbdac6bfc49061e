# SPDX-License-Identifier: GPL-2.0
# Rows of several kernels and runs, "KERNEL RUN" in place of the word row, to one
# line for each operation and its parameters: machine, operation, parameters,
# unit, count, of what, the value of the first run on each of `kernels`, and by how
# much any of the other runs differs from that. What costs no instructions and
# was counted nowhere is left out.
BEGIN { FS = OFS = "\t" }

{
	key = $4 OFS $6 OFS $7 OFS $8
	if (!($3 in keys))
		operation[++operations] = $3
	if (!(($3, key) in seen)) {
		seen[$3, key] = 1
		row[$3, ++keys[$3]] = key
		must[$3, key] = $6 !~ /calls$|kills$|stores$|switches$/
	}
	value[$3, key, $1, $2] = $5
}

function put(op, key,  line, any, v, k, r, far, d) {
	line = machine OFS op OFS key
	any = must[op, key]
	for (k = 1; k <= n; k++) {
		v = value[op, key, name[k], 1]
		line = line OFS v
		any = any || v >= 0.05
		for (r = 2; r <= runs; r++) {
			d = value[op, key, name[k], r] - v
			far = d > far ? d : -d > far ? -d : far
		}
	}
	if (any)
		print line, far + 0
}

END {
	n = split(kernels, name, " ")
	for (o = 1; o <= operations; o++)
		for (i = 1; i <= keys[operation[o]]; i++)
			put(operation[o], row[operation[o], i])
}
