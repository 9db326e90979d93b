/* init.h - the two lives of process 1. Both return the exit status of the container. */
#ifndef TOOLBOX_INIT_H
#define TOOLBOX_INIT_H

#include "toolbox/step.h"

#define TB_EXIT_DONE 0
#define TB_EXIT_LEASE 75    /* nobody renewed the lease */
#define TB_EXIT_DETACHED 76 /* the stream ended and no lease allows to wait */
#define TB_EXIT_MEMORY 77

/* Main container: runs steps until EXIT, the end of the lease, or SIGTERM. */
int tb_init_run(const struct tb_opts *o);
/* Service container: waits for HELLO and SPAWN, then becomes the command: does not return then. */
int tb_service_run(const struct tb_opts *o);

#endif
