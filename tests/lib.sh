# shellcheck shell=bash disable=SC2034 # what is set here is used by the scripts
# What integration scripts share: TAP, waiting, the API, direct runs, the engine, the daemons.
#
# A script begins with `. "$(dirname "$0")/../lib.sh"` and ends with tap_done. It runs against the stack of MILLRACE_HOME
# (tests/run.sh sets one up; by hand: make up, then the script) with whatever else that stack holds, so it counts nothing but
# what it has made. A failed case does not end a script; a failed command outside a case does.
#
# Set here: ROOT, BIN, T (a directory of the script's own, gone at its end), ENGINE and what is in $MILLRACE_HOME/env.
set -euo pipefail
# So that `definition | directrun NAME` sets its variables here.
shopt -s lastpipe

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export MILLRACE_HOME=${MILLRACE_HOME:-$ROOT/.local}
BIN=${MILLRACE_BUILD:-$ROOT/build}/bin
if [ ! -s "$MILLRACE_HOME/env" ]; then
	echo "Bail out! no stack in $MILLRACE_HOME: make up, or make check"
	exit 1
fi
set -a
# shellcheck source=/dev/null
. "$MILLRACE_HOME/env"
set +a
MILLRACE_PORT=${MILLRACE_URL##*:}
export MILLRACE_PORT
# shellcheck source=/dev/null
. "$ROOT/deploy/stack/engine.sh"
ENGINE=$MILLRACE_ENGINE
T=$(mktemp -d)
export GIT_CONFIG_GLOBAL=$T/gitconfig GIT_CONFIG_NOSYSTEM=1
git config --file "$GIT_CONFIG_GLOBAL" user.name "Millrace tests"
git config --file "$GIT_CONFIG_GLOBAL" user.email tests@localhost
git config --file "$GIT_CONFIG_GLOBAL" init.defaultBranch master

# What the script does at its end, whatever the end is: `at_end COMMAND...`.
END_COMMANDS=()
at_end() {
	END_COMMANDS+=("$(printf '%q ' "$@")")
}
STARTED_RUNS=()
lib_end() {
	local rc=$? i
	for ((i = ${#END_COMMANDS[@]} - 1; i >= 0; i--)); do
		eval "${END_COMMANDS[i]}" >/dev/null 2>&1 || true
	done
	for i in "${STARTED_RUNS[@]}"; do
		run_end "$i" >/dev/null 2>&1 || true
	done
	rm -rf "$T"
	exit "$rc"
}
trap lib_end EXIT
trap 'exit 130' INT TERM

# --- TAP ---

TAP_N=0
TAP_BAD=0

tap_pass() {
	TAP_N=$((TAP_N + 1))
	echo "ok $TAP_N - $1"
}
# tap_fail TEXT [DETAIL]: the detail may have several lines.
tap_fail() {
	TAP_N=$((TAP_N + 1))
	TAP_BAD=$((TAP_BAD + 1))
	echo "not ok $TAP_N - $1"
	if [ -n "${2:-}" ]; then
		printf '%s\n' "$2" | sed 's/^/#   /'
	fi
}
# tap_skip TEXT REASON: for what this machine cannot do; shown and counted apart.
tap_skip() {
	TAP_N=$((TAP_N + 1))
	echo "ok $TAP_N - $1 # SKIP $2"
}
# tap_ok TEXT COMMAND...: passes when the command succeeds; its output is the detail.
tap_ok() {
	local text=$1 out
	shift
	if out=$("$@" 2>&1); then
		tap_pass "$text"
	else
		tap_fail "$text" "failed: $*
$(printf '%s' "$out" | tail -n 30)"
	fi
}
# tap_not TEXT COMMAND...: passes when the command fails.
tap_not() {
	local text=$1 out
	shift
	if out=$("$@" 2>&1); then
		tap_fail "$text" "succeeded: $*
$(printf '%s' "$out" | tail -n 30)"
	else
		tap_pass "$text"
	fi
}
# tap_is TEXT GOT WANTED
tap_is() {
	if [ "$2" = "$3" ]; then
		tap_pass "$1"
	else
		tap_fail "$1" "got:    $2
wanted: $3"
	fi
}
# tap_like TEXT GOT REGEX (extended; ^ and $ are those of the whole text)
tap_like() {
	if [[ $2 =~ $3 ]]; then
		tap_pass "$1"
	else
		tap_fail "$1" "got:            $2
does not match: $3"
	fi
}
# tap_has TEXT FILE LINE: a line of the file holds this text. tap_hasnt: none does.
tap_has() {
	if grep -qF -- "$3" "$2"; then
		tap_pass "$1"
	else
		tap_fail "$1" "not in $2: $3
$(tail -n 30 "$2")"
	fi
}
tap_hasnt() {
	if grep -qF -- "$3" "$2"; then
		tap_fail "$1" "in $2: $(grep -F -m 3 -- "$3" "$2")"
	else
		tap_pass "$1"
	fi
}
tap_done() {
	echo "1..$TAP_N"
	[ "$TAP_BAD" = 0 ]
	exit
}

# --- waiting ---

now_ms() {
	local t=${EPOCHREALTIME/[.,]/}
	echo $((t / 1000))
}

# wait_for SECONDS COMMAND...: until the command succeeds; false when the time is up. The only place that waits.
wait_for() {
	local deadline=$(($(now_ms) + $1 * 1000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(now_ms)" -lt "$deadline" ] || return 1
		sleep 0.05
	done
}

file_has() {
	grep -qF -- "$2" "$1" 2>/dev/null
}

# --- the API ---

# api METHOD PATH [BODY]: as the ordinary user ($API_TOKEN when that is set); the path begins after /api/v1alpha. Prints the
# answer's body; the status is in $T/api.status; fails unless it is 2xx.
api() {
	local -a body=()
	[ $# -lt 3 ] || body=(-H 'Content-Type: application/json' --data-binary "$3")
	curl -sS -m 30 -X "$1" -H "Authorization: token ${API_TOKEN-$MILLRACE_TOKEN}" "${body[@]}" -o "$T/api.body" \
		-w '%{http_code}' "$MILLRACE_URL/api/v1alpha$2" >"$T/api.status"
	cat "$T/api.body"
	[[ $(cat "$T/api.status") == 2* ]]
}
api_admin() {
	API_TOKEN=$MILLRACE_ADMIN_TOKEN api "$@"
}
# api_status METHOD PATH [BODY]: prints the status alone.
api_status() {
	api "$@" >/dev/null || true
	cat "$T/api.status"
}

# The command line as the ordinary user.
millrace() {
	"$BIN/millrace" --gateway-url "$MILLRACE_URL" --token "$MILLRACE_TOKEN" "$@"
}

# --- direct runs ---

# repo NAME [FILE]: a git repository $T/NAME whose .agola/FILE (default config.yml) is what comes on standard input. Other
# files may be added before it is run: untracked ones go along.
repo() {
	mkdir -p "$T/$1/.agola"
	cat >"$T/$1/.agola/${2:-config.yml}"
	git -C "$T/$1" init -q
	git -C "$T/$1" add -A
	git -C "$T/$1" commit -q -m "$1"
}

# directrun NAME [OPTION...]: the repository as a run, followed to its end, at most RUN_SECONDS (default 120). Output in $T/NAME.out and
# .err, exit status in RUN_STATUS, the first run's number in RUN. With a definition on standard input it makes the repository first.
directrun() {
	local name=$1
	shift
	directrun_start "$name" --follow "$@"
	directrun_wait "$name"
}

# directrun_start NAME [OPTION...]: the same in the background; returns when the run has a number (in RUN, with its client in RUN_PID).
# With --follow among the options the client follows the log until directrun_wait or the script's end.
directrun_start() {
	local name=$1
	shift
	[ -d "$T/$name" ] || repo "$name"
	rm -f "$T/$name.err" # of a run before this one
	(cd "$T/$name" && exec timeout "${RUN_SECONDS:-120}" "$BIN/millrace" --gateway-url "$MILLRACE_URL" --token "$MILLRACE_TOKEN" \
		directrun start "$@") >"$T/$name.out" 2>"$T/$name.err" </dev/null &
	RUN_PID=$!
	at_end kill "$RUN_PID"
	wait_for 30 directrun_known "$name" "$RUN_PID" || true
	RUN=$(sed -n 's/^run \([0-9][0-9]*\) created$/\1/p' "$T/$name.err" | head -n 1)
	[ -z "$RUN" ] || STARTED_RUNS+=("$RUN")
}
# run_end NUMBER: a run that goes on would keep the next ones of its branch waiting.
run_end() {
	if ! run_finished "$1"; then
		wait_for 10 api PUT "/users/$MILLRACE_USER/runs/$1/actions" '{"action_type": "stop"}'
		wait_for 20 run_finished "$1"
	fi
}
directrun_known() {
	grep -qs '^run [0-9]* created$' "$T/$1.err" || ! kill -0 "$2"
}
# directrun_wait NAME: waits for the client; sets RUN_STATUS.
directrun_wait() {
	RUN_STATUS=0
	wait "$RUN_PID" || RUN_STATUS=$?
	[ "$RUN_STATUS" = 0 ] || tail -n 5 "$T/$1.err" | sed 's/^/# the client said: /'
	RUN=$(sed -n 's/^run \([0-9][0-9]*\) created$/\1/p' "$T/$1.err" | head -n 1)
}

# run_get NUMBER: the run as the API shows it.
run_get() {
	api GET "/users/$MILLRACE_USER/runs/$1"
}
# run_field NUMBER JQ: one value of it.
run_field() {
	run_get "$1" | jq -r "$2"
}
run_is() {
	[ "$(run_field "$1" .phase)" = "$2" ]
}
run_finished() {
	case $(run_field "$1" .phase) in
	finished | cancelled | setuperror) ;;
	*) return 1 ;;
	esac
}
# task_id NUMBER TASK; task_field NUMBER TASK JQ
task_id() {
	run_field "$1" ".tasks[] | select(.name == \"$2\") | .id"
}
task_field() {
	api GET "/users/$MILLRACE_USER/runs/$1/tasks/$(task_id "$1" "$2")" | jq -r "$3"
}
# step_log NUMBER TASK INDEX: the whole log of one step; the index may be `setup`.
step_log() {
	local which=step=$3
	[ "$3" != setup ] || which=setup
	api GET "/users/$MILLRACE_USER/runs/$1/tasks/$(task_id "$1" "$2")/logs?$which"
}
# log_has NUMBER TASK INDEX TEXT: for wait_for, while the step runs.
log_has() {
	step_log "$1" "$2" "$3" | grep -qF -- "$4"
}

# --- the engine ---

# engine_objects: one line for each container, volume and network that has to do with us: with our label, or a volume without
# a name of its own. The executor's own volume and network (role toolbox or network, no task) may stay.
engine_objects() {
	{
		docker_cli ps -aq --no-trunc --filter label=millrace --filter "label=millrace.executor=$MILLRACE_EXECUTOR" |
			sed 's/^/container /'
		docker_cli volume ls -q --filter label=millrace.task --filter "label=millrace.executor=$MILLRACE_EXECUTOR" |
			sed 's/^/volume /'
		docker_cli volume ls -q --filter dangling=true | grep -E '^[0-9a-f]{64}$' | sed 's/^/anonymous volume /' || true
		docker_cli network ls -q --no-trunc --filter label=millrace.task \
			--filter "label=millrace.executor=$MILLRACE_EXECUTOR" | sed 's/^/network /'
	} | sort
}
# leftovers_before; ...; leftovers_check TEXT: nothing is there that was not there before. Removal is asynchronous: bounded wait.
leftovers_before() {
	engine_objects >"$T/objects.before"
}
leftovers_none() {
	engine_objects >"$T/objects.after"
	[ -z "$(comm -13 "$T/objects.before" "$T/objects.after")" ]
}
leftovers_check() {
	if wait_for 20 leftovers_none; then
		tap_pass "$1"
	else
		tap_fail "$1" "$(comm -13 "$T/objects.before" "$T/objects.after")"
	fi
}
# task_container NUMBER TASK: the id of a running task's main container.
task_container() {
	docker_cli ps -q --no-trunc --filter "label=millrace.task=$(task_id "$1" "$2")" --filter label=millrace.role=main
}

# --- the daemons ---

# daemon start|stop|kill|pid NAME: runservice, gateway, executor, postgres or engine of the stack (deploy/stack/daemon.sh). A script that
# ends one says `at_end daemon start NAME` before.
daemon() {
	"$ROOT/deploy/stack/daemon.sh" "$@" >"$T/daemon.log" 2>&1 || {
		cat "$T/daemon.log"
		return 1
	}
	cat "$T/daemon.log"
}
# daemon_config NAME "KEY: VALUE"...: restarted with these keys in its configuration until the script ends.
daemon_config() {
	local line name=$1 conf=$MILLRACE_HOME/conf/$1.yml
	shift
	[ -e "$T/$name.yml" ] || {
		cp -p "$conf" "$T/$name.yml"
		at_end daemon_config_back "$name"
	}
	cp -p "$T/$name.yml" "$conf"
	for line in "$@"; do
		sed -i "/^${line%%:*}:/d" "$conf"
		printf '%s\n' "$line" >>"$conf"
	done
	daemon stop "$name"
	daemon start "$name"
}
daemon_config_back() {
	cp -p "$T/$1.yml" "$MILLRACE_HOME/conf/$1.yml"
	daemon stop "$1"
	daemon start "$1"
}
# sql STATEMENT...: each by itself, as the database's superuser; prints bare values.
sql() {
	local s
	local -a args=()
	for s in "$@"; do
		args+=(-c "$s")
	done
	"$ROOT/deploy/stack/psql.sh" -qAt "${args[@]}"
}
# metric NAME PATTERN: the value of the first line of the daemon's /metrics that begins so.
metric() {
	curl -sS -m 5 "$(daemon_url "$1")/metrics" | awk -v p="$2" 'index($0, p) == 1 { print $NF; exit }'
}
daemon_url() {
	case $1 in
	gateway) echo "$MILLRACE_URL" ;;
	runservice) echo "http://127.0.0.1:$((MILLRACE_PORT + 4))" ;;
	executor) echo "http://127.0.0.1:$((MILLRACE_PORT + 6))" ;;
	esac
}
daemon_ready() {
	curl -fsS -m 2 -o /dev/null "$(daemon_url "$1")/readyz"
}
