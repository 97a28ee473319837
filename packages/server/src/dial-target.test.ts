import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { type AddressInfo, createServer, isIPv6, type LookupFunction, type Server, Socket } from 'node:net';
import type { Target } from '@podsocks/shared/wire/address';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { loadServer, type ServerConfig } from './config.ts';
import { dialTarget } from './dial-target.ts';
import type { Destination, NamedDestination, Policy } from './policy/policy.ts';
import { allow, deny, type PolicyText, policy, type RuleText } from './policy/policy-fixtures.ts';
import { SilentAddresses } from './silent-addresses.ts';

const CONFIG = loadServer({ password: Buffer.alloc(32, 7).toString('base64') }, {}).config;

/** Loopback has to be allowed, or nothing in a test can be dialled. */
const LOOPBACK: RuleText = allow('127.0.0.0/8', '::1');

interface Listeners {
  readonly port: number;
  /** The addresses that were connected to, in order. */
  readonly reached: string[];
}

/** One port on each of these addresses, and nobody on it at the others. */
async function listenOn(...hosts: readonly string[]): Promise<Listeners> {
  const reached: string[] = [];
  let port = 0;
  for (const host of hosts) {
    const server: Server = createServer(socket => {
      reached.push(host);
      socket.on('error', () => {});
      onTestFinished(() => void socket.destroy());
    });
    server.listen({ host, port });
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    port = (server.address() as AddressInfo).port;
  }
  return { port, reached };
}

/** A look-up that says these in turn, then the last for ever; and what it was asked. */
function lookupOf(...answers: readonly (readonly string[] | Error)[]) {
  const asked: { readonly hostname: string; readonly family: unknown; readonly all: boolean | undefined }[] = [];
  const lookup: LookupFunction = (hostname, { family, all }, callback) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)] ?? [];
    asked.push({ hostname, family, all });
    process.nextTick(() => {
      if (answer instanceof Error) return callback(answer, []);
      callback(
        null,
        answer.map(address => ({ address, family: isIPv6(address) ? 6 : 4 })),
      );
    });
  };
  return { lookup, asked };
}

interface Case extends PolicyText {
  readonly lookup?: LookupFunction;
  readonly config?: Partial<ServerConfig>;
  readonly type?: Target['type'];
  readonly silent?: SilentAddresses;
}

/** Dials as Ada, and says what it asked of the policy; the connection ends with the test. */
function dialling(
  host: string,
  port: number,
  { lookup = lookupOf([]).lookup, config, type = 'name', silent, ...text }: Case,
) {
  const judge = policy({ default: 'allow', ...text });
  const judged: (Destination | NamedDestination)[] = [];
  const watched: Pick<Policy, 'evaluate' | 'evaluateAsked'> = {
    evaluate(destination) {
      judged.push(destination);
      return judge.evaluate(destination);
    },
    evaluateAsked: destination => judge.evaluateAsked(destination),
  };
  const dialled = dialTarget(
    { ...CONFIG, ...config },
    { lookupFor: () => lookup, policy: watched, silent: silent ?? new SilentAddresses(() => 0) },
    'ada',
    {
      type,
      host,
      port,
    },
  );
  const address = dialled.then(({ connection: { socket } }) => {
    onTestFinished(() => void socket.destroy());
    return socket.remoteAddress;
  });
  return { address, judged };
}

const dialOf = (host: string, port: number, options: Case) => dialling(host, port, options).address;

const deniedBy = (text: string) => ({ code: 'ERR_DENIED', message: expect.stringContaining(text) });

