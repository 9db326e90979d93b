#include "gateway/store_org.h"

#include "common/mem.h"
#include "gateway/store_int.h"

#include <stdio.h>
#include <string.h>

#define ORG "o.id, o.name, o.visibility = 'private' as is_private"
#define USER "u.id as user_id, u.name as user_name, u.admin as user_admin"
#define INVITATION                                                                                 \
	"select " ORG ", " USER ", i.role, i.id as invitation_id, "                                \
	"to_char(i.created_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') "           \
	"as created "                                                                              \
	"from org_invitations i join organizations o on o.id = i.org_id "                          \
	"join users u on u.id = i.user_id "

const struct db_stmt gw_store_org_stmts[GW_STORE_ORG_NSTMTS] = {
	{ "org_by_id",
	    "select " ORG ", m.role from organizations o "
	    "left join org_members m on m.org_id = o.id and m.user_id = $2::uuid "
	    "where o.id = $1::uuid",
	    2 },
	{ "org_by_name",
	    "select " ORG ", m.role from organizations o "
	    "left join org_members m on m.org_id = o.id and m.user_id = $2::uuid "
	    "where o.name = $1",
	    2 },
	{ "org_create",
	    "with o as (insert into organizations (id, name, visibility, creator_user_id) "
	    "values ($1::uuid, $2, $3, $4::uuid) on conflict (name) do nothing returning id), "
	    "m as (insert into org_members (org_id, user_id, role) "
	    "select o.id, u.id, 'owner' from o join users u on u.id = $4::uuid) "
	    "insert into project_groups (id, name, org_id, visibility) "
	    "select $5::uuid, '', id, $3 from o",
	    5 },
	{ "org_update", "update organizations set visibility = $2 where id = $1::uuid", 2 },
	{ "org_delete", "delete from organizations where id = $1::uuid", 1 },
	STORE_PAGED("org_list",
	    "select " ORG " from organizations o where ($3::boolean or o.visibility = 'public')",
	    "o.name", 3),
	STORE_PAGED("org_of_user",
	    "select " ORG ", m.role from organizations o join org_members m on m.org_id = o.id "
	    "where m.user_id = $3::uuid",
	    "o.name", 3),
	STORE_PAGED("member_list",
	    "select " ORG ", m.role, " USER " from organizations o "
	    "join org_members m on m.org_id = o.id join users u on u.id = m.user_id "
	    "where o.id = $3::uuid",
	    "u.name", 3),
	{ "member_put",
	    "with gone as (delete from org_invitations "
	    "where org_id = $1::uuid and user_id = $2::uuid) "
	    "insert into org_members (org_id, user_id, role) values ($1::uuid, $2::uuid, $3) "
	    "on conflict (org_id, user_id) do update set role = excluded.role",
	    3 },
	{ "member_delete", "delete from org_members where org_id = $1::uuid and user_id = $2::uuid",
	    2 },
	{ "invitation_list",
	    INVITATION "where ($1::uuid is null or i.org_id = $1::uuid) "
	               "and ($2::uuid is null or i.user_id = $2::uuid) "
	               "order by case when $1::uuid is null then o.name else u.name end "
	               "collate \"C\" limit $3",
	    3 },
	{ "invitation_create",
	    "insert into org_invitations (id, org_id, user_id, role) "
	    "values ($1::uuid, $2::uuid, $3::uuid, $4) on conflict (org_id, user_id) do nothing",
	    4 },
	{ "invitation_delete",
	    "delete from org_invitations where org_id = $1::uuid and user_id = $2::uuid", 2 },
	{ "invitation_accept",
	    "with i as (delete from org_invitations where org_id = $1::uuid and "
	    "user_id = $2::uuid returning org_id, user_id, role) "
	    "insert into org_members (org_id, user_id, role) select org_id, user_id, role from i "
	    "on conflict (org_id, user_id) do update set role = excluded.role",
	    2 },
	{ "member_role",
	    "select role from org_members where org_id = $1::uuid and user_id = $2::uuid", 2 },
};

void
gw_org_list_fini(struct gw_org_list *l)
{
	free(l->rows);
	*l = (struct gw_org_list){ 0 };
}

static void
org_of_row(struct gw_org *out, const struct db_result *r, size_t row)
{
	snprintf(out->id, sizeof(out->id), "%s", db_text(r, row, "id"));
	snprintf(out->name, sizeof(out->name), "%s", db_text(r, row, "name"));
	out->is_private = db_bool(r, row, "is_private");
}

