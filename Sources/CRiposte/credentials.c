// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "riposte_credentials.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

int riposte_peer_credentials(int socket, struct riposte_credentials *credentials)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	*credentials = (struct riposte_credentials){ peer.pid, peer.uid, peer.gid };
	return 0;
}

int riposte_pass_credentials(int socket)
{
	int on = 1;

	return setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ? -errno : 0;
}

ssize_t riposte_receive(int socket, void *buffer, size_t size, struct riposte_credentials *credentials)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec piece = { buffer, size };
	struct msghdr message = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t length = recvmsg(socket, &message, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);

	if (length < 0)
		return -errno;
	*credentials = (struct riposte_credentials){ 0, (uid_t)-1, (gid_t)-1 };
	for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each)) {
		struct ucred sender;

		if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_CREDENTIALS)
			continue;
		memcpy(&sender, CMSG_DATA(each), sizeof(sender));
		*credentials = (struct riposte_credentials){ sender.pid, sender.uid, sender.gid };
	}
	return length;
}
