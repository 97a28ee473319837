import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Target } from '@podsocks/shared/wire/address';
import type { Forward } from './fields.ts';

/** 127.64.0.0/16: loopback, and far from what others take for themselves (127.0.0.0/16, 127.0.53.53, 127.1.1.1). */
const FIRST = [127, 64] as const;
const MOST = 65_534;

/**
 * Names that have a local address of their own, each the same one for all of its ports: so a program that follows the names which a
 * cluster hands out finds at each what it expects, without knowing of a proxy.
 */
export class MappedNames {
  readonly #addresses = new Map<string, string>();
  /** By the reverse names of their addresses. */
  readonly #names = new Map<string, string>();
  /** What has to listen for them. */
  readonly forwards: readonly Forward[];

  /** @throws PodsocksError ERR_CONFIG when there are more names than addresses. */
  constructor(maps: readonly Target[]) {
    for (const { host } of maps) {
      if (this.#addresses.has(host)) continue;
      const index = this.#addresses.size + 1;
      if (index > MOST) throw new PodsocksError('ERR_CONFIG', `--map: more than ${MOST} names; leave some out`);
      const bytes = [...FIRST, index >>> 8, index & 0xff];
      this.#addresses.set(host, bytes.join('.'));
      this.#names.set(`${bytes.reverse().join('.')}.in-addr.arpa`, host);
    }
    this.forwards = maps.map(target => ({
      listen: { host: this.#addresses.get(target.host)!, port: target.port },
      target,
      protocol: 'tcp',
    }));
  }

  /** @param name lower case, without a dot at the end. */
  lookup(name: string): { readonly address: string } | undefined {
    const address = this.#addresses.get(name);
    return address === undefined ? undefined : { address };
  }

  /** @param name as above, such as `1.0.64.127.in-addr.arpa`. @returns whose address it stands for. */
  reverse(name: string): string | undefined {
    return this.#names.get(name);
  }
}
