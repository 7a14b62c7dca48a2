/**
 * Some transports (HTTP/2) hold what is written until the event loop's turn ends. A decision for one of them is the last of its
 * turn: those that come meanwhile wait for the next, in order, so that no other evaluation lies between its re-check and the
 * moment its answer leaves. Without such decisions nobody waits.
 */
export type TakeTurn = (sentWithTurn: boolean) => Promise<void> | undefined;

export const createLoopTurns = (): TakeTurn => {
  const waiting: { readonly sentWithTurn: boolean; readonly go: () => void }[] = [];
  let taken = false;
  const take = (): void => {
    taken = true;
    setImmediate(() => {
      taken = false;
      while (!taken) {
        const next = waiting.shift();
        if (next === undefined) return;
        if (next.sentWithTurn) take();
        next.go();
      }
    });
  };
  return (sentWithTurn) => {
    if (taken) return new Promise((go) => waiting.push({ sentWithTurn, go }));
    if (sentWithTurn) take();
    return undefined;
  };
};
