import { createCipheriv } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { encodeAddress, targetOf } from '../wire/address.ts';
import { choicesFor } from './backend-fixtures.ts';
import { backendFor } from './backends.ts';
import { evpBytesToKey, sip004Subkey, sip022Subkey } from './key-derivation.ts';
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

const SIP004_PACKETS = {
  'aes-128-gcm': 'a0a1a2a3a4a5a6a7a8a9aaabacadaeafac46d6cb6bce9fa6045c63e62d29b8161be585db7f9e57b0e9f20c7a160de5a007de',
  'aes-256-gcm':
    'a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfa81046fca7c2d2e88cb92490f92af8875ef879913888e226aef9e765379cf33290b7',
  'chacha20-ietf-poly1305':
    'a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf2d8bb58cfd7659d4496dfcd1e14192a114af98ce826ccfa8f9bf2719cd8df91c8fe3',
};

const SIP022_PACKETS = {
  '2022-blake3-aes-128-gcm': {
    client:
      '12f250371f475aa71c3ab38e1308b5b8e33d719e15cf7e1746399d1d83807145a026233bfc9cccf925c70106bf1f7aa6920b99c49db6074e4c74',
    server:
      'ce8b012cf8173186af83e7dab1f0d99ac447a48189229d20e446498e795cb088e861fac99ffe606aeb41b1411252d3a9dc27dbf641a66cb6344c518456b0a7c49ac8',
  },
  '2022-blake3-aes-256-gcm': {
    client:
      '43af1bac10ead1bba3120598a2ea4edd06fab6b6129cc084c977125f89c6d5e32af6dc90cb1ea34dcb083f02efbc3540f64da752a6dcc52e1522',
    server:
      '09a24bf73f92dc1a22496481611e7ace803efb5f3cce77d0cef7e7a6c4482690512902706d0c4def9c925edbb9ffd9195f755d53ebcb309cf0dc35ac46371803f409',
  },
};

const XCHACHA_PACKETS = {
  client:
    '000102030405060708090a0b0c0d0e0f10111213141516179fc00c7b95d48aa6334426cecb52a8ef4b4728a5fdb34e1a7f1a3cc65cc9f451560ebee474753d00bbe688ff5e067546c304148b8759965375c3',
  server:
    '000102030405060708090a0b0c0d0e0f10111213141516178fd01c6b85c49ab6334426cecb52a8e14a4728a5fdb34e1a7f1b3db539a8f35e5606b5942003086cdd9da659fa3367061fc97be7d3eb8d2d40a7e785d8bb028a8f95',
};

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
