/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the Linux test guest runs: shows on its serial console that time, RAM and disk come through an update unharmed.
 *
 *   C <n> <uptime>           every 100 ms
 *   RAM ok <passes>          a pattern in RAM (ram_mib=, 64) was checked once more and partly rewritten
 *   DISK ok <records>        every second: numbered, checksummed records were written to /dev/vda and read back; the
 *                            disk may come later
 *   RAM BAD ..., DISK BAD ...
 * It echoes what comes by UDP on port 7.
 *
 * Commands, a line each: status (one line STATUS ...), flush (FLUSHED after a sync), warnings (KERNEL <line> for each
 * warning or error in the kernel's log, then WARNINGS <n>), touch (USED ok after 128 MiB more were written, read back
 * and freed), run <command> (RAN <status>: busybox's sh), tpm <hex> (TPM <hex>: the answer of /dev/tpm0 to a command),
 * queues (QUEUES <in use> of <how many the network card has>), stream (STREAMING: each millisecond a count is written to the
 * first sector of /dev/vdb, and its lowest byte to /dev/ttyS1), write <mib> (WROTE <ms>: so much to /dev/vdb), poweroff.
 */
#define _GNU_SOURCE /* O_DIRECT */
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/fs.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
	RECORD_SIZE = 4096,
	RECORD_WORDS = RECORD_SIZE / 8,
	RECORDS_MAX = 4096,
	CHUNK = 1 << 20,
	TICK_MS = 100,
	RECORD_PAUSE_MS = 4,
	RAM_PAUSE_MS = 10,
	USE_MIB = 128,
	ECHO_PORT = 7,
};

static pthread_mutex_t output_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t disk_lock = PTHREAD_MUTEX_INITIALIZER; /* held while a record is written and one is read */
static volatile unsigned long ticks, records, passes, bad;

static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
	char line[400];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line) - 1, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	if (length > (int)sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length++] = '\n';
	pthread_mutex_lock(&output_lock);
	for (int done = 0; done < length;) {
		ssize_t n = write(1, line + done, (size_t)(length - done));

		if (n < 0 && errno != EINTR)
			break;
		if (n > 0)
			done += (int)n;
	}
	pthread_mutex_unlock(&output_lock);
}

