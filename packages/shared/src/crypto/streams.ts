import { openSip004Response, Sip004RequestOpener, Sip004RequestSealer, Sip004Sealer } from './sip004-stream.ts';
import { Sip022RequestOpener, Sip022RequestSealer } from './sip022-request.ts';
import { openSip022Response, Sip022ResponseSealer } from './sip022-response.ts';
import type { ClientStreams, ServerStreams, StreamServices } from './stream.ts';

const PLAIN = { wantsStatus: false } as const;

/** The protocol generation of `services.method`, as a client speaks it. */
export function clientStreams(services: StreamServices): ClientStreams {
  if (services.method.generation === 'sip004') {
    return {
      sealRequest: (keys, target, { wantsStatus } = PLAIN) =>
        new Sip004RequestSealer(services, keys.key, { target, wantsStatus }),
      openResponse: keys => openSip004Response(services, keys.key),
    };
  }
  return {
    sealRequest: (keys, target, { wantsStatus } = PLAIN) =>
      new Sip022RequestSealer(services, keys, { target, wantsStatus }),
    openResponse: (keys, requestSalt) => openSip022Response(services, keys.key, requestSalt),
  };
}

/** The protocol generation of `services.method`, as a server speaks it. */
export function serverStreams(services: StreamServices): ServerStreams {
  if (services.method.generation === 'sip004') {
    return {
      openRequest: (keyring, clientAddress) => new Sip004RequestOpener(services, keyring, clientAddress),
      sealResponse: request => new Sip004Sealer(services, request.user.key),
    };
  }
  return {
    openRequest: (keyring, clientAddress) => new Sip022RequestOpener(services, keyring, clientAddress),
    sealResponse: request => new Sip022ResponseSealer(services, request),
  };
}
