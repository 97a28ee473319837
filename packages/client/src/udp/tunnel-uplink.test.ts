import { dial } from '@podsocks/shared/net/dial';
import { IdleClock } from '@podsocks/shared/net/idle-clock';
import { targetOf } from '@podsocks/shared/wire/address';
import { describe, expect, it } from 'vitest';
import type { ServerLink } from '../servers/server-link.ts';
import type { ServerPool } from '../servers/server-pool.ts';
import { tunnelUplinks } from './tunnel-uplink.ts';
import {
  openUplink,
  packetOf,
  serverAt,
  startDatagramServer,
  startStreamServer,
  streamServicesFor,
} from './uplink-fixtures.ts';

const NAME = targetOf('kube-dns.kube-system.svc', 53);
const CONFIG = { udpOverTcp: false, cryptoBackend: 'auto', ipv6First: false } as const;

interface Place {
  readonly host: string;
  readonly port: number;
}

/** The way to a server, and how often it was dialled. */
function linkTo({ host, port }: Place) {
  const server = serverAt(host, port);
  const dials: number[] = [];
  const dialServer = () => {
    dials.push(port);
    return dial({ host, port, timeout: 5_000, ipv6First: false, noDelay: true });
  };
  const { streams } = streamServicesFor(server, dialServer);
  const suspected: string[] = [];
  const link = { server, streams, dial: dialServer, suspect: (reason: string) => void suspected.push(reason) };
  return { link: link as unknown as ServerLink, dials, suspected };
}

/** A pool whose server in use the test chooses. */
function poolOf(active: ServerLink) {
  const listeners = new Set<() => void>();
  const state = { active };
  const pool = {
    get active() {
      return state.active;
    },
    used() {},
    onActiveChange(listener: () => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onUpheaval: () => () => {},
  } as unknown as ServerPool;
  const use = (link: ServerLink) => {
    state.active = link;
    for (const listener of listeners) listener();
  };
  return { pool, use, listeners };
}

const clock = new IdleClock(60_000);

describe('as datagrams', () => {
  it('an association goes to the server in use, and on to the next one', async () => {
    const [one, two] = [await startDatagramServer(), await startDatagramServer()];
    const { pool, use, listeners } = poolOf(linkTo(one).link);
    const { uplink, send, received } = openUplink(tunnelUplinks({ config: CONFIG, pool, clock }));
    send(NAME, '1');
    expect(await one.received.next()).toMatchObject({ target: NAME, payload: '1' });
    one.send(one.seal(NAME, '2'));
    expect(await received.next()).toEqual({ target: NAME, payload: '2' });
    use(linkTo(two).link);
    send(NAME, '3');
    expect(await two.received.next()).toMatchObject({ target: NAME, payload: '3' });
    two.send(two.seal(NAME, '4'));
    expect(await received.next()).toEqual({ target: NAME, payload: '4' });
    uplink.close();
    expect(listeners.size).toBe(0);
  });

  it('each association has a session of its own, and a server that comes back is another session', async () => {
    const server = await startDatagramServer();
    const { link } = linkTo(server);
    const { pool, use } = poolOf(link);
    const open = tunnelUplinks({ config: CONFIG, pool, clock });
    const [one, two] = [openUplink(open), openUplink(open)];
    for (const { send } of [one, two, one]) {
      send(NAME, 'x');
      await server.received.next();
    }
    expect(server.sessions()).toBe(2);
    use(link);
    one.send(NAME, 'x');
    await server.received.next();
    expect(server.sessions()).toBe(3);
  });

  it('opens no connection', async () => {
    const server = await startDatagramServer();
    const { link, dials } = linkTo(server);
    const { send } = openUplink(tunnelUplinks({ config: CONFIG, pool: poolOf(link).pool, clock }));
    send(NAME, 'x');
    await server.received.next();
    expect(dials).toEqual([]);
  });
});

describe('in a stream', () => {
  const config = { ...CONFIG, udpOverTcp: true };

  it('an association has a connection to the server in use', async () => {
    const server = await startStreamServer();
    const { link, dials } = linkTo(server);
    const { send, received } = openUplink(tunnelUplinks({ config, pool: poolOf(link).pool, clock }));
    send(NAME, '1');
    const connection = await server.connections.next();
    expect(await connection.received.next()).toEqual({ target: NAME, payload: '1' });
    connection.send(packetOf(NAME, '2'));
    expect(await received.next()).toEqual({ target: NAME, payload: '2' });
    expect(dials).toHaveLength(1);
  });

  it('a server that cannot be reached is suspected, and what waits for it is dropped', async () => {
    const server = await startStreamServer();
    const { link, suspected } = linkTo({ ...server, port: 1 });
    const { send, failed } = openUplink(tunnelUplinks({ config, pool: poolOf(link).pool, clock }));
    send(NAME, 'x');
    const { message } = await failed.next();
    expect(suspected).toEqual([message]);
  });
});
