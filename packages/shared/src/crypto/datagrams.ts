import { MAX_PADDING_BYTES } from '../wire/sip022-header.ts';
import type { ClientDatagrams, DatagramServices, Padding, ServerDatagrams } from './datagram.ts';
import { Sip004ClientSession, Sip004ServerDatagrams } from './sip004-datagram.ts';
import { Sip022ClientSession, Sip022ServerDatagrams } from './sip022-datagram.ts';
import type { Keyring } from './stream.ts';

/** The protocol generation of `services.method`, as a client speaks it. */
export function clientDatagrams(services: DatagramServices): ClientDatagrams {
  if (services.method.generation === 'sip004') {
    return { session: keys => new Sip004ClientSession(services, keys.key) };
  }
  return { session: keys => new Sip022ClientSession(services, keys) };
}

/**
 * The protocol generation of `services.method`, as a server speaks it.
 *
 * @param keyring who may send, and, for SIP004, in which order keys are tried for a client.
 */
export function serverDatagrams(services: DatagramServices, keyring: Keyring): ServerDatagrams {
  return services.method.generation === 'sip004'
    ? new Sip004ServerDatagrams(services, keyring)
    : new Sip022ServerDatagrams(services, keyring);
}

const DNS_PORT = 53;
const zeros = new Uint8Array(MAX_PADDING_BYTES);

/**
 * Pads questions to name servers and what they answer, whose lengths tell names, up to 900 bytes with their payload, which
 * no path has to cut. The rest goes as it is: to pad it costs what it is short of. (SIP022 section 3.2.3 leaves it open.)
 */
export function padNames(random: (length: number) => Uint8Array): Padding {
  return ({ port }, length) => {
    const room = MAX_PADDING_BYTES - length;
    if (port !== DNS_PORT || room <= 0) return zeros.subarray(0, 0);
    const [high, low] = random(2);
    return zeros.subarray(0, 1 + (((high! << 8) | low!) % room));
  };
}
