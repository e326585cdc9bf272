// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "riposte_socket_owner.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct question {
	struct nlmsghdr header;
	struct inet_diag_req_v2 wanted;
};

// Exactly that socket, held by a process. The kernel also answers with a listener on that port, with one that is being connected, and, for a process that has closed
// its end, with one that nobody holds: of those some kernels say that they are root's.
static bool is_held(const struct inet_diag_msg *found, const struct inet_diag_sockid *wanted)
{
	switch (found->idiag_state) {
	case TCP_ESTABLISHED:
	case TCP_FIN_WAIT1:
	case TCP_FIN_WAIT2:
	case TCP_CLOSE_WAIT:
		break;
	default:
		return false;
	}
	return found->idiag_inode != 0 && found->id.idiag_sport == wanted->idiag_sport && found->id.idiag_dport == wanted->idiag_dport &&
	       !memcmp(found->id.idiag_src, wanted->idiag_src, sizeof(wanted->idiag_src)) &&
	       !memcmp(found->id.idiag_dst, wanted->idiag_dst, sizeof(wanted->idiag_dst));
}

static int ask(int netlink, const struct question *question, uid_t *owner)
{
	union {
		struct nlmsghdr header;
		char bytes[8192];
	} answer;
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	const struct inet_diag_msg *found;
	const struct nlmsgerr *problem;
	ssize_t length;

	if (sendto(netlink, question, sizeof(*question), 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	// The kernel has answered by the time that the question is sent.
	length = recv(netlink, &answer, sizeof(answer), MSG_DONTWAIT);
	if (length < 0)
		return -errno;
	if (!NLMSG_OK(&answer.header, (size_t)length))
		return -EBADMSG;
	if (answer.header.nlmsg_type == NLMSG_ERROR) {
		problem = NLMSG_DATA(&answer.header);
		return answer.header.nlmsg_len >= NLMSG_LENGTH(sizeof(*problem)) && problem->error < 0 ? problem->error : -EBADMSG;
	}
	if (answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY || answer.header.nlmsg_len < NLMSG_LENGTH(sizeof(*found)))
		return -EBADMSG;
	found = NLMSG_DATA(&answer.header);
	if (!is_held(found, &question->wanted.id))
		return -ENOENT;
	*owner = found->idiag_uid;
	return 0;
}

int riposte_socket_owner(int family, const void *address, uint16_t port, const void *peer_address, uint16_t peer_port, uid_t *owner)
{
	size_t size = family == AF_INET6 ? 16 : 4;
	struct question question = {
		.header = { .nlmsg_len = sizeof(question), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST },
		.wanted = {
			.sdiag_family = (__u8)family,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = ~0U,
			.id = {
				.idiag_sport = htons(port),
				.idiag_dport = htons(peer_port),
				.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE },
			},
		},
	};
	int netlink, result;

	if (family != AF_INET && family != AF_INET6)
		return -EAFNOSUPPORT;
	memcpy(question.wanted.id.idiag_src, address, size);
	memcpy(question.wanted.id.idiag_dst, peer_address, size);
	netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (netlink < 0)
		return -errno;
	result = ask(netlink, &question, owner);
	close(netlink);
	return result;
}
