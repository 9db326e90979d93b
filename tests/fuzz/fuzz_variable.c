/*
 * A variable's values as they come over the REST API: refused, or taken, shown again as they were,
 * and resolved against every kind of ref without harm.
 * covers: gateway/variable_json.c runservice/resolve.c
 */
#include "fuzz.h"

#include "common/json.h"
#include "common/mem.h"
#include "gateway/variable_json.h"
#include "runservice/resolve.h"

static char *
text(const char *s)
{
	return (char *)(uintptr_t)s;
}

/* What is shown is taken again, and is the same then. */
static void
again(const Millrace__Variable *v, const json_t *shown)
{
	Millrace__VariablePutRequest q = MILLRACE__VARIABLE_PUT_REQUEST__INIT;
	Millrace__Variable copy = *v;
	const struct gw_scopes none = { 0, NULL, NULL };
	auto_json *second = NULL;

	FUZZ_MUST(gw_variable_values(&q, json_member(shown, "values"), NULL) == 0);
	copy.values = q.values;
	copy.n_values = q.n_values;
	second = gw_variable_json(&copy, &none);
	FUZZ_MUST(json_equal(shown, second));
	gw_variable_values_fini(&q);
}

static void
resolve(Millrace__Variable *v)
{
	static const struct when_ref refs[] = { { "branch", "main", "", "refs/heads/main" },
		{ "tag", "", "v1", "refs/tags/v1" },
		{ "pull_request", "", "", "refs/pull/1/head" } };
	struct rs_scoped_variable variables[] = { { 1, v }, { 0, v } };
	struct rs_scoped_secret secrets[] = { { 2, text("s"), text("k"), text("1") },
		{ 0, text("s"), text("k"), text("2") }, { 0, text("s"), text("j"), text("3") },
		{ 1, text("t"), text("k"), text("4") } };
	struct rs_definitions d = { variables, secrets, 2, 4 };
	size_t at;

	rs_definitions_sort(&d);
	for (size_t i = 0; i < 3; i++) {
		const char *version = rs_resolve(&d, "v", &refs[i]);

		FUZZ_MUST(!version || (*version >= '1' && *version <= '4'));
	}
	FUZZ_MUST(!rs_resolve(&d, "w", &refs[0]));
	FUZZ_MUST(rs_resolve_secret(&at, &d, "s", 1) && at == 2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	Millrace__VariablePutRequest q = MILLRACE__VARIABLE_PUT_REQUEST__INIT;
	Millrace__Variable v = MILLRACE__VARIABLE__INIT;
	Millrace__Secret secret = MILLRACE__SECRET__INIT;
	const struct gw_scopes none = { 0, NULL, NULL };
	auto_json *values = NULL, *shown = NULL, *other = NULL;
	auto_err err = NULL;

	if (json_parse(&values, p, n, NULL) != 0)
		return 0;
	secret.id = secret.scope = secret.name = text("x");
	other = gw_secret_json(&secret, &none);
	FUZZ_MUST(json_object_size(other) == 3);
	if (gw_variable_values(&q, values, &err) == 0) {
		v.id = v.scope = text("x");
		v.name = text("v");
		v.values = q.values;
		v.n_values = q.n_values;
		shown = gw_variable_json(&v, &none);
		again(&v, shown);
		for (size_t i = 0; i < v.n_values; i++) {
			if (v.values[i]->when)
				(void)!rs_when_check(v.values[i]->when, NULL);
		}
		resolve(&v);
	} else {
		FUZZ_MUST(err && err->slug);
	}
	gw_variable_values_fini(&q);
	return 0;
}
