/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The path of a dentry, as the task at hand sees it: up to the root of its fs_struct, over the roots of mounts, written from its end to its beginning.
 * bpf_d_path() would do the same, but the kernel allows it for a handful of hooks only.
 *
 * Whoever takes a part of the tree off (open_tree, an unmounted folder) may not hide by that what it is: its path is told as far as its file system knows it,
 * which is the whole one where that is the file system of the root.
 *
 * The walk takes no lock. A rename at the same moment can make a path that mixes the old and the new; the kernel's own d_path() tries again then.
 */
#ifndef RIPOSTE_PATHS_H
#define RIPOSTE_PATHS_H

#define SB_NOUSER (1UL << 31)	/* cannot be mounted by users: sockfs, pipefs, the mount that memfds live in, … */

/* The first eight bytes of a text, as a little-endian number. */
#define BEGINS(a, b, c, d, e, f, g, h) \
	((u64)(a) | (u64)(b) << 8 | (u64)(c) << 16 | (u64)(d) << 24 | (u64)(e) << 32 | (u64)(f) << 40 | (u64)(g) << 48 | (u64)(h) << 56)

static __always_inline struct mount *mount_of(struct vfsmount *mount)
{
	return (void *)mount - bpf_core_field_offset(struct mount, mnt);
}

/* What a dentry contributes to a path: parent and name lie side by side since long before BTF, but for RANDSTRUCT, and are read at once. */
struct name_part {
	u64 parent;
	u32 hash;
	u32 length;
	u64 name;
};

static __always_inline void read_part(struct name_part *part, u64 address)
{
#ifndef RIPOSTE_TYPED
	if (bpf_core_field_offset(struct dentry, d_name) == bpf_core_field_offset(struct dentry, d_parent) + 8 &&
	    bpf_core_field_offset(struct qstr, len) == 4 && bpf_core_field_offset(struct qstr, name) == 8) {
		if (bpf_probe_read_kernel(part, sizeof(*part), (void *)address + bpf_core_field_offset(struct dentry, d_parent)))
			part->parent = 0;
		return;
	}
#endif
	part->parent = (u64)MEMBER(struct dentry, address, d_parent);
	part->length = MEMBER(struct dentry, address, d_name.len);
	part->name = (u64)MEMBER(struct dentry, address, d_name.name);
}

/* Likewise mount and dentry of a path. */
static __always_inline void read_path(struct path *path, u64 address)
{
#ifndef RIPOSTE_TYPED
	if (bpf_core_field_offset(struct path, mnt) == 0 && bpf_core_field_offset(struct path, dentry) == sizeof(void *)) {
		if (bpf_probe_read_kernel(path, sizeof(*path), (void *)address))
			path->dentry = NULL;
		return;
	}
#endif
	path->mnt = MEMBER(struct path, address, mnt);
	path->dentry = MEMBER(struct path, address, dentry);
}

#define SHORT_NAME 40	/* most names are: the kernel keeps those within the dentry */

/* Copies a name to its place in work->path. What lies behind it there stays. */
static __always_inline void copy_name(struct work *work, u32 to, u64 name, u32 length)
{
#ifdef RIPOSTE_TYPED
	if (length <= SHORT_NAME) {
		for (u32 i = 0; i < SHORT_NAME; i += 8) {
			u64 word, mask = ~0ULL, *place;
			u32 at = to + i;

			if (i >= length)
				return;
			word = WORD_AT(name + i);
			BOUND(at, RIPOSTE_PATH_BYTES - 1);
			place = (u64 *)&work->path[at];
			LAUNDER(place);
			if (length - i < 8)
				mask >>= 64 - 8 * (length - i);
			*place = (word & mask) | (*place & ~mask);
		}
		return;
	}
#endif
	BOUND(to, RIPOSTE_PATH_BYTES - 1);
	BOUND(length, PATH_SLACK - 1);
	bpf_probe_read_kernel(&work->path[to], length, (void *)name);
}

/* Where a mount hangs. */
struct mount_part {
	u64 parent;
	u64 mountpoint;
	u64 parent_root;
};

static __always_inline void read_mount(struct mount_part *part, u64 address)
{
	u64 parent = (u64)MEMBER(struct mount, address, mnt_parent);

	part->parent = parent;
	part->mountpoint = (u64)MEMBER(struct mount, address, mnt_mountpoint);
	part->parent_root = (u64)MEMBER(struct mount, parent, mnt.mnt_root);
}

#define ANONYMOUS_MOUNTS 0xeffffff7u	/* the number of a namespace that has none (6.18); before, 0 */

