import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { targetOf } from '../wire/address.ts';
import {
  encodeClientHeader,
  encodeSeparateHeader,
  encodeServerHeader,
  type PacketId,
} from '../wire/sip022-datagram.ts';
import { SESSION_MEMORY_MS } from './datagram.ts';
import {
  CLIENT,
  DATAGRAM_CASES,
  type DatagramCase,
  endsOf,
  keyOf,
  keyringFor,
  NOW,
  openAtClient,
  openAtServer,
  sealOne,
  servicesFor,
} from './datagram-fixtures.ts';
import { clientDatagrams, serverDatagrams } from './datagrams.ts';
import { packetSealer } from './sip022-packet.ts';

const TARGET = targetOf('10.96.0.10', 53);
const PAYLOAD = Buffer.from('a question');
const NO_PADDING = new Uint8Array(0);
const SESSION = 0x1112131415161718n;
const LAST: PacketId = { high: 0xffffffff, low: 0xffffffff };

const code = (name: string) => expect.objectContaining({ name: 'PodsocksError', code: name });

/** A peer that numbers its packets as it likes. `write` writes what follows the separate header. */
function forge(
  { method, choice }: DatagramCase,
  user: string,
  packetId: PacketId,
  write: (out: Uint8Array, at: number) => number,
  sessionId = SESSION,
): Uint8Array {
  const id = Buffer.alloc(8);
  id.writeBigUInt64BE(sessionId);
  const identityKeys = user === 'default' || !method.identityHeaders ? [] : [keyOf('identity', method)];
  const sealer = packetSealer(servicesFor(method, choice), { key: keyOf(user, method), identityKeys }, id);
  const plain = new Uint8Array(2000);
  encodeSeparateHeader(plain, 0, sessionId, packetId);
  const length = 16 + write(plain, 16);
  const out = new Uint8Array(length + sealer.overhead);
  sealer.seal(out, 0, plain, length);
  return out;
}

const header = (out: Uint8Array, at: number) => encodeClientHeader(out, at, NOW, NO_PADDING, TARGET);
const numbered = (testCase: DatagramCase, low: number, high = 0, sessionId = SESSION) =>
  forge(testCase, 'default', { high, low }, header, sessionId);

const CASES = DATAGRAM_CASES.filter(({ method, choice }) => method.generation === 'sip022' && choice !== 'native');

