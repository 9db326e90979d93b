#include "gateway/intake.h"

#include "common/buf.h"
#include "common/http_server.h"
#include "common/mem.h"
#include "common/re.h"
#include "gateway/git_repo.h"

#include <stdio.h>
#include <string.h>

#define HEADS "refs/heads/"
#define TAGS "refs/tags/"

void
gw_pairs_add(struct gw_pairs *p, const char *name, const char *value)
{
	p->list = xreallocarray(p->list, p->n + 1, sizeof(p->list[0]));
	p->list[p->n].name = xstrdup(name);
	p->list[p->n].value = xstrdup(value);
	p->n++;
}

const char *
gw_pairs_get(const struct gw_pairs *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++) {
		if (strcmp(p->list[i].name, name) == 0)
			return p->list[i].value;
	}
	return NULL;
}

void
gw_pairs_fini(struct gw_pairs *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->list[i].name);
		xfree_secret(p->list[i].value, strlen(p->list[i].value));
	}
	free(p->list);
	*p = (struct gw_pairs){ 0 };
}

/* Absent and null read as "". */
static int
text_field(const char **out, const json_t *body, const char *name, size_t max, struct err **err)
{
	json_t *v = json_member(body, name);

	*out = "";
	if (!v)
		return 0;
	if (!json_is_string(v))
		return err_set(err, ERR_INVALID, "%s: must be text", name);
	*out = json_string_value(v);
	if (strlen(*out) > max)
		return err_set(err, ERR_INVALID, "%s: longer than %zu bytes", name, max);
	return 0;
}

static int
parse_regexes(struct gw_intake *out, const json_t *body, struct err **err)
{
	json_t *list = json_member(body, "pull_request_ref_regexes");
	json_t *item;
	size_t i;

	if (!list)
		return 0;
	if (!json_is_array(list) || json_array_size(list) > GW_REF_REGEXES_MAX)
		return err_set(err, ERR_INVALID,
		    "pull_request_ref_regexes: must be a list of at most %d texts",
		    GW_REF_REGEXES_MAX);
	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(item);

		if (!text || strlen(text) > GW_REF_REGEX_MAX)
			return err_set(err, ERR_INVALID,
			    "pull_request_ref_regexes[%zu]: must be text of at most %d bytes", i,
			    GW_REF_REGEX_MAX);
		out->regexes[out->nregexes++] = text;
	}
	return 0;
}

static int
parse_variables(struct gw_intake *out, const json_t *body, struct err **err)
{
	json_t *map = json_member(body, "variables");
	const char *name;
	json_t *value;

	if (!map)
		return 0;
	if (!json_is_object(map) || json_object_size(map) > GW_VARIABLES_MAX)
		return err_set(err, ERR_INVALID, "variables: must be an object of at most %d texts",
		    GW_VARIABLES_MAX);
	json_object_foreach(map, name, value)
	{
		if (!*name || !json_is_string(value))
			return err_set(err, ERR_INVALID,
			    "variables: every name must have at least one letter and every value "
			    "must be text");
		if (strncmp(name, GW_OWN_VARIABLES, strlen(GW_OWN_VARIABLES)) == 0)
			return err_set(err, ERR_INVALID,
			    "variables: names that begin with " GW_OWN_VARIABLES
			    " are the server's own");
	}
	out->variables = map;
	return 0;
}

int
gw_intake_parse(struct gw_intake *out, const json_t *body, struct err **err)
{
	const struct {
		const char *name;
		const char **at;
		size_t max;
	} fields[] = {
		{ "repo_uuid", &out->repo_uuid, 100 },
		{ "repo_path", &out->repo_path, 200 },
		{ "branch", &out->branch, GW_REF_MAX },
		{ "tag", &out->tag, GW_REF_MAX },
		{ "ref", &out->ref, GW_REF_MAX },
		{ "commit_sha", &out->commit_sha, 64 },
		{ "message", &out->message, GW_MESSAGE_MAX },
	};
	int rc = 0;

	*out = (struct gw_intake){ 0 };
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(fields); i++)
		rc = text_field(fields[i].at, body, fields[i].name, fields[i].max, err);
	if (rc == 0)
		rc = parse_regexes(out, body, err);
	if (rc == 0)
		rc = parse_variables(out, body, err);
	if (rc < 0)
		return rc;
	if (!*out->repo_uuid)
		return err_set(err, ERR_INVALID, "repo_uuid: missing");
	if (!*out->message)
		return err_set(err, ERR_INVALID, "message: missing");
	if (!gw_repo_sha_is_valid(out->commit_sha))
		return err_set(
		    err, ERR_INVALID, "commit_sha: must be a full hash of 40 hex digits");
	if (!!*out->branch + !!*out->tag + !!*out->ref != 1)
		return err_set(err, ERR_INVALID, "branch, tag, ref: give exactly one of them");
	return 0;
}

