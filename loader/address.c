/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* address.c - a socket's addresses as text; see address.h. */
#include "address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <linux/vm_sockets.h>

#include "../shim/decoy.h"
#include "../shim/real.h"

/**
 * address_text() - a socket's own address or its peer's, as QEMU writes it
 * @fd:	  the socket's number; of a decoy, that of the real one counts
 * @peer: the peer's
 * @ret:  such as "unix:/path" or "tcp:127.0.0.1:5900" (chardev/char-socket.c:qemu_chr_compute_filename); "" where it has none
 * @size: room there
 */
void address_text(int fd, bool peer, char *ret, size_t size)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = sizeof(addr);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	ret[0] = '\0';
	if (peer ? real(getpeername)(decoy_real(fd), (struct sockaddr *)&addr, &len)
		 : real(getsockname)(decoy_real(fd), (struct sockaddr *)&addr, &len))
		return;
	if (addr.ss_family == AF_UNIX) {
		const struct sockaddr_un *un = (const struct sockaddr_un *)&addr;
		size_t path = len - offsetof(struct sockaddr_un, sun_path);

		if (path && un->sun_path[0])
			snprintf(ret, size, "unix:%.*s", (int)path, un->sun_path);
		else if (path > 1)
			snprintf(ret, size, "unix:%.*s", (int)path - 1, un->sun_path + 1);
	} else if (addr.ss_family == AF_VSOCK) {
		const struct sockaddr_vm *vm = (const struct sockaddr_vm *)&addr;

		snprintf(ret, size, "vsock:%u:%u", vm->svm_cid, vm->svm_port);
	} else if (!getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), port, sizeof(port),
				NI_NUMERICHOST | NI_NUMERICSERV)) {
		snprintf(ret, size, addr.ss_family == AF_INET6 ? "tcp:[%s]:%s" : "tcp:%s:%s", host, port);
	}
}

/** address_is_vsock() - is this a vsock socket? */
bool address_is_vsock(int fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	return !getsockopt(decoy_real(fd), SOL_SOCKET, SO_DOMAIN, &domain, &len) && domain == AF_VSOCK;
}
