/*
 * store_remote.h - remote sources (git hosts) and the accounts users have there. Database threads
 * only. Secret texts come in and go out sealed (keys.h).
 */
#ifndef GATEWAY_STORE_REMOTE_H
#define GATEWAY_STORE_REMOTE_H

#include "common/err.h"
#include "gateway/keys.h"
#include "gateway/page.h"
#include "gateway/store_user.h"

struct gw_remote {
	char id[ID_LEN + 1];
	char name[GW_NAME_MAX + 1];
	char *apiurl, *type, *auth_type, *client_id, *ssh_host_key; /* malloc'ed, never NULL */
	struct gw_sealed client_secret; /* sealed at gw_remote_place() */
	bool skip_verify, skip_ssh_host_key_check, registration_enabled, login_enabled;
};
void gw_remote_fini(struct gw_remote *r);
/* Where a source's client secret is sealed for, malloc'ed. */
char *gw_remote_place(const char *id);
struct gw_remote_list {
	struct gw_remote *rows;
	size_t n;
	bool more;
};
void gw_remote_list_fini(struct gw_remote_list *l);

/* ref: UUID in any shape, or name. ERR_NOTFOUND remoteSourceDoesNotExist. */
int gw_store_remote_by_ref(
    struct gw_remote *out, struct db *db, const char *ref, struct err **err) MUSTCHECK;
/* By name. */
int gw_store_remote_list(struct gw_remote_list *out, struct db *db, const struct gw_page *page,
    struct err **err) MUSTCHECK;
/* All fields, id among them. ERR_INVALID remoteSourceAlreadyExists. */
int gw_store_remote_create(struct db *db, const struct gw_remote *n, struct err **err) MUSTCHECK;
int gw_store_remote_update(struct db *db, const struct gw_remote *n, struct err **err) MUSTCHECK;
/* Accounts there go too, projects lose their source. */
int gw_store_remote_delete(struct db *db, const char *id, struct err **err) MUSTCHECK;

/* --- linked accounts --- */

struct gw_account {
	char id[ID_LEN + 1];
	char user_id[ID_LEN + 1];
	char remote_source_id[ID_LEN + 1];
	char *remote_user_id, *remote_username, *avatar_url; /* malloc'ed, never NULL */
	/* Sealed at gw_account_place(). */
	struct gw_sealed access_token, oauth2_access_token, oauth2_refresh_token;
	int64_t oauth2_expires_ms; /* Unix time, 0 = unknown */
};
void gw_account_fini(struct gw_account *a);
char *gw_account_place(const char *id, const char *field); /* malloc'ed */

/* ERR_INVALID linkedAccountAlreadyExists: the user has one there, or somebody has this one. */
int gw_store_account_create(struct db *db, const struct gw_account *a, struct err **err) MUSTCHECK;
/* The user of this name with the account a (whose user_id is filled), in one transaction.
 * linkedAccountAlreadyExists goes before userAlreadyExists. */
int gw_store_account_register(struct gw_user *out, struct db *db, const char *username,
    struct gw_account *a, struct err **err) MUSTCHECK;
/* Names and tokens, by id. */
int gw_store_account_update(struct db *db, const struct gw_account *a, struct err **err) MUSTCHECK;
/* ERR_NOTFOUND linkedAccountDoesNotExist. */
int gw_store_account_of_user(struct gw_account *out, struct db *db, const char *user_id,
    const char *remote_source_id, struct err **err) MUSTCHECK;
int gw_store_account_by_remote(struct gw_account *out, struct db *db, const char *remote_source_id,
    const char *remote_user_id, struct err **err) MUSTCHECK;
int gw_store_account_delete(
    struct db *db, const char *user_id, const char *id, struct err **err) MUSTCHECK;

#endif
