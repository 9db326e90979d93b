#!/usr/bin/env bash
# shellcheck disable=SC2034 # lib.sh and engine.sh read what is set here
#
# make up: the local stack in the background. Idempotent: what runs already, as it should, is left alone.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for part in lib engine registry images postgres config daemons; do
	# shellcheck source=/dev/null
	. "$here/$part.sh"
done
trap on_exit EXIT
as_root "$here/up.sh" "$@"
stack_paths
stack_dirs
exec 8>"$MILLRACE_HOME/lock"
flock -w 900 8 || die "the stack's lock is held" "" "another make up or make down of this stack hangs"

packages() {
	"$here/packages.sh" run >"$LOGS/packages.log" 2>&1 ||
		die "Debian packages could not be installed" "$LOGS/packages.log" "no Debian mirror answers"
}

# PUBLIC: the definitions' images can be had from where they come from, so none of our own is needed.
probe() {
	PUBLIC=no
	NOTE="not reachable: images are made from Debian packages"
	if registries_public; then
		PUBLIC=yes
		NOTE="reachable: images are pulled from there"
	fi
}

main() {
	say "Millrace: $MILLRACE_HOME, gateway on port $MILLRACE_PORT"
	step "Debian packages" packages
	step "container engine" engine_up
	step "public registries" probe
	step "private registry" private_registry
	if [ "$PUBLIC" = no ]; then
		step "images" images_build
		step "image store: push" images_push
		step "image store" registry_start images
	fi
	step "PostgreSQL" postgres_start
	step "configuration" config_write
	step "runservice" daemon_start runservice
	step "gateway" daemon_start gateway
	step "executor" daemon_start executor
	step "user and token" user_make
	step "env file" write_env
	say "up: http://127.0.0.1:$MILLRACE_PORT, settings in $MILLRACE_HOME/env"
}

private_registry() {
	registry_password
	registry_start registry
}

write_env() {
	env_write "$(cat "$SECRETS/user-token")"
	NOTE=$MILLRACE_HOME/env
}

main
