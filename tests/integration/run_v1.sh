#!/usr/bin/env bash
# What definitions may say with "version: v1": if, post, timeout and retries of steps, resources of containers,
# labels of executors, runs that end older ones, event and paths in when.
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
      - name: fails in silence
        ignore_failure: true
        runtime: {containers: [{image: busybox}]}
        steps: [{run: {name: silent, retries: 2, command: exit 1}}]
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
tap_is "that holds for a silent one, too" "$(log "fails in silence" 0)" "[attempt 1 of 3 failed: exit status 1]
[attempt 2 of 3 failed: exit status 1]"
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

# --- resources ---

# Limits as the container's kernel tells them: of memory in bytes, of processors in thousandths.
# shellcheck disable=SC2016 # the container's shell expands it
LIMITS='cd /sys/fs/cgroup; if [ -e memory.max ]; then cat memory.max; set -- $(cat cpu.max);
  else cat memory/memory.limit_in_bytes; set -- $(cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us); fi; echo $(($1 * 1000 / $2))'
daemon_config executor "cpu_max: 800" "memory_max: 100000000"
directrun resources --branch resources <<YAML
version: v1
runs:
  - name: resources
    tasks:
      - name: asks
        runtime: {containers: [{image: busybox, resources: {cpu: 0.5, memory: 64Mi}}]}
        steps:
          - run: {name: limits, tty: false, command: '$LIMITS'}
          - run: {name: too much, tty: false, command: 'head -c 200000000 /dev/zero | tail -n 1 >/tmp/last'}
        ignore_failure: true
      - name: says nothing
        runtime: {containers: [{image: busybox}]}
        steps: [{run: {name: limits, tty: false, command: '$LIMITS'}}]
      - name: too much memory
        ignore_failure: true
        runtime: {containers: [{image: busybox}, {image: busybox, entrypoint: sleep 300, resources: {memory: 1Gi}}]}
        steps: [{run: "true"}]
      - name: too many processors
        ignore_failure: true
        runtime: {containers: [{image: busybox, resources: {cpu: 900m}}]}
        steps: [{run: "true"}]
YAML
tap_is "resources: the container sees its limits" "$(log asks 0)" "67108864
500"
tap_is "what takes more memory is killed" "$(steps_of asks) $(task_field "$RUN" asks '.steps[1].exit_status')" "success failed 137"
tap_is "without them: those of the executor" "$(log "says nothing" 0)" "99999744
800"
tap_like "more memory than the executor gives is refused" "$(step_log "$RUN" "too much memory" setup)" \
	"container 1 asks for 1073741824 bytes of memory and this executor gives at most 100000000 \\(memory_max\\)"
tap_like "and more processors" "$(step_log "$RUN" "too many processors" setup)" "asks for 0.9 processors and this executor gives at most 0.8"

# --- labels ---

# The task called other asks for what the executor has only later.
repo labels <<'YAML'
version: v1
runs:
  - name: labels
    tasks:
      - name: own
        runtime: {labels: {zone: eu}, containers: [{image: busybox}]}
        steps: [{run: echo in eu}]
      - name: other
        runtime: {labels: {zone: us, disk: fast}, containers: [{image: busybox}]}
        steps: [{run: echo in us}]
YAML
task_is() {
	[ "$(status_of "$1")" = "$2" ]
}
waits_because() {
	[[ $(run_field "$RUN" ".tasks[] | select(.name == \"$1\") | .wait_reason") == *"$2"* ]]
}
daemon_config executor "labels: {zone: eu, disk: fast}"
directrun_start labels --branch labels
tap_ok "labels: a task runs where they are" wait_for 30 task_is own success
tap_ok "one that asks for others waits, and says why" \
	wait_for 10 waits_because other "no connected executor has the labels zone=us, disk=fast"
daemon_config executor "labels: {zone: us, disk: fast}"
tap_ok "it runs when an executor has them" wait_for 30 run_finished "$RUN"
tap_is "all went well" "$(run_field "$RUN" .result)" success

# --- cancel_previous ---

repo newer <<'YAML'
version: v1
runs:
  - name: newer
    cancel_previous: true
    tasks:
      - name: task
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        environment: {QUICK: {from_variable: quick}}
        steps: [{run: {name: slow, tty: false, command: 'echo begun; [ -n "$QUICK" ] || sleep 300'}}]
        post: [{run: {name: post, tty: false, command: echo post}}]
YAML
directrun_start newer --branch newer
FIRST=$RUN
wait_for 30 log_has "$RUN" task 0 begun
directrun_start newer --branch newer
SECOND=$RUN
tap_ok "cancel_previous: what runs is stopped" wait_for 30 run_is "$FIRST" finished
tap_is "with its post" "$(run_field "$FIRST" .result) $(RUN=$FIRST log task 1)" "stopped post"
wait_for 30 log_has "$SECOND" task 0 begun
directrun newer --branch newer --var quick=yes
tap_is "the newest runs to its end" "$RUN_STATUS $(run_field "$RUN" .result)" "0 success"
tap_is "the one before it does not" "$(run_field "$SECOND" '"\(.phase) \(.result)"')" "finished stopped"

# --- event and paths ---

repo when <<'YAML'
version: v1
runs:
  - name: pushed
    when: {event: push}
    tasks: []
  - name: when
    tasks:
      - {name: direct, when: {event: direct}, runtime: {containers: [{image: busybox}]}}
      - {name: sources, when: {branch: when, paths: ["src/**"]}, runtime: {containers: [{image: busybox}]}}
      - {name: not docs, when: {paths: {exclude: "docs/**"}}, runtime: {containers: [{image: busybox}]}}
      - {name: nobody pushed, when: {event: [push, tag, pull_request, manual]}, runtime: {containers: [{image: busybox}]}}
YAML
# when_run: the run's name and what became of its tasks.
when_run() {
	directrun when --branch when
	run_field "$RUN" '"\(.name): " + ([.tasks[] | "\(.name) \(.status)"] | sort | join(", "))'
}
tap_is "paths hold where there was no run before" "$(when_run)" \
	"when: direct success, nobody pushed skipped, not docs success, sources success"
mkdir "$T/when/docs" "$T/when/src"
echo text >"$T/when/docs/text"
tap_is "a change elsewhere" "$(when_run)" "when: direct success, nobody pushed skipped, not docs skipped, sources skipped"
echo code >"$T/when/src/code"
tap_is "a change there" "$(when_run)" "when: direct success, nobody pushed skipped, not docs success, sources success"
tap_is "no change at all" "$(when_run)" "when: direct success, nobody pushed skipped, not docs success, sources success"
rm "$T/when/src/code"
tap_is "a file that is gone has changed" "$(when_run)" "when: direct success, nobody pushed skipped, not docs success, sources success"

leftovers_check "nothing is left behind"
tap_done
