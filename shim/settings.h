/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* settings.h - the environment as it was when the program was started, read once. */
#ifndef CPRSHIM_SHIM_SETTINGS_H
#define CPRSHIM_SHIM_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

/**
 * enum hugepages - CPRSHIM_HUGEPAGES: which pages guest RAM is to be in
 * @HUGEPAGES_AUTO:    transparent huge pages where anonymous memory would have them
 * @HUGEPAGES_OFF:     what the kernel gives a memfd
 * @HUGEPAGES_HUGETLB: reserved ones
 */
enum hugepages {
	HUGEPAGES_AUTO,
	HUGEPAGES_OFF,
	HUGEPAGES_HUGETLB,
};

/**
 * struct settings - what the environment says
 * @binary:	CPRSHIM_BINARY: replacement; NULL: the path that the VMM was started by
 * @method:	CPRSHIM_METHOD: "auto" or "exec"
 * @rundir:	CPRSHIM_RUNDIR, or NULL
 * @runtime_dir: XDG_RUNTIME_DIR, or NULL
 * @notify_socket: NOTIFY_SOCKET: where the service manager is told (sd_notify(3)), or NULL
 * @in_unit:	what has started the VM belongs to a unit of systemd's (INVOCATION_ID, systemd.exec(5))
 * @timeout_s:	CPRSHIM_TIMEOUT: seconds that an update may take before it is undone
 * @hugepages:	CPRSHIM_HUGEPAGES: auto, off, hugetlb
 * @log_level:	CPRSHIM_LOG: error, warning, info, debug (enum log_level)
 * @log_file:	CPRSHIM_LOGFILE, or NULL for stderr
 * @raw:	CPRSHIM_RAW=on: what libc does on its own behalf is to be seen too (shim/raw.h)
 * @raw_unknown: what else CPRSHIM_RAW says, where that is neither on nor off, or NULL
 * @fault:	CPRSHIM_FAULT: where an update is to fail (loader/fault.h), or NULL
 * @state_fd:	CPRSHIM_STATE: descriptor of the CPR state that this process was exec'd with, or -1
 * @probe_fd:	CPRSHIM_PROBE: descriptor that a probe answers on, or -1
 *
 * The strings live as long as the process.
 */
struct settings {
	const char *binary;
	const char *method;
	const char *rundir;
	const char *runtime_dir;
	const char *notify_socket;
	bool in_unit;
	unsigned int timeout_s;
	enum hugepages hugepages;
	int log_level;
	const char *log_file;
	bool raw;
	const char *raw_unknown;
	const char *fault;
	int state_fd;
	int probe_fd;
};

extern struct settings settings;

void settings_read(char *const envp[]);
int settings_hide(const char *own_path, char *const original[], const char *module_dir);
bool settings_another_is_active(void);
void settings_give_way(bool wanted);
const char *settings_modules(const char *otherwise);
void settings_use_modules(const char *module_dir);
char **settings_started_in(char *const original[]);
char **settings_environment(char *const original[], const char *own_path, const char *preload,
			    const char *const extra[]);

#endif
