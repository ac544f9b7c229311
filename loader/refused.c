/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* refused.c - options of QEMU's that cannot be updated yet; see refused.h. */
#include "refused.h"

#include <stdio.h>
#include <string.h>

#include "argv.h"
#include "cmdline.h"
#include "optvalue.h"
#include "version.h"

/* Stands for any type, or any value. */
#define ANY "*"

#define NETWORK "netdev nic net"
/* Devices without a VMStateDescription; those that QEMU itself calls non-migratable are found by query-migrate. */
#define NO_STATE     "this QEMU does not save the state of that device"
#define CONFIDENTIAL "the memory of a confidential guest belongs to the program that started it"
#define CHARACTER    "chardev serial parallel monitor"

/**
 * struct rule - what is refused
 * @options: names of options, without their dash, a space between them
 * @type:    what they make: a name, the beginning of a name and "*", or ANY
 * @key:     further condition: this key has this value; NULL for none
 * @value:   "on" stands for all that QEMU takes for it
 * @blocker: what that is
 * @what:    the sentence; NULL where what matches can be updated
 *
 * The first rule without a further condition is the last that is looked at.
 */
struct rule {
	const char *options;
	const char *type;
	const char *key;
	const char *value;
	enum blocker blocker;
	const char *what;
};

static const struct rule rules[] = {
	{ "chroot", ANY, NULL, NULL, BLOCKER_CHROOT, "-chroot hides the replacement" },
	{ "run-with", ANY, "chroot", ANY, BLOCKER_CHROOT, "-run-with chroot= hides the replacement" },
	{ "runas", ANY, NULL, NULL, BLOCKER_RUNAS, "-runas: what was opened as root could not be opened again" },
	{ "run-with", ANY, "user", ANY, BLOCKER_RUNAS,
	  "-run-with user=: what was opened as root could not be opened again" },
	{ "async-teardown", ANY, NULL, NULL, BLOCKER_ASYNC_TEARDOWN,
	  "-async-teardown: its helper would keep the old memory" },
	{ "run-with", ANY, "async-teardown", "on", BLOCKER_ASYNC_TEARDOWN,
	  "-run-with async-teardown=on: its helper would keep the old memory" },
	{ "sandbox", ANY, "spawn", "deny", BLOCKER_SANDBOX, "-sandbox spawn=deny forbids exec" },
	{ "snapshot", ANY, NULL, NULL, BLOCKER_SNAPSHOT_OPTION,
	  "-snapshot: what was written since the start would be lost" },
	{ "drive", ANY, "snapshot", "on", BLOCKER_SNAPSHOT_OPTION,
	  "a drive with snapshot=on would lose what was written since the start" },
	{ "preconfig", ANY, NULL, NULL, BLOCKER_PRECONFIG,
	  "-preconfig: what was set by QMP before the machine was made would be lost" },
	{ "readconfig", ANY, NULL, NULL, BLOCKER_READCONFIG,
	  "-readconfig: what that file says cannot be adapted for the new QEMU yet" },
	{ "plugin", ANY, NULL, NULL, BLOCKER_PLUGIN, "-plugin: what a plugin has gathered would be lost" },
	{ "icount", ANY, "rr", "record", BLOCKER_ICOUNT_REPLAY,
	  "-icount rr=record: the recording would begin anew and be overwritten" },
	{ "icount", ANY, "rr", "replay", BLOCKER_ICOUNT_REPLAY, "-icount rr=replay: the replay would begin anew" },
	{ "tpmdev", "passthrough", NULL, NULL, BLOCKER_TPM_PASSTHROUGH,
	  "-tpmdev passthrough: the host's TPM cannot be handed over" },
	{ "audiodev", "wav", NULL, NULL, BLOCKER_AUDIO_WAV, "-audiodev wav: the file would get a second header" },
	{ "qmp qmp-pretty", "stdio", NULL, NULL, BLOCKER_QMP_TERMINAL,
	  "a QMP monitor on a terminal cannot be handed over" },
	{ "qmp qmp-pretty", "pty", NULL, NULL, BLOCKER_QMP_TERMINAL,
	  "a QMP monitor on a terminal cannot be handed over" },
	{ "qmp qmp-pretty", "mon", NULL, NULL, BLOCKER_QMP_TERMINAL,
	  "a QMP monitor on a terminal cannot be handed over" },
	{ CHARACTER, ANY, "tls-creds", ANY, BLOCKER_CHARDEV_SESSION,
	  "a TLS character device has a session that cannot be handed over" },
	{ CHARACTER, ANY, "websocket", "on", BLOCKER_CHARDEV_SESSION,
	  "a websocket character device has a session that cannot be handed over" },
	{ CHARACTER, "websocket", NULL, NULL, BLOCKER_CHARDEV_SESSION,
	  "a websocket character device has a session that cannot be handed over" },
	{ CHARACTER, "tn3270", NULL, NULL, BLOCKER_CHARDEV_SESSION,
	  "a tn3270 character device has a session that cannot be handed over" },
	{ CHARACTER, ANY, "tn3270", "on", BLOCKER_CHARDEV_SESSION,
	  "a tn3270 character device has a session that cannot be handed over" },
	{ CHARACTER, "parallel", NULL, NULL, BLOCKER_HOST_PORT, "a port of the host's cannot be handed over yet" },
	{ CHARACTER, "parport", NULL, NULL, BLOCKER_HOST_PORT, "a port of the host's cannot be handed over yet" },
	{ CHARACTER, "serial", NULL, NULL, BLOCKER_HOST_PORT, "a port of the host's cannot be handed over yet" },
	{ CHARACTER, "tty", NULL, NULL, BLOCKER_HOST_PORT, "a port of the host's cannot be handed over yet" },
	{ CHARACTER, "/dev/*", NULL, NULL, BLOCKER_HOST_PORT, "a port of the host's cannot be handed over yet" },
	{ CHARACTER, "braille", NULL, NULL, BLOCKER_CHARDEV_SESSION,
	  "a braille display's session cannot be handed over" },
	{ NETWORK, "vhost-*", NULL, NULL, BLOCKER_VHOST_USER,
	  "vhost-user and vDPA network back ends cannot be handed over yet" },
	{ "net", ANY, "helper", ANY, BLOCKER_NET_LEGACY, "-net with a bridge helper cannot be handed over" },
	{ "net", "bridge", NULL, NULL, BLOCKER_NET_LEGACY, "-net with a bridge helper cannot be handed over" },
	{ NETWORK, "user", "smb", ANY, BLOCKER_NETWORK_HELPER, "a user network's smb= has a server that QEMU started" },
	{ NETWORK, "passt", NULL, NULL, BLOCKER_PASST, "passt would end with the old QEMU, which started it" },
	{ NETWORK, "vde", NULL, NULL, BLOCKER_NETWORK_SESSION, "a network over VDE would lose its switch" },
	{ NETWORK, "l2tpv3", NULL, NULL, BLOCKER_NETWORK_SESSION, "a network over L2TPv3 cannot be handed over yet" },
	{ NETWORK, "netmap", NULL, NULL, BLOCKER_NETWORK_SESSION, "a network over netmap cannot be handed over yet" },
	{ NETWORK, "af-xdp", NULL, NULL, BLOCKER_NETWORK_SESSION, "a network over AF_XDP cannot be handed over yet" },
	{ "device", "vhost-user-blk*", NULL, NULL, BLOCKER_NONE, NULL }, /* loader/partners.c */
	{ "device", "vhost-user-fs*", NULL, NULL, BLOCKER_VHOST_USER_FS,
	  "vhost-user-fs: the files that virtiofsd has open for the guest would be lost" },
	{ "device", "vhost-user-*", NULL, NULL, BLOCKER_VHOST_USER,
	  "a vhost-user device that is no disk cannot be handed over yet" },
	{ "device", "vhost-scsi*", NULL, NULL, BLOCKER_VHOST, "vhost-scsi: the kernel's target cannot be handed over" },
	{ "device", "vhost-vdpa-*", NULL, NULL, BLOCKER_VHOST, "vDPA devices cannot be handed over yet" },
	{ "device", "vfio-*", NULL, NULL, BLOCKER_VFIO, "VFIO devices cannot be handed over yet" },
	{ "device", "ivshmem-doorbell", NULL, NULL, BLOCKER_IVSHMEM_DOORBELL,
	  "ivshmem-doorbell: its server would see a new peer" },
	{ "device", "usb-host", NULL, NULL, BLOCKER_USB_HOST, "usb-host: the guest would see the device unplugged" },
	{ "device", "adlib", NULL, NULL, BLOCKER_DEVICE_NO_STATE, NO_STATE },
	{ "device", "ati-vga", NULL, NULL, BLOCKER_DEVICE_NO_STATE, NO_STATE },
	{ "device", "ccid-card-emulated", NULL, NULL, BLOCKER_DEVICE_NO_STATE, NO_STATE },
	{ "device", "cxl-*", NULL, NULL, BLOCKER_DEVICE_NO_STATE, NO_STATE },
	{ "device", "edu", NULL, NULL, BLOCKER_DEVICE_NO_STATE, NO_STATE },
	{ "device", "hv-balloon", NULL, NULL, BLOCKER_DEVICE_NO_STATE, NO_STATE },
	{ "device", "pvrdma", NULL, NULL, BLOCKER_DEVICE_NO_STATE, NO_STATE },
	{ "device", "virtio-pmem*", NULL, NULL, BLOCKER_DEVICE_NO_STATE, NO_STATE },
	{ "object", "sev-guest", NULL, NULL, BLOCKER_CONFIDENTIAL_GUEST, CONFIDENTIAL },
	{ "object", "sev-snp-guest", NULL, NULL, BLOCKER_CONFIDENTIAL_GUEST, CONFIDENTIAL },
	{ "object", "tdx-guest", NULL, NULL, BLOCKER_CONFIDENTIAL_GUEST, CONFIDENTIAL },
	{ "object", "filter-dump", NULL, NULL, BLOCKER_FILTER_DUMP, "filter-dump: the file would get a second header" },
	{ "object", "memory-backend-epc", NULL, NULL, BLOCKER_MEMORY_EPC,
	  "memory-backend-epc: an enclave's memory ends with the program that made it" },
	{ "object", "vhost-user-backend", NULL, NULL, BLOCKER_VHOST_USER,
	  "vhost-user devices cannot be handed over yet" },
	{ "object", "cryptodev-vhost-user", NULL, NULL, BLOCKER_VHOST_USER,
	  "vhost-user devices cannot be handed over yet" },
	{ "object", "x-remote-object", NULL, NULL, BLOCKER_REMOTE_DEVICE, "remote devices cannot be handed over" },
	{ "object", "x-vfio-user-server", NULL, NULL, BLOCKER_REMOTE_DEVICE, "remote devices cannot be handed over" },
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
			if (rules[i].what)
				reasons_add(reasons, rules[i].blocker, "%s", rules[i].what);
			if (!rules[i].key)
				break;
		}
	/* cmdline_for_successor() pins it in this form only. */
	if (!strcmp(option, "device") && !strcmp(type, "vmgenid") && strncmp(value, "vmgenid", 7) != 0 &&
	    optvalue_get(value, "guid", type, sizeof(type)) && !strcmp(type, "auto"))
		reasons_add(reasons, BLOCKER_VMGENID, "vmgenid with guid=auto would get a new one");
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
			reasons_add(reasons, BLOCKER_BINARY_ARGUMENTS, "the command adds %s to QEMU's arguments",
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
	int a = version_number(from), b = version_number(to);

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		if (!strcmp(target, targets[i]) && ((a && a <= 702 && b >= 1000) || (b && b <= 702 && a >= 1000)))
			reasons_add(reasons, BLOCKER_VERSION_PAIR,
				    "a %s guest's state of QEMU %s cannot be loaded by QEMU %s, nor migrated to it",
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
