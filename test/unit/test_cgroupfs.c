/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_cgroupfs.c - unit tests of state/cgroupfs.c. */
#include "../../state/cgroupfs.h"

#include <limits.h>
#include <string.h>

#include "tap.h"

static const char hybrid[] = "22 1 254:1 / / rw,relatime - ext4 /dev/vda rw\n"
			     "31 24 0:27 / /sys/fs/cgroup rw shared:9 - tmpfs tmpfs rw\n"
			     "32 31 0:28 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw\n"
			     "33 31 0:29 / /sys/fs/cgroup/systemd rw shared:11 - cgroup cgroup rw,xattr,name=systemd\n"
			     "34 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:12 - cgroup cgroup rw,cpu,cpuacct\n";
static const char unified[] = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
static const char container[] =
	"40 39 0:30 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro master:12 - cgroup cgroup rw,cpu,cpuacct\n";

static char path[2 * PATH_MAX];

static bool file_is(const char *mountinfo, const char *line, const char *want)
{
	return cgroupfs_thread_file(mountinfo, line, path, sizeof(path)) ? want && !strcmp(path, want) : !want;
}

static void test_files(void)
{
	ok(file_is(unified, "0::/vm/vcpu1", "/sys/fs/cgroup/vm/vcpu1/cgroup.threads"), "the unified hierarchy");
	ok(file_is(hybrid, "0::/vm", "/sys/fs/cgroup/unified/vm/cgroup.threads"), "the same beside version 1");
	ok(file_is(hybrid, "4:cpu,cpuacct:/vm", "/sys/fs/cgroup/cpu,cpuacct/vm/tasks"), "controllers of version 1");
	ok(file_is(hybrid, "1:name=systemd:/vm", "/sys/fs/cgroup/systemd/vm/tasks"), "a hierarchy by its name");
	ok(file_is(container, "4:cpu,cpuacct:/docker/abc/vm", "/sys/fs/cgroup/cpu,cpuacct/vm/tasks"),
	   "a mount of what is further down");
	ok(file_is(hybrid, "5:memory:/vm", NULL), "one that is not mounted");
	ok(file_is(unified, "4:cpu:/vm", NULL), "version 1 where there is none");
	ok(file_is(hybrid, "no line", NULL) && file_is(hybrid, "0:", NULL) && file_is("", "0::/", NULL),
	   "no such line");
	ok(!cgroupfs_thread_file(unified, "0::/vm", path, strlen("/sys/fs/cgroup/vm/cgroup.threads")), "no room");
	ok(cgroupfs_thread_file(unified, "0::/vm", path, strlen("/sys/fs/cgroup/vm/cgroup.threads") + 1), "just room");
}

static void test_find(void)
{
	size_t mount = 0;

	ok(cgroupfs_find(hybrid, "cpuacct", "/a/b", path, sizeof(path), &mount) &&
		   !strcmp(path, "/sys/fs/cgroup/cpu,cpuacct/a/b") && mount == strlen("/sys/fs/cgroup/cpu,cpuacct"),
	   "a controller by its own name, and where its mount ends");
	ok(!cgroupfs_find(hybrid, "cpuset", "/", path, sizeof(path), NULL), "another");
}

static void test_words(void)
{
	ok(cgroupfs_lists("rw,cpu,cpuacct", "cpu") && cgroupfs_lists("cpu", "cpu"), "a word in a list");
	ok(!cgroupfs_lists("rw,cpuacct", "cpu") && !cgroupfs_lists("", "cpu"), "a part of one is none");
	ok(cgroupfs_has_line("a\nbc\nd", "bc", 2) && cgroupfs_has_line("a\nbc\nd", "d", 1), "a line in a text");
	ok(!cgroupfs_has_line("a\nbc\nd", "b", 1) && !cgroupfs_has_line("", "b", 1), "a part of one is none");
}

int main(void)
{
	test_files();
	test_find();
	test_words();
	return tap_done();
}
