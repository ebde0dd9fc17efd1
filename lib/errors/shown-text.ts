/** Text that may hold what a caller has sent, as an error may show it. */

const CUT = '…';
/** What moves a cursor, ends a line, turns the direction of text or is no character at all. */
const UNSHOWABLE = /[\p{Cc}\p{Cs}\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** The text with what cannot be shown escaped, cut to a number of bytes of UTF-8. */
export function shownText(text: string, bytesMax: number): string {
  // A character is at least one byte: no more of them can fit.
  const shown = text.slice(0, bytesMax + 1).replace(UNSHOWABLE, escaped);
  if (text.length <= bytesMax && Buffer.byteLength(shown) <= bytesMax) return shown;
  let bytes = Buffer.byteLength(CUT);
  let kept = '';
  for (const character of shown) {
    bytes += Buffer.byteLength(character);
    if (bytes > bytesMax) break;
    kept += character;
  }
  return kept + CUT;
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
