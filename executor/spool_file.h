/*
 * spool_file.h - what a task keeps on disk: one log file per step, and the state (spool_state.h).
 * Blocking; call on workers (at start also before the loop runs).
 *
 * A log file is a row of records {raw range, masked bytes, checksum}; whatever was cut by a crash
 * is dropped by ex_spool_file_recover. Integers are little endian, so a spool may move with its
 * disk.
 */
#ifndef EXECUTOR_SPOOL_FILE_H
#define EXECUTOR_SPOOL_FILE_H

#include "common/buf.h"

#include <stddef.h>
#include <stdint.h>

#define SPOOL_RECORD_HEADER 48
#define SPOOL_RECORD_MAX (4u << 20) /* masked bytes in one record */

/* The end of a log: raw bytes covered, masked bytes held, length of the file. */
struct ex_spool_pos {
	uint64_t raw, masked, file;
};

/* Writes one record at pos->file and advances pos; does not sync. Rewriting at the same position
 * is harmless. */
int ex_spool_file_append(int fd, struct ex_spool_pos *pos, uint64_t raw_end, const void *p,
    size_t n, struct err **err) MUSTCHECK;
/* Finds the end of the last whole record and cuts the file there. */
int ex_spool_file_recover(int fd, struct ex_spool_pos *pos, struct err **err) MUSTCHECK;
/* Appends up to max masked bytes from offset `masked` on. *at is where to begin looking (zero: the
 * start) and is moved to the record that holds the next byte. */
int ex_spool_file_read(int fd, struct ex_spool_pos *at, uint64_t masked, size_t max,
    struct buf *out, struct err **err) MUSTCHECK;

/* "setup.log", "0.log", ...; step -1 = setup. Malloc'ed. */
char *ex_spool_file_log_path(const char *dir, int step);
/* Removes the directory and the files in it. */
void ex_spool_file_remove(const char *dir);

/* For spool_state.c too: little endian integers of n bytes, a write that is not cut short. */
void ex_spool_put(uint8_t *out, uint64_t v, size_t n);
uint64_t ex_spool_get(const uint8_t *p, size_t n);
int ex_spool_write_all(int fd, const void *p, size_t n, uint64_t at, struct err **err) MUSTCHECK;

#endif
