/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* preserved.c - the descriptors a successor was given; see preserved.h. */
#include "preserved.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "real.h"

static struct preserved list[PRESERVED_MAX];
static size_t count;
/* QEMU makes its descriptors on the main thread, but for a client that connects again in a thread of its own. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int passed = -1;

/** preserved_pass() - what comes next over the private monitor is this descriptor, and keeps its number */
void preserved_pass(int number)
{
	__atomic_store_n(&passed, number, __ATOMIC_RELEASE);
}

/** preserved_passed() - for the hook of recvmsg(): that number, once, or -1 */
int preserved_passed(void)
{
	return __atomic_exchange_n(&passed, -1, __ATOMIC_ACQ_REL);
}

/** preserved_add() - a new, empty entry, or NULL where there is no room; before main() only */
struct preserved *preserved_add(void)
{
	if (count == PRESERVED_MAX)
		return NULL;
	struct preserved *p = &list[count++];

	*p = (struct preserved){ .number = -1, .fd = -1, .parent = -1, .name = "" };
	p->decoy = (struct decoy){ .number = -1, .real = -1, .peer = -1 };
	return p;
}

/** preserved_count() - how many entries there are */
size_t preserved_count(void)
{
	return count;
}

/** preserved_at() - an entry by its index, which is below preserved_count() */
struct preserved *preserved_at(size_t index)
{
	return &list[index];
}

/** preserved_same_address() - are these the same? QEMU pads some with zeros and some not, so lengths do not tell. */
bool preserved_same_address(const struct sockaddr *mine, socklen_t mine_len, const struct sockaddr *addr, socklen_t len)
{
	if (mine->sa_family != addr->sa_family)
		return false;
	if (addr->sa_family == AF_UNIX) {
		const char *a = ((const struct sockaddr_un *)mine)->sun_path;
		const char *b = ((const struct sockaddr_un *)addr)->sun_path;
		size_t head = offsetof(struct sockaddr_un, sun_path);

		if (len <= head || mine_len <= head)
			return false;
		if (!*a || !*b)
			return mine_len == len && !memcmp(a, b, len - head);
		return strnlen(a, mine_len - head) == strnlen(b, len - head) && !memcmp(a, b, strnlen(b, len - head));
	}
	if (addr->sa_family == AF_INET) {
		const struct sockaddr_in *a = (const struct sockaddr_in *)mine;
		const struct sockaddr_in *b = (const struct sockaddr_in *)addr;

		return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
	}
	if (addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)mine;
		const struct sockaddr_in6 *b = (const struct sockaddr_in6 *)addr;

		return a->sin6_port == b->sin6_port && a->sin6_scope_id == b->sin6_scope_id &&
		       !memcmp(&a->sin6_addr, &b->sin6_addr, sizeof(a->sin6_addr));
	}
	return mine_len == len && !memcmp(mine, addr, len);
}

static bool same_address(const struct preserved *p, const struct sockaddr *addr, socklen_t len)
{
	return preserved_same_address((const struct sockaddr *)&p->addr, p->addr_len, addr, len);
}

/**
 * preserved_by_address() - take the socket that was bound or connected to an address
 * @kind: FDKIND_LISTENER, FDKIND_SOCKET or FDKIND_CONNECTION
 * @addr: address in QEMU's request
 * @len:  its length
 *
 * Return: the entry, now taken, or NULL.
 */
struct preserved *preserved_by_address(enum fdkind kind, const struct sockaddr *addr, socklen_t len)
{
	struct preserved *found = NULL;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < count && !found; i++)
		if (list[i].kind == kind && !list[i].taken && same_address(&list[i], addr, len))
			found = &list[i];
	if (found)
		found->taken = true;
	pthread_mutex_unlock(&lock);
	return found;
}

static int port_of(const struct sockaddr *addr, socklen_t len)
{
	if (addr->sa_family == AF_INET && len >= sizeof(struct sockaddr_in))
		return ntohs(((const struct sockaddr_in *)addr)->sin_port);
	if (addr->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6))
		return ntohs(((const struct sockaddr_in6 *)addr)->sin6_port);
	return -1;
}

/**
 * preserved_sends_from() - may a connected datagram socket that is handed over be meant by this local address?
 * @addr: address in QEMU's bind()
 * @len:  its length
 *
 * QEMU binds one before it connects it (util/qemu-sockets.c:inet_dgram_saddr), which is when it is replaced; to port 0
 * where it was not given one.
 */
bool preserved_sends_from(const struct sockaddr *addr, socklen_t len)
{
	int wanted = port_of(addr, len);
	bool found = false;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < count && !found && wanted >= 0; i++) {
		struct sockaddr_storage mine = { .ss_family = AF_UNSPEC };
		socklen_t mine_len = sizeof(mine), type_len = sizeof(int);
		int type = 0;

		found = list[i].kind == FDKIND_CONNECTION && !list[i].taken &&
			!getsockopt(list[i].fd, SOL_SOCKET, SO_TYPE, &type, &type_len) && type == SOCK_DGRAM &&
			!real(getsockname)(list[i].fd, (struct sockaddr *)&mine, &mine_len) &&
			(!wanted || port_of((struct sockaddr *)&mine, mine_len) == wanted);
	}
	pthread_mutex_unlock(&lock);
	return found;
}

/**
 * preserved_by_path() - take the file or pipe that a path was opened for
 * @path:  path in QEMU's request
 * @flags: its flags, as open(2)'s: only what was opened for the same access can be meant
 *
 * Return: the first such entry, now taken, or NULL.
 */
