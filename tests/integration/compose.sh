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
leftovers_before
STACK_HOME=$MILLRACE_HOME
STACK_REWRITES=$(sed -n '/^images:/,$p' "$STACK_HOME/conf/executor.yml")

# The deployment has its own directory and ports.
HOME_DIR=$STACK_HOME/compose
PORT=$((MILLRACE_PORT + 1000))
# The engine's bridge is an address that containers and other network namespaces reach alike.
ADDRESS=$(bridge_address)
in_compose() {
	MILLRACE_HOME=$HOME_DIR MILLRACE_PORT=$PORT MILLRACE_LISTEN=$ADDRESS MILLRACE_EXECUTORS=3 DOCKER_HOST=$ENGINE "$@"
}
# The environment goes before the file, and here it holds the other stack's settings.
compose() {
	(cd "$ROOT" && env -i "PATH=$PATH" "HOME=$T" "DOCKER_HOST=$ENGINE" docker-compose --env-file "$HOME_DIR/env" "$@")
}
mkdir -p "$HOME_DIR/extra"
printf 'tasks: 2\n%s\n' "$STACK_REWRITES" >"$HOME_DIR/extra/executor.yml"
if [ -s "$HOME_DIR/env" ]; then
	in_compose "$ROOT/deploy/compose/down.sh" --purge >/dev/null 2>&1 || true
fi
tap_ok "make compose prepares everything" in_compose "$ROOT/deploy/compose/setup.sh"
at_end in_compose "$ROOT/deploy/compose/down.sh" --purge
tap_ok "docker-compose up, with three executors" compose up -d --build --scale executor=3

services() {
	compose ps -q "$1"
}
healthy() {
	local id
	for id in $(services "$1"); do
		[ "$(docker_cli inspect -f '{{.State.Health.Status}}' "$id")" = healthy ] || return 1
	done
}
for service in postgres runservice gateway executor; do
	tap_ok "$service is healthy" wait_for 60 healthy "$service"
done
tap_is "three executors" "$(services executor | wc -l)" 3

# --- as a user ---

export MILLRACE_HOME=$HOME_DIR
MILLRACE_URL=http://127.0.0.1:$PORT
MILLRACE_ADMIN_TOKEN=$(cat "$HOME_DIR/secrets/admin-token")
admin() {
	"$BIN/millrace" --gateway-url "$MILLRACE_URL" --token "$MILLRACE_ADMIN_TOKEN" "$@"
}
MILLRACE_USER=demo
tap_ok "a user is made" admin user create --username demo
MILLRACE_TOKEN=$(admin user token create --username demo --tokenname t)

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
all_of_ours() {
	local id=compose-
	docker_cli ps -aq --filter label=com.docker.compose.project="$(sed -n 's/^COMPOSE_PROJECT_NAME=//p' "$HOME_DIR/env")"
	docker_cli volume ls -q --filter label=com.docker.compose.project="$(sed -n 's/^COMPOSE_PROJECT_NAME=//p' "$HOME_DIR/env")"
	for id in $(sed -n 's/^MILLRACE_EXECUTOR=//p' "$HOME_DIR/env")-{1,2,3} "$name"; do
		docker_cli ps -aq --filter "label=millrace.executor=$id"
		docker_cli volume ls -q --filter "label=millrace.executor=$id"
		docker_cli network ls -q --filter "label=millrace.executor=$id"
	done
}
tap_is "nothing is left of it" "$(all_of_ours)" ""
leftovers_check "the other stack's executor was left alone"
tap_done
