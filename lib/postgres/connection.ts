/** Where a Postgres is: a URL that the operator gave, or the socket of the embedded one. */
export type PostgresConnection =
  | { connectionString: string }
  | { host: string; port: number; user: string; database: string };
