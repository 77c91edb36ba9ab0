// What of Kysely the owners of tables use in their own files.

export { type Insertable, type Selectable, sql, type Transaction, type Updateable } from "kysely";
