// Everybody who is known, in memory: what each call is checked against. Derived things (who a user or a key is to the
// later stages, how many members a group has) are made once and kept until something changes.

import type { QuotaScope } from "../base/charge.ts";
import type { Limits } from "../base/limits.ts";
import { type Caller, type TrafficClass, trafficClasses } from "../base/principal.ts";
import type { NamedSecret, PasswordSecret, User } from "../identity/directory.ts";
import { OrderedMap } from "./ordered-map.ts";
import type { GroupView, KeyView, UserView } from "./people.ts";
import type { StoredGroup, StoredKey, StoredUser } from "./rows.ts";
import type { StaticUsers } from "./static-users.ts";

/** What counts for a user: its own, else its group's, else what is normal. */
export interface EffectiveRights {
  readonly weight: number;
  readonly class: TrafficClass;
  readonly limits: Limits;
  readonly runsJobs: boolean;
}

export class Snapshot {
  readonly #users = new Map<string, StoredUser>();
  #staticUsers: StaticUsers = new Map();
  /** Of both. The configuration's users hide those of the store that have their names. */
  readonly #views = new OrderedMap<UserView>();
  readonly #groups = new OrderedMap<StoredGroup>();
  readonly #keys = new OrderedMap<StoredKey>();
  readonly #keysByHash = new Map<string, StoredKey>();
  /** Few each, in the order of their ids. */
  readonly #keysByOwner = new Map<string, readonly StoredKey[]>();

  #knownUsers = new Map<string, User>();
  #keyCallers = new Map<string, Caller>();
  #memberCounts: ReadonlyMap<string, number> | null = null;
  #secrets: readonly NamedSecret[] | null = null;

  /** Of the store, hidden ones included. */
  get userCount(): number {
    return this.#users.size;
  }

  get groupCount(): number {
    return this.#groups.size;
  }

  get keyCount(): number {
    return this.#keys.size;
  }

  get staticUsers(): StaticUsers {
    return this.#staticUsers;
  }

