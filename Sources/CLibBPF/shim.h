// SPDX-License-Identifier: Apache-2.0
// libbpf: objects, maps, programs and links. No code of ours.
#pragma once

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
