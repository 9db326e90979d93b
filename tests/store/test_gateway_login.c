/*
 * Logging in and what follows from it: passwords, cookies, CSRF, other origins, git hosts, scopes
 * of tokens, the audit log, maintenance.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/mem.h"
#include "gateway/gateway.h"
#include "gateway/session.h"
#include "tests/lib/gw_world.h"

#include <signal.h>
#include <string.h>
#include <strings.h>

#define REFERER "Referer: https://localhost:8080\r\n"
#define PASSWORD "correct horse"

/* Value of a Set-Cookie of this name, malloc'ed, NULL when there is none; attributes are checked to
 * hold all of want (NULL: none). */
static char *
cookie_of(const struct gwp_answer *a, const char *name, const char *want)
{
	auto_free char *key = xasprintf("Set-Cookie: %s=", name);
	const char *p = strcasestr(buf_str(&a->head), key);
	auto_free char *line = NULL;

	if (!p)
		return NULL;
	line = xstrndup(p, strcspn(p, "\r\n"));
	if (want && !strstr(line, want))
		fail_msg("%s without %s", line, want);
	p += strlen(key);
	return xstrndup(p, strcspn(p, ";\r\n"));
}

/* bob with a password, set through a one-time link. */
static void
make_bob(struct gwp *f)
{
	auto_json *link = NULL;
	auto_free char *body = NULL;

	gwp_make_bob(f);
	link = gwp_json(f, "POST", "/users/bob/passwordlink", GWP_ADMIN, NULL, 201);
	body =
	    xasprintf("{\"token\":\"%s\",\"password\":\"" PASSWORD "\"}", json_text(link, "token"));
	gwp_expect(f, "POST", "/auth/password", NULL, body, 204, "");
}

#define LOGIN "{\"login_name\":\"bob\",\"password\":\"" PASSWORD "\"}"

/* The two cookies of a login. */
static void
log_in(struct gwp *f, const char *body, char **first, char **second)
{
	struct gwp_answer a = gwp_call(f, "POST", "/auth/login", NULL, body);

	assert_int_equal(a.status, 201);
	*first = cookie_of(&a, "__Host-session", "; HttpOnly; Secure; SameSite=Strict");
	*second =
	    cookie_of(&a, "secondarysession", "; Path=/; Max-Age=3600; Secure; SameSite=Strict");
	assert_non_null(*first);
	assert_non_null(*second);
	gwp_answer_fini(&a);
}

static int
status_with(struct gwp *f, const char *method, const char *path, const char *token,
    const char *body, const char *extra)
{
	struct gwp_answer a = gwp_call_with(f, method, path, token, body, extra);
	int status = a.status;

	gwp_answer_fini(&a);
	return status;
}

static void
one_time_links(void **state)
{
	struct gwp *f = *state;
	auto_json *link = NULL, *again = NULL;
	auto_free char *body = NULL, *weak = NULL;

	gwp_make_bob(f);
	/* Nobody logs in without a password. */
	gwp_expect(f, "POST", "/auth/login", NULL, LOGIN, 400, "[]");
	link = gwp_json(f, "POST", "/users/bob/passwordlink", GWP_ADMIN, NULL, 201);
	again = gwp_json(f, "POST", "/users/bob/passwordlink", GWP_ADMIN, NULL, 201);
	assert_non_null(strstr(json_text(again, "url"), "http://ci.example.org:8000/setpassword#"));
	body =
	    xasprintf("{\"token\":\"%s\",\"password\":\"" PASSWORD "\"}", json_text(link, "token"));
	gwp_expect(f, "POST", "/auth/password", NULL, body, 400, "[]"); /* replaced */
	weak = xasprintf("{\"token\":\"%s\",\"password\":\"short\"}", json_text(again, "token"));
	gwp_expect(f, "POST", "/auth/password", NULL, weak, 400, "[]"); /* and not used up */
	free(body);
	body = xasprintf(
	    "{\"token\":\"%s\",\"password\":\"" PASSWORD "\"}", json_text(again, "token"));
	gwp_expect(f, "POST", "/auth/password", NULL, body, 204, "");
	gwp_expect(f, "POST", "/auth/password", NULL, body, 400, "[]"); /* once */
	gwp_expect(f, "POST", "/auth/login", NULL, LOGIN, 201, NULL);
	/* Neither the password nor the link is in the database. */
	gww_sql("do $$ begin if exists (select 1 from users u where u::text like '%" PASSWORD
	        "%') or exists (select 1 from password_links) then raise exception 'found'; "
	        "end if; end $$");
}

