/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MC146818 real-time clock with 128 bytes of CMOS RAM at 70h, 71h (Motorola
 * data sheet). Time is the clock's date + vns + what the guest has set; the
 * time registers hold a value of their own only while the guest holds the
 * clock (SET, or the divider in reset). The interrupt flags are worked out
 * when somebody looks, and the virtual clock is armed only for a flag that
 * would raise the interrupt line.
 */
#include "dev/chips.h"

#include <stdlib.h>
#include <string.h>

#include "ticks.h"

#define RTC_SEC 0x00u
#define RTC_SEC_ALARM 0x01u
#define RTC_MIN 0x02u
#define RTC_MIN_ALARM 0x03u
#define RTC_HOUR 0x04u
#define RTC_HOUR_ALARM 0x05u
#define RTC_WDAY 0x06u
#define RTC_DAY 0x07u
#define RTC_MONTH 0x08u
#define RTC_YEAR 0x09u
#define RTC_A 0x0au
#define RTC_B 0x0bu
#define RTC_C 0x0cu
#define RTC_D 0x0du
#define RTC_CENTURY 0x32u

#define A_UIP 0x80u
#define A_DIV 0x70u
#define B_SET 0x80u
#define B_PIE 0x40u
#define B_AIE 0x20u
#define B_UIE 0x10u
#define B_BINARY 0x04u
#define B_24H 0x02u
#define C_IRQF 0x80u
#define C_PF 0x40u
#define C_AF 0x20u
#define C_UF 0x10u
#define D_VALID 0x80u

#define RTC_HZ 32768u
#define RTC_UIP_NS 244000u /* the update follows this long after UIP rises */
#define RTC_MAX_OFFSET (1ll << 40)
#define DAY_S 86400

struct rtc {
	uint8_t index;
	uint8_t cmos[128];    /* A, B, C and RAM; time registers while held */
	int64_t offset_s;     /* what the guest has set: whole seconds ... */
	uint32_t phase_ns;    /* ... and below */
	bool div_reset;       /* the divider was in reset during this hold */
	vns_t synced;         /* flags are worked out up to here */
	bool line;

	/* Wiring. */
	struct vclock *clock;
	struct vtimer *timer;
	struct irq_line irq;
	uint64_t ram_low, ram_high;
};

struct rtc_time {
	int64_t year;
	int month, day, hour, min, sec, wday;
};

__extension__ typedef __int128 rtc_i128;

/* RTC time in ns since 1970 at a vns, split; seconds may be negative. */
static int64_t rtc_seconds(const struct rtc *r, vns_t vns, uint32_t *ns)
{
	rtc_i128 t = (rtc_i128)vclock_date(r->clock) + vns + r->phase_ns;
	rtc_i128 s = t / (int64_t)NS_PER_S, rest = t % (int64_t)NS_PER_S;
	if (rest < 0) {
		rest += (int64_t)NS_PER_S;
		s--;
	}
	if (ns)
		*ns = (uint32_t)rest;
	return (int64_t)s + r->offset_s;
}

/* First vns at which rtc_seconds() is s; 0 if that was before power-on. */
static vns_t rtc_vns_of(const struct rtc *r, int64_t s)
{
	rtc_i128 t = (rtc_i128)(s - r->offset_s) * (int64_t)NS_PER_S - vclock_date(r->clock) -
		     r->phase_ns;
	if (t < 0)
		return 0;
	return t >= (rtc_i128)VNS_NEVER ? VNS_NEVER : (vns_t)t;
}

/* Proleptic Gregorian calendar, days counted from 1970-01-01; the year is taken to begin in March,
 * so that the leap day is its last. */
