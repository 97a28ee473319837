import { randomBytes } from 'node:crypto';
import { methodNamed, DEFAULT_METHOD } from '@podsocks/shared/crypto/methods';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type Running, runProgram, runUntilSignal, type Surroundings } from '@podsocks/shared/runtime/lifecycle';
import { createLogger, type Logger } from '@podsocks/shared/runtime/log';
import {
  addSettings,
  createProgram,
  describeCommon,
  envLayer,
  flagLayer,
  parseHost,
  parsePort,
  type Settings,
  single,
  summary,
} from '@podsocks/shared/runtime/options';
import { formatTarget } from '@podsocks/shared/wire/address';
import { formatSsUrl } from '@podsocks/shared/wire/ss-url';
import { loadServer, SERVER_SETTINGS, type ServerConfig } from './config.ts';

const NAME = 'ss-server';

/** What `ss-server url` has besides the settings of the server. */
const URL_SETTINGS = {
  host: single({ flags: '--host <host>' }, 'host under which clients reach the server; needed', parseHost),
  port: single({ flags: '--port <port>' }, 'port under which they do, such as the NodePort (default: its own)', parsePort),
} satisfies Settings;

export interface ServerProgram {
  readonly version: string;
  readonly start: (config: ServerConfig, deps: { log: Logger }) => Promise<Running>;
}
