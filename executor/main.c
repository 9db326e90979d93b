#include "common/daemon.h"
#include "executor/config.h"
#include "executor/dump.h"
#include "executor/executor.h"

int
main(int argc, char **argv)
{
	const struct daemon_spec spec = {
		.name = "millrace-executor",
		.config_size = sizeof(struct ex_config),
		.keys = ex_config_keys,
		.nkeys = ex_config_nkeys,
		.check = ex_config_check,
		.start = ex_start,
		.stop = ex_stop,
		.dump = ex_dump,
	};

	return daemon_main(argc, argv, &spec);
}
