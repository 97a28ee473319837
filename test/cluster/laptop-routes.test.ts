import { expect, test } from 'vitest';
import { pathOf } from '../support/programs.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { HTTP_PORT, SOCKS_PORT } from './cluster.ts';
import { DNS_ADDRESS } from './cluster-dns.ts';
import { digAt, startDatagramFront } from './datagram-forward.ts';
import { describeCluster } from './describe-cluster.ts';
import { FROM_LAPTOP, FROM_LAPTOP6 } from './internet.ts';
import { startInformedClient, startLaptop } from './laptop.ts';
import { fetchDirectly, fetchThrough } from './laptop-curl.ts';
import { startPublicDns } from './laptop-dnsmasq.ts';
import { INTERNET, PUBLIC_NAME } from './machines.ts';
import { startDb, startWeb, WEB_ADDRESS } from './workloads.ts';

const OF_WEB = /^web-[012]$/;
const [{ beyond: PUBLIC4 }, { beyond: PUBLIC6 }] = INTERNET.networks;
const WEB = 'web.default.svc.cluster.local';

/** Another ss-local on the laptop, which sends everything through the tunnel. */
const ALL_PORT = 1081;
/** And one with rules. */
const RULES_PORT = 1082;
/** Of the laptop: they lead to the cluster's DNS and to the public one. */
const [TO_CLUSTER, TO_PUBLIC, TO_PUBLIC_BY_ALL] = [5301, 5302, 5303] as const;

const through = (port: number) => ['--proxy', `socks5h://127.0.0.1:${port}`] as const;

describeCluster('what goes where from the laptop', () => {
  const cluster = suiteResource(async () => {
    const started = await startLaptop(async unready => {
      await Promise.all([startWeb(unready), startDb(unready)]);
      await startInformedClient(unready);
      await unready.startClient({ port: ALL_PORT, flags: ['--route', 'all'] });
      const rules = ['--tunnel', '*.svc.cluster.local', '--direct', PUBLIC_NAME, '--reject', `*:${HTTP_PORT}`];
      await unready.startClient({ port: RULES_PORT, flags: [...rules, '--route-default', 'reject'] });
    });
    const publicDns = await startPublicDns(started, started.internet);
    for (const [port, target, socksPort] of [
      [TO_CLUSTER, DNS_ADDRESS, SOCKS_PORT],
      [TO_PUBLIC, PUBLIC4, SOCKS_PORT],
      [TO_PUBLIC_BY_ALL, PUBLIC4, ALL_PORT],
    ] as const) {
      await startDatagramFront(started, started.laptop, { port, target, proxy: `socks5://127.0.0.1:${socksPort}` });
    }
    return { ...started, publicDns };
  });

  /** How many connections ss-server has been asked for. */
  async function tunnelled(): Promise<number> {
    const status = JSON.parse(String(await fetchDirectly(await cluster(), `http://127.0.0.1:${SOCKS_PORT}/v1/status`)));
    return (status as { servers: [{ total: number }] }).servers[0].total;
  }

  test('auto: what is public directly, past ss-server; the cluster by it', async () => {
    const running = await cluster();
    const before = await tunnelled();
    const byName = String(await fetchThrough(running, `http://${PUBLIC_NAME}/from`));
    expect([FROM_LAPTOP, FROM_LAPTOP6]).toContain(byName);
    expect(String(await fetchThrough(running, `http://${PUBLIC4}/from`))).toBe(FROM_LAPTOP);
    expect(String(await fetchThrough(running, `http://[${PUBLIC6}]/from`))).toBe(FROM_LAPTOP6);
    expect(await tunnelled()).toBe(before);
    expect(running.servers[0]!.program.output()).not.toContain(PUBLIC4);
    expect(String(await fetchThrough(running, `http://${WEB}/`))).toMatch(OF_WEB);
    expect(await tunnelled()).toBe(before + 1);
  });

  test('the cluster has no way to what is public', async () => {
    const [server] = (await cluster()).servers;
    const command = [pathOf('curl'), '-q', '-sS', '--max-time', '3', `http://${PUBLIC4}/from`] as const;
    await expect(server!.run([...command])).rejects.toThrow(/ended with (7|28) /);
  });

  test('auto, UDP: what is public is asked by the laptop, the cluster by ss-server', async () => {
    const { laptop, publicDns } = await cluster();
    const patiently = ['+time=2', '+tries=5'];
    expect(await digAt(laptop, TO_PUBLIC, ...patiently, PUBLIC_NAME, 'A')).toBe(PUBLIC4);
    expect(publicDns.output()).toContain(`query[A] ${PUBLIC_NAME} from ${INTERNET.networks[0].laptop}`);
    expect(await digAt(laptop, TO_CLUSTER, ...patiently, WEB, 'A')).toBe(WEB_ADDRESS);
    expect(publicDns.output()).not.toContain(WEB);
  });

  test('all: ss-server is asked for everything, and its policy refuses what is public', async () => {
    const running = await cluster();
    expect(String(await fetchThrough(running, `http://${WEB}/`, ...through(ALL_PORT)))).toMatch(OF_WEB);
    const url = `http://${PUBLIC4}/from`;
    await expect(fetchThrough(running, url, ...through(ALL_PORT))).rejects.toThrow('ended with 97 ');
    const server = running.servers[0]!.program.output;
    await expect.poll(server, { timeout: 10_000 }).toContain(`${PUBLIC4}:80: not allowed (`);
    await expect(digAt(running.laptop, TO_PUBLIC_BY_ALL, '+time=1', '+tries=1', PUBLIC_NAME)).rejects.toThrow(
      'with 9 ',
    );
  });

  test('rules: as they say', async () => {
    const running = await cluster();
    const fetch = (url: string) => fetchThrough(running, url, ...through(RULES_PORT));
    expect(String(await fetch(`http://${WEB}/`))).toMatch(OF_WEB);
    expect([FROM_LAPTOP, FROM_LAPTOP6]).toContain(String(await fetch(`http://${PUBLIC_NAME}/from`)));
    for (const host of [WEB_ADDRESS, PUBLIC4, 'web.default', `db-0.db.default.svc.cluster.local:${HTTP_PORT}`]) {
      await expect(fetch(`http://${host}/`), host).rejects.toThrow('ended with 97 ');
    }
  });

  test('a namespace of the user’s own for names without dots', async () => {
    const running = await cluster();
    await expect(fetchThrough(running, 'http://web/')).rejects.toThrow('ended with 97 ');
    const port = 1083;
    await startInformedClient(running, { port, flags: ['--namespace', 'default', '--namespace', 'db'] });
    expect(String(await fetchThrough(running, 'http://web/', ...through(port)))).toMatch(OF_WEB);
  });
}, ['dnsmasq']);
