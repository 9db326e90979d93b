/*
 * native.h - what std.libsonnet leaves to C: digests, which would take Jsonnet seconds.
 *
 * Each is a native function of one text and its length in characters (libjsonnet hands texts over
 * as C strings, so that one with a NUL would lose its end unnoticed). Definitions could call them
 * by these names as well; they are of no other use to them.
 */
#ifndef EVALUATE_NATIVE_H
#define EVALUATE_NATIVE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* NULL behind the last one. */
struct eval_native {
	const char *name;   /* in Jsonnet */
	const char *digest; /* as crypto_digest() knows it */
};
extern const struct eval_native eval_natives[];
#define EVAL_NATIVE_TEXT 129 /* bytes of a result, with its end */

/* Loads all digests, while files may be opened. */
void eval_native_load(void);
/* False: the text is not the whole one. Pure after eval_native_load(). */
bool eval_native_digest(
    char out[EVAL_NATIVE_TEXT], const struct eval_native *n, const char *text, double length);

#ifdef __cplusplus
}
#endif
#endif
