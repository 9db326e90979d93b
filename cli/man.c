#include "cli/man.h"

#include "common/mem.h"

#include <string.h>

/* Words that hold for every command; the tables hold the rest. */
static const struct {
	const char *what, *text;
} environment[] = {
	{ "MILLRACE_URL",
	    "address of the gateway; the option goes before it, it before a profile" },
	{ "MILLRACE_TOKEN", "token; the option goes before it, it before a profile" },
	{ "MILLRACE_PROFILE", "profile to use, when no option names one" },
	{ "MILLRACE_CONFIG", "file of the profiles; default millrace/profiles.json in "
	                     "$XDG_CONFIG_HOME or ~/.config" },
};
static const struct {
	int status;
	const char *text;
} statuses[] = {
	{ CLI_OK, "done; of a run that was followed: it succeeded" },
	{ CLI_FAILED,
	    "it failed, a line on standard error says why; of a run that was followed: it "
	    "failed, was stopped or cancelled" },
	{ CLI_UNKNOWN,
	    "the result of a run that was followed is not known: the gateway was lost for "
	    "minutes, or refused; the run goes on" },
	{ CLI_INTERRUPTED, "interrupted while it followed a run, which goes on" },
};

/* Text as roff prints it: nothing in it is a request. */
static void
put(struct buf *out, const char *text)
{
	for (const char *p = text; *p; p++) {
		bool begins = out->len == 0 || out->data[out->len - 1] == '\n';

		if (begins && (*p == '.' || *p == '\''))
			buf_puts(out, "\\&");
		if (*p == '\\')
			buf_puts(out, "\\e");
		else if (*p == '-')
			buf_puts(out, "\\-");
		else
			buf_putc(out, (char)(*p == '\n' ? ' ' : *p));
	}
}

static void
line(struct buf *out, const char *request, const char *text)
{
	buf_puts(out, request);
	put(out, text);
	buf_putc(out, '\n');
}

static void
option(struct buf *out, const struct cli_opt *o)
{
	buf_puts(out, ".TP\n\\fB");
	if (o->letter)
		buf_printf(out, "\\-%c\\fR, \\fB", o->letter);
	put(out, "--");
	put(out, o->name);
	buf_puts(out, o->kind == CLI_FLAG ? "\\fR\n" : "\\fR \\fIVALUE\\fR\n");
	put(out, o->help);
	if (o->required)
		put(out, " (required)");
	if (o->kind == CLI_LIST)
		put(out, " (may be repeated)");
	if (o->preset && (o->kind != CLI_FLAG || strcmp(o->preset, "true") == 0)) {
		put(out, " (default ");
		put(out, o->preset);
		put(out, ")");
	}
	buf_putc(out, '\n');
}

static void
head(struct buf *out, const struct cli_command *k, const char *summary)
{
	auto_free char *name = cli_man_name(k);
	auto_free char *title = xstrdup(name);

	for (char *p = title; *p; p++)
		*p = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
	line(out, ".TH ", title);
	out->len--; /* the line goes on */
	buf_puts(out, " 1 \"\" Millrace\n.SH NAME\n");
	put(out, name);
	buf_puts(out, " \\- ");
	put(out, summary);
	buf_puts(out, "\n.SH SYNOPSIS\n");
}

static void
tail(struct buf *out)
{
	buf_puts(out, ".SH EXIT STATUS\n");
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		buf_printf(out, ".TP\n%d\n", statuses[i].status);
		line(out, "", statuses[i].text);
	}
	buf_puts(out, ".SH ENVIRONMENT\n");
	for (size_t i = 0; i < ARRAY_LEN(environment); i++) {
		line(out, ".TP\n", environment[i].what);
		line(out, "", environment[i].text);
	}
}

char *
cli_man_name(const struct cli_command *k)
{
	struct buf out = BUF_INIT;

	buf_puts(&out, "millrace");
	for (size_t i = 0; k && i < cli_command_words(k); i++)
		buf_printf(&out, "-%s", k->words[i]);
	return buf_take(&out);
}

void
cli_man_program(struct buf *out)
{
	const struct cli_command *k;

	head(out, NULL, "command line of the Millrace CI server");
	buf_puts(out, "\\fBmillrace\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n.SH COMMANDS\n");
	for (size_t i = 0; (k = cli_command_at(i)); i++) {
		char name[CLI_NAME_MAX];

		cli_command_name(name, k);
		line(out, ".TP\n.B ", name);
		line(out, "", k->summary);
	}
	buf_puts(out, ".SH OPTIONS\nOf every command, in front of it or behind it:\n");
	for (const struct cli_opt *o = cli_global_opts; o->name; o++)
		option(out, o);
	tail(out);
}

void
cli_man_command(struct buf *out, const struct cli_command *k)
{
	char name[CLI_NAME_MAX];

	cli_command_name(name, k);
	head(out, k, k->summary);
	buf_puts(out, "\\fBmillrace ");
	put(out, name);
	buf_puts(out, "\\fR ");
	if (k->args) {
		put(out, k->args);
		buf_putc(out, ' ');
	}
	buf_puts(out, "[\\fIOPTIONS\\fR]\n.SH OPTIONS\n");
	for (const struct cli_opt *o = k->opts; o && o->name; o++)
		option(out, o);
	for (const struct cli_opt *o = cli_global_opts; o->name; o++)
		option(out, o);
	buf_puts(out, ".SH EXAMPLE\n.nf\n");
	line(out, "", k->example);
	buf_puts(out, ".fi\n");
	tail(out);
	buf_puts(out, ".SH SEE ALSO\n\\fBmillrace\\fR(1)\n");
}
