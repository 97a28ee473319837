import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Target, targetOf } from '@podsocks/shared/wire/address';
import { encodePacketHeader, encodeRequest, MAGIC_HOST } from '@podsocks/shared/wire/udp-over-tcp';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DatagramSession, startWitnessedEcho } from '../support/datagram-session.ts';
import { describeOnLinux } from '../support/describe-on-linux.ts';
import { freePort } from '../support/free-port.ts';
import { startPair } from '../support/in-process.ts';
import { run, SERVER } from '../support/own-program.ts';
import { DOWNLOAD_BYTES, DOWNLOAD_REQUEST, startDownload } from '../support/targets/download.ts';
import { startEcho } from '../support/targets/echo.ts';
import { type AuditRecord, Caller, recordsIn, startAudited } from './audited-server.ts';

// What ss-server, as it is run, has written of what users did.

const LOOPBACK_RULE = expect.stringMatching(/config\.json: allow/);

/** Targets of all kinds. */
async function targets() {
  const echo = await startEcho();
  const download = await startDownload();
  const resetting = createServer(socket => socket.once('data', () => socket.resetAndDestroy()));
  await new Promise<void>(resolve => resetting.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    resetting.close();
    await Promise.all([echo.close(), download.close()]);
  });
  return { echo, download, resetting: (resetting.address() as { port: number }).port, closed: await freePort() };
}

/** What the fields that are told nothing of in advance have to look like, and a session's id once for all its records. */
function checkCommon(records: readonly AuditRecord[]): void {
  for (const { time, session, event, duration_ms: duration } of records) {
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(session).toMatch(/^[0-9a-f]{8}-\d+$/);
    if (event === 'closed') expect(duration).toSatisfy(value => Number.isInteger(value) && Number(value) >= 0);
    else expect(duration).toBeUndefined();
  }
  const ids = new Map<number, unknown>();
  for (const { client_port: port, session } of records) {
    expect(ids.get(port) ?? session).toBe(session);
    ids.set(port, session);
  }
  expect(new Set(ids.values()).size).toBe(ids.size);
}

/** By client, in the order of events of each; without what {@link checkCommon} looks at. */
function told(records: readonly AuditRecord[]) {
  return records
    .map(({ time: _time, session: _session, duration_ms: _duration, ...rest }) => rest)
    .sort((one, other) => one.client_port - other.client_port);
}

/** A packet of UDP over TCP; ahead of the first there is a request. */
function streamedPacket(target: Target, payload: string, { isFirst = false } = {}): Buffer {
  const [request, header] = [Buffer.alloc(300), Buffer.alloc(300)];
  const requestLength = isFirst ? encodeRequest(request, 0, { isConnect: false, target: targetOf('0.0.0.0', 0) }) : 0;
  const headerLength = encodePacketHeader(header, 0, target, payload.length);
  return Buffer.concat([request.subarray(0, requestLength), header.subarray(0, headerLength), Buffer.from(payload)]);
}

/** Whose a record is. */
const tcp = (user: string, { port }: Caller) => ({ user, client_port: port, protocol: 'tcp' });

/** Where it led. */
const place = (target: string, port: number) => ({ target, port, address: '127.0.0.1', rule: LOOPBACK_RULE });

/** The records of a connection, and of an association. */
const whole = (at: object, up: number, down: number, end: string) => [
  { event: 'opened', ...at },
  { event: 'closed', ...at, bytes_up: up, bytes_down: down, end },
];
const association = (at: object, targets: readonly object[], up: number, down: number, end: string) => [
  { event: 'opened', ...at },
  { event: 'closed', ...at, targets, more_targets: false, bytes_up: up, bytes_down: down, end },
];

