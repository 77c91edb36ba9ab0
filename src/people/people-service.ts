// People, groups and keys over the store. While PostgreSQL is away, what is in memory goes on to count, and changes are
// refused. How each change is checked is in user-, group- and key-changes.ts, how it is made in changes.ts.

import type { QuotaScope } from "../base/charge.ts";
import type { Clock } from "../base/clock.ts";
import type { Directory } from "../identity/directory.ts";
import { hashPassword as hashInPool } from "../identity/passwords.ts";
import type { SigningKeys } from "../identity/signing-keys.ts";
import { type Db, type Store, StoreError } from "../store/store.ts";
import { defaultBounds, type PeopleBounds } from "./bounds.ts";
import { type Change, createChanges } from "./changes.ts";
import { createGroupChanges } from "./group-changes.ts";
import { createKeyChanges } from "./key-changes.ts";
import { createKeyUses } from "./key-uses.ts";
import type { Actor, KeyView, People, UserDraft, UserView } from "./people.ts";
import { ensureRevisions, readRevisions } from "./revisions.ts";
import { createRevokedSessions } from "./revoked-sessions.ts";
import type { StoredKey } from "./rows.ts";
import { type EffectiveRights, Snapshot } from "./snapshot.ts";
import { type Account, toStaticUsers } from "./static-users.ts";
import { createFailureNotice, toRefusal } from "./store-failures.ts";
import { readAudit, readEverybody } from "./tables.ts";
import { createUserChanges } from "./user-changes.ts";

export interface PeopleService extends People {
  readonly directory: Directory;
  /** What counts for a user, its group's part included. */
  effectiveOf(user: UserView): EffectiveRights;
  /** Whether anybody can administer this gateway over the network. */
  hasAdmin(): boolean;
  /** As createUser; throws `conflict` when there is an administrator. */
  createFirstAdmin(account: { readonly name: string; readonly password: string }, actor: Actor): Promise<UserView>;
  /** Takes the configuration's users anew. Whoever is not among them any more is unknown at once. */
  replaceStatic(accounts: readonly Account[]): void;
  /** False: no call of that user, group or key will ever come, unless a new one gets its name. */
  mayCall(scope: ScopeName): boolean;
  /** Writes what is noted in memory, and looks for changes of others no more. */
  close(): Promise<void>;
}

export interface PeopleOptions {
  readonly store: Store;
  readonly staticUsers: readonly Account[];
  readonly signingKeys: SigningKeys;
  readonly clock: Clock;
  /** Told when the store fails, at most once a minute. */
  onStoreFailure(error: unknown): void;
  readonly bounds?: Partial<PeopleBounds>;
  /** Default: by Node's pool of threads. */
  readonly hashPassword?: (password: string) => Promise<string>;
  /** Awaited before a name is given that may have been another's. What it throws keeps the change from being made. */
  readonly beforeNaming?: (scope: ScopeName) => Promise<void>;
}

type ScopeName = Pick<QuotaScope, "kind" | "id">;

/** How often other processes' changes are looked for. */
const pollMs = 1_000;

