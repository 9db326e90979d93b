/*
 * store_org.h - organizations, their members and invitations. Database threads only.
 */
#ifndef GATEWAY_STORE_ORG_H
#define GATEWAY_STORE_ORG_H

#include "common/err.h"
#include "gateway/page.h"
#include "gateway/store_user.h"

struct gw_org {
	char id[ID_LEN + 1];
	char name[GW_NAME_MAX + 1];
	bool is_private;
};
struct gw_org_row {
	struct gw_org org;
	struct gw_user user; /* of a member, an invitation */
	char role[8];        /* owner | member; "" in plain lists */
	char id[ID_LEN + 1]; /* of an invitation */
	char created[40];    /* of an invitation, RFC 3339 */
};
struct gw_org_list {
	struct gw_org_row *rows;
	size_t n;
	bool more;
};
void gw_org_list_fini(struct gw_org_list *l);

/* ref: UUID in any shape, or name. ERR_NOTFOUND organizationDoesNotExist. role (8 bytes) gets the
 * user's role in it, "" when not a member or user_id is NULL. */
int gw_store_org_by_ref(struct gw_org *out, char role[8], struct db *db, const char *ref,
    const char *user_id, struct err **err) MUSTCHECK;
/* With its root project group; creator_id (may be NULL) becomes its owner. ERR_INVALID
 * organizationAlreadyExists. */
int gw_store_org_create(struct gw_org *out, struct db *db, const char *name, bool is_private,
    const char *creator_id, struct err **err) MUSTCHECK;
int gw_store_org_update(struct db *db, const char *id, bool is_private, struct err **err) MUSTCHECK;
int gw_store_org_delete(struct db *db, const char *id, struct err **err) MUSTCHECK;
/* By name. */
int gw_store_org_list(struct gw_org_list *out, struct db *db, const struct gw_page *page,
    bool private_too, struct err **err) MUSTCHECK;
/* Those a user is a member of, by name, with the role. */
int gw_store_org_of_user(struct gw_org_list *out, struct db *db, const struct gw_page *page,
    const char *user_id, struct err **err) MUSTCHECK;

/* --- members --- */

/* By user name. */
int gw_store_member_list(struct gw_org_list *out, struct db *db, const struct gw_page *page,
    const char *org_id, struct err **err) MUSTCHECK;
/* Adds or changes the role; a pending invitation goes. */
int gw_store_member_put(struct db *db, const char *org_id, const char *user_id, const char *role,
    struct err **err) MUSTCHECK;
/* ERR_NOTFOUND orgMemberDoesNotExist. */
int gw_store_member_delete(
    struct db *db, const char *org_id, const char *user_id, struct err **err) MUSTCHECK;

/* --- invitations --- */

/* Of an organization by user name, or of a user by organization name: the other id is NULL. */
int gw_store_invitation_list(struct gw_org_list *out, struct db *db, const char *org_id,
    const char *user_id, unsigned limit, struct err **err) MUSTCHECK;
/* ERR_NOTFOUND invitationDoesNotExist. */
int gw_store_invitation_get(struct gw_org_row *out, struct db *db, const char *org_id,
    const char *user_id, struct err **err) MUSTCHECK;
/* ERR_INVALID invitationAlreadyExists; ERR_INTERNAL when the user is a member already, as clients
 * expect. */
int gw_store_invitation_create(char id[ID_LEN + 1], struct db *db, const char *org_id,
    const char *user_id, const char *role, struct err **err) MUSTCHECK;
int gw_store_invitation_delete(
    struct db *db, const char *org_id, const char *user_id, struct err **err) MUSTCHECK;
/* The user becomes a member with the invited role. */
int gw_store_invitation_accept(
    struct db *db, const char *org_id, const char *user_id, struct err **err) MUSTCHECK;

#endif
