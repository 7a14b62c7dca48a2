/** gRPC server reflection, v1 and v1alpha: lists the services and gives the descriptors of their files, with those they import. */
import { fileDescriptors, type FileDescriptor } from './proto/descriptors.ts';
import { encoder, messageType } from './proto/schema.ts';
import type { GrpcMethod } from './method.ts';
import { GRPC_STATUS, GrpcFault } from './status.ts';

interface ReflectionRequest {
  readonly host: string;
  readonly fileByFilename?: string;
  readonly fileContainingSymbol?: string;
  readonly listServices?: string;
}

const VERSIONS = ['v1', 'v1alpha'] as const;

/** The file and all that it imports, itself first. */
const withImports = (files: ReadonlyMap<string, FileDescriptor>, first: FileDescriptor): readonly Uint8Array[] => {
  const wanted = new Set([first]);
  for (const file of wanted) for (const name of file.dependencies) wanted.add(files.get(name) as FileDescriptor);
  return [...wanted].map(({ bytes }) => bytes);
};

/** `services`: full names of what this server serves; the reflection services are listed with them. */
export const reflectionMethods = (services: readonly string[]): readonly (readonly [path: string, method: GrpcMethod])[] => {
  const descriptors = fileDescriptors();
  const files = new Map(descriptors.map((file) => [file.name, file]));
  const bySymbol = new Map(descriptors.flatMap((file) => file.symbols.map((symbol) => [symbol, file] as const)));
  const listed = [...services, ...VERSIONS.map((version) => `grpc.reflection.${version}.ServerReflection`)].map((name) => ({ name }));

  const answerTo = (request: ReflectionRequest): Record<string, unknown> => {
    if (request.listServices !== undefined) return { listServicesResponse: { service: listed } };
    const file =
      request.fileByFilename !== undefined ? files.get(request.fileByFilename)
      : request.fileContainingSymbol !== undefined ? bySymbol.get(request.fileContainingSymbol)
      : undefined;
    if (file !== undefined) return { fileDescriptorResponse: { fileDescriptorProto: withImports(files, file) } };
    return { errorResponse: { errorCode: GRPC_STATUS.NOT_FOUND, errorMessage: 'not found' } };
  };

  return VERSIONS.map((version) => {
    const type = messageType(`grpc.reflection.${version}.ServerReflectionRequest`);
    const encode = encoder(`grpc.reflection.${version}.ServerReflectionResponse`);
    const read = (message: Buffer): ReflectionRequest => {
      try {
        return type.toObject(type.decode(message)) as ReflectionRequest;
      } catch {
        throw new GrpcFault(GRPC_STATUS.INVALID_ARGUMENT, 'the request could not be read');
      }
    };
    const method: GrpcMethod = {
      kind: 'stream',
      open: (_call, answers) => ({
        message: (message) => {
          const request = read(message);
          answers.send(encode({ validHost: request.host, originalRequest: request, ...answerTo(request) }));
        },
        ended: () => answers.end(GRPC_STATUS.OK),
        closed: () => undefined,
      }),
    };
    return [`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`, method];
  });
};
