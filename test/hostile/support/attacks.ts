import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { encodeRequestFixed, REQUEST_FIXED_BYTES } from '@podsocks/shared/wire/sip022-header';
import { freePort } from '../../support/free-port.ts';
import { WORKERS } from '../../support/own-server.ts';
import { type Attackable, freshKey } from './ends.ts';
import { flipped, opened, requestTo, sealedUnits, unixTime } from './requests.ts';
import { openSocket, sight } from './sighting.ts';

/** First bytes that no honest client sends. */
export interface Attack {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly localPort?: number;
}

/**
 * Everything that a prober without a key can send, and much that one with a key should not. None of it may reach the
 * target.
 *
 * @param targetPort an echo, for the recordings.
 */
export async function attacksOn(victim: Attackable, targetPort: number): Promise<Attack[]> {
  const { method } = victim.scheme;
  const { client } = victim.keys;
  // A new one for each: a part of one may have been enough for the server to know the rest as a replay.
  const flight = () => requestTo(method, client, targetPort).seal('GET / HTTP/1.1\r\n\r\n');
  const { length } = flight();
  return [
    ...(await recordings(victim, targetPort)), // first of all, so that no other probe gets their ports
    ...everyIndex(length, at => ({ name: `the first ${at} bytes`, bytes: flight().subarray(0, at) })),
    ...everyIndex(length, at => ({ name: `byte ${at} altered`, bytes: flipped(flight(), at) })),
    ...everyIndex(601, size => ({ name: `${size} random bytes`, bytes: randomBytes(size) })),
    { name: 'an HTTP request', bytes: Buffer.from('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n') },
    { name: 'a wrong key', bytes: requestTo(method, { ...client, key: freshKey(method) }, targetPort).seal('hello') },
    ...(victim.scheme.hasUsers ? wrongIdentities(victim, targetPort) : []),
    ...(method.generation === 'sip004' ? brokenSip004(victim, targetPort) : brokenSip022(victim, targetPort)),
  ];
}

function everyIndex(end: number, attack: (at: number) => Attack): Attack[] {
  return Array.from({ length: end }, (_, at) => attack(at));
}

/** SIP023. */
function wrongIdentities({ scheme: { method }, keys: { client, server } }: Attackable, targetPort: number): Attack[] {
  const nobody = freshKey(method);
  const ipsk = client.identityKeys[0]!;
  const flightAs = (key: Uint8Array, ...identityKeys: Uint8Array[]) =>
    requestTo(method, { key, identityKeys }, targetPort).seal('hello');
  const impostor = { key: nobody, identityKeys: [ipsk], named: client.key };
  return [
    { name: 'an identity header that names nobody', bytes: flightAs(nobody, ipsk) },
    { name: 'an identity header under a wrong iPSK', bytes: flightAs(client.key, nobody) },
    { name: 'an identity header that names the iPSK', bytes: flightAs(ipsk, ipsk) },
    { name: 'two identity headers', bytes: flightAs(client.key, ipsk, ipsk) },
    { name: 'no identity header', bytes: flightAs(client.key) },
    { name: 'no identity header, under the iPSK', bytes: flightAs(server.key!) },
    { name: 'the identity header of another', bytes: sealedUnits(method, impostor, [new Uint8Array(11)]) },
  ];
}

const BROKEN_ADDRESSES: Record<string, readonly number[]> = {
  'an address type that is none': [7, 127, 0, 0, 1, 0, 80],
  'the high bit of an address type': [0x91, 127, 0, 0, 1, 0, 80],
  'a name of no bytes': [3, 0, 0, 80],
  'a name that is not UTF-8': [3, 2, 0xc3, 0x28, 0, 80],
  'a name with a line break': [3, 4, 0x61, 0x0d, 0x0a, 0x62, 0, 80],
};

function brokenSip004({ scheme: { method }, keys: { client } }: Attackable, targetPort: number): Attack[] {
  const authentic = (name: string, ...units: Uint8Array[]) => ({ name, bytes: sealedUnits(method, client, units) });
  const payload = Uint8Array.of(...addressOf(targetPort), 1);
  const good = sealedUnits(method, client, [u16(payload.length), payload]);
  return [
    ...Object.entries(BROKEN_ADDRESSES).map(([name, bytes]) =>
      authentic(name, u16(bytes.length + 1), Uint8Array.of(...bytes, 0)),
    ),
    ...[0, 0x4000, 0x8000 + payload.length, 0xffff].map(length =>
      authentic(`a first chunk of ${length} bytes`, u16(length), payload),
    ),
    authentic('an empty chunk before a good one', u16(0), new Uint8Array(0), u16(payload.length), payload),
    authentic('half an address', u16(4), payload.subarray(0, 4)),
    authentic('half an address, then an empty chunk', u16(4), payload.subarray(0, 4), u16(0), new Uint8Array(0)),
    { name: 'a good length and a broken payload', bytes: flipped(good, good.length - 1) },
    { name: 'a good length and garbage', bytes: Buffer.concat([good.subarray(0, -24), randomBytes(200)]) },
  ];
}

