import { describeDatagrams, MANY } from './datagrams.ts';

const SIP022_METHODS = ['2022-blake3-aes-128-gcm', '2022-blake3-aes-256-gcm', '2022-blake3-chacha20-poly1305'] as const;

// If these fail, the harness or the machine is at fault and not podsocks.
for (const udp of ['plain', 'over-tcp-1', 'over-tcp-2'] as const) {
  describeDatagrams({ client: 'sing-box', server: 'sing-box', method: '2022-blake3-aes-256-gcm', udp });
}

for (const method of SIP022_METHODS) {
  describeDatagrams({ client: 'sing-box', server: 'podsocks', method, udp: 'plain' });
  describeDatagrams({ client: 'podsocks', server: 'sing-box', method, udp: 'plain' });
}
for (const method of ['aes-256-gcm', '2022-blake3-aes-256-gcm'] as const) {
  const many = { method, datagrams: MANY };
  describeDatagrams({ client: 'sing-box', server: 'podsocks', udp: 'over-tcp-1', ...many });
  describeDatagrams({ client: 'sing-box', server: 'podsocks', udp: 'over-tcp-2', ...many });
  describeDatagrams({ client: 'podsocks', server: 'sing-box', udp: 'over-tcp-2', ...many });
}
