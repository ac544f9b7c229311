/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* options.c - the command line of a subcommand: one parser for all, each takes what its table entry names. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "proc.h"
#include "text.h"

/* Longer than any update takes; a guard against a slip of the finger. */
#define TIMEOUT_MAX 86400
/* A minute: it is no blackout any more. */
#define BLACKOUT_MAX 60000

/* getopt_long() hands out val: a character, or beyond these the number of an option's bit. */
#define VAL_FIRST 256
#define VAL(bit)  (VAL_FIRST + __builtin_ctz(bit))

static const struct option long_options[] = {
	{ "binary", required_argument, NULL, VAL(OPT_BINARY) },
	{ "method", required_argument, NULL, VAL(OPT_METHOD) },
	{ "receive", required_argument, NULL, VAL(OPT_RECEIVE) },
	{ "to", required_argument, NULL, VAL(OPT_TO) },
	{ "rundir", required_argument, NULL, VAL(OPT_RUNDIR) },
	{ "timeout", required_argument, NULL, VAL(OPT_TIMEOUT) },
	{ "log", required_argument, NULL, VAL(OPT_LOG) },
	{ "logfile", required_argument, NULL, VAL(OPT_LOGFILE) },
	{ "reason", required_argument, NULL, VAL(OPT_REASON) },
	{ "json", no_argument, NULL, VAL(OPT_JSON) },
	{ "paused", no_argument, NULL, VAL(OPT_PAUSED) },
	{ "verbose", no_argument, NULL, VAL(OPT_VERBOSE) },
	{ "rehearse", optional_argument, NULL, VAL(OPT_REHEARSE) },
	{ "max-blackout", required_argument, NULL, VAL(OPT_MAX_BLACKOUT) },
	{ "no-rehearse", no_argument, NULL, VAL(OPT_NO_REHEARSE) },
	{ "modules", no_argument, NULL, VAL(OPT_MODULES) },
	{ "all", no_argument, NULL, VAL(OPT_ALL) },
	{ "library-path", required_argument, NULL, VAL(OPT_LIBRARY_PATH) },
	{ "outdated", no_argument, NULL, VAL(OPT_OUTDATED) },
	{ "parallel", required_argument, NULL, VAL(OPT_PARALLEL) },
	{ "stop-on-failure", no_argument, NULL, VAL(OPT_STOP) },
	{ "help", no_argument, NULL, VAL(OPT_HELP) },
	{ "version", no_argument, NULL, VAL(OPT_VERSION) },
	{ NULL, 0, NULL, 0 },
};

static const struct {
	unsigned int bit;
	const char *text;
} option_help[] = {
	{ OPT_BINARY, "--binary B     the replacement binary, instead of the one configured" },
	{ OPT_COMMAND, "--command ARG... a command that ends in the replacement, with all that follows; comes last" },
	{ OPT_METHOD, "--method M     auto, exec, relay or transfer" },
	{ OPT_RECEIVE, "--receive SOCK wait there for a guest that a running VM gives away, and be its QEMU" },
	{ OPT_TO, "--to SOCK      transfer the guest to a cprctl run --receive that waits there" },
	{ OPT_RUNDIR, "--rundir D     directory of the control sockets" },
	{ OPT_TIMEOUT, "--timeout S    give an update up after S seconds" },
	{ OPT_LOG, "--log LEVEL    how much the shim logs" },
	{ OPT_LOGFILE, "--logfile F    where it logs to" },
	{ OPT_REASON, "--reason TEXT  why, for whoever is refused" },
	{ OPT_PAUSED, "--paused       leave the guest paused after the update" },
	{ OPT_REHEARSE,
	  "--rehearse[=full] bring the replacement up beside the guest, and throw it away; full: the guest stands still for\n"
	  "                 some milliseconds, for its devices' state to be loaded as well" },
	{ OPT_MAX_BLACKOUT, "--max-blackout MS no if the guest is expected to stand still for longer" },
	{ OPT_NO_REHEARSE, "--no-rehearse  do not do that before the update" },
	{ OPT_VERBOSE, "-v, --verbose  print progress, also where standard error is no terminal" },
	{ OPT_MODULES, "--modules      QEMU's modules as well" },
	{ OPT_LIBRARY_PATH, "--library-path D... folders, divided by colons, in which libraries are looked for first" },
	{ OPT_ALL, "--all          print each call, and each function without a hook with the reason" },
	{ OPT_EVERY_VM, "--all          every VM that the caller may update" },
	{ OPT_OUTDATED, "--outdated     only VMs that run another QEMU, or other libraries, than are on disk" },
	{ OPT_PARALLEL, "--parallel N   so many VMs at a time; one without it" },
	{ OPT_STOP, "--stop-on-failure with --all: begin no more once one was not updated" },
	{ OPT_JSON, "--json         print JSON" },
	{ OPT_HELP, "-h, --help     print this" },
	{ OPT_VERSION, "-V, --version  print the version" },
};

