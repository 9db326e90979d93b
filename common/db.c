#include "common/db_int.h"

#include "common/id.h"
#include "common/log.h"
#include "common/mem.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct db {
	struct db_options opt;
	PGconn *conn;
	bool prepared;
	bool in_tx;
	bool tx_retry; /* this transaction failed for a reason that another try may cure */
	bool tx_lost;  /* its connection is gone */
	bool doubt;    /* a commit was sent and never answered */
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
	int rc = db_conn_params(&params, db->opt.conninfo, db->opt.schema, err);
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

static int
send_prepares(struct db *db, struct err **err)
{
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

/* One result for each statement sent; the first failed one is the error. */
static int
read_prepares(struct db *db, struct err **err)
{
	int rc = 0;
	for (size_t t = 0; db->opt.tables != NULL && db->opt.tables[t] != NULL; t++)
		for (size_t i = 0; i < db->opt.table_len[t]; i++) {
			PGresult *res = PQgetResult(db->conn);
			ExecStatusType st = PQresultStatus(res);
			if (rc == 0 && st != PGRES_COMMAND_OK) {
				auto_free char *what =
				    xasprintf("prepare %s", db->opt.tables[t][i].name);
				rc = db_error(err, db->conn, res, what);
			}
			PQclear(res);
			if (PQstatus(db->conn) != CONNECTION_OK)
				return rc ? rc : db_error(err, db->conn, NULL, "prepare");
			PQclear(PQgetResult(db->conn)); /* the NULL that ends this one */
		}
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

int
db_exec(struct db_result **out, struct db *db, const char *stmt, const struct db_param *params,
    size_t nparams, struct err **err)
{
	const struct db_stmt *s = find_stmt(db, stmt);
	MUST(s != NULL && nparams <= DB_PARAMS_MAX && (size_t)s->nparams == nparams);
	int rc = db->in_tx ? check_tx(db, stmt, err) : ensure_ready(db, err);
	if (rc != 0)
		return rc;
	struct bound b;
	bind_params(&b, params, nparams);
	PGresult *res =
	    PQexecPrepared(db->conn, stmt, (int)nparams, b.values, b.lengths, b.formats, 0);
	return take_result(out, db, res, stmt, err);
}

int
db_exec_sql(struct db_result **out, struct db *db, const char *sql, struct err **err)
{
	int rc = db->in_tx ? check_tx(db, "sql", err) : db_connect_raw(db, err);
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

static int
commit(struct db *db, struct err **err)
{
	PGresult *res = PQexec(db->conn, "commit");
	if (PQresultStatus(res) == PGRES_COMMAND_OK && strcmp(PQcmdStatus(res), "COMMIT") != 0) {
		PQclear(res);
		return err_set(err, ERR_INTERNAL,
		    "database: commit: the transaction had failed and was rolled back");
	}
	int rc = take_result(NULL, db, res, "commit", err);
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
	if ((rc = simple(db, begin, err)) == 0) {
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
	return tx_run(db, false, "begin isolation level repeatable read, read only", fn, arg, err);
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
