/*
 * name.h - names of users and other objects, and the shapes of UUIDs. Pure.
 */
#ifndef GATEWAY_NAME_H
#define GATEWAY_NAME_H

#include "common/err.h"
#include "common/id.h"

#include <stdbool.h>

#define GW_NAME_MAX 40

/* The rule of users, organizations, projects and the like: one letter or digit, or a letter
 * followed by letters, digits and single inner hyphens; at most GW_NAME_MAX; not like a UUID. */
bool gw_name_is_valid(const char *name);
/* ERR_INVALID with this code when it is NULL or breaks the rule; field is what the caller calls it.
 */
int gw_name_check(
    const char *name, const char *field, const char *slug, struct err **err) MUSTCHECK;
/* "public" or "private". False for anything else, NULL too. */
bool gw_visibility_parse(bool *is_private, const char *text);
/* True for every accepted shape of a UUID (canonical, {…}, urn:uuid:…, 32 hex digits, any case);
 * out gets the canonical form. */
bool gw_name_uuid(struct id *out, const char *text);

#endif
