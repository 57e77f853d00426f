/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etcd:URL[,cacert=F][,cert=F][,key=F]: term N is the key PAIR/N (20 digits, so
 * that they sort), put by a transaction if its mod_revision is 0, without a
 * lease. Spoken is etcd's JSON gateway ("Interacting with etcd: gRPC gateway"),
 * where keys and values are base64 and fields with a zero value are left out.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arbiter_int.h"
#include "base/bytes.h"

#define REPLY_MAX 65536u

struct arbiter_etcd {
	char url[300], cacert[300], cert[300], key[300];
};

static bool take_option(char *out, size_t size, const char *text, const char *name)
{
	size_t len = strlen(name);
	if (strncmp(text, name, len) != 0 || strlen(text + len) >= size)
		return false;
	memcpy(out, text + len, strlen(text + len) + 1);
	return true;
}

static int etcd_open(void **self, const char *rest, struct rv_err *err)
{
	struct arbiter_etcd *e = calloc(1, sizeof(*e));
	char *copy = strdup(rest), *save = NULL, *part = copy ? strtok_r(copy, ",", &save) : NULL;
	bool ok = e && part && strlen(part) < sizeof(e->url) &&
		  (!strncmp(part, "http://", 7) || !strncmp(part, "https://", 8));
	if (ok)
		snprintf(e->url, sizeof(e->url), "%s", part);
	while (ok && (part = strtok_r(NULL, ",", &save)))
		ok = take_option(e->cacert, sizeof(e->cacert), part, "cacert=") ||
		     take_option(e->cert, sizeof(e->cert), part, "cert=") ||
		     take_option(e->key, sizeof(e->key), part, "key=");
	free(copy);
	if (!ok) {
		free(e);
		return rv_err_set(err, RV_EUSAGE,
				  "--arbiter=etcd:%.200s: use etcd:http[s]://HOST:PORT[,cacert=F][,cert=F][,key=F]", rest);
	}
	*self = e;
	return RV_OK;
}

static void etcd_close(void *self)
{
	free(self);
}

/* ---- base64 (RFC 4648) ---- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void base64_put(struct bytes *out, const void *data, size_t len)
{
	const uint8_t *p = data;
	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < len ? (uint32_t)p[i + 1] << 8 : 0) |
			     (i + 2 < len ? p[i + 2] : 0u);
		char four[4] = { digits[v >> 18], digits[v >> 12 & 63], i + 1 < len ? digits[v >> 6 & 63] : '=',
				 i + 2 < len ? digits[v & 63] : '=' };
		bytes_put(out, four, 4);
	}
}

/* Up to the closing quote. False: not base64, or too long. */
static bool base64_get(const char *text, char *out, size_t size)
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;
	for (; *text && *text != '"' && *text != '='; text++) {
		const char *d = strchr(digits, *text);
		if (!d)
			return false;
		bits = bits << 6 | (uint32_t)(d - digits);
		have += 6;
		if (have >= 8) {
			have -= 8;
			if (n + 1 >= size)
				return false;
			out[n++] = (char)(bits >> have & 255);
		}
	}
	out[n] = '\0';
	return *text != '\0';
}

/* The text behind "name": of the reply, which holds no such name twice before it. NULL: it is not there. */
static const char *field(const char *json, const char *name)
{
	char quoted[32];
	const char *p;
	snprintf(quoted, sizeof(quoted), "\"%s\"", name);
	p = strstr(json, quoted);
	if (!p)
		return NULL;
	p += strlen(quoted);
	p += strspn(p, " \t\r\n");
	if (*p++ != ':')
		return NULL;
	return p + strspn(p, " \t\r\n");
}

/* ---- requests ---- */

struct reply {
	char text[REPLY_MAX + 1];
	size_t len;
};

static size_t collect(char *data, size_t size, size_t n, void *ctx)
{
	struct reply *r = ctx;
	if (size * n > REPLY_MAX - r->len)
		return 0;
	memcpy(r->text + r->len, data, size * n);
	r->len += size * n;
	r->text[r->len] = '\0';
	return size * n;
}

