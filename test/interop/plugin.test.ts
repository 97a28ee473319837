import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fakePlugin } from '@podsocks/shared/plugin/fake-plugin-fixtures';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { run, SERVER } from '../support/own-program.ts';
import { isPortTaken } from '../support/ports.ts';
import { describeWith, type Program } from '../support/programs.ts';
import { type Implementation, PROGRAMS_OF, passwordFor } from '../support/shadowsocks-ends.ts';
import { Socks5DatagramClient } from '../support/socks5-datagram-client.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startDatagramEcho } from '../support/targets/datagram-echo.ts';
import { startEcho } from '../support/targets/echo.ts';
import { type Connect, type Tunnel, tunnelThrough } from '../support/tunnel.ts';
import { testAnswers } from './answers.ts';
import { PLUGINS, type PluginServerOptions, startClientThrough, startServerBehind } from './plugin-ends.ts';

const METHOD = '2022-blake3-aes-256-gcm';
const OLD_METHOD = 'aes-256-gcm';
const PARALLEL = 50;

/** The other end is the same plugin, whoever runs it. */
const PAIRS: readonly { client: Implementation; server: Implementation; method: string }[] = [
  { client: 'podsocks', server: 'podsocks', method: METHOD },
  { client: 'podsocks', server: 'libev', method: OLD_METHOD },
  { client: 'libev', server: 'podsocks', method: OLD_METHOD },
];

