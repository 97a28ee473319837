import { networkInterfaces } from 'node:os';
import { describe, expect, it } from 'vitest';
import { loadServer, type ServerConfig } from './config.ts';
import { allow, deny, type PolicyText, rule } from './policy/policy-fixtures.ts';
import { type PolicyTest, testPolicy } from './policy-test.ts';
import { resolveError } from './resolver/failure.ts';
import type { Resolver } from './resolver/resolver.ts';

const CONFIG = loadServer({ password: Buffer.alloc(32, 7).toString('base64') }, {}).config;

const NAMES: Readonly<Record<string, readonly string[]>> = {
  'db.example.com': ['192.0.2.7', '198.51.100.1'],
  'inside.example.com': ['127.0.0.1', '::1'],
};

/** Knows these names, and addresses; says what it was asked. */
function fakeResolver() {
  const asked: string[] = [];
  const resolve: Resolver['resolve'] = async text => {
    asked.push(text);
    const found = NAMES[text] ?? (/^[\d.]+$|:/.test(text) ? [text] : undefined);
    if (found === undefined) throw resolveError(text, 'not-found');
    return found.map(address => ({ address, family: address.includes(':') ? 6 : 4 }));
  };
  return { resolve, asked };
}

interface Case extends Partial<PolicyTest>, Pick<PolicyText, 'rules' | 'default'> {
  readonly config?: Partial<ServerConfig>;
}

async function ask(target: string, { rules = [], default: action = 'allow', config, ...question }: Case = {}) {
  const { resolve, asked } = fakeResolver();
  const policy = { rules: rules.map((text, i) => rule(text, `rule ${i}`)), default: action };
  const asking = { user: undefined, protocol: undefined, target, ...question };
  return { ...(await testPolicy({ ...CONFIG, ...config, policy }, { resolve }, asking)), asked };
}

const key = new Uint8Array(32);
const USERS: ServerConfig['users'] = [
  { name: 'ada', key, groups: ['ops', 'payments'] },
  { name: 'bob', key },
];

