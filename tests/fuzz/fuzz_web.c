/*
 * What browsers and API clients send: cookies, signed texts, origins, JSON bodies of every route,
 * references, cursors.
 * covers: gateway/session.c gateway/signed.c gateway/origin.c
 * covers: gateway/body.c gateway/path.c gateway/page.c gateway/name.c
 */
#include "fuzz.h"

#include "common/json.h"
#include "common/mem.h"
#include "gateway/name.h"
#include "gateway/origin.h"
#include "gateway/page.h"
#include "gateway/path.h"
#include "gateway/route.h"
#include "gateway/session.h"
#include "gateway/signed.h"

static const uint8_t key[CRYPTO_KEY_LEN] = { 7 };

/* Any header: a value is a piece of it. */
static void
cookies(const char *text)
{
	for (int i = 0; i < 2; i++) {
		auto_free char *v = gw_cookie_get(text, gw_cookie_primary_name(i));
		auto_free char *csrf = gw_cookie_get(text, gw_cookie_csrf_name(i));
		struct gw_session s;
		uint8_t value[GW_CSRF_LEN];

		FUZZ_MUST(!v || strstr(text, v) != NULL);
		FUZZ_MUST(!v || strchr(v, ';') == NULL);
		/* Without the key nobody makes a session, nor a value against CSRF. */
		FUZZ_MUST(!gw_session_open(&s, v, csrf, key, 0));
		FUZZ_MUST(!gw_csrf_cookie_open(value, csrf, key));
	}
}

/* With the key: what is no session is refused, what is comes back as it was. */
static void
sessions(const char *payload)
{
	auto_free char *first = gw_signed(payload, key);
	auto_free char *back = gw_signed_open(first, key);
	auto_free char *again = NULL;
	auto_free char *second = NULL;
	auto_free char *token = NULL;
	uint8_t value[GW_CSRF_LEN], got[GW_CSRF_LEN];
	struct gw_session s, t;

	FUZZ_MUST(
	    strlen(payload) == 0 || strlen(first) > GW_SIGNED_MAX || strcmp(back, payload) == 0);
	second = gw_signed(strlen(payload) > 34 ? payload + strlen(payload) - 34 : payload, key);
	(void)gw_session_open(&s, first, second, key, 0);
	gw_session_init(&s, "11111111-2222-4333-8444-555555555555", (int64_t)strlen(payload), 100);
	again = gw_session_primary(&s, key);
	free(second);
	second = gw_session_secondary(&s, key);
	FUZZ_MUST(gw_session_open(&t, again, second, key, 99));
	FUZZ_MUST(strcmp(s.token, t.token) == 0 && s.epoch == t.epoch);
	free(again);
	again = gw_csrf_cookie_new(value, key);
	FUZZ_MUST(gw_csrf_cookie_open(got, again, key) && memcmp(value, got, sizeof(got)) == 0);
	token = gw_csrf_token(value);
	FUZZ_MUST(gw_csrf_token_ok(value, token) && !gw_csrf_token_ok(value, payload));
	free(again);
	again = gw_cookie_format(&(struct gw_cookie){
	    .name = "n", .value = token, .secure = true, .lax = true, .max_age_s = 5 });
	FUZZ_MUST(strncmp(again, "n=", 2) == 0);
}

static void
origins(const char *text)
{
	struct gw_origin_list l = { .n = 0 };
	char normal[GW_ORIGIN_MAX], twice[GW_ORIGIN_MAX];
	auto_err err = NULL;

	if (!gw_origin_normal(normal, text)) {
		FUZZ_MUST(gw_origin_list_add(&l, text, &err) != 0);
		FUZZ_MUST(!gw_origin_ok(text, NULL, "h", true, &l));
		return;
	}
	/* Normal is normal. */
	FUZZ_MUST(gw_origin_normal(twice, normal) && strcmp(normal, twice) == 0);
	(void)gw_origin_ok(text, NULL, strstr(text, "://") + 3, true, &l);
	FUZZ_MUST(gw_origin_list_add(&l, normal, &err) == 0);
	FUZZ_MUST(gw_origin_listed(&l, text) && gw_origin_ok(text, NULL, "h", false, &l));
	FUZZ_MUST(gw_origin_ok(NULL, text, NULL, false, &l));
	gw_origin_list_fini(&l);
}

static void
bodies(const uint8_t *p, size_t n)
{
	auto_json *body = NULL;
	bool is_private;

	if (json_parse(&body, p, n, NULL) != 0)
		return;
	for (size_t i = 0; i < gw_nroutes; i++) {
		const struct gw_body *b = gw_routes[i].body;
		auto_err err = NULL;

		if (!b)
			continue;
		json_decref(gw_body_schema(b));
		if (gw_body_check(b, body, &err) != 0)
			continue;
		FUZZ_MUST(json_is_object(body));
		/* What was admitted reads as its type, or as absent. */
		for (const struct gw_field *f = b->fields; f->name; f++)
			FUZZ_MUST(f->type != GW_TEXT || !json_member(body, f->name) ||
			          json_text(body, f->name) != NULL);
		(void)gw_visibility_parse(&is_private, json_text(body, "visibility"));
	}
}

static void
references(const char *text)
{
	for (int project = 0; project < 2; project++) {
		struct gw_path p;
		auto_err err = NULL;

		if (gw_path_parse(&p, text, project, &err) == 0 && !p.is_id) {
			FUZZ_MUST(*p.owner && strchr(p.owner, '/') == NULL);
			FUZZ_MUST((p.name != NULL) == project);
			FUZZ_MUST(!p.name || (*p.name && strchr(p.name, '/') == NULL));
			FUZZ_MUST(gw_path_depth(p.groups) <= strlen(text));
		}
		gw_path_fini(&p);
	}
	FUZZ_MUST(!gw_name_is_valid(text) || strlen(text) <= GW_NAME_MAX);
	FUZZ_MUST((gw_name_check(text, "name", "slug", NULL) == 0) == gw_name_is_valid(text));
}

/* The lines of the text: limit, direction, cursor. */
static void
page(char *text)
{
	char *direction = strchr(text, '\n'), *cursor = NULL;
	struct gw_page p, q;
	auto_free char *next = NULL;
	auto_json *fields = NULL;

	if (direction) {
		*direction++ = '\0';
		cursor = strchr(direction, '\n');
		if (cursor)
			*cursor++ = '\0';
	}
	(void)!gw_cursor_decode(&fields, cursor ? cursor : text, NULL);
	if (gw_page_parse(&p, text, direction && *direction ? direction : NULL, cursor, true,
	        gw_name_is_valid, NULL) != 0)
		return;
	FUZZ_MUST(p.limit <= GW_PAGE_MAX && (!*p.after || gw_name_is_valid(p.after)));
	next = gw_page_cursor(&p, "name");
	FUZZ_MUST(gw_page_parse(&q, NULL, NULL, next, true, gw_name_is_valid, NULL) == 0);
	FUZZ_MUST(q.ascending == p.ascending && strcmp(q.after, "name") == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	auto_free char *text = NULL;

	if (n == 0)
		return 0;
	text = xstrndup((const char *)p + 1, n - 1);
	switch (p[0] % 6) {
	case 0:
		cookies(text);
		break;
	case 1:
		sessions(text);
		break;
	case 2:
		origins(text);
		break;
	case 3:
		bodies(p + 1, n - 1);
		break;
	case 4:
		references(text);
		break;
	default:
		page(text);
		break;
	}
	return 0;
}
