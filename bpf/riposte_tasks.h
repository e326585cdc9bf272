/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Who: the header of an event, struct riposte_process, and the cgroup that names a container. */
#ifndef RIPOSTE_TASKS_H
#define RIPOSTE_TASKS_H

enum { KIND_PID, KIND_TGID, KIND_PGID, KIND_SID };	/* enum pid_type */
enum { RSS_FILE, RSS_ANON, RSS_SWAP, RSS_SHMEM };
#define RLIMIT_NOFILE 7
#define PF_KTHREAD 0x00200000
#define PF_IO_WORKER 0x00000010	/* a thread that io_uring has made for itself in a process */
#define CLONE_VM 0x00000100
#define CLONE_THREAD 0x00010000

/* The number of a pid in the namespace at `level` of its own; level 0 is the host's. */
static __always_inline struct upid *upid_of(struct pid *pid, u32 level)
{
	return (void *)pid + bpf_core_field_offset(struct pid, numbers) + level * bpf_core_type_size(struct upid);
}

static __always_inline u32 host_number(struct pid *pid)
{
	if (!pid)
		return 0;
	return BPF_CORE_READ(upid_of(pid, 0), nr);
}

/* As the namespace `ns` at `level` sees it; 0: not at all. */
static __always_inline u32 inner_number(struct pid *pid, u32 level, struct pid_namespace *ns)
{
	if (!pid || BPF_CORE_READ(pid, level) < level)
		return 0;
	if (BPF_CORE_READ(upid_of(pid, level), ns) != ns)
		return 0;
	return BPF_CORE_READ(upid_of(pid, level), nr);
}

static __always_inline u64 read_capabilities(const kernel_cap_t *set)
{
	u64 bits = 0;

	bpf_probe_read_kernel(&bits, sizeof(bits), set);
	return bits;
}

static __always_inline u32 login_of(struct task_struct *task)
{
	if (!bpf_core_field_exists(task->loginuid))
		return ~0u;
	return BPF_CORE_READ(task, loginuid.val);
}

/* Number of the controlling terminal's device, as stat(2) would have it; 0 for none. */
static __always_inline u32 terminal_of(struct signal_struct *signal)
{
	struct tty_struct *tty = BPF_CORE_READ(signal, tty);
	u32 minor;

	if (!tty)
		return 0;
	minor = BPF_CORE_READ(tty, driver, minor_start) + BPF_CORE_READ(tty, index);
	return (minor & 0xff) | BPF_CORE_READ(tty, driver, major) << 8 | (minor & ~0xff) << 12;
}

/*
 * The cgroup that names the container. On a pure v2 host, which is told by the first controller being part of the default hierarchy,
 * the cgroup of that; else the first of a v1 controller that is not the root. (On hybrid hosts the v2 hierarchy has no controllers, and runtimes may leave
 * a container's processes in the cgroup of the service that started them.)
 */
static __always_inline struct cgroup *naming_cgroup(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct cgroup *unified = BPF_CORE_READ(set, dfl_cgrp);
	struct cgroup_root *root = BPF_CORE_READ(unified, root);
	struct cgroup_subsys_state **states = (void *)set + bpf_core_field_offset(struct css_set, subsys);
	u32 count = bpf_core_field_size(set->subsys) / sizeof(*states);

	for (u32 i = 0; i < 16; i++) {
		struct cgroup_subsys_state *state = NULL;
		struct cgroup *group;

		if (i >= count)
			break;
		bpf_probe_read_kernel(&state, sizeof(state), &states[i]);
		if (!state)
			continue;
		group = BPF_CORE_READ(state, cgroup);
		if (BPF_CORE_READ(group, root) == root) {
			if (i == 0)
				break;
			continue;
		}
		if (BPF_CORE_READ(group, level) > 0)
			return group;
	}
	if (BPF_CORE_READ(unified, level) > 0)
		return unified;
	return NULL;
}

/* Its id. The kernel counts those of each hierarchy for themselves, so above it stands which hierarchy that is: 0 is the unified one. */
static __always_inline u64 cgroup_id(struct cgroup *group)
{
	u64 hierarchy = BPF_CORE_READ(group, root, hierarchy_id);

	return BPF_CORE_READ(group, kn, id) | hierarchy << 48;
}

/* 0 for none. */
__noinline u64 cgroup_of(u64 address)
{
	struct cgroup *group = naming_cgroup((struct task_struct *)address);

	return group ? cgroup_id(group) : 0;
}

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *node)
{
	if (bpf_core_field_exists(node->__parent))
		return BPF_CORE_READ(node, __parent);
	return BPF_CORE_READ((struct kernfs_node___parent *)node, parent);
}

#define CGROUP_STEPS 8		/* levels per call of cgroup_step() */
#define CGROUP_CALLS 8

