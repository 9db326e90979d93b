#!/usr/bin/env bash
# Containers that are started ahead: a second run begins in one, each serves one task and is gone after it, another image by the same name
# is noticed, kill -9 of the executor leaves none and loses no run, and while they wait the executor makes no call of the engine.
. "$(dirname "$0")/../lib.sh"
leftovers_before
at_end daemon start executor
mkfifo "$T/nothing"

# An image of the test's own, which can change behind its name.
IMAGE=localhost:1/millrace-warm-test:1
at_end docker_cli image rm -f "$IMAGE" "$IMAGE-second"
image_make() {
	local id
	id=$(docker_cli create "$BASE" true)
	docker_cli commit --change "ENV VERSION=$1" "$id" "$IMAGE" >/dev/null
	docker_cli rm "$id" >/dev/null
}
BASE=$(docker_cli image ls -q millrace/base | head -n 1)
if [ -z "$BASE" ]; then
	BASE=busybox
	docker_cli pull -q "$BASE" >/dev/null
fi
image_make first

definition() {
	cat <<YAML
runs:
  - name: $1
    tasks:
      - name: task
        environment: {SECRETLY: of $1}
        runtime: {containers: [{image: "$IMAGE"${2:-}}]}
        working_dir: /w
        steps:
          - run:
              name: works
              tty: false
              command: |
                echo "in \$(hostname) version \$VERSION, \$SECRETLY, found \$(ls -A /w) \$(cat /tmp/mark 2>/dev/null)."
                echo mark >/w/mark; echo mark >/tmp/mark
YAML
}
waiting() {
	docker_cli ps -q --filter label=millrace.role=warm --filter "label=millrace.executor=$MILLRACE_EXECUTOR" | sort
}
waiting_all() {
	docker_cli ps -aq --filter label=millrace.role=warm --filter "label=millrace.executor=$MILLRACE_EXECUTOR" | sort
}
ready() {
	[ "$(metric executor millrace_executor_warm_containers)" = "$1" ] && [ "$(waiting | wc -l)" = "$1" ]
}
nothing_waits() {
	[ -z "$(waiting_all)" ]
}
gone() {
	! docker_cli inspect "$1" >/dev/null 2>&1
}
# ran_in NUMBER: the container whose step 0 spoke.
ran_in() {
	step_log "$1" task 0 | sed -n 's/^in \([0-9a-f]*\) .*/\1/p'
}
# Counts of its phases: pulled, created, started, steps, found ones.
phases() {
	local phase
	for phase in pull create start step; do
		metric executor "millrace_phase_seconds_count{phase=\"$phase\"}"
	done
	metric executor 'millrace_executor_warm_total{found="yes"}'
}
setup_says() {
	step_log "$RUN" task setup >"$T/setup.log"
	tap_has "$1" "$T/setup.log" "$2"
}

# --- the keys are checked ---

check_config() {
	cp -p "$MILLRACE_HOME/conf/executor.yml" "$T/check.yml"
	sed -i '/^warm_/d' "$T/check.yml"
	printf '%s\n' "$@" >>"$T/check.yml"
	"$BIN/millrace-executor" --config "$T/check.yml" --check-config 2>&1
}
tap_ok "the keys are accepted" check_config "warm_containers: 3" "warm_age: 90s" "warm_free_memory: 0"
for bad in "warm_containers: -1" "warm_containers: 65" "warm_containers: some" "warm_age: 0s" "warm_age: 48h" "warm_free_memory: -1"; do
	out=$(check_config "$bad" || true)
	tap_like "refused: $bad" "$out" "check.yml:[0-9]+:[0-9]+: .*${bad%%:*}"
done

# --- a second run begins in one ---

daemon_config executor "warm_containers: 2" "warm_age: 120s" "warm_free_memory: 0"
definition one | directrun one
tap_is "a run" "$RUN_STATUS" 0
setup_says "its container was started for it" "Starting container 0"
first=$(ran_in "$RUN")
tap_is "which was measured" "$(phases | xargs)" "1 1 1 1 0"
tap_ok "one is started ahead after it" wait_for 30 ready 1
ahead=$(waiting)
docker_cli inspect "$ahead" >"$T/ahead.json"
tap_is "it bears our labels, and no task's" "$(jq -rc '.[0].Config.Labels | [.millrace, ."millrace.executor", ."millrace.task"]' "$T/ahead.json")" \
	"[\"1\",\"$MILLRACE_EXECUTOR\",null]"

