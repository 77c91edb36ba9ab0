// Puts the table of clients into docs/clients.md, as the tests have it.

import { readFileSync, writeFileSync } from "node:fs";
import { clients } from "../test/clients/clients.ts";
import { formatTable } from "../test/clients/table.ts";

const file = new URL("../docs/clients.md", import.meta.url);
const text = readFileSync(file, "utf8");
const placed = text.replace(/(<!-- table: [^\n]*\n)[\s\S]*?(<!-- end -->)/, (_, begin: string, end: string) => {
  return `${begin}${formatTable(clients)}\n${end}`;
});
writeFileSync(file, placed);
