import { describe, expect, it } from 'vitest';
import { ClientGate, isOfThisMachine } from './client-gate.ts';

describe('ClientGate', () => {
  const gate = () => new ClientGate({ allow: ['192.168.1.0/24', 'fd00::/8'], maxPerClient: 2 });

  it.each(['192.168.1.7', '::ffff:192.168.1.7', 'fd00::1', 'fd00::1%eth0'])('lets %s in', client => {
    expect(gate().enter(client)).toBeUndefined();
  });

  it.each(['192.168.2.7', '8.8.8.8', '::ffff:8.8.8.8', '2001:db8::1', 'unknown'])('does not let %s in', client => {
    expect(gate().enter(client)).toContain('--lan-allow');
  });

  it('counts the connections of each client, by whichever spelling', () => {
    const it = gate();
    expect(it.enter('192.168.1.7')).toBeUndefined();
    expect(it.enter('::ffff:192.168.1.7')).toBeUndefined();
    expect(it.enter('192.168.1.7')).toContain('too many');
    expect(it.enter('192.168.1.8')).toBeUndefined();
    it.leave('192.168.1.7');
    expect(it.enter('192.168.1.7')).toBeUndefined();
  });
});

it.each([
  ['127.0.0.1', true],
  ['127.9.9.9', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['203.0.113.9', false],
  ['unknown', false],
])('%s is of this machine: %s', (address, expected) => {
  expect(isOfThisMachine(address)).toBe(expected);
});
