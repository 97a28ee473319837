import { expect, test } from 'vitest';
import { WITH_LOOPBACK_ALLOWED } from '../support/allow-loopback.ts';
import { freePort } from '../support/free-port.ts';
import { type ProgramRun, startProgram } from '../support/program-run.ts';
import { describeWith } from '../support/programs.ts';
import { commandOf, PROGRAMS_OF, passwordFor } from '../support/shadowsocks-ends.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startEcho } from '../support/targets/echo.ts';
import { tunnelThrough } from '../support/tunnel.ts';

const METHOD = 'aes-256-gcm';

// A command line written for shadowsocks-libev must start ours just so. All other suites use configuration files.
for (const impl of ['libev', 'podsocks'] as const) {
  describeWith(PROGRAMS_OF[impl], `${impl} started with the flags of shadowsocks-libev`, () => {
    const echo = suiteResource(() => startEcho());

    test('carries an exchange', async () => {
      const { port } = await echo();
      const serverPort = await freePort();
      const socksPort = await freePort();
      const both = ['-s', '127.0.0.1', '-p', `${serverPort}`, '-k', passwordFor(METHOD), '-m', METHOD, '-t', '60'];
      const local = ['-b', '127.0.0.1', '-l', `${socksPort}`];

      const ends: ProgramRun[] = [];
      const tunnel = tunnelThrough(socksPort, ends);
      try {
        ends.push(
          await startProgram(
            `${impl} server`,
            [...WITH_LOOPBACK_ALLOWED, ...commandOf(impl, 'server'), ...both],
            serverPort,
          ),
        );
        ends.push(await startProgram(`${impl} client`, [...commandOf(impl, 'client'), ...both, ...local], socksPort));
        await tunnel.use(async connect => {
          const connection = await connect({ host: '127.0.0.1', port });
          await connection.send('by flags');
          expect(String(await connection.take('by flags'.length))).toBe('by flags');
        });
      } finally {
        await tunnel.close();
      }
    });
  });
}
