// How long a connection to an upstream may take to come about.

export const connectTimeoutMs = 10_000;
