import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LOOPBACK_ALLOWED } from '../support/allow-loopback.ts';
import { describeOnLinux } from '../support/describe-on-linux.ts';
import { freePort } from '../support/free-port.ts';
import { CLIENT, DEMO, run, SERVER } from '../support/own-program.ts';
import { connectThrough } from '../support/socks5-connect.ts';
import { startEcho } from '../support/targets/echo.ts';

// The programs as they are run: built, as processes, with real signals.

const KEY = Buffer.alloc(32, 7).toString('base64');

async function get(socksPort: number, port: number): Promise<string> {
  const connection = await connectThrough(socksPort, { host: '127.0.0.1', port });
  await connection.send('GET /page HTTP/1.1\r\nHost: demo\r\n\r\n');
  const page = String(await connection.takeAll());
  connection.destroy();
  return page;
}

describe('npm start', () => {
  it('prints a curl line that works, and a URL that another client can use', async () => {
    const port = await freePort();
    const demo = run(DEMO, ['--port', `${port}`]);
    const [, socks, page] = await demo.wrote(
      /curl --proxy socks5h:\/\/127\.0\.0\.1:(\d+) http:\/\/127\.0\.0\.1:(\d+)\//,
    );
    expect(Number(socks)).toBe(port);
    expect(await get(port, Number(page))).toContain('It works: GET /page');

    const [url] = await demo.wrote(/ss:\/\/\S+/);
    const localPort = await freePort();
    const client = run(CLIENT, [url, '-l', `${localPort}`]);
    await client.wrote(/SOCKS5, SOCKS4 and HTTP on/);
    expect(await get(localPort, Number(page))).toContain('It works');
    demo.child.kill('SIGINT');
    expect(await demo.exitCode).toBe(0);
  });

  it('says so when the port is taken, and how to take another', async () => {
    const taken = await startEcho();
    const demo = run(DEMO, ['--port', `${taken.port}`]);
    expect(await demo.exitCode).toBe(1);
    expect(demo.output()).toMatch(/127\.0\.0\.1:\d+ is taken by another program.*npm start -- --port/);
    await taken.close();
  });

  it.each([
    [['--port', 'abc'], '"abc" is not a port'],
    [['--bogus'], 'the only flag is --port'],
  ])('refuses %j', async (args, message) => {
    const demo = run(DEMO, args);
    expect(await demo.exitCode).toBe(2);
    expect(demo.output()).toContain(message);
  });
});

describe('signals', () => {
  async function tunnelled() {
    const echo = await startEcho();
    onTestFinished(() => echo.close());
    const [serverPort, socksPort] = [await freePort(), await freePort()];
    const server = run(SERVER, ['-s', '127.0.0.1', '-p', `${serverPort}`], {
      env: { SS_PASSWORD: KEY, ...LOOPBACK_ALLOWED },
    });
    const client = run(CLIENT, ['-s', '127.0.0.1', '-p', `${serverPort}`, '-l', `${socksPort}`], {
      env: { SS_PASSWORD: KEY },
    });
    await Promise.all([server.wrote(/listening on/), client.wrote(/SOCKS5, SOCKS4 and HTTP on/)]);
    const connection = await connectThrough(socksPort, { host: '127.0.0.1', port: echo.port });
    await connection.send('before');
    expect(String(await connection.take(6))).toBe('before');
    return { server, client, serverPort, connection };
  }

  it('the first one drains: open connections finish, new ones are refused', async () => {
    const { server, serverPort, connection } = await tunnelled();
    server.child.kill('SIGTERM');
    await server.wrote(/stopping/);
    const refused = connect({ host: '127.0.0.1', port: serverPort });
    expect((await once(refused, 'error'))[0]).toMatchObject({ code: 'ECONNREFUSED' });
    await connection.send('after');
    expect(String(await connection.take(5))).toBe('after');
    connection.end();
    expect(await connection.takeAll()).toHaveLength(0);
    expect(await server.exitCode).toBe(0);
  });

  it('the second one ends at once', async () => {
    const { server, connection } = await tunnelled();
    server.child.kill('SIGTERM');
    await server.wrote(/stopping/);
    server.child.kill('SIGTERM');
    expect(await server.exitCode).toBe(0);
    await expect(connection.take(1)).rejects.toThrow();
  });
});

describeOnLinux('the process list', () => {
  it('does not show the password of -k', async () => {
    const server = run(SERVER, ['-s', '127.0.0.1', '-p', '0', '-k', KEY]);
    await server.wrote(/listening on/);
    const commandLine = readFileSync(`/proc/${server.child.pid}/cmdline`, 'utf8');
    expect(commandLine).toContain('ss-server');
    expect(commandLine).not.toContain(KEY);
    expect(server.output()).not.toContain(KEY);
  });
});

describe('exit codes', () => {
  it.each([
    [SERVER, ['--check', '-k', KEY], 0],
    [SERVER, ['genkey'], 0],
    [SERVER, ['--help'], 0],
    [SERVER, ['-k', 'short'], 2],
    [SERVER, ['-m', 'rc4-md5', '-k', 'x'], 2],
    [SERVER, ['-s', '192.0.2.1', '-k', KEY], 1],
    [CLIENT, ['http://example.com'], 2],
    [CLIENT, ['-u'], 2],
    [CLIENT, ['--version'], 0],
  ])('%s %j is %i', async (script, args, code) => {
    const program = run(script, args);
    expect(await program.exitCode, program.output()).toBe(code);
  });
});
