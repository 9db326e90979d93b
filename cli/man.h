/*
 * man.h - manual pages in roff, made from the tables of commands and options. Pure.
 */
#ifndef CLI_MAN_H
#define CLI_MAN_H

#include "cli/cli.h"

/* "millrace" (k NULL) or "millrace-run-list", malloc'ed. */
char *cli_man_name(const struct cli_command *k);
void cli_man_program(struct buf *out);
void cli_man_command(struct buf *out, const struct cli_command *k);

#endif
