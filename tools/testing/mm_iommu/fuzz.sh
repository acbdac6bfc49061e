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

# libFuzzer wants a file for each input, of bytes
rm -rf "$O/fuzz/seeds"
mkdir -p "$O/fuzz/corpus" "$O/fuzz/seeds"
sed '/^#/d' corpus.txt | nl -ba -w1 -s' ' | while read -r n hex; do
	# shellcheck disable=SC2059 # printf makes the bytes
	printf "$(for b in $(echo "$hex" | sed 's/../& /g'); do
		printf '\\%03o' "0x$b"
	done)" >"$O/fuzz/seeds/$n"
done

if [ -n "$SECONDS_MAX" ]; then
	limit=-max_total_time=$SECONDS_MAX
else
	limit=-runs=$RUNS
fi

echo 'TAP version 13'
echo '1..1'
if "$O/fuzz/fuzz" "$limit" -seed="$SEED" -max_len=256 -timeout=20 \
	-artifact_prefix="$O/fuzz/" "$O/fuzz/corpus" "$O/fuzz/seeds" \
	>"$O/fuzz/log" 2>&1; then
	grep -E '^Done |stat::' "$O/fuzz/log" | sed 's/^/# /'
	echo 'ok 1 fuzz_trans'
else
	sed 's/^/# /' "$O/fuzz/log" | tail -40
	echo 'not ok 1 fuzz_trans'
	exit 1
fi
