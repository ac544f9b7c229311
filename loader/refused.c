/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* refused.c - options of QEMU's that cannot be updated yet; see refused.h. */
#include "refused.h"

#include <stdio.h>
#include <string.h>

#include "argv.h"
#include "cmdline.h"
#include "optvalue.h"
#include "vm.h"

/* Stands for any type, or any value. */
#define ANY "*"

#define NETWORK "netdev nic net"
/* Devices without a VMStateDescription; those that QEMU itself calls non-migratable are found by query-migrate. */
#define NO_STATE     "this QEMU does not save the state of that device: start the VM without it"
#define CONFIDENTIAL "the memory of a confidential guest belongs to the program that started it"
#define CHARACTER    "chardev serial parallel monitor"

/**
 * struct rule - what is refused
 * @options: names of options, without their dash, a space between them
 * @type:    what they make: a name, the beginning of a name and "*", or ANY
 * @key:     further condition: this key has this value; NULL for none
 * @value:   "on" stands for all that QEMU takes for it
 * @why:     the sentence; NULL where what matches can be updated
 *
 * The first rule without a further condition is the last that is looked at.
 */
struct rule {
	const char *options;
	const char *type;
	const char *key;
	const char *value;
	const char *why;
};

static const struct rule rules[] = {
	{ "chroot", ANY, NULL, NULL, "-chroot hides the replacement: start the VM without it" },
	{ "run-with", ANY, "chroot", ANY, "-run-with chroot= hides the replacement: start the VM without it" },
	{ "runas", ANY, NULL, NULL,
	  "-runas: what was opened as root could not be opened again: start the VM as that user" },
	{ "run-with", ANY, "user", ANY,
	  "-run-with user=: what was opened as root could not be opened again: start the VM as that user" },
	{ "async-teardown", ANY, NULL, NULL,
	  "-async-teardown: its helper would keep the old memory: start the VM without it" },
	{ "run-with", ANY, "async-teardown", "on",
	  "-run-with async-teardown=on: its helper would keep the old memory: start the VM without it" },
	{ "sandbox", ANY, "spawn", "deny", "-sandbox spawn=deny forbids exec: start the VM with spawn=allow" },
	{ "snapshot", ANY, NULL, NULL, "-snapshot: what was written since the start would be lost" },
	{ "drive", ANY, "snapshot", "on", "a drive with snapshot=on would lose what was written since the start" },
	{ "preconfig", ANY, NULL, NULL, "-preconfig: what was set by QMP before the machine was made would be lost" },
	{ "readconfig", ANY, NULL, NULL,
	  "-readconfig: what that file says cannot be adapted for the new QEMU yet: put it on the command line" },
	{ "plugin", ANY, NULL, NULL, "-plugin: what a plugin has gathered would be lost: start the VM without it" },
	{ "icount", ANY, "rr", "record", "-icount rr=record: the recording would begin anew and be overwritten" },
	{ "icount", ANY, "rr", "replay", "-icount rr=replay: the replay would begin anew" },
	{ "tpmdev", "passthrough", NULL, NULL, "-tpmdev passthrough: the host's TPM cannot be handed over: use swtpm" },
	{ "audiodev", "wav", NULL, NULL, "-audiodev wav: the file would get a second header: use another back end" },
	{ "qmp qmp-pretty", "stdio", NULL, NULL, "a QMP monitor on a terminal cannot be handed over: use a socket" },
	{ "qmp qmp-pretty", "pty", NULL, NULL, "a QMP monitor on a terminal cannot be handed over: use a socket" },
	{ "qmp qmp-pretty", "mon", NULL, NULL, "a QMP monitor on a terminal cannot be handed over: use a socket" },
	{ CHARACTER, ANY, "tls-creds", ANY, "a TLS character device has a session that cannot be handed over" },
	{ CHARACTER, ANY, "websocket", "on", "a websocket character device has a session that cannot be handed over" },
	{ CHARACTER, "websocket", NULL, NULL, "a websocket character device has a session that cannot be handed over" },
	{ CHARACTER, ANY, "telnet", "on", "a telnet character device has a session that cannot be handed over" },
	{ CHARACTER, "telnet", NULL, NULL, "a telnet character device has a session that cannot be handed over" },
	{ CHARACTER, ANY, "tn3270", "on", "a tn3270 character device has a session that cannot be handed over" },
	{ CHARACTER, "parallel", NULL, NULL, "a port of the host's cannot be handed over yet" },
	{ CHARACTER, "parport", NULL, NULL, "a port of the host's cannot be handed over yet" },
	{ CHARACTER, "serial", NULL, NULL, "a port of the host's cannot be handed over yet" },
	{ CHARACTER, "tty", NULL, NULL, "a port of the host's cannot be handed over yet" },
	{ CHARACTER, "/dev/*", NULL, NULL, "a port of the host's cannot be handed over yet" },
	{ CHARACTER, "braille", NULL, NULL, "a braille display's session cannot be handed over" },
	{ NETWORK, ANY, "vhost", "on", "vhost network back ends cannot be handed over yet: use vhost=off" },
	{ NETWORK, ANY, "vhostforce", "on", "vhost network back ends cannot be handed over yet: use vhost=off" },
	{ NETWORK, ANY, "vhostfd", ANY, "vhost network back ends cannot be handed over yet: use vhost=off" },
	{ NETWORK, ANY, "vhostfds", ANY, "vhost network back ends cannot be handed over yet: use vhost=off" },
	{ NETWORK, "vhost-*", NULL, NULL, "vhost-user and vDPA network back ends cannot be handed over yet" },
	{ "net", ANY, "helper", ANY, "-net with a bridge helper cannot be handed over: use -netdev or -nic" },
	{ "net", "bridge", NULL, NULL, "-net with a bridge helper cannot be handed over: use -netdev or -nic" },
	{ NETWORK, "user", "smb", ANY,
	  "a user network's smb= has a server that QEMU started: start the VM without it" },
	{ NETWORK, "passt", NULL, NULL,
	  "passt would end with the old QEMU, which started it: start passt yourself and use -netdev stream" },
	{ NETWORK, "vde", NULL, NULL, "a network over VDE would lose its switch: use a tap or -netdev stream" },
	{ NETWORK, "l2tpv3", NULL, NULL, "a network over L2TPv3 cannot be handed over yet: use a tap" },
	{ NETWORK, "netmap", NULL, NULL, "a network over netmap cannot be handed over yet: use a tap" },
	{ NETWORK, "af-xdp", NULL, NULL, "a network over AF_XDP cannot be handed over yet: use a tap" },
	{ "device", "vhost-user-blk*", NULL, NULL, NULL }, /* loader/partners.c */
	{ "device", "vhost-user-fs*", NULL, NULL,
	  "vhost-user-fs: the files that virtiofsd has open for the guest would be lost: unmount it and unplug it" },
	{ "device", "vhost-user-*", NULL, NULL, "a vhost-user device that is no disk cannot be handed over yet" },
	{ "device", "vhost-*", NULL, NULL, "vhost and vhost-user devices cannot be handed over yet" },
	{ "device", "vfio-*", NULL, NULL, "VFIO devices cannot be handed over yet" },
	{ "device", "ivshmem-doorbell", NULL, NULL, "ivshmem-doorbell: its server would see a new peer" },
	{ "device", "usb-host", NULL, NULL, "usb-host: the guest would see the device unplugged" },
	{ "device", "adlib", NULL, NULL, NO_STATE },
	{ "device", "ati-vga", NULL, NULL, NO_STATE },
	{ "device", "ccid-card-emulated", NULL, NULL, NO_STATE },
	{ "device", "cxl-*", NULL, NULL, NO_STATE },
	{ "device", "edu", NULL, NULL, NO_STATE },
	{ "device", "hv-balloon", NULL, NULL, NO_STATE },
	{ "device", "pvrdma", NULL, NULL, NO_STATE },
	{ "device", "virtio-pmem*", NULL, NULL, NO_STATE },
	{ "object", "sev-guest", NULL, NULL, CONFIDENTIAL },
	{ "object", "sev-snp-guest", NULL, NULL, CONFIDENTIAL },
	{ "object", "tdx-guest", NULL, NULL, CONFIDENTIAL },
	{ "object", "filter-dump", NULL, NULL,
	  "filter-dump: the file would get a second header: start the VM without it" },
	{ "object", "memory-backend-epc", NULL, NULL,
	  "memory-backend-epc: an enclave's memory ends with the program that made it" },
	{ "object", "vhost-user-backend", NULL, NULL, "vhost and vhost-user devices cannot be handed over yet" },
	{ "object", "cryptodev-vhost-user", NULL, NULL, "vhost and vhost-user devices cannot be handed over yet" },
	{ "object", "x-remote-object", NULL, NULL, "remote devices cannot be handed over" },
	{ "object", "x-vfio-user-server", NULL, NULL, "remote devices cannot be handed over" },
};

