import { formatAddress, type IpAddress } from '@podsocks/shared/matching/ip-address';
import type { Network } from '@podsocks/shared/matching/network';

/** Domains as Proxifier spells them; what is no name is left out, since a `;` would begin another target. */
export function domainTargets(domains: readonly string[]): readonly string[] {
  return domains.filter(domain => /^[\w-]+(\.[\w-]+)*$/.test(domain)).map(domain => `*.${domain}`);
}

/**
 * Networks as Proxifier spells them: the first and the last address, since it knows no CIDR.
 *
 * @returns undefined for networks of IPv6, of which it takes single addresses.
 */
export function networkTarget({ base, prefix }: Network): string | undefined {
  const first = formatAddress(base);
  if (base.family === 6) return prefix === 128 ? first : undefined;
  return prefix === 32 ? first : `${first}-${formatAddress(lastOf(base, prefix))}`;
}

function lastOf(base: IpAddress, prefix: number): IpAddress {
  // A shift by 32 would be one by 0.
  const hostBits = prefix === 0 ? -1 : (1 << (32 - prefix)) - 1;
  return { ...base, d: base.d | hostBits };
}
