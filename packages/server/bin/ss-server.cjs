#!/usr/bin/env node
// Committed, not built, so that npm can link it before the first build.
import('../dist/cli.js');
