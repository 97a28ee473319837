import { describe, expect, it } from 'vitest';
import { allow, deny, policy, to } from './policy-fixtures.ts';

// What users try in order to get where they may not.

const cluster = policy({
  rules: [
    deny('10.66.0.0/16'),
    allow('10.0.0.0/8', 'fd00::/8', '64:ff9b::/96', '*.payments.svc.cluster.local'),
    allow('0.0.0.0/0', '::/0', '*'),
  ],
  listeners: [{ host: '::', port: 8388 }],
  machine: ['127.0.0.1', '::1', '10.1.2.3', 'fd00::3', 'fe80::3'],
});
const allowed = (address: string, others?: Parameters<typeof to>[1]) => cluster.evaluate(to(address, others)).allowed;

it('is there at all: what may be reached is', () => {
  expect(['10.1.2.3', 'fd00::3', '192.0.2.1', '64:ff9b::10.0.0.1'].map(address => allowed(address))).not.toContain(
    false,
  );
});

describe.each(['tcp', 'udp'] as const)('over %s', protocol => {
  it.each([
    [
      'IPv4-mapped loopback',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '::FFFF:7F00:0001',
      '0:0:0:0:0:ffff:7f00:1',
      '::ffff:127.0.0.1%lo',
    ],
    [
      'IPv4-mapped metadata',
      '::ffff:169.254.169.254',
      '::ffff:a9fe:a9fe',
      '0000:0000:0000:0000:0000:ffff:169.254.169.254',
    ],
    [
      'IPv4-mapped, others',
      '::ffff:0.0.0.0',
      '::ffff:0:0',
      '::ffff:224.0.0.1',
      '::ffff:10.66.0.1',
      '::ffff:168.63.129.16',
    ],
    ['IPv4-compatible', '::127.0.0.1', '::7f00:1', '::169.254.169.254', '::a9fe:a9fe', '::10.66.0.1'],
    [
      'NAT64',
      '64:ff9b::127.0.0.1',
      '64:ff9b::a9fe:a9fe',
      '64:ff9b::10.66.0.1',
      '64:ff9b::0.0.0.0',
      '64:ff9b:1::a9fe:a9fe',
    ],
    ['6to4', '2002:7f00:1::1', '2002:a9fe:a9fe::1', '2002:a42:1::'],
    ['IPv4-translated', '::ffff:0:127.0.0.1', '::ffff:0:a9fe:a9fe'],
    [
      'decimal, octal, hexadecimal, short',
      '2130706433',
      '0177.0.0.1',
      '0x7f000001',
      '0x7f.0.0.1',
      '127.1',
      '127.0.1',
      '0',
    ],
    ['octal or decimal inside IPv6', '::ffff:0177.0.0.1', '::ffff:2130706433', '::0177.0.0.1'],
    [
      'trailing dots, brackets, white space',
      '127.0.0.1.',
      '[::1]',
      ' 127.0.0.1',
      '127.0.0.1 ',
      '127.0.0.1\0',
      '127.0.0.1\n',
    ],
    ['digits that are not ASCII', '１２７.0.0.1', '１６９.２５４.１６９.２５４', '①②⑦.0.0.1', '١٢٧.0.0.1'],
    [
      'other addresses of the same place',
      '127.255.255.254',
      '0.0.0.0',
      '0.0.0.1',
      '::',
      '::1',
      '0::1',
      '::0001',
      '::1%lo',
    ],
    ['link-local with a zone', 'fe80::1%eth0', 'FE80::1%2', 'fe80::a9fe:a9fe%eth0', 'febf:ffff::1'],
    [
      'metadata in unique local addresses',
      'fd00:ec2::254',
      'FD00:0EC2::0254',
      'fd00:ec2:0:0:0:0:0:254',
      'fd20:ce::254',
    ],
  ])('%s', (_, ...addresses) => {
    for (const address of addresses) {
      expect({ address, allowed: allowed(address, { protocol }) }).toEqual({ address, allowed: false });
      // The same when a name leads there: a record of one's own zone, or of a service in the cluster.
      for (const name of ['rebind.example', 'db.payments.svc.cluster.local', 'localhost']) {
        expect({ address, allowed: allowed(address, { protocol, name }) }).toEqual({ address, allowed: false });
      }
    }
  });

  it("the server's own port, at each of its addresses and spellings", () => {
    const own = [
      '10.1.2.3',
      '::ffff:10.1.2.3',
      '::ffff:a01:203',
      'fd00::3',
      'FD00:0::3',
      '64:ff9b::10.1.2.3',
      '2002:a01:203::1',
    ];
    for (const address of own) {
      expect({ address, allowed: allowed(address, { protocol, port: 8388 }) }).toEqual({ address, allowed: false });
      expect(allowed(address, { protocol, port: 8388, name: 'db.payments.svc.cluster.local' })).toBe(false);
      expect(allowed(address, { protocol, port: 8389 })).toBe(true);
    }
  });
});

