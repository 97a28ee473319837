import { execFileSync } from 'node:child_process';
import { EventEmitter } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { clientKeys } from '@podsocks/shared/crypto/key-derivation';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import { parseSsUrl } from '@podsocks/shared/wire/ss-url';
import { describe, expect, it } from 'vitest';
import { main } from '../command-line.ts';
import { keyText, testFolder } from './users-files-fixtures.ts';

const [A, B, MAIN] = [keyText(1), keyText(2), keyText(9)];

async function run(argv: readonly string[], { env = {}, isTTY = false } = {}) {
  const [out, err]: [string[], string[]] = [[], []];
  const surroundings = {
    stdout: { write: (text: string) => out.push(text), isTTY },
    stderr: { write: (text: string) => err.push(text) },
    events: new EventEmitter(),
  };
  const start = () => Promise.reject(new Error('started'));
  const code = await main(argv, env, surroundings, { version: '1', start });
  return { code, out: out.join(''), err: err.join('') };
}

const pathIn = (folder = testFolder()) => join(folder, 'users.json');
const read = (path: string) => JSON.parse(readFileSync(path, 'utf8'));

function fileOf(content: object, mode = 0o600): string {
  const path = pathIn();
  writeFileSync(path, JSON.stringify(content), { mode });
  return path;
}

const TWO = {
  users: [
    { name: 'ada', password: A },
    {
      name: 'ben',
      password: B,
      groups: ['ops', 'dev'],
      expires: '2020-01-01',
      max_connections: 5,
      bandwidth: '100Mbit',
    },
  ],
};

