/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* program.c - see program.h. It looks at the kernel by system calls of its own, which no hook sees. */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../state/fdtable.h"

#define NUMBERS FDTABLE_SLOTS

struct linux_dirent64 {
	uint64_t ino;
	int64_t off;
	unsigned short len;
	unsigned char type;
	char name[];
};

static bool shim_owns[NUMBERS]; /* open when the program began, and not recorded */
static const struct fdtable *published;
static struct fdtable table;
static int failures;

/* Where table and kernel may differ, and how often they did. */
static struct {
	const char *why;
	unsigned int times;
} allowed[16];

/* By number: the sequence number of a record whose descriptor was closed past the hooks. */
static uint64_t stale_seq[NUMBERS];

/** program_fail() - say what is wrong */
void program_fail(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	failures++;
}

/** program_expects_table() - is this the run with the shim? */
bool program_expects_table(void)
{
	return published != NULL;
}

/* Every open descriptor, by number. */
static void list_open(bool ret[NUMBERS])
{
	char buf[32768];
	int dir = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	long n;

	memset(ret, 0, NUMBERS * sizeof(*ret));
	while ((n = syscall(SYS_getdents64, dir, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n;) {
			const struct linux_dirent64 *entry = (const void *)(buf + at);
			long fd = strtol(entry->name, NULL, 10);

			if (entry->name[0] != '.' && fd != dir && fd < (long)NUMBERS)
				ret[fd] = true;
			at += entry->len;
		}
	}
	syscall(SYS_close, dir);
}

static void find_table(void)
{
	static bool open_now[NUMBERS];

	list_open(open_now);
	for (int fd = 0; fd < (int)NUMBERS && !published; fd++) {
		char path[64], link[64] = "";
		void *map;

		if (!open_now[fd])
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, link, sizeof(link) - 1) < 0 ||
		    strcmp(link, "/memfd:" FDTABLE_MEMFD_NAME " (deleted)") != 0)
			continue;
		map = (void *)syscall(SYS_mmap, NULL, sizeof(table), PROT_READ, MAP_SHARED, fd, 0);
		if (map != MAP_FAILED)
			published = map;
	}
	if (!published)
		program_fail("no table is published");
}

static bool take_table(void)
{
	int err = published ? fdtable_snapshot(&table, published, sizeof(table)) : -ENOENT;

	if (err)
		program_fail("the table cannot be read: %s", strerror(-err));
	return !err;
}

/* Of ctor.c, where that is preloaded. */
__attribute__((weak)) void ctor_join(void);

/**
 * program_start() - make the shim record, as QEMU does when it makes its signalfd, and learn which descriptors are the
 * shim's
 */
void program_start(void)
{
	static bool open_now[NUMBERS];
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	setvbuf(stdout, NULL, _IONBF, 0);
	if (ctor_join)
		ctor_join();
	program_say("signalfd", signalfd(-1, &set, SFD_CLOEXEC));
	if (!getenv("EXPECT_TABLE"))
		return;
	find_table();
	if (!take_table())
		return;
	list_open(open_now);
	for (int fd = 0; fd < (int)NUMBERS; fd++) {
		shim_owns[fd] = open_now[fd] && !fdtable_get(&table, fd);
		if (shim_owns[fd] && fd < 100)
			program_fail("descriptor %d is open from the start and not recorded", fd);
	}
	program_agree("start");
}

/** program_say() - print a result, with errno where it is -1. Return: the result. */
long program_say(const char *what, long result)
{
	int saved = errno;

	if (result == -1)
		printf("%s: %s\n", what, strerrorname_np(saved));
	else
		printf("%s: %ld\n", what, result);
	errno = saved;
	return result;
}

/**
 * program_expect() - what the table must say of a descriptor
 * @fd:	    its number
 * @kind:   text of its kind
 * @origin: name of the call that made it
 * @detail: text that the record holds, or NULL
 */
