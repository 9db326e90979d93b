#include "proto/toolbox_msg.h"

#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"

/* --- writing --- */

struct writer {
	uint8_t *p;
	size_t len, cap;
	bool failed;
};

static void
put_bytes(struct writer *w, const void *p, size_t n)
{
	if (w->failed)
		return;
	if (n > FRAME_PAYLOAD_MAX - w->len) {
		w->failed = true;
		return;
	}
	if (w->len + n > w->cap) {
		size_t cap = w->cap > 0 ? w->cap : 256;
		while (cap < w->len + n)
			cap *= 2;
		uint8_t *b = realloc(w->p, cap);
		if (b == NULL) {
			w->failed = true;
			return;
		}
		w->p = b;
		w->cap = cap;
	}
	if (n > 0)
		memcpy(w->p + w->len, p, n);
	w->len += n;
}

static void
put_int(struct writer *w, uint64_t v, size_t width)
{
	uint8_t b[8];

	for (size_t i = 0; i < width; i++)
		b[i] = (uint8_t)(v >> (8 * i));
	put_bytes(w, b, width);
}

static void
put_text(struct writer *w, const char *s)
{
	size_t n = s != NULL ? strlen(s) : 0;

	if (n > FRAME_PAYLOAD_MAX) {
		w->failed = true;
		return;
	}
	put_int(w, n, 4);
	put_bytes(w, s, n);
}

static void
put_list(struct writer *w, char *const *list, uint32_t n)
{
	if (n > MSG_LIST_MAX)
		w->failed = true;
	put_int(w, n, 4);
	for (uint32_t i = 0; i < n && !w->failed; i++)
		put_text(w, list[i]);
}

static uint8_t *
finish(struct writer *w, size_t *len)
{
	if (w->failed || w->p == NULL) {
		free(w->p);
		*len = 0;
		return NULL;
	}
	*len = w->len;
	return w->p;
}

/* --- reading --- */

struct reader {
	const uint8_t *p;
	size_t left;
	bool bad;
	/* Block of a decoded START: arrays grow from the front, texts from the back. */
	char *front, *back;
};

static const uint8_t *
get_bytes(struct reader *r, size_t n)
{
	if (r->bad || n > r->left) {
		r->bad = true;
		return NULL;
	}
	const uint8_t *p = r->p;
	r->p += n;
	r->left -= n;
	return p;
}

