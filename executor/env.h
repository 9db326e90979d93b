/*
 * env.h - environments of steps and containers, by their order of precedence. Pure.
 *
 * Later wins: image, container, task, static environment with AGOLA_RUN_COUNTER, step.
 */
#ifndef EXECUTOR_ENV_H
#define EXECUTOR_ENV_H

#include "executor/engine_json.h"

#include "executor.pb-c.h"

struct ex_env {
	char **items; /* "NAME=value" */
	size_t n, cap;
};

/* Of a command in the main container. step NULL: without a step's own (setup, archives). */
void ex_env_step(struct ex_env *out, const struct ex_image_info *image,
    const Millrace__AcceptReply *plan, const Millrace__Step *step);
/* Of a container's own command. */
void ex_env_container(
    struct ex_env *out, const struct ex_image_info *image, const Millrace__Container *def);
void ex_env_fini(struct ex_env *env); /* wipes */

/* A text cut at single spaces, empty pieces left out; malloc'ed list, NULL-terminated. */
char **ex_words(const char *text, size_t *n);
void ex_words_free(char **words, size_t n);

#endif
