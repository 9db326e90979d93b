/*
 * The program millrace against the whole gateway: what each command asks, and what people and
 * programs see of it. Needs MILLRACE_TEST_DB (tests/lib/pg.sh) and the program, built.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/mem.h"
#include "gateway/gateway.h"
#include "tests/lib/cli_peer.h"
#include "tests/lib/gw_world.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PASSWORD "correct horse"

/* As bob. */
static struct clp
client(struct gwp *f)
{
	if (!f->token)
		gwp_make_bob(f);
	return (struct clp){ .gw = f, .token = f->token };
}

#define auto_clp __attribute__((cleanup(clp_fini))) struct clp

/* The output as JSON. */
static json_t *
parsed(const struct clp *x)
{
	json_t *j = NULL;

	if (json_parse(&j, buf_str(&x->out), x->out.len, NULL))
		fail_msg("no JSON: %s", buf_str(&x->out));
	return j;
}

static void
organizations(void **state)
{
	struct gwp *f = *state;
	auto_clp x = client(f);

	gwp_make_user(f, "alice", NULL, NULL);
	CLP(&x, "org", "create", "--name", "acme", "--visibility", "private");
	clp_expect(&x, 0, "", "organization \"acme\" created, id ");
	CLP(&x, "org", "create", "-n", "acme");
	clp_expect(&x, 1, "", "organizationAlreadyExists");
	CLP(&x, "org", "create", "-n", "beta", "--json");
	clp_expect(&x, 0, "\"name\": \"beta\"", "");
	CLP(&x, "org", "list");
	clp_expect(&x, 0, "NAME  VISIBILITY  ID\nbeta  public      ", "");
	assert_null(strstr(buf_str(&x.out), "acme"));
	CLP(&x, "org", "list", "--mine");
	clp_expect(&x, 0, "NAME  ROLE   VISIBILITY  ID\nacme  owner  private     ", "");
	CLP(&x, "org", "member", "add", "-n", "acme", "--username", "alice");
	clp_expect(&x, 0, "", "\"alice\" is member of \"acme\"");
	CLP(&x, "org", "member", "add", "-n", "acme", "--username", "alice", "-r", "owner");
	CLP(&x, "org", "member", "list", "--orgname", "acme");
	clp_expect(&x, 0, "USER   ROLE   ID\nalice  owner  ", "");
	CLP(&x, "org", "member", "list", "--orgname=acme", "--json");
	auto_json *members = parsed(&x);
	assert_int_equal(json_array_size(members), 2);
	assert_string_equal(json_text(json_array_get(members, 1), "role"), "owner");
	CLP(&x, "org", "member", "remove", "-n", "acme", "--username", "alice");
	clp_expect(&x, 0, "", "removed");
	CLP(&x, "org", "member", "remove", "-n", "acme", "--username", "alice");
	clp_expect(&x, 1, "", "orgMemberDoesNotExist");
	/* Members are added directly here. */
	CLP(&x, "org", "invitation", "create", "-n", "acme", "--username", "alice");
	clp_expect(&x, 1, "", "cannotCreateInvitation");
	CLP(&x, "org", "update", "-n", "acme", "--visibility", "public");
	CLP(&x, "org", "show", "-n", "acme");
	clp_expect(&x, 0, "name        acme\nvisibility  public\nid          ", "");
	CLP(&x, "org", "delete", "-n", "acme");
	clp_expect(&x, 0, "", "deleted");
	CLP(&x, "org", "show", "-n", "acme");
	clp_expect(&x, 1, "", "it does not exist (organizationDoesNotExist)");
}

static void
invitations(void **state)
{
	struct gwp *f = *state;
	static char invitation[] = "invitation";
	auto_free char *alice = NULL;

	f->cfg.organization_member_adding_mode = invitation;
	gwp_restart(f);
	auto_clp x = client(f);
	gwp_make_user(f, "alice", NULL, &alice);
	CLP(&x, "org", "create", "-n", "acme");
	for (int i = 0; i < 2; i++) {
		x.token = f->token;
		CLP(&x, "org", "invitation", "create", "-n", "acme", "--username", "alice");
		clp_expect(&x, 0, "", "\"alice\" invited to \"acme\"");
		CLP(&x, "org", "invitation", "list", "-n", "acme");
		clp_expect(&x, 0, "USER-ID", "");
		x.token = alice;
		CLP(&x, "user", "invitations");
		clp_expect(&x, 0, "ORGANIZATION  ID\nacme          ", "");
		CLP(&x, "user", i ? "accept" : "reject", "-n", "acme");
		clp_expect(&x, 0, "", i ? "you are a member" : "rejected");
	}
	CLP(&x, "org", "list", "--mine");
	clp_expect(&x, 0, "acme  member", "");
	x.token = f->token;
	CLP(&x, "org", "invitation", "delete", "-n", "acme", "--username", "alice");
	clp_expect(&x, 1, "", "invitationDoesNotExist");
}

