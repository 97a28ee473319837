import { encodeAddress, targetOf } from '@podsocks/shared/wire/address';
import { Command, REQUEST_MAX_BYTES, Reply } from '@podsocks/shared/wire/socks5';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  HANDSHAKE_MAX_BYTES,
  type Offered,
  SocksHandshake,
  type SocksProgress,
  socksReply,
} from './socks-handshake.ts';
import type { SocksUser } from './socks-users.ts';

const USERS: readonly SocksUser[] = [
  { username: 'ada', password: 'lovelace' },
  { username: 'grace', password: 'höpper' },
];

const TCP: Offered = { tcp: true, udp: false };
const UDP: Offered = { tcp: false, udp: true };
const BOTH: Offered = { tcp: true, udp: true };

const utf8 = (text: string) => [...new TextEncoder().encode(text)];
const greeting = (...methods: number[]) => [5, methods.length, ...methods];
const login = (username: string, password: string) => {
  const [name, secret] = [utf8(username), utf8(password)];
  return [1, name.length, ...name, secret.length, ...secret];
};
const request = (host: string, port: number, command: number = Command.connect) => {
  const out = new Uint8Array(REQUEST_MAX_BYTES);
  const length = encodeAddress(out, 3, targetOf(host, port));
  return [5, command, 0, ...out.subarray(3, 3 + length)];
};
const associate = (host: string, port: number) => request(host, port, Command.udpAssociate);
const socks4 = (ip: number[], port: number, tail: number[] = [], command = 1) => {
  return [4, command, port >>> 8, port & 0xff, ...ip, ...utf8('me'), 0, ...tail];
};
const socks4a = (host: string, port: number) => socks4([0, 0, 0, 1], port, [...utf8(host), 0]);

/**
 * What one connection comes to: its bytes arrive in pieces of the given sizes, in one buffer that is overwritten after
 * each, as the accept step does. All replies are joined; what the client sends after its request is part of `rest`.
 */
function converse(
  bytes: ArrayLike<number>,
  sizes: readonly number[] = [],
  users: readonly SocksUser[] = [],
  offered = TCP,
) {
  const handshake = new SocksHandshake(users, offered);
  const stream = Uint8Array.from(bytes);
  const shared = Buffer.alloc(stream.length + 1);
  const reply: number[] = [];
  let progress: SocksProgress | undefined;
  let at = 0;
  for (let turn = 0; at < stream.length && (!progress || progress.state === 'more'); turn++) {
    const size = Math.min(sizes[turn] ?? stream.length, stream.length - at);
    shared.set(stream.subarray(at, at + size));
    at += size;
    progress = handshake.receive(shared, size);
    shared.fill(0xee);
    reply.push(...progress.reply);
  }
  if (progress?.state === 'request') return { ...progress, reply, rest: [...progress.rest, ...stream.subarray(at)] };
  if (progress?.state === 'refused') return { state: progress.state, reply, error: progress.error };
  return { state: 'more' as const, reply };
}

function refusalOf(bytes: ArrayLike<number>, users: readonly SocksUser[] = [], offered = TCP) {
  const end = converse(bytes, [], users, offered);
  if (end.state !== 'refused') throw new Error(`expected refused, got ${end.state}`);
  expect(end.error.code).toBe('ERR_SOCKS');
  return { reply: end.reply, message: end.error.message, cause: end.error.cause };
}

