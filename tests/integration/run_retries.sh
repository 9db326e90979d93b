#!/usr/bin/env bash
# Tasks that are tried again ("version: v1", retries): fresh containers for each attempt, a log for each, what depends on it
# sees the last one only. An executor that loses an attempt, and one that comes back with it while the next one runs.
. "$(dirname "$0")/../lib.sh"
leftovers_before
at_end daemon start executor

# The step says which container it is in, waits for a verdict from outside, and ends as that says. What an attempt left in its
# container or its workspace would show.
definition() {
	cat <<'YAML'
version: v1
runs:
  - name: retries
    tasks:
      - name: task
        retries: 2
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps:
          - run: {name: leaves, tty: false, command: 'ls; echo left >>left'}
          - save_to_workspace: {contents: [{source_dir: /w, paths: ["**"]}]}
          - run:
              name: judged
              tty: false
              command: |
                echo begun
                while [ ! -e /tmp/verdict ]; do sleep 0.1; done
                read -r word status </tmp/verdict
                echo "$word"
                exit "$status"
        post: [{run: {name: post, tty: false, command: echo post}}]
      - name: child
        depends: [task]
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps: [restore_workspace: {dest_dir: .}, run: {name: lines, tty: false, command: wc -l <left}]
      - name: failed
        depends: [{task: task, conditions: [on_failure]}]
        runtime: {containers: [{image: busybox}]}
        steps: [{run: {name: tells, tty: false, command: echo failed}}]
YAML
}
# attempt_log N INDEX: of the task.
attempt_log() {
	api GET "/users/$MILLRACE_USER/runs/$RUN/tasks/$(task_id "$RUN" task)/logs?step=$2&attempt=$1"
}
attempt_is() {
	[ "$(task_field "$RUN" task .attempt)" = "$1" ]
}
attempt_begun() {
	[ "$(attempt_log "$1" 2)" = begun ]
}
status_of() {
	run_field "$RUN" ".tasks[] | select(.name == \"$1\") | .status"
}
# judge "WORD STATUS": ends the step of the attempt that runs; its container's id is in CONTAINER.
judge() {
	CONTAINER=$(task_container "$RUN" task)
	# shellcheck disable=SC2016 # the container's shell expands it
	docker_cli exec "$CONTAINER" sh -c 'echo "$1" >/tmp/v && mv /tmp/v /tmp/verdict' - "$1"
}

# --- fails twice, then passes ---

definition | directrun_start retries --branch retries --follow
tap_ok "the first attempt begins" wait_for 60 attempt_begun 1
judge "one 3"
FIRST=$CONTAINER
tap_ok "it fails, and the second begins" wait_for 60 attempt_begun 2
tap_is "the task goes on, nothing has failed" "$(run_field "$RUN" .result) $(status_of task) $(status_of child) $(status_of failed)" \
	"unknown running notstarted notstarted"
tap_is "the log without an attempt is the newest's" "$(step_log "$RUN" task 2)" begun
tap_like "run show tells it" "$(millrace run show "$RUN")" "task task: running, attempt 2 of 3"
judge "two 4"
tap_not "in a container of its own" [ "$FIRST" = "$CONTAINER" ]
tap_ok "and the third" wait_for 60 attempt_begun 3
judge "three 0"
directrun_wait retries
tap_is "the run succeeds" "$RUN_STATUS $(run_field "$RUN" .result)" "0 success"
tap_is "what depends on it sees a success" "$(status_of child) $(status_of failed)" "success skipped"
n=0
for word in one two three; do
	n=$((n + 1))
	tap_is "attempt $n has a log of its own" "$(attempt_log $n 2)" "begun
$word"
	tap_is "attempt $n finds nothing of the one before" "$(attempt_log $n 0)" ""
	tap_is "attempt $n runs its post" "$(attempt_log $n 3)" post
	tap_like "its setup says which it is" "$(millrace log get --runnumber "$RUN" --taskname task --setup --attempt $n)" \
		"^Executor $MILLRACE_EXECUTOR, attempt $n of 3"
