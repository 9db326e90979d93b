/*
 * kept.h - the leader's active runs in memory: what the rows say, without asking them again.
 *
 * The leader is the only one who writes runs, and does it in one transaction at a time (batch.h).
 * So what was read or written once need not be read again: runs, who runs and waits in a group, the
 * last number of an owner. A transaction changes them here and writes in its end what changed; when
 * it fails, what it touched is forgotten and read again when needed. All is forgotten with another
 * epoch. Bounded: RS_KEPT_MAX of each kind and RS_KEPT_SPECS_MAX bytes of definitions; queued runs
 * are not kept.
 *
 * Belongs to the batch under way: to its worker while it works, then to the loop until the next
 * one starts.
 */
#ifndef RUNSERVICE_KEPT_H
#define RUNSERVICE_KEPT_H

#include "common/db.h"
#include "runservice/run.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RS_KEPT_MAX 4096
#define RS_KEPT_SPECS_MAX (32u << 20)

struct rs_kept_run {
	struct rs_run run;
	void *spec; /* the packed definition, or NULL: in its row only */
	size_t spec_len;
	/* of the transaction under way */
	bool touched;
	bool fresh;      /* has no rows yet */
	bool dirty;      /* to be written */
	bool changed;    /* to be told to the loop */
	size_t neffects; /* of run.effects: are collected */
	bool over;       /* no longer active; state is what goes to history */
	void *state;
	size_t state_len;
};

struct rs_kept_group {
	char *name;
	char running[ID_LEN + 1]; /* "" = none */
	struct id *queued;        /* in their order */
	size_t nqueued;
	bool touched;
};

struct rs_kept;

struct rs_kept *rs_kept_new(void);
void rs_kept_free(struct rs_kept *k); /* NULL allowed */

/* At the start of each try: undoes what a former one of this epoch left, forgets other epochs. */
void rs_kept_begin(struct rs_kept *k, int64_t epoch);
/* ERR_NOTFOUND when the run is not active. */
int rs_kept_run(struct rs_kept_run **out, struct rs_kept *k, struct db *db, const char *run_id,
    struct err **err) MUSTCHECK;
/* A new one; takes *run over. spec is copied. */
struct rs_kept_run *rs_kept_add(
    struct rs_kept *k, struct rs_run *run, const void *spec, size_t spec_len);
int rs_kept_group(struct rs_kept_group **out, struct rs_kept *k, struct db *db, const char *name,
    struct err **err) MUSTCHECK;
void rs_kept_group_push(struct rs_kept_group *g, const char *run_id);
/* True when it was queued there. */
bool rs_kept_group_remove(struct rs_kept_group *g, const char *run_id);
/* Fills number and sequence. */
int rs_kept_number(
    struct rs_kept *k, struct db *db, struct rs_run *run, struct err **err) MUSTCHECK;
/* for (size_t i = 0; (r = rs_kept_touched(k, &i)) != NULL;), in the order they were touched. */
struct rs_kept_run *rs_kept_touched(const struct rs_kept *k, size_t *at);
/* Calls fn for the numbers that this transaction gave. */
void rs_kept_counters(
    struct rs_kept *k, void (*fn)(const char *owner, int64_t last, void *arg), void *arg);
/* It committed and its outcome is known: nothing is touched any more, what is over is forgotten. */
void rs_kept_end(struct rs_kept *k);

#endif
