import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { describe, expect, it } from 'vitest';
import { loadUsers } from './keyed-users.ts';
import { keyText, MountedSecret, testFolder } from './users-files-fixtures.ts';

const method = methodNamed('2022-blake3-aes-256-gcm');
const [A, B, C] = [keyText(1), keyText(2), keyText(3)];
const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'base64'));

function load(path: string, source: { method?: typeof method; key?: Uint8Array } = {}) {
  const warnings: string[] = [];
  const users = loadUsers({ path, method, ...source }, warning => void warnings.push(warning));
  return { users, warnings };
}

/** What it complains of, without the folder, and never a key. */
function complaint(path: string, source: { method?: typeof method; key?: Uint8Array } = {}): string {
  try {
    load(path, source);
  } catch (error) {
    expect(error).toBeInstanceOf(PodsocksError);
    const { message, code } = error as PodsocksError;
    expect(code).toBe('ERR_CONFIG');
    for (const secret of [A, B, C, 'hunter2']) expect(message).not.toContain(secret);
    return message;
  }
  throw new Error('accepted');
}

function file(content: object | string, mode = 0o600): string {
  const path = join(testFolder(), 'users.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content), { mode });
  return path;
}

function directory(files: Readonly<Record<string, string>>): string {
  const path = testFolder();
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text, { mode: 0o600 });
  return path;
}

const FULL = { groups: ['ops', 'dev'], expires: '2027-01-31', max_connections: 5, bandwidth: '10MB' };
const FULL_READ = {
  groups: ['ops', 'dev'],
  expires: Date.UTC(2027, 1, 1),
  maxConnections: 5,
  bandwidth: 10_000_000,
};

describe('a file of users', () => {
  it('has names, keys and terms', () => {
    const users = [
      { name: 'ada', password: A, ...FULL },
      { name: 'ben', password: B },
    ];
    expect(load(file({ users }))).toEqual({
      users: [
        { name: 'ada', key: bytes(A), ...FULL_READ },
        { name: 'ben', key: bytes(B) },
      ],
      warnings: [],
    });
  });

  it('may be empty of users', () => {
    expect(load(file({ users: [] })).users).toEqual([]);
  });

  it.each<[object | string, RegExp]>([
    ['', /users\.json: line 1, column 1: not JSON/],
    ['{"users": [', /not JSON; expected/],
    ['[]', /has to hold one JSON object/],
    [{}, /users\.json: users: is missing/],
    [{ users: {} }, /users: has to be a list of objects/],
    [{ users: [[]] }, /users\[0\]: has to be an object/],
    [{ user: [] }, /user: unknown field; did you mean "users"\?/],
    [{ users: [{ name: 'a' }] }, /users\[0\]\.password: is missing/],
    [{ users: [{ password: A }] }, /users\[0\]\.name: is missing/],
    [{ users: [{ name: '\n', password: A }] }, /users\[0\]\.name: is empty or has control characters/],
    [{ users: [{ name: 'a', password: 'hunter2' }] }, /users\[0\]\.password: the key of .* has to be 32 bytes/],
    [{ users: [{ name: 'a', password: 'hunter2!' }] }, /users\[0\]\.password: .* has to be a base64 key/],
    [{ users: [{ name: 'a', password: A, group: 'x' }] }, /users\[0\]\.group: unknown field; did you mean "groups"/],
    [{ users: [{ name: 'a', password: A, expires: 'soon' }] }, /users\[0\]\.expires: is no time/],
    [{ users: [{ name: 'a', password: A, bandwidth: '10M' }] }, /users\[0\]\.bandwidth: is no bandwidth/],
    [{ users: [{ name: 'a', password: A, bandwidth: 5 }] }, /users\[0\]\.bandwidth: has to be text/],
    [{ users: [{ name: 'a', password: A, max_connections: 0 }] }, /users\[0\]\.max_connections: "0" is not a count/],
    [
      {
        users: [
          { name: 'a', password: A },
          { name: 'a', password: B },
        ],
      },
      /users\[1\]\.name: the name "a" is taken/,
    ],
    [
      {
        users: [
          { name: 'a', password: A },
          { name: 'b', password: A },
        ],
      },
      /users\[1\]\.password: is the same as that of "a"/,
    ],
  ])('is refused whole: %j', (content, expected) => {
    expect(complaint(file(content))).toMatch(expected);
  });

  it('has no user with the key of the server, nor under SIP004 with its name', () => {
    const path = file({ users: [{ name: 'default', password: A }] });
    expect(complaint(path, { key: bytes(A) })).toMatch(/password: is the same as that of the server/);
    expect(complaint(path, { method: methodNamed('aes-256-gcm'), key: bytes(B) })).toMatch(/name "default" is taken/);
    expect(load(path, { key: bytes(B) }).users).toHaveLength(1);
  });

  it('that others can read is warned of, and used', () => {
    expect(load(file({ users: [] }, 0o644)).warnings).toEqual([expect.stringContaining('others can read')]);
  });
});

