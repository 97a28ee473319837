import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reply, type Script, startFakeDns } from '@podsocks/shared/dns/fake-dns-fixtures';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DnsProbe } from './dns-probe.ts';

const silent: Script = () => undefined;

async function dns(script: Script) {
  const server = await startFakeDns(script);
  onTestFinished(() => server.close());
  return server;
}

/** Nobody is there: the server has just been closed. */
async function nobody() {
  const { at, close } = await startFakeDns(silent);
  close();
  return at;
}

const probe = (servers: readonly { host: string; port: number }[], search: readonly string[] = [], timeout = 5_000) =>
  new DnsProbe({ resolvConf: '/nowhere', servers, search, timeout });

describe('the probe of DNS', () => {
  it.each([0, 2, 3, 5])('takes any answer for one, such as RCODE %i', async rcode => {
    const { at } = await dns(query => reply(query, { rcode }));
    expect(await probe([at]).obstacle()).toBeUndefined();
  });

  it('is content with one of several servers, whichever it is', async () => {
    const [dead, alive] = [await dns(silent), await dns(query => reply(query))];
    expect(await probe([dead.at, alive.at]).obstacle()).toBeUndefined();
    expect(await probe([await nobody(), alive.at, dead.at]).obstacle()).toBeUndefined();
  });

  it('says of each server what became of it', async () => {
    const [dead, gone] = [await dns(silent), await nobody()];
    expect(await probe([dead.at, gone], [], 50).obstacle()).toBe(
      `no DNS server answers (127.0.0.1:${dead.at.port}: no answer within 0.05 s; 127.0.0.1:${gone.port}: ECONNREFUSED)`,
    );
  });

  it('does not take for an answer what answers something else', async () => {
    const { at } = await dns(query => reply({ ...query, id: query.id ^ 1 }));
    expect(await probe([at], [], 50).obstacle()).toMatch(/no answer within/);
  });

  it('asks for the domain of the search list, which the cluster knows itself', async () => {
    const server = await dns(query => reply(query));
    await probe([server.at], ['.', 'shop.svc.cluster.local', 'svc.cluster.local']).obstacle();
    await probe([server.at]).obstacle();
    expect(server.asked.map(({ name }) => name)).toEqual(['shop.svc.cluster.local', 'localhost']);
  });

  it('reads resolv.conf where nothing else is said', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'podsocks-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'resolv.conf'), 'search a.test\n');
    const server = await dns(query => reply(query));
    const options = { resolvConf: join(folder, 'resolv.conf'), servers: [server.at], timeout: 5_000 };
    expect(await new DnsProbe(options).obstacle()).toBeUndefined();
    expect(server.asked.map(({ name }) => name)).toEqual(['a.test']);
  });
});
