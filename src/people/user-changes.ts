// How users change: what is asked for is checked and becomes a Change.

import type { Clock } from "../base/clock.ts";
import { Refusal } from "../base/refusal.ts";
import { type AuditedFields, toDifference, toUserFields } from "./audit-notes.ts";
import { requireRoom } from "./bounds.ts";
import type { Change } from "./changes.ts";
import {
  bad,
  checkClass,
  checkExpiry,
  checkName,
  checkPassword,
  checkRole,
  checkWeight,
  parseLimits,
  requireDistinct,
} from "./checks.ts";
import type { UserChange, UserDraft, UserView } from "./people.ts";
import type { StoredUser } from "./rows.ts";
import type { Snapshot } from "./snapshot.ts";
import { deleteKeysOf, deleteUser, insertUser, updateUser } from "./tables.ts";
import { nextTokensValidFrom } from "./tokens-valid-from.ts";

export interface UserChanges {
  /** `isFirstAdmin`: throws `conflict` when there is an administrator already. */
  create(draft: UserDraft, isFirstAdmin: boolean): Promise<Change<UserView>>;
  change(name: string, change: UserChange): Promise<Change<UserView>>;
  remove(name: string): Change<void>;
  hasAdmin(): boolean;
}

export function createUserChanges(
  snapshot: Snapshot,
  clock: Clock,
  usersMax: number,
  hashPassword: (password: string) => Promise<string>,
): UserChanges {
  const nowMs = () => Math.round(clock.wallNow());

  function requireStored(name: string): StoredUser {
    if (snapshot.staticUsers.has(name)) throw new Refusal("read_only_object", { detail: `the user ${name}` });
    const user = snapshot.findStored(name);
    if (!user) throw new Refusal("unknown_object", { detail: `there is no user ${name}` });
    return user;
  }

  function check({ role, group, weight, class: trafficClass, expiresAt }: UserChange): void {
    checkRole(role);
    checkWeight(weight);
    checkClass(trafficClass);
    checkExpiry(expiresAt, clock.wallNow());
    if (typeof group === "string" && !snapshot.findGroup(group)) throw bad("group", `there is no group ${group}`);
  }

  /** Only what is named here is taken over, whatever else came with it. */
  function merge(before: UserView, draft: UserChange): UserView {
    return {
      ...before,
      role: draft.role ?? before.role,
      group: draft.group === undefined ? before.group : draft.group,
      weight: draft.weight === undefined ? before.weight : draft.weight,
      class: draft.class === undefined ? before.class : draft.class,
      limits: draft.limits === undefined ? before.limits : parseLimits(draft.limits),
      runsJobs: draft.runsJobs === undefined ? before.runsJobs : draft.runsJobs,
      isEnabled: draft.isEnabled ?? before.isEnabled,
      expiresAt: draft.expiresAt === undefined ? before.expiresAt : draft.expiresAt,
      hasPassword: draft.password === undefined ? before.hasPassword : draft.password !== null,
      updatedAt: nowMs(),
    };
  }

  async function hash(name: string, password: string | null): Promise<string | null> {
    if (password === null) return null;
    checkPassword(password, name);
    return hashPassword(password);
  }

  async function create(draft: UserDraft, isFirstAdmin: boolean): Promise<Change<UserView>> {
    const { name } = draft;
    checkName(name);
    check(draft);
    if (isFirstAdmin && hasAdmin()) throw new Refusal("conflict", { detail: "there is an administrator already" });
    if (snapshot.findView(name)) throw new Refusal("conflict", { detail: `there is a user ${name} already` });
    requireDistinct("user", name, snapshot.listUsers());
    requireRoom(snapshot.userCount, usersMax, "users");
    const view = merge(toNewUser(name, nowMs()), draft);
    const user: StoredUser = {
      view,
      passwordHash: await hash(name, draft.password),
      // Whoever had the name before has no part in it.
      tokensValidFrom: nextTokensValidFrom(0, clock.wallNow()),
    };
    const leftKeys = snapshot.listKeys(name);
    return {
      async write(db) {
        if (leftKeys.length > 0) await deleteKeysOf(db, name);
        await insertUser(db, user);
      },
      note: { action: "user.create", target: name, before: null, after: toUserFields(view) },
      apply() {
        for (const key of leftKeys) snapshot.removeKey(key.view.id);
        snapshot.setUser(user);
        return view;
      },
    };
  }

  async function change(name: string, draft: UserChange): Promise<Change<UserView>> {
    const before = requireStored(name);
    check(draft);
    const view = merge(before.view, draft);
    requireAnAdminLeft(before.view, view);
    const isOtherPassword = draft.password !== undefined;
    const isLower = before.view.role === "admin" && view.role !== "admin";
    const isDisabled = before.view.isEnabled && !view.isEnabled;
    const user: StoredUser = {
      view,
      passwordHash: draft.password === undefined ? before.passwordHash : await hash(name, draft.password),
      tokensValidFrom:
        isOtherPassword || isLower || isDisabled
          ? nextTokensValidFrom(before.tokensValidFrom, clock.wallNow())
          : before.tokensValidFrom,
    };
    const difference = toDifference(toUserFields(before.view), toUserFields(view));
    const password: AuditedFields = isOtherPassword
      ? { password: draft.password === null ? "removed" : "changed" }
      : {};
    return {
      write: (db) => updateUser(db, user),
      note: { action: "user.change", target: name, ...difference, after: { ...difference.after, ...password } },
      apply() {
        snapshot.setUser(user);
        return view;
      },
    };
  }

  function remove(name: string): Change<void> {
    const { view } = requireStored(name);
    requireAnAdminLeft(view, null);
    const keyIds = snapshot.listKeys(name).map((key) => key.view.id);
    return {
      async write(db) {
        await deleteKeysOf(db, name);
        await deleteUser(db, name);
      },
      note: {
        action: "user.remove",
        target: name,
        before: { ...toUserFields(view), keys: keyIds.length },
        after: null,
      },
      apply() {
        snapshot.removeUser(name);
        for (const id of keyIds) snapshot.removeKey(id);
      },
    };
  }

  /** Who may come in tomorrow if nobody may administer? The machine's operator alone: better not by accident. */
  function requireAnAdminLeft(before: UserView, after: UserView | null): void {
    if (!isAdmin(before) || (after !== null && isAdmin(after))) return;
    if (snapshot.listUsers().some((view) => view.name !== before.name && isAdmin(view))) return;
    throw new Refusal("conflict", { detail: `${before.name} is the last administrator: make another one first` });
  }

  function isAdmin({ role, isEnabled, expiresAt }: UserView): boolean {
    return role === "admin" && isEnabled && (expiresAt === null || expiresAt > clock.wallNow());
  }

  function hasAdmin(): boolean {
    return snapshot.listUsers().some(isAdmin);
  }

  return { create, change, remove, hasAdmin };
}

function toNewUser(name: string, at: number): UserView {
  return {
    name,
    source: "store",
    role: "user",
    group: null,
    weight: null,
    class: null,
    limits: {},
    runsJobs: null,
    isEnabled: true,
    expiresAt: null,
    hasPassword: false,
    createdAt: at,
    updatedAt: at,
  };
}
