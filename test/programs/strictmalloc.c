/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * strictmalloc.c - an allocator that maps, advises, opens and closes through the hooks each time it is called, and aborts
 * where a hook that it calls asks it for memory: a hook must not, or an allocator that holds a lock then hangs.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	   ((size_t)4096)
#define CHUNK	   ((size_t)1 << 20)
#define LARGE	   (CHUNK / 8)
#define USE_OFTEN  (1u << 10) /* how many calls use the hooks each time, and from then on only every USE_SELDOM-th */
#define USE_SELDOM 64u

/* Stands right before each block. */
struct header {
	size_t size;
	void *mapping; /* where a large block's begins, NULL for one out of a chunk */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *chunk, *chunk_end;
static unsigned int calls;
static __thread int depth __attribute__((tls_model("initial-exec")));

static void die(const char *why, size_t len)
{
	if (write(STDERR_FILENO, why, len) < 0)
		errno = 0;
	__builtin_trap();
}

#define DIE(why) die(why "\n", sizeof(why))

static void enter(void)
{
	if (depth++)
		DIE("strictmalloc: a hook allocates");
}

static void leave(void)
{
	depth--;
}

static void *map(size_t len)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

/* What allocators do when they begin, when they grow, and when they give back. */
static void use_hooks(void)
{
	int saved = errno;
	void *at = map(PAGE);
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (!at || madvise(at, PAGE, MADV_DONTNEED) || munmap(at, PAGE))
		DIE("strictmalloc: memory cannot be mapped");
	if (fd >= 0 && close(fd))
		DIE("strictmalloc: a descriptor cannot be closed");
	errno = saved;
}

static void *from_chunk(size_t need)
{
	pthread_mutex_lock(&lock);
	unsigned int n = calls++;
	if (n < USE_OFTEN || !(n % USE_SELDOM))
		use_hooks();
	if (!chunk || (size_t)(chunk_end - chunk) < need) {
		chunk = map(CHUNK);
		chunk_end = chunk ? chunk + CHUNK : NULL;
	}
	char *at = chunk;
	if (at)
		chunk += need;
	pthread_mutex_unlock(&lock);
	return at;
}

static void *allocate(size_t align, size_t size)
{
	struct header head = { .size = size };

	align = align < sizeof(head) ? sizeof(head) : align;
	if (size > SIZE_MAX / 2 || align > SIZE_MAX / 4)
		return NULL;
	size_t need = (size + align + 2 * sizeof(head) + 15) & ~(size_t)15;
	enter();
	char *raw = need > LARGE ? map(need + sizeof(head)) : from_chunk(need);
	leave();
	if (!raw) {
		errno = ENOMEM;
		return NULL;
	}
	if (need > LARGE) {
		*(size_t *)raw = need + sizeof(head);
		head.mapping = raw;
	}
	char *at = (char *)(((uintptr_t)raw + 2 * sizeof(head) + align - 1) & ~(uintptr_t)(align - 1));
	memcpy(at - sizeof(head), &head, sizeof(head));
	return at;
}

void *malloc(size_t size)
{
	return allocate(16, size);
}

void free(void *at)
{
	struct header head;

	if (!at)
		return;
	memcpy(&head, (char *)at - sizeof(head), sizeof(head));
	if (!head.mapping)
		return;
	int saved = errno;
	enter();
	if (munmap(head.mapping, *(size_t *)head.mapping))
		DIE("strictmalloc: memory cannot be unmapped");
	leave();
	errno = saved;
}

void *calloc(size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	/* Fresh from the kernel and never used twice: it is zero. */
	return allocate(16, bytes);
}

void *realloc(void *at, size_t size)
{
	struct header head;
	void *moved = allocate(16, size);

	if (!at || !moved)
		return moved;
	memcpy(&head, (char *)at - sizeof(head), sizeof(head));
	memcpy(moved, at, head.size < size ? head.size : size);
	free(at);
	return moved;
}

void *memalign(size_t align, size_t size)
{
	return allocate(align, size);
}

void *aligned_alloc(size_t align, size_t size)
{
	return allocate(align, size);
}

int posix_memalign(void **ret, size_t align, size_t size)
{
	void *at = allocate(align, size);

	if (!at)
		return ENOMEM;
	*ret = at;
	return 0;
}

void *valloc(size_t size)
{
	return allocate(PAGE, size);
}

size_t malloc_usable_size(void *at)
{
	struct header head = { 0 };

	if (at)
		memcpy(&head, (char *)at - sizeof(head), sizeof(head));
	return head.size;
}
