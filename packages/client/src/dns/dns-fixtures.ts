import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type FakeDns, type Script, startFakeDns } from '@podsocks/shared/dns/fake-dns-fixtures';
import { framed, MessageFrames } from '@podsocks/shared/dns/message-frames';
import type { Endpoint } from '@podsocks/shared/net/listener';
import type { Target } from '@podsocks/shared/wire/address';
import * as dnsPacket from 'dns-packet';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import type { OpenStream } from '../open-stream.ts';
import { type LocalDnsOptions, type RunningDns, startLocalDns } from './local-dns.ts';
import type { DnsQuery } from './query.ts';
import { readQuery } from './query.ts';

/** A tunnel that is none: its streams go to servers of the test. */
export interface FakeTunnel {
  readonly openStream: OpenStream;
  /** What was asked for, and what came of it. */
  readonly opened: { readonly target: Target; readonly stream: Socket }[];
  /** What happens at the next opening, unless it just opens. */
  before: ((target: Target, signal: AbortSignal | undefined) => Promise<void>) | undefined;
}

/** @param servers where the names and addresses of targets are; by default the port is one of 127.0.0.1. */
export function fakeTunnel(servers: Readonly<Record<string, Endpoint>> = {}): FakeTunnel {
  const tunnel: FakeTunnel = {
    opened: [],
    before: undefined,
    openStream: async (target, { signal } = {}): Promise<Duplex> => {
      await tunnel.before?.(target, signal);
      const stream = connect(servers[target.host] ?? { host: '127.0.0.1', port: target.port });
      tunnel.opened.push({ target, stream });
      await once(stream, 'connect');
      return stream;
    },
  };
  onTestFinished(() => {
    for (const { stream } of tunnel.opened) stream.destroy();
  });
  return tunnel;
}

export async function fakeServer(script: Script): Promise<FakeDns> {
  const server = await startFakeDns(script);
  onTestFinished(() => server.close());
  return server;
}

export interface DnsLab {
  readonly dns: RunningDns;
  readonly at: Endpoint;
  readonly tunnel: FakeTunnel;
  /** The cluster's DNS server, and that of the system. */
  readonly cluster: FakeDns;
  readonly system: FakeDns;
  /** What was logged. */
  readonly lines: { readonly msg: string; readonly level: number }[];
  /** Lets its clock go on; timers do not notice. */
  pass(milliseconds: number): void;
}

/** Of a cluster of which all is known that will be. */
export const HEARD = { isHeard: () => true, heard: async () => {}, obstacle: () => 'nobody names one' };

export interface LabOptions extends Partial<LocalDnsOptions> {
  readonly clusterSays?: Script;
  readonly systemSays?: Script;
}

/** A local DNS whose cluster (`cluster.local`, 10.96.0.0/12), system and clock are the test's. */
export async function startLab({ clusterSays, systemSays, ...options }: LabOptions = {}): Promise<DnsLab> {
  const cluster = await fakeServer(clusterSays ?? (() => undefined));
  const system = await fakeServer(systemSays ?? (() => undefined));
  const tunnel = fakeTunnel();
  const lines: DnsLab['lines'] = [];
  let time = 1_000_000;
  const dns = await startLocalDns({
    listen: [{ host: '127.0.0.1', port: 0 }],
    openStream: tunnel.openStream,
    cluster: {
      zones: () => ['cluster.local'],
      networks: () => ['10.96.0.0/12'],
      nameservers: () => [cluster.at],
      ...HEARD,
    },
    mapped: { lookup: () => undefined, reverse: () => undefined },
    upstreams: () => [system.at],
    isAllowed: () => true,
    log: pino({ level: 'debug' }, { write: line => void lines.push(JSON.parse(line)) }),
    now: () => time,
    ...options,
  });
  onTestFinished(() => dns.close());
  return {
    dns,
    at: dns.addresses[0]!,
    tunnel,
    cluster,
    system,
    lines,
    pass: milliseconds => {
      time += milliseconds;
    },
  };
}

export interface QueryOptions {
  readonly id?: number;
  /** A number for what dns-packet has no name of. */
  readonly type?: string | number;
  readonly class?: string;
  readonly flags?: number;
  /** With EDNS0, and this payload size. */
  readonly payloadBytes?: number;
  readonly wantsDnssec?: boolean;
}

export function queryBytes(name: string, options: QueryOptions = {}): Buffer {
  const { id = 7, type = 'A', flags = dnsPacket.RECURSION_DESIRED, payloadBytes, wantsDnssec = false } = options;
  const opt = {
    type: 'OPT',
    name: '.',
    udpPayloadSize: payloadBytes ?? 0,
    flags: wantsDnssec ? dnsPacket.DNSSEC_OK : 0,
    options: [],
  } as unknown as dnsPacket.OptAnswer;
  const bytes = dnsPacket.encode({
    type: 'query',
    id,
    flags,
    questions: [{ name, type: (typeof type === 'number' ? 'A' : type) as 'A', class: (options.class ?? 'IN') as 'IN' }],
    additionals: payloadBytes === undefined ? [] : [opt],
  });
  if (typeof type === 'number') bytes.writeUInt16BE(type, 12 + name.length + 2);
  return bytes;
}

/** A query as it was read. */
export function queryFor(name: string, options?: QueryOptions): DnsQuery {
  return readQuery(queryBytes(name, options)) as DnsQuery;
}

/** What comes back by UDP. */
export async function askUdp(at: Endpoint, query: Uint8Array): Promise<Buffer> {
  const socket = createSocket(at.host.includes(':') ? 'udp6' : 'udp4');
  try {
    socket.send(query, at.port, at.host);
    const [message] = await once(socket, 'message');
    return message as Buffer;
  } finally {
    socket.close();
  }
}

/** Connects by TCP; `next` is the message that comes next, undefined at the end. */
export async function connectTcp(at: Endpoint) {
  const socket = connect(at);
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  const frames = new MessageFrames(0xffff);
  const messages: Buffer[] = [];
  let wake = () => {};
  let hasEnded = false;
  socket.on('data', chunk => {
    messages.push(...frames.take(chunk)!);
    wake();
  });
  for (const event of ['end', 'error', 'close']) {
    socket.on(event, () => {
      hasEnded = true;
      wake();
    });
  }
  return {
    socket,
    send: (...queries: Uint8Array[]) => void socket.write(Buffer.concat(queries.map(framed))),
    next: async (): Promise<Buffer | undefined> => {
      while (messages.length === 0 && !hasEnded) {
        await new Promise<void>(resolve => {
          wake = resolve;
        });
      }
      return messages.shift();
    },
  };
}

/** An answer, read. */
export function read(message: Buffer) {
  const { id, rcode, answers, authorities, additionals, questions, ...flags } = dnsPacket.decode(
    message,
  ) as dnsPacket.DecodedPacket & { readonly rcode: string };
  const opt = additionals?.find(record => record.type === 'OPT') as dnsPacket.OptAnswer | undefined;
  return { id, rcode, answers: answers ?? [], authorities: authorities ?? [], additionals, questions, opt, ...flags };
}

/** `name type data` of its answers. */
export function said(message: Buffer): string[] {
  return read(message).answers.map(record => `${record.name} ${record.type} ${(record as { data: unknown }).data}`);
}
