#include "common/clock.h"

#include <stdio.h>
#include <time.h>

int64_t
clock_mono_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

int64_t
clock_wall_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void
clock_rfc3339(int64_t wall_ms, char out[CLOCK_RFC3339_LEN])
{
	int64_t ms = wall_ms % 1000;
	time_t sec = (time_t)(wall_ms / 1000);
	if (ms < 0) {
		ms += 1000;
		sec--;
	}
	struct tm tm;
	char date[24];
	gmtime_r(&sec, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, CLOCK_RFC3339_LEN, "%s.%03dZ", date, (int)ms);
}