describe.each(CASES)('a server of $name', testCase => {
  it('takes packets in any order within the window, each once', () => {
    const order = fc.shuffledSubarray(
      [...Array(60).keys()].map(index => index * 30),
      { minLength: 60 },
    );
    fc.assert(
      fc.property(order, ids => {
        const { server } = endsOf(testCase);
        for (const id of ids) openAtServer(server, numbered(testCase, id)).opened.commit();
        for (const id of ids) expect(() => openAtServer(server, numbered(testCase, id))).toThrow(code('ERR_REPLAY'));
      }),
      { numRuns: 4 },
    );
  });

  it('refuses what has fallen behind the window, and goes on', () => {
    const { server } = endsOf(testCase);
    openAtServer(server, numbered(testCase, 100)).opened.commit();
    openAtServer(server, numbered(testCase, 6144)).opened.commit();
    expect(() => openAtServer(server, numbered(testCase, 101))).toThrow(code('ERR_REPLAY'));
    expect(() => openAtServer(server, numbered(testCase, 4095))).toThrow(code('ERR_REPLAY'));
    openAtServer(server, numbered(testCase, 4096)).opened.commit();
    openAtServer(server, numbered(testCase, 6145)).opened.commit();
  });

  it('takes the last packet id there is', () => {
    const { server } = endsOf(testCase);
    const last = forge(testCase, 'default', LAST, header);
    openAtServer(server, last).opened.commit();
    expect(() => openAtServer(server, last)).toThrow(code('ERR_REPLAY'));
    openAtServer(server, numbered(testCase, 0xfffffffe, 0xffffffff)).opened.commit();
    expect(() => openAtServer(server, numbered(testCase, 0))).toThrow(code('ERR_REPLAY'));
    expect(() => openAtServer(server, numbered(testCase, 0xffffffff, 0xfffffffe))).toThrow(code('ERR_REPLAY'));
  });

  it.each([
    [
      'a wrong type',
      'ERR_HEADER',
      (out: Uint8Array, at: number) => encodeServerHeader(out, at, NOW, 1n, NO_PADDING, TARGET),
    ],
    [
      'a clock 31 s behind',
      'ERR_TIMESTAMP',
      (out: Uint8Array, at: number) => encodeClientHeader(out, at, NOW - 31, NO_PADDING, TARGET),
    ],
    [
      'a clock 31 s ahead',
      'ERR_TIMESTAMP',
      (out: Uint8Array, at: number) => encodeClientHeader(out, at, NOW + 31, NO_PADDING, TARGET),
    ],
    ['no address', 'ERR_HEADER', (out: Uint8Array, at: number) => header(out, at) - 1],
    [
      'a bad address',
      'ERR_ADDRESS',
      (out: Uint8Array, at: number) => {
        const length = header(out, at);
        out[at + 11] = 0x7f;
        return length;
      },
    ],
  ] as const)('refuses %s far ahead without moving the window', (_, expected, write) => {
    const { server } = endsOf(testCase);
    const session = openAtServer(server, numbered(testCase, 1)).opened.commit();
    expect(() => openAtServer(server, forge(testCase, 'default', LAST, write))).toThrow(code(expected));
    expect(() => openAtServer(server, forge(testCase, 'default', LAST, write, 5n))).toThrow(code(expected));
    const next = openAtServer(server, numbered(testCase, 2)).opened;
    expect(next.session).toBe(session);
    next.commit();
  });

  it.each([-30, 30])('takes a clock that is %i s off', offset => {
    const { server, client, serverServices } = endsOf(testCase);
    serverServices.seconds = NOW + offset;
    openAtServer(server, sealOne(client, TARGET, PAYLOAD)).opened.commit();
  });

  it('follows a session from address to address', () => {
    const { server, client } = endsOf(testCase);
    const session = openAtServer(server, sealOne(client, TARGET, PAYLOAD)).opened.commit();
    const moved = { address: '2001:db8::9', port: 9 };
    expect(openAtServer(server, sealOne(client, TARGET, PAYLOAD), moved).opened.commit()).toBe(session);
  });

  it('does not let go of a session that a closed one of the same id left behind', () => {
    const { server } = endsOf(testCase);
    const first = openAtServer(server, numbered(testCase, 1)).opened.commit();
    first.close();
    const second = openAtServer(server, numbered(testCase, 2)).opened.commit();
    first.close();
    expect(second).not.toBe(first);
    expect(openAtServer(server, numbered(testCase, 3)).opened.session).toBe(second);
  });
});

describe.each(CASES)('a session of $name that the server has closed', testCase => {
  /** A server that has taken these packets at `ms`, and closed their session. */
  function closedAfter(ids: readonly number[], ms = 0) {
    const { server, serverServices } = endsOf(testCase);
    serverServices.ms = ms;
    const packets = ids.map(id => numbered(testCase, id));
    const sessions = packets.map(packet => openAtServer(server, packet).opened.commit());
    sessions[0]!.close();
    return { server, services: serverServices, packets, session: sessions[0]! };
  }

  it('still refuses the packets that were taken, and takes those that were not', () => {
    const { server, services, packets, session } = closedAfter([0, 1, 5]);
    services.ms = SESSION_MEMORY_MS - 1;
    for (const packet of packets) expect(() => openAtServer(server, packet)).toThrow(code('ERR_REPLAY'));
    const { opened } = openAtServer(server, numbered(testCase, 3));
    expect(opened.session).toBeUndefined();
    expect(opened.commit()).not.toBe(session);
  });

  it('refuses them also after it has begun again, and after it was closed again', () => {
    const { server, services, packets } = closedAfter([0, 1, 5]);
    for (let turn = 0; turn < 3; turn++) {
      services.ms += SESSION_MEMORY_MS - 1;
      const next = numbered(testCase, 10 + turn);
      const again = openAtServer(server, next).opened.commit();
      packets.push(next);
      for (const packet of packets) expect(() => openAtServer(server, packet)).toThrow(code('ERR_REPLAY'));
      again.close();
      for (const packet of packets) expect(() => openAtServer(server, packet)).toThrow(code('ERR_REPLAY'));
    }
  });

  it('refuses what had fallen behind its window', () => {
    const { server } = closedAfter([0, 100, 6144]);
    expect(() => openAtServer(server, numbered(testCase, 101))).toThrow(code('ERR_REPLAY'));
    openAtServer(server, numbered(testCase, 4096)).opened.commit();
  });

  it('is asked again at the commit', () => {
    const { server } = endsOf(testCase);
    const packet = numbered(testCase, 0);
    const [first, second] = [openAtServer(server, packet).opened, openAtServer(server, packet).opened];
    first.commit().close();
    expect(() => second.commit()).toThrow(code('ERR_REPLAY'));
  });

  it('is forgotten when its last packet is out of date', () => {
    const { server, services, packets } = closedAfter([0, 1], 5_000);
    services.ms = 5_000 + SESSION_MEMORY_MS - 1;
    expect(() => openAtServer(server, packets[1]!)).toThrow(code('ERR_REPLAY'));
    services.ms = 5_000 + SESSION_MEMORY_MS;
    openAtServer(server, packets[1]!).opened.commit(); // its timestamp would not be taken, had that clock gone on, too
  });

  it('is not remembered when it had been silent for so long before', () => {
    const { server, serverServices: services } = endsOf(testCase);
    const packet = numbered(testCase, 0);
    const session = openAtServer(server, packet).opened.commit();
    services.ms = SESSION_MEMORY_MS;
    session.close();
    openAtServer(server, packet).opened.commit();
  });

  it('has no part in that of another session', () => {
    const { server } = closedAfter([0, 1]);
    for (const sessionId of [SESSION + 1n, 0n])
      openAtServer(server, numbered(testCase, 0, 0, sessionId)).opened.commit();
  });
});

