/*
 * host.h - what all tasks of this executor share in the engine: the network and the volume with the
 * toolbox, each made when the first task needs it.
 *
 * The volume's name holds the hash of the toolbox, so a new version gets a new volume. It is filled
 * through a helper container that is created from the task's own image and never started.
 */
#ifndef EXECUTOR_HOST_H
#define EXECUTOR_HOST_H

#include "executor/executor.h"

#define EX_TOOLBOX_MAX (16u << 20)

struct ex_host_wait;

/* Reads the toolbox. */
int ex_host_new(struct ex_host **out, struct ex *ex, struct err **err) MUSTCHECK;
void ex_host_free(struct ex_host *h); /* NULL allowed; waits must have been cancelled */

const char *ex_host_network(const struct ex_host *h);
const char *ex_host_volume(const struct ex_host *h);
/* A network or volume of this name is in use by this version. */
bool ex_host_uses(const struct ex_host *h, const char *name);
/* A helper container may exist right now. */
bool ex_host_busy(const struct ex_host *h);

/* done: both are there. image: an image that the engine has. Never called from inside. */
struct ex_host_wait *ex_host_need(
    struct ex_host *h, const char *image, void (*done)(struct err **err, void *arg), void *arg);
void ex_host_cancel(struct ex_host_wait *w); /* NULL allowed */
/* Something is missing after all (the engine was cleaned by hand): make it again when needed. */
void ex_host_doubt(struct ex_host *h);

#endif
