/*
 * task_int.h - a task as its own files see it: task.c, setup.c, step.c, step_start.c, save.c,
 * restore.c, cache.c.
 */
#ifndef EXECUTOR_TASK_INT_H
#define EXECUTOR_TASK_INT_H

#include "common/id.h"
#include "executor/engine_json.h"
#include "executor/executor.h"
#include "executor/host.h"
#include "executor/logship.h"
#include "executor/mask.h"
#include "executor/pull.h"
#include "executor/removal.h"
#include "executor/spool.h"
#include "executor/spool_state.h"
#include "executor/state.h"
#include "executor/task.h"
#include "executor/toolbox_link.h"

/* Logs that are on our disk and not wholly stored yet; a further step waits. */
#define EX_UNSTORED_MAX 256
/* Between the first signal and SIGKILL when a step is ended by force. */
#define EX_KILL_GRACE_MS 1000
/* A step that should be dead and says nothing is given up after this. */
#define EX_KILL_PATIENCE_MS 6000
/* Epochs that are reserved on disk at a time. */
#define EX_EPOCH_RESERVE (1u << 24)

enum ex_at { EX_AT_ACCEPT = 1, EX_AT_SETUP, EX_AT_BEGIN, EX_AT_STEPS, EX_AT_END, EX_AT_DROP };

struct ex_setup;
struct ex_save;
struct ex_restore;
struct ex_cache;

/* The step under way; index -1 = the making of the working directory. */
struct ex_step {
	int index;
	struct ex_mask_stream *mask;
	uint64_t mask_base; /* raw offset at which the mask stream began */
	uint64_t received;  /* raw bytes taken in */
	uint64_t acked;
	uint64_t state_no; /* START may be sent once this state is on disk; 0 = not waited for */
	bool active;       /* between its start and its end */
	bool ready;        /* START may be sent */
	bool sent;         /* the toolbox may know of it */
	bool flushed;      /* the mask stream's rest is in the spool */
	bool overflow;
	bool have_result;
	int32_t exit_status;
	uint64_t log_end, archive_end;
	char *error; /* ours, or else the toolbox's; masked when shown */
	bool own_error;
	struct ex_save *save;
	struct ex_restore *restore;
	struct ex_cache *cache;
};

struct ex_task {
	struct ex *ex;
	char task_id[ID_LEN + 1], run_id[ID_LEN + 1];
	uint64_t fence;
	enum ex_at at;
	struct ex_state *st;    /* NULL until accepted */
	struct ex_spool *spool; /* likewise */
	Millrace__AcceptReply *plan;
	struct ex_mask_set *mask;
	struct ex_image_info *images; /* one per container */
	char *container;              /* name or id of the main one */
	struct ex_link *link;         /* to its toolbox */
	struct ex_logship **ships;    /* 0 = setup, then the steps */
	unsigned nunstored;
	uint64_t setup_raw; /* bytes said in the setup log */
	struct ex_setup *setup;
	struct ex_step step;

	struct ex_rs_call *call;   /* accept or begin */
	struct ex_rs_call *report; /* its newest */
	uint64_t reported;         /* revision of the report under way or last answered */
	bool report_final;         /* the report under way is the final one */
	int64_t report_sent_ms;
	struct loop_timer *pace; /* the next report may be sent */
	struct ex_removal *removal;
	bool cleaned, final_acked;

	int64_t accept_sent_ms, lease_end_ms; /* monotonic; 0 = none yet */
	bool resumed;                         /* from disk */
	bool stop, timedout, renewing;
	bool killing;
	uint32_t first_epoch; /* reserved on disk for the first attach of this life; 0 = not yet */
	char *gone;           /* why nothing more can run, found between two steps */
	struct loop_timer *again, *lease, *timeout, *kill;
};

/* Every log line about a task says whose it is. */
#define EX_LOG_IDS(t_) LOG_STR("run", (t_)->run_id), LOG_STR("task", (t_)->task_id)

/* --- task.c --- */
/* Writes the state and reports it; returns the state's number. */
uint64_t ex_task_save(struct ex_task *t);
/* The ship of a step's log (-1 = setup), made when there is none. */
struct ex_logship *ex_task_ship(struct ex_task *t, int step);
/* A line of ours in the setup log, masked; the line end is added. */
void ex_task_say(struct ex_task *t, const char *fmt, ...) PRINTF(2, 3);
void ex_task_say_raw(struct ex_task *t, const char *text, size_t n);
/* All is over: how, and why the setup or the last step ended so. */
void ex_task_end(struct ex_task *t, enum ex_phase status);
/* Sends task.begin unless that was done: as soon as all containers run. */
void ex_task_begin(struct ex_task *t);
/* The containers run and the working directory is there. */
void ex_task_setup_done(struct ex_task *t);
/* Ends a setup that did not succeed: why NULL = stopped. */
void ex_task_setup_failed(struct ex_task *t, struct err **why);
struct ex_owner ex_task_owner(const struct ex_task *t, const char *role);
/* Milliseconds until the toolbox must be dead; at least 0. */
int64_t ex_task_lease_left(const struct ex_task *t);
void ex_task_send_lease(struct ex_task *t);
char *ex_task_container_name(const struct ex_task *t, unsigned index);
/* What an encoder gave goes out and is wiped; false when the link is down. */
bool ex_task_send(struct ex_task *t, enum frame_type type, uint8_t *payload, size_t n);

