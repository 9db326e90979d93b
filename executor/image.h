/*
 * image.h - names of container images: normal form, rewriting to mirrors, credentials. Pure.
 *
 * Normal form is host/path:tag or host/path@sha256:...; the host defaults to docker.io, one-part
 * names there get "library/", the tag defaults to latest. The first part of a name is a host when
 * it holds '.' or ':'.
 */
#ifndef EXECUTOR_IMAGE_H
#define EXECUTOR_IMAGE_H

#include "common/err.h"
#include "executor/config.h"

#include "run.pb-c.h"

#include <stddef.h>

#define EX_IMAGE_NAME_MAX 512

struct ex_image_ref {
	char *full; /* the normal form */
	char *host; /* "docker.io" */
	char *repo; /* host/path without tag and digest */
	char *tag;  /* tag or digest, never NULL: what the engine's pull takes as tag */
};
/* ERR_INVALID says what is wrong with the name. */
int ex_image_parse(struct ex_image_ref *out, const char *name, struct err **err) MUSTCHECK;
void ex_image_fini(struct ex_image_ref *ref);

/* Every `to` must give a valid name. */
int ex_image_rules_check(const struct ex_image_rules *rules, struct err **err) MUSTCHECK;
/* The rule whose from is the longest prefix of full that ends at a part's end; NULL when none. */
const struct ex_image_rule *ex_image_rule_find(
    const struct ex_image_rules *rules, const char *full);
/* full with the rule applied, malloc'ed. */
char *ex_image_rewrite(const struct ex_image_rule *rule, const char *full);

/* The entry of a definition's docker_registries_auth for a registry host, NULL when none. */
const Millrace__RegistryAuth *ex_image_auth_find(
    Millrace__RegistryAuth *const *auths, size_t n, const char *host);
/* Value of X-Registry-Auth (URL-safe base64 of JSON), malloc'ed secret. */
char *ex_image_auth_header(const char *username, const char *password, const char *host);
/* The same from a definition's entry; ERR_INVALID for an unknown type or a broken text. */
int ex_image_auth_entry(
    char **out, const Millrace__RegistryAuth *auth, const char *host, struct err **err) MUSTCHECK;

#endif
