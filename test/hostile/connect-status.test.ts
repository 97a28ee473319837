import { once } from 'node:events';
import type { ClientKeys } from '@podsocks/shared/crypto/key-derivation';
import { clientStreams } from '@podsocks/shared/crypto/streams';
import { streamServices } from '@podsocks/shared/net/stream-services';
import { type Target, targetOf } from '@podsocks/shared/wire/address';
import { encodeStatus } from '@podsocks/shared/wire/connect-status';
import { INFORMATION_HOST, isInformationHost } from '@podsocks/shared/wire/information';
import { LEGACY_MAGIC_HOST, MAGIC_HOST } from '@podsocks/shared/wire/udp-over-tcp';
import { describe, expect, it } from 'vitest';
import { askToConnect } from '../integration/connect-status-client.ts';
import { freePort } from '../support/free-port.ts';
import { PseudoRandom } from '../support/pseudo-random.ts';
import { SIP022, startLocal, startVictim, underEachScheme } from './support/ends.ts';
import { type Behaviour, type Caught, startPrey } from './support/evil-server.ts';
import { opened, sealed, sealedUnits, unixTime } from './support/requests.ts';
import { openSocket, probe, sight } from './support/sighting.ts';
import { servesSocks } from './support/socks.ts';
import { startTestEcho } from './support/witness.ts';

/*
 * A server that says that it tells what becomes of a connect may tell anything, or nothing. The program gets a reply in any
 * case, and never bytes that were not the target's; and ss-local goes on serving.
 */

const INFORMATION = JSON.stringify({
  podsocks: { version: '1.0.0' },
  features: ['connect-status'],
  cluster: { domain: 'cluster.local' },
});
const ANSWER = `HTTP/1.1 200 OK\r\nContent-Length: ${INFORMATION.length}\r\nConnection: close\r\n\r\n${INFORMATION}`;

const STATUS = encodeStatus({ reply: 'succeeded', bound: targetOf('10.96.0.7', 80) });
const REFUSED = encodeStatus({ reply: 'connectionRefused', bound: targetOf('0.0.0.0', 0) });

/** ss-local before a server that is podsocks when it is asked, and does with all else what it likes. */
async function startTrusting(scheme: typeof SIP022, behave: Behaviour, settings = {}) {
  let asked = () => {};
  const known = new Promise<void>(resolve => {
    asked = resolve;
  });
  const prey = await startPrey(
    scheme,
    caught => {
      if (!isInformationHost(caught.request.target)) return behave(caught);
      caught.socket.end(caught.answer()(ANSWER));
      asked();
    },
    { connectReply: 'auto', ...settings },
  );
  await known;
  return { ask: (port = 80, early = '') => askToConnect(prey.socksPort, { host: '10.96.0.7', port }, { early }) };
}

const honest = ({ socket, answer }: Caught) => void socket.end(answer()(Buffer.concat([STATUS, Buffer.from('hello')])));

describe('a status', () => {
  it('may come in any pieces, with what the target says behind it', () =>
    underEachScheme(async scheme => {
      const data = new PseudoRandom('target').take(1 << 20);
      const whole = Buffer.concat([STATUS, data]);
      const { ask } = await startTrusting(scheme, ({ request, socket, answer }) => {
        const seal = answer();
        const cut = request.target.port - 1;
        for (let at = 0; at < cut; at++) socket.write(seal(whole.subarray(at, at + 1)));
        socket.end(seal(whole.subarray(cut)));
      });
      for (let cut = 0; cut <= STATUS.length + 2; cut++) {
        const { reply, bound, connection } = await ask(cut + 1);
        expect({ cut, reply, bound }).toEqual({ cut, reply: 0, bound: '10.96.0.7:80' });
        expect((await connection.takeAll()).equals(data)).toBe(true);
      }
    }));

  it('that is cut, at whichever byte, is a failure, and the next one counts again', () =>
    underEachScheme(async scheme => {
      const { ask } = await startTrusting(scheme, caught => {
        const { request, socket, answer } = caught;
        const length = request.target.port - 1;
        if (length >= STATUS.length) honest(caught);
        else if (length === 0) socket.end();
        else socket.end(answer()(STATUS.subarray(0, length)));
      });
      for (let length = 0; length < STATUS.length; length++) {
        const { reply, connection } = await ask(length + 1);
        expect({ length, reply }).toEqual({ length, reply: 1 });
        expect(await connection.takeAll()).toHaveLength(0);
        expect((await ask(0xffff)).reply).toBe(0);
      }
    }));

  it.each<[string, (caught: Caught) => void, number]>([
    ['is none', ({ socket, answer }) => void socket.write(answer()('HTTP/1.1 200 OK\r\n\r\n')), 1],
    ['has a reply that is none', ({ socket, answer }) => void socket.write(answer()(Buffer.alloc(20, 0xff))), 1],
    ['has a name', ({ socket, answer }) => void socket.write(answer()(Buffer.of(0, 3, 255))), 1],
    ['is megabytes of nothing', ({ socket, answer }) => void socket.write(answer()(Buffer.alloc(1 << 21, 9))), 1],
    ['is under another key', ({ socket }) => void socket.write(Buffer.alloc(300, 7)), 1],
    ['is a reset', ({ socket }) => void socket.resetAndDestroy(), 1],
    ['never comes', () => {}, 6],
    [
      'is a refusal with data',
      ({ socket, answer }) => void socket.write(answer()(Buffer.concat([REFUSED, STATUS]))),
      5,
    ],
  ])('that %s', async (_, behave, expected) => {
    const { ask } = await startTrusting(SIP022, behave, { connectTimeout: 300 });
    const { reply, connection } = await ask(80, 'what the program says at once');
    expect(reply).toBe(expected);
    expect(await connection.takeAll()).toHaveLength(0);
  });
});

