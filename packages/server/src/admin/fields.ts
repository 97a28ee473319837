import type { Fields } from '@podsocks/shared/settings/fields';
import { text } from '@podsocks/shared/settings/fields';
import { type Settings, single } from '@podsocks/shared/settings/settings';
import { parseHost } from '@podsocks/shared/settings/values';

/** Where Prometheus and its exporters are at home. */
const DEFAULT_ADMIN_PORT = 9090;

/** The flag of the admin listener, and its variable. */
export const ADMIN_SETTINGS = {
  admin: single(
    { flags: '--admin <host>', env: 'SS_ADMIN' },
    `address, or address:port, for /metrics, /healthz and /readyz (default: none; port ${DEFAULT_ADMIN_PORT})`,
    parseAdmin,
  ),
} satisfies Settings;

/** Its field of the configuration file. */
export const adminFields = { admin: text(parseAdmin) } satisfies Fields;

function parseAdmin(text: string): { readonly host: string; readonly port: number } {
  return { port: DEFAULT_ADMIN_PORT, ...parseHost(text) };
}