int
gw_intake_repo(char **owner, char **repo, const struct gw_intake *in, struct err **err)
{
	const char *slash = strchr(in->repo_path, '/');

	if (!slash || slash == in->repo_path || !slash[1] || strchr(slash + 1, '/'))
		return err_set(err, ERR_INVALID, "repo_path: must be <user id>/<repository uuid>");
	if (strcmp(slash + 1, in->repo_uuid) != 0)
		return err_set(err, ERR_INVALID, "repo_path: does not end in repo_uuid");
	*owner = xstrndup(in->repo_path, (size_t)(slash - in->repo_path));
	*repo = xstrdup(slash + 1);
	return 0;
}

/* The rules of git check-ref-format, whole and no more. */
static bool
ref_is_valid(const char *ref)
{
	size_t n = strlen(ref);

	if (n == 0 || n > GW_REF_MAX || ref[n - 1] == '.' || ref[n - 1] == '/')
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)ref[i];
		bool first = i == 0 || ref[i - 1] == '/';

		if (c <= ' ' || c == 0x7f || strchr("~^:?*[\\", c))
			return false;
		if (first && (c == '.' || c == '/'))
			return false;
		if (c == '.' && ref[i + 1] == '.')
			return false;
		if (c == '@' && ref[i + 1] == '{')
			return false;
		if (strncmp(ref + i, ".lock", 5) == 0 && (!ref[i + 5] || ref[i + 5] == '/'))
			return false;
	}
	return true;
}

void
gw_ref_fini(struct gw_ref *r)
{
	free(r->ref);
	free(r->branch);
	free(r->tag);
	free(r->pull_request_id);
	*r = (struct gw_ref){ 0 };
}

static void
ref_set(struct gw_ref *out, const char *type, const char *ref, const char *name)
{
	*out = (struct gw_ref){ .type = type, .event = "direct", .ref = xstrdup(ref) };
	out->branch = xstrdup(strcmp(type, "branch") == 0 ? name : "");
	out->tag = xstrdup(strcmp(type, "tag") == 0 ? name : "");
	out->pull_request_id = xstrdup(strcmp(type, "pull_request") == 0 ? name : "");
}

/* 1 with the first group's text, malloc'ed, when the expression is found in ref; 0 when not. */
static int
find_id(char **id, const char *pattern, const char *ref, struct err **err)
{
	auto_free char *message = NULL;
	size_t len = 0, bytes;
	const char *group;
	int rc = 0;
	void *re = re_new(pattern, strlen(pattern), &message, &bytes);

	if (!re)
		return err_set(err, ERR_INVALID, "%s", message);
	if (re_groups(re) < 1)
		rc = err_set(err, ERR_INVALID, "it has no group in parentheses");
	else if (re_first_group(re, ref, strlen(ref), &group, &len))
		rc = len > 0 ? 1 : err_set(err, ERR_INVALID, "matches without an id");
	if (rc == 1)
		*id = xstrndup(group, len);
	re_free(re);
	return rc;
}

/* 1 when a pull request's expression matched, 0 when none did. */
static int
match_pull_request(struct gw_ref *out, const struct gw_intake *in, struct err **err)
{
	for (size_t i = 0; i < in->nregexes; i++) {
		auto_free char *id = NULL;
		int rc = find_id(&id, in->regexes[i], in->ref, err);

		if (rc < 0)
			return err_wrap(err, "pull_request_ref_regexes[%zu]", i);
		if (rc == 0)
			continue;
		ref_set(out, "pull_request", in->ref, id);
		return 1;
	}
	return 0;
}

