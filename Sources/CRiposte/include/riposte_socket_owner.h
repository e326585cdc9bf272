// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <sys/types.h>

/// Which user's the TCP socket is that has `address` and `port` as its own and the others as its peer's, in this network namespace: the kernel's word
/// (NETLINK_SOCK_DIAG), whatever the other end says of itself. Addresses are of `family` (AF_INET: 4 bytes, AF_INET6: 16), in network order, ports in that of the
/// host. 0, or -ENOENT where no process holds such a socket any more, or -errno where the kernel does not tell.
int riposte_socket_owner(int family, const void *address, uint16_t port, const void *peer_address, uint16_t peer_port, uid_t *owner);
