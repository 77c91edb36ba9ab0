import { peopleContract } from "../../test/contracts/people.contract.ts";
import { onEveryStore } from "../../test/support/stores.ts";

onEveryStore("people", peopleContract);
