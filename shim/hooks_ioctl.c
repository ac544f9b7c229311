/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hooks_ioctl.c - the one hook on a hot path: with KVM each exit to QEMU is an ioctl.
 *
 * KVM's requests pass after two comparisons. Only requests of type 'T' (tun and tap, linux/if_tun.h) and of vhost devices
 * (linux/vhost.h) are looked at; what KVM makes (VMs, vCPUs, devices) is never preserved and told by its name in
 * /proc/self/fd.
 */
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <net/if.h>
#include <stdarg.h>
#include <string.h>

#include "guard.h"
#include "preserved.h"
#include "real.h"
#include "table.h"
#include "vhost.h"

#define TYPE(request) (((request) >> _IOC_TYPESHIFT) & _IOC_TYPEMASK)

/*
 * QEMU attaches a fresh tun descriptor to an interface. In a successor the preserved one is attached already (TUNSETIFF
 * on it would fail with EEXIST): its decoy goes under the fresh number, and the interface is named as the kernel named
 * it.
 */
static bool rebind_tap(int fd, struct ifreq *request)
{
	struct preserved *p = NULL;
	struct ifreq actual;

	if (guard_role() == SHIM_SUCCESSOR)
		p = preserved_by_name(FDKIND_TAP, request->ifr_name);
	if (!p || real(ioctl)(p->fd, TUNGETIFF, &actual) || decoy_place(&p->decoy, FDKIND_TAP, fd, p->fd))
		return false;
	memcpy(request->ifr_name, actual.ifr_name, sizeof(request->ifr_name));
	return true;
}

static int attach(int fd, struct ifreq *request)
{
	char asked[IFNAMSIZ];
	int rc = 0;

	if (!request || !guard_enter())
		return real(ioctl)(fd, TUNSETIFF, request);
	memcpy(asked, request->ifr_name, sizeof(asked));
	asked[sizeof(asked) - 1] = '\0';
	if (!rebind_tap(fd, request))
		rc = real(ioctl)(fd, TUNSETIFF, request);
	if (!rc)
		table_note_text(fd, FDKIND_TAP, 0, asked);
	guard_leave();
	return rc;
}

static int set_queue(int fd, const struct ifreq *request)
{
	struct decoy *d = decoy_find(fd);

	if (!d)
		return real(ioctl)(fd, TUNSETQUEUE, request);
	d->queue = request->ifr_flags;
	return 0;
}

static int ioctl_vhost(int fd, unsigned long request, void *arg)
{
	/* The running guest has this context ID. */
	if (request == VHOST_VSOCK_SET_GUEST_CID && guard_is_beside())
		return 0;
	int rc = real(ioctl)(fd, request, arg);

	if (!rc && guard_enter()) {
		vhost_note(fd, request, arg);
		guard_leave();
	}
	return rc;
}

/* Not inlined: what KVM's requests pass through would have its stack frame. */
__attribute__((noinline)) static int ioctl_looked_at(int fd, unsigned long request, void *arg)
{
	if (TYPE(request) == VHOST_VIRTIO)
		return ioctl_vhost(fd, request, arg);
	if (request == TUNSETIFF)
		return attach(fd, arg);
	if (request == TUNSETQUEUE)
		return set_queue(fd, arg);
	/* Beside a running guest they are looked at, and stay as they are. */
	if (guard_is_beside() && _IOC_DIR(request) == _IOC_WRITE)
		return 0;
	/* A tap's settings are the interface's: what QEMU sets on a decoy is meant for the real one. */
	return real(ioctl)(decoy_real(fd), request, arg);
}

SHIM_HOOK int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;

	va_start(ap, request);
	void *arg = va_arg(ap, void *);
	va_end(ap);
	if (__builtin_expect(TYPE(request) != 'T' && TYPE(request) != VHOST_VIRTIO, true))
		return real(ioctl)(fd, request, arg);
	return ioctl_looked_at(fd, request, arg);
}
