import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket as Stream } from 'node:net';
import * as dnsPacket from 'dns-packet';
import type { Endpoint } from '../net/listener.ts';
import { framed, MessageFrames } from './message-frames.ts';

/** A query as it came. */
export interface Asked {
  readonly id: number;
  readonly name: string;
  readonly type: string;
  readonly by: 'udp' | 'tcp';
  readonly edns: boolean;
  /** The port that it came from. */
  readonly port: number;
}

/** What a server says, in this order; nothing where it is silent. */
export type Script = (query: Asked) => readonly Buffer[] | Buffer | undefined;

export interface FakeDns {
  readonly at: Endpoint;
  readonly asked: Asked[];
  /** What it says from now on. */
  script: Script;
  close(): void;
}

/** A DNS server on one port of 127.0.0.1, UDP and TCP, that says what the test wants. */
export async function startFakeDns(script: Script): Promise<FakeDns> {
  const streams = new Set<Stream>();
  const asked: Asked[] = [];
  const listener = createServer();
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as { port: number };
  const socket: Socket = createSocket('udp4');
  socket.bind(port, '127.0.0.1');
  await once(socket, 'listening');
  const fake: FakeDns = {
    at: { host: '127.0.0.1', port },
    asked,
    script,
    close: () => {
      socket.close();
      listener.close();
      for (const stream of streams) stream.destroy();
    },
  };
  const answer = (message: Buffer, by: 'udp' | 'tcp', from: number): readonly Buffer[] => {
    const { id = 0, questions, additionals } = dnsPacket.decode(message);
    const { name, type } = questions![0]!;
    const edns = additionals!.some(record => record.type === 'OPT');
    const query: Asked = { id, name, type: String(type), by, edns, port: from };
    asked.push(query);
    return [fake.script(query) ?? []].flat();
  };
  socket.on('message', (message, from) => {
    for (const reply of answer(message, 'udp', from.port)) socket.send(reply, from.port, from.address);
  });
  listener.on('connection', stream => {
    streams.add(stream);
    stream.on('error', () => {});
    const frames = new MessageFrames(0xffff);
    stream.on('data', chunk => {
      for (const query of frames.take(chunk) ?? []) {
        for (const reply of answer(query, 'tcp', stream.remotePort ?? 0)) stream.write(framed(reply));
      }
    });
  });
  return fake;
}

export interface Said {
  readonly answers?: readonly dnsPacket.Answer[];
  readonly authorities?: readonly dnsPacket.Answer[];
  readonly rcode?: number;
  readonly truncated?: boolean;
}

/** The answer to a query. */
export function reply({ id, name, type }: Pick<Asked, 'id' | 'name' | 'type'>, said: Said = {}): Buffer {
  const { answers = [], authorities = [], rcode = 0, truncated = false } = said;
  return dnsPacket.encode({
    type: 'response',
    id,
    flags: rcode | dnsPacket.RECURSION_AVAILABLE | (truncated ? dnsPacket.TRUNCATED_RESPONSE : 0),
    questions: [{ name, type: type as 'A' }],
    answers: [...answers],
    authorities: [...authorities],
  });
}

export function a(name: string, data: string, ttl = 30): dnsPacket.Answer {
  return { type: data.includes(':') ? 'AAAA' : 'A', name, data, ttl };
}

export function cname(name: string, data: string, ttl = 30): dnsPacket.Answer {
  return { type: 'CNAME', name, data, ttl };
}

export function soa({ ttl = 30, minimum = 5 } = {}): dnsPacket.Answer {
  const data = { mname: 'ns.', rname: 'root.', serial: 1, refresh: 1, retry: 1, expire: 1, minimum };
  return { type: 'SOA', name: 'cluster.local', ttl, data };
}

/** A server that knows these addresses, aliases (`-> name`) and nothing else. */
export function zone(records: Readonly<Record<string, readonly string[]>>, ttl = 30): Script {
  return query => {
    const answers: dnsPacket.Answer[] = [];
    let name = query.name.toLowerCase();
    let known = records[name];
    for (; known?.[0]?.startsWith('-> '); known = records[name]) {
      const target = known[0].slice(3);
      answers.push(cname(name, target, ttl));
      name = target;
    }
    if (known === undefined) return reply(query, { answers, authorities: [soa()], rcode: 3 });
    const fitting = known.filter(address => address.includes(':') === (query.type === 'AAAA'));
    answers.push(...fitting.map(address => a(name, address, ttl)));
    return reply(query, { answers, authorities: fitting.length > 0 ? [] : [soa()] });
  };
}
