export interface HelpPage {
  readonly path: readonly string[];
  readonly text: string;
}
export declare const commandsIn: (help: string) => readonly string[];
export declare const printedBy: (runCommand: (argv: readonly string[]) => Promise<unknown>, argv: readonly string[]) => Promise<string>;
export declare const helpPages: (help: (path: readonly string[]) => Promise<string>) => Promise<readonly HelpPage[]>;
export declare const renderCli: (pages: readonly HelpPage[]) => string;