static void
groups(void **state)
{
	struct gwp *f = *state;
	auto_clp x = client(f);

	CLP(&x, "projectgroup", "create", "--name", "web", "--parent", "user/bob");
	clp_expect(&x, 0, "", "project group \"user/bob/web\" created, id ");
	CLP(&x, "projectgroup", "create", "-n", "sub", "--parent", "user/bob/web", "--visibility",
	    "private");
	CLP(&x, "projectgroup", "list", "--parent", "user/bob/web");
	clp_expect(
	    &x, 0, "NAME  PATH              VISIBILITY  ID\nsub   user/bob/web/sub  private ", "");
	/* A visibility is one, not a name. */
	CLP(&x, "projectgroup", "update", "--ref", "user/bob/web/sub", "--visibility", "public");
	CLP(&x, "projectgroup", "show", "--ref", "user/bob/web/sub");
	clp_expect(&x, 0, "path        user/bob/web/sub\n", "");
	clp_expect(&x, 0, "visibility  public\n", "");
	CLP(&x, "projectgroup", "update", "--ref", "user/bob/web/sub", "--parent", "user/bob",
	    "--name", "moved");
	clp_expect(&x, 0, "", "\"user/bob/moved\" updated");
	CLP(&x, "projectgroup", "delete", "--ref", "user/bob/web");
	CLP(&x, "projectgroup", "list", "--parent", "user/bob", "--json");
	auto_json *list = parsed(&x);
	assert_int_equal(json_array_size(list), 1);
	CLP(&x, "projectgroup", "create", "-n", "x", "--parent", "user/nobody");
	clp_expect(&x, 1, "", "it does not exist");
	CLP(&x, "projectgroup", "create", "-n", "x");
	clp_expect(&x, 1, "", "--parent is missing: see --help");
}

static void
git_hosts_and_projects(void **state)
{
	struct gwp *f = *state;
	auto_clp x = client(f), admin = { .gw = f, .token = GWP_ADMIN };

	gww_use_host(f);
	CLP(&admin, "remotesource", "create", "-n", "second", "--type", "gitea", "--auth-type",
	    "password");
	clp_expect(&admin, 1, "", "--api-url is missing");
	CLP(&admin, "remotesource", "create", "-n", "second", "--type", "gitea", "--auth-type",
	    "password", "--api-url", "http://second:3000", "--registration-enabled=false");
	clp_expect(&admin, 0, "", "remote source \"second\" created");
	CLP(&admin, "remotesource", "create", "-n", "hub", "--type", "github", "--auth-type",
	    "oauth2", "--clientid", "c", "--secret", "s");
	clp_expect(&admin, 0, "", "created"); /* its address is known */
	CLP(&x, "remotesource", "list");
	clp_expect(&x, 0, "NAME    AUTH      REGISTRATION  LOGIN  ID\n", "");
	clp_expect(&x, 0, "second  password  no            yes    ", "");
	CLP(&admin, "remotesource", "update", "--ref", "second", "--new-name", "third",
	    "--login-enabled=false");
	CLP(&x, "remotesource", "show", "--ref", "third");
	clp_expect(&x, 0, "registration  no\nlogin         no\n", "");
	CLP(&x, "remotesource", "delete", "--ref", "third");
	clp_expect(&x, 1, "", "not allowed with this token");
	CLP(&admin, "remotesource", "delete", "--ref", "third");
	clp_expect(&admin, 0, "", "deleted");
	/* The password comes from standard input. */
	x.input = "right\n";
	CLP(&x, "user", "linkedaccount", "create", "-n", "bob", "-r", "host", "--remote-name",
	    "bob", "--remote-password", "-");
	clp_expect(&x, 0, "", "linked account created, id ");
	CLP(&x, "project", "create", "--name", "p", "--parent", "user/bob", "--repo-path", "o/x",
	    "--remote-source", "host", "--visibility", "private");
	clp_expect(&x, 0, "", "project \"user/bob/p\" created, id ");
	CLP(&x, "project", "list", "--parent", "user/bob");
	clp_expect(
	    &x, 0, "NAME  PATH        VISIBILITY  BRANCH  ID\np     user/bob/p  private ", "");
	CLP(&x, "project", "update", "--ref", "user/bob/p", "--pass-vars-to-forked-pr", "--name",
	    "q");
	clp_expect(&x, 0, "", "\"user/bob/q\" updated");
	CLP(&x, "project", "show", "--ref", "user/bob/q");
	clp_expect(&x, 0, "forked-pr-variables  yes\n", "");
	clp_expect(&x, 0, "visibility           private\n", "");
	CLP(&x, "run", "create", "--project", "user/bob/q");
	clp_expect(&x, 1, "", "exactly one of --branch, --tag and --ref");
	CLP(&x, "run", "create", "--project", "user/bob/q", "--branch", "b", "--tag", "t");
	clp_expect(&x, 1, "", "exactly one of --branch, --tag and --ref");
	CLP(&x, "run", "create", "--project", "user/bob/none", "--branch", "b");
	clp_expect(&x, 1, "", "projectDoesNotExist");
	CLP(&x, "project", "delete", "--ref", "user/bob/q");
	clp_expect(&x, 0, "", "deleted");
	CLP(&x, "user", "linkedaccount", "delete", "-n", "bob", "--laid",
	    "11111111-2222-4333-8444-555555555555");
	clp_expect(&x, 1, "", "linkedAccountDoesNotExist");
}

