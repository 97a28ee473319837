import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { describeOnLinux } from '../support/describe-on-linux.ts';
import { freePort } from '../support/free-port.ts';
import { run, SERVER } from '../support/own-program.ts';
import { startEcho } from '../support/targets/echo.ts';
import { connectSome, KEY, startWithWorkers, WORKERS, works } from './with-workers.ts';

// ss-server --workers as it is run: who the workers are, and what becomes of connections when one ends.

describeOnLinux('the workers', () => {
  it('are as many as was asked for, each with its title, and say together where they listen', async () => {
    const { server, port, pids, records } = await startWithWorkers();
    expect([...pids().keys()].sort()).toEqual([1, 2]);
    for (const [worker, pid] of pids()) {
      expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toContain(`ss-server: worker ${worker}`);
    }
    const listening = records().filter(({ msg }) => String(msg).includes('listening on'));
    expect(listening).toEqual([expect.objectContaining({ workers: WORKERS, msg: `listening on 127.0.0.1:${port}` })]);
    server.child.kill('SIGTERM');
    expect(await server.exitCode).toBe(0);
  });

  it('take turns, and log through the primary who they are', async () => {
    const started = await startWithWorkers();
    for (const connection of await connectSome(started)) connection.end();
    const closed = () => started.records().filter(({ msg }) => msg === 'connection closed');
    await expect
      .poll(() =>
        closed()
          .map(({ worker }) => worker)
          .sort(),
      )
      .toEqual([1, 1, 2, 2]);
    expect(closed()[0]).toMatchObject({ level: 'debug', name: 'ss-server', user: 'default', bytesUp: 5, bytesDown: 5 });
  });

  it.each(['-k', '--password-file', 'SS_PASSWORD'])(
    'get the key of %s neither by argument nor by variable',
    async flag => {
      const port = await freePort();
      const own = ['-s', '127.0.0.1', '-p', `${port}`, '--workers', '2', '-v', '--log-format', 'json'];
      const server =
        flag === 'SS_PASSWORD'
          ? run(SERVER, own, { env: { SS_PASSWORD: KEY } })
          : run(SERVER, [...own, flag, flag === '-k' ? KEY : keyFile()]);
      await server.wrote(/listening on/);
      const pids = [...server.output().matchAll(/"pid":(\d+)/g)].map(([, pid]) => pid);
      expect(pids).toHaveLength(2);
      for (const pid of pids) {
        expect(readFileSync(`/proc/${pid}/cmdline`, 'latin1')).not.toContain(KEY);
        expect(readFileSync(`/proc/${pid}/environ`, 'latin1')).not.toContain(KEY);
      }
      expect(server.output()).not.toContain(KEY);
    },
  );
});

describeOnLinux('a worker that is killed', () => {
  it('takes its own connections with it, and no others, and is replaced', async () => {
    const started = await startWithWorkers();
    const before = started.pids();
    const connections = await connectSome(started);
    process.kill(before.get(1)!, 'SIGKILL');
    await started.server.wrote(/another will take its place/);
    expect((await Promise.all(connections.map(works))).sort()).toEqual([false, false, true, true]);
    expect(started.records()).toContainEqual(expect.objectContaining({ level: 'error', worker: 1, signal: 'SIGKILL' }));

    await expect.poll(() => started.pids().get(1), { timeout: 10_000 }).not.toBe(before.get(1));
    expect(started.pids().get(2)).toBe(before.get(2));
    const later = await connectSome(started);
    expect(await Promise.all(later.map(works))).toEqual([true, true, true, true]);
    process.kill(started.pids().get(1)!, 'SIGKILL');
    await expect
      .poll(() => Promise.all(later.map(works)).then(all => all.filter(Boolean).length), { timeout: 10_000 })
      .toBe(2);
  });

  it('is replaced later each time', async () => {
    const { pids, records } = await startWithWorkers();
    for (let kill = 0; kill < 3; kill++) {
      const pid = pids().get(2)!;
      process.kill(pid, 'SIGKILL');
      await expect.poll(() => pids().get(2), { timeout: 10_000 }).not.toBe(pid);
    }
    const delays = records().flatMap(({ worker, delay }) => (delay === undefined ? [] : [[worker, delay]]));
    expect(delays).toEqual([
      [2, 100],
      [2, 200],
      [2, 400],
    ]);
  });

  it('keeps nobody out when it was the last: who comes meanwhile waits', async () => {
    const { pids, server, connect } = await startWithWorkers();
    for (const pid of pids().values()) process.kill(pid, 'SIGKILL');
    await server.wrote(/(another will take its place.*){2}/s);
    const connections = await Promise.all(Array.from({ length: 20 }, connect));
    expect((await Promise.all(connections.map(works))).every(Boolean)).toBe(true);
  });

  it('leaves no connection behind that nobody has, and no descriptor', async () => {
    const { pids, port, server, connect, records } = await startWithWorkers();
    await connect().then(connection => connection.destroy());
    const descriptors = () => readdirSync(`/proc/${server.child.pid}/fd`).length;
    const before = descriptors();
    for (let round = 0; round < 5; round++) {
      const strangers = Array.from({ length: 200 }, () => ended(port));
      const pid = pids().get(1)!;
      process.kill(pid, 'SIGKILL');
      await Promise.all([...strangers, ...Array.from({ length: 200 }, () => ended(port))]);
      await expect.poll(() => pids().get(1), { timeout: 10_000 }).not.toBe(pid);
    }
    await expect.poll(descriptors, { timeout: 10_000 }).toBe(before);
    expect(records().filter(({ delay }) => delay !== undefined)).toHaveLength(5);
  });
});

