/*
 * host_access.h - a remote source and an account there, opened for a call to the git host. Database
 * threads; results live in the request's arena.
 */
#ifndef GATEWAY_HOST_ACCESS_H
#define GATEWAY_HOST_ACCESS_H

#include "common/err.h"
#include "gateway/githost.h"
#include "gateway/store_remote.h"

struct gw_req;

/* For login: no account. */
int gw_host_open(struct gw_githost *out, struct gw_req *rq, const struct gw_remote *remote,
    struct err **err) MUSTCHECK;
/* With the user's account there, whose id account_id gets. ERR_NOTFOUND
 * remoteSourceDoesNotExist, linkedAccountDoesNotExist. source: name or id. */
int gw_host_open_as(struct gw_githost *out, char remote_id[ID_LEN + 1], char account_id[ID_LEN + 1],
    struct gw_req *rq, struct db *db, const char *source, const char *user_id,
    struct err **err) MUSTCHECK;

#endif
