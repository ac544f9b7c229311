/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * In the guest of test/nested/vhost.sh: an echo service on vsock port 7, by one process that lives as long as the guest.
 *
 * It greets each connection with the number of connections so far, and sends back what comes in. Once a second it also
 * opens a connection to port 7 of the host, to say hello.
 */
#include <linux/vm_sockets.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 7

static void *echo(void *opaque)
{
	int fd = *(int *)opaque;
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0 && write(fd, buf, (size_t)n) == n)
		;
	close(fd);
	free(opaque);
	return NULL;
}

static void *call_host(void *opaque)
{
	struct sockaddr_vm host = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = PORT };

	(void)opaque;
	for (;; sleep(1)) {
		int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

		if (!connect(fd, (struct sockaddr *)&host, sizeof(host)) && write(fd, "hello\n", 6) != 6)
			perror("hello");
		close(fd);
	}
	return NULL;
}

int main(void)
{
	struct sockaddr_vm any = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = PORT };
	int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
	pthread_t thread;

	if (bind(listener, (struct sockaddr *)&any, sizeof(any)) || listen(listener, 8) ||
	    pthread_create(&thread, NULL, call_host, NULL)) {
		perror("vsockecho");
		exit(1);
	}
	for (int count = 1;; count++) {
		int *fd = malloc(sizeof(*fd));

		*fd = accept(listener, NULL, NULL);
		if (*fd < 0 || dprintf(*fd, "%d\n", count) < 0 || pthread_create(&thread, NULL, echo, fd))
			perror("vsockecho");
		else
			pthread_detach(thread);
	}
}
