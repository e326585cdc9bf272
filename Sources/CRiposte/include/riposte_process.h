// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

/// pidfd_open(2): a descriptor that means this process and no later one of the same number. Since Linux 5.3.
int riposte_pidfd_open(pid_t pid);

/// pidfd_send_signal(2). Signal 0 only asks whether it could be sent.
int riposte_pidfd_send_signal(int pidfd, int signal);

/// posix_spawnp(3) of `argv[0]`, found in PATH, with nothing but the descriptors 0 to 2: those named, or /dev/null where -1 is.
/// An argument vector, never a shell; signals are at their defaults. The pid, or -errno where it could not be executed.
pid_t riposte_spawn(char *const argv[], char *const envp[], int input, int output, int error);

/// The same as the leader of a process group of its own, so that a signal to the group reaches its children too, and none of the terminal's reaches it.
pid_t riposte_spawn_leader(char *const argv[], char *const envp[], int input, int output, int error);

/// eventfd(2), closed on exec and never waiting: a way to wake a thread that polls.
int riposte_eventfd(void);

/// Rings an eventfd.
void riposte_eventfd_set(int descriptor);

/// Whether it rang since the last time it was cleared; does not clear it.
int riposte_eventfd_is_set(int descriptor);

/// Takes the ringing back.
void riposte_eventfd_clear(int descriptor);
