// How groups change: what is asked for is checked and becomes a Change.

import type { Clock } from "../base/clock.ts";
import { Refusal } from "../base/refusal.ts";
import { toDifference, toGroupFields } from "./audit-notes.ts";
import { requireRoom } from "./bounds.ts";
import type { Change } from "./changes.ts";
import { checkClass, checkName, checkWeight, parseLimits, requireDistinct } from "./checks.ts";
import type { GroupChange, GroupDraft, GroupView } from "./people.ts";
import type { StoredGroup } from "./rows.ts";
import type { Snapshot } from "./snapshot.ts";
import { deleteGroup, insertGroup, updateGroup } from "./tables.ts";

export interface GroupChanges {
  create(draft: GroupDraft): Change<GroupView>;
  change(name: string, change: GroupChange): Change<GroupView>;
  remove(name: string): Change<void>;
}

export function createGroupChanges(snapshot: Snapshot, clock: Clock, groupsMax: number): GroupChanges {
  const nowMs = () => Math.round(clock.wallNow());

  function requireGroup(name: string): StoredGroup {
    const group = snapshot.findGroup(name);
    if (!group) throw new Refusal("unknown_object", { detail: `there is no group ${name}` });
    const { memberCount: _, ...stored } = group;
    return stored;
  }

  /** Only what is named here is taken over, whatever else came with it. */
  function merge(before: StoredGroup, draft: GroupChange): StoredGroup {
    checkWeight(draft.weight);
    checkClass(draft.class);
    return {
      ...before,
      weight: draft.weight === undefined ? before.weight : draft.weight,
      class: draft.class === undefined ? before.class : draft.class,
      limits: draft.limits === undefined ? before.limits : parseLimits(draft.limits),
      memberLimits:
        draft.memberLimits === undefined ? before.memberLimits : parseLimits(draft.memberLimits, "member_limits"),
      runsJobs: draft.runsJobs ?? before.runsJobs,
      updatedAt: nowMs(),
    };
  }

  return {
    create(draft) {
      const { name } = draft;
      checkName(name);
      const group = merge(toNewGroup(name, nowMs()), draft);
      if (snapshot.findGroup(name)) throw new Refusal("conflict", { detail: `there is a group ${name} already` });
      requireDistinct("group", name, snapshot.listGroups());
      requireRoom(snapshot.groupCount, groupsMax, "groups");
      return {
        write: (db) => insertGroup(db, group),
        note: { action: "group.create", target: name, before: null, after: toGroupFields(group) },
        apply: () => snapshot.setGroup(group),
      };
    },
    change(name, draft) {
      const before = requireGroup(name);
      const group = merge(before, draft);
      return {
        write: (db) => updateGroup(db, group),
        note: {
          action: "group.change",
          target: name,
          ...toDifference(toGroupFields(before), toGroupFields(group)),
        },
        apply: () => snapshot.setGroup(group),
      };
    },
    remove(name) {
      const before = requireGroup(name);
      const count = snapshot.countMembers(name);
      if (count > 0) {
        const members = count === 1 ? "a member" : `${count} members`;
        throw new Refusal("conflict", { detail: `the group ${name} has ${members}: move them to another one first` });
      }
      return {
        write: (db) => deleteGroup(db, name),
        note: { action: "group.remove", target: name, before: toGroupFields(before), after: null },
        apply: () => snapshot.removeGroup(name),
      };
    },
  };
}

function toNewGroup(name: string, at: number): StoredGroup {
  const none = { weight: null, class: null, limits: {}, memberLimits: {}, runsJobs: false };
  return { name, ...none, createdAt: at, updatedAt: at };
}
