#!/usr/bin/env bash
# run.sh PROGRAM... - runs test programs, one after another, each with a time limit.
#
# A program reports its cases as TAP (cmocka does when told to). One line is printed for each program, the end
# of its output when it failed, and at the very end "N passed, N failed" over all cases. A program that
# crashes, reports nothing or runs too long counts as one failure more.
set -euo pipefail

limit=${TEST_SECONDS:-120}
passed=0
failed=0

run_one() {
	local program=$1 log status ok bad
	log=$program.log
	status=0
	CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 5 "$limit" "$program" >"$log" 2>&1 </dev/null || status=$?
	ok=$(grep -cE '^ok ' "$log" || true)
	bad=$(grep -cE '^not ok ' "$log" || true)
	# A property program speaks up only when it fails: its exit status is its one case.
	if [[ ${program##*/} == prop_* && $status == 0 ]]; then
		ok=1
	elif [ "$bad" = 0 ] && { [ "$status" != 0 ] || [ "$ok" = 0 ]; }; then
		bad=1
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
	if [ "$bad" = 0 ]; then
		printf 'ok    %-32s %4d cases\n' "$(basename "$program")" "$ok"
	else
		printf 'FAIL  %-32s %4d of %d failed (exit status %d), %s:\n' "$(basename "$program")" "$bad" \
			$((ok + bad)) "$status" "$log"
		tail -n 40 "$log"
	fi
}

for program in "$@"; do
	run_one "$program"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
