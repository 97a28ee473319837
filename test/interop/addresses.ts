import { networkInterfaces } from 'node:os';
import { expect, test } from 'vitest';
import { describeWith } from '../support/programs.ts';
import { PROGRAMS_OF } from '../support/shadowsocks-ends.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startEcho } from '../support/targets/echo.ts';
import { startTunnel, type TunnelOptions } from '../support/tunnel.ts';

const IPV6 = networkInterfaces().lo?.some(({ address }) => address === '::1') ?? false;

/** The forms of ADDR beside IPv4, which the other suites use. */
export function describeAddresses(options: TunnelOptions): void {
  const { client, server, method } = options;
  describeWith([...PROGRAMS_OF[client], ...PROGRAMS_OF[server]], `${client} → ${server}, ${method}, target by`, () => {
    const tunnel = suiteResource(() => startTunnel(options));
    // "localhost" may be either.
    const echo = suiteResource(() => startEcho(IPV6 ? ['127.0.0.1', '::1'] : ['127.0.0.1']));

    async function expectEcho(host: string): Promise<void> {
      const { port } = await echo();
      await (await tunnel()).use(async connect => {
        const connection = await connect({ host, port });
        await connection.send(`to ${host}`);
        expect(String(await connection.take(`to ${host}`.length))).toBe(`to ${host}`);
      });
    }

    test('name', () => expectEcho('localhost'));
    test.skipIf(!IPV6)(`IPv6 address${IPV6 ? '' : ' [SKIPPED: no ::1 here]'}`, () => expectEcho('::1'));
  });
}
