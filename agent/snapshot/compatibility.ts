/** Whether a machine can be restored here. */
import { Code, WrennError } from '../../lib/errors/index.js';
import type { GenerationManifest, RequiredMachine } from './generation.js';

/** In the order in which a difference is told. */
const PROPERTIES: { [Name in keyof RequiredMachine]: string } = {
  driver: 'driver',
  accelerator: 'accelerator',
  vmmVersion: 'VMM version',
  cpuModel: 'CPU model',
  deviceLayout: 'device layout',
};

/**
 * @throws WrennError SNAPSHOT_INCOMPATIBLE with the first difference in its metadata `property`,
 *   `wanted` and `present`.
 */
export function requireCompatible(
  { machine }: Pick<GenerationManifest, 'machine'>,
  present: RequiredMachine,
): void {
  for (const property of Object.keys(PROPERTIES) as (keyof RequiredMachine)[]) {
    if (machine[property] === present[property]) continue;
    throw incompatible(property, machine[property], present[property]);
  }
}

function incompatible(
  property: keyof RequiredMachine,
  wanted: string,
  present: string,
): WrennError {
  return new WrennError(
    Code.FAILED_PRECONDITION,
    'SNAPSHOT_INCOMPATIBLE',
    `the snapshot needs ${PROPERTIES[property]} ${wanted}, and this host has ${present}`,
    { metadata: { property, wanted, present } },
  );
}