static void
passwords(void **state)
{
	struct gwp *f = *state;
	auto_json *j = NULL;
	auto_free char *first = NULL, *second = NULL, *cookies = NULL, *csrf = NULL, *token = NULL;
	auto_free char *all = NULL, *renewed = NULL, *other = NULL, *other2 = NULL;
	struct gwp_answer a;

	make_bob(f);
	for (const char *const *p = (const char *const[]){ "{}", "{\"login_name\":\"bob\"}",
	         "{\"login_name\":\"bob\",\"password\":\"wrong\"}",
	         "{\"login_name\":\"none\",\"password\":\"" PASSWORD "\"}",
	         "{\"login_name\":\"b'b\",\"password\":\"" PASSWORD "\"}", NULL };
	     *p; p++)
		gwp_expect(f, "POST", "/auth/login", NULL, *p, 400, "[]");
	/* Web pages send username. */
	j = gwp_json(f, "POST", "/auth/login", NULL,
	    "{\"username\":\"bob\",\"password\":\"" PASSWORD "\"}", 201);
	assert_string_equal(json_text(json_object_get(j, "user"), "id"), f->user_id);
	assert_string_equal(json_text(j, "oauth2_redirect"), "");
	/* A changed password ends all sessions but the one that changed it. */
	log_in(f, LOGIN, &first, &second);
	log_in(f, LOGIN, &other, &other2);
	cookies =
	    xasprintf(REFERER "Cookie: __Host-session=%s; secondarysession=%s\r\n", first, second);
	a = gwp_call_with(f, "GET", "/user", NULL, NULL, cookies);
	csrf = cookie_of(&a, "__Host-csrf", NULL);
	token = gwp_header(&a, "X-Csrf-Token");
	gwp_answer_fini(&a);
	f->cfg.allowed_origins.n = 0;
	assert_int_equal(
	    gw_origin_list_add(&f->cfg.allowed_origins, "https://localhost:8080", NULL), 0);
	all = xasprintf(REFERER "Cookie: __Host-session=%s; secondarysession=%s; __Host-csrf=%s\r\n"
	                        "X-Csrf-Token: %s\r\n",
	    first, second, csrf, token);
	assert_int_equal(
	    status_with(f, "PUT", "/user/password", NULL,
	        "{\"current_password\":\"wrong\",\"password\":\"another horse\"}", all),
	    400);
	a = gwp_call_with(f, "PUT", "/user/password", NULL,
	    "{\"current_password\":\"" PASSWORD "\",\"password\":\"another horse\"}", all);
	assert_int_equal(a.status, 204);
	renewed = cookie_of(&a, "__Host-session", NULL);
	assert_non_null(renewed);
	gwp_answer_fini(&a);
	assert_int_equal(status_with(f, "GET", "/user", NULL, NULL, cookies), 401);
	gwp_expect(f, "POST", "/auth/login", NULL, LOGIN, 400, "[]");
	gwp_expect(f, "GET", "/user", f->token, NULL, 200, NULL); /* tokens go on */
	gw_origin_list_fini(&f->cfg.allowed_origins);
}

