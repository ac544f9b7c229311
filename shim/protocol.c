/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* protocol.c - what is spoken on a connection; see protocol.h. */
#include "protocol.h"

#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include "../state/telnet.h"
#include "session.h"

/** protocol_head() - the first bytes of a message, at most @max. Return: how many. */
size_t protocol_head(const struct msghdr *msg, size_t len, char *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < msg->msg_iovlen && n < max && n < len; i++) {
		size_t take = msg->msg_iov[i].iov_len;

		if (take > max - n)
			take = max - n;
		if (take > len - n)
			take = len - n;
		memcpy(out + n, msg->msg_iov[i].iov_base, take);
		n += take;
	}
	return n;
}

/**
 * protocol_of() - enum session_protocol, by the first that QEMU sent
 *
 * A QMP monitor greets with {"QMP": ...}, an HMP monitor with its version (monitor/hmp.c:monitor_event). A vhost-user
 * device begins with VHOST_USER_GET_FEATURES, which has no payload (hw/virtio/vhost-user.c:vhost_user_backend_init).
 * Unknown is what may yet become a QMP greeting.
 */
int protocol_of(const char *text, size_t len)
{
	static const char hmp[] = "QEMU ", qmp[] = "\"QMP\":";
	static const uint32_t get_features[] = { 1, 1, 0 }; /* request, version as its flags, size */
	size_t i = 1, n = sizeof(qmp) - 1;

	if (len == sizeof(get_features) && !memcmp(text, get_features, len))
		return SESSION_VHOST_USER;
	if (len >= sizeof(hmp) - 1 && !memcmp(text, hmp, sizeof(hmp) - 1) && memmem(text, len, " monitor", 8))
		return SESSION_HMP;
	if (!len || text[0] != '{')
		return SESSION_PLAIN;
	while (i < len && strchr(" \t\r\n", text[i]))
		i++;
	if (len - i < n)
		n = len - i;
	if (memcmp(text + i, qmp, n) != 0)
		return SESSION_PLAIN;
	if (n == sizeof(qmp) - 1)
		return SESSION_QMP;
	return len < SESSION_HEAD ? SESSION_UNKNOWN : SESSION_PLAIN;
}

/** protocol_is_telnet_greeting() - is this message what QEMU sends to a telnet client before all else? */
bool protocol_is_telnet_greeting(const struct msghdr *msg, size_t len)
{
	char text[TELNET_GREETING_LEN];

	return len == sizeof(text) && protocol_head(msg, len, text, sizeof(text)) == len &&
	       !memcmp(text, TELNET_GREETING, len);
}
