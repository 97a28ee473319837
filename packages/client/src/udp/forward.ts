import { AssociationTable } from '@podsocks/shared/net/association-table';
import { DatagramCounts, type DropReason, sendDropReason } from '@podsocks/shared/net/datagram-counts';
import { DatagramListener } from '@podsocks/shared/net/datagram-listener';
import type { DatagramSocket, Origin } from '@podsocks/shared/net/datagram-socket';
import { dropLog, formatOrigin } from '@podsocks/shared/net/drop-log';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { atMostEvery } from '@podsocks/shared/runtime/at-most-every';
import type { Running } from '@podsocks/shared/runtime/lifecycle';
import type { Logger } from '@podsocks/shared/runtime/log';
import type { Target } from '@podsocks/shared/wire/address';
import { type ClientGate, isOfThisMachine } from '../listen/client-gate.ts';
import { plainAddress } from '../listen/machine-addresses.ts';
import type { OpenUplink, Uplink } from './uplink.ts';

export interface DatagramForwardOptions {
  readonly listen: readonly Endpoint[];
  /** Where everything goes that comes to the port. */
  readonly target: Target;
  readonly openUplink: OpenUplink;
  /** Of other machines; without one, all that can reach the port may use it. */
  readonly gate?: Pick<ClientGate, 'enter' | 'leave'> | undefined;
  /** The cap of clients at a time, each of which has an uplink. */
  readonly maxClients: number;
  /** Milliseconds without a datagram after which a client is forgotten. */
  readonly idleTimeout: number;
  readonly log: Logger;
}

export interface RunningForward extends Running {
  readonly addresses: readonly Endpoint[];
  /** All that went through, since the start. */
  readonly counts: DatagramCounts;
}

interface Client {
  readonly address: string;
  /** What it has to leave. */
  readonly gate: DatagramForwardOptions['gate'];
  readonly uplink: Uplink;
  readonly counts: DatagramCounts;
}

/**
 * A local UDP port that stands for one target beyond the server, for programs that know no SOCKS: what `ss-tunnel -U` is.
 *
 * @throws PodsocksError ERR_LISTEN; then nothing runs.
 */
export async function startDatagramForward(options: DatagramForwardOptions): Promise<RunningForward> {
  const { listen, target, openUplink, gate, maxClients, idleTimeout, log } = options;
  const total = new DatagramCounts();
  const logDrop = dropLog(log);
  const logUnreachable = atMostEvery<Error>(LOG_INTERVAL_MS, (count, error) =>
    log.warn({ count }, `the server cannot be reached: ${error.message}`),
  );
  const logTurnedAway = atMostEvery<{ client: string; obstacle: string }>(
    LOG_INTERVAL_MS,
    (count, { client, obstacle }) =>
      log.warn({ count, client }, `a client of another machine was turned away: ${obstacle}`),
  );
  const end = ({ address, gate, uplink }: Client) => {
    gate?.leave(address);
    uplink.close();
  };
  const clients = new AssociationTable<string, Client>({
    max: maxClients,
    idleTimeout,
    now: () => performance.now(),
    remove: end,
  });

  const listener = new DatagramListener({
    sharePort: false,
    reusePort: false,
    failed: error => total.drop(sendDropReason(error)),
    receive: (data, from, socket) => {
      const key = formatOrigin(from);
      const client = clients.use(key) ?? begin(key, from, socket);
      if (client === undefined) return;
      const { uplink, counts } = client;
      counts.up(data.length);
      uplink.send(target, data, 0, data.length);
    },
  });
  await listener.listen(listen);

  function begin(key: string, from: Origin, socket: DatagramSocket): Client | undefined {
    const { address } = from;
    const ownGate = gate === undefined || isOfThisMachine(address) ? undefined : gate;
    const obstacle = ownGate?.enter(address);
    if (obstacle !== undefined) {
      total.drop('denied');
      logTurnedAway({ client: address, obstacle });
      return undefined;
    }
    const counts = new DatagramCounts(total);
    const dropped: (reason: DropReason) => void = reason => {
      counts.drop(reason);
      logDrop({ reason, client: from });
    };
    const uplink = openUplink({
      dropped,
      failed: logUnreachable,
      receive: (_, data, at, length) => {
        clients.keep(key);
        if (socket.send(data, at, length, from)) counts.down(length);
        else dropped('congested');
      },
    });
    const client = { address, gate: ownGate, uplink, counts };
    clients.add(key, plainAddress(address), client); // no machine pushes out the programs of another
    return client;
  }

  const close = async () => {
    listener.close();
    for (const client of clients.clear()) end(client);
  };
  return { addresses: listener.addresses, counts: total, drain: close, close };
}

const LOG_INTERVAL_MS = 10_000;