static void pause_ms(long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

static double uptime(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t mix(uint64_t value)
{
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ULL;
	value = (value ^ value >> 27) * 0x94d049bb133111ebULL;
	return value ^ value >> 31;
}

static void *count(void *unused)
{
	struct timespec due;

	(void)unused;
	clock_gettime(CLOCK_MONOTONIC, &due);
	for (;;) {
		say("C %lu %.2f", ++ticks, uptime());
		due.tv_nsec += TICK_MS * 1000000;
		if (due.tv_nsec >= 1000000000) {
			due.tv_nsec -= 1000000000;
			due.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
	}
	return NULL;
}

/* --- RAM: every word is a function of its place and its chunk's generation --- */

static uint64_t ram_word(size_t index, uint64_t generation)
{
	return index * 0x9e3779b97f4a7c15ULL ^ generation * 0xc2b2ae3d27d4eb4fULL;
}

static void *check_ram(void *mib)
{
	size_t chunks = (size_t)mib, words = CHUNK / sizeof(uint64_t);
	uint64_t *ram = mmap(NULL, chunks * CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t *generation = calloc(chunks, sizeof(*generation));

	if (ram == MAP_FAILED || !generation) {
		say("RAM BAD no memory");
		return NULL;
	}
	for (size_t i = 0; i < chunks * words; i++)
		ram[i] = ram_word(i, 0);
	for (;;) {
		for (size_t chunk = 0; chunk < chunks; chunk++) {
			/*
			 * Each pass writes every other chunk anew, so that old RAM would be noticed as well as lost
			 * RAM.
			 */
			bool rewrite = (chunk ^ passes) & 1;

			for (size_t i = chunk * words; i < (chunk + 1) * words; i++) {
				if (ram[i] != ram_word(i, generation[chunk])) {
					bad++;
					say("RAM BAD word %zu is %016llx", i, (unsigned long long)ram[i]);
					break;
				}
			}
			if (rewrite) {
				generation[chunk]++;
				for (size_t i = chunk * words; i < (chunk + 1) * words; i++)
					ram[i] = ram_word(i, generation[chunk]);
			}
			pause_ms(RAM_PAUSE_MS);
		}
		say("RAM ok %lu", ++passes);
	}
	return NULL;
}

/* --- disk: record n lies at n modulo the number of places; words 0 and 1 are its number and checksum --- */

static void make_record(uint64_t *record, uint64_t number)
{
	uint64_t sum = 0;

	record[0] = number;
	for (size_t i = 2; i < RECORD_WORDS; i++) {
		record[i] = mix(number * RECORD_WORDS + i);
		sum = (sum << 1 | sum >> 63) ^ record[i];
	}
	record[1] = sum;
}

static void disk_bad(const char *what, unsigned long number)
{
	bad++;
	say("DISK BAD %s at record %lu: %s", what, number, strerror(errno));
}

static void *use_disk(void *unused)
{
	uint64_t *record = aligned_alloc(RECORD_SIZE, RECORD_SIZE), *found = aligned_alloc(RECORD_SIZE, RECORD_SIZE);
	int fd = open("/dev/vda", O_RDWR | O_DIRECT);
	double told = uptime();
	uint64_t size = 0, places;

	(void)unused;
	if (fd < 0)
		say("DISK none");
	/* One may be plugged in later. */
	while (fd < 0) {
		pause_ms(TICK_MS);
		fd = open("/dev/vda", O_RDWR | O_DIRECT);
	}
	if (!record || !found || ioctl(fd, BLKGETSIZE64, &size) || size < RECORD_SIZE) {
		say("DISK BAD no records fit");
		return NULL;
	}
	places = size / RECORD_SIZE < RECORDS_MAX ? size / RECORD_SIZE : RECORDS_MAX;
	for (unsigned long number = 1;; number++) {
		/* An older record, anywhere among those that are still there. */
		uint64_t oldest = number > places ? number - places + 1 : 1;
		uint64_t older = oldest + mix(number) % (number - oldest + 1);

		pthread_mutex_lock(&disk_lock);
		make_record(record, number);
		errno = 0;
		if (pwrite(fd, record, RECORD_SIZE, (off_t)(number % places * RECORD_SIZE)) != RECORD_SIZE)
			disk_bad("write", number);
		if (number % 64 == 0 && fdatasync(fd))
			disk_bad("sync", number);
		make_record(record, older);
		if (pread(fd, found, RECORD_SIZE, (off_t)(older % places * RECORD_SIZE)) != RECORD_SIZE)
			disk_bad("read", older);
		else if (memcmp(record, found, RECORD_SIZE))
			disk_bad("content", older);
		records = number;
		pthread_mutex_unlock(&disk_lock);
		if (uptime() - told >= 1) {
			told = uptime();
			say("DISK ok %lu", number);
		}
		pause_ms(RECORD_PAUSE_MS);
	}
	return NULL;
}

/* How often the network's link went down or up; it comes up once. */
static int link_changes(void)
{
	FILE *file = fopen("/sys/class/net/eth0/carrier_changes", "r");
	int changes = -1;

	if (file) {
		if (fscanf(file, "%d", &changes) != 1)
			changes = -1;
		fclose(file);
	}
	return changes;
}

/* As ethtool -l tells it (include/uapi/linux/ethtool.h, ETHTOOL_GCHANNELS). */
static void tell_queues(void)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq request = { .ifr_name = "eth0", .ifr_data = (char *)&channels };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request))
		say("QUEUES %s", strerror(errno));
	else
		say("QUEUES %u of %u", channels.combined_count, channels.max_combined);
	if (fd >= 0)
		close(fd);
}

static void *echo_datagrams(void *unused)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(ECHO_PORT) }, from;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int room = 4 << 20; /* for what has waited on the host while the guest stood still */
	char data[2048];

	(void)unused;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof(here)))
		return NULL;
	for (;;) {
		socklen_t length = sizeof(from);
		ssize_t n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &length);

		/* What is lost here would be counted as lost on its way. */
		if (n >= 0 && sendto(fd, data, (size_t)n, 0, (struct sockaddr *)&from, length) != n)
			say("UDP BAD %s", strerror(errno));
	}
	return NULL;
}

