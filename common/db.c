#include "common/db_int.h"

#include "common/id.h"
#include "common/log.h"
#include "common/mem.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* More than these and the answers are read before more is sent. */
#define DB_PENDING_MAX 256

struct db {
	struct db_options opt;
	PGconn *conn;
	bool prepared;
	bool in_tx;
	bool tx_retry; /* this transaction failed for a reason that another try may cure */
	bool tx_lost;  /* its connection is gone */
	bool tx_failed;
	bool doubt; /* a commit was sent and never answered */
	/* Sent in this transaction and not answered yet; the connection is in pipeline mode then.
	 */
	const char *pending[DB_PENDING_MAX];
	size_t npending;
};

struct db *
db_new(const struct db_options *opt)
{
	struct db *db = xcalloc(1, sizeof(*db));
	db->opt = *opt;
	return db;
}

static void
disconnect(struct db *db)
{
	PQfinish(db->conn);
	db->conn = NULL;
	db->prepared = false;
	db->npending = 0;
}

void
db_free(struct db *db)
{
	if (db == NULL)
		return;
	disconnect(db);
	free(db);
}

static void
quiet_notice(void *arg, const char *message)
{
	(void)arg;
	(void)message;
}

/* Between two statements a server has nothing to say but that it goes: input then, and the end of
 * the stream, both mean a new connection. Asked without a round trip. */
static bool
still_connected(struct db *db)
{
	if (db->conn == NULL || PQstatus(db->conn) != CONNECTION_OK)
		return false;
	struct pollfd p = { .fd = PQsocket(db->conn), .events = POLLIN };
	return poll(&p, 1, 0) == 0;
}

int
db_connect_raw(struct db *db, struct err **err)
{
	if (still_connected(db))
		return 0;
	disconnect(db);
	struct db_conn_params params;
	int rc = db_conn_params(&params, db->opt.conninfo, db->opt.schema, db->opt.settings, err);
	if (rc != 0)
		return rc;
	PGconn *conn = PQconnectdbParams(params.keys, params.values, 1);
	MUST(conn != NULL);
	if (PQstatus(conn) != CONNECTION_OK) {
		char why[512];
		db_conn_message(why, sizeof(why), conn);
		PQfinish(conn);
		return err_set(err, ERR_UNAVAILABLE, "database: connect: %s", why);
	}
	PQsetNoticeProcessor(conn, quiet_notice, NULL);
	db->conn = conn;
	return 0;
}

/* --- prepared statements --- */

static const struct db_stmt *
find_stmt(const struct db *db, const char *name)
{
	for (size_t t = 0; db->opt.tables != NULL && db->opt.tables[t] != NULL; t++)
		for (size_t i = 0; i < db->opt.table_len[t]; i++)
			if (strcmp(db->opt.tables[t][i].name, name) == 0)
				return &db->opt.tables[t][i];
	return NULL;
}

/* Of every connection. */
static const char snapshot[] = "begin isolation level repeatable read, read only";
static const char *const frame[] = { "begin", snapshot, "commit" };

static int
send_prepares(struct db *db, struct err **err)
{
	for (size_t i = 0; i < ARRAY_LEN(frame); i++) {
		if (PQsendPrepare(db->conn, frame[i], frame[i], 0, NULL) != 1)
			return db_error(err, db->conn, NULL, frame[i]);
	}
	for (size_t t = 0; db->opt.tables != NULL && db->opt.tables[t] != NULL; t++)
		for (size_t i = 0; i < db->opt.table_len[t]; i++) {
			const struct db_stmt *s = &db->opt.tables[t][i];
			if (PQsendPrepare(db->conn, s->name, s->sql, 0, NULL) != 1)
				return db_error(err, db->conn, NULL, s->name);
		}
	if (PQpipelineSync(db->conn) != 1)
		return db_error(err, db->conn, NULL, "prepare");
	return 0;
}

