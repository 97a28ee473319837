import { createCipheriv, createDecipheriv } from 'node:crypto';
import { blake3 } from '@noble/hashes/blake3.js';
import { describe, expect, it } from 'vitest';
import { targetOf } from '../wire/address.ts';
import { choicesFor } from './backend-fixtures.ts';
import { backendFor } from './backends.ts';
import type { ClientSession, DatagramSealer } from './datagram.ts';
import { keyringFor, NOW, openAtClient, openAtServer, sealOne, servicesFor } from './datagram-fixtures.ts';
import { clientDatagrams, serverDatagrams } from './datagrams.ts';
import { evpBytesToKey, sip022Subkey } from './key-derivation.ts';
import { SIP004_PACKETS, SIP022_PACKETS, XCHACHA_PACKETS } from './known-answers-fixtures.ts';
import { METHODS, type Method, methodNamed } from './methods.ts';
import type { Keyring } from './stream.ts';

// Worked out independently of this code, as in known-answers.test.ts; here through the codecs, from both ends.

const SIP022 = { ...SIP022_PACKETS, '2022-blake3-chacha20-poly1305': XCHACHA_PACKETS };

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const fromHex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));
const counting = (length: number, from = 0) => Uint8Array.from({ length }, (_, index) => from + index);
const DNS = targetOf('8.8.8.8', 53);
const PAYLOAD = Buffer.from('1234646e73', 'hex');
const CLIENT_SESSION = '0102030405060708';
const SERVER_SESSION = '1112131415161718';

/** A keyring of one. */
function only(key: Uint8Array, identityKey?: Uint8Array): Keyring {
  const user = { name: 'only', key };
  const identity = Buffer.from(blake3(key).subarray(0, 16));
  return {
    identityKey,
    byIdentity: hash => (identity.equals(hash) ? user : undefined),
    candidates: () => [user],
    matched() {},
  };
}

/** Services whose session id is this one and whose nonces are 00 01 02 …, at the time of the answers. */
function fixed(method: Method, choice: Parameters<typeof backendFor>[1], session: string) {
  return servicesFor(method, choice, {
    random: length => (length === 8 ? fromHex(session) : counting(length)),
    padding: () => Buffer.from('pad'),
  });
}

/** The packet with this id. */
function packet(sealer: DatagramSealer, id: number): string {
  for (let before = 0; before < id; before++) sealOne(sealer, DNS, PAYLOAD);
  return hex(sealOne(sealer, DNS, PAYLOAD));
}

const named = (name: string) => choicesFor(methodNamed(name)).map(choice => ({ name, choice }));

describe.each(Object.entries(SIP004_PACKETS).flatMap(([name, wire]) => named(name).map(one => ({ ...one, wire }))))(
  'SIP004 $name under $choice',
  ({ name, choice, wire }) => {
    const method = methodNamed(name);
    const key = evpBytesToKey('password', method.keyBytes);
    const target = targetOf('203.0.113.7', 5353);
    const services = () => servicesFor(method, choice, { random: length => counting(length, 0xa0) });

    it('is sealed and opened at both ends', () => {
      const payload = Buffer.from('udp fixture');
      const client = clientDatagrams(services()).session({ key, identityKeys: [] });
      expect(hex(sealOne(client, target, payload))).toBe(wire);

      const request = openAtServer(serverDatagrams(services(), only(key)), fromHex(wire));
      expect(request.payload).toEqual(payload);
      expect(request.opened).toMatchObject({ target, user: { name: 'only' } });
      expect(hex(sealOne(request.opened.commit(), target, payload))).toBe(wire); // an answer looks alike

      const reply = openAtClient(clientDatagrams(services()).session({ key, identityKeys: [] }), fromHex(wire));
      expect(reply.payload).toEqual(payload);
      expect(reply.opened.target).toEqual(target);
    });
  },
);

