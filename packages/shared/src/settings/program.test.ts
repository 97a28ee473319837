import { describe, expect, test } from 'vitest';
import { commonSettings } from './common-config.ts';
import { createProgram } from './program.ts';
import { several, single } from './settings.ts';
import { asText, parseHost, parsePort } from './values.ts';

const ports = {
  serverPort: single({ flags: '-p, --server-port <port>', env: 'SS_SERVER_PORT' }, 'port', parsePort),
  server: several({ flags: '-s, --server <host>', env: 'SS_SERVER' }, 'host', parseHost),
  secret: single({ env: 'SS_SECRET' }, 'secret', asText),
};

describe('createProgram', () => {
  const create = () =>
    createProgram({ name: 'ss-test', version: '1', summary: '' }, { ...ports, ...commonSettings }, { write: () => {} });

  test('gives every setting the name under which flagLayer looks it up', () => {
    for (const [name, { flags }] of Object.entries<{ flags?: string }>({ ...ports, ...commonSettings })) {
      if (!flags) continue;
      const option = create().options.find(candidate => candidate.flags === flags);
      expect(option?.attributeName()).toBe(name);
    }
  });

  test('--no-delay is a switch, not the negation of --delay', () => {
    const parse = (...argv: string[]) =>
      create()
        .action(() => {})
        .parse(argv, { from: 'user' })
        .opts();
    expect(parse()).toEqual({});
    expect(parse('--no-delay')).toEqual({ noDelay: true });
  });

  test('collects what may be repeated, and shows what only the environment sets', () => {
    const program = create()
      .action(() => {})
      .parse(['-s', 'a', '-s', 'b', '-6v'], { from: 'user' });
    expect(program.opts()).toEqual({ server: ['a', 'b'], ipv6First: true, verbose: true });
  });

  test('takes -u and -U among other short flags', () => {
    const parse = (...argv: string[]) =>
      create()
        .action(() => {})
        .parse(argv, { from: 'user' })
        .opts();
    expect(parse('-vu')).toEqual({ verbose: true, udp: true });
    expect(parse('-6U')).toEqual({ ipv6First: true, udpOnly: true });
  });

  test('takes what is refused elsewhere where it is a setting', () => {
    const nameserver = several({ flags: '-d, --nameserver <address>' }, 'DNS server', asText);
    const about = { name: 'ss-test', version: '1', summary: '' };
    const program = createProgram(about, { ...ports, ...commonSettings, nameserver }, { write: () => {} }).action(
      () => {},
    );
    const argv = ['-d', '10.0.0.1', '--nameserver=10.0.0.2'];
    expect(program.parse(argv, { from: 'user' }).opts()).toEqual({ nameserver: ['10.0.0.1', '10.0.0.2'] });
    expect(program.helpInformation()).toContain('-d, --nameserver <address>');
  });

  test.each([
    [['-d', '8.8.8.8'], '-d (--nameserver): names are looked up by ss-server; leave it out, and give it there'],
    [['--nameserver'], '--nameserver'],
    [['-a', 'nobody'], '-a: '],
    [['--user', 'nobody'], '--user: '],
    [['-f', 'pid'], '-f (--pid-file): '],
    [['-i', 'eth0'], '-i (--interface): '],
    [['--key', 'a2V5'], '--key: raw keys are not taken'],
    [['--manager-address', 'x'], '--manager-address: '],
  ])('refuses %j by name, and keeps it out of the help', (argv, complaint) => {
    const program = create().action(() => {});
    expect(() => program.parse(argv, { from: 'user' })).toThrow(complaint);
    const flag = argv[0]!.split('=')[0]!;
    expect(program.helpInformation()).not.toMatch(new RegExp(`^ *${flag}\\b`, 'm'));
  });

  test('leaves to a command of the program what means something there', () => {
    const program = create();
    const command = program
      .command('test')
      .option('--user <name>')
      .action(() => {});
    program.parse(['test', '--user', 'ada'], { from: 'user' });
    expect(command.opts()).toEqual({ user: 'ada' });
    expect(() => program.parse(['test', '--user'], { from: 'user' })).toThrow('--user: its value is missing');
  });
});
