import { renderUnicodeCompact } from 'uqr';

/** What a code of the lowest error correction holds. */
const MOST_BYTES = 2_900;

/** Modules of quiet around it; the terminal's own background often is as light or dark as that. */
const BORDER = 2;

/**
 * A QR code in characters, two modules in each.
 *
 * @param colours whether to set colours, so that it is dark on light whatever those of the terminal are.
 * @returns undefined where the text does not fit.
 */
export function qrCode(text: string, colours: boolean): string | undefined {
  if (Buffer.byteLength(text) > MOST_BYTES) return undefined;
  const code = renderUnicodeCompact(text, { border: BORDER });
  const lines = code.split('\n').filter(line => line !== '');
  return lines.map(line => (colours ? `\x1b[40;97m${line}\x1b[0m\n` : `${line}\n`)).join('');
}
