#include "cli.h"

#include "common/mem.h"

#include <string.h>

struct typed {
	FILE *out;
	const char *word; /* the one being typed */
	const char *const *before;
	size_t nbefore;
};

static const struct cli_opt *
option_named(const struct cli_opt *table, const char *word)
{
	for (const struct cli_opt *o = table; o && o->name; o++)
		if ((word[1] == '-' && strcmp(word + 2, o->name) == 0) ||
		    (word[1] == o->letter && o->letter && word[2] == '\0'))
			return o;
	return NULL;
}

/* The word after it is its value. */
static bool
takes_value(const struct cli_command *command, const char *word)
{
	const struct cli_opt *o = option_named(cli_global_opts, word);

	if (!o && command)
		o = option_named(command->opts, word);
	return o && o->kind != CLI_FLAG;
}

static void
offer(const struct typed *t, const char *prefix, const char *name, const char *help)
{
	size_t n = strlen(prefix);

	if (strncmp(t->word, prefix, strlen(t->word) < n ? strlen(t->word) : n) == 0 &&
	    (strlen(t->word) < n || strncmp(t->word + n, name, strlen(t->word) - n) == 0))
		fprintf(t->out, "%s%s%s%s\n", prefix, name, *help ? "\t" : "", help);
}

static void
offer_options(const struct typed *t, const struct cli_opt *table)
{
	for (const struct cli_opt *o = table; o && o->name; o++)
		offer(t, "--", o->name, o->help);
}

/* k goes on from the words there are. */
static bool
goes_on(const struct cli_command *k, const char *const *words, size_t n)
{
	if (n >= cli_command_words(k))
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(k->words[i], words[i]) != 0)
			return false;
	return true;
}

static void
offer_words(const struct typed *t, const char *const *words, size_t n)
{
	const char *last = "";

	const struct cli_command *k;

	for (size_t i = 0; (k = cli_command_at(i)); i++) {
		/* Commands with the same first words stand together. */
		if (!goes_on(k, words, n) || strcmp(k->words[n], last) == 0)
			continue;
		last = k->words[n];
		offer(t, "", last, cli_command_words(k) == n + 1 ? k->summary : "");
	}
}

/* "a|b|c" of the usage line; other arguments are the user's own. */
static void
offer_args(const struct typed *t, const char *args)
{
	for (size_t n; *args != '\0'; args += n + (args[n] == '|')) {
		n = strcspn(args, "|");
		auto_free char *one = xstrndup(args, n);

		offer(t, "", one, "");
	}
}

void
cli_complete(FILE *out, const char *const *words, size_t n)
{
	struct typed t = { .out = out,
		.word = n > 0 ? words[n - 1] : "",
		.before = words,
		.nbefore = n > 0 ? n - 1 : 0 };
	auto_free const char **plain = xcalloc(n + 1, sizeof(*plain));
	const struct cli_command *command = NULL;
	size_t nplain = 0;
	bool value = false;

	for (size_t i = 0; i < t.nbefore; i++) {
		bool was_value = value;

		value = false;
		if (was_value)
			continue;
		if (strcmp(words[i], "--") == 0)
			return;
		if (words[i][0] == '-')
			value = takes_value(command, words[i]);
		else
			plain[nplain++] = words[i];
		command = cli_command_find(plain, nplain);
	}
	if (value)
		return;
	if (t.word[0] == '-') {
		offer_options(&t, command ? command->opts : NULL);
		offer_options(&t, cli_global_opts);
	} else if (!command) {
		offer_words(&t, plain, nplain);
	} else if (command->args && strchr(command->args, '|') &&
	           nplain == cli_command_words(command)) {
		offer_args(&t, command->args);
	}
}
