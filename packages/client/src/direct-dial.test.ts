import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { dial } from '@podsocks/shared/net/dial';
import { systemLookup } from '@podsocks/shared/net/lookup';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type Target, targetOf } from '@podsocks/shared/wire/address';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type DirectDialOptions, dialDirect, directReply, mayDial } from './direct-dial.ts';

vi.mock('node:os', async original => {
  const os = await original<typeof import('node:os')>();
  return { ...os, networkInterfaces: vi.fn(os.networkInterfaces) };
});

vi.mock('@podsocks/shared/net/lookup');

vi.mock('@podsocks/shared/net/dial', async original => {
  const { dial } = await original<typeof import('@podsocks/shared/net/dial')>();
  return { dial: vi.fn(dial) };
});

vi.mock('node:fs', async original => {
  const fs = await original<typeof import('node:fs')>();
  return { ...fs, readFileSync: vi.fn(fs.readFileSync) };
});

/** Addresses of names, of which nobody asks the system. */
const names = new Map<string, readonly string[]>();
let lookedUp: string[] = [];

beforeEach(() => {
  names.clear();
  lookedUp = [];
  vi.mocked(systemLookup).mockReturnValue((host, _options, callback) => {
    lookedUp.push(host);
    const found = names.get(host)?.map(address => ({ address, family: address.includes(':') ? 6 : 4 }));
    const error = found === undefined ? Object.assign(new Error('none'), { code: 'ENOTFOUND' }) : null;
    process.nextTick(callback, error, found ?? []);
  });
});
afterEach(() => void vi.mocked(networkInterfaces).mockReset());

const OPTIONS: DirectDialOptions = {
  connectTimeout: 5_000,
  ipv6First: false,
  noDelay: true,
  isRejected: () => false,
  forOthers: false,
};

/** A port where somebody listens, and who has come. */
async function listen(host = '127.0.0.1') {
  const clients: string[] = [];
  const server: Server = createServer(socket => {
    clients.push(socket.remoteAddress ?? '');
    socket.on('error', () => {}).resume();
    onTestFinished(() => void socket.destroy());
  });
  server.listen(0, host);
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, clients, server };
}

async function dialled(target: Target, options: Partial<DirectDialOptions> = {}): Promise<string | undefined> {
  const connection = await dialDirect(target, { ...OPTIONS, ...options });
  onTestFinished(() => connection.reset());
  return connection.socket.remoteAddress;
}

const denied = expect.objectContaining({
  code: 'ERR_DENIED',
  message: expect.stringMatching(/^\S+:\d+: not reached from here for other machines, or rejected by a rule$/),
});

describe('a target is dialled', () => {
  it('by its address, or by one that a client has sent as a name', async () => {
    const { port } = await listen();
    expect(await dialled(targetOf('127.0.0.1', port))).toBe('127.0.0.1');
    expect(await dialled({ type: 'name', host: '127.0.0.1', port })).toBe('127.0.0.1');
    expect(lookedUp).toEqual([]);
  });

  it('by its name, which is looked up once', async () => {
    const { port } = await listen();
    names.set('web.example', ['127.0.0.1']);
    const isRejected = vi.fn(() => false);
    expect(await dialled(targetOf('web.example', port), { isRejected })).toBe('127.0.0.1');
    expect(lookedUp).toEqual(['web.example']);
    expect(isRejected.mock.calls).toEqual([['127.0.0.1', port]]);
  });

  it.skipIf(process.platform !== 'linux')('at those of its addresses that are not rejected', async () => {
    const { port, clients } = await listen('0.0.0.0');
    names.set('web.example', ['127.0.0.2', '127.0.0.3', '127.0.0.1']);
    const isRejected = (address: string) => address !== '127.0.0.3';
    expect(await dialled(targetOf('web.example', port), { isRejected })).toBe('127.0.0.3');
    expect(clients).toHaveLength(1);
  });

  it('with the order of families that is wished for', async () => {
    const { port } = await listen();
    names.set('web.example', ['127.0.0.1']);
    await dialled(targetOf('web.example', port), { ipv6First: true });
    expect(vi.mocked(systemLookup)).toHaveBeenCalledWith(true);
  });
});

