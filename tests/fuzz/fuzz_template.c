/*
 * Key templates: any text is rendered within the bounds or refused with a sentence, twice the same
 * way; text without actions is itself.
 * covers: toolbox/template.c
 */
#include "fuzz.h"

#include "common/mem.h"
#include "toolbox/template.h"

static int
digest(char hex[TB_DIGEST_HEX_MAX], enum tb_digest kind, const char *path, struct tb_err *e)
{
	if (path[0] == 'x')
		return tb_fail(e, "cannot read file %s", path);
	tb_digest_bytes(hex, kind, path, strlen(path));
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static char a[TB_TEMPLATE_MAX + 1], b[TB_TEMPLATE_MAX + 1];
	static char one[] = "A=b", two[] = "LONG=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
	static char *env[] = { one, two, NULL };
	const struct tb_template_world w = { .env = env,
		.now = { 1700000000, 5 },
		.local = { .tm_year = 123, .tm_mon = 10, .tm_mday = 4 },
		.digest = digest };
	auto_free char *text = xstrndup((const char *)p, n);
	struct tb_err e = { "" }, f = { "" };
	int r = tb_template_render(a, text, &w, &e);

	FUZZ_MUST(tb_template_render(b, text, &w, &f) == r);
	if (r == 0) {
		FUZZ_MUST(strcmp(a, b) == 0 && strlen(a) <= TB_TEMPLATE_MAX && e.text[0] == '\0');
		FUZZ_MUST(strstr(text, "{{") != NULL || strcmp(a, text) == 0);
	} else {
		FUZZ_MUST(strcmp(e.text, f.text) == 0 && e.text[0] != '\0');
	}
	return 0;
}