/* Both cookies are needed, and they must be one pair. */
static void
cookies(void **state)
{
	struct gwp *f = *state;
	auto_free char *first = NULL, *second = NULL, *other = NULL, *other2 = NULL;
	struct {
		char *cookies;
		int status;
	} cases[5];

	make_bob(f);
	log_in(f, LOGIN, &first, &second);
	log_in(f, LOGIN, &other, &other2);
	cases[0].cookies = xasprintf("Cookie: __Host-session=%s\r\n", first);
	cases[1].cookies = xasprintf("Cookie: secondarysession=%s\r\n", second);
	cases[2].cookies =
	    xasprintf("Cookie: __Host-session=%s; secondarysession=%s\r\n", first, other2);
	cases[3].cookies = xasprintf("Cookie: session=%s; secondarysession=%s\r\n", first, second);
	cases[4].cookies =
	    xasprintf("Cookie: __Host-session=%s; secondarysession=%s\r\n", first, second);
	for (size_t i = 0; i < 4; i++)
		cases[i].status = 401;
	cases[4].status = 200;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(
		    status_with(f, "GET", "/user", NULL, NULL, cases[i].cookies), cases[i].status);
		/* A token wins, and a wrong one does not fall back to cookies. */
		assert_int_equal(
		    status_with(f, "GET", "/user", f->token, NULL, cases[i].cookies), 200);
		assert_int_equal(
		    status_with(f, "GET", "/user", "wrong", NULL, cases[i].cookies), 401);
	}
	/* The session of a user who is no more. */
	gwp_expect(f, "DELETE", "/users/bob", GWP_ADMIN, NULL, 204, "");
	assert_int_equal(status_with(f, "GET", "/user", NULL, NULL, cases[4].cookies), 401);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		free(cases[i].cookies);
}

/* Cookies are renewed when more than half of their life is over, not before. */
static void
renewal(void **state)
{
	struct gwp *f = *state;
	struct gateway *gw = f->gw;
	struct gw_session s;
	struct gwp_answer a;

	gwp_make_bob(f);
	for (int late = 0; late < 2; late++) {
		auto_free char *first = NULL, *second = NULL, *header = NULL, *again = NULL;

		gw_session_init(&s, f->user_id, 1, clock_wall_ms() / 1000 + (late ? 1700 : 1900));
		first = gw_session_primary(&s, gw->keys.session);
		second = gw_session_secondary(&s, gw->keys.session);
		header =
		    xasprintf("Cookie: __Host-session=%s; secondarysession=%s\r\n", first, second);
		a = gwp_call_with(f, "GET", "/user", NULL, NULL, header);
		assert_int_equal(a.status, 200);
		again = cookie_of(&a, "__Host-session", NULL);
		assert_int_equal(again != NULL, late);
		gwp_answer_fini(&a);
	}
}

#define NEW_ORG "{\"name\":\"o%d\",\"visibility\":\"public\"}"

static void
csrf(void **state)
{
	struct gwp *f = *state;
	auto_free char *first = NULL, *second = NULL, *session = NULL, *cookie = NULL,
	               *token = NULL;
	struct gwp_answer a;
	struct {
		char *extra;
		const char *token;
		int status;
	} cases[7];

	make_bob(f);
	assert_int_equal(
	    gw_origin_list_add(&f->cfg.allowed_origins, "https://localhost:8080", NULL), 0);
	log_in(f, LOGIN, &first, &second);
	session = xasprintf("__Host-session=%s; secondarysession=%s", first, second);
	auto_free char *get = xasprintf(REFERER "Cookie: %s\r\n", session);
	a = gwp_call_with(f, "GET", "/user", NULL, NULL, get);
	cookie = cookie_of(&a, "__Host-csrf", "; Path=/; HttpOnly; Secure; SameSite=Lax");
	token = gwp_header(&a, "X-Csrf-Token");
	assert_non_null(cookie);
	assert_non_null(token);
	assert_non_null(strcasestr(buf_str(&a.head), "Vary: Cookie"));
	gwp_answer_fini(&a);
	cases[0].extra = xasprintf(
	    REFERER "Cookie: %s; __Host-csrf=%s\r\nX-Csrf-Token: %s\r\n", session, cookie, token);
	cases[1].extra = xasprintf(REFERER "Cookie: %s; __Host-csrf=%s\r\n", session, cookie);
	cases[2].extra = xasprintf(REFERER "Cookie: %s\r\nX-Csrf-Token: %s\r\n", session, token);
	cases[3].extra =
	    xasprintf("Cookie: %s; __Host-csrf=%s\r\nX-Csrf-Token: %s\r\n", session, cookie, token);
	cases[4].extra =
	    xasprintf("Origin: https://evil.example.org\r\nCookie: %s; __Host-csrf=%s\r\n"
	              "X-Csrf-Token: %s\r\n",
	        session, cookie, token);
	cases[5].extra = xstrdup(cases[0].extra);
	cases[6].extra = xstrdup(cases[1].extra);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cases[i].token = NULL;
		cases[i].status = i == 0 ? 201 : 403;
	}
	cases[5].token = "unexistenttoken";
	cases[5].status = 401;
	cases[6].token = f->token; /* a good token needs no other proof */
	cases[6].status = 201;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *body = xasprintf(NEW_ORG, (int)i);

		a = gwp_call_with(f, "POST", "/orgs", cases[i].token, body, cases[i].extra);
		if (a.status != cases[i].status)
			fail_msg("case %zu: %d %s", i, a.status, buf_str(&a.body));
		if (a.status == 403) {
			/* No JSON, and what makes the next try work. */
			auto_free char *fresh = gwp_header(&a, "X-Csrf-Token");

			assert_true(strncmp(buf_str(&a.body), "Forbidden - ", 12) == 0);
			assert_non_null(fresh);
		} else if (a.status == 401) {
			assert_string_equal(buf_str(&a.body), "[]");
			assert_null(strcasestr(buf_str(&a.head), "X-Csrf-Token"));
		}
		gwp_answer_fini(&a);
		free(cases[i].extra);
	}
	/* Only what was allowed was done. */
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *path = xasprintf("/orgs/o%zu", i);

		gwp_expect(
		    f, "GET", path, f->token, NULL, cases[i].status == 201 ? 200 : 404, NULL);
	}
	gw_origin_list_fini(&f->cfg.allowed_origins);
}

