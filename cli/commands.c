#include "cli.h"

#include "common/mem.h"

#include <string.h>

const struct cli_command *const cli_commands[] = {
	&cli_directrun_start,
	&cli_run_list,
	&cli_run_show,
	&cli_run_log,
	&cli_run_follow,
	&cli_run_stop,
	&cli_run_cancel,
	&cli_run_restart,
	&cli_run_approve,
	&cli_log_get,
	&cli_log_delete,
	&cli_config_check,
	&cli_config_show,
	&cli_config_schema,
	&cli_user_create,
	&cli_user_passwordlink,
	&cli_user_delete,
	&cli_user_list,
	&cli_user_token_create,
	&cli_user_token_delete,
	&cli_completion,
	&cli_version,
};
const size_t cli_ncommands = ARRAY_LEN(cli_commands);

size_t
cli_command_words(const struct cli_command *command)
{
	size_t n = 0;

	while (n < ARRAY_LEN(command->words) && command->words[n])
		n++;
	return n;
}

const struct cli_command *
cli_command_find(const char *const *words, size_t n)
{
	for (size_t i = 0; i < cli_ncommands; i++) {
		const struct cli_command *k = cli_commands[i];
		size_t at = 0, len = cli_command_words(k);

		while (at < len && at < n && strcmp(k->words[at], words[at]) == 0)
			at++;
		if (at == len)
			return k;
	}
	return NULL;
}
