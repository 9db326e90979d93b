# shellcheck shell=bash disable=SC2034 # what is set here is used by the scripts that read this file
# What every script of the local stack shares: where things are, how steps are shown, how a failure is
# explained, how a background process is started, recognised and ended.
#
# Environment read: MILLRACE_HOME (state, default .local/ of the checkout), MILLRACE_PORT (gateway, default 8000),
# MILLRACE_BUILD (the build tree whose bin/ is run, default build/ of the checkout).

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# port_of NAME: every port of a stack follows from the gateway's.
port_of() {
	case $1 in
	gateway) echo "$MILLRACE_PORT" ;;
	images) echo $((MILLRACE_PORT + 2)) ;;
	registry) echo $((MILLRACE_PORT + 3)) ;;
	runservice-http) echo $((MILLRACE_PORT + 4)) ;;
	runservice-rpc) echo $((MILLRACE_PORT + 5)) ;;
	executor-http) echo $((MILLRACE_PORT + 6)) ;;
	*) die "no port is named $1" "" "this is a mistake in the scripts" ;;
	esac
}

say() {
	printf '%s\n' "$*"
}

# die WHAT [LOGFILE [CAUSE]]: says what failed in which step, where to read on, what is the likely cause.
die() {
	{
		printf '\nmillrace: %s failed: %s\n' "${STEP:-start}" "$1"
		if [ -n "${2:-}" ]; then
			printf '  log file:     %s\n' "$2"
		fi
		if [ -n "${3:-}" ]; then
			printf '  likely cause: %s\n' "$3"
		fi
		if [ -n "${2:-}" ] && [ -s "$2" ]; then
			printf '  last lines of it:\n'
			tail -n 8 "$2" | sed 's/^/    | /'
		fi
	} >&2
	DIED=1
	exit 1
}

# Without this a command that fails under set -e would end a script without a word.
on_exit() {
	local rc=$?
	if [ "$rc" -ne 0 ] && [ -z "${DIED:-}" ]; then
		printf '\nmillrace: %s failed (exit status %s); logs are in %s\n' "${STEP:-start}" "$rc" \
			"${MILLRACE_HOME:-?}/logs" >&2
	fi
	exit "$rc"
}

now_ms() {
	local t=${EPOCHREALTIME/[.,]/}
	echo $((t / 1000))
}

# step NAME COMMAND...: runs it in this shell, shows the name, then the seconds it took.
step() {
	local from to
	STEP=$1
	shift
	NOTE=
	from=$(now_ms)
	printf '%-34s ' "$STEP"
	"$@"
	to=$(now_ms)
	printf '%4d.%d s  %s\n' $(((to - from) / 1000)) $(((to - from) % 1000 / 100)) "$NOTE"
	STEP=
}

# as_root SCRIPT ARGS...: scripts that need root start themselves again through sudo.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		return 0
	fi
	if ! command -v sudo >/dev/null; then
		die "not root and there is no sudo" "" "run it as root, or install sudo"
	fi
	exec sudo MILLRACE_HOME="${MILLRACE_HOME:-}" MILLRACE_PORT="${MILLRACE_PORT:-}" MILLRACE_BUILD="${MILLRACE_BUILD:-}" \
		DOCKER_HOST="${DOCKER_HOST:-}" ASAN_OPTIONS="${ASAN_OPTIONS:-}" UBSAN_OPTIONS="${UBSAN_OPTIONS:-}" \
		TSAN_OPTIONS="${TSAN_OPTIONS:-}" bash "$@"
}

# Sets the variables every script works with. Makes no files.
stack_paths() {
	MILLRACE_PORT=${MILLRACE_PORT:-8000}
	case $MILLRACE_PORT in
	'' | *[!0-9]*) die "MILLRACE_PORT=$MILLRACE_PORT is not a number" "" "use a port from 1024 to 65000" ;;
	esac
	if [ "$MILLRACE_PORT" -lt 1024 ] || [ "$MILLRACE_PORT" -gt 65000 ]; then
		die "MILLRACE_PORT=$MILLRACE_PORT is out of range" "" "use a port from 1024 to 65000"
	fi
	MILLRACE_HOME=${MILLRACE_HOME:-$ROOT/.local}
	MILLRACE_HOME=$(realpath -m "$MILLRACE_HOME")
	LOGS=$MILLRACE_HOME/logs
	PIDS=$MILLRACE_HOME/pids
	CONF=$MILLRACE_HOME/conf
	SECRETS=$MILLRACE_HOME/secrets
	STACK_ID=$(printf '%s' "$MILLRACE_HOME" | sha256sum | cut -c1-10)
	EXECUTOR_ID=local-$STACK_ID
	BIN=${MILLRACE_BUILD:-$ROOT/build}/bin
	# Files stay the checkout's owner's when root was reached through sudo.
	OWNER=$(stat -c %U "$ROOT")
	if [ -z "${SUDO_UID:-}" ] || [ "$(stat -c %u "$ROOT")" != "$SUDO_UID" ]; then
		OWNER=root
	fi
	OWNER_GROUP=$(id -gn "$OWNER")
}

