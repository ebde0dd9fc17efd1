import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { ErrorReason } from '../../gen/ts/wrenn/v1/errors.js';
import { Code, type Reason, WrennError } from '../../lib/errors/index.js';
import { packageRoot } from '../../lib/files/package-root.js';
import { GUEST_FAILURES, guestFailure } from '../../lib/guest/guest-failure.js';
import { fromAgentError } from '../hosts/agent-errors.js';
import { httpStatusOf } from './http-status.js';
import * as limits from './limits.js';

interface Row {
  codes: string[];
  statuses: number[];
  meaning: string;
  advice: string;
}

const DOCUMENT = readFileSync(join(packageRoot(), 'docs', 'errors.md'), 'utf8');
const ROWS = readRows(DOCUMENT);
const REASONS = Object.keys(ErrorReason)
  .filter((name) => name.startsWith('ERROR_REASON_'))
  .map((name) => name.slice('ERROR_REASON_'.length) as Reason);
const CODES = Object.values(Code).filter((code): code is Code => typeof code === 'number');

/** The table of reasons: name to what the document says of it. */
function readRows(document: string): Map<string, Row> {
  const lines = document.matchAll(/^\| `([A-Z_]+)` \| (.*) \| (.*) \| (.*) \| (.*) \|$/gm);
  return new Map(
    [...lines].map(([, reason = '', codes = '', statuses = '', meaning = '', advice = '']) => [
      reason,
      { codes: codes.split(', '), statuses: statuses.split(', ').map(Number), meaning, advice },
    ]),
  );
}

/** Every `Code.X, 'REASON'` in the sources of a folder, but for tests. */
function thrownIn(folder: string): { file: string; code: string; reason: string }[] {
  const files = readdirSync(join(packageRoot(), folder), { recursive: true, encoding: 'utf8' });
  return files
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .flatMap((file) => {
      const source = readFileSync(join(packageRoot(), folder, file), 'utf8');
      const found = source.matchAll(/Code\.([A-Z_]+),\s*'([A-Z_]+)'/g);
      return [...found].map(([, code = '', reason = '']) => ({ file, code, reason }));
    });
}

function expectDocumented(code: Code, reason: Reason): void {
  expect(ROWS.get(reason)?.codes, reason).to.include(Code[code]);
}

describe('httpStatusOf', () => {
  it('maps every code to an error status', () => {
    for (const code of CODES.filter((each) => each !== Code.OK)) {
      expect(httpStatusOf(code, 'UNSPECIFIED'), Code[code]).to.be.within(400, 599);
    }
  });

  it('takes a code that it does not know for a fault of ours', () => {
    expect(httpStatusOf(99, 'UNSPECIFIED')).to.equal(500);
  });

  it('lets a reason decide where HTTP has a status of its own', () => {
    expect(httpStatusOf(Code.RESOURCE_EXHAUSTED, 'BODY_TOO_LARGE')).to.equal(413);
    expect(httpStatusOf(Code.RESOURCE_EXHAUSTED, 'GUEST_DISK_FULL')).to.equal(507);
    expect(httpStatusOf(Code.RESOURCE_EXHAUSTED, 'OVERLOADED')).to.equal(429);
  });
});

describe('docs/errors.md', () => {
  for (const reason of REASONS) {
    it(`explains ${reason}`, () => {
      const row = ROWS.get(reason);
      expect(row?.meaning).to.match(/\w.*\.$/);
      expect(row?.advice).to.match(/\w.*\.$/);
      const statuses = row?.codes.map((name) =>
        httpStatusOf(Code[name as keyof typeof Code], reason),
      );
      expect(row?.statuses).to.deep.equal([...new Set(statuses)]);
    });
  }

  it('explains no reason that there is not', () => {
    expect([...ROWS.keys()].filter((reason) => !REASONS.includes(reason as Reason))).to.deep.equal(
      [],
    );
  });

  it('has the code of every error that the control plane throws', () => {
    const thrown = [...thrownIn('src'), ...thrownIn('lib')];
    expect(thrown.length).to.be.greaterThan(20);
    const missing = thrown.filter(({ code, reason }) => !ROWS.get(reason)?.codes.includes(code));
    expect(missing).to.deep.equal([]);
  });

  it('has the code of every failure of a guest', () => {
    for (const name of GUEST_FAILURES) {
      const { code, reason } = guestFailure(name);
      expectDocumented(code, reason);
    }
  });

  it('has the code of whatever an agent makes a caller see', () => {
    for (const reason of REASONS) {
      for (const code of CODES) {
        const seen = fromAgentError(new WrennError(code, reason, 'x'));
        expectDocumented(seen.code, seen.reason);
      }
    }
  });

  it('states the limits as they are', () => {
    const { DEFAULT_LIMITS } = limits;
    const stated = [
      `| message | ${limits.MESSAGE_BYTES_MAX} bytes |`,
      `| JSON body | ${DEFAULT_LIMITS.jsonBodyBytesMax} bytes |`,
      `| JSON body of a method with a bytes field | ${DEFAULT_LIMITS.jsonBodyWithBytesMax} bytes |`,
      `| form | ${DEFAULT_LIMITS.formBodyBytesMax} bytes |`,
      `| header fields | ${limits.HEADER_PAIRS_MAX} |`,
      `| request line and headers | ${limits.HEADER_BYTES_MAX} bytes |`,
      `| time for headers | ${DEFAULT_LIMITS.headersTimeoutMs / 1000} s |`,
      `| fields of a form before its file | ${limits.FORM_FIELDS_BYTES_MAX} bytes |`,
      `| time for a whole body, or the fields of a form before its file | ${DEFAULT_LIMITS.requestTimeoutMs / 1000} s |`,
      `| time without progress of an upload | ${DEFAULT_LIMITS.uploadStallTimeoutMs / 1000} s |`,
      `| time to take an answer | ${DEFAULT_LIMITS.answerTimeoutMs / 1000} s |`,
      `| time to take some of a stream | ${DEFAULT_LIMITS.streamStallTimeoutMs / 1000} s |`,
      `| requests at once | ${DEFAULT_LIMITS.requestsMax} |`,
      `| streams at once | ${DEFAULT_LIMITS.streamsMax} |`,
      `| connections at once | ${DEFAULT_LIMITS.connectionsMax} |`,
      `a comment every\n  ${DEFAULT_LIMITS.streamQuietMs / 1000} s`,
      `no message for ${DEFAULT_LIMITS.streamQuietMs / 1000} s`,
      `more than ${limits.JSON_DEPTH_MAX} deep`,
    ];
    for (const statement of stated) expect(DOCUMENT).to.contain(statement);
  });
});