static int post(const struct arbiter_etcd *e, const char *path, struct bytes *body, struct reply *r, struct rv_err *err)
{
	char url[400];
	CURL *c = curl_easy_init();
	CURLcode code = CURLE_OUT_OF_MEMORY;
	long status = 0;
	bytes_put_u8(body, 0);
	snprintf(url, sizeof(url), "%s%s", e->url, path);
	if (c && !body->failed) {
		curl_easy_setopt(c, CURLOPT_URL, url);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, (const char *)body->data);
		curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, collect);
		curl_easy_setopt(c, CURLOPT_WRITEDATA, r);
		curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)ARBITER_MS);
		curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
		curl_easy_setopt(c, CURLOPT_PROXY, "");
		curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
		if (e->cacert[0])
			curl_easy_setopt(c, CURLOPT_CAINFO, e->cacert);
		if (e->cert[0])
			curl_easy_setopt(c, CURLOPT_SSLCERT, e->cert);
		if (e->key[0])
			curl_easy_setopt(c, CURLOPT_SSLKEY, e->key);
		code = curl_easy_perform(c);
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	}
	curl_easy_cleanup(c);
	if (code != CURLE_OK)
		return rv_err_set(err, RV_EIO, "%.100s: %s", e->url, curl_easy_strerror(code));
	if (status != 200 || !field(r->text, "header"))
		return rv_err_set(err, RV_EIO, "%.100s: status %ld, not an answer of etcd", e->url, status);
	return RV_OK;
}

static void put_key(struct bytes *out, const char *pair, uint64_t term)
{
	char key[100];
	snprintf(key, sizeof(key), "%s/%020llu", pair, (unsigned long long)term);
	base64_put(out, key, strlen(key));
}

static int etcd_claim(void *self, const struct arbiter_claim *c, uint64_t term, char holder[ARBITER_CLAIM_MAX + 1],
		      struct rv_err *err)
{
	struct bytes body = { 0 };
	struct reply *r = calloc(1, sizeof(*r));
	const char *value;
	int rc;
	if (!r)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	bytes_put_text(&body, "{\"compare\":[{\"target\":\"MOD\",\"mod_revision\":\"0\",\"result\":\"EQUAL\",\"key\":\"");
	put_key(&body, c->pair, term);
	bytes_put_text(&body, "\"}],\"success\":[{\"request_put\":{\"key\":\"");
	put_key(&body, c->pair, term);
	bytes_put_text(&body, "\",\"value\":\"");
	base64_put(&body, c->text, strlen(c->text));
	bytes_put_text(&body, "\"}}],\"failure\":[{\"request_range\":{\"key\":\"");
	put_key(&body, c->pair, term);
	bytes_put_text(&body, "\"}}]}");
	rc = post(self, "/v3/kv/txn", &body, r, err);
	if (rc == RV_OK) {
		const char *succeeded = field(r->text, "succeeded");
		if (!succeeded || strncmp(succeeded, "true", 4) != 0) {
			value = field(r->text, "value");
			if (!value || *value != '"' || !base64_get(value + 1, holder, ARBITER_CLAIM_MAX + 1))
				rc = rv_err_set(err, RV_EIO, "%.100s: an answer without the claim that is there",
						((struct arbiter_etcd *)self)->url);
			else if (strcmp(holder, c->text) != 0)
				rc = RV_EEXIST;
		}
	}
	bytes_fini(&body);
	free(r);
	return rc;
}

static int etcd_latest(void *self, const struct arbiter_claim *c, uint64_t *term, struct rv_err *err)
{
	struct bytes body = { 0 };
	struct reply *r = calloc(1, sizeof(*r));
	char key[128];
	const char *found;
	size_t len = strlen(c->pair);
	int rc;
	*term = 0;
	if (!r)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	/* From PAIR/ to PAIR0, which comes behind all of them. */
	bytes_put_text(&body, "{\"sort_order\":\"DESCEND\",\"sort_target\":\"KEY\",\"limit\":\"1\",\"keys_only\":true,\"key\":\"");
	snprintf(key, sizeof(key), "%s/", c->pair);
	base64_put(&body, key, strlen(key));
	bytes_put_text(&body, "\",\"range_end\":\"");
	snprintf(key, sizeof(key), "%s0", c->pair);
	base64_put(&body, key, strlen(key));
	bytes_put_text(&body, "\"}");
	rc = post(self, "/v3/kv/range", &body, r, err);
	found = rc == RV_OK ? field(r->text, "key") : NULL;
	if (found && (*found != '"' || !base64_get(found + 1, key, sizeof(key)) || strncmp(key, c->pair, len) != 0 ||
		      sscanf(key + len, "/%20llu", (unsigned long long *)term) != 1))
		rc = rv_err_set(err, RV_EIO, "%.100s: an answer with a key that was not asked for",
				((struct arbiter_etcd *)self)->url);
	bytes_fini(&body);
	free(r);
	return rc;
}

const struct arbiter_kind arbiter_kind_etcd = {
	.name = "etcd",
	.open = etcd_open,
	.close = etcd_close,
	.claim = etcd_claim,
	.latest = etcd_latest,
};
