#include "gateway/config.h"

#include "common/mem.h"

#include <string.h>

#define KEY(field) offsetof(struct gw_config, field)

const struct config_key gw_config_keys[] = {
	{ .name = "listen",
	    .type = CONFIG_TEXT,
	    .offset = KEY(listen),
	    .text_default = "127.0.0.1:8000",
	    .help = "Address of the HTTP server: host:port or unix:/path." },
	{ .name = "public_url",
	    .type = CONFIG_TEXT,
	    .offset = KEY(public_url),
	    .required = true,
	    .help = "URL under which task containers reach this gateway, e.g. "
	            "http://ci.example.org:8000." },
	{ .name = "database",
	    .type = CONFIG_TEXT,
	    .offset = KEY(database),
	    .required = true,
	    .help = "PostgreSQL connection string; the schema gateway is used in it." },
	{ .name = "runservice",
	    .type = CONFIG_TEXT,
	    .offset = KEY(runservice),
	    .required = true,
	    .help = "URL of the runservice: tcp://host:port, tls+tcp://host:port or ipc:///path." },
	{ .name = "tls_ca",
	    .type = CONFIG_TEXT,
	    .offset = KEY(tls_ca),
	    .help = "Certificate authority of the runservice, for tls+tcp." },
	{ .name = "tls_server_name",
	    .type = CONFIG_TEXT,
	    .offset = KEY(tls_server_name),
	    .help = "Name in the runservice's certificate, for tls+tcp." },
	{ .name = "rpc_key_file",
	    .type = CONFIG_TEXT,
	    .offset = KEY(rpc_key_file),
	    .required = true,
	    .help = "File with the key shared with the runservice, 64 hex digits." },
	{ .name = "admin_token_file",
	    .type = CONFIG_SECRET_FILE,
	    .offset = KEY(admin_token),
	    .help = "File with the administrator's API token; without it there is none." },
	{ .name = "data_dir",
	    .type = CONFIG_TEXT,
	    .offset = KEY(data_dir),
	    .required = true,
	    .help = "Directory of the git repositories that direct runs push to." },
	{ .name = "cert_file",
	    .type = CONFIG_TEXT,
	    .offset = KEY(cert_file),
	    .help = "Certificate chain in PEM; with key_file the server speaks HTTPS." },
	{ .name = "key_file",
	    .type = CONFIG_TEXT,
	    .offset = KEY(key_file),
	    .help = "Private key in PEM." },
	{ .name = "db_threads",
	    .type = CONFIG_INT,
	    .offset = KEY(db_threads),
	    .text_default = "2",
	    .min = 1,
	    .max = 64,
	    .help = "Threads that talk to PostgreSQL, one connection each." },
};
const size_t gw_config_nkeys = ARRAY_LEN(gw_config_keys);

static bool
is_set(const char *text)
{
	return text && *text;
}

int
gw_config_check(void *arg, struct err **err)
{
	struct gw_config *cfg = arg;

	if (strncmp(cfg->public_url, "http://", 7) != 0 &&
	    strncmp(cfg->public_url, "https://", 8) != 0)
		return err_set(err, ERR_INVALID,
		    "public_url: must begin with http:// or https://, it is %s", cfg->public_url);
	for (size_t n = strlen(cfg->public_url); n > 0 && cfg->public_url[n - 1] == '/'; n--)
		cfg->public_url[n - 1] = '\0';
	if (is_set(cfg->cert_file) != is_set(cfg->key_file))
		return err_set(err, ERR_INVALID, "cert_file and key_file: give both or none");
	if (cfg->data_dir[0] != '/')
		return err_set(
		    err, ERR_INVALID, "data_dir: must be absolute, it is %s", cfg->data_dir);
	return 0;
}