/**
 * options_help() - print how a subcommand is used
 * @out: where to
 * @cmd: the subcommand
 */
void options_help(FILE *out, const struct command *cmd)
{
	unsigned int mask = cmd->options | OPT_HELP | OPT_VERSION;

	fprintf(out, "usage: cprctl %s %s\n\n%s\n\n", cmd->name, cmd->synopsis, cmd->summary);
	for (size_t i = 0; i < sizeof(option_help) / sizeof(option_help[0]); i++) {
		if (mask & option_help[i].bit)
			fprintf(out, "  %s\n", option_help[i].text);
	}
}

/**
 * options_method_known() - is this the name of an update method?
 * @method: any text
 */
bool options_method_known(const char *method)
{
	static const char *const known[] = { "auto", "exec", "relay", "transfer" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!strcmp(method, known[i]))
			return true;
	}
	return false;
}

static int number(const char *text, int max, int *ret_number)
{
	char *end;
	long n;

	/* strtol() would take blanks and a sign as well */
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || *end || n < 1 || n > max)
		return -EINVAL;
	*ret_number = (int)n;
	return 0;
}

/* The VMM's working directory is another one than ours: paths are made absolute before they leave this process. */
static int path_option(const char *arg, char **ret_path)
{
	char *path;
	int err;

	if (!*arg) {
		text_error("an option that names a file or directory is empty");
		return -EINVAL;
	}
	err = proc_absolute(arg, &path);
	if (err) {
		text_error("cannot make %s absolute: %s", arg, strerror(-err));
		return err;
	}
	free(*ret_path);
	*ret_path = path;
	return 0;
}

static int take(struct options *opts, unsigned int bit, const char *arg)
{
	switch (bit) {
	case OPT_BINARY:
		return path_option(arg, &opts->binary);
	case OPT_RUNDIR:
		return path_option(arg, &opts->rundir);
	case OPT_LOGFILE:
		return path_option(arg, &opts->logfile);
	case OPT_RECEIVE:
		return path_option(arg, &opts->receive);
	case OPT_TO:
		return path_option(arg, &opts->to);
	case OPT_LOG:
		opts->log = arg;
		return 0;
	case OPT_LIBRARY_PATH:
		opts->library_path = arg;
		return 0;
	case OPT_REASON:
		opts->reason = arg;
		return 0;
	case OPT_METHOD:
		opts->method = arg;
		if (options_method_known(arg))
			return 0;
		text_error("%s is no update method: auto, exec, relay or transfer", arg);
		return -EINVAL;
	case OPT_REHEARSE:
		opts->rehearse = arg;
		if (!arg || !strcmp(arg, "full"))
			return 0;
		text_error("--rehearse=%s: there is --rehearse, and --rehearse=full", arg);
		return -EINVAL;
	case OPT_PARALLEL:
		if (!number(arg, OPTIONS_PARALLEL_MAX, &opts->parallel))
			return 0;
		text_error("%s is no number of VMs from 1 to %d", arg, OPTIONS_PARALLEL_MAX);
		return -EINVAL;
	case OPT_MAX_BLACKOUT:
		if (!number(arg, BLACKOUT_MAX, &opts->max_blackout))
			return 0;
		text_error("%s is no blackout in whole milliseconds from 1 to %d", arg, BLACKOUT_MAX);
		return -EINVAL;
	case OPT_TIMEOUT:
		if (!number(arg, TIMEOUT_MAX, &opts->timeout))
			return 0;
		text_error("%s is no time limit in whole seconds from 1 to %d", arg, TIMEOUT_MAX);
		return -EINVAL;
	default:
		return 0;
	}
}

static int operand(const struct command *cmd, int argc, char **argv, struct options *opts)
{
	int left = argc - optind;

	switch (cmd->operand) {
	case OPERAND_PROGRAM:
		if (left > 0) {
			opts->program = argv + optind;
			return 0;
		}
		text_error("%s: which program is to be run?", cmd->name);
		return -EINVAL;
	case OPERAND_PID_UNLESS_ALL:
		if (opts->seen & OPT_EVERY_VM)
			break;
		/* fall through */
	case OPERAND_PID:
		if (left < 1) {
			text_error("%s: which VM? a PID is missing", cmd->name);
			return -EINVAL;
		}
		if (number(argv[optind], INT_MAX, &opts->pid)) {
			text_error("%s is no PID", argv[optind]);
			return -EINVAL;
		}
		optind++;
		break;
	case OPERAND_FILE_OR_PID:
		if (left < 1) {
			text_error("%s: which file or process?", cmd->name);
			return -EINVAL;
		}
		/* a file that is called like a number is named with its folder */
		opts->file = argv[optind++];
		if (number(opts->file, INT_MAX, &opts->pid))
			opts->pid = 0;
		break;
	case OPERAND_NONE:
		break;
	}
	if (optind < argc) {
		text_error("%s: %s is one argument too many", cmd->name, argv[optind]);
		return -EINVAL;
	}
	return 0;
}

