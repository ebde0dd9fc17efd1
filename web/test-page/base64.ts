/** Bytes as base64, which JSON carries. */

/** Arguments of one call that every browser takes. */
const ARGUMENTS_MAX = 8192;

export function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let start = 0; start < bytes.length; start += ARGUMENTS_MAX) {
    text += String.fromCharCode(...bytes.subarray(start, start + ARGUMENTS_MAX));
  }
  return btoa(text);
}

export function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** Text as unpadded base64url, which a subprotocol may hold. */
export function toBase64Url(text: string): string {
  return toBase64(new TextEncoder().encode(text))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}
