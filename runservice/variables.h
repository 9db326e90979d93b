/*
 * variables.h - which stored values a new run refers to: those a direct run brings, or those its
 * project and its groups define. Only what the run's definition names is looked for; a version's id
 * is stored, never a value. Worker threads, inside the creating transaction.
 */
#ifndef RUNSERVICE_VARIABLES_H
#define RUNSERVICE_VARIABLES_H

#include "common/db.h"
#include "gateway.pb-c.h"
#include "runservice/keyring.h"

#define RS_SCOPES_MAX 64 /* a project and its groups */

/* ERR_INVALID for what is no chain of scopes. Pure. */
int rs_scopes_check(char *const *scopes, size_t n, struct err **err) MUSTCHECK;
/* ERR_INVALID: the request's source and variables are malformed. Pure. */
int rs_variables_check(const Millrace__RunCreateRequest *req, struct err **err) MUSTCHECK;
int rs_variables_give(struct db *db, struct rs_keyring *keys, const Millrace__RunCreateRequest *req,
    const Millrace__RunSpec *spec, const char *run_id, struct err **err) MUSTCHECK;

#endif
