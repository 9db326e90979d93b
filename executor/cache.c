/*
 * Steps of caches: first the toolbox renders the keys, as an attempt of the step of its own; then
 * the archive goes as those of workspaces do (save.c, restore.c).
 *
 * What a restarted executor no longer knows is asked for again: keys are rendered anew. Only the
 * archive that a restore has begun to unpack is in the state on disk, because a second one could
 * not be unpacked over half of the first.
 */
#include "executor/task_int.h"

#include "common/mem.h"

#include <stdio.h>
#include <string.h>

#define KEYS_MAX 100
#define KEY_MAX 4096 /* what the toolbox allows */
#define OUTPUT_MAX ((uint64_t)KEYS_MAX * (KEY_MAX + 1))
#define TEXT_MAX 1024
#define ATTEMPTS_MAX 50

enum doing {
	RENDERING = 1,
	MOVING, /* save.c or restore.c are at work, or asked for */
	SAYING, /* a last line for the log */
};

struct ex_cache {
	enum doing doing;
	struct buf out;
	char **keys; /* rendered */
	size_t nkeys;
	char line[TEXT_MAX];
	struct ex_rs_call *call;
	Millrace__ArchiveRef ref;
};

static const Millrace__Step *
spec_of(const struct ex_task *t)
{
	return t->plan->spec->steps[t->step.index];
}

static bool
saves(const struct ex_task *t)
{
	return spec_of(t)->type == MILLRACE__STEP_TYPE__STEP_SAVE_CACHE;
}

char **
ex_cache_templates(const struct ex_task *t, size_t *n)
{
	const Millrace__Step *s = spec_of(t);

	*n = saves(t) ? s->cache_key != NULL : s->n_cache_keys;
	if (t->step.cache != NULL && t->step.cache->doing == SAYING)
		*n = 0;
	return saves(t) ? (char **)(uintptr_t)&s->cache_key : s->cache_keys;
}

const char *
ex_cache_line(const struct ex_task *t)
{
	return t->step.cache != NULL ? t->step.cache->line : "";
}

static void
keys_free(struct ex_cache *c)
{
	size_t i;

	for (i = 0; i < c->nkeys; i++)
		free(c->keys[i]);
	free(c->keys);
	c->keys = NULL;
	c->nkeys = 0;
}

void
ex_cache_free(struct ex_task *t)
{
	struct ex_cache *c = steal(&t->step.cache);

	if (c == NULL)
		return;
	ex_rs_cancel(c->call);
	keys_free(c);
	buf_free(&c->out);
	free(c);
}

bool
ex_cache_rendering(const struct ex_task *t)
{
	return t->step.cache != NULL && t->step.cache->doing != MOVING;
}

bool
ex_cache_over(const struct ex_task *t)
{
	return t->step.cache != NULL && t->step.cache->doing == SAYING;
}

const char *
ex_cache_key(const struct ex_task *t)
{
	return t->step.cache != NULL && t->step.cache->nkeys > 0 ? t->step.cache->keys[0] : NULL;
}

const Millrace__ArchiveRef *
ex_cache_ref(const struct ex_task *t)
{
	return t->step.cache != NULL ? &t->step.cache->ref : NULL;
}

/* The next attempt does something else; until it starts nothing of the step runs in the container.
 */
static void
turn_to(struct ex_task *t, enum doing doing)
{
	t->step.cache->doing = doing;
	t->step.have_result = false;
	t->step.sent = false;
	ex_step_next_attempt(t);
}

void
ex_cache_say(struct ex_task *t, const char *line)
{
	snprintf(t->step.cache->line, TEXT_MAX, "%s", line);
	turn_to(t, SAYING);
}

/* --- rendering --- */

static void
send_credit(struct ex_task *t)
{
	struct msg_credit m = {
		.step = t->step.index, .attempt = t->st->attempt, .total = OUTPUT_MAX
	};
	size_t n;
	uint8_t *p = msg_credit_encode(&m, &n);

	ex_task_send(t, FRAME_CREDIT, p, n);
}

