#include "cli.h"

#include "common/mem.h"

static int
version(struct cli *c)
{
	struct err *err = NULL;
	auto_json *reply = NULL;
	int rc = cli_api_call(c, "GET", "/version", NULL, &reply, &err);
	const char *gateway = json_text(reply, "version");
	auto_free char *clean = cli_clean(gateway ? gateway : "unknown");

	if (c->json) {
		auto_json *both = json_pack(
		    "{s:s,s:s}", "gateway", rc ? "unreachable" : clean, "client", MILLRACE_VERSION);
		cli_print_json(both);
	} else {
		printf("Gateway version:  %s\n", rc ? "unreachable" : clean);
		printf("Client version:   %s\n", MILLRACE_VERSION);
	}
	return rc ? cli_fail(err) : 0;
}

const struct cli_command cli_version = {
	.words = { "version" },
	.run = version,
	.summary = "versions of the gateway and of this program",
	.example = "millrace version",
};
