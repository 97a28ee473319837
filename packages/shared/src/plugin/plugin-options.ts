/** A plugin as `ss://` URLs have it (SIP002), its name and its options in one: `obfs-local;obfs=http`. */
export interface PluginParameter {
  readonly command: string;
  readonly options?: string;
}

/** Reads the decoded `plugin` of a URL; whether the name is one to run is another question. */
export function parsePluginParameter(text: string): PluginParameter {
  const at = text.indexOf(';');
  if (at < 0) return { command: text };
  const options = text.slice(at + 1);
  return { command: text.slice(0, at), ...(options !== '' && { options }) };
}

export function formatPluginParameter({ command, options }: PluginParameter): string {
  return options === undefined ? command : `${command};${options}`;
}

/** One option of SIP003. */
export interface PluginOption {
  /** Without its escapes. */
  readonly name: string;
  /** Without its escapes; absent of a switch, such as `tls`. */
  readonly value?: string;
  /** As it is written. */
  readonly text: string;
}

/** The options in `name=value;switch`, where a backslash takes from `;`, `=` and `\` their meaning (SIP003). */
export function pluginOptions(text: string): readonly PluginOption[] {
  const written = text.match(/(?:\\.|[^;\\]|\\$)+/gsu) ?? [];
  return written.map(option => {
    const [, name = '', value] = /^((?:\\.|[^=\\]|\\$)*)(?:=(.*))?$/su.exec(option) ?? [];
    return { name: unescaped(name), ...(value !== undefined && { value: unescaped(value) }), text: option };
  });
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/gsu, '$1');
}
