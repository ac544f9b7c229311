/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tap.h - the little of the Test Anything Protocol that the unit tests need.
 *
 * A test program calls ok() for each thing it claims and ends main() with `return tap_done();`. Single-threaded: other
 * threads of a test hand their findings back to the main one.
 */
#ifndef CPRSHIM_TEST_UNIT_TAP_H
#define CPRSHIM_TEST_UNIT_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static struct {
	unsigned int count;
	unsigned int failed;
} tap;

/**
 * tap_diag() - print a line for the reader of a log
 * @format: as for printf(3), one line without its end
 */
__attribute__((format(printf, 1, 2), unused)) static void tap_diag(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("# ", stdout);
	vprintf(format, args);
	putchar('\n');
	va_end(args);
}

__attribute__((format(printf, 5, 6))) static bool tap_ok(bool passed, const char *text, const char *file, int line,
							 const char *format, ...)
{
	va_list args;

	printf("%s %u - ", passed ? "ok" : "not ok", ++tap.count);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	if (!passed) {
		tap.failed++;
		printf("# %s:%d: %s\n", file, line, text);
	}
	fflush(stdout);
	return passed;
}

/* ok(condition, "what is claimed", ...) - one test; gives the condition back. */
#define ok(condition, ...) tap_ok((condition), #condition, __FILE__, __LINE__, __VA_ARGS__)

/**
 * tap_skip() - count a test that cannot be run here as skipped
 * @reason: why
 */
__attribute__((unused)) static void tap_skip(const char *reason)
{
	printf("ok %u # SKIP %s\n", ++tap.count, reason);
}

/**
 * tap_done() - print the plan
 *
 * Return: exit status for main().
 */
static int tap_done(void)
{
	printf("1..%u\n", tap.count);
	return tap.failed ? 1 : 0;
}

#endif
