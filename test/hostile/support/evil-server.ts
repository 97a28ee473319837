import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { ClientConfig } from '@podsocks/client/config';
import { keyringOf } from '@podsocks/server/keyring';
import { backendFor } from '@podsocks/shared/crypto/backends';
import type { Request } from '@podsocks/shared/crypto/stream';
import { serverStreams } from '@podsocks/shared/crypto/streams';
import { freshKeys, type Scheme, startLocal } from './ends.ts';
import { opened, sealed, unixTime } from './requests.ts';
import { type SocksSighting, sightBehindSocks, socksSocket } from './socks.ts';
import { startWitness } from './witness.ts';

/** A request of ss-local in the hands of a server that has the keys and need not mean well. */
export interface Caught {
  readonly socket: Socket;
  /** The bytes it came in. */
  readonly flight: Buffer;
  readonly request: Request;
  /** Begins an answer, and returns what seals it. An honest server gives no options. */
  answer(options?: AnswerOptions): (payload: Uint8Array | string) => Buffer;
}

export interface AnswerOptions {
  readonly to?: Request;
  /** What the clock of the server is ahead, in seconds. */
  readonly clockOffset?: number;
}

/** What an evil server does with a request. */
export type Behaviour = (caught: Caught) => void;

/** ss-local before an evil server. */
export interface Prey {
  readonly socksPort: number;
  /**
   * What a program sees that asks ss-local for `port`, says hello, and waits. The port is how a server that does many
   * things at once knows which of them to do; `onData` tells it when the beginning of its answer has arrived.
   */
  sees(port: number, onData?: () => void): Promise<SocksSighting>;
}

export async function startPrey(
  scheme: Scheme,
  behave: Behaviour,
  settings: Partial<ClientConfig> = {},
): Promise<Prey> {
  const { method } = scheme;
  const keys = freshKeys(scheme);
  const keyring = keyringOf(method, keys.server.key, keys.server.users);
  const streams = (clockOffset: number) =>
    serverStreams({
      method,
      backend: backendFor(method, 'auto'),
      random: randomBytes,
      unixTime: () => unixTime() + clockOffset,
      replays: { add: () => 'fresh' },
    });

  const server = await startWitness(socket => {
    const opener = streams(0).openRequest(keyring, '');
    socket.once('data', (flight: Buffer) => {
      opened(opener, flight);
      const request = opener.accepted?.request;
      if (!request) throw new Error('the first flight of ss-local came in pieces');
      const answer: Caught['answer'] = ({ to = request, clockOffset = 0 } = {}) => {
        const sealer = streams(clockOffset).sealResponse(to);
        return payload => sealed(sealer, payload);
      };
      behave({ socket, flight, request, answer });
    });
  });
  const { socksPort } = await startLocal(scheme, keys.client, server.port, settings);
  return { socksPort, sees: (port, onData) => sightBehindSocks(socksSocket(socksPort, port, 'hello'), onData) };
}
