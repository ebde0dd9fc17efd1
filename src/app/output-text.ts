/** The output of a program as text. */

/** Bytes of the longest UTF-8 character less one: what a cut may leave of it. */
const PARTIAL_CHARACTER_BYTES_MAX = 3;

/**
 * @param truncated whether the output was cut, possibly inside a character, which is then left out.
 * @returns the text, or an empty one when the bytes are not valid UTF-8.
 */
export function decodeText(output: Buffer, truncated: boolean): string {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const cutMax = truncated ? PARTIAL_CHARACTER_BYTES_MAX : 0;
  for (let cut = 0; cut <= cutMax; cut += 1) {
    try {
      return decoder.decode(output.subarray(0, output.length - cut));
    } catch {
      // Not valid up to here.
    }
  }
  return '';
}
