import { spawnSync } from 'node:child_process';
import { zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { targetOf } from '@podsocks/shared/wire/address';
import { expect, it } from 'vitest';
import { startAdminServer, UserConnection } from '../operations/admin-server.ts';
import { startDns } from '../support/named-pair.ts';
import { describeWith, pathOf } from '../support/programs.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startEcho } from '../support/targets/echo.ts';

const echo = suiteResource(() => startEcho());

/** What it says of a page, and how it ends. */
function check(page: string) {
  const { status, stdout, stderr } = spawnSync(pathOf('promtool'), ['check', 'metrics'], {
    input: page,
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, says: `${stdout}${stderr}` };
}

describeWith(['promtool'], 'promtool check metrics', () => {
  it.each([1, 2])('has nothing to say of /metrics after some use, with %i process(es)', async workers => {
    const dns = await startDns(zone({ 'web.test': ['127.0.0.1'] }));
    const server = await startAdminServer({ workers, nameservers: [dns.at], dnsSearch: [] });
    for (const host of ['127.0.0.1', 'web.test', '169.254.169.254', 'nothing.test']) {
      const connection = new UserConnection(server.as('ada'), targetOf(host, (await echo()).port));
      await connection.exchange(100).catch(() => {});
    }
    const { body } = await server.get('/metrics');
    expect(body).toContain('podsocks_bytes_total{user="ada",protocol="tcp",direction="up"} 200');
    expect(check(body)).toEqual({ status: 0, says: '' });
  });

  it('would have, if there were something', () => {
    const page = '# HELP some_total Some.\n# TYPE some_total gauge\nsome_total 1\n';
    expect(check(page)).toMatchObject({ status: 3, says: expect.stringContaining('some_total') });
    expect(check('podsocks_bytes_total{user="} 1\n').status).toBe(1);
  });
});
