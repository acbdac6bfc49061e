# SPDX-License-Identifier: GPL-2.0
# tap.awk: read the report of PID 1, in which each program speaks TAP, or KTAP, between
# "@begin NAME" and "@end HOW NUMBER". Prints a line for each test, "STATUS PROGRAM TEST
# DETAIL" by tabs, and appends to the file `failures` what the failing ones said.
# mode: demo, if the programs speak no TAP.
function result(status, test, detail) {
	printf "%s\t%s\t%s\t%s\n", status, program, test, detail
	if (status == "FAIL")
		printf "%s: %s%s\n%s", program, test,
		       detail == "" ? "" : ": " detail, said >"failures"
}
function finish(how, n) {
	if (how == "none")
		result("FAIL", "(program)", "did not end: the guest died in it")
	else if (how != "exit")
		result("FAIL", "(program)", how " " n)
	else if (mode == "demo") {
		if (n != 0)
			result("FAIL", "(program)", "exit status " n)
		else
			result("PASS", "(program)", "")
	} else if (bailed)
		;
	else if (plan < 0 && seen == 0 && n == 4)
		result("SKIP", "(program)", "exit status 4")
	else if (plan < 0)
		result("FAIL", "(program)", "no TAP plan, exit status " n)
	else if (seen != plan)
		result("FAIL", "(program)", "incomplete: " seen " of " plan \
		       " tests reported, exit status " n)
	else if (n != 0 && n != 4 && !failed)
		result("FAIL", "(program)", "every test is ok, yet the exit status is " n)
	program = ""
}
# Output of KUnit: level 0 is the suite, 1 its cases, 2 the parameters
# of one case. The result of a level stands after those below it, and
# counts only where there are none.
function ktap(line,    level, good, name, detail) {
	match(line, /^ */)
	level = int(RLENGTH / 4)
	line = substr(line, RLENGTH + 1)
	if (line ~ /^# Subtest: /) {
		suite[level] = substr(line, 12)
		plans[level] = -1
		count[level] = bad[level] = skips = 0
	} else if (line ~ /^1\.\.[0-9]+$/) {
		plans[level] = substr(line, 4) + 0
	} else if (line ~ /^(not )?ok [0-9]+/) {
		good = (line ~ /^ok/)
		sub(/^(not )?ok [0-9]+ *(- )?/, "", line)
		name = detail = line
		sub(/ *# *SKIP.*/, "", name)
		if (!sub(/.* # *SKIP/, "SKIP", detail))
			detail = ""
		if (level > 1)
			name = suite[level] ": " name
		ktap_result(level, good, name, detail)
	} else if (line !~ /^KTAP version|^# module: |: pass:[0-9]+ fail:/) {
		sub(/^# ?/, "", line)
		said = said "    " line "\n"
	}
}
function ktap_result(level, good, name, detail,    i, below) {
	below = count[level + 1]
	if (below > 0 || (plans[level + 1] > 0 && detail !~ /^SKIP/)) {
		if (plans[level + 1] >= 0 && plans[level + 1] != below) {
			result("FAIL", name, "incomplete: " below + 0 " of " \
			       plans[level + 1] " tests reported")
			bad[level + 1]++
		}
		if (detail ~ /^SKIP/)
			result("SKIP", name, skipped[1])
		for (i = 1; detail == "" && i <= skips; i++)
			result("SKIP", skip[i], skipped[i])
		if (!good && !bad[level + 1])
			result("FAIL", name, detail)
		good = good && !bad[level + 1]
		count[level + 1] = bad[level + 1] = skips = 0
		plans[level + 1] = -1
	} else if (detail ~ /^SKIP/ && level > 1) {
		# all of a case are one: see when it ends
		skip[++skips] = name
		skipped[skips] = detail
	} else {
		result(good ? (detail ~ /^SKIP/ ? "SKIP" : "PASS") : "FAIL",
		       name, detail)
	}
	said = ""
	count[level]++
	bad[level] += !good
	if (level == 0) {
		seen++
		failed += !good
	}
}
/^@begin / {
	if (program != "")
		finish("none", 0)
	program = $2; plan = -1; seen = failed = bailed = 0; said = ""
	is_ktap = 0
	delete plans; delete count; delete bad
	next
}
/^@end / { if (program != "") finish($3, $4); next }
/^@/ || program == "" { next }
/^KTAP version / { is_ktap = 1 }
is_ktap {
	ktap($0)
	plan = plans[0] == "" ? -1 : plans[0]
	next
}
/^1\.\.[0-9]+/ {
	plan = substr($1, 4) + 0
	if (plan == 0 && /# SKIP/)
		result("SKIP", "(program)", "")
	else if (plan == 0)
		result("FAIL", "(program)", "no test ran: there is none of this name")
	next
}
/^(not )?ok [0-9]+/ {
	good = ($1 == "ok")
	name = $0
	sub(/^(not )?ok [0-9]+ *(- )?/, "", name)
	detail = ""
	if (match(name, / *# *(SKIP|XFAIL|XPASS|TODO)/)) {
		detail = substr(name, RSTART)
		sub(/^ *# */, "", detail)
		name = substr(name, 1, RSTART - 1)
	}
	seen++
	if (detail ~ /^SKIP/)
		result("SKIP", name, detail)
	else if (good || detail ~ /^(XFAIL|TODO)/)
		result("PASS", name, detail)
	else {
		failed = 1
		result("FAIL", name, detail)
	}
	said = ""
	next
}
/^Bail out!/ { result("FAIL", "(program)", $0); bailed = 1; next }
/^TAP version / { next }
/^# +(RUN|OK|FAIL|PASSED|FAILED|Starting|Totals|Planned) / || /^#  *(OK|FAIL)  / { next }
{ sub(/^# ?/, ""); said = said "    " $0 "\n" }
END { if (program != "") finish("none", 0) }
