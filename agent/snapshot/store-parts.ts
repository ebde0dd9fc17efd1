/** What the pieces of the store share. */
import type { FaultPlan } from '../../lib/faults/fault-plan.js';
import type { Log } from '../../lib/log/log.js';
import type { FileOperations } from './file-operations.js';
import type { GenerationReader } from './generation-reader.js';
import type { GenerationTable } from './generation-table.js';
import type { Layout } from './layout.js';
import type { RefTable } from './ref-table.js';

export interface StoreParts {
  layout: Layout;
  files: FileOperations;
  refs: RefTable;
  table: GenerationTable;
  reader: GenerationReader;
  log: Log;
  faults: FaultPlan | undefined;
  /** Gives up a draft. */
  abandon(generationId: string): Promise<void>;
}
