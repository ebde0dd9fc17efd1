/** A command on several objects: one after the other, a line for each. */
import type { JsonValue } from '@bufbuild/protobuf';
import type { WrennClient } from '../../clients/typescript/index.js';
import type { CommandContext } from '../command-context.js';
import { printLine } from '../io.js';
import { withClient } from '../session.js';

/** What is printed about one of them. */
export interface Printed {
  line: string;
  /** The HTTP API's answer, a line of its own under `--json`. */
  json: JsonValue;
}

/** Ends at the first that fails; what was printed before has been done. */
export async function forEach(
  { io, session: open }: CommandContext,
  ids: readonly string[],
  act: (client: WrennClient, id: string) => Promise<Printed>,
): Promise<void> {
  const session = open();
  await withClient(session, async (client) => {
    for (const id of ids) {
      const { line, json } = await act(client, id);
      printLine(io.stdout, session.json ? JSON.stringify(json) : line);
    }
  });
}