describe('an address', () => {
  it('that is allowed is dialled', async () => {
    const { port } = await listenOn('127.0.0.1');
    expect(await dialOf('127.0.0.1', port, { type: 'ipv4', rules: [LOOPBACK] })).toBe('127.0.0.1');
  });

  it('that is gone before anybody could see it is one that has reset', async () => {
    const { port } = await listenOn('127.0.0.1');
    // What `remoteAddress` reads, which itself cannot be replaced.
    const gone = vi
      .spyOn(Socket.prototype as unknown as { _getpeername(): object }, '_getpeername')
      .mockReturnValue({});
    onTestFinished(() => gone.mockRestore());
    await expect(dialOf('127.0.0.1', port, { type: 'ipv4', rules: [LOOPBACK] })).rejects.toMatchObject({
      code: 'ERR_DIAL',
      cause: { code: 'ECONNRESET' },
    });
  });

  it('that is denied is not, and the error names target and rule', async () => {
    const { port, reached } = await listenOn('127.0.0.1');
    const rules = [deny('127.0.0.1'), LOOPBACK];
    await expect(dialOf('127.0.0.1', port, { type: 'ipv4', rules })).rejects.toMatchObject({
      code: 'ERR_DENIED',
      message: `127.0.0.1:${port}: not allowed (rule 0)`,
    });
    await expect(dialOf('127.0.0.1', port, { type: 'ipv4' })).rejects.toMatchObject(deniedBy('(built in: loopback)'));
    await expect(dialOf('192.0.2.1', port, { type: 'ipv4', default: 'deny' })).rejects.toMatchObject(
      deniedBy('(default)'),
    );
    expect(reached).toEqual([]);
  });

  it('is one also where it comes as a name: nobody looks it up', async () => {
    const { port } = await listenOn('127.0.0.1', '::1');
    const { lookup, asked } = lookupOf(['127.0.0.1']);
    for (const host of ['127.0.0.1', '::1', '[::1]', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', '::FFFF:7f00:1']) {
      const dialled = dialling(host, port, { rules: [LOOPBACK], lookup });
      expect(await dialled.address, host).toMatch(/^::1$|127\.0\.0\.1$/);
      expect(dialled.judged, host).toMatchObject([{ user: 'ada', protocol: 'tcp', name: undefined, port }]);
      await expect(dialOf(host, port, { lookup }), host).rejects.toMatchObject(deniedBy('(built in: loopback)'));
    }
    expect(asked).toEqual([]);
  });

  it('with a zone is denied, whatever is allowed', async () => {
    const { port, reached } = await listenOn('::1');
    const { lookup, asked } = lookupOf(['::1']);
    for (const host of ['::1%lo', 'fe80::1%1', '::ffff:127.0.0.1%lo']) {
      const rules = [LOOPBACK, allow('fe80::/10')];
      await expect(dialOf(host, port, { rules, lookup }), host).rejects.toMatchObject(deniedBy('with a zone'));
    }
    expect({ asked, reached }).toEqual({ asked: [], reached: [] });
  });

  it('of the server itself is denied where only its network is allowed', async () => {
    const { port, reached } = await listenOn('127.0.0.1');
    const listeners = [{ host: '0.0.0.0', port }];
    await expect(dialOf('127.0.0.1', port, { rules: [LOOPBACK], listeners })).rejects.toMatchObject(
      deniedBy('(built in: the server itself)'),
    );
    expect(reached).toEqual([]);
    const rules = [{ ...allow('127.0.0.1'), ports: `${port}` }];
    expect(await dialOf('127.0.0.1', port, { rules, listeners })).toBe('127.0.0.1');
  });
});

describe('a name', () => {
  it('is judged by each of its addresses, with the name, and dialled at what is allowed', async () => {
    const { port, reached } = await listenOn('127.0.0.1', '127.0.0.2');
    const { lookup, asked } = lookupOf(['127.0.0.1', '127.0.0.2']);
    const { address, judged } = dialling('Web.Example.', port, { rules: [deny('127.0.0.1'), LOOPBACK], lookup });
    expect(await address).toBe('127.0.0.2');
    expect(reached).toEqual(['127.0.0.2']);
    const question = { user: 'ada', protocol: 'tcp', name: 'Web.Example.', port };
    expect(judged).toEqual(['127.0.0.1', '127.0.0.2'].map(each => ({ ...question, address: each })));
    expect(asked.map(({ hostname }) => hostname)).toEqual(['Web.Example.']);
  });

  it('with a dead address is dialled at the next that is allowed, and never at one between that is denied', async () => {
    const { port, reached } = await listenOn('127.0.0.2', '127.0.0.3', '::1');
    const rules = [deny('127.0.0.2', '::1'), LOOPBACK];
    const { lookup } = lookupOf(['127.0.0.9', '::1', '127.0.0.2', '127.0.0.3']);
    expect(await dialOf('web.example', port, { rules, lookup })).toBe('127.0.0.3');
    expect(reached).toEqual(['127.0.0.3']);
  });

  it('with a dead address notes it, and begins with another the next time', async () => {
    const { port } = await listenOn('127.0.0.1');
    const silent = new SilentAddresses(() => 0);
    const { lookup } = lookupOf(['127.0.0.9', '127.0.0.1']);
    expect(await dialOf('web.test', port, { rules: [LOOPBACK], lookup, silent })).toBe('127.0.0.1');
    const order = silent.last([{ address: '127.0.0.9' }, { address: '127.0.0.1' }], port);
    expect(order.map(({ address }) => address)).toEqual(['127.0.0.1', '127.0.0.9']);
    const note = vi.spyOn(silent, 'note');
    expect(await dialOf('web.test', port, { rules: [LOOPBACK], lookup, silent })).toBe('127.0.0.1');
    expect(note).not.toHaveBeenCalled();
  });

  it('whose allowed addresses are dead fails as they do, although a denied one is alive', async () => {
    const { port, reached } = await listenOn('127.0.0.2');
    const { lookup } = lookupOf(['127.0.0.8', '127.0.0.2', '127.0.0.9']);
    await expect(dialOf('web.example', port, { rules: [deny('127.0.0.2'), LOOPBACK], lookup })).rejects.toMatchObject({
      code: 'ERR_DIAL',
    });
    expect(reached).toEqual([]);
  });

  it('whose addresses are all denied is denied, by the rule of the first, and nobody is connected to', async () => {
    const { port, reached } = await listenOn('127.0.0.1', '127.0.0.2', '::1');
    const { lookup } = lookupOf(['127.0.0.2', '127.0.0.1', '::1']);
    const rules = [deny('127.0.0.1'), deny('127.0.0.2'), deny('::1'), LOOPBACK];
    await expect(dialOf('web.example', port, { rules, lookup })).rejects.toMatchObject({
      code: 'ERR_DENIED',
      message: `web.example:${port}: not allowed (rule 1)`,
    });
    await expect(dialOf('web.example', port, { lookup })).rejects.toMatchObject(deniedBy('(built in: loopback)'));
    expect(reached).toEqual([]);
  });

  it('is not looked up where every address would be denied', async () => {
    const { lookup, asked } = lookupOf(['192.0.2.1']);
    const rules = [deny('*.evil.example'), { ...allow('*'), ports: '443' }];
    await expect(dialOf('a.Evil.Example.', 443, { rules, lookup })).rejects.toMatchObject(deniedBy('(rule 0)'));
    await expect(dialOf('web.example.', 80, { rules, default: 'deny', lookup })).rejects.toMatchObject(
      deniedBy('(default)'),
    );
    expect(asked).toEqual([]);
  });

  it('that is another spelling of an address is no name where rules have names, and else what the look-up says', async () => {
    const { port, reached } = await listenOn('127.0.0.1');
    const { lookup, asked } = lookupOf(['127.0.0.1']);
    const spellings = ['0x7f000001', '127.1', '2130706433', '017700000001', '0', '127.0.0.1.', '0177.0.0.1'];
    for (const host of spellings) {
      await expect(dialOf(host, port, { rules: [allow('*'), LOOPBACK], lookup }), host).rejects.toMatchObject(
        deniedBy('(built in: not a name of DNS)'),
      );
    }
    expect(asked).toEqual([]);
    for (const host of spellings) {
      await expect(dialOf(host, port, { lookup }), host).rejects.toMatchObject(deniedBy('(built in: loopback)'));
    }
    expect(asked).toHaveLength(spellings.length);
    expect(reached).toEqual([]);
  });

  it('is judged as the search list completed it', async () => {
    const { port } = await listenOn('127.0.0.1');
    const lookup: LookupFunction = (_, __, callback) =>
      callback(null, [{ address: '127.0.0.1', family: 4, name: 'web.default.svc.cluster.local' } as LookupAddress]);
    const within = { within: ['127.0.0.0/8'] };
    const rules = [{ ...allow('*.svc.cluster.local', '127.0.0.0/8'), ...within }];
    expect(await dialOf('web.default', port, { rules: [LOOPBACK], default: 'deny', lookup })).toBe('127.0.0.1');
    expect(await dialOf('web.default', port, { rules, default: 'deny', lookup })).toBe('127.0.0.1');
    await expect(
      dialOf('web.default', port, { rules: [deny('*.svc.cluster.local'), ...rules], lookup }),
    ).rejects.toMatchObject(deniedBy('(rule 0)'));
  });

  it('counts without case and trailing dot', async () => {
    const { port } = await listenOn('127.0.0.1');
    const { lookup } = lookupOf(['127.0.0.1']);
    const rules = [{ ...allow('web.example', '127.0.0.0/8'), within: ['127.0.0.0/8'] }];
    for (const host of ['web.example', 'WEB.example', 'web.example.']) {
      expect(await dialOf(host, port, { rules, default: 'deny', lookup }), host).toBe('127.0.0.1');
    }
  });

  it('is looked up once: what was judged is what is dialled, wherever it leads a moment later', async () => {
    const { port, reached } = await listenOn('127.0.0.1', '127.0.0.2');
    const { lookup, asked } = lookupOf(['127.0.0.1'], ['127.0.0.2']);
    const rules = [deny('127.0.0.2'), LOOPBACK];
    expect(await dialOf('rebinding.example', port, { rules, lookup })).toBe('127.0.0.1');
    expect({ asked: asked.length, reached }).toEqual({ asked: 1, reached: ['127.0.0.1'] });
    await expect(dialOf('rebinding.example', port, { rules, lookup })).rejects.toMatchObject(deniedBy('(rule 0)'));
    expect(asked).toHaveLength(2);
  });
});

describe('a name, where there is an address to leave from', () => {
  it.each([
    ['127.0.0.1', { ipv4: '127.0.0.1' }, 4, ['127.0.0.1', '127.0.0.2', '127.0.0.3'], '127.0.0.2'],
    ['::1', { ipv6: '::1' }, 6, ['fd00::1', '::1'], '::1'],
  ] as const)(
    '%s, is dialled at the first of that family that is allowed',
    async (_, bindAddress, family, found, end) => {
      const { port, reached } = await listenOn('127.0.0.1', '127.0.0.2', '::1');
      const { lookup, asked } = lookupOf(found);
      const rules = [deny('127.0.0.1', 'fd00::/8'), LOOPBACK];
      expect(await dialOf('web.example', port, { rules, lookup, config: { bindAddress } })).toBe(end);
      // All of them, though Node wants one: the first could be denied.
      expect(asked).toEqual([{ hostname: 'web.example', family, all: true }]);
      expect(reached).toEqual([end]);
    },
  );

  it('is denied if all of them are', async () => {
    const { port, reached } = await listenOn('127.0.0.1');
    const { lookup } = lookupOf(['127.0.0.1', '127.0.0.2']);
    const config = { bindAddress: { ipv4: '127.0.0.1' } };
    await expect(dialOf('web.example', port, { lookup, config })).rejects.toMatchObject(deniedBy('built in: loopback'));
    expect(reached).toEqual([]);
  });
});

describe('what cannot be dialled', () => {
  it('is port 0', async () => {
    const { lookup, asked } = lookupOf(['127.0.0.1']);
    for (const host of ['127.0.0.1', 'web.example']) {
      await expect(dialOf(host, 0, { rules: [LOOPBACK], lookup }), host).rejects.toMatchObject({
        code: 'ERR_DIAL',
        message: `${host}:0: port 0 cannot be dialled`,
      });
    }
    expect(asked).toEqual([]);
  });

  it.each([
    ['ENOTFOUND', 'no such name'],
    ['ETIMEOUT', 'no DNS server answers'],
    ['EBUSY', 'too many names are being looked up'],
    ['EODD', 'cannot connect'],
  ])('is a name whose look-up fails with %s', async (code, reason) => {
    const failure = Object.assign(new Error('of the resolver'), { code });
    for (const bindAddress of [{}, { ipv4: '127.0.0.1' }]) {
      const { lookup } = lookupOf(failure);
      await expect(dialOf('web.example', 80, { lookup, config: { bindAddress } })).rejects.toMatchObject({
        code: 'ERR_DIAL',
        message: `web.example:80: ${reason} (${code})`,
        cause: failure,
      });
    }
  });

  it('is a name that nobody answers for', async () => {
    const config = { connectTimeout: 50 };
    await expect(dialOf('web.example', 80, { lookup: () => {}, config })).rejects.toMatchObject({
      code: 'ERR_TIMEOUT',
      message: 'web.example:80: no DNS server answers within 0.05 s',
    });
  });
});
