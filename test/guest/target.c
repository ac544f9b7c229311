/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bare-metal guest of the tests for aarch64 (virt), ppc64 (pseries), riscv64 (virt) and s390x (s390-ccw-virtio).
 *
 * As the x86 guest (guest.c) it prints "T <n> pattern-ok" on its console, n going up by one, fifty times a second by the
 * processor's own clock, checks a slice of a RAM pattern each time and writes it anew with the next generation; and it
 * echoes each byte received as "E <hex>". On s390x, whose console must be asked for an interrupt, nothing is received.
 *
 * It is one function without data of its own: nothing needs to be relocated or set up but a stack.
 */
#include <stdint.h>

#define PATTERN_WORDS (128 << 10)
#define SLICES	      64
#define SLICE_WORDS   (PATTERN_WORDS / SLICES)
#define TICKS_HZ      50

#define INLINE static inline __attribute__((always_inline))

#if defined(__aarch64__)

#define PATTERN 0x44000000
#define UART	((volatile uint32_t *)0x09000000) /* PL011: data, flags */

__asm__(".section .start, \"ax\"\n.globl _start\n_start: ldr x0, =0x48000000\n mov sp, x0\n b guest_main\n.ltorg\n");

INLINE uint64_t clock_hz(void)
{
	uint64_t hz;

	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(hz));
	return hz;
}

INLINE uint64_t clock_now(void)
{
	uint64_t now;

	__asm__ volatile("isb\n mrs %0, cntvct_el0" : "=r"(now));
	return now;
}

INLINE void put(char c)
{
	while (UART[6] & 0x20)
		;
	UART[0] = (uint8_t)c;
}

INLINE int get(void)
{
	return UART[6] & 0x10 ? -1 : (int)(UART[0] & 0xff);
}

#elif defined(__riscv)

#define PATTERN 0x84000000
#define UART	((volatile uint8_t *)0x10000000) /* 16550 */

__asm__(".section .start, \"ax\"\n.globl _start\n_start: li sp, 0x88000000\n j guest_main\n");

INLINE uint64_t clock_hz(void)
{
	return 10000000;
}

INLINE uint64_t clock_now(void)
{
	uint64_t now;

	__asm__ volatile("rdtime %0" : "=r"(now));
	return now;
}

INLINE void put(char c)
{
	while (!(UART[5] & 0x20))
		;
	UART[0] = (uint8_t)c;
}

INLINE int get(void)
{
	return UART[5] & 1 ? UART[0] : -1;
}

#elif defined(__powerpc64__)

#define PATTERN 0x4000000

__asm__(".section .start, \"ax\"\n.globl _start\n_start: lis 1, 0x800\n b guest_main\n");

INLINE uint64_t clock_hz(void)
{
	return 512000000;
}

INLINE uint64_t clock_now(void)
{
	uint64_t now;

	__asm__ volatile("mftb %0" : "=r"(now));
	return now;
}

/* The hypervisor's console; 0 stands for the first. A call leaves nothing of these registers. */
INLINE uint64_t hypercall(uint64_t token, uint64_t length, uint64_t bytes, uint64_t *ret_length, uint64_t *ret_bytes)
{
	register uint64_t r3 __asm__("r3") = token;
	register uint64_t r4 __asm__("r4") = 0;
	register uint64_t r5 __asm__("r5") = length;
	register uint64_t r6 __asm__("r6") = bytes;
	register uint64_t r7 __asm__("r7") = 0;

	__asm__ volatile("sc 1"
			 : "+r"(r3), "+r"(r4), "+r"(r5), "+r"(r6), "+r"(r7)
			 :
			 : "r0", "r8", "r9", "r10", "r11", "r12", "ctr", "xer", "cr0", "cr1", "cr5", "cr6", "cr7",
			   "memory");
	*ret_length = r4;
	*ret_bytes = r5;
	return r3;
}

INLINE void put(char c)
{
	uint64_t a, b;

	while (hypercall(0x58, 1, (uint64_t)(uint8_t)c << 56, &a, &b) == 1) /* H_PUT_TERM_CHAR, H_BUSY */
		;
}

