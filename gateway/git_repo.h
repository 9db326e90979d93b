/*
 * git_repo.h - the bare repositories that direct runs push to, on this gateway's disk.
 *
 * This is the seam for storage: everything else names a repository by (owner, repo) and a commit,
 * so that immutable snapshots of pushed commits can later live in the object store and any gateway
 * serve them. Blocking: worker threads only.
 */
#ifndef GATEWAY_GIT_REPO_H
#define GATEWAY_GIT_REPO_H

#include "common/buf.h"
#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

#define GW_REPOS_PER_USER_MAX 1000
#define GW_REPO_DISK_MIN (256ull << 20) /* bytes that stay free on data_dir's file system */
#define GW_REPO_RAW_MAX (16u << 20)     /* bytes of a file served raw */

/* data_dir/repos/<owner>/<repo>.git, malloc'ed. ERR_NOTFOUND unless both are canonical UUIDs: the
 * only way to a path, so no other text ever becomes part of one. */
int gw_repo_path(char **out, const char *data_dir, const char *owner, const char *repo,
    struct err **err) MUSTCHECK;
bool gw_repo_exists(const char *path);
/* Creates an empty bare repository unless it is there; concurrent callers agree. ERR_DENIED when
 * the owner has GW_REPOS_PER_USER_MAX. */
int gw_repo_ensure(const char *path, struct err **err) MUSTCHECK;
/* ERR_UNAVAILABLE when a push would take the last space of the disk. Any thread. */
int gw_repo_check_space(const char *data_dir, struct err **err) MUSTCHECK;
/* Deletes all repositories of an owner. */
void gw_repo_remove_owner(const char *data_dir, const char *owner);

/* ERR_NOTFOUND when the repository has no such commit. */
int gw_repo_check_commit(const char *path, const char *sha, struct err **err) MUSTCHECK;
/* First of names[] that is a file at the commit: *index and its content. ERR_NOTFOUND when none is;
 * ERR_INVALID (with *index set) when it has more than max bytes. */
int gw_repo_read_first(struct buf *out, size_t *index, const char *path, const char *rev,
    const char *const *names, size_t n, size_t max, struct err **err) MUSTCHECK;
/* A file at the commit. ERR_NOTFOUND when there is none; ERR_INVALID when it is no plain file (a
 * symbolic link, say) or has more than max bytes. */
int gw_repo_read_file(struct buf *out, const char *path, const char *sha, const char *name,
    size_t max, struct err **err) MUSTCHECK;
/* A full commit hash, or a ref name without slash. */
bool gw_repo_rev_is_valid(const char *rev);
bool gw_repo_sha_is_valid(const char *sha);

#endif
