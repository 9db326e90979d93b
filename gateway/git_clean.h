/*
 * git_clean.h - what of the pushed repositories is too old goes.
 *
 * Decides by the times of files, which are the server's own (what clients write into commits says
 * nothing), and by the clock it is given. A ref goes expire_ms after it was last pushed, or a run
 * made from it; then what no ref reaches; then the repository. One that no run was made from
 * goes whole after GW_REPO_UNCLAIMED_MS. Repositories that are being pushed to are passed over.
 * Several gateways may clean one directory. Blocking: worker threads only.
 */
#ifndef GATEWAY_GIT_CLEAN_H
#define GATEWAY_GIT_CLEAN_H

#include "common/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_REPO_UNCLAIMED_MS INT64_C(3600000)
#define GW_REPO_PACKS_MAX 20 /* more of them become one */

struct gw_clean {
	int64_t now_ms;    /* since 1970 */
	int64_t expire_ms; /* 0: refs stay for ever */
	atomic_bool *stop; /* set: no further repository is looked at; may be NULL */
};
struct gw_cleaned {
	size_t refs, repos;
};
/* dir: repository_dir; need not exist. What cannot be cleaned is logged and left. */
struct gw_cleaned gw_repo_clean(const char *dir, const struct gw_clean *c);

#endif