static void
users(void **state)
{
	struct gwp *f = *state;
	auto_clp x = client(f), admin = { .gw = f, .token = GWP_ADMIN };

	CLP(&admin, "user", "create", "-n", "carol");
	clp_expect(&admin, 0, "", "user \"carol\" created, id ");
	CLP(&admin, "user", "list");
	clp_expect(&admin, 0, "NAME   ID", "");
	clp_expect(&admin, 0, "\ncarol  ", "");
	CLP(&x, "user", "list");
	clp_expect(&x, 1, "", "not logged in");
	/* Only the token, for $(...). */
	CLP(&x, "user", "token", "create", "-n", "bob", "-t", "reads", "--scope", "read",
	    "--expires-in", "1h");
	clp_expect(&x, 0, "", "");
	assert_int_equal(x.out.len, 41);
	assert_int_equal(strspn(buf_str(&x.out), "0123456789abcdef"), 40);
	auto_free char *token = xstrndup(buf_str(&x.out), 40);
	CLP(&x, "user", "token", "list", "-n", "bob");
	clp_expect(&x, 0, "NAME   SCOPE  EXPIRES\nreads  read   20", "");
	assert_null(strstr(buf_str(&x.out), token));
	x.token = token;
	CLP(&x, "user", "show");
	clp_expect(&x, 0, "name    bob\n", "");
	CLP(&x, "user", "show", "-n", "carol", "--json");
	clp_expect(&x, 0, "\"username\": \"carol\"", "");
	CLP(&x, "org", "create", "-n", "acme");
	clp_expect(&x, 1, "", "not allowed");
	x.token = f->token;
	CLP(&x, "user", "token", "delete", "-n", "bob", "-t", "reads");
	clp_expect(&x, 0, "", "token \"reads\" deleted");
	CLP(&admin, "user", "delete", "-n", "carol");
	clp_expect(&admin, 0, "", "deleted");
	CLP(&admin, "audit", "list", "--username", "bob");
	clp_expect(&admin, 0, "/users/bob/tokens/reads", "");
}

/* Lists and deletions; what files become is tested without a gateway. */
static void
secrets(void **state)
{
	struct gwp *f = *state;
	auto_clp x = client(f);

	CLP(&x, "projectgroup", "secret", "list", "--projectgroup", "user/bob");
	clp_expect(&x, 0, "NAME  FROM  ID\n", "");
	CLP(&x, "projectgroup", "variable", "list", "--projectgroup", "user/bob", "--json");
	clp_expect(&x, 0, "[]", "");
	CLP(&x, "projectgroup", "secret", "delete", "--projectgroup", "user/bob", "-n", "s");
	clp_expect(&x, 0, "", "secret \"s\" deleted");
	x.input = "a: [s3cret]";
	CLP(&x, "projectgroup", "secret", "create", "--projectgroup", "user/bob", "-n", "s", "-f",
	    "-");
	clp_expect(&x, 1, "", "-:1:4: the value of a must be text");
	CLP(&x, "project", "secret", "list", "--project", "user/bob/none");
	clp_expect(&x, 1, "", "projectDoesNotExist");
}