static int64_t rtc_days(int64_t year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void rtc_split(int64_t s, struct rtc_time *t)
{
	int64_t days = s / DAY_S, rest = s % DAY_S, era, doe, yoe, doy, mp;
	if (rest < 0) {
		rest += DAY_S;
		days--;
	}
	t->hour = (int)(rest / 3600);
	t->min = (int)(rest / 60 % 60);
	t->sec = (int)(rest % 60);
	t->wday = (int)(((days + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	doe = days - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	t->day = (int)(doy - (153 * mp + 2) / 5 + 1);
	t->month = (int)(mp < 10 ? mp + 3 : mp - 9);
	t->year = yoe + era * 400 + (t->month <= 2);
}

static uint8_t rtc_encode(const struct rtc *r, int v)
{
	return (uint8_t)(r->cmos[RTC_B] & B_BINARY ? v : v / 10 << 4 | v % 10);
}
static int rtc_decode(const struct rtc *r, uint8_t v)
{
	return r->cmos[RTC_B] & B_BINARY ? v : (v >> 4) * 10 + (v & 15);
}
static uint8_t rtc_encode_hour(const struct rtc *r, int hour)
{
	if (r->cmos[RTC_B] & B_24H)
		return rtc_encode(r, hour);
	return (uint8_t)(rtc_encode(r, (hour + 11) % 12 + 1) | (hour >= 12 ? 0x80 : 0));
}
static int rtc_decode_hour(const struct rtc *r, uint8_t v)
{
	if (r->cmos[RTC_B] & B_24H)
		return rtc_decode(r, v);
	return rtc_decode(r, v & 0x7f) % 12 + (v & 0x80 ? 12 : 0);
}

static void rtc_time_to_regs(struct rtc *r, int64_t s)
{
	struct rtc_time t;
	rtc_split(s, &t);
	r->cmos[RTC_SEC] = rtc_encode(r, t.sec);
	r->cmos[RTC_MIN] = rtc_encode(r, t.min);
	r->cmos[RTC_HOUR] = rtc_encode_hour(r, t.hour);
	r->cmos[RTC_WDAY] = rtc_encode(r, t.wday + 1);
	r->cmos[RTC_DAY] = rtc_encode(r, t.day);
	r->cmos[RTC_MONTH] = rtc_encode(r, t.month);
	r->cmos[RTC_YEAR] = rtc_encode(r, (int)((t.year % 100 + 100) % 100));
	r->cmos[RTC_CENTURY] = rtc_encode(r, (int)((t.year / 100 % 100 + 100) % 100));
}

/* Whatever the guest has put there: the month is forced into range, and the sums carry. */
static int64_t rtc_time_from_regs(const struct rtc *r)
{
	int64_t year = rtc_decode(r, r->cmos[RTC_CENTURY]) * 100 + rtc_decode(r, r->cmos[RTC_YEAR]);
	int month = rtc_decode(r, r->cmos[RTC_MONTH]);
	month = month < 1 ? 1 : month > 12 ? 12 : month;
	return rtc_days(year, month, rtc_decode(r, r->cmos[RTC_DAY])) * DAY_S +
	       rtc_decode_hour(r, r->cmos[RTC_HOUR]) * 3600 + rtc_decode(r, r->cmos[RTC_MIN]) * 60 +
	       rtc_decode(r, r->cmos[RTC_SEC]);
}

static bool rtc_divider_off(uint8_t a)
{
	return (a & 0x60u) == 0x60u;
}

/* The time stands still, and its registers are the guest's. */
static bool rtc_held(const struct rtc *r)
{
	return (r->cmos[RTC_B] & B_SET) || rtc_divider_off(r->cmos[RTC_A]);
}

static bool rtc_is_time(unsigned reg)
{
	return reg == RTC_CENTURY ||
	       (reg <= RTC_YEAR &&
		reg != RTC_SEC_ALARM && reg != RTC_MIN_ALARM && reg != RTC_HOUR_ALARM);
}

/* Moves the clock so that it shows second s now. The fraction stays, or begins at half a second
 * after the divider's reset, as the first update then follows 500 ms later. */
static void rtc_set_seconds(struct rtc *r, int64_t s)
{
	uint32_t ns;
	vns_t now = vclock_now(r->clock);
	(void)rtc_seconds(r, now, &ns);
	if (r->div_reset) {
		int64_t phase = (int64_t)r->phase_ns + (int64_t)(NS_PER_S / 2) - (int64_t)ns;
		r->phase_ns = (uint32_t)((phase + 2 * (int64_t)NS_PER_S) % (int64_t)NS_PER_S);
		r->div_reset = false;
	}
	r->offset_s += s - rtc_seconds(r, now, NULL);
}

/* Length of the periodic interrupt in 32768ths of a second; 0: off. Table 5 of the data sheet. */
static uint32_t rtc_period(const struct rtc *r)
{
	unsigned rs = r->cmos[RTC_A] & 0x0fu;
	if (rs == 0 || rtc_divider_off(r->cmos[RTC_A]))
		return 0;
	return 1u << (rs <= 2 ? rs + 6 : rs - 1);
}

/* Alarm registers with both top bits set match anything. */
static bool rtc_alarm_any(uint8_t v)
{
	return (v & 0xc0u) == 0xc0u;
}

/* The first second after s that matches the alarm; INT64_MAX if none ever does. */
static int64_t rtc_next_alarm(const struct rtc *r, int64_t s)
{
	const uint8_t *m = r->cmos;
	int hour = rtc_alarm_any(m[RTC_HOUR_ALARM]) ? -1 : rtc_decode_hour(r, m[RTC_HOUR_ALARM]);
	int min = rtc_alarm_any(m[RTC_MIN_ALARM]) ? -1 : rtc_decode(r, m[RTC_MIN_ALARM]);
	int sec = rtc_alarm_any(m[RTC_SEC_ALARM]) ? -1 : rtc_decode(r, m[RTC_SEC_ALARM]);
	int64_t t = s + 1;
	if (hour > 23 || min > 59 || sec > 59)
		return INT64_MAX;
	/* At most 24 hours, then 60 minutes, then 60 seconds to skip, each from its start. */
	for (int i = 0; i < 256; i++) {
		int64_t of_day = (t % DAY_S + DAY_S) % DAY_S;
		if (hour >= 0 && of_day / 3600 != hour)
			t += 3600 - of_day % 3600;
		else if (min >= 0 && of_day / 60 % 60 != min)
			t += 60 - of_day % 60;
		else if (sec >= 0 && of_day % 60 != sec)
			t++;
		else
			return t;
	}
	return INT64_MAX;
}

/* Sets the flags of everything that happened in (synced, now]. */
static void rtc_sync(struct rtc *r)
{
	vns_t now = vclock_now(r->clock);
	uint32_t period = rtc_period(r);
	uint8_t *c = &r->cmos[RTC_C];
	int64_t then, s;
	if (now <= r->synced)
		return;
	if (period != 0 &&
	    ticks_of_ns(now, RTC_HZ) / period != ticks_of_ns(r->synced, RTC_HZ) / period)
		*c |= C_PF;
	if (!rtc_held(r)) {
		then = rtc_seconds(r, r->synced, NULL);
		s = rtc_seconds(r, now, NULL);
		if (s > then) {
			*c |= C_UF;
			if (rtc_next_alarm(r, then) <= s)
				*c |= C_AF;
		}
	}
	r->synced = now;
}

static vns_t rtc_earlier(vns_t a, vns_t b)
{
	return a < b ? a : b;
}

static void rtc_update(struct rtc *r)
{
	const uint8_t b = r->cmos[RTC_B];
	uint8_t *c = &r->cmos[RTC_C];
	unsigned missing = (b & ~*c) & (B_PIE | B_AIE | B_UIE); /* same bits in B and C */
	uint32_t period = rtc_period(r);
	vns_t when = VNS_NEVER;
	bool line = (b & *c & (B_PIE | B_AIE | B_UIE)) != 0;

	*c = (uint8_t)((*c & ~C_IRQF) | (line ? C_IRQF : 0));
	/* With the line up another flag changes nothing that could not be worked out later. */
	if (!line && (missing & B_PIE) && period != 0) {
		uint64_t done = ticks_of_ns(r->synced, RTC_HZ) / period;
		when = ticks_deadline(0, (done + 1) * period, RTC_HZ);
	}
	if (!line && (missing & (B_UIE | B_AIE)) && !rtc_held(r)) {
		int64_t s = rtc_seconds(r, r->synced, NULL);
		int64_t alarm = missing & B_AIE ? rtc_next_alarm(r, s) : INT64_MAX;
		if (missing & B_UIE)
			when = rtc_earlier(when, rtc_vns_of(r, s + 1));
		else if (alarm != INT64_MAX)
			when = rtc_earlier(when, rtc_vns_of(r, alarm));
	}
	vclock_timer_arm(r->timer, when);
	if (line != r->line) {
		r->line = line;
		irq_line_set(&r->irq, line);
	}
}

static void rtc_fire(void *ctx, vns_t deadline)
{
	struct rtc *r = ctx;
	(void)deadline;
	rtc_sync(r);
	rtc_update(r);
}

static uint8_t rtc_reg_read(struct rtc *r, unsigned reg)
{
	uint8_t v;
	uint32_t ns;
	switch (reg) {
	case RTC_A:
		v = r->cmos[RTC_A];
		(void)rtc_seconds(r, vclock_now(r->clock), &ns);
		if (!rtc_held(r) && ns >= NS_PER_S - RTC_UIP_NS)
			v |= A_UIP;
		return v;
	case RTC_C: /* reading clears */
		rtc_sync(r);
		rtc_update(r);
		v = r->cmos[RTC_C];
		r->cmos[RTC_C] = 0;
		rtc_update(r);
		return v;
	case RTC_D:
		return D_VALID;
	default:
		if (rtc_is_time(reg) && !rtc_held(r))
			rtc_time_to_regs(r, rtc_seconds(r, vclock_now(r->clock), NULL));
		return r->cmos[reg];
	}
}

static void rtc_reg_write(struct rtc *r, unsigned reg, uint8_t v)
{
	bool held = rtc_held(r);
	rtc_sync(r);
	if (!held)
		rtc_time_to_regs(r, rtc_seconds(r, vclock_now(r->clock), NULL));
	switch (reg) {
	case RTC_A:
		r->cmos[RTC_A] = v & (uint8_t)~A_UIP;
		r->div_reset |= rtc_divider_off(v);
		break;
	case RTC_B:
		/* The guest may change the format of the registers at the same time: what they held
		 * is then read in the new one, as on the chip. Holding the clock ends UIE. */
		if (v & B_SET)
			v &= (uint8_t)~B_UIE;
		r->cmos[RTC_B] = v;
		break;
	case RTC_C:
	case RTC_D:
		return;
	default:
		r->cmos[reg] = v;
		break;
	}
	if (held && !rtc_held(r)) {
		rtc_set_seconds(r, rtc_time_from_regs(r));
	} else if (!held && !rtc_held(r) && rtc_is_time(reg)) {
		rtc_set_seconds(r, rtc_time_from_regs(r));
	}
	rtc_update(r);
}

static uint64_t rtc_read(void *ctx, unsigned vcpu, uint64_t off, unsigned size)
{
	struct rtc *r = ctx;
	(void)vcpu;
	(void)size;
	return off == 0 ? 0xff : rtc_reg_read(r, r->index); /* the index cannot be read */
}

static void rtc_write(void *ctx, unsigned vcpu, uint64_t off, unsigned size, uint64_t value)
{
	struct rtc *r = ctx;
	(void)vcpu;
	(void)size;
	if (off == 0)
		r->index = value & 0x7fu; /* bit 7 gates NMI, which nothing here raises that way */
	else
		rtc_reg_write(r, r->index, (uint8_t)value);
}

static const struct bus_region_ops rtc_ops = {
	.read = rtc_read,
	.write = rtc_write,
	.max_size = 1,
};

static void rtc_put16(struct rtc *r, unsigned reg, uint64_t v)
{
	uint16_t cut = (uint16_t)(v > 0xffff ? 0xffff : v);
	r->cmos[reg] = (uint8_t)cut;
	r->cmos[reg + 1] = (uint8_t)(cut >> 8);
}

static void rtc_reset(void *self)
{
	struct rtc *r = self;
	uint64_t high = r->ram_high >> 16;
	memset(r->cmos, 0, sizeof(r->cmos));
	r->index = 0;
	r->offset_s = 0;
	r->phase_ns = 0;
	r->div_reset = false;
	r->cmos[RTC_A] = 0x26; /* 32768 Hz crystal, 1024 Hz periodic rate */
	r->cmos[RTC_B] = B_24H;
	/* Memory, as firmware says it: KiB below and above 1M, 64 KiB units above 16M and 4G. */
	rtc_put16(r, 0x15, 640);
	rtc_put16(r, 0x17, r->ram_low > 1u << 20 ? (r->ram_low - (1u << 20)) >> 10 : 0);
	rtc_put16(r, 0x30, r->ram_low > 1u << 20 ? (r->ram_low - (1u << 20)) >> 10 : 0);
	rtc_put16(r, 0x34, r->ram_low > 16u << 20 ? (r->ram_low - (16u << 20)) >> 16 : 0);
	r->cmos[0x5b] = (uint8_t)high;
	r->cmos[0x5c] = (uint8_t)(high >> 8);
	r->cmos[0x5d] = (uint8_t)(high >> 16);
	r->synced = vclock_now(r->clock);
	/* Reads work the time registers out; until then they hold the time of the reset. */
	rtc_time_to_regs(r, rtc_seconds(r, r->synced, NULL));
	rtc_update(r);
}

static int rtc_post_load(void *obj)
{
	const struct rtc *r = obj;
	if (r->index > 0x7f || r->phase_ns >= NS_PER_S || r->offset_s > RTC_MAX_OFFSET ||
	    r->offset_s < -RTC_MAX_OFFSET)
		return RV_EINVAL;
	return r->cmos[RTC_A] & A_UIP || r->cmos[RTC_D] ? RV_EINVAL : RV_OK;
}

static const struct state_field rtc_fields[] = {
	STATE_FIELD(struct rtc, index),
	STATE_ARRAY(struct rtc, cmos),
	STATE_FIELD(struct rtc, offset_s),
	STATE_FIELD(struct rtc, phase_ns),
	STATE_BOOL(struct rtc, div_reset),
	STATE_FIELD(struct rtc, synced),
	STATE_BOOL(struct rtc, line),
};

static const struct state_desc rtc_desc = {
	.name = "rtc",
	.version = 1,
	.fields = rtc_fields,
	.nfields = RV_ARRAY_LEN(rtc_fields),
	.post_load = rtc_post_load,
};

static const struct device_ops rtc_device_ops = {
	.name = "rtc",
	.desc = &rtc_desc,
	.reset = rtc_reset,
	.destroy = free,
};

int rtc_create(struct device *dev, struct bus *bus, struct vclock *clock, struct irq_line irq,
	       uint64_t ram_low, uint64_t ram_high)
{
	struct rtc *r = calloc(1, sizeof(*r));
	if (!r)
		return RV_ENOMEM;
	r->clock = clock;
	r->irq = irq;
	r->ram_low = ram_low;
	r->ram_high = ram_high;
	if (bus_add_pio(bus, 0x70, 2, &rtc_ops, r) != RV_OK) {
		free(r);
		return RV_ENOMEM;
	}
	r->timer = vclock_timer_add(clock, "rtc", rtc_fire, r);
	rtc_reset(r);
	dev->ops = &rtc_device_ops;
	dev->self = r;
	return RV_OK;
}
