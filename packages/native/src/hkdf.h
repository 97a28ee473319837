#include <stdbool.h>
#include <stddef.h>

/*
 * The subkey of a SIP004 message: HKDF-SHA1 (RFC 5869) of key and salt, with the info "ss-subkey". Key, salt and subkey have
 * the same length, at most 40 bytes.
 *
 * False when OpenSSL refuses; then there is nothing in `subkey` to be used.
 */
bool derive_subkey(unsigned char *subkey, const unsigned char *key, const unsigned char *salt, size_t length);
