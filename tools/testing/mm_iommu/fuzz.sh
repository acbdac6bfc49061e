#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Builds and runs the fuzzer; what it finds stays in the build folder.
if ! command -v "$CLANG" >/dev/null; then
	echo '1..0 # SKIP no clang: apt install clang libclang-rt-14-dev'
	exit 0
fi
if ! echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
   "$CLANG" -fsanitize=fuzzer -x c - -o /dev/null 2>/dev/null; then
	echo '1..0 # SKIP no libFuzzer: apt install libclang-rt-14-dev'
	exit 0
fi

$MAKE -s "$O/fuzz/fuzz" || exit 1
mkdir -p "$O/fuzz/corpus"

if [ -n "$SECONDS_MAX" ]; then
	limit=-max_total_time=$SECONDS_MAX
else
	limit=-runs=$RUNS
fi

echo 'TAP version 13'
echo '1..1'
if "$O/fuzz/fuzz" "$limit" -seed="$SEED" -max_len=256 -timeout=20 \
	-artifact_prefix="$O/fuzz/" "$O/fuzz/corpus" corpus \
	>"$O/fuzz/log" 2>&1; then
	grep -E '^Done |stat::' "$O/fuzz/log" | sed 's/^/# /'
	echo 'ok 1 fuzz_trans'
else
	sed 's/^/# /' "$O/fuzz/log" | tail -40
	echo 'not ok 1 fuzz_trans'
	exit 1
fi
