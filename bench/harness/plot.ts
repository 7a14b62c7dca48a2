/** Lines over a logarithmic axis, as SVG: the same numbers give the same bytes. Colours work on light and dark pages. */
export interface Line {
  readonly name: string;
  /** `x` at least 1. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [760, 380, 60, 190, 30, 50];
const COLOURS = ['#2a7de1', '#e0662a', '#2f9e62', '#a04ac2'];

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const text = (x: number, y: number, words: string, more = ''): string => `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${escaped(words)}</text>`;

export const plot = (title: string, xName: string, yName: string, lines: readonly Line[]): string => {
  const all = lines.flatMap(({ points }) => points);
  const decades = Math.max(1, Math.ceil(Math.log10(Math.max(...all.map(([x]) => x)))));
  const top = Math.max(...all.map(([, y]) => y)) * 1.1;
  const step = 10 ** Math.floor(Math.log10(top)) / (top / 10 ** Math.floor(Math.log10(top)) > 5 ? 1 : 2);
  const across = (x: number): number => LEFT + ((WIDTH - LEFT - RIGHT) * Math.log10(Math.max(1, x))) / decades;
  const up = (y: number): number => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * y) / top;
  const parts: string[] = [text(LEFT, 18, title, 'font-weight="bold"')];
  for (let decade = 0; decade <= decades; decade += 1) {
    parts.push(`<line x1="${across(10 ** decade).toFixed(1)}" y1="${TOP}" x2="${across(10 ** decade).toFixed(1)}" y2="${HEIGHT - BOTTOM}" stroke="#8884"/>`);
    parts.push(text(across(10 ** decade), HEIGHT - BOTTOM + 16, String(10 ** decade).replace(/\B(?=(\d{3})+$)/g, ','), 'text-anchor="middle"'));
  }
  for (let y = 0; y <= top; y += step) {
    parts.push(`<line x1="${LEFT}" y1="${up(y).toFixed(1)}" x2="${WIDTH - RIGHT}" y2="${up(y).toFixed(1)}" stroke="#8884"/>`);
    parts.push(text(LEFT - 6, up(y) + 4, String(Number(y.toPrecision(3))), 'text-anchor="end"'));
  }
  parts.push(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, xName, 'text-anchor="middle"'), text(LEFT - 50, TOP - 4, yName));
  lines.forEach(({ name, points }, index) => {
    const colour = COLOURS[index % COLOURS.length] as string;
    const line = points.map(([x, y]) => `${across(x).toFixed(1)},${up(y).toFixed(1)}`).join(' ');
    parts.push(`<polyline points="${line}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    for (const [x, y] of points) parts.push(`<circle cx="${across(x).toFixed(1)}" cy="${up(y).toFixed(1)}" r="3" fill="${colour}"/>`);
    parts.push(text(WIDTH - RIGHT + 12, TOP + 16 + index * 18, name, `fill="${colour}"`));
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" fill="#888">\n${parts.join('\n')}\n</svg>\n`;
};
