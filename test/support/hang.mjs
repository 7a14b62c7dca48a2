/** Preloaded (`--import`) by the processes of a test: SIGUSR2 makes the event loop hang, computing or asleep (`HANG`). */
process.on('SIGUSR2', () => {
  if (process.env['HANG'] === 'asleep') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  for (;;);
});
