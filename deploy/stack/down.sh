#!/usr/bin/env bash
# make down: ends what make up started, in the reverse order, and nothing else. Works on a stack that is half up.
# The state stays: the next make up finds the same database, images and keys. With --purge everything but the image store,
# the keys and the logs goes: users, runs, stored logs and archives, what runs have pushed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for part in lib engine registry postgres daemons; do
	# shellcheck source=/dev/null
	. "$here/$part.sh"
done
trap on_exit EXIT
as_root "$here/down.sh" "$@"
stack_paths
if [ ! -d "$MILLRACE_HOME" ]; then
	say "nothing to stop: $MILLRACE_HOME does not exist"
	exit 0
fi
stack_dirs
exec 8>"$MILLRACE_HOME/lock"
flock -w 120 8 || die "the stack's lock is held" "" "another make up or make down of this stack hangs"

# Tasks first: with the executor gone their containers would go on alone.
sweep() {
	[ -s "$MILLRACE_HOME/engine" ] || return 0
	ENGINE=$(cat "$MILLRACE_HOME/engine")
	if engine_answers "$ENGINE"; then
		engine_sweep
	fi
}

registries() {
	registry_end images
	registry_end images-writable
	registry_end registry
}

purge() {
	if id postgres >/dev/null 2>&1 && [ -d /usr/lib/postgresql ]; then
		postgres_purge
	fi
	rm -rf "$MILLRACE_HOME"/{gateway,runservice,executor} "$MILLRACE_HOME/registry/pushed"
	rm -f "$SECRETS/user-token"
}

say "Millrace: stopping $MILLRACE_HOME"
step "executor" daemon_stop executor
step "containers, volumes, networks" sweep
step "gateway" daemon_stop gateway
step "runservice" daemon_stop runservice
step "PostgreSQL" postgres_stop
step "registries" registries
step "container engine" engine_down
rm -f "$MILLRACE_HOME/env" "$MILLRACE_HOME/engine"
if [ "$OWNER" != root ]; then
	chown -R "$OWNER:$OWNER_GROUP" "$LOGS" "$CONF" "$PIDS" "$SECRETS" "$MILLRACE_HOME/executor" 2>/dev/null || true
fi
if [ "${1:-}" = --purge ]; then
	purge
fi
say "down"