static void
cors(void **state)
{
	struct gwp *f = *state;
	struct gwp_answer a;

	gwp_make_bob(f);
	/* Nothing of it unless origins are configured. */
	a = gwp_call_with(f, "OPTIONS", "/orgs", NULL, NULL, "Origin: https://ui\r\n");
	assert_int_equal(a.status, 404);
	gwp_answer_fini(&a);
	assert_int_equal(gw_origin_list_add(&f->cfg.allowed_origins, "https://ui", NULL), 0);
	a = gwp_call_with(f, "OPTIONS", "/orgs", NULL, NULL, "Origin: https://ui\r\n");
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(buf_str(&a.head), "Access-Control-Allow-Origin: https://ui"));
	assert_non_null(
	    strstr(buf_str(&a.head), "Access-Control-Allow-Methods: GET, HEAD, POST, PUT"));
	assert_non_null(strstr(buf_str(&a.head), "X-Csrf-Token"));
	gwp_answer_fini(&a);
	a = gwp_call_with(f, "OPTIONS", "/orgs", NULL, NULL, "Origin: https://evil\r\n");
	assert_null(strstr(buf_str(&a.head), "Access-Control"));
	gwp_answer_fini(&a);
	a = gwp_call_with(f, "GET", "/users/bob", f->token, NULL, "Origin: https://ui:443\r\n");
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(buf_str(&a.head), "Access-Control-Allow-Origin: https://ui:443"));
	assert_non_null(strstr(buf_str(&a.head), "Access-Control-Allow-Credentials: true"));
	assert_non_null(strstr(buf_str(&a.head), "Access-Control-Expose-Headers: X-Csrf-Token"));
	gwp_answer_fini(&a);
	a = gwp_call_with(f, "GET", "/users/bob", f->token, NULL, "Origin: https://evil\r\n");
	assert_int_equal(a.status, 200);
	assert_null(strstr(buf_str(&a.head), "Access-Control"));
	gwp_answer_fini(&a);
	gw_origin_list_fini(&f->cfg.allowed_origins);
}

