/*
 * What the container engine says: the attach stream, the pull stream, JSON about images and labels;
 * and names of images, which come from definitions.
 * covers: executor/engine_stream.c executor/pull_progress.c executor/image.c common/json.c
 */
#include "fuzz.h"

#include "common/buf.h"
#include "common/json.h"
#include "common/mem.h"
#include "executor/engine_json.h"
#include "executor/engine_stream.h"
#include "executor/image.h"
#include "executor/pull_progress.h"

static void
on_bytes(int stream, const uint8_t *p, size_t n, void *arg)
{
	uint64_t *h = arg;

	FUZZ_MUST(stream >= 0 && stream <= 2);
	for (size_t i = 0; i < n; i++) {
		uint8_t both[2] = { (uint8_t)stream, p[i] };

		*h = fuzz_digest(*h, both, sizeof(both));
	}
}

static int
attach(const uint8_t *p, size_t n, bool in_pieces, uint64_t *h)
{
	struct ex_stream_demux d = { 0 };
	int rc = 0;

	*h = 0;
	for (size_t at = 0, k; at < n && rc == 0; at += k) {
		auto_err err = NULL;

		k = in_pieces ? fuzz_piece(p, n, at) : n;
		rc = ex_stream_feed(&d, p + at, k, on_bytes, h, &err);
		FUZZ_MUST((rc == 0) == (err == NULL));
	}
	return rc;
}

static uint64_t
pull(const uint8_t *p, size_t n, bool in_pieces)
{
	struct ex_pull_progress *x = ex_pull_progress_new();
	auto_buf out = BUF_INIT;
	const char *error;
	uint64_t h;

	for (size_t at = 0, k; at < n; at += k) {
		k = in_pieces ? fuzz_piece(p, n, at) : n;
		ex_pull_progress_feed(x, p + at, k, &out);
	}
	error = ex_pull_progress_error(x);
	h = fuzz_digest(0, out.data, out.len);
	h = error != NULL ? fuzz_digest(h, error, strlen(error)) : h;
	ex_pull_progress_free(x);
	return h;
}

static void
members(const json_t *v)
{
	const char *task;
	uint64_t fence;

	(void)json_text(v, "Id");
	(void)json_int(v, "size", -1);
	(void)json_flag(v, "on", true);
	if (ex_json_owner(json_member(v, "Labels"), &task, &fence))
		FUZZ_MUST(task != NULL);
}

static void
json(const uint8_t *p, size_t n)
{
	auto_json *v = NULL, *again = NULL;
	auto_free char *text = NULL;
	auto_err err = NULL;
	struct ex_image_info info;

	if (json_parse(&v, p, n, &err) != 0) {
		FUZZ_MUST(err != NULL);
		return;
	}
	members(v);
	if (ex_json_image(&info, v, "127.0.0.1:5000/a", &err) == 0)
		ex_image_info_fini(&info);
	err_clear(&err);
	text = json_print(v);
	if (text != NULL) {
		FUZZ_MUST(json_parse(&again, text, strlen(text), &err) == 0);
		FUZZ_MUST(json_equal(v, again));
	}
}

static void
image(const uint8_t *p, size_t n)
{
	static char library[] = "docker.io/library", hub[] = "docker.io", ab[] = "gcr.io/a/b";
	static char to_library[] = "mirror:5000/lib", to_hub[] = "mirror:5000/hub",
	            to_ab[] = "mirror:5000/ab", encoded[] = "encodedauth", basic[] = "basic";
	static struct ex_image_rule items[] = {
		{ .from = library, .to = to_library },
		{ .from = hub, .to = to_hub },
		{ .from = ab, .to = to_ab },
	};
	static const struct ex_image_rules rules = { items, ARRAY_LEN(items) };
	auto_free char *name = xstrndup((const char *)p, n);
	auto_free char *header = ex_image_auth_header(name, "secret", "host");
	Millrace__RegistryAuth auth = MILLRACE__REGISTRY_AUTH__INIT;
	Millrace__Value value = MILLRACE__VALUE__INIT;
	auto_free char *entry = NULL;
	struct ex_image_ref ref, again;
	auto_err err = NULL;

	FUZZ_MUST(header != NULL && strpbrk(header, "+/\r\n") == NULL);
	auth.type = n % 2 == 0 ? encoded : basic;
	auth.registry = hub;
	value.literal = name;
	auth.auth = auth.username = auth.password = &value;
	(void)!ex_image_auth_entry(&entry, &auth, "host", &err);
	err_clear(&err);
	if (ex_image_parse(&ref, name, &err) != 0)
		return;
	/* The normal form is its own normal form, also of what a mirror's rule makes of it. */
	FUZZ_MUST(ex_image_parse(&again, ref.full, &err) == 0);
	FUZZ_MUST(strcmp(again.full, ref.full) == 0 && strcmp(again.repo, ref.repo) == 0);
	ex_image_fini(&again);
	const struct ex_image_rule *rule = ex_image_rule_find(&rules, ref.full);
	if (rule != NULL) {
		auto_free char *to = ex_image_rewrite(rule, ref.full);

		FUZZ_MUST(ex_image_parse(&again, to, &err) == 0);
		FUZZ_MUST(strncmp(again.host, "mirror:5000", 11) == 0);
		ex_image_fini(&again);
	}
	ex_image_fini(&ref);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint64_t a, b;

	if (n == 0)
		return 0;
	switch (p[0] % 4) {
	case 0:
		FUZZ_MUST(attach(p + 1, n - 1, false, &a) == attach(p + 1, n - 1, true, &b));
		FUZZ_MUST(a == b);
		break;
	case 1:
		FUZZ_MUST(pull(p + 1, n - 1, false) == pull(p + 1, n - 1, true));
		break;
	case 2:
		json(p + 1, n - 1);
		break;
	default:
		image(p + 1, n - 1);
		break;
	}
	return 0;
}