static void
start(struct ex_task *t)
{
	if (ex_link_up(t->link) && ex_step_send_start(t))
		send_credit(t);
}

static void
again(struct ex_task *t)
{
	buf_clear(&t->step.cache->out);
	if (t->st->attempt >= ATTEMPTS_MAX)
		ex_step_fail(t, "the stream to the container broke %d times", ATTEMPTS_MAX);
	else
		turn_to(t, t->step.cache->doing);
}

void
ex_cache_up(struct ex_task *t, const struct msg_welcome *w)
{
	if (w->step == t->step.index && w->attempt == t->st->attempt) {
		if (w->running)
			again(t);
	} else if (t->step.ready) {
		start(t);
	}
}

void
ex_cache_data(struct ex_task *t, const struct msg_data *d)
{
	struct ex_cache *c = t->step.cache;

	if (d->step != t->step.index || d->attempt != t->st->attempt || d->offset != c->out.len)
		return;
	if (d->len > OUTPUT_MAX - c->out.len)
		ex_step_fail(t, "the toolbox gave more keys than were asked for");
	else
		buf_append(&c->out, d->bytes, d->len);
}

static bool
take_keys(struct ex_cache *c, size_t wanted)
{
	const char *p = c->out.data;
	size_t left = c->out.len;

	keys_free(c);
	c->keys = xcalloc(wanted + 1, sizeof(*c->keys));
	while (c->nkeys < wanted && left > 0) {
		const char *end = memchr(p, '\0', left);

		if (end == NULL)
			return false;
		c->keys[c->nkeys++] = xstrdup(p);
		left -= (size_t)(end - p) + 1;
		p = end + 1;
	}
	return c->nkeys == wanted && left == 0;
}

static bool
is_secret(const struct ex_task *t, const char *value)
{
	size_t n = strlen(value), i;

	for (i = 0; n >= MASK_SECRET_MIN && i < t->plan->n_secrets; i++) {
		if (t->plan->secrets[i].len == n && memcmp(t->plan->secrets[i].data, value, n) == 0)
			return true;
	}
	return false;
}

/* A variable that a key asks for and whose secret is in it; NULL: none. By chance, as in a
 * checksum, a short one may be in any key. */
static const char *
secret_in_keys(const struct ex_task *t, Millrace__EnvVar *const *env, size_t n)
{
	const struct ex_cache *c = t->step.cache;
	size_t ntemplates, i, j;
	char **templates = ex_cache_templates(t, &ntemplates);

	for (i = 0; i < n; i++) {
		const char *value = env[i]->value->literal;

		if (value == NULL || !is_secret(t, value))
			continue;
		for (j = 0; j < c->nkeys && j < ntemplates; j++) {
			if (strstr(templates[j], env[i]->name) != NULL &&
			    strstr(c->keys[j], value) != NULL)
				return env[i]->name;
		}
	}
	return NULL;
}

static const char *
secret_named(const struct ex_task *t)
{
	const Millrace__TaskSpec *s = t->plan->spec;
	const char *name = secret_in_keys(t, s->environment, s->n_environment);

	if (name == NULL && s->n_containers > 0)
		name = secret_in_keys(
		    t, s->containers[0]->environment, s->containers[0]->n_environment);
	return name;
}

/* --- restore: which archive --- */

static void
say_none(struct ex_task *t)
{
	const struct ex_cache *c = t->step.cache;
	auto_buf b = BUF_INIT;
	size_t i;

	buf_puts(&b, "No cache has a key that begins with ");
	for (i = 0; i < c->nkeys; i++)
		buf_printf(&b, "%s\"%.300s\"", i == 0 ? "" : " or ", c->keys[i]);
	buf_puts(&b, ": nothing is restored.");
	ex_cache_say(t, buf_str(&b));
}

