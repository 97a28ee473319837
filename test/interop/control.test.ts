import { describeAddresses } from './addresses.ts';
import { describePair } from './pair.ts';
import { describeUsers } from './users.ts';

// What others do with each other. If these fail, the harness or the machine is at fault and not podsocks.
const libev = { client: 'libev', server: 'libev', method: 'aes-256-gcm' } as const;
describePair(libev);
describeAddresses(libev);

const rust = { client: 'rust', server: 'rust', method: '2022-blake3-aes-256-gcm' } as const;
describePair(rust);
describeAddresses(rust);
describeUsers(rust);
