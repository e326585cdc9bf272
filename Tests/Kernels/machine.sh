# Process 1 of a guest of kernels.py: makes of it what services find on a machine that systemd has started, and runs what it is there for. bash waits for
# whatever loses its parent.
exec </dev/null
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8

for links in "/proc/self/fd fd" "/proc/self/fd/0 stdin" "/proc/self/fd/1 stdout" "/proc/self/fd/2 stderr"; do ln -sfn ${links% *} /dev/${links#* }; done
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount -t sysfs sysfs /sys
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
mount -t securityfs securityfs /sys/kernel/security
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf -o mode=700 bpf /sys/fs/bpf
hostname guest
ip link set lo up
echo "+cpu +memory +pids" > /sys/fs/cgroup/cgroup.subtree_control
mkdir -p /sys/fs/cgroup/init.scope /sys/fs/cgroup/system.slice/guest.service
echo $$ > /sys/fs/cgroup/init.scope/cgroup.procs
echo "machine: $(uname -r) is up after $(cut -d' ' -f1 /proc/uptime) s"

# The second serial line is for what it is there for alone. The last line there says how it ended.
busybox stty -F /dev/ttyS1 raw
bash -c 'echo $$ > /sys/fs/cgroup/system.slice/guest.service/cgroup.procs; exec bash /run/guest/command' >/dev/ttyS1 2>&1
echo "guest: status $?" >/dev/ttyS1
busybox poweroff -f
