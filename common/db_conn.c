#include "common/db_int.h"

#include "common/mem.h"

#include <stdio.h>
#include <string.h>

bool
db_name_ok(const char *s)
{
	if (s == NULL || *s == '\0' || strlen(s) > 60 || (*s >= '0' && *s <= '9'))
		return false;
	for (; *s; s++)
		if (!(*s >= 'a' && *s <= 'z') && !(*s >= '0' && *s <= '9') && *s != '_')
			return false;
	return true;
}

/* libpq's parser quotes what it stumbled over, which may be a part of a password. */
static int
check_conninfo(const char *conninfo, struct err **err)
{
	char *why = NULL;
	PQconninfoOption *o = conninfo ? PQconninfoParse(conninfo, &why) : NULL;
	PQfreemem(why);
	if (o == NULL)
		return err_set(err, ERR_INVALID,
		    "database connection string cannot be parsed; it looks like "
		    "\"host=/run/postgresql dbname=millrace user=millrace\" or "
		    "\"postgresql://user@host/dbname\"");
	PQconninfoFree(o);
	return 0;
}

int
db_conn_params(struct db_conn_params *out, const char *conninfo, const char *schema,
    const char *settings, struct err **err)
{
	int rc = check_conninfo(conninfo, err);
	if (rc != 0)
		return rc;
	MUST(schema == NULL || db_name_ok(schema));
	/* Statements are written so that one plan fits all values; PostgreSQL's guess that a plan
	 * for these very values may be better costs it a new plan at each execution. */
	int n = snprintf(out->options, sizeof(out->options),
	    "-c statement_timeout=15000 -c lock_timeout=5000 -c plan_cache_mode=force_generic_plan "
	    "-c idle_in_transaction_session_timeout=30000 -c client_min_messages=warning%s%s%s%s",
	    schema ? " -c search_path=" : "", schema ? schema : "", settings ? " " : "",
	    settings ? settings : "");
	MUST(n > 0 && (size_t)n < sizeof(out->options));
	/* Later entries win over what conninfo says. */
	const char *const pairs[DB_CONN_PARAMS][2] = {
		{ "fallback_application_name", "millrace" },
		{ "dbname", conninfo },
		{ "connect_timeout", "5" },
		{ "tcp_user_timeout", "20000" },
		{ "keepalives", "1" },
		{ "keepalives_idle", "10" },
		{ "keepalives_interval", "5" },
		{ "keepalives_count", "3" },
		{ "client_encoding", "UTF8" },
		{ "options", out->options },
	};
	for (size_t i = 0; i < DB_CONN_PARAMS; i++) {
		out->keys[i] = pairs[i][0];
		out->values[i] = pairs[i][1];
	}
	out->keys[DB_CONN_PARAMS] = NULL;
	out->values[DB_CONN_PARAMS] = NULL;
	return 0;
}

void
db_conn_message(char *out, size_t n, const PGconn *conn)
{
	const char *m = PQerrorMessage(conn);
	size_t len = strcspn(m, "\n");
	snprintf(out, n, "%.*s", (int)(len < n ? len : n - 1), len ? m : "connection lost");
}

static enum err_code
code_of(const char *state)
{
	static const struct {
		const char *prefix;
		enum err_code code;
	} table[] = {
		{ "23505", ERR_CONFLICT },    /* unique violation */
		{ "40001", ERR_CONFLICT },    /* serialization failure */
		{ "40P01", ERR_CONFLICT },    /* deadlock */
		{ "23503", ERR_INVALID },     /* foreign key */
		{ "22021", ERR_INVALID },     /* no valid UTF-8 */
		{ "25006", ERR_UNAVAILABLE }, /* read-only: a standby */
		{ "25P03", ERR_UNAVAILABLE }, /* idle in transaction too long */
		{ "55P03", ERR_UNAVAILABLE }, /* lock not available in time */
		{ "08", ERR_UNAVAILABLE },    /* connection */
		{ "53", ERR_UNAVAILABLE },    /* out of connections, disk, memory */
		{ "57", ERR_UNAVAILABLE },    /* shutdown, statement timeout */
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (strncmp(state, table[i].prefix, strlen(table[i].prefix)) == 0)
			return table[i].code;
	return ERR_INTERNAL;
}

/* Only the primary message: DETAIL quotes values of rows. */
int
db_error(struct err **err, const PGconn *conn, const PGresult *res, const char *what)
{
	const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
	const char *text = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;
	const char *constraint = res ? PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME) : NULL;
	char lost[256];
	if (state == NULL || text == NULL) {
		db_conn_message(lost, sizeof(lost), conn);
		return err_set(err, ERR_UNAVAILABLE, "database: %s: %s", what, lost);
	}
	if (PQstatus(conn) == CONNECTION_BAD)
		return err_set(err, ERR_UNAVAILABLE, "database: %s: %s", what, text);
	return err_set(err, code_of(state), "database: %s: %s%s%s (%s)", what, text,
	    constraint ? ", constraint " : "", constraint ? constraint : "", state);
}