static uint64_t
get_int(struct reader *r, size_t width)
{
	const uint8_t *p = get_bytes(r, width);
	uint64_t v = 0;

	for (size_t i = 0; p != NULL && i < width; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static bool
get_bool(struct reader *r)
{
	uint64_t v = get_int(r, 1);

	if (v > 1)
		r->bad = true;
	return v == 1;
}

/* Borrowed text of *n bytes without NUL in it. */
static const uint8_t *
get_text(struct reader *r, size_t *n)
{
	*n = (size_t)get_int(r, 4);
	const uint8_t *p = get_bytes(r, *n);
	if (p != NULL && memchr(p, 0, *n) != NULL)
		r->bad = true;
	return r->bad ? NULL : p;
}

static char *
copy_text(struct reader *r)
{
	size_t n;
	const uint8_t *p = get_text(r, &n);

	if (p == NULL)
		return NULL;
	if ((size_t)(r->back - r->front) < n + 1) {
		r->bad = true;
		return NULL;
	}
	r->back -= n + 1;
	memcpy(r->back, p, n);
	r->back[n] = '\0';
	return r->back;
}

/* Zeroed room for count elements of size and a zero element after them; size is a multiple of 8. */
static void *
take_array(struct reader *r, uint32_t count, size_t size)
{
	size_t n = ((size_t)count + 1) * size;

	if (r->bad || (size_t)(r->back - r->front) < n) {
		r->bad = true;
		return NULL;
	}
	void *a = r->front;
	memset(a, 0, n);
	r->front += n;
	return a;
}

/* Every element takes at least width bytes, so a count cannot ask for more than is there. */
static uint32_t
get_count(struct reader *r, size_t width)
{
	uint64_t n = get_int(r, 4);

	if (n > MSG_LIST_MAX || n > r->left / width)
		r->bad = true;
	return r->bad ? 0 : (uint32_t)n;
}

static char **
copy_list(struct reader *r, uint32_t *count)
{
	uint32_t n = get_count(r, 4);
	char **a = take_array(r, n, sizeof(char *));

	for (uint32_t i = 0; a != NULL && i < n; i++)
		a[i] = copy_text(r);
	*count = a != NULL ? n : 0;
	return a;
}

static bool
done(const struct reader *r)
{
	return !r->bad && r->left == 0;
}

/* --- HELLO --- */

uint8_t *
msg_hello_encode(const struct msg_hello *m, size_t *len)
{
	struct writer w = { 0 };

	put_int(&w, m->version_min, 2);
	put_int(&w, m->version_max, 2);
	put_int(&w, (uint32_t)m->log_step, 4);
	put_int(&w, m->log_offset, 8);
	return finish(&w, len);
}

bool
msg_hello_decode(struct msg_hello *m, const uint8_t *p, size_t n)
{
	struct reader r = { .p = p, .left = n };

	memset(m, 0, sizeof(*m));
	m->version_min = (uint16_t)get_int(&r, 2);
	m->version_max = (uint16_t)get_int(&r, 2);
	m->log_step = (int32_t)get_int(&r, 4);
	m->log_offset = get_int(&r, 8);
	return done(&r);
}

/* --- START, SPAWN --- */

uint8_t *
msg_start_encode(const struct msg_start *m, size_t *len)
{
	struct writer w = { 0 };

	put_int(&w, (uint32_t)m->step, 4);
	put_int(&w, m->attempt, 4);
	put_int(&w, m->kind, 1);
	put_int(&w, m->tty, 1);
	put_list(&w, m->argv, m->nargv);
	put_int(&w, m->script != NULL, 1);
	put_text(&w, m->script);
	put_list(&w, m->env, m->nenv);
	put_text(&w, m->working_dir);
	put_text(&w, m->user);
	if (m->ncontents > MSG_LIST_MAX)
		w.failed = true;
	put_int(&w, m->ncontents, 4);
	for (uint32_t i = 0; i < m->ncontents && !w.failed; i++) {
		put_text(&w, m->contents[i].source_dir);
		put_text(&w, m->contents[i].dest_dir);
		put_list(&w, m->contents[i].paths, m->contents[i].npaths);
	}
	put_text(&w, m->dest_dir);
	put_int(&w, m->size_max, 8);
	put_int(&w, m->entries_max, 8);
	put_int(&w, m->resume_at, 8);
	return finish(&w, len);
}

/* The block starts with its size; argv's array comes right behind it, so argv finds the block. */
#define BLOCK_HEAD 16

static void
get_contents(struct reader *r, struct msg_start *m)
{
	uint32_t n = get_count(r, 12);

	_Static_assert(sizeof(struct msg_content) % 8 == 0, "arrays stay aligned");
	m->contents = take_array(r, n, sizeof(struct msg_content));
	for (uint32_t i = 0; m->contents != NULL && i < n; i++) {
		m->contents[i].source_dir = copy_text(r);
		m->contents[i].dest_dir = copy_text(r);
		m->contents[i].paths = copy_list(r, &m->contents[i].npaths);
	}
	m->ncontents = m->contents != NULL ? n : 0;
}

bool
msg_start_decode(struct msg_start *m, const uint8_t *p, size_t n)
{
	struct reader r = { .p = p, .left = n };
	/* 12 encoded bytes become at most 50 here (an empty content), plus four zero elements. */
	size_t size = BLOCK_HEAD + 256 + n * 5;

	memset(m, 0, sizeof(*m));
	if (n > FRAME_PAYLOAD_MAX)
		return false;
	char *block = malloc(size);
	if (block == NULL)
		return false;
	memcpy(block, &size, sizeof(size));
	r.front = block + BLOCK_HEAD;
	r.back = block + size;

	m->step = (int32_t)get_int(&r, 4);
	m->attempt = (uint32_t)get_int(&r, 4);
	m->kind = (uint8_t)get_int(&r, 1);
	m->tty = get_bool(&r);
	m->argv = copy_list(&r, &m->nargv);
	bool has_script = get_bool(&r);
	m->script = copy_text(&r);
	if (!has_script)
		m->script = NULL;
	m->env = copy_list(&r, &m->nenv);
	m->working_dir = copy_text(&r);
	m->user = copy_text(&r);
	get_contents(&r, m);
	m->dest_dir = copy_text(&r);
	m->size_max = get_int(&r, 8);
	m->entries_max = get_int(&r, 8);
	m->resume_at = get_int(&r, 8);
	if (done(&r))
		/* cppcheck-suppress memleak ; its first list, argv, begins in it: msg_start_fini */
		return true;
	explicit_bzero(block, size);
	free(block);
	memset(m, 0, sizeof(*m));
	return false;
}

void
msg_start_fini(struct msg_start *m)
{
	if (m->argv != NULL) {
		char *block = (char *)m->argv - BLOCK_HEAD;
		size_t size;
		memcpy(&size, block, sizeof(size));
		explicit_bzero(block, size);
		free(block);
	}
	memset(m, 0, sizeof(*m));
}

/* --- the small ones --- */

uint8_t *
msg_position_encode(const struct msg_position *m, size_t *len)
{
	struct writer w = { 0 };

	put_int(&w, (uint32_t)m->step, 4);
	put_int(&w, m->offset, 8);
	return finish(&w, len);
}

bool
msg_position_decode(struct msg_position *m, const uint8_t *p, size_t n)
{
	struct reader r = { .p = p, .left = n };

	m->step = (int32_t)get_int(&r, 4);
	m->offset = get_int(&r, 8);
	return done(&r);
}

uint8_t *
msg_credit_encode(const struct msg_credit *m, size_t *len)
{
	struct writer w = { 0 };

	put_int(&w, (uint32_t)m->step, 4);
	put_int(&w, m->attempt, 4);
	put_int(&w, m->total, 8);
	return finish(&w, len);
}

bool
msg_credit_decode(struct msg_credit *m, const uint8_t *p, size_t n)
{
	struct reader r = { .p = p, .left = n };

	m->step = (int32_t)get_int(&r, 4);
	m->attempt = (uint32_t)get_int(&r, 4);
	m->total = get_int(&r, 8);
	return done(&r);
}

uint8_t *
msg_lease_encode(const struct msg_lease *m, size_t *len)
{
	struct writer w = { 0 };

	put_int(&w, m->ms, 8);
	return finish(&w, len);
}

bool
msg_lease_decode(struct msg_lease *m, const uint8_t *p, size_t n)
{
	struct reader r = { .p = p, .left = n };

	m->ms = get_int(&r, 8);
	return done(&r);
}

uint8_t *
msg_kill_encode(const struct msg_kill *m, size_t *len)
{
	struct writer w = { 0 };

	put_int(&w, (uint32_t)m->step, 4);
	put_int(&w, (uint32_t)m->signal, 4);
	put_int(&w, m->grace_ms, 4);
	return finish(&w, len);
}

bool
msg_kill_decode(struct msg_kill *m, const uint8_t *p, size_t n)
{
	struct reader r = { .p = p, .left = n };

	m->step = (int32_t)get_int(&r, 4);
	m->signal = (int32_t)get_int(&r, 4);
	m->grace_ms = (uint32_t)get_int(&r, 4);
	return done(&r);
}

uint8_t *
msg_data_encode(const struct msg_data *m, size_t *len)
{
	struct writer w = { 0 };

	put_int(&w, (uint32_t)m->step, 4);
	put_int(&w, m->attempt, 4);
	put_int(&w, m->offset, 8);
	if (m->len > FRAME_DATA_MAX)
		w.failed = true;
	put_int(&w, m->len, 4);
	put_bytes(&w, m->bytes, m->len);
	return finish(&w, len);
}

bool
msg_data_decode(struct msg_data *m, const uint8_t *p, size_t n)
{
	struct reader r = { .p = p, .left = n };

	m->step = (int32_t)get_int(&r, 4);
	m->attempt = (uint32_t)get_int(&r, 4);
	m->offset = get_int(&r, 8);
	m->len = (size_t)get_int(&r, 4);
	m->bytes = get_bytes(&r, m->len);
	return done(&r) && m->len <= FRAME_DATA_MAX && m->offset <= UINT64_MAX - m->len;
}

uint8_t *
msg_welcome_encode(const struct msg_welcome *m, size_t *len)
{
	struct writer w = { 0 };

	put_int(&w, m->version, 2);
	put_int(&w, (uint32_t)m->step, 4);
	put_int(&w, m->attempt, 4);
	put_int(&w, m->running, 1);
	put_int(&w, m->log_end, 8);
	put_int(&w, m->log_start, 8);
	put_int(&w, m->data_offset, 8);
	return finish(&w, len);
}

bool
msg_welcome_decode(struct msg_welcome *m, const uint8_t *p, size_t n)
{
	struct reader r = { .p = p, .left = n };

	m->version = (uint16_t)get_int(&r, 2);
	m->step = (int32_t)get_int(&r, 4);
	m->attempt = (uint32_t)get_int(&r, 4);
	m->running = get_bool(&r);
	m->log_end = get_int(&r, 8);
	m->log_start = get_int(&r, 8);
	m->data_offset = get_int(&r, 8);
	return done(&r);
}

/* --- RESULT --- */

uint8_t *
msg_result_encode(const struct msg_result *m, size_t *len)
{
	struct writer w = { 0 };

	put_int(&w, (uint32_t)m->step, 4);
	put_int(&w, m->attempt, 4);
	put_int(&w, (uint32_t)m->exit_status, 4);
	put_int(&w, m->log_end, 8);
	put_int(&w, m->archive_end, 8);
	put_int(&w, m->user_us, 8);
	put_int(&w, m->system_us, 8);
	put_int(&w, m->max_rss_kb, 8);
	put_text(&w, m->error);
	return finish(&w, len);
}

bool
msg_result_decode(struct msg_result *m, const uint8_t *p, size_t n)
{
	struct reader r = { .p = p, .left = n };
	size_t elen;

	memset(m, 0, sizeof(*m));
	m->step = (int32_t)get_int(&r, 4);
	m->attempt = (uint32_t)get_int(&r, 4);
	m->exit_status = (int32_t)get_int(&r, 4);
	m->log_end = get_int(&r, 8);
	m->archive_end = get_int(&r, 8);
	m->user_us = get_int(&r, 8);
	m->system_us = get_int(&r, 8);
	m->max_rss_kb = get_int(&r, 8);
	const uint8_t *e = get_text(&r, &elen);
	if (e == NULL || !done(&r))
		return false;
	m->error = malloc(elen + 1);
	if (m->error == NULL)
		return false;
	memcpy(m->error, e, elen);
	m->error[elen] = '\0';
	return true;
}

void
msg_result_fini(struct msg_result *m)
{
	free(m->error);
	m->error = NULL;
}