describe('names', () => {
  const own = policy({ rules: [deny('metadata.google.internal', '*.secret.svc.cluster.local'), allow('*')] });
  const byName = (name: string) => own.evaluate(to('10.0.0.1', { name })).allowed;

  it.each([
    ['case', 'METADATA.google.internal', 'Metadata.Google.Internal', 'DB.Secret.SVC.cluster.local'],
    ['trailing dots', 'metadata.google.internal.', 'db.secret.svc.cluster.local.', 'metadata.google.internal..'],
    ['other dots', 'metadata。google。internal', 'metadata．google.internal', 'db｡secret.svc.cluster.local'],
    ['other letters', 'ｍetadata.google.internal', 'metadata.google.interna\u2113', '\u24dcetadata.google.internal'],
    [
      'what cannot be seen',
      'metadata.google.internal\0',
      'meta\u00addata.google.internal',
      'metadata\u200b.google.internal',
    ],
    ['labels of nothing', '.metadata.google.internal', 'metadata..google.internal', 'db..secret.svc.cluster.local'],
    ['any depth', 'a.b.c.secret.svc.cluster.local', `${'a.'.repeat(100)}secret.svc.cluster.local`],
    ['too long to be one', `${'a.'.repeat(200)}secret.svc.cluster.local`, `${'a'.repeat(64)}.secret.svc.cluster.local`],
  ])('that are denied stay so in every spelling: %s', (_, ...names) => {
    for (const name of names) {
      expect({ name, allowed: byName(name) }).toEqual({ name, allowed: false });
      expect(own.evaluateName({ ...to(''), name })?.allowed).toBe(false);
    }
  });

  it('that look like those that are allowed are not', () => {
    const strict = policy({ rules: [allow('*.payments.svc.cluster.local', 'api.example.com')] });
    const lookAlikes = [
      'payments.svc.cluster.local',
      'xpayments.svc.cluster.local',
      'db.payments.svc.cluster.local.evil.example',
      'db.payments.svc.cluster.local@evil.example',
      'evil.example#db.payments.svc.cluster.local',
      'evil.example\0.payments.svc.cluster.local',
      'evil.example/.payments.svc.cluster.local',
      'api.example.com.evil.example',
      'xapi.example.com',
      'api-example.com',
    ];
    for (const name of lookAlikes) {
      expect({ name, allowed: strict.evaluate(to('10.0.0.1', { name })).allowed }).toEqual({ name, allowed: false });
    }
  });
});

describe('rebinding', () => {
  const own = policy({ rules: [deny('10.66.0.0/16'), allow('api.example.com')] });
  const name = 'api.example.com';

  it('a verdict is about one address: the next answer gets its own', () => {
    const answers = ['192.0.2.1', '127.0.0.1', '169.254.169.254', '10.66.0.1', '::1', '192.0.2.1'];
    expect(answers.map(address => own.evaluate(to(address, { name })).allowed)).toEqual([
      true,
      false,
      false,
      false,
      false,
      true,
    ]);
  });

  it('what the name admitted is not admitted afterwards without it', () => {
    expect(own.evaluate(to('192.0.2.1', { name })).allowed).toBe(true);
    expect(own.evaluate(to('192.0.2.1')).allowed).toBe(false);
    expect(own.evaluate(to('192.0.2.1', { name: 'other.example.com' })).allowed).toBe(false);
    expect(own.evaluate(to('192.0.2.1', { name, user: 'bob' })).allowed).toBe(true);
  });

  it('no name leads to metadata, by whatever redirect it is reached', () => {
    const all = policy({ default: 'allow', rules: [allow('*'), allow('0.0.0.0/0'), allow('::/0')] });
    for (const asked of ['metadata.google.internal', 'api.example.com', '169.254.169.254.nip.io', 'x']) {
      expect(all.evaluate(to('169.254.169.254', { name: asked, port: 80 }))).toEqual({
        allowed: false,
        rule: 'built in: cloud metadata',
      });
    }
  });
});
