import { fileURLToPath } from 'node:url';
import { DEFAULT_METHOD } from '@podsocks/shared/crypto/methods';
import { describe, expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { type ProgramRun, startProgram } from '../support/program-run.ts';
import { describeWith, pathOf } from '../support/programs.ts';
import { runCommand } from '../support/run-command.ts';
import { PROGRAMS_OF } from '../support/shadowsocks-ends.ts';
import { streamDatagrams } from '../support/stream-datagrams.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startDatagramEcho } from '../support/targets/datagram-echo.ts';
import { RECORDS, startNameServer } from '../support/targets/name-server.ts';
import { startTunnel } from '../support/tunnel.ts';

const PYTHON_SOURCE = fileURLToPath(new URL('python/datagrams_through_socks.py', import.meta.url));
const STREAM = { datagrams: 6_000, bytes: 1_200 };

const nameServer = suiteResource(startNameServer);
const echo = suiteResource(() => startDatagramEcho());

// If the first fails, the harness or the machine is at fault and not podsocks.
for (const { impl, method, udp } of [
  { impl: 'libev', method: 'aes-256-gcm', udp: 'plain' },
  { impl: 'podsocks', method: DEFAULT_METHOD, udp: 'plain' },
  { impl: 'podsocks', method: DEFAULT_METHOD, udp: 'over-tcp-2' },
] as const) {
  describe(`through ${impl}, UDP ${udp}`, () => {
    const tunnel = suiteResource(() => startTunnel({ client: impl, server: impl, method, udp }));

    describeWith([...PROGRAMS_OF[impl], 'python3 with PySocks'], 'PySocks', () => {
      test('exchanges datagrams', async () => {
        const { port } = await echo();
        const { use, socksPort } = await tunnel();
        await use(async () => {
          const args = [PYTHON_SOURCE, `${socksPort}`, 'echo', '127.0.0.1', `${port}`];
          expect(String(await runCommand(pathOf('python3 with PySocks'), args))).toBe('200\n');
        });
      });
    });

    describeWith([...PROGRAMS_OF[impl], 'python3 with PySocks', 'dig', 'dnsmasq'], 'dig, behind PySocks', () => {
      const forwarder = suiteResource(async () => {
        const port = await freePort();
        const { socksPort } = await tunnel();
        const to = ['127.0.0.1', `${(await nameServer()).port}`];
        const args = [PYTHON_SOURCE, `${socksPort}`, 'forward', `${port}`, ...to] as const;
        const run: ProgramRun = await startProgram('forwarder', [pathOf('python3 with PySocks'), ...args], port);
        return { port, run, close: run.stop };
      });

      for (const { name, type, answer } of RECORDS) {
        test(`${type} record`, async () => {
          const { port } = await forwarder();
          await (await tunnel()).use(async () => {
            const args = ['+short', '+ignore', '+time=2', '+tries=5', '-p', `${port}`, '@127.0.0.1', name, type];
            expect(String(await runCommand(pathOf('dig'), args))).toBe(`${answer}\n`);
          });
        });
      }
    });

    describeWith(PROGRAMS_OF[impl], 'a call', () => {
      // Other tests at the same time can keep a program from its socket until its buffer is full, which is not its fault.
      test('2,000 datagrams a second, less than 0.1 % of which are lost', { retry: 2 }, async () => {
        const { port } = await echo();
        const { use, socksPort } = await tunnel();
        await use(async () => {
          const to = { host: '127.0.0.1', port };
          const echoed = await streamDatagrams(socksPort, to, STREAM.datagrams, STREAM.bytes);
          expect(STREAM.datagrams - echoed).toBeLessThan(STREAM.datagrams / 1_000);
        });
      });
    });
  });
}
