#!/usr/bin/env bash
# shellcheck disable=SC2034 # engine.sh reads what is set here
#
# down.sh [--purge]: docker-compose down for what make compose has set up, and what its executors have left in the engine: containers of
# tasks, their network, the toolbox's volume. With --purge the volumes go, too: database, objects, repositories.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${MILLRACE_HOME:=$here/../../.local/compose}"
export MILLRACE_HOME
for part in lib engine; do
	# shellcheck source=/dev/null
	. "$here/../stack/$part.sh"
done
trap on_exit EXIT
as_root "$here/down.sh" "$@"
stack_paths
[ -s "$MILLRACE_HOME/env" ] || die "nothing is set up in $MILLRACE_HOME" "" "make compose does that"
# shellcheck source=/dev/null
. "$MILLRACE_HOME/env"
ENGINE=$DOCKER_HOST
export DOCKER_HOST
args=()
[ "${1:-}" != --purge ] || args=(-v)
cd "$ROOT"
docker-compose --env-file "$MILLRACE_HOME/env" down --remove-orphans "${args[@]}"
for ((n = 1; n <= MILLRACE_EXECUTORS; n++)); do
	EXECUTOR_ID=$MILLRACE_EXECUTOR-$n
	engine_sweep
done