phases >"$T/phases"
definition two | directrun two
tap_is "a second run" "$RUN_STATUS" 0
tap_is "it had an image and a step, but nothing was created or started for it" \
	"$(phases | paste - "$T/phases" | awk '{ print $1 - $2 }' | xargs)" "1 0 0 1 1"
setup_says "its container was there" "was started ahead"
tap_is "it is the one that waited" "$(ran_in "$RUN")" "${ahead:0:12}"
tap_like "nothing of the first is in it" "$(step_log "$RUN" task 0)" "version first, of two, found  \\."
tap_ok "it is gone with its task" wait_for 20 gone "$ahead"
tap_ok "the first run's was gone, too" gone "$first"
tap_ok "another one waits" wait_for 30 ready 1
ahead=$(waiting)
definition three | directrun three
three=$(ran_in "$RUN")
tap_is "a third run is in that one" "$three" "${ahead:0:12}"
tap_ok "which goes with it, too" wait_for 20 gone "$three"
tap_ok "now two wait: the image is used often" wait_for 30 ready 2

# --- its settings ---

definition tmpfs ', volumes: [{path: /t, tmpfs: {size: 1Mi}}]' | directrun tmpfs
tap_is "a container with a tmpfs" "$RUN_STATUS" 0
setup_says "is made for its task" "Starting container 0"

# --- both at once ---

{
	definition both
	definition both | sed -n '/- name: task/,$p' | sed 's/name: task/name: other/'
} | directrun both
tap_is "two tasks at once" "$RUN_STATUS" 0
tap_not "never share one" test "$(ran_in "$RUN")" = "$(step_log "$RUN" other 0 | sed -n 's/^in \([0-9a-f]*\) .*/\1/p')"

# --- while they wait ---

tap_ok "two wait" wait_for 30 ready 2
read -r -t 2 <>"$T/nothing" || true
strace -f -qq -e trace=connect,sendto,write,writev,sendmsg -s 200 -o "$T/calls" -p "$(daemon pid executor)" 2>/dev/null &
tracer=$!
at_end kill "$tracer"
read -r -t 10 <>"$T/nothing" || true
kill "$tracer" 2>/dev/null || true
wait "$tracer" 2>/dev/null || true
tap_is "the engine is not called" "$(grep -cE 'connect\(|HTTP/1\.1' "$T/calls" || true)" 0

# --- another image by the same name ---

before=$(waiting)
image_make second
definition second | directrun second
tap_is "a run after the name was given to another image" "$RUN_STATUS" 0
tap_like "is in that image" "$(step_log "$RUN" task 0)" "version second,"
setup_says "in a container of its own" "Starting container 0"
for one in $before; do
	tap_ok "one of the old image is gone" wait_for 20 gone "$one"
done
tap_ok "and those of the new image wait" wait_for 30 ready 2
definition again | directrun again
tap_like "where the next run begins" "$(step_log "$RUN" task 0)" "version second,"
setup_says "at once" "was started ahead"

# --- kill -9 ---

tap_ok "two wait again" wait_for 30 ready 2
before=$(waiting)
daemon kill executor
daemon start executor
for one in $before; do
	tap_ok "killed: what waited is gone" wait_for 20 gone "$one"
done
tap_ok "killed: nothing is left" wait_for 20 nothing_waits

definition warm_up | directrun warm_up
tap_ok "one waits" wait_for 30 ready 1
ahead=$(waiting)
definition held | sed 's|echo mark >/w/mark.*|touch /w/began; while [ ! -e /w/end ]; do sleep 0.1; done; echo ended|' >"$T/held.yml"
directrun_start held --follow <"$T/held.yml" || true
began() {
	docker_cli exec "$ahead" test -e /w/began
}
tap_ok "a step runs in one" wait_for 30 began
daemon kill executor
docker_cli exec "$ahead" touch /w/end
daemon start executor
wait_for 60 run_finished "$RUN" || true
tap_is "killed in its step: the run succeeds" "$(run_field "$RUN" '"\(.phase) \(.result)"')" "finished success"
tap_is "and its log is whole" "$(step_log "$RUN" task 0 | grep -cE '^(in|ended)')" 2
tap_ok "and its container is gone" wait_for 20 gone "$ahead"

# --- the end ---

definition last | directrun last
tap_ok "one waits" wait_for 30 ready 1
daemon stop executor
tap_ok "stopped: what waits leaves by itself" wait_for 20 nothing_waits
daemon_config executor "warm_containers: 0"
leftovers_check "nothing is left behind"
tap_done
