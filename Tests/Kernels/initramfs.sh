#!/bin/busybox sh
# The first program of a guest of kernels.py, from its initramfs: mounts the host's files, on which nothing can be written, with a layer in memory over them,
# and goes on with machine.sh in there. /modules are in the order in which they are loaded.
/bin/busybox --install -s /bin
die() { echo "initramfs: $*"; poweroff -f; }

mount -t proc proc /proc && mount -t devtmpfs dev /dev || die "no /proc or /dev"
for module in /modules/*; do insmod "$module" || die "$module is not loaded"; done
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose host /lower || die "the host's files are not mounted"
mount -t tmpfs -o mode=755 layer /layer && mkdir /layer/upper /layer/work || die "no memory"
mount -t overlay -o lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work root /root || die "no layer over the host's files"

# What the script says of paths on the host; the modules are then where modprobe looks for them, as the kernel asks for more.
. /guest/paths
mkdir -p "/root/lib/modules/$(uname -r)" && mount -o bind "/root$MODULES" "/root/lib/modules/$(uname -r)" || die "$MODULES is not there"
# The sources and what was built of them stay where they are, even if that is a folder which the guest has in memory.
mkdir -p /sources && mount -o bind "/root$SOURCES" /sources || die "$SOURCES is not there"
mount -t tmpfs -o mode=1777 tmp /root/tmp && mount -t tmpfs -o mode=755 run /root/run || die "no /tmp or /run"
mkdir -p "/root$SOURCES" && mount -o move /sources "/root$SOURCES" || die "$SOURCES cannot be mounted"

cp -r /guest /root/run/guest
mount -o move /proc /root/proc && mount -o move /dev /root/dev || die "/proc and /dev cannot be moved"
exec switch_root /root /bin/bash /run/guest/machine.sh
