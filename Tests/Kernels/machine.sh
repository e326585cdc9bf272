# Process 1 of a guest of kernels.py, in the host's files: runs what the guest is there for, as a service. bash waits for whatever loses its parent.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
busybox=/run/busybox
# The second serial line is for what runs here alone; its last line says how that ended.
$busybox stty -F /dev/ttyS1 raw
bash -c 'echo $$ > /sys/fs/cgroup/system.slice/guest.service/cgroup.procs; exec bash /run/guest/command' </dev/null >/dev/ttyS1 2>&1
echo "guest: status $?" >/dev/ttyS1
$busybox poweroff -f