static void
logins_are_limited(void **state)
{
	struct gwp *f = *state;
	struct gwp_answer a;
	auto_free char *after = NULL;

	make_bob(f);
	/* Good ones do not count. */
	for (int i = 0; i < GW_LOGIN_NAME_BURST + 2; i++)
		gwp_expect(f, "POST", "/auth/login", NULL, LOGIN, 201, NULL);
	for (int i = 0; i < GW_LOGIN_NAME_BURST; i++)
		gwp_expect(f, "POST", "/auth/login", NULL,
		    "{\"login_name\":\"bob\",\"password\":\"guess\"}", 400, "[]");
	a = gwp_call(f, "POST", "/auth/login", NULL, LOGIN);
	assert_int_equal(a.status, 429);
	after = gwp_header(&a, "Retry-After");
	assert_non_null(after);
	gwp_answer_fini(&a);
	/* Another name is another's trouble. */
	gwp_expect(f, "POST", "/auth/login", NULL,
	    "{\"login_name\":\"eve\",\"password\":\"guess\"}", 400, "[]");
}

#define AT_HOST "{\"remote_source_name\":\"host\",\"login_name\":\"bobby\",\"password\":\"right\"}"
#define REGISTER                                                                                   \
	"{\"username\":\"%s\",\"remote_source_name\":\"host\","                                    \
	"\"remote_source_login_name\":\"bobby\",\"remote_source_login_password\":\"right\"}"

static void
registering_at_a_git_host(void **state)
{
	struct gwp *f = *state;
	auto_free char *bob = xasprintf(REGISTER, "bob"), *eve = xasprintf(REGISTER, "eve");
	auto_free char *bad = xasprintf(REGISTER, "b b");
	auto_free char *first = NULL, *second = NULL;
	auto_json *who = NULL;

	gwp_expect(
	    f, "POST", "/auth/login", NULL, AT_HOST, 404, GWP_ERR("remoteSourceDoesNotExist"));
	gww_use_host(f);
	gwp_expect(
	    f, "POST", "/auth/login", NULL, AT_HOST, 404, GWP_ERR("linkedAccountDoesNotExist"));
	gwp_expect(f, "POST", "/auth/login", NULL,
	    "{\"remote_source_name\":\"host\",\"login_name\":\"bobby\",\"password\":\"no\"}", 400,
	    "[]");
	who = gwp_json(f, "POST", "/auth/authorize", NULL, AT_HOST, 201);
	assert_string_equal(
	    json_text(json_object_get(who, "remote_user_info"), "LoginName"), "bobby");
	assert_string_equal(json_text(who, "remote_source_name"), "host");
	gwp_expect(f, "POST", "/auth/register", NULL, bad, 400, GWP_ERR("invalidUserName"));
	gwp_expect(f, "POST", "/auth/register", NULL, bob, 201, "{\"oauth2_redirect\":\"\"}");
	/* That the account is taken goes before that the name is. */
	gwp_expect(
	    f, "POST", "/auth/register", NULL, bob, 400, GWP_ERR("linkedAccountAlreadyExists"));
	gwp_expect(
	    f, "POST", "/auth/register", NULL, eve, 400, GWP_ERR("linkedAccountAlreadyExists"));
	gwp_expect(f, "GET", "/users/eve", GWP_ADMIN, NULL, 404, NULL);
	log_in(f, AT_HOST, &first, &second);
	gwp_expect(f, "DELETE", "/users/bob", GWP_ADMIN, NULL, 204, "");
	gwp_expect(f, "POST", "/auth/register", NULL, bob, 201, NULL);
	gwp_expect(f, "PUT", "/remotesources/host", GWP_ADMIN,
	    "{\"login_enabled\":false,\"registration_enabled\":false}", 201, NULL);
	gwp_expect(f, "POST", "/auth/login", NULL, AT_HOST, 400, "[]");
	gwp_expect(f, "POST", "/auth/register", NULL, eve, 400, "[]");
}

#define OAUTH                                                                                      \
	"{\"name\":\"oauth\",\"apiurl\":\"https://"                                                \
	"g\",\"type\":\"gitea\",\"auth_type\":\"oauth2\","                                         \
	"\"oauth_2_client_id\":\"cid\",\"oauth_2_client_secret\":\"clientsecret\"}"

/* The state in an answer's redirect, as it stands in the URL. */
static char *
state_of(const json_t *answer)
{
	const char *url = json_text(answer, "oauth2_redirect");
	const char *p = strstr(url, "&state=");

	assert_true(strncmp(url, "https://g/login/oauth/authorize?client_id=cid&", 46) == 0);
	assert_non_null(p);
	return xstrndup(p + 7, strcspn(p + 7, "&"));
}

