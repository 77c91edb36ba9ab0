// All of them, in the order of a call's life.

import type { Case } from "./case.ts";
import { admission } from "./cases/admission.ts";
import { bodies } from "./cases/bodies.ts";
import { identity } from "./cases/identity.ts";
import { ledger } from "./cases/ledger.ts";
import { scanner } from "./cases/scanner.ts";

export const cases: readonly Case[] = [...identity, ...bodies, ...ledger, ...admission, ...scanner];
