#!/usr/bin/env bash
# Process 1 of the database's container: makes the cluster, the two roles with their passwords and the database, then runs it.
set -euo pipefail
DATA=/var/lib/postgresql/millrace
as_postgres() {
	setpriv --reuid=postgres --regid=postgres --init-groups "$@"
}
chown postgres:postgres "$DATA"
chmod 700 "$DATA"
install -d -o postgres -g postgres /run/postgresql
if [ ! -s "$DATA/PG_VERSION" ]; then
	as_postgres initdb -D "$DATA" -U postgres --auth-local=peer --auth-host=scram-sha-256 -E UTF8 --locale=C.UTF-8
	echo "host millrace all all scram-sha-256" >>"$DATA/pg_hba.conf"
fi
# Only its own socket until the roles are as they should be.
as_postgres pg_ctl -D "$DATA" -w -s -o "-c listen_addresses=''" start
{
	for name in gateway runservice; do
		password=$(cut -d: -f5 "/run/secrets/pgpass-$name")
		echo "SELECT 'CREATE ROLE millrace_$name LOGIN' WHERE NOT EXISTS
			(SELECT FROM pg_roles WHERE rolname = 'millrace_$name') \\gexec"
		echo "ALTER ROLE millrace_$name PASSWORD '$password';"
	done
	echo "SELECT 'CREATE DATABASE millrace' WHERE NOT EXISTS
		(SELECT FROM pg_database WHERE datname = 'millrace') \\gexec"
	echo '\connect millrace'
	echo 'REVOKE ALL ON SCHEMA public FROM PUBLIC;'
	for name in gateway runservice; do
		echo "CREATE SCHEMA IF NOT EXISTS $name AUTHORIZATION millrace_$name;"
		echo "ALTER ROLE millrace_$name SET search_path = $name;"
	done
} | as_postgres psql -q -v ON_ERROR_STOP=1 -U postgres -d postgres
as_postgres pg_ctl -D "$DATA" -w -s -m fast stop
exec setpriv --reuid=postgres --regid=postgres --init-groups postgres -D "$DATA" -c listen_addresses='*'