describe('a directory of users', () => {
  it('has a file for each, a bare key or an object', () => {
    const path = directory({
      ada: `${A}\n`,
      ben: JSON.stringify({ password: B, ...FULL }),
      '.hidden': 'x',
      '..data': 'y',
      'ada~': 'what editors leave',
      '#ada#': 'x',
      '.ada.swp': 'x',
      '#cid': C,
    });
    expect(load(path)).toEqual({
      users: [
        { name: '#cid', key: bytes(C) },
        { name: 'ada', key: bytes(A) },
        { name: 'ben', key: bytes(B), ...FULL_READ },
      ],
      warnings: [],
    });
  });

  it('may be a Secret that is mounted', () => {
    const secret = new MountedSecret(join(testFolder(), 'mount'), { ada: A, ben: B });
    expect(load(secret.path).users.map(({ name }) => name)).toEqual(['ada', 'ben']);
    secret.update({ ben: C, cid: A });
    expect(load(secret.path).users).toEqual([
      { name: 'ben', key: bytes(C) },
      { name: 'cid', key: bytes(A) },
    ]);
  });

  it.each<[Readonly<Record<string, string>>, RegExp]>([
    [{ ada: '' }, /ada: is empty/],
    [{ ada: '\n' }, /ada: is empty/],
    [{ ada: `${A}\n${B}\n` }, /ada: has several lines/],
    [{ ada: 'hunter2' }, /ada: the key of .* has to be 32 bytes/],
    [{ ada: '{' }, /ada: line 1, column 2: not JSON/],
    [{ ada: '{}' }, /ada: password: is missing/],
    [{ ada: JSON.stringify({ password: A, name: 'ben' }) }, /ada: name: unknown field/],
    [{ ada: JSON.stringify({ password: A, expires: '' }) }, /ada: expires: is no time/],
    [{ ada: A, ben: A }, /ben: is the same as that of "ada"/],
    [{ 'a\tb': A }, /is empty or has control characters/],
  ])('is refused whole: %j', (files, expected) => {
    expect(complaint(directory(files))).toMatch(expected);
  });

  it('with a directory, a dangling link or a link to itself in it is refused', () => {
    const path = testFolder();
    mkdirSync(join(path, 'ada'));
    expect(complaint(path)).toMatch(/ada is no file|ada \(EISDIR\)/);
    rmSync(join(path, 'ada'), { recursive: true });
    symlinkSync('nowhere', join(path, 'ada'));
    expect(complaint(path)).toMatch(/cannot read .*ada \(ENOENT\)/);
    rmSync(join(path, 'ada'));
    symlinkSync('ada', join(path, 'ada'));
    expect(complaint(path)).toMatch(/cannot read .*ada \(ELOOP\)/);
  });

  it('that others can read is warned of once', () => {
    const path = directory({ ada: A, ben: B });
    chmodSync(join(path, 'ada'), 0o644);
    chmodSync(join(path, 'ben'), 0o644);
    expect(load(path).warnings).toEqual([expect.stringMatching(/others can read .*ada and 1 more/)]);
  });
});

describe('what stands in place of users', () => {
  it('that is not there is said', () => {
    expect(complaint(join(testFolder(), 'none'))).toMatch(/cannot read .*none \(ENOENT\)/);
  });

  it.runIf(process.platform === 'linux')('may be a pipe or a device, and is not waited for', () => {
    const pipe = join(testFolder(), 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect(complaint(pipe)).toMatch(/pipe is no file/);
    const folder = testFolder();
    execFileSync('mkfifo', [join(folder, 'ada')]);
    expect(complaint(folder)).toMatch(/ada is no file/);
    expect(complaint('/dev/zero')).toMatch(/is no file/);
  });

  it('may begin with a byte order mark, and has to be UTF-8', () => {
    const folder = testFolder();
    writeFileSync(join(folder, 'ada'), `\uFEFF${A}\r\n`, { mode: 0o600 });
    expect(load(folder).users).toEqual([{ name: 'ada', key: bytes(A) }]);
    expect(load(file(`\uFEFF{"users":[]}`)).users).toEqual([]);
    writeFileSync(join(folder, 'ada'), Buffer.from(`\uFEFF${A}`, 'utf16le'));
    expect(complaint(folder)).toMatch(/ada is not UTF-8; save it as UTF-8$/);
    const path = file('');
    writeFileSync(path, Buffer.from('{"users":[{"name":"Ren\xe9","password":"x"}]}', 'latin1'));
    expect(complaint(path)).toMatch(/users\.json is not UTF-8/);
  });

  it('is read if it has at most 4 MiB', () => {
    expect(complaint(file(' '.repeat(4 * 1024 * 1024 + 1)))).toMatch(/has more than 4096 KiB/);
    expect(complaint(directory({ ada: 'x'.repeat(64 * 1024 + 1) }))).toMatch(/has more than 64 KiB/);
  });

  it.each([
    ['brackets that end nowhere', '['.repeat(1_000_000)],
    ['objects in each other', '{"users":'.repeat(100_000)],
    ['lists in each other, in order', `{"users":${'['.repeat(50_000)}${']'.repeat(50_000)}}`],
    ['bytes that are no text', '\0\u0001\uFFFD'.repeat(1000)],
    ['a prototype', '{"users":[],"__proto__":{"users":1}}'],
  ])('may be garbage: %s', (_, text) => {
    expect(complaint(file(text)).length).toBeLessThan(1000);
  });

  it('may be 10,000 users', () => {
    const users = Array.from({ length: 10_000 }, (_, i) => {
      const password = Buffer.alloc(32);
      password.writeUInt32BE(i);
      return { name: `user-${i}`, password: password.toString('base64'), groups: ['all'] };
    });
    expect(load(file({ users })).users).toHaveLength(10_000);
  });
});
