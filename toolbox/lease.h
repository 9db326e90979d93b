/* lease.h - how long the task may live without word from the executor. Pure: the clock is passed.
 */
#ifndef TOOLBOX_LEASE_H
#define TOOLBOX_LEASE_H

#include <stdbool.h>
#include <stdint.h>

struct tb_lease {
	bool armed; /* until the first LEASE frame there is no limit */
	int64_t end_ms;
};

/* A later frame replaces the end, also by an earlier one. */
void tb_lease_set(struct tb_lease *l, int64_t now_ms, uint64_t ms);
bool tb_lease_over(const struct tb_lease *l, int64_t now_ms);
/* Milliseconds for poll(): -1 without a limit, never negative otherwise. */
int tb_lease_wait(const struct tb_lease *l, int64_t now_ms);

#endif
