/*
 * password.h - passwords of users of this server. Threads of the login pool only: they take long.
 */
#ifndef GATEWAY_PASSWORD_H
#define GATEWAY_PASSWORD_H

#include "common/crypto.h"
#include "common/err.h"
#include "gateway/store_user.h"

/* ERR_INVALID says what a password must be. */
int gw_password_hash(
    char out[CRYPTO_PASSWORD_LEN], const char *password, struct err **err) MUSTCHECK;
/* The user of this name and password. ERR_INVALID, after the same time, for an unknown name, a user
 * without a password, and a wrong one. */
int gw_password_check(struct gw_user *out, struct db *db, const char *name, const char *password,
    struct err **err) MUSTCHECK;

#endif
