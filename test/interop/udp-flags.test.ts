import { expect, test } from 'vitest';
import { WITH_LOOPBACK_ALLOWED } from '../support/allow-loopback.ts';
import { exchangeDatagrams } from '../support/exchange-datagrams.ts';
import { freePort } from '../support/free-port.ts';
import { isPortTaken } from '../support/ports.ts';
import { type ProgramRun, startProgram } from '../support/program-run.ts';
import { describeWith } from '../support/programs.ts';
import { commandOf, PROGRAMS_OF, passwordFor } from '../support/shadowsocks-ends.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startDatagramEcho } from '../support/targets/datagram-echo.ts';
import { tunnelThrough } from '../support/tunnel.ts';

const METHOD = 'aes-256-gcm';
const DATAGRAMS = 100;
const obstacle = () => (process.platform === 'linux' ? undefined : 'needs Linux');

// As in flags.test.ts; the other suites of UDP use configuration files.
for (const impl of ['libev', 'podsocks'] as const) {
  const suite = () => {
    const echo = suiteResource(() => startDatagramEcho());

    for (const [flag, withTcp] of [
      ['-u', true],
      ['-U', false],
    ] as const) {
      test(`a server with ${flag} carries datagrams, and takes ${withTcp ? '' : 'no '}TCP connections`, async () => {
        const destinations = [{ host: '127.0.0.1', port: (await echo()).port }];
        const serverPort = await freePort();
        const socksPort = await freePort();
        const both = ['-s', '127.0.0.1', '-p', `${serverPort}`, '-k', passwordFor(METHOD), '-m', METHOD];
        const local = ['-b', '127.0.0.1', '-l', `${socksPort}`, '-u'];

        const ends: ProgramRun[] = [];
        const tunnel = tunnelThrough(socksPort, ends);
        try {
          // Ours refuses to have workers where they had nothing to do.
          const unset = withTcp ? [] : ['-u', 'SS_WORKERS'];
          const server = [
            ...WITH_LOOPBACK_ALLOWED,
            'env',
            ...unset,
            ...commandOf(impl, 'server'),
            ...both,
            flag,
          ] as const;
          ends.push(await startProgram(`${impl} server`, server, pid => isPortTaken(pid, 'udp', serverPort)));
          ends.push(await startProgram(`${impl} client`, [...commandOf(impl, 'client'), ...both, ...local], socksPort));
          await tunnel.use(async () => {
            const { echoed } = await exchangeDatagrams({ socksPort, destinations, datagrams: DATAGRAMS });
            expect(echoed).toBe(DATAGRAMS);
          });
          expect(await isPortTaken(process.pid, 'tcp', serverPort)).toBe(withTcp);
        } finally {
          await tunnel.close();
        }
      });
    }
  };
  describeWith(PROGRAMS_OF[impl], `${impl} started with the UDP flags of shadowsocks-libev`, suite, obstacle);
}
