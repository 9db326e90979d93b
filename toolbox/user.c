#include "toolbox/user.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIELDS 7

/* Next line of *text cut in place at colons; the number of fields, 0 at the end. */
static size_t
next_line(char **text, char *field[FIELDS])
{
	size_t n = 0;

	while (**text == '\n')
		(*text)++;
	if (**text == '\0')
		return 0;
	char *p = *text, *end = p + strcspn(p, "\n");
	*text = *end != '\0' ? end + 1 : end;
	*end = '\0';
	while (n < FIELDS) {
		field[n++] = p;
		p = strchr(p, ':');
		if (p == NULL || n == FIELDS)
			break;
		*p++ = '\0';
	}
	for (size_t i = n; i < FIELDS; i++)
		field[i] = end;
	return n;
}

static bool
number(const char *s, uint32_t *out)
{
	uint64_t v = 0;

	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
		if (v >= UINT32_MAX) /* -1 means "leave it" to the kernel */
			return false;
	}
	*out = (uint32_t)v;
	return true;
}

/* The line whose name is want, or whose number is when want is none. */
static bool
find_passwd(struct tb_user *u, const char *want, char *name, size_t size, const char *file)
{
	char *text = tb_read_file(file, TB_USER_FILE_MAX), *at = text, *f[FIELDS];
	uint32_t uid, gid, want_uid = 0;
	bool by_number = number(want, &want_uid), found = false;

	while (text != NULL && !found && next_line(&at, f) > 0) {
		if (!number(f[2], &uid) || !number(f[3], &gid))
			continue;
		if (strcmp(f[0], want) != 0 && !(by_number && uid == want_uid))
			continue;
		found = true;
		u->uid = uid;
		u->gid = gid;
		snprintf(name, size, "%s", f[0]);
		if (f[5][0] == '/')
			snprintf(u->home, sizeof(u->home), "%s", f[5]);
	}
	free(text);
	return found;
}

static bool
find_group(gid_t *gid, const char *want, const char *file)
{
	char *text = tb_read_file(file, TB_USER_FILE_MAX), *at = text, *f[FIELDS];
	uint32_t g;
	bool found = false;

	while (text != NULL && !found && next_line(&at, f) > 0) {
		found = strcmp(f[0], want) == 0 && number(f[2], &g);
		if (found)
			*gid = g;
	}
	free(text);
	return found;
}

static bool
is_member(char *list, const char *name)
{
	char *save = NULL;

	for (char *m = strtok_r(list, ",", &save); m != NULL; m = strtok_r(NULL, ",", &save))
		if (strcmp(m, name) == 0)
			return true;
	return false;
}

static void
find_memberships(struct tb_user *u, const char *name, const char *file)
{
	char *text = tb_read_file(file, TB_USER_FILE_MAX), *at = text, *f[FIELDS];
	uint32_t gid;

	while (text != NULL && u->ngroups < TB_GROUPS_MAX && next_line(&at, f) > 0)
		if (number(f[2], &gid) && gid != u->gid && is_member(f[3], name))
			u->groups[u->ngroups++] = gid;
	free(text);
}

int
tb_user_find(struct tb_user *u, const char *spec, const char *passwd_file, const char *group_file,
    struct tb_err *e)
{
	char who[256], name[256] = "";
	const char *colon = strchr(spec, ':');
	const char *group = colon != NULL ? colon + 1 : "";
	uint32_t n;

	memset(u, 0, sizeof(*u));
	strcpy(u->home, "/");
	size_t len = colon != NULL ? (size_t)(colon - spec) : strlen(spec);
	if (len >= sizeof(who))
		return tb_fail(e, "user name is longer than %zu bytes", sizeof(who) - 1);
	memcpy(who, spec, len);
	who[len] = '\0';
	if (len == 0)
		strcpy(who, "0");

	if (!find_passwd(u, who, name, sizeof(name), passwd_file)) {
		if (number(who, &n))
			u->uid = n;
		else if (strcmp(who, "root") != 0)
			return tb_fail(e, "no user %s in the image's /etc/passwd", who);
		if (u->uid == 0)
			strcpy(u->home, "/root");
	}
	if (group[0] != '\0') {
		if (!find_group(&u->gid, group, group_file)) {
			if (!number(group, &n))
				return tb_fail(e, "no group %s in the image's /etc/group", group);
			u->gid = n;
		}
	} else if (name[0] != '\0') {
		find_memberships(u, name, group_file);
	}
	return 0;
}

/* As system calls: the process has one thread, and a libc that wants to tell all threads waits for
 * those of a sanitizer, which a fork has left behind. */
int
tb_user_become(const struct tb_user *u, struct tb_err *e)
{
	gid_t all[TB_GROUPS_MAX + 1];

	all[0] = u->gid;
	memcpy(all + 1, u->groups, u->ngroups * sizeof(gid_t));
	if (syscall(SYS_setgroups, u->ngroups + 1, all) != 0 && geteuid() == 0 && u->uid != 0)
		return tb_fail(e, "cannot set groups: %s", strerror(errno));
	if (syscall(SYS_setresgid, u->gid, u->gid, u->gid) != 0)
		return tb_fail(e, "cannot become group %u: %s", (unsigned)u->gid, strerror(errno));
	if (syscall(SYS_setresuid, u->uid, u->uid, u->uid) != 0)
		return tb_fail(e, "cannot become user %u: %s", (unsigned)u->uid, strerror(errno));
	return 0;
}

char *
tb_user_expand(const char *dir, const char *home, const char *base, struct tb_err *e)
{
	if (dir[0] == '~') {
		if (dir[1] != '\0' && dir[1] != '/') {
			tb_fail(e, "directory %s: only ~ and ~/path are understood", dir);
			return NULL;
		}
		return tb_format("%s%s", home, dir + 1);
	}
	if (dir[0] == '/')
		return tb_strdup(dir);
	if (dir[0] == '\0')
		return tb_strdup(base);
	return tb_format("%s%s%s", base, base[strlen(base) - 1] == '/' ? "" : "/", dir);
}
