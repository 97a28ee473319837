import type { Address } from '@podsocks/shared/dns/address';
import { addressIn, parseName } from '@podsocks/shared/dns/dns-name';

/** The names of /etc/hosts, in lower case, each with its addresses in the order of the file. */
export type Hosts = ReadonlyMap<string, readonly Address[]>;

/** Each of some 100 bytes. Files that block advertisers have a hundred thousand lines; no server needs one of them. */
const MAX_NAMES = 200_000;

/**
 * Reads the text of a hosts file (hosts(5)): an address, its names, and perhaps a comment, to a line. A name on several
 * lines has all their addresses (`multi on`, glibc's default). Lines without an address in front are passed over.
 *
 * @param text undefined where there is no such file.
 */
export function parseHosts(text: string | undefined): Hosts {
  const hosts = new Map<string, Address[]>();
  for (const line of (text ?? '').split('\n')) {
    const [first = '', ...names] = /^[^#]*/.exec(line)![0].trim().split(/\s+/);
    const address = names.length > 0 && !first.startsWith('[') ? addressIn(first) : undefined;
    if (address === undefined) continue;
    for (const name of names) {
      const parsed = parseName(name);
      if (parsed === undefined || parsed.absolute) continue;
      const known = hosts.get(parsed.text);
      if (known === undefined) {
        if (hosts.size < MAX_NAMES) hosts.set(parsed.text, [address]);
      } else if (!known.some(other => other.address === address.address)) known.push(address);
    }
  }
  return hosts;
}
