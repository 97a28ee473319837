import { describeAddresses } from './addresses.ts';
import { describePair } from './pair.ts';
import { describeUsers } from './users.ts';

const METHODS = [
  'aes-128-gcm',
  'aes-192-gcm',
  'aes-256-gcm',
  'chacha20-ietf-poly1305',
  'xchacha20-ietf-poly1305',
] as const;

for (const method of METHODS) {
  describePair({ client: 'libev', server: 'podsocks', method });
  describePair({ client: 'podsocks', server: 'libev', method });
}
describeAddresses({ client: 'libev', server: 'podsocks', method: 'aes-256-gcm' });
describeAddresses({ client: 'podsocks', server: 'libev', method: 'aes-256-gcm' });
describeUsers({ client: 'libev', server: 'podsocks', method: 'aes-256-gcm' });
