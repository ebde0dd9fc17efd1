/** Hostile JSON: bodies that are none, and values that are none for a text. */

const DEEP = 5000;

/** What no message is. */
export const HOSTILE_BODIES: ReadonlyMap<string, string | Buffer> = new Map<
  string,
  string | Buffer
>([
  ['a field that is not there', '{"no_such_field":1}'],
  ['a key twice', '{"a":1,"a":2}'],
  ['__proto__', '{"__proto__":{"polluted":"yes"}}'],
  ['an escaped __proto__', '{"\\u005f_proto__":{"polluted":"yes"}}'],
  ['constructor', '{"constructor":{"prototype":{"polluted":"yes"}}}'],
  ['toString', '{"toString":1}'],
  ['@type', '{"@type":"type.googleapis.com/google.rpc.Status"}'],
  ['an extension', '{"[wrenn.v1.extension]":1}'],
  ['arrays too deep', '['.repeat(DEEP) + ']'.repeat(DEEP)],
  ['objects too deep', `${'{"a":'.repeat(DEEP)}1${'}'.repeat(DEEP)}`],
  ['arrays that never end', '['.repeat(DEEP)],
  ['a huge number', '{"a":1e400}'],
  ['very many digits', `{"a":${'9'.repeat(50_000)}}`],
  ['half a surrogate pair', '{"\\ud800":1}'],
  ['a pair in the wrong order', '{"\\udc00\\ud800":1}'],
  ['a byte order mark', '\ufeff{}'],
  ['UTF-16', Buffer.from('{}', 'utf16le')],
  ['bytes that are no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
  ['an encoded surrogate', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
  ['a NUL', '\0'],
  ['a NUL behind it', '{}\0'],
  ['two values', '{}{}'],
  ['a comma too many', '{"a":1,}'],
  ['a comment', '{/**/}'],
  ['single quotes', "{'a':1}"],
  ['a cut text', '{"a":'],
  ['NaN', '{"a":NaN}'],
  ['an array', '[]'],
  ['a string', '"a"'],
  ['a number', '1'],
  ['space', ' '],
]);

/** JSON of values that no text has. */
export const NOT_TEXT: readonly string[] = [
  ...[
    '1',
    '-0',
    '1e400',
    'true',
    '{}',
    '[]',
    '[["a"]]',
    '{"a":"b"}',
    '{"__proto__":{"polluted":"yes"}}',
  ],
  ...[
    '"\\ud800"',
    '"\\udfff"',
    '"\\udc00\\ud800"',
    '"a',
    '"\\x41"',
    '"\\u12"',
    '"a\nb"',
    '"\0"',
    'NaN',
    'undefined',
  ],
  ...[
    '"a""b"',
    "'a'",
    '{"toString":"a"}',
    '{"valueOf":1,"valueOf":2}',
    `${'['.repeat(100)}${']'.repeat(100)}`,
  ],
];
