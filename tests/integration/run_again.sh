#!/usr/bin/env bash
# Runs after each other: a restart from the failed tasks keeps what succeeded, and runs of one branch wait for each other.
. "$(dirname "$0")/../lib.sh"
leftovers_before

# --- restart from failed tasks ---

# A cache remembers that the task ran before: the first time it fails.
K=again$(now_ms)
directrun again <<YAML
runs:
  - name: again
    tasks:
      - name: make
        runtime: {containers: [{image: busybox}]}
        steps:
          - run: {name: make, tty: false, command: "head -c 8 /dev/urandom | md5sum >made; cat made"}
          - save_to_workspace: {contents: [{source_dir: ., paths: [made]}]}
      - name: flaky
        runtime: {containers: [{image: busybox}]}
        depends: [make]
        steps:
          - restore_workspace: {}
          - restore_cache: {keys: ["$K"], dest_dir: before}
          - run: {name: mark, command: "mkdir mark; echo seen >mark/seen"}
          - save_cache: {key: "$K", contents: [{source_dir: mark}]}
          - run: {name: second time only, tty: false, command: "cat made; test -e before/seen"}
      - name: last
        runtime: {containers: [{image: busybox}]}
        depends: [flaky]
        steps: [{restore_workspace: {}}, {run: {name: show, tty: false, command: cat made}}]
YAML
FIRST=$RUN
status_of() {
	run_field "$1" '[.tasks[] | "\(.name) \(.status)"] | sort | join(", ")'
}
tap_is "the first time a task fails" "$(status_of "$FIRST")" "flaky failed, last skipped, make success"
made=$(step_log "$FIRST" make 0)
api PUT "/users/$MILLRACE_USER/runs/$FIRST/actions" '{"action_type": "restart", "from_start": false}' >"$T/again.json"
RUN=$(jq -r .number "$T/again.json")
STARTED_RUNS+=("$RUN")
tap_ok "the restart is a run of its own" test "$RUN" -gt "$FIRST"
wait_for 60 run_finished "$RUN" || true
tap_is "it succeeds" "$(run_field "$RUN" .result)" success
tap_is "all its tasks" "$(status_of "$RUN")" "flaky success, last success, make success"
tap_is "what succeeded was kept" "$(task_id "$RUN" make)" "$(task_id "$FIRST" make)"
tap_is "with its log" "$(step_log "$RUN" make 0)" "$made"
tap_is "and its workspace" "$(step_log "$RUN" last 1)" "$made"
tap_like "what failed was made anew" "$(task_id "$RUN" flaky)" "^[0-9a-f-]{36}$"
tap_not "under another id" test "$(task_id "$RUN" flaky)" = "$(task_id "$FIRST" flaky)"
tap_is "the old run is as it was" "$(status_of "$FIRST")" "flaky failed, last skipped, make success"

# --- one run of a branch at a time ---

repo turns <<'YAML'
runs:
  - name: one
    tasks:
      - name: task
        runtime: {containers: [{image: busybox}]}
        steps: [{run: {name: wait, tty: false, command: "echo up; while [ ! -e /end ]; do sleep 0.1; done"}}]
  - name: two
    tasks:
      - name: task
        runtime: {containers: [{image: busybox}]}
        steps: [{run: "true"}]
YAML
end_first() {
	docker_cli exec "$(task_container "$1" task)" touch /end
}
directrun_start turns --branch turns
ONE=$RUN TWO=$((RUN + 1))
tap_ok "the first run of the file runs" wait_for 60 log_has "$ONE" task 0 up
tap_is "the second waits for it" "$(run_field "$TWO" '"\(.phase), \([.tasks[]][0].wait_reason)"')" \
	"queued, its run waits for an earlier run of the same group to finish"
directrun_start turns --branch other
tap_ok "another branch does not wait" wait_for 60 log_has "$RUN" task 0 up
tap_ok "the first ends" end_first "$ONE"
wait_for 60 run_finished "$TWO" || true
tap_is "then the second has its turn" "$(run_field "$TWO" .result)" success
tap_ok "so for the other branch" end_first "$RUN"
wait_for 60 run_finished $((RUN + 1)) || true
tap_is "its second run too" "$(run_field $((RUN + 1)) .result)" success

leftovers_check "nothing is left behind"
tap_done