/* Whether a mount that hangs nowhere is of no namespace that a process could be in: made by open_tree or fsmount, or unmounted while in use. */
static __always_inline bool is_detached(u64 address)
{
	u32 number = BPF_CORE_READ((struct mount *)address, mnt_ns, ns.inum);

	return !number || number == ANONYMOUS_MOUNTS;
}

/* Takes up to WALK_STEPS steps. 1: the top has been reached. */
__noinline int path_step(u32 room)
{
	struct work *work = work_of(room);
	u64 dentry, mount, mount_root;
	u32 at;
	int done = 0;

	if (!work)
		return 1;
	dentry = work->walk.dentry;
	mount = work->walk.mount;
	mount_root = work->walk.mount_root;
	at = work->walk.at;

	for (int i = 0; i < WALK_STEPS; i++) {
		struct name_part part;
		u32 length, to;

		if (dentry == work->walk.root_dentry && mount == work->walk.root_mount) {
			done = 1;
			break;
		}
		if (dentry == mount_root) {
			struct mount_part below;

			read_mount(&below, mount);
			if (below.parent == mount || !below.parent) {
				if (!is_detached(mount)) {
					done = 1;	/* the root of the namespace */
					break;
				}
				/* On within the file system, as if it were the one that the task's root is in. */
				mount = work->walk.root_mount;
				mount_root = 0;
				continue;
			}
			dentry = below.mountpoint;
			mount = below.parent;
			mount_root = below.parent_root;
			continue;
		}
		read_part(&part, dentry);
		if (part.parent == dentry || !part.parent) {
			done = 1;	/* the root of a file system, but not of its mount */
			break;
		}
		length = part.length;
		if (length >= PATH_SLACK || length + 1 > at) {
			work->walk.cut = 1;
			done = 1;
			break;
		}
		at -= length + 1;
		to = at;
		BOUND(to, RIPOSTE_PATH_BYTES - 1);
		work->path[to] = '/';
		copy_name(work, to + 1, part.name, length);
		dentry = part.parent;
	}
	work->walk.dentry = dentry;
	work->walk.mount = mount;
	work->walk.mount_root = mount_root;
	work->walk.at = at;
	return done;
}

/* Writes the path of a dentry below a mount into work->path. */
static __always_inline void walk_path(u32 room, struct work *work, u64 dentry, struct vfsmount *mount)
{
	struct task_struct *task;
	struct vfsmount *root;

	work->walk.dentry = dentry;
	work->walk.mount = (u64)mount_of(mount);
	work->walk.mount_root = (u64)MEMBER(struct vfsmount, mount, mnt_root);
	if (TASK_IS_TYPED) {
		task = bpf_get_current_task_btf();
		work->walk.root_dentry = (u64)task->fs->root.dentry;
		root = task->fs->root.mnt;
	} else {
		task = (void *)bpf_get_current_task();
		work->walk.root_dentry = (u64)BPF_CORE_READ(task, fs, root.dentry);
		root = BPF_CORE_READ(task, fs, root.mnt);
	}
	work->walk.root_mount = (u64)root - bpf_core_field_offset(struct mount, mnt);
	work->walk.at = RIPOSTE_PATH_BYTES;
	work->walk.cut = 0;
	work->walked_file = 0;
	for (int i = 0; i < WALK_CALLS; i++) {
		if (path_step(room))
			return;
	}
	work->walk.cut = 1;
}

/*
 * Puts the path of the `struct path` at `address`. Nothing for what has no path: a dentry that is its own parent, of a file system that nobody can mount.
 * Of these memfds have a name, and it is put as it is.
 */
__noinline int put_path(u32 room, u32 type, u64 address, u32 detail)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	struct name_part part;
	struct dentry *dentry;
	struct path path;

	if (!work || !event || !address)
		return 0;
	read_path(&path, address);
	dentry = path.dentry;
	read_part(&part, (u64)dentry);
	if (!part.parent)
		return 0;
	if (part.parent == (u64)dentry && BPF_CORE_READ(dentry, d_sb, s_flags) & SB_NOUSER) {
		u64 head = 0;

		bpf_probe_read_kernel(&head, 6, (void *)part.name);
		if (head != BEGINS('m', 'e', 'm', 'f', 'd', ':', 0, 0))
			return 0;
		return put_kernel_text(room, type, number_of((void *)part.name));
	}
	walk_path(room, work, (u64)dentry, path.mnt);
	return put_walked(work, event, type, detail);
}

/* The working directory. */
static __always_inline int put_directory(u32 room)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);

	return put_path(room, RIPOSTE_ITEM_CWD, number_of(__builtin_preserve_access_index(&fs->pwd)), 0);
}

#endif
