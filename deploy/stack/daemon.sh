#!/usr/bin/env bash
# daemon.sh start|stop|kill|pid NAME: one part of a stack that make up has set up: runservice, gateway, executor, postgres,
# engine (only one that the stacks have started themselves).
#
#   start   starts it and returns when it is ready; nothing to do when it runs
#   stop    asks it to end and waits until it is gone
#   kill    ends it at once (KILL; PostgreSQL: an immediate shutdown) and waits until it is gone
#   pid     prints its process id; fails when it does not run
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for part in lib engine postgres daemons; do
	# shellcheck source=/dev/null
	. "$here/$part.sh"
done
trap on_exit EXIT
as_root "$here/daemon.sh" "$@"
action=${1:-} name=${2:-}
case $name in
runservice | gateway | executor | postgres | engine) ;;
*) die "unknown part \"$name\"" "" "usage: daemon.sh start|stop|kill|pid runservice|gateway|executor|postgres|engine" ;;
esac
stack_paths
# shellcheck disable=SC2034 # read by die and on_exit
STEP="$action $name"
[ -e "$CONF/gateway.yml" ] || die "there is no stack in $MILLRACE_HOME" "" "make up sets it up"
exec 8>"$MILLRACE_HOME/lock"
flock -w 120 8 || die "the stack's lock is held" "" "another make up or make down of this stack hangs"

case $action:$name in
start:postgres) postgres_start ;;
stop:postgres) postgres_stop ;;
kill:postgres) postgres_stop immediate ;;
pid:postgres)
	postgres_paths
	as_postgres head -n 1 "$PG_DATA/postmaster.pid"
	;;
start:engine) engine_up ;;
kill:engine) engine_kill ;;
pid:engine) pid_of "$ENGINE_PID" ;;
stop:engine) die "the engine serves other stacks, too" "" "make down stops it with its last user" ;;
start:*) daemon_start "$name" ;;
stop:*) daemon_stop "$name" ;;
kill:*) daemon_kill "$name" ;;
pid:*) pid_of "$PIDS/$name" ;;
*) die "unknown action \"$action\"" "" "usage: daemon.sh start|stop|kill|pid runservice|gateway|executor|postgres|engine" ;;
esac
