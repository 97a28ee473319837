import type { ClientRequest } from 'node:http';

/**
 * Ends the connection of an answer that goes on in another protocol, which nobody has asked for. Node does so by itself, and then says
 * nothing at all.
 *
 * @param refuse gets the status of the answer.
 */
export function onUnaskedUpgrade(request: ClientRequest, refuse: (status: number | undefined) => void): void {
  request.on('upgrade', ({ statusCode }, stream) => {
    stream.destroy();
    refuse(statusCode);
  });
}