describe('a server that is replaced by one of another kind', () => {
  it('costs the first connection, and no other', () =>
    underEachScheme(async scheme => {
      let isReplaced = false;
      const prey = await startPrey(
        scheme,
        caught => {
          const { request, socket, answer } = caught;
          if (!isReplaced) {
            if (isInformationHost(request.target)) socket.end(answer()(ANSWER));
            else honest(caught);
          } else if (request.wantsStatus || isInformationHost(request.target)) socket.resetAndDestroy();
          else socket.end(answer()('plain'));
        },
        { connectReply: 'auto' },
      );
      const ask = () => askToConnect(prey.socksPort, { host: 'web', port: 80 });
      await expect.poll(async () => (await ask()).bound).toBe('10.96.0.7:80');
      isReplaced = true;
      expect((await ask()).reply).toBe(1);
      for (let count = 0; count < 3; count++) {
        const { reply, bound, connection } = await ask();
        expect({ reply, bound }).toEqual({ reply: 0, bound: '0.0.0.0:0' });
        expect(String(await connection.takeAll())).toBe('plain');
      }
    }));
});

describe('a program that goes before it has its reply', () => {
  it.each(['FIN', 'RST'])('with %s ends its connection to the server', async way => {
    const waiting: Caught[] = [];
    let come = () => {};
    const came = new Promise<void>(resolve => {
      come = resolve;
    });
    const prey = await startPrey(
      SIP022,
      caught => {
        if (isInformationHost(caught.request.target)) caught.socket.end(caught.answer()(ANSWER));
        else {
          waiting.push(caught);
          come();
        }
      },
      { connectReply: 'auto', connectTimeout: 60_000 },
    );
    const socket = openSocket(prey.socksPort);
    socket.write(Uint8Array.of(5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 80));
    await came;
    const gone = once(
      waiting[0]!.socket.resume().on('end', () => waiting[0]!.socket.end()),
      'close',
    ).catch(() => {});
    if (way === 'FIN') socket.destroy();
    else socket.resetAndDestroy();
    await gone; // or the test's time is over before
  });
});

describe('ss-server', () => {
  it('absorbs an address type that nobody has, with the bit as without it', async () => {
    await underEachScheme(async scheme => {
      const { port, keys } = await startVictim(scheme, { handshakeTimeout: 700 });
      const types = [0x02, 0x80, 0x82, 0x85, 0xff];
      const seen = await Promise.all(
        types.map(type => probe(port, flight(scheme, keys.client, Buffer.of(type, 127, 0, 0, 1, 0, 80)))),
      );
      for (const { bytes, end, after } of seen) {
        expect({ bytes: bytes.length, end }).toEqual({ bytes: 0, end: 'fin' });
        expect(after).toBeGreaterThan(500); // not refused: absorbed
      }
    });
  });

  it('ends a refusal with FIN, whatever else the client sends', () =>
    underEachScheme(async scheme => {
      const { port, keys } = await startVictim(scheme);
      const { seal, opener } = asking(scheme, keys.client, targetOf('127.0.0.1', await freePort()));
      const socket = openSocket(port);
      socket.write(seal('hello'));
      for (let count = 0; count < 50; count++) socket.write(seal(Buffer.alloc(100_000)));
      const { bytes, end } = await sight(socket);
      expect(end).toBe('fin');
      expect(opened(opener, bytes)).toEqual(Buffer.from(REFUSED));
    }));

  it.each([INFORMATION_HOST.host, MAGIC_HOST, LEGACY_MAGIC_HOST])('says first that it takes %s', host =>
    underEachScheme(async scheme => {
      const { port, keys } = await startVictim(scheme);
      const { seal, opener } = asking(scheme, keys.client, targetOf(host, 80));
      const socket = openSocket(port);
      socket.write(seal(''));
      const [answer] = (await once(socket, 'data')) as [Buffer];
      expect(opened(opener, answer)).toEqual(Buffer.of(0, 1, 0, 0, 0, 0, 0, 0));
      socket.destroy();
    }),
  );

  it('lets nobody be locked out by questions that are never ended', async () => {
    const echo = await startTestEcho();
    const { port, keys, scheme } = await startVictim(SIP022, { maxConnections: 20 });
    const ends = Array.from({ length: 200 }, () => {
      const socket = openSocket(port);
      socket.write(asking(scheme, keys.client, INFORMATION_HOST).seal('GET /v1/info HTTP/1.1\r\nX: '));
      return sight(socket);
    });
    await expect.poll(async () => (await Promise.race([ends[0]!, null])) !== null).toBe(true);
    const local = await startLocal(scheme, keys.client, port);
    expect(await servesSocks(local.socksPort, echo.port)).toBe(true);
  });
});

/** A request that asks for a connect status. */
function asking({ method }: typeof SIP022, keys: ClientKeys, target: Target) {
  const streams = clientStreams(streamServices(method, 'auto'));
  const sealer = streams.sealRequest(keys, target, { wantsStatus: true });
  return {
    seal: (payload: Uint8Array | string) => sealed(sealer, payload),
    opener: streams.openResponse(keys, sealer.salt),
  };
}

/** A first flight with this address. */
function flight({ method }: typeof SIP022, keys: ClientKeys, address: Buffer): Buffer {
  if (method.generation === 'sip004') {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(address.length);
    return sealedUnits(method, keys, [length, address]);
  }
  const variable = Buffer.concat([address, Buffer.of(0, 1, 0)]);
  const fixed = Buffer.alloc(11);
  fixed.writeBigUInt64BE(BigInt(unixTime()), 1);
  fixed.writeUInt16BE(variable.length, 9);
  return sealedUnits(method, keys, [fixed, variable]);
}
