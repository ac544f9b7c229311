/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* clock.h - the one clock that an update is timed with. */
#ifndef CPRSHIM_LOADER_CLOCK_H
#define CPRSHIM_LOADER_CLOCK_H

#include <stdint.h>
#include <time.h>

/** clock_now() - CLOCK_MONOTONIC in nanoseconds; the same in both programs. Async-signal-safe. */
static inline uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/** clock_real_ms() - CLOCK_REALTIME in milliseconds since 1970 */
static inline uint64_t clock_real_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/** clock_left_ms() - milliseconds until a deadline, rounded up, for poll(); 0 where it has passed */
static inline int clock_left_ms(uint64_t deadline_ns)
{
	uint64_t now = clock_now();
	uint64_t left = deadline_ns > now ? (deadline_ns - now + 999999) / 1000000 : 0;

	return left > 3600000 ? 3600000 : (int)left;
}

#endif
