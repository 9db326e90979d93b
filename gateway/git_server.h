/*
 * git_server.h - git's smart HTTP protocol for direct runs, under /repos.
 *
 * Each request is one git child (--stateless-rpc) between the request's body and a streamed answer.
 * Everything a client pushes is hostile: sizes are bounded, objects checked, hooks off, the
 * repository's configuration is ours. Loop thread only.
 */
#ifndef GATEWAY_GIT_SERVER_H
#define GATEWAY_GIT_SERVER_H

#include "common/json.h"
#include "common/loop.h"

#include <stddef.h>

#define GW_GIT_PUSH_BODY_MAX (512u << 20) /* bytes of one push */
#define GW_GIT_FETCH_BODY_MAX (8u << 20)  /* bytes of a fetch's wants and haves, as sent */
#define GW_GIT_INFLATED_MAX GW_GIT_PUSH_BODY_MAX
#define GW_GIT_CHILDREN_MAX 16        /* at once; more wait */
#define GW_GIT_WAITING_MAX 256        /* more are answered with 503 */
#define GW_GIT_IDLE_MS 120000         /* without a byte in either direction: killed */
#define GW_GIT_TOTAL_MS 1800000       /* and in any case after this */
#define GW_GIT_PENDING_MAX (1u << 20) /* bytes a slow client may owe us */

struct gw_git_server;

struct gw_git_server *gw_git_server_new(struct loop *loop);
/* Kills the children; their requests were ended through abandon before. */
void gw_git_server_free(struct gw_git_server *g);

/* "git-upload-pack" or "git-receive-pack" -> argv word "upload-pack"; NULL for others. */
const char *gw_git_service(const char *name);
/* A protocol version that may be handed to git as it is ("version=2"), else NULL. */
const char *gw_git_protocol(const char *header);
/* First packet of an advertisement: "001e# service=git-upload-pack\n0000". out holds 64 bytes. */
void gw_git_service_packet(char out[64], const char *service);

/* Adds "git" to a dump. */
void gw_git_dump(json_t *out, const struct gw_git_server *g);

#endif
