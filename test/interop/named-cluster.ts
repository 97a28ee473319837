import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_METHOD } from '@podsocks/shared/crypto/methods';
import { startFakeDns, zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { freePort } from '../support/free-port.ts';
import { startProgram } from '../support/program-run.ts';
import { commandOf } from '../support/shadowsocks-ends.ts';

/** A name that only the cluster knows. */
export const NAME = 'web.default.svc.cluster.local';

/** A server, and beyond it a DNS server and a web server, which programs reach through `ss-local run`. */
export interface NamedCluster {
  /** http://NAME:port */
  readonly url: string;
  readonly port: number;
  /** What ss-local needs to know, as a file for `-c`. */
  readonly config: string;
  /** A line of `METHOD path` for each request that has come. */
  readonly requests: string[];
  /** What ss-local is started with. */
  readonly command: readonly [string, ...string[]];
  close(): Promise<void>;
}

const SHA = 'a'.repeat(40);

/** What programs ask for that want more than some text. */
const ANSWERS: Readonly<Record<string, string>> = {
  '/repository.git/info/refs': `${SHA}\trefs/heads/main\n`,
  '/repository.git/HEAD': 'ref: refs/heads/main\n',
  '/npm/left-pad': JSON.stringify({
    name: 'left-pad',
    'dist-tags': { latest: '1.2.3' },
    versions: { '1.2.3': { name: 'left-pad', version: '1.2.3', dist: { tarball: 'http://x/', shasum: SHA } } },
  }),
};

/** @param settings of ss-local, beside its server. */
export async function startNamedCluster(settings: Readonly<Record<string, unknown>> = {}): Promise<NamedCluster> {
  const requests: string[] = [];
  const answer: RequestListener = ({ method, url = '', headers }, response) => {
    const [path = ''] = url.split('?');
    requests.push(`${method} ${path}`);
    response.end(ANSWERS[path] ?? `hello from ${headers.host}${path}`);
  };
  const web = createServer(answer).listen(0, '127.0.0.1');
  await once(web, 'listening');
  const { port } = web.address() as AddressInfo;
  const dns = await startFakeDns(zone({ [NAME]: ['127.0.0.1'] }));
  const folder = await mkdtemp(join(tmpdir(), 'podsocks-run-'));
  const [server, local] = [await freePort(), await freePort()];
  const common = { server: '127.0.0.1', server_port: server, method: DEFAULT_METHOD };
  const both = { ...common, password: randomBytes(32).toString('base64') };
  const nameserver = [`${dns.at.host}:${dns.at.port}`];
  const write = async (name: string, content: object) => {
    const path = join(folder, name);
    await writeFile(path, JSON.stringify(content), { mode: 0o600 });
    return path;
  };
  const serverFile = await write('server.json', { ...both, nameserver, allow: ['127.0.0.0/8'] });
  const config = await write('local.json', { ...both, local_port: local, ...settings });
  const run = await startProgram('ss-server', [...commandOf('podsocks', 'server'), '-c', serverFile], server);
  return {
    url: `http://${NAME}:${port}`,
    port,
    config,
    requests,
    command: [...commandOf('podsocks', 'client'), '-c', config],
    async close() {
      await run.stop();
      web.closeAllConnections();
      web.close();
      dns.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
