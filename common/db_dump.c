#include "common/db_dump.h"

#include "common/buf.h"
#include "common/db_int.h"
#include "common/json.h"
#include "common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROWS_AT_ONCE "200"
#define BATCH_BYTES (256u << 10)
#define LONG_MS "600000"

/* --- what there is --- */

struct table {
	char *name;    /* db_name_ok() */
	char *columns; /* those that can be written, quoted */
};
struct tables {
	struct table *list; /* what is referred to before what refers to it */
	size_t n;
};

static void
tables_fini(struct tables *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->list[i].name);
		free(t->list[i].columns);
	}
	free(t->list);
}
#define auto_tables __attribute__((cleanup(tables_fini))) struct tables

static bool
is_skipped(const struct db_dump_spec *spec, const char *name)
{
	if (strcmp(name, "schema_migration") == 0)
		return true;
	for (const char *const *s = spec->skip; s && *s; s++) {
		if (strcmp(*s, name) == 0)
			return true;
	}
	return false;
}

static int
run(struct db_result **out, struct db *db, char *sql, struct err **err)
{
	int rc = db_exec_sql(out, db, sql, err);

	free(sql);
	return rc;
}

static int
find_tables(struct tables *out, struct db *db, const struct db_dump_spec *spec, struct err **err)
{
	auto_result *r = NULL;
	int rc = run(&r, db,
	    xasprintf("with recursive t as ("
	              "select c.oid, c.relname from pg_class c join pg_namespace n "
	              "on n.oid = c.relnamespace where n.nspname = '%s' and c.relkind = 'r'"
	              "), fk as (select distinct conrelid as child, confrelid as parent "
	              "from pg_constraint where contype = 'f' and conrelid <> confrelid"
	              "), d as (select oid, 0 as depth from t union "
	              "select fk.child, d.depth + 1 from d join fk on fk.parent = d.oid "
	              "where d.depth < 100) "
	              "select t.relname as name, (select string_agg(quote_ident(a.attname), ', ' "
	              "order by a.attnum) from pg_attribute a where a.attrelid = t.oid "
	              "and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') as columns "
	              "from t join d on d.oid = t.oid group by t.oid, t.relname "
	              "order by max(d.depth), t.relname",
	        spec->schema),
	    err);

	*out = (struct tables){ 0 };
	if (rc != 0)
		return rc;
	out->list = xcalloc(db_rows(r) + 1, sizeof(*out->list));
	for (size_t i = 0; i < db_rows(r); i++) {
		const char *name = db_text(r, i, "name");

		MUST(db_name_ok(name));
		if (is_skipped(spec, name))
			continue;
		out->list[out->n].name = xstrdup(name);
		out->list[out->n++].columns = xstrdup(db_text(r, i, "columns"));
	}
	return 0;
}

static const struct table *
table_of(const struct tables *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++) {
		if (strcmp(t->list[i].name, name) == 0)
			return &t->list[i];
	}
	return NULL;
}

static int
find_version(int64_t *out, struct db *db, const struct db_dump_spec *spec, struct err **err)
{
	auto_result *r = NULL;
	int rc = run(&r, db,
	    xasprintf("select coalesce(max(version), 0) as version from %s.schema_migration",
	        spec->schema),
	    err);

	if (rc == 0)
		*out = db_i64(r, 0, "version");
	return rc;
}

static int
find_sequences(
    struct db_result **out, struct db *db, const struct db_dump_spec *spec, struct err **err)
{
	return run(out, db,
	    xasprintf("select sequencename as name, last_value from pg_sequences "
	              "where schemaname = '%s' order by 1",
	        spec->schema),
	    err);
}

/* --- dump --- */

struct dump {
	const struct db_dump_spec *spec;
	db_line_fn fn;
	void *arg;
};

static int
give(const struct dump *d, const json_t *line, struct err **err)
{
	auto_free char *text = json_print(line);

	return d->fn(text, strlen(text), d->arg, err);
}

