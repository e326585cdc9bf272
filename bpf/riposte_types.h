/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The kernel's types, as far as the programs look into them: names and types of members are the kernel's, places are not. libbpf puts in the places of
 * the running kernel when it loads the programs (CO-RE), so this is no copy of one kernel's vmlinux.h, and its members are few on purpose.
 *
 * What was renamed over the versions is here once more, as a flavor: `struct inode___timespec` is matched with the kernel's `struct inode`. Whoever reads
 * such a member asks bpf_core_field_exists() first.
 */
#ifndef RIPOSTE_TYPES_H
#define RIPOSTE_TYPES_H

#define __VMLINUX_H__	/* for bpf_tracing.h and riposte_sensor.h: the kernel's types are here */

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u16 __sum16;
typedef __u32 __wsum;
typedef __u8 u8;
typedef __s8 s8;
typedef __u16 u16;
typedef __s16 s16;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;
typedef _Bool bool;

enum { false = 0, true = 1 };
#define NULL ((void *)0)

/* Of the kernel's interfaces to user space, which do not change. */
enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_LPM_TRIE = 11,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
	BPF_ANY = 0,
	BPF_F_NO_PREALLOC = 1,
	BPF_F_MMAPABLE = 1024,
};

enum {
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
};

enum {
	BPF_RB_AVAIL_DATA = 0,
	BPF_RB_RING_SIZE = 1,
};

/* To ask which helpers there are, see bpf_core_enum_value_exists(). */
enum bpf_func_id___riposte {
	BPF_FUNC_get_current_task_btf___riposte = 158,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	s64 counter;
} atomic64_t;

typedef struct {
	u32 val;
} kuid_t;

typedef struct {
	u32 val;
} kgid_t;

/* ---------------------------------------------------------------- registers */

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long bx;
	unsigned long cx;
	unsigned long dx;
	unsigned long si;
	unsigned long di;
	unsigned long bp;
	unsigned long r8;
	unsigned long r9;
	unsigned long r10;
	unsigned long ax;
	unsigned long orig_ax;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 pstate;
};

struct pt_regs {
	u64 regs[31];
	u64 orig_x0;
	s32 syscallno;
};
#else
#error "build with -D__TARGET_ARCH_x86 or -D__TARGET_ARCH_arm64"
#endif

struct thread_info {
	unsigned long flags;
	u32 status;	/* x86 */
};

/* ---------------------------------------------------------------- records of tracepoints */

struct trace_event_raw_sys_exit {
	long ret;
};

struct trace_event_raw_sched_process_exec {
	u32 __data_loc_filename;	/* how far from the record's beginning, and its length in the upper half */
};

struct trace_event_raw_sched_process_fork {
	s32 child_pid;
};

/* ---------------------------------------------------------------- files and paths */

struct qstr {
	u32 len;
	const unsigned char *name;
};

struct super_block {
	u32 s_dev;
	unsigned long s_flags;
	unsigned long s_magic;
};

struct timespec64 {
	s64 tv_sec;
	long tv_nsec;
};

struct inode {
	u16 i_mode;
	kuid_t i_uid;
	kgid_t i_gid;
	unsigned int i_flags;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	void *i_private;
	s64 i_mtime_sec;	/* 6.11 */
	s64 i_ctime_sec;
	u32 i_mtime_nsec;
	u32 i_ctime_nsec;
};

struct inode___timespec {
	struct timespec64 i_mtime;
	struct timespec64 i_ctime;
};

struct inode___private {
	struct timespec64 __i_mtime;	/* 6.7 to 6.10 */
	struct timespec64 __i_ctime;	/* 6.6 to 6.10 */
};

struct bpf_map {
	u32 id;
};

struct bpf_prog_aux {
	u32 id;
};

struct bpf_prog {
	struct bpf_prog_aux *aux;
};

struct bpf_link {
	u32 id;		/* 5.8 */
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
};

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
	int mnt_flags;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	struct mnt_namespace *mnt_ns;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	unsigned int f_mode;
	void *private_data;
	struct inode *f_inode;
	unsigned int f_flags;
	struct path f_path;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	struct path root;
	struct path pwd;
};

struct ovl_inode {
	struct inode vfs_inode;
	struct dentry *__upperdentry;
};

/* ---------------------------------------------------------------- tasks */

struct ns_common {
	unsigned int inum;
};

