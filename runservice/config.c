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
	    .help =
	        "host:port of /healthz, /readyz, /metrics and the objects of object_store: dir." },
	{ KEY("object_url", CONFIG_TEXT, object_url),
	    .help = "Base URL under which executors reach http_listen, e.g. http://10.0.0.5:8004; "
	            "required with object_store: dir. It begins with https: http_listen speaks "
	            "HTTPS." },
	{ KEY("object_store", CONFIG_TEXT, object_store), .text_default = "dir",
	    .help =
	        "Where logs and workspaces are kept: dir (data_dir, for one runservice) or s3." },
	{ KEY("s3_endpoint", CONFIG_TEXT, s3_endpoint),
	    .help = "S3 server as the runservice reaches it: http(s)://host[:port]." },
	{ KEY("s3_url", CONFIG_TEXT, s3_url),
	    .help = "The same as executors reach it; default: s3_endpoint." },
	{ KEY("s3_bucket", CONFIG_TEXT, s3_bucket),
	    .help = "Bucket that holds our objects and nothing else; it must exist." },
	{ KEY("s3_region", CONFIG_TEXT, s3_region), .text_default = "us-east-1",
	    .help = "Region for signatures." },
	{ KEY("s3_access_key", CONFIG_TEXT, s3_access_key), .help = "Access key id." },
	{ KEY("s3_secret_key_file", CONFIG_SECRET_FILE, s3_secret_key),
	    .help = "File with the secret access key." },
	{ KEY("s3_ca", CONFIG_TEXT, s3_ca),
	    .help = "Certificate authority of the S3 server; default: the system's." },
	{ KEY("database", CONFIG_TEXT, database), .required = true,
	    .help = "PostgreSQL connection string; the schema is runservice." },
	{ KEY("data_dir", CONFIG_TEXT, data_dir), .required = true,
	    .help = "Directory of this replica's identity, and of the objects with object_store: "
	            "dir; used by one runservice at a time." },
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
	if (!cfg->cert_file && cfg->object_url && begins(cfg->object_url, "https:"))
		return err_set(err, ERR_INVALID, "object_url: https needs cert_file and key_file");
	return 0;
}

bool
rs_config_s3(const struct rs_config *cfg)
{
	return cfg->object_store && strcmp(cfg->object_store, "s3") == 0;
}

struct objstore_s3_options
rs_config_s3_options(const struct rs_config *cfg)
{
	return (struct objstore_s3_options){ .endpoint = cfg->s3_endpoint,
		.url_endpoint = cfg->s3_url,
		.bucket = cfg->s3_bucket,
		.region = cfg->s3_region,
		.access_key = cfg->s3_access_key,
		.secret_key = cfg->s3_secret_key,
		.ca_file = cfg->s3_ca };
}

static int
check_objects(const struct rs_config *cfg, struct err **err)
{
	const struct objstore_s3_options s3 = rs_config_s3_options(cfg);
	if (rs_config_s3(cfg)) {
		int rc = objstore_s3_check(&s3, err);
		return rc != 0 ? err_wrap(err, "object_store: s3") : 0;
	}
	if (cfg->object_store && strcmp(cfg->object_store, "dir") != 0)
		return err_set(err, ERR_INVALID, "object_store: \"%s\" is neither dir nor s3",
		    cfg->object_store);
	if (!cfg->object_url)
		return err_set(err, ERR_INVALID, "object_url: required with object_store: dir");
	if (s3.endpoint || s3.bucket || s3.access_key || s3.secret_key)
		return err_set(err, ERR_INVALID, "s3_ keys need object_store: s3");
	return 0;
}

int
rs_config_check(void *arg, struct err **err)
{
	const struct rs_config *cfg = arg;
	uint8_t key[CRYPTO_KEY_LEN];
	int rc = check_objects(cfg, err);
	if (rc == 0)
		rc = check_tls(cfg, err);
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