describe.each([1, 2])('with %i workers', workers => {
  it('a run of all kinds of sessions is told as it was', { timeout: 60_000 }, async () => {
    const { echo, download, resetting, closed } = await targets();
    const started = await startAudited(['--workers', `${workers}`, '--drain-timeout', '0']);
    const [ada, ben] = [started.as('ada'), started.as('ben')];
    const expected: object[] = [];
    const expectFor = (who: { user: string; client_port: number; protocol: string }, records: readonly object[]) => {
      for (const record of records) expected.push({ client_address: '127.0.0.1', ...who, ...record });
    };
    const untilTold = (count: number) => expect.poll(() => started.records().length, { timeout: 10_000 }).toBe(count);

    // In order, ended by the client, by name.
    const orderly = await Caller.to(ada, 'web.test', echo.port);
    await orderly.send('hello');
    await orderly.take(5);
    await orderly.send(Buffer.alloc(100_000, 1));
    await orderly.take(100_000);
    await orderly.gone();
    expectFor(tcp('ada', orderly), whole(place('web.test', echo.port), 100_005, 100_005, 'client'));
    await untilTold(2);

    // In order, ended by the target.
    const fetching = await Caller.to(ben, '127.0.0.1', download.port);
    await fetching.send(DOWNLOAD_REQUEST);
    await fetching.take(DOWNLOAD_BYTES);
    await fetching.gone();
    const downloaded = whole(place('127.0.0.1', download.port), DOWNLOAD_REQUEST.length, DOWNLOAD_BYTES, 'target');
    expectFor(tcp('ben', fetching), downloaded);
    await untilTold(4);

    // Reset by the client, and by the target.
    const impatient = await Caller.to(ada, '127.0.0.1', echo.port);
    await impatient.send('abc');
    await impatient.take(3);
    impatient.socket.resetAndDestroy();
    expectFor(tcp('ada', impatient), whole(place('127.0.0.1', echo.port), 3, 3, 'client-reset'));
    await untilTold(6);
    const unlucky = await Caller.to(ada, '127.0.0.1', resetting);
    await unlucky.send('abcd');
    await unlucky.cut();
    expectFor(tcp('ada', unlucky), whole(place('127.0.0.1', resetting), 4, 0, 'target-reset'));
    await untilTold(8);

    // Altered on its way.
    const altered = await Caller.to(ada, '127.0.0.1', echo.port);
    await altered.send('abcdef');
    await altered.take(6);
    const bad = altered.seal('never');
    bad[0]! ^= 1;
    altered.socket.write(bad);
    expectFor(tcp('ada', altered), whole(place('127.0.0.1', echo.port), 6, 6, 'broken'));
    await untilTold(10);

    // Refused: by the target, by DNS, by the policy.
    const refusals = [
      ['127.0.0.1', closed, { reason: 'refused', message: expect.stringMatching(/refused/) }],
      ['none.test', 80, { reason: 'name', message: expect.stringMatching(/none\.test/) }],
      ['10.9.8.7', 80, { reason: 'policy', message: expect.stringMatching(/not allowed/), rule: 'default' }],
    ] as const;
    for (const [target, port, why] of refusals) {
      const caller = await Caller.to(ben, target, port);
      await caller.send('x');
      await caller.cut();
      expectFor(tcp('ben', caller), [{ event: 'refused', target, port, ...why }]);
    }
    await untilTold(13);

    // Datagrams in a stream.
    const [one, two] = [await startWitnessedEcho(), await startWitnessedEcho()];
    const stream = await Caller.to(ada, MAGIC_HOST, 0);
    for (const [turn, text] of ['1', '22', '333'].entries()) {
      const packet = streamedPacket(targetOf('127.0.0.1', one.port), text, { isFirst: turn === 0 });
      await stream.send(packet);
      await stream.take(streamedPacket(targetOf('127.0.0.1', one.port), text).length);
    }
    const inStream = { ...tcp('ada', stream), protocol: 'udp' };
    await stream.gone();
    const atOne = place('127.0.0.1', one.port);
    expectFor(
      inStream,
      association(atOne, [atOne], 6, 6, 'client').map(record => ({ transport: 'tcp', ...record })),
    );
    await untilTold(15);

    // Datagrams, to two targets, one of which does not answer, and to one that is denied; ended by the shutdown.
    two.echo = false;
    const datagrams = await DatagramSession.begin(ben);
    const witnessed = () => one.received.filter(({ payload }) => payload === 'four').length;
    await datagrams.ask(targetOf('127.0.0.1', one.port), 'four');
    const answered = datagrams.answers.length * 4;
    datagrams.send(targetOf('web.test', two.port), 'fifth');
    await expect.poll(() => two.received.length).toBe(1);
    datagrams.send(targetOf('10.9.8.7', 53), 'denied');
    await untilTold(17);
    const atTwo = place('web.test', two.port);
    const [opened, ended] = association(atOne, [atOne, atTwo], witnessed() * 4 + 5, answered, 'shutdown');
    const denied = {
      target: '10.9.8.7',
      port: 53,
      reason: 'policy',
      message: expect.any(String),
      rule: 'default',
    };
    const asked = { user: 'ben', client_port: datagrams.local.port, protocol: 'udp' };
    expectFor(asked, [opened!, { event: 'refused', ...denied }, ended!]);

    // Cut off by the shutdown.
    const last = await Caller.to(ben, '127.0.0.1', echo.port);
    await last.send('still here');
    await last.take(10);
    expectFor(tcp('ben', last), whole(place('127.0.0.1', echo.port), 10, 10, 'shutdown'));
    await untilTold(18);

    started.server.child.kill('SIGTERM');
    expect(await started.server.exitCode).toBe(0);
    const records = started.records();
    checkCommon(records);
    expect(told(records)).toEqual(told(expected as AuditRecord[]));
    expect(statSync(started.audit).mode & 0o777).toBe(0o600);
    expect(readFileSync(started.audit, 'utf8')).not.toMatch(/hello|still here|fifth/);
  });
});