/* --- setup.c --- */
void ex_setup_start(struct ex_task *t);
void ex_setup_free(struct ex_task *t); /* everything of it under way is cancelled */
/* The engine call under way, which may make a container whatever we do; NULL when there is none. */
struct ex_call *ex_setup_take_call(struct ex_task *t);
/* What it waits for, in words; NULL when there is no setup. */
const char *ex_setup_waits(const struct ex_task *t);
/* After a restart: only what the main image says is looked up; then ex_task_setup_done. */
void ex_setup_reattach(struct ex_task *t);
/* The first word of the main container's toolbox; its frames while the setup is under way. */
void ex_setup_main_up(struct ex_task *t, const struct msg_welcome *w);
void ex_setup_result(struct ex_task *t, const struct msg_result *r);
void ex_setup_main_gone(struct ex_task *t, struct err **err);

/* --- step.c --- */
/* Opens the link to the main container; its frames are step.c's. */
void ex_steps_attach(struct ex_task *t);
/* The same with a link that is up already. */
void ex_steps_adopt(struct ex_task *t, struct ex_link *link);
/* Goes on with the first step that is not over. */
void ex_steps_go(struct ex_task *t);
/* The spool wrote something. */
void ex_step_durable(struct ex_task *t);
/* Something that the end of the step waits for may have happened. */
void ex_step_check(struct ex_task *t);
/* The step fails for a reason of ours: it is killed, and ends when it is dead. */
void ex_step_fail(struct ex_task *t, const char *fmt, ...) PRINTF(2, 3);
/* The step ends without the toolbox: a line in its log, then the outcome. */
void ex_step_own(struct ex_task *t, int exit_status, const char *fmt, ...) PRINTF(3, 4);
/* Stop and timeout: signals, then patience. */
void ex_step_kill(struct ex_task *t);
void ex_step_give_up(void *task); /* it did not die in time */
void ex_step_clear(struct ex_task *t);
/* A further attempt of an archive step may be sent once the state is on disk. */
void ex_step_next_attempt(struct ex_task *t);

/* --- step_start.c --- */
/* START of the step under way, as it stands. false: too large, the step was failed. */
bool ex_step_send_start(struct ex_task *t);
bool ex_step_send_mkdir(struct ex_task *t);
/* SPAWN of a container's own command through link. */
int ex_step_send_spawn(
    struct ex_task *t, struct ex_link *link, unsigned container, struct err **err) MUSTCHECK;

/* --- save.c --- */
void ex_save_begin(struct ex_task *t);
void ex_save_free(struct ex_task *t);
void ex_save_up(struct ex_task *t, const struct msg_welcome *w);
void ex_save_data(struct ex_task *t, const struct msg_data *d);
void ex_save_result(struct ex_task *t); /* the toolbox is done */
bool ex_save_done(const struct ex_task *t);

/* --- cache.c --- */
/* Each attempt of a save_cache or restore_cache begins here. */
void ex_cache_begin(struct ex_task *t);
void ex_cache_free(struct ex_task *t);
/* The attempt under way renders or says something: what the toolbox sends is for cache.c. */
bool ex_cache_rendering(const struct ex_task *t);
/* Nothing is saved or restored any more. */
bool ex_cache_over(const struct ex_task *t);
void ex_cache_up(struct ex_task *t, const struct msg_welcome *w);
void ex_cache_data(struct ex_task *t, const struct msg_data *d);
void ex_cache_result(struct ex_task *t);
/* For START: what is to be rendered (borrowed), and a line for the log or "". */
char **ex_cache_templates(const struct ex_task *t, size_t *n);
const char *ex_cache_line(const struct ex_task *t);
/* For save.c: the rendered key, NULL for a workspace; the step ends well with a line of ours. */
const char *ex_cache_key(const struct ex_task *t);
void ex_cache_say(struct ex_task *t, const char *line);
/* For restore.c: the archive, NULL for a workspace. */
const Millrace__ArchiveRef *ex_cache_ref(const struct ex_task *t);

/* --- restore.c --- */
void ex_restore_begin(struct ex_task *t);
void ex_restore_free(struct ex_task *t);
void ex_restore_up(struct ex_task *t, const struct msg_welcome *w);
void ex_restore_want(struct ex_task *t, uint64_t total);
void ex_restore_drain(struct ex_task *t);
/* One archive was unpacked: true when a further one follows. */
bool ex_restore_result(struct ex_task *t);

#endif
