#!/usr/bin/env bash
# What definitions may say with "version: v1": if, post, timeout and retries of steps.
. "$(dirname "$0")/../lib.sh"
leftovers_before
at_end daemon start executor

# steps_of TASK: the outcomes of its steps.
steps_of() {
	task_field "$RUN" "$1" '[.steps[].phase] | join(" ")'
}
status_of() {
	run_field "$RUN" ".tasks[] | select(.name == \"$1\") | .status"
}
# log TASK STEP: without the carriage returns of a terminal and the lines that are empty.
log() {
	step_log "$RUN" "$1" "$2" | tr -d '\r' | grep -v '^$' || true
}

# --- if, post, retries, timeout ---

directrun steps --branch steps <<'YAML'
version: v1
runs:
  - name: steps
    tasks:
      - name: all well
        runtime: {containers: [{image: busybox}]}
        steps:
          - run: "true"
          - run: {command: echo never, if: on_failure}
          - run: {command: echo runs, if: always}
        post:
          - run: echo post
          - run: {command: echo never, if: on_failure}
          - run: {command: echo too, if: on_success}
      - name: a failure
        ignore_failure: true
        runtime: {containers: [{image: busybox}]}
        steps:
          - run: exit 3
          - run: echo never
          - run: {command: echo collects, if: on_failure}
          - run: {command: echo runs, if: always}
        post:
          - run: echo post
          - run: {command: echo tells, if: on_failure}
          - run: {command: echo never, if: on_success}
      - name: retries
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps:
          - run: {name: third time, retries: 2, tty: false, command: 'echo x >>n; wc -l <n | tr -d " "; [ "$(wc -l <n)" = 3 ]'}
          - run: {name: once, tty: false, retries: 2, command: echo once}
      - name: fails at last
        ignore_failure: true
        runtime: {containers: [{image: busybox}]}
        steps:
          - run: {name: never well, retries: 1, tty: false, command: echo try; exit 7}
      - name: step timeout
        ignore_failure: true
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps:
          - run: {name: quick, timeout: 100s, command: echo quick}
          - run: {name: slow once, timeout: 1500ms, retries: 1, tty: false, command: '[ -e tried ] || { touch tried; sleep 300; }; echo now'}
          - run: {name: slow, timeout: 1s, tty: false, command: sleep 300}
        post:
          - run: echo post
      - name: task timeout
        ignore_failure: true
        timeout: 2s
        runtime: {containers: [{image: busybox}]}
        steps:
          - run: {name: slow, tty: false, command: sleep 300}
          - run: {command: echo never, if: always}
        post:
          - run: {name: after it, tty: false, command: sleep 3; echo post}
          - run: {command: echo tells, if: on_failure}
      - name: post fails
        ignore_failure: true
        runtime: {containers: [{image: busybox}]}
        steps: [{run: "true"}]
        post: [{run: exit 4}]
      - name: cache
        ignore_failure: true
        runtime: {containers: [{image: busybox}]}
        steps:
          - save_cache: {key: 'v1-{{ md5sum "sum" }}', retries: 2, contents: [{source_dir: /tmp}]}
YAML
tap_is "the run succeeds" "$RUN_STATUS" 0
tap_is "if: what runs when all went well" "$(steps_of "all well")" "success notstarted success success notstarted success"
tap_is "if: what runs after a failure" "$(steps_of "a failure")" "failed notstarted success success success success notstarted"
tap_is "the task has failed all the same" "$(status_of "a failure")" failed
for line in collects runs post tells; do
	tap_ok "the client shows what a step after the failed one says: $line" grep -q "^\(\[.*\] \)\?$line" "$T/steps.out"
done
tap_not "and nothing of a step that was passed over" grep -q "never$" "$T/steps.out"
tap_is "retries: a step that succeeds at last succeeds" "$(steps_of retries) $(status_of retries)" "success success success"
tap_is "its attempts share a log" "$(log retries 0)" "1
[attempt 1 of 3 failed: exit status 1]
2
[attempt 2 of 3 failed: exit status 1]
3"
tap_is "what succeeds is not tried again" "$(log retries 1)" once
tap_is "retries: the last attempt counts" "$(steps_of "fails at last"):$(task_field "$RUN" "fails at last" '.steps[0].exit_status')" failed:7
tap_is "there are no more than that" "$(log "fails at last" 0)" "try
[attempt 1 of 2 failed: exit status 7]
try"
tap_is "timeout of a step is a failure" "$(steps_of "step timeout")" "success success failed success"
tap_is "of each attempt" "$(log "step timeout" 1)" "[attempt 1 of 2 failed: its timeout of 1.5 s was over]
now"
tap_like "and says so" "$(task_field "$RUN" "step timeout" '.steps[2]')" "its timeout of 1 s was over"
tap_is "post runs after the task's timeout, and nothing else" "$(steps_of "task timeout")" "failed notstarted success success"
tap_is "the task has timed out" "$(status_of "task timeout") $(run_field "$RUN" '.tasks[] | select(.name == "task timeout") | .timedout')" "failed true"
tap_is "a failure of post fails the task" "$(steps_of "post fails") $(status_of "post fails")" "success failed failed"
tap_is "retries: a step of a cache" "$(steps_of cache) $(log cache 0 | grep -c '^\[attempt [12] of 3 failed: .*sum')" "failed 2"

# --- stop, with the executor killed meanwhile ---

definition() {
	cat <<'YAML'
version: v1
runs:
  - name: stop
    tasks:
      - name: task
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps:
          - run: {name: slow, tty: false, command: echo begun; sleep 300}
          - run: {command: echo never, if: always}
        post:
          - run: {name: waits, tty: false, command: 'echo once >>n; echo waiting; while [ ! -e go ]; do sleep 0.1; done; wc -l <n'}
          - run: {command: echo never, if: on_failure}
          - run: {name: last, tty: false, command: echo last}
YAML
}
stop_run() {
	wait_for 60 log_has "$RUN" task 0 begun
	api PUT "/users/$MILLRACE_USER/runs/$RUN/actions" '{"action_type": "stop"}' >/dev/null
	wait_for 30 log_has "$RUN" task 2 waiting
}
definition | directrun_start stop --branch stop
tap_ok "a stop ends the step, then post begins" stop_run
CONTAINER=$(task_container "$RUN" task)
daemon kill executor
docker_cli exec "$CONTAINER" touch /w/go
daemon start executor
tap_ok "the run ends" wait_for 60 run_finished "$RUN"
tap_is "post has run, also over a kill -9 of the executor" "$(steps_of task)" "stopped notstarted success notstarted success"
tap_is "and no step twice" "$(log task 2 | tr -d ' ')" "waiting
1"
tap_is "the task and the run are stopped" "$(status_of task) $(run_field "$RUN" .result)" "stopped stopped"

daemon_config executor "post_timeout: 2s"
directrun_start stop --branch stop
tap_ok "post begins" stop_run
tap_ok "its time is bounded" wait_for 30 run_finished "$RUN"
tap_is "what runs of it then is ended, the rest never starts" "$(steps_of task)" "stopped notstarted stopped notstarted notstarted"

leftovers_check "nothing is left behind"
tap_done