  load(users: readonly StoredUser[], groups: readonly StoredGroup[], keys: readonly StoredKey[]): void {
    this.#users.clear();
    for (const user of users) this.#users.set(user.view.name, user);
    this.#fillViews();
    this.#groups.fill(groups.map((group) => [group.name, group]));
    this.#keys.fill(keys.map((key) => [key.view.id, key]));
    this.#keysByHash.clear();
    this.#keysByOwner.clear();
    for (const key of this.#keys.values()) this.#keysByHash.set(key.hash, key);
    for (const [owner, own] of Map.groupBy(this.#keys.values(), ({ view }) => view.owner)) {
      this.#keysByOwner.set(owner, own);
    }
    this.#forgetDerived();
  }

  setStatic(users: StaticUsers): void {
    this.#staticUsers = users;
    this.#fillViews();
    this.#forgetDerived();
  }

  #fillViews(): void {
    const all = [...this.#users.values(), ...this.#staticUsers.values()];
    this.#views.fill(all.map(({ view }) => [view.name, view]));
  }

  #forgetDerived(): void {
    this.#knownUsers = new Map();
    this.#keyCallers = new Map();
    this.#memberCounts = null;
    this.#secrets = null;
  }

  // Users

  listUsers(): readonly UserView[] {
    return this.#views.values();
  }

  findView(name: string): UserView | undefined {
    return this.#views.get(name);
  }

  findStored(name: string): StoredUser | undefined {
    return this.#users.get(name);
  }

  setUser(user: StoredUser): void {
    const { name } = user.view;
    this.#users.set(name, user);
    this.#views.set(name, this.#staticUsers.get(name)?.view ?? user.view);
    this.#forgetDerived();
  }

  removeUser(name: string): void {
    this.#users.delete(name);
    const hiding = this.#staticUsers.get(name);
    if (hiding) this.#views.set(name, hiding.view);
    else this.#views.delete(name);
    this.#forgetDerived();
  }

  effectiveOf(view: UserView): EffectiveRights {
    const group = view.group === null ? undefined : this.#groups.get(view.group);
    return {
      weight: view.weight ?? group?.weight ?? 1,
      class: view.class ?? group?.class ?? "default",
      limits: { ...group?.memberLimits, ...view.limits },
      runsJobs: view.runsJobs ?? group?.runsJobs ?? false,
    };
  }

  /** Undefined for whoever may not come in now. */
  findUser(name: string, wallNowMs: number): User | undefined {
    const view = this.#views.get(name);
    if (!view?.isEnabled || (view.expiresAt !== null && view.expiresAt <= wallNowMs)) return undefined;
    const known = this.#knownUsers.get(name);
    if (known) return known;
    const user = this.#toUser(view);
    this.#knownUsers.set(name, user);
    return user;
  }

  #toUser(view: UserView): User {
    const { weight, class: trafficClass, limits, runsJobs } = this.effectiveOf(view);
    const group = view.group === null ? undefined : this.#groups.get(view.group);
    const isLimited = hasQuotas(limits) || (group !== undefined && hasQuotas(group.limits));
    const caller = {
      userId: view.name,
      role: view.role,
      weight,
      class: trafficClass,
      knownSince: view.createdAt ?? 0,
      groupId: group?.name ?? null,
      lacksJobs: isLimited && !runsJobs ? ("user" as const) : null,
      scopes: [...toScope("user", view.name, limits), ...(group ? toScope("group", group.name, group.limits) : [])],
    };
    const own = this.#staticUsers.get(view.name);
    const { tokensValidFrom } = own ?? (this.#users.get(view.name) as StoredUser);
    return { caller, secret: this.#secretOf(view.name), tokensValidFrom };
  }

  #secretOf(name: string): PasswordSecret | null {
    const own = this.#staticUsers.get(name);
    if (own) return own.secret;
    const hash = this.#users.get(name)?.passwordHash ?? null;
    return hash === null ? null : { hash };
  }

  /** Disabled users' too. The same array until somebody changes. */
  listSecrets(): readonly NamedSecret[] {
    this.#secrets ??= this.#views.values().flatMap(({ name }) => {
      const secret = this.#secretOf(name);
      return secret === null ? [] : [{ name, secret }];
    });
    return this.#secrets;
  }

  // Groups

  listGroups(): readonly GroupView[] {
    return this.#groups.values().map((group) => this.#toGroupView(group));
  }

  findGroup(name: string): GroupView | undefined {
    const group = this.#groups.get(name);
    return group && this.#toGroupView(group);
  }

  setGroup(group: StoredGroup): GroupView {
    this.#groups.set(group.name, group);
    this.#forgetDerived();
    return this.#toGroupView(group);
  }

  removeGroup(name: string): void {
    this.#groups.delete(name);
    this.#forgetDerived();
  }

  /** Disabled users, and users of the store that the configuration hides, count as well: they refer to it. */
  countMembers(name: string): number {
    this.#memberCounts ??= countBy([...this.#users.values(), ...this.#staticUsers.values()], ({ view }) => view.group);
    return this.#memberCounts.get(name) ?? 0;
  }

  #toGroupView(group: StoredGroup): GroupView {
    return { ...group, memberCount: this.countMembers(group.name) };
  }

  // Keys

  /** By id, which is the order of creation. `owner` null: everybody's. */
  listKeys(owner: string | null): readonly StoredKey[] {
    return owner === null ? this.#keys.values() : (this.#keysByOwner.get(owner) ?? []);
  }

  findKey(id: string): StoredKey | undefined {
    return this.#keys.get(id);
  }

  setKey(key: StoredKey): void {
    const { id, owner } = key.view;
    this.#keys.set(id, key);
    this.#keysByHash.set(key.hash, key);
    this.#keysByOwner.set(owner, [...this.#othersOf(key), key].sort(byId));
    this.#keyCallers.delete(key.hash);
  }

  removeKey(id: string): void {
    const key = this.#keys.get(id);
    if (!key) return;
    this.#keys.delete(id);
    this.#keysByHash.delete(key.hash);
    this.#keyCallers.delete(key.hash);
    const others = this.#othersOf(key);
    if (others.length > 0) this.#keysByOwner.set(key.view.owner, others);
    else this.#keysByOwner.delete(key.view.owner);
  }

  #othersOf({ view }: StoredKey): readonly StoredKey[] {
    return this.listKeys(view.owner).filter((other) => other.view.id !== view.id);
  }

  /** Undefined for a key that is not good (any more), or whose owner may not come in. */
  findKeyCaller(hash: string, wallNowMs: number): Caller | undefined {
    const key = this.#keysByHash.get(hash);
    if (!key || !isLive(key.view, wallNowMs)) return undefined;
    // Asked each time, since its time may be up by now.
    const owner = this.findUser(key.view.owner, wallNowMs);
    if (!owner) return undefined;
    const known = this.#keyCallers.get(hash);
    if (known) return known;
    const caller = toKeyCaller(key.view, owner);
    this.#keyCallers.set(hash, caller);
    return caller;
  }
}

export function isLive({ revokedAt, expiresAt }: KeyView, wallNowMs: number): boolean {
  return revokedAt === null && (expiresAt === null || expiresAt > wallNowMs);
}

/** A key may step back behind its owner, never before. */
export function lowerClass(owner: TrafficClass, own: TrafficClass | null): TrafficClass {
  return own !== null && trafficClasses.indexOf(own) > trafficClasses.indexOf(owner) ? own : owner;
}

function toKeyCaller(key: KeyView, { caller }: User): Caller {
  const isLimited = key.models !== null || hasQuotas(key.limits);
  return {
    ...caller,
    // A key for calls is worth no more than that, in whoever's hands it is.
    role: key.scope === "admin" ? caller.role : "user",
    class: lowerClass(caller.class, key.class),
    flowId: key.id,
    keyId: key.id,
    models: key.models,
    lacksJobs: caller.lacksJobs ?? (isLimited && !key.runsJobs ? "key" : null),
    scopes: [...caller.scopes, ...toScope("key", key.id, key.limits)],
    keepsContent: key.keepsContent,
    cachesAnswers: key.cachesAnswers,
  };
}

/** Calls at once are no quota: a job is one. */
function hasQuotas(limits: Limits): boolean {
  return Object.keys(limits).some((name) => name !== "concurrency");
}

function toScope(kind: QuotaScope["kind"], id: string, limits: Limits): QuotaScope[] {
  return Object.keys(limits).length === 0 ? [] : [{ kind, id, limits }];
}

function byId(a: StoredKey, b: StoredKey): number {
  return a.view.id < b.view.id ? -1 : 1;
}

function countBy<Item>(items: readonly Item[], keyOf: (item: Item) => string | null): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) {
    const key = keyOf(item);
    if (key !== null) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}
