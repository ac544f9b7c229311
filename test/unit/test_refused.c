/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_refused.c - options that cannot be updated: each is found in every form that QEMU takes, and what is harmless is
 * not.
 */
#include "../../loader/refused.h"

#include <string.h>

#include "../../loader/argv.h"
#include "../../loader/cmdline.h"
#include "../../loader/optvalue.h"
#include "tap.h"

/* Does "OPTION VALUE" give exactly one reason, with this text in it? NULL: none at all. */
static bool gives(const char *option, const char *value, const char *text)
{
	char *argv[] = {
		(char *)"qemu-system-x86_64", (char *)"-m", (char *)"1G", (char *)option, (char *)value, NULL
	};
	struct reasons reasons = REASONS_INIT;

	refused_options(argv, &reasons);
	size_t n = json_array_size(reasons.list);
	const char *first = n ? json_string_value(json_array_get(reasons.list, 0)) : "";
	bool as_said = text ? n == 1 && strstr(first, text) : !n;
	if (!as_said)
		tap_diag("%zu reasons, the first: %s", n, first);
	reasons_free(&reasons);
	return as_said;
}

static void test_refused(void)
{
	static const struct {
		const char *option, *value, *text;
	} cases[] = {
		{ "-chroot", "/x", "-chroot" },
		{ "--snapshot", NULL, "-snapshot" },
		{ "-preconfig", NULL, "-preconfig" },
		{ "-readconfig", "f", "-readconfig" },
		{ "-async-teardown", NULL, "-async-teardown" },
		{ "-run-with", "async-teardown=on", "async-teardown" },
		{ "-run-with", "user=nobody", "user=" },
		{ "-run-with", "chroot=/x", "chroot=" },
		{ "-sandbox", "on,obsolete=deny,spawn=deny", "spawn=deny" },
		{ "-drive", "file=a,,b,snapshot=on", "snapshot=on" },
		{ "-drive", "snapshot,file=a", "snapshot=on" },
		{ "-drive", "file=a,snapshot=y", "snapshot=on" },
		{ "-icount", "shift=1,rr=record,rrfile=f", "rr=record" },
		{ "-icount", "shift=1,rr=replay,rrfile=f", "rr=replay" },
		{ "-net", "bridge,br=b", "use -netdev or -nic" },
		{ "-net", "tap,helper=/h", "use -netdev or -nic" },
		{ "-netdev", "vhost-user,id=n,chardev=c", "vhost-user" },
		{ "-netdev", "vhost-vdpa,id=n,vhostdev=/dev/vhost-vdpa-0", "vDPA" },
		{ "-netdev", "passt,id=n", "start passt yourself" },
		{ "-netdev", "user,id=n,smb=/d", "smb=" },
		{ "-nic", "vde,sock=/s", "VDE" },
		{ "-netdev", "l2tpv3,id=n,src=a,dst=b", "L2TPv3" },
		{ "-netdev", "netmap,id=n,ifname=i", "netmap" },
		{ "-netdev", "af-xdp,id=n,ifname=i", "AF_XDP" },
		{ "-device", "vhost-scsi-pci,wwpn=naa.1", "vhost-scsi" },
		{ "-device", "{\"driver\": \"vhost-vdpa-device-pci\", \"vhostdev\": \"/d\"}", "vDPA" },
		{ "-device", "vhost-user-fs-pci,chardev=c,tag=t", "virtiofsd" },
		{ "-device", "vhost-user-gpu-pci,chardev=c", "vhost-user device that is no disk" },
		{ "-device", "{\"driver\": \"vfio-pci\", \"host\": \"0:0\"}", "VFIO" },
		{ "-device", "usb-host,hostbus=1", "usb-host" },
		{ "-device", "cxl-type3,id=c", "does not save the state" },
		{ "-device", "{\"driver\": \"virtio-pmem-pci\", \"memdev\": \"m\"}", "does not save the state" },
		{ "-device", "edu", "does not save the state" },
		{ "-object", "sev-guest,id=s,cbitpos=47", "confidential" },
		{ "-device", "guid=auto,driver=vmgenid", "vmgenid" },
		{ "-device", "{\"driver\": \"vmgenid\", \"guid\": \"auto\"}", "vmgenid" },
		{ "-serial", "/dev/ttyS0", "port of the host" },
		{ "-serial", "mon:tn3270::4444,server=on", "tn3270" },
		{ "-serial", "tcp::4444,server=on,tn3270=on", "tn3270" },
		{ "-chardev", "socket,id=c,host=h,port=1,tls-creds=t", "TLS" },
		{ "-chardev", "socket,id=c,websocket,port=1", "websocket" },
		{ "-qmp", "stdio", "terminal" },
		{ "-qmp", "mon:stdio", "terminal" },
		{ "-tpmdev", "passthrough,id=t,path=/dev/tpm0", "host's TPM" },
		{ "-audiodev", "wav,id=a", "wav" },
		{ "-object", "filter-dump,id=f,netdev=n,file=x", "filter-dump" },
		{ "-object", "memory-backend-epc,id=e,size=1M", "memory-backend-epc" },
		{ "-object", "{\"qom-type\": \"filter-dump\", \"id\": \"f\"}", "filter-dump" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ok(gives(cases[i].option, cases[i].value, cases[i].text), "%s %s is refused", cases[i].option,
		   cases[i].value ? cases[i].value : "");
}

static void test_harmless(void)
{
	static const char *const cases[][2] = {
		{ "-drive", "file=snapshot=on,,x,if=virtio" },
		{ "-drive", "file=a,snapshot=off" },
		{ "-netdev", "tap,id=n,vhost=on,vhostforce=on,script=no" },
		{ "-netdev", "{\"type\": \"tap\", \"id\": \"n\", \"fd\": \"3\", \"vhost\": true, \"vhostfd\": \"4\"}" },
		{ "-device", "vhost-vsock-pci,guest-cid=3" },
		{ "-netdev", "{\"type\": \"tap\", \"id\": \"n\", \"queues\": 2}" },
		{ "-netdev", "bridge,id=n,helper=/h" },
		{ "-netdev", "user,id=socket" },
		{ "-nic", "socket,listen=:1234" },
		{ "-netdev", "stream,id=n,addr.type=unix" },
		{ "-netdev", "dgram,id=n,local.type=unix" },
		{ "-sandbox", "on,spawn=allow" },
		{ "-chardev", "socket,id=pipe,path=telnet:,server=on" },
		{ "-serial", "unix:/dev/shm/pipe:x,server=on" },
		{ "-serial", "mon:stdio" },
		{ "-serial", "mon:telnet::4444,server=on" },
		{ "-serial", "tcp::4444,server=on,telnet=on" },
		{ "-chardev", "pipe,id=c,path=p" },
		{ "-serial", "pipe:/p" },
		{ "-chardev", "ringbuf,id=c" },
		{ "-device", "vmgenid,guid=auto" },
		{ "-device", "virtio-net-pci,netdev=vhost-user" },
		{ "-device", "vhost-user-blk-pci,chardev=c" },
		{ "-tpmdev", "emulator,id=t,chardev=c" },
		{ "-audiodev", "none,id=wav" },
		{ "-icount", "shift=auto" },
		{ "-blockdev", "{\"driver\": \"qcow2\", \"node-name\": \"snapshot\"" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ok(gives(cases[i][0], cases[i][1], NULL), "%s %s is not", cases[i][0], cases[i][1]);
}

static void test_values(void)
{
	char value[8], type[32];

	ok(optvalue_get("a=1,b=2,a=3", "a", value, sizeof(value)) && !strcmp(value, "3"), "the last one counts");
	ok(optvalue_get("a=x,,y,b=2", "a", value, sizeof(value)) && !strcmp(value, "x,y"), "a doubled comma is one");
	ok(!optvalue_get("aa=1", "a", value, sizeof(value)), "a key is whole");
	ok(optvalue_get("a=123456789", "a", value, sizeof(value)) && !strcmp(value, "1234567"), "a long value is cut");
	ok(!optvalue_get("{\"a\": ", "a", value, sizeof(value)), "broken JSON has nothing");
	ok(optvalue_on("server", "server") && !optvalue_on("server=off", "server"), "a key alone is on");
	optvalue_type("telnet:host:1,server", type, sizeof(type));
	ok(!strcmp(type, "telnet"), "the type of an older form ends at the colon");
	optvalue_type("", type, sizeof(type));
	ok(!*type, "nothing has no type");
}

static void test_spawn(void)
{
	char *deny[] = { (char *)"q", (char *)"-sandbox", (char *)"on,spawn=deny", NULL };
	char *allow[] = { (char *)"q", (char *)"-sandbox", (char *)"on", NULL };
	char *unknown[] = { (char *)"q", (char *)"-readconfig", (char *)"f", NULL };

	ok(refused_spawn(deny), "a probe would kill a QEMU with spawn=deny");
	ok(!refused_spawn(allow), "it would not with -sandbox on");
	ok(refused_spawn(unknown), "it may with a configuration that is not read");
}

static struct cmdline_successor successor_with(const int *taps)
{
	static char *no_more[] = { NULL };

	return (struct cmdline_successor){
		.machine = "pc-q35-7.2",
		.vmgenid = "",
		.readconfig = "r",
		.firmware_dir = "",
		.more = no_more,
		.helper_taps = taps,
	};
}

static void test_successor(void)
{
	const int no_taps[] = { -1 };
	const struct cmdline_successor what = successor_with(no_taps);
	char *argv[] = { (char *)"q",
			 (char *)"-netdev",
			 (char *)"{\"type\": \"tap\", \"id\": \"n\"}",
			 (char *)"-netdev",
			 (char *)"id=m,type=tap",
			 (char *)"-chardev",
			 (char *)"socket,id=c,server,path=p",
			 (char *)"-netdev",
			 (char *)"tap,id=f,fds=3:4",
			 NULL };
	char **out = cmdline_for_successor(argv, &what);
	char value[32];

	ok(out && optvalue_get(out[2], "script", value, sizeof(value)) && !strcmp(value, "no"),
	   "JSON: no script runs again");
	ok(out && optvalue_get(out[4], "script", value, sizeof(value)) && !strcmp(value, "no"), "type=tap: nor here");
	ok(out && optvalue_get(out[6], "wait", value, sizeof(value)) && !strcmp(value, "off"), "no server waits");
	ok(out && !strcmp(out[8], argv[8]), "a tap given by number takes no script (net/tap.c:net_init_tap)");
}

/* Which of these options are left? A letter each. */
static const char *left(bool beside, bool fresh, bool rehearsal)
{
	const int no_taps[] = { -1 };
	struct cmdline_successor what = successor_with(no_taps);
	char *argv[] = { (char *)"q",	     (char *)"-sandbox", (char *)"on",
			 (char *)"-pidfile", (char *)"p",	 (char *)"-display",
			 (char *)"gtk",	     (char *)"-S",	 NULL };
	static char out[4];
	size_t n = 0;

	what.beside = beside;
	what.fresh = fresh;
	what.rehearsal = rehearsal;
	char **args = cmdline_for_successor(argv, &what);
	for (size_t i = 0; args && args[i]; i++)
		if (!strcmp(args[i], "-sandbox") || !strcmp(args[i], "-pidfile") || !strcmp(args[i], "gtk"))
			out[n++] = args[i][args[i][0] == '-'];
	out[n] = '\0';
	return out;
}

static void test_processes(void)
{
	ok(!strcmp(left(false, false, false), "pg"), "after an exec: the sandbox is inherited");
	ok(!strcmp(left(true, false, false), "g"), "beside: the pidfile is the running one's");
	ok(!strcmp(left(true, true, false), "sg"), "started by somebody else: no sandbox is inherited");
	ok(!strcmp(left(true, false, true), ""), "a rehearsal: no window opens");
}

static void test_helpers(void)
{
	const int taps[] = { 11, 12, 13, 14, -1 };
	const struct cmdline_successor what = successor_with(taps);
	char *argv[] = { (char *)"q",
			 (char *)"-nic",
			 (char *)"bridge,br=b,model=virtio",
			 (char *)"-netdev",
			 (char *)"id=a,type=tap,helper=/h -x,,y,sndbuf=1M",
			 (char *)"-netdev",
			 (char *)"bridge,id=b",
			 (char *)"-netdev",
			 (char *)"{\"type\": \"bridge\", \"id\": \"c\", \"br\": \"b\"}",
			 NULL };
	char **out = cmdline_for_successor(argv, &what);
	char value[32];

	ok(out && !strcmp(out[2], "tap,fd=14,model=virtio"), "-nic comes last");
	ok(out && !strcmp(out[4], "tap,fd=12,id=a,sndbuf=1M"), "other keys are kept");
	ok(out && !strcmp(out[6], "tap,fd=13,id=b"), "netdevs in their order");
	optvalue_type(out[8], value, sizeof(value));
	ok(!strcmp(value, "tap"), "JSON: a tap");
	ok(optvalue_get(out[8], "fd", value, sizeof(value)) && !strcmp(value, "11"), "JSON comes first");
	ok(!optvalue_get(out[8], "br", value, sizeof(value)), "JSON: without the bridge");
}

/* How many reasons do these additions of a command's give? */
static size_t additions(const char *a, const char *b, const char *c)
{
	char *argv[] = { (char *)"qemu-system-x86_64", (char *)a, (char *)b, (char *)c, NULL };
	struct reasons reasons = REASONS_INIT;

	refused_additions(argv, &reasons);
	size_t n = json_array_size(reasons.list);
	reasons_free(&reasons);
	return n;
}

static size_t versions(const char *target, const char *from, const char *to)
{
	struct reasons reasons = REASONS_INIT;

	refused_versions(target, from, to, &reasons);
	size_t n = json_array_size(reasons.list);
	reasons_free(&reasons);
	return n;
}

static void test_commands(void)
{
	ok(!additions(NULL, NULL, NULL), "nothing is added");
	ok(!additions("-L", "/d", "--enable-kvm"), "where files are and how the guest runs may be added");
	ok(additions("-m", "17", NULL) == 1, "RAM may not; its size is no reason of its own");
	ok(additions("-L", "/d", "-snapshot") == 1, "what comes after an argument is looked at");
	ok(additions("disk.img", NULL, NULL) == 1, "nor may an image");
	ok(versions("aarch64", "7.2.22", "10.0.2") == 1, "a state that does not go up");
	ok(versions("riscv64", "10.0.2", "7.2.22") == 1, "nor down");
	ok(!versions("aarch64", "10.0.2", "10.0.13") && !versions("x86_64", "7.2.22", "10.0.2") &&
		   !versions("ppc64", "", "10.0.2"),
	   "others do, or nobody knows");
}

static void test_repeated(void)
{
	char *argv[] = { (char *)"q",  (char *)"-echr",	    (char *)"0x11", (char *)"-pidfile",
			 (char *)"a",  (char *)"-echr",	    (char *)"20",   (char *)"-m",
			 (char *)"1G", (char *)"--pidfile", (char *)"b",    NULL };

	ok(!strcmp(argv_last(argv, "pidfile"), "b"), "an option given twice: the last one counts");
	ok(!argv_last(argv, "smp"), "one that is not given has no argument");
	ok(argv_escape(argv) == 20, "the last escape character counts");
}

int main(void)
{
	test_repeated();
	test_commands();
	test_refused();
	test_harmless();
	test_values();
	test_spawn();
	test_successor();
	test_processes();
	test_helpers();
	return tap_done();
}
