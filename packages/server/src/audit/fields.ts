import { type Fields, text } from '@podsocks/shared/settings/fields';
import { type Settings, single } from '@podsocks/shared/settings/settings';
import { asText } from '@podsocks/shared/settings/values';

/** The flag of audit records, and its variable. */
export const AUDIT_SETTINGS = {
  audit: single(
    { flags: '--audit <file>', env: 'SS_AUDIT' },
    'write who did what to this file, a JSON record a line; - is the standard output',
    asText,
  ),
} satisfies Settings;

/** Its field of the configuration file. */
export const auditFields = {
  audit: text(asText),
} satisfies Fields;
