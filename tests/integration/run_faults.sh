#!/usr/bin/env bash
# kill -9 of the executor, of the runservice, of both and of PostgreSQL in the middle of a step: the run completes, no byte of its
# log is lost or doubled, no step runs twice.
. "$(dirname "$0")/../lib.sh"
leftovers_before
for part in postgres runservice gateway executor; do
	at_end daemon start "$part"
done

# The step writes numbered lines until it is told to end, by a file in its container.
definition() {
	cat <<'YAML'
runs:
  - name: fault
    tasks:
      - name: task
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps:
          - run:
              name: numbers
              tty: false
              command: |
                echo started >>/w/starts
                i=0
                while [ ! -e /w/end ]; do i=$((i + 1)); echo "line $i"; [ $((i % 50)) != 0 ] || sleep 0.05; done
                echo "lines $i"
          - run: {name: once, tty: false, command: wc -l </w/starts; head -c 3000000 /dev/zero >/w/big}
          - save_to_workspace: {contents: [{source_dir: /w, paths: ["**"]}]}
      - name: after
        runtime: {containers: [{image: busybox}]}
        steps: [{restore_workspace: {dest_dir: /w}}, {run: {name: got, tty: false, command: wc -c </w/big}}]
        depends: [task]
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
# back PART...: they are started again, and the log can be read.
back() {
	local part
	for part in "$@"; do
		daemon start "$part"
	done
	tap_ok "$*: back" wait_for 30 lines_past 100
}
end_step() {
	docker_cli exec "$CONTAINER" touch /w/end
}
# whole NAME: the run succeeded, and its log is every line once, in order.
whole() {
	wait_for 90 run_finished "$RUN" || true
	tap_is "$1: the run succeeds" "$(run_field "$RUN" '"\(.phase) \(.result)"')" "finished success"
	step_log "$RUN" task 0 >"$T/log"
	tap_is "$1: the log is whole, in order, nothing twice" \
		"$(awk '$1 == "line" && $2 != ++n { print "at line", n, "is", $0; exit } $1 == "lines" { print $2 == n ? "whole" : "short" }' \
			"$T/log")" whole
	tap_is "$1: no step ran twice" "$(step_log "$RUN" task 1 | tr -d ' ')" 1
	tap_is "$1: the workspace arrived" "$(step_log "$RUN" after 1 | tr -d ' ')" 3000000
}

begin executor
daemon kill executor
end_step
back executor
whole executor

begin runservice
daemon kill runservice
docker_cli exec "$CONTAINER" test -e /w/starts
back runservice
n=$(lines_in_log || echo 0)
tap_ok "runservice: the log goes on" wait_for 60 lines_past $((n + 100))
end_step
whole runservice

begin both
daemon kill executor
daemon kill runservice
end_step
back runservice executor
whole both

begin postgres
daemon kill postgres
back postgres
n=$(lines_in_log)
tap_ok "postgres: the log goes on" wait_for 60 lines_past $((n + 100))
end_step
whole postgres

begin gateway
daemon kill gateway
end_step
back gateway
whole gateway

# --- in the middle of a workspace ---

repo workspace <<'YAML'
runs:
  - name: workspace
    tasks:
      - name: save
        runtime: {containers: [{image: debian:bookworm}]}
        working_dir: /w
        steps:
          - run: {name: fill, tty: false, command: head -c 80000000 /dev/urandom >big; sha256sum <big}
          - save_to_workspace: {contents: [{source_dir: /w, paths: ["**"]}]}
      - name: restore
        runtime: {containers: [{image: debian:bookworm}]}
        working_dir: /r
        steps: [{restore_workspace: {dest_dir: .}}, {run: {name: sum, tty: false, command: sha256sum <big}}]
        depends: [save]
YAML
# step_runs TASK INDEX
step_runs() {
	[ "$(task_field "$RUN" "$1" ".steps[$2].phase")" = running ]
}
for part in executor runservice; do
	directrun_start workspace
	tap_ok "$part while saving: it saves" wait_for 60 step_runs save 1
	daemon kill "$part"
	daemon start "$part"
	tap_ok "$part while restoring: it restores" wait_for 60 step_runs restore 0
	daemon kill "$part"
	daemon start "$part"
	wait_for 90 run_finished "$RUN" || true
	tap_is "$part: the run succeeds" "$(run_field "$RUN" .result)" success
	tap_is "$part: what was restored is what was saved" "$(step_log "$RUN" restore 1)" "$(step_log "$RUN" save 0)"
done

# --- in the middle of a setup ---

repo setup <<'YAML'
runs:
  - name: setup
    tasks:
      - name: task
        runtime:
          containers: [{image: millrace-test/faults}, {image: millrace-test/faults, entrypoint: sleep 600}]
        steps: [{run: {name: once, tty: false, command: echo ran}}]
YAML
printf 'FROM %s\nVOLUME /data /more\n' "$(docker_cli image ls -q millrace/base | head -n 1)" |
	docker_cli build -q -t millrace-test/faults - >/dev/null
at_end docker_cli rmi -f millrace-test/faults
setup_says() {
	step_log "$RUN" task setup | grep -q "$1"
}
for moment in "Executor" "container 0" "container 1" "working directory"; do
	directrun_start setup
	wait_for 30 setup_says "$moment" || true
	daemon kill executor
	daemon start executor
	wait_for 60 run_finished "$RUN" || true
	tap_is "executor killed when its setup says \"$moment\": the run succeeds" "$(run_field "$RUN" .result)" success
	tap_is "and its step ran once" "$(step_log "$RUN" task 0)" ran
done

# An engine that dies again and again while it starts a task's container: no number of deaths makes that the task's failure.
ENGINE_DEATHS=5
starts_said() {
	step_log "$RUN" task setup | grep -c '^Starting container 0' || true
}
next_start() {
	[ "$(starts_said)" -ge "$1" ] || [ -n "$(step_log "$RUN" task 0)" ]
}
engine_dies_starting() {
	local n deaths=0
	directrun_start setup
	for ((n = 1; n <= ENGINE_DEATHS; n++)); do
		wait_for 60 next_start "$n" || true
		[ "$(starts_said)" -ge "$n" ] || break
		daemon kill engine
		daemon start engine
		deaths=$n
	done
	wait_for 60 run_finished "$RUN" || true
	tap_is "engine killed $deaths times while it starts the container: the run succeeds" "$(run_field "$RUN" .result)" success
	tap_is "and its step ran once" "$(step_log "$RUN" task 0)" ran
}
if daemon pid engine >/dev/null; then
	engine_dies_starting
else
	tap_skip "the engine is killed while it starts a container" "it is not one that the stack has started"
fi

# A run that comes while the executor is away waits for it.
daemon stop executor
directrun_start waits <<'YAML'
runs:
  - name: waits
    tasks: [{name: task, runtime: {containers: [{image: busybox}]}, steps: [{run: echo here}]}]
YAML
waits_for_executor() {
	run_field "$RUN" '[.tasks[]][0].wait_reason // ""' | grep -qi executor
}
tap_ok "without an executor the task says what it waits for" wait_for 30 waits_for_executor
daemon start executor
wait_for 60 run_finished "$RUN" || true
tap_is "and runs when it comes" "$(run_field "$RUN" .result)" success

leftovers_check "nothing is left behind"
tap_done
