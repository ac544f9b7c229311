/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bare-metal x86 guest of the tests: boots by multiboot, and tells on COM1 whether time, RAM, interrupts, input and
 * output come through an update unharmed.
 *
 * It prints "T <n> pattern-ok" once a tick, n going up by one, where the tick is PIT interrupt 0 through the 8259:
 * the guest sleeps in HLT, so an interrupt controller or timer that was lost shows as silence. At each tick one slice
 * of a RAM pattern is checked and then written anew with the next generation, so lost RAM and old RAM both show as BAD.
 *
 * The pattern is filled in the background: "D <kib>" says when it is complete; until then only the filled part is used.
 * All longer work is done in steps between ticks, since KVM without hardware support emulates every instruction.
 *
 * Each byte received is echoed as "E <hex>". Bytes below 0x80 may be commands as well; a tester that sends a sequence
 * uses 0x80 and above:
 *   m  checksum of the whole pattern, as found and as expected: "M <found> <expected> ok"
 *   f  stop or go on rewriting the pattern ("F 0" or "F 1")
 *   t  write a word into every 4 KiB page of RAM above 32 MiB, beyond 4 GiB too: "P <pages>"
 *   v  check those words: "V ok <pages>" or "V BAD <pages> <first bad page frame>"
 *   a  counters of the secondary CPUs: "A <n> <n> ..."
 *   p  from here on the serial lines on PCI cards too, up to two: "L <lines>". One that was plugged in while the guest
 *      ran gets ticks and echoes of its own; of another only input is taken, and told on COM1: "I <hex>"
 * Built with -DPVH it has no multiboot header but Xen's note, which machine microvm wants, and gets no command line.
 * Command line (-append): seed=N hz=N kib=N (pattern size, 1024 at most 8192) aps (start the secondary CPUs) masters
 * (let each PCI device at the root use the bus, as its driver would)
 */
#include <stdbool.h>
#include <stdint.h>

enum {
	COM1 = 0x3f8,
	LINES = 3,
	PCI_SERIAL = 0x00021b36, /* QEMU's pci-serial */
	PCI_SERIAL_PORTS = 0xf000,
	PIT = 0x40,
	PIT_HZ = 1193182,
	PATTERN_BASE = 16 << 20,
	PATTERN_MAX_KIB = 8192,
	SLICE_WORDS = 256,
	TOUCH_BASE = 32 << 20,
	TOUCH_PAGES = 512, /* in one step */
	WINDOW = 0xc0000000,
	AP_TRAMPOLINE = 0x8000,
	AP_MAX = 15,
	MAX_RANGES = 16,
	EXCEPTIONS = 32,
	EXCEPTION_STUB = 5,
};

#ifdef PVH
/* XEN_ELFNOTE_PHYS32_ENTRY (xen/interface/elfnote.h) */
#define HEADER	    ".section .note.Xen, \"a\", @note\n.align 4\n.long 4, 4, 18\n.asciz \"Xen\"\n.long _start\n"
#define INFORMATION "$no_information"
#else
/* Multiboot header: flags 3 = modules page aligned, memory map wanted. */
#define HEADER	    ".section .multiboot, \"a\"\n.align 4\n.long 0x1badb002, 3, -(0x1badb002 + 3)\n"
#define INFORMATION "%ebx"
#endif

__asm__(HEADER ".text\n"
	       ".globl _start\n"
	       "_start:\n"
	       "	cli\n"
	       "	mov $stack_top, %esp\n"
	       "	push " INFORMATION "\n"
	       "	call guest_main\n"
	       ".local stack\n"
	       ".comm stack, 16384, 16\n"
	       ".set stack_top, stack + 16384\n");

/*
 * Interrupts are let in only inside these two functions, and then the handler returns to the caller of the function
 * instead of by IRET: KVM's instruction emulator, which runs this guest on machines without hardware support, has no
 * IRET in protected mode.
 */
