/*
 * session.h - what the executor and the runservice say to each other about all tasks together:
 * register, poll for offers, control (stop, drain), renewal of leases.
 *
 * One poll is outstanding while there are free slots, one control always. After a lost connection
 * or a restarted runservice the session registers again and tells what it holds.
 */
#ifndef EXECUTOR_SESSION_H
#define EXECUTOR_SESSION_H

#include "common/json.h"
#include "executor/executor.h"

struct ex_session *ex_session_new(struct ex *ex);
void ex_session_free(struct ex_session *s); /* NULL allowed */
/* The connection came up or went down. */
void ex_session_connected(struct ex_session *s, bool up);
const char *ex_session_id(const struct ex_session *s);
bool ex_session_registered(const struct ex_session *s);
/* Adds "runservice" to a dump. */
void ex_session_dump(json_t *out, const struct ex_session *s);
/* A slot became free, or a stop was taken notice of. */
void ex_session_changed(struct ex_session *s);

#endif