const failure = (code: number) => [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
const REJECTED = [0, 91, 0, 0, 0, 0, 0, 0];

const CONVERSATIONS: {
  name: string;
  users: readonly SocksUser[];
  offered: Offered;
  bytes: number[];
  expected: object;
}[] = [
  {
    name: 'SOCKS5 to a name',
    users: [],
    offered: TCP,
    bytes: [...greeting(0, 2), ...request('db.default.svc', 5432)],
    expected: {
      version: 5,
      command: 'connect',
      target: { type: 'name', host: 'db.default.svc', port: 5432 },
      reply: [5, 0],
    },
  },
  {
    name: 'SOCKS5 to an IPv6 address with a password',
    users: USERS,
    offered: BOTH,
    bytes: [...greeting(0, 2), ...login('grace', 'höpper'), ...request('fd00::a', 443)],
    expected: {
      version: 5,
      command: 'connect',
      target: { type: 'ipv6', host: 'fd00::a', port: 443 },
      username: 'grace',
      reply: [5, 2, 1, 0],
    },
  },
  {
    name: 'SOCKS4',
    users: [],
    offered: BOTH,
    bytes: socks4([10, 0, 0, 7], 80),
    expected: { version: 4, command: 'connect', target: { type: 'ipv4', host: '10.0.0.7', port: 80 }, reply: [] },
  },
  {
    name: 'SOCKS4a',
    users: [],
    offered: TCP,
    bytes: socks4a('web.shop', 80),
    expected: { version: 4, command: 'connect', target: { type: 'name', host: 'web.shop', port: 80 }, reply: [] },
  },
  {
    name: 'UDP ASSOCIATE of a client that does not know yet where it will send from',
    users: [],
    offered: BOTH,
    bytes: [...greeting(0), ...associate('0.0.0.0', 0)],
    expected: {
      version: 5,
      command: 'udpAssociate',
      target: { type: 'ipv4', host: '0.0.0.0', port: 0 },
      reply: [5, 0],
    },
  },
  {
    name: 'UDP ASSOCIATE with an address and a password, where there is UDP only',
    users: USERS,
    offered: UDP,
    bytes: [...greeting(2), ...login('ada', 'lovelace'), ...associate('fd00::a', 40_000)],
    expected: {
      version: 5,
      command: 'udpAssociate',
      target: { type: 'ipv6', host: 'fd00::a', port: 40_000 },
      username: 'ada',
      reply: [5, 2, 1, 0],
    },
  },
  {
    name: 'UDP ASSOCIATE with a name',
    users: [],
    offered: BOTH,
    bytes: [...greeting(0), ...associate('laptop.example', 40_000)],
    expected: {
      version: 5,
      command: 'udpAssociate',
      target: { type: 'name', host: 'laptop.example', port: 40_000 },
      reply: [5, 0],
    },
  },
];

const pieces = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 60 });

describe.each(CONVERSATIONS)('$name', ({ users, offered, bytes, expected }) => {
  it('comes to its request, with what was sent after it', () => {
    const rest = [...utf8('GET / HTTP/1.1'), ...new Array<number>(3000).fill(7)];
    expect(converse([...bytes, ...rest], [], users, offered)).toEqual({ state: 'request', ...expected, rest });
  });

  it('comes to the same however its bytes are split', () => {
    fc.assert(
      fc.property(pieces, fc.uint8Array({ maxLength: 50 }), (sizes, rest) => {
        const end = converse([...bytes, ...rest], sizes, users, offered);
        expect(end).toEqual({ state: 'request', ...expected, rest: [...rest] });
      }),
    );
  });

  it('waits for more at every truncation', () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(converse(bytes.slice(0, length), [], users, offered).state).toBe('more');
    }
  });

  it('comes to the same byte by byte', () => {
    const oneByOne = new Array<number>(bytes.length).fill(1);
    expect(converse(bytes, oneByOne, users, offered)).toEqual({ state: 'request', ...expected, rest: [] });
  });
});

describe('the answer to each message', () => {
  it('comes as soon as the message is complete, and once', () => {
    const handshake = new SocksHandshake(USERS, TCP);
    const replies = [greeting(2), login('ada', 'lovelace'), request('10.0.0.1', 80)].map(message => {
      return [...handshake.receive(Uint8Array.from(message), message.length).reply];
    });
    expect(replies).toEqual([[5, 2], [1, 0], []]);
  });

  it('is nothing while nothing came', () => {
    expect(new SocksHandshake([], TCP).receive(new Uint8Array(0), 0)).toMatchObject({ state: 'more' });
  });

  it('is an error of the caller once the handshake is over', () => {
    for (const bytes of [[0x47], socks4a('web', 80)]) {
      const handshake = new SocksHandshake([], TCP);
      handshake.receive(Uint8Array.from(bytes), bytes.length);
      expect(() => handshake.receive(Uint8Array.of(5), 1)).toThrow(expect.objectContaining({ code: 'ERR_ARGUMENT' }));
    }
  });
});

