// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

/// pidfd_open(2): a descriptor that means this process and no later one of the same number. Since Linux 5.3.
int riposte_pidfd_open(pid_t pid);

/// pidfd_send_signal(2). Signal 0 only asks whether it could be sent.
int riposte_pidfd_send_signal(int pidfd, int signal);

/// execs `argv[0]` in a child with nothing but the descriptors 0 to 2, standard output going to `output`; returns its pid.
/// For credential plugins of kubeconfig files: an argument vector, never a shell.
pid_t riposte_spawn(char *const argv[], char *const envp[], int output);

/// eventfd(2), closed on exec and never waiting: a way to wake a thread that polls.
int riposte_eventfd(void);