__asm__("sleep:\n"
	"	sti\n"
	"	hlt\n"
	"	cli\n"
	"	ret\n"
	"let_interrupts_in:\n"
	"	mov $0x3fd, %dx\n"
	"	sti\n"
	"	in %dx, %al\n" /* the emulator delivers an interrupt only after it was left */
	"	cli\n"
	"	ret\n"
	"on_tick:\n"
	"	incl ticks\n"
	"on_serial:\n"
	"	mov $0x20, %al\n"
	"	out %al, $0x20\n"
	"on_spurious:\n"
	"	add $12, %esp\n"
	"	ret\n"
	"exception_table:\n"
	".rept 32\n"
	"	call 1f\n" /* five bytes: the return address tells the vector */
	".endr\n"
	"1:	call die_of_exception\n");

/* Where a secondary CPU starts, in real mode; copied to AP_TRAMPOLINE, hence addresses relative to ap_start. */
__asm__(".globl ap_start, ap_end\n"
	".code16\n"
	"ap_start:\n"
	"	cli\n"
	"	xor %ax, %ax\n"
	"	mov %ax, %ds\n"
	"	lgdtl 0x8000 + ap_gdt_ptr - ap_start\n"
	"	mov %cr0, %eax\n"
	"	or $1, %al\n"
	"	mov %eax, %cr0\n"
	"	ljmpl $8, $ap_protected\n"
	".align 4\n"
	"ap_gdt_ptr:\n"
	"	.word 23\n"
	"	.long gdt\n"
	"ap_end:\n"
	".code32\n"
	"ap_protected:\n"
	"	mov $16, %ax\n"
	"	mov %ax, %ds\n"
	"	mov %ax, %es\n"
	"	mov %ax, %ss\n"
	"	mov $1, %ebx\n"
	"	lock xadd %ebx, ap_count\n"
	/* Counts in a register and in RAM: one that falls behind the other was not restored. */
	"	xor %ecx, %ecx\n"
	"1:	pause\n"
	"	cmp %ecx, ap_counter(,%ebx,4)\n"
	"	jne 2f\n"
	"	inc %ecx\n"
	"	mov %ecx, ap_counter(,%ebx,4)\n"
	"	jmp 1b\n"
	"2:	lock incl ap_bad\n"
	"	mov ap_counter(,%ebx,4), %ecx\n"
	"	jmp 1b\n");

struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length,
		mmap_addr;
};

/* Used by name in the assembly above. */
__attribute__((used)) const struct multiboot_info no_information;

struct multiboot_mmap {
	uint32_t size;
	uint64_t base, length;
	uint32_t type;
} __attribute__((packed));

struct gate {
	uint16_t offset_low, selector, flags, offset_high;
};

struct table_pointer {
	uint16_t limit;
	uint32_t base;
} __attribute__((packed));

struct range {
	uint64_t from, to;
};

/* Used by name in the assembly above. */
__attribute__((used)) uint64_t gdt[3] = { 0, 0x00cf9b000000ffff, 0x00cf93000000ffff };
__attribute__((used)) volatile uint32_t ap_counter[AP_MAX];
__attribute__((used)) volatile uint32_t ap_count, ap_bad;
__attribute__((used)) volatile uint32_t ticks;
extern const char ap_start[], ap_end[], on_tick[], on_serial[], on_spurious[], exception_table[];
void sleep(void);
void let_interrupts_in(void);

static struct gate idt[48];

static uint32_t seed = 1, hz = 50, pattern_words = 1024 * 256;
static bool start_aps;
static uint32_t slice_generation[PATTERN_MAX_KIB * 256 / SLICE_WORDS];
static uint32_t filled_slices, next_slice, bad_slices;
static bool rewriting = true;
static struct {
	bool active;
	uint32_t next_slice, found, expected;
} checksum;

static struct range ram[MAX_RANGES];
static uint32_t ram_ranges;

/* Ports of the serial lines; what is printed goes to the chosen one. */
static uint16_t lines[LINES] = { COM1 };
static bool only_input[LINES];
static uint32_t line_count = 1, chosen;

