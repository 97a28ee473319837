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
import { METHODS, type Method, methodNamed } from './methods.ts';
import type { Keyring } from './stream.ts';

// Worked out independently of this code, as in known-answers.test.ts; here through the codecs, from both ends.

const SIP004 = {
  'aes-128-gcm': 'a0a1a2a3a4a5a6a7a8a9aaabacadaeafac46d6cb6bce9fa6045c63e62d29b8161be585db7f9e57b0e9f20c7a160de5a007de',
  'aes-256-gcm':
    'a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfa81046fca7c2d2e88cb92490f92af8875ef879913888e226aef9e765379cf33290b7',
  'chacha20-ietf-poly1305':
    'a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf2d8bb58cfd7659d4496dfcd1e14192a114af98ce826ccfa8f9bf2719cd8df91c8fe3',
};

const SIP022 = {
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
  '2022-blake3-chacha20-poly1305': {
    client:
      '000102030405060708090a0b0c0d0e0f10111213141516179fc00c7b95d48aa6334426cecb52a8ef4b4728a5fdb34e1a7f1a3cc65cc9f451560ebee474753d00bbe688ff5e067546c304148b8759965375c3',
    server:
      '000102030405060708090a0b0c0d0e0f10111213141516178fd01c6b85c49ab6334426cecb52a8e14a4728a5fdb34e1a7f1b3db539a8f35e5606b5942003086cdd9da659fa3367061fc97be7d3eb8d2d40a7e785d8bb028a8f95',
  },
};

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

describe.each(Object.entries(SIP004).flatMap(([name, wire]) => named(name).map(one => ({ ...one, wire }))))(
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
