import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { LOOPBACK } from '../ports.ts';
import { type Answer, type Parameters, type Route, TARGET_HOST } from './commands.ts';
import { datagramSocket } from './datagram-socket.ts';
import { DatagramWindow } from './datagram-window.ts';
import { Stream } from './stream.ts';

/** An echo that has not come by then does not come any more. */
const PATIENCE_MS = 250;
/** A clock that is looked at now and then costs less than a time for each datagram. */
const TICK_MS = 25;
/** One more, as the first tick comes sooner. */
const PATIENCE_TICKS = PATIENCE_MS / TICK_MS + 1;

/** Where datagrams go, and what is in front of each payload. */
interface Path {
  readonly socket: Socket;
  readonly header: Buffer;
  /** The connection that keeps the association. */
  readonly control: Stream | undefined;
}

/** Timed from the first datagram to the last echo. An association of its own, and so many datagrams out at any time. */
export async function bounce(parameters: Parameters<'bounce'>): Promise<Answer<'bounce'>> {
  const path = await open(parameters.route);
  try {
    const bounced = bounceOver(path, parameters);
    return await (path.control ? Promise.race([bounced, ended(path.control)]) : bounced);
  } finally {
    path.socket.close();
    path.control?.socket.destroy();
  }
}

/** Nothing is allocated for a datagram here; what Node itself allocates for each is the larger part of its price. */
function bounceOver(
  { socket, header }: Path,
  { bytes, window: size, seconds }: Parameters<'bounce'>,
): Promise<Answer<'bounce'>> {
  const datagrams = Array.from({ length: size }, () => Buffer.concat([header, Buffer.alloc(bytes, 7)]));
  const window = new DatagramWindow(size, PATIENCE_TICKS);
  const at = header.length;
  const send = (slot: number) => {
    const datagram = datagrams[slot]!;
    datagram.writeUInt32BE(window.leave(slot), at);
    socket.send(datagram);
  };
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    /** When an echo was there last, once nothing is sent any more. */
    let last: number | undefined;
    const endIfDone = () => {
      if (last === undefined || window.out > 0) return;
      const { echoes, lost } = window;
      if (echoes > 0) resolve({ seconds: (last - begun) / 1000, echoes, lost });
      else reject(new Error(`none of ${lost} datagrams came back`));
    };
    const clock = setInterval(() => {
      const now = performance.now();
      if (now - begun >= seconds * 1000) last ??= now;
      const lost = window.tick();
      if (last === undefined) lost.forEach(send);
      endIfDone();
    }, TICK_MS);
    // However this ends, the socket is closed then, and must not be sent to any more.
    socket.once('close', () => clearInterval(clock));
    socket.on('error', reject);
    socket.on('message', echo => {
      if (echo.length !== at + bytes)
        return reject(new Error(`an echo of ${echo.length} instead of ${at + bytes} bytes`));
      const slot = window.arrive(echo.readUInt32BE(at));
      if (slot === undefined) return;
      if (last === undefined) return send(slot);
      last = performance.now();
      endIfDone();
    });
    for (let slot = 0; slot < size; slot++) send(slot);
  });
}

async function open({ port, socksPort }: Route): Promise<Path> {
  const association = socksPort === undefined ? undefined : await Stream.associate(socksPort);
  const socket = datagramSocket();
  const connected = once(socket, 'connect');
  socket.connect(association?.relayPort ?? port, LOOPBACK);
  try {
    await connected;
  } catch (error) {
    socket.close();
    association?.control.socket.destroy();
    throw error;
  }
  return { socket, control: association?.control, header: association ? headerTo(port) : Buffer.alloc(0) };
}

/** RFC 1928, section 7: two bytes of zero, no fragment, the target's IPv4 address and port. */
function headerTo(port: number): Buffer {
  return Buffer.of(0, 0, 0, 1, ...TARGET_HOST.split('.').map(Number), port >> 8, port & 0xff);
}

async function ended(control: Stream): Promise<never> {
  await control.end();
  throw new Error('the SOCKS5 server ended the association');
}