describe('a target is not dialled', () => {
  it('any more once that is given up', async () => {
    const { port, clients, server } = await listen();
    const giveUp = new AbortController();
    names.set('web.example', ['127.0.0.1']);
    const dialled = dialDirect(targetOf('web.example', port), { ...OPTIONS, signal: giveUp.signal });
    giveUp.abort();
    await expect(dialled).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    server.close();
    await once(server, 'close');
    expect(clients).toEqual([]);
  });

  it.each(['127.0.0.1', '::ffff:127.0.0.1', '::ffff:7f00:1', 'web.example'])(
    'at %s where a rule rejects that address, and nobody is bothered',
    async host => {
      const { port, clients, server } = await listen();
      names.set('web.example', ['127.0.0.1', '::ffff:127.0.0.1']);
      const isRejected = (address: string, at: number) => address === '127.0.0.1' && at === port;
      await expect(dialDirect(targetOf(host, port), { ...OPTIONS, isRejected })).rejects.toThrow(denied);
      server.close();
      await once(server, 'close');
      expect(clients).toEqual([]);
    },
  );

  it.each(['localhost', '127.1', '0x7f000001', '2130706433', 'web.example'])(
    'for other machines where %s leads here',
    async host => {
      const { port, clients, server } = await listen();
      names.set(host, ['127.0.0.1', '::1']);
      await expect(dialDirect(targetOf(host, port), { ...OPTIONS, forOthers: true })).rejects.toThrow(denied);
      server.close();
      await once(server, 'close');
      expect(clients).toEqual([]);
    },
  );

  it.each(['fe80::1%lo', '::1%lo', '127.0.0.1%lo'])('at %s, of which no rule knows what it means', async host => {
    const dial = dialDirect({ type: 'name', host, port: 80 }, { ...OPTIONS });
    await expect(dial).rejects.toThrow(host.startsWith('127') ? 'no such name' : denied);
  });

  it('where a name has no address at all', async () => {
    await expect(dialDirect(targetOf('none.example', 80), OPTIONS)).rejects.toMatchObject({ code: 'ERR_DIAL' });
    names.set('empty.example', []);
    await expect(dialDirect(targetOf('empty.example', 80), OPTIONS)).rejects.toThrow(denied);
  });
});

it('a connection that has come to this machine itself is not for other machines', async () => {
  const reset = vi.fn();
  const socket = { remoteAddress: '198.51.100.9', localAddress: '198.51.100.9' };
  const target = targetOf('198.51.100.9', 80);
  const connection = { socket, reset } as unknown as Awaited<ReturnType<typeof dial>>;
  vi.mocked(dial).mockResolvedValueOnce(connection).mockResolvedValueOnce(connection);
  expect(await dialDirect(target, OPTIONS)).toBe(connection);
  expect(reset).not.toHaveBeenCalled();
  await expect(dialDirect(target, { ...OPTIONS, forOthers: true })).rejects.toThrow(denied);
  expect(reset).toHaveBeenCalledOnce();
});

