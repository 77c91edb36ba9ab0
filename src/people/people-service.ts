// People, groups and keys over the store. A change is checked against what is in memory, written with its audit record
// in one transaction, and only then in effect; one at a time. While PostgreSQL is away, what is in memory goes on to
// count, and changes are refused.

import type { Clock } from "../base/clock.ts";
import { Refusal } from "../base/refusal.ts";
import { createUuid7 } from "../base/uuid7.ts";
import { makeApiKey } from "../identity/api-keys.ts";
import type { Directory } from "../identity/directory.ts";
import { hashPassword } from "../identity/passwords.ts";
import type { Tables } from "../store/schema.ts";
import type { Transaction } from "../store/sql.ts";
import type { Store } from "../store/store.ts";
import {
  bad,
  checkClass,
  checkExpiry,
  checkKeyName,
  checkLimits,
  checkModels,
  checkName,
  checkPassword,
  checkWeight,
} from "./checks.ts";
import { createKeyUses } from "./key-uses.ts";
import type {
  Actor,
  GroupChange,
  GroupDraft,
  KeyChange,
  KeyDraft,
  KeyView,
  NewKey,
  People,
  UserChange,
  UserDraft,
  UserView,
} from "./people.ts";
import { createRevokedSessions } from "./revoked-sessions.ts";
import {
  type AuditNote,
  type StoredGroup,
  type StoredKey,
  type StoredUser,
  toAuditEntry,
  toAuditRow,
  toGroupRow,
  toKeyRow,
  toStoredGroup,
  toStoredKey,
  toStoredUser,
  toUserRow,
} from "./rows.ts";
import { Snapshot } from "./snapshot.ts";
import { type Account, toStaticUsers } from "./static-users.ts";

export interface PeopleService extends People {
  readonly directory: Directory;
  /** What counts for a user, its group's part included. */
  effectiveOf(user: UserView): ReturnType<Snapshot["effectiveOf"]>;
  /** Whether anybody can administer this gateway over the network. */
  hasAdmin(): boolean;
  /** Takes the configuration's users anew. */
  replaceStatic(accounts: readonly Account[]): void;
  /** Writes what is noted in memory, and looks for changes of others no more. */
  close(): Promise<void>;
}

export interface PeopleOptions {
  readonly store: Store;
  readonly staticUsers: readonly Account[];
  readonly clock: Clock;
  /** Told when the store fails, at most once a minute. */
  onStoreFailure(error: unknown): void;
  readonly bounds?: PeopleBounds;
}

export interface PeopleBounds {
  readonly usersMax: number;
  readonly groupsMax: number;
  readonly keysMax: number;
}

const defaultBounds: PeopleBounds = { usersMax: 100_000, groupsMax: 10_000, keysMax: 200_000 };
const overlapMsMax = 30 * 24 * 3_600_000;
/** How often other processes' changes are looked for. */
const pollMs = 1_000;
const failureQuietMs = 60_000;
const revisionName = "directory_revision";

