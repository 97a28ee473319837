/*
 * By the functions of OpenSSL for SHA-1 alone: to make and to fetch what its EVP functions need takes several times as long as
 * these ten blocks.
 */
#include "hkdf.h"
#include <stdint.h>
#include <string.h>

/* SHA_CTX, the same in OpenSSL 1.1 and 3. A copy goes on from where the original stood. */
struct sha1 {
  uint32_t h[5], length_low, length_high, data[16];
  unsigned int used;
};
extern int SHA1_Init(struct sha1 *sha1);
extern int SHA1_Update(struct sha1 *sha1, const void *data, size_t length);
extern int SHA1_Final(unsigned char *digest, struct sha1 *sha1);
extern void OPENSSL_cleanse(void *memory, size_t length);

enum {
  DIGEST_BYTES = 20,
  BLOCK_BYTES = 64,
  INFO_BYTES = 9,
};

/* What is to be wiped, in one place. */
struct work {
  unsigned char pad[BLOCK_BYTES];
  struct sha1 inner, outer, running; /* the first two: after the padded key */
  unsigned char extracted[DIGEST_BYTES];
  unsigned char message[DIGEST_BYTES + INFO_BYTES + 1]; /* T(n - 1) | info | n */
  unsigned char expanded[2 * DIGEST_BYTES];             /* T(1) | T(2) */
};

/* HMAC (RFC 2104) under this key from now on; it is no longer than a block. */
static bool set_key(struct work *work, const unsigned char *key, size_t length) {
  memset(work->pad, 0, BLOCK_BYTES);
  memcpy(work->pad, key, length);
  for (int at = 0; at < BLOCK_BYTES; at++) work->pad[at] ^= 0x36;
  if (SHA1_Init(&work->inner) != 1 || SHA1_Update(&work->inner, work->pad, BLOCK_BYTES) != 1) return false;
  for (int at = 0; at < BLOCK_BYTES; at++) work->pad[at] ^= 0x36 ^ 0x5c;
  return SHA1_Init(&work->outer) == 1 && SHA1_Update(&work->outer, work->pad, BLOCK_BYTES) == 1;
}

static bool hmac(struct work *work, unsigned char *digest, const unsigned char *message, size_t length) {
  work->running = work->inner;
  if (SHA1_Update(&work->running, message, length) != 1 || SHA1_Final(digest, &work->running) != 1) return false;
  work->running = work->outer;
  return SHA1_Update(&work->running, digest, DIGEST_BYTES) == 1 && SHA1_Final(digest, &work->running) == 1;
}

static bool expand(struct work *work, size_t length) {
  unsigned char *info = work->message + DIGEST_BYTES;
  memcpy(info, "ss-subkey\1", INFO_BYTES + 1);
  if (!hmac(work, work->expanded, info, INFO_BYTES + 1)) return false;
  if (length <= DIGEST_BYTES) return true;
  memcpy(work->message, work->expanded, DIGEST_BYTES);
  info[INFO_BYTES] = 2;
  return hmac(work, work->expanded + DIGEST_BYTES, work->message, sizeof work->message);
}

bool derive_subkey(unsigned char *subkey, const unsigned char *key, const unsigned char *salt, size_t length) {
  struct work work;
  bool derived = length <= sizeof work.expanded && set_key(&work, salt, length) &&
                 hmac(&work, work.extracted, key, length) && set_key(&work, work.extracted, DIGEST_BYTES) &&
                 expand(&work, length);
  if (derived) memcpy(subkey, work.expanded, length);
  OPENSSL_cleanse(&work, sizeof work);
  return derived;
}
