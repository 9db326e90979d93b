#!/usr/bin/env bash
# Whoever watches: metrics as docs/operations.md and the dashboard name them, phases of a run, what waits for what, logs with ids.
. "$(dirname "$0")/../lib.sh"
DOCS=$ROOT/docs/operations.md

as_admin() {
	curl -sS -m 10 -H "Authorization: token $MILLRACE_ADMIN_TOKEN" "$@"
}
# state DAEMON JQ: a value of its /debug/state.
state() {
	as_admin "$(daemon_url "$1")/debug/state" | jq -r "$2"
}
state_is() {
	[ "$(state "$1" "$2")" = "$3" ]
}

directrun watched <<'YAML'
runs:
  - name: watched
    tasks:
      - name: makes
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps:
          - run: {name: makes, tty: false, command: echo seen >made}
          - save_to_workspace: {contents: [{source_dir: ., paths: [made]}]}
YAML
tap_is "a run succeeds" "$RUN_STATUS" 0
run_uid=$(curl -sS "$(daemon_url runservice)/debug/state" | jq -r .replica)
tap_like "the runservice says who it is" "$run_uid" '^[0-9a-f-]{36}$'

# --- metrics ---

# documented DAEMON: the names of the table; exposed DAEMON: those it answers with.
documented() {
	awk -F'|' -v of="$1" '$2 ~ /^ `millrace_[a-z_]*({[a-z]*})?` $/ && index(", " substr($3, 2, length($3) - 2) ", ", ", " of ", ") {
		gsub(/[ `]|{.*}/, "", $2); print $2 }' "$DOCS" | sort
}
exposed() {
	curl -sS -m 5 "$(daemon_url "$1")/metrics" | awk '/^# TYPE/ { print $3 }' | sort
}
for daemon in gateway runservice executor; do
	tap_ok "$daemon: /healthz" curl -fsS -m 5 "$(daemon_url "$daemon")/healthz"
	tap_ok "$daemon: /readyz" daemon_ready "$daemon"
	tap_is "$daemon: its metrics are those of the documentation" "$(exposed "$daemon")" "$(documented "$daemon")"
done
for phase in gateway:intake runservice:queue runservice:dispatch executor:pull executor:create executor:start executor:step executor:upload; do
	tap_not "${phase#*:} was measured" test \
		"$(metric "${phase%:*}" "millrace_phase_seconds_count{phase=\"${phase#*:}\"}")" = 0
done
tap_is "every phase is documented" \
	"$(awk -F '[|\x60]' '/^[|] phase [|] of /, /^$/ { if ($3 ~ /^[a-z]+$/) print $3 }' "$DOCS" | sort | tr '\n' ' ')" \
	"$(for daemon in gateway runservice executor; do curl -sS "$(daemon_url "$daemon")/metrics"; done |
		grep -oE 'millrace_phase_seconds_count{phase="[a-z]+' | sed 's/.*"//' | sort -u | tr '\n' ' ')"
tap_ok "the dashboard is JSON" jq -e '.panels | length > 10' "$ROOT/deploy/grafana/millrace.json"
tap_is "it names no metric that is not there" "$(jq -r '.panels[].targets[].expr' "$ROOT/deploy/grafana/millrace.json" |
	grep -oE 'millrace_[a-z_]+' | sed -E 's/_(bucket|sum|count)$//' | sort -u |
	comm -23 - <({ exposed gateway; exposed runservice; exposed executor; } | sort -u))" ""
tap_is "and every metric is on it" "$({ exposed gateway; exposed runservice; exposed executor; } | sort -u |
	comm -23 - <(jq -r '.panels[].targets[].expr' "$ROOT/deploy/grafana/millrace.json" |
		grep -oE 'millrace_[a-z_]+' | sed -E 's/_(bucket|sum|count)$//' | sort -u))" ""

# --- who waits for what ---

tap_ok "the executor's poll is held" wait_for 10 state_is runservice .executors.polls_held 1
directrun_start waits <<'YAML'
runs:
  - name: waits
    tasks:
      - name: goes on
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps: [{run: {name: goes on, tty: false, command: "echo begun; while [ ! -e /stop ]; do sleep 0.1; done"}}]
      - name: nowhere
        runtime: {arch: arm64, containers: [{image: busybox}]}
        working_dir: /w
        steps: [{run: "true"}]
YAML
wait_for 60 log_has "$RUN" "goes on" 0 begun
id=$(task_id "$RUN" "goes on")
elsewhere=$(task_id "$RUN" nowhere)
tap_is "a waiting task, with the reason" "$(state runservice ".waiting.list[] | select(.task == \"$elsewhere\") | .reason")" \
	"no connected executor has the architecture arm64"
tap_is "a lease" "$(state runservice ".attempts.list[] | select(.task == \"$id\") | .place, .executor")" "held
$MILLRACE_EXECUTOR"
tap_is "what the executor waits for" "$(state executor ".tasks[] | select(.task == \"$id\") | .at, .waits_for, .step.index")" "steps
the step
0"
tap_like "the lease's rest" "$(state executor ".tasks[] | select(.task == \"$id\") | .lease_ends_in_ms")" '^[0-9]+$'
tap_is "the run is named everywhere" "$(state executor ".tasks[] | select(.task == \"$id\") | .run")" \
	"$(state runservice ".attempts.list[] | select(.task == \"$id\") | .run")"
uid=$(state executor ".tasks[] | select(.task == \"$id\") | .run")
as_admin -N "$MILLRACE_URL/api/v1alpha/users/$MILLRACE_USER/runs/$RUN/tasks/$id/logs?follow&step=0" >/dev/null 2>&1 &
follower=$!
at_end kill "$follower"
tap_ok "a follower of its log" wait_for 10 state_is gateway .log_followers 1
tap_ok "seen by the runservice, too" wait_for 10 state_is runservice ".logs.list[] | select(.task == \"$id\") | .followed" true
tap_is "and its open request" "$(state gateway '[.http.list[].route | select(endswith("/logs"))] | length')" 1
run_end "$RUN"

# code [CURL OPTION...]: the status of the gateway's dump.
code() {
	curl -sS -o /dev/null -w '%{http_code}' "$@" "$MILLRACE_URL/debug/state"
}
tap_is "the gateway's state is not for everybody" "$(code)" 401
tap_is "nor for a user" "$(code -H "Authorization: token $MILLRACE_TOKEN")" 403
tap_is "but for an administrator" "$(code -H "Authorization: token $MILLRACE_ADMIN_TOKEN")" 200

# signalled DAEMON: SIGUSR1 made it write its state.
signalled() {
	grep '^{' "$MILLRACE_HOME/logs/$1.log" | tail -n 1 | jq -r .daemon 2>/dev/null | grep -qx "millrace-$1"
}
for daemon in gateway runservice executor; do
	kill -USR1 "$(daemon pid "$daemon")"
	tap_ok "SIGUSR1: $daemon writes its state" wait_for 10 signalled "$daemon"
done

# --- logs ---

tap_ok "a run's lines of the executor name it" grep -q "msg=\"task accepted\" run=$uid task=$id " "$MILLRACE_HOME/logs/executor.log"
tap_is "no line about a task lacks its run" "$(grep -E ' task=[0-9a-f-]{36}' "$MILLRACE_HOME/logs/executor.log" | grep -v ' run=' || true)" ""
tap_ok "and those of the runservice" grep -q "msg=\"run\" run=$uid " "$MILLRACE_HOME/logs/runservice.log"

# --- systemd ---

if command -v systemd-analyze >/dev/null; then
	mkdir "$T/units"
	for daemon in gateway runservice executor; do
		sed "s|/usr/bin/millrace-|$BIN/millrace-|" "$ROOT/deploy/systemd/millrace-$daemon.service" >"$T/units/millrace-$daemon.service"
	done
	tap_is "systemd reads the units" "$(systemd-analyze --man=no verify "$T"/units/*.service 2>&1 | grep -F "millrace-" || true)" ""
else
	tap_skip "systemd reads the units" "systemd-analyze is not here"
fi
tap_done