static int
dump_head(struct db *db, const struct dump *d, struct err **err)
{
	auto_result *r = NULL;
	int64_t version;
	int rc = find_version(&version, db, d->spec, err);

	if (rc == 0) {
		auto_json *head = json_pack("{s:{s:s}, s:s, s:I}", "exportMeta", "kind", "schema",
		    "service", d->spec->service, "version", (json_int_t)version);

		rc = give(d, head, err);
	}
	if (rc == 0)
		rc = find_sequences(&r, db, d->spec, err);
	for (size_t i = 0; rc == 0 && i < db_rows(r); i++) {
		auto_json *line = NULL;

		if (db_is_null(r, i, "last_value")) /* never used */
			continue;
		line = json_pack("{s:{s:s}, s:s, s:I}", "exportMeta", "kind", "sequence", "name",
		    db_text(r, i, "name"), "value", (json_int_t)db_i64(r, i, "last_value"));
		rc = give(d, line, err);
	}
	return rc;
}

static int
dump_table(struct db *db, const struct dump *d, const struct table *t, struct err **err)
{
	size_t n;
	int rc = run(NULL, db,
	    xasprintf("declare dump_rows no scroll cursor for select (jsonb_build_object("
	              "'exportMeta', jsonb_build_object('kind', '%s')) || to_jsonb(t))::text "
	              "as line from (select %s from %s.%s) t",
	        t->name, t->columns, d->spec->schema, t->name),
	    err);

	do {
		auto_result *r = NULL;

		if (rc == 0)
			rc = db_exec_sql(&r, db, "fetch " ROWS_AT_ONCE " from dump_rows", err);
		n = rc == 0 ? db_rows(r) : 0;
		for (size_t i = 0; rc == 0 && i < n; i++) {
			const char *line = db_text(r, i, "line");

			rc = d->fn(line, strlen(line), d->arg, err);
		}
	} while (rc == 0 && n > 0);
	return rc == 0 ? db_exec_sql(NULL, db, "close dump_rows", err) : rc;
}

static int
dump_all(struct db *db, void *arg, struct err **err)
{
	const struct dump *d = arg;
	auto_tables tables = { 0 };
	int rc = db_exec_sql(NULL, db,
	    "set local statement_timeout = " LONG_MS
	    "; set local idle_in_transaction_session_timeout = " LONG_MS,
	    err);

	if (rc == 0)
		rc = find_tables(&tables, db, d->spec, err);
	if (rc == 0)
		rc = dump_head(db, d, err);
	for (size_t i = 0; rc == 0 && i < tables.n; i++)
		rc = dump_table(db, d, &tables.list[i], err);
	return rc;
}

int
db_dump(struct db *db, const struct db_dump_spec *spec, db_line_fn fn, void *arg, struct err **err)
{
	struct dump d = { .spec = spec, .fn = fn, .arg = arg };

	MUST(db_name_ok(spec->schema));
	return db_snapshot_run(db, dump_all, &d, err);
}

/* --- into a file --- */

struct file {
	int fd;
	uint64_t size;
	struct buf unwritten;
};

int
db_dump_file_new(int *fd, const char *dir, struct err **err)
{
	auto_free char *path = xasprintf("%s/dump.XXXXXX", dir);

	*fd = mkostemp(path, O_CLOEXEC);
	if (*fd < 0)
		return err_set_errno(err, errno, "make a file in %s", dir);
	unlink(path);
	return 0;
}

