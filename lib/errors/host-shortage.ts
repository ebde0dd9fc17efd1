/** Failures of a host that is short of something, or must not look: they say nothing about a file that it was to read. */
const SHORTAGES = new Set<unknown>(['EMFILE', 'ENFILE', 'ENOMEM', 'EACCES', 'EPERM']);

export function isHostShortage(error: unknown): boolean {
  return SHORTAGES.has((Object(error) as { code?: unknown }).code);
}
