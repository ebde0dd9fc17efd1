import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { expect } from 'chai';
import { StartRequest, TerminalSize } from '../../gen/ts/wrenn/v1/process.js';
import { CreateSandboxRequest } from '../../gen/ts/wrenn/v1/sandbox.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { createRequestCheck, VIOLATIONS_MAX } from './validation.js';

const START = '/wrenn.v1.ProcessService/Start';
const CREATE = '/wrenn.v1.SandboxService/CreateSandbox';

describe('the check of requests', () => {
  const check = createRequestCheck();

  function refusal(path: string, bytes: Uint8Array): WrennError {
    try {
      check(path, bytes);
    } catch (error) {
      if (error instanceof WrennError) return error;
      throw error;
    }
    throw new Error('the request was not refused');
  }

  it('hands on a message that stands twice as it was checked, and not its last half', () => {
    const start = StartRequest.encode(
      StartRequest.fromPartial({ sandboxId: 'box', process: { cmd: 'sh' } }),
    ).finish();
    const halves = [
      { cols: 80, rows: 0 },
      { cols: 0, rows: 24 },
    ].map((size) => inProcess(7, TerminalSize.encode(size).finish()));
    const bytes = Buffer.concat([start, ...halves]);
    const { process } = StartRequest.decode(check(START, bytes));
    expect(process?.cmd).to.equal('sh');
    expect(process?.pty).to.deep.equal({ cols: 80, rows: 24 });
    const [half = Buffer.alloc(0)] = halves;
    expect(refusal(START, Buffer.concat([start, half])).violations).to.have.length(1);
  });

  it('names some of the fields that are wrong when there are very many', () => {
    const env = Object.fromEntries(Array.from({ length: 2000 }, (_, index) => [`=${index}`, '']));
    const bytes = CreateSandboxRequest.encode(CreateSandboxRequest.fromPartial({ env })).finish();
    const { code, violations } = refusal(CREATE, bytes);
    expect(code).to.equal(Code.INVALID_ARGUMENT);
    expect(violations).to.have.length(VIOLATIONS_MAX);
  });

  it('refuses what is no message', () => {
    for (const hex of ['0a', '0aff', '0b', '00', '0a02c328', 'ffffffffffffffffffffff']) {
      const { code, reason } = refusal(CREATE, Buffer.from(hex, 'hex'));
      expect([code, reason], hex).to.deep.equal([Code.INVALID_ARGUMENT, 'INVALID_REQUEST']);
    }
  });
});

/** A field of a StartRequest's process. */
function inProcess(number: number, content: Uint8Array): Buffer {
  const inner = new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(content).finish();
  return Buffer.from(new BinaryWriter().tag(2, WireType.LengthDelimited).bytes(inner).finish());
}
