/* login, logout, profile list, use, remove. */
#include "cli/profile.h"
#include "cli/rest.h"

#include "common/id.h"
#include "common/mem.h"

#include <string.h>
#include <unistd.h>

/* A name nobody else's login has. */
static char *
token_name(void)
{
	char host[65] = "", random[9];

	(void)gethostname(host, sizeof(host) - 1);
	id_random_hex(random, 4);
	return xasprintf("login %s %s", *host ? host : "somewhere", random);
}

/* A password over the network in the clear is worth a word. */
static void
warn_plain(const char *url)
{
	static const char *const safe[] = { "https://", "http://localhost", "http://127.",
		"http://[::1]" };

	for (size_t i = 0; i < ARRAY_LEN(safe); i++)
		if (strncmp(url, safe[i], strlen(safe[i])) == 0)
			return;
	fprintf(
	    stderr, "millrace: warning: %s is not encrypted: others may read the password\n", url);
}

/* A token of the user's, made by password: {"token", "user": {..}}. */
static int
token_by_password(struct cli *c, const char *name, json_t **reply, struct err **err)
{
	auto_free char *user = NULL, *password = NULL;
	const char *life = cli_get(c, "expires-in");

	warn_plain(c->url);
	int rc = cli_get(c, "username") ? 0 : cli_line_read(&user, "User name: ", "the name", err);
	if (!rc)
		rc = cli_password_read(&password, "Password: ", err);
	if (rc)
		return rc;
	auto_json *body =
	    json_pack("{s:s,s:s,s:s,s:s}", "login_name", user ? user : cli_get(c, "username"),
	        "password", password, "token_name", name, "expires_in", life ? life : "");
	/* No token of a profile goes along: it may have expired, which would be refused. */
	rc = body ? cli_api_call(c, "POST", "/auth/login", body, reply, err)
	          : err_set(err, ERR_INVALID, "name or password is not valid UTF-8");
	explicit_bzero(password, strlen(password));
	if (rc == ERR_INVALID)
		return err_wrap(err, "wrong name or password, or this user has none here");
	if (!rc && !json_text(*reply, "token"))
		return err_set(err, ERR_INVALID,
		    "%s makes no token at login: create one there and give it with "
		    "\"millrace login --token\"",
		    c->url);
	return rc;
}

/* {"token", "user"} of the token that was given, when it is a user's. */
static int
token_given(struct cli *c, json_t **reply, struct err **err)
{
	auto_json *user = NULL;

	int rc = cli_api_call(c, "GET", "/user", NULL, &user, err);
	if (rc)
		return err_wrap(err, "only a user's token can be kept");
	const char *name = json_text(user, "username");
	*reply =
	    json_pack("{s:s,s:{s:s}}", "token", c->token, "user", "username", name ? name : "");
	return 0;
}

static int
remember(struct cli *c, const char *profile, json_t *entry, struct err **err)
{
	auto_json *all = NULL;

	int rc = cli_profile_load(&all, err);
	if (rc) {
		json_decref(entry);
		return rc;
	}
	json_object_set_new(json_member(all, "profiles"), profile, entry);
	json_object_set_new(all, "current", json_string(profile));
	(void)c;
	return cli_profile_save(all, err);
}

static int
login(struct cli *c)
{
	struct err *err = NULL;
	auto_json *all = NULL, *reply = NULL;
	bool given = cli_given(c, "token");
	bool env_token = c->token_given && !given;
	auto_free char *name = given ? NULL : token_name();

	if (cli_profile_load(&all, &err))
		return cli_fail(err);
	auto_free char *profile = xstrdup(cli_profile_name(c, all));
	/* Logging in again: where the profile says. */
	const char *url = json_text(cli_profile_get(all, profile), "url");
	if (!c->url_given && url)
		c->url = url;
	if (!given)
		c->token = "";
	int rc = given ? token_given(c, &reply, &err) : token_by_password(c, name, &reply, &err);
	if (rc)
		return cli_fail(err);
	const char *user = json_text(json_member(reply, "user"), "username");
	json_t *entry = json_pack("{s:s,s:s,s:s}", "url", c->url, "token",
	    json_text(reply, "token"), "user", user ? user : "");
	if (name)
		json_object_set_new(entry, "token_name", json_string(name));
	if (remember(c, profile, entry, &err))
		return cli_fail(err);
	auto_free char *clean = cli_clean(user);
	if (env_token)
		fprintf(stderr, "millrace: warning: MILLRACE_TOKEN is set, it goes before the "
		                "profile: unset it\n");
	fprintf(stderr, "logged in to %s as %s, profile \"%s\"\n", c->url, clean, profile);
	return c->json ? cli_print_json(json_member(reply, "user")) : 0;
}

/* --- leaving --- */

static int
forget(json_t *all, const char *name, struct err **err)
{
	const char *current = json_text(all, "current"), *next;

	json_object_del(json_member(all, "profiles"), name);
	if (current && strcmp(current, name) == 0) {
		next = json_object_iter_key(json_object_iter(json_member(all, "profiles")));
		json_object_set_new(all, "current", json_string(next ? next : CLI_PROFILE_DEFAULT));
	}
	return cli_profile_save(all, err);
}

