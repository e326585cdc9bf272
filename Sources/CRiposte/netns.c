// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "riposte_netns.h"

#include <errno.h>
#include <sched.h>

int riposte_enter_network_namespace(int namespace_fd)
{
	return setns(namespace_fd, CLONE_NEWNET) < 0 ? -errno : 0;
}

int riposte_new_network_namespace(void)
{
	return unshare(CLONE_NEWNET) < 0 ? -errno : 0;
}
