#include "toolbox/lease.h"

#include <limits.h>

/* A year: keeps the sum in range whatever the frame says. */
#define LEASE_MAX_MS (366ll * 24 * 3600 * 1000)

void
tb_lease_set(struct tb_lease *l, int64_t now_ms, uint64_t ms)
{
	l->armed = true;
	l->end_ms = now_ms + (ms < (uint64_t)LEASE_MAX_MS ? (int64_t)ms : LEASE_MAX_MS);
}

bool
tb_lease_over(const struct tb_lease *l, int64_t now_ms)
{
	return l->armed && now_ms >= l->end_ms;
}

int
tb_lease_wait(const struct tb_lease *l, int64_t now_ms)
{
	if (!l->armed)
		return -1;
	int64_t left = l->end_ms - now_ms;
	if (left < 0)
		return 0;
	return left < INT_MAX ? (int)left : INT_MAX;
}
