import { number, records, secret, text, texts } from '@podsocks/shared/settings/fields';
import { type Settings, single } from '@podsocks/shared/settings/settings';
import { asText, parseCount } from '@podsocks/shared/settings/values';
import { parseMember } from '../policy/fields.ts';
import { parseBandwidth, parseExpires } from './terms.ts';

/** The flag that says where users are, and its variable. */
export const USERS_SETTINGS = {
  users: single(
    { flags: '--users <path>', env: 'SS_USERS' },
    'file of users, or directory with a file for each, as a Secret is mounted; read again when it changes',
    asText,
  ),
} satisfies Settings;

/** What there is of each user but the name. */
export const credentialFields = {
  password: secret,
  groups: texts(parseMember).optional(),
  expires: text(parseExpires).optional(),
  max_connections: number(parseCount).optional(),
  bandwidth: text(parseBandwidth).optional(),
};

/** The list of users: in the configuration file, and in a file of users. */
export const userList = records({ name: text(parseMember), ...credentialFields });

/** The fields of the configuration file. */
export const usersFields = { users: userList, users_path: text(asText) };
