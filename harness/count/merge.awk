# SPDX-License-Identifier: GPL-2.0
# Rows of several kernels, the kernel's name first, to one line for each operation
# and its parameters: machine, operation, parameters, unit, count, of what, and
# the value on each of `kernels`. What costs no instructions and was counted
# nowhere is left out.
BEGIN { FS = OFS = "\t" }

{
	key = $3 OFS $5 OFS $6 OFS $7
	if (!($2 in keys))
		operation[++operations] = $2
	if (!(($2, key) in seen)) {
		seen[$2, key] = 1
		row[$2, ++keys[$2]] = key
		must[$2, key] = $5 !~ /calls$|stores$/
	}
	value[$2, key, $1] = $4
}

function put(op, key,  line, any, v, k) {
	line = machine OFS op OFS key
	any = must[op, key]
	for (k = 1; k <= n; k++) {
		v = value[op, key, name[k]]
		line = line OFS v
		any = any || v >= 0.05
	}
	if (any)
		print line
}

END {
	n = split(kernels, name, " ")
	for (o = 1; o <= operations; o++)
		for (i = 1; i <= keys[operation[o]]; i++)
			put(operation[o], row[operation[o], i])
}
