/** The configuration's schema as JSON Schema: what names there are, for messages, variables and the reference. */
import { z } from 'zod';

export interface SchemaNode {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly items?: SchemaNode;
  readonly additionalProperties?: boolean | SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
  readonly allOf?: readonly SchemaNode[];
  readonly minimum?: number;
  readonly maximum?: number;
}

export const schemaTree = (schema: z.ZodType): SchemaNode => z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as SchemaNode;

export const variantsOf = (node: SchemaNode): readonly SchemaNode[] => {
  const variants = node.anyOf ?? node.oneOf ?? node.allOf;
  return variants === undefined ? [node] : variants.flatMap(variantsOf);
};

/** Every node that `path` may lead to; several where the schema has variants. */
export const nodesAt = (root: SchemaNode, path: readonly PropertyKey[]): readonly SchemaNode[] =>
  path.reduce<readonly SchemaNode[]>(
    (nodes, key) =>
      nodes.flatMap((node) => {
        const own = typeof key === 'string' && node.properties !== undefined && Object.hasOwn(node.properties, key) ? node.properties[key] : undefined;
        const next = typeof key === 'number' ? node.items : (own ?? (typeof node.additionalProperties === 'object' ? node.additionalProperties : undefined));
        return next === undefined ? [] : variantsOf(next);
      }),
    variantsOf(root),
  );

export const knownKeysAt = (root: SchemaNode, path: readonly PropertyKey[]): readonly string[] => [
  ...new Set(nodesAt(root, path).flatMap((node) => Object.keys(node.properties ?? {}))),
];

/** A setting that one variable or flag can hold: everything that is not an object with named members. */
export interface Leaf {
  readonly path: readonly string[];
  readonly node: SchemaNode;
}

const isSection = (node: SchemaNode): boolean => node.properties !== undefined;

export const leavesOf = (node: SchemaNode, path: readonly string[] = []): readonly Leaf[] =>
  Object.entries(node.properties ?? {}).flatMap(([name, child]) =>
    isSection(child) ? leavesOf(child, [...path, name]) : [{ path: [...path, name], node: child }],
  );

const isText = (node: SchemaNode): boolean => variantsOf(node).every(({ type, enum: values, const: value }) => type === 'string' && values === undefined && value === undefined);
/** Is the setting plain text, so that `123` or `true` stay text? */
export const leafIsText = (leaf: Leaf): boolean => isText(leaf.node);
