import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PodsocksError } from '../runtime/errors.ts';
import { encodeAddress, type Target, targetOf } from './address.ts';
import {
  AuthMethod,
  Command,
  decodeGreeting,
  decodePasswordRequest,
  decodeRequest,
  encodeMethodSelection,
  encodePasswordStatus,
  encodeReply,
  GREETING_MAX_BYTES,
  PASSWORD_REQUEST_MAX_BYTES,
  REQUEST_MAX_BYTES,
  Reply,
} from './socks5.ts';

type Decoder = (input: Uint8Array, at: number, end: number) => { length: number } | undefined;

const upTo255 = fc.uint8Array({ maxLength: 255 });
const around = fc.record({ before: fc.uint8Array({ maxLength: 8 }), after: fc.uint8Array({ maxLength: 8 }) });
const port = fc.integer({ min: 0, max: 0xffff });
const target: fc.Arbitrary<Target> = fc.oneof(
  fc.tuple(fc.ipV4(), port).map(([host, port]) => targetOf(host, port)),
  fc.tuple(fc.ipV6(), port).map(([host, port]) => targetOf(host, port)),
  fc.tuple(fc.domain(), port).map(([host, port]) => ({ type: 'name' as const, host, port })),
);

function requestBytes(command: number, reserved: number, to: Target): Uint8Array {
  const out = new Uint8Array(REQUEST_MAX_BYTES);
  out.set([5, command, reserved]);
  return out.slice(0, 3 + encodeAddress(out, 3, to));
}

/** Decodes `message` between other bytes, and asserts that every truncation asks for more. */
function decodeAmong<D extends Decoder>(
  decode: D,
  message: Uint8Array,
  bytes: { before: Uint8Array; after: Uint8Array },
) {
  const { before, after } = bytes;
  const input = Uint8Array.from([...before, ...message, ...after]);
  for (let end = before.length; end < before.length + message.length; end++) {
    expect(decode(input, before.length, end)).toBeUndefined();
    expect(decode(input.slice(0, end), before.length, end)).toBeUndefined();
  }
  const decoded = decode(input, before.length, input.length) as NonNullable<ReturnType<D>>;
  expect(decoded.length).toBe(message.length);
  return decoded;
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(PodsocksError);
    return (error as PodsocksError).code;
  }
  return 'none';
}

describe('greeting', () => {
  it('gives the offered methods for any offer, truncation and surroundings', () => {
    fc.assert(
      fc.property(upTo255, around, (methods, bytes) => {
        const message = Uint8Array.from([5, methods.length, ...methods]);
        expect([...decodeAmong(decodeGreeting, message, bytes).methods]).toEqual([...methods]);
      }),
    );
  });

  it('takes at most GREETING_MAX_BYTES', () => {
    const longest = new Uint8Array(1000).fill(255);
    longest[0] = 5;
    expect(decodeGreeting(longest, 0, longest.length)?.length).toBe(GREETING_MAX_BYTES);
  });
});

describe('username/password request', () => {
  it('gives both parts for any bytes, truncation and surroundings', () => {
    fc.assert(
      fc.property(upTo255, upTo255, around, (username, password, bytes) => {
        const message = Uint8Array.from([1, username.length, ...username, password.length, ...password]);
        const decoded = decodeAmong(decodePasswordRequest, message, bytes);
        expect([...decoded.username]).toEqual([...username]);
        expect([...decoded.password]).toEqual([...password]);
      }),
      { numRuns: 50 },
    );
  });

  it('takes at most PASSWORD_REQUEST_MAX_BYTES', () => {
    const longest = new Uint8Array(1000).fill(255);
    longest[0] = 1;
    expect(decodePasswordRequest(longest, 0, longest.length)?.length).toBe(PASSWORD_REQUEST_MAX_BYTES);
  });
});

