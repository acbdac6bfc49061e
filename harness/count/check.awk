# SPDX-License-Identifier: GPL-2.0
# COMMITTED MEASURED: two files of lines of bench.csv with one kernel. A figure that
# is more than `limit` per cent worse, or that is no longer measured, is a FAIL.
# Only `machines` were measured; with `narrow` not all operations were.
BEGIN { FS = "\""; OFS = "\t" }

/^#/ || !NF { next }

# machine,"operation","parameters",unit,count,of,value,differs
{
	split($5, rest, ",")
	unit = rest[2]
	v = rest[5]
	key = $1 $2 ": " $4 " (" unit ")"
	sub(/,/, " ", key)
}

NR == FNR {
	machine[key] = substr($1, 1, length($1) - 1)
	order[++n] = key
	committed[key] = v
	next
}

{ measured[key] = v }

!(key in committed) { added++ }

function fail(key, why) {
	print "FAIL", "bench-check", key, why
	failed[machine[key]]++
	bad = 1
}

# How much worse in per cent; what was nothing must stay nothing.
function worse(was, is) {
	if (was == 0)
		return is > 0 ? 100 : 0
	return 100 * (is - was) / was
}

# Where slabs put their objects, and so which of them share a cache line, is not the
# same in each build and run.
function slack(key) {
	return key ~ /\(lines/ ? 1 + int(committed[key] / 8) : 0
}

function judge(key,  far) {
	if (!(key in measured)) {
		if (!narrow)
			fail(key, "committed, but not measured any more")
		return
	}
	far = worse(committed[key], measured[key])
	if (far > 0 && measured[key] - committed[key] <= slack(key))
		far = 0
	if (far > limit)
		fail(key, sprintf("committed %s, measured %s: %.1f %% more",
				  committed[key], measured[key], far))
	better += far < -limit
	good[machine[key]] += far <= limit
}

END {
	count = split(machines, m, " ")
	for (i = 1; i <= count; i++)
		there[m[i]]
	for (i = 1; i <= n; i++)
		if (machine[order[i]] in there)
			judge(order[i])
	for (i = 1; i <= count; i++)
		if (good[m[i]] && !failed[m[i]])
			print "PASS", "bench-check", m[i], "figures: " good[m[i]]
		else if (!failed[m[i]])
			print "SKIP", "bench-check", m[i], "nothing was measured" \
			      " that is committed: make bench-check ACCEPT=1"
	if (better)
		print "# figures that are more than " limit " % better: " better \
		      "; make bench-check ACCEPT=1 keeps them"
	if (added)
		print "# figures that are not committed yet: " added \
		      "; make bench-check ACCEPT=1 adds them"
	exit bad
}
