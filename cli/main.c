/* millrace - the command line. Finds the command, reads its options, runs it. */
#include "cli.h"
#include "profile.h"

#include "common/mem.h"
#include "evaluate/evaluate.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static void
general_help(FILE *out, const char *noun)
{
	fprintf(out, "usage: millrace COMMAND [OPTIONS]\n\n");
	const struct cli_command *k;
	for (size_t i = 0; (k = cli_command_at(i)); i++) {
		char name[CLI_NAME_MAX];

		if (noun && strcmp(k->words[0], noun) != 0)
			continue;
		cli_command_name(name, k);
		fprintf(out, "  %-29s %s\n", name, k->summary);
	}
	fprintf(out, "\noptions of every command:\n");
	for (const struct cli_opt *o = cli_global_opts; o->name; o++)
		fprintf(out, "  --%-18s %s\n", o->name, o->help);
	fprintf(out, "\nmillrace COMMAND --help says more about one command.\n");
}

/* A global option whose value is the next word. */
static bool
takes_word(const char *word)
{
	const char *name = word + (word[1] == '-' ? 2 : 1);

	if (strchr(word, '='))
		return false;
	for (const struct cli_opt *o = cli_global_opts; o->name; o++)
		if (strcmp(o->name, name) == 0 || (o->letter && name[0] == o->letter && !name[1]))
			return o->kind != CLI_FLAG;
	return true;
}

/* Moves global options that stand before the command behind it: "millrace --json run list". */
static void
options_last(int argc, char **argv)
{
	int n = 1;

	while (n < argc && argv[n][0] == '-' && strcmp(argv[n], "--help") != 0 &&
	       strcmp(argv[n], "-h") != 0 && strcmp(argv[n], "--version") != 0)
		n += takes_word(argv[n]) ? 2 : 1;
	if (n <= 1 || n >= argc)
		return;
	char **copy = xcalloc((size_t)argc, sizeof(*copy));
	int at = 0;
	for (int i = n; i < argc; i++)
		copy[at++] = argv[i];
	for (int i = 1; i < n; i++)
		copy[at++] = argv[i];
	memcpy(argv + 1, copy, (size_t)(argc - 1) * sizeof(*copy));
	free(copy);
}

/* No such command: what there is instead; exit status. */
static int
unknown(int argc, char **argv)
{
	bool wants = argc > 2 &&
	             (strcmp(argv[argc - 1], "--help") == 0 || strcmp(argv[argc - 1], "-h") == 0);
	const char *elsewhere = cli_command_elsewhere(argv[1]);
	const struct cli_command *k;

	for (size_t i = 0; (k = cli_command_at(i)); i++) {
		if (strcmp(k->words[0], argv[1]) != 0)
			continue;
		if (!wants && argc > 2)
			fprintf(stderr, "millrace: unknown command \"%s %s\"\n", argv[1], argv[2]);
		general_help(wants ? stdout : stderr, argv[1]);
		return wants ? CLI_OK : CLI_FAILED;
	}
	if (elsewhere)
		fprintf(stderr, "millrace: there is no \"%s\" here: %s\n", argv[1], elsewhere);
	else
		fprintf(stderr, "millrace: unknown command \"%s\": see millrace --help\n", argv[1]);
	return CLI_FAILED;
}

static bool
called_agola(const char *name)
{
	const char *slash = name ? strrchr(name, '/') : NULL;

	return name && strcmp(slash ? slash + 1 : name, "agola") == 0;
}

static int
run(int argc, char **argv)
{
	struct cli c = { 0 };
	auto_err err = NULL;
	bool help = false;

	signal(SIGPIPE, SIG_IGN);
	setlocale(LC_CTYPE, "C.UTF-8");
	options_last(argc, argv);
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		general_help(stdout, NULL);
		return argc < 2;
	}
	if (strcmp(argv[1], CLI_COMPLETE) == 0) {
		cli_complete(stdout, (const char *const *)argv + 2, (size_t)argc - 2);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("%s\n", MILLRACE_VERSION);
		return 0;
	}
	const struct cli_command *command =
	    cli_command_find((const char *const *)argv + 1, (size_t)argc - 1);
	if (!command)
		return unknown(argc, argv);
	int nwords = (int)cli_command_words(command);
	if (cli_opt_parse(&c, command, argc - 1 - nwords, argv + 1 + nwords, &help, &err)) {
		fprintf(stderr, "millrace: %s\n", err_msg(err));
		cli_opt_fini(&c);
		return 1;
	}
	int status = CLI_OK;
	c.agola = called_agola(argv[0]);
	if (help)
		cli_usage(stdout, command);
	else if (!command->offline && cli_profile_apply(&c, &err))
		status = cli_fail(steal(&err));
	else
		status = command->run(&c);
	cli_api_free(c.api);
	cli_opt_fini(&c);
	return status;
}

int
main(int argc, char **argv)
{
	if (eval_is_child(argc, argv))
		return eval_child();

	int status = run(argc, argv);

	/* What could not be written was not said. */
	if (fflush(stdout) != 0 && status == 0)
		status = 1;
	return status;
}
