// Who makes a call, as far as the later stages need to know.

export interface Principal {
  readonly userId: string;
  readonly role: "user" | "admin";
  /** Share of the upstream relative to others of the same class. 1 is the normal one. */
  readonly weight: number;
  readonly class: TrafficClass;
  /** Which of the user's tools or sessions calls: their calls take turns. */
  readonly flowId: string;
}

/** What calls are for, in the order of their share of the upstream. */
export const trafficClasses = ["interactive", "default", "batch"] as const;
export type TrafficClass = (typeof trafficClasses)[number];