describe('for other machines', () => {
  const forOthers = (address: string) => mayDial(address, 80, { isRejected: () => false, forOthers: true });
  const forUs = (address: string) => mayDial(address, 80, { isRejected: () => false, forOthers: false });

  it.each([
    ...['127.0.0.1', '127.255.255.255', '0.0.0.0', '0.1.2.3', '169.254.169.254'],
    ...['224.0.0.251', '239.255.255.250', '255.255.255.255', 'ff02::fb', '::ffff:224.0.0.251'],
    ...['::', '::1', 'fe80::1', 'fe80::1%eth0', 'febf::1', '::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:0.0.0.0'],
  ])('%s is out of reach, and not for this one', address => {
    expect(forOthers(address)).toBe(false);
    expect(forUs(address)).toBe(true);
  });

  it.each(['128.0.0.1', '10.0.0.1', '169.253.0.1', '1.0.0.1', '2001:db8::1', 'fec0::1', '::ffff:198.51.100.1', '::2'])(
    '%s is not',
    address => expect(forOthers(address)).toBe(true),
  );

  it('addresses of this machine are out of reach, whatever they are, two seconds after it has them', () => {
    let now = performance.now();
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now);
    onTestFinished(() => clock.mockRestore());
    const has = (...addresses: readonly string[]) => {
      now += 2_001;
      const interfaces = { none: undefined, eth0: addresses.map(address => ({ address })) };
      vi.mocked(networkInterfaces).mockReturnValue(interfaces as unknown as ReturnType<typeof networkInterfaces>);
    };
    has('198.51.100.7', '2001:db8::7', 'fe80::7%eth0');
    for (const address of ['198.51.100.7', '::ffff:198.51.100.7', '::ffff:c633:6407', '2001:db8::7']) {
      expect([address, forOthers(address)]).toEqual([address, false]);
      expect(forUs(address)).toBe(true);
    }
    expect(forOthers('198.51.100.8')).toBe(true);
    has('198.51.100.8');
    expect([forOthers('198.51.100.7'), forOthers('198.51.100.8')]).toEqual([true, false]);
  });

  it('so are those of the kernel on interfaces without a carrier, and no whole networks', () => {
    const now = performance.now() + 100_000;
    const clock = vi.spyOn(performance, 'now').mockReturnValue(now);
    const system = vi.spyOn(process, 'platform', 'get').mockReturnValue('linux');
    onTestFinished(() => [clock, system].forEach(spy => void spy.mockRestore()));
    onTestFinished(() => void vi.mocked(readFileSync).mockReset());
    const leaf = (base: string, length: number) => `     |-- ${base}\n        /${length} host LOCAL\n`;
    const ipv6 = `fd000000000000000000000000000017 80 ${'0'.repeat(32)} 00 ${'0'.repeat(32)} 0 2 0 80200001 docker0\n`;
    vi.mocked(networkInterfaces).mockReturnValue({});
    vi.mocked(readFileSync).mockImplementation(path =>
      String(path).endsWith('fib_trie') ? leaf('198.51.100.17', 32) + leaf('0.0.0.0', 0) : ipv6,
    );
    expect(['198.51.100.17', 'fd00::17', '198.51.100.18', '8.8.8.8'].map(forOthers)).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });

  it('rules hold all the same, by the plain address', () => {
    const isRejected = vi.fn(() => true);
    expect(mayDial('::ffff:10.0.0.1', 80, { isRejected, forOthers: true })).toBe(false);
    expect(isRejected).toHaveBeenCalledWith('10.0.0.1', 80);
  });
});

describe('in the words of RFC 1928', () => {
  it.each([
    ['ECONNREFUSED', 'connectionRefused'],
    ['ENETUNREACH', 'networkUnreachable'],
    ['EHOSTUNREACH', 'hostUnreachable'],
    ['ENOTFOUND', 'hostUnreachable'],
    ['ENODATA', 'hostUnreachable'],
    ['EAI_AGAIN', 'hostUnreachable'],
    ['ETIMEDOUT', 'ttlExpired'],
    ['EMFILE', 'generalFailure'],
    ['', 'generalFailure'],
  ])('%s is %s', (code, reply) => {
    const cause = Object.assign(new Error(code), { code });
    expect(directReply(new PodsocksError('ERR_DIAL', 'x', { cause }))).toBe(reply);
  });

  it('anything else is what it is', () => {
    expect(directReply(new PodsocksError('ERR_DENIED', 'x'))).toBe('notAllowed');
    expect(directReply(new PodsocksError('ERR_TIMEOUT', 'x'))).toBe('ttlExpired');
    expect(directReply(new PodsocksError('ERR_DIAL', 'x'))).toBe('generalFailure');
    expect(directReply(new Error('x'))).toBe('generalFailure');
    expect(directReply(undefined)).toBe('generalFailure');
  });

  it('so are failures of real connections', async () => {
    const { port, server } = await listen();
    server.close();
    await once(server, 'close');
    const reply = (target: Target, options: Partial<DirectDialOptions> = {}) =>
      dialDirect(target, { ...OPTIONS, ...options }).then(() => 'succeeded', directReply);
    expect(await reply(targetOf('127.0.0.1', port))).toBe('connectionRefused');
    expect(await reply(targetOf('none.example', port))).toBe('hostUnreachable');
    expect(await reply(targetOf('127.0.0.1', 0))).toBe('generalFailure');
    expect(await reply(targetOf('127.0.0.1', port), { forOthers: true })).toBe('notAllowed');
    vi.mocked(systemLookup).mockReturnValue(() => {});
    expect(await reply(targetOf('slow.example', port), { connectTimeout: 10 })).toBe('ttlExpired');
  });
});
