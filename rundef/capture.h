/*
 * capture.h - first capture group of an RE2 expression that came from outside. Pure.
 */
#ifndef RUNDEF_CAPTURE_H
#define RUNDEF_CAPTURE_H

#ifdef __cplusplus
extern "C" {
#endif

/* Unanchored search. 1 with *out, the first group, on a match; 0 without one; -1 with *message when
 * the expression is wrong or has no group. Both malloc'ed. */
int rundef_capture(char **out, char **message, const char *pattern, const char *text);

#ifdef __cplusplus
}
#endif

#endif
