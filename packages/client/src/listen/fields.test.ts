import { networkInterfaces } from 'node:os';
import { flagLayer, type Layer } from '@podsocks/shared/settings/settings';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ClientGate } from './client-gate.ts';
import { LISTEN_SETTINGS, listenOf, localEndpointOf } from './fields.ts';

vi.mock('node:os', async original => {
  const os = await original<typeof import('node:os')>();
  return { ...os, networkInterfaces: vi.fn(os.networkInterfaces) };
});
afterEach(() => void vi.mocked(networkInterfaces).mockReset());

const given = (flags: Record<string, unknown>): Layer<typeof LISTEN_SETTINGS> => flagLayer(LISTEN_SETTINGS, flags);

function listen(flags: Record<string, unknown>, asksForPassword = false) {
  const warnings: string[] = [];
  return { ...listenOf(given(flags), asksForPassword, message => void warnings.push(message)), warnings };
}

/** A machine with one interface that has addresses of these families. */
function withFamilies(...families: readonly string[]): void {
  const interfaces = { none: undefined, eth0: families.map(family => ({ family })) };
  vi.mocked(networkInterfaces).mockReturnValue(interfaces as unknown as ReturnType<typeof networkInterfaces>);
}

describe('networks', () => {
  const allowed = (text: string) => listen({ lan: true, lanOpen: true, lanAllow: [text] }).lan?.allow;

  it.each([
    ['192.168.1.0/24', '192.168.1.0/24'],
    ['10.1.2.3', '10.1.2.3/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['10.0.0.0/32', '10.0.0.0/32'],
    ['10.0.0.1/8', '10.0.0.1/8'],
    ['fd00::/8', 'fd00::/8'],
    ['FD00::1', 'FD00::1/128'],
    ['::/0', '::/0'],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.1/128'],
  ])('%s is %s', (text, network) => {
    expect(allowed(text)).toEqual([network]);
  });

  it.each([
    '',
    '/',
    '/8',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/+8',
    '10.0.0.0/8.0',
    '10.0.0.0/ 8',
    '10.0.0.0/0x8',
    '10.0.0.0/8/8',
    '10.0.0.0/255.0.0.0',
    '10.0.0/24',
    '10/8',
    '010.0.0.1',
    '0x0a.0.0.1',
    '256.0.0.1',
    ' 10.0.0.0/8',
    'fd00::/129',
    'fd00:::/8',
    'fe80::1%eth0',
    'fe80::%eth0/10',
    '[fd00::]/8',
    'home',
    'localhost/8',
    '*',
  ])('%j is none', text => {
    expect(() => allowed(text)).toThrow('--lan-allow: is not a network; give it as 192.168.1.0/24');
  });

  it('are such that a gate can do with whatever is taken', () => {
    const text = fc.string({ unit: fc.constantFrom(...'0123456789abcf.:/%'), maxLength: 24 });
    const address = fc.oneof(fc.ipV4(), fc.ipV6(), text);
    const network = fc.oneof(
      text,
      fc.tuple(address, fc.integer({ min: -1, max: 130 })).map(parts => parts.join('/')),
    );
    fc.assert(
      fc.property(network, given => {
        let allow: readonly string[] | undefined;
        try {
          allow = allowed(given);
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_CONFIG' });
        }
        if (allow !== undefined) expect(() => new ClientGate({ allow: allow!, maxPerClient: 1 })).not.toThrow();
      }),
      { numRuns: 2000 },
    );
  });
});

describe('where to listen', () => {
  it('is loopback, for nobody else', () => {
    expect(listen({})).toEqual({ listen: [{ host: '127.0.0.1', port: 1080 }], warnings: [] });
    expect(listen({ localPort: '0' }).listen).toEqual([{ host: '127.0.0.1', port: 0 }]);
  });

  it('is every address with --lan: both families where there are both', () => {
    withFamilies('IPv4');
    expect(listen({ lan: true, lanOpen: true }).listen).toEqual([{ host: '0.0.0.0', port: 1080 }]);
    withFamilies('IPv4', 'IPv6');
    expect(listen({ lan: true, lanOpen: true, localPort: '7' }).listen).toEqual([{ host: '::', port: 7 }]);
    expect(listen({ lan: true, localAddress: ['192.0.2.1'] }, true).listen).toEqual([
      { host: '192.0.2.1', port: 1080 },
    ]);
  });

  it('is not open to others by accident', () => {
    expect(() => listen({ lan: true })).toThrow('--lan: everybody on the local network could use the tunnel; give');
    expect(listen({ lan: true }, true).warnings).toEqual([]);
    expect(listen({ localAddress: ['0.0.0.0'] }).warnings).toEqual([expect.stringContaining('anyone who can reach')]);
    expect(listen({ localAddress: ['0.0.0.0'] }, true).warnings).toEqual([]);
  });

  it('says that nobody else reaches a loopback address', () => {
    const lan = { lan: true, lanOpen: true };
    expect(listen({ ...lan, localAddress: ['127.0.0.1', '::1'] }).warnings).toEqual([
      '-b (--local-address): no other machine reaches 127.0.0.1, ::1, with --lan neither; leave it out, or give an address that they reach',
    ]);
    expect(listen({ ...lan, localAddress: ['127.0.0.1', '192.0.2.1'] }).warnings).toEqual([]);
  });

  it.each([
    [{ lanAllow: ['10.0.0.0/8'] }, '--lan-allow'],
    [{ lanOpen: true }, '--lan-open'],
    [{ maxConnectionsPerClient: '5' }, '--max-connections-per-client'],
  ])('%j without --lan would mean nothing', (flags, name) => {
    for (const asks of [false, true]) {
      expect(() => listen(flags, asks)).toThrow(`${name}: says whom --lan lets in; add --lan, or leave it out`);
    }
  });

  it.each(['127.0.0.1:80', '[::1]:80', 'localhost:80'])('is no %s', address => {
    expect(() => given({ localAddress: [address] })).toThrow(
      /^-b \(--local-address\): is an address with a port; give/,
    );
  });
});

describe('who is let in with --lan', () => {
  const enter = (client: string, flags = {}) => {
    const { lan } = listen({ lan: true, lanOpen: true, ...flags });
    return new ClientGate(lan!).enter(client);
  };

  it.each([
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.178.2',
    '169.254.1.1',
    'fd12::1',
    'fe80::1%eth0',
    '::ffff:10.0.0.1',
  ])('%s by itself', client => expect(enter(client)).toBeUndefined());

  it.each(['192.0.2.1', '172.32.0.1', '100.64.0.1', '2001:db8::1', '::ffff:192.0.2.1'])('%s is not', client =>
    expect(enter(client)).toContain('--lan-allow'),
  );

  it('is what --lan-allow says and nobody else', () => {
    expect(enter('192.0.2.1', { lanAllow: ['192.0.2.0/24'] })).toBeUndefined();
    expect(enter('10.1.2.3', { lanAllow: ['192.0.2.0/24'] })).toContain('--lan-allow');
  });
});

describe('where programs of this machine find it', () => {
  it.each<[Record<string, unknown>, string]>([
    [{}, '127.0.0.1'],
    [{ localAddress: ['0.0.0.0'] }, '127.0.0.1'],
    [{ localAddress: ['::'] }, '::1'],
    [{ localAddress: ['192.0.2.1', '127.0.0.1'] }, '192.0.2.1'],
    [{ lan: true }, '127.0.0.1'],
  ])('with %j is %s', (flags, host) => {
    expect(localEndpointOf(given(flags))).toEqual({ host, port: 1080 });
  });
});