/** Asks an echo, and ends. */
async function callOnce(server: Parameters<typeof Caller.to>[0], port: number): Promise<Caller> {
  const caller = await Caller.to(server, '127.0.0.1', port);
  await caller.send('hello');
  await caller.take(5);
  await caller.gone();
  return caller;
}

it('a session in which nothing moves ends as idle', async () => {
  const { echo } = await targets();
  const started = await startAudited(['-t', '1']);
  const caller = await Caller.to(started.as('ada'), '127.0.0.1', echo.port);
  await caller.send('hello');
  await caller.cut();
  const end = { event: 'closed', client_port: caller.port, end: 'idle', bytes_up: 5, bytes_down: 5 };
  await expect.poll(() => started.records().at(-1)).toMatchObject(end);
});

it('what is told while the file is moved away is in one of the two files', async () => {
  const { echo } = await targets();
  const started = await startAudited(['--workers', '2']);
  const moved = `${started.audit}.1`;
  const ports: number[] = [];
  const call = async () => void ports.push((await callOnce(started.as('ada'), echo.port)).port);
  for (let i = 0; i < 10; i++) await call();
  renameSync(started.audit, moved);
  while (!existsSync(started.audit)) await call();
  for (let i = 0; i < 10; i++) await call();
  started.server.child.kill('SIGTERM');
  expect(await started.server.exitCode).toBe(0);
  const files = [moved, started.audit].map(recordsIn);
  for (const records of files) expect(records.length).toBeGreaterThan(10);
  const byPort = (one: number, other: number) => one - other;
  for (const event of ['opened', 'closed']) {
    const told = files.flat().filter(record => record.event === event);
    expect(told.map(record => record.client_port).sort(byPort)).toEqual([...ports].sort(byPort));
  }
});

