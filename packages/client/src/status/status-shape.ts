import type { ClientStatus } from './client-status.ts';

/** What stands for a member that may be missing. */
class Optional {
  readonly shape: unknown;

  constructor(shape: unknown) {
    this.shape = shape;
  }
}

const TEXT = '';
const NUMBER = 0;
const YES_OR_NO = false;
const OPTIONAL_TEXT = new Optional(TEXT);

/** A value of each type; of lists the one that all others are like. */
const STATUS = {
  ssLocal: { version: TEXT, pid: NUMBER },
  since: TEXT,
  listen: [TEXT],
  asksForPassword: YES_OR_NO,
  udp: TEXT,
  route: { mode: TEXT, namespace: OPTIONAL_TEXT, domains: [TEXT], networks: [TEXT] },
  servers: [
    {
      name: OPTIONAL_TEXT,
      address: TEXT,
      method: TEXT,
      health: TEXT,
      active: YES_OR_NO,
      reason: OPTIONAL_TEXT,
      roundTrip: new Optional(NUMBER),
      kind: TEXT,
      version: OPTIONAL_TEXT,
      domain: OPTIONAL_TEXT,
      connections: NUMBER,
      total: NUMBER,
      failed: NUMBER,
    },
  ],
  connections: { open: NUMBER, total: NUMBER, failed: NUMBER },
  bytes: { up: NUMBER, down: NUMBER },
  rates: { up: NUMBER, down: NUMBER },
  dns: new Optional({ listen: [TEXT], zones: [TEXT] }),
  forwards: [{ listen: TEXT, target: TEXT, protocol: TEXT }],
  maps: [{ name: TEXT, address: TEXT, port: NUMBER }],
  failures: [{ at: TEXT, target: TEXT, reason: TEXT, client: OPTIONAL_TEXT }],
} satisfies Record<keyof ClientStatus, unknown>;

/** Whether a value has all that a status has, each of its type: another version may say something else, and so may anybody. */
export function isStatus(value: unknown): value is ClientStatus {
  return isLike(STATUS, value);
}

function isLike(shape: unknown, value: unknown): boolean {
  if (shape instanceof Optional) return value === undefined || isLike(shape.shape, value);
  if (Array.isArray(shape)) return Array.isArray(value) && value.every(item => isLike(shape[0], item));
  if (typeof shape !== 'object' || shape === null) return typeof value === typeof shape;
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(shape).every(([name, member]) => isLike(member, (value as Record<string, unknown>)[name]));
}
