extension FieldTable {
    /// Fields of system call events (spec: fields.md 2 and 3).
    static let systemCalls = FieldTable(
        source: "syscall",
        text: """
            proc.name | string | - | - | name of the program as the kernel has it, at most 15 bytes; a process can rename itself
            proc.exe | string | - | - | first word of the command line (argv[0]), which whoever starts a program chooses freely
            proc.exepath | string | - | - | path of the executed file without symbolic links, as the process sees it; empty when unknown
            proc.args | string | [n]? | - | arguments without argv[0], joined by blanks; [n] is one of them from 0, empty past the end
            proc.cmdline | string | - | - | proc.name and the arguments, joined by blanks, as of the start of the program
            proc.exeline | string | - | - | proc.exe and the arguments, joined by blanks
            proc.cmdnargs | uint | - | - | number of arguments without argv[0]
            proc.cmdlenargs | uint | - | - | bytes of all arguments without argv[0], not counting the blanks between them
            proc.cwd | string | - | - | working directory, with a slash at its end
            proc.env | string | [key]? | - | all environment variables as NAME=value joined by blanks; [NAME] is the value of one, empty if unset
            proc.tty | uint | - | - | device number of the controlling terminal: 0 for none, 34816 for pts/0
            proc.pid | int | - | - | process id in the host's numbering
            proc.vpid | int | - | - | process id as the process itself sees it, in its own pid namespace
            proc.pid.ts | time | - | - | when the process was cloned, in nanoseconds since 1970
            proc.duration | duration | - | - | nanoseconds since the process was cloned
            proc.pidns_init_start_ts | time | - | - | when the first process of the pid namespace started, in nanoseconds since 1970
            proc.nthreads | uint | - | - | living threads of the process, its main thread included
            proc.nchilds | uint | - | - | living threads of the process besides its main thread
            proc.fdopencount | uint | - | - | number of open file descriptors
            proc.fdlimit | int | - | - | highest number of file descriptors that the process may have open
            proc.fdusage | int | - | - | open file descriptors in percent of proc.fdlimit
            proc.vmsize | uint | - | - | virtual memory of the process in KiB
            proc.vmrss | uint | - | - | resident memory of the process in KiB
            proc.vmswap | uint | - | - | swapped memory of the process in KiB

            proc.exe_ino | int | - | - | inode number of the executed file
            proc.exe_ino.ctime | time | - | - | last change of content, owner or mode of the executed file, in nanoseconds since 1970
            proc.exe_ino.mtime | time | - | - | last change of content of the executed file, in nanoseconds since 1970
            proc.exe_ino.ctime_duration_proc_start | duration | - | - | nanoseconds from the last change of the executed file to the start of the process
            proc.exe_ino.ctime_duration_pidns_start | duration | - | - | nanoseconds from the start of the pid namespace to a later change of the executed file
            proc.is_exe_writable | bool | - | - | whether the user who started the program could write to its file
            proc.is_exe_upper_layer | bool | - | - | whether the executed file is in the upper layer of an overlay: not part of the container's image
            proc.is_exe_lower_layer | bool | - | - | whether the executed file is in a lower layer of an overlay: part of the container's image
            proc.is_exe_from_memfd | bool | - | - | whether the executed file exists in memory only (memfd_create)

            proc.pname | string | - | - | name of the parent process
            proc.pexe | string | - | - | argv[0] of the parent process
            proc.pexepath | string | - | - | path of the file that the parent process executes
            proc.pcmdline | string | - | - | name and arguments of the parent process
            proc.ppid | int | - | - | process id of the parent in the host's numbering
            proc.pvpid | int | - | - | process id of the parent in the parent's own pid namespace
            proc.ppid.ts | time | - | - | when the parent process was cloned, in nanoseconds since 1970
            proc.ppid.duration | duration | - | - | nanoseconds since the parent process was cloned
            proc.aname | string | [n]? | any left | name of the n-th ancestor: 0 is the process, 1 its parent; without n true for any ancestor
            proc.aexe | string | [n]? | any left | argv[0] of the n-th ancestor: 0 is the process, 1 its parent; without n true for any ancestor
            proc.aexepath | string | [n]? | any left | path of the file that the n-th ancestor executes: 1 is the parent; without n true for any ancestor
            proc.acmdline | string | [n]? | any left | name and arguments of the n-th ancestor: 1 is the parent; without n true for any ancestor
            proc.apid | int | [n]? | any left | process id of the n-th ancestor: 1 is the parent; without n true for any ancestor
            proc.aargs | string | [n]? | - | arguments of the n-th ancestor: 1 is the parent; without n those of all ancestors joined by blanks
            proc.aenv | string | [key]? | any left | environment of the n-th ancestor, or one variable of the nearest that has it; without either true for any ancestor
            proc.loginshellid | int | - | - | process id of the oldest among the process and its ancestors whose name ends in sh: one login, one number

            proc.sid | int | - | - | session id as the process sees it
            proc.sname | string | - | - | name of the session's leader, or of the oldest ancestor in the same session; empty if there is none
            proc.sid.exe | string | - | - | argv[0] of the session's leader
            proc.sid.exepath | string | - | - | path of the file that the session's leader executes
            proc.is_sid_leader | bool | - | - | whether the process leads its session
            proc.pgid | int | - | - | process group in the host's numbering
            proc.pgid.name | string | - | - | name of the leader of the process group
            proc.pgid.exe | string | - | - | argv[0] of the leader of the process group
            proc.pgid.exepath | string | - | - | path of the file that the leader of the process group executes
            proc.is_pgid_leader | bool | - | - | whether the process leads its process group
            proc.vpgid | int | - | - | process group as the process sees it
            proc.vpgid.name | string | - | - | name of the leader of the process group, found by its number in the pid namespace
            proc.vpgid.exe | string | - | - | argv[0] of the leader of the process group, found by its number in the pid namespace
            proc.vpgid.exepath | string | - | - | path of the file that this leader of the process group executes
            proc.is_vpgid_leader | bool | - | - | whether the process leads its group: typed at a shell rather than run by a script

            proc.stdin.type | string | - | - | fd.type of standard input; absent if it is closed
            proc.stdin.name | string | - | - | fd.name of standard input; absent if it is closed
            proc.stdout.type | string | - | - | fd.type of standard output; absent if it is closed
            proc.stdout.name | string | - | - | fd.name of standard output; absent if it is closed
            proc.stderr.type | string | - | - | fd.type of standard error; absent if it is closed
            proc.stderr.name | string | - | - | fd.name of standard error; absent if it is closed

            proc.is_container_healthcheck | bool | - | deprecated | never has a value
            proc.is_container_liveness_probe | bool | - | deprecated | never has a value
            proc.is_container_readiness_probe | bool | - | deprecated | never has a value

            thread.tid | int | - | - | thread id in the host's numbering
            thread.vtid | int | - | - | thread id in the pid namespace of the process
            thread.ismain | bool | - | - | whether it is the main thread of its process
            thread.nametid | string | - | - | proc.name directly followed by thread.tid: tells threads apart
            thread.cap_effective | string | - | - | capabilities in force, as CAP_CHOWN CAP_KILL, joined by blanks in numeric order; empty for none
            thread.cap_permitted | string | - | - | capabilities that the thread may put in force, written as in thread.cap_effective
            thread.cap_inheritable | string | - | - | capabilities that the thread may hand on through execve, written as in thread.cap_effective
            thread.cgroups | string | - | - | all control groups of the thread as controller=path, joined by blanks
            thread.cgroup | string | [key] | - | path of the thread's control group for one controller, as thread.cgroup.cpuacct
            thread.cpu | int | - | - | processor time that the thread used in the last second, in percent; only on procinfo events
            thread.cpu.user | int | - | - | the part of thread.cpu that was spent in the program
            thread.cpu.system | int | - | - | the part of thread.cpu that was spent in the kernel
            thread.exectime | duration | - | - | nanoseconds for which the thread last had a processor; 0 but on switch events
            thread.totexectime | duration | - | - | nanoseconds for which the thread had a processor in all; counted on switch events only
            thread.pfmajor | uint | - | - | page faults of the thread that had to read from a disk
            thread.pfminor | uint | - | - | page faults of the thread that needed no disk
            thread.vmsize | uint | - | - | virtual memory in KiB on the main thread of a process, 0 on others
            thread.vmrss | uint | - | - | resident memory in KiB on the main thread of a process, 0 on others

            user.uid | uint | - | - | effective user id in the host's numbering
            user.name | string | - | - | name of user.uid, by the container's own passwd file inside one; <NA> if it has none
            user.homedir | string | - | - | home directory of user.uid; <NA> if it has no entry
            user.shell | string | - | - | login shell of user.uid; <NA> if it has no entry
            user.loginuid | int | - | - | user id of the login that it all began with (audit id), whatever su or sudo did since; -1 if unset
            user.loginname | string | - | - | name of user.loginuid; <NA> if it has none
            group.gid | uint | - | - | effective group id in the host's numbering
            group.name | string | - | - | name of group.gid; <NA> if it has none

            fd.num | int | - | - | number of the file descriptor that the event makes or uses; -1 when it could not be made
            fd.name | string | - | - | full path of a file, both ends of a connection as 10.0.0.5:41822->10.0.0.9:443; empty for what has no name
            fd.nameraw | string | - | - | path as the program gave it, with doubled slashes made one
            fd.directory | string | - | - | directory of a file; of a directory itself
            fd.filename | string | - | - | last part of the path of a file
            fd.type | string | - | - | file, directory, ipv4, ipv6, unix, pipe, event and more kinds of descriptor; <NA> for an unknown one
            fd.typechar | string | - | - | fd.type as one character: f d 4 6 u p e s l i t n b r m P and o for others
            fd.types | list(string) | [n]? | left | fd.type of all open file descriptors, each kind once; [n] is that of descriptor n alone
            fd.uid | string | - | - | thread.tid directly followed by fd.num: tells descriptors apart
            fd.containername | string | - | - | container.id, a colon and fd.name
            fd.containerdirectory | string | - | - | container.id, a colon and fd.directory
            fd.dev | int | - | - | number of the device that the file is on
            fd.dev.major | int | - | - | major number of the device that the file is on
            fd.dev.minor | int | - | - | minor number of the device that the file is on
            fd.ino | int | - | - | inode number of the file
            fd.is_upper_layer | bool | - | - | whether the file is in the upper layer of an overlay
            fd.is_lower_layer | bool | - | - | whether the file is in a lower layer of an overlay
            fd.name_changed | bool | - | - | whether this event gave the descriptor another fd.name, as a datagram to a new peer does

            fd.sockfamily | string | - | - | ip or unix for sockets, absent for everything else
            fd.l4proto | string | - | - | tcp, udp, icmp or raw; <NA> while the socket has neither connected nor been bound
            fd.connected | bool | - | - | whether the socket is connected or on its way to be
            fd.is_server | bool | - | - | whether the server's end of the connection is on this host
            fd.ip | ip | - | ends left silent | address of either end of the connection; != must hold for both
            fd.cip | ip | - | - | address of the client, the end that connected
            fd.sip | ip | - | - | address of the server, the end that was connected to or is bound
            fd.lip | ip | - | - | address of the end on this host
            fd.rip | ip | - | - | address of the end elsewhere
            fd.port | port | - | ends left silent | port of either end of the connection; != must hold for both
            fd.cport | port | - | - | port of the client
            fd.sport | port | - | - | port of the server
            fd.lport | port | - | - | port of the end on this host
            fd.rport | port | - | - | port of the end elsewhere
            fd.net | net | - | ends left silent | network that the address of either end lies in; != must hold for both
            fd.cnet | net | - | left silent | network that the address of the client lies in
            fd.snet | net | - | left silent | network that the address of the server lies in
            fd.lnet | net | - | left silent | network that the address of the end on this host lies in
            fd.rnet | net | - | left silent | network that the address of the end elsewhere lies in
            fd.cip.name | string | - | left | domain name that resolves to the client's address; compared by asking DNS for the name in the rule
            fd.sip.name | string | - | left | domain name that resolves to the server's address; compared by asking DNS for the name in the rule
            fd.lip.name | string | - | left | domain name that resolves to the address on this host; compared by asking DNS for the name in the rule
            fd.rip.name | string | - | left | domain name that resolves to the address elsewhere; compared by asking DNS for the name in the rule
            fd.proto | port | - | ends left silent | port of either end, by number or by name of its service
            fd.cproto | string | - | - | fd.cport as text: the number, or the name of its service
            fd.sproto | string | - | - | fd.sport as text: the number, or the name of its service
            fd.lproto | string | - | - | fd.lport as text: the number, or the name of its service
            fd.rproto | string | - | - | fd.rport as text: the number, or the name of its service

            fdlist.nums | string | - | - | for poll and ppoll: numbers of the descriptors that were waited on, joined by commas
            fdlist.names | string | - | - | for poll and ppoll: fd.name of each descriptor joined by commas, <NA> where it has none
            fdlist.cips | string | - | - | for poll and ppoll: client addresses of the connections among the descriptors, joined by commas
            fdlist.sips | string | - | - | for poll and ppoll: server addresses of the connections among the descriptors, joined by commas
            fdlist.cports | string | - | - | for poll and ppoll: client ports of the connections among the descriptors, joined by commas
            fdlist.sports | string | - | - | for poll and ppoll: server ports of the connections among the descriptors, joined by commas

            fs.path.name | string | - | - | full path that a call made, opened, removed or changed; only when it succeeded
            fs.path.nameraw | string | - | - | the same path as the program gave it
            fs.path.source | string | - | - | full path of what was renamed, of the device mounted, or of the new name that a link call made
            fs.path.sourceraw | string | - | - | the same path as the program gave it
            fs.path.target | string | - | - | full path of the new name after a rename, of the mount point, or of what a new link points to
            fs.path.targetraw | string | - | - | the same path as the program gave it

            evt.type | string | - | - | name of the system call, or of an event of the sensor: container, procexit, signaldeliver and others
            evt.type.is | uint | [key] | - | 1 for events of the type that is named, as evt.type.is.open; 0 for others
            syscall.type | string | - | - | name of the system call; absent on events that are none
            evt.category | string | - | - | file, net, memory, process, signal, user, time, sleep, wait, IPC or another group that evt.type belongs to
            evt.cpu | int | - | - | number of the processor that the event happened on
            evt.args | string | - | - | all arguments as name=value joined by blanks, with what they stand for in parentheses: res=-2(ENOENT)
            evt.info | string | - | - | the same as evt.args
            evt.arg | string | [key] | - | one argument by name or place as readable text: evt.arg.flags, evt.arg[0]
            evt.rawarg | any | [key] | left | one argument by name in its own type: evt.rawarg.size is a number
            evt.buffer | bytes | - | - | beginning of the data that a read, write, send or receive moved, 80 bytes if not configured otherwise
            evt.buflen | uint | - | - | bytes that a read, write, send or receive moved
            evt.res | string | - | - | SUCCESS, or the name of the error: ENOENT
            evt.rawres | int | - | - | what the system call returned; negative is an error number
            evt.failed | bool | - | - | whether the system call returned an error
            evt.is_io | bool | - | - | whether the call reads from a descriptor or writes to one
            evt.is_io_read | bool | - | - | whether the call reads from a descriptor
            evt.is_io_write | bool | - | - | whether the call writes to a descriptor
            evt.io_dir | string | - | - | read or write; absent for calls that move no data
            evt.is_wait | bool | - | - | whether the call makes the thread wait, as poll, select and nanosleep do
            evt.is_syslog | bool | - | - | whether the call writes to /dev/log
            evt.is_open_read | bool | - | - | whether the call opens, or tries to open, a file for reading
            evt.is_open_write | bool | - | - | whether the call opens, or tries to open, a file for writing
            evt.is_open_exec | bool | - | - | whether the call creates, or would create, a file with a mode that lets someone execute it
            evt.is_open_create | bool | - | - | whether the call created the file that it opened
            evt.is_io_uring | bool | - | - | whether it was no system call, but a request of io_uring that does the same; Riposte's own field
            evt.abspath | string | - | - | full path of what openat, unlinkat, mkdirat and their like work on; of two paths the first
            evt.abspath.src | string | - | - | full path of the old name in renameat and linkat
            evt.abspath.dst | string | - | - | full path of the new name in renameat and linkat
            evt.around | uint | [key] | left silent | evt.around[T]=D is true within D milliseconds before and after T, which is in nanoseconds since 1970
            evt.deltatime | duration | - | - | nanoseconds since the event before
            evt.deltatime.s | uint | - | - | whole seconds of evt.deltatime
            evt.deltatime.ns | uint | - | - | nanoseconds of evt.deltatime beyond the whole seconds
            evt.count | uint | - | - | always 1, to be summed up
            evt.count.error | uint | - | - | 1 if the call failed, else 0
            evt.count.error.file | uint | - | - | 1 if a call on a file failed, 0 if not; absent for other calls
            evt.count.error.net | uint | - | - | 1 if a call on a socket failed, 0 if not; absent for other calls
            evt.count.error.memory | uint | - | - | 1 if a call that manages memory failed, 0 if not; absent for other calls
            evt.count.error.other | uint | - | - | 1 if a call on neither file, socket nor memory failed, 0 if not; absent for other calls
            evt.count.exit | uint | - | - | 1 on events that report the end of a call
            evt.dir | string | - | deprecated | always <, as only the ends of calls are reported
            evt.latency | duration | - | deprecated | always 0
            evt.latency.s | uint | - | deprecated | always 0
            evt.latency.ns | uint | - | deprecated | always 0
            evt.latency.quantized | uint | - | deprecated | always 0
            evt.latency.human | string | - | deprecated | always 0ns
            evt.wait_latency | duration | - | deprecated | always 0

            container.id | string | - | suggested | first 12 characters of the container's id; host for a process in no container
            container.name | string | - | suggested | name of the container; host for a process in no container
            container.image.repository | string | - | suggested | image of the container without tag and digest: registry.example/shop/web
            container.image.tag | string | - | suggested | tag of the image: 1.27; empty if it has none
            k8s.pod.name | string | - | suggested | name of the pod; absent outside Kubernetes
            k8s.ns.name | string | - | suggested | namespace of the pod; absent outside Kubernetes
            container.full_id | string | - | - | the container's id in full
            container.type | string | - | - | runtime of the container: docker, containerd, cri-o, podman, lxc, libvirt-lxc, bpm; host for none
            container.image | string | - | - | image of the container with its tag
            container.image.id | string | - | - | id that the runtime gives the image
            container.image.digest | string | - | - | digest of the image in its registry, sha256: and 64 digits
            container.privileged | bool | - | - | whether the container runs privileged
            container.host_pid | bool | - | - | whether the container shares the host's pid namespace
            container.host_network | bool | - | - | whether the container shares the host's network namespace
            container.host_ipc | bool | - | - | whether the container shares the host's IPC namespace
            container.mounts | string | - | - | all mounts as source:destination:mode:rdwr:propagation, joined by commas
            container.mount | string | [key] | - | one mount as in container.mounts, by number or by a regular expression found in its source
            container.mount.source | string | [key] | - | source of one mount, by number or by a regular expression found in its destination
            container.mount.dest | string | [key] | - | destination of one mount, by number or by a regular expression found in its source
            container.mount.mode | string | [key] | - | mode of one mount, by number or by a regular expression found in its source
            container.mount.rdwr | string | [key] | - | true if one mount can be written to, by number or by a regular expression found in its source
            container.mount.propagation | string | [key] | - | propagation of one mount, by number or by a regular expression found in its source
            container.label | string | [key] | - | one label of the container: container.label[maintainer]
            container.labels | string | - | - | labels of the container as name:value joined by commas, without those of Kubernetes itself
            container.ip | string | - | - | first IPv4 address of the container
            container.cni.json | string | - | - | what the network plugin reported of the container's interfaces, as JSON text
            container.start_ts | time | - | - | when the container's first process started, in nanoseconds since 1970
            container.duration | duration | - | - | nanoseconds since container.start_ts
            k8s.pod.uid | string | - | - | UID that Kubernetes gave the pod
            k8s.pod.id | string | - | - | older name of k8s.pod.uid
            k8s.pod.sandbox_id | string | - | - | first 12 characters of the id of the pod's sandbox container
            k8s.pod.full_sandbox_id | string | - | - | id of the pod's sandbox container in full
            k8s.pod.label | string | [key] | - | one label of the pod: k8s.pod.label[app]
            k8s.pod.labels | string | - | - | labels of the pod as name:value joined by commas
            k8s.pod.ip | string | - | - | first IPv4 address of the pod
            k8s.pod.cni.json | string | - | - | what the network plugin reported of the pod's interfaces, as JSON text

            container.info | string | - | deprecated | never has a value; suggested fields took its place in outputs
            container.healthcheck | string | - | deprecated | never has a value
            container.liveness_probe | string | - | deprecated | never has a value
            container.readiness_probe | string | - | deprecated | never has a value
            k8s.ns.id | string | - | deprecated | never has a value: id of the namespace
            k8s.ns.label | string | [key] | deprecated | never has a value: one label of the namespace
            k8s.ns.labels | string | - | deprecated | never has a value: labels of the namespace
            k8s.rc.name | string | - | deprecated | never has a value: name of the replication controller
            k8s.rc.id | string | - | deprecated | never has a value: id of the replication controller
            k8s.rc.label | string | [key] | deprecated | never has a value: one label of the replication controller
            k8s.rc.labels | string | - | deprecated | never has a value: labels of the replication controller
            k8s.rs.name | string | - | deprecated | never has a value: name of the replica set
            k8s.rs.id | string | - | deprecated | never has a value: id of the replica set
            k8s.rs.label | string | [key] | deprecated | never has a value: one label of the replica set
            k8s.rs.labels | string | - | deprecated | never has a value: labels of the replica set
            k8s.svc.name | string | - | deprecated | never has a value: name of the service
            k8s.svc.id | string | - | deprecated | never has a value: id of the service
            k8s.svc.label | string | [key] | deprecated | never has a value: one label of the service
            k8s.svc.labels | string | - | deprecated | never has a value: labels of the service
            k8s.deployment.name | string | - | deprecated | never has a value: name of the deployment
            k8s.deployment.id | string | - | deprecated | never has a value: id of the deployment
            k8s.deployment.label | string | [key] | deprecated | never has a value: one label of the deployment
            k8s.deployment.labels | string | - | deprecated | never has a value: labels of the deployment
            """)
}
