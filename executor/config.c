#include "executor/config.h"

#include "common/mem.h"
#include "executor/image.h"
#include "executor/warm_policy.h"

#include <stdlib.h>
#include <string.h>

#define PASSWORD_MAX 65536

static int
text_of(char **out, const struct yaml_node *map, const char *key, bool required, struct err **err)
{
	const struct yaml_node *node = yaml_get(map, key);

	if (node == NULL) {
		if (!required)
			return 0;
		return err_set(err, ERR_INVALID, "an entry of images needs the key %s", key);
	}
	if (node->text == NULL || node->text_len == 0)
		return err_set(err, ERR_INVALID, "%s must be a text", key);
	*out = xstrdup(node->text);
	return 0;
}

static int
read_password(struct ex_image_rule *rule, const struct yaml_node *map, struct err **err)
{
	auto_free char *file = NULL;
	size_t len;
	int rc = text_of(&file, map, "password_file", false, err);

	if (rc != 0 || file == NULL)
		return rc;
	rc = config_read_file(&rule->password, &len, file, PASSWORD_MAX, err);
	if (rc != 0)
		return err_wrap(err, "password_file");
	while (len > 0 && (rule->password[len - 1] == '\n' || rule->password[len - 1] == '\r'))
		rule->password[--len] = '\0';
	return 0;
}

static int
parse_rule(struct ex_image_rule *rule, const struct yaml_node *map, struct err **err)
{
	int rc;

	if (map->type != YAML_MAP)
		return err_set(
		    err, ERR_INVALID, "an entry of images must be a mapping with from and to");
	rc = text_of(&rule->from, map, "from", true, err);
	if (rc == 0)
		rc = text_of(&rule->to, map, "to", true, err);
	if (rc == 0)
		rc = text_of(&rule->username, map, "username", false, err);
	if (rc == 0)
		rc = read_password(rule, map, err);
	return rc;
}

static int
parse_images(void *at, const struct yaml_node *node, struct err **err)
{
	struct ex_image_rules *rules = at;
	size_t i;

	if (node->type == YAML_NULL)
		return 0;
	if (node->type != YAML_LIST || node->n > EX_IMAGE_RULES_MAX)
		return err_set(err, ERR_INVALID, "images must be a list of at most %d entries",
		    EX_IMAGE_RULES_MAX);
	rules->items = xcalloc(node->n ? node->n : 1, sizeof(*rules->items));
	for (i = 0; i < node->n; i++) {
		int rc = parse_rule(&rules->items[rules->n++], node->items[i], err);

		if (rc != 0)
			return rc;
	}
	return 0;
}

static void
free_images(void *at)
{
	struct ex_image_rules *rules = at;
	size_t i;

	for (i = 0; i < rules->n; i++) {
		struct ex_image_rule *r = &rules->items[i];

		free(r->from);
		free(r->to);
		free(r->username);
		xfree_secret(r->password, r->password != NULL ? strlen(r->password) : 0);
	}
	free(rules->items);
	*rules = (struct ex_image_rules){ NULL, 0 };
}

static int
parse_pull(void *at, const struct yaml_node *node, struct err **err)
{
	static const struct {
		const char *word;
		enum ex_pull value;
	} words[] = {
		{ "if_absent", EX_PULL_IF_ABSENT },
		{ "always", EX_PULL_ALWAYS },
		{ "never", EX_PULL_NEVER },
	};
	size_t i;

	for (i = 0; node->text != NULL && i < ARRAY_LEN(words); i++)
		if (strcmp(node->text, words[i].word) == 0) {
			*(enum ex_pull *)at = words[i].value;
			return 0;
		}
	return err_set(err, ERR_INVALID, "pull must be if_absent, always or never");
}

#define KEY(name_, type_, field_)                                                                  \
	.name = (name_), .type = (type_), .offset = offsetof(struct ex_config, field_)