static int
read_prepare(struct db *db, const char *name, struct err **err)
{
	int rc = 0;
	PGresult *res = PQgetResult(db->conn);
	if (PQresultStatus(res) != PGRES_COMMAND_OK) {
		auto_free char *what = xasprintf("prepare %s", name);
		rc = db_error(err, db->conn, res, what);
	}
	PQclear(res);
	if (PQstatus(db->conn) == CONNECTION_OK)
		PQclear(PQgetResult(db->conn)); /* the NULL that ends this one */
	return rc;
}

/* One result for each statement sent, in order. After the first failed one the connection is of no
 * use. */
static int
read_prepares(struct db *db, struct err **err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(frame); i++)
		rc = read_prepare(db, frame[i], err);
	for (size_t t = 0; db->opt.tables != NULL && db->opt.tables[t] != NULL; t++)
		for (size_t i = 0; rc == 0 && i < db->opt.table_len[t]; i++)
			rc = read_prepare(db, db->opt.tables[t][i].name, err);
	if (rc == 0)
		PQclear(PQgetResult(db->conn)); /* the sync */
	return rc;
}

static int
prepare_all(struct db *db, struct err **err)
{
	if (PQenterPipelineMode(db->conn) != 1)
		return db_error(err, db->conn, NULL, "prepare");
	int rc = send_prepares(db, err);
	if (rc == 0)
		rc = read_prepares(db, err);
	if (rc == 0 && PQexitPipelineMode(db->conn) != 1)
		rc = db_error(err, db->conn, NULL, "prepare");
	if (rc != 0)
		disconnect(db);
	else
		db->prepared = true;
	return rc;
}

static int
ensure_ready(struct db *db, struct err **err)
{
	int rc = db_connect_raw(db, err);
	if (rc == 0 && !db->prepared)
		rc = prepare_all(db, err);
	return rc;
}

/* --- executing --- */

static bool
worth_retry(const PGresult *res)
{
	const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
	return state != NULL && (strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0);
}

static int
take_result(
    struct db_result **out, struct db *db, PGresult *res, const char *what, struct err **err)
{
	ExecStatusType st = PQresultStatus(res);
	if (st == PGRES_TUPLES_OK || st == PGRES_COMMAND_OK) {
		if (out == NULL) {
			PQclear(res);
			return 0;
		}
		*out = xcalloc(1, sizeof(**out));
		(*out)->res = res;
		return 0;
	}
	int rc = db_error(err, db->conn, res, what);
	bool lost = PQstatus(db->conn) == CONNECTION_BAD;
	if (db->in_tx) {
		db->tx_failed = true;
		db->tx_lost |= lost;
		db->tx_retry |= lost || worth_retry(res);
	}
	PQclear(res);
	return rc;
}

/* Inside a transaction the connection must be the one that began it. */
static int
check_tx(struct db *db, const char *what, struct err **err)
{
	if (!db->tx_lost)
		return 0;
	return err_set(
	    err, ERR_UNAVAILABLE, "database: %s: connection lost in the transaction", what);
}

struct bound {
	const char *values[DB_PARAMS_MAX];
	int lengths[DB_PARAMS_MAX];
	int formats[DB_PARAMS_MAX];
	char numbers[DB_PARAMS_MAX][24];
};

static void
bind_params(struct bound *b, const struct db_param *params, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct db_param *p = &params[i];
		b->formats[i] = p->is_bytes;
		b->lengths[i] = 0;
		if (p->is_bytes) {
			MUST(p->len <= INT32_MAX);
			b->values[i] = p->bytes ? p->bytes : "";
			b->lengths[i] = (int)p->len;
		} else if (p->is_int) {
			snprintf(b->numbers[i], sizeof(b->numbers[i]), "%" PRId64, p->num);
			b->values[i] = b->numbers[i];
		} else {
			b->values[i] = p->text;
		}
	}
}

/* --- pipeline: a transaction's statements travel together --- */

static int
lost(struct db *db, const char *what, struct err **err)
{
	db->tx_lost = db->tx_retry = db->tx_failed = true;
	db->npending = 0;
	return db_error(err, db->conn, NULL, what);
}

