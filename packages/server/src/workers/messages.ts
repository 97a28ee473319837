import type { Verdict } from '@podsocks/shared/crypto/replay-filter';
import type { Endpoint } from '@podsocks/shared/net/listener';
import type { ErrorCode } from '@podsocks/shared/runtime/errors';
import type { LogLevel } from '@podsocks/shared/runtime/log';
import type { ServerConfig } from '../config.ts';
import type { ToldFamily } from '../metrics/merged-families.ts';
import type { ServerUser } from '../users/user.ts';

/** What the primary tells a worker. Order is kept, so what is said first is done first. */
export type ToWorker =
  /** The first message; it holds the keys, which therefore are in no argument and no variable. */
  | { readonly type: 'start'; readonly worker: number; readonly config: ServerConfig; readonly logLevel: LogLevel }
  /** A connection for it, which comes with the message. */
  | { readonly type: 'connection' }
  /** Behind each connection. Nothing is to be done: that it could be sent tells the primary that the other arrived. */
  | { readonly type: 'handed' }
  /** The answer to the oldest `salts` without one, in their order. */
  | { readonly type: 'verdicts'; readonly verdicts: readonly Verdict[] }
  /** Others may use it from now on; limits are its share. */
  | { readonly type: 'users'; readonly users: readonly ServerUser[] }
  /** Tell the metrics. */
  | { readonly type: 'measure' }
  /** Let connections finish, then end. */
  | { readonly type: 'drain' }
  /** End now. */
  | { readonly type: 'close' };

/** What a worker tells the primary. */
export type ToPrimary =
  /** It takes connections. With --reuse-port it listens itself, at these addresses. */
  | { readonly type: 'ready'; readonly addresses: readonly Endpoint[] }
  /** It could not start, and ends. `code` is that of a PodsocksError. */
  | { readonly type: 'failed'; readonly code: ErrorCode | undefined; readonly message: string }
  /** Something that should not happen has happened to it: it takes no more connections, and ends. */
  | { readonly type: 'failing' }
  /** Salts of requests that it would serve, and of answers to those that it serves. */
  | { readonly type: 'salts'; readonly salts: readonly Uint8Array[] }
  /** An audit record. */
  | { readonly type: 'audit'; readonly line: string }
  /** The answer to `measure`. */
  | { readonly type: 'measures'; readonly families: readonly ToldFamily[] }
  /** A line of its log, in JSON. */
  | { readonly type: 'log'; readonly line: string };
