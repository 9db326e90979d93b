/*
 * git_repo.h - the bare repositories that direct runs push to, in a directory that gateways may
 * share.
 *
 * Everything else names a repository by (owner, repo) and a commit. A repository that no run of its
 * owner was made from yet is unclaimed: anybody who knows the owner's id may have pushed it, so it
 * counts apart and goes soon (git_clean.h). Error messages name no repository: its id is all that a
 * stranger would need. Blocking: worker threads only.
 */
#ifndef GATEWAY_GIT_REPO_H
#define GATEWAY_GIT_REPO_H

#include "common/buf.h"
#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

#define GW_REPOS_PER_USER_MAX 1000
#define GW_REPO_SPACE_LEN 32            /* hex digits of a run's namespace */
#define GW_REPO_DISK_MIN (256ull << 20) /* bytes that stay free on its file system */
#define GW_REPO_RAW_MAX (16u << 20)     /* bytes of a file served raw */
#define GW_REPO_CHANGES_MAX (4u << 20)

/* dir/<owner>/<repo>.git, malloc'ed. ERR_NOTFOUND unless both are canonical UUIDs: the
 * only way to a path, so no other text ever becomes part of one. */
int gw_repo_path(
    char **out, const char *dir, const char *owner, const char *repo, struct err **err) MUSTCHECK;
bool gw_repo_exists(const char *path);
/* Creates an empty bare repository unless it is there; concurrent callers agree. ERR_DENIED when
 * the owner has GW_REPOS_PER_USER_MAX. */
int gw_repo_ensure(const char *path, struct err **err) MUSTCHECK;
/* ERR_UNAVAILABLE when a push would take the last space of the disk. Any thread. */
int gw_repo_check_space(const char *dir, struct err **err) MUSTCHECK;
/* Deletes all repositories of an owner. */
void gw_repo_remove_owner(const char *dir, const char *owner);
void gw_repo_remove(const char *path);
/* While *fd is open nobody cleans the repository up (shared), or uses it (exclusive: ERR_CONFLICT
 * instead of waiting). ERR_NOTFOUND when it is gone. */
int gw_repo_lock(int *fd, const char *path, bool exclusive, struct err **err) MUSTCHECK;
/* Bytes that its owner may still push into a repository: quota less what all of its kind (claimed
 * or not) have. ERR_DENIED when there are none. */
int gw_repo_check_quota(
    uint64_t *left, const char *path, uint64_t quota, struct err **err) MUSTCHECK;
bool gw_repo_is_claimed(const char *path);

/* Claims it for its owner, and keeps a commit under ref for each of n runs, in a namespace of its
 * own (GW_REPO_SPACE_LEN hex digits). */
int gw_repo_keep(const char *path, const char *sha, const char *ref, const char *const *spaces,
    size_t n, struct err **err) MUSTCHECK;

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
/* Names of the files that differ between the commit and the one this was last called with for the
 * ref; then this commit is remembered, as a ref below refs/millrace/. *names stays NULL when there
 * was none before, nothing differs, or more than GW_REPO_CHANGES_MAX bytes of names do. Names and
 * the list malloc'ed. */
int gw_repo_changes(char ***names, size_t *n, const char *path, const char *ref, const char *sha,
    struct err **err) MUSTCHECK;
/* A full commit hash, or a ref name without slash. */
bool gw_repo_rev_is_valid(const char *rev);
bool gw_repo_sha_is_valid(const char *sha);

#endif
