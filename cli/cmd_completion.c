/* completion: scripts that let a shell ask "millrace __complete" what a word may become. */
#include "cli.h"

#include "common/mem.h"

#include <string.h>

static const struct {
	const char *shell, *script;
} scripts[] = {
	{ "bash", "_millrace() {\n"
	          "\tlocal IFS=$'\\n'\n"
	          "\tCOMPREPLY=($(\"${COMP_WORDS[0]}\" " CLI_COMPLETE
	          " \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null | cut -f 1))\n"
	          "}\n"
	          "complete -o default -F _millrace millrace\n" },
	{ "zsh", "#compdef millrace\n"
	         "_millrace() {\n"
	         "\tlocal -a found\n"
	         "\tfound=(\"${(@f)$(\"${words[1]}\" " CLI_COMPLETE
	         " \"${(@)words[2,CURRENT]}\" 2>/dev/null | sed 's/:/\\\\:/g; s/\\t/:/')}\")\n"
	         "\tif [[ -n ${found[1]} ]]; then\n"
	         "\t\t_describe millrace found\n"
	         "\telse\n"
	         "\t\t_files\n"
	         "\tfi\n"
	         "}\n"
	         "compdef _millrace millrace\n" },
	{ "fish", "function __millrace_complete\n"
	          "\tset -l typed (commandline -opc)\n"
	          "\t$typed[1] " CLI_COMPLETE " $typed[2..-1] (commandline -ct) 2>/dev/null\n"
	          "end\n"
	          "complete -c millrace -a '(__millrace_complete)'\n" },
};

static int
completion(struct cli *c)
{
	struct err *err = NULL;

	for (size_t i = 0; i < ARRAY_LEN(scripts); i++)
		if (strcmp(scripts[i].shell, c->args[0]) == 0)
			return fputs(scripts[i].script, stdout) == EOF;
	err_set(
	    &err, ERR_INVALID, "no completion for \"%s\": there is bash, zsh and fish", c->args[0]);
	return cli_fail(err);
}

const struct cli_command cli_completion = {
	.words = { "completion" },
	.args = "bash|zsh|fish",
	.min_args = 1,
	.max_args = 1,
	.run = completion,
	.offline = true,
	.summary = "print a script that completes commands and options in a shell",
	.example = "source <(millrace completion bash)",
};