/* Reads one statement's result. What comes after a failed one was not executed. */
static PGresult *
next_result(int *rc, struct db *db, const char *what, struct err **err)
{
	PGresult *res = PQgetResult(db->conn);
	ExecStatusType st = PQresultStatus(res);
	if (*rc == 0 && st != PGRES_TUPLES_OK && st != PGRES_COMMAND_OK) {
		*rc = db_error(err, db->conn, res, what);
		db->tx_failed = true;
		db->tx_retry |= worth_retry(res);
	}
	if (PQstatus(db->conn) == CONNECTION_OK)
		PQclear(PQgetResult(db->conn)); /* the NULL that ends this one */
	return res;
}

/* Reads the answers to all that is pending; the first failure is the error. *last may be NULL. */
static int
settle(struct db *db, PGresult **last, struct err **err)
{
	int rc = 0;
	size_t n = db->npending;
	if (n == 0)
		return 0;
	if (PQpipelineSync(db->conn) != 1)
		return lost(db, db->pending[0], err);
	db->npending = 0;
	for (size_t i = 0; i < n && PQstatus(db->conn) == CONNECTION_OK; i++) {
		PGresult *res = next_result(&rc, db, db->pending[i], err);
		if (last != NULL && i == n - 1 && rc == 0)
			*last = res;
		else
			PQclear(res);
	}
	if (PQstatus(db->conn) == CONNECTION_OK)
		PQclear(PQgetResult(db->conn)); /* the sync */
	if (PQstatus(db->conn) != CONNECTION_OK || PQexitPipelineMode(db->conn) != 1) {
		if (rc == 0)
			rc = db_error(err, db->conn, NULL, db->pending[n - 1]);
		db->tx_lost = db->tx_retry = db->tx_failed = true;
	}
	if (rc != 0 && last != NULL) {
		PQclear(*last);
		*last = NULL;
	}
	return rc;
}

static const struct bound none;

static int
make_room(struct db *db, const char *what, struct err **err)
{
	int rc = check_tx(db, what, err);
	if (rc == 0 && db->npending == DB_PENDING_MAX)
		rc = settle(db, NULL, err);
	if (rc == 0 && db->npending == 0 && PQenterPipelineMode(db->conn) != 1)
		rc = lost(db, what, err);
	return rc;
}

static int
send_stmt(struct db *db, const char *stmt, const struct bound *b, size_t nparams, struct err **err)
{
	int rc = make_room(db, stmt, err);
	/* Before statements are prepared: begin and commit by their text. */
	if (rc == 0 && !db->prepared) {
		if (PQsendQueryParams(db->conn, stmt, 0, NULL, NULL, NULL, NULL, 0) != 1)
			return lost(db, stmt, err);
	} else if (rc == 0 && PQsendQueryPrepared(db->conn, stmt, (int)nparams, b->values,
	                          b->lengths, b->formats, 0) != 1)
		return lost(db, stmt, err);
	if (rc == 0)
		db->pending[db->npending++] = stmt;
	return rc;
}

int
db_exec(struct db_result **out, struct db *db, const char *stmt, const struct db_param *params,
    size_t nparams, struct err **err)
{
	const struct db_stmt *s = find_stmt(db, stmt);
	struct bound b;
	MUST(s != NULL && nparams <= DB_PARAMS_MAX && (size_t)s->nparams == nparams);
	bind_params(&b, params, nparams);
	if (db->in_tx) {
		PGresult *res = NULL;
		int rc = send_stmt(db, s->name, &b, nparams, err);
		if (rc != 0 || out == NULL)
			return rc;
		rc = settle(db, &res, err);
		return rc == 0 ? take_result(out, db, res, stmt, err) : rc;
	}
	int rc = ensure_ready(db, err);
	if (rc != 0)
		return rc;
	PGresult *res =
	    PQexecPrepared(db->conn, stmt, (int)nparams, b.values, b.lengths, b.formats, 0);
	return take_result(out, db, res, stmt, err);
}

