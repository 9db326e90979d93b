#include "toolbox/unpack.h"

int
tb_unpack(const struct msg_start *m, const char *home, int in, int log, struct tb_err *e)
{
	(void)m;
	(void)home;
	(void)in;
	(void)log;
	return tb_fail(e, "archives are not built in");
}
