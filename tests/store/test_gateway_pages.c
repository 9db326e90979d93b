/*
 * Lists in pages: order, number of calls and refusals, for every list by name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/crypto.h"
#include "common/mem.h"
#include "tests/lib/gw_world.h"

#include <signal.h>
#include <string.h>

/* All pages of limit (0: none given) in a direction: names joined, and the number of calls. */
static unsigned
walk(struct gwp *f, struct buf *names, const char *path, const char *token, const char *array,
    unsigned limit, const char *direction)
{
	auto_free char *cursor = xstrdup("");
	unsigned calls = 0;

	do {
		auto_buf url = BUF_INIT;
		struct gwp_answer a;
		auto_json *j = NULL;
		const json_t *list;

		buf_printf(&url, "%s?x=", path);
		if (limit)
			buf_printf(&url, "&limit=%u", limit);
		if (*cursor)
			buf_printf(&url, "&cursor=%s", cursor);
		else if (direction)
			buf_printf(&url, "&sortdirection=%s", direction);
		a = gwp_call(f, "GET", buf_str(&url), token, NULL);
		assert_int_equal(a.status, 200);
		assert_int_equal(json_parse(&j, buf_str(&a.body), a.body.len, NULL), 0);
		list = array ? json_object_get(j, array) : j;
		for (size_t i = 0; i < json_array_size(list); i++) {
			const json_t *item = json_array_get(list, i);
			const json_t *inner = json_object_get(item, "Organization");
			const char *name;

			inner = inner ? inner : json_object_get(item, "user");
			name = json_text(inner ? inner : item, "name");
			buf_puts(names, name ? name : json_text(inner ? inner : item, "username"));
			buf_puts(names, " ");
		}
		free(cursor);
		cursor = gwp_header(&a, "X-Agola-Cursor");
		assert_non_null(cursor);
		gwp_answer_fini(&a);
		calls++;
	} while (*cursor);
	return calls;
}

#define MANY 9
static void
matrix(struct gwp *f, const char *path, const char *token, const char *array, const char *prefix)
{
	auto_buf up = BUF_INIT, down = BUF_INIT;

	for (int i = 0; i < MANY; i++)
		buf_printf(&up, "%s%d ", prefix, i);
	for (int i = MANY - 1; i >= 0; i--)
		buf_printf(&down, "%s%d ", prefix, i);
	for (unsigned limit = 0; limit <= MANY + 1; limit += limit == 3 ? 5 : 1) {
		for (int d = 0; d < 3; d++) {
			const char *direction = d == 0 ? NULL : d == 1 ? "asc" : "desc";
			auto_buf got = BUF_INIT;
			unsigned calls = walk(f, &got, path, token, array, limit, direction);

			if (strcmp(buf_str(&got), buf_str(d == 2 ? &down : &up)) != 0)
				fail_msg("%s limit %u %d: %s", path, limit, d, buf_str(&got));
			/* Never one call more than there are items for. */
			assert_int_equal(calls, limit ? (MANY + limit - 1) / limit : 1);
		}
	}
	for (const char *const *p = (const char *const[]){ "cursor=zz", "cursor=7b7d",
	         "cursor=7b226166746572223a2222", "sortdirection=up", "limit=x", "limit=-1", NULL };
	     *p; p++) {
		auto_free char *bad = xasprintf("%s?%s", path, *p);

		gwp_expect(f, "GET", bad, token, NULL, 400, NULL);
	}
}

static void
pages(void **state)
{
	struct gwp *f = *state;

	gwp_make_user(f, "zed", NULL, &f->token);
	gww_org(f, GWP_ADMIN, "team", "public");
	for (int i = 0; i < MANY; i++) {
		auto_free char *org = xasprintf("org%d", i);
		auto_free char *name = xasprintf("user%d", i);
		auto_free char *path = xasprintf("/orgs/team/members/%s", name);
		auto_free char *host =
		    xasprintf("{\"name\":\"host%d\",\"apiurl\":\"http://h\",\"type\":\"gitea\","
		              "\"auth_type\":\"password\"}",
		        i);

		gwp_make_user(f, name, NULL, NULL);
		gww_org(f, f->token, org, i % 2 ? "public" : "private");
		gwp_expect(f, "PUT", path, GWP_ADMIN, "{\"role\":\"member\"}", 200, NULL);
		gwp_expect(f, "POST", "/remotesources", GWP_ADMIN, host, 201, NULL);
	}
	matrix(f, "/user/orgs", f->token, NULL, "org");
	matrix(f, "/orgs/team/members", f->token, "members", "user");
	matrix(f, "/remotesources", NULL, NULL, "host");
	gwp_expect(f, "DELETE", "/users/zed", GWP_ADMIN, NULL, 204, "");
	gwp_expect(f, "DELETE", "/orgs/team", GWP_ADMIN, NULL, 204, "");
	matrix(f, "/users", GWP_ADMIN, NULL, "user");
	matrix(f, "/orgs", GWP_ADMIN, NULL, "org");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, gwp_setup, gwp_teardown)
	const struct CMUnitTest tests[] = {
		T(pages),
	};

	crypto_init();
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
