/*
 * login_limit.h - tries to log in, counted by name and by address. Loop thread.
 */
#ifndef GATEWAY_LOGIN_LIMIT_H
#define GATEWAY_LOGIN_LIMIT_H

#include <stdbool.h>

struct gw_req;

#define GW_PASSWORD_MIN 10 /* bytes */
#define GW_PASSWORD_MAX 256

/* Takes a try of this name (NULL: of the address alone); false when there is none, then the request
 * was answered with 429. */
bool gw_login_try(struct gw_req *rq, const char *name);
/* It was no failed one. */
void gw_login_forgive(struct gw_req *rq, const char *name);

#endif
