#!/usr/bin/env bash
# What a run needs is away for a while: PostgreSQL stopped, its connections ended, read-only; the object store full or read-only; the
# executor frozen past its lease, the runservice past its leadership. Each leaves a clear state and recovers by itself.
. "$(dirname "$0")/../lib.sh"
leftovers_before
OUTAGE=${OUTAGE:-30} # seconds without PostgreSQL
for part in postgres runservice gateway executor; do
	at_end daemon start "$part"
done
mkfifo "$T/nothing"
# The length of an outage, not a wait for something.
pause() {
	read -r -t "$1" <>"$T/nothing" || true
}

# The step writes numbered lines until it is told to end, by a file in its container.
definition() {
	cat <<'YAML'
runs:
  - name: outage
    tasks:
      - name: task
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps:
          - run:
              name: numbers
              tty: false
              command: |
                i=0
                while [ ! -e /w/end ]; do i=$((i + 1)); echo "line $i"; [ $((i % 50)) != 0 ] || sleep 0.05; done
                echo "lines $i"
          - run: {name: once, tty: false, command: echo ran}
YAML
}
lines_in_log() {
	step_log "$RUN" task 0 | grep -c '^line' || true
}
lines_past() {
	[ "$(lines_in_log)" -gt "$1" ]
}
begin() {
	definition | directrun_start "$1"
	tap_ok "$1: the step writes" wait_for 60 lines_past 100
	CONTAINER=$(task_container "$RUN" task)
}
# goes_on NAME: more of the log arrives than there is.
goes_on() {
	local n
	n=$(lines_in_log)
	tap_ok "$1: the log goes on" wait_for 60 lines_past $((n + 100))
}
# whole NAME: the run succeeded, and its log is every line once, in order.
whole() {
	docker_cli exec "$CONTAINER" touch /w/end
	wait_for 90 run_finished "$RUN" || true
	tap_is "$1: the run succeeds" "$(run_field "$RUN" '"\(.phase) \(.result)"')" "finished success"
	tap_is "$1: the log is whole" "$(step_log "$RUN" task 0 |
		awk '$1 == "line" && $2 != ++n { print "at line", n, "is", $0; exit } $1 == "lines" { print $2 == n ? "whole" : "short" }')" whole
	tap_is "$1: no step ran twice" "$(step_log "$RUN" task 1)" ran
}
# says NAME TEXT: what a daemon has logged since mark NAME.
mark() {
	MARK=$(stat -c %s "$MILLRACE_HOME/logs/$1.log")
}
says() {
	tail -c "+$((MARK + 1))" "$MILLRACE_HOME/logs/$1.log" | grep -q -- "$2"
}

# --- PostgreSQL ---

begin stopped
daemon stop postgres
pause "$OUTAGE"
tap_like "without its database the gateway says so" "$(api_status GET "/users/$MILLRACE_USER/runs/$RUN")" '^50[0-9]$'
daemon start postgres
tap_ok "stopped: the API is back by itself" wait_for 30 run_is "$RUN" running
goes_on stopped
whole stopped

begin terminated
for _ in 1 2 3 4 5 6 7 8; do
	sql "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename in ('millrace_gateway', 'millrace_runservice')" >/dev/null
	pause 0.3
done
goes_on terminated
whole terminated

read_only() {
	sql "alter system set default_transaction_read_only = $1" "select pg_reload_conf()" >/dev/null
}
begin "read only"
at_end read_only off
read_only on
pause 7
tap_like "read only: what would change them is refused" \
	"$(api_status PUT "/users/$MILLRACE_USER/runs/$RUN/actions" '{"action_type": "stop"}')" '^50[0-9]$'
read_only off
goes_on "read only"
whole "read only"

# --- the object store ---

objects=$MILLRACE_HOME/runservice/objects
as_superuser() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}
objects_back() {
	daemon stop runservice
	as_superuser umount "$objects"
	daemon start runservice
}
daemon stop runservice
as_superuser mount -t tmpfs -o "size=48m,mode=700,uid=$(stat -c %u "$objects"),gid=$(stat -c %g "$objects")" tmpfs "$objects"
at_end objects_back
daemon start runservice

