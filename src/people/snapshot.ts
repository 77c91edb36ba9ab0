// Everybody who is known, in memory: what each call is checked against. Derived things (who a user or a key is to the
// later stages) are made once and kept until something changes.

import type { QuotaScope } from "../base/charge.ts";
import type { Limits } from "../base/limits.ts";
import { type Caller, type TrafficClass, trafficClasses } from "../base/principal.ts";
import type { User } from "../identity/directory.ts";
import type { GroupView, UserView } from "./people.ts";
import type { StoredGroup, StoredKey, StoredUser } from "./rows.ts";
import type { StaticUsers } from "./static-users.ts";

export class Snapshot {
  readonly users = new Map<string, StoredUser>();
  readonly groups = new Map<string, StoredGroup>();
  /** By id, in order of creation. */
  readonly keys = new Map<string, StoredKey>();
  readonly #keysByHash = new Map<string, StoredKey>();
  #staticUsers: StaticUsers = new Map();
  #knownUsers = new Map<string, User>();
  #keyCallers = new Map<string, Caller>();

  get staticUsers(): StaticUsers {
    return this.#staticUsers;
  }

  setStatic(users: StaticUsers): void {
    this.#staticUsers = users;
    this.forgetDerived();
  }

  load(users: readonly StoredUser[], groups: readonly StoredGroup[], keys: readonly StoredKey[]): void {
    this.users.clear();
    this.groups.clear();
    this.keys.clear();
    this.#keysByHash.clear();
    for (const user of users) this.users.set(user.view.name, user);
    for (const group of groups) this.groups.set(group.name, group);
    for (const key of keys) this.setKey(key);
    this.forgetDerived();
  }

  setKey(key: StoredKey): void {
    this.keys.set(key.view.id, key);
    this.#keysByHash.set(key.hash, key);
    this.forgetDerived();
  }

  removeKey(id: string): void {
    const key = this.keys.get(id);
    if (!key) return;
    this.keys.delete(id);
    this.#keysByHash.delete(key.hash);
    this.forgetDerived();
  }

  /** After every change of a user or a group. */
  forgetDerived(): void {
    this.#knownUsers = new Map();
    this.#keyCallers = new Map();
  }

  /** The configuration's users hide those of the store that have their names. */
  findView(name: string): UserView | undefined {
    return (this.#staticUsers.get(name) ?? this.users.get(name))?.view;
  }

  /** Undefined for whoever may not come in now. */
  findUser(name: string, wallNowMs: number): User | undefined {
    const view = this.findView(name);
    if (!view?.isEnabled || (view.expiresAt !== null && view.expiresAt <= wallNowMs)) return undefined;
    const known = this.#knownUsers.get(name);
    if (known) return known;
    const user = this.#toUser(view);
    this.#knownUsers.set(name, user);
    return user;
  }

  findKeyByHash(hash: string, wallNowMs: number): { readonly key: StoredKey; readonly caller: Caller } | undefined {
    const key = this.#keysByHash.get(hash);
    if (!key || key.view.revokedAt !== null) return undefined;
    if (key.view.expiresAt !== null && key.view.expiresAt <= wallNowMs) return undefined;
    const owner = this.findUser(key.view.owner, wallNowMs);
    if (!owner) return undefined;
    const known = this.#keyCallers.get(hash);
    if (known) return { key, caller: known };
    const caller = toKeyCaller(key, owner);
    this.#keyCallers.set(hash, caller);
    return { key, caller };
  }

  toGroupView(group: StoredGroup): GroupView {
    let memberCount = 0;
    for (const { view } of [...this.users.values(), ...this.#staticUsers.values()]) {
      if (view.group === group.name) memberCount++;
    }
    return { ...group, memberCount };
  }

  /** What counts for a user: its own, else its group's, else what is normal. */
  effectiveOf(view: UserView): { weight: number; class: TrafficClass; limits: Limits } {
    const group = view.group === null ? undefined : this.groups.get(view.group);
    return {
      weight: view.weight ?? group?.weight ?? 1,
      class: view.class ?? group?.class ?? "default",
      limits: { ...group?.memberLimits, ...view.limits },
    };
  }

  #toUser(view: UserView): User {
    const { weight, class: trafficClass, limits } = this.effectiveOf(view);
    const group = view.group === null ? undefined : this.groups.get(view.group);
    const caller = {
      userId: view.name,
      role: view.role,
      weight,
      class: trafficClass,
      groupId: group?.name ?? null,
      scopes: [
        ...toScope("user", view.name, limits),
        ...(group ? toScope("group", group.name, group.limits) : []),
      ],
    };
    const own = this.#staticUsers.get(view.name);
    if (own) return { caller, secret: own.secret, tokensValidFrom: own.tokensValidFrom };
    const { passwordHash, tokensValidFrom } = this.users.get(view.name) as StoredUser;
    return { caller, secret: passwordHash === null ? null : { hash: passwordHash }, tokensValidFrom };
  }
}

function toKeyCaller({ view }: StoredKey, { caller }: User): Caller {
  return {
    ...caller,
    class: lowerClass(caller.class, view.class),
    flowId: view.id,
    keyId: view.id,
    models: view.models,
    scopes: [...caller.scopes, ...toScope("key", view.id, view.limits)],
    keepsContent: view.keepsContent,
  };
}

function toScope(kind: QuotaScope["kind"], id: string, limits: Limits): QuotaScope[] {
  return Object.keys(limits).length === 0 ? [] : [{ kind, id, limits }];
}

/** A key may step back behind its owner, never before. */
export function lowerClass(owner: TrafficClass, own: TrafficClass | null): TrafficClass {
  return own !== null && trafficClasses.indexOf(own) > trafficClasses.indexOf(owner) ? own : owner;
}
