#!/bin/sh
# schema2c.sh DAEMON FILE... - numbered migrations (schema/NNNN_name.sql) as a C table.
set -eu
daemon=$1
shift
echo '#include "common/db.h"'
echo "extern const struct db_migration ${daemon}_schema[];"
echo "extern const size_t ${daemon}_schema_len;"
echo "const struct db_migration ${daemon}_schema[] = {"
for file in "$@"; do
	base=$(basename "$file" .sql)
	number=$(echo "${base%%_*}" | sed 's/^0*//')
	printf '\t{ %s, "%s",\n' "$number" "$base"
	sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/\t    "/' -e 's/$/\\n"/' "$file"
	printf '\t},\n'
done
echo '};'
echo "const size_t ${daemon}_schema_len = sizeof(${daemon}_schema) / sizeof(${daemon}_schema[0]);"
