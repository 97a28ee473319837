import { expect, it } from 'vitest';
import type { ServerConfig } from './config.ts';
import { limitsOf } from './limits.ts';

const limits = (given: Partial<ServerConfig>) => limitsOf({ mode: 'tcp_and_udp', ...given } as ServerConfig);

it('divides the open files between connections, with two sockets each, UDP associations, with up to two, and queries for names', () => {
  expect(limits({ nofile: 1048 })).toEqual({ maxConnections: 342, udpMaxAssociations: 125 });
  expect(limits({ nofile: 1048, mode: 'tcp_only' })).toEqual({ maxConnections: 467 });
});

it('does not take the connections what they need for associations that were asked for', () => {
  expect(limits({ nofile: 1000, udpMaxAssociations: 250 })).toEqual({ maxConnections: 195, udpMaxAssociations: 250 });
  expect(() => limits({ nofile: 1000, udpMaxAssociations: 251 })).toThrow(
    expect.objectContaining({
      code: 'ERR_CONFIG',
      message: expect.stringMatching(/^251 UDP associations .* need 502 open files, more than half of the 1000/),
    }),
  );
  expect(limits({ nofile: 1000, udpMaxAssociations: 251, maxConnections: 100 }).maxConnections).toBe(100);
});
