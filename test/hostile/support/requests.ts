import { randomBytes } from 'node:crypto';
import { backendFor } from '@podsocks/shared/crypto/backends';
import {
  type ClientKeys,
  identityHash,
  sealIdentity,
  sip004Subkey,
  sip022Subkey,
} from '@podsocks/shared/crypto/key-derivation';
import { type Method, TAG_BYTES } from '@podsocks/shared/crypto/methods';
import type { StreamOpener, StreamSealer } from '@podsocks/shared/crypto/stream';
import { clientStreams } from '@podsocks/shared/crypto/streams';
import { streamServices } from '@podsocks/shared/net/stream-services';
import { targetOf } from '@podsocks/shared/wire/address';

export function unixTime(): number {
  return Math.floor(Date.now() / 1000);
}

/** A request as an honest client makes it. */
export interface OwnRequest {
  /** The next bytes for the wire; the first time with the header. */
  seal(payload: Uint8Array | string): Buffer;
  /** For the answer; to be called once. */
  opener(): StreamOpener;
}

/** @param clockOffset what the client's clock is ahead, in seconds. */
export function requestTo(method: Method, keys: ClientKeys, port: number, clockOffset = 0): OwnRequest {
  const services = streamServices(method, 'auto');
  const streams = clientStreams({ ...services, unixTime: () => services.unixTime() + clockOffset });
  const sealer = streams.sealRequest(keys, targetOf('127.0.0.1', port));
  return {
    seal: payload => sealed(sealer, payload),
    opener: () => streams.openResponse(keys, sealer.salt),
  };
}

export function sealed(sealer: StreamSealer, payload: Uint8Array | string): Buffer {
  const bytes = Buffer.from(payload);
  const out = Buffer.alloc(sealer.sealedLength(bytes.length));
  return out.subarray(0, sealer.seal(out, 0, bytes, 0, bytes.length));
}

/** Opens the next bytes of a stream. */
export function opened(opener: StreamOpener, bytes: Uint8Array): Buffer {
  const out = Buffer.alloc(opener.openedLength(bytes.length));
  return out.subarray(0, opener.open(out, 0, bytes, 0, bytes.length));
}

/**
 * Bytes of somebody who has the keys and does not keep to the protocol: salt, identity headers, then every unit sealed.
 * The last identity header names the owner of the key `named`. The units of SIP004 are length and payload by turns, those of SIP022 the fixed and the variable header, then the same.
 */
export function sealedUnits(
  method: Method,
  { key, identityKeys, named = key }: ClientKeys & { readonly named?: Uint8Array },
  units: readonly Uint8Array[],
): Buffer {
  const salt = randomBytes(method.keyBytes);
  const identities = identityKeys.map((identityKey, index) =>
    sealIdentity(identityKey, salt, identityHash(identityKeys[index + 1] ?? named)),
  );
  const subkey = method.generation === 'sip004' ? sip004Subkey : sip022Subkey;
  const aead = backendFor(method, 'auto').create(method.aead, subkey(key, salt));
  const sealedParts = units.map(unit => {
    const out = Buffer.alloc(unit.length + TAG_BYTES);
    aead.seal(out, 0, unit, 0, unit.length);
    return out;
  });
  return Buffer.concat([salt, ...identities, ...sealedParts]);
}

/** A copy with one bit of one byte flipped. */
export function flipped(bytes: Uint8Array, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at]! ^= 1 << (at % 8);
  return copy;
}
