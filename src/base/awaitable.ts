// What is known at once where it lives in the same thread, and a little later where it does not.

export type Awaitable<T> = T | Promise<T>;
