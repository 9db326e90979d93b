/*
 * db_dump.h - all rows of a schema as lines of JSON, and back.
 *
 * The first line says whose rows they are and of which version of the schema; then one line for
 * each sequence and each row: {"exportMeta": {"kind": "<table>"}, "<column>": ...}. Tables and
 * their order are read from the database, so that a new table needs nothing here. What columns
 * hold is not looked at: sealed values stay sealed.
 *
 * Blocking; database threads only.
 */
#ifndef COMMON_DB_DUMP_H
#define COMMON_DB_DUMP_H

#include "common/db.h"

#define DB_DUMP_LINE_MAX (64u << 20) /* bytes of a line that is loaded */

struct db_dump_spec {
	const char *schema;
	const char *service;     /* name in the first line */
	const char *const *skip; /* tables that are left alone; NULL-terminated */
};

/* Called for each line, without its newline; what it returns but 0 ends the dump. */
typedef int (*db_line_fn)(const char *line, size_t len, void *arg, struct err **err);
/* On one snapshot. It may be called again with the first line when the connection breaks. */
int db_dump(struct db *db, const struct db_dump_spec *spec, db_line_fn fn, void *arg,
    struct err **err) MUSTCHECK;
/* Into a fresh file in dir that has no name and is gone when *fd is closed. */
int db_dump_file(int *fd, uint64_t *size, struct db *db, const struct db_dump_spec *spec,
    const char *dir, struct err **err) MUSTCHECK;
/* A file as db_dump_file() makes them, empty; *fd is open for reading and writing. */
int db_dump_file_new(int *fd, const char *dir, struct err **err) MUSTCHECK;
/* Replaces all rows by these lines; inside the caller's db_tx_run(). ERR_INVALID names the line
 * that cannot be taken, or what the database says of the rows as a whole. Sequences never go back.
 */
int db_load(struct db *db, const struct db_dump_spec *spec, const char *text, size_t len,
    struct err **err) MUSTCHECK;

#endif
