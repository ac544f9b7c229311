/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd_run.c - cprctl run: start a VM under the shim; also in place of an emulator, under the emulator's name. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "installed.h"
#include "options.h"
#include "proc.h"
#include "receive.h"
#include "runnable.h"
#include "text.h"

#define LIBRARY	     "libcprshim.so"
#define EMULATOR_DIR "/usr/bin/"

static int find_library(char **ret_path)
{
	const char *wanted = getenv("CPRSHIM_LIB");

	if (wanted && *wanted)
		return proc_absolute(wanted, ret_path);
	return installed_find("", LIBRARY, ret_path);
}

static int set_preload(const char *library)
{
	const char *old = getenv("LD_PRELOAD");
	char *value;
	int err;

	if (!old || !*old)
		return setenv("LD_PRELOAD", library, 1) ? -errno : 0;
	if (asprintf(&value, "%s:%s", library, old) < 0)
		return -ENOMEM;
	err = setenv("LD_PRELOAD", value, 1) ? -errno : 0;
	free(value);
	return err;
}

static int set_settings(const struct options *opts)
{
	char timeout[16];
	const struct {
		const char *name, *value;
	} settings[] = {
		{ "CPRSHIM_BINARY", opts->binary }, { "CPRSHIM_METHOD", opts->method },
		{ "CPRSHIM_RUNDIR", opts->rundir }, { "CPRSHIM_TIMEOUT", opts->timeout ? timeout : NULL },
		{ "CPRSHIM_LOG", opts->log },	    { "CPRSHIM_LOGFILE", opts->logfile },
	};

	snprintf(timeout, sizeof(timeout), "%d", opts->timeout);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (settings[i].value && setenv(settings[i].name, settings[i].value, 1))
			return -errno;
	}
	return 0;
}

static int prepare(const char *program, const char *library, const struct options *opts)
{
	const char *method = getenv("CPRSHIM_METHOD");
	const char *problem = runnable_program_problem(program);
	int err;

	if (problem) {
		text_error("%s cannot be run under the shim: %s", program, problem);
		return -ENOEXEC;
	}
	problem = runnable_library_problem(library);
	if (problem) {
		text_error("%s cannot be preloaded: %s", library, problem);
		return -ENOEXEC;
	}
	if (!opts->method && method && *method && !options_method_known(method)) {
		text_error("CPRSHIM_METHOD: %s is no update method: auto, exec, relay or transfer", method);
		return -EINVAL;
	}
	problem = opts->binary ? runnable_replacement_problem(opts->binary) : NULL;
	if (problem) {
		text_error("--binary: a VM cannot be updated to %s: %s", opts->binary, problem);
		return -ENOEXEC;
	}
	err = set_settings(opts);
	if (!err)
		err = set_preload(library);
	if (err)
		text_error("cannot set the environment: %s", strerror(-err));
	return err;
}

/* Return: only where it fails. */
static int start(const char *program, char **argv, const struct options *opts)
{
	char *library;

	if (find_library(&library)) {
		text_error(LIBRARY " was not found; CPRSHIM_LIB may name it");
		return CTL_NO;
	}
	if (!prepare(program, library, opts)) {
		execv(program, argv);
		text_error("cannot run %s: %s", program, strerror(errno));
	}
	free(library);
	return CTL_NO;
}

/* Settings and library come with the guest. Return: only where it fails. */
static int receive(const char *program, const struct options *opts)
{
	const char *problem = runnable_program_problem(program);

	if (problem)
		text_error("%s cannot be run under the shim: %s", program, problem);
	else
		text_error("the guest could not be taken at %s: %s", opts->receive,
			   strerror(-receive_guest(opts->receive, program, opts->program)));
	return CTL_NO;
}

/**
 * cmd_run() - cprctl run
 * @opts: the command line
 *
 * Return: CTL_NO, or not at all.
 */
int cmd_run(const struct options *opts)
{
	char *program;
	int code;

	if (proc_find_program(opts->program[0], &program)) {
		text_error("program %s was not found", opts->program[0]);
		return CTL_NO;
	}
	code = opts->receive ? receive(program, opts) : start(program, opts->program, opts);
	free(program);
	return code;
}

/* Return: is @path this very program, under its own or another name? */
static bool is_self(const char *path)
{
	struct stat self, st;

	return !stat("/proc/self/exe", &self) && !stat(path, &st) && self.st_dev == st.st_dev &&
	       self.st_ino == st.st_ino;
}

/**
 * cmd_run_wrapper() - stand in for an emulator
 * @name: the name that this program was called by, without its directory
 * @argv: the emulator's command line
 *
 * A manager may call an emulator for other things than starting a VM (libvirt asks for its capabilities); all
 * arguments are passed on, and the shim keeps out of the way by itself.
 *
 * Return: CTL_NO, or not at all.
 */
int cmd_run_wrapper(const char *name, char **argv)
{
	const char *wanted = getenv("CPRSHIM_EMULATOR");
	const struct options none = { 0 };
	char *program;
	int code;

	if (wanted && *wanted) {
		code = proc_absolute(wanted, &program);
	} else {
		code = asprintf(&program, EMULATOR_DIR "%s", name) < 0 ? -ENOMEM : 0;
	}
	if (code) {
		text_error("cannot name the emulator: %s", strerror(-code));
		return CTL_NO;
	}
	if (is_self(program)) {
		text_error("%s is cprctl itself; CPRSHIM_EMULATOR must name the emulator", program);
		free(program);
		return CTL_NO;
	}
	/* an update looks for the replacement at the path that the VMM was started by: the emulator's, not ours */
	argv[0] = program;
	code = start(program, argv, &none);
	free(program);
	return code;
}
