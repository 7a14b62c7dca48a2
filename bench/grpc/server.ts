/** One gRPC server in a process of its own: `own` (src/grpc) or `library` (@grpc/grpc-js); tells its port. */
import { startLibrary, startOwn } from './servers.ts';

process.send?.((await (process.argv[2] === 'own' ? startOwn() : startLibrary())).port);
process.on('disconnect', () => process.exit(0));
