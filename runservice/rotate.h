/*
 * rotate.h - another master key: millrace-runservice --config F --rotate-master-key FILE.
 *
 * Works beside running daemons and tasks, and can be broken off anywhere: said again, it goes on.
 *
 *   1. the new key is put into data_dir/RS_KEYRING_NEXT, where a running daemon finds it;
 *   2. it becomes the current one in the database: what is sealed from now on is sealed under it;
 *   3. all data keys are wrapped anew, RS_ROTATE_BATCH in a transaction; both keys are usable;
 *   4. the old one is taken out of the database, which refuses that while anything needs it;
 *   5. master_key_file is replaced; the old key stays beside it as FILE.<first digits of its id>,
 * for backups made before. Where the file cannot be replaced this is left to the operator.
 *
 * Values are not sealed anew: their data keys never leave the database unwrapped.
 */
#ifndef RUNSERVICE_ROTATE_H
#define RUNSERVICE_ROTATE_H

#include "common/err.h"

#define RS_ROTATE_BATCH 100

/* cfg: a struct rs_config. Says on stdout what it did. Blocks. */
int rs_rotate(void *cfg, const char *new_file, struct err **err) MUSTCHECK;

#endif
