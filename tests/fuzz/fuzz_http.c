/*
 * HTTP requests: heads, encoded texts, the route table, bodies of direct runs, gzip.
 * covers: common/http_head.c common/http_text.c gateway/route.c gateway/intake.c gateway/inflate.c
 */
#include "fuzz.h"

#include "common/http_head.h"
#include "common/json.h"
#include "common/mem.h"
#include "gateway/inflate.h"
#include "gateway/intake.h"
#include "gateway/route.h"

#include <zlib.h>

#define INFLATED_MAX (1u << 20)

static void
head(const uint8_t *p, size_t n)
{
	size_t end = http_head_end((const char *)p, n);
	struct http_head h;
	struct gw_params params;
	const struct gw_route *route;

	FUZZ_MUST(end <= n);
	if (end == 0)
		return;
	/* The end is where it was, whatever follows. */
	FUZZ_MUST(http_head_end((const char *)p, end) == end);
	http_head_read(&h, (const char *)p, end);
	FUZZ_MUST(h.path != NULL && (h.path[0] == '/' || h.path[0] == '\0'));
	route = gw_route_find(&params, h.method, h.path);
	if (route != NULL)
		gw_params_fini(&params);
	free(h.path);
}

static void
path(const uint8_t *p, size_t n)
{
	auto_free char *text = xstrndup((const char *)p, n);
	struct gw_params params;

	for (enum http_method m = HTTP_GET; m <= HTTP_OTHER; m++) {
		const struct gw_route *route = gw_route_find(&params, m, text);

		if (route == NULL)
			continue;
		FUZZ_MUST(route->method == m && params.n <= GW_ROUTE_PARAMS_MAX);
		for (size_t i = 0; i < params.n; i++) {
			auto_free char *name =
			    xstrndup(params.list[i].name, params.list[i].name_len);

			FUZZ_MUST(
			    params.list[i].value[0] != '\0' && gw_route_has_param(route, name));
			FUZZ_MUST(gw_params_get(&params, name) != NULL);
		}
		gw_params_fini(&params);
	}
}

static void
texts(const uint8_t *p, size_t n)
{
	auto_free char *text = xstrndup((const char *)p, n);
	auto_free char *encoded = http_encode(text);
	auto_free char *back = http_decode(encoded, strlen(encoded));
	auto_free char *decoded = http_decode(text, strlen(text));
	auto_free char *group = gw_group_escape(text);
	auto_free char *below = NULL;
	auto_err err = NULL;

	FUZZ_MUST(back != NULL && strcmp(back, text) == 0);
	FUZZ_MUST(decoded == NULL || strlen(decoded) <= strlen(text));
	FUZZ_MUST(strchr(group, '/') == NULL);
	for (unsigned nth = 0; nth < 3; nth++) {
		auto_free char *v = http_query_get(text, "a", nth);

		FUZZ_MUST(v == NULL || http_query_has(text, "a"));
	}
	if (gw_group_below(&below, "/user/u", text, &err) == 0)
		FUZZ_MUST(strncmp(below, "/user/u", 7) == 0 && strstr(below, "/../") == NULL);
	(void)gw_intake_skipped(text);
}

static void
intake(const uint8_t *p, size_t n)
{
	auto_json *body = NULL;
	auto_err err = NULL;
	auto_free char *owner = NULL, *repo = NULL;
	struct gw_intake in;
	struct gw_origin origin;
	struct gw_ref ref;

	if (json_parse(&body, p, n, &err) != 0 || gw_intake_parse(&in, body, &err) != 0)
		return;
	if (gw_intake_repo(&owner, &repo, &in, &err) == 0)
		FUZZ_MUST(strchr(owner, '/') == NULL && strchr(repo, '/') == NULL);
	err_clear(&err);
	if (gw_ref_classify(&ref, &in, &err) != 0)
		return;
	gw_origin_init(&origin, &in, &ref, "user-id", "http://gateway");
	FUZZ_MUST(strncmp(origin.group, "/user/user-id/", 14) == 0);
	gw_origin_fini(&origin);
	gw_ref_fini(&ref);
}

static void
gzip(const uint8_t *p, size_t n, bool good)
{
	uint8_t packed[70000], out[4096];
	z_stream z = { 0 };
	struct gw_inflate *g;
	size_t total = 0, k = 0;
	auto_err err = NULL;
	int rc;

	if (good) {
		n = n < 60000 ? n : 60000;
		FUZZ_MUST(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
		z.next_in = (Bytef *)(uintptr_t)p;
		z.avail_in = (uInt)n;
		z.next_out = packed;
		z.avail_out = sizeof(packed);
		FUZZ_MUST(deflate(&z, Z_FINISH) == Z_STREAM_END);
	}
	g = gw_inflate_new(good ? packed : p, good ? z.total_out : n, INFLATED_MAX);
	do {
		rc = gw_inflate_read(g, out, sizeof(out), &k, &err);
		if (good && rc == 0)
			FUZZ_MUST(total + k <= n && memcmp(out, p + total, k) == 0);
		total += rc == 0 ? k : 0;
	} while (rc == 0 && k > 0);
	FUZZ_MUST(total <= INFLATED_MAX && (!good || (rc == 0 && total == n)));
	gw_inflate_free(g);
	if (good)
		deflateEnd(&z);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n == 0)
		return 0;
	switch (p[0] % 6) {
	case 0:
		head(p + 1, n - 1);
		break;
	case 1:
		path(p + 1, n - 1);
		break;
	case 2:
		texts(p + 1, n - 1);
		break;
	case 3:
		intake(p + 1, n - 1);
		break;
	default:
		gzip(p + 1, n - 1, p[0] % 6 == 4);
		break;
	}
	return 0;
}
