import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { Caller, startAudited } from '../operations/audited-server.ts';
import { freePort } from '../support/free-port.ts';
import { startProgram } from '../support/program-run.ts';
import { describeWith, pathOf } from '../support/programs.ts';
import { startEcho } from '../support/targets/echo.ts';

// ss-server behind HAProxy, whose protocol it is.

/** Forwards from a port of 127.0.0.1 and ::1, and looks every 50 ms whether ss-server is there, as load balancers do. */
async function startBalancer(port: number, options: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'haproxy-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const front = await freePort();
  const path = join(folder, 'haproxy.cfg');
  writeFileSync(
    path,
    `
global
  maxconn 100
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen front
  bind 127.0.0.1:${front}
  bind [::1]:${front}
  server back 127.0.0.1:${port} ${options} check check-send-proxy inter 50ms
`,
  );
  const balancer = await startProgram('HAProxy', [pathOf('haproxy'), '-db', '-f', path], front);
  onTestFinished(() => balancer.stop());
  return front;
}

describeWith(['haproxy'], 'behind HAProxy', () => {
  it.each([
    ['send-proxy', '127.0.0.2'],
    ['send-proxy', '::1'],
    ['send-proxy-v2', '127.0.0.2'],
    ['send-proxy-v2', '::1'],
    ['send-proxy-v2 proxy-v2-options crc32c', '127.0.0.2'],
    ['send-proxy-v2 proxy-v2-options crc32c', '::1'],
  ])('with %s, a client at %s is told of as itself', async (options, from) => {
    const echo = await startEcho();
    onTestFinished(() => echo.close());
    const started = await startAudited(['--proxy-protocol', '-v']);
    const ada = started.as('ada');
    const port = await startBalancer(ada.port, options);
    const caller = await Caller.to({ ...ada, port }, '127.0.0.1', echo.port, from);
    await caller.send('hello');
    expect(String(await caller.take(5))).toBe('hello');
    await caller.gone();
    const client = { user: 'ada', client_address: from, client_port: caller.port };
    await expect
      .poll(() => started.records())
      .toMatchObject([
        { event: 'opened', ...client },
        { event: 'closed', ...client, bytes_up: 5, bytes_down: 5, end: 'client' },
      ]);
    // Its health checks are strangers that go away again.
    await started.server.wrote(/before its request was complete/);
    expect(started.server.output()).not.toMatch(/"level":"(warn|error)"/);
  });
});
