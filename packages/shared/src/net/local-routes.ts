/*
 * What Linux delivers to itself, as the kernel prints it. os.networkInterfaces() leaves out interfaces that are down or without
 * a carrier (a bridge of containers, without any), and whole networks that are routed to this machine (`ip route add local`).
 */

/** The IPv4 networks of `/proc/net/fib_trie`: `a.b.c.d/n`. */
export function localIpv4(fibTrie: string): string[] {
  const found = new Set<string>();
  let address = '';
  for (const line of fibTrie.split('\n')) {
    address = /^\s*\|-- (\d+\.\d+\.\d+\.\d+)$/.exec(line)?.[1] ?? address;
    const length = /^\s*\/(\d+) host LOCAL$/.exec(line)?.[1];
    if (length !== undefined) found.add(`${address}/${length}`);
  }
  return [...found];
}

/** RTF_LOCAL of linux/ipv6_route.h. */
const RTF_LOCAL = 0x80000000;

/** The IPv6 networks of `/proc/net/ipv6_route`: `a:b:c:d:e:f:g:h/n`. */
export function localIpv6(ipv6Route: string): string[] {
  return ipv6Route.split('\n').flatMap(line => {
    const [address = '', length = '', , , , , , , flags = ''] = line.split(/\s+/);
    if (!/^[0-9a-f]{32}$/.test(address) || (Number.parseInt(flags, 16) & RTF_LOCAL) === 0) return [];
    return [`${address.match(/.{4}/g)!.join(':')}/${Number.parseInt(length, 16)}`];
  });
}
