/*
 * id.h - random identifiers: version 4 UUIDs in canonical lower case, and hex tokens.
 */
#ifndef COMMON_ID_H
#define COMMON_ID_H

#include <stdbool.h>
#include <stddef.h>

#define ID_LEN 36
struct id {
	char s[ID_LEN + 1];
};

struct id id_new(void);
/* True for the canonical form only (8-4-4-4-12 lower-case hex). */
bool id_is_valid(const char *s);
/* nbytes random bytes as lower-case hex; out holds 2 * nbytes + 1. From the kernel's CSPRNG. */
void id_random_hex(char *out, size_t nbytes);
void id_random_bytes(void *out, size_t n);

#endif