describe('request', () => {
  it('reads CONNECT to a name, byte for byte', () => {
    const message = Uint8Array.of(5, 1, 0, 3, 3, 0x61, 0x2e, 0x62, 0x1f, 0x90);
    expect(decodeRequest(message, 0, message.length)).toEqual({
      command: Command.connect,
      target: { type: 'name', host: 'a.b', port: 8080 },
      length: 10,
    });
  });

  it('gives command and target for any of them, whatever RSV holds', () => {
    const byte = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(byte, byte, target, around, (command, reserved, to, bytes) => {
        const decoded = decodeAmong(decodeRequest, requestBytes(command, reserved, to), bytes);
        expect(decoded).toMatchObject({ command, target: to });
      }),
    );
  });

  it('takes at most REQUEST_MAX_BYTES', () => {
    const longest = new Uint8Array(1000).fill(0x61);
    longest.set([5, 1, 0, 3, 255]);
    expect(decodeRequest(longest, 0, longest.length)?.length).toBe(REQUEST_MAX_BYTES);
  });

  it('passes on what is wrong with the address', () => {
    expect(codeOf(() => decodeRequest(Uint8Array.of(5, 1, 0, 2), 0, 4))).toBe('ERR_ADDRESS');
    expect(codeOf(() => decodeRequest(Uint8Array.of(5, 1, 0, 3, 0), 0, 5))).toBe('ERR_ADDRESS');
  });
});

describe('every decoder', () => {
  const decoders: [string, number, Decoder][] = [
    ['greeting', 5, decodeGreeting],
    ['username/password request', 1, decodePasswordRequest],
    ['request', 5, decodeRequest],
  ];

  it.each(decoders)('%s refuses every other version at its first byte', (_, version, decode) => {
    for (let byte = 0; byte < 256; byte++) {
      expect(codeOf(() => decode(Uint8Array.of(byte), 0, 1))).toBe(byte === version ? 'none' : 'ERR_SOCKS');
    }
  });

  it.each(decoders)('%s makes of garbage a message within its bounds or a PodsocksError', (_, version, decode) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), garbage => {
        if (garbage.length > 0) garbage[0] = version;
        let length = 0;
        expect(['none', 'ERR_ADDRESS']).toContain(
          codeOf(() => {
            length = decode(garbage, 0, garbage.length)?.length ?? 0;
          }),
        );
        expect(length).toBeLessThanOrEqual(garbage.length);
      }),
    );
  });
});

describe('answers', () => {
  it('selects a method', () => {
    expect([...encodeMethodSelection(AuthMethod.none)]).toEqual([5, 0]);
    expect([...encodeMethodSelection(AuthMethod.password)]).toEqual([5, 2]);
    expect([...encodeMethodSelection(AuthMethod.noneAcceptable)]).toEqual([5, 0xff]);
  });

  it('tells the status of a password', () => {
    expect([...encodePasswordStatus(true)]).toEqual([1, 0]);
    expect([...encodePasswordStatus(false)]).toEqual([1, 1]);
  });

  it('replies with 0.0.0.0:0 when no address is given', () => {
    expect([...encodeReply(Reply.connectionRefused)]).toEqual([5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
  });

  it('replies to UDP ASSOCIATE with where the datagrams shall go, IPv4 or IPv6', () => {
    const ipv4 = encodeReply(Reply.succeeded, targetOf('127.0.0.1', 1080));
    expect([...ipv4]).toEqual([5, 0, 0, 1, 127, 0, 0, 1, 4, 0x38]);
    const ipv6 = encodeReply(Reply.succeeded, targetOf('::1', 1080));
    expect([...ipv6]).toEqual([5, 0, 0, 4, ...new Array(15).fill(0), 1, 4, 0x38]);
  });

  it('replies with any bound address, as a request carries it', () => {
    fc.assert(
      fc.property(target, bound => {
        expect([...encodeReply(Reply.succeeded, bound)]).toEqual([...requestBytes(Reply.succeeded, 0, bound)]);
      }),
    );
  });
});
