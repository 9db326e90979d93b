#include "common/config.h"

#include "common/buf.h"
#include "common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_FILE_MAX (1u << 20)
#define CONFIG_SECRET_MAX (64u << 10)

/* Reads fd to its end; more than max bytes are an error. */
static int
read_all(char **out, size_t *len, int fd, const char *path, size_t max, struct err **err)
{
	auto_buf b = BUF_INIT;
	for (;;) {
		char chunk[4096];
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(err, errno, "read %s", path);
		if (n == 0)
			break;
		if (b.len + (size_t)n > max)
			return err_set(err, ERR_INVALID, "%s is larger than %zu bytes", path, max);
		buf_append(&b, chunk, (size_t)n);
		explicit_bzero(chunk, sizeof(chunk));
	}
	if (len)
		*len = b.len;
	*out = buf_take(&b);
	return 0;
}

int
config_read_file(char **out, size_t *len, const char *path, size_t max, struct err **err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set_errno(err, errno, "open %s", path);
	return read_all(out, len, fd, path, max, err);
}

static int
read_secret(char **out, const char *path, struct err **err)
{
	struct stat st;
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_set_errno(err, errno, "open %s", path);
	if (st.st_mode & 077)
		return err_set(
		    err, ERR_INVALID, "%s can be read by others; run chmod 600 %s", path, path);
	size_t len = 0;
	int rc = read_all(out, &len, fd, path, CONFIG_SECRET_MAX, err);
	if (rc != 0)
		return rc;
	while (len > 0 && ((*out)[len - 1] == '\n' || (*out)[len - 1] == '\r'))
		(*out)[--len] = '\0';
	if (len == 0) {
		free(steal(out));
		return err_set(err, ERR_INVALID, "%s is empty", path);
	}
	return 0;
}

static int64_t
unit_ns(const char **p)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = { { "ns", 1 }, { "us", 1000 }, { "µs", 1000 }, { "μs", 1000 },
		{ "ms", 1000000 }, { "s", 1000000000 }, { "m", 60000000000 },
		{ "h", 3600000000000 } };
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		size_t n = strlen(units[i].name);
		if (strncmp(*p, units[i].name, n) == 0) {
			*p += n;
			return units[i].ns;
		}
	}
	return 0;
}

int
config_parse_duration_ns(int64_t *ns, const char *text, struct err **err)
{
	const char *p = text;
	bool negative = *p == '-';
	p += *p == '-' || *p == '+';
	long double total = 0;
	bool bare_zero = strcmp(p, "0") == 0;
	if (*p == '\0')
		return err_set(err, ERR_INVALID, "a duration such as 30s or 1h30m is missing");
	while (*p != '\0' && !bare_zero) {
		char *end;
		if (strspn(p, "0123456789.") == 0)
			return err_set(err, ERR_INVALID,
			    "\"%s\" is not a duration; write 30s, 5m or 1h30m", text);
		/* strtold would also take "1e3": the digits are cut out first. */
		auto_free char *digits = xstrndup(p, strspn(p, "0123456789."));
		long double v = strtold(digits, &end);
		p += strlen(digits);
		int64_t unit = unit_ns(&p);
		if (end == digits || *end != '\0' || unit == 0)
			return err_set(err, ERR_INVALID,
			    "\"%s\" is not a duration; each number needs a unit: ns us ms s m h",
			    text);
		total += v * (long double)unit;
		if (total > 9.2e18L)
			return err_set(err, ERR_INVALID, "\"%s\" is too long a duration", text);
	}
	*ns = negative ? -(int64_t)total : (int64_t)total;
	return 0;
}

static int
check_range(const struct config_key *k, int64_t v, struct err **err)
{
	if ((k->min != 0 || k->max != 0) && (v < k->min || v > k->max))
		return err_set(err, ERR_INVALID, "must be %" PRId64 " to %" PRId64 "%s", k->min,
		    k->max, k->type == CONFIG_DURATION ? " (milliseconds)" : "");
	return 0;
}

/* Sets one value from its text; kind says how YAML understood it (YAML_STRING for defaults). */
static int
set_text(void *cfg, const struct config_key *k, const char *text, struct err **err)
{
	char *at = (char *)cfg + k->offset;
	int64_t v = 0;
	int rc = 0;
	switch (k->type) {
	case CONFIG_TEXT:
		free(*(char **)(void *)at);
		*(char **)(void *)at = xstrdup(text);
		return 0;
	case CONFIG_SECRET_FILE:
		return read_secret((char **)(void *)at, text, err);
	case CONFIG_BOOL: {
		bool on = strcasecmp(text, "true") == 0 || strcasecmp(text, "yes") == 0 ||
		          strcasecmp(text, "on") == 0;
		bool off = strcasecmp(text, "false") == 0 || strcasecmp(text, "no") == 0 ||
		           strcasecmp(text, "off") == 0;
		if (!on && !off)
			return err_set(err, ERR_INVALID, "must be true or false");
		*(bool *)(void *)at = on;
		return 0;
	}
	case CONFIG_INT: {
		char *end;
		errno = 0;
		v = strtoll(text, &end, 10);
		if (end == text || *end != '\0' || errno != 0)
			return err_set(err, ERR_INVALID, "must be a whole number");
		break;
	}
	case CONFIG_DURATION:
		rc = config_parse_duration_ns(&v, text, err);
		v /= 1000000;
		break;
	case CONFIG_CUSTOM:
		return 0;
	}
	if (rc == 0)
		rc = check_range(k, v, err);
	if (rc == 0)
		*(int64_t *)(void *)at = v;
	return rc;
}