static void *stream_to_disk(void *fd)
{
	uint64_t *sector = aligned_alloc(RECORD_SIZE, RECORD_SIZE);

	if (!sector)
		return NULL;
	memset(sector, 0, RECORD_SIZE);
	while (pwrite(*(int *)fd, sector, RECORD_SIZE, 0) == RECORD_SIZE) {
		sector[0]++;
		pause_ms(1);
	}
	say("STREAM BAD %s", strerror(errno));
	return NULL;
}

static void *stream_to_serial(void *fd)
{
	uint8_t byte = 0;

	while (write(*(int *)fd, &byte, 1) == 1) {
		byte++;
		pause_ms(1);
	}
	say("STREAM BAD %s", strerror(errno));
	return NULL;
}

/* For those who watch from outside how long the guest stands still. */
static void stream(void)
{
	static int disk, serial;
	struct termios raw;
	pthread_t thread;

	disk = open("/dev/vdb", O_RDWR | O_DIRECT);
	serial = open("/dev/ttyS1", O_RDWR | O_NOCTTY);
	if (disk < 0 || serial < 0 || tcgetattr(serial, &raw)) {
		say("STREAM BAD %s", strerror(errno));
		return;
	}
	cfmakeraw(&raw);
	cfsetspeed(&raw, B115200);
	tcsetattr(serial, TCSANOW, &raw);
	pthread_create(&thread, NULL, stream_to_disk, &disk);
	pthread_create(&thread, NULL, stream_to_serial, &serial);
	say("STREAMING");
}

static void write_disk(size_t mib)
{
	char *chunk = aligned_alloc(RECORD_SIZE, CHUNK);
	int fd = open("/dev/vdb", O_RDWR | O_DIRECT);
	uint64_t size = 0;
	double began = uptime();

	if (!chunk || fd < 0 || ioctl(fd, BLKGETSIZE64, &size) || size < CHUNK) {
		say("WROTE BAD %s", strerror(errno));
		return;
	}
	memset(chunk, 1, CHUNK);
	for (size_t i = 0; i < mib; i++)
		if (pwrite(fd, chunk, CHUNK, (off_t)(i % (size / CHUNK) * CHUNK)) != CHUNK)
			say("WROTE BAD %s", strerror(errno));
	close(fd);
	free(chunk);
	say("WROTE %.0f", (uptime() - began) * 1000);
}

/* A line of the kernel's log begins with its priority in brackets, of which the lower three bits are the level. */
static void tell_warnings(void)
{
	static char log[1 << 20];
	int length = klogctl(3 /* SYSLOG_ACTION_READ_ALL */, log, sizeof(log) - 1), count = 0;

	log[length > 0 ? length : 0] = 0;
	for (char *line = strtok(log, "\n"); line; line = strtok(NULL, "\n")) {
		if (*line != '<' || (strtoul(line + 1, NULL, 10) & 7) > 4)
			continue;
		/* The host was busy for a moment; no more is in it. */
		if (strstr(line, "hrtimer: interrupt took"))
			continue;
		count++;
		say("KERNEL %.150s", line);
	}
	say("WARNINGS %d", length < 0 ? -1 : count);
}