struct pid_namespace {
	struct task_struct *child_reaper;
	unsigned int level;
	struct ns_common ns;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct net {
	struct ns_common ns;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[0];
};

struct group_info {
	int ngroups;
	kgid_t gid[0];
};

/* Eight bytes on all versions: two u32 until 6.2, one u64 since. */
typedef struct {
	u64 val;
} kernel_cap_t;

struct uid_gid_extent {
	u32 first;
	u32 lower_first;	/* as the kernel counts */
	u32 count;
};

struct uid_gid_map {
	u32 nr_extents;
	struct uid_gid_extent extent[5];	/* more lie elsewhere */
};

struct user_namespace {
	struct uid_gid_map uid_map;
	struct uid_gid_map gid_map;
	int level;
};

struct cred {
	kuid_t uid;
	kgid_t gid;
	kuid_t euid;
	kgid_t egid;
	kuid_t fsuid;
	kgid_t fsgid;
	kernel_cap_t cap_inheritable;
	kernel_cap_t cap_permitted;
	kernel_cap_t cap_effective;
	struct user_namespace *user_ns;
	struct group_info *group_info;
};

struct tty_driver {
	int major;
	int minor_start;
};

struct tty_struct {
	struct tty_driver *driver;
	int index;
};

struct rlimit {
	unsigned long rlim_cur;
	unsigned long rlim_max;
};

struct signal_struct {
	atomic_t live;
	int nr_threads;
	struct pid *pids[4];
	struct tty_struct *tty;
	unsigned long min_flt;
	unsigned long maj_flt;
	struct rlimit rlim[16];
};

struct percpu_counter {
	s64 count;
};

struct mm_struct {
	unsigned long total_vm;
	unsigned long arg_start;
	unsigned long arg_end;
	unsigned long env_start;
	unsigned long env_end;
	struct percpu_counter rss_stat[4];	/* 6.2 */
	struct file *exe_file;
};

struct mm_rss_stat {
	atomic64_t count[4];
};

struct mm_struct___atomic {
	struct mm_rss_stat rss_stat;
};

struct task_struct {
	struct thread_info thread_info;
	unsigned int flags;
	struct mm_struct *mm;
	int exit_code;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	u64 start_boottime;
	unsigned long min_flt;
	unsigned long maj_flt;
	const struct cred *real_cred;
	const struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	kuid_t loginuid;	/* with CONFIG_AUDIT */
	struct css_set *cgroups;
};

struct linux_binprm {
	struct file *file;
	const char *filename;
	const char *fdpath;	/* 5.9 */
};

/* ---------------------------------------------------------------- cgroups */

struct kernfs_node {
	struct kernfs_node *__parent;	/* 6.15 */
	const char *name;
	u64 id;
};

struct kernfs_node___parent {
	struct kernfs_node *parent;
};

struct cgroup_root {
	int hierarchy_id;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

struct css_set {
	struct cgroup_subsys_state *subsys[16];
	struct cgroup *dfl_cgrp;
};

/* ---------------------------------------------------------------- sockets */

struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__be32 u6_addr32[4];
	} in6_u;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct sock {
	struct sock_common __sk_common;
	u16 sk_protocol;
	u32 sk_ack_backlog;
	u32 sk_max_ack_backlog;
};

struct socket {
	short type;
	struct file *file;
	struct sock *sk;
};

struct ipv6_pinfo {
	struct in6_addr saddr;
};

struct inet_sock {
	struct sock sk;
	struct ipv6_pinfo *pinet6;
	__be32 inet_saddr;
	__be16 inet_sport;
};

struct sockaddr_un {
	unsigned short sun_family;
	char sun_path[108];
};

struct unix_address {
	int len;
	struct sockaddr_un name[0];
};

struct unix_sock {
	struct sock sk;
	struct unix_address *addr;
	struct sock *peer;
};

/* ---------------------------------------------------------------- io_uring */

struct filename {
	const char *name;
};

/* Since 7.0 or so a request keeps its names so. The kernel's own parts of it come when it is carried out; the text is there from the start. */
struct delayed_filename {
	struct filename *__incomplete_filename;
};

struct open_how {
	u64 flags;
	u64 mode;
	u64 resolve;
};

struct io_cqe {
	s32 res;
	int fd;		/* until there is a result */
};

struct io_ring_ctx {
	unsigned int compat: 1;
};

struct io_kiocb {
	struct file *file;	/* here lies what each operation has of its own as well: struct io_cmd_data, 6.0 */
	u8 opcode;
	u32 flags;		/* 64 bits since 6.9, of which these are the first */
	struct io_cqe cqe;
	struct io_ring_ctx *ctx;
	void *async_data;
};

struct io_cmd_data {
	struct file *file;
};

struct io_open {
	int dfd;
	u32 file_slot;
	struct filename *filename;
	struct open_how how;
};

struct io_unlink {
	int dfd;
	int flags;
	struct filename *filename;
};

struct io_rename {
	int old_dfd;
	int new_dfd;
	struct filename *oldpath;
	struct filename *newpath;
	int flags;
};

struct io_mkdir {
	int dfd;
	u16 mode;
	struct filename *filename;
};

struct io_link {
	int old_dfd;
	int new_dfd;
	struct filename *oldpath;
	struct filename *newpath;
	int flags;
};

struct io_open___delayed {
	struct delayed_filename filename;
};

struct io_unlink___delayed {
	struct delayed_filename filename;
};

struct io_rename___delayed {
	struct delayed_filename oldpath;
	struct delayed_filename newpath;
};

struct io_mkdir___delayed {
	struct delayed_filename filename;
};

struct io_link___delayed {
	struct delayed_filename oldpath;
	struct delayed_filename newpath;
};

struct io_socket {
	int domain;
	int type;
	int protocol;
	u32 file_slot;
};

struct io_connect {
	void *addr;
	int addr_len;
	bool in_progress;	/* 6.1, and 6.0 of that time */
};

struct io_bind {		/* 6.11; its address lies elsewhere */
	int addr_len;
};

struct io_listen {		/* 6.11 */
	int backlog;
};

struct io_accept {
	void *addr;
	int *addr_len;
	int flags;
	u32 file_slot;
};

struct io_sr_msg {
	void *buf;		/* behind what has been sent of it */
	int len;		/* the same: what is left */
	u32 done_io;
	u32 msg_flags;
	u16 flags;
};

struct io_sr_msg___address {
	void *addr;		/* until 6.13 or so */
	u16 addr_len;
};

struct msghdr {
	void *msg_name;
	int msg_namelen;
};

struct sockaddr_storage {
	u16 ss_family;
};

struct io_async_msghdr {
	struct msghdr msg;
	struct sockaddr_storage addr;	/* the kernel's copy of an address, made before anything is done: 6.10 */
};

#pragma clang attribute pop

#endif