int
db_exec_sql(struct db_result **out, struct db *db, const char *sql, struct err **err)
{
	int rc = db->in_tx ? check_tx(db, "sql", err) : db_connect_raw(db, err);
	if (rc == 0)
		rc = settle(db, NULL, err);
	if (rc != 0)
		return rc;
	return take_result(out, db, PQexec(db->conn, sql), "sql", err);
}

/* --- transactions --- */

static int
simple(struct db *db, const char *sql, struct err **err)
{
	return take_result(NULL, db, PQexec(db->conn, sql), sql, err);
}

/* Together with what is pending. */
static int
commit(struct db *db, struct err **err)
{
	PGresult *res = NULL;
	int rc = send_stmt(db, "commit", &none, 0, err);
	if (rc == 0)
		rc = settle(db, &res, err);
	if (rc == 0 && strcmp(PQcmdStatus(res), "COMMIT") != 0)
		rc = err_set(err, ERR_INTERNAL,
		    "database: commit: the transaction had failed and was rolled back");
	PQclear(res);
	/* Whether it took effect is unknown: repeating it is for the caller to decide. */
	if (rc != 0 && db->tx_lost) {
		db->tx_retry = false;
		db->doubt = true;
	}
	return rc;
}

static void
roll_back(struct db *db)
{
	bool retry = db->tx_retry;
	(void)!settle(db, NULL, NULL);
	if (db->tx_lost || simple(db, "rollback", NULL) != 0)
		disconnect(db);
	db->tx_retry = retry;
}

static int
try_once(struct db *db, bool raw, const char *begin, db_tx_fn fn, void *arg, struct err **err)
{
	int rc = raw ? db_connect_raw(db, err) : ensure_ready(db, err);
	if (rc != 0)
		return rc;
	db->in_tx = true;
	if ((rc = send_stmt(db, begin, &none, 0, err)) == 0) {
		rc = fn(db, arg, err);
		if (rc == 0 && db->tx_retry)
			rc = err_set(err, ERR_CONFLICT, "database: transaction failed");
		if (rc == 0)
			rc = commit(db, err);
		if (rc != 0)
			roll_back(db);
	}
	db->in_tx = false;
	return rc;
}

/* Two that collided should not collide again at once. */
static void
back_off(int try)
{
	uint16_t r;
	id_random_bytes(&r, sizeof(r));
	struct timespec ts = { .tv_nsec = (long)(r % (5 << try)) * 1000000 };
	nanosleep(&ts, NULL);
}

static int
tx_run(struct db *db, bool raw, const char *begin, db_tx_fn fn, void *arg, struct err **err)
{
	MUST(!db->in_tx);
	for (int try = 1;; try++) {
		struct err *e = NULL;
		db->tx_retry = false;
		db->tx_lost = false;
		db->tx_failed = false;
		int rc = try_once(db, raw, begin, fn, arg, &e);
		if (rc == 0)
			return 0;
		bool again = db->tx_retry && try < DB_TX_TRIES;
		if (db->tx_lost)
			disconnect(db);
		if (!again) {
			if (err != NULL)
				*err = e;
			else
				err_free(e);
			return rc;
		}
		if (!db->tx_lost)
			back_off(try);
		log_debug("database: transaction repeated", LOG_STR("reason", err_msg(e)));
		err_clear(&e);
	}
}

int
db_tx_run(struct db *db, db_tx_fn fn, void *arg, struct err **err)
{
	return tx_run(db, false, "begin", fn, arg, err);
}

int
db_snapshot_run(struct db *db, db_tx_fn fn, void *arg, struct err **err)
{
	if (db->in_tx)
		return fn(db, arg, err);
	return tx_run(db, false, snapshot, fn, arg, err);
}

bool
db_tx_failed(const struct db *db)
{
	return db->tx_failed;
}

bool
db_take_doubt(struct db *db)
{
	bool doubt = db->doubt;
	db->doubt = false;
	return doubt;
}

int
db_tx_run_raw(struct db *db, db_tx_fn fn, void *arg, struct err **err)
{
	return tx_run(db, true, "begin", fn, arg, err);
}