describe.each(Object.entries(SIP022).flatMap(([name, wire]) => named(name).map(one => ({ ...one, wire }))))(
  'SIP022 $name under $choice',
  ({ name, choice, wire }) => {
    const method = methodNamed(name);
    const key = counting(method.keyBytes);

    it('is sealed and opened at both ends', () => {
      const client = clientDatagrams(fixed(method, choice, CLIENT_SESSION)).session({ key, identityKeys: [] });
      expect(packet(client, 7)).toBe(wire.client);

      const server = serverDatagrams(fixed(method, choice, SERVER_SESSION), only(key));
      const request = openAtServer(server, fromHex(wire.client));
      expect(request.payload).toEqual(PAYLOAD);
      expect(request.opened).toMatchObject({
        target: DNS,
        sessionId: BigInt(`0x${CLIENT_SESSION}`),
        packetId: { high: 0, low: 7 },
        session: undefined,
      });
      expect(packet(request.opened.commit(), 9)).toBe(wire.server);

      const reply = openAtClient(client, fromHex(wire.server));
      expect(reply.payload).toEqual(PAYLOAD);
      expect(reply.opened).toMatchObject({
        target: DNS,
        sessionId: BigInt(`0x${SERVER_SESSION}`),
        packetId: { high: 0, low: 9 },
      });
      reply.opened.commit();
    });
  },
);

describe.each(METHODS.filter(method => method.identityHeaders))('SIP023 $name', method => {
  const [outer, inner, user] = [
    counting(method.keyBytes, 1),
    counting(method.keyBytes, 50),
    counting(method.keyBytes, 99),
  ];
  const algorithm = `aes-${method.keyBytes * 8}-ecb`;
  const encrypt = (key: Uint8Array, block: Uint8Array) =>
    createCipheriv(algorithm, key, null).setAutoPadding(false).update(block);
  const decrypt = (key: Uint8Array, block: Uint8Array) =>
    createDecipheriv(algorithm, key, null).setAutoPadding(false).update(block);
  const xor = (left: Uint8Array, right: Uint8Array) => left.map((byte, index) => byte ^ right[index]!);
  const identity = (key: Uint8Array) => blake3(key).subarray(0, 16);

  function session(identityKeys: readonly Uint8Array[]): ClientSession {
    return clientDatagrams(fixed(method, 'auto', CLIENT_SESSION)).session({ key: user, identityKeys });
  }

  it('is sealed as written down here step by step', () => {
    const header = fromHex(`${CLIENT_SESSION}0000000000000000`);
    const body = fromHex('00000000006553f1000003706164010808080800351234646e73');
    const aead = backendFor(method, 'auto').create(method.aead, sip022Subkey(user, header.subarray(0, 8)));
    aead.setNonce(header.subarray(4));
    const sealed = new Uint8Array(body.length + 16);
    aead.seal(sealed, 0, body, 0, body.length);
    const expected = [
      encrypt(outer, header),
      encrypt(outer, xor(identity(inner), header)),
      encrypt(inner, xor(identity(user), header)),
      sealed,
    ];
    expect(hex(sealOne(session([outer, inner]), DNS, PAYLOAD))).toBe(hex(Buffer.concat(expected)));
  });

  it('goes through a relay that takes the outer header off', () => {
    const wire = sealOne(session([outer, inner]), DNS, PAYLOAD);
    const header = decrypt(outer, wire.subarray(0, 16));
    expect(hex(xor(decrypt(outer, wire.subarray(16, 32)), header))).toBe(hex(identity(inner)));
    const relayed = Buffer.concat([encrypt(inner, header), wire.subarray(32)]);
    const server = serverDatagrams(servicesFor(method, 'auto'), only(user, inner));
    const { opened, payload } = openAtServer(server, relayed);
    expect(payload).toEqual(PAYLOAD);
    expect(opened.user.name).toBe('only');
  });

  it('answers without identity headers, under the key of the user alone', () => {
    const client = session([outer]);
    const server = serverDatagrams(fixed(method, 'auto', SERVER_SESSION), only(user, outer));
    const relay = openAtServer(server, sealOne(client, DNS, PAYLOAD)).opened.commit();
    const wire = sealOne(relay, DNS, PAYLOAD);
    expect(hex(decrypt(user, wire.subarray(0, 16)))).toBe(`${SERVER_SESSION}0000000000000000`);
    expect(wire).toHaveLength(16 + (1 + 8 + 8 + 2) + 3 + 7 + PAYLOAD.length + 16);
    expect(openAtClient(client, wire).payload).toEqual(PAYLOAD);
  });

  it('is refused when the identity is nobody here, or the server knows no identities', () => {
    const wire = sealOne(session([outer]), DNS, PAYLOAD);
    for (const keyring of [only(inner, outer), only(user, inner), only(user), keyringFor(method, ['a', 'b'])]) {
      const server = serverDatagrams(servicesFor(method, 'auto'), keyring);
      expect(() => openAtServer(server, wire)).toThrow(expect.objectContaining({ code: 'ERR_AUTHENTICATION' }));
    }
    expect(NOW).toBe(1_700_000_000); // what the bytes above say
  });
});
