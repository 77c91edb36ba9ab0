// The local spool in front of PostgreSQL: a small SQLite file in the data folder, durable like any store. Records go in
// here at once and leave when PostgreSQL has committed them, in order.

import { openSqliteThread } from "../store/sqlite-thread.ts";
import { StoreError } from "../store/store.ts";
import { type Change, type Content, finalColumns, intentColumns, sentColumns, type Value } from "./change.ts";

export interface Spool {
  /** Of this data folder, for good: several gateways may share one PostgreSQL. */
  readonly instance: string;
  /** Changes that wait, without those that PostgreSQL refuses for themselves. */
  readonly count: number;
  readonly bytes: number;
  /** Durable when it resolves. Rejects with StoreError, of kind `full` beyond the bound. */
  append(changes: readonly Change[]): Promise<void>;
  /** The oldest. */
  read(max: number): Promise<readonly SpooledChange[]>;
  remove(spooled: readonly SpooledChange[]): Promise<void>;
  /** Keeps it, but out of the way of the others: it is tried again at the next start. */
  setAside(spooled: SpooledChange): Promise<void>;
  close(): Promise<void>;
}

export interface SpooledChange {
  readonly seq: number;
  readonly bytes: number;
  /** Null: it can't be read. */
  readonly change: Change | null;
}

export interface SpoolOptions {
  readonly file: string;
  readonly bytesMax: number;
  /** Used when the file is new. */
  readonly newInstance: string;
}

const columnsByKind = { intent: intentColumns, sent: sentColumns, final: finalColumns } as const;

const tables = [
  `create table if not exists spool (
    seq integer primary key autoincrement, statement text not null, is_refused integer not null default 0
  )`,
  "create table if not exists meta (name text primary key not null, value text not null)",
];

/** Rejects with StoreError. */
export async function openSpool({ file, bytesMax, newInstance }: SpoolOptions): Promise<Spool> {
  const thread = await openSqliteThread({ file, role: "writer" });
  const run = async (sql: string, ...parameters: Value[]) =>
    ((await thread.ask({ kind: "run", isInside: false, sql, parameters })).rows ?? []) as Record<string, Value>[];
  const batch = (sql: string, rows: Value[][]) => thread.ask({ kind: "batch", runs: [{ sql, rows }] });

  let count = 0;
  let bytes = 0;
  /** A write failed, and nobody knows whether it was one. */
  let isUncertain = false;

  async function recount(): Promise<void> {
    isUncertain = false;
    const [sums] = await run(
      `select coalesce(sum(is_refused = 0), 0) as count,
        coalesce(sum(length(cast(statement as blob))), 0) as bytes from spool`,
    );
    count = Number(sums?.count);
    bytes = Number(sums?.bytes);
  }

  async function load(): Promise<string> {
    for (const sql of tables) await run(sql);
    await run("pragma wal_checkpoint(truncate)");
    await run("insert into meta values ('instance', ?) on conflict do nothing", newInstance);
    await run("update spool set is_refused = 0 where is_refused = 1");
    await recount();
    const [named] = await run("select value from meta where name = 'instance'");
    return String(named?.value);
  }

  async function insert(texts: readonly string[]): Promise<void> {
    try {
      await batch(
        "insert into spool (statement) values (?)",
        texts.map((text) => [text]),
      );
    } catch (error) {
      isUncertain = true;
      throw error;
    }
  }

  let instance: string;
  try {
    instance = await load();
  } catch (error) {
    await thread.close();
    throw error;
  }

  return {
    instance,
    get count() {
      return count;
    },
    get bytes() {
      return bytes;
    },
    async append(changes) {
      if (isUncertain) await recount();
      const texts = changes.map(toText);
      const newBytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
      if (bytes + newBytes > bytesMax) {
        throw new StoreError("full", `the spool ${file} has reached its ${bytesMax} bytes: PostgreSQL takes nothing`);
      }
      await insert(texts);
      count += texts.length;
      bytes += newBytes;
    },
    async read(max) {
      if (isUncertain) await recount();
      const rows = await run("select seq, statement from spool where is_refused = 0 order by seq limit ?", max);
      return rows.map(({ seq, statement }) => ({
        seq: Number(seq),
        bytes: Buffer.byteLength(String(statement)),
        change: parseText(String(statement)),
      }));
    },
    async remove(spooled) {
      await batch(
        "delete from spool where seq = ?",
        spooled.map(({ seq }) => [seq]),
      );
      count -= spooled.length;
      for (const removed of spooled) bytes -= removed.bytes;
    },
    async setAside({ seq }) {
      await run("update spool set is_refused = 1 where seq = ?", seq);
      count--;
    },
    close: () => thread.close(),
  };
}

/** By the columns' names, so that a later version can read it. */
function toText(change: Change): string {
  const row = Object.fromEntries(columnsByKind[change.kind].map((column, index) => [column, change.values[index]]));
  return JSON.stringify({ ...change, id: undefined, values: undefined, row });
}

function parseText(text: string): Change | null {
  try {
    const {
      kind,
      row,
      content = null,
    } = JSON.parse(text) as {
      kind: unknown;
      row: Record<string, Value>;
      content?: Content | null;
    };
    const toValues = (columns: readonly string[]) => columns.map((column) => row[column] ?? null);
    const id = String(row.id);
    if (kind === "intent" || kind === "sent") return { kind, id, values: toValues(columnsByKind[kind]) };
    return kind === "final" ? { kind, id, values: toValues(finalColumns), content } : null;
  } catch {
    return null;
  }
}