static uint64_t page_directory_pointers[4] __attribute__((aligned(32)));
static uint64_t low_directory[512] __attribute__((aligned(4096)));
static uint64_t window_directory[512] __attribute__((aligned(4096)));

/* A walk over all pages, in steps between ticks. */
static struct {
	char command; /* 't', 'v' or 0 */
	uint32_t range, pages, bad;
	uint64_t next, first_bad;
} walk;

static void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t inb(uint16_t port)
{
	uint8_t value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static uint32_t pci_read(uint32_t slot, uint32_t offset)
{
	uint32_t value;

	__asm__ volatile("outl %0, %1" : : "a"(0x80000000 | slot << 11 | offset), "Nd"((uint16_t)0xcf8));
	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"((uint16_t)0xcfc));
	return value;
}

static void pci_write(uint32_t slot, uint32_t offset, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(0x80000000 | slot << 11 | offset), "Nd"((uint16_t)0xcf8));
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"((uint16_t)0xcfc));
}

static void put_char(char c)
{
	while (!(inb(lines[chosen] + 5) & 0x20))
		;
	outb(lines[chosen], (uint8_t)c);
}

static void put_text(const char *text)
{
	while (*text)
		put_char(*text++);
}

static void put_hex(uint32_t value, int digits)
{
	while (digits-- > 0)
		put_char("0123456789abcdef"[(value >> (4 * digits)) & 15]);
}

