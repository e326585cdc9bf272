/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Descriptors, and what is told of files. */
#ifndef RIPOSTE_FILES_H
#define RIPOSTE_FILES_H

#define AT_FDCWD -100
#define FMODE_PATH 0x4000
#define FMODE_CREATED 0x100000
#define MNT_READONLY 0x40
#define SB_RDONLY 1
#define S_IMMUTABLE 8
#define S_IFMT 0170000
#define S_IFREG 0100000
#define S_IFDIR 0040000
#define S_IFIFO 0010000
#define S_IFCHR 0020000
#define S_IFBLK 0060000
#define S_IFLNK 0120000
#define CAP_DAC_OVERRIDE 1
#define CTIME_QUERIED (1u << 31)	/* a mark of the kernel, among the nanoseconds (6.13) */

#define ANON_INODE_FS_MAGIC 0x09041934
#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#define PID_FS_MAGIC 0x50494446		/* 6.9; before, pidfds were anonymous inodes */
#define SOCKFS_MAGIC 0x534f434b

/* struct file * of a descriptor of the current task, 0 for none. */
__noinline u64 file_of(s32 fd)
{
	struct task_struct *task;
	struct fdtable *table;
	struct file **files, *file = NULL;
	u32 count;

	if (TASK_IS_TYPED) {
		task = bpf_get_current_task_btf();
		count = task->files->fdt->max_fds;
		files = task->files->fdt->fd;
	} else {
		task = (void *)bpf_get_current_task();
		table = BPF_CORE_READ(task, files, fdt);
		count = BPF_CORE_READ(table, max_fds);
		files = BPF_CORE_READ(table, fd);
	}
	if (fd < 0 || (u32)fd >= count)
		return 0;
#ifdef RIPOSTE_TYPED
	file = (struct file *)WORD_AT((u64)files + (u64)fd * sizeof(file));
#else
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
#endif
	return (u64)file;
}

/* Anonymous inodes have a type of no use; the name that the kernel gives their dentry says what they are. */
static __always_inline u32 anonymous_kind(u64 name)
{
	if (name == BEGINS('[', 'e', 'v', 'e', 'n', 't', 'f', 'd'))
		return RIPOSTE_FILE_EVENT;
	if (name == BEGINS('[', 'e', 'v', 'e', 'n', 't', 'p', 'o'))
		return RIPOSTE_FILE_EVENTPOLL;
	if (name == BEGINS('[', 't', 'i', 'm', 'e', 'r', 'f', 'd'))
		return RIPOSTE_FILE_TIMER;
	if (name == BEGINS('[', 's', 'i', 'g', 'n', 'a', 'l', 'f'))
		return RIPOSTE_FILE_SIGNAL;
	if (name == BEGINS('i', 'n', 'o', 't', 'i', 'f', 'y', 0))
		return RIPOSTE_FILE_INOTIFY;
	if (name == BEGINS('[', 'i', 'o', '_', 'u', 'r', 'i', 'n'))
		return RIPOSTE_FILE_IO_URING;
	if (name == BEGINS('[', 'p', 'i', 'd', 'f', 'd', ']', 0))
		return RIPOSTE_FILE_PIDFD;
	if (name == BEGINS('[', 'u', 's', 'e', 'r', 'f', 'a', 'u'))
		return RIPOSTE_FILE_USERFAULTFD;
	if ((name & 0xffffff) == BEGINS('b', 'p', 'f', 0, 0, 0, 0, 0))	/* bpf-map, bpf-prog, bpf_link, … */
		return RIPOSTE_FILE_BPF;
	return RIPOSTE_FILE_UNKNOWN;
}