/** Rejects with StoreError. The store is closed by whoever opened it, after this. */
export async function createPeople(options: PeopleOptions): Promise<PeopleService> {
  const { store, clock, beforeNaming = async () => {}, hashPassword = hashInPool } = options;
  const bounds = { ...defaultBounds, ...options.bounds };
  const onStoreFailure = createFailureNotice(clock, options.onStoreFailure);
  const snapshot = new Snapshot();
  const revision = await load();
  snapshot.setStatic(toStaticUsers(options.staticUsers, null, clock.wallNow()));

  const revoked = createRevokedSessions({ store, clock, onStoreFailure });
  let sessionsRevision = await loadSessions();
  const changes = createChanges({ store, clock, load, revision, onStoreFailure });
  const uses = createKeyUses({ store, clock, onWritten: noteUse, onStoreFailure });
  const users = createUserChanges(snapshot, clock, bounds.usersMax, hashPassword);
  const groups = createGroupChanges(snapshot, clock, bounds.groupsMax);
  const keys = createKeyChanges(snapshot, clock, bounds, options.signingKeys);

  /** Of the configuration's users, those that it no longer has included. */
  let newestTokensValidFrom = 0;
  let isClosed = false;
  let polling: Promise<void> = Promise.resolve();
  // A SQLite file belongs to one process.
  let cancelPoll = store.kind === "postgres" ? clock.after(pollMs, poll) : () => {};

  /** Returns the revision that was loaded. */
  async function load(): Promise<string> {
    await ensureRevisions(store.db);
    const { directory, everybody } = await readAtOnce(store, async (db) => ({
      directory: (await readRevisions(db)).directory,
      everybody: await readEverybody(db, { users: bounds.usersMax, groups: bounds.groupsMax, keys: bounds.keysMax }),
    }));
    requireBounded(everybody.users.length, bounds.usersMax, "users");
    requireBounded(everybody.groups.length, bounds.groupsMax, "groups");
    requireBounded(everybody.keys.length, bounds.keysMax, "API keys");
    snapshot.load(everybody.users, everybody.groups, everybody.keys);
    return directory;
  }

  async function loadSessions(): Promise<string> {
    const { sessions } = await readRevisions(store.db);
    await revoked.load();
    return sessions;
  }

  function poll(): void {
    polling = lookForChanges()
      .catch(onStoreFailure)
      .then(() => {
        if (!isClosed) cancelPoll = clock.after(pollMs, poll);
      });
  }

  async function lookForChanges(): Promise<void> {
    await changes.catchUp();
    const { sessions } = await readRevisions(store.db);
    if (sessions !== sessionsRevision) sessionsRevision = await loadSessions();
  }

  function noteUse(keyId: string, at: number): void {
    const key = snapshot.findKey(keyId);
    if (key) snapshot.setKey({ ...key, view: { ...key.view, lastUsedAt: at } });
  }

  function toView({ view }: StoredKey): KeyView {
    return uses.withLastUse(view);
  }

  async function planUser(draft: UserDraft, isFirstAdmin: boolean): Promise<Change<UserView>> {
    const change = await users.create(draft, isFirstAdmin);
    await beforeNaming({ kind: "user", id: draft.name });
    return change;
  }

  const directory: Directory = {
    findUser: (name) => snapshot.findUser(name, clock.wallNow()),
    listSecrets: () => snapshot.listSecrets(),
    findKeyCaller(hash) {
      const caller = snapshot.findKeyCaller(hash, clock.wallNow());
      if (typeof caller?.keyId === "string") uses.note(caller.keyId);
      return caller;
    },
    isRevoked: revoked.has,
    revoke: revoked.add,
  };

  return {
    directory,
    effectiveOf: (user) => snapshot.effectiveOf(user),
    hasAdmin: users.hasAdmin,
    createFirstAdmin: (account, actor) => changes.make(actor, () => planUser({ ...account, role: "admin" }, true)),
    replaceStatic(accounts) {
      const users = toStaticUsers(accounts, snapshot.staticUsers, clock.wallNow(), newestTokensValidFrom);
      for (const user of users.values()) newestTokensValidFrom = Math.max(newestTokensValidFrom, user.tokensValidFrom);
      snapshot.setStatic(users);
    },

    listUsers: () => snapshot.listUsers(),
    findUser: (name) => snapshot.findView(name),
    createUser: (draft, actor) => changes.make(actor, () => planUser(draft, false)),
    changeUser: (name, change, actor) => changes.make(actor, () => users.change(name, change)),
    removeUser: (name, actor) => changes.make(actor, () => users.remove(name)),

    listGroups: () => snapshot.listGroups(),
    findGroup: (name) => snapshot.findGroup(name),
    createGroup: (draft, actor) =>
      changes.make(actor, async () => {
        const change = groups.create(draft);
        await beforeNaming({ kind: "group", id: draft.name });
        return change;
      }),
    changeGroup: (name, change, actor) => changes.make(actor, () => groups.change(name, change)),
    removeGroup: (name, actor) => changes.make(actor, () => groups.remove(name)),

    listKeys: (owner) => snapshot.listKeys(owner).map(toView),
    findKey(id) {
      const key = snapshot.findKey(id);
      return key && toView(key);
    },
    createKey: (draft, actor) => changes.make(actor, () => keys.create(draft)),
    changeKey: async (id, change, actor) => uses.withLastUse(await changes.make(actor, () => keys.change(id, change))),
    rotateKey: (id, overlapMs, actor) => changes.make(actor, () => keys.rotate(id, overlapMs)),
    async revokeKey(id, actor) {
      const known = snapshot.findKey(id);
      if (known && known.view.revokedAt !== null) return toView(known);
      return uses.withLastUse(await changes.make(actor, () => keys.revoke(id)));
    },

    listAudit: (filter) =>
      readAudit(store.reads, filter).catch((error: unknown) => {
        onStoreFailure(error);
        throw toRefusal(error);
      }),

    mayCall({ kind, id }) {
      if (kind === "user") return snapshot.findView(id) !== undefined;
      if (kind === "group") return snapshot.findGroup(id) !== undefined;
      return snapshot.findKey(id)?.view.revokedAt === null;
    },

    async close() {
      isClosed = true;
      cancelPoll();
      await polling;
      cancelPoll();
      await changes.close();
      await uses.close();
      await revoked.close();
    },
  };
}

/** All of it as it was at one moment. */
function readAtOnce<Result>({ kind, db }: Store, read: (db: Db) => Promise<Result>): Promise<Result> {
  const transaction = db.transaction();
  return (kind === "postgres" ? transaction.setIsolationLevel("repeatable read") : transaction).execute(read);
}

/** Cutting some of them off would lock people out without a word. */
function requireBounded(count: number, max: number, noun: string): void {
  if (count > max) throw new StoreError("unsupported", `the database has more than ${max} ${noun}`);
}
