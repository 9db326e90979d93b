/*
 * project.h - what the handlers of projects share. Database threads.
 */
#ifndef GATEWAY_PROJECT_H
#define GATEWAY_PROJECT_H

#include "common/err.h"
#include "gateway/store_project.h"

struct gw_req;

/* The project as it is now becomes the answer. */
int gw_project_reply(
    struct gw_req *rq, struct db *db, const char *id, int status, struct err **err) MUSTCHECK;
/* ERR_INVALID when members of a user are to act on runs: a user has none. */
int gw_project_check_members_run(
    const struct gw_group *parent, bool members_run, struct err **err) MUSTCHECK;

#endif
