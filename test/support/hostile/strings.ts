/**
 * Hostile strings by family: what has broken some program that took it for a
 * name, a path, a header, a key or a text. All of them are valid Unicode; what
 * is not stands in `wire.ts` and `json.ts`.
 */

import { addresses, injection, numbers, unicode, words } from './texts.js';

/** Lengths around the limits of the fields that take text. */
const LENGTHS = [33, 63, 64, 65, 128, 129, 254, 255, 257, 513, 4096, 4097, 8193];
/** Longer than any name may be, and still a part of any message. */
const LONG_BYTES = 40_000;

const SEPARATORS = [
  '/',
  '\\',
  '%2f',
  '%2F',
  '%5c',
  '%252f',
  '%c0%af',
  '%e0%80%af',
  '∕',
  '／',
  '//',
];
const DOTS = [
  '..',
  '.',
  '...',
  '%2e%2e',
  '%252e%252e',
  '..;',
  '..%00',
  '．．',
  '%c0%ae%c0%ae',
  '.%2e',
];
const TARGETS = ['etc/passwd', 'proc/self/environ', 'root/.ssh/id_rsa'];

const traversal = [
  ...DOTS,
  ...SEPARATORS,
  ...SEPARATORS.flatMap((separator) =>
    DOTS.slice(0, 3).map((dots) => `${dots}${separator}${dots}`),
  ),
  ...DOTS.flatMap((dots) => TARGETS.map((target) => `/tmp/${`${dots}/`.repeat(8)}${target}`)),
  ...TARGETS.flatMap((target) => [
    `/${target}`,
    `file:///${target}`,
    `\\\\?\\${target}`,
    `~/${target}`,
  ]),
  ...['/', '//', '/.', '/..', '/./', '/../', '/../..', '/.../', '/ ', '/*', '/?', '/#', '/;', '/~'],
  ...['/dev/null', '/dev/zero', '/dev/full', '/proc/1/mem', '/sys/power/state', '/proc/self/fd/0'],
  ...[
    'C:\\Windows\\win.ini',
    'C:/',
    '\\\\host\\share',
    'CON',
    'NUL',
    'aux.txt',
    'a:b',
    'a/b',
    '/a//b',
  ],
];

const encodings = [
  ...[
    '%',
    '%%',
    '%0',
    '%zz',
    '%00',
    '%0a',
    '%0d%0a',
    '%20',
    '%2',
    '%u0041',
    '%uff0e',
    '%ff',
    '%c3%28',
  ],
  ...['%e2%80%ae', '%f0%9f%98%80', '%25', '%2525', '%2500', '+', '%2B', '&amp;', '&#0;', '&#x2e;'],
  ...[
    '\\u002e',
    '\\x2e',
    '\\056',
    '\\n',
    '\\0',
    '\\',
    '\\\\',
    '=?utf-8?B?Li4=?=',
    'Li4vLi4=',
    '+AC4-',
  ],
  ...[
    '\ufeff',
    '\ufeffbox',
    'box\ufeff',
    '\u00a0',
    'box ',
    ' box',
    '\tbox',
    'box\t',
    ' ',
    '  ',
    'b ox',
  ],
];

const CONTROLS = [0, 1, 7, 8, 9, 10, 13, 26, 27, 31, 127, 133, 155];
const control = CONTROLS.flatMap((code) => {
  const character = String.fromCharCode(code);
  return [character, `a${character}`, `${character}a`, `a${character}b`, `/tmp/a${character}b`];
});

const lines = [
  ...['\r\n', '\n', '\r', '\n\r', '\u2028', '\u2029', '\u0085', '\v', '\f'].flatMap((end) => [
    `a${end}`,
    `a${end}b`,
    `a${end}x-injected: yes${end}${end}<html>`,
    `a${end}${end}HTTP/1.1 200 OK${end}content-length: 0${end}${end}`,
  ]),
  'a\r\nset-cookie: a=b',
  'a\r\n :status: 200',
  'a\0\r\nb',
];

const overLong = [
  ...LENGTHS.flatMap((length) => [
    'a'.repeat(length),
    `/${'a'.repeat(length - 1)}`,
    'é'.repeat(length),
  ]),
  '😀'.repeat(64),
  '😀'.repeat(65),
  'e\u0301'.repeat(200),
  'a'.repeat(LONG_BYTES),
  '/a'.repeat(LONG_BYTES / 2),
  `/${'../'.repeat(LONG_BYTES / 3)}`,
  '\0'.repeat(LONG_BYTES / 4),
  'ﷺ'.repeat(5000),
  `${'a'.repeat(LONG_BYTES / 2)}!`,
];

/** Every family by its name; no string stands in two. */
export const HOSTILE_STRINGS: ReadonlyMap<string, readonly string[]> = distinct([
  ['empty', ['']],
  ['traversal', traversal],
  ['encoding', encodings],
  ['control', control],
  ['line break', lines],
  ['over-long', overLong],
  ['unicode', unicode],
  ['number', numbers],
  ['word', words],
  ['injection', injection],
  ['address', addresses],
]);

function distinct(families: [name: string, strings: string[]][]): Map<string, string[]> {
  const seen = new Set<string>();
  const isNew = (text: string) => !seen.has(text) && seen.add(text).size > 0;
  return new Map(families.map(([name, strings]) => [name, strings.filter(isNew)]));
}
