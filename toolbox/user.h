/*
 * user.h - whom a step runs as: /etc/passwd and /etc/group of the image, read as plain files (no
 * NSS, missing files tolerated, both hostile).
 */
#ifndef TOOLBOX_USER_H
#define TOOLBOX_USER_H

#include <sys/types.h>

#include "toolbox/util.h"

#define TB_GROUPS_MAX 64            /* further memberships are ignored */
#define TB_USER_FILE_MAX (1u << 20) /* of /etc/passwd and /etc/group; the rest is not seen */

struct tb_user {
	uid_t uid;
	gid_t gid;
	gid_t groups[TB_GROUPS_MAX];
	size_t ngroups;
	char home[4096]; /* from passwd, else "/" */
};

/*
 * spec: name, uid, name:group, uid:gid; "" is root. A name that is not found is an error, a number
 * that is not found is taken as it is with group 0 (as container engines do). Memberships from
 * /etc/group count only when spec names no group.
 */
int tb_user_find(struct tb_user *u, const char *spec, const char *passwd_file,
    const char *group_file, struct tb_err *e);
/* Makes the calling process that user for good. */
int tb_user_become(const struct tb_user *u, struct tb_err *e);
/* Malloc'ed absolute path of dir: "~" and "~/x" by home, relative ones below base. */
char *tb_user_expand(const char *dir, const char *home, const char *base, struct tb_err *e);

#endif
