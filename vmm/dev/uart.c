/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 16550A UART (National Semiconductor PC16550D data sheet). The line has no
 * speed: a byte written to THR is out at once, and input waits in a queue
 * behind the receiver FIFO, which is refilled the moment it has room.
 *
 * Receiver interrupts: "data available" while the FIFO holds at least the
 * trigger level, and otherwise the character timeout at once while it holds
 * anything, because four character times without a character are over before
 * the next instruction.
 */
#include "dev/chips.h"

#include <stdlib.h>
#include <string.h>

#define UART_FIFO 16u
#define UART_QUEUE 4096u

#define IER_RDI 0x01u
#define IER_THRI 0x02u
#define IER_RLSI 0x04u
#define IER_MSI 0x08u

#define IIR_NONE 0x01u
#define IIR_MSI 0x00u
#define IIR_THRI 0x02u
#define IIR_RDI 0x04u
#define IIR_RLSI 0x06u
#define IIR_TIMEOUT 0x0cu
#define IIR_FIFOS 0xc0u

#define FCR_ENABLE 0x01u
#define FCR_CLEAR_RX 0x02u

#define LCR_DLAB 0x80u

#define MCR_DTR 0x01u
#define MCR_RTS 0x02u
#define MCR_OUT1 0x04u
#define MCR_OUT2 0x08u
#define MCR_LOOP 0x10u
#define MCR_WRITABLE 0x1fu

#define LSR_DR 0x01u
#define LSR_OE 0x02u
#define LSR_THRE 0x20u
#define LSR_TEMT 0x40u

#define MSR_DELTA 0x0fu
#define MSR_TERI 0x04u
#define MSR_CTS 0x10u
#define MSR_DSR 0x20u
#define MSR_RI 0x40u
#define MSR_DCD 0x80u

struct uart {
	uint8_t ier, fcr, lcr, mcr, scr;
	uint8_t msr_delta;
	uint8_t dll, dlm;
	bool overrun;
	bool thre_pending; /* the transmitter interrupt was not yet read from IIR */
	bool line;         /* level of the interrupt line */
	uint8_t fifo[UART_FIFO];
	uint8_t fifo_head, fifo_len;
	uint8_t queue[UART_QUEUE];
	uint32_t queue_head, queue_len;

	/* Wiring. */
	struct vclock *clock;
	struct irq_line irq;
	struct output *output;
	unsigned instance;
};

static unsigned uart_trigger(const struct uart *u)
{
	static const uint8_t level[4] = { 1, 4, 8, 14 };
	return u->fcr & FCR_ENABLE ? level[u->fcr >> 6] : 1;
}

/* IIR without the FIFO bits: table 5 of the data sheet, highest priority first. */
static uint8_t uart_iir(const struct uart *u)
{
	if ((u->ier & IER_RLSI) && u->overrun)
		return IIR_RLSI;
	if ((u->ier & IER_RDI) && u->fifo_len != 0)
		return u->fifo_len >= uart_trigger(u) ? IIR_RDI : IIR_TIMEOUT;
	if ((u->ier & IER_THRI) && u->thre_pending)
		return IIR_THRI;
	if ((u->ier & IER_MSI) && u->msr_delta)
		return IIR_MSI;
	return IIR_NONE;
}

static void uart_update(struct uart *u)
{
	bool line = uart_iir(u) != IIR_NONE;
	if (line == u->line)
		return;
	u->line = line;
	irq_line_set(&u->irq, line);
}

