import { createCipheriv } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { encodeAddress, targetOf } from '../wire/address.ts';
import { choicesFor } from './backend-fixtures.ts';
import { backendFor } from './backends.ts';
import { evpBytesToKey, sip004Subkey, sip022Subkey } from './key-derivation.ts';
import { SIP004_PACKETS, SIP022_PACKETS, XCHACHA_PACKETS } from './known-answers-fixtures.ts';
import { methodNamed, TAG_BYTES } from './methods.ts';

// No official vectors exist. These were worked out independently of this code, and other implementations agree
// (test/interop). They bind key derivation and AEAD together: salt, subkey, nonce, tag.

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const counting = (length: number, from = 0) => Uint8Array.from({ length }, (_, index) => from + index);
const utf8 = (text: string) => Buffer.from(text, 'utf8');

function address(host: string, port: number): Uint8Array {
  const out = new Uint8Array(300);
  return out.subarray(0, encodeAddress(out, 0, targetOf(host, port)));
}

describe('key derivation', () => {
  it('stretches a password as EVP_BytesToKey does', () => {
    expect(hex(evpBytesToKey('foobar', 32))).toBe('3858f62230ac3c915f300c664312c63f568378529614d22ddb49237d2f60bfdf');
  });

  it('derives the SIP022 session subkey', () => {
    const psk = Buffer.from('Lc3tTx0BY6ZJ/fCwOx3JvF0I/anhwJBO5p2+FA5Vce4=', 'base64');
    const salt = Buffer.from('3oFO0VyLyGI4nFN0M9P+62vPND/L6v8IingaPJWTbJA=', 'base64');
    const subkey = Buffer.from(sip022Subkey(psk, salt)).toString('base64');
    expect(subkey).toBe('EdNE+4U8dVnHT0+poAFDK2bdlwfrHT61sUNr9WYPh+E=');
  });
});

const TIME = 1700000000;
const clientSession = Buffer.from('0102030405060708', 'hex');
const serverSession = Buffer.from('1112131415161718', 'hex');
const padding = Buffer.concat([Buffer.from([0, 3]), utf8('pad')]);
const payload = Buffer.concat([Buffer.from('1234', 'hex'), utf8('dns')]);

function u64(value: number): Uint8Array {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(value));
  return out;
}

const clientBody = () => Buffer.concat([Buffer.from([0]), u64(TIME), padding, address('8.8.8.8', 53), payload]);
const serverBody = () =>
  Buffer.concat([Buffer.from([1]), u64(TIME), clientSession, padding, address('8.8.8.8', 53), payload]);

describe.each(choicesFor(methodNamed('aes-256-gcm')))('packets under backend %s', choice => {
  it.each(Object.entries(SIP004_PACKETS))('SIP004 %s', (name, expected) => {
    const method = methodNamed(name);
    const salt = counting(method.keyBytes, 0xa0);
    const subkey = sip004Subkey(evpBytesToKey('password', method.keyBytes), salt);
    const plain = Buffer.concat([address('203.0.113.7', 5353), utf8('udp fixture')]);
    const sealed = new Uint8Array(plain.length + TAG_BYTES);
    backendFor(method, choice).create(method.aead, subkey).seal(sealed, 0, plain, 0, plain.length);
    expect(hex(salt) + hex(sealed)).toBe(expected);
  });

  it.each(Object.entries(SIP022_PACKETS))('SIP022 %s', (name, expected) => {
    const method = methodNamed(name);
    const psk = counting(method.keyBytes);
    const packet = (session: Uint8Array, id: number, body: Uint8Array) => {
      const header = Buffer.concat([session, u64(id)]);
      const ecb = createCipheriv(`aes-${psk.length * 8}-ecb`, psk, null)
        .setAutoPadding(false)
        .update(header);
      const aead = backendFor(method, choice).create(method.aead, sip022Subkey(psk, session));
      aead.setNonce(header.subarray(4, 16));
      const sealed = new Uint8Array(body.length + TAG_BYTES);
      aead.seal(sealed, 0, body, 0, body.length);
      return hex(ecb) + hex(sealed);
    };
    expect(packet(clientSession, 7, clientBody())).toBe(expected.client);
    expect(packet(serverSession, 9, serverBody())).toBe(expected.server);
  });
});

describe.each(['auto', 'noble'] as const)('XChaCha20-Poly1305 under backend %s', choice => {
  it('seals and opens SIP022 packets', () => {
    const method = methodNamed('xchacha20-ietf-poly1305');
    const aead = backendFor(method, choice).create(method.aead, counting(32));
    const nonce = counting(24);
    const packet = (session: Uint8Array, id: number, body: Uint8Array) => {
      const plain = Buffer.concat([session, u64(id), body]);
      const sealed = new Uint8Array(plain.length + TAG_BYTES);
      aead.setNonce(nonce);
      aead.seal(sealed, 0, plain, 0, plain.length);
      const opened = new Uint8Array(plain.length);
      aead.setNonce(nonce);
      expect(aead.open(opened, 0, sealed, 0, plain.length)).toBe(true);
      expect(hex(opened)).toBe(hex(plain));
      return hex(nonce) + hex(sealed);
    };
    expect(packet(clientSession, 7, clientBody())).toBe(XCHACHA_PACKETS.client);
    expect(packet(serverSession, 9, serverBody())).toBe(XCHACHA_PACKETS.server);
  });
});
