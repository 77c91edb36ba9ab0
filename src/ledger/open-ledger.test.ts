import { ledgerContract } from "../../test/contracts/ledger.contract.ts";
import { openStore } from "../store/open-store.ts";

ledgerContract("SQLite", () => openStore({ kind: "sqlite", file: ":memory:" }, { mayMigrate: true }));
