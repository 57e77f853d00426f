/* SPDX-License-Identifier: Apache-2.0 */
#include "parse.h"

#include <stddef.h>
#include <string.h>

/* The number at *text; moves it behind the last digit. */
static bool take_number(const char **text, unsigned base, uint64_t *out)
{
	const char *p = *text;
	uint64_t v = 0;

	for (;; p++) {
		unsigned digit;

		if (*p >= '0' && *p <= '9')
			digit = (unsigned)(*p - '0');
		else if (base == 16 && *p >= 'a' && *p <= 'f')
			digit = (unsigned)(*p - 'a') + 10;
		else if (base == 16 && *p >= 'A' && *p <= 'F')
			digit = (unsigned)(*p - 'A') + 10;
		else
			break;
		if (v > (UINT64_MAX - digit) / base)
			return false;
		v = v * base + digit;
	}
	if (p == *text)
		return false;
	*text = p;
	*out = v;
	return true;
}

bool parse_u64(const char *text, uint64_t *out)
{
	unsigned base = 10;
	uint64_t v;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	}
	if (!take_number(&text, base, &v) || *text)
		return false;
	*out = v;
	return true;
}

bool parse_duration(const char *text, uint64_t *ns)
{
	uint64_t v, unit;

	if (!take_number(&text, 10, &v) || !*text || text[1])
		return false;
	unit = *text == 's' ? 1 : *text == 'm' ? 60 : *text == 'h' ? 3600 : 0;
	if (!unit || !v || v > 1000000000u / unit)
		return false;
	*ns = v * unit * 1000000000u;
	return true;
}

bool parse_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	unsigned shift = 0;
	uint64_t v;

	if (!take_number(&text, 10, &v))
		return false;
	if (*text) {
		char c = *text >= 'a' && *text <= 'z' ? (char)(*text - 'a' + 'A') : *text;
		const char *unit = strchr(units, c);

		if (!unit)
			return false;
		shift = 10u * (unsigned)(unit - units + 1);
		text++;
		if (!strcmp(text, "iB") || !strcmp(text, "B"))
			text += strlen(text);
	}
	if (*text || v > UINT64_MAX >> shift)
		return false;
	*out = v << shift;
	return true;
}

bool parse_seconds(const char *text, uint64_t *ns)
{
	uint64_t whole, part = 0, unit = 1000000000;

	if (!take_number(&text, 10, &whole) || whole > unit)
		return false;
	if (*text == '.') {
		if (!text[1])
			return false;
		for (text++; *text >= '0' && *text <= '9' && unit > 1; text++) {
			unit /= 10;
			part += (uint64_t)(*text - '0') * unit;
		}
	}
	if (*text)
		return false;
	*ns = whole * 1000000000 + part;
	return true;
}

static bool take_digits(const char **text, unsigned n, unsigned *out)
{
	unsigned v = 0;

	for (; n; n--, (*text)++) {
		if (**text < '0' || **text > '9')
			return false;
		v = v * 10 + (unsigned)(**text - '0');
	}
	*out = v;
	return true;
}

static bool take_char(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

static bool leap_year(unsigned y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

bool parse_date(const char *text, int64_t *out)
{
	static const uint8_t month_days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	unsigned year, month, day, hour = 0, minute = 0, second = 0;
	int64_t days = 0;

	if (!take_digits(&text, 4, &year) || !take_char(&text, '-') ||
	    !take_digits(&text, 2, &month) || !take_char(&text, '-') || !take_digits(&text, 2, &day))
		return false;
	if (*text == 'T' || *text == ' ') {
		text++;
		if (!take_digits(&text, 2, &hour) || !take_char(&text, ':') ||
		    !take_digits(&text, 2, &minute) || !take_char(&text, ':') ||
		    !take_digits(&text, 2, &second))
			return false;
	}
	if (*text == 'Z')
		text++;
	if (*text || year < 1970 || year > 2199 || month < 1 || month > 12 || hour > 23 ||
	    minute > 59 || second > 59)
		return false;
	if (day < 1 || day > month_days[month - 1] + (unsigned)(month == 2 && leap_year(year)))
		return false;
	for (unsigned y = 1970; y < year; y++)
		days += leap_year(y) ? 366 : 365;
	for (unsigned m = 1; m < month; m++)
		days += month_days[m - 1] + (m == 2 && leap_year(year));
	days += day - 1;
	*out = (days * 86400 + hour * 3600 + minute * 60 + second) * 1000000000;
	return true;
}
