#!/usr/bin/env bash
# Nothing polls: a stack that has nothing to do sends PostgreSQL no statement and its engine no call for a minute.
. "$(dirname "$0")/../lib.sh"
IDLE=${IDLE:-60}

# With its safety sweep, which follows work and then rests.
daemon_config runservice "sweep_interval: 2s"
at_end sql "alter system reset log_statement" "select pg_reload_conf()"
statements() {
	grep -cE 'LOG: +(statement|execute [^:]*):' "$MILLRACE_HOME/logs/postgres.log" || true
}
sweeps() {
	grep -c 'execute run_stuck' "$MILLRACE_HOME/logs/postgres.log" || true
}
sql "alter system set log_statement = 'all'" "select pg_reload_conf()" >/dev/null
before=$(statements)
swept_before=$(sweeps)
directrun work <<'YAML'
runs: [{name: work, tasks: [{name: task, runtime: {containers: [{image: busybox}]}, steps: [{run: "true"}]}]}]
YAML
tap_is "a run" "$RUN_STATUS" 0
tap_ok "its statements are seen" test "$(statements)" -gt $((before + 10))

# The work of the run, its removals and the sweep after it end; then there is a second without a statement.
mkfifo "$T/nothing"
quiet_for() {
	local n
	n=$(statements)
	read -r -t "$1" <>"$T/nothing" || true
	[ "$(statements)" = "$n" ]
}
swept() {
	[ "$(sweeps)" -gt "$1" ]
}
tap_ok "a safety sweep follows" wait_for 20 swept "$swept_before"
tap_ok "and then there is quiet" wait_for 60 quiet_for 5

n=$(statements)
strace -f -qq -e trace=connect,sendto,write,writev,sendmsg -s 200 -o "$T/calls" -p "$(daemon pid executor)" 2>/dev/null &
tracer=$!
at_end kill "$tracer"
read -r -t "$IDLE" <>"$T/nothing" || true
tap_is "no statement in $IDLE seconds" $(($(statements) - n)) 0
engine_calls() {
	grep -cE 'connect\(|HTTP/1\.1' "$T/calls" || true
}
tap_is "no call of the engine" "$(engine_calls)" 0
directrun work
tap_ok "those of the next run are seen" test "$(engine_calls)" -gt 5
tap_done
