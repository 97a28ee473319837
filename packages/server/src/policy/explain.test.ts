import { expect, it } from 'vitest';
import { explain, type Question } from './explain.ts';
import { allow, deny, policy } from './policy-fixtures.ts';

const own = policy({
  rules: [
    deny('10.66.0.0/16', '10.67.0.0/16', '10.68.0.0/16', '10.69.0.0/16'),
    { ...allow('0.0.0.0/0'), ports: '80', users: ['bob'] },
    { ...allow('*'), protocols: ['udp'] },
    { ...allow('db.example.com'), within: ['192.0.2.0/24', '127.0.0.0/8'] },
    { action: 'allow', ports: '8443' },
  ],
  users: [{ name: 'ada' }, { name: 'bob' }],
  listeners: [{ host: '0.0.0.0', port: 8443 }],
  machine: ['10.1.2.3'],
});

const said = (question: Partial<Question>) =>
  explain(own, { user: 'ada', protocol: 'tcp', name: undefined, addresses: [], port: 443, ...question });

it('says which rule decided, and why those before did not apply', () => {
  expect(said({ name: 'db.example.com', addresses: ['192.0.2.7', '198.51.100.1', '127.0.0.1'] })).toEqual({
    allowed: true,
    text: `ada → db.example.com:443 (tcp)
192.0.2.7: allowed by rule 3
  passed over: rule 0 (deny to 10.66.0.0/16, 10.67.0.0/16, 10.68.0.0/16 and 1 more), is for other networks and names
  passed over: rule 1 (allow to 0.0.0.0/0), is for other users
  passed over: rule 2 (allow to *), is for the other protocol
198.51.100.1: denied by default, no rule applies
  passed over: rule 0 (deny to 10.66.0.0/16, 10.67.0.0/16, 10.68.0.0/16 and 1 more), is for other networks and names
  passed over: rule 1 (allow to 0.0.0.0/0), is for other users
  passed over: rule 2 (allow to *), is for the other protocol
  passed over: rule 3 (allow to db.example.com), is for other networks (within)
  passed over: rule 4 (allow to anywhere), is for other ports
127.0.0.1: denied, built in: loopback
  passed over: rule 0 (deny to 10.66.0.0/16, 10.67.0.0/16, 10.68.0.0/16 and 1 more), is for other networks and names
  passed over: rule 1 (allow to 0.0.0.0/0), is for other users
  passed over: rule 2 (allow to *), is for the other protocol
  passed over: rule 3 (allow to db.example.com), would have to name a network within the one that is denied; of the server itself, its address and port
  passed over: rule 4 (allow to anywhere), is for other ports
`,
  });
});

it('says that a name needs no look-up', () => {
  expect(said({ name: 'other.example.' })).toEqual({
    allowed: false,
    text: 'ada → other.example.:443 (tcp)\ndenied by default, no rule applies, before the name is looked up\n',
  });
});

it('takes addresses', () => {
  expect(said({ addresses: ['10.66.0.1'] })).toEqual({
    allowed: false,
    text: 'ada → 10.66.0.1:443 (tcp)\n10.66.0.1: denied by rule 0\n',
  });
  expect(said({ addresses: ['10.1.2.3'], port: 8443 }).text).toContain(
    '10.1.2.3: denied, built in: the server itself\n',
  );
  expect(said({ addresses: ['fd00::1'], port: 8443 }).text).toMatch(
    /^ada → \[fd00::1\]:8443 \(tcp\)\nfd00::1: allowed by rule 4\n/,
  );
});

it('says what it does not know', () => {
  expect(said({ name: 'db.example.com' })).toEqual({
    allowed: false,
    text: 'ada → db.example.com:443 (tcp)\nno address was found; the verdict would depend on it\n',
  });
});
