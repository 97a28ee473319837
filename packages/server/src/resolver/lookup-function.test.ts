import { connect, createServer, type LookupFunction } from 'node:net';
import { zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { describe, expect, it, onTestFinished } from 'vitest';
import { asLookup } from './lookup-function.ts';
import { startLab } from './resolver-fixtures.ts';

describe('as a lookup function', () => {
  const call = (lookup: LookupFunction, name: string, options: object) =>
    new Promise<unknown[]>(resolve => lookup(name, options, (...result) => resolve(result)));

  it('gives all addresses, or one, or an error with the code of a system', async () => {
    const { resolver } = await startLab([zone({ web: ['10.0.0.1', 'fd00::1'] })]);
    const lookup = asLookup(resolver);
    expect(await call(lookup, 'web', { all: true })).toEqual([
      null,
      [
        { address: '10.0.0.1', family: 4, name: 'web' },
        { address: 'fd00::1', family: 6, name: 'web' },
      ],
    ]);
    expect(await call(lookup, 'web', { family: 'IPv6' })).toEqual([null, 'fd00::1', 6]);
    expect((await call(lookup, 'nosuch', { all: true }))[0]).toMatchObject({ code: 'ENOTFOUND', hostname: 'nosuch' });
  });

  it('makes net.connect get past the address of a pod that is gone', async () => {
    const target = createServer(socket => socket.end());
    await new Promise<void>(resolve => target.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void target.close());
    // Nothing listens at the other two, whichever comes first.
    const { resolver } = await startLab([zone({ web: ['127.0.0.1', '127.0.0.2', '127.0.0.3'] })]);
    const { port } = target.address() as { port: number };
    for (let i = 0; i < 3; i++) {
      const socket = connect({ host: 'web', port, lookup: asLookup(resolver), autoSelectFamily: true });
      await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
      expect(socket.remoteAddress).toBe('127.0.0.1');
      socket.destroy();
    }
  });
});
