// SPDX-License-Identifier: Apache-2.0
#pragma once

// System calls that the C library does not wrap, and those whose arguments Swift cannot spell. Every function returns
// what the call gives (0 or more), or -errno.

#include "riposte_credentials.h"
#include "riposte_files.h"
#include "riposte_netns.h"
#include "riposte_process.h"
#include "riposte_socket_owner.h"
#include "riposte_sensor.h"
#include "riposte_bpf.h"
#include "riposte_ring.h"
