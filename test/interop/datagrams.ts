import { networkInterfaces } from 'node:os';
import { expect, test } from 'vitest';
import { type DatagramExchange, exchangeDatagrams } from '../support/exchange-datagrams.ts';
import { describeWith } from '../support/programs.ts';
import {
  isSip022,
  PROGRAMS_OF,
  passwordFor,
  startClient,
  startServer,
  type Udp,
  type User,
} from '../support/shadowsocks-ends.ts';
import { Socks5DatagramClient } from '../support/socks5-datagram-client.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startDatagramEcho } from '../support/targets/datagram-echo.ts';
import { startTunnel, type TunnelOptions, tunnelThrough } from '../support/tunnel.ts';

const IPV6 = networkInterfaces().lo?.some(({ address }) => address === '::1') ?? false;
// "localhost" may be either.
const LOOPBACK = IPV6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'];

/** For one method of a family; the others need not carry as many. */
export const MANY = 10_000;
const FEW = 1_000;

export interface DatagramOptions extends TunnelOptions {
  readonly udp: Udp;
  readonly datagrams?: number;
}

/** What every pair of client and server must carry in datagrams, with one method. */
export function describeDatagrams({ datagrams = FEW, ...options }: DatagramOptions): void {
  const { client, server, method, udp } = options;
  describeWith([...PROGRAMS_OF[client], ...PROGRAMS_OF[server]], titleOf(options), () => {
    const tunnel = suiteResource(() => startTunnel(options));
    const one = suiteResource(() => startDatagramEcho(LOOPBACK));
    const other = suiteResource(() => startDatagramEcho(LOOPBACK));

    // The client of sing-box now and then ends a stream of SIP022 at once with "bad request salt", whoever the server is.
    const retry = client === 'sing-box' && udp !== 'plain' && isSip022(method) ? 2 : 0;
    test(`${datagrams} datagrams of two clients`, { retry }, async () => {
      const ports = [(await one()).port, (await other()).port];
      // Of neighbours, which are in flight at once, each goes elsewhere. An address is first, for the server of sing-box
      // gives all answers in a session that began with a name that name as their source.
      const destinations = ports.flatMap(port => ['127.0.0.1', 'localhost'].map(host => ({ host, port })));
      const { use, socksPort } = await tunnel();
      await use(async () => {
        const { echoed } = await exchangeDatagrams({ socksPort, destinations, datagrams });
        expect(echoed).toBe(datagrams);
      });
    });

    test.skipIf(!IPV6)(`datagrams to an IPv6 address${IPV6 ? '' : ' [SKIPPED: no ::1 here]'}`, { retry }, async () => {
      const { port } = await one();
      const { use, socksPort } = await tunnel();
      await use(() => exchangeDatagrams({ socksPort, destinations: [{ host: '::1', port }], datagrams: 10 }));
    });
  });

  function titleOf({ client, server }: TunnelOptions): string {
    return `${client} → ${server}, ${method}, UDP${udp === 'plain' ? '' : ` ${udp}`}`;
  }
}

/** Several users behind one UDP port of a server, as in describeUsers. */
export function describeDatagramUsers({ client, server, method }: TunnelOptions): void {
  describeWith([...PROGRAMS_OF[client], ...PROGRAMS_OF[server]], `${client} → ${server}, ${method}, UDP, users`, () => {
    const identityKey = isSip022(method) ? passwordFor(method) : undefined;
    const alice: User = { name: 'alice', password: passwordFor(method) };
    const bob: User = { name: 'bob', password: passwordFor(method) };
    const stranger: User = { name: 'stranger', password: passwordFor(method) };

    const serverEnd = suiteResource(async () => {
      const users = [alice, bob];
      const end = await startServer({ impl: server, method, password: identityKey, users, udp: 'plain' });
      return { end, close: end.stop };
    });
    const echo = suiteResource(() => startDatagramEcho());
    const unheard = suiteResource(() => startDatagramEcho());

    async function asUser(user: User, exchange: (socksPort: number) => Promise<void>): Promise<void> {
      const { end } = await serverEnd();
      const clientEnd = await startClient({
        impl: client,
        method,
        password: identityKey === undefined ? user.password : `${identityKey}:${user.password}`,
        serverPort: end.port,
        udp: 'plain',
      });
      try {
        await tunnelThrough(clientEnd.port, [clientEnd, end]).use(() => exchange(clientEnd.port));
      } finally {
        await clientEnd.stop();
      }
    }

    async function expectEchoes(socksPort: number): Promise<void> {
      const { port } = await echo();
      const exchange: DatagramExchange = { socksPort, destinations: [{ host: '127.0.0.1', port }], datagrams: FEW };
      expect((await exchangeDatagrams(exchange)).echoed).toBe(FEW);
    }

    test('get through at once', async () => {
      await Promise.all([alice, bob].map(user => asUser(user, expectEchoes)));
    });

    test('a key that is no user’s does not get through', async () => {
      const { port, datagrams } = await unheard();
      await asUser(stranger, async socksPort => {
        const association = await Socks5DatagramClient.associate(socksPort);
        try {
          for (let number = 0; number < 10; number++) association.send('127.0.0.1', port, Buffer.from('let me in'));
          // What the server lets through after them shows that it has had them.
          await asUser(alice, expectEchoes);
        } finally {
          association.close();
        }
      });
      expect(datagrams()).toBe(0);
    });
  });
}