/** Rejects with StoreError. */
export async function createPeople(options: PeopleOptions): Promise<PeopleService> {
  const { store, clock, bounds = defaultBounds } = options;
  const snapshot = new Snapshot();
  let revision = await load();
  snapshot.setStatic(toStaticUsers(options.staticUsers, new Map(), clock.wallNow()));
  const revoked = await createRevokedSessions(store, clock);
  const uses = createKeyUses(store, clock, noteFailure);
  let last: Promise<unknown> = Promise.resolve();
  let failureToldAt = Number.NEGATIVE_INFINITY;
  let isClosed = false;
  let cancelPoll = store.kind === "postgres" ? clock.after(pollMs, poll) : () => {};

  /** Returns the revision that was loaded. */
  async function load(): Promise<string> {
    const { db } = store;
    const meta = await db.selectFrom("meta").select("value").where("name", "=", revisionName).executeTakeFirst();
    const users = await db.selectFrom("users").selectAll().limit(bounds.usersMax).execute();
    const groups = await db.selectFrom("groups").selectAll().limit(bounds.groupsMax).execute();
    const keys = await db.selectFrom("api_keys").selectAll().orderBy("id").limit(bounds.keysMax).execute();
    snapshot.load(users.map(toStoredUser), groups.map(toStoredGroup), keys.map(toStoredKey));
    return meta?.value ?? "0";
  }

  async function poll(): Promise<void> {
    try {
      const { db } = store;
      const meta = await db.selectFrom("meta").select("value").where("name", "=", revisionName).executeTakeFirst();
      if ((meta?.value ?? "0") !== revision) {
        await inTurn(async () => {
          revision = await load();
          await revoked.load();
        });
      }
    } catch (error) {
      noteFailure(error);
    }
    if (!isClosed) cancelPoll = clock.after(pollMs, poll);
  }

  function noteFailure(error: unknown): void {
    if (clock.now() - failureToldAt < failureQuietMs) return;
    failureToldAt = clock.now();
    options.onStoreFailure(error);
  }

  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = last.then(work);
    last = done.catch(() => {});
    return done;
  }

  /** `plan` checks against what is in memory and says what to write; what it returns is in effect when that is durable. */
  function change<Result>(actor: Actor, plan: () => Plan<Result> | Promise<Plan<Result>>): Promise<Result> {
    return inTurn(async () => {
      const { write, note, apply } = await plan();
      const next = createUuid7(clock.wallNow());
      await store.db
        .transaction()
        .execute(async (transaction) => {
          await write(transaction);
          await transaction.insertInto("audit").values(toAuditRow(note, actor, Math.round(clock.wallNow()))).execute();
          await transaction
            .insertInto("meta")
            .values({ name: revisionName, value: next })
            .onConflict((conflict) => conflict.column("name").doUpdateSet({ value: next }))
            .execute();
        })
        .catch((error: unknown) => {
          throw toRefusal(error);
        });
      revision = next;
      const result = apply();
      snapshot.forgetDerived();
      return result;
    });
  }

  function toRefusal(error: unknown): unknown {
    if (error instanceof Refusal) return error;
    // Another process was faster (PostgreSQL's unique_violation and foreign_key_violation).
    const { code } = error as { code?: unknown };
    if (code === "23505" || code === "23503") return new Refusal("conflict", { detail: "somebody else just changed it" });
    noteFailure(error);
    return new Refusal("store_unavailable", { retryAfterMs: 2_000 }, error);
  }

  const nowMs = () => Math.round(clock.wallNow());
  /** Tokens are dated up to a second ahead; from the second after that on, they are of the new state. */
  const voidTokens = () => Math.ceil(clock.wallNow() / 1_000) + 1;

  // Users

  function requireStored(name: string): StoredUser {
    if (snapshot.staticUsers.has(name)) throw new Refusal("read_only_object", { detail: `the user ${name}` });
    const user = snapshot.users.get(name);
    if (!user) throw new Refusal("unknown_object", { detail: `there is no user ${name}` });
    return user;
  }

  async function checkUser(name: string, draft: UserChange): Promise<string | null> {
    checkWeight(draft.weight);
    checkClass(draft.class);
    checkLimits(draft.limits);
    checkExpiry(draft.expiresAt, clock.wallNow());
    if (draft.group !== undefined && draft.group !== null && !snapshot.groups.has(draft.group)) {
      throw bad("group", `there is no group ${draft.group}`);
    }
    if (draft.password === undefined || draft.password === null) return null;
    checkPassword(draft.password, name);
    return hashPassword(draft.password);
  }

  function createUser(draft: UserDraft, actor: Actor): Promise<UserView> {
    return change(actor, async () => {
      const { name } = draft;
      checkName(name);
      if (snapshot.findView(name)) throw new Refusal("conflict", { detail: `there is a user ${name} already` });
      requireRoom(snapshot.users.size, bounds.usersMax, "users");
      const passwordHash = await checkUser(name, draft);
      const at = nowMs();
      const view: UserView = {
        name,
        source: "store",
        role: draft.role ?? "user",
        group: draft.group ?? null,
        weight: draft.weight ?? null,
        class: draft.class ?? null,
        limits: draft.limits ?? {},
        isEnabled: draft.isEnabled ?? true,
        expiresAt: draft.expiresAt ?? null,
        hasPassword: passwordHash !== null,
        createdAt: at,
        updatedAt: at,
      };
      const user: StoredUser = { view, passwordHash, tokensValidFrom: voidTokens() };
      return {
        write: (transaction) => transaction.insertInto("users").values(toUserRow(user)).execute(),
        note: { action: "user.create", target: name, before: null, after: view },
        apply() {
          snapshot.users.set(name, user);
          return view;
        },
      };
    });
  }

  function changeUser(name: string, draft: UserChange, actor: Actor): Promise<UserView> {
    return change(actor, async () => {
      const before = requireStored(name);
      const newHash = await checkUser(name, draft);
      const { password, ...fields } = draft;
      const passwordHash = password === undefined ? before.passwordHash : newHash;
      const view: UserView = {
        ...before.view,
        ...withoutUndefined(fields),
        hasPassword: passwordHash !== null,
        updatedAt: nowMs(),
      };
      requireAnAdminLeft(before.view, view);
      const isWeaker = (before.view.role === "admin" && view.role !== "admin") || !view.isEnabled;
      const isVoid = password !== undefined || isWeaker;
      const user: StoredUser = {
        view,
        passwordHash,
        tokensValidFrom: isVoid ? voidTokens() : before.tokensValidFrom,
      };
      const { name: _name, created_at: _createdAt, ...row } = toUserRow(user);
      return {
        write: (transaction) => transaction.updateTable("users").set(row).where("name", "=", name).execute(),
        note: {
          action: "user.change",
          target: name,
          before: before.view,
          after: password === undefined ? view : { ...view, password: "changed" },
        },
        apply() {
          snapshot.users.set(name, user);
          return view;
        },
      };
    });
  }

  function removeUser(name: string, actor: Actor): Promise<void> {
    return change(actor, () => {
      const { view } = requireStored(name);
      requireAnAdminLeft(view, null);
      const keyIds = listKeys(name).map(({ id }) => id);
      return {
        async write(transaction) {
          await transaction.deleteFrom("api_keys").where("owner", "=", name).execute();
          await transaction.deleteFrom("users").where("name", "=", name).execute();
        },
        note: { action: "user.remove", target: name, before: { ...view, keys: keyIds.length }, after: null },
        apply() {
          snapshot.users.delete(name);
          for (const id of keyIds) snapshot.removeKey(id);
        },
      };
    });
  }

  /** Who may come in tomorrow if nobody may administer? The machine's operator alone: better not by accident. */
  function requireAnAdminLeft(before: UserView, after: UserView | null): void {
    if (!isAdmin(before) || (after !== null && isAdmin(after))) return;
    const others = [...snapshot.users.values(), ...snapshot.staticUsers.values()];
    if (others.some(({ view }) => view.name !== before.name && isAdmin(view))) return;
    throw new Refusal("conflict", { detail: `${before.name} is the last administrator: make another one first` });
  }

  function isAdmin({ role, isEnabled, expiresAt }: UserView): boolean {
    return role === "admin" && isEnabled && (expiresAt === null || expiresAt > clock.wallNow());
  }

  // Groups

  function requireGroup(name: string): StoredGroup {
    const group = snapshot.groups.get(name);
    if (!group) throw new Refusal("unknown_object", { detail: `there is no group ${name}` });
    return group;
  }

  function checkGroup(draft: GroupChange): void {
    checkWeight(draft.weight);
    checkClass(draft.class);
    checkLimits(draft.limits);
    checkLimits(draft.memberLimits, "member_limits");
  }

  function saveGroup(group: StoredGroup): ReturnType<Snapshot["toGroupView"]> {
    snapshot.groups.set(group.name, group);
    return snapshot.toGroupView(group);
  }

  function createGroup(draft: GroupDraft, actor: Actor) {
    return change(actor, () => {
      const { name } = draft;
      checkName(name);
      checkGroup(draft);
      if (snapshot.groups.has(name)) throw new Refusal("conflict", { detail: `there is a group ${name} already` });
      requireRoom(snapshot.groups.size, bounds.groupsMax, "groups");
      const at = nowMs();
      const group: StoredGroup = {
        name,
        weight: draft.weight ?? null,
        class: draft.class ?? null,
        limits: draft.limits ?? {},
        memberLimits: draft.memberLimits ?? {},
        createdAt: at,
        updatedAt: at,
      };
      return {
        write: (transaction) => transaction.insertInto("groups").values(toGroupRow(group)).execute(),
        note: { action: "group.create", target: name, before: null, after: group },
        apply: () => saveGroup(group),
      };
    });
  }

  function changeGroup(name: string, draft: GroupChange, actor: Actor) {
    return change(actor, () => {
      const before = requireGroup(name);
      checkGroup(draft);
      const group: StoredGroup = { ...before, ...withoutUndefined(draft), updatedAt: nowMs() };
      const { name: _name, created_at: _createdAt, ...row } = toGroupRow(group);
      return {
        write: (transaction) => transaction.updateTable("groups").set(row).where("name", "=", name).execute(),
        note: { action: "group.change", target: name, before, after: group },
        apply: () => saveGroup(group),
      };
    });
  }

  function removeGroup(name: string, actor: Actor): Promise<void> {
    return change(actor, () => {
      const before = requireGroup(name);
      const { memberCount } = snapshot.toGroupView(before);
      if (memberCount > 0) {
        throw new Refusal("conflict", { detail: `the group ${name} has ${memberCount} members: move them first` });
      }
      return {
        write: (transaction) => transaction.deleteFrom("groups").where("name", "=", name).execute(),
        note: { action: "group.remove", target: name, before, after: null },
        apply: () => void snapshot.groups.delete(name),
      };
    });
  }

  // Keys

  function listKeys(owner: string | null): readonly KeyView[] {
    const views = Array.from(snapshot.keys.values(), ({ view }) => uses.withLastUse(view));
    return owner === null ? views : views.filter((view) => view.owner === owner);
  }

  function requireKey(id: string): StoredKey {
    const key = snapshot.keys.get(id);
    if (!key) throw new Refusal("unknown_object", { detail: "there is no such API key" });
    return key;
  }

  function requireLiveKey(id: string): StoredKey {
    const key = requireKey(id);
    const { revokedAt, expiresAt } = key.view;
    if (revokedAt !== null) throw new Refusal("conflict", { detail: "the API key was revoked" });
    if (expiresAt !== null && expiresAt <= clock.wallNow()) throw new Refusal("conflict", { detail: "the API key has expired" });
    return key;
  }

  function checkKey(draft: KeyChange): void {
    if (draft.name !== undefined) checkKeyName(draft.name);
    checkClass(draft.class);
    checkLimits(draft.limits);
    checkModels(draft.models);
    checkExpiry(draft.expiresAt, clock.wallNow());
  }

  function createKey(draft: KeyDraft, actor: Actor): Promise<NewKey> {
    return change(actor, () => {
      const owner = snapshot.findView(draft.owner);
      if (!owner) throw bad("owner", `there is no user ${draft.owner}`);
      if (draft.scope === "admin" && owner.role !== "admin") throw bad("scope", "its owner is no administrator");
      checkKey(draft);
      requireRoom(snapshot.keys.size, bounds.keysMax, "API keys");
      const { key, secret } = makeKey({
        owner: draft.owner,
        name: draft.name,
        scope: draft.scope ?? "calls",
        models: draft.models ?? null,
        class: draft.class ?? null,
        limits: draft.limits ?? {},
        keepsContent: draft.keepsContent ?? false,
        expiresAt: draft.expiresAt ?? null,
      });
      return {
        write: (transaction) => transaction.insertInto("api_keys").values(toKeyRow(key)).execute(),
        note: { action: "key.create", target: key.view.id, before: null, after: key.view },
        apply() {
          snapshot.setKey(key);
          return { key: key.view, secret };
        },
      };
    });
  }

  function makeKey(rights: KeyRights): { readonly key: StoredKey; readonly secret: string } {
    const { secret, prefix, hash } = makeApiKey();
    const at = nowMs();
    const view: KeyView = {
      ...rights,
      id: createUuid7(at),
      prefix,
      revokedAt: null,
      replacedBy: null,
      createdAt: at,
      lastUsedAt: null,
    };
    return { key: { view, hash }, secret };
  }

  function updateKey(transaction: Transaction<Tables>, key: StoredKey): Promise<unknown> {
    const { view } = key;
    const { name, models, limits, keeps_content, ...row } = toKeyRow(key);
    return transaction
      .updateTable("api_keys")
      .set({
        name,
        models: models ?? null,
        class: row.class ?? null,
        limits,
        keeps_content,
        expires_at: view.expiresAt,
        revoked_at: view.revokedAt,
        replaced_by: view.replacedBy,
      })
      .where("id", "=", view.id)
      .execute();
  }

  function saveKey(before: StoredKey, view: KeyView): KeyView {
    snapshot.setKey({ ...before, view });
    return uses.withLastUse(view);
  }

  function changeKey(id: string, draft: KeyChange, actor: Actor): Promise<KeyView> {
    return change(actor, () => {
      const before = requireLiveKey(id);
      checkKey(draft);
      const view: KeyView = { ...before.view, ...withoutUndefined(draft) };
      return {
        write: (transaction) => updateKey(transaction, { ...before, view }),
        note: { action: "key.change", target: id, before: before.view, after: view },
        apply: () => saveKey(before, view),
      };
    });
  }

  function rotateKey(id: string, overlapMs: number, actor: Actor): Promise<NewKey> {
    return change(actor, () => {
      const before = requireLiveKey(id);
      if (!(overlapMs >= 0 && overlapMs <= overlapMsMax)) throw bad("overlap_seconds", "0 to 2592000 (30 days)");
      requireRoom(snapshot.keys.size, bounds.keysMax, "API keys");
      const { owner, name, scope, models, class: trafficClass, limits, keepsContent, expiresAt } = before.view;
      const made = makeKey({ owner, name, scope, models, class: trafficClass, limits, keepsContent, expiresAt });
      const endsAt = nowMs() + overlapMs;
      const old: KeyView = {
        ...before.view,
        replacedBy: made.key.view.id,
        expiresAt: expiresAt === null ? endsAt : Math.min(expiresAt, endsAt),
        revokedAt: overlapMs === 0 ? nowMs() : null,
      };
      return {
        async write(transaction) {
          await transaction.insertInto("api_keys").values(toKeyRow(made.key)).execute();
          await updateKey(transaction, { ...before, view: old });
        },
        note: { action: "key.rotate", target: id, before: before.view, after: old },
        apply() {
          snapshot.setKey(made.key);
          saveKey(before, old);
          return { key: made.key.view, secret: made.secret };
        },
      };
    });
  }

  function revokeKey(id: string, actor: Actor): Promise<KeyView> {
    return change(actor, () => {
      const before = requireKey(id);
      const view: KeyView = { ...before.view, revokedAt: before.view.revokedAt ?? nowMs() };
      return {
        write: (transaction) => updateKey(transaction, { ...before, view }),
        note: { action: "key.revoke", target: id, before: before.view, after: view },
        apply: () => saveKey(before, view),
      };
    });
  }

  const directory: Directory = {
    findUser: (name) => snapshot.findUser(name, clock.wallNow()),
    findKeyCaller(hash) {
      const found = snapshot.findKeyByHash(hash, clock.wallNow());
      if (!found) return undefined;
      uses.note(found.key.view.id);
      return found.caller;
    },
    isRevoked: revoked.has,
    revoke: (sessionId, until) =>
      revoked.add(sessionId, until).catch((error: unknown) => {
        throw toRefusal(error);
      }),
  };

  return {
    directory,
    effectiveOf: (user) => snapshot.effectiveOf(user),
    hasAdmin: () => [...snapshot.users.values(), ...snapshot.staticUsers.values()].some(({ view }) => isAdmin(view)),
    replaceStatic(accounts) {
      snapshot.setStatic(toStaticUsers(accounts, snapshot.staticUsers, clock.wallNow()));
    },

    listUsers() {
      const names = new Set([...snapshot.staticUsers.keys(), ...snapshot.users.keys()]);
      return [...names].sort().map((name) => snapshot.findView(name) as UserView);
    },
    findUser: (name) => snapshot.findView(name),
    createUser,
    changeUser,
    removeUser,

    listGroups: () =>
      [...snapshot.groups.keys()].sort().map((name) => snapshot.toGroupView(snapshot.groups.get(name) as StoredGroup)),
    findGroup(name) {
      const group = snapshot.groups.get(name);
      return group && snapshot.toGroupView(group);
    },
    createGroup,
    changeGroup,
    removeGroup,

    listKeys,
    findKey(id) {
      const key = snapshot.keys.get(id);
      return key && uses.withLastUse(key.view);
    },
    createKey,
    changeKey,
    rotateKey,
    revokeKey,

    async listAudit({ limit, beforeId, actor, action, target }) {
      let query = store.reads.selectFrom("audit").selectAll().orderBy("id", "desc").limit(limit);
      if (beforeId !== null) query = query.where("id", "<", beforeId);
      if (actor !== undefined) query = query.where("actor", "=", actor);
      if (action !== undefined) query = query.where("action", "=", action);
      if (target !== undefined) query = query.where("target", "=", target);
      return (await query.execute()).map(toAuditEntry);
    },

    async close() {
      isClosed = true;
      cancelPoll();
      await last;
      await uses.close();
    },
  };
}

interface Plan<Result> {
  write(transaction: Transaction<Tables>): Promise<unknown>;
  readonly note: AuditNote;
  /** In memory, now that it is durable. */
  apply(): Result;
}

type KeyRights = Omit<KeyView, "id" | "prefix" | "revokedAt" | "replacedBy" | "createdAt" | "lastUsedAt">;

function requireRoom(count: number, max: number, noun: string): void {
  if (count >= max) throw new Refusal("conflict", { detail: `there are ${count} ${noun} (limit ${max}): remove some first` });
}

/** What is left out of a change stays. */
function withoutUndefined<Fields extends object>(fields: Fields): { [Name in keyof Fields]: Exclude<Fields[Name], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

