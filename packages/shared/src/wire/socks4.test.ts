import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PodsocksError } from '../runtime/errors.ts';
import { Command, decodeRequest, encodeReply, REQUEST_MAX_BYTES, Reply } from './socks4.ts';

const byte = fc.integer({ min: 0, max: 255 });
const port = fc.integer({ min: 0, max: 0xffff });
const userId = fc.array(fc.integer({ min: 1, max: 255 }), { maxLength: 255 });
const around = fc.record({ before: fc.uint8Array({ maxLength: 8 }), after: fc.uint8Array({ maxLength: 8 }) });

const ascii = (text: string) => [...new TextEncoder().encode(text)];
const portBytes = (value: number) => [value >>> 8, value & 0xff];

/** Decodes `message` between other bytes, and asserts that every truncation asks for more. */
function decodeAmong(message: number[], { before, after }: { before: Uint8Array; after: Uint8Array }) {
  const input = Uint8Array.from([...before, ...message, ...after]);
  for (let end = before.length; end < before.length + message.length; end++) {
    expect(decodeRequest(input, before.length, end)).toBeUndefined();
    expect(decodeRequest(input.slice(0, end), before.length, end)).toBeUndefined();
  }
  return decodeRequest(input, before.length, input.length);
}

function errorOf(message: number[]): PodsocksError | undefined {
  try {
    decodeRequest(Uint8Array.from(message), 0, message.length);
  } catch (error) {
    expect(error).toBeInstanceOf(PodsocksError);
    return error as PodsocksError;
  }
  return undefined;
}

describe('SOCKS4 request', () => {
  it('reads the example of the protocol, byte for byte', () => {
    const message = [4, 1, 0, 80, 66, 102, 7, 99, ...ascii('Fred'), 0];
    expect(decodeRequest(Uint8Array.from(message), 0, message.length)).toEqual({
      command: Command.connect,
      target: { type: 'ipv4', host: '66.102.7.99', port: 80 },
      length: 13,
    });
  });

  it('gives command and target for any of them, truncation and surroundings', () => {
    const ip = fc.tuple(byte, byte, byte, byte).filter(([a, b, c, d]) => a + b + c > 0 || d === 0);
    fc.assert(
      fc.property(byte, port, ip, userId, around, (command, port, ip, user, bytes) => {
        const message = [4, command, ...portBytes(port), ...ip, ...user, 0];
        const target = { type: 'ipv4', host: ip.join('.'), port };
        expect(decodeAmong(message, bytes)).toEqual({ command, target, length: message.length });
      }),
    );
  });

  it('takes 0.0.0.0 for an address, not for the mark of SOCKS4a', () => {
    expect(decodeRequest(Uint8Array.of(4, 1, 0, 80, 0, 0, 0, 0, 0), 0, 9)?.target.type).toBe('ipv4');
  });

  it('refuses every other version at its first byte', () => {
    for (let version = 0; version < 256; version++) {
      expect(errorOf([version])?.code).toBe(version === 4 ? undefined : 'ERR_SOCKS');
    }
  });

  it('refuses a user id of 256 bytes before its end comes', () => {
    const fixed = [4, 1, 0, 80, 10, 0, 0, 1];
    const user = new Array<number>(256).fill(0x61);
    expect(errorOf([...fixed, ...user.slice(1)])).toBeUndefined();
    expect(errorOf([...fixed, ...user])?.message).toMatch(/user id .* longer than 255 bytes/);
  });
});

describe('SOCKS4a request', () => {
  const fixed = [4, 1, 0, 80, 0, 0, 0, 1];

  it('gives the name for any mark, user id, truncation and surroundings', () => {
    const mark = fc.integer({ min: 1, max: 255 });
    fc.assert(
      fc.property(port, mark, userId, fc.domain(), around, (port, mark, user, host, bytes) => {
        const message = [4, 1, ...portBytes(port), 0, 0, 0, mark, ...user, 0, ...ascii(host), 0];
        const target = { type: 'name', host, port };
        expect(decodeAmong(message, bytes)).toEqual({ command: 1, target, length: message.length });
      }),
    );
  });

  it('takes a name of 255 bytes, and refuses one of 256 before its end comes', () => {
    const user = new Array<number>(255).fill(0x61);
    const longest = Uint8Array.from([...fixed, ...user, 0, ...user, 0]);
    expect(decodeRequest(longest, 0, longest.length)?.length).toBe(REQUEST_MAX_BYTES);
    expect(errorOf([...fixed, 0, ...user, 0x61])?.message).toMatch(/name .* longer than 255 bytes/);
  });

  it('refuses an empty name, one with a space and one that is not UTF-8', () => {
    for (const name of ['', 'a b'].map(ascii).concat([[0xff]])) {
      expect(errorOf([...fixed, 0, ...name, 0])?.code).toBe('ERR_ADDRESS');
    }
  });
});

describe('SOCKS4 garbage', () => {
  it('becomes a request within the bounds or a PodsocksError', () => {
    const garbage = fc.tuple(fc.constantFrom(0, 10), fc.uint8Array({ maxLength: 700 })).map(([ip, tail]) => {
      return Uint8Array.from([4, 1, 0, 80, ip, 0, 0, 1, ...tail]);
    });
    fc.assert(
      fc.property(garbage, input => {
        if (errorOf([...input])) return;
        const decoded = decodeRequest(input, 0, input.length);
        if (!decoded) expect(input.length).toBeLessThan(REQUEST_MAX_BYTES);
        else expect(decoded.length).toBeLessThanOrEqual(Math.min(input.length, REQUEST_MAX_BYTES));
      }),
    );
  });
});

describe('SOCKS4 reply', () => {
  it('is version 0, the code, and an address that nobody reads', () => {
    expect([...encodeReply(Reply.granted)]).toEqual([0, 90, 0, 0, 0, 0, 0, 0]);
    expect([...encodeReply(Reply.rejected)]).toEqual([0, 91, 0, 0, 0, 0, 0, 0]);
  });
});
