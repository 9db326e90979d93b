/*
 * store_audit.h - the audit log, and the maintenance flags of the services. Database threads only.
 */
#ifndef GATEWAY_STORE_AUDIT_H
#define GATEWAY_STORE_AUDIT_H

#include "common/err.h"
#include "common/json.h"
#include "gateway/page.h"

#include <stdbool.h>

struct db;

struct gw_audit {
	const char *who;     /* user | admin | anonymous */
	const char *user_id; /* NULL unless a user */
	const char *username;
	const char *address, *method, *path;
	const char *outcome; /* done | asked | refused */
};
#define GW_AUDIT_PATH_MAX 500 /* bytes kept of a path */

int gw_store_audit_add(struct db *db, const struct gw_audit *a, struct err **err) MUSTCHECK;
/* Rows as JSON objects; keys of the page are row ids. username "" = everybody's. *last gets the
 * last row's id as text. */
int gw_store_audit_list(json_t **rows, bool *more, char last[GW_PAGE_KEY_MAX + 1], struct db *db,
    const struct gw_page *page, const char *username, struct err **err) MUSTCHECK;

/* Bits of services. */
#define GW_SERVICE_CONFIG 1u /* users, organizations, projects: this gateway's own data */
#define GW_SERVICE_RUNS 2u   /* the runservice's */
/* configstore or runservice; 0 for another name. */
unsigned gw_service_by_name(const char *name);
int gw_store_maintenance_get(unsigned *out, struct db *db, struct err **err) MUSTCHECK;
/* ERR_INVALID when it was so already. */
int gw_store_maintenance_set(
    struct db *db, unsigned service, bool requested, struct err **err) MUSTCHECK;

#endif
