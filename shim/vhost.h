/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vhost.h - the kernel's vhost devices, which belong to an address space.
 *
 * The kernel lets only the address space that has called VHOST_SET_OWNER use such a device (drivers/vhost/vhost.c:
 * vhost_dev_check_owner), and an exec makes a new one. What QEMU opens itself is closed by the exec and opened anew. What
 * it was given by number must have no owner in the next program: a network's loses it by VHOST_RESET_OWNER. There is no
 * such request for a vsock's (vsock.c:vhost_vsock_dev_ioctl), and none that helps after the owner's death: the device is
 * opened anew then, through the descriptor.
 */
#ifndef CPRSHIM_SHIM_VHOST_H
#define CPRSHIM_SHIM_VHOST_H

#include <stdbool.h>
#include <sys/stat.h>

enum vhost_model {
	VHOST_OTHER, /* no vhost device, or none that can be handed over */
	VHOST_NET,
	VHOST_VSOCK,
};

/**
 * struct vhost_handed - a device that goes through an exec
 * @fd:	    the descriptor that does, one of ours
 * @number: QEMU's
 * @reset:  it has no owner now, but had
 */
struct vhost_handed {
	int fd;
	int number;
	bool reset;
};

enum vhost_model vhost_model_of(const struct stat *st);
enum vhost_model vhost_model(int fd);
int vhost_try(int fd);
void vhost_note(int fd, unsigned long request, const void *arg);
void vhost_release(struct vhost_handed *v);
void vhost_separate(struct vhost_handed *v);
void vhost_take_back(struct vhost_handed *v);

#endif
