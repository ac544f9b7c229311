/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log.h - one line a message, to stderr or CPRSHIM_LOGFILE.
 *
 * Each function formats into a buffer on the stack and writes once, keeps errno, and takes no lock. Formatting is
 * vsnprintf(): safe in any thread, not in a signal handler.
 */
#ifndef CPRSHIM_SHIM_LOG_H
#define CPRSHIM_SHIM_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_setup(enum log_level level, int fd);
void log_setup_descriptor(int fd);
int log_descriptor(void);
void log_message(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_message(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_message(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_message(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_message(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
