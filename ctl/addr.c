/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* addr.c - a record's detail as text. Lengths come from the VMM: what they do not cover is not read. */
#include "addr.h"

#include <arpa/inet.h>
#include <linux/vm_sockets.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "text.h"

/* SOCK_NONBLOCK and SOCK_CLOEXEC travel in the same word. */
#define SOCKET_TYPE_MASK 0xfu

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	struct sockaddr_vm vm;
};

static void print_unix(FILE *out, const struct sockaddr_un *un, size_t len)
{
	size_t n = len - offsetof(struct sockaddr_un, sun_path);
	bool abstract = n > 0 && !un->sun_path[0];
	char *name;

	/* an abstract name is all of its bytes; a path ends at '\0' or with the address */
	name = abstract ? text_escaped(un->sun_path + 1, n - 1) : text_escaped(un->sun_path, strnlen(un->sun_path, n));
	fprintf(out, "unix:%s%s", abstract ? "@" : "", name ? name : "");
	free(name);
}

static const char *protocol(const struct fdrec *rec)
{
	switch (rec->open_flags & SOCKET_TYPE_MASK) {
	case SOCK_STREAM:
		return "tcp ";
	case SOCK_DGRAM:
		return "udp ";
	default:
		return "";
	}
}

static void print_address(FILE *out, const struct fdrec *rec)
{
	union address a = { 0 };
	size_t len = rec->detail_len < sizeof(a) ? rec->detail_len : sizeof(a);
	char text[INET6_ADDRSTRLEN];

	memcpy(&a, rec->detail, len);
	if (len < sizeof(a.any.sa_family))
		fputs("no address", out);
	else if (a.any.sa_family == AF_UNIX)
		print_unix(out, &a.un, len);
	else if (a.any.sa_family == AF_INET && len >= sizeof(a.in))
		fprintf(out, "%s%s:%u", protocol(rec), inet_ntop(AF_INET, &a.in.sin_addr, text, sizeof(text)),
			ntohs(a.in.sin_port));
	else if (a.any.sa_family == AF_INET6 && len >= sizeof(a.in6))
		fprintf(out, "%s[%s]:%u", protocol(rec), inet_ntop(AF_INET6, &a.in6.sin6_addr, text, sizeof(text)),
			ntohs(a.in6.sin6_port));
	else if (a.any.sa_family == AF_VSOCK && len >= sizeof(a.vm))
		fprintf(out, "vsock %u:%u", a.vm.svm_cid, a.vm.svm_port);
	else
		fprintf(out, "address family %u", a.any.sa_family);
}

/**
 * addr_detail() - path, address or name that a record holds
 * @rec: the record, from a table that fdtable_snapshot() accepted
 *
 * Return: a string for free(), with all but printable text escaped; NULL where memory is short.
 */
char *addr_detail(const struct fdrec *rec)
{
	char *buf = NULL;
	size_t size;
	FILE *out;

	if (rec->detail_type == FDDETAIL_TEXT)
		return text_escaped(rec->detail, strnlen((const char *)rec->detail, rec->detail_len));
	out = open_memstream(&buf, &size);
	if (!out)
		return NULL;
	if (rec->detail_type == FDDETAIL_ADDR)
		print_address(out, rec);
	if (fclose(out)) {
		free(buf);
		return NULL;
	}
	return buf;
}
