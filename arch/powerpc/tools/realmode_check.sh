#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Checks what code that runs with the MMU off calls and reads.
#
# usage: realmode_check.sh OBJDUMP LIST [OBJTREE]
#
# LIST has a line for each
#	object FILE		an object to look into, relative to OBJTREE
#	root FILE FUNCTION	where real mode comes in, also by a pointer
#	allow SYMBOL REASON	what may be called or read outside of the objects
#
# All that the roots reach in the objects is followed, also functions of which
# they only take the address. It may call what is allowed, and read static data,
# which is in the linear map; per-CPU data is not, and neither is a WARN or a BUG:
# a trap in real mode ends the machine.

if [ $# -lt 2 ]; then
	echo "usage: $0 OBJDUMP LIST [OBJTREE]" >&2
	exit 2
fi
OBJDUMP=$1
LIST=$2
cd "${3:-.}" || exit 2

objects=$(awk '$1 == "object" { print $2 }' "$LIST")
for o in $objects; do
	# what is not configured calls nothing
	[ -e "$o" ] || continue
	echo "@object $o"
	"$OBJDUMP" -t "$o" | sed 's/^/@symbol /'
	echo "@toc"
	"$OBJDUMP" -r -j .toc "$o" 2>/dev/null
	echo "@text"
	"$OBJDUMP" -dr --no-show-raw-insn "$o" || exit 2
done | awk -v list="$LIST" '
	# A reference of the present function.
	function refers(name, offset) {
		if (name == ".toc") {
			if ((object, hex(offset)) in toc)
				refers_symbol(toc[object, hex(offset)])
			return
		}
		refers_symbol(function_at(name, offset))
	}
	# What is local may be named by its section and its place there.
	function function_at(name, offset,	i, n, w, best) {
		n = split(functions[object, name], w, " ")
		offset = number(hex(offset))
		for (i = 1; i < n; i += 2)
			if (w[i] + 0 <= offset && (!best || w[i] + 0 > w[best] + 0))
				best = i
		return best ? w[best + 1] : name
	}
	function number(s,	i, n) {
		for (i = 1; i <= length(s); i++)
			n = n * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
		return n
	}
	# Takes the offset from a reference, and leaves the name.
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
	function where(name) { return (object, name) in local ? object ":" name : name }
	function fail(text) {
		if (!(text in said))
			print text
		said[text]
		bad = 1
	}

	BEGIN {
		while ((getline line < list) > 0) {
			n = split(line, w, /[ \t]+/)
			if (line == "" || line ~ /^#/)
				continue
			if (w[1] == "object" && n == 2)
				listed[w[2]]
			else if (w[1] == "root" && n == 3)
				roots[w[2] ":" w[3]]
			else if (w[1] == "allow" && w[3] != "")
				allowed[w[2]]
			else if (w[1] == "allow")
				fail("realmode_check: " list ": " w[2] ": no reason")
			else
				fail("realmode_check: " list ": what is this: " line)
		}
	}
	/^@object / { object = $2; present[object]; fn = ""; part = ""; next }
	/^@symbol / {
		# the flags of a symbol begin behind its value
		if ($0 ~ /\t/ && $3 == "l")
			local[object, $NF]
		# value, flags and section; what is behind it has a tab before
		if (match($0, / F [^ \t]+\t/)) {
			section = substr($0, RSTART + 3, RLENGTH - 4)
			functions[object, section] = functions[object, section] \
						     " " number(hex($2)) " " $NF
		}
		next
	}
	/^@toc/ { part = "toc"; next }
	/^@text/ { part = "text"; fn = ""; next }

	part == "toc" && $2 ~ /^R_PPC64_ADDR64/ {
		name = split_reference($3)
		toc[object, hex($1)] = function_at(name, offset)
		next
	}
	part != "text" { next }
	/^[0-9a-f]+ <.*>:$/ {
		name = $2
		gsub(/[<>:]/, "", name)
		fn = where(name)
		defined[fn]
		# for the local ones that it calls
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

	# Data of the kernel itself, but for what is not in the linear map.
	function is_data(name) {
		return name ~ /^\.(rodata|data|bss)/ &&
		       name !~ /^\.data\.\.percpu/
	}
	function visit(f, via,	i, n, r, name) {
		if (f in seen)
			return
		seen[f]
		if (f in traps)
			fail("realmode_check: " via ": a WARN or BUG at" traps[f])
		n = split(refs[f], r, " ")
		for (i = 1; i <= n; i++) {
			name = r[i]
			if ((owner[f] ":" name) in defined)
				visit(owner[f] ":" name, via " -> " name)
			else if (name in defined)
				visit(name, via " -> " name)
			else if (!is_data(name) && !(name in allowed))
				fail("realmode_check: " via ": " name \
				     " is not allowed with the MMU off")
		}
	}
	END {
		for (f in roots) {
			split(f, w, ":")
			if (!(w[1] in listed))
				fail("realmode_check: " list ": " w[1] \
				     " has a root, but no object line")
			else if (f in defined)
				visit(f, w[2])
			else if (w[2] in defined && owner[w[2]] == w[1])
				visit(w[2], w[2])
			else if (w[1] in present)
				fail("realmode_check: " w[1] " has no function " w[2])
		}
		exit bad
	}'