describe('authentication', () => {
  it('takes only method 2 when there are users', () => {
    const { reply, message } = refusalOf(greeting(0, 1), USERS);
    expect(reply).toEqual([5, 0xff]);
    expect(message).toContain('set both in the client');
  });

  it('takes only method 0 when there are none', () => {
    const { reply, message } = refusalOf(greeting(2));
    expect(reply).toEqual([5, 0xff]);
    expect(message).toContain('has no users');
  });

  it('refuses a greeting without methods', () => {
    expect(refusalOf(greeting()).reply).toEqual([5, 0xff]);
  });

  it.each([
    ['unknown user', 'eve', 'lovelace'],
    ['wrong password', 'ada', 'Lovelace'],
    ["another user's password", 'ada', 'höpper'],
    ['empty password', 'ada', ''],
    ['both empty', '', ''],
    ['a part moved over', 'adal', 'ovelace'],
  ])('refuses %s with the same answer and error, without the bytes that came', (_, username, password) => {
    const { reply, message } = refusalOf([...greeting(2), ...login(username, password)], USERS);
    expect(reply).toEqual([5, 2, 1, 1]);
    expect(message).toBe("wrong username or password: check both against this port's users");
  });

  it('compares bytes, not text that decoding made equal', () => {
    const users = [{ username: '\ufffd', password: 'x' }];
    expect(refusalOf([...greeting(2), 1, 1, 0xff, 1, 0x78], users).reply).toEqual([5, 2, 1, 1]);
  });

  it('admits exactly the configured pairs', () => {
    const text = fc.string({ maxLength: 40, unit: 'grapheme' });
    fc.assert(
      fc.property(text, text, text, text, (username, password, givenName, givenPassword) => {
        const users = [{ username, password }, USERS[0]!];
        const right = [...greeting(2), ...login(username, password), ...request('a.b', 1)];
        expect(converse(right, [], users)).toMatchObject({ state: 'request', username });
        const given = [...greeting(2), ...login(givenName, givenPassword), ...request('a.b', 1)];
        const isRight = givenName === username && givenPassword === password;
        expect(converse(given, [], users).state).toBe(isRight ? 'request' : 'refused');
      }),
    );
  });

  it('rejects SOCKS4, which has no password', () => {
    for (const bytes of [socks4([10, 0, 0, 7], 80), socks4a('web.shop', 80)]) {
      const { reply, message } = refusalOf(bytes, USERS);
      expect(reply).toEqual(REJECTED);
      expect(message).toContain('use socks5h://');
    }
  });
});

describe('a request that cannot be served', () => {
  const open = greeting(0);

  it.each([
    ['BIND', Command.bind, BOTH, 'SOCKS5 BIND is not supported: set the client to CONNECT, which is TCP'],
    ['an unknown command', 0x99, BOTH, 'SOCKS5 command 153 is not supported'],
    [
      'UDP ASSOCIATE where UDP is off',
      Command.udpAssociate,
      TCP,
      'SOCKS5 UDP ASSOCIATE is off: start ss-local, and ss-server, with -u',
    ],
    ['CONNECT where TCP is off', Command.connect, UDP, 'SOCKS5 CONNECT is off: ss-local was started for UDP only (-U)'],
  ])('is refused with 7: %s', (_, command, offered, text) => {
    const { reply, message } = refusalOf([...open, ...request('10.0.0.7', 80, command)], [], offered);
    expect(reply).toEqual([5, 0, ...failure(Reply.commandNotSupported)]);
    expect(message).toContain(text);
  });

  it('is refused with 8 for an unknown ATYP', () => {
    const { reply, cause } = refusalOf([...open, 5, 1, 0, 0x02]);
    expect(reply).toEqual([5, 0, ...failure(Reply.addressTypeNotSupported)]);
    expect(cause).toMatchObject({ code: 'ERR_ADDRESS' });
  });

  it.each([
    ['an empty name', [5, 1, 0, 3, 0, 0, 80]],
    ['a name with a line end', [5, 1, 0, 3, 2, 0x61, 0x0a, 0, 80]],
    ['a name that is not UTF-8', [5, 1, 0, 3, 1, 0xff, 0, 80]],
    ['port 0', request('a.b', 0)],
  ])('is refused with 1: %s', (_, bytes) => {
    expect(refusalOf([...open, ...bytes]).reply).toEqual([5, 0, ...failure(Reply.generalFailure)]);
  });

  it.each([TCP, UDP, BOTH])('is rejected in SOCKS4: command 3, which only SOCKS5 has, with %j', offered => {
    const { reply, message } = refusalOf(socks4([10, 0, 0, 7], 80, [], 3), [], offered);
    expect(reply).toEqual(REJECTED);
    expect(message).toContain('SOCKS4 command 3 is not supported');
  });

  it('is rejected in SOCKS4: CONNECT where TCP is off', () => {
    const { reply, message } = refusalOf(socks4a('web.shop', 80), [], UDP);
    expect(reply).toEqual(REJECTED);
    expect(message).toBe('SOCKS4 CONNECT is off: ss-local was started for UDP only (-U)');
  });

  it.each([
    ['BIND', socks4([10, 0, 0, 7], 80, [], 2), 'SOCKS4 BIND is not supported'],
    ['port 0', socks4([10, 0, 0, 7], 0), 'port 0'],
    ['an empty name', socks4a('', 80), 'empty'],
    ['an endless user id', [4, 1, 0, 80, 10, 0, 0, 7, ...new Array<number>(256).fill(1)], 'longer than 255'],
    ['an endless name', socks4([0, 0, 0, 1], 80, new Array<number>(256).fill(0x61)), 'longer than 255'],
  ])('is rejected in SOCKS4: %s', (_, bytes, text) => {
    const { reply, message } = refusalOf(bytes);
    expect(reply).toEqual(REJECTED);
    expect(message).toContain(text);
  });
});

