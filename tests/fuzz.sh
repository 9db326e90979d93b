#!/usr/bin/env bash
# fuzz.sh NAME...: each target under libFuzzer for SECS seconds (default 60). An input that breaks something stays as
# build/fuzz/NAME.crash-...; put it into tests/fuzz/corpus/NAME with the fix. MERGE=1 adds to that corpus what reaches new code.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
B=build/variant-clang-san-fuzzer-no-link-address-undefined
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
for name in "$@"; do
	work=build/fuzz/$name
	corpus=tests/fuzz/corpus/$name
	mkdir -p "$work" "$corpus"
	echo "$name: ${SECS:-60} s"
	"$B/tests/fuzz_$name" -max_total_time="${SECS:-60}" -max_len=65536 -timeout=20 -rss_limit_mb=4096 -print_final_stats=0 \
		-verbosity=0 -artifact_prefix="build/fuzz/$name." "$work" "$corpus"
	if [ -n "${MERGE:-}" ]; then
		mkdir -p "$work.min"
		"$B/tests/fuzz_$name" -set_cover_merge=1 -max_len=65536 -verbosity=0 "$work.min" "$corpus" "$work"
		rm -rf "$corpus"
		mv "$work.min" "$corpus"
		rm -rf "$work"
	fi
done
