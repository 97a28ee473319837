import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clientKeys } from '@podsocks/shared/crypto/key-derivation';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import { clientStreams } from '@podsocks/shared/crypto/streams';
import { zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { streamServices } from '@podsocks/shared/net/stream-services';
import { targetOf } from '@podsocks/shared/wire/address';
import { onTestFinished } from 'vitest';
import { Connection } from '../support/connection.ts';
import type { DatagramServer } from '../support/datagram-session.ts';
import { freePort } from '../support/free-port.ts';
import { startDns } from '../support/named-pair.ts';
import { type Program, run, SERVER } from '../support/own-program.ts';

const METHOD = methodNamed('2022-blake3-aes-128-gcm');
const USERS = ['ada', 'ben'] as const;
type User = (typeof USERS)[number];

export type AuditRecord = Readonly<Record<string, unknown>> & { readonly client_port: number };

/** ss-server as it is run, with two users and a file of audit records. */
export interface AuditedServer {
  readonly server: Program;
  readonly folder: string;
  /** The file. */
  readonly audit: string;
  /** All lines of it. */
  records(): AuditRecord[];
  as(user: User): DatagramServer;
}

/**
 * @param args beyond the port, the policy (loopback alone), and names (`web.test` is 127.0.0.1, others are not).
 * @param audit where records go, within a folder of the test's own.
 */
export async function startAudited(args: readonly string[] = [], audit?: string): Promise<AuditedServer> {
  const folder = mkdtempSync(join(tmpdir(), 'audited-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const dns = await startDns(zone({ 'web.test': ['127.0.0.1'] }));
  const port = await freePort();
  const password = () => randomBytes(METHOD.keyBytes).toString('base64');
  const own = password();
  const users = USERS.map(name => ({ name, password: password() }));
  const config = {
    server: '127.0.0.1',
    server_port: port,
    method: METHOD.name,
    password: own,
    users,
    mode: 'tcp_and_udp',
    nameserver: `127.0.0.1:${dns.at.port}`,
    dns_search: ['.'],
    allow: ['127.0.0.0/8'],
    audit: audit ?? join(folder, 'audit.json'),
  };
  const path = join(folder, 'config.json');
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
  const server = run(SERVER, ['-c', path, '--log-format', 'json', ...args]);
  await server.wrote(/listening on/);
  return {
    server,
    folder,
    audit: config.audit,
    records: () => recordsIn(config.audit),
    as: user => ({
      port,
      method: METHOD,
      keys: clientKeys(METHOD, `${own}:${users.find(({ name }) => name === user)!.password}`),
    }),
  };
}

export function recordsIn(path: string): AuditRecord[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line));
}

/** One TCP connection through ss-server, made of the cipher core and a socket, so that its port is known. */
export class Caller {
  readonly socket: Socket;
  /** Where it comes from. */
  readonly port: number;
  readonly #connection: Connection;
  readonly #sealer: ReturnType<ReturnType<typeof clientStreams>['sealRequest']>;
  readonly #opener: ReturnType<ReturnType<typeof clientStreams>['openResponse']>;
  #came = Buffer.alloc(0);

  private constructor(socket: Socket, { method, keys }: DatagramServer, host: string, port: number) {
    const streams = clientStreams(streamServices(method, 'auto'));
    this.socket = socket;
    this.port = socket.localPort!;
    this.#connection = new Connection(socket);
    this.#sealer = streams.sealRequest(keys, targetOf(host, port));
    this.#opener = streams.openResponse(keys, this.#sealer.salt);
  }

  /** @param from its own address. */
  static async to(server: DatagramServer, host: string, port: number, from = '127.0.0.1'): Promise<Caller> {
    const to = from.includes(':') ? '::1' : '127.0.0.1';
    const socket = connect({ host: to, port: server.port, localAddress: from, noDelay: true, allowHalfOpen: true });
    onTestFinished(() => void socket.destroy());
    await once(socket, 'connect');
    return new Caller(socket, server, host, port);
  }

  seal(payload: Uint8Array | string): Buffer {
    const bytes = Buffer.from(payload as string);
    const out = Buffer.alloc(this.#sealer.sealedLength(bytes.length));
    return out.subarray(0, this.#sealer.seal(out, 0, bytes, 0, bytes.length));
  }

  send(payload: Uint8Array | string): Promise<void> {
    return this.#connection.send(this.seal(payload));
  }

  /** Exactly so many bytes of what comes back. */
  async take(length: number): Promise<Buffer> {
    while (this.#came.length < length) {
      const bytes = await this.#connection.read();
      if (bytes === undefined) throw new Error(`ended after ${this.#came.length} bytes`);
      const out = Buffer.alloc(this.#opener.openedLength(bytes.length));
      this.#came = Buffer.concat([this.#came, out.subarray(0, this.#opener.open(out, 0, bytes, 0, bytes.length))]);
    }
    const taken = this.#came.subarray(0, length);
    this.#came = this.#came.subarray(length);
    return taken;
  }

  /** Ends it, and waits for the other end. */
  async gone(): Promise<void> {
    this.socket.end();
    await this.cut();
  }

  /** When the other end has cut it. */
  async cut(): Promise<void> {
    this.socket.resume();
    if (!this.socket.closed) await new Promise<void>(resolve => this.socket.once('close', () => resolve()));
  }
}
