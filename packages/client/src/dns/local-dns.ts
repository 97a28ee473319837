import type { DatagramSocket, Origin } from '@podsocks/shared/net/datagram-socket';
import type { Endpoint } from '@podsocks/shared/net/listener';
import type { Running } from '@podsocks/shared/runtime/lifecycle';
import type { Logger } from '@podsocks/shared/runtime/log';
import { formatTarget } from '@podsocks/shared/wire/address';
import { ipv4OfMapped } from '@podsocks/shared/wire/mapped-address';
import type { OpenStream } from '../open-stream.ts';
import type { ClusterNames } from './cluster-names.ts';
import { ClusterUpstream } from './cluster-upstream.ts';
import { DnsListeners } from './dns-listeners.ts';
import { type DnsCounts, type MappedNames, Responder } from './responder.ts';
import { StreamClients } from './stream-clients.ts';
import { isItself } from './system-resolvers.ts';
import { SystemUpstream } from './system-upstream.ts';

export interface LocalDnsOptions {
  readonly listen: readonly Endpoint[];
  readonly openStream: OpenStream;
  readonly cluster: ClusterNames;
  readonly mapped: MappedNames;
  /** Who knows all other names at the moment, in the order to be asked. */
  readonly upstreams: () => readonly Endpoint[];
  /** Who may ask; others get no answer. */
  readonly isAllowed: (address: string) => boolean;
  readonly log: Logger;
  /** A clock that never steps back, in milliseconds. */
  readonly now?: () => number;
}

export interface RunningDns extends Running {
  /** Where it listens, by UDP and TCP. */
  readonly addresses: readonly Endpoint[];
  /** What came since the start. */
  readonly counts: Readonly<DnsCounts>;
  /** What is going on: queries that wait for an answer of others, connections of clients, and answers that are remembered. */
  readonly load: { readonly waiting: number; readonly connections: number; readonly remembered: number };
}

/**
 * A DNS server for this machine: names of the cluster are asked of its DNS, through the tunnel; mapped names are answered here;
 * all others go to the system's servers.
 *
 * @throws PodsocksError ERR_LISTEN; then nothing runs.
 */
export async function startLocalDns(options: LocalDnsOptions): Promise<RunningDns> {
  const { listen, openStream, cluster, mapped, isAllowed, log, now = () => performance.now() } = options;
  const clusterUpstream = new ClusterUpstream({
    openStream,
    servers: () => cluster.nameservers(),
    obstacle: () => cluster.obstacle(),
    now,
  });
  const systemUpstream = new SystemUpstream({
    servers: () => options.upstreams().filter(server => !isItself(server, listeners.addresses)),
    now,
  });
  const responder = new Responder({
    cluster,
    mapped,
    askCluster: query => clusterUpstream.ask(query),
    askSystem: query => systemUpstream.ask(query),
    log,
    now,
  });
  const clients = new StreamClients({ respond: message => responder.respond(message, 'tcp') });
  let isDraining = false;
  let answering = 0;
  let onIdle = () => {};

  async function answer(data: Uint8Array, from: Origin, socket: DatagramSocket): Promise<void> {
    if (isDraining || !mayAsk(from.address)) return;
    answering++;
    const reply = await responder.respond(Buffer.from(data.buffer, data.byteOffset, data.length), 'udp');
    if (reply !== undefined) socket.send(reply, 0, reply.length, from);
    answering--;
    if (answering === 0) onIdle();
  }

  const mayAsk = (address: string) => isAllowed(ipv4OfMapped(address) ?? address);

  const listeners = new DnsListeners({
    receive: (data, from, socket) => void answer(data, from, socket),
    accept: socket => {
      if (mayAsk(socket.remoteAddress ?? '')) clients.accept(socket);
      else socket.destroy();
    },
    log,
  });
  await listeners.listen(listen);

  const close = async () => {
    isDraining = true;
    listeners.close();
    clients.close();
    clusterUpstream.close();
    systemUpstream.close();
    onIdle();
  };
  log.info(`DNS on ${listeners.addresses.map(formatTarget).join(', ')}`);
  return {
    addresses: listeners.addresses,
    counts: responder.counts,
    get load() {
      return { waiting: responder.waiting, connections: clients.size, remembered: responder.remembered };
    },
    drain: async () => {
      isDraining = true;
      listeners.stopAccepting();
      // Bounded by the time that an answer may take.
      const answered = new Promise<void>(resolve => {
        onIdle = resolve;
      });
      await Promise.all([clients.drain(), answering > 0 && answered]);
      await close();
    },
    close,
  };
}
