#include "runservice/config.h"

#include "common/crypto.h"
#include "common/mem.h"

#include <string.h>

#define RETENTION_MAX_MS (INT64_C(3600000) * 24 * 365 * 10)

#define KEY(name_, type_, field_)                                                                  \
	.name = (name_), .type = (type_), .offset = offsetof(struct rs_config, field_)

const struct config_key rs_config_keys[] = {
	{ KEY("rpc_listen", CONFIG_TEXT, rpc_listen), .required = true,
	    .help = "Where gateways and executors connect: tcp://host:port, tls+tcp://host:port or "
	            "ipc:///path." },
	{ KEY("http_listen", CONFIG_TEXT, http_listen), .required = true,
	    .help = "host:port of the object store, /healthz, /readyz and /metrics." },
	{ KEY("object_url", CONFIG_TEXT, object_url), .required = true,
	    .help =
	        "Base URL under which executors reach http_listen, e.g. http://10.0.0.5:8004." },
	{ KEY("database", CONFIG_TEXT, database), .required = true,
	    .help = "PostgreSQL connection string; the schema is runservice." },
	{ KEY("data_dir", CONFIG_TEXT, data_dir), .required = true,
	    .help = "Directory of the objects and of this replica's identity; used by one "
	            "runservice at a time." },
	{ KEY("master_key_file", CONFIG_TEXT, master_key_file), .required = true,
	    .help = "File with 64 hex digits: the key that wraps the keys of all secrets." },
	{ KEY("gateway_key_file", CONFIG_TEXT, gateway_key_file), .required = true,
	    .help = "File with 64 hex digits: the key shared with the gateways." },
	{ KEY("executor_keys_dir", CONFIG_TEXT, executor_keys_dir), .required = true,
	    .help = "Directory with one <executor id>.key per executor; read when an unknown one "
	            "connects." },
	{ KEY("cert_file", CONFIG_TEXT, cert_file),
	    .help = "Certificate chain in PEM, for rpc_listen with tls+tcp and for an object_url "
	            "with https." },
	{ KEY("key_file", CONFIG_TEXT, key_file), .help = "Private key in PEM." },
	{ KEY("lease", CONFIG_DURATION, lease_ms), .text_default = "60s", .min = 1000,
	    .max = 3600000, .help = "How long a task stays with an executor that says nothing." },
	{ KEY("offer_timeout", CONFIG_DURATION, offer_timeout_ms), .text_default = "5s", .min = 100,
	    .max = 60000,
	    .help = "How long an executor may take to accept a task before it is offered again." },
	{ KEY("sweep_interval", CONFIG_DURATION, sweep_ms), .text_default = "30s", .max = 3600000,
	    .help = "How long after new work a safety sweep over the database follows; 0 = none." },
	{ KEY("cache_retention", CONFIG_DURATION, cache_retention_ms), .text_default = "168h",
	    .max = RETENTION_MAX_MS,
	    .help = "How long a cache is found after it was saved; 0 = for ever." },
	{ KEY("workspace_retention", CONFIG_DURATION, workspace_retention_ms),
	    .text_default = "168h", .max = RETENTION_MAX_MS,
	    .help = "How long what save_to_workspace saved is kept (a run that is restarted from "
	            "its failed tasks needs it); 0 = for ever." },
	{ KEY("log_retention", CONFIG_DURATION, log_retention_ms), .text_default = "720h",
	    .max = RETENTION_MAX_MS,
	    .help = "How long the logs of finished tasks are kept; 0 = for ever." },
	{ KEY("cleaner_interval", CONFIG_DURATION, cleaner_ms), .text_default = "24h",
	    .max = INT64_C(3600000) * 24 * 30,
	    .help = "How often what is too old is removed, besides once at the start; 0 = never." },
	{ KEY("db_threads", CONFIG_INT, db_threads), .text_default = "4", .min = 1, .max = 64,
	    .help = "Database connections, one per worker thread." },
};
const size_t rs_config_nkeys = ARRAY_LEN(rs_config_keys);

static bool
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static int
check_tls(const struct rs_config *cfg, struct err **err)
{
	if (!cfg->cert_file != !cfg->key_file)
		return err_set(err, ERR_INVALID,
		    "cert_file and key_file go together: %s is missing",
		    cfg->cert_file ? "key_file" : "cert_file");
	if (!cfg->cert_file && begins(cfg->rpc_listen, "tls+tcp"))
		return err_set(
		    err, ERR_INVALID, "rpc_listen: tls+tcp needs cert_file and key_file");
	if (!cfg->cert_file && begins(cfg->object_url, "https:"))
		return err_set(err, ERR_INVALID, "object_url: https needs cert_file and key_file");
	return 0;
}

int
rs_config_check(void *arg, struct err **err)
{
	const struct rs_config *cfg = arg;
	uint8_t key[CRYPTO_KEY_LEN];
	int rc = check_tls(cfg, err);
	if (rc != 0)
		return rc;
	rc = crypto_read_key_file(key, cfg->master_key_file, err);
	if (rc != 0)
		return err_wrap(err, "master_key_file");
	rc = crypto_read_key_file(key, cfg->gateway_key_file, err);
	explicit_bzero(key, sizeof(key));
	if (rc != 0)
		return err_wrap(err, "gateway_key_file");
	return 0;
}