/** The first second that is too many; but the clocks of workers go on while these tests have stopped their own. */
const AHEAD = WORKERS > 1 ? 31 + 25 : 31;

function brokenSip022({ scheme: { method }, keys: { client } }: Attackable, targetPort: number): Attack[] {
  const fixed = (length: number, type = 0) => {
    const out = new Uint8Array(REQUEST_FIXED_BYTES);
    encodeRequestFixed(out, unixTime(), length);
    out[0] = type;
    return out;
  };
  const authentic = (name: string, variable: readonly number[], header = fixed(variable.length)) => ({
    name,
    bytes: sealedUnits(method, client, [header, Uint8Array.from(variable)]),
  });
  const address = [...addressOf(targetPort)];
  const good = authentic('', [...address, 0, 0, 1]).bytes;
  const flightAt = (clockOffset: number) => requestTo(method, client, targetPort, clockOffset).seal('hello');
  return [
    ...Object.entries(BROKEN_ADDRESSES).map(([name, bytes]) => authentic(name, [...bytes, 0, 0, 1])),
    authentic('a response header', [...address, 0, 0, 1], fixed(10, 1)),
    authentic('an empty variable header', []),
    authentic('half an address', address.slice(0, 4)),
    authentic('no padding length', address),
    authentic('padding beyond the header', [...address, 0, 9, 1, 2]),
    authentic('neither payload nor padding', [...address, 0, 0]),
    authentic('a variable header shorter than announced', [...address, 0, 0, 1], fixed(0xffff)),
    { name: 'a broken variable header', bytes: flipped(good, good.length - 20) },
    { name: 'a broken tag of the variable header', bytes: flipped(good, good.length - 1) },
    { name: 'a good fixed header and garbage', bytes: Buffer.concat([good.subarray(0, -26), randomBytes(200)]) },
    { name: 'a clock 31 s behind', bytes: flightAt(-31) },
    { name: `a clock ${AHEAD} s ahead`, bytes: flightAt(AHEAD) },
  ];
}

/** What can be sent again after having listened to a good connection: {@link RECORDINGS} of them are made for it. */
async function recordings(victim: Attackable, targetPort: number): Promise<Attack[]> {
  const first = await recorded(victim, targetPort);
  const second = await recorded(victim, targetPort);
  const third = await recorded(victim, targetPort);
  return [
    { name: 'a replay', bytes: first.flight },
    { name: 'a second replay', bytes: first.flight },
    { name: 'a replay from the same port', bytes: second.flight, localPort: second.localPort },
    { name: 'a replay with more behind it', bytes: Buffer.concat([third.flight, randomBytes(500)]) },
    { name: "the server's own bytes", bytes: third.answer },
    { name: "the server's own bytes, from the same port", bytes: third.answer, localPort: third.localPort },
  ];
}

/** How many connections the target gets while {@link attacksOn} prepares. */
export const RECORDINGS = 3;

export interface Recording {
  readonly flight: Buffer;
  readonly answer: Buffer;
  readonly localPort: number;
}

/** A good exchange with an echo, as an eavesdropper sees it. */
export async function recorded({ port, scheme, keys }: Attackable, targetPort: number): Promise<Recording> {
  const request = requestTo(scheme.method, keys.client, targetPort);
  // The echo makes this the beginning of the answer, which then is a good SIP004 request in all but its salt.
  const flight = request.seal(Buffer.concat([addressOf(targetPort), Buffer.from('and a few words')]));
  const localPort = await freePort(); // a chosen one: by the time of the replay any other may have been taken
  const socket = openSocket(port, localPort);
  socket.write(flight);
  const answer = await new Promise<Buffer>((resolve, reject) => {
    socket.once('data', resolve);
    socket.once('error', reject).once('end', () => reject(new Error('a good request was refused')));
  });
  socket.resetAndDestroy(); // without TIME_WAIT, so that the port is free at once
  return { flight, answer, localPort };
}

/**
 * Whether an honest client is served.
 *
 * @param meanwhile what happens between its connecting and its first bytes, as things do when it is far away.
 */
export async function serves(
  { port, scheme, keys }: Attackable,
  targetPort: number,
  meanwhile?: () => Promise<void>,
): Promise<boolean> {
  const request = requestTo(scheme.method, keys.client, targetPort);
  const socket = openSocket(port);
  const seen = sight(socket);
  await Promise.race([once(socket, 'connect'), seen]);
  await meanwhile?.();
  socket.end(request.seal('still there?'));
  const { bytes } = await seen;
  return bytes.length > 0 && String(opened(request.opener(), bytes)) === 'still there?';
}

function addressOf(port: number): Uint8Array {
  return Uint8Array.of(1, 127, 0, 0, 1, port >>> 8, port & 0xff);
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}
