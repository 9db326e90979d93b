/*
 * openapi.h - the REST API as an OpenAPI document, made of the route table and the bodies. Pure.
 */
#ifndef GATEWAY_OPENAPI_H
#define GATEWAY_OPENAPI_H

#include "common/json.h"

/* url: where the gateway is reached. */
json_t *gw_openapi(const char *url, const char *version);

#endif
