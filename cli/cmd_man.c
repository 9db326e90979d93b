/* man: manual pages from the same tables as the help. */
#include "cli.h"
#include "man.h"

#include "common/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int
page_write(const char *dir, const struct cli_command *k, struct err **err)
{
	auto_buf text = BUF_INIT;
	auto_free char *name = cli_man_name(k);
	auto_free char *path = xasprintf("%s/%s.1", dir, name);

	if (k)
		cli_man_command(&text, k);
	else
		cli_man_program(&text);
	FILE *f = fopen(path, "we");
	if (!f)
		return err_set_errno(err, errno, "create %s", path);
	bool ok = fwrite(text.data, 1, text.len, f) == text.len;
	if (fclose(f) != 0 || !ok)
		return err_set_errno(err, errno, "write %s", path);
	return 0;
}

static int
write_all(const char *dir, struct err **err)
{
	const struct cli_command *k = NULL;

	if (mkdir(dir, 0755) != 0 && errno != EEXIST)
		return err_set_errno(err, errno, "create %s", dir);
	int rc = page_write(dir, NULL, err);
	for (size_t i = 0; !rc && (k = cli_command_at(i)); i++)
		rc = page_write(dir, k, err);
	return rc;
}

static int
man(struct cli *c)
{
	struct err *err = NULL;
	auto_buf text = BUF_INIT;
	const char *dir = cli_get(c, "output");

	if (dir)
		return write_all(dir, &err) ? cli_fail(err) : 0;
	const struct cli_command *k = c->nargs ? cli_command_find(c->args, c->nargs) : NULL;
	if (c->nargs && (!k || cli_command_words(k) != c->nargs)) {
		err_set(&err, ERR_NOTFOUND, "there is no such command: see millrace --help");
		return cli_fail(err);
	}
	if (k)
		cli_man_command(&text, k);
	else
		cli_man_program(&text);
	fputs(buf_str(&text), stdout);
	return 0;
}

static const struct cli_opt man_opts[] = {
	{ "output", 0, CLI_TEXT, false, NULL, "write all pages into this directory" },
	{ 0 },
};
const struct cli_command cli_man = {
	.words = { "man" },
	.args = "[COMMAND...]",
	.max_args = 3,
	.opts = man_opts,
	.run = man,
	.offline = true,
	.summary = "print the manual page of the program or of a command",
	.example = "millrace man run follow | man -l -",
};
