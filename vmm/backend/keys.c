/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

#define CTRL_A 0x01u

enum console_key console_keys_filter(struct console_keys *k, const uint8_t *in, size_t len, size_t *used,
				     uint8_t *out, size_t *made)
{
	enum console_key key = CONSOLE_KEY_NONE;
	size_t i, n = 0;

	for (i = 0; i < len && key == CONSOLE_KEY_NONE; i++) {
		if (!k->escaped) {
			if (in[i] == CTRL_A)
				k->escaped = true;
			else
				out[n++] = in[i];
			continue;
		}
		k->escaped = false;
		switch (in[i]) {
		case CTRL_A:
			out[n++] = CTRL_A;
			break;
		case 'x':
		case 'X':
			key = CONSOLE_KEY_QUIT;
			break;
		case 'h':
		case 'H':
		case '?':
			key = CONSOLE_KEY_HELP;
			break;
		default: /* not a key of ours: dropped, as nothing says what was meant */
			break;
		}
	}
	*used = i;
	*made = n;
	return key;
}
