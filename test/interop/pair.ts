import { expect, test } from 'vitest';
import type { Connection } from '../support/connection.ts';
import { describeWith } from '../support/programs.ts';
import { PseudoRandom, sha256 } from '../support/pseudo-random.ts';
import { type Implementation, isSip022, PROGRAMS_OF } from '../support/shadowsocks-ends.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startDigest } from '../support/targets/digest.ts';
import { exchangeWithDuplex, startDuplex } from '../support/targets/duplex.ts';
import { startEcho } from '../support/targets/echo.ts';
import { startTunnel, type TunnelOptions } from '../support/tunnel.ts';
import { testAnswers } from './answers.ts';

const PARALLEL = 200;
const UPLOAD_BYTES = 1024 * 1024;

/**
 * Both ends of shadowsocks-libev close both ways on the first EOF (`server_recv_cb` and `remote_recv_cb` free the pair
 * when recv returns 0), so an answer to a half-closed request is lost with either of them.
 */
const HALF_CLOSES: Record<Implementation, boolean> = {
  podsocks: true,
  libev: false,
  rust: true,
  'sing-box': true,
};

/** What every pair of client and server must carry, with one method. */
export function describePair(options: TunnelOptions): void {
  const { client, server, method } = options;
  describeWith([...PROGRAMS_OF[client], ...PROGRAMS_OF[server]], `${client} → ${server}, ${method}`, () => {
    const tunnel = suiteResource(() => startTunnel(options));
    const duplex = suiteResource(startDuplex);
    const digest = suiteResource(startDigest);
    const echo = suiteResource(() => startEcho());

    test('64 MiB up and 64 MiB down at once', async () => {
      const { port } = await duplex();
      await (await tunnel()).use(async connect => {
        const { client, target } = await exchangeWithDuplex(await connect({ host: '127.0.0.1', port }));
        expect(target.received).toBe(client.sent);
        expect(client.received).toBe(target.sent);
      });
    });

    if (HALF_CLOSES[client] && HALF_CLOSES[server]) {
      test('an answer to a half-closed request', async () => {
        const { port } = await digest();
        const request = new PseudoRandom('request').take(UPLOAD_BYTES);
        await (await tunnel()).use(async connect => {
          const connection = await connect({ host: '127.0.0.1', port });
          await connection.send(request);
          connection.end();
          expect(String(await connection.takeAll())).toBe(sha256(request));
        });
      });
    }

    test('a request that ends with FIN arrives whole', async () => {
      const target = await digest();
      const request = new PseudoRandom('request').take(UPLOAD_BYTES);
      const arrived = target.nextRequest();
      await (await tunnel()).use(async connect => {
        const connection = await connect({ host: '127.0.0.1', port: target.port });
        await connection.send(request);
        connection.end();
        expect(await arrived).toBe(sha256(request));
      });
    });

    test(`${PARALLEL} connections at once`, async () => {
      const { port } = await echo();
      await (await tunnel()).use(async connect => {
        // The first round proves that all are open to the target, the second that each still has its own bytes.
        const connections = await Promise.all(
          Array.from({ length: PARALLEL }, async (_, number) => {
            const connection = await connect({ host: '127.0.0.1', port });
            await roundTrip(connection, `first ${number}`);
            return connection;
          }),
        );
        await Promise.all(connections.map((connection, number) => roundTrip(connection, `second ${number}`)));
      });
    });

    // The client of shadowsocks-rust sends a request without payload with 0 to 900 bytes of padding, and a strict
    // server must refuse the one in 901 that has none.
    const retry = client === 'rust' && isSip022(method) ? 1 : 0;
    testAnswers(tunnel, { retry });
  });
}

async function roundTrip(connection: Connection, seed: string): Promise<void> {
  const source = new PseudoRandom(seed);
  // Up to 67 KB, so that some need more than one chunk with every method.
  const bytes = source.take(1 + (source.take(2).readUInt16BE() % 67_000));
  const [echoed] = await Promise.all([connection.take(bytes.length), connection.send(bytes)]);
  expect(echoed.equals(bytes), `bytes of connection ${seed}`).toBe(true);
}