static void
on_found(ProtobufCMessage *msg, struct err **err, void *arg)
{
	struct ex_task *t = arg;
	struct ex_cache *c = t->step.cache;
	const Millrace__CacheFindReply *m = (const Millrace__CacheFindReply *)msg;

	c->call = NULL;
	if (*err != NULL && (*err)->code == ERR_CONFLICT) {
		ex_task_drop(t, err_msg(*err));
	} else if (*err != NULL) {
		/* Nothing of it runs: there is nothing to be killed. */
		t->step.have_result = true;
		ex_step_fail(t, "%s", err_msg(*err));
		ex_step_check(t);
	} else if (m->archive_id == NULL || !id_is_valid(m->archive_id)) {
		say_none(t);
	} else {
		snprintf(
		    c->line, TEXT_MAX, "Restoring the cache \"%s\"", m->key != NULL ? m->key : "");
		memcpy(t->st->archive, m->archive_id, sizeof(t->st->archive));
		turn_to(t, MOVING);
	}
}

static void
find(struct ex_task *t)
{
	struct ex_cache *c = t->step.cache;
	Millrace__CacheFindRequest req = MILLRACE__CACHE_FIND_REQUEST__INIT;
	Millrace__Attempt attempt = MILLRACE__ATTEMPT__INIT;
	const struct ex_rs_options opt = { .method = "cache.find",
		.request = &req.base,
		.reply = &millrace__cache_find_reply__descriptor,
		.done = on_found,
		.arg = t };

	attempt.task_id = t->task_id;
	attempt.fence = t->fence;
	req.attempt = &attempt;
	req.step = (uint32_t)t->step.index;
	req.keys = c->keys;
	req.n_keys = c->nkeys;
	t->step.have_result = false;
	t->step.sent = false;
	c->call = ex_rs_call(t->ex->rs, &opt);
}

/* --- the flow --- */

void
ex_cache_result(struct ex_task *t)
{
	struct ex_cache *c = t->step.cache;
	const char *secret;
	size_t n;

	if (t->step.exit_status != 0 || t->step.own_error || t->killing || c->doing == SAYING)
		return;
	/* Bytes got lost with an attach, or this is the result of what a former life had started.
	 */
	if (c->out.len < t->step.archive_end || t->step.archive_end == 0) {
		again(t);
		return;
	}
	ex_cache_templates(t, &n);
	if (!take_keys(c, n)) {
		ex_step_fail(t, "the toolbox gave keys that cannot be understood");
	} else if ((secret = secret_named(t)) != NULL) {
		ex_step_fail(t,
		    "the value of %.100s is a secret and cannot be in a cache's key, which is "
		    "stored as it is",
		    secret);
	} else if (saves(t)) {
		snprintf(c->line, TEXT_MAX, "Saving the cache \"%s\"", c->keys[0]);
		turn_to(t, MOVING);
	} else {
		find(t);
	}
}

void
ex_cache_begin(struct ex_task *t)
{
	struct ex_cache *c = t->step.cache;
	size_t n;

	ex_cache_templates(t, &n);
	if (c == NULL && (n == 0 || n > KEYS_MAX)) {
		ex_step_own(t, -1, "A cache needs a key, and a restore has at most %d.", KEYS_MAX);
		return;
	}
	if (c == NULL) {
		c = t->step.cache = xcalloc(1, sizeof(*c));
		c->doing = saves(t) || t->st->archive[0] == '\0' ? RENDERING : MOVING;
	}
	if (c->doing != MOVING) {
		t->step.ready = true;
		start(t);
	} else if (saves(t)) {
		ex_save_begin(t);
	} else {
		millrace__archive_ref__init(&c->ref);
		c->ref.archive_id = t->st->archive;
		c->ref.task_name = t->plan->spec->name;
		c->ref.step = (uint32_t)t->step.index;
		ex_restore_begin(t);
	}
}
