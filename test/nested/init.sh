#!/bin/busybox sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# /init of the outer guest of the nested tests: the host's root, read-only, becomes the root of a shell that runs the
# script named on the kernel command line, which is also in our environment: nested_run=SCRIPT. What it writes goes to
# the second serial line, and its exit status as the last line there.
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
echo 1 >/proc/sys/kernel/printk

while read -r module; do
	/bin/busybox insmod "/lib/modules/$module"
done </lib/modules/order

/bin/busybox mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 host /host
/bin/busybox mount -t proc proc /host/proc
/bin/busybox mount -t sysfs sys /host/sys
/bin/busybox mount -t devtmpfs dev /host/dev
/bin/busybox mkdir -p /host/dev/pts /host/dev/shm
/bin/busybox mount -t devpts -o ptmxmode=666 devpts /host/dev/pts
/bin/busybox mount -t tmpfs tmp /host/dev/shm
/bin/busybox mount -t tmpfs tmp /host/run
/bin/busybox ln -s /proc/self/fd /host/dev/fd
/bin/busybox ip link set lo up

exec </host/dev/null >/host/dev/ttyS1 2>&1
/bin/busybox stty -F /host/dev/ttyS1 raw
# As an initramfs does it, so that security modules see paths as on any host.
/bin/busybox cp /bin/busybox /host/run/busybox
export nested_run
cd /host || exit
/bin/busybox mount --move . /
# shellcheck disable=SC2016 # the inner shell expands it
exec /bin/busybox chroot . /run/busybox sh -c '
	/usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run TMPDIR=/run LC_ALL=C /bin/bash "$nested_run"
	echo "nested: exit $?"
	/run/busybox poweroff -f'