describe('more sessions than can be remembered', () => {
  const testCase = CASES.find(({ method }) => method.name === '2022-blake3-aes-128-gcm')!;
  const MOST = 32_768;
  const users = ['alice', 'bob'];
  const first = (sessionId: bigint, user = 'alice', low = 0) =>
    forge(testCase, user, { high: 0, low }, header, sessionId);

  it('keep a user from beginning another, and change nothing; those that are open, or known, and other users go on', () => {
    const { method, choice } = testCase;
    const services = servicesFor(method, choice);
    const server = serverDatagrams(services, keyringFor(method, users));
    const open = openAtServer(server, first(1n)).opened.commit();
    for (let count = 0; count < MOST; count++) {
      openAtServer(server, first(BigInt(1000 + count)))
        .opened.commit()
        .close();
    }
    for (let turn = 0; turn < 2; turn++) {
      const { opened } = openAtServer(server, first(7n));
      expect(() => opened.commit()).toThrow(code('ERR_LIMIT'));
    }
    expect(openAtServer(server, first(1n, 'alice', 1)).opened.commit()).toBe(open);
    for (const known of [1000n, BigInt(1000 + MOST - 1)]) {
      expect(() => openAtServer(server, first(known))).toThrow(code('ERR_REPLAY'));
      openAtServer(server, first(known, 'alice', 1))
        .opened.commit()
        .close(); // it goes on: it takes no more room
    }
    expect(() => openAtServer(server, first(7n)).opened.commit()).toThrow(code('ERR_LIMIT'));
    openAtServer(server, first(7n, 'bob')).opened.commit().close();

    services.ms = SESSION_MEMORY_MS;
    openAtServer(server, first(7n)).opened.commit(); // which was not remembered as one that had begun
  });
});

