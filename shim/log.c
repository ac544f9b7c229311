/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* log.c - one line a message; see log.h. */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum log_level limit = LOG_LEVEL_WARN;
static int log_fd = STDERR_FILENO;

/**
 * log_setup() - say what is logged, and where
 * @level: the least urgent level that is written
 * @fd:	   descriptor; stays the caller's. Negative: nowhere
 */
void log_setup(enum log_level level, int fd)
{
	limit = level;
	log_fd = fd;
}

/** log_setup_descriptor() - write to another descriptor from now on */
void log_setup_descriptor(int fd)
{
	log_fd = fd;
}

/** log_descriptor() - the descriptor that messages go to */
int log_descriptor(void)
{
	return log_fd;
}

/**
 * log_message() - write one line
 * @level:  how urgent
 * @format: as printf's, without a newline
 */
void log_message(enum log_level level, const char *format, ...)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	int saved = errno;
	struct timespec now;
	char line[1024];
	va_list ap;

	if (level > limit || log_fd < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	int len = snprintf(line, sizeof(line), "cprshim[%d] %lld.%03ld %s: ", (int)getpid(), (long long)now.tv_sec,
			   now.tv_nsec / 1000000, names[level]);
	va_start(ap, format);
	len += vsnprintf(line + len, sizeof(line) - (size_t)len - 1, format, ap);
	va_end(ap);
	if ((size_t)len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	/* A message that cannot be written has nowhere else to go. */
	if (write(log_fd, line, (size_t)len) < 0)
		errno = saved;
	errno = saved;
}
