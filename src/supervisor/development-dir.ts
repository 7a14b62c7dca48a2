/** Where the development start keeps its files, below the working directory. On its own, so that naming it loads nothing. */
export const DEVELOPMENT_DIR = '.curfew';
