#!/usr/bin/env bash
# Planted secrets are nowhere but in the environment of the steps that name them. Every place is searched for them in all their forms, also in what is
# compressed or encoded (tests/tools/planted.c), and in the same way for a control value that may be there and is found first: so the search sees.
. "$(dirname "$0")/../lib.sh"
leftovers_before
PLANTED=$BIN/../tests/planted

as_superuser() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

TOKEN='tOk3n+/wi?th=signs&a"quote'
KEY=$'-----BEGIN KEY-----\nl1ne-one-of-the-key\nl1ne-two-of-the-key\n-----END KEY-----'
OVER='wi?th=signs'
CONTROL=c0ntrol-of-the-search
umask 077
printf '%s\n' "$TOKEN" "$OVER" l1ne-one-of-the-key l1ne-two-of-the-key >"$T/secrets"
printf '%s\n' "$CONTROL" >"$T/control"

# --- the search itself ---

url() {
	printf %s "$1" | od -An -v -tx1 | tr -d '\n' | sed 's/ /%/g'
}
mkdir "$T/forms"
printf 'raw %s.' "$TOKEN" >"$T/forms/raw"
for before in '' x xx; do
	printf %s "$before$TOKEN" | base64 -w 0 >"$T/forms/base64$before"
	printf %s "$before$TOKEN" | base64 -w 0 | tr +/ -_ >"$T/forms/base64url$before"
done
printf %s "$TOKEN" | od -An -v -tx1 | tr -d ' \n' >"$T/forms/hex"
tr a-f A-F <"$T/forms/hex" >"$T/forms/HEX"
url "$TOKEN" >"$T/forms/url"
printf %s "${TOKEN}" | sed 's/+/%2B/g; s,/,%2F,g; s/?/%3F/g; s/=/%3D/g; s/&/%26/g; s/"/%22/g' >"$T/forms/few"
printf '%s' "$TOKEN" | jq -Rs . >"$T/forms/json"
printf %s "$TOKEN" | gzip >"$T/forms/gzip"
{ head -c 1000 /dev/urandom && printf 'x%s' "$TOKEN" | base64 -w 0 | gzip; } | od -An -v -tx1 | tr -d ' \n' | sed 's/^/\\\\x/' >"$T/forms/dump"
for form in "$T"/forms/*; do
	tap_ok "the search finds what is in ${form##*/}" "$PLANTED" "$T/secrets" "$form"
done
printf 'nothing here' >"$T/nothing"
tap_not "and nothing where nothing is" "$PLANTED" "$T/secrets" "$T/nothing"

# nowhere CONTROL_FILE WHAT PATH...: the control is found in there, and no secret is.
nowhere() {
	local control=$1 what=$2 status=0 out
	shift 2
	if ! "$PLANTED" "$control" "$@" >"$T/found" 2>&1; then
		tap_fail "$what" "the control is not found, so this says nothing: $(cat "$T/found")"
		return 0
	fi
	out=$("$PLANTED" "$T/secrets" "$@" 2>&1) || status=$?
	if [ "$status" = 1 ]; then
		tap_pass "$what"
	else
		tap_fail "$what" "$(head -n 5 <<<"$out")"
	fi
}

# --- a run with secrets in some of its steps ---

