import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { createProgram } from '@podsocks/shared/settings/program';
import { targetOf } from '@podsocks/shared/wire/address';
import { formatSsUrl } from '@podsocks/shared/wire/ss-url';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { CLIENT_SETTINGS, type LoadedClient } from '../config.ts';
import { addDoctorCommand, type DoctorDependencies } from './doctor-command.ts';
import { examine } from './examine.ts';
import { examinedServer } from './examined-server.ts';
import { type Finding, STAGES, type Stage } from './finding.ts';

vi.mock('./examine.ts');

const KEY = Buffer.alloc(32, 1).toString('base64');
const METHOD = '2022-blake3-aes-256-gcm';
const url = (host: string, tag?: string) =>
  formatSsUrl({ method: METHOD, password: KEY, host, port: 8388, ...(tag && { tag }) });

/** What is found of each server, by its host. */
const found = new Map<string, readonly Finding[]>();
let targets: unknown[];
let wayTo: Parameters<typeof examine>[0]['wayTo'];

beforeEach(() => {
  found.clear();
  targets = [];
  vi.mocked(examine).mockImplementation(async ({ link, target, report, wayTo: given }) => {
    targets.push(target);
    wayTo = given;
    for (const finding of found.get(link.server.host) ?? []) report(finding);
  });
});

const unreachable = () => Promise.reject(new Error('dialled'));

/** As openExamined does it, of servers that nobody reaches. */
async function openExamined({ config }: LoadedClient): ReturnType<DoctorDependencies['openExamined']> {
  return {
    servers: config.servers.map(server => examinedServer(server, config, unreachable)),
    close: async () => void closed++,
  };
}

let closed = 0;

async function doctor(argv: readonly string[], env: Record<string, string> = {}, open = openExamined) {
  const [out, err]: [string[], string[]] = [[], []];
  const codes: number[] = [];
  closed = 0;
  const surroundings = {
    stdout: { write: (text: string) => out.push(text) },
    stderr: { write: (text: string) => err.push(text) },
    events: new EventEmitter(),
  };
  const program = createProgram({ name: 'ss-local', version: '0', summary: '' }, CLIENT_SETTINGS, surroundings.stdout);
  program.action(() => {});
  addDoctorCommand(program, env, surroundings, { openExamined: open, setExitCode: code => void codes.push(code) });
  await program.parseAsync(argv, { from: 'user' });
  return { out: out.join(''), err: err.join(''), codes, closed };
}

const ok = (stage: Stage, took?: number): Finding => ({
  stage,
  result: 'ok',
  found: `${stage} is fine`,
  ...(took !== undefined && { took }),
});
const failed = (stage: Stage): Finding => ({ stage, result: 'failed', found: `no ${stage}`, advice: `mend ${stage}` });

