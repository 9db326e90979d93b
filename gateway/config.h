/*
 * config.h - what gateway.yml holds.
 */
#ifndef GATEWAY_CONFIG_H
#define GATEWAY_CONFIG_H

#include "common/config.h"
#include "common/crypto.h"
#include "gateway/origin.h"

#include <stddef.h>
#include <stdint.h>

struct gw_config {
	char *listen;
	char *public_url; /* without trailing slash; what task containers clone from */
	char *database;
	char *runservice;
	char *tls_ca, *tls_server_name; /* both for tls+tcp */
	char *rpc_key_file;
	char *admin_token; /* NULL: there is no administrator token */
	char *data_dir;
	char *cert_file;
	char *key_file;
	int64_t db_threads;
	char *web_url; /* of the web pages, without trailing slash; public_url unless given */
	char *cookie_key_file, *secret_key_file; /* NULL: made in data_dir */
	int64_t session_ms;                      /* life of a login */
	bool unsecure_cookies;
	struct gw_origin_list allowed_origins;
	char *organization_member_adding_mode;               /* direct | invitation */
	char *repository_dir;                                /* data_dir/repos unless given */
	int64_t repository_quota;                            /* bytes of one user's repositories */
	int64_t repository_expire_ms, repository_cleanup_ms; /* 0 = never */
};
bool gw_config_invites(const struct gw_config *cfg);

extern const struct config_key gw_config_keys[];
extern const size_t gw_config_nkeys;

/* Checks beyond single keys; struct daemon_spec's check. Cuts slashes off public_url's end. */
int gw_config_check(void *arg, struct err **err);

#endif
