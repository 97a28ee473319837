import type { Writable } from 'node:stream';
import type { Logger } from '@podsocks/shared/runtime/log';
import { AppendFile } from './append-file.ts';
import type { AuditSink } from './audit-log.ts';
import { type Outlet, RecordWriter } from './record-writer.ts';

/**
 * Opens what `--audit` names: a file, which is opened again when it was moved away and on SIGHUP, or `-`, stdout.
 *
 * @throws PodsocksError ERR_CONFIG when the file cannot be written.
 */
export function openAudit(path: string, log: Logger, stdout: Writable = process.stdout): AuditSink {
  if (path === '-') return new RecordWriter(new StandardOutput(stdout), log);
  const writer = new RecordWriter(AppendFile.open(path), log);
  const onHangup = () => writer.reopen();
  process.on('SIGHUP', onHangup);
  return {
    write: line => writer.write(line),
    close: () => writer.close().finally(() => process.off('SIGHUP', onHangup)),
  };
}

/** It is not ours to close. Node does not wait for whoever reads a pipe. */
class StandardOutput implements Outlet {
  readonly stream: Writable;

  constructor(stream: Writable) {
    this.stream = stream;
  }

  end(): Promise<void> {
    return new Promise(resolve => this.stream.write('', () => resolve()));
  }
}
