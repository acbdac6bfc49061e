#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Test the index and the translation of the registry on the host: the kernel's
# own source files, built for user space with sanitizers, and fuzzed; and the
# models of its protocols.
. "$(dirname "$0")/lib.sh"

DIR=$TREE/tools/testing/mm_iommu
BUILD=$OUT/mm_iommu

# TAP to lines of "STATUS program test", with the build that a comment names.
results() {
	awk 'BEGIN { OFS = "\t" }
	/^# ([0-9]+-[a-z]+\/[a-z_]+|models)$/ { program = $2 }
	/^1\.\.0 # SKIP/ {
		print "SKIP", "host:" program, "all", substr($0, 13)
	}
	/^(not )?ok [0-9]+ / {
		status = /^ok/ ? "PASS" : "FAIL"
		name = $0
		sub(/^(not )?ok [0-9]+ (- )?/, "", name)
		sub(/ \([0-9.]+ s\)$/, "", name)
		print status, "host:" program, name, ""
	}' "$1"
}

# With the compiler's cache, as for kernels.
host_make() {
	CCACHE_BASEDIR=$OUT CCACHE_NOHASHDIR=1 \
		make -s -C "$DIR" O="$BUILD" \
		CC="$(have ccache && echo ccache) gcc" "$@"
}

check() {
	local rc=0
	host_make -j"$JOBS" all >"$BUILD/log" 2>&1 &&
		host_make JOBS="$JOBS" STEPS="$HOST_STEPS" check \
			>>"$BUILD/log" 2>&1 || rc=$?
	results "$BUILD/log"
	# It may have died before a test could say so.
	if [ $rc -ne 0 ] && ! grep -q '^not ok ' "$BUILD/log"; then
		printf 'FAIL\thost\tmm_iommu: see %s\t\n' "$BUILD/log"
		tail -n 5 "$BUILD/log"
	fi
}

fuzz() {
	if ! host_make RUNS=5000 fuzz >"$BUILD/fuzz.log" 2>&1; then
		printf 'FAIL\thost:fuzz\ttranslation: see %s\t\n' \
			"$BUILD/fuzz.log"
		tail -n 20 "$BUILD/fuzz.log"
	elif grep -qi skip "$BUILD/fuzz.log"; then
		printf 'SKIP\thost:fuzz\ttranslation\t%s\n' \
			"$(grep -i skip "$BUILD/fuzz.log" | head -n 1)"
	else
		printf 'PASS\thost:fuzz\ttranslation\t\n'
	fi
}

models() {
	local rc=0
	{ echo "# models"; host_make models; } >"$BUILD/models.log" 2>&1 ||
		rc=$?
	results "$BUILD/models.log"
	if [ $rc -ne 0 ] && ! grep -q '^not ok ' "$BUILD/models.log"; then
		printf 'FAIL\thost:models\tsee %s\t\n' "$BUILD/models.log"
	fi
}

mkdir -p "$BUILD"
# The longest of these has one thread.
models >"$BUILD/models.tsv" &
check
fuzz
wait $!
cat "$BUILD/models.tsv"
