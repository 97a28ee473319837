import { PodsocksError } from '../runtime/errors.ts';
import { quotedBriefly } from '../runtime/printable.ts';

/** The AEAD primitives that a backend can offer. */
export type Aead = 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm' | 'chacha20-poly1305' | 'xchacha20-poly1305';

/** Every AEAD here has a tag of 16 bytes. */
export const TAG_BYTES = 16;

export interface Method {
  readonly name: MethodName;
  /** The protocol generation: SIP004 (password) or SIP022 (base64 key, timestamps). */
  readonly generation: 'sip004' | 'sip022';
  readonly aead: Aead;
  /** Key, subkey and TCP salt have this length. */
  readonly keyBytes: number;
  readonly nonceBytes: number;
  /** The largest plaintext of one chunk on TCP. */
  readonly maxChunk: number;
  /** SIP023 identity headers exist for the AES methods of SIP022 only. */
  readonly identityHeaders: boolean;
}

const SIP004_MAX_CHUNK = 0x3fff;
const SIP022_MAX_CHUNK = 0xffff;

function sip004<Name extends string>(name: Name, aead: Aead, keyBytes: number, nonceBytes = 12) {
  return {
    name,
    generation: 'sip004' as const,
    aead,
    keyBytes,
    nonceBytes,
    maxChunk: SIP004_MAX_CHUNK,
    identityHeaders: false,
  };
}

function sip022<Name extends string>(name: Name, aead: Aead, keyBytes: number, identityHeaders: boolean) {
  return {
    name,
    generation: 'sip022' as const,
    aead,
    keyBytes,
    nonceBytes: 12,
    maxChunk: SIP022_MAX_CHUNK,
    identityHeaders,
  };
}

/** The one table of methods. */
const TABLE = [
  sip022('2022-blake3-aes-256-gcm', 'aes-256-gcm', 32, true),
  sip022('2022-blake3-aes-128-gcm', 'aes-128-gcm', 16, true),
  sip022('2022-blake3-chacha20-poly1305', 'chacha20-poly1305', 32, false),
  sip004('aes-256-gcm', 'aes-256-gcm', 32),
  sip004('aes-192-gcm', 'aes-192-gcm', 24),
  sip004('aes-128-gcm', 'aes-128-gcm', 16),
  sip004('chacha20-ietf-poly1305', 'chacha20-poly1305', 32),
  sip004('xchacha20-ietf-poly1305', 'xchacha20-poly1305', 32, 24),
] as const;

export type MethodName = (typeof TABLE)[number]['name'];

export const METHODS: readonly Method[] = TABLE;

export const METHOD_NAMES: readonly MethodName[] = TABLE.map(method => method.name);

export const DEFAULT_METHOD: MethodName = '2022-blake3-aes-256-gcm';

/** Methods without authentication, which other implementations still know; each with what to use instead. */
const STREAM_CIPHER =
  /^(none|plain|table|rc4(-md5(-6)?)?|(aes|camellia)-(128|192|256)-(cfb(1|8)?|ctr|ofb)|(bf|cast5|des|idea|rc2|seed)-cfb|(x?chacha20|chacha20-ietf|salsa20))$/;

/**
 * @throws PodsocksError ERR_CONFIG, naming the method to use instead.
 */
export function methodNamed(name: string): Method {
  const wanted = name.toLowerCase();
  const method = METHODS.find(candidate => candidate.name === wanted);
  if (method) return method;
  if (STREAM_CIPHER.test(wanted)) {
    const instead = /chacha|salsa/.test(wanted) ? '2022-blake3-chacha20-poly1305' : DEFAULT_METHOD;
    throw new PodsocksError(
      'ERR_CONFIG',
      `method ${quotedBriefly(name)} does not authenticate what it encrypts and is not offered; use "${instead}", ` +
        `or "${/chacha|salsa/.test(wanted) ? 'chacha20-ietf-poly1305' : 'aes-256-gcm'}" where the other end knows no 2022 method`,
    );
  }
  throw new PodsocksError(
    'ERR_CONFIG',
    `method ${quotedBriefly(name)} is unknown; use one of ${METHOD_NAMES.join(', ')}`,
  );
}
