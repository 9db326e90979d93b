# shellcheck shell=bash
# A PostgreSQL cluster of the stack's own, run by the postgres user, reached by a unix socket only. Each daemon has a role
# of its own that owns one schema; only the owner of the checkout (and root) can open the socket.

# Sets PG_DATA, PG_SOCKET, PG_BIN. Where the postgres user cannot enter the stack's directory, or the socket's path would
# be too long for the kernel, they live outside under a name derived from it.
postgres_paths() {
	local found
	found=$(find /usr/lib/postgresql -mindepth 3 -maxdepth 3 -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1)
	[ -n "$found" ] || die "PostgreSQL is not installed" "" "run deploy/stack/packages.sh run"
	PG_BIN=$(dirname "$found")
	PG_DATA=$MILLRACE_HOME/postgres/data
	PG_SOCKET=$MILLRACE_HOME/postgres/socket
	if [ ! -d "$MILLRACE_HOME" ] || ! runuser -u postgres -- test -x "$MILLRACE_HOME" || [ "${#PG_SOCKET}" -gt 80 ]; then
		PG_DATA=/var/lib/millrace-$STACK_ID
		PG_SOCKET=/run/millrace-$STACK_ID
	fi
}

# The working directory may be one that the postgres user cannot enter.
as_postgres() {
	(cd / && runuser -u postgres -- "$@")
}

postgres_answers() {
	as_postgres "$PG_BIN/pg_isready" -q -h "$PG_SOCKET"
}

postgres_init() {
	as_postgres "$PG_BIN/initdb" -D "$PG_DATA" -U postgres -A peer -E UTF8 --locale=C.UTF-8 --no-sync \
		>>"$LOGS/postgres.log" 2>&1 || die "initdb failed" "$LOGS/postgres.log" "no space in $PG_DATA"
	as_postgres tee "$PG_DATA/pg_hba.conf" >/dev/null <<-EOC
		# The socket's directory is closed to all but the stack's owner.
		local millrace millrace_gateway trust
		local millrace millrace_runservice trust
		local all postgres peer
	EOC
}

postgres_start() {
	postgres_paths
	# shellcheck disable=SC2034
	NOTE=$PG_SOCKET
	touch "$LOGS/postgres.log"
	if [ "$PG_DATA" = "$MILLRACE_HOME/postgres/data" ]; then
		install -d -o postgres -g postgres -m 755 "$MILLRACE_HOME/postgres"
	fi
	install -d -o postgres -g postgres -m 700 "$PG_DATA"
	install -d -o postgres -g "$OWNER_GROUP" -m 750 "$PG_SOCKET"
	if [ -s "$PG_DATA/PG_VERSION" ] && postgres_answers; then
		postgres_databases
		return 0
	fi
	[ -s "$PG_DATA/PG_VERSION" ] || postgres_init
	# The log is opened by us: the directory of logs need not be open to the postgres user.
	as_postgres "$PG_BIN/pg_ctl" -D "$PG_DATA" -w -t 60 -s \
		-o "-k '$PG_SOCKET' -c listen_addresses='' -c unix_socket_permissions=0777" start \
		</dev/null >>"$LOGS/postgres.log" 2>&1 8>&- 9>&- ||
		die "PostgreSQL does not start" "$LOGS/postgres.log" "its data is damaged, or the disk is full"
	postgres_databases
}

# Safe to run again: only what is missing is made.
postgres_databases() {
	local name
	{
		for name in gateway runservice; do
			echo "SELECT 'CREATE ROLE millrace_$name LOGIN' WHERE NOT EXISTS
				(SELECT FROM pg_roles WHERE rolname = 'millrace_$name') \\gexec"
		done
		echo "SELECT 'CREATE DATABASE millrace' WHERE NOT EXISTS
			(SELECT FROM pg_database WHERE datname = 'millrace') \\gexec"
		echo '\connect millrace'
		echo 'REVOKE ALL ON SCHEMA public FROM PUBLIC;'
		for name in gateway runservice; do
			echo "CREATE SCHEMA IF NOT EXISTS $name AUTHORIZATION millrace_$name;"
			echo "ALTER ROLE millrace_$name SET search_path = $name;"
		done
	} | as_postgres "$PG_BIN/psql" -q -v ON_ERROR_STOP=1 -h "$PG_SOCKET" -U postgres -d postgres \
		>>"$LOGS/postgres.log" 2>&1 || die "the database could not be made" "$LOGS/postgres.log" "see the log"
}

# postgres_stop [MODE]: fast (the default), or immediate as in a crash.
postgres_stop() {
	id postgres >/dev/null 2>&1 || return 0
	[ -d /usr/lib/postgresql ] || return 0
	postgres_paths
	if [ -e "$PG_DATA/postmaster.pid" ]; then
		as_postgres "$PG_BIN/pg_ctl" -D "$PG_DATA" -w -t 60 -m "${1:-fast}" -s stop >>"$LOGS/postgres.log" 2>&1 ||
			! postgres_answers || die "PostgreSQL does not stop" "$LOGS/postgres.log" "see the log"
	fi
	if [ "$PG_SOCKET" = "/run/millrace-$STACK_ID" ]; then
		rm -rf "$PG_SOCKET"
	fi
}

# The stack's database ceases to exist. Only for a stopped cluster.
postgres_purge() {
	postgres_paths
	rm -rf "$PG_DATA" "$MILLRACE_HOME/postgres"
}
