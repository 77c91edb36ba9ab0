// Changes as SQL, for both databases. The texts are compiled once, since this is the way of every call.
//
//   intent: insert, unless the record is there already
//   sent:   insert, or note in the record that is open
//   final:  insert, or settle the record that is open or was given up as unknown; a settled one stays as it is
//
// So whatever is delivered twice, or late, leaves the same records.

import type { Statement, Store } from "../store/store.ts";
import { type Change, contentColumns, finalColumns, intentColumns, sentColumns, type Value } from "./change.ts";

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

/**
 * `rowsMax`: most rows of one statement. 1 is best where a statement costs nothing but its rows; beyond a network it
 * costs a way there and back.
 */
export function createToStatements({ db }: Pick<Store, "db">, rowsMax = 1): ToStatements {
  const toIntents = createTemplates(intentColumns.length, rowsMax, (rows) =>
    db
      .insertInto("calls")
      .values(toPlaceholders(intentColumns, rows) as never)
      .onConflict((conflict) => conflict.column("id").doNothing())
      .compile(),
  );
  const toSents = createUpserts(sentColumns, ["tries", "upstream_key", "granted_at", "sent_at"], ["open"]);
  const toFinals = createUpserts(
    finalColumns,
    finalColumns.filter((column) => !fixedColumns.has(column)),
    ["open", "unknown"],
  );
  const toContents = createTemplates(contentColumns.length, rowsMax, (rows) =>
    db
      .insertInto("call_contents")
      .values(toPlaceholders(contentColumns, rows) as never)
      .onConflict((conflict) => conflict.column("call_id").doNothing())
      .compile(),
  );

  /** Sets the `changed` columns of a record that is in one of the states. */
  function createUpserts(columns: readonly string[], changed: readonly string[], states: readonly string[]) {
    return createTemplates(columns.length, rowsMax, (rows) =>
      db
        .insertInto("calls")
        .values(toPlaceholders(columns, rows) as never)
        .onConflict((conflict) =>
          conflict
            .column("id")
            .doUpdateSet(
              ({ ref }) =>
                Object.fromEntries(
                  changed.map((column) => [column, ref(`excluded.${column}` as "excluded.state")]),
                ) as never,
            )
            .where("calls.state", "in", states),
        )
        .compile(),
    );
  }

  return (changes) => {
    const intents: (readonly Value[])[] = [];
    const sents: (readonly Value[])[] = [];
    const finals: (readonly Value[])[] = [];
    const contents: (readonly Value[])[] = [];
    for (const change of rowsMax === 1 ? changes : mergeChanges(changes)) {
      if (change.kind === "intent") intents.push(change.values);
      else if (change.kind === "sent") sents.push(change.values);
      else finals.push(change.values);
      if (change.kind !== "final" || !change.content) continue;
      const { prompt, answer, storedAt } = change.content;
      contents.push([change.id, prompt, answer, storedAt]);
    }
    return [...toIntents(intents), ...toSents(sents), ...toFinals(finals), ...toContents(contents)];
  };
}

/** What comes later says all that was said before; and one statement can't settle the same record twice. */
function mergeChanges(changes: readonly Change[]): Iterable<Change> {
  const merged = new Map<string, Change>();
  for (const change of changes) if (merged.get(change.id)?.kind !== "final") merged.set(change.id, change);
  return merged.values();
}

/** Statements of `rowsMax` rows as long as there are so many, then of one. */
function createTemplates(
  columnCount: number,
  rowsMax: number,
  compile: (rows: number) => Statement,
): (rows: readonly (readonly Value[])[]) => Statement[] {
  const one = toTemplate(compile(1), columnCount);
  const many = rowsMax === 1 ? one : toTemplate(compile(rowsMax), columnCount * rowsMax);
  return (rows) => {
    const statements: Statement[] = [];
    let done = 0;
    if (rowsMax > 1) {
      for (; done + rowsMax <= rows.length; done += rowsMax)
        statements.push(many(rows.slice(done, done + rowsMax).flat()));
    }
    for (; done < rows.length; done++) statements.push(one(rows[done] as readonly Value[]));
    return statements;
  };
}

/** Parameters come in the order of the columns; what the condition adds behind them is always the same. */
function toTemplate({ sql, parameters }: Statement, valueCount: number): (values: readonly Value[]) => Statement {
  const rest = parameters.slice(valueCount);
  return rest.length === 0
    ? (values) => ({ sql, parameters: values })
    : (values) => ({ sql, parameters: [...values, ...rest] });
}

function toPlaceholders(columns: readonly string[], rows: number): Record<string, number>[] {
  return Array.from({ length: rows }, () => Object.fromEntries(columns.map((column) => [column, 0])));
}
