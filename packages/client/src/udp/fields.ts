import { isIP } from 'node:net';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { commonSettings } from '@podsocks/shared/settings/common-config';
import { type Fields, text, yesOrNo } from '@podsocks/shared/settings/fields';
import type { Mode } from '@podsocks/shared/settings/mode';
import { type Layer, type Settings, type Sourced, single, toggle } from '@podsocks/shared/settings/settings';
import type { PortRange } from './associate.ts';

export const UDP_SETTINGS = {
  udpOverTcp: toggle('--udp-over-tcp', 'carry UDP inside of TCP connections, where no UDP gets through; includes -u'),
  udpAdvertise: single(
    { flags: '--udp-advertise <address>', env: 'SS_UDP_ADVERTISE' },
    'address that clients are told to send UDP to (default: the one that they have connected to)',
    parseIpAddress,
  ),
  udpPorts: single(
    { flags: '--udp-ports <from-to>', env: 'SS_UDP_PORTS' },
    'ports that clients are told to send UDP to, one for each association (default: any)',
    parsePortRange,
  ),
} satisfies Settings;

export const udpFields = {
  udp_over_tcp: yesOrNo,
  udp_advertise: text(parseIpAddress),
  udp_ports: text(parsePortRange),
} satisfies Fields;

type Given = Layer<typeof UDP_SETTINGS & Pick<typeof commonSettings, 'mode'>>;

/**
 * UDP over TCP is of use with UDP only, and without another word says that there shall be some. Where one source says the
 * contrary of another, the higher one counts.
 *
 * @param layers highest precedence first.
 * @param ofServer what the first server's entry says, below all of them.
 */
export function udpOf(
  layers: readonly Pick<Given, 'mode' | 'udpOverTcp'>[],
  ofServer: Sourced<Mode> | undefined,
): { readonly mode: Sourced<Mode> | undefined; readonly udpOverTcp: boolean } {
  let mode: Sourced<Mode> | undefined;
  let overTcp: Sourced<boolean> | undefined;
  for (const layer of [...layers, { mode: ofServer, udpOverTcp: undefined }]) {
    const isUndecided = mode === undefined && overTcp === undefined;
    const contradicts = layer.mode?.value === 'tcp_only' && (layer.udpOverTcp?.value ?? overTcp?.value);
    if (contradicts && isUndecided) {
      throw wrong(`${layer.udpOverTcp?.from}: carries UDP, and ${layer.mode?.from} says tcp_only; leave one out`);
    }
    if (!contradicts) mode ??= layer.mode;
    if (mode?.value !== 'tcp_only') overTcp ??= layer.udpOverTcp;
  }
  const udpOverTcp = overTcp?.value ?? false;
  return { mode: mode ?? (udpOverTcp ? { value: 'tcp_and_udp', from: overTcp!.from } : undefined), udpOverTcp };
}

function parseIpAddress(text: string): string {
  if (isIP(text)) return text;
  throw wrong('is not an IP address; give the one under which clients reach this machine');
}

function parsePortRange(text: string): PortRange {
  const [, first, last] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  const range = { from: Number(first), to: Number(last ?? first) };
  if (range.from >= 1 && range.from <= range.to && range.to <= 0xffff) return range;
  throw wrong('is no range of ports; give the first and the last, such as 40000-40099');
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