static uint8_t uart_msr(const struct uart *u)
{
	if (!(u->mcr & MCR_LOOP)) /* a terminal that is always there and ready */
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (uint8_t)((u->mcr & MCR_DTR ? MSR_DSR : 0) | (u->mcr & MCR_RTS ? MSR_CTS : 0) |
			 (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static void uart_fifo_push(struct uart *u, uint8_t byte)
{
	unsigned depth = u->fcr & FCR_ENABLE ? UART_FIFO : 1;
	if (u->fifo_len >= depth) {
		u->overrun = true;
		/* The newer character is lost; without FIFOs it replaces the one in RBR. */
		if (depth == 1)
			u->fifo[u->fifo_head] = byte;
		return;
	}
	u->fifo[(u->fifo_head + u->fifo_len) % UART_FIFO] = byte;
	u->fifo_len++;
}

static void uart_refill(struct uart *u)
{
	unsigned depth = u->fcr & FCR_ENABLE ? UART_FIFO : 1;
	if (u->mcr & MCR_LOOP) /* the receiver is cut off from the line */
		return;
	while (u->queue_len != 0 && u->fifo_len < depth) {
		uart_fifo_push(u, u->queue[u->queue_head]);
		u->queue_head = (u->queue_head + 1) % UART_QUEUE;
		u->queue_len--;
	}
}

uint32_t uart_room(const struct uart *u)
{
	return UART_QUEUE - u->queue_len;
}

void uart_input(struct uart *u, const uint8_t *data, uint32_t len)
{
	uint32_t room = uart_room(u);
	if (len > room) {
		len = room;
		u->overrun = true;
	}
	for (uint32_t i = 0; i < len; i++)
		u->queue[(u->queue_head + u->queue_len++) % UART_QUEUE] = data[i];
	uart_refill(u);
	uart_update(u);
}

static void uart_transmit(struct uart *u, uint8_t byte)
{
	/* THR fills and empties within the instruction: the interrupt line shows both edges. */
	u->thre_pending = false;
	uart_update(u);
	if (u->mcr & MCR_LOOP)
		uart_fifo_push(u, byte);
	else
		output_emit(u->output, vclock_icount(u->clock), OUT_CONSOLE, u->instance, &byte, 1);
	u->thre_pending = true;
}

static uint8_t uart_receive(struct uart *u)
{
	uint8_t byte = 0;
	if (u->fifo_len != 0) {
		byte = u->fifo[u->fifo_head];
		u->fifo_head = (uint8_t)((u->fifo_head + 1) % UART_FIFO);
		u->fifo_len--;
	}
	uart_refill(u);
	return byte;
}

static uint64_t uart_read(void *ctx, unsigned vcpu, uint64_t off, unsigned size)
{
	struct uart *u = ctx;
	uint8_t value;
	(void)vcpu;
	(void)size;
	switch (off & 7u) {
	case 0:
		if (u->lcr & LCR_DLAB)
			return u->dll;
		value = uart_receive(u);
		break;
	case 1:
		return u->lcr & LCR_DLAB ? u->dlm : u->ier;
	case 2:
		value = uart_iir(u);
		if (value == IIR_THRI) /* reading it is the acknowledge */
			u->thre_pending = false;
		if (u->fcr & FCR_ENABLE)
			value |= IIR_FIFOS;
		break;
	case 3:
		return u->lcr;
	case 4:
		return u->mcr;
	case 5:
		value = (uint8_t)(LSR_THRE | LSR_TEMT | (u->fifo_len ? LSR_DR : 0) |
				  (u->overrun ? LSR_OE : 0));
		u->overrun = false;
		break;
	case 6:
		value = uart_msr(u) | u->msr_delta;
		u->msr_delta = 0;
		break;
	default:
		return u->scr;
	}
	uart_update(u);
	return value;
}

static void uart_fcr_write(struct uart *u, uint8_t value)
{
	/* Any change of the enable bit, and the clear bit, empty the FIFO; what still waits on the
	 * line behind it is received afterwards. */
	if (((u->fcr ^ value) & FCR_ENABLE) || (value & FCR_CLEAR_RX))
		u->fifo_head = u->fifo_len = 0;
	u->fcr = value & FCR_ENABLE ? value & 0xc9u : 0;
	uart_refill(u);
}

static void uart_mcr_write(struct uart *u, uint8_t value)
{
	uint8_t before = uart_msr(u), after;
	u->mcr = value & MCR_WRITABLE;
	after = uart_msr(u);
	/* Deltas of CTS, DSR and DCD; RI counts when it ends. */
	u->msr_delta |= (uint8_t)((before ^ after) >> 4 & (MSR_DELTA & ~MSR_TERI));
	if ((before & MSR_RI) && !(after & MSR_RI))
		u->msr_delta |= MSR_TERI;
	uart_refill(u);
}

static void uart_write(void *ctx, unsigned vcpu, uint64_t off, unsigned size, uint64_t value)
{
	struct uart *u = ctx;
	uint8_t v = (uint8_t)value;
	(void)vcpu;
	(void)size;
	switch (off & 7u) {
	case 0:
		if (u->lcr & LCR_DLAB)
			u->dll = v;
		else
			uart_transmit(u, v);
		break;
	case 1:
		if (u->lcr & LCR_DLAB) {
			u->dlm = v;
			break;
		}
		/* Enabling the transmitter interrupt with THR empty raises it. */
		if ((v & IER_THRI) && !(u->ier & IER_THRI))
			u->thre_pending = true;
		u->ier = v & 0x0fu;
		break;
	case 2:
		uart_fcr_write(u, v);
		break;
	case 3:
		u->lcr = v;
		break;
	case 4:
		uart_mcr_write(u, v);
		break;
	case 5: /* LSR and MSR: factory test only */
	case 6:
		return;
	default:
		u->scr = v;
		return;
	}
	uart_update(u);
}

static const struct bus_region_ops uart_ops = {
	.read = uart_read,
	.write = uart_write,
	.max_size = 1,
};

static void uart_reset(void *self)
{
	struct uart *u = self;
	u->ier = u->fcr = u->lcr = u->mcr = u->scr = u->msr_delta = 0;
	u->dll = 12; /* 9600 baud */
	u->dlm = 0;
	u->overrun = u->thre_pending = false;
	memset(u->fifo, 0, sizeof(u->fifo));
	u->fifo_head = u->fifo_len = 0;
	memset(u->queue, 0, sizeof(u->queue));
	u->queue_head = u->queue_len = 0;
	uart_update(u);
}

static int uart_post_load(void *obj)
{
	struct uart *u = obj;
	unsigned depth = u->fcr & FCR_ENABLE ? UART_FIFO : 1;
	if ((u->ier & ~0x0fu) || (u->fcr & ~0xc9u) || (u->mcr & ~MCR_WRITABLE) ||
	    (u->msr_delta & ~MSR_DELTA))
		return RV_EINVAL;
	if (u->fifo_head >= UART_FIFO || u->fifo_len > depth || u->queue_head >= UART_QUEUE ||
	    u->queue_len > UART_QUEUE)
		return RV_EINVAL;
	return RV_OK;
}

static const struct state_field uart_fields[] = {
	STATE_FIELD(struct uart, ier),
	STATE_FIELD(struct uart, fcr),
	STATE_FIELD(struct uart, lcr),
	STATE_FIELD(struct uart, mcr),
	STATE_FIELD(struct uart, scr),
	STATE_FIELD(struct uart, msr_delta),
	STATE_FIELD(struct uart, dll),
	STATE_FIELD(struct uart, dlm),
	STATE_BOOL(struct uart, overrun),
	STATE_BOOL(struct uart, thre_pending),
	STATE_BOOL(struct uart, line),
	STATE_ARRAY(struct uart, fifo),
	STATE_FIELD(struct uart, fifo_head),
	STATE_FIELD(struct uart, fifo_len),
	STATE_ARRAY(struct uart, queue),
	STATE_FIELD(struct uart, queue_head),
	STATE_FIELD(struct uart, queue_len),
};

static const struct state_desc uart_desc = {
	.name = "uart",
	.version = 1,
	.fields = uart_fields,
	.nfields = RV_ARRAY_LEN(uart_fields),
	.post_load = uart_post_load,
};

static const struct device_ops uart_device_ops = {
	.name = "uart",
	.desc = &uart_desc,
	.reset = uart_reset,
	.destroy = free,
};

int uart_create(struct uart **out, struct device *dev, struct bus *bus, struct vclock *clock,
		uint16_t port, struct irq_line irq, struct output *output, unsigned instance)
{
	struct uart *u = calloc(1, sizeof(*u));
	if (!u)
		return RV_ENOMEM;
	u->clock = clock;
	u->irq = irq;
	u->output = output;
	u->instance = instance;
	if (bus_add_pio(bus, port, 8, &uart_ops, u) != RV_OK) {
		free(u);
		return RV_ENOMEM;
	}
	uart_reset(u);
	*out = u;
	dev->ops = &uart_device_ops;
	dev->self = u;
	return RV_OK;
}
