import { z } from 'zod';
import { BACKEND_CHOICES } from '../crypto/backends.ts';
import { methodNamed } from '../crypto/methods.ts';
import { PodsocksError } from '../runtime/errors.ts';
import { LOG_FORMATS, LOG_LEVELS } from '../runtime/log.ts';
import { MODES } from './mode.ts';
import { oneOf, parseCount, parseHost, parseListenPort, parseSeconds, parseWait } from './values.ts';

/** The fields of a JSON object by name. */
export type Fields = Readonly<Record<string, z.ZodType>>;

/** A message that also says when the field is not there at all. */
const must = (what: string) => ({
  error: ({ input }: { input?: unknown }) => (input === undefined ? `is missing; it ${what}` : what),
});

/** Lets `parse` complain in the place of the field. */
function through<T>(parse: (text: string) => T): (text: string | number, context: z.RefinementCtx) => T {
  return (text, context) => {
    try {
      return parse(String(text));
    } catch (error) {
      if (!(error instanceof PodsocksError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
      return z.NEVER;
    }
  };
}

/** A field with text, read as the flag of the same name is. */
export const text = <T>(parse: (text: string) => T) =>
  z.string(must('has to be text in double quotes')).transform(through(parse));

/** A field with a number; old shadowsocks-libev files have numbers in quotes. */
export const number = (parse: (text: string) => number) =>
  z.union([z.number(), z.string()], must('has to be a number')).transform(through(parse));

/** A field with one text or a list of them. */
export const texts = <T>(parse: (text: string) => T) =>
  z
    .union([z.string(), z.array(z.string())], must('has to be text in double quotes, or a list of such'))
    .transform((given, context) =>
      (typeof given === 'string' ? [given] : given).map(item => through(parse)(item, context)),
    );

export const yesOrNo = z.boolean(must('has to be true or false'));

export const secret = z.string(must('has to be text in double quotes')).min(1, 'is empty; put the password in quotes');

/** A field with a list of objects. */
export const records = <F extends Fields>(fields: F) =>
  z.array(z.object(fields, must('has to be an object { … }')), must('has to be a list of objects [ { … } ]'));

/** The fields that mean the same in both programs. */
export const commonFields = {
  server: texts(parseHost),
  server_port: number(parseListenPort),
  password: secret,
  method: text(methodNamed),
  mode: text(oneOf(MODES)),
  timeout: number(parseSeconds),
  connect_timeout: number(parseSeconds),
  handshake_timeout: number(parseSeconds),
  drain_timeout: number(parseWait),
  max_connections: number(parseCount),
  nofile: number(parseCount),
  ipv6_first: yesOrNo,
  no_delay: yesOrNo,
  reuse_port: yesOrNo,
  fast_open: yesOrNo,
  mptcp: yesOrNo,
  crypto_backend: text(oneOf(BACKEND_CHOICES)),
  log_level: text(oneOf(LOG_LEVELS)),
  log_format: text(oneOf(LOG_FORMATS)),
} satisfies Fields;
