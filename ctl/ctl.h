/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl.h - what main.c and the subcommands share: exit codes, options, the table's entry. */
#ifndef CPRSHIM_CTL_CTL_H
#define CPRSHIM_CTL_CTL_H

#include <stdbool.h>
#include <sys/types.h>

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unversioned"
#endif

/* Exit codes: scripts rely on them. */
#define CTL_OK	  0
#define CTL_NO	  1 /* refused, failed, not found; a guest that ran before runs on */
#define CTL_USAGE 2
#define CTL_LOST  3 /* the VMM's process is gone */

/* Options by bit, so that a subcommand can say which it takes. */
#define OPT_BINARY	 (1u << 0)
#define OPT_METHOD	 (1u << 1)
#define OPT_RUNDIR	 (1u << 2)
#define OPT_TIMEOUT	 (1u << 3)
#define OPT_LOG		 (1u << 4)
#define OPT_LOGFILE	 (1u << 5)
#define OPT_JSON	 (1u << 6)
#define OPT_PAUSED	 (1u << 7)
#define OPT_VERBOSE	 (1u << 8)
#define OPT_COMMAND	 (1u << 9)
#define OPT_REHEARSE	 (1u << 10)
#define OPT_HELP	 (1u << 11)
#define OPT_VERSION	 (1u << 12)
#define OPT_NO_REHEARSE	 (1u << 13)
#define OPT_MAX_BLACKOUT (1u << 14)
#define OPT_MODULES	 (1u << 15)
#define OPT_ALL		 (1u << 16)
#define OPT_LIBRARY_PATH (1u << 17)
#define OPT_REASON	 (1u << 18)
#define OPT_RECEIVE	 (1u << 19)
#define OPT_TO		 (1u << 20)
#define OPT_OUTDATED	 (1u << 21)
#define OPT_EVERY_VM	 (1u << 22)
#define OPT_PARALLEL	 (1u << 23)
#define OPT_STOP	 (1u << 24)

/* What follows a subcommand's options. */
enum operand {
	OPERAND_NONE,
	OPERAND_PID,
	OPERAND_PID_UNLESS_ALL,
	OPERAND_PROGRAM,
	OPERAND_FILE_OR_PID,
};

/**
 * struct options - a parsed command line, for options_free(); NULL and 0 where an option was not given
 * @seen:	OPT_* of the options given
 * @binary:	--binary, absolute
 * @rundir:	--rundir, absolute
 * @library_path: --library-path
 * @logfile:	--logfile, absolute
 * @method:	--method, a known one
 * @receive:	--receive, absolute
 * @to:		--to, absolute
 * @log:	--log
 * @rehearse:	what --rehearse says behind "="
 * @reason:	--reason
 * @timeout:	--timeout in seconds
 * @max_blackout: --max-blackout in milliseconds
 * @parallel:	--parallel
 * @pid:	the VM, for OPERAND_PID; 0 with --all; for OPERAND_FILE_OR_PID where it is one, else 0
 * @file:	the file, for OPERAND_FILE_OR_PID
 * @program:	program and its arguments, NULL-terminated, for OPERAND_PROGRAM; for --command, which ends the line
 */
struct options {
	unsigned int seen;
	char *binary;
	char *rundir;
	char *logfile;
	char *receive;
	char *to;
	const char *method;
	const char *log;
	const char *rehearse;
	const char *reason;
	int timeout;
	int max_blackout;
	int parallel;
	pid_t pid;
	const char *file;
	const char *library_path;
	char **program;
};

/**
 * struct command - a subcommand
 * @name:	as typed
 * @synopsis:	what follows the name
 * @summary:	one line for --help
 * @options:	OPT_* that it takes
 * @operand:	what it takes besides
 * @run:	does it; returns CTL_*
 */
struct command {
	const char *name;
	const char *synopsis;
	const char *summary;
	unsigned int options;
	enum operand operand;
	int (*run)(const struct options *opts);
};

int cmd_run(const struct options *opts);
int cmd_run_wrapper(const char *name, char **argv);
int cmd_list(const struct options *opts);
int cmd_status(const struct options *opts);
int cmd_check(const struct options *opts);
int cmd_update(const struct options *opts);
int cmd_history(const struct options *opts);
int cmd_audit(const struct options *opts);
int cmd_metrics(const struct options *opts);
int cmd_doctor(const struct options *opts);
int cmd_after_upgrade(const struct options *opts);
int cmd_inhibit(const struct options *opts);
int cmd_uninhibit(const struct options *opts);

#endif