describe('policy test', () => {
  it('says that an address is allowed, and by what', async () => {
    expect(await ask('10.1.2.3:443', { rules: [allow('10.0.0.0/8')], default: 'deny' })).toMatchObject({
      allowed: true,
      text: 'default → 10.1.2.3:443 (tcp)\n10.1.2.3: allowed by rule 0\n',
    });
    expect(await ask('[2001:db8:0::1]:443')).toMatchObject({
      allowed: true,
      text: 'default → [2001:db8::1]:443 (tcp)\n2001:db8::1: allowed by default, no rule applies\n',
    });
  });

  it('says that it is denied, by rule, by default, or built in', async () => {
    const rules = [deny('10.0.0.0/8'), allow('0.0.0.0/0')];
    const said = async (target: string) => {
      const { allowed, text } = await ask(target, { rules, default: 'deny' });
      expect(allowed, target).toBe(false);
      return text;
    };
    expect(await said('10.1.2.3:443')).toBe('default → 10.1.2.3:443 (tcp)\n10.1.2.3: denied by rule 0\n');
    expect(await said('[fd00::1]:443')).toMatch(/\nfd00::1: denied by default, no rule applies\n/);
    expect(await said('127.0.0.1:443')).toMatch(/\n127\.0\.0\.1: denied, built in: loopback\n/);
    expect(await said('169.254.169.254:80')).toMatch(/: denied, built in: cloud metadata\n/);
    expect(await said('[::ffff:127.0.0.1]:443')).toMatch(/: denied, built in: loopback\n/);
  });

  it('asks about each address of a name, of which one is enough', async () => {
    const rules = [{ ...allow('db.example.com'), within: ['192.0.2.0/24'] }];
    const { text, allowed, asked } = await ask('db.example.com:5432', { rules, default: 'deny' });
    expect(allowed).toBe(true);
    expect(text).toBe(`default → db.example.com:5432 (tcp)
192.0.2.7: allowed by rule 0
198.51.100.1: denied by default, no rule applies
  passed over: rule 0 (allow to db.example.com), is for other networks (within)
`);
    expect(asked).toEqual(['db.example.com']);
    const inside = await ask('inside.example.com:80');
    expect(inside.allowed).toBe(false);
    expect(inside.text.match(/denied, built in: loopback/g)).toHaveLength(2);
  });

  it('looks no name up whose addresses would all be denied', async () => {
    expect(await ask('db.example.com.:22', { rules: [deny('*.example.com')] })).toEqual({
      allowed: false,
      asked: [],
      text: 'default → db.example.com.:22 (tcp)\ndenied by rule 0, before the name is looked up\n',
    });
  });

  it('says that a name was not found', async () => {
    const { allowed, text } = await ask('nothing.example:80');
    expect(allowed).toBe(false);
    expect(text).toMatch(/nothing\.example: no such name.*\n.*→ nothing\.example:80 \(tcp\)\nno address was found;/);
  });

  it('knows the listeners, on all addresses of this machine', async () => {
    const config = { listen: [{ host: '0.0.0.0', port: 8388 }] };
    const machine = Object.values(networkInterfaces()).flatMap(infos => infos ?? []);
    for (const { address } of machine) {
      const target = address.includes(':') ? `[${address}]` : address;
      const rules = [allow('0.0.0.0/0', '::/0', '127.0.0.0/8', '::1', 'fe80::/10')];
      expect(await ask(`${target}:8388`, { rules, config }), address).toMatchObject({
        allowed: false,
        text: expect.stringContaining(': denied, built in: the server itself\n'),
      });
      expect((await ask(`${target}:8389`, { rules, config })).allowed, address).toBe(true);
    }
  });

  it('asks for TCP unless UDP is asked for', async () => {
    const rules = [{ ...allow('10.0.0.0/8'), protocols: ['udp'] as const }];
    const asking = { rules, default: 'deny' } as const;
    expect((await ask('10.1.2.3:53', asking)).allowed).toBe(false);
    expect((await ask('10.1.2.3:53', { ...asking, protocol: 'tcp' })).allowed).toBe(false);
    expect(await ask('10.1.2.3:53', { ...asking, protocol: 'udp' })).toMatchObject({
      allowed: true,
      text: 'default → 10.1.2.3:53 (udp)\n10.1.2.3: allowed by rule 0\n',
    });
  });

  it.each(['db.example.com', '10.1.2.3', '::1', '[::1]', '10.1.2.3:0'])('wants a port: %s', async target => {
    await expect(ask(target)).rejects.toMatchObject({
      code: 'ERR_USAGE',
      message: 'policy test: the target has no port that could be dialled; give host:port',
    });
  });
});

describe('the user', () => {
  const config = { users: USERS };

  it('counts, and so do their groups', async () => {
    const rules = [
      { ...allow('10.1.0.0/16'), users: ['bob'] },
      { ...allow('10.2.0.0/16'), groups: ['payments'] },
    ];
    const may = async (user: string, target: string) =>
      (await ask(target, { rules, default: 'deny', config, user })).allowed;
    expect(await may('bob', '10.1.0.1:80')).toBe(true);
    expect(await may('ada', '10.1.0.1:80')).toBe(false);
    expect(await may('ada', '10.2.0.1:80')).toBe(true);
    expect(await may('bob', '10.2.0.1:80')).toBe(false);
    const { text } = await ask('10.1.0.1:80', { rules, default: 'deny', config, user: 'ada' });
    expect(text).toContain('passed over: rule 0 (allow to 10.1.0.0/16), is for other users\n');
  });

  it('is "default" where there is one password, also for rules', async () => {
    const rules = [{ ...deny('10.0.0.0/8'), users: ['default'] }];
    for (const user of [undefined, 'default']) {
      expect(await ask('10.1.2.3:80', { rules, user })).toMatchObject({
        allowed: false,
        text: 'default → 10.1.2.3:80 (tcp)\n10.1.2.3: denied by rule 0\n',
      });
    }
  });

  it('has to be there', async () => {
    await expect(ask('10.1.2.3:80', { config, user: 'eve' })).rejects.toMatchObject({
      code: 'ERR_USAGE',
      message: '--user: nobody is called "eve"; known are ada, bob',
    });
    await expect(ask('10.1.2.3:80', { user: 'ada' })).rejects.toThrow('known are default');
    await expect(ask('10.1.2.3:80', { config })).rejects.toThrow('nobody is called "default"; known are ada, bob');
  });
});