static void
maintenance(void **state)
{
	struct gwp *f = *state;
	auto_clp x = client(f), admin = { .gw = f, .token = GWP_ADMIN };

	CLP(&admin, "maintenance", "enable", "--service", "runservice");
	clp_expect(&admin, 0, "", "maintenance of runservice begins");
	CLP(&admin, "maintenance", "enable", "--service", "runservice");
	clp_expect(&admin, 1, "", "refused");
	CLP(&admin, "maintenance", "status", "--service", "runservice");
	clp_expect(&admin, 0, "requested  yes\n", "");
	CLP(&x, "run", "list");
	clp_expect(&x, 1, "", "not ready: try again in a moment");
	CLP(&admin, "maintenance", "disable", "--service", "runservice");
	clp_expect(&admin, 0, "", "maintenance of runservice ends");
	CLP(&admin, "maintenance", "status", "--service", "runservice", "--json");
	clp_expect(&admin, 0, "\"RequestedStatus\": false", "");
	CLP(&admin, "maintenance", "enable", "--service", "none");
	clp_expect(&admin, 1, "", "refused");
	CLP(&x, "maintenance", "enable", "--service", "runservice");
	clp_expect(&x, 1, "", "not logged in");
}

/* --- logging in --- */

static void
set_password(struct gwp *f)
{
	auto_json *link = gwp_json(f, "POST", "/users/bob/passwordlink", GWP_ADMIN, NULL, 201);
	auto_free char *body =
	    xasprintf("{\"token\":\"%s\",\"password\":\"" PASSWORD "\"}", json_text(link, "token"));

	gwp_expect(f, "POST", "/auth/password", NULL, body, 204, "");
}

static void
logins(void **state)
{
	struct gwp *f = *state;
	auto_clp x = client(f);
	auto_free char *file = xasprintf("%s/profiles.json", f->dir);
	auto_free char *url = xasprintf("http://127.0.0.1:%d/", f->port);
	struct stat st;

	set_password(f);
	x.token = NULL;
	x.port = -1;
	x.input = "wrong\n";
	CLP(&x, "login", "-u", url, "--username", "bob");
	clp_expect(&x, 1, "", "wrong name or password");
	assert_int_not_equal(stat(file, &st), 0);
	x.input = "";
	CLP(&x, "login", "-u", url, "--username", "bob");
	clp_expect(&x, 1, "", "the password is empty");
	/* Name and password, a line each; neither is shown again. */
	x.input = "bob\n" PASSWORD "\nrest\n";
	CLP(&x, "login", "-u", url, "--profile", "first");
	clp_expect(&x, 0, "", "as bob, profile \"first\"");
	assert_null(strstr(buf_str(&x.err), PASSWORD));
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* From now on nothing needs to be said. */
	CLP(&x, "user", "show");
	clp_expect(&x, 0, "name    bob\n", "");
	clp_expect(&x, 0, "login ", ""); /* its token */
	x.input = PASSWORD;
	CLP(&x, "login", "-u", url, "--profile", "second", "-n", "bob", "--expires-in", "1h");
	clp_expect(&x, 0, "", "profile \"second\"");
	CLP(&x, "profile", "list");
	clp_expect(&x, 0, "NAME    USED  URL", "");
	clp_expect(&x, 0, "\nfirst   no    http", "");
	clp_expect(&x, 0, "\nsecond  yes   http", "");
	CLP(&x, "profile", "use", "first");
	CLP(&x, "profile", "list", "--json");
	auto_json *list = parsed(&x);
	assert_true(json_flag(json_array_get(list, 0), "used", false));
	assert_null(strstr(buf_str(&x.out), "token"));
	CLP(&x, "profile", "use", "none");
	clp_expect(&x, 1, "", "there is no profile \"none\"");
	/* Its token is deleted at the gateway, too. */
	auto_json *before = gwp_json(f, "GET", "/users/bob/tokens", GWP_ADMIN, NULL, 200);
	assert_int_equal(json_array_size(before), 3);
	CLP(&x, "logout");
	clp_expect(&x, 0, "", "profile \"first\" removed");
	auto_json *after = gwp_json(f, "GET", "/users/bob/tokens", GWP_ADMIN, NULL, 200);
	assert_int_equal(json_array_size(after), 2);
	CLP(&x, "user", "show");
	clp_expect(&x, 0, "name    bob\n", ""); /* with the other one */
	CLP(&x, "profile", "remove", "second");
	CLP(&x, "user", "show", "-u", url);
	clp_expect(&x, 1, "", "use \"millrace login\"");
	/* A token that somebody made already. */
	CLP(&x, "login", "-u", url, "--token", GWP_ADMIN);
	clp_expect(&x, 1, "", "only a user's token can be kept");
	CLP(&x, "login", "-u", url, "--token", f->token);
	CLP(&x, "--json", "user", "show");
	clp_expect(&x, 0, "\"username\": \"bob\"", "");
	/* Not the profile's token to somebody else. */
	CLP(&x, "user", "show", "-u", "http://127.0.0.1:1");
	clp_expect(&x, 1, "", "cannot reach the gateway at http://127.0.0.1:1");
}