static bool matches(const char *pattern, const char *text)
{
	size_t len = strlen(pattern);

	if (pattern[len - 1] == '*')
		return !strncmp(pattern, text, len - 1);
	return !strcmp(pattern, text);
}

static bool has_value(const char *text, const struct rule *rule)
{
	char value[256];

	if (!strcmp(rule->value, "on"))
		return optvalue_on(text, rule->key);
	return optvalue_get(text, rule->key, value, sizeof(value)) && matches(rule->value, value);
}

static bool named(const char *options, const char *option)
{
	size_t len = strlen(option);

	for (const char *at = options; at; at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL)
		if (!strncmp(at, option, len) && (at[len] == ' ' || !at[len]))
			return true;
	return false;
}

/**
 * refused_option() - what one option says that cannot be updated
 * @option:  its name without dashes
 * @value:   its argument, or ""
 * @reasons: one sentence each
 */
void refused_option(const char *option, const char *value, struct reasons *reasons)
{
	char type[256];

	/* A monitor beside it makes no difference, but for QMP. */
	if (!strncmp(value, "mon:", 4) && strncmp(option, "qmp", 3) != 0)
		value += 4;
	optvalue_type(value, type, sizeof(type));
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (named(rules[i].options, option) && matches(rules[i].type, type) &&
		    (!rules[i].key || has_value(value, &rules[i]))) {
			if (rules[i].why)
				reasons_add(reasons, "%s", rules[i].why);
			if (!rules[i].key)
				break;
		}
	/* cmdline_for_successor() pins it in this form only. */
	if (!strcmp(option, "device") && !strcmp(type, "vmgenid") && strncmp(value, "vmgenid", 7) != 0 &&
	    optvalue_get(value, "guid", type, sizeof(type)) && !strcmp(type, "auto"))
		reasons_add(reasons,
			    "vmgenid with guid=auto would get a new one: write it as -device vmgenid,guid=auto");
}

