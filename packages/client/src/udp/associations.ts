import type { Connection } from '@podsocks/shared/net/connection';
import type { DatagramCounts } from '@podsocks/shared/net/datagram-counts';
import { dropLog } from '@podsocks/shared/net/drop-log';
import { atMostEvery } from '@podsocks/shared/runtime/at-most-every';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Logger } from '@podsocks/shared/runtime/log';
import { targetOf } from '@podsocks/shared/wire/address';
import { encodeReply, Reply } from '@podsocks/shared/wire/socks5';
import { type AssociateRequest, endWith } from '../accept.ts';
import { isServersFault } from '../carrier.ts';
import { socksReply } from '../socks-handshake.ts';
import { Association, type PortRange } from './associate.ts';
import type { OpenUplink } from './uplink.ts';

export interface AssociationsOptions {
  readonly config: { readonly udpPorts?: PortRange; readonly udpAdvertise?: string };
  readonly openUplink: OpenUplink;
  readonly total: DatagramCounts;
  readonly log: Logger;
  /** The connection will get no more than its reply. */
  readonly expel: (connection: Connection) => void;
}

/** Serves UDP ASSOCIATE: as long as the client keeps the connection, there is a port for its datagrams. */
export function associations({ config, openUplink, total, log, expel }: AssociationsOptions) {
  const logUnreachable = atMostEvery<Error>(LOG_INTERVAL_MS, (count, error) =>
    log.warn({ count }, `the server cannot be reached: ${error.message}`),
  );
  const logRefused = atMostEvery<Error>(LOG_INTERVAL_MS, (count, error) =>
    log.warn({ count }, `the server's answer was refused: ${error.message}`),
  );
  const logDrop = dropLog(log);
  const logNoUdp = atMostEvery<string>(LOG_INTERVAL_MS, (count, client) => log.info({ count, client }, NO_DATAGRAM));

  return async (control: Connection, { target, username }: AssociateRequest, client: string): Promise<void> => {
    const { remotePort: port = 0 } = control.socket;
    let association: Association;
    try {
      association = new Association({
        control,
        declared: target,
        openUplink,
        ports: config.udpPorts,
        dropped: reason => logDrop({ reason, client: { address: client, port }, user: username }),
        failed: error => (isServersFault(error) ? logRefused(error) : logUnreachable(error)),
        total,
      });
    } catch (error) {
      if (!(error instanceof PodsocksError)) throw error;
      log.warn({ client }, error.message);
      expel(control);
      endWith(control, socksReply(5, 'generalFailure'));
      return;
    }
    control.receive = () => true; // the handshake is over, and what the client says now is of no interest
    const { address, counts } = association;
    const bound = config.udpAdvertise === undefined ? address : targetOf(config.udpAdvertise, address.port);
    control.socket.write(encodeReply(Reply.succeeded, bound));
    await ended(control);
    association.close();
    log.debug({ client, ...(username && { user: username }), ...counts.passed() }, 'UDP association closed');
    if (counts.packetsUp > 0 && counts.packetsDown === 0) logNoUdp(client);
  };
}

const LOG_INTERVAL_MS = 10_000;

const NO_DATAGRAM =
  'no datagram came back: the target does not answer, or the server carries no UDP (ss-server -u), or no UDP gets ' +
  'through to it (--udp-over-tcp), or password, method or clock differ';

/** When the client has closed the connection, or half of it; what it says is of no interest. */
function ended({ socket }: Connection): Promise<void> {
  return new Promise(resolve => {
    socket.once('end', () => socket.end());
    socket.once('close', () => resolve());
    if (socket.closed) resolve();
    else if (socket.readableEnded) socket.end();
    socket.resume();
  });
}
