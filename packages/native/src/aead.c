/*
 * AEAD contexts for podsocks, over Node-API and the OpenSSL that the `node` binary itself carries and exports: nothing to
 * link and nothing to ship. One context keeps its EVP_CIPHER_CTX alive and only sets the nonce, which is what makes it
 * several times faster than node:crypto, where every operation makes a cipher object anew. A context of salted messages sets
 * the key as well, which it derives from their salts.
 *
 * The functions of OpenSSL that are used are declared here, as OpenSSL 1.1 and 3 document them: Node's own headers for
 * them would have to be downloaded.
 */
#define NAPI_VERSION 8
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "hkdf.h"

typedef struct evp_cipher_st EVP_CIPHER;
typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
extern const EVP_CIPHER *EVP_aes_128_gcm(void);
extern const EVP_CIPHER *EVP_aes_192_gcm(void);
extern const EVP_CIPHER *EVP_aes_256_gcm(void);
extern const EVP_CIPHER *EVP_chacha20_poly1305(void);
extern EVP_CIPHER_CTX *EVP_CIPHER_CTX_new(void);
extern void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX *ctx);
extern int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr);
extern int EVP_CipherInit_ex(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, void *engine, const unsigned char *key,
                             const unsigned char *iv, int enc);
extern int EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *out_length, const unsigned char *in, int in_length);
extern int EVP_CipherFinal_ex(EVP_CIPHER_CTX *ctx, unsigned char *out, int *out_length);
extern void OPENSSL_cleanse(void *memory, size_t length);
extern void ERR_clear_error(void);

enum {
  CTRL_GET_TAG = 0x10, /* EVP_CTRL_AEAD_GET_TAG */
  CTRL_SET_TAG = 0x11, /* EVP_CTRL_AEAD_SET_TAG */
  OPEN = 0,            /* the `enc` of EVP_CipherInit_ex */
  SEAL = 1,
  TAG_BYTES = 16,
  NONCE_BYTES = 12,
  MAX_KEY_BYTES = 32,
  MAX_LENGTH = 0x7fffffff - TAG_BYTES, /* EVP_CipherUpdate counts in int */
};

/* What an EVP context takes with all that hangs on it: as measured 1050 to 1180 bytes, by AEAD, OpenSSL 3.0 and 3.5. */
#define EVP_WEIGHT 1168

struct primitive {
  const char *name;
  const EVP_CIPHER *(*cipher)(void);
  size_t key_bytes;
};

static const struct primitive PRIMITIVES[] = {
    {"aes-128-gcm", EVP_aes_128_gcm, 16},
    {"aes-192-gcm", EVP_aes_192_gcm, 24},
    {"aes-256-gcm", EVP_aes_256_gcm, 32},
    {"chacha20-poly1305", EVP_chacha20_poly1305, 32},
};

struct context {
  const struct primitive *primitive;
  bool closed;
  /*
   * Salted: a salt as long as the key goes before each message. The key is a master key, the message's own comes of both, and
   * the nonce stays zero. If not, there are no salts, and the nonce counts.
   */
  bool salted;
  unsigned char key[MAX_KEY_BYTES];
  unsigned char nonce[NONCE_BYTES];
  /* By direction; made when first used, which for the streams of a tunnel is one of the two. */
  EVP_CIPHER_CTX *evp[2];
};

/* Where a JavaScript view lies, and how long it is. */
struct view {
  unsigned char *data;
  size_t length;
};

/* Tells V8's collector, which sees but a handle of a few bytes, what is made and freed behind it. */
static void weigh(napi_env env, int64_t change) {
  int64_t ignored;
  napi_adjust_external_memory(env, change, &ignored);
}

static void forget(napi_env env, struct context *context) {
  for (int direction = 0; direction < 2; direction++) {
    if (context->evp[direction] == NULL) continue;
    EVP_CIPHER_CTX_free(context->evp[direction]); /* wipes its key schedule */
    context->evp[direction] = NULL;
    weigh(env, -EVP_WEIGHT);
  }
  OPENSSL_cleanse(context->key, sizeof context->key);
  context->closed = true;
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)hint;
  forget(env, data);
  free(data);
}

static napi_value misuse(napi_env env, const char *message) {
  napi_throw_range_error(env, "ERR_ARGUMENT", message);
  return NULL;
}

/* A view of a buffer that was transferred, or that shrank away under it, has 0 bytes. */
static bool read_view(napi_env env, napi_value value, struct view *view) {
  static unsigned char nowhere; /* for views without bytes: they may have no address, on which C has no arithmetic */
  napi_typedarray_type type;
  void *data;
  if (napi_get_typedarray_info(env, value, &type, &view->length, &data, NULL, NULL) != napi_ok) return false;
  view->data = view->length == 0 ? &nowhere : data;
  return type == napi_uint8_array;
}

/* By address, for two views may lie in different objects over the same memory. Nothing overlaps with no bytes. */
static bool overlap(const unsigned char *one, size_t one_length, const unsigned char *other, size_t other_length) {
  uintptr_t a = (uintptr_t)one, b = (uintptr_t)other;
  return one_length != 0 && other_length != 0 && a < b + other_length && b < a + one_length;
}