stack_dirs() {
	local dir
	mkdir -p "$MILLRACE_HOME"
	chown "$OWNER:$OWNER_GROUP" "$MILLRACE_HOME"
	for dir in "$LOGS" "$PIDS" "$CONF"; do
		install -d -o "$OWNER" -g "$OWNER_GROUP" "$dir"
	done
	install -d -m 700 -o "$OWNER" -g "$OWNER_GROUP" "$SECRETS"
}

as_owner() {
	if [ "$OWNER" = root ]; then
		"$@"
	else
		runuser -u "$OWNER" -- "$@"
	fi
}

# secret NAME BYTES: a file of that many random bytes in hex, made once, readable by its owner only.
secret() {
	local file=$SECRETS/$1
	if [ ! -s "$file" ]; then
		(umask 077 && od -An -v -tx1 -N "$2" /dev/urandom | tr -d ' \n' >"$file")
		chown "$OWNER:$OWNER_GROUP" "$file"
	fi
}

# A pid alone may belong to somebody else after a restart of the machine: the start time goes with it.
proc_started() {
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	stat=${stat##*) }
	# shellcheck disable=SC2086 # the fields are wanted
	set -- $stat
	if [ "$1" = Z ]; then
		return 1
	fi
	echo "${20}"
}

# pid_of FILE: prints the pid when that very process still runs.
pid_of() {
	local pid started
	[ -s "$1" ] || return 1
	read -r pid started <"$1" || return 1
	if [ "$(proc_started "$pid")" = "$started" ]; then
		echo "$pid"
	else
		return 1
	fi
}

# spawn PIDFILE LOGFILE COMMAND...: in the background, in a session of its own, holding none of our files.
spawn() {
	local pidfile=$1 log=$2 pid
	shift 2
	setsid "$@" </dev/null >>"$log" 2>&1 8>&- 9>&- &
	pid=$!
	echo "$pid $(proc_started "$pid")" >"$pidfile"
	disown "$pid" 2>/dev/null || true
}

# end_pid PID SECONDS: TERM, and KILL when it is still there after the given time.
end_pid() {
	local pid=$1 started deadline
	started=$(proc_started "$pid") || return 0
	deadline=$(($(now_ms) + $2 * 1000))
	kill -TERM "$pid" 2>/dev/null || return 0
	while [ "$(proc_started "$pid")" = "$started" ]; do
		if [ "$(now_ms)" -gt "$deadline" ]; then
			kill -KILL "$pid" 2>/dev/null || true
			deadline=$((deadline + 10000))
		fi
		sleep 0.05
	done
}

end_pidfile() {
	local pid
	if pid=$(pid_of "$1"); then
		end_pid "$pid" "$2"
	fi
	rm -f "$1"
}

# wait_for SECONDS PIDFILE COMMAND...: until the command succeeds; false when time is up or the process has gone.
wait_for() {
	local deadline=$(($(now_ms) + $1 * 1000)) pidfile=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		if [ "$(now_ms)" -gt "$deadline" ]; then
			return 1
		fi
		if [ -n "$pidfile" ] && ! pid_of "$pidfile" >/dev/null; then
			return 1
		fi
		sleep 0.05
	done
}

http_ok() {
	curl -fsS -m 2 -o /dev/null "$1"
}

# A port that somebody else has is the most frequent reason for a server that does not come up.
port_taken() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

need_free_port() {
	if port_taken "$2"; then
		die "port $2 ($1) is already in use" "" \
			"another stack or another program has it; choose others with MILLRACE_PORT=N make up"
	fi
}
