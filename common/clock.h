/*
 * clock.h - time, in one place so that rules can be given it as a parameter.
 * Milliseconds everywhere (int64_t, suffix _ms).
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

int64_t clock_mono_ms(void); /* CLOCK_BOOTTIME: goes on while the host sleeps; for leases */
int64_t clock_mono_us(void);
int64_t clock_wall_ms(void); /* Unix time; for people only, never for a decision */
/* RFC 3339 UTC with milliseconds, e.g. 2026-01-02T03:04:05.678Z; out holds CLOCK_RFC3339_LEN. */
#define CLOCK_RFC3339_LEN 32
void clock_rfc3339(int64_t wall_ms, char out[CLOCK_RFC3339_LEN]);

#endif
