#!/usr/bin/env bash
# run.sh KIND... - runs the tests of the given kinds, one program after another, each with a time limit.
#
#   fmt           the format of the C files is that of .clang-format
#   unit, prop    tests/unit/test_*.c, tests/prop/prop_*.c
#   fuzz          tests/fuzz/fuzz_*.c over their corpora
#   coverage      how many lines of each parser those reach (tests/coverage.sh)
#   store         tests/store/test_*.c, each on a throw-away PostgreSQL cluster of its own
#   s3            tests/store/test_*_s3.c likewise, and the runservice's tests once more, on a throw-away S3 server
#   integration   tests/integration/*.sh against one local stack, started before them and taken down after them
#
# Programs are built before (make check, make check-fast). Cases are counted by TAP. One line is printed for each
# program, the end of its output when it failed, and as the very last line "N passed, N failed" over all cases.
# A program that crashes, runs too long, reports nothing or stops before its plan counts as one failure more.
#
# Environment: TEST_BUILD (build tree, default build), T (only what has this in its name), SAN (set: reports of sanitized daemons are failures), TEST_SECONDS, TEST_SCRIPT_SECONDS (limits).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=${TEST_BUILD:-build}
pattern=${T:-}
program_limit=${TEST_SECONDS:-120}
script_limit=${TEST_SCRIPT_SECONDS:-300}
stack=$PWD/$build/check
reports=$stack/sanitizer
logs=$PWD/$build/check-logs
shown_lines=40
passed=0
failed=0
ran=0
export LSAN_OPTIONS=suppressions=$PWD/tests/sanitizer/lsan.supp:print_suppressions=0
export TSAN_OPTIONS=second_deadlock_stack=1:suppressions=$PWD/tests/sanitizer/tsan.supp:print_suppressions=0
stack_is_up=
s3_dir=

now_ms() {
	local t=${EPOCHREALTIME/[.,]/}
	echo $((t / 1000))
}

# wanted NAME: false when T chooses others.
wanted() {
	[[ -z $pattern || $1 == *"$pattern"* ]]
}

count() {
	grep -cE "$1" "$2" || true
}

# tally KIND NAME LOG STATUS MS: counts the cases of one program and says what became of it.
tally() {
	local kind=$1 name=$2 log=$3 status=$4 ms=$5 ok bad skipped odd plan why=
	skipped=$(count '^ok .*# ?SKIP' "$log")
	ok=$(($(count '^ok ' "$log") - skipped))
	# So cmocka says that a case has left itself out.
	odd=$(count '^not ok [0-9]+ # SKIP ' "$log")
	skipped=$((skipped + odd))
	bad=$(($(count '^not ok ' "$log") - odd))
	plan=$(sed -n 's/^1\.\.\([0-9][0-9]*\).*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
	case $kind in
	prop | fmt | stack) # Their exit status is their one case.
		ok=$((status == 0))
		bad=$((status != 0))
		;;
	*)
		if [ "$status" = 124 ] || [ "$status" = 137 ]; then
			why="killed or out of time, "
		elif [ $((ok + bad + skipped)) -ne "$plan" ]; then
			why="$((ok + bad + skipped)) cases of $plan planned, "
		elif [ "$plan" = 0 ]; then
			why="no case, "
		elif [ "$status" != 0 ] && [ "$bad" = 0 ]; then
			why="failed beside its cases, "
		fi
		[ -z "$why" ] || bad=$((bad + 1))
		;;
	esac
	ran=$((ran + 1))
	passed=$((passed + ok))
	failed=$((failed + bad))
	if [ "$bad" = 0 ]; then
		printf 'ok    %-11s %-34s %4d cases %5d.%d s%s\n' "$kind" "$name" "$ok" $((ms / 1000)) $((ms % 1000 / 100)) \
			"$([ "$skipped" = 0 ] || echo ", $skipped skipped")"
		return 0
	fi
	printf 'FAIL  %-11s %-34s %4d failed %4d.%d s, %sexit status %d, %s\n' "$kind" "$name" "$bad" $((ms / 1000)) \
		$((ms % 1000 / 100)) "$why" "$status" "${log#"$PWD/"}"
	grep -E '^not ok ' "$log" | sed 's/^/    | /' || true
	tail -n "$shown_lines" "$log" | sed 's/^/    | /'
	return 0
}