/* enum riposte_file_kind */
__noinline int kind_of(u64 address)
{
	struct file *file = (void *)address;
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	unsigned long magic = BPF_CORE_READ(inode, i_sb, s_magic);
	u32 mode = BPF_CORE_READ(inode, i_mode);
	struct dentry *dentry;
	u64 name = 0;

	if (magic == SOCKFS_MAGIC)
		return RIPOSTE_FILE_SOCKET;
	if (magic == PID_FS_MAGIC)
		return RIPOSTE_FILE_PIDFD;
	if (magic == ANON_INODE_FS_MAGIC) {
		bpf_probe_read_kernel(&name, sizeof(name), BPF_CORE_READ(file, f_path.dentry, d_name.name));
		return anonymous_kind(name);
	}
	switch (mode & S_IFMT) {
	case S_IFREG:
		dentry = BPF_CORE_READ(file, f_path.dentry);
		if (BPF_CORE_READ(dentry, d_parent) != dentry)
			return RIPOSTE_FILE_REGULAR;
		bpf_probe_read_kernel(&name, sizeof(name), BPF_CORE_READ(dentry, d_name.name));
		if ((name & 0xffffffffffff) == BEGINS('m', 'e', 'm', 'f', 'd', ':', 0, 0))
			return RIPOSTE_FILE_MEMFD;
		return RIPOSTE_FILE_REGULAR;
	case S_IFDIR:
		return RIPOSTE_FILE_DIRECTORY;
	case S_IFIFO:
		return RIPOSTE_FILE_PIPE;
	case S_IFCHR:
	case S_IFBLK:
		return RIPOSTE_FILE_DEVICE;
	case S_IFLNK:
		return RIPOSTE_FILE_LINK;
	}
	return RIPOSTE_FILE_UNKNOWN;
}

static __always_inline s64 change_time(struct inode *inode)
{
	struct inode___timespec *old = (void *)inode;
	struct inode___private *between = (void *)inode;

	if (bpf_core_field_exists(inode->i_ctime_sec))
		return BPF_CORE_READ(inode, i_ctime_sec) * 1000000000LL + (BPF_CORE_READ(inode, i_ctime_nsec) & ~CTIME_QUERIED);
	if (bpf_core_field_exists(between->__i_ctime))
		return BPF_CORE_READ(between, __i_ctime.tv_sec) * 1000000000LL + BPF_CORE_READ(between, __i_ctime.tv_nsec);
	return BPF_CORE_READ(old, i_ctime.tv_sec) * 1000000000LL + BPF_CORE_READ(old, i_ctime.tv_nsec);
}

static __always_inline s64 modification_time(struct inode *inode)
{
	struct inode___timespec *old = (void *)inode;
	struct inode___private *between = (void *)inode;

	if (bpf_core_field_exists(inode->i_mtime_sec))
		return BPF_CORE_READ(inode, i_mtime_sec) * 1000000000LL + BPF_CORE_READ(inode, i_mtime_nsec);
	if (bpf_core_field_exists(between->__i_mtime))
		return BPF_CORE_READ(between, __i_mtime.tv_sec) * 1000000000LL + BPF_CORE_READ(between, __i_mtime.tv_nsec);
	return BPF_CORE_READ(old, i_mtime.tv_sec) * 1000000000LL + BPF_CORE_READ(old, i_mtime.tv_nsec);
}

/*
 * Which layer of an overlay a file is in. Where overlayfs is a module whose types libbpf does not find, the member behind vfs_inode is read by its place;
 * it has been there since 4.13.
 */
static __always_inline u32 layer_of(struct inode *inode)
{
	struct dentry *upper = NULL;
	void *place;

	if (BPF_CORE_READ(inode, i_sb, s_magic) != OVERLAYFS_SUPER_MAGIC)
		return 0;
	if (bpf_core_type_exists(struct ovl_inode))
		place = (void *)inode - bpf_core_field_offset(struct ovl_inode, vfs_inode) + bpf_core_field_offset(struct ovl_inode, __upperdentry);
	else
		place = (void *)inode + bpf_core_type_size(struct inode);
	bpf_probe_read_kernel(&upper, sizeof(upper), place);
	return upper ? RIPOSTE_FILE_UPPER_LAYER : RIPOSTE_FILE_LOWER_LAYER;
}

#define GROUPS 64	/* supplementary groups that are looked through */

static __always_inline bool is_member(const struct cred *cred, u32 gid)
{
	struct group_info *info = BPF_CORE_READ(cred, group_info);
	u32 count = BPF_CORE_READ(info, ngroups);
	u32 *groups = (void *)info + bpf_core_field_offset(struct group_info, gid);

	if (BPF_CORE_READ(cred, fsgid.val) == gid)
		return true;
	for (u32 i = 0; i < GROUPS; i++) {
		u32 group = ~0u;

		if (i >= count)
			break;
		bpf_probe_read_kernel(&group, sizeof(group), &groups[i]);
		if (group == gid)
			return true;
	}
	return false;
}

