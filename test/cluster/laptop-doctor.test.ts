import { expect, test } from 'vitest';
import { commandOf } from '../support/shadowsocks-ends.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { HTTP_PORT, NODE_PORT, SOCKS_PORT } from './cluster.ts';
import { describeCluster } from './describe-cluster.ts';
import { startInformedClient, startLaptop } from './laptop.ts';
import { fetchThrough } from './laptop-curl.ts';
import { NODE_ADDRESS } from './pod-network.ts';
import { addressesOf, PUBLIC_ADDRESS, startDb, startWeb, WEB_ADDRESS } from './workloads.ts';

const WEB = 'web.default.svc.cluster.local';
const NOBODY = 'nobody.default.svc.cluster.local';
const SERVER = `${NODE_ADDRESS}:${NODE_PORT}`;
const [DB] = addressesOf('db-0');

/** A firewall that says nothing, between the laptop and the node port. */
const FIREWALL = `table inet firewall {
  chain prerouting {
    type filter hook prerouting priority raw; policy accept;
    ip daddr ${NODE_ADDRESS} tcp dport ${NODE_PORT} drop
  }
}`;

interface Outcome {
  readonly code: number;
  readonly text: string;
}

describeCluster('ss-local status and doctor on the laptop', () => {
  const cluster = suiteResource(() =>
    startLaptop(async started => {
      await Promise.all([startWeb(started), startDb(started)]);
      await startInformedClient(started);
    }),
  );

  /** Runs it to its end, whatever that is. */
  async function run(command: readonly [string, ...string[]]): Promise<Outcome> {
    const { laptop } = await cluster();
    const said = String(await laptop.run(['sh', '-c', '"$@" 2>&1; echo "$?"', 'sh', ...command]));
    const [, text = '', code] = /^(.*?)(\d+)\n$/s.exec(said) ?? [];
    return { code: Number(code), text };
  }

  const status = (...words: string[]) => run([...commandOf('podsocks', 'client'), ...words]);
  const doctor = async (...words: string[]) => run([...(await cluster()).clientCommand, ...words]);

  test('status: servers, routes, connections, and what failed of late', async () => {
    const running = await cluster();
    for (const scheme of ['socks5h', 'http']) {
      await fetchThrough(running, `http://${WEB}/`, '--proxy', `${scheme}://127.0.0.1:${SOCKS_PORT}`);
    }
    await expect(fetchThrough(running, `http://${NOBODY}/`)).rejects.toThrow('ended with 97 ');
    const { code, text } = await status('status');
    expect(code).toBe(0);
    expect(text).toMatch(/^listening +127\.0\.0\.1:1080 /m);
    expect(text).toMatch(/^route +auto: cluster\.local, .*10\.96\.0\.0\/12.* through the tunnel, else direct$/m);
    expect(text).toMatch(/^connections +\d open, 3 since the start, 1 failed$/m);
    expect(text).toMatch(/^\* +192\.0\.2\.1:32088 +healthy +[\d.]+ ms /m);
    expect(text).toMatch(new RegExp(`^\\d+ s ago +${NOBODY}:80 +.*host unreachable`, 'm'));
    expect((await status('status', '-o', 'wide')).text).toMatch(/podsocks \d+\.\d+\.\d+ +cluster\.local +healthy/);
    const { servers } = JSON.parse((await status('status', '-o', 'json')).text) as { servers: unknown[] };
    expect(servers).toMatchObject([{ address: SERVER, kind: 'podsocks', domain: 'cluster.local', active: true }]);
  });

  test('status: where nobody answers', async () => {
    expect(await status('-l', '1999', 'status')).toEqual({
      code: 1,
      text: expect.stringMatching(/no ss-local answers at 127\.0\.0\.1:1999/),
    });
  });

  test('doctor: all is well', async () => {
    const { code, text } = await doctor('doctor', `${WEB}:80`);
    expect({ code, text }).toEqual({ code: 0, text: expect.stringMatching(/^All is well\.$/m) });
    const stages = [...text.matchAll(/^ {2}✓ (\w+)/gm)].map(([, stage]) => stage);
    const way = ['configuration', 'name', 'tcp', 'key', 'clock', 'extensions', 'dns', 'policy', 'dial', 'throughput'];
    expect(stages).toEqual(way);
    expect(text).toMatch(new RegExp(`✓ dns +${WEB} is ${WEB_ADDRESS} `));
    expect(text).toContain(`${WEB}:80 accepts connections`);
  });

  test.each([
    [
      15,
      `${NOBODY}:80`,
      /✗ dns +nobody.*\n +→ there is no such name in the cluster: kubectl get service -A \| grep nobody;/,
    ],
    [
      16,
      `${PUBLIC_ADDRESS}:80`,
      /✗ policy +198\.51\.100\.10:80 is denied: .*\n +→ ask whoever runs ss-server to allow it/,
    ],
    [17, `${DB}:81`, /✗ dial +.*\n +→ nothing listens there on port 81: /],
    [17, `10.244.9.9:${HTTP_PORT}`, /✗ dial +/],
  ])('doctor: exit code %i for %s', async (code, target, words) => {
    expect(await doctor('--route', 'all', 'doctor', target)).toEqual({ code, text: expect.stringMatching(words) });
  });

  test('doctor: what does not go through the tunnel', async () => {
    const { code, text } = await doctor('doctor', `${PUBLIC_ADDRESS}:80`);
    const words = /^ {2}! route +198\.51\.100\.10:80 goes directly, not through the tunnel/m;
    expect({ code, text }).toEqual({ code: 0, text: expect.stringMatching(words) });
  });

  test('doctor: a name of the namespace that is meant', async () => {
    const { code, text } = await doctor('--namespace', 'default', 'doctor', 'web:80');
    expect({ code, text }).toEqual({ code: 0, text: expect.stringMatching(/^All is well\.$/m) });
    expect(text).toContain(`${WEB}:80 accepts connections`);
  });

  test('doctor: a port on which nothing listens', async () => {
    const { code, text } = await doctor('-p', '32089', 'doctor', `${WEB}:80`);
    expect({ code, text }).toEqual({
      code: 11,
      text: expect.stringMatching(/✗ tcp +.*\n +→ nothing listens on port 32089/),
    });
  });

  test('doctor: a firewall that drops', async () => {
    const { proxy } = await cluster();
    proxy.nft(FIREWALL);
    try {
      const { code, text } = await doctor('doctor', `${WEB}:80`);
      const words = /✗ tcp +.*\n +→ packets are dropped on the way: a firewall .* does not let TCP 32088 in/;
      expect({ code, text }).toEqual({ code: 11, text: expect.stringMatching(words) });
      expect(text).not.toMatch(/key|All is well/);
    } finally {
      proxy.nft('delete table inet firewall');
    }
    expect((await doctor('doctor', `${WEB}:80`)).code).toBe(0);
  });
});
