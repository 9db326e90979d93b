/*
 * warm.h - containers that are started ahead: made while nothing is being set up, each given to one
 * task at most, and removed when nobody wants it any more.
 *
 * A container of this kind is what a task's main container is (same network, toolbox, limits) with
 * nothing of any task in it; its toolbox waits on an open stream. It bears the role EX_WARM_ROLE
 * and no task in its labels. Its toolbox ends by itself a while after its age, and the engine then
 * removes the container, so an executor that never comes back leaves none. One that does come back
 * removes those of its former life (gc.h).
 *
 * What goes wrong here is logged and never reaches a task. A pool that waits makes no call and has
 * one timer, for the age of its oldest container. Loop thread only.
 */
#ifndef EXECUTOR_WARM_H
#define EXECUTOR_WARM_H

#include "executor/engine_json.h"
#include "executor/executor.h"
#include "executor/toolbox_link.h"

#define EX_WARM_ROLE "warm"

struct ex_warm *ex_warm_new(struct ex *ex);
/* NULL allowed. The containers' toolboxes are told to leave. */
void ex_warm_free(struct ex_warm *w);

/*
 * A task starts in this image, by the name it gave. True: a container is its own from now on, *id
 * malloc'ed and *link up, with callbacks that go nowhere until ex_link_hand_over().
 */
bool ex_warm_take(struct ex_warm *w, const char *name, const struct ex_image_info *image,
    const Millrace__Container *def, char **id, struct ex_link **link);
/* A setup or a task is over: there may be time to start one. */
void ex_warm_settled(struct ex_warm *w);
/* For the garbage collection: the container with this EX_LABEL_WARM waits here or is being made. */
bool ex_warm_keeps(const struct ex_warm *w, const char *name);

#endif
