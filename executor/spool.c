#include "executor/spool.h"

#include "common/log.h"
#include "common/mem.h"
#include "executor/spool_state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY_MS 1000

struct spool_log {
	int fd;
	struct buf pending;
	uint64_t pending_raw; /* raw end of pending */
	struct ex_spool_pos durable;
};

struct ex_spool {
	struct loop *loop;
	struct work_pool *pool;
	struct loop_timer *retry;
	char *dir;
	uint64_t key;
	unsigned nlogs; /* 0 = setup, then the steps */
	struct spool_log *logs;
	struct ex_spool_state file; /* a round's, while one is under way */
	char *state;
	uint64_t state_no, state_durable;
	bool new_files; /* whose names may not be on disk */
	bool busy, closing, remove;
	void (*on_durable)(void *arg);
	void *arg;
};

/* One round of writing; owns all it refers to but the spool, which waits for it. */
struct round_log {
	int fd;
	unsigned index;
	struct buf bytes;
	uint64_t raw_end;
	struct ex_spool_pos pos;
};
struct round {
	struct ex_spool *spool;
	char *dir;
	char *state;
	uint64_t state_no;
	struct round_log *logs;
	unsigned nlogs;
	bool new_files;
	struct err *err;
};

static void start_round(struct ex_spool *s);

static int
open_log(struct ex_spool *s, unsigned i, struct err **err)
{
	auto_free char *path = ex_spool_file_log_path(s->dir, (int)i - 1);
	struct spool_log *l = &s->logs[i];

	l->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (l->fd < 0)
		return err_set_errno(err, errno, "open %s", path);
	if (ex_spool_file_recover(l->fd, &l->durable, err) != 0)
		return err_wrap(err, "%s", path);
	return 0;
}

static void
destroy(struct ex_spool *s)
{
	unsigned i;

	for (i = 0; i < s->nlogs; i++) {
		if (s->logs[i].fd >= 0)
			close(s->logs[i].fd);
		buf_free(&s->logs[i].pending);
	}
	free(s->logs);
	ex_spool_state_close(&s->file);
	loop_timer_free(s->retry);
	free(s->state);
	free(s->dir);
	free(s);
}

static void
retry(void *arg)
{
	start_round(arg);
}

int
ex_spool_open(struct ex_spool **out, struct loop *loop, struct work_pool *pool, const char *dir,
    unsigned steps, void (*on_durable)(void *), void *arg, struct err **err)
{
	struct ex_spool *s;
	unsigned i;

	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return err_set_errno(err, errno, "create the spool directory %s", dir);
	s = xcalloc(1, sizeof(*s));
	s->loop = loop;
	s->pool = pool;
	s->dir = xstrdup(dir);
	s->key = work_key(dir);
	s->file = (struct ex_spool_state)EX_SPOOL_STATE_INIT;
	s->on_durable = on_durable;
	s->arg = arg;
	s->nlogs = steps + 1;
	s->logs = xcalloc(s->nlogs, sizeof(*s->logs));
	s->retry = loop_timer_new(loop, "spool again", retry, s);
	for (i = 0; i < s->nlogs; i++)
		s->logs[i].fd = -1;
	/* Files of later steps are made when they are needed; after a restart all that exist are
	 * read. */
	for (i = 0; i < s->nlogs; i++) {
		auto_free char *path = ex_spool_file_log_path(dir, (int)i - 1);
		int rc;

		if (access(path, F_OK) != 0)
			continue;
		rc = open_log(s, i, err);
		if (rc != 0) {
			destroy(s);
			return rc;
		}
		s->logs[i].pending_raw = s->logs[i].durable.raw;
	}
	*out = s;
	return 0;
}

static void
remove_run(void *state, void *arg)
{
	(void)state;
	ex_spool_file_remove(arg);
}

static void
remove_done(void *arg)
{
	free(arg);
}

static void
finish_close(struct ex_spool *s)
{
	if (s->remove) {
		char *dir = xstrdup(s->dir);

		if (!work_submit(s->pool, "spool remove", s->key, remove_run, remove_done, dir)) {
			ex_spool_file_remove(dir);
			free(dir);
		}
	}
	destroy(s);
}

void
ex_spool_free(struct ex_spool *s, bool remove)
{
	if (s == NULL)
		return;
	s->closing = true;
	s->remove = remove;
	if (!s->busy)
		finish_close(s);
}

const char *
ex_spool_dir(const struct ex_spool *s)
{
	return s->dir;
}

/* Runs on a worker. */
static void
round_run(void *state, void *arg)
{
	struct round *r = arg;
	unsigned i;

	(void)state;
	for (i = 0; i < r->nlogs; i++) {
		struct round_log *l = &r->logs[i];

		if (ex_spool_file_append(
		        l->fd, &l->pos, l->raw_end, l->bytes.data, l->bytes.len, &r->err) != 0)
			return;
		if (fdatasync(l->fd) != 0) {
			err_set_errno(&r->err, errno, "sync the spool");
			return;
		}
	}
	if (r->new_files && ex_spool_sync_dir(r->dir, &r->err) != 0)
		return;
	/* After the logs: a state never speaks of bytes that are not there. */
	if (r->state != NULL &&
	    ex_spool_state_write(&r->spool->file, r->dir, r->state, strlen(r->state), &r->err) != 0)
		return;
}

