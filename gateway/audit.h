/*
 * audit.h - who did what when from where, written down. Database threads.
 */
#ifndef GATEWAY_AUDIT_H
#define GATEWAY_AUDIT_H

#include "common/err.h"

struct gw_req;
struct db;

/* One line about the request; outcome: done, asked (its end is not known here) or refused. */
int gw_audit(
    const struct gw_req *rq, struct db *db, const char *outcome, struct err **err) MUSTCHECK;
/* What happened is written down although it cannot be undone: a line that cannot be stored goes to
 * the log instead. */
void gw_audit_after(const struct gw_req *rq, struct db *db, const char *outcome);
/* The same about somebody whom the request only names (a login); user_id NULL: nobody known. */
void gw_audit_login(const struct gw_req *rq, struct db *db, const char *user_id,
    const char *username, const char *outcome);

#endif