log_runs_dry() {
	local n
	n=$(lines_in_log)
	pause 0.5
	[ "$(lines_in_log)" = "$n" ]
}
mark runservice
begin full
as_superuser head -c 100m /dev/zero 2>/dev/null >"$objects/ballast" || true
tap_ok "full: it is said why" wait_for 60 says runservice "No space left on device"
tap_is "full: the run goes on" "$(run_field "$RUN" '"\(.phase) \(.result)"')" "running unknown"
as_superuser rm "$objects/ballast"
goes_on full
whole full

mark runservice
begin "objects read only"
as_superuser mount -o remount,ro "$objects"
tap_ok "objects read only: it is said why" wait_for 60 says runservice "Read-only file system"
as_superuser mount -o remount,rw "$objects"
goes_on "objects read only"
whole "objects read only"

# --- frozen ---

daemon_config runservice "lease: 6s"
begin "executor frozen"
mark runservice
pid=$(daemon pid executor)
kill -STOP "$pid"
at_end kill -CONT "$pid"
container_ended() {
	[ "$(docker_cli inspect -f '{{.State.Running}}' "$CONTAINER")" = false ]
}
tap_ok "executor frozen: the task is killed without it" wait_for 30 container_ended
tap_ok "executor frozen: the run ends" wait_for 30 run_finished "$RUN"
tap_is "executor frozen: as failed" "$(run_field "$RUN" .result)" failed
tap_ok "executor frozen: it is said why" says runservice "executor lost"
before=$(api GET "/users/$MILLRACE_USER/runs/$RUN" | jq -S .)
mark executor
kill -CONT "$pid"
tap_ok "executor woken: it removes what it had" wait_for 30 leftovers_none
tap_is "executor woken: its late reports change nothing" "$(api GET "/users/$MILLRACE_USER/runs/$RUN" | jq -S .)" "$before"
directrun afterwards <<'YAML'
runs: [{name: afterwards, tasks: [{name: task, runtime: {containers: [{image: busybox}]}, steps: [{run: "true"}]}]}]
YAML
tap_is "executor woken: it works on" "$RUN_STATUS" 0
daemon_config runservice "lease: 60s"

# A second replica on the same database, over the same objects.
second_start() {
	mkdir -p "$T/second"
	ln -s "$objects" "$T/second/objects"
	cp "$MILLRACE_HOME/conf/runservice.yml" "$T/second.yml"
	sed -i -e "s|^rpc_listen:.*|rpc_listen: ipc://$T/second.rpc|" -e "s|^http_listen:.*|http_listen: 127.0.0.1:$((MILLRACE_PORT + 9))|" \
		-e "s|^data_dir:.*|data_dir: $T/second|" "$T/second.yml"
	"$BIN/millrace-runservice" --config "$T/second.yml" >"$T/second.log" 2>&1 </dev/null &
	SECOND=$!
	at_end kill -KILL "$SECOND"
}
epoch() {
	sql "select epoch from runservice.leader"
}
leads_by() {
	[ "$(epoch)" -gt "$1" ]
}
begin "runservice frozen"
mark runservice
e=$(epoch)
pid=$(daemon pid runservice)
second_start
tap_ok "another replica stands by" wait_for 20 file_has "$T/second.log" "standing by"
tap_is "while the leader answers" "$(epoch)" "$e"
kill -STOP "$pid"
at_end kill -CONT "$pid"
tap_ok "runservice frozen: the other takes over" wait_for 30 file_has "$T/second.log" 'msg="leading"'
tap_is "in a new epoch" "$(epoch)" $((e + 1))
kill -CONT "$pid"
tap_ok "runservice woken: it knows that it does not lead" wait_for 20 says runservice "leadership lost"
tap_like "and takes no order" "$(api_status PUT "/users/$MILLRACE_USER/runs/$RUN/actions" '{"action_type": "stop"}')" '^50[0-9]$'
tap_is "nothing of it is written" "$(epoch)" $((e + 1))
kill -KILL "$SECOND"
wait "$SECOND" 2>/dev/null || true
tap_ok "the other killed: it leads again" wait_for 30 leads_by $((e + 1))
tap_ok "the API is back by itself" wait_for 30 run_is "$RUN" running
goes_on "runservice frozen"
whole "runservice frozen"

leftovers_check "nothing is left behind"
tap_done
