import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DatabaseError } from "pg";
import { toStoreError as fromPostgres } from "./postgres-errors.ts";
import { toStoreError as fromSqlite } from "./sqlite-errors.ts";
import { StoreError } from "./store.ts";

function ofPostgres(code: string): DatabaseError {
  return Object.assign(new DatabaseError("it failed", 9, "error"), { code });
}

function kindOf(error: unknown): string {
  return error instanceof StoreError ? error.kind : "statement";
}

describe("what an error of PostgreSQL means", () => {
  for (const [code, kind] of [
    ["08006", "unavailable"],
    ["25006", "unavailable"],
    ["28P01", "unavailable"],
    ["3D000", "unavailable"],
    ["40001", "unavailable"],
    ["40P01", "unavailable"],
    ["42501", "unavailable"],
    ["53100", "full"],
    ["53300", "unavailable"],
    ["57014", "unavailable"],
    ["57P01", "unavailable"],
    ["57P03", "unavailable"],
    ["58030", "unavailable"],
    ["XX001", "broken"],
    ["22021", "statement"],
    ["23505", "statement"],
    ["42P01", "statement"],
  ] as const) {
    it(`${code}: ${kind}`, () => assert.equal(kindOf(fromPostgres(ofPostgres(code))), kind));
  }

  it("anything that is no answer of the server: unavailable, with its code where there are no words", () => {
    const refused = Object.assign(new AggregateError([]), { code: "ECONNREFUSED" });
    assert.equal((fromPostgres(refused) as Error).message, "cannot reach PostgreSQL: ECONNREFUSED");
    assert.equal(kindOf(fromPostgres(new Error("Connection terminated unexpectedly"))), "unavailable");
  });
});

describe("what an error of SQLite means", () => {
  for (const [errcode, kind] of [
    [5, "locked"],
    [261, "locked"], // SQLITE_BUSY_RECOVERY
    [8, "unavailable"],
    [10, "unavailable"],
    [1034, "unavailable"], // SQLITE_IOERR_FSYNC
    [11, "broken"],
    [13, "full"],
    [14, "unavailable"],
    [26, "broken"],
    [1, "statement"],
    [2067, "statement"], // SQLITE_CONSTRAINT_UNIQUE
  ] as const) {
    it(`${errcode}: ${kind}`, () => {
      assert.equal(kindOf(fromSqlite({ message: "m", errcode, code: "ERR_SQLITE_ERROR" }, "f")), kind);
    });
  }

  it("the file system's: full or unavailable, with the file", () => {
    const told = (code: string) => fromSqlite({ message: "it says so", errcode: 0, code }, "/data/f");
    assert.equal(kindOf(told("ENOSPC")), "full");
    assert.equal(kindOf(told("EDQUOT")), "full");
    assert.equal(told("EACCES").message, "cannot use /data/f: it says so");
    assert.equal(kindOf(told("ERR_INVALID_ARG_TYPE")), "statement");
    assert.equal(kindOf(told("")), "statement");
  });
});
