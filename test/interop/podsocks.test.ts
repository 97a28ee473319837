import { METHOD_NAMES } from '@podsocks/shared/crypto/methods';
import { describeAddresses } from './addresses.ts';
import { describePair } from './pair.ts';
import { describeUsers } from './users.ts';

for (const method of METHOD_NAMES) describePair({ client: 'podsocks', server: 'podsocks', method });
describeAddresses({ client: 'podsocks', server: 'podsocks', method: '2022-blake3-aes-256-gcm' });
describeUsers({ client: 'podsocks', server: 'podsocks', method: '2022-blake3-aes-256-gcm' });
