/*
 * store_user.h - users and their tokens in PostgreSQL. Database threads only.
 */
#ifndef GATEWAY_STORE_USER_H
#define GATEWAY_STORE_USER_H

#include "common/err.h"
#include "common/id.h"
#include "gateway/name.h"

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
};
struct gw_user_row {
	struct gw_user user;
	char *tokens; /* their names as a sorted JSON array, malloc'ed */
};
struct gw_user_list {
	struct gw_user_row *rows;
	size_t n;
	bool more;
};
void gw_user_list_fini(struct gw_user_list *l);

/* ERR_NOTFOUND without a machine code when no user has this token. */
int gw_store_user_by_token(struct gw_user *out, struct db *db,
    const uint8_t hash[GW_TOKEN_HASH_LEN], struct err **err) MUSTCHECK;
/* ref: UUID in any shape, or name. ERR_NOTFOUND userDoesNotExist. */
int gw_store_user_by_ref(
    struct gw_user *out, struct db *db, const char *ref, struct err **err) MUSTCHECK;
/* ERR_INVALID userAlreadyExists. */
int gw_store_user_create(
    struct gw_user *out, struct db *db, const char *name, struct err **err) MUSTCHECK;
int gw_store_user_delete(struct db *db, const char *id, struct err **err) MUSTCHECK;
/* By name, those beyond after (exclusive, "" = from the end the direction starts at). limit 0 =
 * all. */
int gw_store_user_list(struct gw_user_list *out, struct db *db, const char *after, bool ascending,
    unsigned limit, struct err **err) MUSTCHECK;
/* Names as a sorted JSON array, malloc'ed. */
int gw_store_token_names(
    char **out, struct db *db, const char *user_id, struct err **err) MUSTCHECK;
/* ERR_INVALID userTokenAlreadyExists. */
int gw_store_token_create(struct db *db, const char *user_id, const char *name,
    const uint8_t hash[GW_TOKEN_HASH_LEN], struct err **err) MUSTCHECK;
/* ERR_NOTFOUND userTokenDoesNotExist. */
int gw_store_token_delete(
    struct db *db, const char *user_id, const char *name, struct err **err) MUSTCHECK;

#endif
