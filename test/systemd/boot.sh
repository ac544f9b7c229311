#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# boot.sh DIR SYSTEMD - runs a systemd as PID 1 of namespaces of its own, whose units are those in DIR/units; until SIGTERM.
#
# What it is told by its interface for containers (systemd.io/CONTAINER_INTERFACE): a cgroup tree of version 2 that is its own, and the
# kernel's settings and all files of this machine read-only, but for DIR and /run. DIR/init is its PID here.
set -euo pipefail
dir=$1

# In the namespaces.
if [ "${3:-}" = inside ]; then
	mount --bind "$dir" "$dir"
	# What it starts it looks for there.
	[ "${2%/*}" -ef /usr/lib/systemd ] || mount --bind "${2%/*}" /usr/lib/systemd
	mount -o remount,bind,ro /
	mount -t tmpfs tmpfs /run
	mount -t sysfs -o ro sysfs /sys
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount --bind /proc/sys /proc/sys
	mount -o remount,bind,ro /proc/sys
	mount -t tmpfs -o mode=755 tmpfs "$dir/dev"
	for node in null zero full random urandom tty; do
		: >"$dir/dev/$node"
		mount --bind "/dev/$node" "$dir/dev/$node"
	done
	mount --move "$dir/dev" /dev
	exec env -i container=cprshim PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C SYSTEMD_UNIT_PATH="$dir/units" \
		SYSTEMD_GENERATOR_PATH="$dir/none" SYSTEMD_ENVIRONMENT_GENERATOR_PATH="$dir/none" \
		"$2" --system --log-target=console --show-status=no
fi

# In a namespace of mounts, which goes away with this process.
if [ "${3:-}" != mounts ]; then
	exec unshare --mount --propagation private "$0" "$1" "$2" mounts
fi
mkdir -p "$dir/cgroup" "$dir/dev"
mount -t cgroup2 cgroup2 "$dir/cgroup"
group=$dir/cgroup/${dir##*/}
mkdir "$group"
(
	echo 0 >"$group/cgroup.procs"
	exec unshare --pid --fork --mount-proc --mount --uts --ipc --net --cgroup "$0" "$1" "$2" inside
) &
pid=$! init=
# The kernel ends all of a PID namespace with its first process, before that is gone itself.
trap 'kill -KILL "$init"' TERM
limit=$((SECONDS + 60))
until init=$(tr -d " " <"/proc/$pid/task/$pid/children") && [ -n "$init" ]; do
	kill -0 "$pid"
	if [ $SECONDS -gt $limit ]; then
		echo "unshare has started no process" >&2
		kill -KILL "$pid"
		exit 1
	fi
	sleep 0.02
done
echo "$init" >"$dir/init"
until wait "$pid" || ! kill -0 "$pid" 2>/dev/null; do :; done
find "$group" -depth -type d -exec rmdir {} +