# run_logged KIND NAME LIMIT COMMAND...: the command's output in a log of its own; sets nothing, counts everything.
run_logged() {
	local kind=$1 name=$2 limit=$3 log=$logs/$1-$2.log status=0 from
	shift 3
	from=$(now_ms)
	CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 20 "$limit" "$@" >"$log" 2>&1 </dev/null 7>&- || status=$?
	tally "$kind" "$name" "$log" "$status" $(($(now_ms) - from))
}

# run_programs KIND SOURCE... [-- WRAPPER...]: the built program of each source.
run_programs() {
	local kind=$1 source name
	local -a sources=() wrapper=()
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		sources+=("$1")
		shift
	done
	[ $# -eq 0 ] || wrapper=("${@:2}")
	for source in "${sources[@]}"; do
		name=$(basename "$source" .c)
		if [ ! -e "$source" ] || ! wanted "$name"; then
			continue
		fi
		run_logged "$kind" "$name" "$program_limit" "${wrapper[@]}" "$build/tests/$name"
	done
}

run_store() {
	local source
	local -a sources=()
	for source in tests/store/test_*.c; do
		case $source in
		*_s3.c) ;;
		*) sources+=("$source") ;;
		esac
	done
	run_programs store "${sources[@]}" -- tests/lib/pg.sh run
}

format_check() {
	local -a files
	mapfile -t files < <(git ls-files -co --exclude-standard '*.c' '*.h' '*.cc' | while read -r f; do
		[ ! -e "$f" ] || echo "$f"
	done)
	clang-format --dry-run --Werror "${files[@]}"
}

run_fmt() {
	local status=0 from log=$logs/fmt-clang-format.log
	wanted clang-format || return 0
	from=$(now_ms)
	format_check >"$log" 2>&1 || status=$?
	tally fmt clang-format "$log" "$status" $(($(now_ms) - from))
}

# --- S3 ---

# s3_run NAME PROGRAM: the server is started for the first that is wanted.
s3_run() {
	wanted "$1" || return 0
	if [ -z "$s3_dir" ]; then
		s3_dir=$(mktemp -d /tmp/millrace-s3.XXXXXX)
		if ! tests/lib/s3.sh start "$s3_dir/server" >"$logs/s3-server.log" 2>&1 </dev/null 7>&-; then
			tally stack "S3 server" "$logs/s3-server.log" 1 0
			return 0
		fi
	fi
	[ -s "$s3_dir/server/env" ] || return 0
	run_logged s3 "$1" "$program_limit" tests/lib/s3.sh with "$s3_dir/server" \
		tests/lib/pg.sh run "$build/tests/$2"
}

s3_stop() {
	[ -n "$s3_dir" ] || return 0
	tests/lib/s3.sh stop "$s3_dir/server" >/dev/null 2>&1 </dev/null || true
	rm -rf "$s3_dir"
	s3_dir=
}

run_s3() {
	local source
	for source in tests/store/test_*_s3.c; do
		s3_run "$(basename "$source" .c)" "$(basename "$source" .c)"
	done
	s3_run test_runservice_rpc-s3 test_runservice_rpc
	s3_stop
}

# --- fuzz targets ---

run_fuzz() {
	local source name
	for source in tests/fuzz/fuzz_*.c; do
		name=$(basename "$source" .c)
		wanted "$name" || continue
		run_logged fuzz "$name" "$program_limit" "$build/tests/$name" "tests/fuzz/corpus/${name#fuzz_}"
	done
}

run_coverage() {
	wanted coverage || return 0
	run_logged coverage parsers "$program_limit" tests/coverage.sh
	sed -n 's/^# /    | /p' "$logs/coverage-parsers.log"
}

# --- integration ---

port_taken() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# The same port every time, so that the image store stays as it is; another one when somebody has it.
choose_port() {
	local base i free=
	base=$((20000 + 0x$(printf '%s' "$stack" | sha256sum | cut -c1-4) % 1000 * 10))
	until [ -n "$free" ]; do
		free=yes
		for i in 0 1 2 3 4 5 6; do
			if port_taken $((base + i)); then
				free=
				base=$((base < 29990 ? base + 10 : 20000))
				break
			fi
		done
	done
	echo "$base"
}

# Reports of sanitized daemons and of the command line go to files that are looked at after every script.
sanitizer_env() {
	export ASAN_OPTIONS=log_path=$reports/asan:detect_leaks=1
	export UBSAN_OPTIONS=log_path=$reports/ubsan:print_stacktrace=1
	export TSAN_OPTIONS=$TSAN_OPTIONS:log_path=$reports/tsan
	mkdir -p "$reports/seen"
	chmod 1777 "$reports"
}

