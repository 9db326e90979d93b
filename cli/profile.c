#include "cli/profile.h"

#include "common/buf.h"
#include "common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *
env(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

int
cli_profile_path(char **out, struct err **err)
{
	const char *file = env("MILLRACE_CONFIG"), *xdg = env("XDG_CONFIG_HOME"),
	           *home = env("HOME");

	if (file)
		*out = xstrdup(file);
	else if (xdg)
		*out = xasprintf("%s/millrace/profiles.json", xdg);
	else if (home)
		*out = xasprintf("%s/.config/millrace/profiles.json", home);
	else
		return err_set(err, ERR_INVALID,
		    "no home directory for profiles: set HOME or MILLRACE_CONFIG");
	return 0;
}

static int
read_all(struct buf *out, int fd, const char *path, struct err **err)
{
	while (out->len <= CLI_PROFILES_MAX) {
		ssize_t n = read(fd, buf_reserve(out, 65536), 65536);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(err, errno, "read %s", path);
		if (n == 0)
			return 0;
		out->len += (size_t)n;
	}
	return err_set(err, ERR_INVALID, "%s is larger than %u bytes", path, CLI_PROFILES_MAX);
}

static json_t *
empty(void)
{
	return json_pack("{s:s,s:{}}", "current", CLI_PROFILE_DEFAULT, "profiles");
}

int
cli_profile_load(json_t **out, struct err **err)
{
	auto_free char *path = NULL;
	struct buf text = BUF_INIT;
	struct stat st;

	int rc = cli_profile_path(&path, err);
	if (rc)
		return rc;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		*out = empty();
		return 0;
	}
	if (fd < 0)
		return err_set_errno(err, errno, "open %s", path);
	if (fstat(fd, &st) != 0)
		rc = err_set_errno(err, errno, "look at %s", path);
	else if (st.st_mode & 077)
		rc = err_set(err, ERR_DENIED,
		    "%s holds tokens, but others may read it: run chmod 600 on it, and make new "
		    "tokens if somebody may have",
		    path);
	else
		rc = read_all(&text, fd, path, err);
	close(fd);
	if (!rc) {
		rc = json_parse(out, buf_str(&text), text.len, err);
		if (!rc && !json_is_object(json_member(*out, "profiles"))) {
			json_decref(steal(out));
			rc = err_set(err, ERR_INVALID, "there is no object \"profiles\"");
		}
		if (rc)
			rc = err_wrap(err, "%s (mend it, or remove it and log in again)", path);
	}
	if (text.data)
		explicit_bzero(text.data, text.len);
	buf_free(&text);
	return rc;
}

static int
make_parents(const char *path, struct err **err)
{
	auto_free char *copy = xstrdup(path);

	for (char *p = strchr(copy + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(copy, 0700) != 0 && errno != EEXIST)
			return err_set_errno(err, errno, "create %s", copy);
		*p = '/';
	}
	return 0;
}

static int
write_all(int fd, const char *text, const char *path, struct err **err)
{
	for (size_t at = 0, n = strlen(text); at < n;) {
		ssize_t done = write(fd, text + at, n - at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return err_set_errno(err, errno, "write %s", path);
		at += (size_t)done;
	}
	return fsync(fd) == 0 ? 0 : err_set_errno(err, errno, "write %s", path);
}

int
cli_profile_save(const json_t *all, struct err **err)
{
	auto_free char *path = NULL;

	int rc = cli_profile_path(&path, err);
	if (!rc)
		rc = make_parents(path, err);
	if (rc)
		return rc;
	auto_free char *text = json_dumps(all, JSON_INDENT(2));
	auto_free char *temp = xasprintf("%s.XXXXXX", path);
	int fd = mkostemp(temp, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return err_set_errno(err, errno, "create %s", temp);
	rc = write_all(fd, text, temp, err);
	if (close(fd) != 0 && !rc)
		rc = err_set_errno(err, errno, "write %s", temp);
	if (!rc && rename(temp, path) != 0)
		rc = err_set_errno(err, errno, "replace %s", path);
	if (rc)
		(void)unlink(temp);
	explicit_bzero(text, strlen(text));
	return rc;
}

const char *
cli_profile_name(const struct cli *c, const json_t *all)
{
	const char *given = cli_get(c, "profile");
	const char *current = json_text(all, "current");

	if (!given || !*given)
		given = env("MILLRACE_PROFILE");
	if (given)
		return given;
	return current && *current ? current : CLI_PROFILE_DEFAULT;
}

json_t *
cli_profile_get(const json_t *all, const char *name)
{
	json_t *p = json_object_get(json_member(all, "profiles"), name);

	return json_is_object(p) ? p : NULL;
}

static size_t
url_len(const char *url)
{
	size_t n = strlen(url);

	return n && url[n - 1] == '/' ? n - 1 : n;
}

static bool
same_url(const char *a, const char *b)
{
	return url_len(a) == url_len(b) && strncmp(a, b, url_len(a)) == 0;
}

int
cli_profile_apply(struct cli *c, struct err **err)
{
	bool named = (cli_get(c, "profile") && *cli_get(c, "profile")) || env("MILLRACE_PROFILE");

	if (!named && c->url_given && c->token_given)
		return 0;
	int rc = cli_profile_load(&c->profiles, err);
	if (rc)
		return rc;
	const char *name = cli_profile_name(c, c->profiles);
	const json_t *p = cli_profile_get(c->profiles, name);
	if (!p)
		return named ? err_set(err, ERR_NOTFOUND,
		                   "there is no profile \"%s\": see \"millrace profile list\", or "
		                   "make it with \"millrace login --profile %s\"",
		                   name, name)
		             : 0;
	const char *url = json_text(p, "url"), *token = json_text(p, "token");
	if (!c->url_given && url)
		c->url = url;
	if (!c->token_given && token && url && same_url(url, c->url))
		c->token = token;
	rc = cli_token_check(c->token, err);
	if (rc)
		(void)err_wrap(err, "profile \"%s\"", name);
	return rc;
}