static unsigned int option_bit(int val)
{
	switch (val) {
	case 'h':
		return OPT_HELP;
	case 'v':
		return OPT_VERBOSE;
	case 'V':
		return OPT_VERSION;
	default:
		return val < VAL_FIRST ? 0 : 1u << (val - VAL_FIRST);
	}
}

/**
 * options_free() - give a parsed command line's memory back
 * @opts: the command line
 */
void options_free(const struct options *opts)
{
	free(opts->binary);
	free(opts->rundir);
	free(opts->logfile);
	free(opts->receive);
	free(opts->to);
}

/* All behind "--command" is the command's. Return: how many arguments come before it, or negative. */
static int cut_command(const struct command *cmd, int argc, char **argv, struct options *opts)
{
	for (int i = 1; cmd->options & OPT_COMMAND && i < argc; i++) {
		if (strcmp(argv[i], "--command") != 0)
			continue;
		if (i + 1 == argc) {
			text_error("%s: --command needs a command behind it", cmd->name);
			return -EINVAL;
		}
		opts->seen |= OPT_COMMAND;
		opts->program = argv + i + 1;
		/* getopt_long() stops at argc, and others may look for the end */
		argv[i] = NULL;
		return i;
	}
	return argc;
}

/* What is for all VMs goes with --all, and what is for one does not. list has --outdated by itself. */
static int check_all(const struct command *cmd, const struct options *opts)
{
	const unsigned int for_all = OPT_OUTDATED | OPT_PARALLEL | OPT_STOP;
	const unsigned int for_one = OPT_BINARY | OPT_COMMAND | OPT_TO | OPT_PAUSED;

	if (!(cmd->options & OPT_EVERY_VM))
		return 0;
	if (opts->seen & OPT_EVERY_VM && opts->seen & for_one) {
		text_error("%s: --binary, --command, --to and --paused are for one VM", cmd->name);
		return -EINVAL;
	}
	if (!(opts->seen & OPT_EVERY_VM) && opts->seen & for_all) {
		text_error("%s: --outdated, --parallel and --stop-on-failure go with --all", cmd->name);
		return -EINVAL;
	}
	return 0;
}

static int parse(const struct command *cmd, int argc, char **argv, struct options *opts)
{
	const char *letters = cmd->operand == OPERAND_PROGRAM ? "+:hvV" : ":hvV";
	unsigned int mask = cmd->options | OPT_HELP | OPT_VERSION;
	int val;

	argc = cut_command(cmd, argc, argv, opts);
	if (argc < 0)
		return argc;
	opterr = 0;
	/* "+": what follows the program belongs to the program */
	while ((val = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
		unsigned int bit = option_bit(val);

		/* one word for two things */
		if (bit == OPT_ALL && cmd->options & OPT_EVERY_VM)
			bit = OPT_EVERY_VM;
		if (val == ':') {
			text_error("%s: %s needs a value", cmd->name, argv[optind - 1]);
			return -EINVAL;
		}
		if (val == '?' || !(bit & mask)) {
			text_error("%s: %s is no option of this command", cmd->name, argv[optind - 1]);
			return -EINVAL;
		}
		opts->seen |= bit;
		if (bit & (OPT_HELP | OPT_VERSION))
			return 0;
		if (take(opts, bit, optarg))
			return -EINVAL;
	}
	if (opts->binary && opts->seen & OPT_COMMAND) {
		text_error("%s: --binary and --command are two ways to say the same", cmd->name);
		return -EINVAL;
	}
	if (opts->to && (opts->binary || opts->seen & OPT_COMMAND)) {
		text_error("%s: with --to, the replacement is for cprctl run --receive to say", cmd->name);
		return -EINVAL;
	}
	return check_all(cmd, opts) ? -EINVAL : operand(cmd, argc, argv, opts);
}

/**
 * options_parse() - read the command line of a subcommand
 * @cmd:	the subcommand
 * @argc:	number of @argv
 * @argv:	its command line, with the subcommand's name first
 * @ret_opts:	what was read; with OPT_HELP or OPT_VERSION in seen, the rest was not looked at
 *
 * Return: 0, or negative where the command line is wrong; this was then said on standard error.
 */
int options_parse(const struct command *cmd, int argc, char **argv, struct options *ret_opts)
{
	struct options opts = { 0 };
	int err = parse(cmd, argc, argv, &opts);

	if (err)
		options_free(&opts);
	else
		*ret_opts = opts;
	return err;
}
