// Loaded into the gateway's process before its own code: tells, when it is asked, what is left on the heap after a
// collection. Needs --expose-gc.

const { gc } = globalThis;

process.on("message", () => {
  // What is freed by finalizers of the first is collected by the second.
  gc?.();
  gc?.();
  const { heapUsed, external } = process.memoryUsage();
  process.send?.({ heapBytes: heapUsed + external });
});
process.channel?.unref();
