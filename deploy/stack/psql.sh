#!/usr/bin/env bash
# psql.sh [ARGUMENT...]: psql on the database of a stack that make up has set up, as the superuser.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for part in lib postgres; do
	# shellcheck source=/dev/null
	. "$here/$part.sh"
done
trap on_exit EXIT
as_root "$here/psql.sh" "$@"
stack_paths
# shellcheck disable=SC2034 # read by die and on_exit
STEP="psql"
postgres_paths
as_postgres "$PG_BIN/psql" -X -h "$PG_SOCKET" -d millrace "$@"
