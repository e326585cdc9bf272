#!/bin/busybox sh
# The first program of a guest of kernels.py, from its initramfs: makes of the kernel what services find on a machine that systemd has started, with the host's
# files as its root, on which nothing can be written, and a layer in memory over them. machine.sh goes on there. It runs nothing but busybox, which is in
# memory: an emulated processor takes a while for whatever is started from the host's files for the first time.
/bin/busybox --install -s /bin
die() { echo "initramfs: $*"; poweroff -f; }

mount -t proc proc /proc && mount -t devtmpfs devtmpfs /dev || die "no /proc or /dev"
# In the order in which they are loaded.
for module in /modules/*; do insmod "$module" || die "$module is not loaded"; done
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose host /lower || die "the host's files are not mounted"
mount -t tmpfs -o mode=755 layer /layer && mkdir /layer/upper /layer/work || die "no memory"
mount -t overlay -o lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work root /root || die "no layer over the host's files"

# Where modprobe looks, as the kernel asks for more modules; and the sources with what was built of them, even if they are in a folder of which the guest has
# one of its own.
. /guest/paths
release=$(uname -r)
mkdir -p "/root/lib/modules/$release" && mount -o bind "/root$MODULES" "/root/lib/modules/$release" || die "$MODULES is not there"
mkdir -p /sources && mount -o bind "/root$SOURCES" /sources || die "$SOURCES is not there"
mount -t tmpfs -o mode=1777 tmpfs /root/tmp && mount -t tmpfs -o mode=755 tmpfs /root/run || die "no /tmp or /run"
# Of files in layers the sensor says so, and a plain machine has its secrets in none. The host's are in the initramfs, too: file by file it would take a while.
mount -t tmpfs -o mode=755 tmpfs /root/etc && cp -a /etc/. /root/etc || die "no /etc"
mkdir -p "/root$SOURCES" && mount -o move /sources "/root$SOURCES" || die "$SOURCES cannot be mounted"

for link in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do ln -sfn "/proc/self/${link#*:}" "/dev/${link%:*}"; done
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount -t sysfs sysfs /root/sys
cd /root/sys || die "no /sys"
mount -t cgroup2 -o nsdelegate cgroup2 fs/cgroup
mount -t securityfs securityfs kernel/security
mount -t debugfs debugfs kernel/debug
mount -t tracefs tracefs kernel/tracing
mount -t bpf -o mode=700 bpf fs/bpf
echo "+cpu +memory +pids" > fs/cgroup/cgroup.subtree_control
mkdir -p fs/cgroup/init.scope fs/cgroup/system.slice/guest.service
echo $$ > fs/cgroup/init.scope/cgroup.procs
hostname guest
ip link set lo up

cp -r /guest /bin/busybox /root/run
cd /
mount -o move /proc /root/proc && mount -o move /dev /root/dev || die "/proc and /dev cannot be moved"
echo "initramfs: Linux $release"
exec switch_root /root /bin/bash /run/guest/machine.sh
