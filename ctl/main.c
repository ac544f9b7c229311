/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main.c - cprctl: start VMs under the shim, look at them and update them.
 *
 * cprctl is another process than the VMM, and the VMM may have been taken over by its guest. All that it sends,
 * publishes or is called is hostile: it is bounded, copied, checked, and escaped before it is printed. No signal is
 * ever sent: a SIGUSR2 kills a QEMU that is not under the shim.
 */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "options.h"
#include "text.h"

static const struct command commands[] = {
	{ "run", "[options] -- PROGRAM [ARGUMENT...]", "Start a VM under the shim, or take a running one's guest.",
	  OPT_BINARY | OPT_METHOD | OPT_RUNDIR | OPT_TIMEOUT | OPT_LOG | OPT_LOGFILE | OPT_RECEIVE, OPERAND_PROGRAM,
	  cmd_run },
	{ "list", "[options]", "List the VMs under the shim.", OPT_JSON | OPT_RUNDIR | OPT_OUTDATED, OPERAND_NONE,
	  cmd_list },
	{ "status", "PID [options]", "Show a VM's descriptors, RAM blocks, blockers and last update.",
	  OPT_JSON | OPT_RUNDIR, OPERAND_PID, cmd_status },
	{ "check", "PID [options]", "Tell whether a VM can be updated, and every reason if not. Touches nothing.",
	  OPT_JSON | OPT_RUNDIR | OPT_BINARY | OPT_REHEARSE | OPT_MAX_BLACKOUT | OPT_COMMAND, OPERAND_PID, cmd_check },
	{ "update", "PID|--all [options]", "Update a VM, or all of them, in place and wait for the outcome.",
	  OPT_JSON | OPT_RUNDIR | OPT_BINARY | OPT_METHOD | OPT_PAUSED | OPT_TIMEOUT | OPT_VERBOSE | OPT_COMMAND |
		  OPT_NO_REHEARSE | OPT_MAX_BLACKOUT | OPT_TO | OPT_EVERY_VM | OPT_OUTDATED | OPT_PARALLEL | OPT_STOP,
	  OPERAND_PID_UNLESS_ALL, cmd_update },
	{ "history", "PID [options]", "Show a VM's past updates.", OPT_JSON | OPT_RUNDIR, OPERAND_PID, cmd_history },
	{ "metrics", "[options]", "Print figures of all VMs for Prometheus.", OPT_RUNDIR, OPERAND_NONE, cmd_metrics },
	{ "doctor", "[options]", "Tell what on this host gets in the way of updates.", OPT_JSON | OPT_RUNDIR,
	  OPERAND_NONE, cmd_doctor },
	{ "after-upgrade", "[options]", "Do with outdated VMs what cprshim.conf says; for package managers.",
	  OPT_RUNDIR | OPT_VERBOSE | OPT_PARALLEL, OPERAND_NONE, cmd_after_upgrade },
	{ "audit", "FILE|PID [options]",
	  "Show which system calls of a program, or of a process, go past the hooks. Runs nothing.",
	  OPT_JSON | OPT_MODULES | OPT_ALL | OPT_LIBRARY_PATH, OPERAND_FILE_OR_PID, cmd_audit },
	{ "inhibit", "PID [options]", "Have a VM refuse updates, whoever asks.", OPT_RUNDIR | OPT_REASON, OPERAND_PID,
	  cmd_inhibit },
	{ "uninhibit", "PID [options]", "Let a VM be updated again.", OPT_RUNDIR, OPERAND_PID, cmd_uninhibit },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void help(FILE *out)
{
	fputs("usage: cprctl COMMAND [options]\n\n", out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-13s %s\n", commands[i].name, commands[i].summary);
	fputs("\n  cprctl COMMAND --help tells more about one of them.\n", out);
}

static void version(void)
{
	puts("cprctl " PACKAGE_VERSION);
}

static int run(const struct command *cmd, int argc, char **argv)
{
	struct options opts;
	int code = CTL_OK;

	if (options_parse(cmd, argc, argv, &opts)) {
		fprintf(stderr, "usage: cprctl %s %s\n", cmd->name, cmd->synopsis);
		return CTL_USAGE;
	}
	if (opts.seen & OPT_VERSION)
		version();
	else if (opts.seen & OPT_HELP)
		options_help(stdout, cmd);
	else
		code = cmd->run(&opts);
	options_free(&opts);
	return code;
}

static int dispatch(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!name) {
		help(stderr);
		return CTL_USAGE;
	}
	if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
		help(stdout);
		return CTL_OK;
	}
	if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
		version();
		return CTL_OK;
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		if (!strcmp(name, commands[i].name))
			return run(&commands[i], argc - 1, argv + 1);
	}
	text_error("%s is no command", name);
	help(stderr);
	return CTL_USAGE;
}

int main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";
	int code;

	if (!strncmp(name, "qemu-", strlen("qemu-")))
		return cmd_run_wrapper(name, argv);
	code = dispatch(argc, argv);
	if (fflush(stdout) || ferror(stdout)) {
		text_error("cannot write to standard output");
		/* what became of an update counts for more than a closed pipe */
		return code ? code : CTL_NO;
	}
	return code;
}
