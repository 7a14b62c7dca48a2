/** Several listeners of one kind, as the spreading of connections sees them. */
export interface SpreadListener {
  connections(): number;
  /** Says how many go. */
  shed(count: number): number;
  accept(wanted: boolean): void;
}

export interface SpreadListeners {
  /** Open connections that can be opened anew, of all listeners. */
  connections(): number;
  /** Has the peers of so many connections open new ones, and leaves new ones to other workers, or not. */
  spread(asked: { readonly accept: boolean; readonly shed: number }): void;
}

export const spreadOver = (listeners: readonly SpreadListener[]): SpreadListeners => ({
  connections: () => listeners.reduce((sum, listener) => sum + listener.connections(), 0),
  spread: ({ accept, shed }) => {
    let left = shed;
    for (const listener of listeners) {
      listener.accept(accept);
      left -= listener.shed(left);
    }
  },
});