/* Uses memory that a balloon may have had meanwhile. */
static void use_memory(void)
{
	const size_t words = USE_MIB * (size_t)(CHUNK / sizeof(uint64_t));
	uint64_t *ram = mmap(NULL, words * sizeof(*ram), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t wrong = 0;

	if (ram == MAP_FAILED) {
		say("USED BAD no memory");
		return;
	}
	for (size_t i = 0; i < words; i++) {
		wrong += ram[i] != 0;
		ram[i] = ram_word(i, 1);
	}
	for (size_t i = 0; i < words; i++)
		wrong += ram[i] != ram_word(i, 1);
	munmap(ram, words * sizeof(*ram));
	if (wrong)
		say("USED BAD %zu words", wrong);
	else
		say("USED ok");
}

/* One command to the TPM, as the specification (TPM 2.0, part 3) writes it. */
static void ask_tpm(const char *hex)
{
	static int fd = -1;
	uint8_t bytes[4096];
	char text[2 * 180 + 1] = "";
	size_t length = 0;
	unsigned int byte;

	for (; sscanf(hex, "%2x", &byte) == 1 && hex[1] && length < sizeof(bytes); hex += 2)
		bytes[length++] = (uint8_t)byte;
	if (fd < 0)
		fd = open("/dev/tpm0", O_RDWR);
	ssize_t n = write(fd, bytes, length) == (ssize_t)length ? read(fd, bytes, sizeof(bytes)) : -1;
	for (ssize_t i = 0; i < n && i < 180; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	say("TPM %s", n < 0 ? strerror(errno) : text);
}

static void run(const char *text)
{
	int status = -1;
	pid_t child = fork();

	if (!child) {
		/* What it says could come into the middle of a line of ours. */
		int nowhere = open("/dev/null", O_WRONLY);

		dup2(nowhere, STDOUT_FILENO);
		dup2(nowhere, STDERR_FILENO);
		setenv("PATH", "/bin", 1);
		execl("/bin/busybox", "sh", "-c", text, (char *)NULL);
		_exit(127);
	}
	waitpid(child, &status, 0);
	say("RAN %d", WEXITSTATUS(status));
}

static void command(const char *line)
{
	if (!strcmp(line, "status")) {
		say("STATUS uptime=%.2f ticks=%lu records=%lu passes=%lu bad=%lu links=%d", uptime(), ticks, records,
		    passes, bad, link_changes());
	} else if (!strcmp(line, "touch")) {
		use_memory();
	} else if (!strcmp(line, "queues")) {
		tell_queues();
	} else if (!strcmp(line, "stream")) {
		stream();
	} else if (!strcmp(line, "warnings")) {
		tell_warnings();
	} else if (!strcmp(line, "flush")) {
		sync();
		say("FLUSHED");
	} else if (!strncmp(line, "run ", 4)) {
		run(line + 4);
	} else if (!strncmp(line, "write ", 6)) {
		write_disk(strtoul(line + 6, NULL, 10));
	} else if (!strncmp(line, "tpm ", 4)) {
		ask_tpm(line + 4);
	} else if (!strcmp(line, "poweroff")) {
		/* For good: the kernel takes the disk away before it stops us. */
		pthread_mutex_lock(&disk_lock);
		sync();
		reboot(RB_POWER_OFF);
	} else if (*line) {
		say("UNKNOWN %s", line);
	}
}

int main(void)
{
	const char *ram_mib = getenv("ram_mib");
	size_t mib = ram_mib ? strtoul(ram_mib, NULL, 10) : 64;
	struct termios terminal;
	pthread_t thread;
	char line[400];

	if (!tcgetattr(0, &terminal)) {
		terminal.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
		terminal.c_oflag &= ~(tcflag_t)OPOST;
		tcsetattr(0, TCSANOW, &terminal);
	}
	pthread_create(&thread, NULL, count, NULL);
	pthread_create(&thread, NULL, check_ram, (void *)(mib ? mib : 1));
	pthread_create(&thread, NULL, use_disk, NULL);
	pthread_create(&thread, NULL, echo_datagrams, NULL);
	for (;;) {
		if (fgets(line, sizeof(line), stdin)) {
			line[strcspn(line, "\r\n")] = 0;
			command(line);
		} else {
			clearerr(stdin);
			pause_ms(TICK_MS);
		}
	}
}
