// SPDX-License-Identifier: Apache-2.0
#pragma once

/// setns(2) into a network namespace: of the calling thread alone. 0 or -errno.
int riposte_enter_network_namespace(int namespace_fd);

/// unshare(2): a new network namespace for the calling thread alone. 0 or -errno.
int riposte_new_network_namespace(void);
