import { readFile, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { buildFetch, goObstacle } from '../interop/go-program.ts';
import { describeWith, pathOf } from '../support/programs.ts';
import { commandOf } from '../support/shadowsocks-ends.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { HTTP_PORT } from './cluster.ts';
import { describeCluster } from './describe-cluster.ts';
import { FROM_LAPTOP, FROM_LAPTOP6 } from './internet.ts';
import { type LaptopWithInternet, startInformedClient, startLaptop } from './laptop.ts';
import { type DnsmasqLaptop, startDnsmasqLaptop, startPublicDns } from './laptop-dnsmasq.ts';
import { INTERNET, PUBLIC_NAME } from './machines.ts';
import { addressesOf, startDb, startWeb, WEB_ADDRESS } from './workloads.ts';

const GUIDE = new URL('../../docs/transparent.md', import.meta.url);
const OF_WEB = /^web-[012]$/;
const WEB_URL = 'http://web.default.svc.cluster.local/';
const REDSOCKS_PORT = 12345;

describeCluster(
  'a static program that knows of no proxy, by its own connections and look-ups',
  () => {
    const fetch = suiteResource(() => buildFetch());
    const cluster = suiteResource(async () => {
      let laptop: DnsmasqLaptop | undefined;
      const started = await startLaptop(async unready => {
        await Promise.all([startWeb(unready), startDb(unready), startPublicDns(unready, unready.internet)]);
        laptop = await startDnsmasqLaptop(unready);
        await startInformedClient(unready, { on: laptop, flags: ['--dns'] });
        await laptop.run([...commandOf('podsocks', 'client'), 'dns', 'install']);
      });
      return { ...started, laptop: laptop! };
    });

    /** @returns what it prints. */
    async function run(url: string): Promise<string> {
      const [{ laptop, logs }, { path }] = await Promise.all([cluster(), fetch()]);
      return laptop.run([path, '-raw', url]).then(String, (error: Error) => {
        error.message += logs();
        throw error;
      });
    }

    async function expectAll(): Promise<void> {
      for (const url of [WEB_URL, `http://${WEB_ADDRESS}/`]) expect(await run(url)).toMatch(OF_WEB);
      for (const host of ['db-1.db.default.svc.cluster.local', addressesOf('db-1')[0]]) {
        expect(await run(`http://${host}:${HTTP_PORT}/`)).toBe('db-1');
      }
      expect([FROM_LAPTOP, FROM_LAPTOP6]).toContain(await run(`http://${PUBLIC_NAME}/from`));
      expect(await run(`http://${INTERNET.networks[0].beyond}/from`)).toBe(FROM_LAPTOP);
    }

    test('finds the name, and has no way there', async () => {
      await expect(run(WEB_URL)).rejects.toThrow(`dial tcp ${WEB_ADDRESS}:80: connect: connection refused`);
    });

    describeWith(['redsocks'], 'redsocks and nftables, as the guide has it', () => {
      const engine = suiteResource(async () => startRedsocks(await cluster()));

      test('the cluster and what is public are reached', async () => {
        await engine();
        await expectAll();
      });
    });

    describeWith(['tun2socks'], 'tun2socks, as the guide has it', () => {
      const engine = suiteResource(async () => startTun2socks(await cluster()));

      test('the cluster and what is public are reached', async () => {
        await engine();
        await expectAll();
      });
    });
  },
  ['dnsmasq'],
  goObstacle,
);

type Running = LaptopWithInternet & { readonly laptop: DnsmasqLaptop };

async function startRedsocks({ laptop, path, start }: Running): Promise<{ close(): Promise<void> }> {
  await writeFile(path('redsocks.conf'), await blockOf('redsocks {'));
  await writeFile(path('podsocks.nft'), await blockOf('table ip podsocks {'));
  const program = await start(laptop, 'redsocks', [pathOf('redsocks'), '-c', path('redsocks.conf')], REDSOCKS_PORT);
  await laptop.run([pathOf('nft'), '-f', path('podsocks.nft')]);
  return {
    async close() {
      await laptop.run([pathOf('nft'), 'delete', 'table', 'ip', 'podsocks']);
      await program.stop();
    },
  };
}

async function startTun2socks({ laptop, start }: Running): Promise<{ close(): Promise<void> }> {
  const script = (await blockOf('tun2socks --device')).replace(
    'tun2socks --device',
    `exec ${pathOf('tun2socks')} --device`,
  );
  // Somebody has opened the device.
  const isUp = () =>
    laptop.run([pathOf('ip'), 'link', 'show', 'tun0']).then(
      link => String(link).includes('LOWER_UP'),
      () => false,
    );
  const program = await start(laptop, 'tun2socks', ['sh', '-ec', script], isUp);
  return {
    async close() {
      await program.stop();
      await laptop.run([pathOf('ip'), 'link', 'delete', 'tun0']);
    },
  };
}

/** The text of the guide that stands between fences and has this in it. */
async function blockOf(text: string): Promise<string> {
  const blocks = (await readFile(GUIDE, 'utf8')).matchAll(/^```\w*\n(.*?)^```$/gms);
  const found = [...blocks].map(([, block]) => block!).find(block => block.includes(text));
  if (found === undefined) throw new Error(`docs/transparent.md: no block with ${text}`);
  return found;
}
