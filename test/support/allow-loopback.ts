import type { ServerConfig } from '@podsocks/server/config';
import { parseNetwork } from '@podsocks/shared/matching/network';

/** Tests have their targets on loopback, where nobody may go without being told so. */
export const ALLOW_LOOPBACK: ServerConfig['policy'] = {
  rules: [{ action: 'allow', to: ['127.0.0.0/8', '::1'].map(parseNetwork), from: 'the test' }],
  default: 'allow',
};

/** The same, for the environment of a program. */
export const LOOPBACK_ALLOWED = { SS_ALLOW: '127.0.0.0/8,::1', SS_POLICY_DEFAULT: 'allow' } as const;

/** The same, before the command of a program: `env` with the variables. */
export const WITH_LOOPBACK_ALLOWED = [
  'env',
  ...Object.entries(LOOPBACK_ALLOWED).map(([name, value]) => `${name}=${value}`),
] as const;
