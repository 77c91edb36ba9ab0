// Prepared statements by their text, so that what is asked often is compiled once. Bounded: the one that was not used
// for the longest time goes first.

export interface StatementCache<Prepared> {
  get(sql: string): Prepared;
  readonly size: number;
}

export function createStatementCache<Prepared>(
  sizeMax: number,
  prepare: (sql: string) => Prepared,
): StatementCache<Prepared> {
  // A Map keeps its order of insertion: the first is the oldest.
  const statements = new Map<string, Prepared>();
  return {
    get(sql) {
      const statement = statements.get(sql) ?? prepare(sql);
      statements.delete(sql);
      if (statements.size >= sizeMax) for (const oldest of statements.keys().take(1)) statements.delete(oldest);
      statements.set(sql, statement);
      return statement;
    },
    get size() {
      return statements.size;
    },
  };
}
