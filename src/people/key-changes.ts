// How API keys change: what is asked for is checked and becomes a Change. A key never has a right that its owner has not.

import type { Clock } from "../base/clock.ts";
import { Refusal } from "../base/refusal.ts";
import { createUuid7 } from "../base/uuid7.ts";
import { makeApiKey } from "../identity/api-keys.ts";
import type { SigningKeys } from "../identity/signing-keys.ts";
import { toDifference, toKeyFields } from "./audit-notes.ts";
import { type PeopleBounds, requireRoom } from "./bounds.ts";
import type { Change } from "./changes.ts";
import {
  bad,
  checkClass,
  checkExpiry,
  checkKeyName,
  checkModels,
  checkOverlap,
  checkScope,
  parseLimits,
} from "./checks.ts";
import type { KeyChange, KeyDraft, KeyView, NewKey } from "./people.ts";
import type { StoredKey } from "./rows.ts";
import { isLive, lowerClass, type Snapshot } from "./snapshot.ts";
import { deleteKey, insertKey, updateKey } from "./tables.ts";

export interface KeyChanges {
  create(draft: KeyDraft): Change<NewKey>;
  change(id: string, change: KeyChange): Change<KeyView>;
  rotate(id: string, overlapMs: number): Change<NewKey>;
  revoke(id: string): Change<KeyView>;
}

