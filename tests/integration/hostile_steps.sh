#!/usr/bin/env bash
# Steps that want out, and a workspace that was changed where it is stored.
. "$(dirname "$0")/../lib.sh"
leftovers_before

as_superuser() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# --- a step that wants out ---

repo out <<YAML
runs:
  - name: out
    tasks:
      - name: task
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps:
          - run: {name: sockets, tty: false, command: "find / -xdev \\\\( -name docker.sock -o -name 'millrace*.sock' -o -type s \\\\) 2>/dev/null; echo looked"}
          - run: {name: rights, tty: false, command: "grep -E 'CapEff|Seccomp:' /proc/self/status; mount -t tmpfs none /mnt 2>&1 || echo refused; mknod /w/sda b 8 0 2>&1; dd if=/w/sda of=/dev/null count=1 2>&1 | tail -n 1"}
          - run: {name: toolbox, tty: false, command: "cat /proc/1/cmdline | tr '\\\\0' ' '; t=\$(readlink /proc/1/exe || cut -d ' ' -f 1 /proc/1/cmdline); for d in /millrace* /.millrace* /run/millrace*; do [ -e \$d ] || continue; touch \$d/evil 2>/dev/null && echo written \$d; done; echo looked"}
          - run: {name: daemons, tty: false, command: "for p in 4 5 6; do nc -w 2 \$GATEWAY \$((PORT + p)) </dev/null 2>/dev/null && echo reached \$p; done; echo looked"}
          - run: {name: processes, tty: false, command: "kill -9 1; kill -STOP 1; echo alive"}
          - run: {name: bomb, tty: false, command: "b() { b | b & b; }; b 2>/dev/null; echo over"}
          - run: {name: after, tty: false, command: echo goes on}
        environment:
          GATEWAY: $(bridge_address)
          PORT: "$MILLRACE_PORT"
        task_timeout_interval: 90s
YAML
daemon_config executor "pids_limit: 200"
RUN_SECONDS=150 directrun out
tap_is "no socket of engine or executor in reach" "$(step_log "$RUN" task 0)" looked
tap_like "no right to mount" "$(step_log "$RUN" task 1)" 'refused'
tap_like "none of the engine's default capabilities added: no devices" "$(step_log "$RUN" task 1)" '(Operation not permitted|No such file|can.t open)'
tap_like "seccomp as the engine sets it" "$(step_log "$RUN" task 1)" 'Seccomp:.2'
tap_hasnt "the toolbox cannot be written to" <(step_log "$RUN" task 2) written
tap_is "the daemons' own ports are out of reach" "$(step_log "$RUN" task 3)" looked
tap_is "process 1 cannot be killed from inside" "$(step_log "$RUN" task 4)" alive
tap_like "a fork bomb ends with its task" "$(run_field "$RUN" .phase)" finished
tap_ok "the executor is well" daemon_ready executor
directrun well <<'YAML'
runs: [{name: well, tasks: [{name: task, runtime: {containers: [{image: busybox}]}, steps: [{run: "true"}]}]}]
YAML
tap_is "and works on" "$RUN_STATUS" 0

# --- a workspace that was tampered with in the store ---

repo tampered <<'YAML'
runs:
  - name: tampered
    tasks:
      - name: save
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps:
          - run: {name: makes, tty: false, command: head -c 300000 /dev/urandom >made}
          - save_to_workspace: {contents: [{source_dir: ., paths: [made]}]}
      - name: restore
        approval: true
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps: [{restore_workspace: {dest_dir: .}}, {run: "true"}]
        depends: [save]
YAML
mapfile -t objects_before < <(find "$MILLRACE_HOME/runservice/objects" -type f | sort)
directrun_start tampered
waits_for_approval() {
	[ "$(run_field "$RUN" '.tasks[] | select(.name == "restore") | .waiting_approval')" = true ]
}
tap_ok "a workspace is saved" wait_for 60 waits_for_approval
part=$(comm -13 <(printf '%s\n' "${objects_before[@]}") <(find "$MILLRACE_HOME/runservice/objects" -type f | sort) | xargs ls -S | head -n 1)
size=$(stat -c %s "$part")
as_superuser chmod u+w "$part"
printf 'XXXXXXXXXXXXXXXX' | as_superuser dd of="$part" bs=1 seek=$((size / 2)) conv=notrunc status=none
tap_ok "approved" api PUT "/users/$MILLRACE_USER/runs/$RUN/tasks/$(task_id "$RUN" restore)/actions" '{"action_type": "approve"}'
wait_for 60 run_finished "$RUN" || true
tap_is "the restore fails" "$(task_field "$RUN" restore '"\(.status) \(.steps[0].phase)"')" "failed failed"
tap_like "and says why" "$(task_field "$RUN" restore '.steps[0].error')" "of task save, step 1 .* another checksum"

leftovers_check "nothing is left behind"
tap_done