static void
role_of_row(char role[8], const struct db_result *r, size_t row)
{
	const char *text = db_text(r, row, "role");

	snprintf(role, 8, "%s", text ? text : "");
}

static void
user_of_row(struct gw_user *out, const struct db_result *r, size_t row)
{
	snprintf(out->id, sizeof(out->id), "%s", db_text(r, row, "user_id"));
	snprintf(out->name, sizeof(out->name), "%s", db_text(r, row, "user_name"));
	out->admin = db_bool(r, row, "user_admin");
}

static void
invitation_of_row(struct gw_org_row *out, const struct db_result *r, size_t row)
{
	org_of_row(&out->org, r, row);
	user_of_row(&out->user, r, row);
	role_of_row(out->role, r, row);
	snprintf(out->id, sizeof(out->id), "%s", db_text(r, row, "invitation_id"));
	snprintf(out->created, sizeof(out->created), "%s", db_text(r, row, "created"));
}

static int
no_org(struct err **err, const char *ref)
{
	return err_set_slug(
	    err, ERR_NOTFOUND, "organizationDoesNotExist", "there is no organization %.100s", ref);
}

int
gw_store_org_by_ref(struct gw_org *out, char role[8], struct db *db, const char *ref,
    const char *user_id, struct err **err)
{
	auto_result *r = NULL;
	struct id id;
	int rc;

	if (gw_name_uuid(&id, ref))
		rc = db_query(&r, db, err, "org_by_id", DB_TEXT(id.s), DB_TEXT(user_id));
	else if (gw_name_is_valid(ref))
		rc = db_query(&r, db, err, "org_by_name", DB_TEXT(ref), DB_TEXT(user_id));
	else
		return err_set_slug(err, ERR_NOTFOUND, "organizationDoesNotExist",
		    "there is no organization with this name or id");
	if (rc < 0)
		return rc;
	if (db_rows(r) == 0)
		return no_org(err, ref);
	org_of_row(out, r, 0);
	role_of_row(role, r, 0);
	return 0;
}

static const char *
visibility(bool is_private)
{
	return is_private ? "private" : "public";
}

int
gw_store_org_create(struct gw_org *out, struct db *db, const char *name, bool is_private,
    const char *creator_id, struct err **err)
{
	struct id id = id_new(), root = id_new();
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "org_create", DB_TEXT(id.s), DB_TEXT(name),
	    DB_TEXT(visibility(is_private)), DB_TEXT(creator_id), DB_TEXT(root.s));

	if (rc < 0)
		return rc;
	if (db_affected(r) == 0)
		return err_set_slug(err, ERR_INVALID, "organizationAlreadyExists",
		    "an organization %s exists already; choose another name", name);
	*out = (struct gw_org){ .is_private = is_private };
	snprintf(out->id, sizeof(out->id), "%s", id.s);
	snprintf(out->name, sizeof(out->name), "%s", name);
	return 0;
}

int
gw_store_org_update(struct db *db, const char *id, bool is_private, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "org_update", DB_TEXT(id), DB_TEXT(visibility(is_private)));

	if (rc == 0 && db_affected(r) == 0)
		return no_org(err, id);
	return rc;
}

int
gw_store_org_delete(struct db *db, const char *id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "org_delete", DB_TEXT(id));

	if (rc == 0 && db_affected(r) == 0)
		return no_org(err, id);
	return rc;
}

enum list_fields { FIELD_ROLE = 1, FIELD_USER = 2 };

static int
list(struct gw_org_list *out, struct db *db, const char *stmt, const struct gw_page *page,
    struct db_param param, unsigned fields, struct err **err)
{
	auto_result *r = NULL;
	int rc;

	*out = (struct gw_org_list){ 0 };
	rc = gw_store_paged(&r, &out->n, &out->more, db, stmt, page, &param, 1, err);
	if (rc < 0)
		return rc;
	out->rows = xcalloc(out->n + 1, sizeof(out->rows[0]));
	for (size_t i = 0; i < out->n; i++) {
		org_of_row(&out->rows[i].org, r, i);
		if (fields & FIELD_ROLE)
			role_of_row(out->rows[i].role, r, i);
		if (fields & FIELD_USER)
			user_of_row(&out->rows[i].user, r, i);
	}
	return 0;
}

int
gw_store_org_list(struct gw_org_list *out, struct db *db, const struct gw_page *page,
    bool private_too, struct err **err)
{
	return list(out, db, "org_list", page, DB_BOOL(private_too), 0, err);
}