done
tap_is "the workspace is the last attempt's, once" "$(step_log "$RUN" child 1)" 1
tap_is "who follows sees all of them" "$(grep -cE '^(\[task\] )?(one|two|three)$' "$T/retries.out")" 3
tap_like "and is told" "$(cat "$T/retries.err")" "attempt 1 of 3 failed.*attempt 2 of 3 failed.*task: success"
tap_is "what became of them" "$(task_field "$RUN" task '[.attempts[] | "\(.attempt) \(.steps[2].exit_status)"] | join(", ")')" "1 3, 2 4"
tap_is "run log prints the newest" "$(millrace run log "$RUN" task 2>"$T/log.err" | grep -c '^three$')" 1
tap_like "and says which" "$(cat "$T/log.err")" "--- task, attempt 3 of 3: judged"
tap_like "or an earlier one" "$(millrace run log "$RUN" task --attempt 1 2>&1)" "--- task, attempt 1 of 3: judged.*one"
tap_like "there is no fourth" "$(millrace run log "$RUN" task --attempt 4 2>&1 || true)" "has had no attempt 4, only 3"
tap_is "a log of no attempt is a mistake" "$(api_status GET "/users/$MILLRACE_USER/runs/$RUN/tasks/$(task_id "$RUN" task)/logs?step=2&attempt=0")" 400
millrace log delete --runnumber "$RUN" --taskname task --step 2
tap_is "deleting a log deletes all attempts'" \
	"$(for n in 1 2 3; do api_status GET "/users/$MILLRACE_USER/runs/$RUN/tasks/$(task_id "$RUN" task)/logs?step=2&attempt=$n"; done)" 404404404

# --- an executor that loses its attempt, and comes back with it later ---

directrun_start retries --branch retries --follow
tap_ok "the first attempt begins" wait_for 60 attempt_begun 1
ID=$(task_id "$RUN" task)
daemon kill executor
mkdir "$T/spool"
mv "$MILLRACE_HOME/executor/$ID"-* "$T/spool/"
daemon start executor
tap_ok "killed, and without its memory: the second begins" wait_for 60 attempt_begun 2
tap_like "the first was lost" "$(task_field "$RUN" task '.attempts[0].steps[2].error')" "executor lost"
tap_is "its log stays" "$(attempt_log 1 2)" begun
daemon kill executor
cp -a "$T/spool/." "$MILLRACE_HOME/executor/"
mark=$(stat -c %s "$MILLRACE_HOME/logs/executor.log")
daemon start executor
dropped() {
	tail -c "+$((mark + 1))" "$MILLRACE_HOME/logs/executor.log" | grep 'task dropped' | grep -q "$ID"
}
tap_ok "with the first one's memory again: that one is dropped" wait_for 60 dropped
tap_ok "and the second goes on" attempt_is 2
judge "two 0"
directrun_wait retries
tap_is "to its end" "$RUN_STATUS $(run_field "$RUN" .result) $(task_field "$RUN" task .attempt)" "0 success 2"
tap_is "with its own log" "$(attempt_log 2 2)" "begun
two"
tap_is "and the first one's is what it was" "$(attempt_log 1 2)" begun

# --- stopped ---

directrun_start retries --branch retries
wait_for 60 attempt_begun 1 || true
judge "one 1"
tap_ok "the second attempt begins" wait_for 60 attempt_begun 2
api PUT "/users/$MILLRACE_USER/runs/$RUN/actions" '{"action_type": "stop"}' >/dev/null
tap_ok "a stop ends it" wait_for 60 run_finished "$RUN"
tap_is "for good" "$(run_field "$RUN" .result) $(status_of task) $(task_field "$RUN" task .attempt)" "stopped stopped 2"

leftovers_check "nothing is left behind"
tap_done
