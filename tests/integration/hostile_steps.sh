#!/usr/bin/env bash
# Steps that want out, and secrets that want out of a step: into logs, into what the engine shows, onto disks, into the database.
. "$(dirname "$0")/../lib.sh"
leftovers_before

# --- secrets ---

SECRET='pAss-w0rd+/with=signs&more'
LINES=$'-----BEGIN KEY-----\nline-one-of-the-key\nline-two-of-the-key\n-----END KEY-----'
SHORT=xyz
OVER=w0rd+/with=signs
repo secrets <<'YAML'
runs:
  - name: secrets
    tasks:
      - name: task
        runtime: {containers: [{image: busybox}]}
        environment:
          SECRET: {from_variable: secret}
          KEY: {from_variable: key}
          OVER: {from_variable: over}
          SHORT: {from_variable: short}
        working_dir: /w
        steps:
          - run: {name: raw, tty: false, command: 'echo "raw $SECRET"; echo "over $OVER"; echo "$KEY"'}
          - run: {name: on both streams, tty: false, command: 'echo "out $SECRET"; echo "err $SECRET" >&2'}
          - run: {name: in pieces, tty: false, command: 'printf %s "pAss-w0rd+/wi"; printf "" | cat; printf %s "th=signs&more"; echo'}
          - run: {name: traced, tty: false, command: 'set -x; : "$SECRET"; true $SECRET'}
          - run: {name: with a terminal, tty: true, command: 'echo "tty $SECRET"'}
          - run: {name: encoded, tty: false, command: 'printf %s "$SECRET" | base64; printf %s "$SECRET" | od -An -tx1 | tr -d " \n"; echo'}
          - run: {name: as a file, tty: false, command: 'echo x >"/w/named-$OVER-end" 2>/dev/null || true; echo x >"/w/pAss-w0rd+"; echo done'}
          - run: {name: the environment, tty: false, command: env}
          - run: {name: process 1, tty: false, command: 'cat /proc/1/environ /proc/1/cmdline | tr "\0" "\n"; echo looked'}
          - run: {name: waits, tty: false, command: 'echo waiting; while [ ! -e /w/end ]; do sleep 0.1; done'}
          - save_to_workspace: {contents: [{source_dir: /w, paths: ["**"]}]}
          - run: {name: fails, tty: false, command: '"/no/$SECRET"'}
YAML
directrun_start secrets --var "secret=$SECRET" --var "key=$LINES" --var "over=$OVER" --var "short=$SHORT"
tap_ok "a step has secrets" wait_for 60 log_has "$RUN" task 9 waiting
CONTAINER=$(task_container "$RUN" task)

# holds TEXT FILE...: one of the secrets is in there.
holds() {
	local what=$1
	shift
	if grep -qaF -e "$SECRET" -e line-one-of-the-key -e "$OVER" "$@" 2>/dev/null; then
		tap_fail "$what" "$(grep -oaF -m 3 -e "$SECRET" -e line-one-of-the-key -e "$OVER" "$@")"
	else
		tap_pass "$what"
	fi
}
docker_cli inspect "$CONTAINER" >"$T/inspect"
holds "not in what the engine shows of the container" "$T/inspect"
as_superuser() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}
engine_pid=$(docker_cli inspect -f '{{.State.Pid}}' "$CONTAINER")
as_superuser cat "/proc/$engine_pid/environ" "/proc/$engine_pid/cmdline" >"$T/proc"
holds "not in the environment and arguments of process 1" "$T/proc"
as_superuser cp -r "$MILLRACE_HOME/executor" "$T/spool"
as_superuser chmod -R a+rX "$T/spool"
mapfile -t spooled < <(find "$T/spool" -type f)
holds "not in the executor's spool" "${spooled[@]}"
for part in gateway runservice executor; do
	curl -sS "$(daemon_url "$part")/metrics" >"$T/metrics.$part"
done
holds "not in metrics" "$T"/metrics.*
sql "$(printf 'copy (select r::text from runservice.%s r) to stdout;' runs)" >/dev/null
"$ROOT/deploy/stack/psql.sh" -qAt -c "select string_agg(format('copy %I.%I to stdout', schemaname, tablename), ';') from pg_tables where schemaname in ('gateway', 'runservice')" >"$T/copies"
"$ROOT/deploy/stack/psql.sh" -qAt -c "$(cat "$T/copies")" >"$T/dump"
tap_ok "the database is read" test -s "$T/dump"
holds "not in the database, in the clear" "$T/dump"
docker_cli exec "$CONTAINER" touch /w/end
wait_for 60 run_finished "$RUN" || true
tap_is "the last step fails as it has to" "$(task_field "$RUN" task .status)" failed

for i in setup 0 1 2 3 4 5 6 7 8 9 10 11; do
	step_log "$RUN" task "$i" >"$T/log.$i" 2>/dev/null || true
done
holds "not in any log" "$T"/log.*
tap_like "what was there is seen to have been" "$(cat "$T/log.0")" 'raw \*+'
tap_hasnt "nor in base64" "$T/log.5" "$(printf %s "$SECRET" | base64 | cut -c1-20)"
tap_hasnt "nor in hexadecimal" "$T/log.5" "$(printf %s "$SECRET" | od -An -tx1 | tr -d ' \n' | cut -c1-20)"
tap_hasnt "process 1 has none in its environment" "$T/log.8" KEY=
tap_has "and was looked at" "$T/log.8" looked
api GET "/users/$MILLRACE_USER/runs/$RUN" >"$T/run.json"
api GET "/users/$MILLRACE_USER/runs/$RUN/tasks/$(task_id "$RUN" task)" >"$T/task.json"
holds "not in what the API shows of run and task" "$T/run.json" "$T/task.json"
holds "not in the daemons' logs" "$MILLRACE_HOME"/logs/{gateway,runservice,executor}.log

# The next task on the same executor has none of it.
directrun next <<'YAML'
runs: [{name: next, tasks: [{name: task, runtime: {containers: [{image: busybox}]}, steps: [{run: {name: env, tty: false, command: "env; ls -A / /tmp /w 2>/dev/null || true"}}]}]}]
YAML
step_log "$RUN" task 0 >"$T/next.log"
holds "not in the next task" "$T/next.log"
tap_is "which ran" "$RUN_STATUS" 0

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
