/*
 * config.h - the keys of runservice.yml.
 */
#ifndef RUNSERVICE_CONFIG_H
#define RUNSERVICE_CONFIG_H

#include "common/config.h"
#include "common/objstore.h"

struct rs_config {
	char *rpc_listen, *http_listen, *object_url, *database, *data_dir;
	char *master_key_file, *gateway_key_file, *executor_keys_dir;
	char *cert_file, *key_file; /* both or none */
	char *object_store;         /* "dir" or "s3"; NULL: dir */
	char *s3_endpoint, *s3_url, *s3_bucket, *s3_region, *s3_access_key, *s3_secret_key, *s3_ca;
	int64_t lease_ms, offer_timeout_ms, sweep_ms, db_threads;
	int64_t cache_retention_ms, workspace_retention_ms, log_retention_ms; /* 0 = for ever */
	int64_t cleaner_ms;                                                   /* 0 = never */
};

extern const struct config_key rs_config_keys[];
extern const size_t rs_config_nkeys;
bool rs_config_s3(const struct rs_config *cfg);
/* What object_store: s3 is opened with; borrows from cfg. */
struct objstore_s3_options rs_config_s3_options(const struct rs_config *cfg);
int rs_config_check(void *arg, struct err **err) MUSTCHECK;

#endif
