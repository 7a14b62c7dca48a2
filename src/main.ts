#!/usr/bin/env node
/** The program. The build puts what it loads into few files (scripts/bundle.mjs): this one, and below `bundled/`. */
import './entry.ts';
