#include "cli.h"

#include "common/mem.h"

#include <string.h>

/* One command, or a list of them that ends with one without words. */
struct set {
	const struct cli_command *first;
	bool many;
};
/* clang-format off */
#define ONE(command) { &(command), false }
#define ALL(list) { (list), true }
/* clang-format on */

static const struct set sets[] = {
	ONE(cli_directrun_start),
	ONE(cli_run_list),
	ONE(cli_run_show),
	ONE(cli_run_log),
	ONE(cli_run_follow),
	ONE(cli_run_stop),
	ONE(cli_run_cancel),
	ONE(cli_run_restart),
	ONE(cli_run_approve),
	ALL(cli_run_more_commands),
	ONE(cli_log_get),
	ONE(cli_log_delete),
	ONE(cli_config_check),
	ONE(cli_config_show),
	ONE(cli_config_schema),
	ALL(cli_project_commands),
	ALL(cli_project_scope_commands),
	ALL(cli_projectgroup_commands),
	ALL(cli_projectgroup_scope_commands),
	ALL(cli_org_commands),
	ALL(cli_user_commands),
	ALL(cli_linkedaccount_commands),
	ALL(cli_remotesource_commands),
	ALL(cli_login_commands),
	ALL(cli_admin_commands),
	ONE(cli_completion),
	ONE(cli_man),
	ONE(cli_version),
};

/* Parts of Agola's server; ours are programs of their own. */
static const struct {
	const char *word, *instead;
} elsewhere[] = {
	{ "serve", "the services are programs of their own: millrace-gateway, millrace-runservice "
	           "and millrace-executor, see docs/operations.md" },
	{ "migrate", "the services bring their schema up to date by themselves when they start" },
	{ "migrateexport", "exports of old versions of Agola are not converted" },
};

const char *
cli_command_elsewhere(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++)
		if (strcmp(elsewhere[i].word, word) == 0)
			return elsewhere[i].instead;
	return NULL;
}

const struct cli_command *
cli_command_at(size_t i)
{
	for (size_t s = 0; s < ARRAY_LEN(sets); s++) {
		const struct cli_command *k = sets[s].first;

		if (!sets[s].many) {
			if (i-- == 0)
				return k;
			continue;
		}
		for (; k->words[0]; k++)
			if (i-- == 0)
				return k;
	}
	return NULL;
}

size_t
cli_command_words(const struct cli_command *command)
{
	size_t n = 0;

	while (n < ARRAY_LEN(command->words) && command->words[n])
		n++;
	return n;
}

void
cli_command_name(char name[CLI_NAME_MAX], const struct cli_command *command)
{
	snprintf(name, CLI_NAME_MAX, "%s%s%s%s%s", command->words[0], command->words[1] ? " " : "",
	    command->words[1] ? command->words[1] : "", command->words[2] ? " " : "",
	    command->words[2] ? command->words[2] : "");
}

const struct cli_command *
cli_command_find(const char *const *words, size_t n)
{
	const struct cli_command *k;

	for (size_t i = 0; (k = cli_command_at(i)); i++) {
		size_t at = 0, len = cli_command_words(k);

		while (at < len && at < n && strcmp(k->words[at], words[at]) == 0)
			at++;
		if (at == len)
			return k;
	}
	return NULL;
}
