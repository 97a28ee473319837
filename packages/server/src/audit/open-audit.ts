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
  const writer = new RecordWriter(path === '-' ? new StandardOutput(stdout) : AppendFile.open(path), log);
  // To stdout there is nothing to be opened again; the signal must not end the server all the same.
  const onHangup = () => (path === '-' ? undefined : writer.reopen());
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
