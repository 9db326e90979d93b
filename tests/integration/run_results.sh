#!/usr/bin/env bash
# What becomes of tasks and runs: dependencies with conditions, skipped and ignored tasks, approval, stop, timeout, cancelled.
. "$(dirname "$0")/../lib.sh"
leftovers_before

directrun graph <<'YAML'
runs:
  - name: graph
    tasks:
      - &ok
        name: good
        runtime: {containers: [{image: busybox}]}
        steps: [{run: "true"}]
      - name: bad
        runtime: {containers: [{image: busybox}]}
        steps: [{run: "false"}]
        ignore_failure: true
      - name: after good
        runtime: {containers: [{image: busybox}]}
        steps: [{run: "true"}]
        depends: [good]
      - name: after bad on failure
        runtime: {containers: [{image: busybox}]}
        steps: [{run: "true"}]
        depends: [{bad: [on_failure]}]
      - name: after bad on success
        runtime: {containers: [{image: busybox}]}
        steps: [{run: "true"}]
        depends: [{bad: [on_success]}]
      - name: not on this branch
        runtime: {containers: [{image: busybox}]}
        steps: [{run: "true"}]
        when: {branch: no-such-branch}
      - name: after skipped
        runtime: {containers: [{image: busybox}]}
        steps: [{run: "true"}]
        depends: [{"not on this branch": [on_skipped]}]
YAML
tap_is "a run whose only failure is ignored succeeds" "$RUN_STATUS" 0
status_of() {
	run_field "$RUN" ".tasks[] | select(.name == \"$1\") | .status"
}
tap_is "a task" "$(status_of good)" success
tap_is "an ignored failure is still a failure of the task" "$(status_of bad)" failed
tap_is "on_success runs after success" "$(status_of "after good")" success
tap_is "on_failure runs after failure" "$(status_of "after bad on failure")" success
tap_is "on_success does not run after an ignored failure" "$(status_of "after bad on success")" skipped
tap_is "when keeps a task out" "$(status_of "not on this branch")" skipped
tap_is "on_skipped runs after a skipped one" "$(status_of "after skipped")" success

# --- approval ---

directrun_start approval <<'YAML'
runs:
  - name: approval
    tasks:
      - name: gate
        runtime: {containers: [{image: busybox}]}
        steps: [{run: "echo approved"}]
        approval: true
YAML
waiting() {
	[ "$(run_field "$1" '[.tasks[]][0].waiting_approval')" = true ]
}
tap_ok "a task with approval waits" wait_for 30 waiting "$RUN"
tap_ok "it is approved" api PUT "/users/$MILLRACE_USER/runs/$RUN/tasks/$(task_id "$RUN" gate)/actions" \
	'{"action_type": "approve"}'
wait_for 60 run_finished "$RUN" || true
tap_is "and runs" "$(run_field "$RUN" .result)" success

# --- stop ---

directrun_start stopped --follow <<'YAML'
runs:
  - name: stopped
    tasks:
      - name: long
        runtime: {containers: [{image: busybox}, {image: busybox, entrypoint: "sleep 1000"}]}
        steps:
          - run: {name: traps, tty: false, command: "trap 'echo ended; exit 3' TERM; echo up; while :; do sleep 0.1; done"}
          - run: echo never
      - name: next
        runtime: {containers: [{image: busybox}]}
        steps: [{run: "true"}]
        depends: [long]
YAML
tap_ok "a long step runs" wait_for 60 log_has "$RUN" long 0 up
tap_ok "the command line stops it" millrace run stop "$RUN"
directrun_wait stopped
tap_is "its client ends with a failure" "$RUN_STATUS" 1
tap_is "phase and result" "$(run_field "$RUN" '"\(.phase) \(.result)"')" "finished stopped"
tap_is "the task" "$(task_field "$RUN" long .status)" stopped
tap_is "the step and the one after it" "$(task_field "$RUN" long '[.steps[].phase] | join(" ")')" "stopped notstarted"
tap_like "the step could say good-bye" "$(step_log "$RUN" long 0)" "ended"
tap_like "what depends on it does not run" "$(status_of next)" "^(skipped|cancelled|notstarted)$"

# Stopped while the image is looked for, a container is made or started: no step ever starts.
repo early <<'YAML'
runs:
  - name: early
    tasks:
      - name: task
        runtime: {containers: [{image: debian:bookworm}, {image: debian:bookworm, entrypoint: sleep 600}]}
        steps: [{run: "sleep 600"}]
YAML
setup_says() {
	step_log "$1" task setup | grep -q "$2"
}
for moment in "Executor" "Image" "container 0" "container 1" "working directory"; do
	directrun_start early
	wait_for 30 setup_says "$RUN" "$moment" || true
	tap_ok "a run is stopped when its log says \"$moment\"" api PUT "/users/$MILLRACE_USER/runs/$RUN/actions" \
		'{"action_type": "stop"}'
	wait_for 60 run_finished "$RUN" || true
	tap_is "it ends as stopped" "$(run_field "$RUN" '"\(.phase) \(.result)"')" "finished stopped"
done

# --- timeout ---

directrun timeout <<'YAML'
runs:
  - name: timeout
    tasks:
      - name: slow
        runtime: {containers: [{image: busybox}]}
        task_timeout_interval: 2s
        steps:
          - run: {name: ignores, tty: false, command: "trap '' TERM; echo up; sleep 600; echo never"}
          - run: echo never
      - name: next
        runtime: {containers: [{image: busybox}]}
        depends: [slow]
YAML
tap_is "a run that takes too long fails" "$RUN_STATUS" 1
tap_is "its task is failed and timed out" "$(task_field "$RUN" slow '"\(.status) \(.timedout)"')" "failed true"
tap_is "so is its step; the next does not start" "$(task_field "$RUN" slow '[.steps[].phase] | join(" ")')" "failed notstarted"
tap_is "what waited for it is skipped, and has not timed out" "$(task_field "$RUN" next '"\(.status) \(.timedout)"')" "skipped false"
tap_is "its log is kept" "$(step_log "$RUN" slow 0)" up

leftovers_check "nothing is left behind after success, failure, stop and timeout"
tap_done
