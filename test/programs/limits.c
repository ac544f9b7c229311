/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * limits.c - a library that says that a billion files may be open: who closes or looks at each number up to the limit
 * then never ends. Where the kernel's limit is that high, only root may set it, and not everywhere.
 */
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BILLION 1000000000ul

int getrlimit(__rlimit_resource_t resource, struct rlimit *ret)
{
	if (syscall(SYS_prlimit64, 0, resource, NULL, ret))
		return -1;
	if (resource == RLIMIT_NOFILE)
		ret->rlim_cur = ret->rlim_max = BILLION;
	return 0;
}

int getrlimit64(__rlimit_resource_t resource, struct rlimit64 *ret)
{
	return getrlimit(resource, (struct rlimit *)ret);
}

int getdtablesize(void)
{
	return (int)BILLION;
}
