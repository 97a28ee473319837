import { type Fields, yesOrNo } from '@podsocks/shared/settings/fields';
import { type Settings, toggle } from '@podsocks/shared/settings/settings';

/** The flag of the PROXY protocol. */
export const PROXY_PROTOCOL_SETTINGS = {
  proxyProtocol: toggle(
    '--proxy-protocol',
    'every TCP connection begins with a header of the PROXY protocol, v1 or v2, that says where its client is',
  ),
} satisfies Settings;

/** Its field of the configuration file. */
export const proxyProtocolFields = {
  proxy_protocol: yesOrNo,
} satisfies Fields;
