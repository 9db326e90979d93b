/* millrace - the command line. Finds the command, reads its options, runs it. */
#include "cli.h"

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
	for (size_t i = 0; i < cli_ncommands; i++) {
		const struct cli_command *k = cli_commands[i];
		char name[64];

		if (noun && strcmp(k->words[0], noun) != 0)
			continue;
		snprintf(name, sizeof(name), "%s%s%s%s%s", k->words[0], k->words[1] ? " " : "",
		    k->words[1] ? k->words[1] : "", k->words[2] ? " " : "",
		    k->words[2] ? k->words[2] : "");
		fprintf(out, "  %-20s %s\n", name, k->summary);
	}
	fprintf(out, "\noptions of every command:\n");
	for (const struct cli_opt *o = cli_global_opts; o->name; o++)
		fprintf(out, "  --%-18s %s\n", o->name, o->help);
	fprintf(out, "\nmillrace COMMAND --help says more about one command.\n");
}

/* Moves global options that stand before the command behind it: "millrace --json run list". */
static void
options_last(int argc, char **argv)
{
	int n = 1;

	while (n < argc && argv[n][0] == '-' && strcmp(argv[n], "--help") != 0 &&
	       strcmp(argv[n], "-h") != 0 && strcmp(argv[n], "--version") != 0) {
		bool takes = strchr(argv[n], '=') == NULL && strcmp(argv[n], "--json") != 0;
		n += takes ? 2 : 1;
	}
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
	if (!command) {
		bool wants = argc > 2 && strcmp(argv[argc - 1], "--help") == 0;
		for (size_t i = 0; i < cli_ncommands; i++)
			if (strcmp(cli_commands[i]->words[0], argv[1]) == 0) {
				if (!wants && argc > 2)
					fprintf(stderr, "millrace: unknown command \"%s %s\"\n",
					    argv[1], argv[2]);
				general_help(wants ? stdout : stderr, argv[1]);
				return !wants;
			}
		fprintf(stderr, "millrace: unknown command \"%s\": see millrace --help\n", argv[1]);
		return 1;
	}
	int nwords = (int)cli_command_words(command);
	if (cli_opt_parse(&c, command, argc - 1 - nwords, argv + 1 + nwords, &help, &err)) {
		fprintf(stderr, "millrace: %s\n", err_msg(err));
		cli_opt_fini(&c);
		return 1;
	}
	int status = 0;
	if (help)
		cli_usage(stdout, command);
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
