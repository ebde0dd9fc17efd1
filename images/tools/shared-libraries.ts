/** Which shared libraries a program loads, its loader among them: reads what ldd prints. */
import { requirement, runStep } from '../failure.js';

/** Absolute paths of the libraries; empty for a static program. */
export async function sharedLibraries(programPath: string): Promise<string[]> {
  const { stdout } = await runStep('reading which libraries Node needs', 'ldd', [programPath]);
  return parseLibraries(stdout);
}

/**
 * Reads the output of ldd:
 *
 *     linux-vdso.so.1 (0x00007ffc…)                          the kernel's own, no file
 *     libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x…)
 *     /lib64/ld-linux-x86-64.so.2 (0x…)                      the loader
 *
 * @throws WrennError HOST_REQUIREMENT when a library is missing on the host.
 */
export function parseLibraries(text: string): string[] {
  const missing = /^\s*(\S+) => not found$/m.exec(text)?.[1];
  if (missing)
    throw requirement(`this machine's Node needs the library ${missing}, which is missing`);
  return [...text.matchAll(/^\s*(?:\S+ => )?(\/\S+) \(0x[0-9a-f]+\)$/gm)].map(
    ([, path = '']) => path,
  );
}
