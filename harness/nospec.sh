#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Test that the code of the kernel masks what a guest chooses, an entry or an
# address, before it is loaded from there: array_index_nospec() is to be seen in
# each function that looks it up. It must be the mask and its use, in this
# order.
# nospec.sh KERNEL: a kernel that was built, as kernel.sh prints it.
. "$(dirname "$0")/lib.sh"

DIR=$(dirname "$1")
KVM=arch/powerpc/kvm

# masks OBJECT FUNCTION: how often it masks something.
masks() {
	"${CROSS}objdump" -d --no-show-raw-insn "$DIR/$1" | awk -v fn="$2" '
	/^[0-9a-f]+ <.*>:$/ {
		name = $2
		gsub(/[<>:]/, "", name)
		# a part that the compiler has split off belongs to its function
		sub(/\.(constprop|isra|part)\..*/, "", name)
		split("", mask)
		next
	}
	name != fn { next }
	{ split($3, r, ",") }
	# all bits are the sign of a difference
	$2 == "sradi" && r[3] == 63 { mask[r[1]]; next }
	$2 ~ /^andc?\.?$/ && (r[2] in mask || r[3] in mask) { n++ }
	END { print n + 0 }'
}

# expect OBJECT FUNCTION LEAST
expect() {
	local n
	n=$(masks "$KVM/$1" "$2")
	if [ "$n" -ge "$3" ]; then
		printf 'PASS\tnospec\t%s\t\n' "$2"
	else
		printf 'FAIL\tnospec\t%s\t\n' "$2"
		echo "masks $n times, not $3: $1"
	fi
}

# entry in the table; user address of the page
expect book3s_64_vio_builtin.o kvmppc_rm_h_put_tce 2
# entry; the list
expect book3s_64_vio_builtin.o kvmppc_rm_h_put_tce_indirect 2
expect book3s_64_vio_builtin.o kvmppc_rm_h_stuff_tce 1
expect book3s_64_vio_builtin.o kvmppc_tce_get 1
# user address of each page; of a list of one
expect book3s_64_vio_builtin.o kvmppc_tce_add_list 1
expect book3s_64_vio_builtin.o kvmppc_tce_put_list 1
# the same in the slow path: entry; user address of each page
expect book3s_64_vio.o kvmppc_tce_write 1
expect book3s_64_vio.o kvmppc_tce_put_list_slow 1
