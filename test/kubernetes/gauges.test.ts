import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { targetOf } from '@podsocks/shared/wire/address';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startAdminServer, UserConnection } from '../operations/admin-server.ts';
import { silent, startDns } from '../support/named-pair.ts';

// What the alerts that somebody is woken up by rely on.

/** Metrics are gathered at most once a second, users looked at as often. */
const PATIENCE = { timeout: 10_000 };

describe.each([1, 2])('with %i process(es)', workers => {
  it('connections that wait for their target are part of what the limit is for', async () => {
    const dns = await startDns(silent);
    const server = await startAdminServer({ workers, nameservers: [dns.at], dnsSearch: [], connectTimeout: 30_000 });
    const told = async () => {
      const { podsocks_client_connections: open, podsocks_strangers: strangers, ...others } = await server.metrics();
      return { open, strangers, ada: others['podsocks_connections{user="ada"}'] ?? 0 };
    };
    expect(await told()).toEqual({ open: 0, strangers: 0, ada: 0 });
    const waiting = Array.from({ length: 4 }, (_, index) => {
      return new UserConnection(server.as('ada'), targetOf(`web${index}.test`, 80)).isRefused();
    });
    const stranger = connect({ host: '127.0.0.1', port: server.port });
    onTestFinished(() => void stranger.destroy());
    await expect.poll(told, PATIENCE).toEqual({ open: 5, strangers: 1, ada: 0 });
    stranger.destroy();
    await server.server.close();
    expect(await Promise.all(waiting)).toEqual([true, true, true, true]);
  });

  it('users are stale until their file can be used, not just when it was written', async () => {
    const dns = await startDns(zone({}));
    const directory = mkdtempSync(join(tmpdir(), 'podsocks-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const usersPath = join(directory, 'users.json');
    const write = (users: string) => writeFileSync(usersPath, users, { mode: 0o600 });
    const good = JSON.stringify({ users: [{ name: 'ada', password: randomBytes(32).toString('base64') }] });
    write(good);
    const server = await startAdminServer({ workers, users: [], usersPath, nameservers: [dns.at] });
    const told = async () => {
      const { podsocks_users_stale: stale, podsocks_user_reload_failures_total: failures } = await server.metrics();
      return { stale, failures };
    };
    expect(await told()).toEqual({ stale: 0, failures: 0 });
    write('{ "users": [');
    await expect.poll(told, PATIENCE).toEqual({ stale: 1, failures: 1 });
    write(good);
    await expect.poll(told, PATIENCE).toEqual({ stale: 0, failures: 1 });
  });
});
