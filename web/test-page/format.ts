/** Times, sizes and names for people. */

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

export function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < UNITS.length - 1; unit += 1) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

export function time(timestamp: string | undefined): string {
  return timestamp ? new Date(timestamp).toLocaleString() : '–';
}

/** `SANDBOX_STATE_RUNNING` without its prefix. */
export function enumName(value: string, prefix: string): string {
  return value.startsWith(prefix) ? value.slice(prefix.length) : value;
}

/** `a=1` on each line, as an object. @throws Error naming the line that is none. */
export function parsePairs(text: string): Record<string, string> {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return Object.fromEntries(
    lines.map((line) => {
      const separator = line.indexOf('=');
      if (separator < 1) throw new Error(`"${line}" is not name=value`);
      return [line.slice(0, separator).trim(), line.slice(separator + 1)];
    }),
  );
}

export function formatPairs(pairs: Record<string, string>): string {
  return Object.entries(pairs)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n');
}