static json_t *
call_back(struct gwp *f, const char *code, const char *state, int status)
{
	auto_free char *path = xasprintf("/auth/oauth2/callback?code=%s&state=%s", code, state);

	return gwp_json(f, "GET", path, NULL, NULL, status);
}

static void
oauth2(void **state)
{
	struct gwp *f = *state;
	auto_json *asked = NULL, *done = NULL;
	auto_free char *text = NULL, *login = NULL, *path = NULL, *first = NULL, *link = NULL;
	struct gwp_answer a;

	gww_use_host(f);
	gwp_expect(f, "POST", "/remotesources", GWP_ADMIN, OAUTH, 201, NULL);
	asked = gwp_json(f, "POST", "/auth/register", NULL,
	    "{\"username\":\"bob\",\"remote_source_name\":\"oauth\"}", 201);
	text = state_of(asked);
	json_decref(call_back(f, "bad", text, 400));
	done = call_back(f, "remotebob", text, 200);
	assert_string_equal(json_text(done, "request_type"), "registeruser");
	/* Login through the browser sets the cookies at its end only. */
	a = gwp_call(f, "POST", "/auth/login", NULL, "{\"remote_source_name\":\"oauth\"}");
	assert_int_equal(a.status, 201);
	assert_null(strcasestr(buf_str(&a.head), "Set-Cookie"));
	json_decref(asked);
	asked = NULL;
	assert_int_equal(json_parse(&asked, buf_str(&a.body), a.body.len, NULL), 0);
	assert_true(json_is_null(json_object_get(asked, "user")));
	gwp_answer_fini(&a);
	login = state_of(asked);
	path = xasprintf("/auth/oauth2/callback?code=remotebob&state=%s", login);
	a = gwp_call(f, "GET", path, NULL, NULL);
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(buf_str(&a.body), "\"request_type\":\"loginuser\""));
	assert_non_null(strstr(buf_str(&a.body), "\"username\":\"bob\""));
	first = cookie_of(&a, "__Host-session", NULL);
	assert_non_null(first);
	gwp_answer_fini(&a);
	/* Linking: the state says for whom. */
	gwp_make_user(f, "eve", NULL, &f->token);
	json_decref(asked);
	asked = gwp_json(f, "POST", "/users/eve/linkedaccounts", f->token,
	    "{\"remote_source_name\":\"oauth\"}", 201);
	link = state_of(asked);
	json_decref(call_back(f, "remotebob", link, 400)); /* bob's */
	json_decref(done);
	done = call_back(f, "remoteeve", link, 200);
	assert_string_equal(
	    json_text(json_object_get(json_object_get(done, "response"), "linked_account"),
	        "remote_user_id"),
	    "remoteeve");
	/* States that are none. */
	link[strlen(link) - 1] = (char)(link[strlen(link) - 1] == '0' ? '1' : '0');
	json_decref(call_back(f, "x", link, 400));
	json_decref(call_back(f, "x", "garbage", 400));
	gwp_expect(f, "GET", "/auth/oauth2/callback?code=x", NULL, NULL, 400, "[]");
	gwp_expect(f, "GET", "/auth/oauth2/callback?state=x", NULL, NULL, 400, "[]");
}

