#!/usr/bin/env bash
# shellcheck disable=SC2034 # lib.sh and engine.sh read what is set here
#
# make demo: from a bare machine to an image that a run has built and pushed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for part in lib engine; do
	# shellcheck source=/dev/null
	. "$here/$part.sh"
done
trap on_exit EXIT
as_root "$here/demo.sh" "$@"
stack_paths
started=$(now_ms)

packages() {
	"$here/packages.sh" build run >/var/log/millrace-demo-packages.log 2>&1 || die \
		"Debian packages could not be installed" /var/log/millrace-demo-packages.log "no Debian mirror answers"
}

# Built as the checkout's owner, so that nothing of root's is left in it.
build() {
	local log=$LOGS/build.log
	: >"$log"
	as_owner make -C "$ROOT" -j "$(nproc)" >>"$log" 2>&1 || die "the build failed" "$log" "see the compiler's message"
}

step "Debian packages" packages
stack_dirs
step "build" build
bash "$here/up.sh"

# shellcheck source=/dev/null
. "$MILLRACE_HOME/env"
ENGINE=$MILLRACE_ENGINE
image=example/kaniko:demo
work=$(mktemp -d)
trap 'rm -rf "$work"; on_exit' EXIT

commit() {
	cp -r "$ROOT/examples/kaniko/." "$work/repository"
	git -C "$work/repository" init -q -b master
	git -C "$work/repository" add -A
	git -C "$work/repository" -c user.name="Millrace demo" -c user.email=demo@localhost commit -q -m "Demo"
	NOTE=$(git -C "$work/repository" rev-parse --short HEAD)
}

step "commit of the example" commit
say ""
cd "$work/repository"
STEP="the run"
"$BIN/millrace" --gateway-url "$MILLRACE_URL" --token "$MILLRACE_TOKEN" directrun start --follow \
	--var dockerauth="$(printf %s "$MILLRACE_REGISTRY_USER:$MILLRACE_REGISTRY_PASSWORD" | base64 -w0)" \
	--var dockerregistry="$MILLRACE_REGISTRY" --var dockerimage="$MILLRACE_REGISTRY/$image" ||
	die "the run did not succeed" "$LOGS/executor.log" "its log is above; the daemons' logs are in $LOGS"
cd /
say ""

# The client keeps what it logs in with in a directory of ours, not in the user's.
pull() {
	export DOCKER_CONFIG=$work/docker
	docker_cli rmi -f "$MILLRACE_REGISTRY_LOCAL/$image" >/dev/null 2>&1 || true
	printf %s "$MILLRACE_REGISTRY_PASSWORD" | docker_cli login -u "$MILLRACE_REGISTRY_USER" --password-stdin \
		"$MILLRACE_REGISTRY_LOCAL" >"$LOGS/demo.log" 2>&1 ||
		die "the registry refused the password" "$LOGS/demo.log" "see $LOGS/registry-registry.log"
	docker_cli pull "$MILLRACE_REGISTRY_LOCAL/$image" >>"$LOGS/demo.log" 2>&1 ||
		die "the pushed image could not be pulled" "$LOGS/demo.log" "see $LOGS/registry-registry.log"
	NOTE=$MILLRACE_REGISTRY_LOCAL/$image
}

step "pull of the pushed image" pull
STEP="the pushed image"
say "it prints:"
output=$(docker_cli run --rm --network none "$MILLRACE_REGISTRY_LOCAL/$image" demo)
printf '    %s\n' "$output"
case $output in
"Hello demo,"*) ;;
*) die "it did not print its greeting" "" "another image was pushed under this name" ;;
esac
docker_cli rmi "$MILLRACE_REGISTRY_LOCAL/$image" >/dev/null
say ""
say "the demo took $((($(now_ms) - started) / 1000)) s; the stack stays up (make down stops it)"
say "gateway: $MILLRACE_URL   settings and tokens: $MILLRACE_HOME/env"