/* One at a time, of the up to sixteen that come at once. */
INLINE int get(void)
{
	static uint64_t *const left = (uint64_t *)0x3000000, *const bytes = (uint64_t *)0x3000008;

	if (!*left && hypercall(0x54, 0, 0, left, bytes)) /* H_GET_TERM_CHAR */
		*left = 0;
	if (!*left)
		return -1;
	int c = (int)(*bytes >> 56);
	*bytes <<= 8;
	--*left;
	return c;
}

#elif defined(__s390x__)

#define PATTERN 0x4000000
#define SCCB	0x3000000

__asm__(".section .start, \"ax\"\n.globl _start\n_start: llilh %r15, 0x800\n jg guest_main\n");

INLINE uint64_t clock_hz(void)
{
	return (uint64_t)4096 * 1000000;
}

INLINE uint64_t clock_now(void)
{
	uint64_t now;

	__asm__ volatile("stckf %0" : "=Q"(now) : : "cc");
	return now;
}

INLINE void service(uint32_t command)
{
	uint32_t busy;

	do
		__asm__ volatile(".insn rre,0xb2200000,%1,%2\n ipm %0\n srl %0, 28"
				 : "=&d"(busy)
				 : "d"(command), "d"((uint64_t)SCCB)
				 : "cc", "memory");
	while (busy == 2);
}

/* An event of type ASCII output with one byte (pc-bios/s390-ccw/sclp.c). */
INLINE void put(char c)
{
	volatile uint8_t *sccb = (volatile uint8_t *)SCCB;

	for (int i = 0; i < 32; i++)
		sccb[i] = 0;
	sccb[1] = 8 + 6 + 1;
	sccb[9] = 6 + 1;
	sccb[10] = 0x1a;
	sccb[14] = (uint8_t)c;
	service(0x00760005); /* SCLP_CMD_WRITE_EVENT_DATA */
}

INLINE void allow_output(void)
{
	volatile uint8_t *sccb = (volatile uint8_t *)SCCB;

	for (int i = 0; i < 32; i++)
		sccb[i] = 0;
	sccb[1] = 28;
	sccb[11] = 4;
	sccb[19] = 1 << 6;   /* send: type 0x1a, counted from the left of 32 bits */
	service(0x00780005); /* SCLP_CMD_WRITE_EVENT_MASK */
}

INLINE int get(void)
{
	return -1;
}

#endif

INLINE void put_number(uint32_t n)
{
	uint32_t divisor = 1;

	while (n / divisor >= 10)
		divisor *= 10;
	for (; divisor; divisor /= 10)
		put((char)('0' + n / divisor % 10));
}

INLINE void put_digit(uint32_t n)
{
	put((char)(n < 10 ? '0' + n : 'a' + n - 10));
}

INLINE void put_verdict(int good)
{
	if (good) {
		put('p');
		put('a');
		put('t');
		put('t');
		put('e');
		put('r');
		put('n');
		put('-');
		put('o');
		put('k');
	} else {
		put('B');
		put('A');
		put('D');
	}
}

INLINE uint64_t word(uint32_t i, uint32_t generation)
{
	return (i + 1) * 0x9e3779b97f4a7c15u + generation;
}

INLINE void echo(void)
{
	int c = get();

	if (c < 0)
		return;
	put('E');
	put(' ');
	put_digit((uint32_t)c >> 4);
	put_digit((uint32_t)c & 15);
	put('\n');
}

void guest_main(void)
{
	volatile uint64_t *pattern = (volatile uint64_t *)PATTERN;
	uint64_t step = clock_hz() / TICKS_HZ, next = clock_now();

#if defined(__s390x__)
	allow_output();
#elif defined(__powerpc64__)
	*(volatile uint64_t *)0x3000000 = 0;
#endif
	for (uint32_t i = 0; i < PATTERN_WORDS; i++)
		pattern[i] = word(i, 0);
	for (uint32_t n = 1;; n++) {
		uint32_t first = (n - 1) % SLICES * SLICE_WORDS, generation = (n - 1) / SLICES;
		int good = 1;

		for (uint32_t i = first; i < first + SLICE_WORDS; i++) {
			good &= pattern[i] == word(i, generation);
			pattern[i] = word(i, generation + 1);
		}
		next += step;
		while (clock_now() < next)
			echo();
		put('T');
		put(' ');
		put_number(n);
		put(' ');
		put_verdict(good);
		put('\n');
	}
}
