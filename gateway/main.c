#include "common/daemon.h"
#include "evaluate/evaluate.h"
#include "gateway/config.h"
#include "gateway/dump.h"
#include "gateway/gateway.h"

int
main(int argc, char **argv)
{
	struct daemon_spec spec = {
		.name = "millrace-gateway",
		.config_size = sizeof(struct gw_config),
		.keys = gw_config_keys,
		.nkeys = gw_config_nkeys,
		.check = gw_config_check,
		.start = gw_start,
		.stop = gw_stop,
		.dump = gw_dump,
	};

	if (eval_is_child(argc, argv))
		return eval_child();
	return daemon_main(argc, argv, &spec);
}
