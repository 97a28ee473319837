import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { describeOnLinux } from '../support/describe-on-linux.ts';
import { run, SERVER } from '../support/own-program.ts';
import { startEcho } from '../support/targets/echo.ts';
import { connectSome, isAlive, KEY, startWithWorkers, works } from './with-workers.ts';

// ss-server --workers as it is run: what signals and failures of the primary do to the workers and to connections.

describeOnLinux('signals', () => {
  it('the first one drains all workers', async () => {
    const started = await startWithWorkers();
    const connections = await connectSome(started);
    started.server.child.kill('SIGTERM');
    await started.server.wrote(/stopping/);
    const refused = connect({ host: '127.0.0.1', port: started.port });
    expect((await once(refused, 'error'))[0]).toMatchObject({ code: 'ECONNREFUSED' });
    expect(await Promise.all(connections.map(works))).toEqual([true, true, true, true]);
    for (const connection of connections) {
      connection.end();
      expect(await connection.takeAll()).toHaveLength(0);
    }
    expect(await started.server.exitCode).toBe(0);
  });

  it('the second one ends all at once', async () => {
    const started = await startWithWorkers();
    const connections = await connectSome(started);
    started.server.child.kill('SIGTERM');
    await started.server.wrote(/stopping/);
    started.server.child.kill('SIGTERM');
    expect(await started.server.exitCode).toBe(0);
    for (const connection of connections) await expect(connection.take(1)).rejects.toThrow();
  });

  it('to all processes at once, as a terminal sends them, are the business of the primary', async () => {
    const started = await startWithWorkers([], { detached: true });
    const connections = await connectSome(started);
    process.kill(-started.server.child.pid!, 'SIGINT');
    await started.server.wrote(/stopping/);
    expect(await Promise.all(connections.map(works))).toEqual([true, true, true, true]);
    process.kill(-started.server.child.pid!, 'SIGINT');
    expect(await started.server.exitCode).toBe(0);
    expect(started.records().filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('do not wait for a worker that hangs', async () => {
    const { server, pids, records } = await startWithWorkers(['--drain-timeout', '0']);
    const pid = pids().get(1)!;
    process.kill(pid, 'SIGSTOP');
    server.child.kill('SIGTERM');
    expect(await server.exitCode).toBe(0);
    expect(isAlive(pid)).toBe(false);
    expect(records()).toContainEqual(expect.objectContaining({ worker: 1, msg: 'a worker does not end; killing it' }));
  });

  it('do not bring back a worker that ends while the others drain', async () => {
    const started = await startWithWorkers();
    const { server, pids, records } = started;
    const connections = await connectSome(started);
    server.child.kill('SIGTERM');
    await server.wrote(/stopping/);
    for (const pid of pids().values()) process.kill(pid, 'SIGKILL');
    expect(await server.exitCode).toBe(0);
    expect((await Promise.all(connections.map(works))).some(Boolean)).toBe(false);
    expect(records().filter(({ delay }) => delay !== undefined)).toEqual([]);
  });
});

describeOnLinux('a primary', () => {
  it('that is killed takes the workers with it: connections are reset, and the port is free', async () => {
    const started = await startWithWorkers();
    const connections = await connectSome(started);
    const stranger = connect({ host: '127.0.0.1', port: started.port }).on('error', () => {});
    await once(stranger, 'connect');
    started.server.child.kill('SIGKILL');
    await started.server.exitCode;
    await expect.poll(() => [...started.pids().values()].filter(isAlive), { timeout: 10_000 }).toEqual([]);
    for (const connection of connections) await expect(connection.take(1)).rejects.toThrow('ECONNRESET');
    const next = createServer();
    next.listen({ host: '127.0.0.1', port: started.port });
    await once(next, 'listening');
    next.close();
    stranger.destroy();
  });

  it('that cannot listen says so in one line, and leaves nothing running', async () => {
    const taken = await startEcho();
    const server = run(SERVER, ['-s', '127.0.0.1', '-p', `${taken.port}`, '-k', KEY, '--workers', '2']);
    expect(await server.exitCode).toBe(1); // when all processes have let go of its streams
    expect(server.output()).toMatch(/^ss-server: 127\.0\.0\.1:\d+ is taken by another program[^\n]*\n$/);
    await taken.close();
  });

  it('whose workers are out of descriptors goes on when they have some again', async () => {
    const { connect, port, records } = await startWithWorkers(['--max-connections', '100000'], { descriptors: 100 });
    const sockets: Socket[] = [];
    for (let count = 0; count < 400; count++) {
      sockets.push(connectSocket(port));
      if (count % 20 === 0) await once(sockets.at(-1)!, 'connect');
    }
    // It may have been while others were still connecting.
    await expect.poll(() => sockets.some(({ closed }) => closed), { timeout: 20_000 }).toBe(true);
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => connect().then(works, () => false), { timeout: 10_000 }).toBe(true);
    expect(records().filter(({ delay }) => delay !== undefined)).toEqual([]);
  });
});

function connectSocket(port: number): Socket {
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  return socket;
}
