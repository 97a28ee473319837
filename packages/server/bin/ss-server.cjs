#!/usr/bin/env node
// Committed, not built, so that npm can link it before the first build. CommonJS, because it has to run before anything
// uses libuv's threads, as the loading of ES modules does: they look up names, half of them at a time, and with the
// default of 4 two slow names would hold up every other one.
process.env.UV_THREADPOOL_SIZE ??= '32';
import('../dist/cli.js');
