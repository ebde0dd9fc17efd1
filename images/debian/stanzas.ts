/** Reads paragraphs of `Field: value` lines, as apt prints them. */
export function parseStanzas(text: string): Map<string, string>[] {
  return text
    .split(/\n\s*\n/)
    .filter((stanza) => stanza.trim() !== '')
    .map(
      (stanza) =>
        new Map(
          [...stanza.matchAll(/^([A-Za-z][A-Za-z0-9-]*):[ \t]*(.*)$/gm)].map(
            ([, field = '', value = '']) => [field, value.trim()],
          ),
        ),
    );
}