describe('ss-server user add', () => {
  it('makes a file, and a key that its URL has', async () => {
    const path = pathIn();
    const argv = ['user', 'add', 'ada', '--users', path, '--host', 'a.example', '--port', '30888', '-k', MAIN];
    const { code, out, err } = await run(argv);
    expect({ code, err }).toEqual({ code: 0, err: `added "ada" to ${path}\n` });
    const [user, ...others] = read(path).users;
    expect([user.name, others]).toEqual(['ada', []]);
    const { host, port, password, method } = parseSsUrl(out.trim());
    expect({ host, port }).toEqual({ host: 'a.example', port: 30888 });
    expect(password).toBe(`${MAIN}:${user.password}`);
    expect(clientKeys(methodNamed(method), password).identityKeys).toHaveLength(1);
    expect(out).toMatch(/#ada\n$/);
    if (process.platform !== 'win32') expect(statSync(path).mode & 0o777).toBe(0o600);
    expect((await run(['--check', '--users', path, '-k', MAIN])).code).toBe(0);
  });

  it('keeps what else is in the file, its mode, and a link to it', async () => {
    const real = fileOf({ ...TWO, users: [{ ...TWO.users[1] }] }, 0o640);
    const link = pathIn();
    symlinkSync(real, link);
    const argv = ['--groups', 'a, b', '--expires', '2099-01-31', '--max-connections', '7', '--bandwidth', '5MB'];
    expect((await run(['user', 'add', 'cid', '--users', link, ...argv])).code).toBe(0);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    const { users } = read(real);
    expect(users[0]).toEqual(TWO.users[1]);
    expect(users[1]).toEqual({
      ...{ name: 'cid', password: expect.stringMatching(/^[A-Za-z0-9+/]{43}=$/) },
      ...{ groups: ['a', 'b'], expires: '2099-01-31', max_connections: 7, bandwidth: '5MB' },
    });
    if (process.platform !== 'win32') expect(statSync(real).mode & 0o777).toBe(0o640);
    expect(readdirSync(join(real, '..'))).toEqual(['users.json']);
  });

  it.each([
    ['2022-blake3-aes-128-gcm', 16],
    ['aes-256-gcm', 32],
  ])('makes a key for %s', async (method, length) => {
    const path = pathIn();
    const argv = [
      'user',
      'add',
      'ada',
      '--users',
      path,
      '-m',
      method,
      '--host',
      'h',
      '-k',
      `${keyText(9).slice(0, 22)}==`,
    ];
    const { code, out } = await run(argv);
    expect(code).toBe(0);
    expect(Buffer.from(read(path).users[0].password, 'base64')).toHaveLength(length);
    const { password } = parseSsUrl(out.trim());
    expect(password.split(':')).toHaveLength(method === 'aes-256-gcm' ? 1 : 2);
  });

  it('needs no key of the server, and says what is missing for the URL', async () => {
    const path = pathIn();
    expect(await run(['user', 'add', 'ada', '--users', path])).toEqual({
      ...{ code: 0, out: '' },
      err: `added "ada" to ${path}\ntheir URL: ss-server user url ada --users ${path} --password-file FILE --host HOST\n`,
    });
    const { code, out, err } = await run(['user', 'add', 'ben', '--users', path, '--host', 'h']);
    expect({ code, out }).toEqual({ code: 0, out: '' });
    expect(err).toMatch(/the URL holds the server's key, too, and that is not given/);
    expect(err).toContain(`\ntheir URL: ss-server user url ben --users ${path} --password-file FILE --host h\n`);
    expect(read(path).users).toHaveLength(2);
  });

  describe.runIf(process.platform !== 'win32')('says how to get the URL, so that a shell takes it', () => {
    const KEY = 'the server’s key';
    const method = ['-m', '2022-blake3-aes-256-gcm'];
    it.each<[name: string, argv: readonly string[], env: Readonly<Record<string, string>>]>([
      ['ada', ['--password-file', KEY], {}],
      ['it\'s $HOME; "x" `y`', ['--password-file', KEY, ...method], {}],
      ['-x', ['--password-file', KEY], {}],
      ['ada', ['-c', 'server.json', '--password-file', KEY, '--port', '30888'], {}],
      ['ada', ['-c', 'old.json', '-p', '9000'], {}],
      ['ada', ['-c', 'server.json', '-k', MAIN], {}],
      ['ada', ['-k', MAIN], { SS_PASSWORD_FILE: 'another' }],
      ['ada', ['-p', '9000'], { SS_PASSWORD_FILE: KEY, SS_METHOD: '2022-blake3-aes-256-gcm' }],
      ['ada', ['-m', 'aes-256-gcm'], {}],
      ['ada', ['-m', 'aes-256-gcm', '-k', 'x'], {}],
    ])('%j %j %j', async (name, argv, env) => {
      const folder = join(testFolder(), 'with blanks');
      mkdirSync(folder);
      for (const [file, key] of [
        [KEY, MAIN],
        ['another', keyText(8)],
      ] as const) {
        writeFileSync(join(folder, file), key, { mode: 0o600 });
      }
      writeFileSync(join(folder, 'server.json'), JSON.stringify({ password: keyText(8) }), { mode: 0o600 });
      const old = { password: 'x', method: 'aes-256-gcm' };
      writeFileSync(join(folder, 'old.json'), JSON.stringify(old), { mode: 0o600 });
      const inFolder = (word: string) =>
        [KEY, 'another', 'server.json', 'old.json'].includes(word) ? join(folder, word) : word;
      const located = Object.fromEntries(Object.entries(env).map(([key, value]) => [key, inFolder(value)]));
      const path = pathIn(folder);
      const given = ['user', 'add', '--users', path, ...argv.map(inFolder)];
      const { err } = await run([...given, '--', name], { env: located });
      expect(err).not.toContain(MAIN);
      const [, line] = /^their URL: ss-server (.*)$/m.exec(err)!;
      const shell = execFileSync('sh', ['-c', `printf '%s\\0' ${line}`], { encoding: 'utf8' });
      const words = shell.split('\0').slice(0, -1);
      const filled = words.map(word => ({ HOST: 'h', FILE: join(folder, KEY) })[word] ?? word);
      const url = await run(filled); // without what is in the environment
      expect(url).toMatchObject({ code: 0, err: '' });
      const { host, port, password, tag } = parseSsUrl(url.out.trim());
      const [port1, port2] = [argv.indexOf('--port'), argv.indexOf('-p')].map(at =>
        at < 0 ? undefined : argv[at + 1],
      );
      expect({ host, port, tag }).toEqual({ host: 'h', port: Number(port1 ?? port2 ?? 8388), tag: name });
      const own = read(path).users[0].password;
      expect(password).toBe(argv.includes('aes-256-gcm') || argv.includes('old.json') ? own : `${MAIN}:${own}`);
    });
  });

  it.each(['--expires=2020-01-31', '--expires=2020-01-31T00:00:00Z'])('refuses %s, which is over', async flag => {
    const path = pathIn();
    const { code, err } = await run(['user', 'add', 'ada', '--users', path, flag]);
    expect(code).toBe(2);
    expect(err).toMatch(/--expires: is over already; give a time to come/);
    expect(existsSync(path)).toBe(false);
  });

  it('with another key than the server could have is refused', async () => {
    const path = pathIn();
    const { code, out, err } = await run(['user', 'add', 'ada', '--users', path, '--host', 'h', '-k', 'abc']);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/-k \(--password\): the key of 2022-blake3-aes-256-gcm has to be 32 bytes/);
    expect(existsSync(path)).toBe(false);
    const its = await run(['user', 'url', 'ada', '--users', fileOf(TWO), '--host', 'h', '-k', 'abc']);
    expect(its).toMatchObject({ code: 2, out: '', err: expect.stringMatching(/has to be 32 bytes/) });
    const same = await run(['user', 'url', 'ada', '--users', fileOf(TWO), '--host', 'h', '-k', A]);
    expect(same).toMatchObject({ code: 2, out: '', err: expect.stringMatching(/is the same as that of the server/) });
  });

  it.each<[readonly string[], RegExp]>([
    [['ada'], /there is a user "ada" already in .*users\.json/],
    [[''], /user add: is empty or has control characters/],
    [['a\nb'], /user add: is empty or has control characters/],
    [['cid', '--expires', 'soon'], /--expires: is no time/],
    [['cid', '--bandwidth', '5M'], /--bandwidth: is no bandwidth/],
    [['cid', '--groups', 'a,,b'], /--groups: is empty/],
    [['cid', '--max-connections', '0'], /--max-connections: "0" is not a count/],
    [['cid', '-m', '2022-blake3-chacha20-poly1305'], /cannot tell users apart/],
    [['cid', '--host', 'h', '-p', '0'], /the server takes any free port/],
    [[], /missing required argument/],
    [['cid', 'dan'], /too many arguments/],
  ])('%j changes nothing', async (argv, expected) => {
    const path = fileOf(TWO);
    const { code, out, err } = await run(['user', 'add', ...argv, '--users', path]);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(expected);
    expect(read(path)).toEqual(TWO);
    expect(readdirSync(join(path, '..'))).toEqual(['users.json']);
  });

  it('leaves a file that is wrong as it is', async () => {
    const path = pathIn();
    writeFileSync(path, '{"users": [', { mode: 0o600 });
    const { code, err } = await run(['user', 'add', 'ada', '--users', path]);
    expect(code).toBe(2);
    expect(err).toMatch(/users\.json: line 1, column 12: not JSON/);
    expect(readFileSync(path, 'utf8')).toBe('{"users": [');
  });

  it('does not edit what somebody else edits', async () => {
    const path = fileOf(TWO);
    writeFileSync(join(path, '..', '.users.json.new'), '');
    const { code, err } = await run(['user', 'add', 'cid', '--users', path]);
    expect(code).toBe(2);
    expect(err).toMatch(/somebody else is editing the users: there is .*\.users\.json\.new; try again/);
    expect(existsSync(join(path, '..', '.users.json.new'))).toBe(true);
  });

  it('loses none of those that are added at the same time', async () => {
    const path = fileOf({ users: [] });
    const names = Array.from({ length: 10 }, (_, i) => `user-${i}`);
    await Promise.all(names.map(name => run(['user', 'add', name, '--users', path])));
    expect(
      read(path)
        .users.map(({ name }: { name: string }) => name)
        .sort(),
    ).toEqual(names);
  });

  it('is not for directories, nor for users that are nowhere', async () => {
    const folder = testFolder();
    mkdirSync(join(folder, 'users'));
    const { code, err } = await run(['user', 'add', 'ada', '--users', join(folder, 'users')]);
    expect(code).toBe(2);
    expect(err).toMatch(/users is a directory, as a Secret is mounted: .* is added to the Secret/);
    expect(readdirSync(join(folder, 'users'))).toEqual([]);
    expect((await run(['user', 'add', 'ada'])).err).toMatch(/which file\? give it with --users, SS_USERS/);
    expect((await run(['user', 'add', 'ada', '--users', join(folder, 'no', 'x')])).err).toMatch(
      /cannot write .*ENOENT/,
    );
  });
});

describe('ss-server user', () => {
  it.each<[readonly string[], RegExp]>([
    [[], /user: say what to do: ss-server user add\|remove\|list\|url; see: /],
    [['foo'], /user: there is no "foo"; say what to do: ss-server user add\|remove\|list\|url/],
    [['help'], /user: there is no "help"; say what to do/],
    [['ad', 'ada', '--host', 'h'], /user: there is no "ad"; say what to do/],
    [['--passwrod=secret'], /user: say what to do/],
  ])('%j is refused', async (argv, expected) => {
    const { code, out, err } = await run(['user', ...argv]);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(expected);
    expect(err).not.toContain('secret');
  });

  it.each([
    ['add', ['--users <path>', '-c, --config', '-m, --method', '--password-file']],
    ['url', ['--users <path>', '-c, --config', '-m, --method', '--password-file']],
    ['remove', ['--users <path>', '-c, --config']],
    ['list', ['--users <path>', '-c, --config']],
  ])('%s --help says which flags of the program count', async (command, flags) => {
    const { code, out } = await run(['user', command, '--help']);
    expect(code).toBe(0);
    const [, section] = out.split('Flags of ss-server');
    for (const flag of flags) expect(section).toContain(`  ${flag}`);
  });
});

describe('ss-server user remove', () => {
  it('warns once of what is wrong with the file', async () => {
    const path = fileOf(TWO);
    chmodSync(path, 0o644);
    const { err } = await run(['user', 'remove', 'ada', '--users', path]);
    if (process.platform !== 'win32') expect(err.match(/others can read/g)).toHaveLength(1);
  });

  it('takes them out, and nobody else', async () => {
    const path = fileOf(TWO);
    expect(await run(['user', 'remove', 'ada', '--users', path])).toEqual({
      ...{ code: 0, out: '' },
      err: `removed "ada" from ${path}\n`,
    });
    expect(read(path)).toEqual({ users: [TWO.users[1]] });
    const { code, err } = await run(['user', 'remove', 'ada', '--users', path]);
    expect({ code, err }).toEqual({ code: 2, err: `ss-server: user remove: nobody is called "ada" in ${path}\n` });
  });
});

describe('ss-server user list', () => {
  it('says who there is and on which terms, and no key', async () => {
    const { out } = await run(['user', 'list'], { env: { SS_USERS: fileOf(TWO) } });
    expect(out).toBe(
      [
        'NAME  GROUPS   EXPIRES                         CONNECTIONS  BANDWIDTH',
        'ada   -        -                               -            -',
        'ben   ops,dev  2020-01-02T00:00:00Z (expired)  5            12.5MB',
        '',
      ].join('\n'),
    );
  });

  it('says it in JSON, too', async () => {
    const { out } = await run(['user', 'list', '--json', '--users', fileOf(TWO)]);
    expect(JSON.parse(out)).toEqual([
      { name: 'ada', groups: [], expires: null, expired: false, max_connections: null, bandwidth: null },
      {
        ...{ name: 'ben', groups: ['ops', 'dev'], expires: '2020-01-02T00:00:00Z', expired: true },
        ...{ max_connections: 5, bandwidth: '12.5MB' },
      },
    ]);
    expect(out).not.toContain(A);
  });

  it('has those of a directory, and of the configuration file', async () => {
    const folder = testFolder();
    writeFileSync(join(folder, 'ada'), A, { mode: 0o600 });
    expect((await run(['user', 'list', '--users', folder])).out).toMatch(/^NAME .*\nada /);
    const config = fileOf({ password: MAIN, ...TWO });
    expect((await run(['user', 'list', '-c', config])).out).toMatch(/\nada .*\nben /);
  });
});

describe('ss-server user url', () => {
  it('is that of one user', async () => {
    const path = fileOf(TWO);
    const { code, out } = await run(['user', 'url', 'ben', '--users', path, '--host', 'h', '-k', MAIN]);
    expect(code).toBe(0);
    expect(parseSsUrl(out.trim()).password).toBe(`${MAIN}:${B}`);
    expect(out).toBe(`${(await run(['url', '--users', path, '--host', 'h', '-k', MAIN])).out.split('\n')[1]!}\n`);
  });

  it('comes with a QR code on a terminal', async () => {
    const argv = ['user', 'url', 'ben', '--users', fileOf(TWO), '--host', 'h', '-k', MAIN];
    const lines = async (...given: Parameters<typeof run>) => (await run(...given)).out.split('\n').length - 1;
    expect(await lines(argv)).toBe(1);
    expect(await lines([...argv, '--qr'])).toBeGreaterThan(20);
    expect(await lines(argv, { isTTY: true })).toBeGreaterThan(20);
    expect(await lines([...argv, '--no-qr'], { isTTY: true })).toBe(1);
    expect((await run([...argv, '--qr'])).out).not.toContain('\x1b');
    expect((await run(argv, { isTTY: true })).out).toContain('\x1b[40;97m');
  });

  it.each<[readonly string[], RegExp]>([
    [['ben', '-k', MAIN], /user url: --host is missing/],
    [['ben', '--host', 'h'], /user url: the URL holds the server's key, too/],
    [['eve', '--host', 'h', '-k', MAIN], /user url: nobody is called "eve"/],
  ])('%j is refused', async (argv, expected) => {
    const { code, out, err } = await run(['user', 'url', ...argv, '--users', fileOf(TWO)]);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(expected);
  });
});

describe('ss-server with --users', () => {
  const terms = { groups: ['ops'], expires: '2027-01-31', max_connections: 5, bandwidth: '10MB' };

  it('checks, tests policies and prints URLs as with other users', async () => {
    const path = fileOf({ users: [{ name: 'ada', password: A, ...terms }] });
    expect((await run(['--check', '-k', MAIN], { env: { SS_USERS: path } })).out).toContain(`1 in ${path}: ada\n`);
    const policy = {
      password: MAIN,
      users_path: path,
      policy: [{ action: 'deny', groups: ['ops'], to: '10.0.0.0/8' }],
    };
    const config = fileOf(policy);
    const tested = await run(['policy', 'test', '--user', 'ada', '-c', config, '10.0.0.1:80']);
    expect(tested).toMatchObject({ code: 1, out: expect.stringContaining('policy[0]') });
    expect((await run(['policy', 'test', '--user', 'eve', '-c', config, '10.0.0.1:80'])).err).toMatch(
      /known are ada$/m,
    );
    expect((await run(['url', '--host', 'h', '-c', config])).out).toMatch(/#ada\n$/);
  });

  it('has the one whom the password of SIP004 makes, too', async () => {
    const path = fileOf({ users: [{ name: 'ada', password: 'x' }] });
    const { out } = await run(['url', '--users', path, '--host', 'h', '-m', 'aes-256-gcm', '-k', 'y']);
    expect(out).toMatch(/#ada\n.*#default\n$/);
    const only = await run(['url', '--users', path, '--host', 'h', '-m', 'aes-256-gcm']);
    expect(only.out.split('\n')).toHaveLength(2);
  });

  it('warns of rules for nobody, and of nobody at all, and starts', async () => {
    const path = fileOf({ users: [] });
    const rules = { policy: [{ action: 'deny', users: 'eve', groups: 'x', to: '10.0.0.0/8' }] };
    const { code, err } = await run(['--check', '-c', fileOf({ password: MAIN, users_path: path, ...rules })]);
    expect(code).toBe(0);
    expect(err).toMatch(/policy\[0\]\.users: no user is called "eve"; there is no user; the rule waits for one/);
    expect(err).toMatch(/policy\[0\]\.groups: no group is called "x"/);
    expect(err).toMatch(/has no user yet/);
  });

  it.each<[object, readonly string[], RegExp]>([
    [{ password: MAIN, ...TWO }, [], /--users and .*users\.json: users both say who the users are; keep one/],
    [{ password: MAIN, users: [] }, [], /both say who the users are/],
    [{}, [], /no password beside the users: they need a main key too/],
    [{ password: A }, [], /--users: .*users\[0\]\.password: is the same as that of the server/],
    [{ password: MAIN }, ['-m', '2022-blake3-chacha20-poly1305'], /--users: .* cannot tell users apart/],
    [{ password: MAIN }, ['--users', '/nowhere/users'], /--users: cannot read \/nowhere\/users \(ENOENT\)/],
  ])('%j does not start', async (config, argv, expected) => {
    const { code, err } = await run(['--users', fileOf(TWO), '-c', fileOf(config), ...argv]);
    expect(code).toBe(2);
    expect(err).toMatch(expected);
    for (const key of [A, B, MAIN]) expect(err).not.toContain(key);
  });

  it('has terms of users in the configuration file as well', async () => {
    const config = fileOf({ password: MAIN, users: [{ name: 'ada', password: A, ...terms }] });
    expect((await run(['--check', '-c', config])).code).toBe(0);
    const wrong = fileOf({ password: MAIN, users: [{ name: 'ada', password: A, bandwidth: '10M' }] });
    expect((await run(['--check', '-c', wrong])).err).toMatch(/users\[0\]\.bandwidth: is no bandwidth/);
  });
});
