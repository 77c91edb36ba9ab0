// The port to what is remembered of objects that live upstream: files, tasks, batches. Where each is, and whose.

export interface UpstreamObjects {
  /** Throws `store_unavailable` while nothing can be written: to be called before an object is made. */
  requireWritable(): void;
  /**
   * In effect at once, durable when it resolves. Rejects with `object_unrecorded` when that takes too long; it is written
   * as soon as it can then. An id that can't be one, or is known already, changes nothing.
   */
  note(object: Omit<UpstreamObject, "createdAt">): Promise<void>;
  /** Null: nothing is known of it. Rejects with `store_unavailable` when that can't be found out. */
  find(id: string): Promise<UpstreamObject | null>;
  /** The newest of one owner and kind, the newest first, bounded. Rejects as `find` does. */
  listOwn(owner: string, kind: string): Promise<readonly UpstreamObject[]>;
  /** In effect at once, durable when it resolves, unless the store is away or slow. */
  forget(id: string): Promise<void>;
}

export interface UpstreamObject {
  /** As the upstream names it. */
  readonly id: string;
  /** Such as "file". */
  readonly kind: string;
  /** Name of the upstream key that it was made with. */
  readonly upstreamKey: string;
  /** Name of the user that made it. */
  readonly owner: string;
  /** The API key that its owner used, or null for a session. */
  readonly keyId: string | null;
  /** Unix milliseconds. */
  readonly createdAt: number;
}