/* Writes the names of up to CGROUP_STEPS levels, from `address` upwards. The node to go on with, 0: that was the top. */
__noinline u64 cgroup_step(u32 room, u64 address)
{
	struct work *work = work_of(room);
	struct kernfs_node *node = (void *)address;
	u32 at;

	if (!work)
		return 0;
	at = work->walk.at;
	for (int i = 0; i < CGROUP_STEPS && node; i++) {
		struct kernfs_node *parent = kernfs_parent(node);
		const char *name = BPF_CORE_READ(node, name);
		u32 to = at;
		long length;

		if (parent && at < PATH_SLACK + 1)
			work->walk.cut = 1;
		if (!parent || at < PATH_SLACK + 1 || at > RIPOSTE_PATH_BYTES)
			return 0;
		/* Its length is not known beforehand: read it to behind the text, then to its place. */
		length = bpf_probe_read_kernel_str(&work->path[RIPOSTE_PATH_BYTES], PATH_SLACK, name);
		if (length <= 1)
			return 0;
		to -= length;
		BOUND(to, RIPOSTE_PATH_BYTES - 1);
		length--;
		BOUND(length, PATH_SLACK - 1);
		work->path[to] = '/';
		bpf_probe_read_kernel(&work->path[to + 1], length, name);
		at = to;
		work->walk.at = at;
		node = parent;
	}
	return number_of(node);
}

/*
 * ITEM_CGROUP. Of cgroups that are nested deeper the beginning is missing, and that is told: it may have held the container's name. The header tells the id of
 * the very cgroup that was walked: the process may be moved at any moment, and one's name must not be taken for another's.
 */
__noinline int put_cgroup(u32 room, u64 address)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	struct cgroup *own;
	u64 node;

	if (!work || !event)
		return 0;
	work->walk.at = RIPOSTE_PATH_BYTES;
	work->walk.cut = 0;
	work->walked_file = 0;
	own = naming_cgroup((struct task_struct *)address);
	work->cgroup = own ? cgroup_id(own) : 0;
	node = own ? number_of(BPF_CORE_READ(own, kn)) : 0;
	for (int i = 0; i < CGROUP_CALLS && node; i++)
		node = cgroup_step(room, node);
	return put_walked(work, event, RIPOSTE_ITEM_CGROUP, node || work->walk.cut);
}

/*
 * ITEM_CGROUP of the current task behind a header that is complete, where user space has not classified the cgroup: by the time it looks, /proc may tell of
 * another one, to which the process has gone meanwhile.
 */
__noinline int put_new_cgroup(u32 room)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	struct riposte_event *header;
	u64 cgroup;

	if (!work || !event)
		return 0;
	header = (struct riposte_event *)event->bytes;
	cgroup = header->cgroup;
	if (!cgroup || bpf_map_lookup_elem(&cgroups, &cgroup))
		return 0;
	put_cgroup(room, bpf_get_current_task());
	header->cgroup = work->cgroup;
	header->size = work->size;
	header->flags = work->flags;
	return 0;
}

/* The main thread of the process that started this one, or took it over; 0: the idle task, which is no process. */
static __always_inline u64 parent_of(struct task_struct *task)
{
	struct task_struct *parent = BPF_CORE_READ(task, real_parent, group_leader);

	return parent && BPF_CORE_READ(parent, tgid) ? number_of(parent) : 0;
}

/* Fills the header for the task at `address`. The kind, and what is of a call, is the caller's. */
__noinline int put_header(u32 room, u64 address)
{
	struct task_struct *task = (void *)address;
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	struct riposte_event *header;
	const struct cred *cred;
	struct task_struct *parent;
	struct pid *pid;
	struct upid *upid;
	struct pid_namespace *ns;

	if (!work || !event)
		return 0;
	header = (struct riposte_event *)event->bytes;
	header->size = work->size;
	header->version = RIPOSTE_WIRE_VERSION;
	header->flags = work->flags;
	header->time = bpf_ktime_get_boot_ns();
	header->start = BPF_CORE_READ(task, group_leader, start_boottime);
	header->pid = BPF_CORE_READ(task, tgid);
	header->tid = BPF_CORE_READ(task, pid);
	header->nr = work->nr;
	header->cpu = bpf_get_smp_processor_id();
	header->result = work->result;
#pragma unroll
	for (int i = 0; i < 6; i++)
		header->args[i] = work->args[i];
	header->cgroup = work->cgroup ? work->cgroup : cgroup_of(address);

	cred = BPF_CORE_READ(task, cred);
	header->cap_inheritable = read_capabilities(__builtin_preserve_access_index(&cred->cap_inheritable));
	header->cap_permitted = read_capabilities(__builtin_preserve_access_index(&cred->cap_permitted));
	header->cap_effective = read_capabilities(__builtin_preserve_access_index(&cred->cap_effective));
	header->uid = BPF_CORE_READ(cred, euid.val);
	header->gid = BPF_CORE_READ(cred, egid.val);
	header->loginuid = login_of(task);

	pid = BPF_CORE_READ(task, thread_pid);
	upid = upid_of(pid, BPF_CORE_READ(pid, level));
	ns = BPF_CORE_READ(upid, ns);
	header->mount_ns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	header->pid_ns = BPF_CORE_READ(ns, ns.inum);
	header->vtid = BPF_CORE_READ(upid, nr);
	header->reflex = work->reflex;
	header->reflex_outcome = work->outcome;
	header->fd = work->fd;
	bpf_probe_read_kernel(header->comm, sizeof(header->comm), __builtin_preserve_access_index(&task->comm));
	parent = (struct task_struct *)parent_of(task);
	header->has_parent = parent != NULL;
	if (parent)
		bpf_probe_read_kernel(header->parent_comm, sizeof(header->parent_comm), __builtin_preserve_access_index(&parent->comm));
	else
		__builtin_memset(header->parent_comm, 0, sizeof(header->parent_comm));
	return 0;
}

