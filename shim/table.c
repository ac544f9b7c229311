/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * table.c - the live descriptor table.
 *
 * The table proper is private memory; every change is copied into a shared memfd that cprctl reads. Both are taken away
 * from forked children (table_arm()), once -daemonize has done its forks, which have to inherit them.
 */
#include "table.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

#include "guard.h"
#include "slots.h"

static struct fdtable *table;  /* private */
static struct fdtable *shared; /* published copy */
static int shared_fd = -1;
static int lock;
static __thread bool locked_here __attribute__((tls_model("initial-exec")));

static bool table_lock(void)
{
	if (!table)
		return false;
	if (locked_here) {
		/* A signal handler interrupted a change; what it does is found in /proc/self/fd later. */
		return false;
	}
	locked_here = true;
	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		sched_yield();
	return true;
}

static void table_unlock(void)
{
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
	locked_here = false;
}

/**
 * table_setup() - make the table
 * @generation: updates that the VM has been through
 *
 * Called once, before main().
 *
 * Return: 0 or a negative errno; without a table no update is possible.
 */
int table_setup(unsigned int generation)
{
	size_t size = sizeof(struct fdtable);
	void *map = real(mmap)(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		return -errno;
	int fd = slots_memfd(FDTABLE_MEMFD_NAME);
	if (fd < 0) {
		real(munmap)(map, size);
		return fd;
	}
	void *copy = MAP_FAILED;
	if (!slots_size_memfd(fd, (off_t)size))
		copy = real(mmap)(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (copy == MAP_FAILED) {
		int err = -errno;

		real(munmap)(map, size);
		slots_close(fd);
		return err;
	}
	/* A reader that maps the copy may rely on its size. */
	real(fcntl)(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE);
	table = map;
	shared = copy;
	shared_fd = fd;
	fdtable_init(table, getpid(), generation);
	fdtable_publish(shared, table, -1);
	return 0;
}

/** table_shared_fd() - the memfd of the published copy, or -1 */
int table_shared_fd(void)
{
	return shared_fd;
}

/**
 * table_arm() - take the table away from children forked from now on
 *
 * Called when QEMU has done the forks of -daemonize. Also brings the process id up to date that the copy carries.
 */
void table_arm(void)
{
	if (!table_lock())
		return;
	table->pid = getpid();
	fdtable_publish(shared, table, -1);
	table_unlock();
	real(madvise)(table, sizeof(*table), MADV_WIPEONFORK);
	real(madvise)(shared, sizeof(*shared), MADV_DONTFORK);
}

/* The kernel's identity of an object; 0 and 0 for what shares one inode (anonymous inodes). */
static void identify(int fd, struct fdrec *rec)
{
	struct stat st;

	if (fstat(fd, &st))
		return;
	rec->dev = st.st_dev;
	rec->ino = st.st_ino;
}

static void put(int fd, struct fdrec *rec)
{
	int saved = errno;

	identify(fd, rec);
	if (table_lock()) {
		fdtable_set(table, fd, rec);
		fdtable_publish(shared, table, fd);
		table_unlock();
	}
	errno = saved;
}

static void set_text(struct fdrec *rec, const char *text)
{
	size_t len = strnlen(text, FDTABLE_DETAIL - 1);

	memcpy(rec->detail, text, len);
	rec->detail_len = (uint8_t)len;
	rec->detail_type = FDDETAIL_TEXT;
}

/**
 * table_note() - record a new descriptor
 * @fd:	    its number
 * @kind:   what it is
 * @origin: the hook that made it
 */
void table_note(int fd, enum fdkind kind, enum hook_id origin)
{
	struct fdrec rec = { .kind = (uint16_t)kind, .origin = (uint16_t)origin, .parent = -1 };

	put(fd, &rec);
}

/**
 * table_note_file() - record a descriptor that a path was opened for
 * @fd:		its number
 * @origin:	the hook
 * @path:	as the caller gave it
 * @open_flags: as open(2)'s
 */
void table_note_file(int fd, enum hook_id origin, const char *path, unsigned int open_flags)
{
	struct fdrec rec = { .origin = (uint16_t)origin, .parent = -1, .open_flags = open_flags };

	rec.kind = !strcmp(path, "/dev/net/tun") ? FDKIND_TUN_UNATTACHED : FDKIND_FILE;
	if (open_flags & O_CLOEXEC)
		rec.flags |= FDREC_CLOEXEC;
	set_text(&rec, path);
	put(fd, &rec);
}

/**
 * table_note_socket() - record a socket
 * @fd:	    its number
 * @kind:   FDKIND_SOCKET or FDKIND_SOCKETPAIR
 * @origin: the hook
 * @domain: as socket(2)'s
 * @type:   as socket(2)'s
 */
void table_note_socket(int fd, enum fdkind kind, enum hook_id origin, int domain, int type)
{
	struct fdrec rec = { .kind = (uint16_t)kind, .origin = (uint16_t)origin, .parent = -1 };

	rec.open_flags = (uint32_t)domain << 16 | ((uint32_t)type & 0xffff & ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK));
	if (type & SOCK_CLOEXEC)
		rec.flags |= FDREC_CLOEXEC;
	put(fd, &rec);
}

/**
 * table_note_address() - record what a socket was bound or connected to
 * @fd:	  its number
 * @kind: its kind from now on
 * @addr: the address as the caller asked for it
 * @len:  its length
 */
void table_note_address(int fd, enum fdkind kind, const struct sockaddr *addr, socklen_t len)
{
	struct fdrec rec;

	if (!table_lookup(fd, &rec))
		rec = (struct fdrec){ .parent = -1 };
	rec.kind = (uint16_t)kind;
	rec.detail_type = FDDETAIL_ADDR;
	rec.detail_len = (uint8_t)(len > FDTABLE_DETAIL ? FDTABLE_DETAIL : len);
	memset(rec.detail, 0, sizeof(rec.detail));
	memcpy(rec.detail, addr, rec.detail_len);
	put(fd, &rec);
}

/**
 * table_note_client() - record a connection that accept() gave
 * @fd:	      its number
 * @listener: number of the listening socket
 * @origin:   the hook
 */
void table_note_client(int fd, int listener, enum hook_id origin)
{
	struct fdrec rec = { .kind = FDKIND_CLIENT, .origin = (uint16_t)origin, .parent = listener };
	struct fdrec from;

	if (table_lookup(listener, &from)) {
		rec.open_flags = from.open_flags;
		rec.detail_type = from.detail_type;
		rec.detail_len = from.detail_len;
		memcpy(rec.detail, from.detail, sizeof(rec.detail));
	}
	put(fd, &rec);
}

/**
 * table_note_duplicate() - record a second number for the same open file
 * @from:   the first number
 * @to:	    the new number
 * @origin: the hook
 */
void table_note_duplicate(int from, int to, enum hook_id origin)
{
	struct fdrec rec;

	if (!table_lookup(from, &rec))
		rec = (struct fdrec){ .kind = FDKIND_FILE };
	rec.origin = (uint16_t)origin;
	rec.parent = from;
	rec.seq = 0;
	/* The second number is QEMU's own doing. */
	rec.flags &= (uint16_t) ~(FDREC_INHERITED | FDREC_SCM);
	put(to, &rec);
}

/**
 * table_note_text() - record a descriptor with a name
 * @fd:	    its number
 * @kind:   its kind
 * @origin: the hook; 0 keeps what stands there
 * @text:   interface, terminal or memfd name
 */
void table_note_text(int fd, enum fdkind kind, enum hook_id origin, const char *text)
{
	struct fdrec rec;

	if (origin || !table_lookup(fd, &rec))
		rec = (struct fdrec){ .origin = (uint16_t)origin, .parent = -1 };
	rec.kind = (uint16_t)kind;
	memset(rec.detail, 0, sizeof(rec.detail));
	set_text(&rec, text);
	put(fd, &rec);
}

/* Of what somebody else has opened: a socket's traffic may have to be followed (shim/session.h). */
static uint16_t plain_kind(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISSOCK(st.st_mode) ? FDKIND_CONNECTION : FDKIND_FILE;
}

/**
 * table_note_received() - record a descriptor that came in through SCM_RIGHTS
 * @fd:	  its number
 * @from: the connection that it came by
 */
void table_note_received(int fd, int from)
{
	struct fdrec rec = { .kind = plain_kind(fd), .flags = FDREC_SCM, .origin = HOOK_recvmsg, .parent = from };

	put(fd, &rec);
}

static void note_open(int fd, unsigned int flags)
{
	struct fdrec rec = { .kind = plain_kind(fd), .flags = flags, .parent = -1 };

	if (fd <= STDERR_FILENO)
		rec.kind = FDKIND_STDIO;
	put(fd, &rec);
}

/** table_note_inherited() - record a descriptor that was open when the program started */
void table_note_inherited(int fd)
{
	note_open(fd, FDREC_INHERITED);
}

/**
 * table_note_before() - record a descriptor that is open before main()
 *
 * What closes on exec did not come through one: a library's constructor has made it, and will in the next program too.
 */
void table_note_before(int fd)
{
	int flags = real(fcntl)(fd, F_GETFD);

	note_open(fd, flags >= 0 && flags & FD_CLOEXEC ? 0 : FDREC_INHERITED);
}

/** table_note_parent() - a record, if there is one, belongs to another descriptor's */
void table_note_parent(int fd, int parent)
{
	struct fdrec rec;

	if (!table_lookup(fd, &rec))
		return;
	rec.parent = parent;
	put(fd, &rec);
}

/** table_refresh() - another open file was put under a number: the record, if there is one, is that one's now */
void table_refresh(int fd)
{
	struct fdrec rec;

	if (table_lookup(fd, &rec))
		put(fd, &rec);
}

/** table_set_flag() - add an FDREC_* flag to a record, if there is one */
void table_set_flag(int fd, unsigned int flag)
{
	struct fdrec rec;

	if (!table_lookup(fd, &rec))
		return;
	rec.flags |= (uint16_t)flag;
	if (flag == FDREC_LISTENING)
		rec.kind = FDKIND_LISTENER;
	put(fd, &rec);
}

/**
 * table_forget() - remove a record
 * @fd: any number
 *
 * Called before the close: once the kernel has freed the number, another thread may have been given it.
 */
void table_forget(int fd)
{
	if (!table_lock())
		return;
	if (fdtable_clear(table, fd))
		fdtable_publish(shared, table, fd);
	table_unlock();
}

/** table_incomplete() - note that something escaped the table: later updates are refused with this sentence */
void table_incomplete(const char *reason)
{
	if (!table_lock())
		return;
	fdtable_mark_incomplete(table, reason);
	fdtable_publish(shared, table, -1);
	table_unlock();
}

/** table_why_incomplete() - the sentence, or NULL where the table is complete */
const char *table_why_incomplete(void)
{
	if (!table)
		return "the descriptor table could not be made when the VM was started";
	return table->incomplete ? table->reason : NULL;
}

/**
 * table_lookup() - copy a record out
 * @fd:	 any number
 * @ret: where it goes
 *
 * Return: false where there is none.
 */
bool table_lookup(int fd, struct fdrec *ret)
{
	const struct fdrec *rec;

	if (!table_lock())
		return false;
	rec = fdtable_get(table, fd);
	if (rec)
		*ret = *rec;
	table_unlock();
	return rec != NULL;
}

/** table_next_seq() - what is recorded from now on has this sequence number or a higher one */
uint64_t table_next_seq(void)
{
	uint64_t seq = 0;

	if (table_lock()) {
		seq = table->next_seq;
		table_unlock();
	}
	return seq;
}

/**
 * table_kind() - kind of a descriptor, without the lock
 * @fd: any number
 *
 * For hooks that must be cheap when nothing is recorded: a stale answer costs a look-up, no more.
 */
enum fdkind table_kind(int fd)
{
	if (!table || fd < 0 || (unsigned int)fd >= FDTABLE_SLOTS)
		return FDKIND_NONE;
	return (enum fdkind)__atomic_load_n(&table->rec[fd].kind, __ATOMIC_RELAXED);
}
