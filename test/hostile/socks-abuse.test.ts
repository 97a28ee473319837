import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientConfig } from '@podsocks/client/config';
import { describe, expect, it } from 'vitest';
import { SIP022, startLocal, startVictim } from './support/ends.ts';
import { openSocket, probe, sight } from './support/sighting.ts';
import { SOCKS5_GREETING, SOCKS5_SUCCESS, servesSocks, socks5Connect } from './support/socks.ts';
import { startTestEcho } from './support/witness.ts';

/* Whoever reaches the SOCKS port can send it anything. Nothing of that may open a tunnel, or keep others from theirs. */

/** ss-local, its ss-server, and an echo behind them. */
async function startTunnel(settings: Partial<ClientConfig> = {}) {
  const victim = await startVictim(SIP022);
  const echo = await startTestEcho();
  const { socksPort } = await startLocal(SIP022, victim.keys.client, victim.port, settings);
  return { socksPort, echo };
}

const USER = { username: 'alice', password: 'in wonderland' };

function passwordRequest({ username, password }: typeof USER): Buffer {
  const [name, word] = [Buffer.from(username), Buffer.from(password)];
  return Buffer.concat([Buffer.of(1, name.length), name, Buffer.of(word.length), word]);
}

function socks4Request(port: number, userId: string): Buffer {
  return Buffer.concat([Buffer.of(4, 1, port >> 8, port & 0xff, 127, 0, 0, 1), Buffer.from(userId), Buffer.of(0)]);
}

const REFUSED: readonly [name: string, sent: Uint8Array, replies: string][] = [
  ['a page', Buffer.from('<html><body>hello</body></html>'), ''],
  ['a TLS hello', Buffer.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3), ''],
  ['version 0', new Uint8Array(600), ''],
  ['a greeting without methods', Buffer.of(5, 0), '05ff'],
  ['a greeting that insists on a password', Buffer.of(5, 1, 2), '05ff'],
  ['a second greeting', Buffer.of(5, 1, 0, 5, 1, 0, 9), '050005080001000000000000'],
  ['a request of version 4', Buffer.of(5, 1, 0, 4, 1, 0, 1, 127, 0, 0, 1, 0, 80), '0500'],
  ['BIND', Buffer.of(5, 1, 0, 5, 2, 0, 1, 127, 0, 0, 1, 0, 80), '050005070001000000000000'],
  ['UDP ASSOCIATE', Buffer.of(5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0), '050005070001000000000000'],
  ['an address type that is none', Buffer.of(5, 1, 0, 5, 1, 0, 2, 127, 0, 0, 1, 0, 80), '050005080001000000000000'],
  ['a name of no bytes', Buffer.of(5, 1, 0, 5, 1, 0, 3, 0, 0, 80), '050005010001000000000000'],
  ['a name with a line break', Buffer.of(5, 1, 0, 5, 1, 0, 3, 2, 0x61, 0x0a, 0, 80), '050005010001000000000000'],
  ['port 0', Buffer.of(5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 0), '050005010001000000000000'],
  [
    'SOCKS4 with a user id without end',
    Buffer.concat([Buffer.of(4, 1, 0, 80), Buffer.alloc(600, 7)]),
    '005b000000000000',
  ],
  ['SOCKS4 BIND', Buffer.of(4, 2, 0, 80, 127, 0, 0, 1, 0), '005b000000000000'],
];

describe('what is no SOCKS request', () => {
  it('is refused in the words that SOCKS has for it, whatever comes behind', async () => {
    const { socksPort, echo } = await startTunnel();
    for (const behind of [0, 1, 600, 200_000]) {
      const answers = await Promise.all(
        REFUSED.map(async ([name, sent]) => {
          const { bytes, end } = await probe(socksPort, Buffer.concat([sent, randomBytes(behind)]));
          return [name, bytes.toString('hex'), end];
        }),
      );
      expect(answers).toEqual(REFUSED.map(([name, , replies]) => [name, replies, 'fin']));
    }
    expect(await servesSocks(socksPort, echo.port)).toBe(true);
  });

  it('is closed when it is random, of any length', async () => {
    const { socksPort, echo } = await startTunnel();
    const probes = Array.from({ length: 601 }, (_, length) => probe(socksPort, randomBytes(length), { fin: true }));
    for (const sighting of await Promise.all(probes)) expect(sighting.end).toBe('fin');
    expect(echo.connections()).toBe(0);
    expect(await servesSocks(socksPort, echo.port)).toBe(true);
  });

  it('is refused when the password is wrong, and when there is none', async () => {
    const { socksPort, echo } = await startTunnel({ socksUsers: [USER] });
    const attempt = async (...parts: Uint8Array[]) => {
      const sent = Buffer.concat([...parts, socks5Connect(echo.port), Buffer.from('hello')]);
      return (await probe(socksPort, sent)).bytes.toString('hex');
    };
    const greeting = Buffer.of(5, 2, 0, 2);
    expect(await attempt(greeting, passwordRequest({ ...USER, password: 'in Wonderland' }))).toBe('05020101');
    expect(await attempt(greeting, passwordRequest({ ...USER, username: 'bob' }))).toBe('05020101');
    expect(await attempt(greeting, passwordRequest({ username: '', password: '' }))).toBe('05020101');
    expect(await attempt(greeting)).toBe('0502');
    expect(await attempt(SOCKS5_GREETING)).toBe('05ff');
    expect(await attempt(socks4Request(echo.port, USER.username))).toBe('005b000000000000');
    expect(echo.connections()).toBe(0);
  });
});

