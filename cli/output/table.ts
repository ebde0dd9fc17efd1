/** How a table is laid out. */
interface TableLayout {
  /** The columns from this one on hold numbers, and are aligned to the right. */
  numbersFrom?: number;
  /** What separates columns. */
  gap?: string;
}

/** A table for people: a heading, then one line a row, columns aligned by blanks. */
export function formatTable(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  { numbersFrom = Number.POSITIVE_INFINITY, gap = '   ' }: TableLayout = {},
): string[] {
  const lines = [columns, ...rows];
  const widths = columns.map((_, index) =>
    Math.max(...lines.map((line) => line[index]?.length ?? 0)),
  );
  const pad = (cell: string, index: number) => {
    const width = widths[index] ?? 0;
    return index < numbersFrom ? cell.padEnd(width) : cell.padStart(width);
  };
  return lines.map((line) => line.map(pad).join(gap).trimEnd());
}
