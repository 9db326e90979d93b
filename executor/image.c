#include "executor/image.h"

#include "common/buf.h"
#include "common/crypto.h"
#include "common/json.h"
#include "common/mem.h"

#include <ctype.h>
#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"
#define AUTH_TEXT_MAX 65536

void
ex_image_fini(struct ex_image_ref *ref)
{
	free(ref->full);
	free(ref->host);
	free(ref->repo);
	free(ref->tag);
	*ref = (struct ex_image_ref){ 0 };
}

static bool
only(const char *s, size_t n, const char *set)
{
	return n > 0 && strspn(s, set) >= n;
}

static bool
path_ok(const char *s, size_t n)
{
	size_t i, start = 0;

	for (i = 0; i <= n; i++) {
		if (i < n && s[i] != '/')
			continue;
		if (i == start || !isalnum((unsigned char)s[start]) ||
		    !isalnum((unsigned char)s[i - 1]))
			return false;
		start = i + 1;
	}
	return only(s, n, LOWER DIGIT "._-/");
}

static bool
tag_ok(const char *s, size_t n)
{
	return n >= 1 && n <= 128 && only(s, n, LOWER UPPER DIGIT "_.-") && *s != '.' && *s != '-';
}

static bool
digest_ok(const char *s)
{
	return strncmp(s, "sha256:", 7) == 0 && strlen(s) == 71 && only(s + 7, 64, DIGIT "abcdef");
}

/* name, name:port or [address]:port. It becomes part of the engine's paths: "..", say, is none. */
static bool
host_ok(const char *s)
{
	bool literal = *s == '[';
	size_t n = literal ? strcspn(s, "]") : strcspn(s, ":"), i;
	const char *port;

	if (literal) {
		if (s[n] != ']' || !only(s + 1, n - 1, DIGIT "abcdefABCDEF:."))
			return false;
		n++;
	} else {
		if (!only(s, n, LOWER UPPER DIGIT ".-") || !isalnum((unsigned char)s[n - 1]))
			return false;
		for (i = 0; i < n; i++)
			if (!isalnum((unsigned char)s[i]) && (i == 0 || s[i - 1] == '.'))
				return false;
	}
	port = s + n;
	return *port == '\0' ||
	       (*port == ':' && strlen(port) <= 6 && only(port + 1, strlen(port) - 1, DIGIT));
}

/* Splits off the host; returns where the path begins. */
static const char *
take_host(char **host, const char *name)
{
	size_t n = strcspn(name, "/");

	if (name[n] == '/' && memchr(name, '.', n) == NULL && memchr(name, ':', n) == NULL)
		n = 0;
	if (n == 0 || name[n] != '/') {
		*host = xstrdup("docker.io");
		return name;
	}
	*host = xstrndup(name, n);
	if (strcmp(*host, "index.docker.io") == 0) {
		free(*host);
		*host = xstrdup("docker.io");
	}
	return name + n + 1;
}

int
ex_image_parse(struct ex_image_ref *out, const char *name, struct err **err)
{
	struct ex_image_ref r = { 0 };
	const char *path, *digest, *tag;
	size_t n;

	if (*name == '\0')
		return err_set(err, ERR_INVALID, "the image name is empty");
	if (strlen(name) > EX_IMAGE_NAME_MAX)
		return err_set(
		    err, ERR_INVALID, "the image name is longer than %d bytes", EX_IMAGE_NAME_MAX);
	path = take_host(&r.host, name);
	n = strcspn(path, "@:");
	digest = strchr(path, '@');
	tag = path[n] == ':' ? path + n + 1 : NULL;
	if (!path_ok(path, n) || !host_ok(r.host) || (digest != NULL && !digest_ok(digest + 1)) ||
	    (tag != NULL && !tag_ok(tag, digest != NULL ? (size_t)(digest - tag) : strlen(tag)))) {
		ex_image_fini(&r);
		return err_set(err, ERR_INVALID,
		    "\"%s\" is not an image name; write it as name:tag or host/path:tag", name);
	}
	r.repo = xasprintf("%s/%s%.*s", r.host,
	    strcmp(r.host, "docker.io") == 0 && memchr(path, '/', n) == NULL ? "library/" : "",
	    (int)n, path);
	if (digest != NULL)
		r.tag = xstrdup(digest + 1);
	else
		r.tag = xstrdup(tag != NULL ? tag : "latest");
	r.full = xasprintf("%s%c%s", r.repo, digest != NULL ? '@' : ':', r.tag);
	*out = r;
	return 0;
}

int
ex_image_rules_check(const struct ex_image_rules *rules, struct err **err)
{
	size_t i;

	for (i = 0; i < rules->n; i++) {
		const char *to = rules->items[i].to;
		size_t n = strlen(to);
		auto_free char *probe = xasprintf("%s%s", to, to[n - 1] == '/' ? "x" : "");
		struct ex_image_ref ref;

		if (strspn(probe, LOWER UPPER DIGIT "._-:/@[]") != strlen(probe) ||
		    ex_image_parse(&ref, probe, NULL) != 0)
			return err_set(
			    err, ERR_INVALID, "images: to \"%s\" gives no valid image name", to);
		ex_image_fini(&ref);
	}
	return 0;
}

