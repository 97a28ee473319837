import { expect, it } from 'vitest';
import { localIpv4, localIpv6 } from './local-routes.ts';
import { machineAddresses } from './machine-addresses.ts';

// Linux 6.1, with a dummy interface that is down, and `ip route add local 198.51.100.0/24 dev lo`.
const FIB_TRIE = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
Local:
  +-- 0.0.0.0/0 3 0 5
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.0
           /8 host LOCAL
        |-- 127.0.0.1
           /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
     |-- 192.0.2.2
        /32 host LOCAL
     |-- 198.51.100.0
        /24 host LOCAL
`;

const IPV6_ROUTE = `fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000003 00000000 80200001       lo
fd000000000000000000000000000002 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
`;

it('those of the kernel are local, and no other', () => {
  expect(localIpv4(FIB_TRIE)).toEqual(['127.0.0.0/8', '127.0.0.1/32', '192.0.2.2/32', '198.51.100.0/24']);
  expect(localIpv6(IPV6_ROUTE)).toEqual([
    '0000:0000:0000:0000:0000:0000:0000:0001/128',
    'fd00:0000:0000:0000:0000:0000:0000:0002/128',
  ]);
});

it('what is none of theirs says nothing', () => {
  for (const text of ['', 'garbage\n', '/32 host LOCAL', 'zz 80 x'])
    expect([...localIpv4('garbage'), ...localIpv6(text)]).toEqual([]);
});

it('this machine reaches itself at 127.0.0.1', () => {
  expect(machineAddresses()).toContain('127.0.0.1');
});