static void put_number(uint32_t value)
{
	char text[11], *p = text + 10;

	*p = 0;
	do {
		*--p = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	put_char(' ');
	put_text(p);
}

/* Finds "name" in the command line at the start of a word; returns what follows it, or null. */
static const char *find_option(const char *line, const char *name)
{
	for (const char *word = line; *word; word++) {
		uint32_t i = 0;

		if (word != line && word[-1] != ' ')
			continue;
		while (name[i] && word[i] == name[i])
			i++;
		if (!name[i])
			return word + i;
	}
	return 0;
}

static uint32_t number_option(const char *line, const char *name, uint32_t otherwise)
{
	const char *p = find_option(line, name);
	uint32_t value = 0;

	if (!p || *p < '0' || *p > '9')
		return otherwise;
	while (*p >= '0' && *p <= '9')
		value = value * 10 + (uint32_t)(*p++ - '0');
	return value;
}

/* --- interrupts --- */

static void set_gate(uint32_t vector, const void *handler)
{
	uint32_t address = (uint32_t)handler;

	idt[vector] = (struct gate){ (uint16_t)address, 8, 0x8e00, (uint16_t)(address >> 16) };
}

/* Prints the vector, then the error code (where there is one), EIP, CS and EFLAGS. */
__attribute__((used, noreturn)) void die_of_exception(const char *stub_end, uint32_t stack0, uint32_t stack1,
						      uint32_t stack2)
{
	put_text("X");
	put_number((uint32_t)(stub_end - exception_table) / EXCEPTION_STUB - 1);
	put_char(' ');
	put_hex(stack0, 8);
	put_char(' ');
	put_hex(stack1, 8);
	put_char(' ');
	put_hex(stack2, 8);
	put_char('\n');
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void set_up_interrupts(void)
{
	struct table_pointer gdt_pointer = { sizeof(gdt) - 1, (uint32_t)gdt };
	struct table_pointer idt_pointer = { sizeof(idt) - 1, (uint32_t)idt };

	for (uint32_t i = 0; i < EXCEPTIONS; i++)
		set_gate(i, exception_table + EXCEPTION_STUB * i);
	for (uint32_t i = EXCEPTIONS; i < sizeof(idt) / sizeof(idt[0]); i++)
		set_gate(i, on_spurious);
	set_gate(0x20, on_tick);
	set_gate(0x24, on_serial);
	__asm__ volatile("lgdt %0\n"
			 "ljmp $8, $1f\n"
			 "1: mov %2, %%ds\n"
			 "mov %2, %%es\n"
			 "mov %2, %%ss\n"
			 "lidt %1"
			 :
			 : "m"(gdt_pointer), "m"(idt_pointer), "r"((uint16_t)16));

	/* Both 8259 to vectors 0x20 and 0x28; only the timer and COM1 are let through. */
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, 0x20);
	outb(0xa1, 0x28);
	outb(0x21, 4);
	outb(0xa1, 2);
	outb(0x21, 1);
	outb(0xa1, 1);
	outb(0x21, (uint8_t)~0x11);
	outb(0xa1, 0xff);

	outb(PIT + 3, 0x34);
	outb(PIT, (uint8_t)(PIT_HZ / hz));
	outb(PIT, (uint8_t)((PIT_HZ / hz) >> 8));
}

static void set_up_serial(void)
{
	outb(COM1 + 3, 0x83);
	outb(COM1, 1);
	outb(COM1 + 1, 0);
	outb(COM1 + 3, 3);
	outb(COM1 + 2, 1);
	outb(COM1 + 4, 0x0b);
	outb(COM1 + 1, 1);
}

static void make_masters(void)
{
	for (uint32_t function = 0; function < 32 * 8; function++) {
		uint32_t slot = function / 8, offset = function % 8 << 8 | 4;

		if (pci_read(slot, function % 8 << 8) != 0xffffffff)
			pci_write(slot, offset, (pci_read(slot, offset) & 0xffff) | 4);
	}
}

/* Cards that were plugged in while the guest ran have no ports yet. All are polled. */
static void find_serial_cards(void)
{
	for (uint32_t slot = 0; slot < 32 && line_count < LINES; slot++) {
		if (pci_read(slot, 0) != PCI_SERIAL)
			continue;
		only_input[line_count] = pci_read(slot, 4) & 1;
		if (!only_input[line_count]) {
			pci_write(slot, 0x10, PCI_SERIAL_PORTS + 8 * line_count);
			pci_write(slot, 4, 1);
		}
		lines[line_count] = (uint16_t)(pci_read(slot, 0x10) & ~7U);
		outb(lines[line_count++] + 2, 1);
	}
	put_text("L");
	put_number(line_count);
	put_char('\n');
}

/* --- the pattern --- */

static uint32_t pattern_word(uint32_t index)
{
	return (index * 0x9e3779b1U) ^ (slice_generation[index / SLICE_WORDS] * 0x85ebca6bU) ^ seed;
}

static volatile uint32_t *pattern(void)
{
	return (volatile uint32_t *)PATTERN_BASE;
}

static void fill_slice(uint32_t slice)
{
	for (uint32_t i = slice * SLICE_WORDS; i < (slice + 1) * SLICE_WORDS; i++)
		pattern()[i] = pattern_word(i);
}

static bool check_next_slice(void)
{
	uint32_t slice = next_slice++ % filled_slices;
	bool ok = true;

	for (uint32_t i = slice * SLICE_WORDS; i < (slice + 1) * SLICE_WORDS; i++)
		if (pattern()[i] != pattern_word(i))
			ok = false;
	if (rewriting) {
		slice_generation[slice]++;
		fill_slice(slice);
	}
	if (!ok)
		bad_slices++;
	return ok;
}

static void step_fill(void)
{
	fill_slice(filled_slices++);
	if (filled_slices == pattern_words / SLICE_WORDS) {
		put_text("D");
		put_number(pattern_words / 256);
		put_char('\n');
	}
}

/* A slice may change between two steps, and then both sums do: only with rewriting off do two answers compare. */
static void step_checksum(void)
{
	uint32_t from = checksum.next_slice++ * SLICE_WORDS;

	for (uint32_t i = from; i < from + SLICE_WORDS; i++) {
		checksum.found = (checksum.found << 1 | checksum.found >> 31) ^ pattern()[i];
		checksum.expected = (checksum.expected << 1 | checksum.expected >> 31) ^ pattern_word(i);
	}
	if (checksum.next_slice < filled_slices)
		return;
	checksum.active = false;
	put_text("M ");
	put_hex(checksum.found, 8);
	put_char(' ');
	put_hex(checksum.expected, 8);
	put_text(checksum.found == checksum.expected && !bad_slices ? " ok\n" : " BAD\n");
}

/* --- all other RAM --- */

static void read_memory_map(const struct multiboot_info *info)
{
	uint32_t at = info->mmap_addr;

	while (info->flags & 0x40 && at < info->mmap_addr + info->mmap_length && ram_ranges < MAX_RANGES) {
		const struct multiboot_mmap *entry = (const struct multiboot_mmap *)at;
		uint64_t from = entry->base, to = entry->base + entry->length;

		if (from < TOUCH_BASE)
			from = TOUCH_BASE;
		if (entry->type == 1 && to > from)
			ram[ram_ranges++] = (struct range){ from, to & ~4095ULL };
		at += entry->size + 4;
	}
}

/*
 * PAE paging with 2 MiB pages is on for the time of one step, to reach RAM beyond 4 GiB through a window of 1 GiB.
 * RAM below is touched without paging, because kvm_pvm refuses to turn it on for 32-bit code (#GP at CR0).
 */
static void open_window(uint64_t address)
{
	uint64_t base = address & ~((1ULL << 30) - 1);

	for (uint32_t i = 0; i < 512; i++) {
		low_directory[i] = ((uint64_t)i << 21) | 0x83;
		window_directory[i] = (base + ((uint64_t)i << 21)) | 0x83;
	}
	page_directory_pointers[0] = (uint32_t)low_directory | 1;
	page_directory_pointers[3] = (uint32_t)window_directory | 1;
	__asm__ volatile("mov %%cr4, %%eax\n"
			 "or $0x20, %%eax\n"
			 "mov %%eax, %%cr4\n"
			 "mov %0, %%cr3\n"
			 "mov %%cr0, %%eax\n"
			 "or $0x80000000, %%eax\n"
			 "mov %%eax, %%cr0\n"
			 :
			 : "r"(page_directory_pointers)
			 : "eax", "memory");
}

static void close_window(void)
{
	__asm__ volatile("mov %%cr0, %%eax\n"
			 "and $0x7fffffff, %%eax\n"
			 "mov %%eax, %%cr0\n"
			 :
			 :
			 : "eax", "memory");
}

static void step_walk(void)
{
	bool high;

	if (walk.next < ram[walk.range].from)
		walk.next = ram[walk.range].from;
	high = walk.next >> 32;
	if (high)
		open_window(walk.next);
	for (uint32_t i = 0; i < TOUCH_PAGES && walk.next < ram[walk.range].to; i++) {
		uint32_t address = high ? WINDOW + (uint32_t)(walk.next & 0x3fffffff) : (uint32_t)walk.next;
		volatile uint32_t *word = (volatile uint32_t *)address;
		uint32_t value = (uint32_t)(walk.next >> 12) ^ seed ^ 0xa5a50000;

		if (walk.command == 't') {
			*word = value;
		} else if (*word != value) {
			if (!walk.bad++)
				walk.first_bad = walk.next;
		}
		walk.pages++;
		walk.next += 4096;
		if (!(walk.next & 0x3fffffff))
			break; /* a window, or the lower 4 GiB, may end here */
	}
	if (high)
		close_window();

	if (walk.next < ram[walk.range].to || ++walk.range < ram_ranges)
		return;
	if (walk.command == 't') {
		put_text("P");
		put_number(walk.pages);
	} else {
		put_text(walk.bad ? "V BAD" : "V ok");
		put_number(walk.pages);
		if (walk.bad)
			put_number((uint32_t)(walk.first_bad >> 12));
	}
	put_char('\n');
	walk.command = 0;
}

static void start_walk(char command)
{
	walk.command = ram_ranges ? command : 0;
	walk.range = walk.pages = walk.bad = 0;
	walk.next = 0;
}

/* --- secondary CPUs --- */

static void start_secondary_cpus(void)
{
	volatile uint32_t *apic = (volatile uint32_t *)0xfee00000;
	volatile char *to = (volatile char *)AP_TRAMPOLINE;
	uint32_t since = ticks;

	for (const char *from = ap_start; from < ap_end; from++)
		*to++ = *from;
	apic[0xf0 / 4] |= 0x100;
	apic[0x300 / 4] = 0xc4500; /* INIT to all but self */
	while (ticks - since < 2)
		sleep();
	apic[0x300 / 4] = 0xc4600 | AP_TRAMPOLINE >> 12;
}

static void print_secondary_cpus(void)
{
	put_text(ap_bad ? "A BAD" : "A");
	for (uint32_t i = 0; i < ap_count && i < AP_MAX; i++)
		put_number(ap_counter[i]);
	put_char('\n');
}

/* --- main loop --- */

static void on_byte(uint8_t byte, const char *echo)
{
	put_text(echo);
	put_hex(byte, 2);
	put_char('\n');
	switch (byte) {
	case 'm':
		checksum.active = true;
		checksum.next_slice = checksum.found = checksum.expected = 0;
		break;
	case 'f':
		rewriting = !rewriting;
		put_text(rewriting ? "F 1\n" : "F 0\n");
		break;
	case 't':
	case 'v':
		if (walk.command)
			put_text("B busy\n");
		else
			start_walk((char)byte);
		break;
	case 'a':
		print_secondary_cpus();
		break;
	case 'p':
		find_serial_cards();
		break;
	default:
		break;
	}
}

static void read_lines(void)
{
	for (uint32_t i = 0; i < line_count; i++) {
		chosen = only_input[i] ? 0 : i;
		while (inb(lines[i] + 5) & 1)
			on_byte(inb(lines[i]), only_input[i] ? "I " : "E ");
	}
	chosen = 0;
}

static void print_tick(uint32_t number, bool ok)
{
	for (uint32_t i = 0; i < line_count; i++) {
		if (only_input[i])
			continue;
		chosen = i;
		put_text("T");
		put_number(number);
		put_text(ok ? " pattern-ok\n" : " BAD\n");
	}
	chosen = 0;
}

__attribute__((used, noreturn)) void guest_main(const struct multiboot_info *info)
{
	const char *line = info->flags & 4 ? (const char *)info->cmdline : "";
	uint32_t seen = 0, counter = 0;

	seed = number_option(line, "seed=", seed);
	hz = number_option(line, "hz=", hz);
	if (hz < 20 || hz > 1000)
		hz = 50;
	pattern_words = number_option(line, "kib=", 1024) * 256;
	if (!pattern_words || pattern_words > PATTERN_MAX_KIB * 256)
		pattern_words = 1024 * 256;
	start_aps = find_option(line, "aps");
	if (find_option(line, "masters"))
		make_masters();
	read_memory_map(info);

	set_up_serial();
	put_text("G cprshim test guest\n");
	fill_slice(filled_slices++);
#ifdef PVH
	/* No firmware has let the 8259's interrupts through the local APIC: enable it, LINT0 as external interrupt. */
	*(volatile uint32_t *)0xfee000f0 = 0x1ff;
	*(volatile uint32_t *)0xfee00350 = 0x700;
#endif
	set_up_interrupts();
	if (start_aps)
		start_secondary_cpus();
	put_text("R ready\n");

	for (;;) {
		bool busy = true;

		read_lines();
		if (ticks != seen) {
			seen = ticks;
			print_tick(++counter, check_next_slice());
		}
		if (filled_slices < pattern_words / SLICE_WORDS)
			step_fill();
		else if (checksum.active)
			step_checksum();
		else if (walk.command)
			step_walk();
		else
			busy = false;
		if (busy || inb(COM1 + 5) & 1)
			let_interrupts_in();
		else
			sleep();
	}
}
