// usage: node summary.mjs DIRECTORY NAME...: sums the reports DIRECTORY/NAME.json of vitest's json reporter on one line.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [directory, ...names] = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };

for (const name of names) {
  const report = readReport(name);
  total.passed += report?.numPassedTests ?? 0;
  total.failed += failures(report);
  total.skipped += report ? report.numPendingTests + report.numTodoTests : 0;
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);

// A run may fail without a failed test: no report at all, no tests found, a file that cannot be loaded.
function failures(report) {
  if (!report) return 1;
  const failed = report.numFailedTests + report.testResults.filter(failedAsFile).length;
  return report.success ? failed : Math.max(failed, 1);
}

function failedAsFile({ status, assertionResults }) {
  return status === 'failed' && !assertionResults.some(test => test.status === 'failed');
}

function readReport(name) {
  try {
    return JSON.parse(readFileSync(join(directory, `${name}.json`), 'utf8'));
  } catch {
    return undefined;
  }
}