int
gw_ref_classify(struct gw_ref *out, const struct gw_intake *in, struct err **err)
{
	auto_free char *ref = *in->branch ? xasprintf(HEADS "%s", in->branch)
	                      : *in->tag  ? xasprintf(TAGS "%s", in->tag)
	                                  : xstrdup(in->ref);
	int rc;

	*out = (struct gw_ref){ 0 };
	if (strncmp(ref, "refs/", 5) != 0 || !ref_is_valid(ref))
		return err_set_slug(err, ERR_INVALID, "invalidRef",
		    "%s is not a name that git allows for a ref; refs begin with refs/", ref);
	if (*in->branch) {
		ref_set(out, "branch", ref, in->branch);
		return 0;
	}
	if (*in->tag) {
		ref_set(out, "tag", ref, in->tag);
		return 0;
	}
	rc = match_pull_request(out, in, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (strncmp(ref, HEADS, strlen(HEADS)) == 0)
		ref_set(out, "branch", ref, ref + strlen(HEADS));
	else if (strncmp(ref, TAGS, strlen(TAGS)) == 0)
		ref_set(out, "tag", ref, ref + strlen(TAGS));
	else
		return err_set_slug(err, ERR_INVALID, "invalidRef",
		    "%s is no branch and no tag, and no pull_request_ref_regexes matches it", ref);
	return 0;
}

const char *
gw_ref_name(const struct gw_ref *r)
{
	return *r->branch ? r->branch : *r->tag ? r->tag : r->pull_request_id;
}

char *
gw_group_escape(const char *name)
{
	return http_encode(name);
}

int
gw_group_below(char **out, const char *owner, const char *subgroup, struct err **err)
{
	auto_buf b = BUF_INIT;

	buf_puts(&b, owner);
	for (const char *p = subgroup ? subgroup : ""; *p;) {
		size_t n = strcspn(p, "/");
		auto_free char *plain = http_decode(p, n);
		auto_free char *escaped = plain ? gw_group_escape(plain) : NULL;

		if (!plain || strcmp(plain, ".") == 0 || strcmp(plain, "..") == 0)
			return err_set_slug(err, ERR_INVALID, "invalidRunGroup",
			    "subgroup: must be branch, tag, pr or one of these with a name, as in "
			    "branch/master");
		if (*plain)
			buf_printf(&b, "/%s", escaped);
		p += n;
		p += *p == '/';
	}
	*out = buf_take(&b);
	return 0;
}

/* Host and port of an http URL; port "" when it names none. Both malloc'ed. */
static void
split_url(char **host, char **port, const char *url)
{
	const char *p = strstr(url, "://");
	const char *end, *colon;

	p = p ? p + 3 : url;
	end = p + strcspn(p, "/?#");
	for (const char *at = p; at < end; at++) {
		if (*at == '@')
			p = at + 1;
	}
	colon = memchr(p, ']', (size_t)(end - p));
	colon = memchr(colon ? colon : p, ':', (size_t)(end - (colon ? colon : p)));
	*host = xstrndup(p, (size_t)((colon ? colon : end) - p));
	*port = colon ? xstrndup(colon + 1, (size_t)(end - colon - 1)) : xstrdup("");
}

static void
fill_environment(struct gw_pairs *env, const struct gw_intake *in, const struct gw_ref *ref,
    const char *public_url)
{
	auto_free char *host = NULL;
	auto_free char *port = NULL;

	split_url(&host, &port, public_url);
	gw_pairs_add(env, "CI", "true");
	gw_pairs_add(env, "AGOLA_SSHPRIVKEY", "");
	gw_pairs_add(env, "AGOLA_GIT_HOST", host);
	gw_pairs_add(env, "AGOLA_GIT_PORT", *port ? port : "22");
	gw_pairs_add(env, "AGOLA_GIT_REF_TYPE", ref->type);
	gw_pairs_add(env, "AGOLA_GIT_REF", ref->ref);
	gw_pairs_add(env, "AGOLA_GIT_BRANCH", ref->branch);
	gw_pairs_add(env, "AGOLA_GIT_TAG", ref->tag);
	gw_pairs_add(env, "AGOLA_PULL_REQUEST_ID", ref->pull_request_id);
	gw_pairs_add(env, "AGOLA_GIT_COMMITSHA", in->commit_sha);
}

static void
fill_annotations(
    struct gw_pairs *a, const struct gw_intake *in, const struct gw_ref *ref, const char *user_id)
{
	gw_pairs_add(a, "run_type", "user");
	gw_pairs_add(a, "ref_type", ref->type);
	gw_pairs_add(a, "userid", user_id);
	gw_pairs_add(a, "run_creation_trigger", "manual");
	gw_pairs_add(a, "webhook_event", "");
	gw_pairs_add(a, "webhook_sender", "");
	gw_pairs_add(a, "commit_sha", in->commit_sha);
	gw_pairs_add(a, "ref", ref->ref);
	gw_pairs_add(a, "message", in->message);
	gw_pairs_add(a, "commit_link", "");
	gw_pairs_add(a, "compare_link", "");
	if (*ref->branch) {
		gw_pairs_add(a, "branch", ref->branch);
		gw_pairs_add(a, "branch_link", "");
	} else if (*ref->tag) {
		gw_pairs_add(a, "tag", ref->tag);
		gw_pairs_add(a, "tag_link", "");
	} else {
		gw_pairs_add(a, "pull_request_id", ref->pull_request_id);
		gw_pairs_add(a, "pull_request_link", "");
	}
}

void
gw_origin_init(struct gw_origin *o, const struct gw_intake *in, const struct gw_ref *ref,
    const char *user_id, const char *public_url)
{
	auto_free char *name = gw_group_escape(gw_ref_name(ref));
	const char *kind = strcmp(ref->type, "pull_request") == 0 ? "pr" : ref->type;

	*o = (struct gw_origin){ 0 };
	o->group = xasprintf("/user/%s/%s/%s", user_id, kind, name);
	/* All of a direct run is its user's own. */
	o->trust = strcmp(kind, "pr") == 0 ? GW_TRUST_PULL_REQUEST : GW_TRUST_BRANCH;
	o->cache_group = xasprintf("%s-%s", user_id, in->repo_uuid);
	fill_environment(&o->environment, in, ref, public_url);
	fill_annotations(&o->annotations, in, ref, user_id);
}

void
gw_origin_fini(struct gw_origin *o)
{
	free(o->group);
	free(o->cache_group);
	gw_pairs_fini(&o->annotations);
	gw_pairs_fini(&o->environment);
	*o = (struct gw_origin){ 0 };
}

bool
gw_intake_skipped(const char *message)
{
	return strstr(message, "[ci skip]") || strstr(message, "[skip ci]");
}
