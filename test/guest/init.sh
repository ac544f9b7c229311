#!/bin/busybox sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# /init of the Linux test guest: loads drivers, sets up the network, then the worker runs on the serial console.
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
# Nothing of the kernel's own may come between the worker's lines.
echo 1 >/proc/sys/kernel/printk
# A guest that stands still is answered late: what waits for a neighbour's address is kept for as long as that takes.
echo 1000 | /bin/busybox tee /proc/sys/net/ipv4/neigh/default/[mu]cast_solicit >/dev/null

while read -r module; do
	/bin/busybox insmod "/lib/modules/$module"
done </lib/modules/order

# guest_ip=ADDRESS/BITS on the kernel command line, which is also in our environment.
if [ -n "$guest_ip" ]; then
	/bin/busybox ip link set lo up
	/bin/busybox ip link set eth0 up
	/bin/busybox ip address add "$guest_ip" dev eth0
	# guest_ip1: the same for a second card.
	if [ -n "$guest_ip1" ]; then
		/bin/busybox ip link set eth1 up
		/bin/busybox ip address add "$guest_ip1" dev eth1
	fi
	# A TCP echo service, for connections that must outlive an update.
	/bin/busybox nc -ll -p 7 -e /bin/busybox cat </dev/null >/dev/null 2>&1 &
	# A guest that counts is a guest that can be connected to.
	until /bin/busybox grep -q ':0007 .* 0A ' /proc/net/tcp /proc/net/tcp6 2>/dev/null; do
		/bin/busybox usleep 10000
	done
fi

# The nested tests' guest has this one.
if [ -e /bin/vsockecho ]; then
	/bin/vsockecho </dev/null >/dev/null 2>&1 &
fi

# The power button's first event is its press.
button=$(/bin/busybox grep -lx 'Power Button' /sys/class/input/event*/device/name 2>/dev/null | /bin/busybox head -n 1)
if [ -n "$button" ]; then
	button=${button#/sys/class/input/}
	(/bin/busybox head -c 1 "/dev/input/${button%%/*}" >/dev/null && /bin/busybox poweroff -f) &
fi

exec </dev/ttyS0 >/dev/ttyS0 2>&1
exec /bin/worker
