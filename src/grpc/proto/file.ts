/** A .proto file kept as text, so that it is there in whatever form the program is shipped. */
export interface ProtoFile {
  /** Path by which others import it. */
  readonly name: string;
  readonly source: string;
}
