/*
 * name.h - names of users and other objects, and the shapes of UUIDs. Pure.
 */
#ifndef GATEWAY_NAME_H
#define GATEWAY_NAME_H

#include "common/id.h"

#include <stdbool.h>

#define GW_NAME_MAX 40

/* The rule of users, organizations, projects and the like: one letter or digit, or a letter
 * followed by letters, digits and single inner hyphens; at most GW_NAME_MAX; not like a UUID. */
bool gw_name_is_valid(const char *name);
/* True for every accepted shape of a UUID (canonical, {…}, urn:uuid:…, 32 hex digits, any case);
 * out gets the canonical form. */
bool gw_name_uuid(struct id *out, const char *text);

#endif