describeOnLinux('on Linux', () => {
  it('SIGHUP has the file opened again, and ends nothing, in the primary and in workers', async () => {
    const { echo } = await targets();
    const started = await startAudited(['--workers', '2']);
    const caller = await Caller.to(started.as('ada'), '127.0.0.1', echo.port);
    await caller.send('hello');
    await caller.take(5);
    await expect.poll(() => started.records().length).toBe(1);
    renameSync(started.audit, `${started.audit}.1`);
    const children = execFileSync('pgrep', ['-P', `${started.server.child.pid}`], { encoding: 'utf8' });
    for (const pid of [started.server.child.pid!, ...children.trim().split('\n').map(Number)])
      process.kill(pid, 'SIGHUP');
    await expect.poll(() => existsSync(started.audit)).toBe(true);
    await caller.send('again');
    await caller.take(5);
    await caller.gone();
    await expect.poll(() => started.records().map(({ event }) => event)).toEqual(['closed']);
    expect(started.records()[0]).toMatchObject({ bytes_up: 10, bytes_down: 10, end: 'client' });
  });

  it('a full disk stops nobody, and is said in the log', async () => {
    const { echo } = await targets();
    const started = await startAudited([], '/dev/full');
    for (let i = 0; i < 3; i++) await callOnce(started.as('ada'), echo.port);
    const [line] = await started.server.wrote(/.*audit records were lost.*/);
    expect(JSON.parse(line)).toMatchObject({ level: 'error', reason: expect.stringMatching(/ENOSPC/) });
    started.server.child.kill('SIGTERM');
    expect(await started.server.exitCode).toBe(0);
  });

  it('- is the standard output, and the log is not there', async () => {
    const { echo } = await targets();
    const started = await startAudited(['-v'], '-');
    let output = '';
    started.server.child.stdout!.on('data', text => {
      output += text;
    });
    const { port } = await callOnce(started.as('ben'), echo.port);
    await expect.poll(() => output.split('\n').length).toBe(3);
    const records = output
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line));
    expect(records).toEqual([
      expect.objectContaining({ event: 'opened', user: 'ben', client_port: port }),
      expect.objectContaining({ event: 'closed', user: 'ben', client_port: port }),
    ]);
  });

  it('whoever reads the standard output slowly, or goes away, holds up nobody', async () => {
    const { closed, echo } = await targets();
    const started = await startAudited([], '-');
    const { stdout } = started.server.child;
    stdout!.pause();
    // More than a pipe holds: a refusal is told in some 300 bytes.
    for (let i = 0; i < 400; i++) await (await refused(started.as('ada'), closed)).cut();
    await callOnce(started.as('ada'), echo.port);
    stdout!.destroy();
    for (let i = 0; i < 3; i++) await callOnce(started.as('ada'), echo.port);
    await started.server.wrote(/"reason":"write EPIPE","msg":"audit records were lost"/);
    started.server.child.kill('SIGTERM');
    expect(await started.server.exitCode).toBe(0);
  });
});

async function refused(server: Parameters<typeof Caller.to>[0], port: number): Promise<Caller> {
  const caller = await Caller.to(server, '127.0.0.1', port);
  await caller.send('x');
  return caller;
}

it.each(['1', '2'])('a file that cannot be written ends the start, with %s workers', async workers => {
  const key = Buffer.alloc(32, 7).toString('base64');
  const path = join(tmpdir(), 'no-such-folder', 'audit.json');
  const server = run(SERVER, ['-s', '127.0.0.1', '-p', '0', '-k', key, '--audit', path, '--workers', workers]);
  expect(await server.exitCode).toBe(2);
  const complaint = 'cannot be opened (ENOENT); give a file that ss-server may read and write';
  expect(server.output()).toBe(`ss-server: --audit ${path}: ${complaint}\n`);
});

it.each([1, 2])('when a server of %i workers has closed, all is written, and nothing is left open', async workers => {
  const { echo } = await targets();
  const before = process.listenerCount('SIGHUP');
  const folder = mkdtempSync(join(tmpdir(), 'audited-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const audit = join(folder, 'audit.json');
  const { server, connect } = await startPair({ server: { audit, workers } });
  for (let i = 0; i < 20; i++) {
    const connection = await connect({ host: '127.0.0.1', port: echo.port });
    await connection.send('hello');
    await connection.take(5);
  }
  await server.close();
  const ends = recordsIn(audit).flatMap(({ event, end }) => (event === 'closed' ? [end] : []));
  expect(ends).toEqual(Array(20).fill('shutdown'));
  expect(process.listenerCount('SIGHUP')).toBe(before);
});