#define EXTENTS 5	/* that lie within a map of numbers */

/* Whether the map at `address` has a number for one of the kernel's. One of more extents than lie within it is taken for whole. */
static __always_inline bool has_number(u64 address, u32 id)
{
	struct uid_gid_extent extents[EXTENTS] = {};
	u32 count = 0;

	bpf_probe_read_kernel(&count, sizeof(count), (void *)address + bpf_core_field_offset(struct uid_gid_map, nr_extents));
	if (count > EXTENTS)
		return true;
	bpf_probe_read_kernel(extents, sizeof(extents), (void *)address + bpf_core_field_offset(struct uid_gid_map, extent));
#pragma unroll
	for (u32 i = 0; i < EXTENTS; i++) {
		if (i < count && id - extents[i].lower_first < extents[i].count)
			return true;
	}
	return false;
}

/* Whether capabilities of a user namespace count for a file: not where it has no number for its owner or its group. */
static __always_inline bool rules_over(struct user_namespace *space, struct inode *inode)
{
	u64 address = number_of(space);

	if (!BPF_CORE_READ(space, level))
		return true;
	return has_number(address + bpf_core_field_offset(struct user_namespace, uid_map), BPF_CORE_READ(inode, i_uid.val)) &&
	       has_number(address + bpf_core_field_offset(struct user_namespace, gid_map), BPF_CORE_READ(inode, i_gid.val));
}

/* May the current task write to the file? By its mode: access control lists and security modules have no say here. */
__noinline int may_write(u64 address)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct file *file = (void *)address;
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	const struct cred *cred = BPF_CORE_READ(task, cred);
	u32 mode = BPF_CORE_READ(inode, i_mode);

	if (BPF_CORE_READ(file, f_path.mnt, mnt_flags) & MNT_READONLY || BPF_CORE_READ(inode, i_sb, s_flags) & SB_RDONLY)
		return 0;
	if (BPF_CORE_READ(inode, i_flags) & S_IMMUTABLE)
		return 0;
	if (read_capabilities(__builtin_preserve_access_index(&cred->cap_effective)) >> CAP_DAC_OVERRIDE & 1 && rules_over(BPF_CORE_READ(cred, user_ns), inode))
		return 1;
	if (BPF_CORE_READ(cred, fsuid.val) == BPF_CORE_READ(inode, i_uid.val))
		return mode >> 7 & 1;
	if (is_member(cred, BPF_CORE_READ(inode, i_gid.val)))
		return mode >> 4 & 1;
	return mode >> 1 & 1;
}

/* What a pidfd stands for, as the host numbers processes: struct pid is in the inode since pidfds have a file system of their own. */
static __always_inline u32 process_of(struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct pid *pid = BPF_CORE_READ(file, private_data);

	if (BPF_CORE_READ(inode, i_sb, s_magic) == PID_FS_MAGIC)
		pid = BPF_CORE_READ(inode, i_private);
	return host_number(pid);
}

/* Which BPF map, program or link is behind a descriptor; the name of its dentry says what it is. */
static __always_inline u32 bpf_id_of(struct file *file)
{
	void *object = BPF_CORE_READ(file, private_data);
	struct bpf_prog *program = object;
	struct bpf_link *link = object;
	struct bpf_map *map = object;
	u64 name = 0;

	bpf_probe_read_kernel(&name, sizeof(name), BPF_CORE_READ(file, f_path.dentry, d_name.name));
	if (name == BEGINS('b', 'p', 'f', '-', 'm', 'a', 'p', 0))
		return (BPF_CORE_READ(map, id) & RIPOSTE_BPF_ID) | RIPOSTE_BPF_MAP;
	if (name == BEGINS('b', 'p', 'f', '-', 'p', 'r', 'o', 'g'))
		return (BPF_CORE_READ(program, aux, id) & RIPOSTE_BPF_ID) | RIPOSTE_BPF_PROGRAM;
	/* The first descriptor of a link is named with the one, every other with the other. */
	if (name == BEGINS('b', 'p', 'f', '_', 'l', 'i', 'n', 'k') || name == BEGINS('b', 'p', 'f', '-', 'l', 'i', 'n', 'k'))
		return (BPF_CORE_READ(link, id) & RIPOSTE_BPF_ID) | RIPOSTE_BPF_LINK;
	return 0;
}

