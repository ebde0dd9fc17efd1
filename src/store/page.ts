/** Pages by key: rows that come or go between two pages neither repeat nor hide others. */
import type { Knex } from 'knex';

/** Where a page ended. */
export interface PageKey {
  createdAt: Date;
  id: string;
}

export interface PageRequest {
  size: number;
  after?: PageKey | undefined;
}

export interface Page<T> {
  items: T[];
  /** Where the next page starts; undefined on the last one. */
  next: PageKey | undefined;
}

/** Reads one page of a query over a table with `created_at` and `id`, newest first. */
export async function readPage<Row extends { created_at: Date; id: string }, T>(
  query: Knex.QueryBuilder,
  request: PageRequest,
  toItem: (row: Row) => T,
): Promise<Page<T>> {
  const { size, after } = request;
  if (after) void query.whereRaw('(created_at, id) < (?, ?)', [after.createdAt, after.id]);
  const rows: Row[] = await query
    .orderBy([
      { column: 'created_at', order: 'desc' },
      { column: 'id', order: 'desc' },
    ])
    .limit(size + 1);
  const last = rows.length > size ? rows[size - 1] : undefined;
  return {
    items: rows.slice(0, size).map(toItem),
    next: last && { createdAt: last.created_at, id: last.id },
  };
}
