#include "executor/host.h"

#include "common/crypto.h"
#include "common/log.h"
#include "common/mem.h"
#include "executor/engine_json.h"

#include <string.h>

#define TAR_BLOCK 512

struct ex_host_wait {
	struct ex_host *host;
	void (*done)(struct err **, void *);
	void *arg;
	struct ex_host_wait *next;
};

struct ex_host {
	struct ex *ex;
	char *network, *volume, *helper;
	bool own_network;
	struct buf tar; /* the toolbox as an archive with one file */
	bool ready, busy;
	char *image;
	struct ex_call *call;
	struct loop_timer *soon;
	struct ex_host_wait *waits;
};

static void next_helper(struct ex_host *h);

/* One ustar header: fixed name, mode 0755, owned by root. */
static void
tar_header(uint8_t *out, const char *name, size_t size)
{
	static const char magic[8] = { 'u', 's', 't', 'a', 'r', '\0', '0', '0' };
	unsigned sum = 0;
	size_t i;

	memset(out, 0, TAR_BLOCK);
	snprintf((char *)out, 100, "%s", name);
	memcpy(out + 100, "0000755", 8);
	memcpy(out + 108, "0000000", 8);
	memcpy(out + 116, "0000000", 8);
	snprintf((char *)out + 124, 12, "%011zo", size);
	memcpy(out + 136, "00000000000", 12);
	memset(out + 148, ' ', 8);
	out[156] = '0';
	memcpy(out + 257, magic, sizeof(magic));
	for (i = 0; i < TAR_BLOCK; i++)
		sum += out[i];
	snprintf((char *)out + 148, 8, "%06o", sum);
}

static int
read_toolbox(struct ex_host *h, struct err **err)
{
	auto_free char *bytes = NULL;
	uint8_t header[TAR_BLOCK];
	static const uint8_t zeros[3 * TAR_BLOCK];
	char hash[CRYPTO_SHA256_HEX_LEN + 1];
	size_t n;
	int rc = config_read_file(&bytes, &n, h->ex->cfg->toolbox, EX_TOOLBOX_MAX, err);

	if (rc != 0)
		return err_wrap(err, "toolbox");
	if (n < 4 || memcmp(bytes, "\177ELF", 4) != 0)
		return err_set(err, ERR_INVALID, "toolbox: %s is no program for containers",
		    h->ex->cfg->toolbox);
	crypto_sha256_hex(hash, bytes, n);
	h->volume = xasprintf("millrace-toolbox-%s-%.12s", h->ex->cfg->id, hash);
	h->helper = xasprintf("millrace-helper-%s", h->ex->cfg->id);
	tar_header(header, "millrace-toolbox", n);
	buf_append(&h->tar, header, sizeof(header));
	buf_append(&h->tar, bytes, n);
	buf_append(&h->tar, zeros, (size_t)2 * TAR_BLOCK + (TAR_BLOCK - n % TAR_BLOCK) % TAR_BLOCK);
	return 0;
}

static void
answer(struct ex_host *h, struct err **err)
{
	struct ex_host_wait *list = steal(&h->waits), *w;

	h->busy = false;
	h->ready = *err == NULL;
	while ((w = list) != NULL) {
		auto_err copy = NULL;

		list = w->next;
		if (*err != NULL)
			err_set(&copy, (*err)->code, "%s", (*err)->msg);
		/* Those still in line may be cancelled meanwhile. */
		h->waits = list;
		w->done(&copy, w->arg);
		list = steal(&h->waits);
		free(w);
	}
}

static void
call(struct ex_host *h, const char *method, const char *path, const json_t *body, ex_call_fn done)
{
	const struct ex_call_options opt = {
		.method = method, .path = path, .json = body, .done = done, .arg = h
	};

	h->call = ex_engine_call(h->ex->engine, &opt);
}

/* --- the volume --- */

/* An executor that was killed may have begun the removal, which the engine goes on with. */
static void
remove_helper(struct ex_host *h, ex_call_fn done)
{
	auto_free char *path = xasprintf("/containers/%s?v=1&force=1", h->helper);
	const struct ex_call_options opt = {
		.method = "DELETE", .path = path, .conflict_passes = true, .done = done, .arg = h
	};

	h->call = ex_engine_call(h->ex->engine, &opt);
}

static void
on_helper_gone(json_t *a, struct err **err, void *arg)
{
	struct ex_host *h = arg;

	(void)a;
	h->call = NULL;
	if (*err != NULL && (*err)->code == ERR_NOTFOUND)
		err_clear(err);
	if (*err != NULL)
		log_err(LOG_WARN, "the helper container cannot be removed", err);
	answer(h, err);
}

static void
on_filled(json_t *a, struct err **err, void *arg)
{
	struct ex_host *h = arg;

	(void)a;
	h->call = NULL;
	if (*err != NULL) {
		err_wrap(err, "put the toolbox into the volume %s", h->volume);
		answer(h, err);
		return;
	}
	remove_helper(h, on_helper_gone);
}

