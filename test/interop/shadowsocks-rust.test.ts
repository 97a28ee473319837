import { describeAddresses } from './addresses.ts';
import { describePair } from './pair.ts';
import { describeUsers } from './users.ts';

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

// Identity headers (SIP023) exist for these only.
const METHODS_WITH_USERS = ['2022-blake3-aes-128-gcm', '2022-blake3-aes-256-gcm'] as const;

for (const method of METHODS) {
  describePair({ client: 'rust', server: 'podsocks', method });
  describePair({ client: 'podsocks', server: 'rust', method });
}
for (const method of METHODS_WITH_USERS) {
  describeUsers({ client: 'rust', server: 'podsocks', method });
  describeUsers({ client: 'podsocks', server: 'rust', method });
}
describeAddresses({ client: 'rust', server: 'podsocks', method: '2022-blake3-aes-256-gcm' });
describeAddresses({ client: 'podsocks', server: 'rust', method: '2022-blake3-aes-256-gcm' });
