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
# All that the roots reach in the objects is followed. It may call what is
# allowed, and read static data, which is in the linear map; per-CPU data is not,
# and neither is a WARN or a BUG: a trap in real mode ends the machine.

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
	# A reference of the present function. Those of a section to itself tell
	# only that an address is taken.
	function refers(name, offset) {
		if (name == ".toc") {
			if ((object, hex(offset)) in toc)
				refers_symbol(toc[object, hex(offset)])
			return
		}
		refers_symbol(name)
	}
	function refers_symbol(name) {
		if (name == "" || name == ".TOC." || !fn)
			return
		refs[fn] = refs[fn] " " name
	}
	function hex(s) {
		sub(/^0x/, "", s)
		sub(/^0+/, "", s)
		return s == "" ? "0" : s
	}
	function where(name) { return (object, name) in local ? object ":" name : name }
	function fail(text) { print text; bad = 1 }

	BEGIN {
		while ((getline line < list) > 0) {
			n = split(line, w, /[ \t]+/)
			if (w[1] == "root")
				roots[w[2] ":" w[3]]
			else if (w[1] == "allow" && n > 2)
				allowed[w[2]]
			else if (w[1] == "allow")
				fail("realmode_check: " list ": " w[2] ": no reason")
		}
	}
	/^@object / { object = $2; present[object]; fn = ""; part = ""; next }
	/^@symbol / {
		# the flags of a symbol begin behind its value
		if ($0 ~ /\t/ && $3 == "l")
			local[object, $NF]
		next
	}
	/^@toc/ { part = "toc"; next }
	/^@text/ { part = "text"; fn = ""; next }

	part == "toc" && $2 ~ /^R_PPC64_ADDR64/ {
		name = $3
		sub(/[+-]0x.*/, "", name)
		toc[object, hex($1)] = name
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
		name = $NF
		offset = name
		if (!sub(/.*\+/, "", offset))
			offset = "0"
		sub(/[+-]0x.*/, "", name)
		refers(name, offset)
		next
	}
	fn && $2 ~ /^(t[dw]|trap)/ { traps[fn] = traps[fn] " " $1 }
	fn && $2 ~ /^b/ && match($0, /<[^>+]+(\+0x[0-9a-f]+)?>/) {
		name = substr($0, RSTART + 1, RLENGTH - 2)
		sub(/\+0x.*/, "", name)
		if (where(name) != fn && where(name) != object ":" fn)
			refers_symbol(name)
	}

	# Data of the kernel itself, but for what is not in the linear map.
	function is_data(name) {
		return name ~ /^\.(rodata|data|bss|text)/ &&
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
				fail("realmode_check: " via ": " name " is not allowed with the MMU off")
		}
	}
	END {
		for (f in roots) {
			split(f, w, ":")
			if (f in defined)
				visit(f, w[2])
			else if (w[2] in defined && owner[w[2]] == w[1])
				visit(w[2], w[2])
			else if (w[1] in present)
				fail("realmode_check: " w[1] " has no function " w[2])
		}
		exit bad
	}'
