#include "common/daemon.h"
#include "runservice/config.h"
#include "runservice/dump.h"
#include "runservice/rotate.h"
#include "runservice/runservice.h"

int
main(int argc, char **argv)
{
	static const struct daemon_command rotate = { "rotate-master-key", "FILE",
		"seal all secrets under the key in FILE from now on", rs_rotate };
	const struct daemon_spec spec = {
		.name = "millrace-runservice",
		.config_size = sizeof(struct rs_config),
		.keys = rs_config_keys,
		.nkeys = rs_config_nkeys,
		.check = rs_config_check,
		.start = rs_start,
		.stop = rs_stop,
		.dump = rs_dump,
		.command = &rotate,
	};
	return daemon_main(argc, argv, &spec);
}