describe.each(CASES.filter(({ method }) => method.identityHeaders))('users of $name', testCase => {
  it('have sessions of their own also when these are closed', () => {
    const { method, choice } = testCase;
    const server = serverDatagrams(servicesFor(method, choice), keyringFor(method, ['alice', 'bob']));
    const [ofAlice, ofBob] = ['alice', 'bob'].map(user => forge(testCase, user, { high: 0, low: 7 }, header));
    openAtServer(server, ofAlice!).opened.commit().close();
    expect(() => openAtServer(server, ofAlice!)).toThrow(code('ERR_REPLAY'));
    const { opened } = openAtServer(server, ofBob!);
    expect(opened.commit().user.name).toBe('bob');
    expect(() => openAtServer(server, ofBob!)).toThrow(code('ERR_REPLAY'));
    expect(() => openAtServer(server, ofAlice!)).toThrow(code('ERR_REPLAY'));
  });

  it('cannot speak in, or listen to, the session of another by naming it', () => {
    const { method, choice } = testCase;
    const server = serverDatagrams(servicesFor(method, choice), keyringFor(method, ['alice', 'bob']));
    const ofAlice = openAtServer(server, forge(testCase, 'alice', { high: 0, low: 7 }, header)).opened.commit();
    const { opened } = openAtServer(server, forge(testCase, 'bob', { high: 0, low: 7 }, header));
    expect(opened.session).toBeUndefined();
    const ofBob = opened.commit();
    expect(ofBob).not.toBe(ofAlice);
    expect(ofBob.user.name).toBe('bob');
    const next = openAtServer(server, forge(testCase, 'alice', { high: 0, low: 8 }, header)).opened;
    expect(next.session).toBe(ofAlice);
    expect(openAtServer(server, forge(testCase, 'bob', LAST, header)).opened.commit()).toBe(ofBob);
    expect(next.commit()).toBe(ofAlice);
  });
});

describe.each(CASES)('a client of $name', testCase => {
  /** A session, and as many servers that know it as were started one after the other. */
  function withServers(count: number) {
    const { method, choice } = testCase;
    const services = servicesFor(method, choice);
    const client = clientDatagrams(services).session({ key: keyOf('default', method), identityKeys: [] });
    const request = sealOne(client, TARGET, PAYLOAD);
    const sessions = Array.from({ length: count }, () => {
      const server = serverDatagrams(servicesFor(method, choice), keyringFor(method, ['default']));
      return openAtServer(server, request, CLIENT).opened.commit();
    });
    const hear = (index: number) => openAtClient(client, sealOne(sessions[index]!, TARGET, PAYLOAD)).opened.commit();
    return { services, client, sessions, hear };
  }

  it('hears a server that was started anew, beside the old one, and no third within a minute', () => {
    const { services, hear } = withServers(4);
    hear(0);
    hear(1);
    services.ms = 50_000;
    hear(0);
    hear(1);
    services.ms = 50_000 + SESSION_MEMORY_MS - 1;
    expect(() => hear(2)).toThrow(code('ERR_REPLAY'));
    hear(1);
    services.ms = 50_000 + SESSION_MEMORY_MS;
    hear(2); // the old one was last heard long enough ago
    hear(1);
    expect(() => hear(0)).toThrow(code('ERR_REPLAY'));
    expect(() => hear(3)).toThrow(code('ERR_REPLAY'));
  });

  it('lets no packet that was only opened be a session', () => {
    const { client, sessions, hear } = withServers(4);
    for (const session of sessions) openAtClient(client, sealOne(session, TARGET, PAYLOAD));
    hear(3);
    hear(0);
    expect(() => hear(1)).toThrow(code('ERR_REPLAY'));
  });

  it('checks again at the commit', () => {
    const { client, sessions } = withServers(3);
    const opened = sessions.map(session => openAtClient(client, sealOne(session, TARGET, PAYLOAD)).opened);
    opened[0]!.commit();
    opened[1]!.commit();
    expect(() => opened[2]!.commit()).toThrow(code('ERR_REPLAY'));
  });

  it('refuses what answers another session', () => {
    const { client } = withServers(0);
    const other = withServers(1);
    const answer = sealOne(other.sessions[0]!, TARGET, PAYLOAD);
    expect(() => openAtClient(client, answer)).toThrow('the packet answers another session');
    openAtClient(other.client, answer).opened.commit();
  });

  it.each([-31, 31])('refuses a server whose clock is %i s off', offset => {
    const { services, client, sessions } = withServers(1);
    services.seconds = NOW + offset;
    const answer = sealOne(sessions[0]!, TARGET, PAYLOAD);
    expect(() => openAtClient(client, answer)).toThrow(code('ERR_TIMESTAMP'));
    services.seconds -= Math.sign(offset);
    openAtClient(client, answer).opened.commit();
  });

  it('hears packets in any order, each once', () => {
    const { client, sessions } = withServers(1);
    const answers = Array.from({ length: 20 }, () => sealOne(sessions[0]!, TARGET, PAYLOAD)).reverse();
    for (const answer of answers) openAtClient(client, answer).opened.commit();
    for (const answer of answers) expect(() => openAtClient(client, answer)).toThrow(code('ERR_REPLAY'));
  });
});
