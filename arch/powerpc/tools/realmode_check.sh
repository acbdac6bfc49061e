#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Check the references of code that runs in real mode.
#
# usage: realmode_check.sh [-k] OBJDUMP LIST [OBJTREE]
#
# LIST has these lines:
#	object FILE		object to check, relative to OBJTREE
#	root FILE FUNCTION	entry point in real mode, also one by a pointer
#	allow SYMBOL REASON	symbol outside of the objects that may be called
#				or read; SYMBOL may end in *
#
# The check follows all functions that the roots reach in the objects, including
# those whose address is taken only. They may call allowed symbols, and read
# static data, which is in the linear map. Per-CPU data is rejected, because it
# is not in the linear map. WARN and BUG are rejected, because a trap in real
# mode crashes the machine. Call sites of ftrace are rejected for the same
# reason. With -k, for a kernel with kprobes, the functions must be in a section
# that kprobes reject.
#
# Exit status: 0 if the check passed; 1 if it failed, or an object cannot be
# read; 2 if it cannot run.

kprobes=
if [ "$1" = -k ]; then
	kprobes=1
	shift
fi
if [ $# -lt 2 ]; then
	echo "usage: $0 [-k] OBJDUMP LIST [OBJTREE]" >&2
	exit 2
fi
OBJDUMP=$1
LIST=$2

lines=$(cat "$LIST") || exit 2
cd "${3:-.}" || exit 2

dump() {
	echo "@symbols"
	"$OBJDUMP" -t "$1" || return 1
	echo "@relocs"
	"$OBJDUMP" -r "$1" || return 1
	echo "@text"
	"$OBJDUMP" -dr --no-show-raw-insn "$1"
}

{
	echo "$lines" | sed 's/^/@list /'
	for o in $(echo "$lines" | awk '$1 == "object" { print $2 }'); do
		# skip objects that are not configured
		[ -e "$o" ] || continue
		echo "@object $o"
		dump "$o" || echo "@unreadable"
	done
} | awk -v list="$LIST" -v kprobes="$kprobes" '
	# Record a reference of the current function.
	function refers(name, offset) {
		if (name == ".toc") {
			if ((object, hex(offset)) in toc)
				refers_symbol(toc[object, hex(offset)])
			return
		}
		refers_symbol(function_at(name, offset, 0))
	}
	# Resolve a section and an offset, by which local functions may be
	# named. The offset may be up to @before bytes before the function.
	function function_at(name, offset, before,	i, n, w, best) {
		n = split(functions[object, name], w, " ")
		offset = number(hex(offset)) + before
		for (i = 1; i < n; i += 2)
			if (w[i] + 0 <= offset &&
			    (!best || w[i] + 0 > w[best] + 0))
				best = i
		return best ? w[best + 1] : name
	}
	function number(s,	i, n, digits) {
		digits = "0123456789abcdef"
		for (i = 1; i <= length(s); i++)
			n = n * 16 + index(digits, substr(s, i, 1)) - 1
		return n
	}
	# Split a reference: set @offset, and return the name.
	function split_reference(s) {
		offset = s
		if (!sub(/.*\+/, "", offset))
			offset = "0"
		sub(/[+-]0x.*/, "", s)
		return s
	}
	function refers_symbol(name) {
		if (name == "" || name == ".TOC." || !fn)
			return
		refs[fn] = refs[fn] " " name
	}
	function hex(s) {
		sub(/^0x/, "", s)
		sub(/:$/, "", s)
		sub(/^0+/, "", s)
		return s == "" ? "0" : s
	}
	function where(name) {
		return (object, name) in local ? object ":" name : name
	}
	function fail(text) {
		if (!(text in said))
			print "realmode_check: " text
		said[text]
		bad = 1
	}
	function read_line(line,	n, w) {
		n = split(line, w, /[ \t]+/)
		if (line == "" || line ~ /^#/)
			return
		if (w[1] == "object" && n == 2) {
			listed[w[2]]
		} else if (w[1] == "root" && n == 3) {
			roots[w[2] ":" w[3]]
			nr_roots++
		} else if (w[1] == "allow" && w[3] != "") {
			allowed[w[2]]
		} else if (w[1] == "allow") {
			fail(list ": " w[2] ": no reason")
		} else {
			fail(list ": unknown line: " line)
		}
	}

	/^@list / { read_line(substr($0, 7)); next }
	/^@object / { object = $2; present[object]; fn = ""; part = ""; next }
	/^@symbols$/ { part = "symbols"; next }
	/^@relocs$/ { part = "relocs"; next }
	/^@text$/ { part = "text"; fn = ""; next }
	/^@unreadable$/ { fail(object ": cannot be read"); next }

	part == "symbols" {
		# the flags of a symbol follow its value
		if ($0 ~ /\t/ && $2 == "l")
			local[object, $NF]
		# value, flags and section; a tab follows the section
		if (match($0, / F [^ \t]+\t/)) {
			section = substr($0, RSTART + 3, RLENGTH - 4)
			functions[object, section] = \
				functions[object, section] " " \
				number(hex($1)) " " $NF
			section_of[where($NF)] = section
		}
		next
	}

	part == "relocs" && /^RELOCATION RECORDS FOR \[/ {
		relocs_of = substr($4, 2, length($4) - 3)
		next
	}
	part == "relocs" && $2 ~ /^R_PPC64_ADDR64/ && relocs_of == ".toc" {
		name = split_reference($3)
		toc[object, hex($1)] = function_at(name, offset, 0)
		next
	}
	# The nop that ftrace patches may be before the function.
	part == "relocs" && $2 ~ /^R_PPC64_ADDR64/ &&
	relocs_of ~ /^__(patchable_function_entries|mcount_loc)$/ {
		name = split_reference($3)
		traced[where(function_at(name, offset, 8))]
		next
	}
	part != "text" { next }

	/^[0-9a-f]+ <.*>:$/ {
		name = $2
		gsub(/[<>:]/, "", name)
		fn = where(name)
		defined[fn]
		# resolves the local functions that it calls
		owner[fn] = object
		next
	}
	/: R_PPC64_/ {
		name = split_reference($NF)
		refers(name, offset)
		next
	}
	fn && $2 ~ /^(t[dw]|trap)/ { traps[fn] = traps[fn] " 0x" hex($1) }
	fn && $2 ~ /^b/ && match($0, /<[^>+]+(\+0x[0-9a-f]+)?>/) {
		name = substr($0, RSTART + 1, RLENGTH - 2)
		sub(/\+0x.*/, "", name)
		if (where(name) != fn && where(name) != object ":" fn)
			refers_symbol(name)
	}

	# Static data in the linear map, which per-CPU data is not.
	function is_data(name) {
		return name ~ /^\.(rodata|data|bss)/ &&
		       name !~ /^\.data\.\.percpu/
	}
	function is_allowed(name,	a) {
		if (name in allowed)
			return 1
		for (a in allowed)
			if (a ~ /\*$/ &&
			    index(name, substr(a, 1, length(a) - 1)) == 1)
				return 1
		return 0
	}
	function visit(f, via,	i, n, r, name) {
		if (f in seen)
			return
		seen[f]
		nr_seen++
		if (f in traps)
			fail(via ": a WARN or BUG at" traps[f])
		if (f in traced)
			fail(via ": can be traced")
		if (kprobes && section_of[f] !~ /^\.(kprobes|noinstr)\.text$/)
			fail(via ": can be probed")
		n = split(refs[f], r, " ")
		for (i = 1; i <= n; i++) {
			name = r[i]
			if ((owner[f] ":" name) in defined)
				visit(owner[f] ":" name, via " -> " name)
			else if (name in defined)
				visit(name, via " -> " name)
			else if (!is_data(name) && !is_allowed(name))
				fail(via ": " name \
				     " is not allowed in real mode")
		}
	}
	END {
		for (f in roots) {
			split(f, w, ":")
			if (!(w[1] in listed))
				fail(list ": " w[1] \
				     " has a root, but no object line")
			else if (f in defined)
				visit(f, w[2])
			else if (w[2] in defined && owner[w[2]] == w[1])
				visit(w[2], w[2])
			else if (w[1] in present)
				fail(w[1] " has no function " w[2])
		}
		if (!nr_roots)
			fail(list ": no root")
		else if (!nr_seen && !bad)
			fail(list ": no object of a root is there")
		exit bad
	}'
