#include "cli/yaml_file.h"

#include "common/buf.h"
#include "common/mem.h"

#include <errno.h>
#include <string.h>

static int
file_text(struct buf *out, const char *name, struct err **err)
{
	FILE *f = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");

	if (!f)
		return err_set_errno(err, errno, "open %s", name);
	char *at = buf_reserve(out, CLI_YAML_MAX + 1);
	out->len = fread(at, 1, CLI_YAML_MAX + 1, f);
	int failed = ferror(f) ? errno : 0;
	if (f != stdin)
		fclose(f);
	if (failed)
		return err_set_errno(err, failed, "read %s", name);
	if (out->len > CLI_YAML_MAX)
		return err_set(err, ERR_INVALID, "%s is larger than %u bytes", name, CLI_YAML_MAX);
	return 0;
}

int
cli_yaml_read(struct yaml_doc **out, const char *name, struct err **err)
{
	struct buf text = BUF_INIT;
	struct yaml_pos pos = { 1, 1 };

	int rc = file_text(&text, name, err);
	if (!rc) {
		rc = yaml_doc_parse(out, buf_str(&text), text.len, &pos, err);
		if (rc)
			rc = err_wrap(err, "%s:%u:%u", name, pos.line, pos.col);
	}
	if (text.data)
		explicit_bzero(text.data, text.len);
	buf_free(&text);
	return rc;
}

int
cli_yaml_wrong(const char *name, const struct yaml_node *n, const char *what, struct err **err)
{
	return err_set(err, ERR_INVALID, "%s:%u:%u: %s", name, n->pos.line, n->pos.col, what);
}

int
cli_yaml_text(
    json_t *to, const char *key, const struct yaml_node *v, const char *name, struct err **err)
{
	if (v->type == YAML_LIST || v->type == YAML_MAP || v->type == YAML_NULL)
		return err_set(err, ERR_INVALID, "%s:%u:%u: the value of %s must be text", name,
		    v->pos.line, v->pos.col, key);
	json_t *s = json_stringn(v->text, v->text_len);
	if (!s || json_object_set_new(to, key, s))
		return cli_yaml_wrong(name, v, "the text is not valid UTF-8", err);
	return 0;
}

int
cli_yaml_texts(json_t *to, const char *name, struct err **err)
{
	auto_yaml *doc = NULL;

	int rc = cli_yaml_read(&doc, name, err);
	if (rc)
		return rc;
	const struct yaml_node *root = yaml_doc_root(doc);
	if (root->type == YAML_NULL)
		return 0;
	if (root->type != YAML_MAP)
		return err_set(err, ERR_INVALID, "%s: expected a mapping of names to texts", name);
	for (size_t i = 0; i < root->n && !rc; i++)
		rc = cli_yaml_text(to, root->pairs[i].key->text, root->pairs[i].value, name, err);
	return rc;
}
