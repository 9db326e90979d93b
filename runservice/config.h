/*
 * config.h - the keys of runservice.yml.
 */
#ifndef RUNSERVICE_CONFIG_H
#define RUNSERVICE_CONFIG_H

#include "common/config.h"

struct rs_config {
	char *rpc_listen, *http_listen, *object_url, *database, *data_dir;
	char *master_key_file, *gateway_key_file, *executor_keys_dir;
	char *cert_file, *key_file; /* both or none */
	int64_t lease_ms, offer_timeout_ms, sweep_ms, db_threads;
	int64_t cache_retention_ms, workspace_retention_ms, log_retention_ms; /* 0 = for ever */
	int64_t cleaner_ms;                                                   /* 0 = never */
};

extern const struct config_key rs_config_keys[];
extern const size_t rs_config_nkeys;
int rs_config_check(void *arg, struct err **err) MUSTCHECK;

#endif
