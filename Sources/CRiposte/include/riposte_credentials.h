// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

struct riposte_credentials {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

/// SO_PEERCRED: who connected to a Unix stream socket, as the kernel saw it then. 0 or -errno.
int riposte_peer_credentials(int socket, struct riposte_credentials *credentials);

/// Lets the kernel add the sender's credentials to each datagram (SO_PASSCRED). 0 or -errno.
int riposte_pass_credentials(int socket);

/// recvmsg(2) without waiting: the datagram's length, which is greater than `size` where it was cut; `credentials->pid` is 0 where
/// the kernel added none. Or -errno.
ssize_t riposte_receive(int socket, void *buffer, size_t size, struct riposte_credentials *credentials);
