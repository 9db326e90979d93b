#!/usr/bin/env bash
# pg.sh - a throw-away PostgreSQL cluster on a unix socket, for tests.
#
#   pg.sh start DIR      make a cluster in DIR (which must not exist) and start it; prints its conninfo
#   pg.sh stop DIR       stop it and remove DIR
#   pg.sh restart DIR    restart it at once, breaking its connections
#   pg.sh down DIR       only stop it, breaking its connections
#   pg.sh up DIR         start it again
#   pg.sh run CMD...     start, run CMD with MILLRACE_TEST_DB and MILLRACE_TEST_PG set, stop
#
# Speed before durability: fsync is off. As root everything runs as the user postgres.
set -euo pipefail

self=$(realpath "${BASH_SOURCE[0]}")

find_bin() {
	local dir
	for dir in /usr/lib/postgresql/*/bin; do
		if [ -x "$dir/initdb" ]; then
			bin=$dir
		fi
	done
	if [ -z "${bin:-}" ]; then
		echo "pg.sh: no PostgreSQL server found; install the package postgresql" >&2
		exit 3
	fi
}

as_pg() {
	if [ "$(id -u)" = 0 ]; then
		(cd / && exec setpriv --reuid=postgres --regid=postgres --init-groups "$@")
	else
		"$@"
	fi
}

ctl() {
	as_pg "$bin/pg_ctl" -D "$1/data" -w -t 30 -l "$1/log" -s "${@:2}"
}

start_server() {
	ctl "$1" start -o "-k $1/sock -c listen_addresses='' -c fsync=off -c max_connections=50"
}

start() {
	local dir=$1
	install -d -m 700 "$dir"
	if [ "$(id -u)" = 0 ]; then
		chown postgres:postgres "$dir"
	fi
	as_pg mkdir "$dir/sock"
	as_pg "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync \
		>"$dir/initdb.log" 2>&1 || {
		cat "$dir/initdb.log" >&2
		exit 1
	}
	start_server "$dir" || {
		cat "$dir/log" >&2
		exit 1
	}
	echo "host=$dir/sock user=postgres dbname=postgres"
}

stop() {
	if [ -e "$1/data/postmaster.pid" ]; then
		ctl "$1" stop -m immediate || true
	fi
	rm -rf "$1"
}

run() {
	local base rc=0
	base=$(mktemp -d /tmp/millrace-pg.XXXXXX)
	chmod 755 "$base"
	# shellcheck disable=SC2064  # the directory of now is meant
	trap "'$self' stop '$base/c'; rm -rf '$base'" EXIT
	trap 'exit 130' INT TERM
	MILLRACE_TEST_DB=$(start "$base/c")
	export MILLRACE_TEST_DB
	export MILLRACE_TEST_PG="$self restart $base/c"
	"$@" || rc=$?
	exit "$rc"
}

find_bin
command=${1:?start, stop, restart, up, down or run}
shift
case $command in
start) start "$@" ;;
stop) stop "$@" ;;
restart)
	ctl "$1" stop -m immediate
	start_server "$1"
	;;
down) ctl "$1" stop -m immediate ;;
up) start_server "$1" ;;
run) run "$@" ;;
*)
	echo "pg.sh: unknown command $command" >&2
	exit 2
	;;
esac
