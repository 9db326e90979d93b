#!/usr/bin/env bash
# shellcheck disable=SC2034 # lib.sh reads what is set here
#
# docker-compose.yml: a fan-out of six tasks on three executors, one of which is killed in the middle; then an executor on another
# host, as docs/operations.md says it. Beside the stack that the other tests use, on the same engine.
. "$(dirname "$0")/../lib.sh"
if [ -n "${SAN:-}" ]; then
	tap_skip "docker-compose" "its images hold no sanitizer's library"
	tap_done
fi
. "$ROOT/tests/lib/compose.sh"
leftovers_before
compose_new compose 3
compose_up
tap_is "three executors" "$(services executor | wc -l)" 3

# --- as a user ---

compose_user

# In Jsonnet, so that the gateway's image evaluates it. busybox has no git: the clone is made in the image that has it.
repo fan_out config.jsonnet <<'JSONNET'
local task(name, image, depends, steps) = {
  name: name,
  runtime: { containers: [{ image: image }] },
  working_dir: '/w',
  depends: depends,
  steps: steps,
};
local save(name) = { save_to_workspace: { contents: [{ source_dir: '.', paths: [name] }] } };
local restore = { restore_workspace: { dest_dir: '.' } };
local run(name, command) = { run: { name: name, tty: false, command: command } };
local parts = std.range(1, 6);
function(ctx) { runs: [{
  name: 'fan out',
  tasks:
    [task('root', 'golang', [], [{ clone: {} }, run('makes', 'echo hello >greeting'), save('greeting')])] +
    [
      task('part %d' % i, 'busybox', ['root'], [
        restore,
        run('waits', 'echo began; while [ ! -e /w/go ]; do sleep 0.1; done; cat greeting; echo %d >made%d' % [i, i]),
        save('made%d' % i),
      ])
      for i in parts
    ] +
    [task('end', 'busybox', ['part %d' % i for i in parts], [restore, run('counts', "cat made* | tr -d '\\n'")])],
}] }
JSONNET
directrun_start fan_out
all_began() {
	local i
	for i in 1 2 3 4 5 6; do
		log_has "$RUN" "part $i" 1 began || return 1
	done
}
tap_ok "six tasks run" wait_for 90 all_began
part_containers() {
	local i
	for i in 1 2 3 4 5 6; do
		task_container "$RUN" "part $i"
	done
}
executors_of() {
	part_containers | xargs -r "${DOCKER[@]}" inspect -f '{{index .Config.Labels "millrace.executor"}}' | sort | uniq -c | awk '{ print $1 }' | tr '\n' ' '
}
DOCKER=(env "DOCKER_HOST=$ENGINE" docker)
[ ! -x /usr/bin/docker ] || DOCKER=(env "DOCKER_HOST=$ENGINE" /usr/bin/docker)
tap_is "two on each of three executors" "$(executors_of)" "2 2 2 "

victim=$(services executor | head -n 1)
tap_ok "one executor is killed" docker_cli kill "$victim"
tap_ok "its tasks live on" test "$(part_containers | wc -l)" = 6
tap_ok "and docker-compose brings another in its place" compose up -d --scale executor=3
for id in $(part_containers); do
	docker_cli exec "$id" touch /w/go
done
wait_for 120 run_finished "$RUN" || true
tap_is "the run ends as its definition says" "$(run_field "$RUN" '"\(.phase) \(.result)"')" "finished success"
tap_is "with what every part made" "$(step_log "$RUN" end 1)" 123456
for i in 1 2 3 4 5 6; do
	tap_is "part $i ran once" "$(step_log "$RUN" "part $i" 1)" "began
hello"
done

# --- an executor on another host ---

NET=millrace-$$
name=elsewhere-$$
# On the server: a key for it. The runservice finds it when it is needed.
(umask 077 && openssl rand -hex 32 >"$HOME_DIR/secrets/executors/$name.key")
chown --reference="$HOME_DIR/secrets/master-key" "$HOME_DIR/secrets/executors/$name.key"
# On the other host: that key, the certificate, the two binaries, a configuration.
far=$T/other-host
mkdir -p "$far"
cp "$HOME_DIR/secrets/executors/$name.key" "$far/key"
cp "$HOME_DIR/secrets/tls-cert.pem" "$far/ca.pem"
cat >"$far/executor.yml" <<YAML
id: $name
key_file: $far/key
runservice: tls+tcp://$ADDRESS:$((PORT + 5))
tls_ca: $far/ca.pem
tls_server_name: runservice
objects_ca: $far/ca.pem
engine: $ENGINE
toolbox: $BIN/millrace-toolbox
spool_dir: $far/spool
$STACK_REWRITES
YAML
as_superuser() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}
# Its network: nothing but a cable to this machine.
as_superuser ip netns add "$NET"
at_end as_superuser ip netns del "$NET"
veth=mr$$
as_superuser ip link add "$veth" type veth peer name eth0 netns "$NET"
as_superuser ip addr add 10.213.7.1/30 dev "$veth"
as_superuser ip link set "$veth" up
as_superuser ip -n "$NET" addr add 10.213.7.2/30 dev eth0
as_superuser ip -n "$NET" link set eth0 up
as_superuser ip -n "$NET" route add default via 10.213.7.1
compose stop executor >/dev/null 2>&1
as_superuser nsenter "--net=/run/netns/$NET" "$BIN/millrace-executor" --config "$far/executor.yml" >"$T/far.log" 2>&1 </dev/null &
at_end as_superuser pkill -f "$far/executor.yml"
tap_ok "an executor on another host registers" wait_for 30 file_has "$T/far.log" 'msg="registered"'
directrun far <<'YAML'
runs:
  - name: far
    tasks:
      - name: makes
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps:
          - run: {name: makes, tty: false, command: echo from afar >made}
          - save_to_workspace: {contents: [{source_dir: ., paths: [made]}]}
      - name: shows
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps: [{restore_workspace: {dest_dir: .}}, {run: {name: shows, tty: false, command: cat made}}]
        depends: [makes]
YAML
tap_is "and runs tasks" "$RUN_STATUS$([ "$RUN_STATUS" = 0 ] || tail -n 20 "$T/far.err" "$T/far.out" "$T/far.log")" 0
tap_is "with workspaces through the runservice" "$(step_log "$RUN" shows 1)" "from afar"
tap_like "on itself" "$(step_log "$RUN" shows setup)" "Executor $name"
as_superuser pkill -f "$far/executor.yml"

# A stranger with a key that the runservice does not have.
openssl rand -hex 32 >"$far/key"
as_superuser nsenter "--net=/run/netns/$NET" timeout 5 "$BIN/millrace-executor" --config "$far/executor.yml" >"$T/stranger.log" 2>&1 || true
tap_hasnt "a wrong key is not let in" "$T/stranger.log" 'msg="registered"'

# --- down ---

tap_ok "down" in_compose "$ROOT/deploy/compose/down.sh" --purge
EXECUTOR_ID=$name ENGINE=$ENGINE LOGS=$T bash -c '. "$0/deploy/stack/lib.sh"; . "$0/deploy/stack/engine.sh"; engine_sweep' "$ROOT"
tap_is "nothing is left of it" "$(compose_left "$name")" ""
leftovers_check "the other stack's executor was left alone"
tap_done