describe('ss-local doctor', () => {
  it('prints what is found, with times and advice, and says when all is well', async () => {
    found.set('a', [
      ok('name', 0.04),
      ok('tcp', 9.96),
      ok('key', 12.5),
      { stage: 'clock', result: 'warning', found: 'some seconds away', advice: 'turn on NTP' },
      { stage: 'dns', result: 'skipped', found: 'not asked for' },
    ]);
    const { out, err, codes } = await doctor(['doctor'], { SS_URL: url('a', 'cluster') });
    expect(out).toBe(
      [
        'a:8388 (cluster)',
        `  ✓ configuration  ${METHOD}, as given`,
        '  ✓ name           name is fine (0.0 ms)',
        '  ✓ tcp            tcp is fine (10.0 ms)',
        '  ✓ key            key is fine (13 ms)',
        '  ! clock          some seconds away',
        '                   → turn on NTP',
        '  - dns            not asked for',
        'Nothing has failed; look at what is marked "!".',
        '',
      ].join('\n'),
    );
    expect({ err, codes, targets }).toEqual({ err: '', codes: [0], targets: [undefined] });
  });

  it.each(Object.entries(STAGES).filter(([stage]) => stage !== 'configuration') as [Stage, number][])(
    'ends with a code of its own where it fails: %s %i',
    async (stage, code) => {
      found.set('a', [ok('name'), failed(stage)]);
      const { out, codes } = await doctor(['doctor'], { SS_URL: url('a') });
      expect(codes).toEqual([code]);
      expect(out).toContain(`  ✗ ${stage.padEnd(14)} no ${stage}\n                   → mend ${stage}\n`);
      expect(out).not.toContain('well');
    },
  );

  it.each([
    ['web.default:80', targetOf('web.default', 80)],
    ['10.96.0.1:443', targetOf('10.96.0.1', 443)],
    ['[fd00::1]:65535', targetOf('fd00::1', 65_535)],
  ])('examines the way to %s', async (text, target) => {
    await doctor(['doctor', text], { SS_URL: url('a') });
    expect(targets).toEqual([target]);
  });

  it.each(['web', 'web:', ':80', 'web:0', 'web:65536', 'web:1e3', 'fd00::1:80', 'http://web:80', '[]:80', ' '])(
    'does not know what %j is, and looks at nothing',
    async text => {
      await expect(doctor(['doctor', text], { SS_URL: url('a') })).rejects.toMatchObject({
        code: 'ERR_USAGE',
        message: 'doctor: the target is not host:port, such as web.default.svc.cluster.local:80',
      });
      expect(targets).toEqual([]);
    },
  );

  it('says where a URL belongs, and does not repeat it', async () => {
    await expect(doctor(['doctor', url('a')])).rejects.toMatchObject({
      code: 'ERR_USAGE',
      message: "doctor: the URL stands ahead: ss-local 'ss://…' doctor host:port",
    });
  });

  it('goes the way that ss-local would, by the name that it would ask for', async () => {
    await doctor(['--namespace', 'payments', '--reject', 'example.com', 'doctor', 'redis:6379'], { SS_URL: url('a') });
    expect(wayTo?.(targetOf('redis', 6379), undefined)).toMatchObject({
      way: 'tunnel',
      target: targetOf('redis.payments.svc.cluster.local', 6379),
    });
    expect(wayTo?.(targetOf('example.com', 80), undefined).way).toBe('reject');
  });

  it('says what the configuration lacks, as ss-local does', async () => {
    await expect(doctor(['doctor'])).rejects.toMatchObject({ code: 'ERR_CONFIG', message: /^no server; give/ });
    await expect(doctor(['-p', 'x', 'doctor'])).rejects.toMatchObject({ code: 'ERR_CONFIG' });
    expect(targets).toEqual([]);
  });

  it('takes the settings of ss-local ahead of it, and prints what they warn of', async () => {
    const { out, err } = await doctor(['-s', 'a', '-p', '7', '-k', KEY, '--dns-zone', 'x.example', 'doctor']);
    expect(out).toMatch(/^a:7\n/);
    expect(err).toBe(
      'ss-local: warning: --dns-zone: has no effect without a local DNS server; add --dns, or leave it out\n',
    );
  });

  it('looks at each of several servers, and is content with one that does all', async () => {
    found.set('a', [failed('tcp')]);
    found.set('b', [ok('tcp')]);
    const two = await doctor(['doctor', 'web:80'], { SS_URL: `${url('a')},${url('b', 'two')}` });
    expect(two.out).toMatch(
      /^a:8388\n.*\n {2}✗ tcp[\s\S]*\nb:8388 \(two\)\n.*\n {2}✓ tcp .*\nIt works, but not by .*\n$/,
    );
    expect(two.codes).toEqual([0]);
    expect(targets).toEqual([targetOf('web', 80), targetOf('web', 80)]);
    found.set('b', [failed('key')]);
    const none = await doctor(['doctor'], { SS_URL: `${url('a')},${url('b')}` });
    expect(none.codes).toEqual([STAGES.tcp]);
    expect(none.out).not.toContain('well');
  });

  it('closes what the servers are reached through', async () => {
    found.set('a', [failed('tcp')]);
    expect((await doctor(['doctor'], { SS_URL: url('a') })).closed).toBe(1);
  });

  it('passes on that a list of servers cannot be had', async () => {
    const gone = new PodsocksError('ERR_CONFIG', 'https://example.com/…: the server answers with status 404');
    const attempt = doctor(['--servers-url', 'https://example.com/x', 'doctor'], {}, () => Promise.reject(gone));
    await expect(attempt).rejects.toBe(gone);
  });
});

describe('ss-local doctor --json', () => {
  it('prints one document, and nothing else', async () => {
    found.set('a', [ok('name', 1.5), failed('key')]);
    found.set('b', [failed('tcp')]);
    const env = { SS_URL: `${url('a', 'one')},${url('b')}` };
    const { out, err, codes } = await doctor(['--mptcp', 'doctor', '--json', 'web:80'], env);
    const configuration = { stage: 'configuration', result: 'ok', found: `${METHOD}, as given` };
    expect(JSON.parse(out)).toEqual({
      exitCode: STAGES.key,
      servers: [
        { server: 'a:8388 (one)', findings: [configuration, ...found.get('a')!] },
        { server: 'b:8388', findings: [configuration, ...found.get('b')!] },
      ],
    });
    expect({ err, codes }).toEqual({ err: '', codes: [STAGES.key] });
    expect(out).not.toContain(KEY);
  });

  it('has the code of success', async () => {
    found.set('a', [ok('name')]);
    const { out, codes } = await doctor(['doctor', '--json'], { SS_URL: url('a') });
    expect(JSON.parse(out)).toMatchObject({ exitCode: 0 });
    expect(codes).toEqual([0]);
  });
});

it('holds no secret, whatever the configuration has', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'podsocks-doctor-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const config = join(folder, 'config.json');
  writeFileSync(
    config,
    JSON.stringify({
      servers: [{ server: 'a', password: KEY, remarks: 'one' }],
      upstream: 'http://ada:hunter2@proxy:3128',
      socks_users: [{ username: 'ada', password: 'hunter2' }],
    }),
  );
  for (const json of [[], ['--json']]) {
    const { out, err } = await doctor(['-c', config, 'doctor', ...json]);
    expect(out).toContain('a:8388 (one)');
    for (const secret of [KEY, 'hunter2']) expect(out + err).not.toContain(secret);
  }
});

it('--help says the exit codes', async () => {
  const help: string[] = [];
  const program = createProgram({ name: 'ss-local', version: '0', summary: '' }, CLIENT_SETTINGS, {
    write: text => help.push(text),
  });
  const surroundings = {
    stdout: { write: (text: string) => help.push(text) },
    stderr: { write() {} },
    events: new EventEmitter(),
  };
  addDoctorCommand(program, {}, surroundings, { openExamined, setExitCode() {} });
  await expect(program.parseAsync(['doctor', '--help'], { from: 'user' })).rejects.toThrow();
  const text = help.join('');
  for (const [stage, code] of Object.entries(STAGES)) expect(text).toContain(`${code} ${stage}`);
});
