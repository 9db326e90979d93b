/*
 * A connection that only listens, driven by the loop:
 *
 *   WAITING --timer--> CONNECTING --connected--> SUBSCRIBING --listen answered--> LISTENING
 *      ^---------------------any failure, with back-off--------------------------------'
 *
 * libpq may replace its socket while it connects, so the watcher is dropped before each
 * PQconnectPoll() and made anew afterwards.
 */
#include "common/db_int.h"

#include "common/buf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"

#include <string.h>

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 5000
#define CONNECT_TIMEOUT_MS 5000

enum listen_state { LISTEN_WAITING = 1, LISTEN_CONNECTING, LISTEN_SUBSCRIBING, LISTEN_LISTENING };

struct db_listen {
	struct loop *loop;
	char *conninfo;
	char **channels;
	size_t nchannels;
	db_notify_fn fn;
	void *arg;
	enum listen_state state;
	PGconn *conn;
	struct loop_io *io;
	struct loop_timer *timer;
	int64_t backoff_ms;
	bool logged; /* the present outage */
	bool busy;   /* inside fn */
	bool dead;   /* freed inside fn */
};

static void on_io(int fd, unsigned what, void *arg);

static void
drop_connection(struct db_listen *l)
{
	loop_io_free(l->io);
	l->io = NULL;
	PQfinish(l->conn);
	l->conn = NULL;
}

static void
destroy(struct db_listen *l)
{
	drop_connection(l);
	loop_timer_free(l->timer);
	for (size_t i = 0; i < l->nchannels; i++)
		free(l->channels[i]);
	free(l->channels);
	free(l->conninfo);
	free(l);
}

static void
failed(struct db_listen *l, const char *what)
{
	if (!l->logged) {
		char why[256] = "";
		if (l->conn != NULL)
			db_conn_message(why, sizeof(why), l->conn);
		log_warn("database notifications interrupted, reconnecting", LOG_STR("at", what),
		    LOG_STR("reason", why));
		l->logged = true;
	}
	drop_connection(l);
	l->state = LISTEN_WAITING;
	loop_timer_start(l->timer, l->backoff_ms);
	l->backoff_ms = l->backoff_ms * 2 < BACKOFF_MAX_MS ? l->backoff_ms * 2 : BACKOFF_MAX_MS;
}

static void
watch(struct db_listen *l, unsigned what)
{
	if (l->io == NULL)
		l->io = loop_io_new(l->loop, PQsocket(l->conn), on_io, l);
	loop_io_set(l->io, what);
}

/* --- notifications --- */

/* False when fn freed us. */
static bool
tell(struct db_listen *l, const char *channel, const char *payload)
{
	l->busy = true;
	l->fn(channel, payload, l->arg);
	l->busy = false;
	if (!l->dead)
		return true;
	destroy(l);
	return false;
}

static bool
deliver(struct db_listen *l)
{
	PGnotify *n;
	while ((n = PQnotifies(l->conn)) != NULL) {
		auto_free char *channel = xstrdup(n->relname);
		auto_free char *payload = xstrdup(n->extra);
		PQfreemem(n);
		if (!tell(l, channel, payload))
			return false;
	}
	return true;
}

/* --- connecting --- */

static void
subscribe(struct db_listen *l)
{
	auto_buf sql = BUF_INIT;
	for (size_t i = 0; i < l->nchannels; i++)
		buf_printf(&sql, "listen %s;", l->channels[i]);
	l->state = LISTEN_SUBSCRIBING;
	if (PQsendQuery(l->conn, buf_str(&sql)) != 1 || PQflush(l->conn) < 0)
		failed(l, "listen");
	else
		watch(l, LOOP_READ);
}

static void
continue_connecting(struct db_listen *l)
{
	loop_io_free(l->io);
	l->io = NULL;
	switch (PQconnectPoll(l->conn)) {
	case PGRES_POLLING_READING:
		watch(l, LOOP_READ);
		break;
	case PGRES_POLLING_WRITING:
		watch(l, LOOP_WRITE);
		break;
	case PGRES_POLLING_OK:
		subscribe(l);
		break;
	case PGRES_POLLING_FAILED:
	case PGRES_POLLING_ACTIVE:
		failed(l, "connect");
		break;
	}
}

/* Everything that happened while we did not listen is unknown to the user of fn. */
static void
subscribed(struct db_listen *l)
{
	PGresult *res;
	bool ok = true;
	while ((res = PQgetResult(l->conn)) != NULL) {
		ok = ok && PQresultStatus(res) == PGRES_COMMAND_OK;
		PQclear(res);
	}
	if (!ok) {
		failed(l, "listen");
		return;
	}
	loop_timer_stop(l->timer);
	l->state = LISTEN_LISTENING;
	l->backoff_ms = BACKOFF_MIN_MS;
	if (l->logged)
		log_info("database notifications are back");
	l->logged = false;
	for (size_t i = 0; i < l->nchannels; i++)
		if (!tell(l, l->channels[i], NULL))
			return;
	deliver(l);
}

static void
on_io(int fd, unsigned what, void *arg)
{
	(void)fd;
	(void)what;
	struct db_listen *l = arg;
	if (l->state == LISTEN_CONNECTING) {
		continue_connecting(l);
		return;
	}
	bool alive = PQconsumeInput(l->conn) == 1;
	if (l->state == LISTEN_SUBSCRIBING) {
		if (!alive)
			failed(l, "listen");
		else if (!PQisBusy(l->conn))
			subscribed(l);
		return;
	}
	if (!deliver(l))
		return;
	if (!alive)
		failed(l, "wait");
}

static void
start_connecting(struct db_listen *l)
{
	struct db_conn_params params;
	auto_err e = NULL;
	if (db_conn_params(&params, l->conninfo, NULL, NULL, &e) != 0) {
		failed(l, err_msg(e));
		return;
	}
	l->conn = PQconnectStartParams(params.keys, params.values, 1);
	MUST(l->conn != NULL);
	if (PQstatus(l->conn) == CONNECTION_BAD) {
		failed(l, "connect");
		return;
	}
	l->state = LISTEN_CONNECTING;
	loop_timer_start(l->timer, CONNECT_TIMEOUT_MS);
	watch(l, LOOP_WRITE);
}

static void
on_timer(void *arg)
{
	struct db_listen *l = arg;
	if (l->state == LISTEN_WAITING)
		start_connecting(l);
	else
		failed(l, "connect: timed out");
}

struct db_listen *
db_listen_new(struct loop *loop, const char *conninfo, const char *const *channels, size_t n,
    db_notify_fn fn, void *arg)
{
	struct db_listen *l = xcalloc(1, sizeof(*l));
	l->loop = loop;
	l->conninfo = xstrdup(conninfo);
	l->channels = xcalloc(n, sizeof(*l->channels));
	l->nchannels = n;
	for (size_t i = 0; i < n; i++) {
		MUST(db_name_ok(channels[i]));
		l->channels[i] = xstrdup(channels[i]);
	}
	l->fn = fn;
	l->arg = arg;
	l->backoff_ms = BACKOFF_MIN_MS;
	l->state = LISTEN_WAITING;
	l->timer = loop_timer_new(loop, "database listen", on_timer, l);
	loop_timer_start(l->timer, 0);
	return l;
}

void
db_listen_free(struct db_listen *l)
{
	if (l == NULL)
		return;
	if (l->busy)
		l->dead = true;
	else
		destroy(l);
}
