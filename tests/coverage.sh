#!/usr/bin/env bash
# coverage.sh: lines of each parser that the corpus of its fuzz target reaches, as TAP: less than LINES_MIN per cent is a failure.
# Which files a target is there for is said by "covers:" lines in it. Needs the tree of make COV=1 fuzzers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
B=build/variant-cov
LINES_MIN=80
n=0 bad=0
for source in tests/fuzz/fuzz_*.c; do
	name=$(basename "$source" .c)
	find "$B" -name '*.gcda' -delete
	"$B/tests/$name" "tests/fuzz/corpus/${name#fuzz_}" >/dev/null
	while read -r file; do
		n=$((n + 1))
		share=$(gcov -n -o "$B/obj/$(dirname "$file")/$(basename "$file" .c).o" "$file" 2>/dev/null |
			awk -v f="$file" '$0 == "File \x27" f "\x27" { found = 1 } found && /^Lines executed/ { split($2, a, ":"); print a[2] + 0; exit }')
		printf '# %-28s %-32s %6.1f %% of its lines\n' "$name" "$file" "${share:-0}"
		if awk -v s="${share:-0}" -v m="$LINES_MIN" 'BEGIN { exit !(s >= m) }'; then
			echo "ok $n - $file"
		else
			echo "not ok $n - $file: less than $LINES_MIN % of its lines are reached by the corpus of $name"
			bad=1
		fi
	done < <(sed -n 's/^ \* covers: //p' "$source" | tr ' ' '\n')
done
echo "1..$n"
exit "$bad"
