import { DEFAULT_METHOD } from '@podsocks/shared/crypto/methods';
import { expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { type ProgramRun, startProgram } from '../support/program-run.ts';
import { describeWith, pathOf } from '../support/programs.ts';
import { sha256 } from '../support/pseudo-random.ts';
import { runCommand } from '../support/run-command.ts';
import { commandOf, passwordFor } from '../support/shadowsocks-ends.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { HTTP_BODY_SHA256, startHttp } from '../support/targets/http.ts';
import { LOOPBACK_NAME, RECORDS, startNameServer, ZONE } from '../support/targets/name-server.ts';
import { type Tunnel, tunnelThrough } from '../support/tunnel.ts';

// CURLE_PROXY, and REP of RFC 1928: host unreachable.
const UNKNOWN = /ended with 97 .*\(4\)/s;

// ss-server asks a real DNS server, with the flag that shadowsocks-libev has for it.
describeWith(['dnsmasq', 'curl'], 'ss-server -d, a dnsmasq, and curl', () => {
  const nameServer = suiteResource(startNameServer);
  const http = suiteResource(startHttp);
  const tunnel = suiteResource(async () => startTunnel((await nameServer()).port));

  const curl = async (socksPort: number, host: string) => {
    const url = `http://${host}:${(await http()).port}/`;
    const args = ['-q', '--silent', '--show-error', '--fail', '--max-time', '20'];
    return runCommand(pathOf('curl'), [...args, '-x', `socks5h://127.0.0.1:${socksPort}`, url]);
  };

  // The second is completed by the search list; dnsmasq knows no IPv6 address for either.
  for (const host of [LOOPBACK_NAME, 'web', 'localhost']) {
    test(`${host} is reached`, async () => {
      const { use, socksPort } = await tunnel();
      await use(async () => expect(sha256(await curl(socksPort, host))).toBe(HTTP_BODY_SHA256));
    });
  }

  // With a trailing dot no domain is put behind it; the last is there, but is no address.
  for (const host of [`nothing.${ZONE}`, 'nothing', 'web.', RECORDS[3].name]) {
    test(`${host} is not`, async () => {
      const { use, socksPort } = await tunnel();
      await use(() => expect(curl(socksPort, host).then(body => `${body.length} bytes`)).rejects.toThrow(UNKNOWN));
    });
  }
});

async function startTunnel(nameServerPort: number): Promise<Tunnel> {
  const [serverPort, socksPort] = [await freePort(), await freePort()];
  const both = ['-s', '127.0.0.1', '-p', `${serverPort}`, '-k', passwordFor(DEFAULT_METHOD), '-m', DEFAULT_METHOD];
  const names = ['-d', `127.0.0.1:${nameServerPort}`, '--dns-search', ZONE, '--allow', '127.0.0.0/8'];
  const ends: ProgramRun[] = [];
  try {
    ends.push(await startProgram('server', [...commandOf('podsocks', 'server'), ...both, ...names], serverPort));
    ends.push(
      await startProgram(
        'client',
        [...commandOf('podsocks', 'client'), ...both, '-l', `${socksPort}`, '--route', 'all'],
        socksPort,
      ),
    );
  } catch (error) {
    await Promise.all(ends.map(end => end.stop()));
    throw error;
  }
  return tunnelThrough(socksPort, ends);
}
