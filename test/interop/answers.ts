import { expect, type TestOptions, test } from 'vitest';
import { PseudoRandom, sha256 } from '../support/pseudo-random.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { BANNER, FAREWELL, QUIT, startBanner } from '../support/targets/banner.ts';
import { DOWNLOAD_BYTES, DOWNLOAD_REQUEST, startDownload } from '../support/targets/download.ts';
import type { Tunnel } from '../support/tunnel.ts';

/** That what a target says arrives, whatever is between the ends of the tunnel: all of it, and before it is asked. */
export function testAnswers(tunnel: () => Promise<Tunnel>, whenSpokenTo: TestOptions = {}): void {
  const download = suiteResource(startDownload);
  const banner = suiteResource(startBanner);

  test('an answer that ends with FIN arrives whole', async () => {
    const { port } = await download();
    const expected = sha256(new PseudoRandom('download').take(DOWNLOAD_BYTES));
    await (await tunnel()).use(async connect => {
      const connection = await connect({ host: '127.0.0.1', port });
      await connection.send(DOWNLOAD_REQUEST);
      expect(sha256(await connection.takeAll())).toBe(expected);
    });
  });

  test('a protocol in which the server speaks first', whenSpokenTo, async () => {
    const { port } = await banner();
    await (await tunnel()).use(async connect => {
      const connection = await connect({ host: '127.0.0.1', port });
      expect(String(await connection.take(BANNER.length))).toBe(BANNER);
      await connection.send(QUIT);
      expect(String(await connection.takeAll())).toBe(FAREWELL);
    });
  });
}