/* A whole number that is no larger than `most`. */
static bool read_size(napi_env env, napi_value value, size_t most, size_t *size) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok) return false;
  if (!(number >= 0 && number <= (double)most)) return false; /* NaN fails both */
  *size = (size_t)number;
  return (double)*size == number;
}

static napi_value create_context(napi_env env, napi_callback_info info, bool salted) {
  size_t count = 2;
  napi_value arguments[2], handle;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok) return NULL;
  char name[32];
  size_t name_length;
  if (napi_get_value_string_utf8(env, arguments[0], name, sizeof name, &name_length) != napi_ok)
    return misuse(env, "the name of the AEAD has to be a string");
  const struct primitive *primitive = NULL;
  for (size_t index = 0; index < sizeof PRIMITIVES / sizeof *PRIMITIVES; index++)
    if (strlen(name) == name_length && strcmp(name, PRIMITIVES[index].name) == 0) primitive = &PRIMITIVES[index];
  if (primitive == NULL) return misuse(env, "there is no AEAD of this name");
  struct view key;
  if (!read_view(env, arguments[1], &key) || key.length != primitive->key_bytes)
    return misuse(env, "the key has to be a Uint8Array as long as the AEAD needs it");

  struct context *context = calloc(1, sizeof *context);
  if (context == NULL) return misuse(env, "out of memory");
  context->primitive = primitive;
  context->salted = salted;
  memcpy(context->key, key.data, key.length);
  if (napi_create_external(env, context, finalize, NULL, &handle) != napi_ok) {
    forget(env, context);
    free(context);
    return misuse(env, "the context cannot be made");
  }
  return handle;
}

/* (aead, key): makes a handle for the other functions to take. */
static napi_value create(napi_env env, napi_callback_info info) { return create_context(env, info, false); }

/* (aead, masterKey): the same, for salted messages. */
static napi_value create_salted(napi_env env, napi_callback_info info) { return create_context(env, info, true); }

/* Handles are kept in private fields of the classes of addon.ts, so none comes from elsewhere. */
static struct context *context_of(napi_env env, napi_value handle) {
  void *context;
  if (napi_get_value_external(env, handle, &context) != napi_ok) {
    misuse(env, "this is no AeadContext");
    return NULL;
  }
  if (((struct context *)context)->closed) {
    misuse(env, "the AeadContext is closed");
    return NULL;
  }
  return context;
}

/*
 * The EVP context of a direction, with the nonce set, and under a salt the key as well. NULL when OpenSSL refuses, as FIPS mode
 * does with ChaCha20.
 */
static EVP_CIPHER_CTX *evp_for(napi_env env, struct context *context, int direction, const unsigned char *salt) {
  const struct primitive *primitive = context->primitive;
  EVP_CIPHER_CTX *evp = context->evp[direction];
  bool first = evp == NULL;
  unsigned char subkey[MAX_KEY_BYTES];
  const unsigned char *key = first ? context->key : NULL; /* NULL: as it is */
  if (context->salted) {
    if (!derive_subkey(subkey, context->key, salt, primitive->key_bytes)) return NULL;
    key = subkey;
  }
  if (first) evp = EVP_CIPHER_CTX_new();
  const EVP_CIPHER *cipher = first ? primitive->cipher() : NULL;
  bool ready = evp != NULL && EVP_CipherInit_ex(evp, cipher, NULL, key, context->nonce, direction) == 1;
  if (context->salted) OPENSSL_cleanse(subkey, sizeof subkey);
  if (first && !ready) EVP_CIPHER_CTX_free(evp); /* which takes NULL */
  if (!ready) return NULL;
  if (first) weigh(env, EVP_WEIGHT);
  return context->evp[direction] = evp;
}

static void count_up(struct context *context) {
  if (context->salted) return;
  for (int at = 0; at < NONCE_BYTES; at++)
    if (++context->nonce[at] != 0) return;
}

struct operation {
  struct context *context;
  unsigned char *out;
  const unsigned char *in;
  const unsigned char *salt;
  size_t length;
};

/*
 * (handle, out, outAt, input, inputAt, length): reads and checks all of it. The tag, and the salt if there is one, are in `out`
 * for SEAL and in `input` for OPEN.
 */