/**
 * refused_options() - what on the command line cannot be updated
 * @argv:    the user's
 * @reasons: one sentence each
 */
void refused_options(char *const argv[], struct reasons *reasons)
{
	for (size_t i = 1; argv[0] && argv[i]; i++)
		if (argv[i][0] == '-' && argv[i][1])
			refused_option(argv[i] + (argv[i][1] == '-' ? 2 : 1),
				       argv[i + 1] && argv[i + 1][0] != '-' ? argv[i + 1] : "", reasons);
}

static int addition_allowed(const char *arg)
{
	static const struct {
		const char *name;
		int length; /* with its argument */
	} allowed[] = {
		{ "L", 2 }, { "accel", 2 }, { "enable-kvm", 1 }, { "no-user-config", 1 },
		{ "D", 2 }, { "d", 2 },	    { "msg", 2 },	 { "trace", 2 },
	};

	for (size_t i = 0; arg[0] == '-' && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (!strcmp(arg + (arg[1] == '-' ? 2 : 1), allowed[i].name))
			return allowed[i].length;
	return 0;
}

/**
 * refused_additions() - what a command adds to QEMU's arguments and must not
 * @argv:    the name and what was added
 * @reasons: one sentence each
 *
 * The VM is what it was started as. Where QEMU finds its files, what it logs and what it runs the guest by make no
 * other one of it.
 */
void refused_additions(char *const argv[], struct reasons *reasons)
{
	for (size_t i = 1; argv[0] && argv[i]; i++) {
		int length = addition_allowed(argv[i]);

		/* an argument of what is refused already */
		if (argv[i][0] != '-' && i > 1)
			continue;
		if (!length)
			reasons_add(reasons,
				    "the command adds %s to QEMU's arguments: a VM is made by what it was started with",
				    argv[i]);
		i += length > 1 && argv[i + 1] ? 1 : 0;
	}
}

/**
 * refused_versions() - is a guest's state known not to go from one version to another?
 * @target:   as query-target says it
 * @from, @to: versions, such as "7.2.22"
 * @reasons:  one sentence
 *
 * What is said here was tried with QEMU's own migration too (docs/compatibility.md); versions in between were not.
 */
void refused_versions(const char *target, const char *from, const char *to, struct reasons *reasons)
{
	static const char *const targets[] = { "aarch64", "ppc64", "riscv64" };
	int a = vm_version_number(from), b = vm_version_number(to);

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		if (!strcmp(target, targets[i]) && ((a && a <= 702 && b >= 1000) || (b && b <= 702 && a >= 1000)))
			reasons_add(
				reasons,
				"a %s guest's state of QEMU %s cannot be loaded by QEMU %s, nor migrated to it: restart it",
				target, from, to);
}

/**
 * refused_spawn() - could it kill this process to start another?
 * @argv: the user's
 *
 * QEMU's seccomp filter does, where it is told to (softmmu/qemu-seccomp.c); what a configuration file tells it is not
 * known.
 */
bool refused_spawn(char *const argv[])
{
	char value[16];

	for (size_t n = 0; argv_value(argv, "sandbox", n); n++)
		if (optvalue_get(argv_value(argv, "sandbox", n), "spawn", value, sizeof(value)) &&
		    !strcmp(value, "deny"))
			return true;
	return argv_has(argv, "readconfig");
}
