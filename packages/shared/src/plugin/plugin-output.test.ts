import { expect, it, onTestFinished, vi } from 'vitest';
import { createLogger } from '../runtime/log.ts';
import { PluginOutput } from './plugin-output.ts';

function recorded(options?: string) {
  const lines: { level: string; msg: string; plugin: string }[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const log = createLogger({ level: 'debug', format: 'json', name: 'test', destination });
  return { lines, output: new PluginOutput('obfs-local', options, log) };
}

it('logs whole lines of stderr as info and of stdout as debug', () => {
  const { lines, output } = recorded();
  output.feed('stderr', Buffer.from('one\r\nt'));
  output.feed('stdout', Buffer.from('\x1b[31mred\x07\n\n'));
  output.feed('stderr', Buffer.from('wo\nthree'));
  output.end();
  expect(lines.map(({ level, msg, plugin }) => [level, msg, plugin])).toEqual([
    ['info', 'obfs-local: one', 'obfs-local'],
    ['debug', 'obfs-local: [31mred', 'obfs-local'],
    ['info', 'obfs-local: two', 'obfs-local'],
    ['info', 'obfs-local: three', 'obfs-local'],
  ]);
});

it('puts together a character that comes in two parts', () => {
  const { lines, output } = recorded();
  const bytes = Buffer.from('é\n');
  output.feed('stderr', bytes.subarray(0, 1));
  output.feed('stderr', bytes.subarray(1));
  expect(lines[0]?.msg).toBe('obfs-local: é');
});

it('takes secrets out of lines and of last words', () => {
  const { lines, output } = recorded('mode=x;Password=hunter2\\;42;key=a;psk=Zm9v');
  for (const said of [
    'got mode=x;Password=hunter2\\;42;key=a;psk=Zm9v',
    'pw hunter2;42',
    'raw hunter2\\;42',
    'psk Zm9v',
  ]) {
    output.feed('stderr', Buffer.from(`${said}\n`));
  }
  expect(lines.map(({ msg }) => msg)).toEqual([
    'obfs-local: got [redacted]',
    'obfs-local: pw [redacted]',
    'obfs-local: raw [redacted]',
    'obfs-local: psk [redacted]',
  ]);
  expect(output.lastWords()).toBe('pw [redacted] | raw [redacted] | psk [redacted]');
});

it('remembers the last lines of stderr, or of stdout where it wrote nothing else', () => {
  const { output } = recorded();
  expect(output.lastWords()).toBe('');
  output.feed('stdout', Buffer.from('usage:\n -s\n\n'));
  expect(output.lastWords()).toBe('usage: | -s');
  output.feed('stderr', Buffer.from('1\n2\n3\n4'));
  expect(output.lastWords()).toBe('2 | 3 | 4');
});

it('logs some lines of a flood, says so once, and keeps little of it', () => {
  const { lines, output } = recorded();
  for (let count = 0; count < 1000; count++) output.feed('stderr', Buffer.from(`${'x'.repeat(10_000)}\ny${count}\n`));
  expect(lines.filter(({ level }) => level === 'info')).toHaveLength(50);
  expect(lines.filter(({ level }) => level === 'warn').map(({ msg }) => msg)).toEqual([
    'obfs-local writes more than is logged; some of it is left out',
  ]);
  for (const { msg } of lines) expect(msg.length).toBeLessThan(600);
  expect(output.lastWords()).toMatch(/y999$/);
});

it('keeps little of a line without an end', () => {
  const { lines, output } = recorded();
  for (let count = 0; count < 1000; count++) output.feed('stderr', Buffer.from('x'.repeat(10_000)));
  output.end();
  expect(lines).toHaveLength(1);
  expect(lines[0]!.msg.length).toBeLessThan(600);
});

const SECRET = 'hunter2'.repeat(9);

it.each([
  ['where a line is cut', `${'x'.repeat(480)}${SECRET}`, 'and the rest\n'],
  ['behind others, in a line that is cut', `${SECRET} `.repeat(20), 'and the rest\n'],
  ['in the middle of a line that is too long', `${'x'.repeat(600)}${SECRET}${'y'.repeat(1_970)}\n`, '\n'],
  ['in two parts', `psk ${SECRET.slice(0, 30)}`, `${SECRET.slice(30)}\n`],
])('shows no part of a secret: %s', (_, ...parts) => {
  const { lines, output } = recorded(`psk=${SECRET}`);
  for (const part of parts) output.feed('stderr', Buffer.from(part));
  output.end();
  expect(lines).toHaveLength(1);
  for (const said of [lines[0]!.msg, output.lastWords()]) expect(said).not.toMatch(/hunt|unte|nter|ter2|er2h/);
});

it('shows no part of a secret whose beginning was left out in a flood', () => {
  const { lines, output } = recorded(`psk=${SECRET}`);
  output.feed('stderr', Buffer.from('y\n'.repeat(60)));
  output.feed('stderr', Buffer.from(`psk ${SECRET.slice(0, 30)}`));
  const later = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 11_000);
  onTestFinished(() => later.mockRestore());
  output.feed('stderr', Buffer.from(`${SECRET.slice(30)}\n`));
  expect(lines.at(-1)?.msg).toBe('obfs-local: psk [redacted]');
});