/* The profile named by the first argument, or else the chosen one; ERR_NOTFOUND. */
static int
profile_named(char **name, json_t **all, const json_t **p, const struct cli *c, struct err **err)
{
	int rc = cli_profile_load(all, err);
	if (rc)
		return rc;
	*name = xstrdup(c->nargs ? c->args[0] : cli_profile_name(c, *all));
	*p = cli_profile_get(*all, *name);
	return *p ? 0
	          : err_set(err, ERR_NOTFOUND,
	                "there is no profile \"%s\": see \"millrace profile list\"", *name);
}

static int
logout(struct cli *c)
{
	struct err *err = NULL;
	auto_json *all = NULL;
	auto_free char *name = NULL;
	const json_t *p = NULL;

	if (profile_named(&name, &all, &p, c, &err))
		return cli_fail(err);
	const char *user = json_text(p, "user"), *token = json_text(p, "token_name");
	const char *url = json_text(p, "url"), *value = json_text(p, "token");
	int rc = 0;
	if (token && user && url && value) {
		auto_free char *user_path = cli_api_escape(user);
		auto_free char *token_path = cli_api_escape(token);
		auto_free char *path = xasprintf("/users/%s/tokens/%s", user_path, token_path);

		c->url = url;
		c->token = value;
		rc = cli_api_call(c, "DELETE", path, NULL, NULL, &err);
	}
	/* A token that no longer works is gone already. */
	if (rc && rc != ERR_DENIED && rc != ERR_NOTFOUND)
		return cli_fail_hint(err,
		    "the profile is kept; \"millrace profile remove\" forgets "
		    "it without asking the gateway");
	err_clear(&err);
	if (forget(all, name, &err))
		return cli_fail(err);
	fprintf(stderr, "logged out, profile \"%s\" removed\n", name);
	return 0;
}

static int
profile_remove(struct cli *c)
{
	struct err *err = NULL;
	auto_json *all = NULL;
	auto_free char *name = NULL;
	const json_t *p = NULL;

	if (profile_named(&name, &all, &p, c, &err) || forget(all, name, &err))
		return cli_fail(err);
	fprintf(stderr, "profile \"%s\" removed; its token still works\n", name);
	return 0;
}

static int
profile_use(struct cli *c)
{
	struct err *err = NULL;
	auto_json *all = NULL;
	auto_free char *name = NULL;
	const json_t *p = NULL;

	if (profile_named(&name, &all, &p, c, &err))
		return cli_fail(err);
	json_object_set_new(all, "current", json_string(name));
	if (cli_profile_save(all, &err))
		return cli_fail(err);
	fprintf(stderr, "profile \"%s\" is used from now on\n", name);
	return 0;
}

/* Without the tokens. */
static int
profile_list(struct cli *c)
{
	static const struct cli_rest r = { .columns = "NAME=name USED=used URL=url USER=user" };
	struct err *err = NULL;
	auto_json *all = NULL, *list = json_array();
	const char *name;
	json_t *p;

	if (cli_profile_load(&all, &err))
		return cli_fail(err);
	const char *used = cli_profile_name(c, all);
	json_object_foreach(json_member(all, "profiles"), name, p)
	{
		const char *url = json_text(p, "url"), *user = json_text(p, "user");

		json_array_append_new(list,
		    json_pack("{s:s,s:b,s:s,s:s}", "name", name, "used", strcmp(name, used) == 0,
		        "url", url ? url : "", "user", user ? user : ""));
	}
	return cli_rest_show(c, &r, list);
}

static const struct cli_opt login_opts[] = {
	{ "username", 'n', CLI_TEXT, false, NULL, "your name; without it you are asked" },
	{ "expires-in", 0, CLI_TEXT, false, NULL, "how long the login is good for: 720h" },
	{ 0 },
};
const struct cli_command cli_login_commands[] = {
	{ .words = { "login" },
	    .opts = login_opts,
	    .run = login,
	    .offline = true,
	    .summary = "log in with a password (or keep the token of --token) in a profile",
	    .example = "millrace login --gateway-url https://ci.example.org --username alice" },
	{ .words = { "logout" },
	    .run = logout,
	    .offline = true,
	    .summary = "delete the token that the login made, and the profile",
	    .example = "millrace logout" },
	{ .words = { "profile", "list" },
	    .run = profile_list,
	    .offline = true,
	    .summary = "list the profiles that logins made",
	    .example = "millrace profile list" },
	{ .words = { "profile", "use" },
	    .args = "NAME",
	    .min_args = 1,
	    .max_args = 1,
	    .run = profile_use,
	    .offline = true,
	    .summary = "use a profile from now on",
	    .example = "millrace profile use work" },
	{ .words = { "profile", "remove" },
	    .args = "NAME",
	    .min_args = 1,
	    .max_args = 1,
	    .run = profile_remove,
	    .offline = true,
	    .summary = "forget a profile",
	    .example = "millrace profile remove work" },
	{ .words = { NULL } },
};
