/* proc.h - finding and killing processes, by /proc alone. */
#ifndef TOOLBOX_PROC_H
#define TOOLBOX_PROC_H

#include <sys/types.h>

#include "toolbox/util.h"

/* SIGKILLs every process of the session. */
void tb_proc_kill_session(pid_t sid);
/* Live processes of the session other than its leader; -1 when /proc cannot tell. */
int tb_proc_session_others(pid_t sid);
/* SIGKILLs everything below this process (all of the container when it is process 1) and reaps,
 * for at most a few seconds: what hangs in the kernel dies with process 1. */
void tb_proc_kill_all(void);

#endif
