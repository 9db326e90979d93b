/*
 * store_user.h - users and their tokens in PostgreSQL. Database threads only.
 */
#ifndef GATEWAY_STORE_USER_H
#define GATEWAY_STORE_USER_H

#include "common/err.h"
#include "common/id.h"
#include "gateway/name.h"
#include "gateway/page.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_TOKEN_HASH_LEN 32
#define GW_TOKEN_NAME_MAX 200 /* bytes */

struct db;

struct gw_user {
	char id[ID_LEN + 1];
	char name[GW_NAME_MAX + 1];
	bool admin;
	int64_t epoch; /* of its sessions; 0 where a list did not ask */
};
/* tokens: their names as a sorted JSON array; accounts: the linked accounts as a JSON array of
 * LAItem. Both malloc'ed. */
struct gw_user_more {
	char *tokens, *accounts;
};
void gw_user_more_fini(struct gw_user_more *m);
struct gw_user_row {
	struct gw_user user;
	struct gw_user_more more;
};
struct gw_user_list {
	struct gw_user_row *rows;
	size_t n;
	bool more;
};
void gw_user_list_fini(struct gw_user_list *l);

/* ERR_NOTFOUND without a machine code when no user has this token, or it has expired. read_only:
 * its scope allows no change. */
int gw_store_user_by_token(struct gw_user *out, bool *read_only, struct db *db,
    const uint8_t hash[GW_TOKEN_HASH_LEN], struct err **err) MUSTCHECK;
/* The user of a session of this epoch; ERR_NOTFOUND as above. */
int gw_store_user_by_session(
    struct gw_user *out, struct db *db, const char *id, int64_t epoch, struct err **err) MUSTCHECK;
/* ref: UUID in any shape, or name. ERR_NOTFOUND userDoesNotExist. */
int gw_store_user_by_ref(
    struct gw_user *out, struct db *db, const char *ref, struct err **err) MUSTCHECK;
/* With the user's root project group. ERR_INVALID userAlreadyExists. */
int gw_store_user_create(
    struct gw_user *out, struct db *db, const char *name, bool admin, struct err **err) MUSTCHECK;
int gw_store_user_delete(struct db *db, const char *id, struct err **err) MUSTCHECK;
/* By name. */
int gw_store_user_list(struct gw_user_list *out, struct db *db, const struct gw_page *page,
    struct err **err) MUSTCHECK;
int gw_store_user_more(
    struct gw_user_more *out, struct db *db, const char *user_id, struct err **err) MUSTCHECK;
/* The user whose account at a git host this is. ERR_NOTFOUND userDoesNotExist. */
int gw_store_user_by_remote(struct gw_user *out, struct db *db, const char *remote_source_id,
    const char *remote_user_id, struct err **err) MUSTCHECK;

/* --- tokens --- */

struct gw_token_new {
	const char *user_id, *name;
	uint8_t hash[GW_TOKEN_HASH_LEN];
	bool read_only;
	int64_t expires_ms; /* from now; 0 = never */
};
/* ERR_INVALID userTokenAlreadyExists. */
int gw_store_token_create(struct db *db, const struct gw_token_new *t, struct err **err) MUSTCHECK;
/* A JSON array of {name, scope, expires_at}, by name; malloc'ed. */
int gw_store_token_list(char **out, struct db *db, const char *user_id, struct err **err) MUSTCHECK;
/* ERR_NOTFOUND userTokenDoesNotExist. */
int gw_store_token_delete(
    struct db *db, const char *user_id, const char *name, struct err **err) MUSTCHECK;

/* --- passwords: argon2id texts of common/crypto.h; links as SHA-256 of what they hold --- */

/* *hash NULL: the user has none. ERR_NOTFOUND userDoesNotExist. */
int gw_store_password_get(
    char **hash, struct gw_user *user, struct db *db, const char *name, struct err **err) MUSTCHECK;
/* Begins a new epoch of sessions. */
int gw_store_password_set(struct gw_user *user, struct db *db, const char *user_id,
    const char *hash, struct err **err) MUSTCHECK;
/* Replaces an earlier link of the user. */
int gw_store_password_link(struct db *db, const char *user_id,
    const uint8_t hash[GW_TOKEN_HASH_LEN], int64_t expires_ms, struct err **err) MUSTCHECK;
/* Uses the link up and sets the password. ERR_NOTFOUND: no such link, or it has expired. */
int gw_store_password_by_link(struct gw_user *user, struct db *db,
    const uint8_t hash[GW_TOKEN_HASH_LEN], const char *password, struct err **err) MUSTCHECK;

#endif
