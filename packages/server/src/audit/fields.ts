import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type Fields, text } from '@podsocks/shared/settings/fields';
import { type Settings, single } from '@podsocks/shared/settings/settings';

/** The flag of audit records, and its variable. */
export const AUDIT_SETTINGS = {
  audit: single(
    { flags: '--audit <file>', env: 'SS_AUDIT' },
    'write who did what to this file, a JSON record a line; - is the standard output',
    parseAudit,
  ),
} satisfies Settings;

/** Its field of the configuration file. */
export const auditFields = {
  audit: text(parseAudit),
} satisfies Fields;

function parseAudit(path: string): string {
  if (path === '') throw new PodsocksError('ERR_CONFIG', 'is empty; give a file, or - for the standard output');
  return path;
}
