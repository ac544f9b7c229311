/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* awaited.c - addresses at which a device's other half must listen; see awaited.h. */
#include "awaited.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "preserved.h"
#include "real.h"

#define AWAITED_MAX 256
#define AGAIN_NS    100000000

/* Filled before main(). */
static struct {
	struct sockaddr_storage addr;
	socklen_t len;
} list[AWAITED_MAX];
static atomic_size_t count;

/** awaited_add() - one more address; before main(). Return: 0 or -E2BIG. */
int awaited_add(const struct sockaddr *addr, socklen_t len)
{
	if (count == AWAITED_MAX || len > sizeof(list[0].addr))
		return -E2BIG;
	memcpy(&list[count].addr, addr, len);
	list[count++].len = len;
	return 0;
}

/** awaited_release() - the way back is over */
void awaited_release(void)
{
	count = 0;
}

static bool is_awaited(const struct sockaddr *addr, socklen_t len)
{
	for (size_t i = 0; i < count; i++)
		if (preserved_same_address((struct sockaddr *)&list[i].addr, list[i].len, addr, len))
			return true;
	return false;
}

/** awaited_connect() - as connect(), which it is for all other addresses */
int awaited_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	const struct timespec pause = { .tv_nsec = AGAIN_NS };
	bool said = false;
	int rc;

	while ((rc = real(connect)(fd, addr, len)) && (errno == ECONNREFUSED || errno == ENOENT) &&
	       is_awaited(addr, len)) {
		if (!said)
			log_error("the back end of a device does not listen (%s): the guest stands still until it does",
				  strerror(errno));
		said = true;
		nanosleep(&pause, NULL);
	}
	return rc;
}