void program_expect(int fd, const char *kind, const char *origin, const char *detail)
{
	const struct fdrec *rec;

	if (!published || !take_table())
		return;
	rec = fdtable_get(&table, fd);
	if (!rec)
		program_fail("%d (%s by %s) is not recorded", fd, kind, origin);
	else if (strcmp(fdkind_text(rec->kind), kind) != 0 || strcmp(fdorigin_text(rec->origin), origin) != 0)
		program_fail("%d is recorded as %s by %s, not %s by %s", fd, fdkind_text(rec->kind),
			     fdorigin_text(rec->origin), kind, origin);
	else if (detail && (rec->detail_type != FDDETAIL_TEXT || strcmp((const char *)rec->detail, detail) != 0))
		program_fail("%d is recorded with \"%.*s\", not \"%s\"", fd, rec->detail_len, (const char *)rec->detail,
			     detail);
}

/** program_recorded() - is there a record for the descriptor? */
bool program_recorded(int fd)
{
	return published && take_table() && fdtable_get(&table, fd);
}

static void allow(const char *why)
{
	size_t i = 0;

	while (allowed[i].why && strcmp(allowed[i].why, why) != 0)
		i++;
	allowed[i].why = why;
	allowed[i].times++;
}

/* The thread sanitizer talks to what finds names for it through pipes that it opens past every hook. */
static bool is_sanitizers(int fd)
{
	struct stat st;

	return getenv("TSAN_OPTIONS") && !syscall(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH) && S_ISFIFO(st.st_mode);
}

/* Return: the record's object is the one that is open. */
static bool is_object(int fd, const struct fdrec *rec)
{
	struct stat st;

	if (syscall(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH)) {
		program_fail("%d cannot be asked for: %s", fd, strerrorname_np(errno));
		return false;
	}
	return !(rec->dev || rec->ino) || (rec->dev == st.st_dev && rec->ino == st.st_ino);
}

static void check_unrecorded(const char *where, int fd, const char *unseen)
{
	if (unseen)
		allow(unseen);
	else if (!shim_owns[fd] && !is_sanitizers(fd))
		program_fail("%s: %d is open and not recorded", where, fd);
}

static void check_recorded(const char *where, int fd, const struct fdrec *rec, bool open_now, const char *unseen,
			   bool closed)
{
	if (open_now && !shim_owns[fd] && !unseen && is_object(fd, rec))
		return;
	if (closed)
		stale_seq[fd] = rec->seq;
	if (stale_seq[fd] == rec->seq)
		allow("stale: it was closed past the hooks, which nothing tells the table");
	else
		program_fail("%s: %d is recorded (%s by %s) and %s", where, fd, fdkind_text(rec->kind),
			     fdorigin_text(rec->origin), open_now ? "another object" : "not open");
}

/**
 * program_agree_but() - every descriptor that is open and not the shim's is recorded, as what it is, and nothing else
 * @where:  for messages
 * @unseen: by number: why it is open and not recorded, which it must not be; constant texts, NULL for none
 * @closed: by number: since the last time it was closed past every hook, so that its record may be stale; NULL for none
 */
void program_agree_but(const char *where, const char *const *unseen, const bool *closed)
{
	static bool open_now[NUMBERS];

	if (!published || !take_table())
		return;
	list_open(open_now);
	for (int fd = 0; fd < (int)NUMBERS; fd++) {
		const struct fdrec *rec = fdtable_get(&table, fd);
		const char *why = unseen ? unseen[fd] : NULL;

		if (!open_now[fd] && (shim_owns[fd] || why))
			program_fail("%s: the %s descriptor %d was closed", where, why ? "unseen" : "shim's", fd);
		if (rec)
			check_recorded(where, fd, rec, open_now[fd], why, closed && closed[fd]);
		else if (open_now[fd])
			check_unrecorded(where, fd, why);
	}
	if (table.incomplete)
		program_fail("%s: the table is incomplete: %s", where, table.reason);
}

/** program_agree() - the same, where nothing went past the hooks */
void program_agree(const char *where)
{
	program_agree_but(where, NULL, NULL);
}

/** program_shim_fd() - number of one of the shim's own descriptors, or one that nobody has */
unsigned int program_shim_fd(void)
{
	for (unsigned int fd = 3; fd < NUMBERS; fd++)
		if (shim_owns[fd])
			return fd;
	return 9999;
}

/** program_end() - look once more, say where table and kernel were allowed to differ. Return: exit status */
int program_end(void)
{
	program_agree("end");
	for (size_t i = 0; allowed[i].why; i++)
		fprintf(stderr, "allowed %u times: %s\n", allowed[i].times, allowed[i].why);
	return failures ? 1 : 0;
}