static int
set_node(void *cfg, const struct config_key *k, const struct yaml_node *node, struct err **err)
{
	if (k->type == CONFIG_CUSTOM)
		return k->parse((char *)cfg + k->offset, node, err);
	if (node->type == YAML_LIST || node->type == YAML_MAP)
		return err_set(err, ERR_INVALID, "must be a single value, not a %s",
		    yaml_type_name(node->type));
	return set_text(cfg, k, node->text, err);
}

static void
note_problem(struct buf *problems, const char *file, const struct yaml_pos *pos, const char *key,
    const char *msg)
{
	buf_printf(problems, "%s%s:%u:%u: %s%s%s", problems->len ? "\n" : "", file, pos->line,
	    pos->col, key, *key ? ": " : "", msg);
}

static const struct config_key *
find_key(const struct config_key *keys, size_t nkeys, const char *name)
{
	for (size_t i = 0; i < nkeys; i++) {
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	}
	return NULL;
}

static void
read_pairs(void *cfg, const struct config_key *keys, size_t nkeys, const char *file,
    const struct yaml_node *root, struct buf *problems)
{
	for (size_t i = 0; i < root->n; i++) {
		const struct yaml_pair *p = &root->pairs[i];
		const struct config_key *k = find_key(keys, nkeys, p->key->text);
		auto_err err = NULL;
		if (k == NULL)
			note_problem(problems, file, &p->key->pos, p->key->text,
			    "unknown key; --print-config-keys lists them all");
		else if (p->value->type != YAML_NULL && set_node(cfg, k, p->value, &err) != 0)
			note_problem(problems, file, &p->value->pos, k->name, err_msg(err));
	}
	if (root->duplicate != NULL)
		note_problem(
		    problems, file, &root->duplicate->pos, root->duplicate->text, "given twice");
}

static void
fill_defaults(void *cfg, const struct config_key *keys, size_t nkeys, const char *file,
    const struct yaml_node *root, struct buf *problems)
{
	for (size_t i = 0; i < nkeys; i++) {
		const struct config_key *k = &keys[i];
		const struct yaml_node *given = NULL;
		for (size_t j = 0; root->type == YAML_MAP && j < root->n; j++) {
			if (strcmp(root->pairs[j].key->text, k->name) == 0)
				given = root->pairs[j].value;
		}
		if (given != NULL && given->type != YAML_NULL)
			continue;
		auto_err err = NULL;
		if (k->required)
			note_problem(problems, file, &root->pos, k->name, "required, but missing");
		else if (k->text_default && set_text(cfg, k, k->text_default, &err) != 0)
			note_problem(problems, file, &root->pos, k->name, err_msg(err));
	}
}

int
config_load(
    void *cfg, const struct config_key *keys, size_t nkeys, const char *file, struct err **err)
{
	auto_free char *text = NULL;
	auto_yaml *doc = NULL;
	auto_err why = NULL;
	size_t len = 0;
	struct yaml_pos pos;
	int rc = config_read_file(&text, &len, file, CONFIG_FILE_MAX, err);
	if (rc != 0)
		return rc;
	if (yaml_doc_parse(&doc, text, len, &pos, &why) != 0)
		return err_set(
		    err, ERR_INVALID, "%s:%u:%u: %s", file, pos.line, pos.col, err_msg(why));
	const struct yaml_node *root = yaml_doc_root(doc);
	auto_buf problems = BUF_INIT;
	if (root->type == YAML_MAP)
		read_pairs(cfg, keys, nkeys, file, root, &problems);
	else if (root->type != YAML_NULL)
		note_problem(&problems, file, &root->pos, "", "must be a mapping of keys");
	fill_defaults(cfg, keys, nkeys, file, root, &problems);
	if (problems.len != 0)
		return err_set(err, ERR_INVALID, "%s", buf_str(&problems));
	return 0;
}

void
config_free(void *cfg, const struct config_key *keys, size_t nkeys)
{
	for (size_t i = 0; i < nkeys; i++) {
		void *at = (char *)cfg + keys[i].offset;
		char **text = at;
		if (keys[i].type == CONFIG_SECRET_FILE && *text != NULL)
			explicit_bzero(*text, strlen(*text));
		if (keys[i].type == CONFIG_TEXT || keys[i].type == CONFIG_SECRET_FILE)
			free(steal(text));
		else if (keys[i].type == CONFIG_CUSTOM && keys[i].free != NULL)
			keys[i].free(at);
	}
}

void
config_print_keys(const struct config_key *keys, size_t nkeys)
{
	static const char *const types[] = { "", "text", "number", "true/false", "duration",
		"file holding a secret", "structure" };
	puts("| key | type | default | meaning |\n|---|---|---|---|");
	for (size_t i = 0; i < nkeys; i++)
		printf("| `%s` | %s | %s | %s |\n", keys[i].name, types[keys[i].type],
		    keys[i].required       ? "required"
		    : keys[i].text_default ? keys[i].text_default
		                           : "–",
		    keys[i].help ? keys[i].help : "");
}
