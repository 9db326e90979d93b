#include "runservice/labels.h"

#include "common/buf.h"
#include "common/mem.h"

#include <string.h>

static bool
one_line(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

int
rs_labels_text(char **out, Millrace__Pair *const *pairs, size_t n, struct err **err)
{
	auto_buf b = BUF_INIT;
	for (size_t i = 0; i < n; i++) {
		const char *name = pairs[i]->name, *value = pairs[i]->value;
		if (*name == '\0' || strchr(name, '=') || !one_line(name) || !one_line(value))
			return err_set(err, ERR_INVALID,
			    "label \"%.60s\": a name must not be empty nor have \"=\" in it, and "
			    "both it "
			    "and the value are single lines",
			    name);
		buf_printf(&b, "%s%s=%s", i > 0 ? "\n" : "", name, value);
	}
	if (b.len > RS_LABELS_MAX)
		return err_set(err, ERR_INVALID, "labels of %zu bytes, at most %d are possible",
		    b.len, RS_LABELS_MAX);
	*out = xstrdup(buf_str(&b));
	return 0;
}

static bool
has(const char *have, const char *label, size_t n)
{
	for (; *have; have += strcspn(have, "\n"), have += *have == '\n')
		if (strcspn(have, "\n") == n && strncmp(have, label, n) == 0)
			return true;
	return false;
}

bool
rs_labels_fit(const char *have, const char *want)
{
	for (; *want; want += strcspn(want, "\n"), want += *want == '\n')
		if (!has(have, want, strcspn(want, "\n")))
			return false;
	return true;
}

char *
rs_labels_missing(const char *have, const char *want)
{
	auto_buf b = BUF_INIT;
	for (; *want; want += strcspn(want, "\n"), want += *want == '\n') {
		size_t n = strcspn(want, "\n");
		if (!has(have, want, n))
			buf_printf(&b, "%s%.*s", b.len ? "\n" : "", (int)n, want);
	}
	return xstrdup(buf_str(&b));
}

char *
rs_labels_say(const char *labels)
{
	auto_buf b = BUF_INIT;
	for (; *labels; labels++)
		buf_puts(&b, *labels == '\n' ? ", " : (char[]){ *labels, '\0' });
	return xstrdup(buf_str(&b));
}