static bool
prefix_ends_here(const char *from, const char *rest)
{
	char last = from[strlen(from) - 1];

	return *rest == '\0' || strchr("/:@", *rest) != NULL || strchr("/:@", last) != NULL;
}

const struct ex_image_rule *
ex_image_rule_find(const struct ex_image_rules *rules, const char *full)
{
	const struct ex_image_rule *best = NULL;
	size_t i, best_len = 0;

	for (i = 0; i < rules->n; i++) {
		const struct ex_image_rule *r = &rules->items[i];
		size_t n = strlen(r->from);

		if (n > best_len && strncmp(full, r->from, n) == 0 &&
		    prefix_ends_here(r->from, full + n)) {
			best = r;
			best_len = n;
		}
	}
	return best;
}

char *
ex_image_rewrite(const struct ex_image_rule *rule, const char *full)
{
	return xasprintf("%s%s", rule->to, full + strlen(rule->from));
}

const Millrace__RegistryAuth *
ex_image_auth_find(Millrace__RegistryAuth *const *auths, size_t n, const char *host)
{
	static const char *const forms[] = { "%s", "https://%s", "http://%s", "https://%s/v1/",
		"http://%s/v1/", "https://%s/v2/", "http://%s/v2/" };
	const char *name = strcmp(host, "docker.io") == 0 ? "index.docker.io" : host;
	size_t i, k;

	for (k = 0; k < ARRAY_LEN(forms); k++) {
		const char *mark = strstr(forms[k], "%s");
		auto_free char *want =
		    xasprintf("%.*s%s%s", (int)(mark - forms[k]), forms[k], name, mark + 2);

		for (i = 0; i < n; i++)
			if (strcmp(auths[i]->registry, want) == 0)
				return auths[i];
	}
	return NULL;
}

char *
ex_image_auth_header(const char *username, const char *password, const char *host)
{
	auto_json *j = json_pack("{s:s%, s:s%, s:s}", "username", username, strlen(username),
	    "password", password, strlen(password), "serveraddress",
	    strcmp(host, "docker.io") == 0 ? "https://index.docker.io/v1/" : host);
	char *text, *out, *p;

	if (j == NULL)
		return xstrdup("");
	text = json_print(j);
	out = crypto_base64(text, strlen(text));
	xfree_secret(text, strlen(text));
	for (p = out; *p != '\0'; p++) {
		if (*p == '+')
			*p = '-';
		else if (*p == '/')
			*p = '_';
	}
	return out;
}

static int
base64_digit(char c)
{
	static const char set[] = UPPER LOWER DIGIT "+/";
	const char *at = c != '\0' ? strchr(set, c) : NULL;

	return at != NULL ? (int)(at - set) : -1;
}

/* Standard base64 with padding; malloc'ed and terminated, NULL when broken. */
static char *
base64_decode(const char *s)
{
	size_t n = strlen(s), i, len = 0;
	char *out;
	unsigned v = 0, bits = 0;

	while (n > 0 && s[n - 1] == '=')
		n--;
	out = xmalloc(n + 1);
	for (i = 0; i < n; i++) {
		int d = base64_digit(s[i]);

		if (d < 0) {
			xfree_secret(out, len);
			return NULL;
		}
		v = (v << 6 | (unsigned)d) & 0xffffffu;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[len++] = (char)(v >> bits & 255u);
		}
	}
	out[len] = '\0';
	return out;
}

static const char *
literal(const Millrace__Value *v)
{
	return v != NULL && v->literal != NULL ? v->literal : "";
}

int
ex_image_auth_entry(
    char **out, const Millrace__RegistryAuth *auth, const char *host, struct err **err)
{
	char *plain, *colon;

	if (*auth->type == '\0' || strcmp(auth->type, "basic") == 0) {
		*out = ex_image_auth_header(literal(auth->username), literal(auth->password), host);
		return 0;
	}
	if (strcmp(auth->type, "encodedauth") != 0)
		return err_set(err, ERR_INVALID,
		    "docker_registries_auth of %s has the unknown type \"%s\"; "
		    "use basic or encodedauth",
		    auth->registry, auth->type);
	plain = strlen(literal(auth->auth)) <= AUTH_TEXT_MAX ? base64_decode(literal(auth->auth))
	                                                     : NULL;
	colon = plain != NULL ? strchr(plain, ':') : NULL;
	if (colon == NULL) {
		if (plain != NULL)
			xfree_secret(plain, strlen(plain));
		return err_set(err, ERR_INVALID,
		    "docker_registries_auth of %s: auth is not the base64 of user:password",
		    auth->registry);
	}
	*colon = '\0';
	*out = ex_image_auth_header(plain, colon + 1, host);
	*colon = ':';
	xfree_secret(plain, strlen(plain));
	return 0;
}