static void
token_scopes(void **state)
{
	struct gwp *f = *state;
	auto_json *made = NULL, *list = NULL;
	const char *reads;

	gwp_make_bob(f);
	made = gwp_json(f, "POST", "/users/bob/tokens", f->token,
	    "{\"token_name\":\"r\",\"scope\":\"read\",\"expires_in\":\"1h\"}", 201);
	reads = json_text(made, "token");
	gwp_expect(f, "GET", "/user", reads, NULL, 200, NULL);
	gwp_expect(
	    f, "POST", "/orgs", reads, "{\"name\":\"o\",\"visibility\":\"public\"}", 403, "[]");
	gwp_expect(f, "POST", "/users/bob/tokens", reads, "{\"token_name\":\"x\"}", 403, "[]");
	gwp_expect(f, "GET", "/orgs/o", f->token, NULL, 404, NULL);
	list = gwp_json(f, "GET", "/users/bob/tokens", f->token, NULL, 200);
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(json_text(json_array_get(list, 0), "scope"), "read");
	assert_non_null(json_text(json_array_get(list, 0), "expires_at"));
	assert_null(json_text(json_array_get(list, 1), "expires_at"));
	gwp_expect(f, "POST", "/users/bob/tokens", f->token,
	    "{\"token_name\":\"x\",\"scope\":\"all\"}", 400, "[]");
	gwp_expect(f, "POST", "/users/bob/tokens", f->token,
	    "{\"token_name\":\"x\",\"expires_in\":\"soon\"}", 400, "[]");
	gwp_expect(f, "POST", "/users/bob/tokens", f->token,
	    "{\"token_name\":\"x\",\"expires_in\":\"1ns\"}", 400, "[]");
}

/* Lines of the log, newest first: "who name METHOD path outcome". */
static void
expect_audit(struct gwp *f, const char *const *want)
{
	auto_json *list = gwp_json(f, "GET", "/audit", GWP_ADMIN, NULL, 200);

	for (size_t i = 0; want[i]; i++) {
		const json_t *row = json_array_get(list, i);
		auto_free char *got = xasprintf("%s %s %s %s %s", json_text(row, "who"),
		    json_text(row, "username"), json_text(row, "method"), json_text(row, "path"),
		    json_text(row, "outcome"));

		assert_string_equal(got, want[i]);
		assert_string_equal(json_text(row, "address"), "127.0.0.1");
	}
}

static void
audit(void **state)
{
	struct gwp *f = *state;

	auto_free char *cursor = NULL, *next = NULL;
	struct gwp_answer a;

	make_bob(f);
	expect_audit(f, (const char *const[]){ "user bob POST /api/v1alpha/auth/password done",
	                    "admin  POST /api/v1alpha/users/bob/passwordlink done",
	                    "admin  POST /api/v1alpha/users/bob/tokens done",
	                    "admin  POST /api/v1alpha/users done", NULL });
	/* What was refused or is only read leaves no line; a failed login does. */
	gwp_expect(f, "POST", "/users", f->token, "{\"username\":\"x\"}", 403, NULL);
	gwp_expect(f, "POST", "/orgs", f->token, "{}", 400, NULL);
	gwp_expect(f, "GET", "/orgs", f->token, NULL, 200, NULL);
	gwp_expect(f, "POST", "/auth/login", NULL,
	    "{\"login_name\":\"b\xc3\xa9\\nb\",\"password\":\"guess\"}", 400, NULL);
	gwp_expect(f, "PUT", "/users/bob/runs/1/actions?x=secret", f->token,
	    "{\"action_type\":\"stop\"}", 200, NULL);
	expect_audit(
	    f, (const char *const[]){ "user bob PUT /api/v1alpha/users/bob/runs/1/actions asked",
	           "anonymous bb POST /api/v1alpha/auth/login refused",
	           "user bob POST /api/v1alpha/auth/password done", NULL });
	/* Pages and the filter by name. */
	a = gwp_call(f, "GET", "/audit?limit=2&username=bob", GWP_ADMIN, NULL);
	cursor = gwp_header(&a, "X-Agola-Cursor");
	assert_true(*cursor == '\0');
	gwp_answer_fini(&a);
	a = gwp_call(f, "GET", "/audit?limit=2", GWP_ADMIN, NULL);
	free(cursor);
	cursor = gwp_header(&a, "X-Agola-Cursor");
	assert_true(*cursor != '\0');
	gwp_answer_fini(&a);
	next = xasprintf("/audit?cursor=%s", cursor);
	a = gwp_call(f, "GET", next, GWP_ADMIN, NULL);
	assert_non_null(strstr(buf_str(&a.body), "/api/v1alpha/auth/password"));
	assert_null(strstr(buf_str(&a.body), "/auth/login"));
	gwp_answer_fini(&a);
	/* Lines stay what they are. */
	gww_sql("do $$ begin begin update audit_log set username = 'x'; "
	        "exception when others then return; end; raise exception 'changed'; end $$");
	gww_sql("do $$ begin begin delete from audit_log; "
	        "exception when others then return; end; raise exception 'deleted'; end $$");
}

