/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vhost.c - vhost devices and their owners; see vhost.h. */
#include "vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "preserved.h"
#include "real.h"
#include "table.h"

/* linux/miscdevice.h, which is not for programs */
#define MISC_MAJOR	  10
#define VHOST_NET_MINOR	  238
#define VHOST_VSOCK_MINOR 241

/* One vhost device serves a pair of queues (net/tap.c: options.nvqs). */
#define VRINGS 2

/*
 * What QEMU sets once, and VHOST_RESET_OWNER forgets (vhost.c:vhost_vq_reset); everything else it sets whenever it starts
 * the device. For devices that it was given by number.
 */
struct settings {
	int number;
	uint64_t features; /* VHOST_SET_BACKEND_FEATURES */
	struct vhost_vring_file call[VRINGS];
	struct vhost_vring_file error[VRINGS];
	struct vhost_vring_state busyloop[VRINGS];
};

static struct settings noted[PRESERVED_MAX];
static size_t noted_count;

/** vhost_model_of() - which device a file is, by its device number: it may be found under any path */
enum vhost_model vhost_model_of(const struct stat *st)
{
	if (!S_ISCHR(st->st_mode))
		return VHOST_OTHER;
	if (st->st_rdev == makedev(MISC_MAJOR, VHOST_NET_MINOR))
		return VHOST_NET;
	return st->st_rdev == makedev(MISC_MAJOR, VHOST_VSOCK_MINOR) ? VHOST_VSOCK : VHOST_OTHER;
}

/** vhost_model() - which device a descriptor is */
enum vhost_model vhost_model(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? VHOST_OTHER : vhost_model_of(&st);
}

/* Without a hook, and for the helper. */
static int open_again(int fd)
{
	char path[32] = "/proc/self/fd/";
	size_t at = strlen(path);
	int digit = 1;

	while (digit <= fd / 10)
		digit *= 10;
	/* No zero may come first (fs/proc/util.c:name_to_int). */
	for (; digit; digit /= 10)
		path[at++] = (char)('0' + fd / digit % 10);
	path[at] = '\0';
	return (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

/**
 * vhost_try() - can this process open a device anew?
 * @fd: a descriptor of it
 *
 * Return: 0 or a negative errno.
 */
int vhost_try(int fd)
{
	int again = open_again(fd);

	if (again < 0)
		return -errno;
	real(close)(again);
	return 0;
}

static struct settings *find(int number)
{
	for (size_t i = 0; i < noted_count; i++)
		if (noted[i].number == number)
			return &noted[i];
	return NULL;
}

static void begin(int number)
{
	struct settings *s = find(number);
	struct fdrec rec;

	if (!s && table_lookup(number, &rec) && rec.flags & (FDREC_INHERITED | FDREC_SCM) &&
	    noted_count < PRESERVED_MAX)
		s = &noted[noted_count++];
	if (!s)
		return;
	*s = (struct settings){ .number = number };
	for (unsigned int i = 0; i < VRINGS; i++) {
		s->call[i] = s->error[i] = (struct vhost_vring_file){ .index = i, .fd = -1 };
		s->busyloop[i].index = i;
	}
}

/**
 * vhost_note() - remember what the way back would need
 * @fd:	     QEMU's
 * @request: a request of vhost's that has succeeded
 * @arg:     its argument
 */
void vhost_note(int fd, unsigned long request, const void *arg)
{
	const struct vhost_vring_file *file = arg;
	const struct vhost_vring_state *state = arg;

	if (request == VHOST_SET_OWNER)
		begin(fd);
	struct settings *s = find(fd);
	if (!s)
		return;
	if (request == VHOST_SET_BACKEND_FEATURES)
		memcpy(&s->features, arg, sizeof(s->features));
	else if (request == VHOST_SET_VRING_CALL && file->index < VRINGS)
		s->call[file->index] = *file;
	else if (request == VHOST_SET_VRING_ERR && file->index < VRINGS)
		s->error[file->index] = *file;
	else if (request == VHOST_SET_VRING_BUSYLOOP_TIMEOUT && state->index < VRINGS)
		s->busyloop[state->index] = *state;
}

/* Kept descriptors are not closed by the exec. */
static void renew(const struct vhost_handed *v)
{
	int again = open_again(v->fd);

	if (again < 0)
		return;
	syscall(SYS_dup3, again, v->fd, 0);
	syscall(SYS_close, again);
}

/**
 * vhost_release() - make a device ready for its next owner
 * @v: the device, which QEMU has stopped
 *
 * Before the exec and its helper. A system call each, as the helper calls it too.
 */
void vhost_release(struct vhost_handed *v)
{
	v->reset = vhost_model(v->fd) == VHOST_NET && !syscall(SYS_ioctl, v->fd, VHOST_RESET_OWNER, NULL);
	if (!v->reset)
		renew(v);
}

/**
 * vhost_separate() - the helper's descriptor and the next program's are to be of two devices
 * @v: after vhost_release(), which the helper has inherited
 *
 * A vsock's context ID is in use as long as anybody has the device open.
 */
void vhost_separate(struct vhost_handed *v)
{
	if (vhost_model(v->fd) == VHOST_VSOCK)
		renew(v);
}

/**
 * vhost_take_back() - the exec has failed: the device is this process's again
 * @v: after vhost_release()
 *
 * QEMU sets the rest when it starts the device. Async-signal-safe.
 */
void vhost_take_back(struct vhost_handed *v)
{
	const struct settings *s = find(v->number);

	if (!v->reset)
		return;
	v->reset = false;
	real(ioctl)(v->fd, VHOST_SET_OWNER, NULL);
	if (!s)
		return;
	if (s->features)
		real(ioctl)(v->fd, VHOST_SET_BACKEND_FEATURES, &s->features);
	for (unsigned int i = 0; i < VRINGS; i++) {
		real(ioctl)(v->fd, VHOST_SET_VRING_CALL, &s->call[i]);
		real(ioctl)(v->fd, VHOST_SET_VRING_ERR, &s->error[i]);
		if (s->busyloop[i].num)
			real(ioctl)(v->fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &s->busyloop[i]);
	}
}