describe('what is not SOCKS', () => {
  it.each([
    ['TLS', [0x16, 3, 1, 2, 0], /TLS.*use http:\/\/ or socks5h:\/\//],
    ['anything else', [0], /first byte is 0x00/],
  ])('is closed without an answer: %s', (_, bytes, pattern) => {
    const { reply, message } = refusalOf(bytes);
    expect(reply).toEqual([]);
    expect(message).toMatch(pattern);
  });

  it('is closed without a further answer when a later message has the wrong version', () => {
    expect(refusalOf([...greeting(0), 4]).reply).toEqual([5, 0]);
    expect(refusalOf([...greeting(2), 5], USERS).reply).toEqual([5, 2]);
    expect(refusalOf([...greeting(2), ...login('ada', 'lovelace'), 1], USERS).reply).toEqual([5, 2, 1, 0]);
  });
});

describe('garbage', () => {
  // Prefixes of true messages, so that the garbage reaches every step.
  const prefix = fc.constantFrom<number[]>(
    [],
    [4, 1, 0, 80, 0, 0, 0, 1],
    [5],
    greeting(0),
    [...greeting(0), 5, 1, 0],
    [...greeting(0), 5, 1, 0, 3],
    greeting(2),
    [...greeting(2), 1],
    [...greeting(2), ...login('ada', 'lovelace'), 5],
    [...greeting(0), 5, Command.udpAssociate, 0],
  );
  const garbage = fc.tuple(prefix, fc.uint8Array({ maxLength: 1200 })).map(([head, tail]) => [...head, ...tail]);
  const users = fc.constantFrom<readonly SocksUser[]>([], USERS);
  const offers = fc.constantFrom(TCP, UDP, BOTH);

  it('throws nothing, and comes to the same however it is split', () => {
    fc.assert(
      fc.property(garbage, pieces, users, offers, (bytes, sizes, users, offered) => {
        expect(converse(bytes, sizes, users, offered)).toEqual(converse(bytes, [], users, offered));
      }),
      { numRuns: 500 },
    );
  });

  it('is decided within HANDSHAKE_MAX_BYTES', () => {
    const long = (fill: number) => new Array<number>(HANDSHAKE_MAX_BYTES).fill(fill);
    const full = [5, 255, ...long(2).slice(0, 255), 1, 255, ...long(97).slice(0, 255), 255, ...long(98).slice(0, 255)];
    const users = [{ username: 'a'.repeat(255), password: 'b'.repeat(255) }];
    const longest = [...full, 5, 1, 0, 3, 255, ...long(99).slice(0, 255), 0, 80];
    expect(longest.length).toBe(HANDSHAKE_MAX_BYTES);
    expect(converse(longest, [], users)).toMatchObject({ state: 'request', rest: [] });
    fc.assert(
      fc.property(garbage, fc.integer({ min: 1, max: 255 }), (bytes, fill) => {
        expect(converse([...bytes, ...long(fill)], []).state).not.toBe('more');
      }),
    );
  });
});

describe('socksReply', () => {
  it('tells SOCKS5 the reason and the bound address', () => {
    expect([...socksReply(5, 'hostUnreachable')]).toEqual(failure(Reply.hostUnreachable));
    expect([...socksReply(5, 'succeeded')]).toEqual([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  });

  it('tells SOCKS4 only whether it was granted', () => {
    expect([...socksReply(4, 'succeeded')]).toEqual([0, 90, 0, 0, 0, 0, 0, 0]);
    expect([...socksReply(4, 'connectionRefused')]).toEqual(REJECTED);
  });
});