static bool read_operation(napi_env env, napi_callback_info info, int direction, struct operation *operation) {
  size_t count = 6, out_at, in_at;
  napi_value arguments[6]; /* undefined where there are fewer */
  struct view out, in;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok) return false;
  operation->context = context_of(env, arguments[0]);
  if (operation->context == NULL) return false;
  if (!read_view(env, arguments[1], &out)) return misuse(env, "out has to be a Uint8Array"), false;
  if (!read_view(env, arguments[3], &in)) return misuse(env, "input has to be a Uint8Array"), false;
  if (!read_size(env, arguments[5], MAX_LENGTH, &operation->length)) return misuse(env, "length is no size"), false;
  size_t salt_length = operation->context->salted ? operation->context->primitive->key_bytes : 0;
  size_t out_length = operation->length + (direction == SEAL ? salt_length + TAG_BYTES : 0);
  size_t in_length = operation->length + (direction == SEAL ? 0 : salt_length + TAG_BYTES);
  if (!read_size(env, arguments[2], out.length, &out_at) || out.length - out_at < out_length)
    return misuse(env, "outAt and length go beyond out"), false;
  if (!read_size(env, arguments[4], in.length, &in_at) || in.length - in_at < in_length)
    return misuse(env, "inputAt and length go beyond input"), false;
  operation->out = out.data + out_at;
  operation->in = in.data + in_at;
  if (overlap(operation->out, out_length, operation->in, in_length))
    return misuse(env, "out and input overlap"), false;
  if (direction == SEAL) {
    operation->salt = operation->out;
    operation->out += salt_length;
  } else {
    operation->salt = operation->in;
    operation->in += salt_length;
  }
  return true;
}

static napi_value seal(napi_env env, napi_callback_info info) {
  struct operation operation;
  if (!read_operation(env, info, SEAL, &operation)) return NULL;
  EVP_CIPHER_CTX *evp = evp_for(env, operation.context, SEAL, operation.salt);
  int written = 0, rest = 0;
  unsigned char nothing[TAG_BYTES];
  bool sealed = evp != NULL &&
                (operation.length == 0 ||
                 EVP_CipherUpdate(evp, operation.out, &written, operation.in, (int)operation.length) == 1) &&
                EVP_CipherFinal_ex(evp, nothing, &rest) == 1 &&
                EVP_CIPHER_CTX_ctrl(evp, CTRL_GET_TAG, TAG_BYTES, operation.out + operation.length) == 1;
  if (!sealed) {
    OPENSSL_cleanse(operation.out, operation.length + TAG_BYTES);
    /* The nonce may have been used: the context must not seal anything else under it. With the next salt it may. */
    if (!operation.context->salted) forget(env, operation.context);
    ERR_clear_error();
    return misuse(env, "OpenSSL refuses to seal");
  }
  count_up(operation.context);
  return NULL;
}

static napi_value open_(napi_env env, napi_callback_info info) {
  struct operation operation;
  if (!read_operation(env, info, OPEN, &operation)) return NULL;
  EVP_CIPHER_CTX *evp = evp_for(env, operation.context, OPEN, operation.salt);
  int written = 0, rest = 0;
  unsigned char nothing[TAG_BYTES], tag[TAG_BYTES];
  memcpy(tag, operation.in + operation.length, TAG_BYTES);
  bool ready = evp != NULL && EVP_CIPHER_CTX_ctrl(evp, CTRL_SET_TAG, TAG_BYTES, tag) == 1 &&
               (operation.length == 0 ||
                EVP_CipherUpdate(evp, operation.out, &written, operation.in, (int)operation.length) == 1);
  if (!ready) {
    ERR_clear_error();
    return misuse(env, "OpenSSL refuses to open");
  }
  /* The only failure left is a tag that does not match; OpenSSL's queue of errors must not keep it for somebody else. */
  bool authentic = EVP_CipherFinal_ex(evp, nothing, &rest) == 1;
  if (authentic) {
    count_up(operation.context);
  } else {
    OPENSSL_cleanse(operation.out, operation.length); /* nobody shall use what is not authentic */
    ERR_clear_error();
  }
  napi_value result;
  return napi_get_boolean(env, authentic, &result) == napi_ok ? result : NULL;
}

/* (handle, nonce) */
static napi_value set_nonce(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  struct view nonce;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok) return NULL;
  struct context *context = context_of(env, arguments[0]);
  if (context == NULL) return NULL;
  if (!read_view(env, arguments[1], &nonce) || nonce.length != NONCE_BYTES)
    return misuse(env, "the nonce has to be a Uint8Array of 12 bytes");
  if (context->salted) return misuse(env, "the nonce of salted messages is zero");
  memcpy(context->nonce, nonce.data, NONCE_BYTES);
  return NULL;
}

/* (handle): may be called again. */
static napi_value close_(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value handle;
  void *context;
  if (napi_get_cb_info(env, info, &count, &handle, NULL, NULL) != napi_ok) return NULL;
  if (napi_get_value_external(env, handle, &context) != napi_ok) return misuse(env, "this is no AeadContext");
  forget(env, context);
  return NULL;
}

NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {
      {"create", NULL, create, NULL, NULL, NULL, napi_enumerable, NULL},
      {"createSalted", NULL, create_salted, NULL, NULL, NULL, napi_enumerable, NULL},
      {"seal", NULL, seal, NULL, NULL, NULL, napi_enumerable, NULL},
      {"open", NULL, open_, NULL, NULL, NULL, napi_enumerable, NULL},
      {"setNonce", NULL, set_nonce, NULL, NULL, NULL, napi_enumerable, NULL},
      {"close", NULL, close_, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  if (napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions) != napi_ok) return NULL;
  return exports;
}
