import type { ClientStreams } from '@podsocks/shared/crypto/stream';
import type { Connection } from '@podsocks/shared/net/connection';
import { sealDropReason } from '@podsocks/shared/net/datagram-counts';
import type { IdleClock } from '@podsocks/shared/net/idle-clock';
import { PacketStream } from '@podsocks/shared/net/packet-stream';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Target } from '@podsocks/shared/wire/address';
import { encodeRequest, MAGIC_HOST, REQUEST_MAX_BYTES } from '@podsocks/shared/wire/udp-over-tcp';
import type { Server } from '../servers.ts';
import { type OpenUplink, type Uplink, type UplinkOptions, Waiting } from './uplink.ts';

export interface StreamUplinkServices {
  readonly streams: ClientStreams;
  readonly server: Server;
  /** Connects to the server. */
  readonly dialServer: () => Promise<Connection>;
  readonly clock: IdleClock;
  /** Milliseconds without a packet after which the connection ends; the next packet makes another. */
  readonly idleTimeout: number;
}

/** After a dial that failed, or a connection that ended without an answer; datagrams come by the thousand. */
const RETRY_MS = 1000;

/** sing-box sends port 0 with the name, too. */
const MAGIC: Target = { type: 'name', host: MAGIC_HOST, port: 0 };

/** UDP over TCP, version 2: each association is a stream of its own. */
export function streamUplinks(services: StreamUplinkServices): OpenUplink {
  return options => new StreamUplink(services, options);
}

class StreamUplink implements Uplink {
  readonly #services: StreamUplinkServices;
  readonly #options: UplinkOptions;
  readonly #waiting = new Waiting();
  #packets: PacketStream | undefined;
  #dialling = false;
  #retryAt = 0;
  #closed = false;

  constructor(services: StreamUplinkServices, options: UplinkOptions) {
    this.#services = services;
    this.#options = options;
  }

  send(target: Target, data: Uint8Array, at: number, length: number): void {
    const { dropped } = this.#options;
    if (this.#closed) return;
    if (this.#packets !== undefined) {
      this.#sendBy(this.#packets, target, data, at, length);
      return;
    }
    if (!this.#dialling && performance.now() < this.#retryAt) dropped('unreachable');
    else if (!this.#waiting.add(target, data, at, length)) dropped('congested');
    else if (!this.#dialling) void this.#connect(target);
  }

  close(): void {
    this.#closed = true;
    this.#packets?.close();
  }

  #sendBy(packets: PacketStream, target: Target, data: Uint8Array, at: number, length: number): void {
    const { dropped } = this.#options;
    try {
      if (!packets.send(target, data, at, length)) dropped('congested');
    } catch (error) {
      if (!(error instanceof PodsocksError)) throw error;
      dropped(sealDropReason(error));
    }
  }

  /** @param target of the first packet; a server with rules for where packets may go sees it. */
  async #connect(target: Target): Promise<void> {
    const { dialServer, streams, server, clock, idleTimeout } = this.#services;
    const { receive, dropped, failed } = this.#options;
    this.#dialling = true;
    const connection = await dialServer().catch(failed);
    this.#dialling = false;
    if (connection === undefined) {
      this.#retryAt = performance.now() + RETRY_MS;
      this.#waiting.release(() => dropped('unreachable'));
      return;
    }
    if (this.#closed) {
      connection.close();
      return;
    }
    const sealer = streams.sealRequest(server.keys, MAGIC);
    const request = new Uint8Array(REQUEST_MAX_BYTES);
    const length = encodeRequest(request, 0, { isConnect: false, target });
    let hasAnswered = false;
    const packets = new PacketStream({
      connection,
      opener: streams.openResponse(server.keys, sealer.salt),
      sealer,
      request: { send: request.subarray(0, length) },
      clock,
      idleTimeout,
      receive: (from, data, at, length) => {
        hasAnswered = true;
        receive(from, data, at, length);
      },
      ended: error => {
        this.#packets = undefined; // the next datagram connects anew
        connection.reset();
        const wasIdle = error instanceof PodsocksError && error.code === 'ERR_TIMEOUT';
        if (!hasAnswered && !wasIdle) this.#retryAt = performance.now() + RETRY_MS;
        if (error instanceof PodsocksError && !wasIdle) failed(error);
      },
    });
    this.#packets = packets;
    packets.start(undefined);
    this.#waiting.release((to, data) => this.#sendBy(packets, to, data, 0, data.length));
  }
}
