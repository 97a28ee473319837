import { zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { describe, expect, it } from 'vitest';
import { isSaid, reach, silent, startDns, startWith } from '../support/named-pair.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startEcho } from '../support/targets/echo.ts';

// Here the resolver's own time-outs pass, which are those of resolv.conf: 5 s, twice.

const echo = suiteResource(() => startEcho());

describe('a connection to a name', () => {
  it('is reset if no DNS server answers, and the log says so; meanwhile other names are found', async () => {
    const known = zone({ 'web.test': ['127.0.0.1'] });
    const dns = await startDns(query => (query.name === 'never.test' ? silent(query) : known(query)));
    const pair = await startWith([dns], { connectTimeout: 30_000 });
    let ended = false;
    const { port } = await echo();
    const never = reach(pair, 'never.test', port).finally(() => {
      ended = true;
    });
    await expect.poll(() => dns.asked.map(({ name }) => name)).toContain('never.test');
    for (let count = 0; count < 5; count++) expect(await reach(pair, 'web.test', port)).toBe('hello');
    expect(ended).toBe(false);
    expect(await never).toBe('ECONNRESET');
    await isSaid(pair, /never\.test:\d+: no DNS server answers \(ETIMEOUT\)/);
  });

  it('is found by the second DNS server if the first is silent', async () => {
    const [first, second] = [
      await startDns(silent),
      await startDns(zone({ 'a.test': ['127.0.0.1'], 'b.test': ['127.0.0.1'] })),
    ];
    const pair = await startWith([first, second], { connectTimeout: 30_000 });
    const { port } = await echo();
    expect(await Promise.all([reach(pair, 'a.test', port), reach(pair, 'b.test', port)])).toEqual(['hello', 'hello']);
    expect(first.asked).not.toEqual([]);
  });
});
