// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Opens the regular file `path` below the directory `root` for reading: openat2(2) with RESOLVE_IN_ROOT, so that no symbolic link and no `..` of
/// somebody else's tree leads out of it. Whatever is no regular file is not opened at all, devices and pipes not for a moment: -EINVAL. Since Linux 5.6.
int riposte_open_regular_below(int root, const char *path);
