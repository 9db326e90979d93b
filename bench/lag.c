/*
 * lag - reads lines that begin with the time of their writing in ns and prints the p50 and p99 in
 * ms of how late they came. Other lines are passed over.
 */
#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LINES_MAX 1000000

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int
main(void)
{
	double *late = xcalloc(LINES_MAX, sizeof(*late));
	char line[256];
	size_t n = 0;

	while (n < LINES_MAX && fgets(line, sizeof(line), stdin) != NULL) {
		double written = strtod(line, NULL);
		struct timespec t;

		clock_gettime(CLOCK_REALTIME, &t);
		if (written > 1e18)
			late[n++] = (double)t.tv_sec * 1e3 + ((double)t.tv_nsec - written) / 1e6;
	}
	if (n == 0)
		return 1;
	qsort(late, n, sizeof(*late), by_size);
	printf("%.3f %.3f %zu\n", late[n / 2], late[n * 99 / 100], n);
	free(late);
	return 0;
}
