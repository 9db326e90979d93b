#!/usr/bin/env bash
# Under fire: executor, runservice, gateway and the engine are killed again and again, at moments that come from a seed, while a step
# writes at full speed and while tasks hand workspaces on. Runs complete, each step began once, no byte is lost or doubled.
#
# SEED=n replays the same parts and pauses; SECS=n goes on with the next seeds for so long (make soak).
. "$(dirname "$0")/../lib.sh"
leftovers_before
SEED=${SEED:-$(date +%s)}
SECS=${SECS:-0}
KILLS=20
CHUNKS=20
LINES=60000 # of 70 bytes each: 4.2 MB in a chunk
PARTS=(executor runservice gateway engine)
for part in "${PARTS[@]}"; do
	at_end daemon start "$part"
done
if ! daemon pid engine >/dev/null; then
	PARTS=(executor runservice gateway)
	tap_skip "the engine is killed" "it is not one that the stack has started"
fi
# A wedged stack is seen, not waited for.
export RUN_SECONDS=600

# pause MS: not a wait for something but the time at which the next shot falls.
pause() {
	read -r -t "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))" <>"$T/nothing" || true
}
mkfifo "$T/nothing"

# shoot PART MS: it dies, and comes back after that time.
shoot() {
	daemon kill "$1" >/dev/null
	pause "$2"
	daemon start "$1" >/dev/null
	SHOTS=$((SHOTS + 1))
}

# --- a step that writes ---

definition_of_writer() {
	cat <<YAML
runs:
  - name: fire
    tasks:
      - name: writer
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps:
          - run:
              name: writes
              tty: false
              command: |
                echo began
                mkfifo /w/go
                last=0
                while [ "\$last" != end ]; do
                  read -r n </w/go || continue
                  [ "\$n" != end ] || break
                  [ "\$n" -gt "\$last" ] || continue
                  awk -v n="\$n" 'BEGIN { for (i = 1; i <= $LINES; i++) printf "%4d %8d %s\n", n, i, "the quick brown fox jumps over the lazy dog and on it runs" }'
                  last=\$n
                done
          - run: {name: after, tty: false, command: echo began}
YAML
}
chunk() {
	awk -v n="$1" -v lines="$LINES" \
		'BEGIN { for (i = 1; i <= lines; i++) printf "%4d %8d %s\n", n, i, "the quick brown fox jumps over the lazy dog and on it runs" }'
}
expected() {
	local n
	echo began
	for ((n = 1; n <= CHUNKS; n++)); do
		chunk "$n"
	done
}
# release N: returns when the step has taken it, which is after it has got rid of what it wrote before.
release() {
	wait_for 60 docker_cli exec "$CONTAINER" timeout 20 sh -c "echo $1 >/w/go"
}
fifo_is_there() {
	docker_cli exec "$CONTAINER" test -p /w/go
}

# why_not_well RUN: of a run that did not succeed, what each of its tasks says, as comments.
why_not_well() {
	local name
	[ "$(run_field "$1" .result)" != success ] || return 0
	run_field "$1" '.tasks[].name' | while read -r name; do
		task_field "$1" "$name" '"# \(.name): \(tojson)"'
		step_log "$1" "$name" setup 2>&1 | tail -n 5 | sed 's/^/# set-up log: /' || true
	done
}

# writer SEED
writer() {
	local n i order=()
	definition_of_writer | directrun_start "writer$1"
	tap_ok "seed $1: the step writes" wait_for 60 log_has "$RUN" writer 0 began
	CONTAINER=$(task_container "$RUN" writer)
	wait_for 20 fifo_is_there || true
	RANDOM=$1
	SHOTS=0
	for ((n = 1; n <= CHUNKS; n++)); do
		if ((${#order[@]} == 0)); then
			# Each part once, in another order every time.
			mapfile -t order < <(printf '%s\n' "${PARTS[@]}")
			for ((i = ${#order[@]} - 1; i > 0; i--)); do
				j=$((RANDOM % (i + 1)))
				part=${order[i]}
				order[i]=${order[j]}
				order[j]=$part
			done
		fi
		release "$n" || true
		pause $((RANDOM % 150))
		shoot "${order[0]}" $((RANDOM % 400))
		order=("${order[@]:1}")
	done
	release end || true
	wait_for 120 run_finished "$RUN" || true
	tap_ok "seed $1: $SHOTS kills" test "$SHOTS" -ge "$KILLS"
	tap_is "seed $1: the run succeeds" "$(run_field "$RUN" '"\(.phase) \(.result)"')" "finished success"
	why_not_well "$RUN"
	tap_is "seed $1: the log of $((CHUNKS * LINES * 73 / 1000000)) MB is what was written" \
		"$(step_log "$RUN" writer 0 | sha256sum)" "$(expected | sha256sum)"
	tap_is "seed $1: the next step ran once" "$(step_log "$RUN" writer 1)" began
}

# --- tasks that hand workspaces on ---

fan_out_task() {
	cat <<YAML
      - name: part $1
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps:
          - run: {name: began, tty: false, command: "echo began"}
          - restore_workspace: {dest_dir: .}
          - run: {name: makes, tty: false, command: "echo began; sha256sum -c sums >&2; head -c 3000000 /dev/urandom >made$1; sha256sum made$1 >sums$1; cat sums$1 >&2"}
          - save_to_workspace: {contents: [{source_dir: ., paths: ["made$1", "sums$1"]}]}
        depends: [root]
YAML
}
definition_of_fan_out() {
	local i
	cat <<YAML
runs:
  - name: fan out
    tasks:
      - name: root
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps:
          - run: {name: makes, tty: false, command: "echo began; head -c 20000000 /dev/urandom >big; sha256sum big >sums"}
          - save_to_workspace: {contents: [{source_dir: ., paths: ["**"]}]}
YAML
	for i in 1 2 3 4; do
		fan_out_task "$i"
	done
	cat <<'YAML'
      - name: end
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps:
          - restore_workspace: {dest_dir: .}
          - run: {name: checks, tty: false, command: "echo began; cat sums sums1 sums2 sums3 sums4 | sha256sum -c | grep -c OK"}
        depends: [part 1, part 2, part 3, part 4]
YAML
}

# fan_out SEED
fan_out() {
	local i
	definition_of_fan_out | directrun_start "fan$1"
	RANDOM=$(($1 + 1))
	SHOTS=0
	until [ "$SHOTS" -ge 10 ] || run_finished "$RUN" 2>/dev/null; do
		pause $((RANDOM % 300))
		shoot "${PARTS[RANDOM % ${#PARTS[@]}]}" $((RANDOM % 300))
	done
	wait_for 120 run_finished "$RUN" || true
	tap_is "seed $1: after $SHOTS kills the fan-out succeeds" "$(run_field "$RUN" '"\(.phase) \(.result)"')" "finished success"
	why_not_well "$RUN"
	tap_is "seed $1: its files are whole" "$(step_log "$RUN" end 1)" "began
5"
	for i in 1 2 3 4; do
		tap_is "seed $1: part $i ran once" "$(step_log "$RUN" "part $i" 0) $(step_log "$RUN" "part $i" 2 | grep -c began)" "began 1"
	done
}

echo "# SEED=$SEED"
until_ms=$(($(now_ms) + SECS * 1000))
while :; do
	writer "$SEED"
	fan_out "$SEED"
	SEED=$((SEED + 1))
	[ "$(now_ms)" -lt "$until_ms" ] || break
done
leftovers_check "nothing is left behind"
tap_done
