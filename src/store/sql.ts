// What of Kysely the owners of tables use in their own files.

export { type Insertable, type Selectable, type Transaction, sql, type Updateable } from "kysely";
