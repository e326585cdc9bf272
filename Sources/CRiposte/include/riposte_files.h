// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

/// Opens the regular file `path` below the directory `root` for reading: openat2(2) with RESOLVE_IN_ROOT, so that no symbolic link and no `..` of
/// somebody else's tree leads out of it. Whatever is no regular file is not opened at all, devices and pipes not for a moment: -EINVAL. Since Linux 5.6.
int riposte_open_regular_below(int root, const char *path);

/// Writes what the kernel takes without waiting: pwritev2(2) with RWF_NOWAIT, at the file's own place. Gives the count of bytes, which may be less than
/// `count`; -EAGAIN where it would wait, -EOPNOTSUPP where that kind of file cannot be asked so.
long riposte_write_now(int file, const void *bytes, size_t count);
