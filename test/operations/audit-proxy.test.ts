import { once } from 'node:events';
import { connect } from 'node:net';
import { v2, v2Checked } from '@podsocks/server/proxy-protocol/header-fixtures';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startEcho } from '../support/targets/echo.ts';
import { Caller, startAudited } from './audited-server.ts';

// ss-server --proxy-protocol: whose a connection is, and what becomes of those that do not say it.

const V1 = 'PROXY TCP4 192.0.2.7 198.51.100.1 56324 8388\r\n';

async function start(args: readonly string[] = []) {
  const echo = await startEcho();
  onTestFinished(() => echo.close());
  const started = await startAudited(['--proxy-protocol', '-v', ...args]);
  const logged = () =>
    started.server
      .output()
      .split('\n')
      .filter(line => line.startsWith('{'))
      .map(line => JSON.parse(line) as Record<string, unknown>);
  return { ...started, echo, logged };
}

describe.each(['1', '2'])('with %s workers', workers => {
  it.each([
    ['v1', V1],
    ['v2', v2()],
    ['v2 with a checksum', v2Checked()],
  ])('the client that %s names is the one that is told of', async (_, header) => {
    const { as, echo, records, logged } = await start(['--workers', workers]);
    const caller = await Caller.to(as('ada'), '127.0.0.1', echo.port);
    const wire = Buffer.concat([Buffer.from(header as string), caller.seal('hello')]);
    caller.socket.write(wire);
    expect(String(await caller.take(5))).toBe('hello');
    await caller.gone();
    const client = { client_address: '192.0.2.7', client_port: 56_324, user: 'ada' };
    await expect.poll(() => records()).toMatchObject([{ event: 'opened' }, { event: 'closed', bytes_up: 5 }]);
    for (const record of records()) expect(record).toMatchObject(client);
    await expect
      .poll(logged)
      .toContainEqual(expect.objectContaining({ client: '192.0.2.7', msg: 'connection closed' }));
  });
});

it('a header may come in pieces, with the request behind it', async () => {
  const { as, echo, records } = await start();
  const caller = await Caller.to(as('ada'), '127.0.0.1', echo.port);
  for (const byte of Buffer.concat([v2Checked(), caller.seal('hello')])) {
    await new Promise(resolve => caller.socket.write(Uint8Array.of(byte), resolve));
  }
  expect(String(await caller.take(5))).toBe('hello');
  await expect.poll(() => records()).toMatchObject([{ event: 'opened', client_address: '192.0.2.7' }]);
});

it('whoever has no header is heard in silence, as any stranger, and reaches nothing', async () => {
  const { as, echo, records, logged } = await start();
  const caller = await Caller.to(as('ada'), '127.0.0.1', echo.port);
  let answer = 0;
  caller.socket.on('data', data => {
    answer += data.length;
  });
  await caller.send('hello');
  const missing = { level: 'warn', client: '127.0.0.1', code: 'ERR_HEADER' };
  await expect.poll(logged).toContainEqual(expect.objectContaining(missing));
  for (let i = 0; i < 5; i++) await caller.send(Buffer.alloc(1000));
  expect(caller.socket.destroyed).toBe(false);
  caller.socket.end();
  await once(caller.socket, 'close');
  expect([answer, echo.connections(), records()]).toEqual([0, 0, []]);
});

it('a health check, which connects and closes, with a header or without, is worth no warning', async () => {
  const { server, port, logged } = await start().then(started => ({ ...started, port: started.as('ada').port }));
  for (const header of ['', 'PROXY UNKNOWN\r\n', v2({ versionAndCommand: 0x20, family: 0, addresses: '' })]) {
    const socket = connect({ host: '127.0.0.1', port });
    socket.resume().end(header);
    await once(socket, 'close');
  }
  await expect.poll(() => logged().filter(({ msg }) => /ended before its request/.test(String(msg))).length).toBe(3);
  expect(logged().filter(({ level }) => level !== 'info' && level !== 'debug')).toEqual([]);
  expect(server.child.exitCode).toBe(null);
});

it('without the flag a header is what a stranger says', async () => {
  const echo = await startEcho();
  onTestFinished(() => echo.close());
  const { as, server } = await startAudited([]);
  const caller = await Caller.to(as('ada'), '127.0.0.1', echo.port);
  caller.socket.write(Buffer.concat([Buffer.from(V1), caller.seal('hello')]));
  await server.wrote(/"code":"ERR_AUTHENTICATION"/);
  expect(echo.connections()).toBe(0);
});