describeOnLinux('a fault in a worker', () => {
  // What NODE_OPTIONS can bring into a process without a file of its own.
  const imported = (code: string) => ({ env: { NODE_OPTIONS: `--import=data:text/javascript,${code}` } });

  it('is logged before that worker ends, and it is replaced', async () => {
    const onSignal = "process.on('SIGUSR2',()=>{throw(new(TypeError)('oops'))})";
    const { pids, records, server, connect } = await startWithWorkers([], imported(onSignal));
    process.kill(pids().get(2)!, 'SIGUSR2');
    await server.wrote(/another will take its place/);
    expect(records().find(({ level }) => level === 'fatal')).toMatchObject({
      worker: 2,
      err: { type: 'TypeError', message: 'oops', stack: expect.stringContaining('oops') },
    });
    expect(records().find(({ delay }) => delay !== undefined)).toMatchObject({ worker: 2, code: 1 });
    expect(await works(await connect())).toBe(true);
  });

  it('that keeps it from starting ends all', async () => {
    const endWorkers = "process.argv[1].endsWith('worker.js')&&process.exit(3)";
    const server = run(SERVER, ['-s', '127.0.0.1', '-p', '0', '-k', KEY, '--workers', '2'], imported(endWorkers));
    expect(await server.exitCode).toBe(1); // when all processes have let go of its streams
    expect(server.output()).toMatch(/^ss-server: Error: worker [12] ended before it was ready \(exit code 3\)\n/);
  });
});

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const HAS_REUSE_PORT = major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
const REUSE_PORT = `with --reuse-port, workers${HAS_REUSE_PORT ? '' : ' [SKIPPED: needs Node.js 22.12]'}`;

describe.runIf(process.platform === 'linux' && HAS_REUSE_PORT)(REUSE_PORT, () => {
  it('listen themselves, beside each other and others', async () => {
    const { port, connect, records, server } = await startWithWorkers(['--reuse-port']);
    const other = run(SERVER, ['-s', '127.0.0.1', '-p', `${port}`, '-k', KEY, '--reuse-port']);
    await other.wrote(/listening on/);
    other.child.kill('SIGTERM');
    expect(await other.exitCode).toBe(0);
    const connections = await Promise.all(Array.from({ length: 20 }, connect));
    for (const connection of connections) connection.end();
    const closed = () => records().filter(({ msg }) => msg === 'connection closed');
    await expect
      .poll(() => new Set(closed().map(({ worker }) => worker)), { timeout: 10_000 })
      .toEqual(new Set([1, 2]));
    server.child.kill('SIGTERM');
    expect(await server.exitCode).toBe(0);
  });

  it('say so, once, when the port is taken', async () => {
    const taken = await startEcho();
    const own = ['-s', '127.0.0.1', '-p', `${taken.port}`, '-k', KEY, '--workers', '2', '--reuse-port'];
    const server = run(SERVER, own);
    expect(await server.exitCode).toBe(1); // when all processes have let go of its streams
    expect(server.output()).toMatch(/^ss-server: 127\.0\.0\.1:\d+ is taken by another program[^\n]*\n$/);
    await taken.close();
  });
});

/** Sends FIN, and resolves when the server has ended it too, in whatever way. */
function ended(port: number): Promise<unknown> {
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  socket.end();
  socket.resume();
  return once(socket, 'close');
}

function keyFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'podsocks-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'key'), KEY, { mode: 0o600 });
  return join(folder, 'key');
}
