import { LOOPBACK } from '../ports.ts';

/** Where a connection or a datagram goes: to a port of loopback, through a SOCKS5 port of loopback or straight. */
export interface Route {
  readonly port: number;
  readonly socksPort: number | undefined;
}

export const TARGET_HOST = LOOPBACK;

/** The ports of a target process, by what it does there. */
export interface TargetPorts {
  /** Reads a length and sends that many bytes, then FIN. */
  readonly source: number;
  /** Reads a length and that many bytes, then sends the count back. */
  readonly sink: number;
  /** Sends back what it gets. */
  readonly echo: number;
  /** UDP: sends each datagram back. */
  readonly datagrams: number;
}

/** A length or a count on the wire: 64 bits, big-endian. */
export const COUNT_BYTES = 8;

export function encodeCount(count: number): Buffer {
  const bytes = Buffer.alloc(COUNT_BYTES);
  bytes.writeBigUInt64BE(BigInt(count));
  return bytes;
}

export function decodeCount(bytes: Buffer): number {
  return Number(bytes.readBigUInt64BE());
}

/** What a generator process can be asked for: parameters and answers. */
export interface Commands {
  /** So many bytes from the source, shared among so many connections at once. */
  download: { parameters: Transfer; answer: Timing };
  /** So many bytes to the sink, likewise; ends when the sink has said that it has them. */
  upload: { parameters: Transfer; answer: Timing };
  /** Connections to the echo, some at a time, each for one exchange of so many bytes each way. */
  exchange: {
    parameters: { route: Route; connections: number; parallel: number; bytes: number };
    answer: Timing;
  };
  /** Connections to the echo, one after the other, each for one byte each way. */
  ping: { parameters: { route: Route; count: number }; answer: { milliseconds: number[] } };
  /** Starts a download without an end and returns when it runs. */
  startLoad: { parameters: { route: Route }; answer: null };
  /** Ends it and tells how far it came since. */
  stopLoad: { parameters: null; answer: Timing & { bytes: number } };
  /** Connections to the echo that stay after one exchange of a byte. */
  openIdle: { parameters: { route: Route; count: number }; answer: null };
  /** Datagrams to the UDP echo for about so long, `window` of them out at any time: how many came back, and how many did not. */
  bounce: {
    parameters: { route: Route; bytes: number; window: number; seconds: number };
    answer: Timing & { echoes: number; lost: number };
  };
}

export interface Transfer {
  readonly route: Route;
  readonly streams: number;
  readonly bytes: number;
}

export interface Timing {
  readonly seconds: number;
}

export type CommandName = keyof Commands;
export type Parameters<Name extends CommandName> = Commands[Name]['parameters'];
export type Answer<Name extends CommandName> = Commands[Name]['answer'];

/** What a generator process sends back. */
export type Reply = { readonly answer: unknown } | { readonly error: string };