describe('a SOCKS handshake cut short', () => {
  /** Every message there is. */
  const conversations = (port: number) => [
    Buffer.concat([Buffer.of(5, 3, 0, 1, 2), passwordRequest(USER), socks5Connect(port)]),
    socks4Request(port, 'a user id'),
  ];

  it.each([
    ['ends with the client', { fin: true, handshakeTimeout: 60_000 }],
    ['ends at the deadline', { fin: false, handshakeTimeout: 1_000 }],
  ])('%s, wherever it was cut', async (_, { fin, handshakeTimeout }) => {
    const { socksPort, echo } = await startTunnel({ socksUsers: [USER], handshakeTimeout });
    const cuts = conversations(echo.port).flatMap(bytes => [...bytes.keys()].map(end => bytes.subarray(0, end)));
    const sightings = await Promise.all(cuts.map(bytes => probe(socksPort, bytes, { fin })));
    for (const { end, after } of sightings) {
      expect(end).toBe('fin');
      if (!fin) expect(after).toBeGreaterThanOrEqual(handshakeTimeout);
    }
    expect(echo.connections()).toBe(0);
  });
});

describe('an honest SOCKS client', () => {
  it('is served byte by byte', async () => {
    const { socksPort, echo } = await startTunnel({ socksUsers: [USER] });
    const socket = openSocket(socksPort);
    await once(socket, 'connect');
    const seen = sight(socket);
    const messages = [Buffer.of(5, 1, 2), passwordRequest(USER), socks5Connect(echo.port), Buffer.from('hello')];
    for (const byte of Buffer.concat(messages)) {
      socket.write(Uint8Array.of(byte));
      await sleep(1);
    }
    socket.end();
    const success = Buffer.concat([Buffer.of(5, 2, 1, 0), SOCKS5_SUCCESS.subarray(2), Buffer.from('hello')]);
    expect((await seen).bytes).toEqual(success);
  });

  it('is served with the longest messages there are, and 1 MiB right behind them', async () => {
    const user = { username: 'u'.repeat(255), password: 'p'.repeat(255) };
    const { socksPort, echo } = await startTunnel({ socksUsers: [user] });
    const greeting = Uint8Array.from({ length: 2 + 255 }, (_, index) => [5, 255][index] ?? index - 2);
    const payload = randomBytes(1024 * 1024);
    const sent = Buffer.concat([greeting, passwordRequest(user), socks5Connect(echo.port), payload]);
    const { bytes } = await probe(socksPort, sent, { fin: true });
    const replies = Buffer.concat([Buffer.of(5, 2, 1, 0), SOCKS5_SUCCESS.subarray(2)]);
    expect(bytes.equals(Buffer.concat([replies, payload]))).toBe(true);
  });

  it('is served while 500 silent connections are opened and held, five times the cap', async () => {
    const { socksPort, echo } = await startTunnel({ maxConnections: 100 });
    const silent: Socket[] = [];
    const open = (count: number) => {
      for (let opened = 0; opened < count; opened++) silent.push(openSocket(socksPort).on('error', () => {}));
    };
    const meanwhile = async () => {
      open(20);
      await probe(socksPort, new Uint8Array(0), { fin: true }); // is answered when all before it are accepted
    };
    for (let wave = 0; wave < 20; wave++) {
      open(5); // in place of those who have left: the honest one comes at the cap
      expect(await servesSocks(socksPort, echo.port, meanwhile), `wave ${wave}`).toBe(true);
    }
    for (let turn = 0; turn < 10; turn++) expect(await servesSocks(socksPort, echo.port)).toBe(true);
    for (const socket of silent) socket.destroy();
  });
});