static __always_inline u32 number_behind(struct file *file, u32 kind)
{
	if (kind == RIPOSTE_FILE_PIDFD)
		return process_of(file);
	return kind == RIPOSTE_FILE_BPF ? bpf_id_of(file) : 0;
}

/* ITEM_FILE, ITEM_OLD_FILE; `flags` are added to those that any file has. */
__noinline int put_file(u32 room, u32 type, u64 address, u32 flags)
{
	struct file *file = (void *)address;
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	struct riposte_file *out;
	struct inode *inode;
	u32 at, mode, device;

	if (!work || !event || !address)
		return 0;
	at = item_begin(work);
	if (!at || at > ITEM_ROOM + sizeof(struct riposte_item))
		return 0;
	out = (struct riposte_file *)&event->bytes[at];
	inode = BPF_CORE_READ(file, f_inode);
	mode = BPF_CORE_READ(file, f_mode);
	device = BPF_CORE_READ(inode, i_sb, s_dev);

	flags |= layer_of(inode);
	if (mode & FMODE_CREATED)
		flags |= RIPOSTE_FILE_CREATED;
	if (mode & FMODE_PATH)
		flags |= RIPOSTE_FILE_PATH_ONLY;
	if (!BPF_CORE_READ(inode, i_nlink))
		flags |= RIPOSTE_FILE_UNLINKED;
	out->kind = kind_of(address);
	if (out->kind == RIPOSTE_FILE_MEMFD)
		flags |= RIPOSTE_FILE_FROM_MEMFD;
	out->flags = flags;
	work->file_flags = flags;
	out->mode = BPF_CORE_READ(inode, i_mode);
	out->dev = (device & 0xff) | (device >> 20) << 8 | (device & 0xfff00) << 12;
	out->ino = BPF_CORE_READ(inode, i_ino);
	out->ctime = change_time(inode);
	out->mtime = modification_time(inode);
	out->uid = BPF_CORE_READ(inode, i_uid.val);
	out->open_flags = BPF_CORE_READ(file, f_flags);
	item_end(work, event, at, type, sizeof(*out), number_behind(file, out->kind));
	return at;
}

static __always_inline u64 path_of(u64 file)
{
	return file + bpf_core_field_offset(struct file, f_path);
}

/* Finds the file that work->fd refers to, once per event. */
static __always_inline void find_file(struct work *work)
{
	if (work->file_tried)
		return;
	work->file_tried = 1;
	if (work->fd >= 0)
		work->file = file_of(work->fd);
}

/* And what it is. */
__noinline int resolve_descriptor(u32 room)
{
	struct work *work = work_of(room);
	struct file *file;
	struct socket *socket;

	if (!work || work->fd_known)
		return 0;
	work->fd_known = 1;
	find_file(work);
	if (!work->file)
		return 0;
	file = (struct file *)work->file;
	work->file_kind = kind_of(work->file);
	if (work->file_kind != RIPOSTE_FILE_SOCKET)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	work->socket = (u64)socket;
	work->sock = (u64)BPF_CORE_READ(socket, sk);
	return 0;
}

/*
 * The directory that a relative path begins at. Nothing where the call itself has changed the working directory: what it was before is known only to
 * user space.
 */
static __always_inline void put_base(u32 room, struct work *work, u32 type, s8 argument)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct event *event = event_of(room);
	s32 fd = AT_FDCWD;
	u64 file;
	u32 at;

	if (argument >= 0)
		fd = (s32)work->args[argument & 7];
	if (fd == AT_FDCWD) {
		struct fs_struct *fs = BPF_CORE_READ(task, fs);

		if (work->call.wanted & RIPOSTE_WANTED_STATE && work->result >= 0)
			return;
		put_path(room, type, number_of(__builtin_preserve_access_index(&fs->pwd)), 0);
		return;
	}
	file = file_of(fd);
	if (file && put_path(room, type, path_of(file), 0))
		return;
	at = item_begin(work);
	if (at && event)
		item_end(work, event, at, type, 0, 1);
}

#endif
