import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { Connection } from '@podsocks/shared/net/connection';
import { targetOf } from '@podsocks/shared/wire/address';
import { encodeStatus } from '@podsocks/shared/wire/connect-status';
import { describe, expect, it, onTestFinished } from 'vitest';
import { requestStatus } from './connect-status.ts';
import { type Asked, startFakeServer } from './server-fixtures.ts';

const STATUS = { reply: 'succeeded', bound: targetOf('10.96.0.7', 80) } as const;

/** A program, and its connection as ss-local has it. */
async function startProgram(): Promise<{ program: Socket; client: Connection }> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const program = connect({ port: (server.address() as { port: number }).port, allowHalfOpen: true });
  program.on('error', () => {});
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const client = Connection.adopt(accepted);
  client.socket.pause();
  onTestFinished(() => {
    program.destroy();
    client.socket.destroy();
    server.close();
  });
  return { program, client };
}

/** A request under way to a server that waits until the test lets it answer. */
async function ask(rest = '') {
  const { program, client } = await startProgram();
  let come: (asked: Asked) => void;
  const asked = new Promise<Asked>(resolve => {
    come = resolve;
  });
  const { keys, streams, dialServer } = await startFakeServer(request => come(request));
  const tunnel = await dialServer();
  onTestFinished(() => void tunnel.socket.destroy());
  const sealer = streams.sealRequest(keys, targetOf('web', 80), { wantsStatus: true });
  const opener = streams.openResponse(keys, sealer.salt);
  const outcome = requestStatus({ client, tunnel, sealer, opener, rest: Buffer.from(rest), timeout: 10_000 });
  return { program, client, tunnel, outcome, asked: await asked };
}

const hasRead = (client: Connection, length: number) =>
  expect.poll(() => client.socket.bytesRead).toBeGreaterThanOrEqual(length);

describe('a request for a connect status', () => {
  it('leaves without payload', async () => {
    const { asked } = await ask('early');
    expect(asked.request).toMatchObject({ wantsStatus: true, target: { host: 'web', port: 80 } });
    expect(asked.payload).toBe('');
  });

  it('keeps what the program sends meanwhile, and what the target says, in their order', async () => {
    const { program, client, outcome, asked } = await ask('zero ');
    program.write('one ');
    await hasRead(client, 4);
    program.write('two');
    await hasRead(client, 7);
    asked.socket.write(asked.seal(Buffer.concat([encodeStatus(STATUS), Buffer.from('answer')])));
    const end = await outcome;
    if (end.kind !== 'status') throw new Error(end.kind);
    expect(end.status).toEqual(STATUS);
    expect(String(end.payload)).toBe('zero one two');
    expect(String(end.answer)).toBe('answer');
  });

  it('does not keep without bound', async () => {
    const { program, client, outcome, asked } = await ask();
    program.write(Buffer.alloc(4 << 20));
    await hasRead(client, 64 * 1024);
    asked.socket.write(asked.seal(encodeStatus(STATUS)));
    const end = await outcome;
    if (end.kind !== 'status') throw new Error(end.kind);
    // One read more than the bound, at most.
    expect(end.payload.length).toBeLessThanOrEqual(64 * 1024 + 256 * 1024);
    expect(client.socket.bytesRead).toBe(end.payload.length);
  });

  it('reads neither side once it is over', async () => {
    const { program, client, tunnel, outcome, asked } = await ask();
    asked.socket.write(asked.seal(encodeStatus(STATUS)));
    await outcome;
    expect(client.socket.isPaused()).toBe(true);
    const before = [client.socket.bytesRead, tunnel.socket.bytesRead];
    await new Promise(resolve => program.write('later', resolve));
    await new Promise(resolve => asked.socket.write(asked.seal('later'), resolve));
    await new Promise(resolve => setImmediate(resolve));
    expect([client.socket.bytesRead, tunnel.socket.bytesRead]).toEqual(before);
  });

  it('goes on for a program that has said something and half-closed', async () => {
    const { program, client, outcome, asked } = await ask();
    program.end('all of it');
    await expect.poll(() => client.socket.readableEnded).toBe(true);
    asked.socket.write(asked.seal(encodeStatus(STATUS)));
    expect(await outcome).toMatchObject({ kind: 'status', payload: Buffer.from('all of it') });
  });

  it.each<[string, (program: Socket) => void]>([
    ['FIN and nothing else', program => program.end()],
    ['RST', program => program.resetAndDestroy()],
  ])('ends when the program goes, with %s', async (_, go) => {
    const { program, outcome } = await ask();
    go(program);
    expect(await outcome).toEqual({ kind: 'gone' });
  });

  it.each<[string, (socket: Socket) => void]>([
    ['FIN', socket => socket.end()],
    ['RST', socket => socket.resetAndDestroy()],
  ])('fails when the server ends it, with %s', async (_, end) => {
    const { outcome, asked } = await ask();
    end(asked.socket);
    expect(await outcome).toMatchObject({ kind: 'failed' });
  });
});