export function createKeyChanges(
  snapshot: Snapshot,
  clock: Clock,
  bounds: PeopleBounds,
  signingKeys: SigningKeys,
): KeyChanges {
  const nowMs = () => Math.round(clock.wallNow());

  function requireKey(id: string): StoredKey {
    const key = snapshot.findKey(id);
    if (!key) throw new Refusal("unknown_object", { detail: "there is no such API key" });
    return key;
  }

  function requireLiveKey(id: string): StoredKey {
    const key = requireKey(id);
    if (key.view.revokedAt !== null) throw new Refusal("conflict", { detail: "the API key was revoked" });
    if (!isLive(key.view, clock.wallNow())) throw new Refusal("conflict", { detail: "the API key has expired" });
    return key;
  }

  /** Only what is named here is taken over, whatever else came with it. */
  function merge(before: KeyView, draft: KeyChange): KeyView {
    checkKeyName(draft.name);
    checkClass(draft.class);
    checkModels(draft.models);
    checkExpiry(draft.expiresAt, clock.wallNow());
    if (typeof draft.class === "string") {
      const owner = snapshot.findView(before.owner);
      const highest = owner && snapshot.effectiveOf(owner).class;
      if (highest !== undefined && lowerClass(highest, draft.class) !== draft.class) {
        throw bad("class", `it must not be above its owner's, which is ${highest}`);
      }
    }
    const after: KeyView = {
      ...before,
      name: draft.name ?? before.name,
      models: draft.models === undefined ? before.models : draft.models,
      class: draft.class === undefined ? before.class : draft.class,
      limits: draft.limits === undefined ? before.limits : parseLimits(draft.limits),
      runsJobs: draft.runsJobs ?? before.runsJobs,
      keepsContent: draft.keepsContent ?? before.keepsContent,
      cachesAnswers: draft.cachesAnswers ?? before.cachesAnswers,
      expiresAt: draft.expiresAt === undefined ? before.expiresAt : draft.expiresAt,
    };
    const limiting = [draft.models, draft.class, draft.limits, draft.expiresAt];
    if (draft.locks === undefined || limiting.every((field) => field === undefined)) return after;
    return { ...after, isLocked: draft.locks && isRestricted(after) };
  }

  /** Who makes a key for each of its jobs has many dead ones: the oldest of them makes room. */
  function findRoom(owner: string): StoredKey | null {
    const own = snapshot.listKeys(owner);
    const dead = own.length < bounds.keysPerOwnerMax ? undefined : own.find(({ view }) => !isLive(view, nowMs()));
    if (dead) return dead;
    requireRoom(own.length, bounds.keysPerOwnerMax, `API keys of ${owner}`);
    requireRoom(snapshot.keyCount, bounds.keysMax, "API keys");
    return null;
  }

  function create(draft: KeyDraft): Change<NewKey> {
    const { owner: ownerName, scope = "calls", signsTokens = false } = draft;
    const owner = snapshot.findView(ownerName);
    if (!owner) throw bad("owner", `there is no user ${ownerName}`);
    checkScope(scope);
    if (scope === "admin" && owner.role !== "admin") throw bad("scope", `${ownerName} is no administrator`);
    const { key, secret } = makeKey(
      (made) => merge({ ...made, owner: ownerName, scope, signsTokens }, draft),
      nowMs(),
      signsTokens ? signingKeys : null,
    );
    const dead = findRoom(ownerName);
    return {
      async write(db) {
        if (dead) await deleteKey(db, dead.view.id);
        await insertKey(db, key);
      },
      note: { action: "key.create", target: key.view.id, before: null, after: toKeyFields(key.view) },
      apply() {
        if (dead) snapshot.removeKey(dead.view.id);
        snapshot.setKey(key);
        return { key: key.view, secret };
      },
    };
  }

  function change(id: string, draft: KeyChange): Change<KeyView> {
    const before = requireLiveKey(id);
    const view = merge(before.view, draft);
    return {
      write: (db) => updateKey(db, { ...before, view }),
      note: { action: "key.change", target: id, ...toDifference(toKeyFields(before.view), toKeyFields(view)) },
      apply: () => save(before, view),
    };
  }

  function rotate(id: string, overlapMs: number): Change<NewKey> {
    const before = requireLiveKey(id);
    checkOverlap(overlapMs);
    // In its overlap it is a key that ends, and has a successor already.
    if (before.view.replacedBy !== null) throw new Refusal("conflict", { detail: "the API key was rotated already" });
    const at = nowMs();
    const made = makeKey(
      ({ id, prefix, createdAt }) => ({ ...before.view, id, prefix, createdAt, lastUsedAt: null }),
      at,
      before.view.signsTokens ? signingKeys : null,
    );
    const dead = findRoom(before.view.owner);
    const endsAt = at + Math.round(overlapMs);
    const old: KeyView = {
      ...before.view,
      replacedBy: made.key.view.id,
      expiresAt: before.view.expiresAt === null ? endsAt : Math.min(before.view.expiresAt, endsAt),
    };
    return {
      async write(db) {
        if (dead) await deleteKey(db, dead.view.id);
        await insertKey(db, made.key);
        await updateKey(db, { ...before, view: old });
      },
      note: { action: "key.rotate", target: id, ...toDifference(toKeyFields(before.view), toKeyFields(old)) },
      apply() {
        if (dead) snapshot.removeKey(dead.view.id);
        snapshot.setKey(made.key);
        save(before, old);
        return { key: made.key.view, secret: made.secret };
      },
    };
  }

  function revoke(id: string): Change<KeyView> {
    const before = requireKey(id);
    const view: KeyView = { ...before.view, revokedAt: before.view.revokedAt ?? nowMs() };
    return {
      write: (db) => updateKey(db, { ...before, view }),
      note: { action: "key.revoke", target: id, ...toDifference(toKeyFields(before.view), toKeyFields(view)) },
      apply: () => save(before, view),
    };
  }

  function save(before: StoredKey, view: KeyView): KeyView {
    // Its last use may have been noted since.
    const lastUsedAt = snapshot.findKey(view.id)?.view.lastUsedAt ?? view.lastUsedAt;
    const saved = { ...view, lastUsedAt };
    snapshot.setKey({ ...before, view: saved });
    return saved;
  }

  return { create, change, rotate, revoke };
}

function isRestricted({ models, class: trafficClass, limits, expiresAt }: KeyView): boolean {
  return models !== null || trafficClass !== null || expiresAt !== null || Object.keys(limits).length > 0;
}

/** `toView`: what the key is to be, from what every new key is. `signingKeys`: it shall be of two parts. */
function makeKey(
  toView: (made: KeyView) => KeyView,
  at: number,
  signingKeys: SigningKeys | null,
): { readonly key: StoredKey; readonly secret: string } {
  const id = createUuid7(at);
  const { secret, prefix, hash } = signingKeys?.make(id) ?? makeApiKey();
  const made: KeyView = {
    id,
    owner: "",
    name: "",
    prefix,
    scope: "calls",
    models: null,
    class: null,
    limits: {},
    runsJobs: false,
    isLocked: false,
    keepsContent: false,
    cachesAnswers: false,
    signsTokens: false,
    expiresAt: null,
    revokedAt: null,
    replacedBy: null,
    createdAt: at,
    lastUsedAt: null,
  };
  return { key: { view: toView(made), hash }, secret };
}