/* A login that asks for a token answers with no cookies, and with nothing but its own token. */
static void
token_logins(void **state)
{
	struct gwp *f = *state;

	gwp_make_bob(f);
	set_password(f);
	struct gwp_answer a = gwp_call(f, "POST", "/auth/login", NULL,
	    "{\"login_name\":\"bob\",\"password\":\"" PASSWORD "\",\"token_name\":\"cli\"}");
	assert_int_equal(a.status, 201);
	assert_null(strcasestr(buf_str(&a.head), "Set-Cookie"));
	auto_json *j = NULL;
	assert_int_equal(json_parse(&j, buf_str(&a.body), a.body.len, NULL), 0);
	gwp_answer_fini(&a);
	gwp_expect(f, "GET", "/user", json_text(j, "token"), NULL, 200, NULL);
	assert_string_equal(json_text(json_member(j, "user"), "username"), "bob");
	static const char *const bad[] = {
		"{\"login_name\":\"bob\",\"password\":\"wrong\",\"token_name\":\"other\"}",
		"{\"login_name\":\"none\",\"password\":\"" PASSWORD "\",\"token_name\":\"other\"}",
		"{\"login_name\":\"bob\",\"password\":\"" PASSWORD
		"\",\"token_name\":\"other\",\"expires_in\":\"x\"}",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		gwp_expect(f, "POST", "/auth/login", NULL, bad[i], 400, "[]");
	gwp_expect(f, "POST", "/auth/login", NULL,
	    "{\"login_name\":\"bob\",\"password\":\"" PASSWORD "\",\"token_name\":\"cli\"}", 400,
	    GWP_ERR("userTokenAlreadyExists"));
	auto_json *left = gwp_json(f, "GET", "/users/bob/tokens", GWP_ADMIN, NULL, 200);
	assert_int_equal(json_array_size(left), 2);
}

/* Both services' data, out of the gateway and in again. */
static void
export_and_import(void **state)
{
	struct gwp *f = *state;
	auto_clp x = client(f), admin = { .gw = f, .token = GWP_ADMIN };
	auto_free char *file = xasprintf("%s/export", f->dir), *runs = xmalloc((1u << 20) + 1);

	CLP(&x, "org", "create", "-n", "acme");
	CLP(&x, "export", "--service", "configstore");
	clp_expect(&x, 1, "", "it takes the administrator's token");
	CLP(&admin, "export", "--service", "configstore", "--out", file);
	clp_expect(&admin, 0, "", "");
	CLP(&x, "org", "delete", "-n", "acme");
	clp_expect(&x, 0, "", "");
	CLP(&admin, "import", "--service", "configstore", "--in", file);
	clp_expect(&admin, 1, "", "put the configstore into maintenance first");
	CLP(&admin, "maintenance", "enable", "--service", "configstore");
	CLP(&admin, "import", "--service", "configstore", "--in", file);
	clp_expect(&admin, 0, "", "configstore: imported");
	CLP(&admin, "maintenance", "disable", "--service", "configstore");
	gwp_restart(f); /* what it read of the flags */
	CLP(&x, "org", "list");
	clp_expect(&x, 0, "acme", "");

	memset(runs, 'x', 1u << 20);
	runs[1u << 20] = '\0';
	f->rs.dump_text = runs;
	CLP(&admin, "export", "--service", "runservice");
	clp_expect(&admin, 0, runs, "");
	assert_int_equal(admin.out.len, 1u << 20);
	CLP(&admin, "maintenance", "enable", "--service", "runservice");
	admin.input = runs;
	CLP(&admin, "import", "--service", "runservice");
	clp_expect(&admin, 0, "", "runservice: imported");
	assert_int_equal(f->rs.loaded.len, 1u << 20);
	assert_true(f->rs.committed);
}

/* --- the other name, and what is wrong --- */

static void
as_agola(void **state)
{
	struct gwp *f = *state;
	auto_clp x = client(f);
	auto_free char *built = clp_program();
	auto_free char *link = xasprintf("%s/agola", f->dir);

	assert_int_equal(symlink(built, link), 0);
	x.program = link;
	CLP(&x, "org", "create", "-n", "acme");
	CLP(&x, "org", "list", "--detailed-errors");
	auto_json *org = gwp_json(f, "GET", "/orgs/acme", f->token, NULL, 200);
	auto_free char *want = xasprintf("%s: Name: acme\n", json_text(org, "id"));
	clp_expect(&x, 0, want, "");
	assert_int_equal(x.out.len, strlen(want));
	CLP(&x, "org", "member", "list", "-n", "acme");
	auto_json *member = parsed(&x);
	assert_string_equal(json_text(member, "role"), "owner");
	f->rs.nruns = 2;
	CLP(&x, "run", "list", "--username", "bob", "--limit", "1");
	clp_expect(&x, 0,
	    "2: Phase: running, Result: unknown\n"
	    "\tTaskName: build, TaskID: " GWP_TASK ", Status: success\n"
	    "\t\tStep: 0, Name: build, Type: run, Phase: success, ExitStatus: 0\n",
	    "");
	assert_null(strstr(buf_str(&x.out), "1: Phase"));
	CLP(&x, "serve", "--config", "config.yml");
	clp_expect(&x, 1, "", "millrace-gateway");
}

static void
wrong_use(void **state)
{
	struct gwp *f = *state;
	auto_clp x = client(f);

	CLP(&x, "org", "frobnicate");
	clp_expect(&x, 1, "", "unknown command \"org frobnicate\"");
	clp_expect(&x, 1, "", "org create");
	CLP(&x, "org", "create", "-n", "\xff");
	clp_expect(&x, 1, "", "--name: the text is not valid UTF-8");
	CLP(&x, "-d", "org", "list");
	clp_expect(&x, 0, "", "GET /orgs?limit=30: 200");
	assert_null(strstr(buf_str(&x.err), f->token));
	CLP(&x, "org", "member", "list", "-n", "a/../b");
	clp_expect(&x, 1, "", "organizationDoesNotExist");
	x.token = "nosuchtoken";
	CLP(&x, "org", "list");
	clp_expect(&x, 1, "", "use \"millrace login\"");
	CLP(&x, "man", "org", "list");
	clp_expect(&x, 0, ".TH MILLRACE\\-ORG\\-LIST 1", "");
	CLP(&x, "man", "org");
	clp_expect(&x, 1, "", "there is no such command");
	auto_free char *dir = xasprintf("%s/man", f->dir);
	CLP(&x, "man", "--output", dir);
	clp_expect(&x, 0, "", "");
	auto_free char *page = xasprintf("%s/millrace-project-secret-create.1", dir);
	assert_int_equal(access(page, R_OK), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(organizations, gwp_setup, gwp_teardown),
		cmocka_unit_test_setup_teardown(invitations, gwp_setup, gwp_teardown),
		cmocka_unit_test_setup_teardown(groups, gwp_setup, gwp_teardown),
		cmocka_unit_test_setup_teardown(git_hosts_and_projects, gwp_setup, gwp_teardown),
		cmocka_unit_test_setup_teardown(users, gwp_setup, gwp_teardown),
		cmocka_unit_test_setup_teardown(secrets, gwp_setup, gwp_teardown),
		cmocka_unit_test_setup_teardown(maintenance, gwp_setup, gwp_teardown),
		cmocka_unit_test_setup_teardown(export_and_import, gwp_setup, gwp_teardown),
		cmocka_unit_test_setup_teardown(logins, gwp_setup, gwp_teardown),
		cmocka_unit_test_setup_teardown(token_logins, gwp_setup, gwp_teardown),
		cmocka_unit_test_setup_teardown(as_agola, gwp_setup, gwp_teardown),
		cmocka_unit_test_setup_teardown(wrong_use, gwp_setup, gwp_teardown),
	};

	return cmocka_run_group_tests_name("cli_objects", tests, NULL, NULL);
}