# Its commands know parts of the secrets only.
sed "s/@CONTROL@/$CONTROL/" <<'YAML' | repo planted
runs:
  - name: planted @CONTROL@
    tasks:
      - name: task
        runtime:
          containers:
            - {image: busybox, environment: {CONTROL: @CONTROL@}}
            - {image: busybox, environment: {CONTROL: @CONTROL@, SERVICE: {from_variable: over}}, entrypoint: sleep 1000}
        working_dir: /w
        steps:
          - run:
              name: raw
              tty: false
              environment: &named {TOKEN: {from_variable: token}, KEY: {from_variable: key}, OVER: {from_variable: over}}
              command: 'echo "$CONTROL"; echo "raw $TOKEN"; echo "over $OVER"; echo "$KEY"'
          - run: {environment: *named, tty: false, name: both streams, command: 'echo "out $TOKEN"; echo "err $TOKEN" >&2'}
          - run: {environment: *named, tty: false, name: two writes, command: 'rest=${TOKEN#?????????}; printf %s "${TOKEN%"$rest"}"; printf "" | cat; printf %s "$rest"; echo'}
          - run: {environment: *named, tty: false, name: traced, command: 'set -x; : "$TOKEN"; true $TOKEN'}
          - run: {environment: *named, tty: true, name: terminal, command: 'echo "tty $TOKEN"'}
          - run: {environment: *named, tty: false, name: base64, command: 'for b in "" x xx; do printf %s "$b$TOKEN" | base64; done; printf %s "$TOKEN" | base64 | tr +/ -_'}
          - run: {environment: *named, tty: false, name: hexadecimal, command: 'h=$(printf %s "$TOKEN" | od -An -v -tx1 | tr -d " \n"); echo "$h"; echo "$h" | tr a-f A-F'}
          - run:
              environment: *named
              tty: false
              name: percent
              command: |
                printf %s "$TOKEN" | od -An -v -tx1 | tr -d '\n' | sed 's/ /%/g'; echo
                printf %s "$TOKEN" | sed 's/+/%2B/g; s,/,%2F,g; s/?/%3F/g; s/=/%3D/g; s/&/%26/g; s/"/%22/g'; echo
          - run:
              environment: *named
              tty: false
              name: json
              command: printf '"%s"\n' "$TOKEN" | sed 's/a"q/a\\"q/'
          - run: {environment: *named, tty: false, name: environment, command: env}
          - run:
              name: names none
              tty: false
              command: |
                printf '%s%s\n' tOk3 n+/wi >/w/parts; printf '%s%s\n' l1ne-o ne-of >>/w/parts
                printf '%s\n' "$CONTROL" >/w/control; echo "$CONTROL" >/w/seen
                look() {
                  for f in /proc/[0-9]*/environ /proc/[0-9]*/cmdline; do cat $f 2>/dev/null || true; done | tr '\0' '\n' | grep -c -F -f $1 >/w/n || true; echo "$2 in processes: $(cat /w/n)"
                  find / -xdev -type f ! -path '/proc/*' ! -path '/sys/*' ! -path /w/parts ! -path /w/control -exec grep -l -F -f $1 {} + 2>/dev/null | grep -c . >/w/n || true; echo "$2 in files: $(cat /w/n)"
                  for f in /dev/shm /run /tmp; do grep -rlF -f $1 $f 2>/dev/null || true; done | grep -c . >/w/n || true; echo "$2 in memory: $(cat /w/n)"
                }
                look /w/parts secret; cp /w/seen /dev/shm/seen; look /w/control control; rm -f /w/parts
          - run:
              environment: *named
              tty: false
              name: waits
              command: |
                sh -c 'while [ ! -e /w/end ]; do sleep 0.1; done' "$CONTROL" &
                echo waiting; while [ ! -e /w/go ]; do sleep 0.1; done
                echo "late $TOKEN $CONTROL-late"; while [ ! -e /w/end ]; do sleep 0.1; done
          - save_to_workspace: {contents: [{source_dir: /w, paths: ["**"]}]}
          - run: {environment: *named, tty: false, name: fails, command: '"/no/$CONTROL/$TOKEN"'}
YAML
jq -n --arg token "$TOKEN" --arg key "$KEY" --arg over "$OVER" '{token: $token, key: $key, over: $over}' >"$T/vars.json"
directrun_start planted --var-file "$T/vars.json"
tap_ok "a step that names secrets runs" wait_for 90 log_has "$RUN" task 11 waiting
TASK=$(task_id "$RUN" task)
if run_finished "$RUN"; then
	task_field "$RUN" task '.steps[] | "# \(.name) \(.phase) \(.exit_status) \(.error)"'
	for i in setup 0 1 2 3 4 5 6 7 8 9 10 11; do
		step_log "$RUN" task "$i" 2>/dev/null | sed "s/^/# $i: /" || true
	done
