/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pcimap.c - the PCI devices' places, written beforehand; see pcimap.h. */
#include "pcimap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preflight.h"
#include "qmp.h"

/* Configuration mechanism #1 (PCI Local Bus Specification 3.0, 3.2.2.3.2), which each PC with a PCI bus has. */
#define PORT_ADDRESS 0xcf8u
#define PORT_DATA    0xcfcu
#define ENABLE	     0x80000000u

/* Registers (same, 6.1; PCI-to-PCI Bridge Architecture Specification 1.2, 3.2) and their bits */
#define REG_COMMAND	 0x04u
#define REG_BAR		 0x10u
#define REG_BUSES	 0x18u
#define REG_IO_WINDOW	 0x1cu
#define REG_MEM_WINDOW	 0x20u
#define REG_PREF_WINDOW	 0x24u
#define REG_PREF_BASE32	 0x28u
#define REG_PREF_LIMIT32 0x2cu
#define REG_IO_WINDOW16	 0x30u
#define REG_ROM		 0x30u
#define REG_BRIDGE_ROM	 0x38u
#define COMMAND_IO	 1u
#define COMMAND_MEMORY	 2u
#define COMMAND_MASTER	 4u
#define BAR_ROM		 6
#define BAR_IO		 1u
#define ROM_ENABLE	 1u

/* A device that is written to */
struct writer {
	uint32_t at; /* its address, as the address port takes it */
	uint64_t deadline;
};

static uint64_t number_of(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

/* What goes wrong is left to the load. */
static void out(char size, uint32_t port, uint32_t value, uint64_t deadline)
{
	char line[64];

	snprintf(line, sizeof(line), "o/%c 0x%x 0x%x", size, port, value);
	free(qmp_hmp(&qmp_private, line, deadline));
}

static void write_config(const struct writer *to, char size, uint32_t reg, uint32_t value)
{
	out('w', PORT_ADDRESS, to->at | (reg & 0xfc), to->deadline);
	out(size, PORT_DATA + (reg & 3), value, to->deadline);
}

/* Return: what of the command register lets the device answer there. */
static uint32_t write_region(const struct writer *to, const json_t *region, bool is_bridge)
{
	uint64_t address = number_of(region, "address");
	int bar = (int)number_of(region, "bar");
	bool is_io = !strcmp(json_string_value(json_object_get(region, "type")) ?: "", "io");

	if (address == UINT64_MAX) /* hw/pci/pci.h:PCI_BAR_UNMAPPED */
		return 0;
	if (bar == BAR_ROM) {
		write_config(to, 'w', is_bridge ? REG_BRIDGE_ROM : REG_ROM, (uint32_t)address | ROM_ENABLE);
		return COMMAND_MEMORY;
	}
	write_config(to, 'w', REG_BAR + 4 * (uint32_t)bar, (uint32_t)address | (is_io ? BAR_IO : 0));
	if (json_is_true(json_object_get(region, "mem_type_64")))
		write_config(to, 'w', REG_BAR + 4 * (uint32_t)bar + 4, (uint32_t)(address >> 32));
	return is_io ? COMMAND_IO : COMMAND_MEMORY;
}

/* Base in the low half, limit in the high one: bits 31 to 20 of each. */
static uint32_t memory_window(const json_t *range)
{
	return (uint32_t)(number_of(range, "base") >> 16 & 0xfff0) | (uint32_t)(number_of(range, "limit") & 0xfff00000);
}

static void write_windows(const struct writer *to, const json_t *bus)
{
	const json_t *io = json_object_get(bus, "io_range"), *pref = json_object_get(bus, "prefetchable_range");
	uint64_t io_base = number_of(io, "base"), io_limit = number_of(io, "limit");

	write_config(to, 'w', REG_BUSES,
		     (uint32_t)(number_of(bus, "number") | number_of(bus, "secondary") << 8 |
				number_of(bus, "subordinate") << 16));
	write_config(to, 'h', REG_IO_WINDOW, (uint32_t)((io_base >> 8 & 0xf0) | (io_limit & 0xf000)));
	write_config(to, 'w', REG_IO_WINDOW16, (uint32_t)((io_base >> 16 & 0xffff) | (io_limit & 0xffff0000)));
	write_config(to, 'w', REG_MEM_WINDOW, memory_window(json_object_get(bus, "memory_range")));
	write_config(to, 'w', REG_PREF_BASE32, (uint32_t)(number_of(pref, "base") >> 32));
	write_config(to, 'w', REG_PREF_LIMIT32, (uint32_t)(number_of(pref, "limit") >> 32));
	write_config(to, 'w', REG_PREF_WINDOW, memory_window(pref));
}

/* A bridge comes before what is behind it, which is reached through it. */
static void write_devices(const json_t *devices, uint64_t deadline)
{
	const json_t *device, *region;
	size_t i, j;

	json_array_foreach(devices, i, device) {
		const json_t *bridge = json_object_get(device, "pci_bridge"), *bus = json_object_get(bridge, "bus");
		struct writer to = { .deadline = deadline,
				     .at = ENABLE |
					   (uint32_t)(number_of(device, "bus") << 16 | number_of(device, "slot") << 11 |
						      number_of(device, "function") << 8) };
		uint32_t command = 0;

		if (bridge && !number_of(bus, "secondary"))
			continue; /* which nothing has been set up behind */
		if (bridge) {
			write_windows(&to, bus);
			command = COMMAND_IO | COMMAND_MEMORY;
		}
		json_array_foreach(json_object_get(device, "regions"), j, region)
			command |= write_region(&to, region, bridge);
		/*
		 * Never without bus mastering: a virtio device would keep it in mind that its driver had been cut off
		 * (hw/virtio/virtio-pci.c:virtio_write_config), even where what is loaded does not say so.
		 */
		if (command)
			write_config(&to, 'h', REG_COMMAND, command | COMMAND_MASTER);
		write_devices(json_object_get(bridge, "devices"), deadline);
	}
}

/**
 * pcimap_put() - in the running QEMU: what it says of its PCI devices
 * @w:		 the state
 * @deadline_ns: CLOCK_MONOTONIC
 *
 * Nothing where the ports would not lead to them, or there is none.
 */
void pcimap_put(struct codec_writer *w, uint64_t deadline_ns)
{
	char error[QMP_ERROR_MAX], *target = preflight_target(deadline_ns);
	bool is_pc = target && (!strcmp(target, "x86_64") || !strcmp(target, "i386"));
	json_t *buses = is_pc ? qmp_command(&qmp_private, "query-pci", NULL, deadline_ns, error) : NULL;
	char *text = buses ? json_dumps(buses, JSON_COMPACT) : NULL;

	if (text)
		cprstate_put_pcimap(w, &(struct cpr_pcimap){ .buses = text });
	json_decref(buses);
	free(target);
	free(text);
}

/**
 * pcimap_restore() - in one that waits, before the load
 * @state:	 as it was given
 * @deadline_ns: CLOCK_MONOTONIC
 */
void pcimap_restore(const struct cprstate *state, uint64_t deadline_ns)
{
	json_t *buses = state->pcimap_count ? json_loads(state->pcimap[0].buses, 0, NULL) : NULL, *bus;
	size_t i;

	json_array_foreach(buses, i, bus)
		write_devices(json_object_get(bus, "devices"), deadline_ns);
	if (json_array_size(buses))
		out('w', PORT_ADDRESS, 0, deadline_ns); /* as it is after a reset: not every machine type loads it */
	json_decref(buses);
}
