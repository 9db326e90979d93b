# shellcheck shell=bash disable=SC2034 # the scripts that read this file use what is set here
# compose.sh - a deployment of docker-compose.yml beside the stack that the other tests use, on the same engine. Read after lib.sh.
#
#   compose_new NAME EXECUTORS [FILE]   its directory, port and address; a second file for docker-compose
#   compose_up                          make compose, docker-compose up, everything is healthy: five cases
#   compose_user                        MILLRACE_* are those of a new user of it from here on: one case
#
# HOME_DIR, PORT, ADDRESS and STACK_REWRITES (images of the other stack's executor configuration) are set by compose_new.

compose_new() {
	HOME_DIR=$MILLRACE_HOME/$1
	EXECUTORS=$2
	COMPOSE_FILES=(-f docker-compose.yml ${3:+-f "$3"})
	PORT=$((MILLRACE_PORT + 1000))
	STACK_REWRITES=$(sed -n '/^images:/,$p' "$MILLRACE_HOME/conf/executor.yml")
	# The engine's bridge is an address that containers and other network namespaces reach alike.
	ADDRESS=$(bridge_address)
	mkdir -p "$HOME_DIR/extra"
	printf 'tasks: 2\n%s\n' "$STACK_REWRITES" >"$HOME_DIR/extra/executor.yml"
	if [ -s "$HOME_DIR/env" ]; then
		in_compose "$ROOT/deploy/compose/down.sh" --purge >/dev/null 2>&1 || true
	fi
}
in_compose() {
	MILLRACE_HOME=$HOME_DIR MILLRACE_PORT=$PORT MILLRACE_LISTEN=$ADDRESS MILLRACE_EXECUTORS=$EXECUTORS DOCKER_HOST=$ENGINE "$@"
}
# The environment goes before the file, and here it holds the other stack's settings.
compose() {
	(cd "$ROOT" && env -i "PATH=$PATH" "HOME=$T" "DOCKER_HOST=$ENGINE" docker-compose --env-file "$HOME_DIR/env" "${COMPOSE_FILES[@]}" "$@")
}
services() {
	compose ps -q "$1"
}
healthy() {
	local id
	for id in $(services "$1"); do
		[ "$(docker_cli inspect -f '{{.State.Health.Status}}' "$id")" = healthy ] || return 1
	done
}
compose_up() {
	local service
	tap_ok "make compose prepares everything" in_compose "$ROOT/deploy/compose/setup.sh"
	at_end in_compose "$ROOT/deploy/compose/down.sh" --purge
	tap_ok "docker-compose up, executors: $EXECUTORS" compose up -d --build --scale "executor=$EXECUTORS"
	for service in postgres runservice gateway executor; do
		tap_ok "$service is healthy" wait_for 60 healthy "$service"
	done
}

admin() {
	"$BIN/millrace" --gateway-url "$MILLRACE_URL" --token "$MILLRACE_ADMIN_TOKEN" "$@"
}
compose_user() {
	export MILLRACE_HOME=$HOME_DIR
	MILLRACE_URL=http://127.0.0.1:$PORT
	MILLRACE_ADMIN_TOKEN=$(cat "$HOME_DIR/secrets/admin-token")
	MILLRACE_USER=demo
	tap_ok "a user is made" admin user create --username demo
	MILLRACE_TOKEN=$(admin user token create --username demo --tokenname t)
}

# What is left of it in the engine: nothing after down. Further executors may be named.
compose_left() {
	local id project
	project=$(sed -n 's/^COMPOSE_PROJECT_NAME=//p' "$HOME_DIR/env")
	docker_cli ps -aq --filter label=com.docker.compose.project="$project"
	docker_cli volume ls -q --filter label=com.docker.compose.project="$project"
	for ((id = 1; id <= EXECUTORS; id++)); do
		set -- "$@" "$(sed -n 's/^MILLRACE_EXECUTOR=//p' "$HOME_DIR/env")-$id"
	done
	for id; do
		docker_cli ps -aq --filter "label=millrace.executor=$id"
		docker_cli volume ls -q --filter "label=millrace.executor=$id"
		docker_cli network ls -q --filter "label=millrace.executor=$id"
	done
}
