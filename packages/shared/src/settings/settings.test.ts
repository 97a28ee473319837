import { describe, expect, test } from 'vitest';
import { envLayer, flagLayer, portOf, several, single } from './settings.ts';
import { asText, parseHost, parsePort } from './values.ts';

const ports = {
  serverPort: single({ flags: '-p, --server-port <port>', env: 'SS_SERVER_PORT' }, 'port', parsePort),
  server: several({ flags: '-s, --server <host>', env: 'SS_SERVER' }, 'host', parseHost),
  secret: single({ env: 'SS_SECRET' }, 'secret', asText),
};

describe('layers', () => {
  test('hold values with the place they came from', () => {
    expect(flagLayer(ports, { serverPort: '1', server: ['a', 'b:2'] })).toEqual({
      serverPort: { value: 1, from: '-p (--server-port)' },
      server: { value: [{ host: 'a' }, { host: 'b', port: 2 }], from: '-s (--server)' },
    });
    expect(envLayer(ports, { SS_SERVER_PORT: '1', SS_SERVER: 'a, b:2', SS_SECRET: 'x' })).toEqual({
      serverPort: { value: 1, from: 'SS_SERVER_PORT' },
      server: { value: [{ host: 'a' }, { host: 'b', port: 2 }], from: 'SS_SERVER' },
      secret: { value: 'x', from: 'SS_SECRET' },
    });
  });

  test('put the place in front of an error', () => {
    expect(() => flagLayer(ports, { serverPort: 'x' })).toThrow('-p (--server-port): "x" is not a port');
    expect(() => envLayer(ports, { SS_SERVER_PORT: 'x' })).toThrow('SS_SERVER_PORT: "x" is not a port');
  });

  test.each(['tcp://10.0.0.1:8388', 'udp://10.0.0.1:8388'])('ignore the service link %s in a port', link => {
    expect(envLayer(ports, { SS_SERVER_PORT: link })).toEqual({});
    expect(envLayer(ports, { SS_SECRET: link })).toEqual({ secret: { value: link, from: 'SS_SECRET' } });
  });

  test('ignore an empty variable', () => {
    expect(envLayer(ports, { SS_SERVER_PORT: '', SS_SECRET: '' })).toEqual({});
  });

  test('portOf prefers the port of the host, and a source above the one of the host', () => {
    const high = { serverPort: { value: 1, from: 'flag' } };
    const low = { server: 'host', serverPort: { value: 2, from: 'file' } };
    expect(portOf(3, 'host', [{}, low])).toBe(3);
    expect(portOf(3, 'host', [high, low])).toBe(1);
    expect(portOf<string>(undefined, 'host', [{}, low])).toBe(2);
    expect(portOf<string>(undefined, undefined, [{}])).toBeUndefined();
  });
});
