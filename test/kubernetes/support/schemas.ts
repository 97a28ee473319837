import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { parse } from 'yaml';
import type { KubernetesObject } from './objects.ts';

/** What .ci/install-peers takes out of the releases of Kubernetes and of the Prometheus Operator. */
const DIRECTORY = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'podsocks-peers', 'schemas');

const OPENAPI: Readonly<Record<string, string>> = {
  v1: 'api__v1_openapi.json',
  'apps/v1': 'apis__apps__v1_openapi.json',
  'autoscaling/v2': 'apis__autoscaling__v2_openapi.json',
  'networking.k8s.io/v1': 'apis__networking.k8s.io__v1_openapi.json',
  'policy/v1': 'apis__policy__v1_openapi.json',
};
const RESOURCE_DEFINITIONS: Readonly<Record<string, string>> = {
  ServiceMonitor: 'monitoring.coreos.com_servicemonitors.yaml',
  PrometheusRule: 'monitoring.coreos.com_prometheusrules.yaml',
};

function goPattern(pattern: string, flags: string): RegExp {
  const plain = pattern.replace('(?i)', '');
  return new RegExp(plain, plain === pattern ? flags : `${flags}i`);
}
// Only asked for where code is generated apart from its schemas, which is not done here.
goPattern.code = 'goPattern';

export function schemasMissing(): string | undefined {
  const missing = [...Object.values(OPENAPI), ...Object.values(RESOURCE_DEFINITIONS)].filter(
    name => !existsSync(join(DIRECTORY, name)),
  );
  return missing.length > 0 ? `no schema ${missing.join(', ')}; .ci/install-peers fetches them` : undefined;
}

interface Schema {
  type?: string;
  properties?: Record<string, Schema>;
  additionalProperties?: unknown;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-group-version-kind'?: { group: string; version: string; kind: string }[];
}

// `format` of these schemas (int32, int-or-string) is not that of JSON Schema, and `pattern` is Go's, with its (?i).
const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true, code: { regExp: goPattern } });
const validators = new Map<string, ValidateFunction>();

/** What the published schema of its kind finds in an object, unknown fields included. */
export function faultsOf(object: KubernetesObject): string[] {
  const { apiVersion, kind, metadata } = object;
  const key = `${apiVersion} ${kind}`;
  const validate = validators.get(key) ?? compile(apiVersion, kind);
  validators.set(key, validate);
  if (validate(object)) return [];
  return (validate.errors ?? []).map(({ instancePath, message, params }) =>
    [`${kind} ${metadata.name}`, instancePath, message, JSON.stringify(params)].join(' '),
  );
}

function compile(apiVersion: string, kind: string): ValidateFunction {
  const openApi = OPENAPI[apiVersion];
  if (openApi) return compileOpenApi(read(openApi) as OpenApi, apiVersion, kind);
  const definition = RESOURCE_DEFINITIONS[kind];
  if (!definition) throw new Error(`no schema for ${apiVersion} ${kind}`);
  const { spec } = read(definition) as { spec: { versions: { name: string; schema: { openAPIV3Schema: Schema } }[] } };
  const version = spec.versions.find(({ name }) => `monitoring.coreos.com/${name}` === apiVersion);
  if (!version) throw new Error(`no schema for ${apiVersion} ${kind}`);
  const schema = version.schema.openAPIV3Schema;
  // The API server knows metadata itself; a definition says only that it is an object.
  schema.properties!.metadata = { type: 'object', additionalProperties: true };
  return ajv.compile(closed(schema) as object);
}

interface OpenApi {
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

function compileOpenApi({ components }: OpenApi, apiVersion: string, kind: string): ValidateFunction {
  const [version, group = ''] = apiVersion.split('/').reverse();
  const name = Object.keys(components.schemas).find(name =>
    components.schemas[name]!['x-kubernetes-group-version-kind']?.some(
      is => is.group === group && is.version === version && is.kind === kind,
    ),
  );
  if (!name) throw new Error(`no schema for ${apiVersion} ${kind}`);
  return ajv.compile({ $ref: `#/components/schemas/${name}`, components: closed(components) });
}

/** Published schemas let unknown fields pass; a field with a slip in its name would be dropped in silence. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const copy = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, closed(value)])) as Schema;
  const open = copy.additionalProperties !== undefined || copy['x-kubernetes-preserve-unknown-fields'];
  if (copy.type === 'object' && isSchemaMap(copy.properties) && !open) copy.additionalProperties = false;
  return copy;
}

/** And no property that is called "properties". */
const isSchemaMap = (properties: unknown): boolean => typeof properties === 'object' && properties !== null;

function read(name: string): unknown {
  const text = readFileSync(join(DIRECTORY, name), 'utf8');
  return name.endsWith('.json') ? JSON.parse(text) : parse(text);
}