async function startPair(
  client: Implementation,
  { server: serverPlugin, client: clientPlugin }: (typeof PLUGINS)[string],
  options: Omit<PluginServerOptions, 'plugin' | 'password'>,
): Promise<Tunnel> {
  const password = passwordFor(options.method);
  const server = await startServerBehind({ ...options, password, plugin: serverPlugin });
  try {
    const { method, udp = false } = options;
    const end = { impl: client, method, password, serverPort: server.port, plugin: clientPlugin, udp };
    const through = await startClientThrough(end);
    return tunnelThrough(through.port, [through, server]);
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function echoes(connect: Connect, port: number, text: string): Promise<void> {
  const connection = await connect({ host: '127.0.0.1', port });
  await connection.send(text);
  expect(String(await connection.take(text.length))).toBe(text);
}

for (const [name, plugin] of Object.entries(PLUGINS)) {
  for (const { client, server, method } of PAIRS) {
    const programs: readonly Program[] = [...plugin.programs, ...PROGRAMS_OF[client], ...PROGRAMS_OF[server]];
    describeWith(programs, `${client} → ${server}, ${name}`, () => {
      const tunnel = suiteResource(() => startPair(client, plugin, { impl: server, method }));
      const echo = suiteResource(() => startEcho());

      test(`${PARALLEL} connections at once`, async () => {
        const { port } = await echo();
        await (await tunnel()).use(async connect => {
          const numbers = Array.from({ length: PARALLEL }, (_, number) => number);
          await Promise.all(numbers.map(number => echoes(connect, port, `number ${number}`.repeat(1000))));
        });
      });

      testAnswers(tunnel);
    });
  }
}

describeWith([...PROGRAMS_OF.libev, 'obfs-local', 'obfs-server'], 'libev → podsocks, UDP beside simple-obfs', () => {
  test.each([[[]], [['--workers', '2']]])('goes past the plugin, to the same port: %j', async flags => {
    const plugin = PLUGINS['simple-obfs, HTTP']!;
    const tunnel = await startPair('libev', plugin, { impl: 'podsocks', method: OLD_METHOD, udp: true, flags });
    onTestFinished(() => tunnel.close());
    const [echo, target] = [await startEcho(), await startDatagramEcho()];
    onTestFinished(async () => void (await Promise.all([echo.close(), target.close()])));
    await tunnel.use(connect => echoes(connect, echo.port, 'by TCP'));
    const client = await Socks5DatagramClient.associate(tunnel.socksPort);
    onTestFinished(() => client.close());
    const answer = new Promise((resolve, reject) => client.onDatagram(({ payload }) => resolve(`${payload}`), reject));
    client.send('127.0.0.1', target.port, Buffer.from('by UDP'));
    expect(await answer).toBe('by UDP');
  });
});

// Without the programs of others: ss-server and the fixture of the unit tests.
describe('ss-server with a plugin', () => {
  const KEY = Buffer.alloc(32, 1).toString('base64');

  async function start(options: string, flags: readonly string[] = []) {
    const port = await freePort();
    const argv = ['-s', '127.0.0.1', '-p', `${port}`, '--plugin', fakePlugin().path, '--log-format', 'json', ...flags];
    const server = run(SERVER, argv, {
      env: { SS_PASSWORD: KEY, SS_PLUGIN_OPTS: `server;${options}`, HOME: '/home/ada' },
    });
    const [, pid] = await server.wrote(/"pid":(\d+),"msg":"the plugin fake-plugin listens on/);
    await server.wrote(new RegExp(`"msg":"listening on 127\\.0\\.0\\.1:${port}"`));
    expect(await isPortTaken(process.pid, 'tcp', port)).toBe(true);
    return { server, pid: Number(pid), port };
  }

  test.each([[[]], [['--workers', '2']]])('ends it when it ends: %j', async flags => {
    const file = join(fakePlugin().folder, 'told');
    const { server, port } = await start(`tell=${file}`, ['-v', ...flags]);
    await server.wrote(/"level":"debug".*fake-plugin: fake plugin: hello/);
    expect(JSON.parse(readFileSync(file, 'utf8')).env).toMatchObject({ SS_REMOTE_PORT: `${port}`, HOME: '/home/ada' });
    expect(readFileSync(file, 'utf8')).not.toContain(KEY);
    server.child.kill('SIGTERM');
    expect(await server.exitCode).toBe(0);
    expect(await isPortTaken(process.pid, 'tcp', port)).toBe(false);
    expect(server.output()).not.toMatch(/"level":"(error|fatal)"/);
    expect(server.output()).not.toContain(KEY);
  });

  test('takes it along when it is killed', async () => {
    const { server, port } = await start('stubborn');
    server.child.kill('SIGKILL');
    await expect.poll(() => isPortTaken(process.pid, 'tcp', port), { timeout: 10_000 }).toBe(false);
  });

  test('starts it again, and is not ready meanwhile', async () => {
    const admin = await freePort();
    const { server, pid } = await start('', ['--admin', `127.0.0.1:${admin}`, '-d', '127.0.0.1:1']);
    const ready = async () => (await fetch(`http://127.0.0.1:${admin}/readyz`)).text();
    process.kill(pid, 'SIGKILL');
    await server.wrote(/"level":"error".*the plugin fake-plugin will be started again: it has ended \(SIGKILL\)/);
    expect(await ready()).toMatch(/^not ready: the plugin fake-plugin does not run: it has ended \(SIGKILL\)/);
    await server.wrote(/started again[\s\S]*the plugin fake-plugin listens on/);
    expect(await ready()).not.toContain('plugin');
  });

  test('does not start without it', async () => {
    const port = await freePort();
    const argv = ['-s', '127.0.0.1', '-p', `${port}`, '--plugin', fakePlugin().path, '--plugin-opts', 'server;end'];
    const server = run(SERVER, argv, { env: { SS_PASSWORD: KEY } });
    expect(await server.exitCode).toBe(1);
    expect(server.output()).toContain(
      'ss-server: the plugin fake-plugin did not start: it has ended (exit code 3): fake',
    );
    const missing = run(SERVER, ['--plugin', 'obfs-server'], { env: { SS_PASSWORD: KEY, PATH: '/nowhere' } });
    expect(await missing.exitCode).toBe(2);
    expect(missing.output()).toContain(
      '--plugin: no program "obfs-server" on PATH; install it (in Debian: apt install',
    );
  });
});