int
gw_store_org_of_user(struct gw_org_list *out, struct db *db, const struct gw_page *page,
    const char *user_id, struct err **err)
{
	return list(out, db, "org_of_user", page, DB_TEXT(user_id), FIELD_ROLE, err);
}

int
gw_store_member_list(struct gw_org_list *out, struct db *db, const struct gw_page *page,
    const char *org_id, struct err **err)
{
	return list(out, db, "member_list", page, DB_TEXT(org_id), FIELD_ROLE | FIELD_USER, err);
}

/* Between the look-ups and this statement the organization or the user was deleted. */
static int
gone(int rc, struct err **err)
{
	if (rc != ERR_INVALID)
		return rc;
	err_clear(err);
	return err_set(err, ERR_NOTFOUND, "the organization or the user was deleted meanwhile");
}

int
gw_store_member_put(
    struct db *db, const char *org_id, const char *user_id, const char *role, struct err **err)
{
	/* Waits for the answer, so that a refusal is this one's. */
	auto_result *r = NULL;
	int rc =
	    db_query(&r, db, err, "member_put", DB_TEXT(org_id), DB_TEXT(user_id), DB_TEXT(role));

	return gone(rc, err);
}

int
gw_store_member_delete(struct db *db, const char *org_id, const char *user_id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "member_delete", DB_TEXT(org_id), DB_TEXT(user_id));

	if (rc == 0 && db_affected(r) == 0)
		return err_set_slug(err, ERR_NOTFOUND, "orgMemberDoesNotExist",
		    "the user is not a member of the organization");
	return rc;
}

int
gw_store_invitation_list(struct gw_org_list *out, struct db *db, const char *org_id,
    const char *user_id, unsigned limit, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(
	    &r, db, err, "invitation_list", DB_TEXT(org_id), DB_TEXT(user_id), DB_I64(limit));

	*out = (struct gw_org_list){ 0 };
	if (rc < 0)
		return rc;
	out->n = db_rows(r);
	out->rows = xcalloc(out->n + 1, sizeof(out->rows[0]));
	for (size_t i = 0; i < out->n; i++)
		invitation_of_row(&out->rows[i], r, i);
	return 0;
}

static int
no_invitation(struct err **err)
{
	return err_set_slug(err, ERR_NOTFOUND, "invitationDoesNotExist",
	    "the user has no invitation to the organization");
}

int
gw_store_invitation_get(struct gw_org_row *out, struct db *db, const char *org_id,
    const char *user_id, struct err **err)
{
	struct gw_org_list l;
	int rc = gw_store_invitation_list(&l, db, org_id, user_id, 1, err);

	if (rc == 0 && l.n == 0)
		rc = no_invitation(err);
	if (rc == 0)
		*out = l.rows[0];
	gw_org_list_fini(&l);
	return rc;
}

int
gw_store_invitation_create(char id[ID_LEN + 1], struct db *db, const char *org_id,
    const char *user_id, const char *role, struct err **err)
{
	struct id fresh = id_new();
	auto_result *member = NULL;
	auto_result *r = NULL;
	int rc = db_query(&member, db, err, "member_role", DB_TEXT(org_id), DB_TEXT(user_id));

	if (rc == 0 && db_rows(member) > 0)
		return err_set(
		    err, ERR_INTERNAL, "the user is a member of the organization already");
	if (rc == 0)
		rc = gone(db_query(&r, db, err, "invitation_create", DB_TEXT(fresh.s),
		              DB_TEXT(org_id), DB_TEXT(user_id), DB_TEXT(role)),
		    err);
	if (rc < 0)
		return rc;
	if (db_affected(r) == 0)
		return err_set_slug(err, ERR_INVALID, "invitationAlreadyExists",
		    "the user has been invited already");
	snprintf(id, ID_LEN + 1, "%s", fresh.s);
	return 0;
}

int
gw_store_invitation_delete(struct db *db, const char *org_id, const char *user_id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "invitation_delete", DB_TEXT(org_id), DB_TEXT(user_id));

	if (rc == 0 && db_affected(r) == 0)
		return no_invitation(err);
	return rc;
}

int
gw_store_invitation_accept(struct db *db, const char *org_id, const char *user_id, struct err **err)
{
	auto_result *r = NULL;
	int rc = db_query(&r, db, err, "invitation_accept", DB_TEXT(org_id), DB_TEXT(user_id));

	if (rc == 0 && db_affected(r) == 0)
		return no_invitation(err);
	return rc;
}
