import { describeDatagrams, describeDatagramUsers, MANY } from './datagrams.ts';

// It has no aes-192-gcm.
const METHODS = [
  'aes-128-gcm',
  'aes-256-gcm',
  'chacha20-ietf-poly1305',
  'xchacha20-ietf-poly1305',
  '2022-blake3-aes-128-gcm',
  '2022-blake3-aes-256-gcm',
  '2022-blake3-chacha20-poly1305',
] as const;

/** One of each family: SIP022 has other packets with AES than with ChaCha20. */
const WITH_MANY: readonly string[] = ['aes-256-gcm', '2022-blake3-aes-256-gcm', '2022-blake3-chacha20-poly1305'];

// Identity headers (SIP023) exist for these only.
const METHODS_WITH_USERS = ['2022-blake3-aes-128-gcm', '2022-blake3-aes-256-gcm'] as const;

// If these fail, the harness or the machine is at fault and not podsocks.
describeDatagrams({ client: 'rust', server: 'rust', method: '2022-blake3-aes-256-gcm', udp: 'plain' });
describeDatagramUsers({ client: 'rust', server: 'rust', method: '2022-blake3-aes-256-gcm' });

for (const method of METHODS) {
  const amount = WITH_MANY.includes(method) ? { datagrams: MANY } : {};
  describeDatagrams({ client: 'rust', server: 'podsocks', method, udp: 'plain', ...amount });
  describeDatagrams({ client: 'podsocks', server: 'rust', method, udp: 'plain', ...amount });
}
for (const method of METHODS_WITH_USERS) {
  describeDatagramUsers({ client: 'rust', server: 'podsocks', method });
  describeDatagramUsers({ client: 'podsocks', server: 'rust', method });
}