static void
round_free(struct round *r)
{
	unsigned i;

	for (i = 0; i < r->nlogs; i++)
		buf_free(&r->logs[i].bytes);
	free(r->logs);
	free(r->state);
	free(r->dir);
	err_clear(&r->err);
	free(r);
}

/* Puts what could not be written back in front of what came since. */
static void
take_back(struct ex_spool *s, struct round *r)
{
	unsigned i;

	for (i = 0; i < r->nlogs; i++) {
		struct spool_log *l = &s->logs[r->logs[i].index];

		buf_append(&r->logs[i].bytes, l->pending.data, l->pending.len);
		buf_free(&l->pending);
		l->pending = r->logs[i].bytes;
		r->logs[i].bytes = (struct buf)BUF_INIT;
	}
	if (r->state != NULL && s->state == NULL)
		s->state = steal(&r->state);
}

static void
round_done(void *arg)
{
	struct round *r = arg;
	struct ex_spool *s = r->spool;
	unsigned i;
	bool failed = r->err != NULL;

	s->busy = false;
	if (failed && !s->closing) {
		take_back(s, r);
		log_err(LOG_WARN, "the spool cannot be written, trying again", &r->err,
		    LOG_STR("dir", s->dir));
		loop_timer_start(s->retry, RETRY_MS);
	}
	if (!failed && r->new_files)
		s->new_files = false;
	for (i = 0; i < r->nlogs && !failed; i++)
		s->logs[r->logs[i].index].durable = r->logs[i].pos;
	if (!failed && r->state != NULL)
		s->state_durable = r->state_no;
	round_free(r);
	if (s->closing) {
		finish_close(s);
	} else if (!failed) {
		start_round(s);
		s->on_durable(s->arg);
	}
}

static void
round_add(struct ex_spool *s, struct round *r, unsigned i)
{
	struct spool_log *l = &s->logs[i];
	struct round_log *out;
	auto_err err = NULL;

	if (ex_spool_settled(s, (int)i - 1))
		return;
	if (l->fd < 0 && open_log(s, i, &err) != 0) {
		log_err(LOG_WARN, "the spool cannot be written, trying again", &err,
		    LOG_STR("dir", s->dir));
		loop_timer_start(s->retry, RETRY_MS);
		return;
	}
	s->new_files |= l->durable.file == 0;
	out = &r->logs[r->nlogs++];
	*out = (struct round_log){ .fd = l->fd,
		.index = i,
		.bytes = l->pending,
		.raw_end = l->pending_raw,
		.pos = l->durable };
	l->pending = (struct buf)BUF_INIT;
}

static void
start_round(struct ex_spool *s)
{
	struct round *r;
	unsigned i;

	if (s->busy || s->closing || loop_timer_armed(s->retry))
		return;
	r = xcalloc(1, sizeof(*r));
	r->spool = s;
	r->dir = xstrdup(s->dir);
	r->logs = xcalloc(s->nlogs, sizeof(*r->logs));
	for (i = 0; i < s->nlogs; i++)
		round_add(s, r, i);
	r->new_files = s->new_files;
	r->state = steal(&s->state);
	r->state_no = s->state_no;
	if (r->nlogs == 0 && r->state == NULL) {
		round_free(r);
		return;
	}
	s->busy = true;
	if (!work_submit(s->pool, "spool write", s->key, round_run, round_done, r)) {
		s->busy = false;
		take_back(s, r);
		round_free(r);
		loop_timer_start(s->retry, RETRY_MS);
	}
}

void
ex_spool_append(struct ex_spool *s, int step, uint64_t raw_end, const void *p, size_t n)
{
	struct spool_log *l = &s->logs[step + 1];

	MUST(step >= -1 && (unsigned)(step + 1) < s->nlogs && raw_end >= l->pending_raw);
	buf_append(&l->pending, p, n);
	l->pending_raw = raw_end;
	start_round(s);
}

struct ex_spool_pos
ex_spool_durable(const struct ex_spool *s, int step)
{
	return s->logs[step + 1].durable;
}

bool
ex_spool_settled(const struct ex_spool *s, int step)
{
	const struct spool_log *l = &s->logs[step + 1];

	return l->pending_raw == l->durable.raw;
}

size_t
ex_spool_pending(const struct ex_spool *s)
{
	size_t n = 0;
	unsigned i;

	for (i = 0; i < s->nlogs; i++)
		n += s->logs[i].pending.len;
	return n;
}

uint64_t
ex_spool_put_state(struct ex_spool *s, const char *text)
{
	free(s->state);
	s->state = xstrdup(text);
	s->state_no++;
	start_round(s);
	return s->state_no;
}

uint64_t
ex_spool_state_durable(const struct ex_spool *s)
{
	return s->state_durable;
}