# sanitizer_check NAME: every new report is a failure.
sanitizer_check() {
	local file
	for file in "$reports"/*san.*; do
		[ -e "$file" ] || continue
		failed=$((failed + 1))
		printf 'FAIL  sanitizer   %-34s report %s\n' "$1" "${file#"$PWD/"}"
		head -n 60 "$file" | sed 's/^/    | /'
		mv "$file" "$reports/seen/"
	done
}

# What an earlier run that was killed has left goes first.
stack_start() {
	local status=0 from log=$logs/stack-up.log
	export MILLRACE_HOME=$stack MILLRACE_BUILD=$PWD/$build
	deploy/stack/down.sh --purge >"$logs/stack-down.log" 2>&1 </dev/null 7>&- || true
	rm -rf "$stack/logs" "$reports"
	# The tests have to pass without the safety net.
	mkdir -p "$stack/extra"
	echo "sweep_interval: 0s" >"$stack/extra/runservice.yml"
	sanitizer_env
	MILLRACE_PORT=$(choose_port)
	export MILLRACE_PORT
	stack_is_up=yes
	from=$(now_ms)
	deploy/stack/up.sh >"$log" 2>&1 </dev/null 7>&- || status=$?
	[ "$status" = 0 ] || {
		tally stack "comes up" "$log" "$status" $(($(now_ms) - from))
		return 1
	}
	printf 'ok    %-11s %-34s            %5d.%d s\n' stack "up on port $MILLRACE_PORT" \
		$((($(now_ms) - from) / 1000)) $((($(now_ms) - from) % 1000 / 100))
}

# Runs at every end of this script, also an interrupted one.
stack_stop() {
	local status=0
	[ -n "$stack_is_up" ] || return 0
	stack_is_up=
	deploy/stack/down.sh --purge >"$logs/stack-down.log" 2>&1 </dev/null 7>&- || status=$?
	if [ "$status" != 0 ]; then
		failed=$((failed + 1))
		echo "FAIL  stack       comes down"
		sed 's/^/    | /' "$logs/stack-down.log"
	fi
	sanitizer_check "at the stack's end"
}

sizes() {
	stat -c '%s %n' "$stack"/logs/{runservice,gateway,executor}.log 2>/dev/null || true
}

# show_daemons SIZES: what the daemons have logged since.
show_daemons() {
	local size file
	while read -r size file; do
		[ -e "$file" ] || continue
		echo "    --- ${file#"$PWD/"}"
		tail -c "+$((size + 1))" "$file" | tail -n "$shown_lines" | sed 's/^/    | /'
	done <<<"$1"
}

run_integration() {
	local script before failed_before
	local -a scripts=()
	for script in tests/integration/*.sh; do
		if [ -e "$script" ] && wanted "$(basename "$script" .sh)"; then
			scripts+=("$script")
		fi
	done
	[ "${#scripts[@]}" -gt 0 ] || return 0
	stack_start || return 0
	for script in "${scripts[@]}"; do
		before=$(sizes)
		failed_before=$failed
		run_logged integration "$(basename "$script" .sh)" "$script_limit" bash "$script"
		sanitizer_check "$(basename "$script" .sh)"
		[ "$failed" = "$failed_before" ] || show_daemons "$before"
	done
	stack_stop
}

trap 's3_stop; stack_stop' EXIT
trap 'exit 130' INT TERM

# A script that is changed while it runs would be read on from the middle: all is read before.
main() {
	mkdir -p "$logs"
	exec 7>"$logs/lock"
	if ! flock -n 7; then
		echo "waiting for another make check of this tree"
		flock 7
	fi
	local kind
	for kind in "$@"; do
		case $kind in
		fmt) run_fmt ;;
		unit) run_programs unit tests/unit/test_*.c ;;
		prop) run_programs prop tests/prop/prop_*.c ;;
		store) run_store ;;
		s3) run_s3 ;;
		fuzz) run_fuzz ;;
		coverage) run_coverage ;;
		integration) run_integration ;;
		*)
			echo "run.sh: no kind is named $kind (fmt, unit, prop, fuzz, coverage, store, s3, integration)" >&2
			exit 2
			;;
		esac
	done
	if [ "$ran" = 0 ]; then
		echo "run.sh: nothing ran${pattern:+: no test has \"$pattern\" in its name}" >&2
		failed=$((failed + 1))
	fi
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ]
	exit
}

main "$@"