struct preserved *preserved_by_path(const char *path, int flags)
{
	struct preserved *found = NULL;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < count && !found; i++)
		if ((list[i].kind == FDKIND_FILE || list[i].kind == FDKIND_PIPE) && !list[i].taken &&
		    ((int)list[i].open_flags & O_ACCMODE) == (flags & O_ACCMODE) && !strcmp(list[i].name, path))
			found = &list[i];
	if (found)
		found->taken = true;
	pthread_mutex_unlock(&lock);
	return found;
}

/**
 * preserved_by_name() - take what was made under a name
 * @kind: FDKIND_TAP
 * @name: name in QEMU's request
 *
 * Return: the first such entry, now taken, or NULL.
 */
struct preserved *preserved_by_name(enum fdkind kind, const char *name)
{
	struct preserved *found = NULL;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < count && !found; i++)
		if (list[i].kind == kind && !list[i].taken && !strcmp(list[i].name, name))
			found = &list[i];
	if (found)
		found->taken = true;
	pthread_mutex_unlock(&lock);
	return found;
}

/**
 * preserved_next() - take the first one of a kind that has no name to ask for
 * @kind: FDKIND_PTY_MASTER: the same command line makes them in the same order
 */
struct preserved *preserved_next(enum fdkind kind)
{
	struct preserved *found = NULL;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < count && !found; i++)
		if (list[i].kind == kind && !list[i].taken)
			found = &list[i];
	if (found)
		found->taken = true;
	pthread_mutex_unlock(&lock);
	return found;
}

/**
 * preserved_is_socket_path() - is this the path of a listening or datagram socket that QEMU has yet to ask for?
 * @path: as given to unlink()
 *
 * QEMU removes a socket's path before it binds (util/qemu-sockets.c:unix_listen_saddr, net/dgram.c:net_init_dgram); the
 * preserved socket's must stay.
 */
bool preserved_is_socket_path(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	bool found = false;

	if (strlen(path) >= sizeof(addr.sun_path))
		return false;
	strcpy(addr.sun_path, path);
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < count && !found; i++)
		found = (list[i].kind == FDKIND_LISTENER || list[i].kind == FDKIND_SOCKET) && !list[i].taken &&
			same_address(&list[i], (struct sockaddr *)&addr, sizeof(addr));
	pthread_mutex_unlock(&lock);
	return found;
}

static struct preserved *by_number(int number)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].taken && list[i].decoy.placed && list[i].decoy.number == number)
			return &list[i];
	return NULL;
}

/**
 * preserved_listen() - QEMU listens on a preserved socket
 * @fd: its number, under which a decoy stands
 *
 * The decoy listens already. The clients of the real one are put in its queue, so that QEMU accepts them as its first.
 *
 * Return: 0, -ENOENT where @fd is no preserved listener, or another negative errno.
 */
int preserved_listen(int fd)
{
	struct preserved *listener = by_number(fd);

	if (!listener || listener->kind != FDKIND_LISTENER)
		return -ENOENT;
	for (size_t i = 0; i < count; i++) {
		struct preserved *p = &list[i];

		if (p->kind != FDKIND_CLIENT || p->parent != listener - list || p->taken)
			continue;
		p->decoy.kind = FDKIND_CLIENT;
		p->decoy.real = p->fd;
		int rc = decoy_accept_into(&listener->decoy, &p->decoy);
		if (rc)
			return rc;
		p->taken = true;
	}
	return 0;
}

/**
 * preserved_accepted() - QEMU has accepted from a decoy listener
 * @listener: number of the listening socket
 * @fd:	      number of the accepted one
 *
 * Connections are accepted in the order in which they were made.
 *
 * Return: the client's entry, or NULL where @listener is no decoy.
 */
struct preserved *preserved_accepted(int listener, int fd)
{
	struct preserved *l = by_number(listener);

	for (size_t i = 0; l && i < count; i++) {
		struct preserved *p = &list[i];

		if (p->kind != FDKIND_CLIENT || p->parent != l - list || !p->taken || p->decoy.number >= 0)
			continue;
		p->decoy.number = fd;
		__atomic_store_n(&p->decoy.placed, true, __ATOMIC_RELEASE);
		return p;
	}
	return NULL;
}

/**
 * preserved_give() - put the real one under QEMU's number at once, without a decoy
 * @p:	a taken entry
 * @fd: the number
 *
 * Return: 0 or a negative errno.
 */
int preserved_give(struct preserved *p, int fd)
{
	int flags = real(fcntl)(fd, F_GETFD);

	if (flags < 0 || real(dup3)(p->fd, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0)
		return -errno;
	p->number = fd;
	return 0;
}

/**
 * preserved_channel() - take a TPM emulator's data channel
 * @control: number of its control channel, which was given by preserved_give()
 *
 * Return: its entry, now taken, or NULL.
 */
struct preserved *preserved_channel(int control)
{
	struct preserved *found = NULL;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < count && !found; i++) {
		const struct preserved *parent = list[i].parent >= 0 ? &list[list[i].parent] : NULL;

		if (list[i].kind == FDKIND_SOCKETPAIR && !list[i].taken && parent && parent->taken &&
		    parent->number == control)
			found = &list[i];
	}
	if (found)
		found->taken = true;
	pthread_mutex_unlock(&lock);
	return found;
}
