import fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { entriesOf } from './users-directory.ts';
import { MountedSecret, testFolder } from './users-files-fixtures.ts';

/** What happens just before, or just after, the system does something. */
const hooks = vi.hoisted(() => ({
  beforeOpen: undefined as ((path: string) => void) | undefined,
  beforeList: undefined as ((path: string) => void) | undefined,
}));

vi.mock('node:fs', async original => {
  const real = await original<typeof fs>();
  return {
    ...real,
    default: real,
    openSync: (...args: Parameters<typeof real.openSync>) => {
      hooks.beforeOpen?.(String(args[0]));
      return real.openSync(...args);
    },
    readdirSync: (path: string) => {
      hooks.beforeList?.(path);
      return real.readdirSync(path);
    },
  };
});

afterEach(() => {
  hooks.beforeOpen = undefined;
  hooks.beforeList = undefined;
});

const mounted = () => new MountedSecret(join(testFolder(), 'mount'), { ada: 'old', ben: 'old', cid: 'old' });
const textsOf = (secret: MountedSecret) => entriesOf(secret.path).map(({ name, text }) => `${name} ${text}`);

describe('a mounted Secret', () => {
  it('is all new, or all old, when it is swapped while it is read', () => {
    const secret = mounted();
    hooks.beforeOpen = path => {
      if (!path.endsWith('/ben')) return;
      hooks.beforeOpen = undefined;
      secret.update({ ada: 'new', ben: 'new' });
    };
    expect(textsOf(secret)).toEqual(['ada new', 'ben new']);
  });

  it('has lost nobody when what there was before is half removed', () => {
    const secret = mounted();
    hooks.beforeList = path => {
      hooks.beforeList = undefined;
      secret.update({ ada: 'new', ben: 'new', cid: 'new' });
      fs.mkdirSync(path); // the old directory as it was when the kubelet had removed some of it
      fs.writeFileSync(join(path, 'ben'), 'old');
    };
    expect(textsOf(secret)).toEqual(['ada new', 'ben new', 'cid new']);
  });

  it('names the files as they are mounted', () => {
    const secret = mounted();
    const [first] = entriesOf(secret.path);
    expect(first!.from).toBe(join(secret.path, 'ada'));
    secret.update({ ada: 'x'.repeat(70_000) });
    expect(() => entriesOf(secret.path)).toThrow(`${join(secret.path, 'ada')} has more than 64 KiB`);
  });

  it('that changes each time is not read for ever', () => {
    const secret = mounted();
    let swaps = 0;
    hooks.beforeList = () => secret.update({ ada: `${++swaps}` });
    expect(() => entriesOf(secret.path)).toThrow(/mount is being changed/);
    expect(swaps).toBe(3);
  });
});
