// One operation of the gateway's, to be done again and again.

export interface Case {
  readonly name: string;
  /** What one operation is, and with what. */
  readonly note: string;
  /** Bytes that one operation goes through; null: it is not about bytes. */
  readonly bytes: number | null;
  prepare(): Operation | Promise<Operation>;
}

export interface Operation {
  /** Does it so many times. */
  run(count: number): void | Promise<void>;
  close?(): Promise<void>;
}
