#include "gateway/store_audit.h"

#include "common/mem.h"
#include "gateway/store_int.h"

#include <stdio.h>
#include <string.h>

#define AUDIT                                                                                      \
	"select id, to_char(at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') as at, "   \
	"who, user_id, username, address, method, path, outcome from audit_log "                   \
	"where ($3 = '' or username = $3) and ($1 = '' or id "

const struct db_stmt gw_store_audit_stmts[GW_STORE_AUDIT_NSTMTS] = {
	{ "audit_add",
	    "insert into audit_log (who, user_id, username, address, method, path, outcome) "
	    "values ($1, $2::uuid, $3, $4, $5, $6, $7)",
	    7 },
	{ "audit_list_asc",
	    AUDIT "> nullif($1, '')::bigint) order by id limit nullif($2::bigint, 0)", 3 },
	{ "audit_list_desc",
	    AUDIT "< nullif($1, '')::bigint) order by id desc limit nullif($2::bigint, 0)", 3 },
	{ "maintenance_get", "select service from maintenance where requested", 0 },
	{ "maintenance_set",
	    "update maintenance set requested = $2::boolean "
	    "where service = $1 and requested <> $2::boolean",
	    2 },
};

static const struct {
	const char *name;
	unsigned bit;
} services[] = {
	{ "configstore", GW_SERVICE_CONFIG },
	{ "runservice", GW_SERVICE_RUNS },
};

unsigned
gw_service_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		if (strcmp(services[i].name, name) == 0)
			return services[i].bit;
	}
	return 0;
}

int
gw_store_audit_add(struct db *db, const struct gw_audit *a, struct err **err)
{
	return db_query(NULL, db, err, "audit_add", DB_TEXT(a->who), DB_TEXT(a->user_id),
	    DB_TEXT(a->username), DB_TEXT(a->address), DB_TEXT(a->method), DB_TEXT(a->path),
	    DB_TEXT(a->outcome));
}

static json_t *
row_json(const struct db_result *r, size_t row)
{
	static const char *const texts[] = { "at", "who", "user_id", "username", "address",
		"method", "path", "outcome" };
	json_t *out = json_object();

	json_object_set_new(out, "id", json_integer(db_i64(r, row, "id")));
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		const char *v = db_text(r, row, texts[i]);

		json_object_set_new(out, texts[i], v ? json_string(v) : json_null());
	}
	return out;
}

int
gw_store_audit_list(json_t **rows, bool *more, char last[GW_PAGE_KEY_MAX + 1], struct db *db,
    const struct gw_page *page, const char *username, struct err **err)
{
	const struct db_param user = DB_TEXT(username);
	auto_result *r = NULL;
	size_t n = 0;
	int rc = gw_store_paged(&r, &n, more, db, "audit_list", page, &user, 1, err);

	if (rc < 0)
		return rc;
	*rows = json_array();
	last[0] = '\0';
	for (size_t i = 0; i < n; i++)
		json_array_append_new(*rows, row_json(r, i));
	if (n)
		snprintf(last, GW_PAGE_KEY_MAX + 1, "%s", db_text(r, n - 1, "id"));
	return 0;
}

int
gw_store_maintenance_get(unsigned *out, struct db *db, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "maintenance_get");

	*out = 0;
	for (size_t i = 0; rc == 0 && i < db_rows(r); i++)
		*out |= gw_service_by_name(db_text(r, i, "service"));
	return rc;
}

int
gw_store_maintenance_set(struct db *db, unsigned service, bool requested, struct err **err)
{
	const char *name = services[service == GW_SERVICE_RUNS].name;
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "maintenance_set", DB_TEXT(name), DB_BOOL(requested));

	if (rc == 0 && db_affected(r) == 0)
		return err_set(err, ERR_INVALID, "%s is %s maintenance already", name,
		    requested ? "in" : "not in");
	return rc;
}
