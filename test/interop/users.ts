import { expect, test } from 'vitest';
import { describeWith } from '../support/programs.ts';
import {
  type End,
  isSip022,
  PROGRAMS_OF,
  passwordFor,
  startClient,
  startServer,
  type User,
} from '../support/shadowsocks-ends.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startEcho } from '../support/targets/echo.ts';
import { type Connect, type TunnelOptions, tunnelThrough } from '../support/tunnel.ts';

/**
 * Several users behind one port of a server: with the identity headers of SIP023, or in SIP004, of which clients know
 * nothing, each with a password of their own.
 */
export function describeUsers({ client, server, method }: TunnelOptions): void {
  describeWith([...PROGRAMS_OF[client], ...PROGRAMS_OF[server]], `${client} → ${server}, ${method}, users`, () => {
    const identityKey = isSip022(method) ? passwordFor(method) : undefined;
    const alice: User = { name: 'alice', password: passwordFor(method) };
    const bob: User = { name: 'bob', password: passwordFor(method) };
    const stranger: User = { name: 'stranger', password: passwordFor(method) };

    const serverEnd = suiteResource(async () => {
      const end = await startServer({ impl: server, method, password: identityKey, users: [alice, bob] });
      return { end, close: end.stop };
    });
    const echo = suiteResource(() => startEcho());

    async function asUser(user: User, exchange: (connect: Connect) => Promise<void>): Promise<void> {
      const { end } = await serverEnd();
      const clientEnd: End = await startClient({
        impl: client,
        method,
        password: identityKey === undefined ? user.password : `${identityKey}:${user.password}`,
        serverPort: end.port,
      });
      try {
        await tunnelThrough(clientEnd.port, [clientEnd, end]).use(exchange);
      } finally {
        await clientEnd.stop();
      }
    }

    for (const user of [alice, bob]) {
      test(`${user.name} gets through`, async () => {
        const { port } = await echo();
        await asUser(user, async connect => {
          const connection = await connect({ host: '127.0.0.1', port });
          await connection.send(user.name);
          expect(String(await connection.take(user.name.length))).toBe(user.name);
        });
      });
    }

    test('a key that is no user’s does not', async () => {
      const { port, connections } = await echo();
      const before = connections();
      await asUser(stranger, async connect => {
        const connection = await connect({ host: '127.0.0.1', port });
        await connection.send('let me in');
        // The server may read on in silence, until the other end has had enough.
        connection.end();
        const answer = await connection.takeAll().catch(() => Buffer.alloc(0));
        expect(String(answer)).toBe('');
      });
      expect(connections()).toBe(before);
    });
  });
}