/* Asks until the service is seen in, or out of, maintenance. */
static void
until_current(struct gwp *f, const char *path, bool want)
{
	int64_t deadline = clock_mono_ms() + GWP_WAIT_MS;

	while (clock_mono_ms() < deadline) {
		auto_json *j = gwp_json(f, "GET", path, GWP_ADMIN, NULL, 200);

		assert_int_equal(json_flag(j, "RequestedStatus", !want), want);
		if (json_flag(j, "CurrentStatus", !want) == want)
			return;
	}
	fail_msg("%s: it never came", path);
}

static void
maintenance(void **state)
{
	struct gwp *f = *state;

	gwp_make_bob(f);
	f->rs.nruns = 1;
	gwp_expect(f, "PUT", "/maintenance/runservice", GWP_ADMIN, NULL, 200, "");
	gwp_expect(f, "PUT", "/maintenance/runservice", GWP_ADMIN, NULL, 400, "[]");
	until_current(f, "/maintenance/runservice", true);
	gwp_expect(f, "GET", "/users/bob/runs", f->token, NULL, 503, "[]");
	gwp_expect(f, "GET", "/user", f->token, NULL, 200, NULL); /* the other one serves */
	gwp_expect(f, "DELETE", "/maintenance/runservice", GWP_ADMIN, NULL, 200, "");
	gwp_expect(f, "DELETE", "/maintenance/runservice", GWP_ADMIN, NULL, 400, "[]");
	until_current(f, "/maintenance/runservice", false);
	gwp_expect(f, "GET", "/users/bob/runs", f->token, NULL, 200, NULL);
	gwp_expect(f, "PUT", "/maintenance/configstore", GWP_ADMIN, NULL, 200, "");
	until_current(f, "/maintenance/configstore", true);
	gwp_expect(f, "GET", "/user", f->token, NULL, 503, "[]");
	gwp_expect(f, "GET", "/version", NULL, NULL, 200, NULL);
	gwp_expect(f, "DELETE", "/maintenance/configstore", GWP_ADMIN, NULL, 200, "");
	until_current(f, "/maintenance/configstore", false);
	gwp_expect(f, "GET", "/user", f->token, NULL, 200, NULL);
}

static void
documents(void **state)
{
	struct gwp *f = *state;
	auto_json *doc = gwp_json(f, "GET", "/openapi.json", NULL, NULL, 200);

	assert_string_equal(json_text(doc, "openapi"), "3.0.3");
	assert_non_null(
	    json_object_get(json_object_get(doc, "paths"), "/api/v1alpha/projects/{p}/runs"));
	gwp_expect(f, "GET", "!/config.js", NULL, NULL, 200,
	    "window.CONFIG = {\"API_URL\":\"http://ci.example.org:8000\","
	    "\"API_BASE_PATH\":\"/api/v1alpha\"};\n");
}

/* Sessions and sealed values survive a restart: the keys are kept. */
static void
keys_are_kept(void **state)
{
	struct gwp *f = *state;
	auto_free char *first = NULL, *second = NULL, *header = NULL;

	make_bob(f);
	gww_use_host(f);
	gww_link(f, "bob", f->token);
	log_in(f, LOGIN, &first, &second);
	gwp_restart(f);
	((struct gateway *)f->gw)->githost = &gww_host;
	header = xasprintf("Cookie: __Host-session=%s; secondarysession=%s\r\n", first, second);
	assert_int_equal(status_with(f, "GET", "/user", NULL, NULL, header), 200);
	gww_project(f, f->token, "p", "user/bob", "public");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, gwp_setup, gwp_teardown)
	const struct CMUnitTest tests[] = {
		T(one_time_links),
		T(passwords),
		T(cookies),
		T(renewal),
		T(csrf),
		T(cors),
		T(logins_are_limited),
		T(registering_at_a_git_host),
		T(oauth2),
		T(token_scopes),
		T(audit),
		T(maintenance),
		T(documents),
		T(keys_are_kept),
	};

	crypto_init();
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
