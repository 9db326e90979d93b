/* config schema: the run definition language for editors. */
#include "cli.h"

#include "common/buf.h"
#include "rundef/schema.h"

static int
config_schema(struct cli *c)
{
	auto_buf out = BUF_INIT;

	(void)c;
	rundef_schema_print(&out);
	fputs(buf_str(&out), stdout);
	return 0;
}

const struct cli_command cli_config_schema = {
	.words = { "config", "schema" },
	.run = config_schema,
	.offline = true,
	.summary = "print the JSON Schema of run definitions, for editors",
	.example = "millrace config schema >millrace-schema.json",
};