static void
on_helper(json_t *a, struct err **err, void *arg)
{
	struct ex_host *h = arg;
	auto_free char *path = xasprintf("/containers/%s/archive?path=" EX_MOUNT_BIN, h->helper);
	const struct ex_call_options opt = { .method = "PUT",
		.path = path,
		.raw = h->tar.data,
		.raw_len = h->tar.len,
		.done = on_filled,
		.arg = h };

	(void)a;
	h->call = NULL;
	if (*err != NULL && (*err)->code != ERR_CONFLICT) {
		err_wrap(err, "create the helper container");
		answer(h, err);
		return;
	}
	h->call = ex_engine_call(h->ex->engine, &opt);
}

static void
on_old_helper_gone(json_t *a, struct err **err, void *arg)
{
	struct ex_host *h = arg;
	const struct ex_owner owner = { .executor = h->ex->cfg->id };
	auto_json *body = ex_json_helper(&owner, h->image, h->volume);
	auto_free char *path = xasprintf("/containers/create?name=%s", h->helper);

	(void)a;
	h->call = NULL;
	if (*err != NULL && (*err)->code != ERR_NOTFOUND) {
		err_wrap(err, "remove an old helper container");
		answer(h, err);
		return;
	}
	call(h, "POST", path, body, on_helper);
}

static void
next_helper(struct ex_host *h)
{
	remove_helper(h, on_old_helper_gone);
}

/* --- the network --- */

static void
on_network_made(json_t *a, struct err **err, void *arg)
{
	struct ex_host *h = arg;

	(void)a;
	h->call = NULL;
	if (*err != NULL && (*err)->code != ERR_CONFLICT) {
		err_wrap(err, "create the network %s", h->network);
		answer(h, err);
		return;
	}
	next_helper(h);
}

static void
on_network(json_t *a, struct err **err, void *arg)
{
	struct ex_host *h = arg;
	const struct ex_owner owner = { .executor = h->ex->cfg->id };

	(void)a;
	h->call = NULL;
	if (*err == NULL) {
		next_helper(h);
	} else if ((*err)->code == ERR_NOTFOUND && h->own_network) {
		auto_json *body = ex_json_network(&owner, h->network);

		call(h, "POST", "/networks/create", body, on_network_made);
	} else {
		err_wrap(err, "the network %s for tasks", h->network);
		answer(h, err);
	}
}

static void
begin(void *arg)
{
	struct ex_host *h = arg;
	auto_free char *name = http_encode(h->network);
	auto_free char *path = xasprintf("/networks/%s", name);
	auto_err none = NULL;

	if (h->ready)
		answer(h, &none);
	else
		call(h, "GET", path, NULL, on_network);
}

/* --- life --- */

int
ex_host_new(struct ex_host **out, struct ex *ex, struct err **err)
{
	struct ex_host *h = xcalloc(1, sizeof(*h));
	int rc;

	h->ex = ex;
	h->own_network = ex->cfg->network == NULL || *ex->cfg->network == '\0';
	h->network =
	    h->own_network ? xasprintf("millrace-%s", ex->cfg->id) : xstrdup(ex->cfg->network);
	h->soon = loop_timer_new(ex->loop, "host", begin, h);
	*out = h;
	rc = read_toolbox(h, err);
	return rc;
}

void
ex_host_free(struct ex_host *h)
{
	if (h == NULL)
		return;
	ex_call_cancel(h->call);
	loop_timer_free(h->soon);
	buf_free(&h->tar);
	free(h->network);
	free(h->volume);
	free(h->helper);
	free(h->image);
	free(h);
}

const char *
ex_host_network(const struct ex_host *h)
{
	return h->network;
}

const char *
ex_host_volume(const struct ex_host *h)
{
	return h->volume;
}

bool
ex_host_uses(const struct ex_host *h, const char *name)
{
	return strcmp(name, h->network) == 0 || strcmp(name, h->volume) == 0;
}

bool
ex_host_busy(const struct ex_host *h)
{
	return h->busy;
}

struct ex_host_wait *
ex_host_need(struct ex_host *h, const char *image, void (*done)(struct err **, void *), void *arg)
{
	struct ex_host_wait *w = xcalloc(1, sizeof(*w));

	w->host = h;
	w->done = done;
	w->arg = arg;
	w->next = h->waits;
	h->waits = w;
	if (!h->busy) {
		h->busy = true;
		free(h->image);
		h->image = xstrdup(image);
		loop_timer_start(h->soon, 0);
	}
	return w;
}

void
ex_host_cancel(struct ex_host_wait *w)
{
	struct ex_host_wait **at;

	if (w == NULL)
		return;
	for (at = &w->host->waits; *at != NULL; at = &(*at)->next)
		if (*at == w) {
			*at = w->next;
			free(w);
			return;
		}
}

void
ex_host_doubt(struct ex_host *h)
{
	h->ready = false;
}