fi
docker_cli ps -aq --no-trunc --filter "label=millrace.task=$TASK" >"$T/containers"
mapfile -t CONTAINERS <"$T/containers"
tap_is "in two containers" "${#CONTAINERS[@]}" 2
printf '%s\n' "$TASK" >"$T/task-id"

mkdir "$T/inspect"
for c in "${CONTAINERS[@]}"; do
	docker_cli inspect "$c" >"$T/inspect/$c"
done
docker_cli events --since 10m --until 0s --format '{{json .}}' >"$T/inspect/events"
nowhere "$T/task-id" "not in what the engine shows of containers and events" "$T/inspect"

# --- processes of the whole machine ---

MAIN=$(task_container "$RUN" task)
INIT=$(docker_cli inspect -f '{{.State.Pid}}' "$MAIN")
docker_cli top "$MAIN" -o pid | awk -v init="$INIT" 'NR > 1 && $1 != init { print $1 }' >"$T/of-the-step"
mkdir "$T/cmdline" "$T/environ" "$T/named"
for dir in /proc/[0-9]*; do
	pid=${dir#/proc/}
	as_superuser cat "$dir/cmdline" >"$T/cmdline/$pid" 2>/dev/null || continue
	if grep -qx "$pid" "$T/of-the-step"; then
		as_superuser cat "$dir/environ" >"$T/named/$pid" 2>/dev/null || true
	else
		as_superuser cat "$dir/environ" >"$T/environ/$pid" 2>/dev/null || true
	fi
done
printf '%s\n' "$OVER" >"$T/over"
printf '%s\n' "$TOKEN" l1ne-one-of-the-key >"$T/only-named"
tap_ok "the processes of the step that names them have them" "$PLANTED" "$T/only-named" "$T/named"
nowhere "$T/control" "not in the arguments of any process" "$T/cmdline"
tap_ok "a service container has what it names" "$PLANTED" "$T/over" "$T/environ"
cp "$T/secrets" "$T/all-secrets"
cp "$T/only-named" "$T/secrets"
nowhere "$T/control" "not in the environment of any other process" "$T/environ"
cp "$T/all-secrets" "$T/secrets"

# --- what the daemons tell about themselves meanwhile ---

for part in gateway runservice executor; do
	curl -sS -m 10 -H "Authorization: token $MILLRACE_ADMIN_TOKEN" "$(daemon_url "$part")/debug/state" >"$T/state.$part"
done
printf '"log_followers"\n' >"$T/word"
nowhere "$T/word" "not in the gateway's state" "$T/state.gateway"
nowhere "$T/task-id" "not in the runservice's state" "$T/state.runservice"
nowhere "$T/task-id" "not in the executor's state" "$T/state.executor"

# --- what lies on disks while the run goes on ---

dump() {
	local table
	mkdir -p "$T/dump.$1"
	sql "select schemaname || '.' || tablename from pg_tables where schemaname in ('gateway', 'runservice')" >"$T/tables"
	while read -r table; do
		sql "copy $table to stdout" >"$T/dump.$1/$table"
	done <"$T/tables"
}
dump running
nowhere "$T/control" "not in the stored definition" "$T/dump.running/runservice.definitions"
sql "select version from runservice.run_variables limit 1" >"$T/version"
nowhere "$T/version" "not where secrets are stored" "$T/dump.running/runservice.secret_versions"
sql "select run_id from runservice.run_variables limit 1" >"$T/run-id"
nowhere "$T/run-id" "not in events" "$T/dump.running/runservice.events"
nowhere "$T/control" "not in any table" "$T/dump.running"

# The runservice is away, so that the executor keeps what the step writes.
printf '%s\n' "$CONTROL-late" >"$T/late"
spool_has() {
	rm -rf "$T/spool"
	as_superuser cp -r "$MILLRACE_HOME/executor" "$T/spool" 2>/dev/null || true
	as_superuser chmod -R a+rX "$T/spool"
	"$PLANTED" "$T/late" "$T/spool" >/dev/null
}
at_end daemon start runservice
daemon stop runservice
docker_cli exec "$MAIN" touch /w/go
wait_for 30 spool_has || true
nowhere "$T/late" "not in the executor's spool" "$T/spool"
daemon start runservice
docker_cli exec "$MAIN" touch /w/end
wait_for 90 run_finished "$RUN" || true

# --- what is left of it ---

tap_is "the last step fails as it has to" "$(task_field "$RUN" task .status)" failed
mkdir "$T/logs"
for i in setup 0 1 2 3 4 5 6 7 8 9 10 11 12 13; do
	step_log "$RUN" task "$i" >"$T/logs/$i" 2>/dev/null || true
done
nowhere "$T/control" "not in any log" "$T/logs"
tap_like "where they were, it is seen that they were" "$(cat "$T/logs/0")" 'raw \*+'
for i in 1 2 3 4 5 6 7 8 9 11 13; do
	tap_ok "log $i was written and masked" grep -q '\*\*\*' "$T/logs/$i"
done
tap_has "a step that does not name them has them in no process" "$T/logs/10" "secret in processes: 0"
tap_has "in no file" "$T/logs/10" "secret in files: 0"
tap_has "and in no memory that is a file" "$T/logs/10" "secret in memory: 0"
tap_like "where its search finds a control" "$(grep control "$T/logs/10" | tr '\n' ' ')" 'processes: [1-9][0-9]* .*files: [1-9][0-9]* .*memory: [1-9]'

mkdir "$T/objects"
as_superuser cp -r "$MILLRACE_HOME/runservice/objects" "$T/objects/"
as_superuser chmod -R a+rX "$T/objects"
nowhere "$T/control" "not in the object store: logs and workspaces" "$T/objects"
"$PLANTED" "$T/control" "$T/objects" >"$T/found"
tap_has "where the control is compressed" "$T/found" zstd
dump finished
nowhere "$T/control" "not in the database after the run" "$T/dump.finished"
nowhere "$T/control" "not in the history of runs" "$T/dump.finished/runservice.history"
mkdir "$T/api"
run_get "$RUN" >"$T/api/run"
api GET "/users/$MILLRACE_USER/runs/$RUN/tasks/$TASK" >"$T/api/task"
api GET "/users/$MILLRACE_USER/runs" >"$T/api/runs"
nowhere "$T/control" "not in what the API shows, errors included" "$T/api"
cp "$T/planted.out" "$T/planted.err" "$T/api/"
nowhere "$T/control" "not in what the command line says" "$T/api"
for part in gateway runservice executor; do
	curl -sS "$(daemon_url "$part")/metrics" >"$T/metrics"
	printf 'millrace_\n' >"$T/word"
	nowhere "$T/word" "not in the metrics of the $part" "$T/metrics"
	printf 'msg="started"\n' >"$T/word"
	nowhere "$T/word" "not in the log of the $part" "$MILLRACE_HOME/logs/$part.log"
done

# The next task on the same executor has none of it.
directrun next <<YAML
runs: [{name: next, tasks: [{name: task, runtime: {containers: [{image: busybox}]}, environment: {CONTROL: $CONTROL}, steps: [{run: {name: env, tty: false, command: "env; ls -A / /tmp /w 2>/dev/null || true"}}]}]}]
YAML
step_log "$RUN" task 0 >"$T/next.log"
nowhere "$T/control" "not in the next task" "$T/next.log"
tap_is "which ran" "$RUN_STATUS" 0

leftovers_check "nothing is left behind"
tap_done
