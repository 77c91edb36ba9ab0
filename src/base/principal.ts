// Who makes a call, as far as the later stages need to know.

export interface Principal {
  readonly userId: string;
  readonly role: "user" | "admin";
  /** Share of the upstream relative to others. 1 is the normal one. */
  readonly weight: number;
}
