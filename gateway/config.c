#include "gateway/config.h"

#include "common/mem.h"

#include <string.h>

#define KEY(field) offsetof(struct gw_config, field)

static int
parse_origins(void *at, const struct yaml_node *node, struct err **err)
{
	struct gw_origin_list *l = at;
	int rc = 0;

	if (node->type != YAML_LIST)
		return err_set(err, ERR_INVALID, "must be a list of origins");
	for (size_t i = 0; rc == 0 && i < node->n; i++)
		rc = gw_origin_list_add(l, node->items[i]->text ? node->items[i]->text : "", err);
	return rc;
}

static void
free_origins(void *at)
{
	gw_origin_list_fini(at);
}

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
	    .help = "Directory of what is this gateway's alone, and of repository_dir unless that "
	            "is given." },
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
	{ .name = "web_url",
	    .type = CONFIG_TEXT,
	    .offset = KEY(web_url),
	    .help = "URL under which browsers reach the web pages; without it public_url." },
	{ .name = "cookie_key_file",
	    .type = CONFIG_TEXT,
	    .offset = KEY(cookie_key_file),
	    .help = "File with 64 hex digits that sign cookies; without it made in data_dir. "
	            "Several gateways need the same one." },
	{ .name = "secret_key_file",
	    .type = CONFIG_TEXT,
	    .offset = KEY(secret_key_file),
	    .help = "File with 64 hex digits that seal git hosts' secrets in the database; without "
	            "it made in data_dir. Several gateways need the same one." },
	{ .name = "session_duration",
	    .type = CONFIG_DURATION,
	    .offset = KEY(session_ms),
	    .text_default = "12h",
	    .min = 60000,
	    .max = 31536000000,
	    .help = "How long a login lasts without use." },
	{ .name = "unsecure_cookies",
	    .type = CONFIG_BOOL,
	    .offset = KEY(unsecure_cookies),
	    .text_default = "false",
	    .help = "Cookies that browsers keep over plain HTTP too; for trials only." },
	{ .name = "allowed_origins",
	    .type = CONFIG_CUSTOM,
	    .offset = KEY(allowed_origins),
	    .parse = parse_origins,
	    .free = free_origins,
	    .help = "List of origins whose web pages may use the API, e.g. "
	            "https://ci.example.org." },
	{ .name = "organization_member_adding_mode",
	    .type = CONFIG_TEXT,
	    .offset = KEY(organization_member_adding_mode),
	    .text_default = "direct",
	    .help = "How an organization's owner adds members: direct, or invitation." },
	{ .name = "repository_dir",
	    .type = CONFIG_TEXT,
	    .offset = KEY(repository_dir),
	    .help = "Directory of the git repositories that direct runs push to; several gateways "
	            "share one. Without it repos in data_dir." },
	{ .name = "repository_quota",
	    .type = CONFIG_INT,
	    .offset = KEY(repository_quota),
	    .text_default = "4294967296",
	    .min = 1 << 20,
	    .max = INT64_C(1) << 50,
	    .help = "Bytes that one user's repositories may take together." },
	{ .name = "repository_expire",
	    .type = CONFIG_DURATION,
	    .offset = KEY(repository_expire_ms),
	    .text_default = "720h",
	    .max = INT64_C(3600000) * 24 * 365 * 10,
	    .help = "How long what was pushed is kept after the last push or run of it; 0 = for "
	            "ever." },
	{ .name = "repository_cleanup_interval",
	    .type = CONFIG_DURATION,
	    .offset = KEY(repository_cleanup_ms),
	    .text_default = "1h",
	    .max = INT64_C(3600000) * 24 * 30,
	    .help = "How often what is too old is removed, besides once at the start; 0 = never." },
};
const size_t gw_config_nkeys = ARRAY_LEN(gw_config_keys);

static bool
is_set(const char *text)
{
	return text && *text;
}

bool
gw_config_invites(const struct gw_config *cfg)
{
	const char *mode = cfg->organization_member_adding_mode;

	return mode && strcmp(mode, "invitation") == 0;
}

/* Cuts slashes off the end. */
static int
check_url(char *url, const char *name, struct err **err)
{
	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		return err_set(err, ERR_INVALID,
		    "%s: must begin with http:// or https://, it is %s", name, url);
	for (size_t n = strlen(url); n > 0 && url[n - 1] == '/'; n--)
		url[n - 1] = '\0';
	return 0;
}

int
gw_config_check(void *arg, struct err **err)
{
	struct gw_config *cfg = arg;
	const char *mode = cfg->organization_member_adding_mode;

	if (check_url(cfg->public_url, "public_url", err) < 0)
		return ERR_INVALID;
	if (!is_set(cfg->web_url)) {
		free(cfg->web_url);
		cfg->web_url = xstrdup(cfg->public_url);
	} else if (check_url(cfg->web_url, "web_url", err) < 0) {
		return ERR_INVALID;
	}
	if (strcmp(mode, "direct") != 0 && strcmp(mode, "invitation") != 0)
		return err_set(err, ERR_INVALID,
		    "organization_member_adding_mode: must be direct or invitation, it is %s",
		    mode);
	if (is_set(cfg->cert_file) != is_set(cfg->key_file))
		return err_set(err, ERR_INVALID, "cert_file and key_file: give both or none");
	if (cfg->data_dir[0] != '/')
		return err_set(
		    err, ERR_INVALID, "data_dir: must be absolute, it is %s", cfg->data_dir);
	if (!is_set(cfg->repository_dir)) {
		free(cfg->repository_dir);
		cfg->repository_dir = xasprintf("%s/repos", cfg->data_dir);
	} else if (cfg->repository_dir[0] != '/') {
		return err_set(err, ERR_INVALID, "repository_dir: must be absolute, it is %s",
		    cfg->repository_dir);
	}
	return 0;
}
