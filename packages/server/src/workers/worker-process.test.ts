import { expect, it, onTestFinished } from 'vitest';
import { WorkerProcess } from './worker-process.ts';

it('that cannot be had has ended at once, and says why', async () => {
  const { execPath } = process;
  onTestFinished(() => {
    process.execPath = execPath;
  });
  process.execPath = '/nonexistent/node';
  const worker = new WorkerProcess(1, () => {});
  worker.send({ type: 'close' });
  expect(await worker.ended).toMatchObject({ err: { code: 'ENOENT' } });
  await expect(worker.ready).rejects.toMatchObject({ code: 'ENOENT' });
  worker.send({ type: 'close' });
  worker.kill();
});
