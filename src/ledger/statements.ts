// Changes as SQL, for both databases. The texts are compiled once, since this is the way of every call.
//
//   intent: insert, unless the record is there already
//   final:  insert, or settle the record that is open or was given up as unknown; a settled one stays as it is
//
// So whatever is delivered twice, or late, leaves the same records.

import type { Statement, Store } from "../store/store.ts";
import { type Change, contentColumns, finalColumns, intentColumns, type Value } from "./change.ts";

/** In the order of the changes. */
export type ToStatements = (changes: readonly Change[]) => readonly Statement[];

/** What an intent has said for good. Not to be said again: the indexes of these columns stay as they are. */
const fixedColumns = new Set<string>([
  "id",
  "request_id",
  "instance",
  "user_name",
  "group_name",
  "key_id",
  "surface",
  "model",
  "is_stream",
  "arrived_at",
  "bytes_in",
]);

export function createToStatements({ db }: Pick<Store, "db">): ToStatements {
  const intent = toTemplate(
    db
      .insertInto("calls")
      .values(toPlaceholders(intentColumns) as never)
      .onConflict((conflict) => conflict.column("id").doNothing())
      .compile(),
    intentColumns.length,
  );
  const final = toTemplate(
    db
      .insertInto("calls")
      .values(toPlaceholders(finalColumns) as never)
      .onConflict((conflict) =>
        conflict
          .column("id")
          .doUpdateSet(
            ({ ref }) =>
              Object.fromEntries(
                finalColumns
                  .filter((column) => !fixedColumns.has(column))
                  .map((column) => [column, ref(`excluded.${column}` as "excluded.state")]),
              ) as never,
          )
          .where("calls.state", "in", ["open", "unknown"]),
      )
      .compile(),
    finalColumns.length,
  );
  const content = toTemplate(
    db
      .insertInto("call_contents")
      .values(toPlaceholders(contentColumns) as never)
      .onConflict((conflict) => conflict.column("call_id").doNothing())
      .compile(),
    contentColumns.length,
  );

  return (changes) => {
    const statements: Statement[] = [];
    for (const change of changes) {
      statements.push((change.kind === "intent" ? intent : final)(change.values));
      if (change.kind === "intent" || !change.content) continue;
      const { prompt, answer, storedAt } = change.content;
      statements.push(content([change.id, prompt, answer, storedAt]));
    }
    return statements;
  };
}

/** Parameters come in the order of the columns; what the condition adds behind them is always the same. */
function toTemplate({ sql, parameters }: Statement, columnCount: number): (values: readonly Value[]) => Statement {
  const rest = parameters.slice(columnCount);
  return rest.length === 0
    ? (values) => ({ sql, parameters: values })
    : (values) => ({ sql, parameters: [...values, ...rest] });
}

function toPlaceholders(columns: readonly string[]): Record<string, number> {
  return Object.fromEntries(columns.map((column) => [column, 0]));
}
