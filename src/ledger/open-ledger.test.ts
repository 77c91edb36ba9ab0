import { ledgerContract } from "../../test/contracts/ledger.contract.ts";
import { onEveryStore } from "../../test/support/stores.ts";

onEveryStore("the books", ledgerContract);
