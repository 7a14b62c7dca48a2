// Preloaded into a program under test (`--import`): its wall clock is the real one plus what the file at CURFEW_TEST_WALL says, in
// milliseconds, as if someone had set the clock of the machine. Monotonic and boot clocks stay.
import { readFileSync } from 'node:fs';

const file = process.env.CURFEW_TEST_WALL ?? '';
const real = Date.now;
Date.now = () => real() + Number(readFileSync(file, 'utf8'));
