import type { User } from '@podsocks/shared/crypto/stream';

/** One who may use the server, and on which terms. */
export interface ServerUser extends User {
  /** For the policy. */
  readonly groups?: readonly string[];
  /** From when on they may not, in milliseconds since 1970. */
  readonly expires?: number;
  /** Connections and associations at a time. */
  readonly maxConnections?: number;
  /** Bytes of payload a second, of all that they do together, both ways. */
  readonly bandwidth?: number;
}

/** The user in one of so many workers: with an even share of the limits, rounded up. */
export function shareOf(user: ServerUser, workers: number): ServerUser {
  const { maxConnections, bandwidth } = user;
  if (workers === 1 || (maxConnections === undefined && bandwidth === undefined)) return user;
  return {
    ...user,
    ...(maxConnections !== undefined && { maxConnections: Math.ceil(maxConnections / workers) }),
    ...(bandwidth !== undefined && { bandwidth: Math.ceil(bandwidth / workers) }),
  };
}

/** Whether they may not any more. */
export function hasExpired({ expires }: Pick<ServerUser, 'expires'>, now: number): boolean {
  return expires !== undefined && now >= expires;
}
