import { describeDatagrams, describeDatagramUsers, MANY } from './datagrams.ts';

const METHODS = [
  'aes-128-gcm',
  'aes-192-gcm',
  'aes-256-gcm',
  'chacha20-ietf-poly1305',
  'xchacha20-ietf-poly1305',
] as const;

// If this fails, the harness or the machine is at fault and not podsocks.
describeDatagrams({ client: 'libev', server: 'libev', method: 'aes-256-gcm', udp: 'plain' });

for (const method of METHODS) {
  const amount = method === 'aes-256-gcm' ? { datagrams: MANY } : {};
  describeDatagrams({ client: 'libev', server: 'podsocks', method, udp: 'plain', ...amount });
  describeDatagrams({ client: 'podsocks', server: 'libev', method, udp: 'plain', ...amount });
}
describeDatagramUsers({ client: 'libev', server: 'podsocks', method: 'aes-256-gcm' });
