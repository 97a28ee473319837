import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@podsocks/shared/runtime/log';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeEntry } from '../server-fixtures.ts';
import type { Server } from '../servers.ts';
import { documentOf, startWebServer } from './document-fixtures.ts';
import type { DocumentSource } from './document-url.ts';
import { openPool } from './open-pool.ts';

const CONFIG = { connectTimeout: 1_000, ipv6First: false, noDelay: true, cryptoBackend: 'auto' } as const;

async function open(servers: readonly Server[], document?: DocumentSource) {
  const lines: string[] = [];
  const log = createLogger({
    ...{ level: 'warn', format: 'json', name: 'test' },
    destination: { write: (line: string) => void lines.push(JSON.parse(line).msg) },
  });
  const config = { ...CONFIG, ...(document && { document }) };
  const pool = await openPool({ servers, config, askExtensions: false, probes: false, log });
  onTestFinished(() => pool.close());
  return { pool, lines, ports: () => pool.links.map(({ server }) => server.port) };
}

function file(text: string): DocumentSource & { readonly path: string } {
  const path = join(mkdtempSync(join(tmpdir(), 'podsocks-')), 'servers.json');
  writeFileSync(path, text);
  return { kind: 'file', path };
}

describe('the servers of a configuration', () => {
  it('are those that it names, and stay', async () => {
    const { pool, ports } = await open([fakeEntry(1), fakeEntry(2)]);
    expect(ports()).toEqual([1, 2]);
    expect((await open([fakeEntry(1)])).pool.mayMove).toBe(false);
    expect(pool.mayMove).toBe(true);
  });

  it('are followed by those of a list, which may change', async () => {
    const source = file(documentOf(2));
    const { pool, ports } = await open([fakeEntry(1)], source);
    expect(ports()).toEqual([1, 2]);
    expect(pool.mayMove).toBe(true);
    writeFileSync(source.path, documentOf(3, 4));
    await expect.poll(ports, { timeout: 10_000 }).toEqual([1, 3, 4]);
  });

  it('are all there is where there is no list; without them that is an error', async () => {
    const url = await startWebServer((_, response) => void response.writeHead(503).end());
    const source = { kind: 'url', url: new URL(`${url}/hunter2`) } as const;
    const { ports, lines } = await open([fakeEntry(1)], source);
    expect(ports()).toEqual([1]);
    expect(lines).toEqual([expect.stringMatching(/HTTP status 503.*; going on with the other servers$/)]);
    await expect(open([], source)).rejects.toThrow('HTTP status 503');
  });

  it('are looked for anew when none can be reached', async () => {
    let asked = 0;
    const url = await startWebServer((_, response) => {
      asked++;
      response.writeHead(503).end();
    });
    const { pool } = await open([fakeEntry(1)], { kind: 'url', url: new URL(url) });
    expect(asked).toBe(1);
    await expect(pool.reach()).rejects.toMatchObject({ code: 'ERR_DIAL' });
    expect(asked).toBe(1); // it has just been
  });
});