const struct config_key ex_config_keys[] = {
	{ KEY("id", CONFIG_TEXT, id), .required = true,
	    .help = "Name of this executor, known to the runservice together with its key." },
	{ KEY("key_file", CONFIG_TEXT, key_file), .required = true,
	    .help = "File with this executor's key: 64 hex digits, not readable by others." },
	{ KEY("runservice", CONFIG_TEXT, runservice), .required = true,
	    .help = "URL of the runservice: tcp://host:port, tls+tcp://host:port or ipc:///path." },
	{ KEY("tls_ca", CONFIG_TEXT, tls_ca),
	    .help = "Certificate authority of the runservice, for tls+tcp." },
	{ KEY("tls_server_name", CONFIG_TEXT, tls_server_name),
	    .help = "Name in the runservice's certificate, for tls+tcp." },
	{ KEY("objects_ca", CONFIG_TEXT, objects_ca),
	    .help = "Certificate authority of the object store; default: the system's." },
	{ KEY("http_listen", CONFIG_TEXT, http_listen),
	    .help = "host:port of /healthz, /readyz and /metrics; absent: none." },
	{ KEY("engine", CONFIG_TEXT, engine), .text_default = "unix:///var/run/docker.sock",
	    .help = "Socket of the container engine (Docker Engine API 1.41)." },
	{ KEY("toolbox", CONFIG_TEXT, toolbox), .required = true,
	    .help = "Path of the static millrace-toolbox binary." },
	{ KEY("spool_dir", CONFIG_TEXT, spool_dir), .required = true,
	    .help = "Directory for what must survive a restart: task states and unsent logs." },
	{ KEY("replicas", CONFIG_INT, replicas), .text_default = "0", .min = 0, .max = 1000,
	    .help = "So many executors may share this configuration and spool_dir: each takes a "
	            "free name id-1, id-2, ... and its key from the directory key_file. 0: one." },
	{ KEY("tasks", CONFIG_INT, tasks), .text_default = "4", .min = 1, .max = 1000,
	    .help = "How many tasks run at once." },
	{ KEY("images", CONFIG_CUSTOM, images), .parse = parse_images, .free = free_images,
	    .help = "List of {from, to, username, password_file}: images whose normalised name "
	            "begins with from are taken from to; the longest from wins." },
	{ KEY("pull", CONFIG_CUSTOM, pull), .parse = parse_pull,
	    .help = "When images are pulled: if_absent (default), always or never." },
	{ KEY("pull_timeout", CONFIG_DURATION, pull_timeout_ms), .text_default = "30m", .min = 1000,
	    .max = 86400000, .help = "Longest time one image may take to pull." },
	{ KEY("allow_privileged", CONFIG_BOOL, allow_privileged), .text_default = "false",
	    .help = "Whether definitions may ask for privileged containers." },
	{ KEY("network", CONFIG_TEXT, network),
	    .help = "Engine network for tasks; default: one of our own named after the id." },
	{ KEY("volume_cover", CONFIG_BOOL, volume_cover), .text_default = "true",
	    .help = "Cover the volumes an image declares by labelled ones that are removed with "
	            "the task." },
	{ KEY("workspace_size_max", CONFIG_INT, workspace_size_max), .text_default = "21474836480",
	    .min = 1, .max = INT64_MAX, .help = "Largest workspace archive in bytes, unpacked." },
	{ KEY("workspace_entries_max", CONFIG_INT, workspace_entries_max),
	    .text_default = "2000000", .min = 1, .max = INT64_MAX,
	    .help = "Most entries of a workspace archive." },
	{ KEY("log_size_max", CONFIG_INT, log_size_max), .text_default = "1073741824", .min = 65536,
	    .max = INT64_MAX,
	    .help = "Largest log of one step in bytes; a step that writes more is failed." },
	{ KEY("pids_limit", CONFIG_INT, pids_limit), .text_default = "8192", .min = 16,
	    .max = 4194304, .help = "Most processes and threads in one container." },
	{ KEY("warm_containers", CONFIG_INT, warm_containers), .text_default = "0", .min = 0,
	    .max = EX_WARM_MAX,
	    .help = "How many containers are started ahead, of the images that are used most. "
	            "0: none." },
	{ KEY("warm_age", CONFIG_DURATION, warm_age_ms), .text_default = "10m", .min = 1000,
	    .max = 86400000,
	    .help = "How long such a container waits for a task, and an image counts as used." },
	{ KEY("warm_free_memory", CONFIG_INT, warm_free_memory), .text_default = "1073741824",
	    .min = 0, .max = INT64_MAX,
	    .help = "None is started ahead while this host has fewer bytes of memory available." },
};
const size_t ex_config_nkeys = ARRAY_LEN(ex_config_keys);

static bool
id_ok(const char *id)
{
	size_t n = strlen(id);

	return n > 0 && n <= 64 &&
	       strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") == n;
}

int
ex_config_check(void *cfg, struct err **err)
{
	struct ex_config *c = cfg;

	if (c->pull == 0)
		c->pull = EX_PULL_IF_ABSENT;
	if (!id_ok(c->id))
		return err_set(
		    err, ERR_INVALID, "id must be 1 to 64 letters, digits, '-', '_' or '.'");
	if (strncmp(c->engine, "unix:///", 8) != 0)
		return err_set(
		    err, ERR_INVALID, "engine must be unix:///path, not \"%s\"", c->engine);
	if (c->replicas > 0 && strlen(c->id) > 60)
		return err_set(err, ERR_INVALID, "id has at most 60 characters with replicas");
	return ex_image_rules_check(&c->images, err);
}
