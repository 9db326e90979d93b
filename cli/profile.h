/*
 * profile.h - gateways and tokens that "millrace login" remembers.
 *
 * One JSON file that only its owner may read: $MILLRACE_CONFIG, else millrace/profiles.json below
 * $XDG_CONFIG_HOME or ~/.config. It is replaced as a whole, so that a crash leaves the old or the
 * new one.
 */
#ifndef CLI_PROFILE_H
#define CLI_PROFILE_H

#include "cli/cli.h"

#define CLI_PROFILE_DEFAULT "default"
#define CLI_PROFILES_MAX (1u << 20) /* bytes of the file; a larger one is an error */

/* Path of the file, malloc'ed. ERR_INVALID when no home is known. */
int cli_profile_path(char **out, struct err **err) MUSTCHECK;
/* {"current": name, "profiles": {name: {"url", "token", "user", "token_name"}}}; without a file an
 * empty one. ERR_DENIED when others may read it. */
int cli_profile_load(json_t **out, struct err **err) MUSTCHECK;
/* With mode 0600; missing directories are made with 0700. */
int cli_profile_save(const json_t *all, struct err **err) MUSTCHECK;
/* Name that --profile, MILLRACE_PROFILE or the file chooses; borrowed. */
const char *cli_profile_name(const struct cli *c, const json_t *all);
/* NULL when there is none. */
json_t *cli_profile_get(const json_t *all, const char *name);
/* Fills address and token of c from the chosen profile where neither options nor the environment
 * gave one. A profile's token is only ever sent to the profile's own address. ERR_NOTFOUND when a
 * profile was named that does not exist. */
int cli_profile_apply(struct cli *c, struct err **err) MUSTCHECK;

#endif
