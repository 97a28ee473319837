import leven, { closestMatch } from 'leven';
import { z } from 'zod';
import { PodsocksError } from '../runtime/errors.ts';
import type { Fields } from './fields.ts';
import { type ForeignFields, NO_EFFECT, REFUSED } from './foreign-fields.ts';
import { readJsonFile } from './json-file.ts';
import type { Sourced, Warn } from './settings.ts';

/** What a file says, each field under its name in camel case and with its place (`config.json: server_port`). */
export type FileLayer<F extends Fields> = {
  readonly [K in keyof F & string as CamelCase<K>]?: Sourced<z.output<F[K]>>;
};

type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;

/**
 * Reads a JSON configuration file.
 *
 * @throws PodsocksError ERR_CONFIG with `file: field: what is wrong; how to mend it`, or the line and column of a
 *   syntax error. It never holds a value of a secret field.
 */
export function readConfigFile<F extends Fields>(
  path: string,
  fields: F,
  foreign: ForeignFields,
  warn: Warn,
): FileLayer<F> {
  const known: ForeignFields = {
    noEffect: { ...NO_EFFECT, ...foreign.noEffect },
    refused: { ...REFUSED, ...foreign.refused },
  };
  return readFields(readJsonFile(path), path, fields, known, warn);
}

/**
 * What a JSON object says, as {@link readConfigFile} has it of a file.
 *
 * @param foreign all fields of others that are known.
 * @param path where the object is from.
 * @throws PodsocksError ERR_CONFIG.
 */
export function readFields<F extends Fields>(
  json: object,
  path: string,
  fields: F,
  foreign: ForeignFields,
  warn: Warn,
): FileLayer<F> {
  const warned = new Set<string>();
  const ignore = (field: string, reason: string) => {
    if (!warned.has(field)) warn(`${path}: ${field}: has no effect here, ${reason}; remove it`);
    warned.add(field);
  };
  const own = ownFields(json, fields, foreign, `${path}: `, ignore);
  const result = z.object(fields).partial().safeParse(own);
  if (!result.success) {
    const [first, ...others] = result.error.issues;
    const field = first!.path.map(step => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('');
    const more = others.length > 0 ? ` (and ${others.length} more)` : '';
    throw new PodsocksError('ERR_CONFIG', `${path}: ${field.slice(1)}: ${first!.message}${more}`);
  }
  const layer = Object.entries(result.data).map(([name, value]) => {
    const camelCase = name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
    return [camelCase, { value, from: `${path}: ${name}` }];
  });
  return Object.fromEntries(layer) as FileLayer<F>;
}

/** The fields that the program has, down into lists of objects; what it does not have is ignored, refused or unknown. */
function ownFields(
  json: unknown,
  fields: Fields,
  { noEffect, refused }: ForeignFields,
  place: string,
  ignore: (field: string, reason: string) => void,
): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return json;
  const own: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(json)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    const at = place + name;
    if (field instanceof z.ZodArray && field.element instanceof z.ZodObject && Array.isArray(value)) {
      const { shape } = field.element;
      own[name] = value.map((item, i) => ownFields(item, shape, { noEffect, refused }, `${at}[${i}].`, ignore));
    } else if (field) {
      own[name] = value;
    } else if (Object.hasOwn(refused, name)) {
      // What is switched off asks for nothing: SIP008 files have "plugin": "" everywhere.
      if (!isOff(value)) throw new PodsocksError('ERR_CONFIG', `${at}: ${refused[name]}`);
    } else if (Object.hasOwn(noEffect, name)) {
      if (!isOff(value)) ignore(name, noEffect[name]!);
    } else {
      const near = nearest(name, Object.keys(fields));
      const mend = near ? `did you mean "${near}"?` : `known are ${Object.keys(fields).join(', ')}`;
      throw new PodsocksError('ERR_CONFIG', `${at}: unknown field; ${mend}`);
    }
  }
  return own;
}

const isOff = (value: unknown): boolean => value === false || value === null || value === '';

/** The candidate with the fewest edits, if those are few for its length. */
function nearest(name: string, candidates: readonly string[]): string | undefined {
  const lowerCase = name.toLowerCase();
  const best = closestMatch(lowerCase, candidates);
  return best && leven(lowerCase, best) <= Math.max(2, best.length * 0.4) ? best : undefined;
}
