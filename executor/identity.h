/*
 * identity.h - who this executor is: its name and the directory that nobody else uses at the same
 * time.
 *
 * With replicas = 0 that is id and spool_dir. Otherwise several executors share one configuration
 * and one spool_dir: each takes the first of ID-1 ... ID-N whose lock in spool_dir/ID-n is free,
 * and the key ID-n.key out of the directory key_file. A lock dies with its process, so a replica
 * that is started again takes over what the dead one was doing.
 */
#ifndef EXECUTOR_IDENTITY_H
#define EXECUTOR_IDENTITY_H

#include "common/err.h"
#include "executor/config.h"

/*
 * Fills in cfg's id, spool_dir and key_file; *lock_fd holds the lock until it is closed.
 * ERR_CONFLICT: the directory, or all of them, are in use.
 */
int ex_identity_claim(int *lock_fd, struct ex_config *cfg, struct err **err) MUSTCHECK;

#endif