static int
write_out(struct file *f, struct err **err)
{
	const char *p = buf_str(&f->unwritten);
	size_t left = f->unwritten.len;

	while (left > 0) {
		ssize_t n = pwrite(f->fd, p, left, (off_t)f->size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set_errno(err, n < 0 ? errno : ENOSPC, "write the dump");
		p += n;
		left -= (size_t)n;
		f->size += (uint64_t)n;
	}
	buf_clear(&f->unwritten);
	return 0;
}

static int
add_to_file(const char *line, size_t len, void *arg, struct err **err)
{
	struct file *f = arg;

	buf_append(&f->unwritten, line, len);
	buf_putc(&f->unwritten, '\n');
	return f->unwritten.len > BATCH_BYTES ? write_out(f, err) : 0;
}

struct file_dump {
	struct dump dump;
	struct file *file;
};

static int
dump_to_file(struct db *db, void *arg, struct err **err)
{
	struct file_dump *d = arg;

	buf_clear(&d->file->unwritten);
	d->file->size = 0;
	if (ftruncate(d->file->fd, 0) != 0)
		return err_set_errno(err, errno, "empty the dump");
	return dump_all(db, &d->dump, err);
}

int
db_dump_file(int *fd, uint64_t *size, struct db *db, const struct db_dump_spec *spec,
    const char *dir, struct err **err)
{
	struct file f = { .fd = -1 };
	struct file_dump d = { .dump = { .spec = spec, .fn = add_to_file, .arg = &f }, .file = &f };
	int rc = db_dump_file_new(&f.fd, dir, err);

	MUST(db_name_ok(spec->schema));
	if (rc == 0)
		rc = db_snapshot_run(db, dump_to_file, &d, err);
	if (rc == 0)
		rc = write_out(&f, err);
	buf_free(&f.unwritten);
	if (rc == 0) {
		*fd = f.fd;
		*size = f.size;
	} else if (f.fd >= 0) {
		close(f.fd);
	}
	return rc;
}

/* --- load --- */

struct load {
	struct db *db;
	const struct db_dump_spec *spec;
	struct tables tables;
	struct buf batch; /* an insert of several lines */
	size_t number;    /* of the line, from 1 */
};

/* What the database refuses of foreign rows is not its failure. */
static int
blame_rows(int rc, struct err **err)
{
	if (rc == ERR_INTERNAL || rc == ERR_CONFLICT)
		rc = (*err)->code = ERR_INVALID;
	return rc;
}

static int
flush(struct load *l, struct err **err)
{
	int rc = l->batch.len ? db_exec_sql(NULL, l->db, buf_str(&l->batch), err) : 0;

	buf_free(&l->batch);
	return blame_rows(rc, err);
}

/* A row waits among the other lines, for all of its table are inserted at once: they may refer to
 * each other. */
static int
keep_row(struct load *l, const char *kind, const char *line, size_t len, struct err **err)
{
	const char *const end = line + len;

	buf_puts(&l->batch, l->batch.len ? ", ('" : "insert into import_lines values ('");
	buf_printf(&l->batch, "%s', '", kind);
	while (line < end) {
		const char *quote = memchr(line, '\'', (size_t)(end - line));
		size_t n = (size_t)((quote ? quote + 1 : end) - line);

		buf_append(&l->batch, line, n);
		if (quote)
			buf_puts(&l->batch, "'");
		line += n;
	}
	buf_puts(&l->batch, "')");
	return l->batch.len > BATCH_BYTES ? flush(l, err) : 0;
}

static int
load_sequence(struct load *l, const json_t *j, struct err **err)
{
	const char *name = json_text(j, "name");
	int64_t value = json_int(j, "value", -1);
	auto_result *r = NULL;
	int rc = find_sequences(&r, l->db, l->spec, err);
	bool known = false;

	for (size_t i = 0; rc == 0 && name && i < db_rows(r); i++)
		known |= strcmp(db_text(r, i, "name"), name) == 0;
	if (rc == 0 && (!known || value < 1 || !db_name_ok(name)))
		return err_set(err, ERR_INVALID, "no sequence of this server");
	if (rc != 0)
		return rc;
	return run(NULL, l->db,
	    xasprintf("select setval('%s.%s', greatest(%lld, (select last_value from %s.%s)))",
	        l->spec->schema, name, (long long)value, l->spec->schema, name),
	    err);
}

static int
check_head(struct load *l, const json_t *j, const char *kind, struct err **err)
{
	const char *service = json_text(j, "service");
	int64_t version;

	if (strcmp(kind, "schema") != 0 || !service || strcmp(service, l->spec->service) != 0)
		return err_set(err, ERR_INVALID, "this is no export of the %s", l->spec->service);
	if (find_version(&version, l->db, l->spec, err) != 0)
		return (*err)->code;
	if (json_int(j, "version", -1) != version)
		return err_set(err, ERR_INVALID,
		    "the export was made by another version of the server (its schema is at %lld, "
		    "this one at %lld)",
		    (long long)json_int(j, "version", -1), (long long)version);
	return 0;
}

static int
load_line(struct load *l, const char *line, size_t len, struct err **err)
{
	auto_json *j = NULL;
	const char *kind;
	int rc;

	if (len > DB_DUMP_LINE_MAX || memchr(line, '\0', len))
		return err_set(err, ERR_INVALID, "too long, or not text");
	rc = json_parse(&j, line, len, err);
	if (rc != 0)
		return rc;
	kind = json_text(json_object_get(j, "exportMeta"), "kind");
	if (!kind)
		return err_set(err, ERR_INVALID, "has no exportMeta.kind");
	if (l->number == 1)
		return check_head(l, j, kind, err);
	if (strcmp(kind, "sequence") == 0)
		return load_sequence(l, j, err);
	if (!table_of(&l->tables, kind))
		return err_set(err, ERR_INVALID, "kind %.60s is not known", kind);
	return keep_row(l, kind, line, len, err);
}

static int
load_lines(struct load *l, const char *text, size_t len, struct err **err)
{
	const char *const end = text + len;
	int rc = 0;

	while (rc == 0 && text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((nl ? nl : end) - text);

		l->number++;
		rc = n ? load_line(l, text, n, err) : 0;
		if (rc != 0)
			err_wrap(err, "line %zu", l->number);
		text += n + (nl != NULL);
	}
	if (rc == 0 && l->number == 0)
		return err_set(err, ERR_INVALID, "the export is empty");
	return rc == 0 ? flush(l, err) : rc;
}

static int
empty_tables(struct load *l, struct err **err)
{
	auto_buf sql = BUF_INIT;

	for (size_t i = 0; i < l->tables.n; i++)
		buf_printf(&sql, "alter table %s.%s disable trigger user;", l->spec->schema,
		    l->tables.list[i].name);
	buf_puts(&sql, "truncate ");
	for (size_t i = 0; i < l->tables.n; i++)
		buf_printf(&sql, "%s%s.%s", i ? ", " : "", l->spec->schema, l->tables.list[i].name);
	return db_exec_sql(NULL, l->db, buf_str(&sql), err);
}

static int
fill_table(struct load *l, const struct table *t, struct err **err)
{
	const char *schema = l->spec->schema;
	int rc = run(NULL, l->db,
	    xasprintf("insert into %s.%s (%s) overriding system value select %s from ("
	              "select r.* from import_lines l, "
	              "jsonb_populate_record(null::%s.%s, l.line) r where l.kind = '%s') r; "
	              "alter table %s.%s enable trigger user",
	        schema, t->name, t->columns, t->columns, schema, t->name, t->name, schema, t->name),
	    err);

	return rc == 0 ? 0 : err_wrap(err, "%s", t->name);
}

int
db_load(
    struct db *db, const struct db_dump_spec *spec, const char *text, size_t len, struct err **err)
{
	struct load l = { .db = db, .spec = spec };
	int rc;

	MUST(db_name_ok(spec->schema));
	rc = db_exec_sql(NULL, db,
	    "set local statement_timeout = " LONG_MS
	    "; set local idle_in_transaction_session_timeout = " LONG_MS
	    "; set local standard_conforming_strings = on"
	    "; create temporary table import_lines (kind text, line jsonb) on commit drop",
	    err);
	if (rc == 0)
		rc = find_tables(&l.tables, db, spec, err);
	if (rc == 0)
		rc = load_lines(&l, text, len, err);
	if (rc == 0)
		rc = empty_tables(&l, err);
	for (size_t i = 0; rc == 0 && i < l.tables.n; i++)
		rc = blame_rows(fill_table(&l, &l.tables.list[i], err), err);
	buf_free(&l.batch);
	tables_fini(&l.tables);
	return rc;
}