/*
 * work->comm: the name that the current process goes by in the eyes of rules, which is the thread's. Threads of io_uring call themselves iou-wrk-PID, and whoever
 * hands them something to do must not go by another name for it, so theirs is that of the main thread.
 */
__noinline int fetch_name(u32 room)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct work *work = work_of(room);

	if (!work)
		return 0;
	if (BPF_CORE_READ(task, flags) & PF_IO_WORKER)
		task = BPF_CORE_READ(task, group_leader);
	bpf_probe_read_kernel(work->comm, sizeof(work->comm), __builtin_preserve_access_index(&task->comm));
	return 0;
}

/* And so in the header of a request. */
__noinline int put_name(u32 room)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);

	if (!work || !event)
		return 0;
	fetch_name(room);
	__builtin_memcpy(((struct riposte_event *)event->bytes)->comm, work->comm, sizeof(work->comm));
	return 0;
}

static __always_inline u64 pages_to_kib(s64 pages)
{
	return pages > 0 ? pages * page_kib : 0;
}

/* Since 6.2 a per-CPU counter, of which this is the part that was summed up: it lags behind by some pages per CPU. */
static __always_inline s64 rss_of(struct mm_struct *mm, u32 kind)
{
	struct mm_struct___atomic *old = (void *)mm;
	s64 pages = 0;

	/* By a helper in each build: the verifier knows no places within an array of structures. */
	if (bpf_core_type_exists(struct mm_rss_stat))
		BPF_CORE_READ_INTO(&pages, old, rss_stat.count[kind].counter);
	else
		BPF_CORE_READ_INTO(&pages, mm, rss_stat[kind].count);
	return pages;
}

/* ITEM_PROCESS of the task at `address`. */
__noinline int put_process(u32 room, u64 address, u64 clone_flags)
{
	struct task_struct *task = (void *)address;
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	struct riposte_process *process;
	struct task_struct *parent;
	struct signal_struct *signal;
	struct pid_namespace *ns;
	struct mm_struct *mm;
	struct pid *pid, *session, *group;
	u32 at, level;

	if (!work || !event)
		return 0;
	at = item_begin(work);
	if (!at || at > ITEM_ROOM + sizeof(struct riposte_item))
		return 0;
	process = (struct riposte_process *)&event->bytes[at];
	__builtin_memset(process, 0, sizeof(*process));

	parent = BPF_CORE_READ(task, real_parent);
	signal = BPF_CORE_READ(task, signal);
	process->start = BPF_CORE_READ(task, start_boottime);
	process->parent_start = BPF_CORE_READ(parent, group_leader, start_boottime);
	process->parent = BPF_CORE_READ(parent, tgid);

	pid = BPF_CORE_READ(task, thread_pid);
	session = BPF_CORE_READ(signal, pids[KIND_SID]);
	group = BPF_CORE_READ(signal, pids[KIND_PGID]);
	level = BPF_CORE_READ(pid, level);
	ns = BPF_CORE_READ(upid_of(pid, level), ns);
	process->session = host_number(session);
	process->group = host_number(group);
	process->vpid = inner_number(BPF_CORE_READ(signal, pids[KIND_TGID]), level, ns);
	process->vsession = inner_number(session, level, ns);
	process->vgroup = inner_number(group, level, ns);
	process->ns_level = level;
	process->ns_init_start = BPF_CORE_READ(ns, child_reaper, start_boottime);

	process->tty = terminal_of(signal);
	process->clone_flags = clone_flags;
	process->fd_limit = BPF_CORE_READ(signal, rlim[RLIMIT_NOFILE].rlim_cur);
	process->minor_faults = BPF_CORE_READ(task, min_flt);
	process->major_faults = BPF_CORE_READ(task, maj_flt);

	mm = BPF_CORE_READ(task, mm);
	if (mm) {
		s64 resident = rss_of(mm, RSS_FILE) + rss_of(mm, RSS_ANON) + rss_of(mm, RSS_SHMEM);

		process->vm_size = pages_to_kib(BPF_CORE_READ(mm, total_vm));
		process->vm_rss = pages_to_kib(resident);
		process->vm_swap = pages_to_kib(rss_of(mm, RSS_SWAP));
		process->exe_is_set = BPF_CORE_READ(mm, exe_file) != NULL;
	}
	process->uid = BPF_CORE_READ(task, cred, euid.val);
	process->gid = BPF_CORE_READ(task, cred, egid.val);
	process->thread_count = BPF_CORE_READ(signal, nr_threads);
	item_end(work, event, at, RIPOSTE_ITEM_PROCESS, sizeof(*process), 0);
	return at;
}

#endif
