/*
 * gw_repo.h - direct runs against gw_peer.h's gateway: git repositories that are pushed to it, and
 * what asks for a run of them.
 *
 * Scripts run in f->dir while the loop turns, URL being that of bob's repositories. What fails
 * fails the test.
 */
#ifndef TESTS_LIB_GW_REPO_H
#define TESTS_LIB_GW_REPO_H

#include "tests/lib/gw_peer.h"

/* The repository's name, and two runs as printf(1) writes them: "two" is for the tag v1. */
#define GWP_REPO "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
#define GWP_DEFINITION                                                                             \
	"runs:\\n- name: one\\n  tasks:\\n  - name: t\\n    runtime: {containers: [{image: "       \
	"b}]}\\n"                                                                                  \
	"    steps: [{clone: }, {run: make}]\\n- name: two\\n  when: {tag: v1}\\n  tasks:\\n"      \
	"  - name: t\\n    runtime: {containers: [{image: b}]}\\n    steps: [{run: make}]\\n"

/* Its exit status. */
int gwp_script(struct gwp *f, const char *text);
void gwp_must(struct gwp *f, const char *text);
/* A file of f->dir, malloc'ed. */
char *gwp_read_whole(const struct gwp *f, const char *name);
/* A new repository "w" with one commit, its hash in the file "sha". text is for printf(1). */
void gwp_commit_definition(struct gwp *f, const char *file, const char *text);
/* The body of a createrun for that commit; field is branch, tag or ref. malloc'ed. */
char *gwp_createrun_body(struct gwp *f, const char *field, const char *value, const char *message);

#endif
